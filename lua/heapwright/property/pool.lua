-- SPDX-License-Identifier: MIT
-- A pool beside its model: each operation of a list is made on both, and what they
-- answer, the bytes of the blocks, mem:stats(), mem:blocks() and mem:check() must
-- agree after each. Blocks are filled when they are granted, and looked at when they
-- are resized or freed.
--
-- A failure is a table: `what` in words, `at` the operation's place in the list,
-- `kind` "answer", "bytes", "stats", "blocks" or "check".
local heapwright = require "heapwright"
local Model = require "heapwright.property.model"
local operations = require "heapwright.property.operations"
local Placed = require "heapwright.property.placed"

local M = {}

local GRANTS = operations.GRANTS

---- Which model ------------------------------------------------------------------

local EXACT_ORDERS = { address = true, fifo = true, lifo = true, random = true }

--- The model of this configuration.
---@param config table options of heapwright.new, in bytes, with capacity and policy
---@return table model
function M.model(config)
  local exact = EXACT_ORDERS[config.order or "address"]
  if config.policy == "buddy" and config.max_capacity then exact = false end -- how they cut what a pool grows by
  for _, info in ipairs(heapwright.policies()) do
    if info.name == config.policy then exact = exact and info.exact end
  end
  return (exact and Model or Placed).new(config)
end

---- One run ----------------------------------------------------------------------

---@class heapwright.PoolRun
---@field mem heapwright.Pool
---@field model table
---@field held table<integer, {address: integer, size: integer, byte: integer, number: integer}> by operation
---@field at table<integer, table> the same by address
---@field expected any the model's latest answer, or its code
---@field given any the pool's
local Run = {}
Run.__index = Run

local function byte_of(number) return number * 7 % 255 + 1 end

local SHORT = 256 -- bytes that are compared as a string

-- Does the block begin with `size` bytes of this value?
local function holds(mem, address, size, byte)
  if size == 0 then return true end
  if size <= SHORT then return mem:read(address, size) == string.char(byte):rep(size) end
  return mem:read(address, 1) == string.char(byte) and mem:compare(address, address + 1, size - 1) == 0
end

local function bytes_lost(call, address) return ("%s: the block at %d lost its bytes"):format(call, address) end

function Run:hold(op, address, size)
  local zeroed = op.call == "alloc" or op.call == "aligned_alloc" or holds(self.mem, address, size, 0)
  local block = { address = address, size = size, byte = byte_of(op.number), number = op.number }
  self.held[op.number], self.at[address] = block, block
  self.mem:fill(address, block.byte, size)
  if not zeroed then return ("%s: the block at %d is not zeroed"):format(op.call, address), "bytes" end
end

-- Which blocks are held after a call that did what was asked, with their bytes.
function Run:follow(op, address, got)
  local call = op.call
  if GRANTS[call] then return self:hold(op, got, call == "calloc" and op.count * op.size or op.size) end
  if call == "reset" then
    self.held, self.at = {}, {}
    return
  end
  local block = self.at[address]
  if call ~= "realloc" or not block then return end
  local kept = holds(self.mem, got, math.min(block.size, op.size), block.byte)
  self.at[address] = nil
  self.at[got] = block
  block.address, block.size = got, op.size
  self.mem:fill(got, block.byte, op.size)
  if not kept then return bytes_lost(call, got), "bytes" end
end

-- What free is about to take: its bytes must still be there.
function Run:let_go(address)
  local block = self.at[address]
  if not block then return end
  self.at[address], self.held[block.number] = nil, nil
  if not holds(self.mem, address, block.size, block.byte) then return bytes_lost("free", address), "bytes" end
end

local function spoken(value, code)
  if value == nil then return code and tostring(code) or "nothing" end
  return tostring(value)
end

local SAME = 1e-12 -- fractions computed in another order

-- What the model counts and the pool counts otherwise: names and the model's values; nil: nothing.
function Run:other_stats()
  local stats, others = self.mem:stats(), nil
  for name, value in pairs(self.model:stats()) do
    local got = stats[name]
    if got ~= value and not (math.type(value) == "float" and math.abs(got - value) < SAME) then
      others = others or {}
      others[name] = value
    end
  end
  return others
end

function Run:compare_stats()
  local others = self:other_stats()
  if not others then return nil end
  local texts, stats = {}, self.mem:stats()
  for name, value in pairs(others) do
    texts[#texts + 1] = ("stats().%s is %s; the model says %s"):format(name, tostring(stats[name]), tostring(value))
  end
  table.sort(texts)
  return texts[1], "stats"
end

local function block_text(at, size, requested)
  return requested and ("%d+%d for %d"):format(at, size, requested) or ("%d+%d"):format(at, size)
end

-- The live blocks and, where the model knows them, the others.
function Run:compare_blocks()
  local expected, exact = self.model.blocks, not self.model.rule
  local i, tiled = 0, 0
  for address, size, requested in self.mem:blocks() do
    if address ~= tiled then
      return ("a block is at %d, the one before ended at %d"):format(address, tiled), "blocks"
    end
    tiled = address + size
    if exact or requested then
      repeat i = i + 1 until exact or not expected[i] or expected[i].live
      local block = expected[i]
      if not block or block.at ~= address or block.size ~= size or block.requested ~= requested then
        return ("blocks() has %s; the model has %s"):format(block_text(address, size, requested),
          block and block_text(block.at, block.size, block.requested) or "none"), "blocks"
      end
    end
  end
  if tiled ~= self.model.capacity then
    return ("the blocks end at %d; the model's pool at %d"):format(tiled, self.model.capacity), "blocks"
  end
  while expected[i + 1] do
    i = i + 1
    if exact or expected[i].live then
      local block = expected[i]
      return ("blocks() lacks %s"):format(block_text(block.at, block.size, block.requested)), "blocks"
    end
  end
end

-- The same call on the model; what differs.
function Run:answer(op, address, got, message, code)
  local model = self.model
  if model.watch and (GRANTS[op.call] or op.call == "realloc") then model:watch(self.mem, op.call, address, got) end
  local expected, expected_code = model[op.call](model, operations.arguments(op, address))
  if model.settle then model:settle(self.mem) end
  self.expected, self.given = expected, got
  if expected == nil then self.expected = expected_code end
  if type(got) == "string" then got = #got end -- of what was read, how much
  if got == expected and (got ~= nil or code == expected_code) then return nil end
  return ("%s gave %s; the model says %s%s"):format(op.call, spoken(got, code),
    spoken(expected, expected_code), message and (" (" .. tostring(message) .. ")") or ""), "answer"
end

-- One operation on both: what differs and its kind, or nil.
function Run:step(op)
  local address = op.address
  if op.block then
    local block = self.held[op.block]
    if not block then return nil end -- it was never granted, or is gone
    address = block.address
  end
  local lost, kind
  if op.call == "free" then lost, kind = self:let_go(address) end
  if lost then return lost, kind end
  local got, message, code = self.mem[op.call](self.mem, operations.arguments(op, address))
  local differs
  differs, kind = self:answer(op, address, got, message, code)
  if differs or not got then return differs, kind end
  return self:follow(op, address, got)
end

function Run:compare()
  local differs, kind = self:compare_stats()
  if not differs then differs, kind = self:compare_blocks() end
  if differs then return differs, kind end
  local sound, message = self.mem:check()
  if not sound then return "check: " .. tostring(message), "check" end
end

---- A list -----------------------------------------------------------------------

--- Runs a list on a pool of these options and on a model.
---@param config table options of heapwright.new, in bytes
---@param list table[]
---@param settings {options: table, new_model: function|nil, every: integer|nil, observe: function|nil}
---@return table|nil failure
function M.run(config, list, settings)
  local mem <close> = assert(heapwright.new(settings.options))
  local run = setmetatable({
    mem = mem, model = (settings.new_model or M.model)(config), held = {}, at = {},
  }, Run)
  local every = settings.every or 1
  for i, op in ipairs(list) do
    run.expected = nil
    local what, kind = run:step(op)
    if not what and (i % every == 0 or i == #list) then what, kind = run:compare() end
    if settings.observe and (run.expected ~= nil or what) then settings.observe(op, run, what) end
    if what then return { what = what, kind = kind, at = i } end
  end
end

return M
