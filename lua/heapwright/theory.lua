-- SPDX-License-Identifier: MIT
-- What theory says of placement policies, as experiments: `heapwright verify`.
--
-- A statement is a file under theory/ that returns a table (theory.Statement), and a line
-- in the list below. Its work is cut into jobs, plain tables that a Lua state on another
-- thread can be given; each returns a plain table; the statement judges them together.
-- Work is counted, not timed, and each job draws from a seed of its own: what is seen
-- does not depend on the machine (but for T8's programs), nor on the number of threads.
local experiment = require "heapwright.theory.experiment"
local states = require "heapwright.states"

local M = {}

---@class theory.Job: table
---@field id string its statement's

---@class theory.Settings
---@field seed integer
---@field quick boolean|nil less of it
---@field traces string[]|nil for T8: files

---@class theory.Statement
---@field id string
---@field title string
---@field statement string
---@field source string
---@field tolerance string and why
---@field jobs fun(choices: heapwright.Choice[], settings: theory.Settings): theory.Job[]
---@field run fun(job: theory.Job, open: theory.Open): table
---@field judge fun(jobs: theory.Job[], results: table[]): theory.Row[], string|nil rows; or why there are none

local FILES <const> = {
  "robson", "pins", "fifty_percent", "buddy_rounding", "good_fit_rounding", "worst_cases", "variation",
  "real_programs", "reversals", "optimum",
}

M.statements = {} ---@type theory.Statement[] in order, and by id
for i, file in ipairs(FILES) do
  local statement = require("heapwright.theory." .. file)
  M.statements[i], M.statements[statement.id] = statement, statement
end

--- Does one job, here.
---@param job theory.Job
---@param open theory.Open|nil how pools are opened; as experiment.open does unless given
---@return table
function M.work(job, open)
  return M.statements[job.id].run(job, open or experiment.open)
end

-- ---- On several threads ---------------------------------------------------------------

local WORK <const> = [[require "heapwright"; return require("heapwright.theory").work(...)]]
local SOURCE <const> = { WORK, libs = { "io", "os", "debug", "package" }, limit = "1G", cancellable = false }
local LOOK_EVERY <const> = 0.01 -- seconds

-- A policy in Lua is of this state alone.
local function is_scripted(job)
  if job.policy then return job.policy.scripted end
  for _, choice in ipairs(job.choices or {}) do
    if choice.scripted then return true end
  end
  return false
end

-- Starts a thread; where none is to be had, or would know the policy, the job is done here, when it is asked for.
local function start(job)
  local thread = not is_scripted(job) and states.spawn(nil, SOURCE, job)
  if thread then return thread end
  return { status = function() return "finished" end, join = function() return M.work(job) end }
end

local function take(thread, job)
  local result, message = thread:join()
  if result == nil then error(("%s: %s"):format(job.id, message), 0) end
  return result
end

--- Does jobs on so many threads at once.
---@param jobs theory.Job[]
---@param threads integer
---@param progress fun(done: integer, total: integer)|nil
---@return table[] results in the order of the jobs
function M.work_all(jobs, threads, progress)
  local results, running, next_job, done = {}, {}, 1, 0
  while done < #jobs do
    while #running < threads and jobs[next_job] do
      running[#running + 1] = { number = next_job, thread = start(jobs[next_job]) }
      next_job = next_job + 1
    end
    local ended
    for i = #running, 1, -1 do
      local one = running[i]
      if one.thread:status() ~= "running" then
        results[one.number] = take(one.thread, jobs[one.number])
        table.remove(running, i)
        ended, done = true, done + 1
      end
    end
    if progress then progress(done, #jobs) end
    if not ended then running[1].thread:join(LOOK_EVERY) end
  end
  return results
end

-- ---- Verdicts ---------------------------------------------------------------------------

---@class theory.Finding
---@field statement theory.Statement
---@field rows theory.Row[]
---@field verdict "holds"|"fails"|"not run"
---@field reason string|nil why it was not run

-- Holds where a row that asks for a verdict does, and none fails.
local function verdict_of(rows)
  local verdict = "not run"
  for _, row in ipairs(rows) do
    if row.verdict == "fails" then return "fails" end
    if row.verdict == "holds" and not row.control then verdict = "holds" end
  end
  return verdict
end

--- Puts statements to the test.
---@param statements theory.Statement[]
---@param choices heapwright.Choice[]
---@param settings theory.Settings
---@param work fun(jobs: theory.Job[]): table[] does them
---@return theory.Finding[] in the order of the statements
function M.verify(statements, choices, settings, work)
  local jobs, first = {}, {}
  for i, statement in ipairs(statements) do
    first[i] = #jobs + 1
    for _, job in ipairs(statement.jobs(choices, settings)) do jobs[#jobs + 1] = job end
  end
  local results, findings = work(jobs), {}
  for i, statement in ipairs(statements) do
    local from, to = first[i], (first[i + 1] or #jobs + 1) - 1
    local rows, reason = statement.judge(table.move(jobs, from, to, 1, {}), table.move(results, from, to, 1, {}))
    local verdict = verdict_of(rows)
    if verdict == "not run" and not reason then reason = "it speaks of none of the policies asked for" end
    findings[i] = { statement = statement, rows = rows, verdict = verdict, reason = reason }
  end
  return findings
end

return M
