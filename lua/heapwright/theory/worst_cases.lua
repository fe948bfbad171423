-- SPDX-License-Identifier: MIT
-- T6: how bad first fit and best fit can be: M log n and M n.
--
-- The adversary of best fit builds the row  large (hole pin)^k : one live block of n − 2,
-- then k holes of n − 3, each closed by a live block of 1. With M units live k can reach
-- M − 4n + 10, so nearly all of the row is holes, none of which holds n − 2. Write R for
-- live, F for free. To make k one larger:
--
--   1. Behind the row place R(n−2) R(n−2): no hole holds them. Free the last pin and the
--      first of the two: their hole and the last one join to F(2n−4), closed by R(n−2).
--   2. Place n, n − 5 and 1: the first two fill F(2n−4) but for 1, which is the smallest
--      hole that holds the pin. Free the n: F(n) R(n−5) R(1). Free the R(n−2) behind.
--   3. Move F(n) over the hole and the pin on its left, until it is at the row's start:
--      place n − 2 and 2 in it, free the pin and the n − 2 (F(2n−4) again), place n, n − 5
--      and 1 there as before, free n, 2 and the old n − 5.
--   4. At the start F(n) R(n−5) R(1) are left: free n − 5, place n − 2.
--
-- Every address that is freed was returned before, none is looked up: other policies get
-- the same requests. First fit's bound holds against whatever is asked of it.
--
-- Measured: the high water in a pool of 4 M·n units and 64 Ki more, in which nothing is
-- scarce (next fit goes through all of it). Counted: no tolerance.
-- First fit is held against the most of this adversary, Robson's (T1), the pin attack (T2)
-- and chance, which are not its worst case. Control: best fit passes first fit's bound.
local experiment = require "heapwright.theory.experiment"
local pins = require "heapwright.theory.pins"
local random = require "heapwright.random"
local robson = require "heapwright.theory.robson"

local M = {}

M.id = "T6"
M.title = "Worst cases of best fit and first fit"
M.statement = "M units live, sizes up to n: best fit can be made to take (M−4n+11)(n−2), about M(n−2); "
  .. "first fit never takes more than M(1 + log2 n)."
M.source = "J. M. Robson, Worst case fragmentation of first fit and best fit storage allocation strategies, "
  .. "The Computer Journal 20 (1977); as an attack: D. E. Knuth, The Art of Computer Programming 1, section 2.5; "
  .. "the bound as stated by o1heap"
M.tolerance = "none, units are whole"

local UNIT <const> = experiment.UNIT
local PAIRS <const> = { { 64, 8 }, { 256, 16 }, { 512, 16 }, { 1024, 32 } } -- M, n
local QUICK_PAIRS <const> = 2
local CHANCE_STEPS <const> = 20000

--- What best fit's adversary takes.
---@param live integer M
---@param largest integer n
---@return integer
function M.worst_of_best_fit(live, largest)
  return (live - 4 * largest + 11) * (largest - 2)
end

--- What first fit takes at most.
---@param live integer M
---@param largest integer n
---@return integer
function M.bound_of_first_fit(live, largest)
  local doubled = 0
  while 1 << doubled < largest do doubled = doubled + 1 end
  return live * (1 + doubled)
end

--- Plays best fit's adversary against a pool.
---@param mem heapwright.Pool
---@param live integer M
---@param largest integer n, 6 at least
---@return integer peak the most units that were live
function M.attack(mem, live, largest)
  local units, peak, size_at = 0, 0, {}
  local function place(size)
    local address = assert(mem:alloc(size * UNIT))
    size_at[address], units = size, units + size
    peak = math.max(peak, units)
    return address
  end
  local function free(...)
    for _, address in ipairs { ... } do
      assert(mem:free(address))
      units = units - size_at[address]
    end
  end
  local first, row = place(largest - 2), {} -- row: the pins, from left to right
  for k = 0, live - 4 * largest + 9 do
    local hole, wall = place(largest - 2), place(largest - 2)
    free(k == 0 and first or row[k], hole)
    local moving, filler, pin = place(largest), place(largest - 5), place(1)
    free(moving, wall)
    local new = { [k + 1] = pin }
    for left = k - 1, 0, -1 do
      local low, two = place(largest - 2), place(2)
      free(left == 0 and first or row[left], low)
      local next_filler
      moving, next_filler, new[left + 1] = place(largest), place(largest - 5), place(1)
      free(moving, two, filler)
      filler = next_filler
    end
    free(filler)
    first, row = place(largest - 2), new
  end
  return peak
end

-- Sizes and frees by chance, M units live at most.
local function chance(mem, live, largest, seed)
  local generator, held, units = random.new(seed), {}, 0
  for _ = 1, CHANCE_STEPS do
    local size = 1 + generator:below(largest)
    while units + size > live do
      local i = generator:below(#held) + 1
      local block = held[i]
      held[i] = held[#held]
      held[#held] = nil
      assert(mem:free(block[1]))
      units = units - block[2]
    end
    held[#held + 1] = { assert(mem:alloc(size * UNIT)), size }
    units = units + size
  end
end

local ATTACKS <const> = {
  { "best fit's adversary", M.attack },
  { "Robson's", robson.attack },
  { "the pin attack", function(mem, live, largest) pins.attack(mem, largest, live - largest) end },
  { "chance", chance },
}

function M.jobs(choices, settings)
  local jobs = {}
  for _, choice in ipairs(choices) do
    -- Bump would need all that was ever asked for.
    if choice.policy ~= "bump" then
      for pair = 1, settings.quick and QUICK_PAIRS or #PAIRS do
        jobs[#jobs + 1] = { id = M.id, policy = choice, seed = settings.seed, pair = pair }
      end
    end
  end
  return jobs
end

function M.run(job, open)
  local live, largest = table.unpack(PAIRS[job.pair])
  local result = { high = {} }
  for i, attack in ipairs(ATTACKS) do
    -- Slab takes pages of 256 units for each of its sizes, whatever M is.
    local mem = open(job.policy, 4 * live * largest + 65536, job.seed)
    local said = attack[2](mem, live, largest, i == 4 and job.seed or nil)
    if i == 1 then result.peak = said end
    result.high[i] = experiment.finish(mem)
  end
  return result
end

local IS_BEST <const>, IS_FIRST <const> = { ["best-fit"] = true }, { ["first-fit"] = true }

function M.judge(jobs, results)
  local rows, controls = {}, {}
  local function add(list, job, what, bound, seen, holds)
    list[#list + 1] = {
      control = list == controls or nil, policy = job.policy.label, what = what, bound = bound,
      seen = ("%d"):format(seen), verdict = holds == nil and "shown" or experiment.verdict(holds),
    }
  end
  for i, job in ipairs(jobs) do
    local live, largest = table.unpack(PAIRS[job.pair])
    local high, pair = results[i].high, ("(%d, %d)"):format(live, largest)
    local worst, limit = M.worst_of_best_fit(live, largest), M.bound_of_first_fit(live, largest)
    local best, first = experiment.is_one_of(job.policy, IS_BEST), experiment.is_one_of(job.policy, IS_FIRST)
    local attacked = "high water, best fit's adversary, (M, n) = " .. pair
    if best then
      add(rows, job, attacked, ("≥ %d"):format(worst), high[1], high[1] >= worst and results[i].peak <= live)
      if job.pair > 1 then
        add(controls, job, "and so more than first fit's bound, " .. pair, ("> %d"):format(limit), high[1],
          high[1] > limit)
      end
    elseif job.pair == 2 then
      add(rows, job, attacked, "", high[1])
    end
    if first then
      local most = 0
      for a in ipairs(ATTACKS) do most = math.max(most, high[a]) end
      add(rows, job, "high water, the most of four attacks, " .. pair, ("≤ %d"):format(limit), most, most <= limit)
    end
  end
  return table.move(controls, 1, #controls, #rows + 1, rows)
end

return M
