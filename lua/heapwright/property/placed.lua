-- SPDX-License-Identifier: MIT
-- The model of a pool whose rule does not say the address alone: good fit, slab and
-- bump, buddies that grow, and whatever is random. It takes each block where the pool
-- placed it, and holds the pool to all the rest: the place was free, aligned and large
-- enough, every answer, every count, and that an empty pool grants what fits in it.
--
-- Free blocks are kept joined, whatever the policy's own list of them looks like.
local Model = require "heapwright.property.model"
local heapwright = require "heapwright"

local Placed = setmetatable({}, { __index = Model })
Placed.__index = Placed

-- Slab's sizes, in bytes: the pool's own, or 1 to 8 granules and then four to each power of two, to 64. None
-- is larger than the pool.
local function classes_of(config, granule, most)
  local list, size, step = {}, granule, granule
  if config.classes then
    for i, class in ipairs(config.classes) do list[i] = heapwright.parse_size(class) end
  else
    while size <= 64 * granule do
      list[#list + 1] = size
      if size >= 8 * step then step = 2 * step end
      size = size + step
    end
  end
  while #list > 0 and list[#list] > most do table.remove(list) end
  return list
end

---@param config table of heapwright.new, sizes in bytes, with capacity and policy
function Placed.new(config)
  local joined = setmetatable({ policy = "placed" }, { __index = config })
  local self = setmetatable(Model.new(joined), Placed)
  self.rule = config.policy
  self.classes = config.policy == "slab" and classes_of(config, self.granule, self.most) or nil
  self.cached = (config.thread_caches or 0) > 0
  return self
end

-- The bytes that the quarantine will hold once this block has entered it too.
local function quarantined_after(self, entering)
  local total, oldest = self.quarantined + entering, 1
  while total > self.quarantine and oldest <= #self.queue do
    total = total - self.queue[oldest].size
    oldest = oldest + 1
  end
  return total > self.quarantine and 0 or total
end

-- Shows the model what a call that places has given, before it is asked the same.
function Placed:watch(mem, call, address, got)
  self.at, self.wrong, self.room = got, nil, got and mem:usable_size(got)
  local stats = mem:stats()
  if stats.capacity > self.capacity then
    self:insert_free(#self.blocks + 1, self.capacity, stats.capacity - self.capacity)
    self.capacity = stats.capacity
    self:join(#self.blocks)
  end
  self.slides = false
  if self.guard ~= "full" or not got then return end
  local moved = call == "realloc" and address ~= got and self:holding(address)
  local entering, quarantined = moved and moved.size or 0, stats.quarantined
  -- Slid into a free block beside it, and so not kept?
  if moved and quarantined == self.quarantined and quarantined ~= quarantined_after(self, entering) then
    self.slides = true
  elseif quarantined ~= quarantined_after(self, entering) then -- emptied, by more than what entered
    self:shorten(0)
    self.slides = entering > 0 and quarantined == 0 and entering <= self.quarantine
  end
end

-- After the call: the pool may have given the free bytes at its end back.
function Placed:settle(mem)
  if self.most == self.opened then return end
  local capacity = mem:stats().capacity
  local last = self.blocks[#self.blocks]
  if capacity >= self.capacity or last.taken or last.at > capacity then return end
  last.size, self.capacity = capacity - last.at, capacity
  if last.size == 0 then table.remove(self.blocks) end
end

function Placed.trim() end -- settle does it

function Placed:fail()
  if self.wrong then return nil, self.wrong end
  return Model.fail(self)
end

-- Slab grants the least class that holds a request, in a slot or elsewhere.
function Placed:granted(size)
  local bytes = Model.granted(self, size)
  for _, class in ipairs(self.classes or {}) do
    if class >= bytes then return class end
  end
  return bytes
end

-- What is wrong with a place, or nil.
local function fault(self, block, size, alignment)
  if self.at % alignment ~= 0 then return ("an address that is a multiple of %d"):format(alignment) end
  local differs = self.classes and self.room ~= size or self.room < size
  if differs then return ("a block of %d bytes, not of %d"):format(size, self.room) end
  if not block then return ("an address inside the pool's %d bytes"):format(self.capacity) end
  local stop = block.at + block.size
  if block.taken then return ("a free place: %d is in the block from %d to %d"):format(self.at, block.at, stop) end
  if self.at + self.room > stop then return ("a free place: the one at %d ends at %d"):format(self.at, stop) end
end

-- Empties the quarantine where one of its blocks is where the pool placed.
local function make_way(self)
  for _, block in ipairs(self.queue) do
    if block.at < self.at + self.room and self.at < block.at + block.size then
      self:shorten(0)
      break
    end
  end
end

function Placed:place(size, alignment)
  if self.at then make_way(self) end
  if not self.at then
    local only = self.blocks[1]
    if self.rule ~= "bump" and #self.blocks == 1 and not only.taken and alignment <= self.granule
      and size <= self.capacity then
      self.wrong = ("a block, since all %d bytes are free"):format(self.capacity)
    end
    return nil
  end
  local block, i = self:holding(self.at)
  self.wrong = fault(self, block, size, alignment)
  if self.wrong then return nil end
  self.freed[self.at] = nil
  return self:cut(i, self.at, self.room)
end

-- Where it lies: what it no longer has is free, what it wants was free.
local function resize_there(self, block, i, size)
  if self.room < size then
    self.wrong = ("a block of %d bytes, not of %d"):format(size, self.room)
    return nil
  end
  local following = self.blocks[i + 1]
  local reach = block.at + block.size
  if following and not following.taken then
    reach = reach + following.size
    table.remove(self.blocks, i + 1)
  end
  self:uncount_granted(block)
  block.size = math.min(self.room, reach - block.at)
  self:insert_free(i + 1, block.at + block.size, reach - block.at - block.size)
  if block.size < self.room then
    self.wrong = ("%d free bytes behind %d"):format(self.room - block.size, block.at)
    return nil
  end
  return block
end

function Placed:resize(block, _, size)
  local granted, alignment = self:granted(size), self:kept_alignment(block)
  if not self.at then return nil end
  make_way(self)
  local i
  block, i = self:holding(block.at)
  if self.at == block.at then return resize_there(self, block, i, granted) end
  local overlaps = self.at < block.at + block.size and block.at < self.at + self.room
  if self.guard == "full" and not self.slides and not overlaps then -- the old place is kept
    local live = self:place(granted, alignment)
    local _, now = self:holding(block.at)
    if live then self:retire(now) end
    return live
  end
  self:uncount_granted(block) -- the new place may overlap the old one
  self.freed[block.at] = true
  self:release(i)
  return self:place(granted, alignment)
end

-- Of the fields of mem:stats(), those that do not depend on how free blocks are kept.
function Placed:stats()
  local stats = Model.stats(self)
  stats.free_blocks, stats.largest_free, stats.external_fragmentation = nil, nil, nil
  if self.cached then -- the caches' own is counted too, and what they passed between two looks is not
    stats.high_water, stats.peak_in_use, stats.peak_granted = nil, nil, nil
  end
  return stats
end

return Placed
