-- SPDX-License-Identifier: MIT
-- Property testing of pools and of what lives in them: lists of operations drawn from
-- a seed, a model beside them, and where both differ the smallest list that shows it,
-- as a Lua script that runs by itself.
--
-- A pool's configuration, beside the model of its rules:
--
--   property.check { capacity = "4K", policy = "first-fit", operations = 300, runs = 100 }
--
-- Your own structure in a pool, beside your own model:
--
--   property.check {
--     capacity = "4K",
--     setup = function(mem) return Queue.new(mem), {} end,        -- the structure, the model
--     commands = {
--       push = {
--         draw = function(g) return g:string(0, 20) end,          -- its arguments
--         run = function(queue, model, text) … end,
--       },
--       pop = {
--         ready = function(model) return #model > 0 end,
--         run = function(queue, model)
--           assert(queue:pop() == table.remove(model, 1))
--         end,
--       },
--     },
--     invariant = function(queue, model, mem) … end,              -- after every command
--     finish = function(queue) … end,                             -- gives all blocks back
--     faults = 0.1,                                               -- of the commands run out of memory
--   }
--
-- A command, an invariant, finish fail where they raise or give false (and why). The
-- pool has to be sound after each, and empty after finish.
--
-- Without `seed` one is drawn from the clock. HEAPWRIGHT_SEED in the environment takes
-- the place of every seed, with one run each: as a failure says.
local commands = require "heapwright.property.commands"
local heapwright = require "heapwright"
local operations = require "heapwright.property.operations"
local pool = require "heapwright.property.pool"
local script = require "heapwright.property.script"
local shrink = require "heapwright.property.shrink"

local M = {}

local OPERATIONS, RUNS = 200, 100

---- Options ----------------------------------------------------------------------

local function is_count(value) return math.type(value) == "integer" and value >= 1, "an integer above 0" end

local function is_integer(value) return math.type(value) == "integer", "an integer" end

local function is_function(value) return type(value) == "function", "a function" end

local function is_commands(value)
  if type(value) ~= "table" or not next(value) then return false, "a table of commands by name" end
  for name, command in pairs(value) do
    if type(name) ~= "string" or type(command) ~= "table" or not is_function(command.run) then
      return false, "a table of commands by name, each with a function `run`"
    end
    for _, key in ipairs { "draw", "ready" } do
      if command[key] ~= nil and not is_function(command[key]) then
        return false, ("a function as `%s` of %s"):format(key, name)
      end
    end
    if command.weight ~= nil and not is_count(command.weight) then
      return false, ("an integer above 0 as `weight` of %s"):format(name)
    end
  end
  return true
end

local function is_fraction(value)
  return type(value) == "number" and value >= 0 and value <= 1, "a number from 0 to 1"
end

local function is_text(value) return type(value) == "string", "a module's name or a file's path" end

local OPTIONS = {
  operations = is_count, runs = is_count, seed = is_integer,
  -- of a pool beside its model
  usual_size = is_count, every = is_count, model = is_function,
  -- of commands
  setup = is_function, commands = is_commands, invariant = is_function, finish = is_function,
  faults = is_fraction, source = is_text,
}
local ONLY_POOL = { "usual_size", "every", "model" }
local ONLY_COMMANDS = { "setup", "invariant", "finish", "faults", "source" }

---@class heapwright.Property: table what check was given, in order
---@field pool table the options of heapwright.new among it

local function refuse(level, text, ...) error(text:format(...), level + 1) end

-- The table of a file or a module.
local function loaded(source, level)
  local ok, options
  if source:find "%.lua$" then
    ok, options = pcall(dofile, source)
  else
    ok, options = pcall(require, source)
  end
  if not ok then refuse(level + 1, "property '%s': %s", source, options) end
  if type(options) ~= "table" then
    refuse(level + 1, "property '%s': a table expected, it gives a %s", source, type(options))
  end
  local copy = { source = source }
  for name, value in pairs(options) do copy[name] = value end
  return copy
end

-- The names of our own options.
local function known()
  local names = {}
  for name in pairs(OPTIONS) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

-- Opens a pool of these options once, since heapwright.new says what is wrong with them.
local function try_pool(property, level)
  local ok, mem, message = pcall(heapwright.new, property.pool)
  if not ok then
    message = tostring(mem):gsub("^[^:]+:%d+: ", "")
    if message:find "unknown option" then message = message .. "; of a property: " .. known() end
    refuse(level + 1, "%s", message)
  end
  if not mem then refuse(level + 1, "no such pool: %s", message) end
  local injects = mem.inject
  mem:close()
  if property.faults and not injects then refuse(level + 1, "option 'faults': pools here have no `inject`") end
end

-- What check and find are given, looked at; raises at the caller of the caller.
local function property_of(options, level)
  if type(options) == "string" then options = loaded(options, level + 1) end
  if type(options) ~= "table" then
    refuse(level + 1, "bad argument #1 (a table, or the name of one, expected, got %s)", type(options))
  end
  local property = { operations = OPERATIONS, runs = RUNS, pool = {} }
  for name, value in pairs(options) do
    local good = OPTIONS[name]
    if good then
      local ok, expected = good(value)
      if not ok then refuse(level + 1, "option '%s': %s expected, got %s", name, expected, tostring(value)) end
      property[name] = value
    else
      property.pool[name] = value
    end
  end
  for _, name in ipairs(property.commands and ONLY_POOL or ONLY_COMMANDS) do
    if property[name] ~= nil then
      refuse(level + 1, "option '%s' is for a property %s commands", name, property.commands and "without" or "with")
    end
  end
  if property.commands and not property.setup then refuse(level + 1, "option 'setup' is missing") end
  if property.pool.order == "random" then property.pool.seed = property.seed end
  try_pool(property, level + 1)
  return property
end

-- The options of a pool in bytes, with what stands for those that were not given.
local function config_of(property)
  local config = {}
  for name, value in pairs(property.pool) do config[name] = value end
  for _, name in ipairs { "capacity", "max_capacity", "granule", "red_zone", "quarantine" } do
    if config[name] then config[name] = heapwright.parse_size(config[name]) end
  end
  config.capacity = config.capacity or 1 << 20
  config.policy = config.policy or "best-fit"
  config.usual_size = property.usual_size or math.max(1, math.min(config.capacity // 20, 4096))
  return config
end

---- Both kinds -------------------------------------------------------------------

-- What is tested: `draw` a list and run it, `run` a list, `script` of one.
local function of_pool(property)
  local config = config_of(property)
  local settings = { options = property.pool, new_model = property.model, every = property.every }
  local always = { options = property.pool, new_model = property.model }
  return {
    draw = function(seed)
      local list = operations.list(seed, config, property.operations)
      local failure = pool.run(config, list, settings)
      return list, failure and (pool.run(config, list, always) or failure)
    end,
    run = function(list) return pool.run(config, list, always) end,
    script = function(list, failure) return script.of_pool(config, list, always, failure) end,
  }
end

local function of_commands(property)
  return {
    draw = function(seed) return commands.draw(property, seed) end,
    run = function(list) return commands.run(property, list) end,
    script = function(list, failure) return commands.script(property, list, failure) end,
  }
end

local REPORT = [[
%s
seed %d (run %d of %d), %s; HEAPWRIGHT_SEED=%d runs it again
%s:

%s]]

-- The counterexample of a list that failed.
local function counterexample(property, subject, list, failure, at)
  local failing = table.move(list, 1, failure.at, 1, {})
  local smallest, title = failing, "the list, which did not fail when it was run again"
  local function fails_alike(shorter)
    local other = subject.run(shorter)
    return other ~= nil and other.kind == failure.kind
  end
  local shown = fails_alike(failing)
  if shown then
    smallest = shrink.smallest(failing, fails_alike)
    shown = subject.run(smallest)
    title = ("the smallest list found that fails so, %d operation%s"):format(#smallest, #smallest == 1 and "" or "s")
  end
  shown = shown or failure
  local text = subject.script(smallest, shown)
  local place = failure.at > #list and ("after %d operations"):format(#list)
    or ("operation %d of %d"):format(failure.at, property.operations)
  return {
    seed = at.seed, run = at.run, runs = property.runs, at = failure.at, operations = smallest, what = shown.what,
    script = text,
    message = REPORT:format(failure.what, at.seed, at.run, at.runs, place, at.seed, title, text),
  }
end

-- The seed of the first run, and how many there are.
local function seed_of(property)
  local given = os.getenv "HEAPWRIGHT_SEED"
  if given then
    return math.tointeger(given) or error(("HEAPWRIGHT_SEED is no integer: %s"):format(given), 0), 1
  end
  local clock = os.time() * 1000003 + math.floor(os.clock() * 1e6)
  return property.seed or clock & 0x7FFFFFFF, property.runs
end

local function find(options, level)
  local property = property_of(options, level + 1)
  local subject = (property.commands and of_commands or of_pool)(property)
  local first, runs = seed_of(property)
  local total = 0
  for run = 1, runs do
    local seed = first + run - 1
    local list, failure = subject.draw(seed)
    if failure then
      return counterexample(property, subject, list, failure, { seed = seed, run = run, runs = runs })
    end
    total = total + #list
  end
  return nil, total
end

---- For users --------------------------------------------------------------------

--- Looks for a counterexample.
---@param options table|string a table of options, or the module or the file (….lua) that gives it
---@return heapwright.Counterexample|nil # nil: there was none
---@return integer|nil total operations that were run, where there was none
function M.find(options)
  local found, total = find(options, 2)
  return found, total
end

--- The same as a test: raises with the counterexample's message where there is one.
---@param options table|string
---@return integer total operations that were run
function M.check(options)
  local found, total = find(options, 2)
  if found then error(found.message, 0) end
  return total
end

---@class heapwright.Replay
---@field package run heapwright.CommandRun
---@field package fails integer|nil
local Replay = {}
Replay.__index = Replay

--- Calls a command; prints it, raises where it fails.
function Replay:__call(name, ...)
  if not self.run.commands[name] then error(("no command '%s'"):format(tostring(name)), 2) end
  local texts, arguments = {}, table.pack(...)
  for i = 1, arguments.n do texts[i] = script.literal(arguments[i]) end
  print(("%s(%s)"):format(name, table.concat(texts, ", ")))
  local fault = self.run:call(name, self.fails, arguments)
  self.fails = nil
  if fault then error(fault, 2) end
end

--- In the next command this request of memory fails: 1 the first, 2 the second …
---@param number integer
function Replay:fail(number) self.fails = number end

--- The end: what `finish` says.
function Replay:finish()
  local fault = self.run:finish()
  self.run:close()
  if fault then error(fault, 2) end
end

--- The structure, its model and its pool, as set up; called with a command's name and arguments it calls it.
--- What a counterexample's script is made of.
---@param options table|string as of check
---@return heapwright.Replay
function M.replay(options)
  local property = property_of(options, 2)
  if not property.commands then error("replay is for properties with commands", 2) end
  local run = commands.open(property)
  local fault = run:holds "setup"
  if fault then error(fault, 2) end
  return setmetatable({ run = run }, Replay)
end

return M
