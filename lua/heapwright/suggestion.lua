-- SPDX-License-Identifier: MIT
-- Which pool needs the least for a trace, and whether that holds for events that the choice did not see.
--
--   1. The trace is cut into two halves of as many events; what is live at the cut is allocated at the second
--      half's start (core/what_if.h).
--   2. *Candidates*: every policy, its orders by address and by time, granules of 8 to 64; slab also with classes
--      of its own, the best 4, 8, 12, 16 and 20 for what is live at the first half's peak (size_classes.lua).
--   3. Each one runs the first half in an unbounded pool. The *finalists* are, of each policy, the two that need
--      the least there, slab with classes of its own being a policy for itself; and the default.
--   4. For these the smallest pool is searched in both halves. What counts is that pool with its metadata, which
--      a smaller granule needs more of. The *choice* needs the least in the first half; the second half says
--      what it is worth.
--
-- Nothing depends on chance or time: equals are taken in the order of the candidates, the default first.
local policies = require "heapwright.policies"
local replay = require "heapwright.replay"
local size_classes = require "heapwright.size_classes"

local M = {}

local GRANULES = { 16, 8, 32, 64 }
local ORDERS = { "fifo", "lifo" }
local CLASS_COUNTS = { 4, 8, 12, 16, 20 }
local OF_EACH = 2 -- finalists of each policy
local DEFAULT = { policy = "best-fit", granule = 16, label = "best-fit", group = "best-fit" }

---@class heapwright.Candidate
---@field policy string
---@field order string|nil
---@field granule integer
---@field classes integer[]|nil
---@field label string the policy with its order
---@field group string whose finalists are chosen among themselves
---@field first table pool, exact, metadata, total, saves: of the half that was seen
---@field unseen table the same of the other one, and its rank

---- Candidates -------------------------------------------------------------------

-- Every policy in each order that repeats itself.
local function all_choices()
  local list = {}
  for _, choice in ipairs(policies.all()) do
    list[#list + 1] = choice
    for _, order in ipairs(ORDERS) do
      list[#list + 1] = policies.parse(choice.policy .. "/" .. order)
    end
  end
  return list
end

local function same(a, b)
  return table.concat(a, " ") == table.concat(b, " ")
end

-- The best classes of each count, where they differ.
local function best_classes(program, granule)
  local counts, lists = assert(program:sizes_at_peak(size_classes.LARGEST * granule)), {}
  for _, count in ipairs(CLASS_COUNTS) do
    local classes = size_classes.best(counts, granule, count)
    local last = lists[#lists]
    if #classes > 0 and not (last and same(last, classes)) then lists[#lists + 1] = classes end
  end
  return lists
end

local function is_default(candidate)
  return candidate.policy == DEFAULT.policy and (candidate.order or "address") == "address"
    and candidate.granule == DEFAULT.granule and not candidate.classes
end

---@param program table the half that is seen
---@param choices heapwright.Choice[]|nil nil: every one
---@param has_pool fun(choice: heapwright.Choice, granule: integer): boolean
---@return heapwright.Candidate[] # the default first
local function candidates(program, choices, has_pool)
  local list, own = {}, {}
  local function add(choice, granule, classes)
    local candidate = {
      policy = choice.policy, order = choice.order, label = choice.label, granule = granule, classes = classes,
      group = classes and choice.policy .. " with classes" or choice.policy,
    }
    if not is_default(candidate) then list[#list + 1] = candidate end
  end
  for _, info in ipairs(require("heapwright.pool").policies()) do own[info.name] = info.takes_classes end
  list[1] = setmetatable({}, { __index = DEFAULT })
  for _, granule in ipairs(GRANULES) do
    local lists = best_classes(program, granule)
    for _, choice in ipairs(choices or all_choices()) do
      if has_pool(choice, granule) then
        add(choice, granule)
        for _, classes in ipairs(own[choice.policy] and lists or {}) do add(choice, granule, classes) end
      end
    end
  end
  return list
end

---- Measuring --------------------------------------------------------------------

-- What each needs: the smallest pool, or without the search an unbounded one.
local function measure(program, list, smallest, progress)
  local asked, needs = {}, {}
  for i, candidate in ipairs(list) do
    asked[i] = {
      policy = candidate.policy, order = candidate.order, granule = candidate.granule, classes = candidate.classes,
    }
  end
  local results, message = program:measure { policies = asked, smallest = smallest, time = false, progress = progress }
  if not results then return nil, message end
  progress()
  for i, result in ipairs(results) do
    local pool = smallest and result.smallest_pool or not smallest and result.high_water or nil
    needs[i] = {
      pool = pool, exact = result.smallest_exact, metadata = result.metadata,
      total = pool and pool + (result.metadata or 0) or math.huge,
    }
  end
  return needs
end

-- Numbers of the list, what needs the least first.
local function ranked(needs)
  local order = {}
  for i = 1, #needs do order[i] = i end
  table.sort(order, function(a, b)
    if needs[a].total ~= needs[b].total then return needs[a].total < needs[b].total end
    return a < b
  end)
  return order
end

local function finalists(list, needs)
  local taken, of_group = { true }, {}
  for _, i in ipairs(ranked(needs)) do
    local group = list[i].group
    of_group[group] = (of_group[group] or 0) + 1
    taken[i] = taken[i] or of_group[group] <= OF_EACH
  end
  local chosen = {}
  for i, candidate in ipairs(list) do
    if taken[i] then chosen[#chosen + 1] = candidate end
  end
  return chosen
end

-- 0.1: it needs a tenth less than the default.
local function saving(need, default)
  if need.total == math.huge or default.total == math.huge then return nil end
  return 1 - need.total / default.total
end

local function note(list, field, needs)
  for i, candidate in ipairs(list) do
    needs[i].saves = saving(needs[i], needs[1])
    candidate[field] = needs[i]
  end
  for rank, i in ipairs(ranked(needs)) do needs[i].rank = rank end
end

---- The whole --------------------------------------------------------------------

local function load(path, name, window)
  local program, message = replay.load(path, name, window)
  if not program then return nil, message end
  return program
end

---@class heapwright.Suggestion
---@field source table what is known of the whole trace
---@field cut integer the last event of the first half
---@field candidates integer how many there were
---@field finalists heapwright.Candidate[] the best in the first half first
---@field choice heapwright.Candidate
---@field default heapwright.Candidate
---@field held boolean it needs no more than the default in the half that it did not see
---@field advice heapwright.Candidate the choice where it held, else the default
---@field whole table pool, metadata, total, saves: what the advice needs for the whole trace

--- Suggests a pool for a trace.
---@param path string
---@param name string|nil
---@param options {choices: heapwright.Choice[]|nil, progress: function,
---  has_pool: fun(choice: heapwright.Choice, granule: integer): boolean}
---@return heapwright.Suggestion|nil
---@return string|nil message
function M.of(path, name, options)
  local whole, message = load(path, name)
  if not whole then return nil, message end
  local source = whole:source()
  if source.events < 2 then return nil, source.name .. ": one event, which makes no two halves" end
  local cut = source.events // 2
  local first, unseen
  first, message = load(path, name, { to = cut })
  if not first then return nil, message end
  unseen, message = load(path, name, { from = cut + 1 })
  if not unseen then return nil, message end

  local list = candidates(first, options.choices, options.has_pool)
  local needs
  needs, message = measure(first, list, false, options.progress)
  if not needs then return nil, message end
  local chosen = finalists(list, needs)
  for _, half in ipairs { { "first", first }, { "unseen", unseen } } do
    needs, message = measure(half[2], chosen, true, options.progress)
    if not needs then return nil, message end
    note(chosen, half[1], needs)
  end
  local default = chosen[1]
  table.sort(chosen, function(a, b) return a.first.rank < b.first.rank end)
  local choice = chosen[1]
  local held = choice.unseen.total <= default.unseen.total
  local advice = held and choice or default
  needs, message = measure(whole, { default, advice }, true, options.progress)
  if not needs then return nil, message end
  needs[2].saves = saving(needs[2], needs[1])
  return {
    source = source, cut = cut, candidates = #list, finalists = chosen, choice = choice, default = default,
    held = held, advice = advice, whole = needs[2],
  }
end

return M
