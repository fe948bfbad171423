-- SPDX-License-Identifier: MIT
-- The columns of compare's and fit's tables.
local host = require "heapwright.host"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"

local M = {}

local ABSENT = "-"
local WIDTH = 80 -- of tables that are not on a terminal

-- A cell made of one field, "-" where it was not measured.
local function of(field, format)
  return function(result)
    local value = result[field]
    return value and format(value) or ABSENT
  end
end

local function bound_mark(result)
  return result.smallest_exact == false and "≤ " or ""
end

local function one_decimal(x)
  return ("%.1f"):format(x)
end

local COLUMNS = {
  policy = { title = "policy", left = true, cell = function(result) return result.policy end },
  smallest = {
    over = "smallest",
    title = "pool",
    cell = function(result)
      return result.smallest_pool and bound_mark(result) .. text.size(result.smallest_pool) or ABSENT
    end,
  },
  bytes = {
    over = "smallest pool,",
    title = "bytes",
    cell = function(result)
      return result.smallest_pool and bound_mark(result) .. text.integer(result.smallest_pool) or ABSENT
    end,
  },
  over = { over = "over the", title = "bound", cell = of("overhead", text.percent) },
  search = {
    title = "search",
    left = true,
    cell = function(result)
      if result.search then return result.search end
      if not result.smallest_pool then return ABSENT end
      return result.smallest_exact == false and "sampled" or "exact"
    end,
  },
  failures = { title = "failures", cell = of("failures", text.integer) },
  peak = { over = "peak", title = "in use", cell = of("peak_in_use", text.size) },
  high = { over = "high", title = "water", cell = of("high_water", text.size) },
  external = { over = "fragmentation", title = "ext.", cell = of("external_fragmentation", text.percent) },
  internal = { over = "fragmentation", title = "int.", cell = of("internal_fragmentation", text.percent) },
  mean = { over = "steps", title = "mean", cell = of("steps_mean", one_decimal) },
  max = { over = "steps", title = "max", cell = of("steps_max", text.count) },
  p50 = { over = "time, ns", title = "p50", cell = of("ns_p50", text.count) },
  curve = {
    over = "use over",
    title = "time",
    left = true,
    cell = function(result) -- of the pool: the capacity, or the smallest that fits
      local pool = result.capacity or result.smallest_pool or result.high_water
      local moments = result.in_use_over_time
      return moments and text.sparkline(moments, pool, not terminal.coloured) or ABSENT
    end,
  },
  waits = { title = "waits", cell = of("waits", text.count) },
  alone = { over = "operations/s", title = "alone", cell = of("ops_per_second_alone", text.count) },
  together = { over = "operations/s", title = "threads", cell = of("ops_per_second", text.count) },
  scaling = { title = "scaling", cell = of("scaling", function(x) return ("%.2f"):format(x) end) },
  million = {
    over = "ms per",
    title = "million",
    cell = of("ops_per_second", function(ops) return ("%.1f"):format(1e9 / ops) end),
  },
  p999 = { over = "time, ns", title = "p99.9", cell = of("ns_p999", text.count) },
}

--- The results in a new list, the lowest first; what was not measured last.
---@param results table[]
---@param field string
---@return table[]
function M.sort(results, field)
  local sorted, place = {}, {}
  for i, result in ipairs(results) do
    sorted[i], place[result] = result, i
  end
  table.sort(sorted, function(a, b)
    local x, y = a[field] or math.huge, b[field] or math.huge
    if x ~= y then return x < y end
    return place[a] < place[b]
  end)
  return sorted
end

local function widest(lines)
  local width = 0
  for _, line in ipairs(lines) do
    width = math.max(width, text.width((line:gsub("\27%[[%d;]*m", ""))))
  end
  return width
end

local function lines_of(names, results)
  local columns, rows = {}, {}
  for i, name in ipairs(names) do
    columns[i] = COLUMNS[name]
  end
  for i, result in ipairs(results) do
    rows[i] = {}
    for k, column in ipairs(columns) do
      rows[i][k] = column.cell(result)
    end
  end
  return text.table(columns, rows, function(line, row)
    return row == 0 and terminal.paint(line, "dim") or line
  end)
end

-- The table, in two where it would be too wide with the curves, which come last.
local function table_lines(names, results)
  local room = host.is_terminal "stdout" and terminal.width() or WIDTH
  local lines = lines_of(names, results)
  if names[#names] ~= "curve" or widest(lines) <= room then return lines end
  lines = lines_of({ table.unpack(names, 1, #names - 1) }, results)
  lines[#lines + 1] = ""
  local curves = lines_of({ "policy", "curve" }, results)
  return table.move(curves, 1, #curves, #lines + 1, lines)
end

--- Prints a table with these columns, and a note where a figure is only a bound.
---@param names string[]
---@param results table[]
---@param references table[]|nil rows below the results
function M.print(names, results, references)
  local all = table.move(references or {}, 1, #(references or {}), #results + 1, { table.unpack(results) })
  print(table.concat(table_lines(names, all), "\n"))
  for _, result in ipairs(all) do
    if result.smallest_pool and result.smallest_exact == false then
      print()
      print(text.wrap("it fits in this pool; under this policy a trace may fit in a pool and fail in a "
        .. "larger one, and not every smaller pool was tried (fit --exhaustive tries all).", WIDTH, "≤  "))
      return
    end
  end
end

return M
