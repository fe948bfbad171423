-- SPDX-License-Identifier: MIT
-- Scenario files: how the command reads them.
local fault = require "heapwright.cli.fault"
local options = require "heapwright.cli.options"
local scenario = require "heapwright.scenario"

local M = {}

--- Compiles a file; the command ends where it does not compile.
---@param path string
---@return function chunk
function M.load(path)
  options.readable(path)
  return fault.check(loadfile(path, "t"))
end

-- Frames below the script's own are the command's business.
local function traceback(message)
  if type(message) ~= "string" then message = ("(error object: %s)"):format(tostring(message)) end
  local trace = debug.traceback(message, 2):gsub("\n\t%[C%]: in function 'xpcall'.*", "")
  return trace
end

-- A scenario that was described wrongly ends the command: it is wrong usage, not
-- a run that broke, so its line is enough. What raised stands on level 4, above
-- this handler, error and the helper in define.
local function explain(message)
  local raiser = debug.getinfo(4, "f")
  if raiser and raiser.func == scenario.define then return { misuse = message } end
  return traceback(message)
end

--- Runs a compiled file, and takes the scenarios that it returns: one, a list, or none.
---@param path string
---@param chunk function
---@return heapwright.Scenario[]|nil
---@return string|nil raised the traceback, where it raised
function M.open(path, chunk)
  arg = { [0] = path } -- luacheck: globals arg
  heapwright = require "heapwright" -- luacheck: globals heapwright
  local ok, value = xpcall(chunk, explain, path)
  if not ok then
    if type(value) == "table" then fault.raise("%s", value.misuse) end
    return nil, value
  end
  if value == nil then return {} end
  local list = scenario.is_scenario(value) and { value } or value
  if type(list) ~= "table" then
    fault.raise("%s: returns a %s; a scenario file returns heapwright.scenario { … }", path, type(value))
  end
  for i = 1, math.max(1, #list) do
    if not scenario.is_scenario(list[i]) then
      fault.raise("%s: returns a table that is no scenario; wrap it in heapwright.scenario { … }", path)
    end
  end
  return list
end

M.traceback = traceback

return M
