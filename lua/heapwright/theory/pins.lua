-- SPDX-License-Identifier: MIT
-- T2: the pin attack, which tears a pool under the policies that don't go back.
--
-- n times: allocate m − 1 and then 1, and free the first. First and best fit place each
-- large block where the last one lay, so that n + m − 1 units do: the pins stand side by
-- side behind it. Next fit goes on from its last pin, and worst fit takes the large
-- rest of the pool: each round takes m new units, m·n in all.
--
-- Measured: the high water in a pool of 2 m·n units, in which nothing forces a policy
-- back. Counted, not drawn: no tolerance. Control: the pins are freed as well; then
-- worst fit stays at m (next fit does not: it goes round the pool, pins or none).
local experiment = require "heapwright.theory.experiment"

local M = {}

M.id = "T2"
M.title = "The pin attack"
M.statement = "Allocate m − 1, allocate 1, free the first, n times over: next fit and worst fit take m·n units, "
  .. "first fit and best fit n + m − 1."
M.source = "stated in this form by simulation; that next and worst fit leave holes behind: D. E. Knuth, "
  .. "The Art of Computer Programming 1, section 2.5"
M.tolerance = "none, units are whole"

local UNIT <const> = experiment.UNIT
local CLOSE <const> = { ["first-fit"] = true, ["best-fit"] = true }
local TORN <const> = { ["next-fit"] = true, ["worst-fit"] = true }
local SIZES <const> = { { 16, 64 }, { 64, 1024 } } -- m, n

--- Runs it against a pool.
---@param mem heapwright.Pool
---@param m integer units a round
---@param n integer rounds
---@param unpinned boolean|nil frees the pins too
function M.attack(mem, m, n, unpinned)
  for _ = 1, n do
    local large = assert(mem:alloc((m - 1) * UNIT))
    local pin = assert(mem:alloc(UNIT))
    assert(mem:free(large))
    if unpinned then assert(mem:free(pin)) end
  end
end

function M.jobs(choices, settings)
  local jobs = {}
  for i, choice in ipairs(choices) do
    jobs[i] = { id = M.id, policy = choice, seed = settings.seed }
  end
  return jobs
end

-- The high water; nil where even twice m·n is too little.
local function measure(job, open, size, unpinned)
  local m, n = size[1], size[2]
  local mem = open(job.policy, 2 * m * n, job.seed)
  local ok = pcall(M.attack, mem, m, n, unpinned)
  local high = experiment.finish(mem)
  return ok and high or nil
end

function M.run(job, open)
  local result = { high = {} }
  for i, size in ipairs(SIZES) do
    result.high[i] = measure(job, open, size) or 0
  end
  result.control = measure(job, open, SIZES[2], true) or 0
  return result
end

local function row(choice, size, high)
  local m, n = size[1], size[2]
  local expected
  if experiment.is_one_of(choice, CLOSE) then expected = n + m - 1 end
  if experiment.is_one_of(choice, TORN) then expected = m * n end
  return {
    policy = choice.label, what = ("high water, m = %d, n = %d"):format(m, n),
    bound = expected and ("= %d"):format(expected) or "",
    seen = high > 0 and ("%d"):format(high) or ("> %d"):format(2 * m * n),
    verdict = expected and experiment.verdict(high == expected) or "shown",
  }
end

function M.judge(jobs, results)
  local rows = {}
  for i, job in ipairs(jobs) do
    for s, size in ipairs(SIZES) do
      rows[#rows + 1] = row(job.policy, size, results[i].high[s])
    end
  end
  for i, job in ipairs(jobs) do
    if experiment.is_one_of(job.policy, { ["worst-fit"] = true }) then
      local m = SIZES[2][1]
      rows[#rows + 1] = {
        control = true, policy = job.policy.label, what = "the pins freed as well, m = 64, n = 1024",
        bound = ("= %d"):format(m), seen = ("%d"):format(results[i].control),
        verdict = experiment.verdict(results[i].control == m),
      }
    end
  end
  return rows
end

return M
