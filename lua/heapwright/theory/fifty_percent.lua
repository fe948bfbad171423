-- SPDX-License-Identifier: MIT
-- T3: Knuth's fifty-percent rule.
--
-- A placement that leaves a remainder keeps the number F of free blocks, one that fits
-- exactly takes one away. A block that is freed adds one, none, or takes one away, as
-- none, one or two of its neighbours are free. Where each of the L live blocks is as
-- likely to be freed, it has 2 F / L free neighbours in the mean, and in equilibrium
-- F / L = p / 2, p the share of placements that leave a remainder. The argument asks of
-- the policy only that it joins all neighbours at once, not which block it chooses.
--
-- Measured: L = 4,000 blocks; a step frees one of them, each as likely, and places one;
-- the first 50,000 steps, from a pool without holes, are left out. F and p are counted at each step.
-- Tolerance: the mean of F / L − p / 2 over T steps has the standard error
-- s / (2 √T), s ≤ 1 the deviation of the number of free neighbours; so it is below
-- 0.0008 for 400,000 steps and 0.0016 for 100,000 (--quick); 0.005 is three of the
-- worst and four to ten of those that are seen. Ends of the pool count 1 / L = 0.00025.
-- Control: the oldest block is freed. Placement follows release then, and F / L is
-- not near p / 2 at all.
local experiment = require "heapwright.theory.experiment"
local random = require "heapwright.random"

local M = {}

M.id = "T3"
M.title = "The fifty-percent rule"
M.statement = "Where each live block is as likely to be freed, free blocks / live blocks = p / 2 in equilibrium, p the "
  .. "share of placements that leave a remainder. It asks of a policy that neighbours join at once."
M.source = "D. E. Knuth, The Art of Computer Programming 1, section 2.5; J. E. Shore, Anomalous behavior of the "
  .. "fifty-percent rule in dynamic memory allocation, Communications of the ACM 20 (1977)"
M.tolerance = "0.005: a standard error is 1 / (2 √steps) at most, 0.0016 for the least of 100,000 steps"

local UNIT <const> = experiment.UNIT
local TOLERANCE <const> = 0.005
local LIVE <const>, LARGEST <const>, BATCHES <const> = 4000, 400, 20
local JOINS <const> = {
  ["best-fit"] = true, ["first-fit"] = true, ["next-fit"] = true, ["worst-fit"] = true, ["good-fit"] = true,
}
-- In every setting; the others are shown in the first one alone.
local CHIEF <const> = { ["best-fit"] = true, ["first-fit"] = true }

-- Sizes in units: four continuous distributions, four discrete ones.
local SIZES <const> = {
  { name = "uniform 1-100", draw = function(g) return 1 + g:below(100) end },
  { name = "powers of two to 64", draw = function(g) return 1 << g:below(7) end, quick = true },
  { name = "uniform 1-10", draw = function(g) return 1 + g:below(10) end, quick = true },
  { name = "uniform 50-150", draw = function(g) return 50 + g:below(101) end },
  { name = "exponential, mean 50", draw = function(g) return math.min(LARGEST, g:exponential(50)) end },
  { name = "8, 24 or 40", draw = function(g) return 8 + 16 * g:below(3) end },
  { name = "1 or 64", draw = function(g) return g:below(2) == 0 and 1 or 64 end },
  { name = "multiples of 5 to 100", draw = function(g) return 5 + 5 * g:below(20) end },
}
local LEFT_OUT <const>, QUICK_STEPS <const>, STEPS <const> = 50000, 100000, 400000

function M.jobs(choices, settings)
  local jobs = {}
  local function add(choice, sizes, in_order)
    jobs[#jobs + 1] = {
      id = M.id, policy = choice, seed = settings.seed, sizes = sizes, in_order = in_order,
      steps = settings.quick and QUICK_STEPS or STEPS,
    }
  end
  for sizes, distribution in ipairs(SIZES) do
    for _, choice in ipairs(choices) do
      local chief = experiment.is_one_of(choice, CHIEF)
      local asked = not settings.quick or distribution.quick
      if choice.policy ~= "bump" and asked and (chief or sizes == 2) then add(choice, sizes) end
      if chief and sizes == 2 then add(choice, sizes, true) end
    end
  end
  return jobs
end

-- A function that makes a step, and returns the free blocks after it and whether a remainder was left.
local function stepper(mem, draw, generator, in_order)
  local live, oldest = {}, 1
  for i = 1, LIVE do live[i] = assert(mem:alloc(draw(generator) * UNIT)) end
  return function()
    local i
    if in_order then
      i, oldest = oldest, oldest % LIVE + 1
    else
      i = generator:below(LIVE) + 1
    end
    assert(mem:free(live[i]))
    local before = mem:stats().free_blocks
    live[i] = assert(mem:alloc(draw(generator) * UNIT))
    local after = mem:stats().free_blocks
    return after, after >= before
  end
end

function M.run(job, open)
  local mem = open(job.policy, LIVE * LARGEST, job.seed)
  local step = stepper(mem, SIZES[job.sizes].draw, random.new(job.seed + job.sizes), job.in_order)
  for _ = 1, LEFT_OUT do step() end
  local differences, free, remainders = {}, 0, 0
  local size = job.steps // BATCHES
  for batch = 1, BATCHES do
    local free_here, remainders_here = 0, 0
    for _ = 1, size do
      local count, remains = step()
      free_here = free_here + count
      if remains then remainders_here = remainders_here + 1 end
    end
    differences[batch] = free_here / size / LIVE - remainders_here / size / 2
    free, remainders = free + free_here, remainders + remainders_here
  end
  experiment.finish(mem)
  local _, deviation = experiment.mean(differences)
  return { ratio = free / job.steps / LIVE, half = remainders / job.steps / 2, error = deviation }
end

function M.judge(jobs, results)
  local rows, controls = {}, {}
  for i, job in ipairs(jobs) do
    local seen = results[i]
    local near = math.abs(seen.ratio - seen.half) <= TOLERANCE
    local name = SIZES[job.sizes].name
    local row = {
      policy = job.policy.label, what = "free / live blocks, sizes " .. name,
      bound = ("= %.4f"):format(seen.half), seen = ("%.4f ± %.4f"):format(seen.ratio, seen.error),
      verdict = JOINS[job.policy.policy] and experiment.verdict(near) or "shown",
    }
    if job.in_order then
      row.control, row.what = true, "the oldest freed instead, sizes " .. name
      row.bound = ("≠ %.4f"):format(seen.half)
      row.verdict = experiment.verdict(math.abs(seen.ratio - seen.half) > 10 * TOLERANCE)
      controls[#controls + 1] = row
    else
      rows[#rows + 1] = row
    end
  end
  return table.move(controls, 1, #controls, #rows + 1, rows)
end

return M
