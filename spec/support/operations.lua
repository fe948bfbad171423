-- SPDX-License-Identifier: MIT
-- Lists of operations on a pool: made at random from a seed, run against a
-- model, made smaller while they still fail, printed as a Lua script.
--
-- An operation is a table: `call` the method's name, `block` the number of the
-- block that it is about (the operation with this number granted it), or
-- `address` an address out of the blue; `size`, `count`, `alignment` as the
-- method takes them. One whose block was never granted, or has gone, is left
-- out: so every part of a list is a list.

local heapwright = require "heapwright"
local Model = require "spec.support.model"

local M = {}

---- Making ----------------------------------------------------------------------

-- A generator of its own: math.random has one state for everybody.
local function generator(seed)
  local state = seed * 2654435761 + 88172645463325252
  return function(low, high)
    state = state ~ (state << 13)
    state = state ~ (state >> 7)
    state = state ~ (state << 17)
    return low + (state >> 1) % (high - low + 1)
  end
end
M.generator = generator

-- Sizes of many kinds: few granules, zero, exact granules, fractions of the pool.
local function random_size(random, config)
  local kind = random(1, 16)
  if kind == 1 then return 0 end
  if kind <= 9 then return random(1, config.usual or 100) end
  if kind <= 12 then return 16 * random(1, math.max(1, (config.usual or 100) // 16)) end
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

local function about(call, address) return { call = call, address = address } end

-- Weights: what is drawn, and how often. Each is given the generator, the
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
  { 1, function(r, c)
    return { call = "realloc", address = random_address(r, c), size = random_size(r, c) }
  end },
  { 1, function(r, c) return about("size", random_address(r, c)) end },
  { 1, function(r, c) return about("usable_size", random_address(r, c)) end },
  { 2, function(r, c) return about("owner", random_address(r, c)) end },
}

local GRANTS = { alloc = true, malloc = true, calloc = true, aligned_alloc = true }

-- One operation; in every other fifty more is freed than granted.
local function draw(random, config, live, total, n)
  if random(1, 1000) == 1 then return { call = "reset" } end
  if n // 50 % 2 == 1 and random(1, 3) == 1 then
    return { call = "free", block = freed_block(random, live) }
  end
  local ticket = random(1, total)
  for _, entry in ipairs(DRAW) do
    ticket = ticket - entry[1]
    if ticket <= 0 then return entry[2](random, config, live) end
  end
end

---@param seed integer
---@param config table of heapwright.new; and `usual`, the size most requests stay below
---@param count integer of operations
function M.random(seed, config, count)
  local random, total, list, live = generator(seed), 0, {}, {}
  for _, entry in ipairs(DRAW) do total = total + entry[1] end
  for n = 1, count do
    local op = draw(random, config, live, total, n)
    op.number = n
    list[n] = op
    if GRANTS[op.call] then live[#live + 1] = n end
  end
  return list
end

---- Running -----------------------------------------------------------------------

-- The arguments of an operation in this run; nil where its block is not there.
local function arguments(op, held)
  if op.call == "reset" then return {} end
  if GRANTS[op.call] then
    if op.call == "calloc" then return { op.count, op.size } end
    if op.call == "aligned_alloc" then return { op.alignment, op.size } end
    return { op.size }
  end
  local address = op.address
  if op.block then
    address = held[op.block] and held[op.block].address
    if not address then return nil end
  end
  return { address, op.size }
end

-- Options of heapwright.new among those of a configuration.
function M.options(config)
  return {
    capacity = config.capacity, policy = config.policy, order = config.order,
    granule = config.granule, guard = config.guard, max_capacity = config.max_capacity,
  }
end

local function spoken(value, code)
  if value ~= nil then return tostring(value) end
  return "nil, " .. tostring(code)
end

local function byte_of(number) return number * 7 % 255 + 1 end

-- The bytes of a block, all of one value, or what else they are.
local function holds(mem, address, size, byte)
  if size == 0 then return true end
  local bytes = mem:read(address, size)
  return bytes == string.char(byte):rep(size)
end

-- Updates which blocks are held, fills them and sees that their bytes were kept.
local function follow(mem, op, args, result, held)
  if not result then return nil end
  if GRANTS[op.call] then
    local size = op.call == "calloc" and op.count * op.size or op.size
    if (op.call == "calloc" or op.call == "malloc") and not holds(mem, result, size, 0) then
      return op.call .. " is not zeroed"
    end
    held[op.number] = { address = result, size = size, byte = byte_of(op.number) }
    mem:fill(result, byte_of(op.number), size)
    return nil
  end
  if op.call == "reset" then
    for number in pairs(held) do held[number] = nil end
    return nil
  end
  if op.call ~= "free" and op.call ~= "realloc" then return nil end
  for number, block in pairs(held) do
    if block.address == args[1] then
      if op.call == "free" then
        held[number] = nil
        return nil
      end
      if not holds(mem, result, math.min(block.size, op.size), block.byte) then
        return "realloc did not keep the bytes"
      end
      block.address, block.size = result, op.size
      mem:fill(result, block.byte, op.size)
      return nil
    end
  end
end

local function compare_blocks(mem, model)
  local i = 0
  for address, size, requested in mem:blocks() do
    i = i + 1
    local block = model.blocks[i]
    if not block or block.at ~= address or block.size ~= size or block.requested ~= requested then
      return ("block %d is %d, %d, %s; the model says %s"):format(i, address, size, tostring(requested),
        block and ("%d, %d, %s"):format(block.at, block.size, tostring(block.requested)) or "there is none")
    end
  end
  if i ~= #model.blocks then return ("there are %d blocks; the model says %d"):format(i, #model.blocks) end
end

local function compare_stats(mem, model)
  local stats, expected = mem:stats(), model:stats()
  for name, value in pairs(expected) do
    if stats[name] ~= value then
      return ("stats().%s is %s; the model says %s"):format(name, tostring(stats[name]), tostring(value))
    end
  end
end

-- One operation on both; what differs, or nil.
local function step(mem, model, op, held)
  local args = arguments(op, held)
  if not args then return nil end
  local got, message, code = mem[op.call](mem, table.unpack(args))
  local expected, expected_code = model[op.call](model, table.unpack(args))
  if got ~= expected or (got == nil and code ~= expected_code) then
    return ("%s gave %s; the model says %s%s"):format(op.call, spoken(got, code),
      spoken(expected, expected_code), got == nil and (" (" .. tostring(message) .. ")") or "")
  end
  return follow(mem, op, args, got, held) or compare_stats(mem, model) or compare_blocks(mem, model)
end

-- Runs a list on a pool and the model; nil, or what differs first and after which operation.
function M.run(config, list, new_model)
  local mem = assert(heapwright.new(M.options(config)))
  local model, held = (new_model or Model.new)(config), {}
  local wrong, at
  for i, op in ipairs(list) do
    wrong = step(mem, model, op, held)
    if not wrong then
      local sound, message = mem:check()
      if not sound then wrong = "check: " .. message end
    end
    if wrong then
      at = i
      break
    end
  end
  mem:close()
  return wrong, at
end

---- Making smaller -------------------------------------------------------------------

-- Delta debugging: the list without as many of its parts as can go.
local function fewer(list, fails)
  local chunk = #list // 2
  while chunk >= 1 do
    local i, removed = 1, false
    while i <= #list do
      local shorter = {}
      table.move(list, 1, i - 1, 1, shorter)
      table.move(list, i + chunk, #list, #shorter + 1, shorter)
      if #shorter < #list and fails(shorter) then
        list, removed = shorter, true
      else
        i = i + chunk
      end
    end
    if not removed or chunk > 1 then chunk = chunk // 2 end
  end
  return list
end

local NUMBERS = { "size", "count", "alignment", "address" }

-- Each integer as small as it can be: 0, then halves of what it may lose.
local function smaller_numbers(list, fails)
  for i, op in ipairs(list) do
    for _, name in ipairs(NUMBERS) do
      local value = op[name]
      local lost = value
      while value and lost ~= 0 do
        local copy = {}
        for key, kept in pairs(op) do copy[key] = kept end
        copy[name] = value - lost
        list[i] = copy
        if fails(list) then
          value, op = value - lost, copy
          lost = value
        else
          lost = lost > 0 and lost // 2 or -(-lost // 2)
        end
      end
      list[i] = op
    end
  end
  return list
end

-- The smallest list found that still fails.
---@param fails fun(list: table): boolean
function M.shrink(list, fails)
  local size
  repeat
    size = #list
    list = smaller_numbers(fewer(list, fails), fails)
  until #list == size
  return list
end

---- Printing --------------------------------------------------------------------------

local function literal(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if value == math.mininteger then return "math.mininteger" end
  return tostring(value)
end

-- A script that runs the list again.
function M.script(config, list)
  local options, lines = {}, {}
  for name, value in pairs(M.options(config)) do options[#options + 1] = name .. " = " .. literal(value) end
  table.sort(options)
  lines[1] = 'local heapwright = require "heapwright"'
  lines[2] = "local mem = heapwright.new { " .. table.concat(options, ", ") .. " }"
  lines[3] = "local b = {}"
  for _, op in ipairs(list) do
    local args = {}
    if op.block then args[1] = ("b[%d]"):format(op.block) end
    for _, name in ipairs { "address", "alignment", "count", "size" } do
      if op[name] then args[#args + 1] = literal(op[name]) end
    end
    local call = ("mem:%s(%s)"):format(op.call, table.concat(args, ", "))
    if GRANTS[op.call] then
      call = ("b[%d] = %s"):format(op.number, call)
    elseif op.call == "realloc" and op.block then
      call = ("b[%d] = %s or b[%d]"):format(op.block, call, op.block)
    else
      call = ("print(%s)"):format(call)
    end
    lines[#lines + 1] = call
  end
  lines[#lines + 1] = "print(mem:check())"
  return table.concat(lines, "\n")
end

---- All together ------------------------------------------------------------------------

-- Runs `count` operations of this seed; raises with the smallest list that fails.
---@param run fun(config: table, list: table): string|nil, integer|nil
function M.hold(seed, config, count, run)
  run = run or M.run
  local list = M.random(seed, config, count)
  local wrong, at = run(config, list)
  if not wrong then return end
  local failing = table.move(list, 1, at, 1, {})
  local smallest = M.shrink(failing, function(shorter) return run(config, shorter) ~= nil end)
  error(("seed %d, operation %d: %s\nsmallest list that fails: %s\n%s\n"):format(seed, at, wrong,
    tostring(run(config, smallest)), M.script(config, smallest)), 0)
end

return M
