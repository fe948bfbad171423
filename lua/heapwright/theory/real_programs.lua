-- SPDX-License-Identifier: MIT
-- T8: real programs fragment little.
--
-- Measured: each trace is replayed in an unbounded pool; high water over the peak of
-- granted bytes, minus 1. Headers there are none, and what granules add to a request is
-- in both, so only holes are left. The median over the traces counts. Traces are those
-- that are given, else recordings of programs that this machine has (cli/programs.lua),
-- so that the figures differ from machine to machine; traces of fewer than 100 allocations
-- say nothing and are left out; with fewer than 5 traces nothing is said at all.
-- Tolerance: over 58 recordings the medians were 1.0 % and 0.5 %; programs differ, so
-- 3 % is asked. Control: the same programs under worst fit are torn, by more than 10 %.
local experiment = require "heapwright.theory.experiment"
local replay = require "heapwright.replay"

local M = {}

M.id = "T8"
M.title = "Real programs"
M.statement = "Real programs fragment little: under first fit and best fit the highest address in use is 1 % or so "
  .. "above the peak of live bytes, in the median, once headers and alignment are left out."
M.source = "after M. S. Johnstone and P. R. Wilson, The memory fragmentation problem: solved?, ISMM 1998"
M.tolerance = "3 %, three times what 58 recordings gave; programs differ"

local LITTLE <const>, TORN <const> = 0.03, 0.1
local LEAST_ALLOCATIONS <const>, LEAST_TRACES <const> = 100, 5
local FRUGAL <const>, TEARING <const> = { ["best-fit"] = true, ["first-fit"] = true }, { ["worst-fit"] = true }

function M.jobs(choices, settings)
  local jobs = {}
  for i, path in ipairs(settings.traces or {}) do
    jobs[i] = { id = M.id, choices = choices, trace = path, seed = settings.seed }
  end
  return jobs
end

function M.run(job)
  local program <close> = assert(replay.load(job.trace))
  local result = { allocations = program:source().allocations, holes = {} }
  if result.allocations < LEAST_ALLOCATIONS then return result end
  local asked = {}
  for i, choice in ipairs(job.choices) do
    asked[i] = { policy = choice.policy, order = choice.order, seed = job.seed }
  end
  for i, answer in ipairs(assert(program:measure { policies = asked, threads = 1 })) do
    result.holes[i] = answer.high_water / math.max(answer.peak_granted, 1) - 1
  end
  return result
end

local function median(values)
  table.sort(values)
  local middle = (#values + 1) // 2
  return #values % 2 == 1 and values[middle] or (values[middle] + values[middle + 1]) / 2
end

function M.judge(jobs, results)
  local rows, large = {}, {}
  for _, result in ipairs(results) do
    if result.allocations >= LEAST_ALLOCATIONS then large[#large + 1] = result end
  end
  local what = ("high water / peak granted − 1, the median of %d traces"):format(#large)
  if #large < LEAST_TRACES then
    return {}, ("%d traces of %d allocations and more, %d are wanted"):format(#large, LEAST_ALLOCATIONS, LEAST_TRACES)
  end
  for i, choice in ipairs(jobs[1].choices) do
    local values = {}
    for t, result in ipairs(large) do values[t] = result.holes[i] end
    local middle = median(values) -- sorts them
    local row = {
      policy = choice.label, what = what, bound = "",
      seen = ("%.1f %%, worst %.1f %%"):format(100 * middle, 100 * values[#values]), verdict = "shown",
    }
    if experiment.is_one_of(choice, FRUGAL) then
      row.bound, row.verdict = ("≤ %.0f %%"):format(100 * LITTLE), experiment.verdict(middle <= LITTLE)
    elseif experiment.is_one_of(choice, TEARING) then
      row.control, row.bound, row.verdict = true, ("> %.0f %%"):format(100 * TORN), experiment.verdict(middle > TORN)
    end
    rows[#rows + 1] = row
  end
  return rows
end

return M
