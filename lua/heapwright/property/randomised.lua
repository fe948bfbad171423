-- SPDX-License-Identifier: MIT
-- Order "random" of the model, as core/policy/randomised.c states it: what chance says
-- follows from the pool's seed and from how many placements there were.

local M = {}

local LOW <const> = 0xffffffff

-- The n-th 64 bits of the seed: SplitMix64.
local function bits(seed, n)
  local z = seed + (n + 1) * 0x9e3779b97f4a7c15
  z = (z ~ z >> 30) * 0xbf58476d1ce4e5b9
  z = (z ~ z >> 27) * 0x94d049bb133111eb
  return z ~ z >> 31
end

-- What the placement to come draws.
local function drawn(model) return bits(model.seed, model.placements + 1) end

--- How far a free block's rank lies ahead of the rank that is drawn, on the circle of all
--- ranks; of equals the nearest is taken.
---@param model table
---@param block {at: integer}
---@return integer
function M.ahead(model, block)
  local key = bits(model.seed, 0)
  local rank = (block.at // model.granule ~ key) & LOW
  rank = ((rank ~ rank >> 16) * 0x85ebca6b & LOW) ~ key >> 32
  rank = (rank ~ rank >> 13) * 0xc2b2ae35 & LOW
  rank = rank ~ rank >> 16
  return rank - (drawn(model) >> 32) & LOW
end

--- In an empty pool, one of the places from the lowest one, `at`, on.
---@param model table
---@param at integer
---@param size integer
---@param alignment integer
---@return integer
function M.place(model, at, size, alignment)
  local places = (model.capacity - size - at) // alignment + 1
  return at + ((drawn(model) & LOW) * places >> 32) * alignment
end

return M
