-- SPDX-License-Identifier: MIT
-- A picture of a pool in rows of cells, each so many bytes: how much of a cell lies in live
-- blocks, and whether blocks begin in it.
--
--    0x0000 ########################################:.......................
--   0x10000 =====#..........................................................
--
-- In plain ASCII a character tells a cell's share in six levels. In 256 colours its background
-- does, from dark over blue and grey to yellow: lightness rises all along, and the hues
-- differ to the colour-blind too. A bar at a cell's left edge says that blocks begin in it.
-- What is live is what was granted. A block in quarantine is not live.
--
-- Measuring is O(blocks + cells), and allocates in the Lua state, but never in the pool.
local M = {}

local CELL_LEAST = 16 -- bytes: a granule, unless the pool has another
local ROWS = 12 -- at most, unless told
local COLUMNS_STEP, COLUMNS_LEAST, COLUMNS_MOST = 16, 8, 256

-- By level: free, up to a quarter, a half, three quarters, less than all, all live.
local CHARACTERS = { ".", ":", "-", "=", "+", "#" }
local BACKGROUNDS = { 235, 24, 67, 145, 186, 227 }
local BARS = { 244, 74, 153, 240, 100, 136 } -- the bars' colours: to be seen, and not to be louder than the cells
local NO_BAR, ONE_BEGINS, MORE_BEGIN = " ", "▏", "▎"

---@class heapwright.CellScale
---@field capacity integer
---@field cell integer bytes of a cell
---@field columns integer cells of a row
---@field rows integer
---@field label integer characters of an address before a row

local function digits_of(capacity) return #("%x"):format(math.max(capacity - 1, 0)) end

--- How a pool of this capacity is laid out in lines of at most `width` characters: cells of
--- a power of two of bytes, as small as fit into the rows.
---@param capacity integer
---@param width integer
---@param most_rows integer|nil
---@return heapwright.CellScale
function M.scale(capacity, width, most_rows)
  local label = digits_of(capacity) + 3 -- a blank, 0x
  local room = (width - label - 1) // COLUMNS_STEP * COLUMNS_STEP
  local columns = math.max(COLUMNS_LEAST, math.min(COLUMNS_MOST, room))
  local rows, cell = math.max(1, most_rows or ROWS), CELL_LEAST
  while (capacity - 1) // cell + 1 > columns * rows do cell = cell * 2 end
  rows = (capacity - 1) // (cell * columns) + 1
  return { capacity = capacity, cell = cell, columns = columns, rows = rows, label = label }
end

--- The whole pool in one row.
---@param capacity integer
---@param columns integer
---@return heapwright.CellScale
function M.strip(capacity, columns)
  return { capacity = capacity, cell = (capacity - 1) // columns + 1, columns = columns, rows = 1, label = 0 }
end

---@class heapwright.Cells
---@field scale heapwright.CellScale
---@field live integer[] bytes of each cell in live blocks
---@field begins integer[] blocks that begin in each

-- Adds a live block's bytes to the cells that it lies in.
local function add(live, cell, first, last, at, size)
  if first == last then
    live[first] = live[first] + size
    return
  end
  live[first] = live[first] + first * cell - at
  for i = first + 1, last - 1 do live[i] = cell end
  live[last] = live[last] + at + size - (last - 1) * cell
end

--- Measures a pool.
---@param mem heapwright.Pool
---@param scale heapwright.CellScale
---@return heapwright.Cells
function M.measure(mem, scale)
  local cell, count = scale.cell, scale.rows * scale.columns
  local live, begins, reached = {}, {}, -1
  for i = 1, count do live[i], begins[i] = 0, 0 end
  for at, size, requested in mem:blocks() do
    local first, last = at // cell + 1, (at + size - 1) // cell + 1
    if at <= reached or last > count then break end -- of a pool that is not sound
    reached = at
    begins[first] = begins[first] + 1
    if requested then add(live, cell, first, last, at, size) end
  end
  return { scale = scale, live = live, begins = begins }
end

-- Of a cell, 1 … 6; nil where it lies past the pool's end.
local function level(cells, i)
  local scale = cells.scale
  local bytes = math.min(scale.cell, scale.capacity - (i - 1) * scale.cell)
  if bytes <= 0 then return nil end
  local live = cells.live[i]
  if live == 0 then return 1 end
  if live >= bytes then return 6 end
  return 2 + live * 4 // bytes
end

local function plain_row(cells, first, last)
  local row = {}
  for i = first, last do row[#row + 1] = CHARACTERS[level(cells, i)] end
  return table.concat(row)
end

local function paint(of) return ("\27[38;5;%d;48;5;%dm"):format(BARS[of], BACKGROUNDS[of]) end

local function coloured_row(cells, first, last)
  local row, before = {}, nil
  for i = first, last do
    local of = level(cells, i)
    if not of then break end
    if of ~= before then row[#row + 1] = paint(of) end
    before = of
    local begins = cells.begins[i]
    row[#row + 1] = begins == 0 and NO_BAR or begins == 1 and ONE_BEGINS or MORE_BEGIN
  end
  row[#row + 1] = "\27[0m"
  return table.concat(row)
end

--- The picture's lines, each with its address where the scale has room for one.
---@param cells heapwright.Cells
---@param coloured boolean in 256 colours
---@return string[]
function M.draw(cells, coloured)
  local scale, lines = cells.scale, {}
  for row = 1, scale.rows do
    local first = (row - 1) * scale.columns + 1
    local picture = (coloured and coloured_row or plain_row)(cells, first, first + scale.columns - 1)
    local address = ("0x%x"):format((first - 1) * scale.cell)
    lines[row] = scale.label == 0 and picture or (" "):rep(scale.label - #address) .. address .. " " .. picture
  end
  return lines
end

--- What the levels mean.
---@param coloured boolean
---@return string
function M.legend(coloured)
  if not coloured then
    return "Of a cell is live: . none, : below 1/4, - below 1/2, = below 3/4, + more, # all."
  end
  local swatches = {}
  for of = 1, #BACKGROUNDS do swatches[of] = paint(of) .. "  " end
  return ("Of a cell is live: nothing %s\27[0m all; %s a block begins in it, %s several."):format(
    table.concat(swatches), ONE_BEGINS, MORE_BEGIN)
end

return M
