-- SPDX-License-Identifier: MIT
-- Text that grows: strings joined one by one, pieces collected and concatenated,
-- string.rep, string.format. Strings of all lengths, and luaL_Buffers that double.
-- Argument: rounds.

local rounds = tonumber((...)) or 180

local function grow_by_joining(steps)
  local text = ""
  for i = 1, steps do text = text .. "piece " .. i .. ";" end
  return text
end

local function collect(steps)
  local pieces = {}
  for i = 1, steps do pieces[#pieces + 1] = ("%d=%x"):format(i, i * i) end
  return table.concat(pieces, ", ")
end

local function replace(text) return (text:gsub("%d+", function(digits) return "<" .. digits .. ">" end)) end

local sum = 0
for round = 1, rounds do
  local joined = grow_by_joining(150 + round % 7)
  local list = collect(2000)
  local marked = replace(list)
  local padded = ("-"):rep(round * 20) .. marked:upper() .. joined:reverse()
  local lines = {}
  for line in padded:gmatch "[^,]+" do lines[#lines + 1] = line end
  sum = (sum * 31 + #joined + #marked + #padded + #lines + padded:byte(#padded // 2)) % 2147483647
end
return sum
