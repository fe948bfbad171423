-- SPDX-License-Identifier: MIT
-- T4: what binary buddies lose by rounding to powers of two.
--
-- Requests uniform on 1 … X. With X = 2^k the mean block is (2/3) 2^k and the mean
-- request half of 2^k: 4/3. With X = (4/3) 2^k it is 3/2, the most. Over X whose
-- logarithm is uniform the mean of the ratio is 1 / ln 2.
--
-- Measured: each size of 1 … 8,192 units once, and what the pool granted for it; so
-- each X has its exact mean, and nothing is drawn. Tolerance 0.001: sizes are whole, so
-- a mean request is (X + 1) / 2 rather than X / 2, and X = (4/3) 2^k is rounded; both
-- change the ratio by less than 2 / X = 0.0005.
-- Control: what the others grant for the same; best fit, first fit, next fit and worst
-- fit exactly what is asked for.
local experiment = require "heapwright.theory.experiment"
local random = require "heapwright.random"

local M = {}

M.id = "T4"
M.title = "Rounding of buddies"
M.statement = "Requests uniform on 1 … X: binary buddies grant 4/3 of them at X = 2^k and 3/2 at X = (4/3)·2^k; "
  .. "the mean over log-uniform X is 1 / ln 2."
M.source = "D. L. Russell, Internal fragmentation in a class of buddy systems, SIAM Journal on Computing 6 (1977); "
  .. "J. L. Peterson and T. A. Norman, Buddy systems, Communications of the ACM 20 (1977)"
M.tolerance = "0.001, sizes are whole: 2 / X"

local UNIT <const> = experiment.UNIT
local TOLERANCE <const> = 0.001
local LEAST <const> = 4096
local ROUNDS_NOTHING <const> = {
  ["best-fit"] = true, ["first-fit"] = true, ["next-fit"] = true, ["worst-fit"] = true, ["good-fit"] = true,
  bump = true,
}
local MEASURED <const> = {
  { "at_power", "granted / requested, X = 2^12", 4 / 3 },
  { "at_worst", "granted / requested, X = (4/3)·2^12", 3 / 2 },
  { "mean", "granted / requested, mean over log-uniform X", 1 / random.log(2) },
}

function M.jobs(choices, settings)
  local jobs = {}
  for i, choice in ipairs(choices) do
    jobs[i] = { id = M.id, policy = choice, seed = settings.seed }
  end
  return jobs
end

function M.run(job, open)
  local result, granted, requested, weighed, weights = {}, 0, 0, 0.0, 0.0
  local mem = open(job.policy, 4 * LEAST, job.seed)
  for size = 1, 2 * LEAST do
    local address = assert(mem:alloc(size * UNIT))
    granted = granted + assert(mem:usable_size(address)) // UNIT
    requested = requested + size
    assert(mem:reset()) -- rather than free: bump takes nothing back
    local ratio = granted / requested
    if size == LEAST then result.at_power = ratio end
    if size == 4 * LEAST // 3 then result.at_worst = ratio end
    if size >= LEAST then
      weighed, weights = weighed + ratio / size, weights + 1 / size
    end
  end
  result.mean = weighed / weights
  experiment.finish(mem)
  return result
end

function M.judge(jobs, results)
  local rows = {}
  for i, job in ipairs(jobs) do
    local choice, nothing = job.policy, ROUNDS_NOTHING[job.policy.policy]
    for m, measured in ipairs(MEASURED) do
      local seen, expected = results[i][measured[1]], measured[3]
      if choice.policy == "buddy" then
        rows[#rows + 1] = {
          policy = choice.label, what = measured[2], bound = ("= %.4f"):format(expected),
          seen = ("%.4f"):format(seen), verdict = experiment.verdict(math.abs(seen - expected) <= TOLERANCE),
        }
      elseif m == 3 then
        rows[#rows + 1] = {
          policy = choice.label, what = measured[2], bound = nothing and "= 1" or "", control = nothing,
          seen = ("%.4f"):format(seen), verdict = nothing and experiment.verdict(seen == 1) or "shown",
        }
      end
    end
  end
  return rows
end

return M
