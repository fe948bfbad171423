-- SPDX-License-Identifier: MIT
-- Arrays that grow one by one, to many sizes: what a table's array part costs
-- when it is doubled and moved. Some are kept, some appended to each other, some
-- are rows of a matrix.
-- Argument: rounds.

local rounds = tonumber((...)) or 75

local function fill(count, seed)
  local array = {}
  for i = 1, count do array[i] = (i * seed) % 1009 end
  return array
end

local function append(to, from)
  for i = 1, #from do to[#to + 1] = from[i] end
end

local function transpose(matrix)
  local turned = {}
  for x = 1, #matrix[1] do
    local row = {}
    for y = 1, #matrix do row[y] = matrix[y][x] end
    turned[x] = row
  end
  return turned
end

local kept, sum = {}, 0
for round = 1, rounds do
  local long = fill(60000 + round * 1000, round)
  local tail = {}
  for size = 1, 300 do append(tail, fill(size % 50 + round, size)) end
  append(long, tail)
  local matrix = {}
  for y = 1, 120 do matrix[y] = fill(160 + y % 3, y + round) end
  local turned = transpose(matrix)
  kept[round % 4 + 1] = { long, table.pack(table.unpack(tail, 1, 200)), turned }
  sum = (sum * 31 + #long + long[#long // 2] + turned[100][100] + #tail) % 2147483647
end
for i = 1, #kept do sum = sum + #kept[i][1] end
return sum
