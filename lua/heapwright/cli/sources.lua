-- SPDX-License-Identifier: MIT
-- What compare and fit measure: traces, and scenarios of which one run is recorded.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local options = require "heapwright.cli.options"
local policies = require "heapwright.policies"
local replay = require "heapwright.replay"
local scenario = require "heapwright.scenario"
local scripts = require "heapwright.cli.scripts"
local text = require "heapwright.text"

local M = {}

-- Scenarios are recorded in a pool that grows to this size where theirs is too
-- small, so that no request is missing from the trace.
local GROWING = 1 << 30

---@class cli.Source
---@field name string
---@field program table what heapwright.replay loaded
---@field threads integer|nil of a scenario: on so many at once it was recorded

local function is_script(path)
  return path:match "%.lua$" ~= nil
end

local function load_trace(path, name)
  local program = fault.check(replay.load(path, name))
  return { name = program:source().name, program = program }
end

local function record_scenario(one, seed)
  local path = fault.check(host.temporary ".hwt")
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
  local source = load_trace(path, one.name)
  source.threads = one.threads
  os.remove(path)
  return source
end

--- Loads what the command line names; the command ends where one can't be read.
---@param given table with `source`, paths, and `seed`
---@return cli.Source[]
function M.load(given)
  local seed, files, list = options.seed(given), {}, {}
  for _, path in ipairs(given.source) do
    if is_script(path) then files[path] = scripts.load(path) else options.readable(path) end
  end
  for _, path in ipairs(given.source) do
    if is_script(path) then
      local scenarios, raised = scripts.open(files[path])
      if not scenarios then fault.broken(raised) end
      if #scenarios == 0 then fault.raise("%s: returns no scenario", path) end
      for _, one in ipairs(scenarios) do
        list[#list + 1] = record_scenario(one, seed)
      end
    else
      list[#list + 1] = load_trace(path)
    end
  end
  return list
end

--- The source's line above a table: what it is, how large, what is wrong with it.
---@param source cli.Source
---@return string[] # lines
function M.headline(source)
  local known = source.program:source()
  local words = (": %s, %s, peak in use %s; no policy can fit it in less than %s."):format(
    text.counted(known.events, "event"), text.counted(known.allocations, "allocation"),
    text.size(known.peak_in_use), text.size(known.lower_bound))
  local lines = { source.name .. words }
  if known.warning and known.warning ~= "" then lines[2] = "Note: " .. known.warning end
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
  local known = source.program:source()
  known.name = source.name
  return known
end

--- Measures a source; the results carry the policies' names as they were asked for.
---@param source cli.Source
---@param choices heapwright.Choice[]
---@param what {capacity: integer|nil, seed: integer, smallest: boolean, time: boolean, progress: function,
--- threads: integer|nil, exhaustive: boolean|nil, reversals: boolean|nil}
---@return table[]
function M.measure(source, choices, what)
  local asked = {}
  for i, choice in ipairs(choices) do
    asked[i] = { policy = choice.policy, order = choice.order, seed = what.seed }
  end
  local results = fault.check(source.program:measure {
    policies = asked,
    capacity = what.capacity,
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
