-- SPDX-License-Identifier: MIT
-- Scenarios: a script that allocates, and what it expects of the outcome.
--
--   return heapwright.scenario {
--     name = "checkerboard", capacity = "1M",
--     run = function(mem, s) … end,           -- mem: a pool; s: see workload.lua
--     expect = function(r) return r.failures == 0 end,
--   }
--
-- With `threads = N`, `run` is called on N threads at once, each in a Lua state of
-- its own, on the one pool: see threads.lua. `s.thread` is 1 … N. The expectations
-- are asked at the end, of the whole pool's figures. In which order the threads
-- come to the pool is chance, and so are placements then.
--
-- The result `r` has the fields of `mem:stats()` at the end of the run, and
-- name, policy, seed, steps_mean, phases and samples. An expectation holds
-- unless it raises or its first result is false or nil (one that returns
-- nothing holds, so that asserts alone will do); a second result says why.
local policies = require "heapwright.policies"
local pool = require "heapwright.pool"
local threads = require "heapwright.threads"
local workload = require "heapwright.workload"

local M = {}

---@class heapwright.Scenario
---@field name string
---@field capacity integer bytes
---@field granule integer|nil of its pools, bytes; nil: 16
---@field guard string|nil of its pools; nil: as heapwright.new has it
---@field policies heapwright.Choice[]|nil nil: every policy
---@field run fun(mem: table, s: heapwright.Workload)
---@field threads integer|nil on so many at once; nil: run is simply called
---@field origin {file: string, text: string, index: integer}|nil the file it stands in, and which of its scenarios
---@field expect nil|function|table<string, function>
local Scenario = {}
Scenario.__index = Scenario
Scenario.__name = "heapwright.Scenario"

-- A field's check returns the value to keep, or nil and what was expected.
local function of_type(expected)
  return function(value)
    if type(value) == expected then return value end
    return nil, expected
  end
end

local FIELDS = {
  name = of_type "string",
  run = of_type "function",
  capacity = function(value)
    local ok, size = pcall(pool.parse_size, value)
    if ok then return size end
    return nil, 'a size such as 65536 or "64K"'
  end,
  granule = function(value)
    if math.type(value) == "integer" and value >= 8 and value <= 4096 and value & (value - 1) == 0 then return value end
    return nil, "a power of two from 8 to 4096"
  end,
  guard = function(value)
    if value == "off" or value == "check" or value == "full" then return value end
    return nil, '"off", "check" or "full"'
  end,
  policy = function(value)
    local list = type(value) == "string" and { value } or value
    if type(list) ~= "table" or #list == 0 then return nil, "a policy or a list of policies" end
    local choices = {}
    for i, text in ipairs(list) do
      if type(text) ~= "string" then return nil, "a policy or a list of policies" end
      local message
      choices[i], message = policies.parse(text)
      if not choices[i] then return nil, nil, message end
    end
    return choices
  end,
  threads = function(value)
    if math.type(value) == "integer" and value >= 1 and value <= threads.MOST then return value end
    return nil, ("an integer from 1 to %d"):format(threads.MOST)
  end,
  expect = function(value)
    if type(value) == "function" then return value end
    if type(value) ~= "table" then return nil, "a function or a table of functions by name" end
    for name, condition in pairs(value) do
      if type(name) ~= "string" or type(condition) ~= "function" then
        return nil, "a function or a table of functions by name"
      end
    end
    return value
  end,
}
local REQUIRED = { "name", "run" }

--- Describes a scenario. Raises where a field is missing, unknown or of the wrong kind.
---@param fields table name, run; capacity, granule, guard, policy (one or a list) and expect where wanted
---@param place string|nil "file:line: " of the caller, where that is known better than by the stack
---@return heapwright.Scenario
function M.define(fields, place)
  local function refuse(text, ...)
    text = select("#", ...) > 0 and text:format(...) or text
    if place then error(place .. text, 0) end
    error(text, 3)
  end
  if type(fields) ~= "table" then
    refuse("bad argument #1 to 'scenario' (table expected, got %s)", type(fields))
  end
  local kept = {}
  for name, value in pairs(fields) do
    local check = FIELDS[name]
    if not check then refuse("unknown scenario field '%s'", tostring(name)) end
    local expected, message
    kept[name], expected, message = check(value)
    if kept[name] == nil then
      message = message or ("%s expected, got %s"):format(expected, tostring(value))
      refuse("scenario field '%s': %s", name, message)
    end
  end
  for _, name in ipairs(REQUIRED) do
    if kept[name] == nil then refuse("scenario field '%s' is missing", name) end
  end
  local self = {
    name = kept.name,
    capacity = kept.capacity or pool.parse_size "1M",
    granule = kept.granule,
    guard = kept.guard,
    policies = kept.policy,
    run = kept.run,
    threads = kept.threads,
    expect = kept.expect,
  }
  return setmetatable(self, Scenario)
end

--- Is this what heapwright.scenario returns?
---@param value any
---@return boolean
function M.is_scenario(value)
  return getmetatable(value) == Scenario
end

-- ---- Expectations ---------------------------------------------------------------

local function show(value)
  if math.type(value) == "float" then return ("%.4g"):format(value) end
  if type(value) == "string" then return ("%q"):format(value) end
  return tostring(value)
end

-- A read-only view of the result that notes which fields were read, so that a
-- failed expectation can say what it saw.
local function watch(result, path, seen, known)
  local function note(key, value)
    local label = path
    if type(key) == "string" and key:match "^[%a_][%w_]*$" then
      label = label .. (path == "" and "" or ".") .. key
    else
      label = label .. "[" .. show(key) .. "]"
    end
    if type(value) == "table" then return watch(value, label, seen, known) end
    if not known[label] then
      known[label] = true
      seen[#seen + 1] = label .. " = " .. show(value)
    end
    return value
  end
  return setmetatable({}, {
    __index = function(_, key) return note(key, result[key]) end,
    __newindex = function() error("a scenario's result is read-only", 2) end,
    __len = function() return #result end,
    __pairs = function()
      return function(_, key)
        local following, value = next(result, key)
        if following ~= nil then return following, note(following, value) end
      end
    end,
  })
end

local LINES_SHOWN = 4

-- Where an expectation stands, and its source: the line, or the lines of its body.
local function source_of(condition)
  local info = debug.getinfo(condition, "S")
  local first, last = info.linedefined, info.lastlinedefined
  local place = ("%s:%d"):format(info.short_src, first)
  if last > first then
    first, last = first + 1, last - 1
  end
  local file = info.source:sub(1, 1) == "@" and io.open(info.source:sub(2))
  if not file then return place end
  local lines, number = {}, 0
  for line in file:lines() do
    number = number + 1
    if number > last or #lines == LINES_SHOWN then break end
    if number >= first then lines[#lines + 1] = line:match "^%s*(.-),?%s*$" end
  end
  file:close()
  return place, #lines > 0 and lines or nil
end

local function ask(name, condition, result)
  local seen = {}
  local answer = table.pack(pcall(condition, watch(result, "", seen, {})))
  local holds = answer[1] and (answer.n == 1 or answer[2])
  if holds then return nil end
  local place, lines = source_of(condition)
  local message = answer[answer[1] and 3 or 2]
  return {
    name = name,
    place = place,
    source = lines,
    message = message ~= nil and tostring(message) or nil,
    seen = seen,
  }
end

---@class heapwright.Failure an expectation that did not hold
---@field name string|nil
---@field place string file and line
---@field source string[]|nil its source lines, the first few
---@field message string|nil what the expectation said
---@field seen string[] the fields it read, with their values

local function check_expectations(expect, result)
  local failures = {}
  local named = type(expect) == "table" and expect or {}
  local names = {}
  for name in pairs(named) do
    names[#names + 1] = name
  end
  table.sort(names)
  if type(expect) == "function" then failures[1] = ask(nil, expect, result) end
  for _, name in ipairs(names) do
    failures[#failures + 1] = ask(name, named[name], result)
  end
  return failures
end

-- ---- Running --------------------------------------------------------------------

---@class heapwright.Result: table the fields of `mem:stats()`, and
---@field name string
---@field policy string as it was asked for
---@field seed integer
---@field steps_mean number
---@field phases table<integer|string, heapwright.Phase>
---@field samples heapwright.Sample[]

---@class heapwright.Outcome
---@field result heapwright.Result
---@field failures heapwright.Failure[]
---@field raised string|nil the traceback, where `run` raised
---@field phase string|nil the phase in which it raised
---@field thread integer|nil the thread that raised first, where there are several
---@field broken string|nil what mem:check found wrong after the run
---@field planned heapwright.Planned|nil where requests were to fail

---@class heapwright.Planned what came of a plan by which requests were to fail
---@field requests integer that the plan counted
---@field injected integer of those, refused
---@field place string|nil script:line of the first refused
---@field left table<integer, integer> how many blocks of each size are live at the end
---@field leaked heapwright.Leak[]|nil live at the end, and not explained by the run without failures

--- A message handler: adds the traceback, without the frames below the scenario's own, which are ours, and
--- without that of a cancellable state's xpcall above them.
---@param message any
---@return string
function M.traceback(message)
  if type(message) ~= "string" then message = ("(error object: %s)"):format(tostring(message)) end
  local trace = debug.traceback(message, 2):gsub("\n\t%[C%]: in function 'xpcall'.*", "")
  return (trace:gsub("\nstack traceback:\n\t%[C%]: in %?\n", "\nstack traceback:\n", 1))
end

local function result_of(scenario, mem, s, choice, seed)
  local result = mem:stats()
  local operations = result.allocations + result.frees + result.reallocations + result.failures
  result.name, result.policy, result.seed = scenario.name, choice.label, seed
  if operations > 0 then result.steps_mean = result.steps / operations end
  result.phases, result.samples = s.phases, s.samples
  return result
end

---@class heapwright.Observer looks at a run, and must not change what it does
---@field begin fun(self, mem: table, choice: heapwright.Choice, threads: integer|nil)
---@field phase_begins fun(self, name: string) not of scenarios on threads
---@field phase_ends fun(self, name: string) not of scenarios on threads
---@field stop fun(self) the body has ended
---@field finish fun(self, outcome: heapwright.Outcome) the pool is still open

-- The body, on this thread: what it kept, and how it ended.
local function run_here(scenario, mem, seed, observer)
  local s = workload.new(mem, seed, nil, nil, observer)
  local ok, raised = xpcall(scenario.run, M.traceback, mem, s)
  if observer then observer:stop() end
  local phase = workload.finish(s)
  local done = { phases = s.phases, samples = s.samples }
  if not ok then done.raised, done.phase = raised, phase end
  return done
end

-- ---- Failures by plan --------------------------------------------------------------

-- How many live blocks there are of each size; and those of which there are more than in `without`.
local function count_left(leaks, without)
  local left, more = {}, {}
  for _, leak in ipairs(leaks) do
    local size = leak.size
    left[size] = (left[size] or 0) + 1
    if without and left[size] > (without[size] or 0) then more[#more + 1] = leak end
  end
  return left, more
end

-- What came of the plan. What is live at the end has to be explained by the run without failures, where
-- there was one: no more blocks, and no more bytes, than that left.
local function end_plan(mem, result, without)
  local _, requests, injected, place = mem:inject()
  local left, more = count_left(mem:leaks(), without and without.planned.left)
  local explained = not without
    or (result.live_blocks <= without.result.live_blocks and result.in_use <= without.result.in_use)
  return {
    requests = requests, injected = injected, place = place, left = left,
    leaked = not explained and more or nil,
  }
end

local function takes_classes(name)
  for _, info in ipairs(pool.policies()) do
    if info.name == name then return info.takes_classes end
  end
end

--- Runs a scenario under one policy. What is expected is not asked of a run in which requests failed by plan.
---@param scenario heapwright.Scenario
---@param choice heapwright.Choice
---@param options {seed: integer, capacity: integer|nil, granule: integer|nil, classes: integer[]|nil,
---  growing: integer|nil, record: string|nil, inject: heapwright.Injection|nil, without: heapwright.Outcome|nil,
---  leaks: boolean|nil, observer: heapwright.Observer|nil}
---@return heapwright.Outcome|nil # nil where there is no such pool, trace or thread
---@return string|nil message
---@return string|nil code
function M.run(scenario, choice, options)
  if scenario.threads and choice.scripted then
    return nil, "a function of one Lua state places, and each of the scenario's threads has its own", "invalid_argument"
  end
  local mem, message, code = pool.new {
    capacity = options.capacity or scenario.capacity,
    max_capacity = options.growing,
    policy = choice.policy,
    order = choice.order,
    seed = choice.order == "random" and options.seed or nil,
    granule = options.granule or scenario.granule,
    classes = takes_classes(choice.policy) and options.classes or nil,
    -- For the lines that allocated; blocks lie where they would without.
    guard = options.leaks and "full" or scenario.guard,
    red_zone = options.leaks and 0 or nil,
    quarantine = options.leaks and 0 or nil,
  }
  if not mem then return nil, message, code end
  if options.record then
    local ok
    ok, message, code = mem:record(options.record)
    if not ok then return nil, message, code end
  end
  if options.inject then mem:inject(options.inject) end
  local observer = options.observer
  if observer then observer:begin(mem, choice, scenario.threads) end
  local done
  done, message, code = (scenario.threads and threads.run or run_here)(scenario, mem, options.seed, observer)
  if not done then return nil, message, code end
  if tostring(mem):find("closed", 1, true) then return nil, "its run closed the pool", "invalid_argument" end
  local outcome = { result = result_of(scenario, mem, done, choice, options.seed), failures = {} }
  outcome.raised, outcome.phase, outcome.thread = done.raised, done.phase, done.thread
  local sound, wrong = mem:check()
  if not sound then outcome.broken = wrong end
  if options.inject then outcome.planned = end_plan(mem, outcome.result, options.without) end
  local as_planned = not options.inject or outcome.planned.injected == 0
  if not outcome.raised and scenario.expect and not options.record and as_planned then
    outcome.failures = check_expectations(scenario.expect, outcome.result)
  end
  if options.leaks and mem:stats().live_blocks > 0 then outcome.leaks = mem:leaks() end
  if observer then observer:finish(outcome) end
  mem:close()
  return outcome
end

return M
