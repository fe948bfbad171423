-- SPDX-License-Identifier: MIT
-- Figures and tables as people read them.
local M = {}

local UNITS = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" }

--- A size in bytes with three digits or so: 96 B, 1.25 KiB, 12.5 MiB.
---@param bytes integer
---@return string
function M.size(bytes)
  if bytes < 1024 then return ("%d B"):format(bytes) end
  local value, unit = bytes, 0
  while value >= 1023.5 and unit < #UNITS do
    value, unit = value / 1024, unit + 1
  end
  local digits = value < 9.995 and 2 or value < 99.95 and 1 or 0
  return ("%.*f %s"):gsub("%*", digits):format(value, UNITS[unit])
end

--- An integer with its thousands apart: 1,234,567.
---@param n integer
---@return string
function M.integer(n)
  local grouped = ("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (grouped:gsub("^(%-?),", "%1"))
end

--- A number of things: 1 event, 2,000 events.
---@param n integer
---@param thing string its plural is with an s
---@return string
function M.counted(n, thing)
  return ("%s %s%s"):format(M.integer(n), thing, n == 1 and "" or "s")
end

--- A count in little room: 950, 12.3k, 4.56M.
---@param n number
---@return string
function M.count(n)
  if n < 999.5 then return ("%.0f"):format(n) end
  for _, step in ipairs { { 1e3, "k" }, { 1e6, "M" }, { 1e9, "G" } } do
    local value = n / step[1]
    if value < 999.5 or step[2] == "G" then
      return ("%.*f%s"):gsub("%*", value < 9.995 and 2 or value < 99.95 and 1 or 0):format(value, step[2])
    end
  end
end

--- A fraction in percent: 1.2%.
---@param fraction number
---@return string
function M.percent(fraction)
  return ("%.1f%%"):format(fraction * 100)
end

local BARS, PLAIN_BARS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }, { "_", ".", ":", "-", "=", "+", "*", "#" }

--- A curve in one line, a character a value: ▁▂▃▄▅▆▇█, or _.:-=+*# where it has to be plain.
---@param values number[] each from 0 to `most`
---@param most number
---@param plain boolean|nil
---@return string
function M.sparkline(values, most, plain)
  local bars, line = plain and PLAIN_BARS or BARS, {}
  for i, value in ipairs(values) do
    local share = most > 0 and value / most or 0
    line[i] = bars[math.max(1, math.min(#bars, math.ceil(share * #bars)))]
  end
  return table.concat(line)
end

--- A duration: 850 ns, 1.2 µs, 15 ms, 2.1 s.
---@param nanoseconds number
---@return string
function M.duration(nanoseconds)
  for _, step in ipairs { { 1, "ns" }, { 1e3, "µs" }, { 1e6, "ms" }, { 1e9, "s" } } do
    local value = nanoseconds / step[1]
    if value < 999.5 or step[2] == "s" then
      return (value < 99.95 and step[1] > 1 and "%.1f %s" or "%.0f %s"):format(value, step[2])
    end
  end
end

--- Characters, of text in UTF-8 without anything that takes no room.
---@param text string
---@return integer
function M.width(text)
  return utf8.len(text) or #text
end

---@class heapwright.Column
---@field title string
---@field over string|nil a line above the title; neighbours that have the same share it
---@field left boolean|nil text, which stands left; figures stand right

local GAP = 2

local function pad(text, width, left)
  local blanks = (" "):rep(width - M.width(text))
  return left and text .. blanks or blanks .. text
end

local function join(cells)
  return (table.concat(cells, (" "):rep(GAP)):gsub("%s+$", ""))
end

local function column_widths(columns, rows)
  local widths = {}
  for i, column in ipairs(columns) do
    widths[i] = M.width(column.title)
    for _, row in ipairs(rows) do
      widths[i] = math.max(widths[i], M.width(row[i]))
    end
  end
  return widths
end

-- The line above the titles, nil where no column has one. Widens what it spans where it must.
local function line_over(columns, widths)
  local cells, any, i = {}, false, 1
  while i <= #columns do
    local over, last, span = columns[i].over or "", i, widths[i]
    while over ~= "" and last < #columns and columns[last + 1].over == over do
      last = last + 1
      span = span + GAP + widths[last]
    end
    local missing = M.width(over) - span
    if missing > 0 then
      widths[i], span = widths[i] + missing, span + missing
    end
    cells[#cells + 1] = pad(over, span, columns[i].left)
    any, i = any or over ~= "", last + 1
  end
  return any and join(cells) or nil
end

--- A table in columns two blanks apart, its lines in a list.
---@param columns heapwright.Column[]
---@param rows string[][]
---@param style (fun(line: string, row: integer): string)|nil decorates a line; row 0 is the title
---@return string[]
function M.table(columns, rows, style)
  local widths, lines = column_widths(columns, rows), {}
  local function add(line, number)
    lines[#lines + 1] = style and style(line, number) or line
  end
  local function cells_of(of)
    local cells = {}
    for i, column in ipairs(columns) do
      cells[i] = pad(of(i, column), widths[i], column.left)
    end
    return join(cells)
  end
  local over = line_over(columns, widths)
  if over then add(over, 0) end
  add(cells_of(function(_, column) return column.title end), 0)
  for number, row in ipairs(rows) do
    add(cells_of(function(i) return row[i] end), number)
  end
  return lines
end

--- Text in lines of at most `width` characters.
---@param text string
---@param width integer
---@param first string|nil what the first line begins with; the others begin as far to the right
---@return string
function M.wrap(text, width, first)
  local line = first or ""
  local indent = (" "):rep(M.width(line))
  local lines, words = {}, 0
  for word in text:gmatch "%S+" do
    if words > 0 and M.width(line) + 1 + M.width(word) > width then
      lines[#lines + 1] = line
      line, words = indent, 0
    end
    line = line .. (words > 0 and " " or "") .. word
    words = words + 1
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

return M
