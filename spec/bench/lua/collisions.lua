-- SPDX-License-Identifier: MIT
-- Collisions among discs that fly in a box: each step sorts them into the cells
-- of a grid (a table of tables, keyed by the cell), tests neighbours, and lets
-- those that touch bounce. Vectors are small tables, made by every operation.
-- Argument: steps.

local steps = tonumber((...)) or 200
math.randomseed(41, 43)

local DISCS, SIDE, RADIUS, CELL = 900, 100, 0.7, 2

local Vector = {}
Vector.__index = Vector
local function vector(x, y) return setmetatable({ x = x, y = y }, Vector) end
Vector.__add = function(a, b) return vector(a.x + b.x, a.y + b.y) end
Vector.__sub = function(a, b) return vector(a.x - b.x, a.y - b.y) end
Vector.__mul = function(a, factor) return vector(a.x * factor, a.y * factor) end
function Vector:dot(other) return self.x * other.x + self.y * other.y end

local discs = {}
for i = 1, DISCS do
  discs[i] = {
    place = vector(math.random() * SIDE, math.random() * SIDE),
    speed = vector(math.random() * 2 - 1, math.random() * 2 - 1),
    hits = 0,
  }
end

local function key_of(x, y) return x // CELL * 1000 + y // CELL end

local function fill_grid()
  local grid = {}
  for _, disc in ipairs(discs) do
    local key = key_of(disc.place.x, disc.place.y)
    local cell = grid[key]
    if cell then
      cell[#cell + 1] = disc
    else
      grid[key] = { disc }
    end
  end
  return grid
end

local function bounce(a, b)
  local apart = b.place - a.place
  local distance = apart:dot(apart)
  if distance == 0 or distance > 4 * RADIUS * RADIUS then return end
  local closing = (b.speed - a.speed):dot(apart)
  if closing >= 0 then return end
  local push = apart * (closing / distance)
  a.speed, b.speed = a.speed + push, b.speed - push
  a.hits, b.hits = a.hits + 1, b.hits + 1
end

local neighbours = { 0, 1, 1000, 1001, 999 } -- the cell itself, and half of those around it
local function collide(grid)
  for _, disc in ipairs(discs) do
    local key = key_of(disc.place.x, disc.place.y)
    for i = 1, #neighbours do
      for _, other in ipairs(grid[key + neighbours[i]] or {}) do
        if other ~= disc then bounce(disc, other) end
      end
    end
  end
end

local function turn_back(place, speed, axis)
  if place[axis] < 0 then place[axis], speed[axis] = -place[axis], math.abs(speed[axis]) end
  if place[axis] > SIDE then place[axis], speed[axis] = 2 * SIDE - place[axis], -math.abs(speed[axis]) end
end

for _ = 1, steps do
  for _, disc in ipairs(discs) do
    disc.place = disc.place + disc.speed * 0.5
    turn_back(disc.place, disc.speed, "x")
    turn_back(disc.place, disc.speed, "y")
  end
  collide(fill_grid())
end

local hits = 0
for _, disc in ipairs(discs) do hits = hits + disc.hits end
return hits
