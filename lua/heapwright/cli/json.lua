-- SPDX-License-Identifier: MIT
-- The one JSON object of --json: keys in a fixed order, nothing that was not measured.
local dkjson = require "dkjson"
local pool = require "heapwright.pool"

local M = {}

local SOURCE = { "name", "events", "allocations", "peak_in_use", "lower_bound" }
local RESULT = {
  "policy", "capacity", "failures", "peak_in_use", "peak_granted", "high_water",
  "external_fragmentation", "internal_fragmentation", "smallest_pool", "overhead",
  "exact", "runs", "reversals",
  "steps_max", "steps_mean", "ns_p50", "ns_p999", "ns_max", "ops_per_second", "leaks",
  "inject",
}
local INJECT = { "plan", "requests", "runs", "injected", "coped", "raised", "broken", "leaked", "missed", "first" }
local LEAK = { "site", "blocks", "bytes" }
local REVERSAL = { "fits", "fails_from", "fails_to" }
local PACKING = { "pool", "overhead", "lower_bound", "proved", "nodes", "method" }
local FIRST = { "request", "place", "outcome", "replay" }

local function pick(from, keys)
  local object = setmetatable({}, { __jsontype = "object", __jsonorder = keys })
  for _, key in ipairs(keys) do
    object[key] = from[key]
  end
  return object
end

---@class cli.Report
---@field source table name and what is known of the events
---@field results table[]
---@field packing table|nil of fit
---@field ok boolean

local function list_of(list, keys)
  local objects = setmetatable({}, { __jsontype = "array" })
  for i, item in ipairs(list) do
    objects[i] = pick(item, keys)
  end
  return objects
end

local function body(report, head)
  local results = setmetatable({}, { __jsontype = "array" })
  for i, result in ipairs(report.results) do
    results[i] = pick(result, RESULT)
    if result.leaks then results[i].leaks = list_of(result.leaks, LEAK) end
    results[i].exact = result.smallest_exact
    if result.reversals then results[i].reversals = list_of(result.reversals, REVERSAL) end
    local inject = result.inject and pick(result.inject, INJECT)
    if inject and inject.first then inject.first = pick(inject.first, FIRST) end
    results[i].inject = inject
  end
  local keys = { "source", "packing", "results", "ok" }
  local object = { source = pick(report.source, SOURCE), results = results, ok = report.ok }
  object.packing = report.packing and pick(report.packing, PACKING)
  if head then
    table.insert(keys, 1, "heapwright")
    object.heapwright = head
  end
  return pick(object, keys)
end

--- One object for one report; for several, one object that holds them as "sources".
---@param reports cli.Report[]
---@return string
function M.reports(reports)
  if #reports == 1 then return M.encode(body(reports[1], pool.version)) end
  local sources, ok = setmetatable({}, { __jsontype = "array" }), true
  for i, report in ipairs(reports) do
    sources[i] = body(report)
    ok = ok and report.ok
  end
  local keys = { "heapwright", "sources", "ok" }
  return M.encode(pick({ heapwright = pool.version, sources = sources, ok = ok }, keys))
end

--- A list of objects with these keys under one name.
---@param name string
---@param list table[]
---@param keys string[]
---@return string
function M.list(name, list, keys)
  return M.encode(pick({ heapwright = pool.version, [name] = list_of(list, keys) }, { "heapwright", name }))
end

---@param value any
---@return string # a line, or several that belong together
function M.encode(value)
  return dkjson.encode(value, { indent = true }) .. "\n"
end

return M
