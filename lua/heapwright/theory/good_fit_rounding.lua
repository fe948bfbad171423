-- SPDX-License-Identifier: MIT
-- T5: what two-level segregated fit passes by, since it rounds a request up to the next
-- bin: a block is not taken, though it fits, where it is larger by less than 1 / SL.
--
-- Good fit cuts each power of two into SL = 64 bins (core/policy/good_fit.c). It looks at
-- the 8 newest blocks of a request's own bin as well, so the adversary puts 8 blocks
-- there that are too small, newer than the one that would do. All else is live.
--
-- Measured: the largest (block − request) / request at which the request is refused. For
-- requests of 64 … 320 units every larger block is tried, and up to 65,537 units those
-- requests that lose the most, one above a power of two. Counted: no tolerance.
-- Controls: the policies that take any block that fits refuse nothing; and bins half as
-- fine would not do: more than 1 / (2 SL) is lost.
local experiment = require "heapwright.theory.experiment"

local M = {}

M.id = "T5"
M.title = "Rounding of good fit"
M.statement = "Two-level segregated fit with SL bins a power of two passes by a block that fits only where it is "
  .. "larger than the request by less than 1 / SL: 1.5625 % with our SL = 64."
M.source = "M. Masmano, I. Ripoll, A. Crespo and J. Real, TLSF: a new dynamic memory allocator for real-time systems, "
  .. "ECRTS 2004"
M.tolerance = "none, blocks are counted"

local UNIT <const> = experiment.UNIT
local BINS <const>, PEEK <const> = 64, 8
local TAKES_ANY <const> = { ["best-fit"] = true, ["first-fit"] = true, ["next-fit"] = true, ["worst-fit"] = true }
local FIRST <const>, LAST <const>, DOUBLINGS <const> = 64, 320, 10

function M.jobs(choices, settings)
  local jobs = {}
  for _, choice in ipairs(choices) do
    if choice.policy == "good-fit" or TAKES_ANY[choice.policy] then
      jobs[#jobs + 1] = { id = M.id, policy = choice, seed = settings.seed }
    end
  end
  return jobs
end

-- Is a request refused where the free blocks are one of `block` units and, newer, some of `decoy`?
local function refuses(mem, request, block, decoy)
  mem:reset()
  local function pinned(size)
    local address = assert(mem:alloc(size * UNIT))
    assert(mem:alloc(UNIT))
    return address
  end
  local large, decoys = pinned(block), {}
  if decoy < request then
    for i = 1, PEEK do decoys[i] = pinned(decoy) end
  end
  assert(mem:alloc(mem:stats().largest_free))
  assert(mem:free(large))
  for _, address in ipairs(decoys) do assert(mem:free(address)) end
  return mem:alloc(request * UNIT) == nil
end

-- The smallest size of the bin of sizes around this one.
local function bin_start(size)
  local width = 1
  while size // width >= 2 * BINS do width = 2 * width end
  return size // width * width
end

function M.run(job, open)
  local result = { waste = 0, tried = 0, refused = 0 }
  local mem = open(job.policy, 12 * (BINS << DOUBLINGS), job.seed)
  local function try(request, block)
    local refused = refuses(mem, request, block, bin_start(request))
    result.tried = result.tried + 1
    if not refused then return end
    result.refused = result.refused + 1
    local waste = (block - request) / request
    if waste > result.waste then
      result.waste, result.request, result.block = waste, request, block
    end
  end
  for request = FIRST, LAST do
    for block = request, request + request // 32 do try(request, block) end
  end
  for doubling = 1, DOUBLINGS do -- the bin's width is 2^doubling there
    local request, width = (BINS << doubling) + 1, 1 << doubling
    for _, more in ipairs { 0, width // 2, width - 3, width - 2, width - 1, width, 2 * width } do
      if more >= 0 then try(request, request + more) end
    end
  end
  experiment.finish(mem)
  return result
end

function M.judge(jobs, results)
  local rows = {}
  for i, job in ipairs(jobs) do
    local seen = results[i]
    local percent = ("%.4f %%"):format(100 * seen.waste)
    if job.policy.policy == "good-fit" then
      rows[#rows + 1] = {
        policy = job.policy.label,
        what = ("the largest share by which a block is passed by, of %d tried"):format(seen.tried),
        bound = ("< %.4f %%"):format(100 / BINS), seen = percent, verdict = experiment.verdict(seen.waste < 1 / BINS),
      }
      rows[#rows + 1] = {
        control = true, policy = job.policy.label, what = "it is more than bins twice as fine would pass by",
        bound = ("> %.4f %%"):format(50 / BINS), seen = percent,
        verdict = experiment.verdict(seen.waste > 0.5 / BINS),
      }
    else
      rows[#rows + 1] = {
        control = true, policy = job.policy.label, what = "requests refused though a block fits",
        bound = "= 0", seen = ("%d"):format(seen.refused), verdict = experiment.verdict(seen.refused == 0),
      }
    end
  end
  return rows
end

return M
