-- SPDX-License-Identifier: MIT
-- What every policy has to hold, wherever it places: checked from the outside,
-- with nothing but what a script can ask.

local heapwright = require "heapwright"
local uniform = require("heapwright.property.generator").uniform

local M = {}

local function expect(condition, ...)
  if not condition then error(string.format(...), 3) end
end

-- The blocks tile the pool, and say the same as the statistics.
function M.consistent(mem)
  local stats = mem:stats()
  local at, live, free, in_use, granted, held, largest, top = 0, 0, 0, 0, 0, 0, 0, 0
  for address, size, requested, quarantined in mem:blocks() do
    expect(address == at, "a block is at %d, the one before it ended at %d", address, at)
    expect(size > 0, "the block at %d is empty", address)
    if requested then
      expect(requested <= size, "the block at %d has %d bytes for %d", address, size, requested)
      live, in_use, granted = live + 1, in_use + requested, granted + size
      top = address + size
    elseif quarantined then
      granted, held = granted + size, held + size
    else
      free, largest = free + 1, math.max(largest, size)
    end
    at = address + size
  end
  expect(at == stats.capacity, "the blocks end at %d of %d", at, stats.capacity)
  local seen = {
    live_blocks = live, free_blocks = free, in_use = in_use, granted = granted,
    largest_free = largest, free = stats.capacity - granted, quarantined = held,
  }
  for name, value in pairs(seen) do
    expect(stats[name] == value, "stats().%s is %d, the blocks say %d", name, stats[name], value)
  end
  expect(stats.allocations - stats.frees == live, "%d allocations, %d frees, %d live blocks",
    stats.allocations, stats.frees, live)
  expect(stats.peak_in_use >= in_use and stats.peak_granted >= granted, "a peak is below what is in use now")
  expect(stats.high_water >= top, "the high-water mark is %d, a live block ends at %d", stats.high_water, top)
  local sound, message = mem:check()
  expect(sound, "check: %s", message)
end

-- A pool driven at random, with every granted byte known.
local Driver = {}
Driver.__index = Driver

local function driver(mem, seed, usual)
  return setmetatable({
    mem = mem, random = uniform(seed), usual = usual,
    held = {}, -- in no order: { address, size, byte }
    granule = 16,
  }, Driver)
end

function Driver:no_overlap(block)
  for _, other in ipairs(self.held) do
    local apart = block.address + math.max(block.size, 1) <= other.address
      or other.address + math.max(other.size, 1) <= block.address
    expect(other == block or apart, "%d bytes at %d overlap %d at %d", block.size, block.address, other.size,
      other.address)
  end
end

function Driver:fill(block)
  block.byte = self.random(0, 255)
  expect(self.mem:fill(block.address, block.byte, block.size), "a block could not be filled")
end

function Driver:kept(block, size)
  local bytes = self.mem:read(block.address, size)
  expect(bytes == string.char(block.byte):rep(size), "the block at %d lost its bytes", block.address)
end

function Driver:grant(address, size, alignment)
  expect(address % alignment == 0, "address %d is not a multiple of %d", address, alignment)
  expect(self.mem:size(address) == size, "the block at %d is not of %d bytes", address, size)
  expect(self.mem:usable_size(address) >= size, "less is usable than was asked for")
  local block = { address = address, size = size }
  self:no_overlap(block)
  self.held[#self.held + 1] = block
  self:fill(block)
end

function Driver:allocate()
  local size = self.random(0, self.usual)
  if self.random(1, 6) > 1 then
    local address = self.mem:alloc(size)
    if address then self:grant(address, size, 16) end
  else
    local alignment = 1 << self.random(0, 10)
    local address = self.mem:aligned_alloc(alignment, size)
    if address then self:grant(address, size, math.max(alignment, 16)) end
  end
end

function Driver:free()
  if #self.held == 0 then return end
  local i = self.random(1, #self.held)
  local block = self.held[i]
  self:kept(block, block.size)
  expect(self.mem:free(block.address) == true, "a live block could not be freed")
  local again, _, code = self.mem:free(block.address)
  -- A pool that shrank knows nothing of what lay past its end.
  local expected = block.address < self.mem:stats().capacity and "double_free" or "invalid_free"
  expect(again == nil and code == expected, "a second free gave %s", tostring(code))
  self.held[i] = self.held[#self.held]
  self.held[#self.held] = nil
end

function Driver:resize()
  if #self.held == 0 then return end
  local block = self.held[self.random(1, #self.held)]
  local size = self.random(0, self.usual)
  local moved = self.mem:realloc(block.address, size)
  if not moved then
    self:kept(block, block.size)
    return
  end
  block.address = moved
  self:kept(block, math.min(size, block.size))
  block.size = size
  self:no_overlap(block)
  self:fill(block)
end

local DRAW = { Driver.allocate, Driver.allocate, Driver.allocate, Driver.free, Driver.free, Driver.resize }

-- Runs `count` calls, and raises, with the seed, for the first thing that does not hold.
function M.drive(mem, seed, count, usual)
  local self = driver(mem, seed, usual)
  for n = 1, count do
    local ok, wrong = pcall(DRAW[self.random(1, #DRAW)], self)
    if ok and n % 16 == 0 then ok, wrong = pcall(M.consistent, mem) end
    if not ok then error(("seed %d, call %d: %s"):format(seed, n, wrong), 0) end
  end
  for _, block in ipairs(self.held) do self:kept(block, block.size) end
  M.consistent(mem)
  return self.held
end

-- Every policy, under every order that it takes: { policy, order } and how to call it.
function M.rules()
  local list = {}
  for _, policy in ipairs(heapwright.policies()) do
    for _, order in ipairs(policy.takes_order and { "address", "fifo", "lifo", "random" } or { "address" }) do
      list[#list + 1] = {
        policy = policy.name, order = order, exact = policy.exact,
        label = order == "address" and policy.name or policy.name .. "/" .. order,
      }
    end
  end
  return list
end

return M
