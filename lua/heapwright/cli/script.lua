-- SPDX-License-Identifier: MIT
-- Scripts that run as the stand-alone interpreter runs them: where the command's
-- own arguments end and the script's begin, and how a script's failure is told.
local text = require "heapwright.text"

local M = {}

--- The arguments for the parser: with "--" before the script's name, so that
--- whatever follows it, options too, is the script's. As they are where no script
--- is named, or where "--" stands there already.
---@param arguments string[] with the program's name at 0, the verb at 1
---@param with_value table<string, boolean> the verb's options that take the next argument
---@return string[]
function M.shield(arguments, with_value)
  local at = 2
  while arguments[at] and arguments[at]:find "^%-." do
    if arguments[at] == "--" then return arguments end
    at = at + (with_value[arguments[at]] and 2 or 1)
  end
  if not arguments[at] then return arguments end
  local shielded = table.move(arguments, 0, at - 1, 0, {})
  shielded[at] = "--"
  return table.move(arguments, at, #arguments, at + 1, shielded)
end

local function bytes(n)
  return n < 1024 and text.size(n) or ("%s (%s bytes)"):format((text.size(n):gsub("%.0+ ", " ")), text.integer(n))
end

local EXHAUSTED = "not enough memory" -- what Lua itself says, and no more

-- The same in figures.
local function explain(refusal)
  local what = refusal.what == "limit" and "limit of %s reached, %s in use, %s more wanted"
    or "pool of %s is full, %s in use, %s more wanted"
  return (EXHAUSTED .. ": " .. what):format(bytes(refusal.bound), text.integer(refusal.in_use),
    text.integer(refusal.size))
end

--- Tells on standard error why a script ended.
---@param message string
---@param refusal table|nil the last request for memory that was refused: see lua/bounded.c
function M.failed(message, refusal)
  local first, rest = message:match "^([^\n]*)(.*)$"
  if refusal and first:sub(-#EXHAUSTED) == EXHAUSTED then
    message = first:sub(1, -#EXHAUSTED - 1) .. explain(refusal) .. rest
  end
  io.stderr:write("heapwright: ", message, "\n")
end

return M
