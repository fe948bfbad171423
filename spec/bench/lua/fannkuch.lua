-- SPDX-License-Identifier: MIT
-- Pancakes: for every permutation of 1 ... n, how often its first so many items
-- have to be turned over until 1 is in front. In three arrays, in place.
-- Argument: n.

local n = tonumber((...)) or 9

local order, turned, counts = {}, {}, {}
for i = 1, n do order[i], turned[i], counts[i] = i, i, 0 end

local function count_flips()
  for i = 1, n do turned[i] = order[i] end
  local flips, first = 0, turned[1]
  while first ~= 1 do
    local low, high = 1, first
    while low < high do
      turned[low], turned[high] = turned[high], turned[low]
      low, high = low + 1, high - 1
    end
    flips, first = flips + 1, turned[1]
  end
  return flips
end

-- The next permutation by rotating ever longer prefixes; false after the last.
local function advance()
  for size = 2, n do
    local first = order[1]
    for i = 1, size - 1 do order[i] = order[i + 1] end
    order[size] = first
    counts[size] = counts[size] + 1
    if counts[size] < size then return true end
    counts[size] = 0
  end
  return false
end

local most, sum, number = 0, 0, 0
repeat
  local flips = count_flips()
  if flips > most then most = flips end
  sum = sum + (number % 2 == 0 and flips or -flips)
  number = number + 1
until not advance()
return ("%d %d"):format(most, sum)
