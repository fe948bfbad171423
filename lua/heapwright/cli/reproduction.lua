-- SPDX-License-Identifier: MIT
-- A recording that fails, as a file that shows it: a scenario to be run with heapwright
-- run, each event a line of it that asserts that the pool grants what is asked for; or
-- a trace.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local text = require "heapwright.text"
local traces = require "heapwright.traces"

local M = {}

-- The lines of a script for the lines of a text trace, which are ours.
local CALLS = {
  a = function(id, size, alignment)
    if not alignment then return ("b[%s] = assert(mem:alloc(%s))"):format(id, size) end
    return ("b[%s] = assert(mem:aligned_alloc(%s, %s))"):format(id, alignment, size)
  end,
  r = function(id, size) return ("b[%s] = assert(mem:realloc(b[%s], %s))"):format(id, id, size) end,
  f = function(id) return ("assert(mem:free(b[%s]))"):format(id) end,
}

local function quote(word)
  if word:find "^[%w_./,=+:@%%-]+$" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- What `heapwright run` is to be called with.
---@param d table
---@return string
function M.arguments(d)
  return quote(d.output or "FILE") .. (d.random and (" --seed %d"):format(d.seed) or "")
end

-- What opens the script: where it comes from, and how to run it.
local function head(d)
  local from = ("%s under %s in %s bytes, made smaller by heapwright minimize: %s of %s. "
    .. "The last request is refused."):format(d.name, d.policy, text.integer(d.capacity), text.integer(d.blocks),
    text.counted(d.blocks_before, "block"))
  local lines = text.wrap(from:gsub("%c", "?"), 80, "-- "):gsub("\n   ", "\n-- ")
  return lines .. "\n--   heapwright run " .. M.arguments(d):gsub("%c", "?")
end

-- The scenario's text, in pieces.
local function script(trace, d)
  local lines = {
    head(d), 'local heapwright = require "heapwright"', "", "return heapwright.scenario {",
    ("  name = %s,"):format(("%q"):format(d.name .. ", minimized"):gsub("\\\n", "\\n")),
    ("  capacity = %d,"):format(d.capacity), ("  policy = %q,"):format(d.policy),
  }
  if d.granule ~= 16 then lines[#lines + 1] = ("  granule = %d,"):format(d.granule) end
  -- Without a guard a pool does not know which blocks asked for an alignment, and keeps that of others too.
  if trace:find "a %d+ %d+ %d" and trace:find "r %d" then lines[#lines + 1] = '  guard = "off", -- as in a replay' end
  lines[#lines + 1] = "  run = function(mem)"
  lines[#lines + 1] = "    local b = {}"
  for kind, id, size, alignment in trace:gmatch "(%a) (%d+) ?(%d*) ?(%d*)\n" do
    lines[#lines + 1] = "    " .. CALLS[kind](id, size, alignment ~= "" and alignment or nil)
  end
  lines[#lines] = lines[#lines] .. " -- refused"
  lines[#lines + 1] = "  end,\n}\n"
  return table.concat(lines, "\n")
end

-- Writes a file beside the old one, which it replaces once it is whole; or what is no file, as it is.
local function write_file(path, content)
  local part = path
  if host.kind(path) == nil or host.kind(path) == "file" then
    part = path .. ".part"
    host.converts_to(path)
  end
  local file, why = io.open(part, "wb")
  if not file then fault.raise("%s", why) end
  local written
  written, why = file:write(content)
  local closed, why_not = file:close()
  if not written or not closed then
    if part ~= path then os.remove(part) end
    fault.raise("%s: %s", path, why or why_not)
  end
  if part ~= path then fault.check(os.rename(part, path)) end
end

--- Writes what was found.
---@param path string|nil a trace where its name ends in .txt or .hwt; nil: a script, to standard output
---@param trace string its text
---@param d table what is known of it
function M.write(path, trace, d)
  if not path then
    io.write(script(trace, d))
  elseif path:match "%.txt$" then
    write_file(path, trace)
  elseif path:match "%.hwt$" then
    local temporary = fault.check(host.temporary ".txt")
    write_file(temporary, trace)
    host.converts_to(path)
    fault.check(traces.convert(temporary, path, "binary"))
    os.remove(temporary)
  else
    write_file(path, script(trace, d))
  end
end

return M
