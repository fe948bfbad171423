-- SPDX-License-Identifier: MIT
-- T10: with lifetimes known there is an optimum, which no policy beats.
--
-- The optimum of a short trace is found by exhaustion. Take an optimal packing and lower
-- every block as far as it goes, the lowest first: nothing is higher than it was. So one
-- of the orders in which blocks are put one by one at the lowest place that is free over
-- their whole lifetime gives an optimum; all orders are tried, but those that are higher
-- already than the best one found.
--
-- Measured: traces by chance of 7 blocks; for each the peak of live units, the optimum,
-- and the smallest pool of each policy, every capacity from half the peak on tried. Verdict:
-- no smallest pool is below the optimum, no optimum below the peak. No tolerance.
-- In traces this short the optimum was the peak wherever it was looked at, so this does
-- not tell the two bounds apart; larger instances are for a packing of its own.
-- Control: policies do need more than the optimum, so that a pool below it would be seen.
local experiment = require "heapwright.theory.experiment"
local random = require "heapwright.random"
local reversals = require "heapwright.theory.reversals"

local M = {}

M.id = "T10"
M.title = "The optimum"
M.statement = "With lifetimes known, the best packing needs the peak of live units or more, and every policy, which "
  .. "knows none, that packing's or more."
M.source = "every packing's bound; optima in practice: Moffitt, MiniMalloc: a lightweight memory allocator for "
  .. "hardware-accelerated machine learning, ASPLOS 2023"
M.tolerance = "none, units are whole"

local QUICK_TRACES <const>, TRACES <const> = 100, 400
local BLOCKS <const>, LARGEST <const> = 7, 9

function M.jobs(choices, settings)
  local jobs = {}
  for i, choice in ipairs(choices) do
    jobs[i] = { id = M.id, policy = choice, seed = settings.seed, traces = settings.quick and QUICK_TRACES or TRACES }
  end
  return jobs
end

--- A trace of a few blocks, with what each one's life is.
---@param seed integer
---@return integer[] events as those of T9
---@return {size: integer, from: integer, to: integer}[] blocks half-open lifetimes
---@return integer peak
function M.trace(seed)
  local generator, events, blocks, live, units, peak = random.new(seed), {}, {}, {}, 0, 0
  while #blocks < BLOCKS or #live > 0 do
    if #blocks == BLOCKS or #live > 0 and generator:below(100) < 40 then
      local i = table.remove(live, generator:below(#live) + 1)
      events[#events + 1] = -i
      blocks[i].to = #events
      units = units - blocks[i].size
    else
      local size = 1 + generator:below(LARGEST)
      events[#events + 1] = size
      blocks[#blocks + 1] = { size = size, from = #events }
      live[#live + 1] = #blocks
      units = units + size
      peak = math.max(peak, units)
    end
  end
  return events, blocks, peak
end

-- The lowest address at which a block can lie beside those that are placed.
local function lowest_place(block, placed)
  local at, moved = 0, true
  while moved do
    moved = false
    for _, other in ipairs(placed) do
      local together = block.from < other.to and other.from < block.to
      if together and at < other.at + other.size and other.at < at + block.size then
        at, moved = other.at + other.size, true
      end
    end
  end
  return at
end

--- The least that any packing needs.
---@param blocks {size: integer, from: integer, to: integer}[]
---@param peak integer where a packing needs that, the search ends
---@return integer
function M.optimum(blocks, peak)
  local best, placed = math.huge, {}
  local function search(height)
    if #placed == #blocks then
      best = height
      return
    end
    for _, block in ipairs(blocks) do
      if not block.at then
        block.at = lowest_place(block, placed)
        placed[#placed + 1] = block
        local top = math.max(height, block.at + block.size)
        if top < best and best > peak then search(top) end
        placed[#placed] = nil
        block.at = nil
      end
    end
  end
  search(0)
  return best
end

function M.run(job, open)
  local result = { optimal = 0, below = 0, under_peak = 0 }
  local pool_of = reversals.pools(job, open)
  for number = 1, job.traces do
    local events, blocks, peak = M.trace(job.seed * 1000033 + number)
    local optimum = M.optimum(blocks, peak)
    local smallest = experiment.smallest(peak // 2, BLOCKS * LARGEST * 64, function(units)
      return reversals.fits(pool_of(units), events)
    end)
    if smallest == optimum then result.optimal = result.optimal + 1 end
    if smallest and smallest < optimum then result.below = result.below + 1 end
    if optimum < peak then result.under_peak = result.under_peak + 1 end
  end
  return result
end

function M.judge(jobs, results)
  local rows, more, who = {}, -1, nil
  for i, job in ipairs(jobs) do
    local seen = results[i]
    if job.traces - seen.optimal > more then more, who = job.traces - seen.optimal, job end
    rows[#rows + 1] = {
      policy = job.policy.label, what = ("traces of %d that fit in less than the optimum"):format(job.traces),
      bound = "= 0", seen = ("%d; %d in the optimum"):format(seen.below, seen.optimal),
      verdict = experiment.verdict(seen.below == 0 and seen.under_peak == 0),
    }
  end
  if who then
    rows[#rows + 1] = {
      control = true, policy = who.policy.label, what = ("traces of %d that need more than it"):format(who.traces),
      bound = "> 0", seen = ("%d"):format(more), verdict = experiment.verdict(more > 0),
    }
  end
  return rows
end

return M
