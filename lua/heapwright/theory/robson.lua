-- SPDX-License-Identifier: MIT
-- T1: Robson's adversary, which no allocator that moves nothing withstands in less
-- than N = M(1 + ½ log2 n) − n + 1.
--
-- It allocates M blocks of 1. In phase i = 1 … log2 n it knows a remainder f modulo
-- 2^(i−1), chooses f or f + 2^(i−1), whichever keeps more room from blocks of 2^i, and
-- frees every block that covers no address ≡ f modulo 2^i. No two of the blocks left
-- leave room for one of 2^i between such addresses; so what it allocates then, blocks
-- of 2^i until M are live, has to lie elsewhere.
--
-- Measured: for every M, n that are powers of two up to (4096, 256), whether it runs in
-- a pool of N and not in one of N − 1; the smallest pool for two of them, every
-- capacity from M on tried. No statistics: whole numbers, so no tolerance.
-- Control: as many units as the adversary would keep are kept, which ones is chance.
-- Far below is less than half of what the adversary adds to M.
local experiment = require "heapwright.theory.experiment"
local random = require "heapwright.random"

local M = {}

M.id = "T1"
M.title = "Robson's bound"
M.statement = "Sizes are powers of two up to n, M units live at most: whatever moves nothing needs "
  .. "N = M(1 + ½ log2 n) − n + 1 against the adversary that keeps the blocks which cover an address ≡ f "
  .. "modulo the next size. First, best, next and worst fit need no more."
M.source = "J. M. Robson, Bounds for some functions concerning dynamic storage allocation, Journal of the ACM 21 (1974)"
M.tolerance = "none, units are whole"

local UNIT <const> = experiment.UNIT
local EXACT <const> = { ["first-fit"] = true, ["best-fit"] = true, ["next-fit"] = true, ["worst-fit"] = true }
local SHOWN <const> = { { 16, 2 }, { 256, 16 } }
local MOST_LIVE_LOG2 <const>, MOST_SIZE_LOG2 <const> = 12, 8

--- What the adversary needs at least, in units.
---@param live integer M, a power of two
---@param largest integer n, a power of two
---@return integer
function M.bound(live, largest)
  local doubled = 0 -- log2 n
  while 1 << doubled < largest do doubled = doubled + 1 end
  return live + live * doubled // 2 - largest + 1
end

-- Does the block cover an address that is `f` modulo `size`?
local function covers(at, length, f, size)
  return (f - at) % size < length
end

-- The room that blocks which cover such an address keep from blocks of `size`.
local function room_kept(mem, f, size)
  local sum = 0
  for address, _, requested in mem:blocks() do
    local length = (requested or 0) // UNIT
    if requested and covers(address // UNIT, length, f, size) then sum = sum + size - length end
  end
  return sum
end

-- Blocks to free: those that cover no such address. With a generator, so many units by chance.
local function doomed(mem, f, size, generator)
  local list, all = {}, {}
  for address, _, requested in mem:blocks() do
    if requested then
      all[#all + 1] = { address, requested // UNIT }
      if not covers(address // UNIT, requested // UNIT, f, size) then list[#list + 1] = all[#all] end
    end
  end
  if not generator then return list end
  local units = 0
  for _, block in ipairs(list) do units = units + block[2] end
  list = {}
  while units > 0 do
    local i = generator:below(#all) + 1
    list[#list + 1] = all[i]
    units = units - all[i][2]
    all[i] = all[#all]
    all[#all] = nil
  end
  return list
end

--- Plays the adversary against a pool.
---@param mem heapwright.Pool
---@param live integer M
---@param largest integer n
---@param generator heapwright.Random|nil given: what is freed is chance
---@return boolean # did the pool hold it?
function M.attack(mem, live, largest, generator)
  local units, f, size = 0, 0, 1
  local function fill()
    while units + size <= live do
      if not mem:alloc(size * UNIT) then return false end
      units = units + size
    end
    return true
  end
  while true do
    if not fill() then return false end
    if size >= largest then return true end
    size = 2 * size
    local other = f + size // 2
    if room_kept(mem, other, size) > room_kept(mem, f, size) then f = other end
    for _, block in ipairs(doomed(mem, f, size, generator)) do
      assert(mem:free(block[1]))
      units = units - block[2]
    end
  end
end

local function holds_in(job, open, units, live, largest, generator)
  if units < 1 then return false end
  local mem = open(job.policy, units, job.seed)
  local held = M.attack(mem, live, largest, generator)
  experiment.finish(mem)
  return held
end

function M.jobs(choices, settings)
  local jobs = {}
  for i, choice in ipairs(choices) do
    jobs[i] = { id = M.id, policy = choice, seed = settings.seed }
  end
  return jobs
end

function M.run(job, open)
  local result = { pairs = 0, exact = 0, at_least = 0, smallest = {} }
  for size_log2 = 0, MOST_SIZE_LOG2 do
    for live_log2 = size_log2, MOST_LIVE_LOG2 do
      local live, largest = 1 << live_log2, 1 << size_log2
      local bound = M.bound(live, largest)
      local less = holds_in(job, open, bound - 1, live, largest)
      result.pairs = result.pairs + 1
      if not less then result.at_least = result.at_least + 1 end
      if not less and holds_in(job, open, bound, live, largest) then result.exact = result.exact + 1 end
    end
  end
  for i, pair in ipairs(SHOWN) do
    local live, largest = pair[1], pair[2]
    result.smallest[i] = experiment.smallest(live, live * largest, function(units)
      return holds_in(job, open, units, live, largest)
    end)
  end
  if not experiment.is_one_of(job.policy, EXACT) then return result end
  local live, largest = table.unpack(SHOWN[#SHOWN])
  result.control = experiment.smallest(live, live * largest, function(units)
    return holds_in(job, open, units, live, largest, random.new(job.seed))
  end) or math.maxinteger
  return result
end

local function list(values)
  local words = {}
  for i = 1, #SHOWN do words[i] = values[i] and ("%d"):format(values[i]) or "more" end
  return table.concat(words, ", ")
end

local function rows_of(choice, result)
  local exact = experiment.is_one_of(choice, EXACT)
  local bounds, met = {}, true
  for i, pair in ipairs(SHOWN) do
    bounds[i] = M.bound(pair[1], pair[2])
    local seen = result.smallest[i]
    if seen and (seen < bounds[i] or exact and seen ~= bounds[i]) or exact and not seen then met = false end
  end
  local count = exact and result.exact or result.at_least
  return {
    {
      policy = choice.label, what = "smallest pool, (M, n) = (16, 2), (256, 16)",
      bound = (exact and "= " or "≥ ") .. list(bounds), seen = list(result.smallest),
      verdict = experiment.verdict(met),
    },
    {
      policy = choice.label,
      what = ("of %d (M, n), those that need %s"):format(result.pairs, exact and "N exactly" or "N or more"),
      bound = ("= %d"):format(result.pairs), seen = ("%d"):format(count),
      verdict = experiment.verdict(count == result.pairs),
    },
  }
end

function M.judge(jobs, results)
  local rows, most, who = {}, 0, nil
  for i, job in ipairs(jobs) do
    for _, row in ipairs(rows_of(job.policy, results[i])) do rows[#rows + 1] = row end
    local seen = results[i].control
    if seen and seen > most then most, who = seen, job.policy.label end
  end
  if not who then return rows end
  local live, bound = SHOWN[#SHOWN][1], M.bound(table.unpack(SHOWN[#SHOWN]))
  local limit = live + (bound - live) // 2
  rows[#rows + 1] = {
    control = true, policy = who, what = "smallest pool, freed by chance instead, (256, 16), the most",
    bound = ("< %d"):format(limit), seen = ("%d"):format(most), verdict = experiment.verdict(most < limit),
  }
  return rows
end

return M
