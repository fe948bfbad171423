-- SPDX-License-Identifier: MIT
-- Counterexamples as Lua scripts. That of a pool needs nothing but heapwright: each
-- call stands there with what the model answers, whatever differs is printed, and
-- the script ends with 1 where something did.
local operations = require "heapwright.property.operations"
local pool = require "heapwright.property.pool"

local M = {}

---- Values ----------------------------------------------------------------------

local function number_literal(value)
  if value ~= value then return "0/0" end
  if value == math.huge then return "math.huge" end
  if value == -math.huge then return "-math.huge" end
  if value == math.mininteger then return "math.mininteger" end
  if math.type(value) == "integer" then return ("%d"):format(value) end
  local text
  for digits = 15, 17 do
    text = ("%%.%dg"):format(digits):format(value)
    if tonumber(text) == value then break end
  end
  return text:find "[.eE]" and text or text .. ".0"
end

local function string_literal(value)
  local text = ("%q"):format(value):gsub("\\\n", "\\n"):gsub("\r", "\\r")
  return text
end

local function key_literal(key, literal)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then return key .. " = " end
  return "[" .. literal(key) .. "] = "
end

--- A value as it is written in Lua: nil, booleans, numbers, strings and tables of these.
---@param value any
---@return string
function M.literal(value)
  local kind = type(value)
  if kind == "number" then return number_literal(value) end
  if kind == "string" then return string_literal(value) end
  if kind ~= "table" then return tostring(value) end
  local parts, named = {}, {}
  for i, item in ipairs(value) do parts[i] = M.literal(item) end
  for key, item in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 or key > #parts then
      named[#named + 1] = key_literal(key, M.literal) .. M.literal(item)
    end
  end
  table.sort(named)
  table.move(named, 1, #named, #parts + 1, parts)
  return #parts > 0 and "{ " .. table.concat(parts, ", ") .. " }" or "{}"
end

--- A text as comment lines.
---@param text string
---@return string
function M.comment(text)
  return "-- " .. text:gsub("\n$", ""):gsub("\n", "\n-- ")
end

---- A pool's ---------------------------------------------------------------------

local GIVES = [[
local differs = false

local function say(text, ...)
  differs = true
  print(("line %d: " .. text):format(debug.getinfo(3, "l").currentline, ...))
end

-- What the pool gives, or its code, beside what the model gives.
local function gives(expected, got, message, code)
  local answer = type(got) == "string" and #got or got
  if got == nil then answer = code end
  if answer ~= expected then
    say("the pool gives %s, the model %s%s", answer, expected, message and " (" .. message .. ")" or "")
  end
  return got
end
]]

local KEEPS = [[
local function keeps(address, byte, size)
  if size > 0 and mem:read(address, size) ~= string.char(byte):rep(size) then
    say("the block at %d does not hold %d bytes of %d", address, size, byte)
  end
end
]]

local STATS = [[
local function stats(expected)
  local got = mem:stats()
  for name, value in pairs(expected) do
    if math.abs(got[name] - value) > 1e-12 then say("stats().%s is %s, the model's %s", name, got[name], value) end
  end
end
]]

local BLOCKS = [[
local function blocks(expected, all)
  local got, wanted = {}, {}
  for address, size, requested in mem:blocks() do
    if all or requested then got[#got + 1] = ("%d+%d for %s"):format(address, size, requested) end
  end
  for i, block in ipairs(expected) do wanted[i] = ("%d+%d for %s"):format(block[1], block[2], block[3]) end
  got, wanted = table.concat(got, ", "), table.concat(wanted, ", ")
  if got ~= wanted then say("the blocks are\n  %s\nthe model's\n  %s", got, wanted) end
end
]]

local NEVER = [[
-- What the pool gives, which is not to be this.
local function never(wrong, why, got)
  if got == wrong then say("the pool gives %s, the model says %s", got, why) end
  return got
end
]]

local HELPS = { bytes = KEEPS, stats = STATS, blocks = BLOCKS, place = NEVER }

-- One call, as it stands in the script.
local function call_text(op, run, target)
  local arguments, expected = {}, run.expected
  if expected == nil then expected = true end -- a free whose block had lost its bytes
  for i, value in ipairs { operations.arguments(op, op.block and 0) } do arguments[i] = M.literal(value) end
  if op.block then arguments[1] = target end
  local call = ("mem:%s(%s)"):format(op.call, table.concat(arguments, ", "))
  if run.model.wrong and run.given then
    call = ("never(%s, %s, %s)"):format(M.literal(run.given), M.literal(expected), call)
  elseif run.model.wrong then
    call = ("never(nil, %s, %s)"):format(M.literal(expected), call)
  else
    call = ("gives(%s, %s)"):format(M.literal(expected), call)
  end
  if operations.GRANTS[op.call] then return ("%s = %s"):format(target, call) end
  if op.call == "realloc" and op.block then return ("%s = %s or %s"):format(target, call, target) end
  return call
end

-- Lines around a call that fill blocks and look at their bytes: before it, after it.
local function bytes_text(op, run, target, was)
  local block = run.held[op.block or op.number]
  local before, after = {}, {}
  local function keeps(list, byte, size)
    if size > 0 then list[#list + 1] = ("keeps(%s, %d, %d)"):format(target, byte, size) end
  end
  if op.call == "free" and was then
    keeps(before, was.byte, was.size)
  elseif block and (op.call == "realloc" or operations.GRANTS[op.call]) then
    if op.call == "malloc" or op.call == "calloc" then keeps(after, 0, block.size) end
    if was then keeps(after, block.byte, math.min(was.size, block.size)) end
    if block.size > 0 then after[#after + 1] = ("mem:fill(%s, %d, %d)"):format(target, block.byte, block.size) end
  end
  return before, after
end

-- The state at the end, where that is what differs.
local function end_text(kind, run)
  local model = run.model
  if kind == "stats" then return ("stats %s"):format(M.literal(run:other_stats() or {})) end
  if kind ~= "blocks" then return nil end
  local list = {}
  for _, block in ipairs(model.blocks) do
    if block.live or not model.rule then list[#list + 1] = { block.at, block.size, block.requested } end
  end
  return ("blocks(%s, %s)"):format(M.literal(list), not model.rule)
end

-- The list's calls, and how it ends.
local function body(config, list, settings, kind)
  local lines, was, rank, count = {}, {}, {}, 0
  local ending
  local function observe(op, run)
    local number = op.block or op.number
    if not rank[number] then
      count = count + 1
      rank[number] = count
    end
    local target = ("b[%d]"):format(rank[number])
    local before, after = {}, {}
    if kind == "bytes" then before, after = bytes_text(op, run, target, was[number]) end
    local held = run.held[number]
    was[number] = held and { size = held.size, byte = held.byte }
    table.move(before, 1, #before, #lines + 1, lines)
    lines[#lines + 1] = call_text(op, run, target)
    table.move(after, 1, #after, #lines + 1, lines)
    ending = end_text(kind, run)
    if run.model.wrong then kind = "place" end
  end
  pool.run(config, list, { options = settings.options, new_model = settings.new_model, observe = observe })
  lines[#lines + 1] = ending
  return lines, kind
end

--- The script that runs a list again and says what differs.
---@param config table options of heapwright.new, in bytes
---@param list table[]
---@param settings table as of pool.run
---@param failure table
---@return string
function M.of_pool(config, list, settings, failure)
  local calls, kind = body(config, list, settings, failure.kind)
  local lines = {
    M.comment(failure.what),
    'local heapwright = require "heapwright"',
    ("local mem = assert(heapwright.new %s)"):format(M.literal(settings.options)),
    "local b = {} -- the blocks",
    GIVES,
    HELPS[kind],
  }
  table.move(calls, 1, #calls, #lines + 1, lines)
  lines[#lines + 1] = "gives(true, mem:check())"
  lines[#lines + 1] = "os.exit(not differs, true)\n"
  return table.concat(lines, "\n")
end

return M
