-- SPDX-License-Identifier: MIT
-- The Mandelbrot set, counted point by point: arithmetic alone.
-- Argument: points a side.

local side = tonumber((...)) or 800

local inside, sum = 0, 0
for row = 0, side - 1 do
  local ci = 2 * row / side - 1
  for column = 0, side - 1 do
    local cr = 2 * column / side - 1.5
    local zr, zi, steps = 0, 0, 0
    while steps < 50 and zr * zr + zi * zi <= 4 do
      zr, zi = zr * zr - zi * zi + cr, 2 * zr * zi + ci
      steps = steps + 1
    end
    if steps == 50 then inside = inside + 1 end
    sum = (sum * 31 + steps) % 2147483647
  end
end
return ("%d %d"):format(inside, sum)
