-- SPDX-License-Identifier: MIT
-- What the experiments of the theory share: units, pools, rows, means with their errors.
--
-- Theory counts words; a pool counts bytes. Here a *unit* is one granule of 16 bytes: a
-- request of k units is one of 16 k bytes, which a pool grants without slack, and address
-- a in units is 16 a in bytes. So alignment and rounding to granules play no part.
local pool = require "heapwright.pool"

local M = {}

M.UNIT = 16

---@alias theory.Verdict "holds"|"fails"|"shown"|"not run"

---@class theory.Row
---@field policy string
---@field what string what was measured
---@field bound string what theory says of it
---@field seen string
---@field verdict theory.Verdict
---@field control boolean|nil an experiment in which the effect must be absent

---@alias theory.Open fun(choice: heapwright.Choice, units: integer, seed: integer|nil): heapwright.Pool

--- Opens a pool of so many units under a policy.
---@type theory.Open
function M.open(choice, units, seed)
  return assert(pool.new {
    capacity = units * M.UNIT,
    granule = M.UNIT,
    policy = choice.policy,
    order = choice.order,
    seed = choice.order == "random" and seed or nil,
    guard = "off",
    thread_safe = false,
  })
end

--- Ends an experiment's pool; what it says counts only where the pool is sound.
---@param mem heapwright.Pool
---@return integer units up to its highest end of a block ever
function M.finish(mem)
  assert(mem:check())
  local high = mem:stats().high_water // M.UNIT
  mem:close()
  return high
end

--- Is this one of the policies, by address, which is what theory means by the name?
---@param choice heapwright.Choice
---@param names table<string, any>
---@return boolean
function M.is_one_of(choice, names)
  return names[choice.policy] ~= nil and (choice.order or "address") == "address"
end

--- The mean of samples, and its standard error.
---@param samples number[] two at least, independent of each other
---@return number mean
---@return number error
function M.mean(samples)
  local sum, squares = 0.0, 0.0
  for _, sample in ipairs(samples) do sum = sum + sample end
  local mean = sum / #samples
  for _, sample in ipairs(samples) do squares = squares + (sample - mean) ^ 2 end
  return mean, math.sqrt(squares / (#samples - 1) / #samples)
end

--- The verdict on a condition.
---@return theory.Verdict
function M.verdict(holds)
  return holds and "holds" or "fails"
end

--- The smallest capacity from `least` on in which something succeeds: each one is tried.
---@param least integer
---@param most integer
---@param succeeds fun(units: integer): boolean
---@return integer|nil # nil: none up to `most`
function M.smallest(least, most, succeeds)
  for units = least, most do
    if succeeds(units) then return units end
  end
end

return M
