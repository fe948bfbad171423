-- SPDX-License-Identifier: MIT
-- The sieve of Eratosthenes, over and over in one array.
-- Argument: how often.

local times = tonumber((...)) or 130

local MOST = 150000

local composite, count = {}, 0
for i = 1, MOST do composite[i] = false end
for _ = 1, times do
  for i = 1, MOST do composite[i] = false end
  count = 0
  for i = 2, MOST do
    if not composite[i] then
      count = count + 1
      for j = i * i, MOST, i do composite[j] = true end
    end
  end
end
return count
