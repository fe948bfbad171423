-- SPDX-License-Identifier: MIT
-- Counting substrings: every piece of 1, 2, 4, 8 and 12 letters of a long random
-- text is a key of a table of counts. Many strings, and tables that rehash as
-- they grow to tens of thousands of keys.
-- Argument: the text's length.

local length = tonumber((...)) or 210000
math.randomseed(47, 53)

local letters = {}
for i = 1, length do
  local which = math.random(4)
  letters[i] = ("acgt"):sub(which, which)
end
local text = table.concat(letters)

local function count(size)
  local counts = {}
  for at = 1, #text - size + 1 do
    local piece = text:sub(at, at + size - 1)
    counts[piece] = (counts[piece] or 0) + 1
  end
  return counts
end

-- Independent of the order of the keys.
local function summarise(counts)
  local kinds, squares = 0, 0
  for _, times in pairs(counts) do kinds, squares = kinds + 1, squares + times * times end
  return kinds, squares
end

local sum = 0
local all = {}
for i, size in ipairs { 1, 2, 4, 8, 12 } do
  all[i] = count(size)
  local kinds, squares = summarise(all[i])
  sum = (sum * 31 + kinds * 7 + squares) % 2147483647
end
local common = {}
for piece, times in pairs(all[3]) do
  if times > length // 300 then common[#common + 1] = piece .. "=" .. times end
end
table.sort(common)
return ("%d %d %s"):format(sum, #common, common[1] or "")
