-- SPDX-License-Identifier: MIT
-- What is different on a terminal: colours, and a progress line.
local host = require "heapwright.host"
local text = require "heapwright.text"

local M = {}

local CODES = { bold = "1", dim = "2", red = "31", green = "32" }

local coloured = host.is_terminal "stdout"
  and (os.getenv "NO_COLOR" or "") == ""
  and os.getenv "TERM" ~= "dumb"

--- The text in a colour, where standard output is a terminal and NO_COLOR is not set.
---@param line string
---@param colour "bold"|"dim"|"red"|"green"
---@return string
function M.paint(line, colour)
  if not coloured then return line end
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
    io.stderr:write("\r", line:sub(1, (host.columns() or 80) - 1), "\27[K")
    io.stderr:flush()
  end
end

return M
