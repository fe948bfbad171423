-- SPDX-License-Identifier: MIT
-- --inject: which requests of a scenario are to fail.
--
--   sweep               each in turn, in a run of its own
--   sweep=20            so many of them, spread evenly
--   after=3             the third; every=3, probability=0.1,seed=7, size_at_least=64 …
--
-- What a plan may say is pool:inject's to know: a pool is asked. A sweep's plan is
-- that of its runs but for `after`.
local fault = require "heapwright.cli.fault"
local pool = require "heapwright.pool"

local M = {}

---@class cli.Injection
---@field plan heapwright.Injection
---@field sweep boolean
---@field runs integer|nil of a sweep: at most so many

M.help = table.concat({
  "--inject PLAN makes requests of the pool fail, and demands that the scenario",
  "copes. It is run without failures first. Then it has to",
  "  - not raise: an assert on nil is not coping;",
  "  - leave the pool sound;",
  "  - not leak: at the end there may be no more blocks, and no more bytes, live",
  "    than the run without failures leaves.",
  "What it expects is asked of the run without failures alone. PLAN is",
  "  sweep               each request in turn, in a run of its own",
  "  sweep=N             N of them, spread evenly",
  "  after=N             the N-th, every=N, or probability=P with seed=S",
  "and, after a comma, size_at_least=N (smaller requests are not counted), or",
  "persistent (with sweep and after: all that follow the N-th fail too).",
}, "\n")

--- Adds --inject.
function M.add(command)
  command:option("--inject", "Let requests fail by a plan; see below."):argname "PLAN"
end

-- Each field of a plan from its text; what is no number is left for the pool to refuse.
local function number(text)
  return math.tointeger(tonumber(text)) or tonumber(text) or text
end

local FIELDS = {
  after = number, every = number, probability = number, seed = number,
  size_at_least = function(text) return text end,
}

-- Takes one word of the list into what was read so far.
local function take(read, word)
  local name, value = word:match "^([%w_]+)=(.*)$"
  name = name or word
  local refuse = "--inject: '%s': known are sweep, sweep=N, after=N, every=N, probability=P, seed=S, "
    .. "size_at_least=N and persistent"
  if name == "persistent" and not value then
    read.plan.persistent = true
  elseif name == "sweep" then
    read.sweep, read.runs = true, value and number(value) or nil
    if value and (math.type(read.runs) ~= "integer" or read.runs < 1) then
      fault.raise("--inject: sweep=%s: an integer from 1 on expected", value)
    end
  elseif FIELDS[name] and value then
    if read.plan[name] ~= nil then fault.raise("--inject: %s is given twice", name) end
    read.plan[name] = FIELDS[name](value)
  else
    fault.raise(refuse, word)
  end
end

-- Ends the command where no pool takes the plan.
local function check(plan)
  local probe <close> = pool.new { capacity = "4K" }
  local ok, message = pcall(probe.inject, probe, plan)
  if not ok then fault.raise("--inject: %s", message:match "%((.*)%)$" or message) end
end

--- What --inject says; nil without it.
---@return cli.Injection|nil
function M.read(options)
  if not options.inject then return nil end
  local read = { plan = {}, sweep = false }
  for word in (options.inject .. ","):gmatch "([^,]*)," do
    take(read, word)
  end
  if not read.sweep then
    check(read.plan)
  elseif read.plan.after or read.plan.every or read.plan.probability then
    fault.raise "--inject: sweep fails one request after the other; after, every and probability are other plans"
  else
    check(M.plan_of(read, 1))
  end
  return read
end

--- The plan of a sweep's n-th request; of another injection its own.
---@param injection cli.Injection
---@param n integer|nil
---@return heapwright.Injection
function M.plan_of(injection, n)
  local plan = {}
  for name, value in pairs(injection.plan) do
    plan[name] = value
  end
  if injection.sweep then plan.after = n end
  return plan
end

--- The same plan, but none of the requests fails: they are only counted.
---@param injection cli.Injection
---@return heapwright.Injection
function M.counting(injection)
  return { after = math.maxinteger, size_at_least = injection.plan.size_at_least }
end

local ORDER = { "after", "persistent", "every", "probability", "seed", "size_at_least" }

--- A plan as --inject takes it.
---@param plan heapwright.Injection
---@return string
function M.text(plan)
  local words = {}
  for _, name in ipairs(ORDER) do
    local value = plan[name]
    if value == true then
      words[#words + 1] = name
    elseif value then
      words[#words + 1] = ("%s=%s"):format(name, value)
    end
  end
  return table.concat(words, ",")
end

return M
