-- SPDX-License-Identifier: MIT
-- A user's own commands on their own structure, which lives in a pool: drawn from a
-- seed as they are run, since what may be called next can depend on the model.
--
-- An operation is a table: `call` the command's name, its choices (see generator.lua)
-- by 1, 2, 3 …, and `fails` where a request of memory is to fail in it: 1 the first, 2
-- the second … A command that is not ready is left out: every part of a list is a list.
--
-- A failure is a table: `what` in words, `at` the operation's place in the list (one
-- more than there are: the end), `kind` the command's name, "setup" or "finish".
local generator = require "heapwright.property.generator"
local heapwright = require "heapwright"
local random = require "heapwright.random"
local script = require "heapwright.property.script"

local M = {}

local DRAWS = 20 -- of a command that is ready, before the list ends early
local LATEST_FAULT = 8 -- the request of a command that fails is this one at most

---- Calls of the user's functions -------------------------------------------------

-- Calls it; what is wrong: it raised, or gave false and why.
local function wrong(name, f, ...)
  local ok, result, why = pcall(f, ...)
  if ok and result ~= false then return nil end
  if ok then result = why or "it gave false" end
  return ("%s: %s"):format(name, tostring(result))
end

local function call_text(name, arguments)
  local texts = {}
  for i = 1, arguments.n do texts[i] = script.literal(arguments[i]) end
  return ("%s(%s)"):format(name, table.concat(texts, ", "))
end

---- A run -----------------------------------------------------------------------

---@class heapwright.CommandRun
---@field mem heapwright.Pool
---@field structure any
---@field model any
---@field commands table<string, heapwright.Command>
local Run = {}
Run.__index = Run

--- Opens the pool and sets the structure up in it.
---@param property heapwright.Property
---@return heapwright.CommandRun
function M.open(property)
  local mem = assert(heapwright.new(property.pool))
  local run = setmetatable({ mem = mem, property = property, commands = property.commands }, Run)
  run.structure, run.model = property.setup(mem)
  return run
end

-- Is the pool sound after this?
function Run:sound(name)
  local sound, message = self.mem:check()
  if not sound then return ("%s: mem:check: %s"):format(name, message) end
end

--- What has to hold after setup and every command.
function Run:holds(name)
  local invariant = self.property.invariant
  return self:sound(name)
    or invariant and wrong(name .. ": invariant", invariant, self.structure, self.model, self.mem) or nil
end

--- Is the command to be called now?
function Run:ready(name)
  local ready = self.commands[name].ready
  return not ready or ready(self.model)
end

--- Calls a command, the `fails`th request of memory in it failing; what is wrong, or nil.
---@param fails integer|nil none where it is nil or 0
function Run:call(name, fails, arguments)
  fails = fails ~= 0 and fails
  if fails then self.mem:inject { after = fails } end
  local text = call_text(name, arguments)
  local fault = wrong(text, self.commands[name].run, self.structure, self.model,
    table.unpack(arguments, 1, arguments.n))
  if fails then self.mem:inject(false) end
  return fault or self:holds(text)
end

-- What is live, as a sentence.
local function live_text(mem)
  local texts = {}
  for i, leak in ipairs(mem:leaks()) do
    if i > 4 then
      texts[i] = "…"
      break
    end
    texts[i] = ("%d bytes at 0x%x"):format(leak.size, leak.address)
  end
  return table.concat(texts, ", ")
end

--- The end: `finish` gives everything back, and no block may be live.
function Run:finish()
  local finish = self.property.finish
  if not finish then return nil end
  local fault = wrong("finish", finish, self.structure, self.model, self.mem) or self:sound "finish"
  if fault then return fault end
  local count = self.mem:stats().live_blocks
  if count > 0 then
    return ("finish: %s live: %s"):format(count == 1 and "a block is" or count .. " blocks are", live_text(self.mem))
  end
end

function Run:close() self.mem:close() end

-- The arguments that the command draws, in a table with `n`.
local function drawn(run, name, source)
  local draw = run.commands[name].draw
  return draw and table.pack(draw(source, run.model)) or { n = 0 }
end

---- A list ----------------------------------------------------------------------

-- The names in order, since those of a table have none, each as often as its weight.
local function tickets(commands)
  local names, list = {}, {}
  for name in pairs(commands) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    for _ = 1, commands[name].weight or 1 do list[#list + 1] = name end
  end
  return list
end

-- The first request of a command fails in every second of the cases, the second in every fourth …
local function failing_request(source)
  local number = 1
  while number < LATEST_FAULT and source:below(2) == 1 do number = number + 1 end
  return number
end

local function new_operation(run, source, names, faults)
  for _ = 1, DRAWS do
    local name = names[source:below(#names) + 1]
    if run:ready(name) then
      local fresh = generator.fresh(source)
      local arguments = drawn(run, name, fresh)
      local op = table.move(fresh.choices, 1, #fresh.choices, 1, { call = name })
      if faults and source:unit() < faults then op.fails = failing_request(source) end
      return op, arguments
    end
  end
end

-- Opens, calls for each operation that `following` gives, ends; the failure.
local function each(property, following)
  local run = M.open(property)
  local at, kind, fault = 0, "setup", run:holds "setup"
  while not fault do
    local op, arguments = following(run)
    at = at + 1
    if not op then
      kind, fault = "finish", run:finish()
      break
    end
    kind = op.call
    if arguments then fault = run:call(kind, op.fails, arguments) end
  end
  run:close()
  return fault and { what = fault, at = at, kind = kind } or nil
end

--- Draws a list and runs it.
---@param property heapwright.Property
---@param seed integer
---@return table[] list
---@return table|nil failure
function M.draw(property, seed)
  local source, names, list = random.new(seed), tickets(property.commands), {}
  local failure = each(property, function(run)
    if #list == property.operations then return nil end
    local op, arguments = new_operation(run, source, names, property.faults)
    list[#list + 1] = op
    return op, arguments
  end)
  return list, failure
end

--- Runs a list.
---@param property heapwright.Property
---@param list table[]
---@param observe fun(op: table, arguments: table)|nil is told each call before it is made
---@return table|nil failure
function M.run(property, list, observe)
  local at = 0
  return each(property, function(run)
    at = at + 1
    local op = list[at]
    if not op then return nil end
    if not run:ready(op.call) then return op end
    -- In a shorter list, what the arguments were drawn from may be gone.
    local ok, arguments = pcall(drawn, run, op.call, generator.again(op))
    if not ok then return op end
    if observe then observe(op, arguments) end
    return op, arguments
  end)
end

---- The script ------------------------------------------------------------------

--- The script that makes the same calls.
---@param property heapwright.Property
---@param list table[]
---@param failure table
---@return string
function M.script(property, list, failure)
  local lines = { script.comment(failure.what) }
  if not property.source then
    lines[2] = "-- Its argument is the table that property.check was given; in a file of its own, named as"
    lines[3] = "-- `source`, it would be found without."
  end
  lines[#lines + 1] = ('local replay = require("heapwright.property").replay(%s)'):format(
    property.source and script.literal(property.source) or "...")
  M.run(property, list, function(op, arguments)
    local texts = { script.literal(op.call) }
    for i = 1, arguments.n do texts[i + 1] = script.literal(arguments[i]) end
    if op.fails and op.fails ~= 0 then
      lines[#lines + 1] = ("replay:fail(%d) -- of the next command: its request of this number"):format(op.fails)
    end
    lines[#lines + 1] = ("replay(%s)"):format(table.concat(texts, ", "))
  end)
  lines[#lines + 1] = "replay:finish()"
  return table.concat(lines, "\n") .. "\n"
end

return M
