-- SPDX-License-Identifier: MIT
-- A scenario's body on several threads at once, all on the scenario's one pool.
--
-- Each thread has a Lua state of its own, in which the scenario's file is run anew:
-- so what a file has outside of `run` is each thread's own, and threads meet in the
-- pool alone. Each begins as soon as its state has loaded the file, with its own
-- stream of random numbers. Where one raises, the others are cancelled.
local random = require "heapwright.random"
local states = require "heapwright.states"
local workload = require "heapwright.workload"

local M = {}

M.MOST = 128

-- A thread's state has what the scenario's own has, and room for what a body may hold.
local LIBRARIES <const> = { "io", "os", "debug", "package" }
local LIMIT <const> = "1G"
local LOOK_EVERY <const> = 0.01 -- seconds

-- ---- In a thread ------------------------------------------------------------------

-- The scenario, from its file's text.
local function reopen(order, traceback)
  local scenario = require "heapwright.scenario" -- which requires this file
  package.path, package.cpath = order.path, order.cpath
  arg = { [0] = order.file } -- luacheck: globals arg
  heapwright = require "heapwright" -- luacheck: globals heapwright
  local chunk <const> = assert(load(order.text, "@" .. order.file, "t"))
  local ok, value = xpcall(chunk, traceback, order.file)
  if not ok then return nil, value end
  local one = scenario.is_scenario(value) and value or type(value) == "table" and value[order.index]
  if scenario.is_scenario(one) then return one end
  return nil, order.file .. ": does not return in a thread the scenario that it returned before"
end

--- What a thread does; called in its own state.
---@param mem table a handle of the scenario's pool
---@param order table what M.run wants
---@return table # what its workload kept, and how it ended
function M.work(mem, order)
  local traceback = require("heapwright.scenario").traceback
  local s = workload.new(mem, order.seed, order.thread, order.threads)
  local one, raised = reopen(order, traceback)
  local ok = one ~= nil
  if ok then ok, raised = xpcall(one.run, traceback, mem, s) end
  local phase = workload.finish(s)
  local report = { phases = table.move(s.phases, 1, #s.phases, 1, {}), samples = s.samples }
  if not ok then report.raised, report.phase = raised, phase end
  return report
end

-- ---- In the scenario's own state ----------------------------------------------------

local WORK <const> = [[require "heapwright"; return require("heapwright.threads").work(...)]]

-- A seed for each thread, from the seed's own stream: so none is another's moved on.
local function seeds_of(seed, threads)
  local generator, seeds = random.new(seed), {}
  for i = 1, threads do
    seeds[i] = generator:bits()
  end
  return seeds
end

-- The phases and samples of all threads, the first one's first; a phase's name says whose it is.
local function gather(reports)
  local phases, samples = {}, {}
  for i, report in ipairs(reports) do
    for _, phase in ipairs(report.phases) do
      phase.name, phase.thread = ("thread %d: %s"):format(i, phase.name), i
      phases[#phases + 1], phases[phase.name] = phase, phase
    end
    for _, sample in ipairs(report.samples) do
      sample.thread = i
      samples[#samples + 1] = sample
    end
  end
  return { phases = phases, samples = samples }
end

-- The threads, running; or nil, message and code where one could not be had.
local function start(scenario, mem, seed)
  local origin, threads = scenario.origin, {}
  local source = { WORK, libs = LIBRARIES, limit = LIMIT, finalizers = true }
  for i, own_seed in ipairs(seeds_of(seed, scenario.threads)) do
    local thread, message, code = states.spawn(mem, source, {
      file = origin.file, text = origin.text, index = origin.index, path = package.path, cpath = package.cpath,
      seed = own_seed, thread = i, threads = scenario.threads,
    })
    if not thread then
      for _, started in ipairs(threads) do
        started:cancel()
      end
      for _, started in ipairs(threads) do
        started:join()
      end
      return nil, ("thread %d of %d: %s"):format(i, scenario.threads, message), code
    end
    threads[i] = thread
  end
  return threads
end

-- Waits for all of them; cancels the others once one has raised. Their reports, and which one that was.
local function finish(threads)
  local reports, ended, first = {}, {}, nil
  local function take(i)
    ended[i] = true
    local report, message = threads[i]:join()
    reports[i] = report or { phases = {}, samples = {}, raised = message } -- what a cancelled one kept is gone
    if first or not reports[i].raised then return end
    first = i
    for _, thread in ipairs(threads) do
      thread:cancel()
    end
  end
  local running
  repeat
    running = nil
    for i, thread in ipairs(threads) do
      if not ended[i] then
        if thread:status() == "running" then running = running or thread else take(i) end
      end
    end
    if running then running:join(LOOK_EVERY) end
  until not running
  return reports, first
end

---@class heapwright.ThreadsOutcome
---@field phases table
---@field samples table
---@field raised string|nil the traceback of the thread that raised first
---@field thread integer|nil which one that was
---@field phase string|nil the phase in which it raised

--- Runs the scenario's body on its threads.
---@param scenario heapwright.Scenario
---@param mem table
---@param seed integer
---@return heapwright.ThreadsOutcome|nil # nil where a thread could not be had
---@return string|nil message
---@return string|nil code
function M.run(scenario, mem, seed)
  if not scenario.origin then
    return nil, "threads want a scenario that was read from a file: each reads it anew", "invalid_argument"
  end
  local threads, message, code = start(scenario, mem, seed)
  if not threads then return nil, message, code end
  local reports, first = finish(threads)
  local outcome = gather(reports)
  if first then
    outcome.raised, outcome.phase, outcome.thread = reports[first].raised, reports[first].phase, first
  end
  return outcome
end

return M
