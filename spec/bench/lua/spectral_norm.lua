-- SPDX-License-Identifier: MIT
-- The spectral norm of the matrix a(i, j) = 1 / ((i+j)(i+j+1)/2 + i + 1), by the
-- power method, the matrix computed and never stored. Allocates a few arrays.
-- Argument: the matrix's side.

local side = tonumber((...)) or 500

local function cell(i, j) return 1 / ((i + j) * (i + j + 1) // 2 + i + 1) end

local function multiply(from, to)
  for i = 1, side do
    local sum = 0
    for j = 1, side do sum = sum + cell(i - 1, j - 1) * from[j] end
    to[i] = sum
  end
end

local function multiply_turned(from, to)
  for i = 1, side do
    local sum = 0
    for j = 1, side do sum = sum + cell(j - 1, i - 1) * from[j] end
    to[i] = sum
  end
end

local u, v, between = {}, {}, {}
for i = 1, side do u[i], v[i], between[i] = 1, 0, 0 end
for _ = 1, 10 do
  multiply(u, between)
  multiply_turned(between, v)
  multiply(v, between)
  multiply_turned(between, u)
end
local uv, vv = 0, 0
for i = 1, side do uv, vv = uv + u[i] * v[i], vv + v[i] * v[i] end
return ("%.9f"):format((uv / vv) ^ 0.5)
