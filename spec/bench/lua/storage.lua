-- SPDX-License-Identifier: MIT
-- A store of nested tables of random shape: arrays, records, and arrays of
-- arrays, of which a part is dropped and grown anew each round.
-- Argument: rounds.

local rounds = tonumber((...)) or 12
math.randomseed(31, 37)

local BRANCHES, FIELDS = 48, { "first", "second", "third", "fourth", "fifth", "sixth", "seventh" }

local function grow(depth)
  local node = {}
  if depth == 0 then
    for i = 1, math.random(0, 6) do node[i] = i * depth + math.random(9) end
  elseif math.random(3) == 1 then
    for i = 1, math.random(#FIELDS) do node[FIELDS[i]] = grow(depth - 1) end
    node.size = depth
  else
    for i = 1, math.random(2, 7) do node[i] = grow(depth - 1) end
  end
  return node
end

local function measure(node)
  local size = 1 + #node
  for i = 1, #node do
    if type(node[i]) == "table" then size = size + measure(node[i]) end
  end
  for i = 1, #FIELDS do
    local field = node[FIELDS[i]]
    if field then size = size + measure(field) end
  end
  return size
end

local store, sum = {}, 0
for i = 1, BRANCHES do store[i] = grow(5) end
for round = 1, rounds do
  for _ = 1, BRANCHES // 4 do store[math.random(BRANCHES)] = grow(5) end
  for i = 1 + round % 8, BRANCHES, 8 do sum = (sum * 31 + measure(store[i])) % 2147483647 end
end
return sum
