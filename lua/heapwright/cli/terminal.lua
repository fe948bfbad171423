-- SPDX-License-Identifier: MIT
-- What is different on a terminal: colours, lines as wide as it is, and a progress line.
local host = require "heapwright.host"
local text = require "heapwright.text"

local M = {}

local CODES = { bold = "1", dim = "2", red = "31", green = "32" }

local WIDTH, NARROWEST, WIDEST = 80, 24, 1000 -- columns

--- Can what stands on standard output be written over?
M.can_redraw = host.is_terminal "stdout" and os.getenv "TERM" ~= "dumb"

--- May there be colours on standard output?
M.coloured = M.can_redraw and (os.getenv "NO_COLOR" or "") == ""

--- The columns of the terminal that standard output is, those that COLUMNS tells where it is none, or 80.
---@return integer
function M.width()
  local columns = host.terminal_size "stdout" or math.tointeger(tonumber(os.getenv "COLUMNS" or "")) or WIDTH
  if columns < 1 then columns = WIDTH end
  return math.max(NARROWEST, math.min(WIDEST, columns))
end

--- The text in a colour, where standard output is a terminal and NO_COLOR is not set.
---@param line string
---@param colour "bold"|"dim"|"red"|"green"
---@return string
function M.paint(line, colour)
  if not M.coloured then return line end
  return ("\27[%sm%s\27[0m"):format(CODES[colour], line)
end

--- A function to call with what is done and what there is to do. It draws a
--- line on standard error, where that is a terminal, once a second has passed.
--- Called with nothing it removes the line.
---@param label string
---@return fun(done: number|nil, total: number|nil)
function M.progress(label)
  if not host.is_terminal "stderr" then return function() end end
  local began, drawn = host.now(), nil
  return function(done, total)
    if not done then
      if drawn then io.stderr:write "\r\27[K" end
      drawn = nil
      return
    end
    local now = host.now()
    if now - began < 1 or now - (drawn or 0) < 0.1 then return end
    drawn = now
    local share = total > 0 and done / total or 0
    local line = ("%s: %3.0f %%, %s so far"):format(label, share * 100, text.duration((now - began) * 1e9))
    io.stderr:write("\r", line:sub(1, (host.terminal_size "stderr" or WIDTH) - 1), "\27[K")
    io.stderr:flush()
  end
end

return M
