-- SPDX-License-Identifier: MIT
-- What compare and fit measure: traces, and scenarios of which one run is recorded.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local options = require "heapwright.cli.options"
local policies = require "heapwright.policies"
local replay = require "heapwright.replay"
local scenario = require "heapwright.scenario"
local scripts = require "heapwright.cli.scripts"
local streams = require "heapwright.cli.streams"
local text = require "heapwright.text"
local what_if = require "heapwright.cli.what_if"

local M = {}

-- Scenarios are recorded in a pool that grows to this size where theirs is too
-- small, so that no request is missing from the trace.
local GROWING = 1 << 30

---@class cli.Source
---@field name string
---@field program table|nil what heapwright.replay loaded; nil: it is streamed
---@field path string|nil of a trace that is streamed
---@field known table|nil of a streamed one, once it was measured: as program:source() tells it
---@field threads integer|nil of a scenario: on so many at once it was recorded
---@field what cli.WhatIf what was asked of it

local function is_script(path)
  return path:match "%.lua$" ~= nil
end

-- Is there one that may register policies of its own?
local function has_script(paths)
  for _, path in ipairs(paths) do
    if is_script(path) then return true end
  end
  return false
end

local function load_trace(path, name, what, times)
  local program = fault.check(replay.load(path, name, what.program, times))
  return { name = program:source().name, program = program, what = what }
end

-- Where a trace is read from: "-" is standard input.
local function place(path)
  return path == "-" and "/dev/stdin" or path
end

-- A trace that the command line names, loaded or to be streamed.
local function open_trace(given, path, what)
  local name = path == "-" and "standard input" or path
  if streams.wants(given, place(path), what) then return { name = name, path = place(path), what = what } end
  return load_trace(place(path), name, what, given.times)
end

-- One run of a scenario as a trace.
local function record_scenario(one, seed, path)
  local outcome, message = scenario.run(one, policies.all()[1], {
    seed = seed,
    growing = math.max(one.capacity, GROWING),
    record = path,
  })
  if not outcome then fault.raise("%s: %s", one.name, message) end
  if outcome.raised then
    local thread = outcome.thread and (" in thread %d"):format(outcome.thread) or ""
    fault.broken(("%s: raised%s while it was recorded\n%s"):format(one.name, thread, outcome.raised))
  end
  if outcome.result.allocations == 0 then fault.raise("%s: allocates nothing", one.name) end
end

--- Records a run of a scenario, and loads that.
---@param one heapwright.Scenario
---@param seed integer
---@param path string a temporary file, which is removed
---@return cli.Source
function M.record(one, seed, path)
  record_scenario(one, seed, path)
  local source = load_trace(path, one.name, what_if.read {})
  source.threads = one.threads
  os.remove(path)
  return source
end

--- Calls `visit` with each trace that the command line names; the command ends where one can't be read.
---@param given table with `source`, paths, and `seed`
---@param visit fun(path: string, scenario: heapwright.Scenario|nil)
function M.each(given, visit)
  local seed, files = options.seed(given), {}
  if not has_script(given.source) then options.policies(given) end -- what is wrong is told before traces are read
  for _, path in ipairs(given.source) do
    if is_script(path) then files[path] = scripts.load(path) else options.readable(place(path)) end
  end
  for _, path in ipairs(given.source) do
    if is_script(path) then
      local scenarios, raised = scripts.open(files[path])
      if not scenarios then fault.broken(raised) end
      if #scenarios == 0 then fault.raise("%s: returns no scenario", path) end
      for _, one in ipairs(scenarios) do
        local trace = fault.check(host.temporary ".hwt")
        record_scenario(one, seed, trace)
        visit(trace, one)
        os.remove(trace)
      end
    else
      visit(path)
    end
  end
end

--- Loads what the command line names.
---@param given table as of M.each, and the options of a what-if where there are any; `streams`, `stream`,
---  `in_memory`: see cli/streams.lua; `times`: keep the events' times
---@return cli.Source[]
function M.load(given)
  local list, what = {}, what_if.read(given)
  M.each(given, function(path, one)
    local source = one and load_trace(path, one.name, what, given.times) or open_trace(given, path, what)
    source.threads = one and one.threads
    list[#list + 1] = source
  end)
  return list
end

--- The source's line above a table: what it is, how large, what is wrong with it.
---@param source cli.Source
---@return string[] # lines
function M.headline(source)
  local known = source.known or source.program:source()
  local words = (": %s, %s, peak in use %s; no policy can fit it in less than %s."):format(
    text.counted(known.events, "event"), text.counted(known.allocations, "allocation"),
    text.size(known.peak_in_use), text.size(known.lower_bound))
  local lines = { source.name .. words }
  if source.what.json then lines[#lines + 1] = ("What if: %s."):format(table.concat(source.what.words, ", ")) end
  if source.what.note then lines[#lines + 1] = "Note: " .. source.what.note end
  if known.warning and known.warning ~= "" then lines[#lines + 1] = "Note: " .. known.warning end
  if source.threads then
    lines[#lines + 1] = ("Note: recorded on %s, whose order is another in each run."):format(
      text.counted(source.threads, "thread"))
  end
  for i, line in ipairs(lines) do
    lines[i] = text.wrap(line, 80)
  end
  return lines
end

--- The source as JSON tells it.
---@param source cli.Source
---@return table
function M.describe(source)
  local known = source.known or source.program:source()
  known.name = source.name
  known.what_if = source.what.json
  return known
end

--- The command ends where one of the policies is a function of Lua.
---@param choices heapwright.Choice[]
---@param how string what only others can do
function M.refuse_scripted(choices, how)
  for _, choice in ipairs(choices) do
    if choice.scripted then fault.raise("%s: %s is a function in Lua, of one thread", how, choice.label) end
  end
end

--- Measures a source; the results carry the policies' names as they were asked for.
---@param source cli.Source
---@param choices heapwright.Choice[]
---@param what {capacity: integer|nil, seed: integer, smallest: boolean, time: boolean, progress: function,
--- threads: integer|nil, exhaustive: boolean|nil, reversals: boolean|nil}
---@return table[]
function M.measure(source, choices, what)
  what_if.check(source.what, choices)
  local asked = {}
  for i, choice in ipairs(choices) do
    asked[i] = { policy = choice.policy, order = choice.order, seed = what.seed }
  end
  if source.path then M.refuse_scripted(choices, "--stream") end
  local results = source.path and streams.measure(source, asked, what) or fault.check(source.program:measure {
    policies = asked,
    capacity = what.capacity,
    granule = source.what.granule,
    classes = source.what.classes,
    smallest = what.smallest,
    time = what.time,
    threads = what.threads,
    exhaustive = what.exhaustive,
    reversals = what.reversals,
    progress = what.progress,
  })
  what.progress()
  for i, result in ipairs(results) do
    result.policy = choices[i].label
  end
  return results
end

return M
