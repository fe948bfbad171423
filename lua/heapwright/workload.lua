-- SPDX-License-Identifier: MIT
-- What a scenario's `run` gets as `s`: seeded randomness, phases and samples.
local random = require "heapwright.random"

local M = {}

---@class heapwright.Sample: table
---@field label string|number what the script called it
---@field phase string|nil the phase that it was taken in
---and the fields of `mem:stats()` at that moment

---@class heapwright.Phase: table
---@field name string
---and the fields of `mem:stats()` at the phase's end

---@class heapwright.Workload
---@field seed integer
---@field thread integer 1 … threads: which of the scenario's threads this is
---@field threads integer how many run the scenario at once
---@field package generator heapwright.Random
---@field package mem table
---@field package open string|nil name of the phase that runs now
---@field phases table<integer|string, heapwright.Phase> the phases that ended, by place and by name
---@field samples heapwright.Sample[]
---@field package observer heapwright.Observer|nil
local Workload = {}
Workload.__index = Workload

local function check(condition, name, text)
  if not condition then error(("bad argument to '%s' (%s)"):format(name, text), 3) end
end

local function is_number(x)
  return type(x) == "number" and x == x and x < math.huge and x > -math.huge
end

--- A workload on a pool.
---@param mem table the pool, whose stats phases and samples keep
---@param seed integer
---@param thread integer|nil 1 unless given
---@param threads integer|nil 1 unless given
---@param observer heapwright.Observer|nil is told of phases
---@return heapwright.Workload
function M.new(mem, seed, thread, threads, observer)
  local self = {
    mem = mem, seed = seed, thread = thread or 1, threads = threads or 1,
    generator = random.new(seed), phases = {}, samples = {},
    observer = observer,
  }
  return setmetatable(self, Workload)
end

--- A number of [0, 1).
---@return number
function Workload:random()
  return self.generator:unit()
end

--- An integer of first … last, each as likely as the other.
---@param first integer
---@param last integer
---@return integer
function Workload:uniform(first, last)
  local low, high = math.tointeger(first), math.tointeger(last)
  check(low and high and low <= high, "uniform", "two integers expected, the first not above the second")
  check(math.ult(high - low, math.maxinteger), "uniform", "the range is too wide")
  return low + self.generator:below(high - low + 1)
end

--- An exponential waiting time or size with this mean, rounded up: at least 1.
---@param mean number
---@return integer
function Workload:exponential(mean)
  check(is_number(mean) and mean > 0, "exponential", "a mean above 0 expected")
  return self.generator:exponential(mean)
end

--- e to a normal deviate, rounded up: at least 1.
---@param mu number mean of the logarithm
---@param sigma number its standard deviation
---@return integer
function Workload:lognormal(mu, sigma)
  check(is_number(mu) and is_number(sigma), "lognormal", "two numbers expected")
  check(sigma >= 0, "lognormal", "a sigma of at least 0 expected")
  return self.generator:lognormal(mu, sigma)
end

--- A Pareto deviate, rounded up: at least `least`, with a tail that falls as x^−alpha.
---@param alpha number
---@param least number
---@return integer
function Workload:pareto(alpha, least)
  check(is_number(alpha) and is_number(least), "pareto", "two numbers expected")
  check(alpha > 0 and least > 0, "pareto", "two numbers above 0 expected")
  return self.generator:pareto(alpha, least)
end

--- One of the list's values.
---@generic T
---@param list T[]
---@param weights number[]|nil one a value; each as likely as the other without
---@return T
function Workload:choice(list, weights)
  check(type(list) == "table" and #list > 0, "choice", "a list with at least one value expected")
  if not weights then return list[self.generator:below(#list) + 1] end
  check(type(weights) == "table" and #weights == #list, "choice", "as many weights as values expected")
  local total = 0.0
  for i = 1, #weights do
    check(is_number(weights[i]) and weights[i] >= 0, "choice", "weights are numbers, none below 0")
    total = total + weights[i]
  end
  check(total > 0, "choice", "one weight at least above 0 expected")
  local rest, last = self.generator:unit() * total, nil
  for i = 1, #weights do
    if weights[i] > 0 then
      if rest < weights[i] then return list[i] end
      rest, last = rest - weights[i], i
    end
  end
  return list[last] -- where rounding left a rest
end

--- Puts the list into a random order, in place.
---@generic T
---@param list T[]
---@return T[] # the same list
function Workload:shuffle(list)
  check(type(list) == "table", "shuffle", "a list expected")
  for i = #list, 2, -1 do
    local j = self.generator:below(i) + 1
    list[i], list[j] = list[j], list[i]
  end
  return list
end

local function finish_phase(self)
  if not self.open then return end
  local phase = self.mem:stats()
  phase.name = self.open
  self.phases[#self.phases + 1] = phase
  self.phases[self.open] = phase
  if self.observer then self.observer:phase_ends(self.open) end
  self.open = nil
end

--- Begins a phase and ends the one before, whose stats the result keeps.
---@param name string
function Workload:phase(name)
  check(type(name) == "string", "phase", "a name expected")
  finish_phase(self)
  self.open = name
  if self.observer then self.observer:phase_begins(name) end
end

--- Takes the pool's stats now; the result keeps them with the label and the phase.
---@param label string|number
---@return heapwright.Sample
function Workload:sample(label)
  check(type(label) == "string" or type(label) == "number", "sample", "a name or a number expected")
  local sample = self.mem:stats()
  sample.label, sample.phase = label, self.open
  self.samples[#self.samples + 1] = sample
  return sample
end

--- Ends the last phase; scenarios call it, not scripts.
---@param workload heapwright.Workload
---@return string|nil # the phase that ran until now
function M.finish(workload)
  local open = workload.open
  finish_phase(workload)
  return open
end

return M
