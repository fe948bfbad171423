-- SPDX-License-Identifier: MIT
-- The cells of a sweep: every combination of what its axes hold, numbered from 1. The
-- product is never made: a number is taken apart into places on the axes, the last of
-- which turns fastest.
local M = {}

local AXES = { "sources", "seeds", "policies", "granules", "pools" }
local NAMES = { sources = "source", seeds = "seed", policies = "policy", granules = "granule", pools = "pool" }

---@class cli.Cells
---@field axes table<string, any[]> names, as in keys; seeds may be { from =, to = }
local Cells = {}
Cells.__index = Cells

-- How many, as a float where there are more than integers count.
local function length(axis)
  if axis.from then return axis.to - axis.from + 1.0 end
  return #axis
end

---@param axes table<string, any[]>
---@return cli.Cells
function M.new(axes)
  return setmetatable({ axes = axes }, Cells)
end

--- How many there are: 2 × 8 × 100 = 1600, as text, and the number, a float where it is vast.
---@return number count
---@return string factors
function Cells:count()
  local count, factors = 1.0, {}
  for i, name in ipairs(AXES) do
    local n = length(self.axes[name])
    count = count * n
    factors[i] = ("%.0f %s"):format(n, n == 1 and NAMES[name] or name)
  end
  return math.tointeger(count) or count, table.concat(factors, " × ")
end

--- Cell `number`: its places on the axes, and what stands there.
---@param number integer from 1
---@return table<string, integer> places
---@return table<string, any> key source, seed, policy, granule, pool
function Cells:at(number)
  local left, places, key = number - 1, {}, {}
  for i = #AXES, 1, -1 do
    local name = AXES[i]
    local axis = self.axes[name]
    local n = math.tointeger(length(axis))
    local place = left % n
    left = left // n
    places[name] = place + 1
    key[NAMES[name]] = axis.from and axis.from + place or axis[place + 1]
  end
  return places, key
end

--- A cell in words: app.hwt, seed 1, best-fit, granule 16, pool 65536.
---@param number integer
---@return string
function Cells:name(number)
  local _, key = self:at(number)
  return ("%s, seed %d, %s, granule %d, pool %s"):format(key.source, key.seed, key.policy, key.granule, key.pool)
end

return M
