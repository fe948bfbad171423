-- SPDX-License-Identifier: MIT
-- Scenario files: how the command reads them.
local fault = require "heapwright.cli.fault"
local options = require "heapwright.cli.options"
local scenario = require "heapwright.scenario"
local sweep = require "heapwright.sweep"

local M = {}

---@class cli.Script a file that was read, once: it may be a pipe
---@field file string
---@field text string
---@field chunk function

--- Reads and compiles a file; the command ends where it can't be read or does not compile.
---@param path string
---@return cli.Script
function M.load(path)
  options.readable(path)
  local file <close> = fault.check(io.open(path, "rb"))
  local text = fault.check(file:read "a")
  text = text:gsub("^\xef\xbb\xbf", ""):gsub("^#[^\n]*", "") -- what loadfile leaves out as well
  return { file = path, text = text, chunk = fault.check(load(text, "@" .. path, "t")) }
end

-- A scenario or sweep that was described wrongly ends the command: it is wrong usage, not
-- a run that broke, so its line is enough. What raised stands on level 4, above
-- this handler, error and the helper in define.
local function explain(message)
  local raiser = debug.getinfo(4, "f")
  if raiser and (raiser.func == scenario.define or raiser.func == sweep.define) then return { misuse = message } end
  return scenario.traceback(message)
end

-- What os.exit is from a script's start on: it would end the command before its verdict, well or not.
local function refuse_exit()
  error("os.exit: a scenario can't end the command; raise an error to fail", 2)
end

--- Runs a compiled file. The command ends where it describes a scenario or a sweep wrongly.
---@param script cli.Script
---@return boolean ok
---@return any what it returned, or the traceback where it raised
function M.evaluate(script)
  local path = script.file
  arg = { [0] = path } -- luacheck: globals arg
  heapwright = require "heapwright" -- luacheck: globals heapwright
  os.exit = refuse_exit -- luacheck: ignore 122
  local ok, value = xpcall(script.chunk, explain, path)
  if not ok and type(value) == "table" then fault.raise("%s", value.misuse) end
  return ok, value
end

--- Runs a compiled file, and takes the scenarios that it returns: one, a list, or none.
---@param script cli.Script
---@return heapwright.Scenario[]|nil
---@return string|nil raised the traceback, where it raised
function M.open(script)
  local path = script.file
  local ok, value = M.evaluate(script)
  if not ok then return nil, value end
  if value == nil then return {} end
  local list = scenario.is_scenario(value) and { value } or value
  if type(list) ~= "table" then
    fault.raise("%s: returns a %s; a scenario file returns heapwright.scenario { … }", path, type(value))
  end
  for i = 1, math.max(1, #list) do
    if not scenario.is_scenario(list[i]) then
      fault.raise("%s: returns a table that is no scenario; wrap it in heapwright.scenario { … }", path)
    end
    list[i].origin = { file = path, text = script.text, index = i }
  end
  return list
end

--- The scenario as its file returns it when run anew: nothing that a run left in the file's variables is there.
---@param one heapwright.Scenario
---@return heapwright.Scenario
function M.again(one)
  local origin = one.origin
  local value = fault.check(load(origin.text, "@" .. origin.file, "t"))(origin.file)
  local fresh = scenario.is_scenario(value) and value or type(value) == "table" and value[origin.index]
  if not scenario.is_scenario(fresh) then
    fault.raise("%s: does not return the scenario that it returned before", origin.file)
  end
  fresh.origin = origin
  return fresh
end

return M
