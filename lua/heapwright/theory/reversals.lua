-- SPDX-License-Identifier: MIT
-- T9: «the smallest pool that fits» is not where failures end.
--
-- A *reversal* is a trace that runs in a pool and fails in a larger one. First fit has
-- none: with more room at the end of the pool it never places anything elsewhere but
-- what had no place before. Next fit turns round later in a larger pool, worst fit cuts
-- the end of the pool earlier: what they leave free is another shape then.
--
-- Measured: short traces by chance, each run in every capacity from its peak of live
-- units to twice that. Verdict: next and worst fit have a reversal in one trace at least;
-- policies that say of themselves that they are monotone have none, which is the control.
-- No tolerance: the same traces for every policy, whatever the machine.
local experiment = require "heapwright.theory.experiment"
local pool = require "heapwright.pool"
local random = require "heapwright.random"

local M = {}

M.id = "T9"
M.title = "Reversals"
M.statement = "Under next fit and worst fit a trace may run in a pool and fail in a larger one; under a monotone "
  .. "policy it never does. So a bisection for the smallest pool is sound for the latter alone."
M.source = "seen by simulation; for paging: L. A. Belady, R. A. Nelson and G. S. Shedler, An anomaly in space-time "
  .. "characteristics of certain programs running in a paging machine, Communications of the ACM 12 (1969)"
M.tolerance = "none, failures are counted"

local UNIT <const> = experiment.UNIT
local QUICK_TRACES <const>, TRACES <const>, EVENTS <const>, LARGEST <const> = 200, 2000, 60, 8
local HAS_THEM <const> = { ["next-fit"] = true, ["worst-fit"] = true }

function M.jobs(choices, settings)
  local jobs = {}
  for i, choice in ipairs(choices) do
    jobs[i] = { id = M.id, policy = choice, seed = settings.seed, traces = settings.quick and QUICK_TRACES or TRACES }
  end
  return jobs
end

--- A trace: positive numbers are requests, negative ones free the request of that number.
---@param seed integer
---@return integer[] events
---@return integer peak of live units
function M.trace(seed)
  local generator, events, live, sizes = random.new(seed), {}, {}, {}
  local units, peak = 0, 0
  for _ = 1, EVENTS do
    if #live > 0 and generator:below(100) < 45 then
      local i = table.remove(live, generator:below(#live) + 1)
      units = units - sizes[i]
      events[#events + 1] = -i
    else
      local size = 1 + generator:below(LARGEST)
      sizes[#sizes + 1] = size
      live[#live + 1] = #sizes
      units = units + size
      peak = math.max(peak, units)
      events[#events + 1] = size
    end
  end
  return events, peak
end

--- Does a trace run without a failure?
---@param mem heapwright.Pool that is empty
---@param events integer[]
---@return boolean
function M.fits(mem, events)
  local addresses = {}
  for _, event in ipairs(events) do
    if event > 0 then
      local address = mem:alloc(event * UNIT)
      if not address then return false end
      addresses[#addresses + 1] = address
    else
      mem:free(addresses[-event])
    end
  end
  return true
end

--- A function that gives an empty pool of so many units: each is opened once, and reset.
function M.pools(job, open)
  local opened = {}
  return function(units)
    local mem = opened[units]
    if mem then
      assert(mem:check())
      mem:reset()
    else
      mem = open(job.policy, units, job.seed)
      opened[units] = mem
    end
    return mem
  end
end

function M.run(job, open)
  local result, pool_of = { reversals = 0 }, M.pools(job, open)
  for number = 1, job.traces do
    local events, peak = M.trace(job.seed * 1000003 + number)
    local fitted
    for units = peak, 2 * peak do
      if M.fits(pool_of(units), events) then
        fitted = units
      elseif fitted then
        result.reversals = result.reversals + 1
        result.first = result.first or { number, fitted, units }
        break
      end
    end
  end
  return result
end

local function monotone_policies()
  local set = {}
  for _, policy in ipairs(pool.policies()) do set[policy.name] = policy.monotone or nil end
  return set
end

function M.judge(jobs, results)
  local rows, monotone = {}, monotone_policies()
  for i, job in ipairs(jobs) do
    local count, first = results[i].reversals, results[i].first
    local row = {
      policy = job.policy.label, what = ("traces of %d that fail above a pool that they fit in"):format(job.traces),
      bound = "", seen = ("%d"):format(count), verdict = "shown",
    }
    if first then row.seen = ("%d; fits %d, not %d"):format(count, first[2], first[3]) end
    if experiment.is_one_of(job.policy, HAS_THEM) then
      row.bound, row.verdict = "> 0", experiment.verdict(count > 0)
    elseif experiment.is_one_of(job.policy, monotone) then
      row.bound, row.control, row.verdict = "= 0", true, experiment.verdict(count == 0)
    end
    rows[#rows + 1] = row
  end
  return rows
end

return M
