-- SPDX-License-Identifier: MIT
-- A pool as its rules state it, and as slowly as they can be written: one list
-- of blocks in address order, scanned from end to end. What the pool answers,
-- where it places and what it counts must be the same, call by call.
--
-- The rules are those of the exact policies and of buddy; see heapwright.h for
-- the order in which realloc tries its ways, and for double_free. Policies whose
-- rule does not say the address have placed.lua. A call takes O(blocks).
--
-- A block of the list is `taken` where the policy may not place in it, and `live`
-- where it is a user's. Under guard "full" those that are taken but not live are
-- in the quarantine.

local randomised = require "heapwright.property.randomised"

local Model = {}
Model.__index = Model

local LARGE = 64 * 1024 -- blocks of this size on grow backwards before they move
local STEP = 64 * 1024 -- in which a pool grows and shrinks
local PEAKS = { "in_use", "granted" }
local RED_ZONE = 16 -- bytes behind a block under guard "full", unless given
local QUARANTINE = 1 << 20 -- the most that it holds, unless given

---@param config table of heapwright.new, sizes in bytes, with capacity and policy
function Model.new(config)
  local granule = config.granule or 16
  local full = config.guard == "full"
  local self = setmetatable({
    granule = granule,
    capacity = config.capacity // granule * granule, -- now
    opened = config.capacity // granule * granule,
    most = (config.max_capacity or config.capacity) // granule * granule,
    policy = config.policy, rule = config.policy,
    order = config.order or "address",
    seed = config.seed or 0, -- of order "random"
    guard = config.guard or "check",
    red_zone = full and (config.red_zone or RED_ZONE) or 0,
    quarantine = full and (config.quarantine or math.min(config.capacity // 4, QUARANTINE)) or 0,
    wrong = nil, -- see placed.lua
    clock = 0, -- time of the last entry into the index
    counts = {
      in_use = 0, granted = 0, peak_in_use = 0, peak_granted = 0, high_water = 0,
      allocations = 0, frees = 0, reallocations = 0, failures = 0,
    },
  }, Model)
  self:clear()
  return self
end

-- Everything is free, and nothing is known of what was placed before.
function Model:clear()
  self.blocks = {}
  self.queue = {} -- the quarantine: blocks in the order of their frees
  self.quarantined = 0 -- bytes granted to them
  self.freed = self.freed or {} -- address: the newest block that began there was freed
  self.rover = 0
  self.placements = 0 -- since the pool was opened or reset
  self.largest_alignment = 0
  self:insert_free(1, 0, self.capacity)
end

---- The list ----------------------------------------------------------------

-- The largest power of two that is at most n.
local function floor_power(n)
  local power = 1
  while power * 2 <= n do power = power * 2 end
  return power
end

-- Puts the range in as free blocks before block i: one, or buddies.
function Model:insert_free(i, at, size)
  while size > 0 do
    local part = size
    if self.policy == "buddy" then
      part = floor_power(size)
      if at > 0 then part = math.min(part, at & -at) end
    end
    self.clock = self.clock + 1
    table.insert(self.blocks, i, { at = at, size = part, time = self.clock })
    i, at, size = i + 1, at + part, size - part
  end
end

function Model:may_join(left, right)
  if not left or not right or left.taken or right.taken then return false end
  if self.policy ~= "buddy" then return true end
  return left.size == right.size and left.at % (2 * left.size) == 0
end

-- Block i, free and not in the index yet, joins its neighbours and enters.
function Model:join(i)
  local blocks = self.blocks
  while true do
    if self:may_join(blocks[i], blocks[i + 1]) then
      blocks[i].size = blocks[i].size + table.remove(blocks, i + 1).size
    elseif self:may_join(blocks[i - 1], blocks[i]) then
      blocks[i - 1].size = blocks[i - 1].size + table.remove(blocks, i).size
      i = i - 1
    else
      break
    end
  end
  self.clock = self.clock + 1
  blocks[i].time = self.clock
end

-- The block that holds the address, and its number.
function Model:holding(address)
  if address < 0 or address >= self.capacity then return nil end
  for i, block in ipairs(self.blocks) do
    if address < block.at + block.size then return block, i end
  end
end

---- Choosing ----------------------------------------------------------------

-- Where in the block an aligned run of `size` begins; nil where it has none.
local function place_in(block, size, alignment)
  local at = (block.at + alignment - 1) // alignment * alignment
  if at + size <= block.at + block.size then return at end
end

-- Of two blocks, the one that the order of ties names.
local earlier = {
  address = function(a, b) return a.at < b.at end,
  fifo = function(a, b) return a.time < b.time end,
  lifo = function(a, b) return a.time > b.time end,
  random = function(a, b, self) return randomised.ahead(self, a) < randomised.ahead(self, b) end,
}

-- Is block a to be taken rather than b?
local better = {
  ["first-fit"] = function(self, a, b) return earlier[self.order](a, b, self) end,
  ["best-fit"] = function(self, a, b)
    if a.size ~= b.size then return a.size < b.size end
    return earlier[self.order](a, b, self)
  end,
  ["worst-fit"] = function(self, a, b)
    if a.size ~= b.size then return a.size > b.size end
    return earlier[self.order](a, b, self)
  end,
  ["next-fit"] = function(self, a, b)
    local a_ahead, b_ahead = a.at >= self.rover, b.at >= self.rover
    if a_ahead ~= b_ahead then return a_ahead end
    return a.at < b.at
  end,
}
better.buddy = better["best-fit"]

-- The number of the block to cut and the address to cut it at; nil: none fits.
function Model:choose(size, alignment)
  local best, number, place
  for i, block in ipairs(self.blocks) do
    local at = not block.taken and place_in(block, size, alignment)
    if at and (not best or better[self.policy](self, block, best)) then
      best, number, place = block, i, at
    end
  end
  if best and self.order == "random" and best.size == self.capacity then
    place = randomised.place(self, place, size, alignment)
  end
  return number, place
end

---- Growing and shrinking --------------------------------------------------------

local function round_up(n, to) return (n + to - 1) // to * to end

-- Adds as many steps at the end as the request needs, or none.
function Model:grow(size, alignment)
  if self.capacity == self.most then return false end
  local last = self.blocks[#self.blocks]
  local from = last.taken and self.capacity or last.at
  if not place_in({ at = from, size = self.most - from }, size, alignment) then return false end
  local stop = math.min(self.most, round_up(from + alignment - self.granule + size, STEP))
  self:insert_free(#self.blocks + 1, self.capacity, stop - self.capacity)
  self.capacity = stop
  self:join(#self.blocks)
  return true
end

-- Gives the steps back that lie in the free block at the end, all but one.
function Model:trim()
  local last = self.blocks[#self.blocks]
  if last.taken or last.size < 2 * STEP then return end
  local stop = math.max(self.opened, round_up(last.at, STEP) + STEP)
  if stop >= self.capacity then return end
  last.size = stop - last.at
  self.capacity = stop
  self.clock = self.clock + 1
  last.time = self.clock
end

---- Placing -----------------------------------------------------------------

-- Bytes that a policy grants for a request.
local function granted_by(policy, self, size)
  size = size + self.red_zone
  local granted = math.max(1, (size + self.granule - 1) // self.granule) * self.granule
  if policy ~= "buddy" then return granted end
  local power = self.granule
  while power < granted do power = power * 2 end
  return power
end

function Model:granted(size) return granted_by(self.policy, self, size) end

-- Is the request more than the pool ever holds?
function Model:never_fits(size)
  return size > self.most - self.red_zone or granted_by(self.rule, self, size) > self.most
end

-- Cuts [at, at + size) out of free block i and makes it live.
function Model:cut(i, at, size)
  local whole = table.remove(self.blocks, i)
  local live = { at = at, size = size, taken = true, live = true }
  local before = at - whole.at
  local after = whole.size - before - size
  self:insert_free(i, whole.at, before)
  i = i + (before > 0 and 1 or 0)
  table.insert(self.blocks, i, live)
  self:insert_free(i + 1, at + size, after)
  return live
end

function Model:place(size, alignment)
  local i, at = self:choose(size, alignment)
  if not i and self:grow(size, alignment) then i, at = self:choose(size, alignment) end
  if not i then return nil end
  self.rover = at + size
  self.placements = self.placements + 1
  self.freed[at] = nil
  return self:cut(i, at, size)
end

-- Block i, which is nobody's any more, is free.
function Model:release(i)
  local block = self.blocks[i]
  block.taken, block.live, block.requested, block.aligned = nil, nil, nil, nil
  self:join(i)
  self:trim()
end

-- Live block i is given up: it is free, or under guard "full" in the quarantine.
function Model:retire(i)
  local block = self.blocks[i]
  self.freed[block.at] = true
  block.live, block.requested, block.aligned = nil, nil, nil
  if self.guard ~= "full" then
    self:uncount_granted(block)
    return self:release(i)
  end
  table.insert(self.queue, block)
  self.quarantined = self.quarantined + block.size
  self:shorten(self.quarantine)
end

-- The oldest leave the quarantine while it holds more than so many bytes. Did any?
function Model:shorten(most)
  local any = false
  while self.quarantined > most do
    local block = table.remove(self.queue, 1)
    self.quarantined = self.quarantined - block.size
    self:uncount_granted(block)
    local _, i = self:holding(block.at)
    self:release(i)
    any = true
  end
  return any
end

---- Counting ----------------------------------------------------------------

function Model:uncount_granted(block) self.counts.granted = self.counts.granted - block.size end

function Model:count(live)
  local counts = self.counts
  counts.in_use = counts.in_use + live.requested
  counts.granted = counts.granted + live.size
  for _, name in ipairs(PEAKS) do
    counts["peak_" .. name] = math.max(counts["peak_" .. name], counts[name])
  end
  counts.high_water = math.max(counts.high_water, live.at + live.size)
end

function Model:event(name)
  self.counts[name] = self.counts[name] + 1
end

function Model:fail()
  self:event "failures"
  return nil, "no_memory"
end

---- The calls: a result, or nil and a code ------------------------------------

function Model:alloc(size, alignment)
  if self:never_fits(size) then return self:fail() end
  alignment = alignment or 0
  local granted, aligned = self:granted(size), math.max(alignment, self.granule)
  local live = self:place(granted, aligned)
  if not live and not self.wrong and self:shorten(0) then live = self:place(granted, aligned) end
  if not live then return self:fail() end
  live.requested = size
  if alignment > self.granule then
    live.aligned = true
    self.largest_alignment = math.max(self.largest_alignment, alignment)
  end
  self:count(live)
  self:event "allocations"
  return live.at
end

Model.malloc = Model.alloc

function Model:calloc(count, size)
  if size > 0 and count > self.most // size then return self:fail() end
  return self:alloc(count * size)
end

function Model:aligned_alloc(alignment, size)
  if alignment <= 0 or alignment & (alignment - 1) ~= 0 then return nil, "invalid_argument" end
  return self:alloc(size, alignment)
end

-- The live block that starts at the address, and its number; or nil and why not.
function Model:live_at(address)
  local block, i = self:holding(address)
  if not block then return nil, "invalid_free" end
  if block.live and block.at == address then return block, i end
  local freed = self.freed[address]
  if self.guard == "off" then freed = not block.live and address % self.granule == 0 end
  return nil, freed and "double_free" or "invalid_free"
end

function Model:free(address)
  local block, i = self:live_at(address)
  if not block then return nil, i end
  self.counts.in_use = self.counts.in_use - block.requested
  self:retire(i)
  self:event "frees"
  return true
end

function Model:size(address)
  local block, code = self:live_at(address)
  if not block then return nil, code end
  return block.requested
end

function Model:usable_size(address)
  local block, code = self:live_at(address)
  if not block then return nil, code end
  return block.size
end

function Model:owner(address)
  local block = self:holding(address)
  if not block then return nil, "out_of_bounds" end
  if not block.live then return nil, "unallocated" end
  return block.at
end

-- How many bytes a read of n gives: all of them, or none.
function Model:read(address, n)
  local block = self:holding(address)
  if not block then return nil, "out_of_bounds" end
  if not block.live then return nil, "unallocated" end
  if address + n > block.at + block.requested then return nil, "out_of_bounds" end
  return n
end

-- The alignment that a block keeps where it moves: its address's own, as far as any was asked for.
function Model:kept_alignment(block)
  if self.guard ~= "off" and not block.aligned then return self.granule end
  local kept = self.largest_alignment
  if block.at > 0 then kept = math.min(kept, block.at & -block.at) end
  return math.max(kept, self.granule)
end

local ways = {}

-- Smaller, or just as large: where it lies.
function ways.down(self, block, i, size)
  if size > block.size then return nil end
  local rest = block.size - size
  self:uncount_granted(block)
  block.size = size
  if rest == 0 then return block end
  self:insert_free(i + 1, block.at + size, rest)
  if self.policy ~= "buddy" then self:join(i + 1) end
  return block
end

-- Into the free blocks after it.
function ways.forwards(self, block, i, size)
  if self.policy == "buddy" and block.at % size ~= 0 then return nil end
  local reach, last = block.at + block.size, i
  while reach < block.at + size do
    local next_block = self.blocks[last + 1]
    if not next_block or next_block.taken then return nil end
    last, reach = last + 1, reach + next_block.size
  end
  for _ = i + 1, last do table.remove(self.blocks, i + 1) end
  self:uncount_granted(block)
  block.size = size
  self:insert_free(i + 1, block.at + size, reach - block.at - size)
  return block
end

-- Into the free block before it, and the one after it. It may overlap its old place,
-- which does not go into the quarantine then.
function ways.backwards(self, block, i, size)
  local before, after = self.blocks[i - 1], self.blocks[i + 1]
  if self.policy == "buddy" or not before or before.taken then return nil end
  local whole = { at = before.at, size = before.size + block.size }
  local room = after and not after.taken
  if room then whole.size = whole.size + after.size end
  local at = place_in(whole, size, self:kept_alignment(block))
  if not at or at >= block.at then return nil end
  if room then table.remove(self.blocks, i + 1) end
  table.remove(self.blocks, i)
  self.freed[block.at], self.freed[at] = true, nil
  self.blocks[i - 1] = whole
  self:uncount_granted(block)
  return self:cut(i - 1, at, size)
end

-- To where the policy places it.
function ways.elsewhere(self, block, _, size)
  local live = self:place(size, self:kept_alignment(block))
  if not live then return nil end
  local _, now = self:holding(block.at)
  self:retire(now)
  return live
end

local ORDER = { "down", "forwards", "elsewhere", "backwards" }
local ORDER_LARGE = { "down", "forwards", "backwards", "elsewhere" }

-- The block with room for `size` bytes, in the first way that there is; nil: in none.
function Model:resize(block, i, size)
  for _, way in ipairs(block.requested >= LARGE and ORDER_LARGE or ORDER) do
    local moved = ways[way](self, block, i, self:granted(size))
    if moved then return moved end
  end
end

function Model:realloc(address, size)
  if not address then return self:alloc(size) end
  local block, i = self:live_at(address)
  if not block then return nil, i end
  if self:never_fits(size) then return self:fail() end
  local requested, aligned = block.requested, block.aligned
  local moved = self:resize(block, i, size)
  if not moved and not self.wrong and self:shorten(0) then
    block, i = self:live_at(address)
    moved = self:resize(block, i, size)
  end
  if not moved then return self:fail() end
  self.counts.in_use = self.counts.in_use - requested
  moved.requested, moved.aligned = size, aligned
  self:count(moved)
  self:trim()
  self:event "reallocations"
  return moved.at
end

function Model:reset()
  for _, block in ipairs(self.blocks) do
    if block.live then
      self.freed[block.at] = true
      self:event "frees"
    end
  end
  self.counts.in_use, self.counts.granted = 0, 0
  self:clear()
  self:trim()
  return true
end

---- What it looks like --------------------------------------------------------

-- The fields of mem:stats(), but steps and steps_max, which are the policy's own.
function Model:stats()
  local stats = { capacity = self.capacity, live_blocks = 0, free_blocks = 0, largest_free = 0 }
  for name, value in pairs(self.counts) do stats[name] = value end
  for _, block in ipairs(self.blocks) do
    if block.live then
      stats.live_blocks = stats.live_blocks + 1
    elseif not block.taken then
      stats.free_blocks = stats.free_blocks + 1
      stats.largest_free = math.max(stats.largest_free, block.size)
    end
  end
  stats.free = stats.capacity - stats.granted
  if self.guard == "full" then stats.quarantined = self.quarantined end
  local granted = stats.granted - (self.quarantined or 0)
  stats.internal_fragmentation = granted > 0 and 1 - stats.in_use / granted or 0
  stats.external_fragmentation = stats.free > 0 and 1 - stats.largest_free / stats.free or 0
  return stats
end

return Model
