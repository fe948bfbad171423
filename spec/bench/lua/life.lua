-- SPDX-License-Identifier: MIT
-- The game of life on rows that are strings: a generation is new rows, each put
-- together from tables of one-character pieces; printed boards are kept a while.
-- Argument: generations.

local generations = tonumber((...)) or 220

local WIDTH, HEIGHT, KEPT = 72, 40, 30

local function first_rows()
  local rows, state = {}, 12345
  for y = 1, HEIGHT do
    local cells = {}
    for x = 1, WIDTH do
      state = (state * 1103515245 + 12345) % 2147483648
      cells[x] = state // 65536 % 3 == 0 and "#" or "."
    end
    rows[y] = table.concat(cells)
  end
  return rows
end

local function alive(row, x) return row:sub(x, x) == "#" and 1 or 0 end

local function neighbours(rows, x, y)
  local left, right = (x - 2) % WIDTH + 1, x % WIDTH + 1
  local above, row, below = rows[(y - 2) % HEIGHT + 1], rows[y], rows[y % HEIGHT + 1]
  return alive(above, left) + alive(above, x) + alive(above, right) + alive(row, left) + alive(row, right)
    + alive(below, left) + alive(below, x) + alive(below, right)
end

local function step(rows)
  local after = {}
  for y = 1, HEIGHT do
    local cells = {}
    for x = 1, WIDTH do
      local count = neighbours(rows, x, y)
      cells[#cells + 1] = (count == 3 or count == 2 and alive(rows[y], x) == 1) and "#" or "."
    end
    after[y] = table.concat(cells)
  end
  return after
end

local rows, boards, sum = first_rows(), {}, 0
for generation = 1, generations do
  rows = step(rows)
  local board = table.concat(rows, "\n")
  boards[generation % KEPT + 1] = board
  local _, living = board:gsub("#", "")
  sum = (sum * 31 + living) % 2147483647
end
return sum + #boards
