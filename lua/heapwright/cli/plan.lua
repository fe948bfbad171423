-- SPDX-License-Identifier: MIT
-- A sweep's plan as the command sees it: the file run, its traces and scenarios found,
-- and a sum of all that its results depend on, so that a journal of another plan, or of
-- a trace that has changed since, is told from this one's.
local cells = require "heapwright.cli.cells"
local dkjson = require "dkjson"
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local journal = require "heapwright.journal"
local pool = require "heapwright.pool"
local scripts = require "heapwright.cli.scripts"
local sweep = require "heapwright.sweep"

local M = {}

---@class cli.PlannedSource
---@field name string as the plan has it; behind it, of a file with several scenarios, which
---@field path string
---@field sum string of the file
---@field scenario heapwright.Scenario|nil

---@class cli.Plan
---@field file string
---@field sources cli.PlannedSource[]
---@field choices heapwright.Choice[]
---@field pools heapwright.SweptPool[]
---@field time boolean
---@field cells cli.Cells
---@field axes string in JSON
---@field sums string in JSON: of its sources
---@field sum string of all of it

local function evaluate(file)
  local script = scripts.load(file)
  local ok, value = scripts.evaluate(script)
  if not ok then fault.raise("%s", (tostring(value):gsub("\n.*", ""))) end
  if not sweep.is_sweep(value) then
    fault.raise("%s: returns %s; a plan returns heapwright.sweep { … }", file,
      value == nil and "nothing" or "a " .. type(value) .. " that is no sweep")
  end
  return value, script.text
end

local function find(folder, name)
  local path = name:sub(1, 1) == "/" and name or folder .. name
  local kind = fault.check(host.kind(path))
  if kind ~= "file" then fault.raise("%s: is no file; a sweep reads its traces more than once", path) end
  return path, fault.check(journal.checksum_of(path))
end

local function add_scenarios(list, name, path, sum)
  local scenarios, raised = scripts.open(scripts.load(path))
  if not scenarios then fault.raise("%s", (raised:gsub("\n.*", ""))) end
  if #scenarios == 0 then fault.raise("%s: returns no scenario", path) end
  for _, one in ipairs(scenarios) do
    if one.threads then
      fault.raise("%s: %s runs on threads, so that it is another in each run; sweep a recording of it", path, one.name)
    end
    list[#list + 1] = {
      name = #scenarios == 1 and name or name .. ":" .. one.name, path = path, sum = sum, scenario = one,
    }
  end
end

local function find_sources(plan, folder)
  local list, seen = {}, {}
  for _, name in ipairs(plan.traces) do
    local path, sum = find(folder, name)
    list[#list + 1] = { name = name, path = path, sum = sum }
  end
  for _, name in ipairs(plan.scenarios) do
    add_scenarios(list, name, find(folder, name))
  end
  for _, source in ipairs(list) do
    if seen[source.name] then fault.raise("%s is in the plan twice", source.name) end
    seen[source.name] = true
  end
  return list
end

local function pluck(list, field)
  local values = {}
  for i, item in ipairs(list) do values[i] = item[field] end
  return values
end

-- Keys in one order, so that the text is the same each time.
local AXES = { "sources", "seeds", "policies", "granules", "pools", "from", "to" }

--- Reads a plan; the command ends where it can't be.
---@param file string
---@return cli.Plan
function M.load(file)
  local described, text = evaluate(file)
  local sources = find_sources(described, file:match "^.*/" or "")
  local axes = {
    sources = pluck(sources, "name"), seeds = described.seeds, policies = pluck(described.policies, "label"),
    granules = described.granules, pools = pluck(described.pools, "label"),
  }
  local all = cells.new(axes)
  local count, factors = all:count()
  if count > 1e15 then fault.raise("%s: %s cells are too many: %s", file, ("%.3g"):format(count), factors) end
  local told = dkjson.encode(axes, { keyorder = AXES })
  local sums = pluck(sources, "sum")
  return {
    file = file, sources = sources, choices = described.policies, pools = described.pools, time = described.time,
    cells = all, axes = told, sums = dkjson.encode(sums),
    sum = journal.checksum(table.concat({ pool.version, text, told, table.concat(sums, " ") }, "\0")),
  }
end

return M
