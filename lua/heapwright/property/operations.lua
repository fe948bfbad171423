-- SPDX-License-Identifier: MIT
-- Lists of operations on a pool, drawn from a seed.
--
-- An operation is a table: `call` the method's name, `number` its place in the list,
-- `block` the number of the operation that granted the block it is about, or
-- `address` an address out of the blue; `size`, `count`, `alignment` as the method
-- takes them. One whose block was never granted, or has gone, is left out when the
-- list is run: so every part of a list is a list.
local generator = require "heapwright.property.generator"

local M = {}

M.GRANTS = { alloc = true, malloc = true, calloc = true, aligned_alloc = true }

-- Sizes of many kinds: few granules, zero, exact granules, fractions of the pool.
local function random_size(random, config)
  local kind = random(1, 16)
  if kind == 1 then return 0 end
  if kind <= 9 then return random(1, config.usual_size) end
  if kind <= 12 then return 16 * random(1, math.max(1, config.usual_size // 16)) end
  local most = config.max_capacity or config.capacity
  if kind <= 15 then return random(1, math.max(1, most // 8)) end
  return random(1, most + 32)
end

local ADDRESSES = { 0, -1, 1, 7, 8, 15, 16, math.mininteger, math.maxinteger, 1 << 32, 1 << 36, 1 << 40 }

local function random_address(random, config)
  local kind = random(1, 4)
  if kind == 1 then return ADDRESSES[random(1, #ADDRESSES)] end
  if kind == 2 then return random(-64, config.capacity + 64) end
  return 16 * random(0, config.capacity // 16)
end

-- Numbers of the operations that granted a block not freed since, as far as can be known here.
local function some_block(random, live) return live[random(1, math.max(1, #live))] or 0 end

local function freed_block(random, live)
  if #live == 0 then return 0 end
  local i = random(1, #live)
  live[i], live[#live] = live[#live], live[i]
  return table.remove(live)
end

local function aligned(alignment, size)
  return { call = "aligned_alloc", alignment = alignment, size = size }
end

local function about(call, address, size) return { call = call, address = address, size = size } end

-- Weights: what is drawn, and how often. Each is given the randomness, the
-- configuration and the numbers of the blocks.
local DRAW = {
  { 26, function(r, c) return { call = "alloc", size = random_size(r, c) } end },
  { 4, function(r, c) return { call = "malloc", size = random_size(r, c) } end },
  { 4, function(r, c) return { call = "calloc", count = r(0, 5), size = random_size(r, c) } end },
  { 1, function(r) return { call = "calloc", count = 1 << r(30, 62), size = 1 << r(1, 40) } end },
  { 5, function(r, c) return aligned(1 << r(0, 9), random_size(r, c)) end },
  { 1, function(r, c) return aligned(r(-4, 40), random_size(r, c)) end },
  { 18, function(r, c, live)
    return { call = "realloc", block = some_block(r, live), size = random_size(r, c) }
  end },
  { 34, function(r, _, live) return { call = "free", block = freed_block(r, live) } end },
  { 3, function(r, c) return about("free", random_address(r, c)) end },
  { 1, function(r, c) return about("realloc", random_address(r, c), random_size(r, c)) end },
  { 1, function(r, c) return about("size", random_address(r, c)) end },
  { 1, function(r, c) return about("usable_size", random_address(r, c)) end },
  { 2, function(r, c) return about("owner", random_address(r, c)) end },
  { 2, function(r, c) return about("read", random_address(r, c), r(0, 40)) end },
  { 2, function(r, _, live) return { call = "read", block = some_block(r, live), size = r(0, 200) } end },
}

local TOTAL = 0
for _, entry in ipairs(DRAW) do TOTAL = TOTAL + entry[1] end

-- One operation; in every other fifty more is freed than granted.
local function draw(random, config, live, n)
  if random(1, 1000) == 1 then return { call = "reset" } end
  if n // 50 % 2 == 1 and random(1, 3) == 1 then
    return { call = "free", block = freed_block(random, live) }
  end
  local ticket = random(1, TOTAL)
  for _, entry in ipairs(DRAW) do
    ticket = ticket - entry[1]
    if ticket <= 0 then return entry[2](random, config, live) end
  end
end

--- A list drawn from a seed.
---@param seed integer
---@param config table options of heapwright.new, in bytes; and `usual_size`, below which most requests stay
---@param count integer of operations
---@return table[]
function M.list(seed, config, count)
  local random, list, live = generator.uniform(seed), {}, {}
  for n = 1, count do
    local op = draw(random, config, live, n)
    op.number = n
    list[n] = op
    if M.GRANTS[op.call] then live[#live + 1] = n end
  end
  return list
end

--- The arguments of an operation.
---@param op table
---@param address integer|nil of its block, where it is about one
---@return any ... as the method takes them
function M.arguments(op, address)
  local call = op.call
  if call == "reset" then return end
  if call == "calloc" then return op.count, op.size end
  if call == "aligned_alloc" then return op.alignment, op.size end
  if M.GRANTS[call] then return op.size end
  if op.size then return address or op.address, op.size end
  return address or op.address
end

return M
