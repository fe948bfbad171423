-- SPDX-License-Identifier: MIT
-- The columns of compare's and fit's tables.
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"

local M = {}

local ABSENT = "-"

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

--- Prints a table with these columns, and a note where a figure is only a bound.
---@param names string[]
---@param results table[]
---@param references table[]|nil rows below the results
function M.print(names, results, references)
  local columns, rows, bounded = {}, {}, false
  for i, name in ipairs(names) do
    columns[i] = COLUMNS[name]
  end
  local all = table.move(references or {}, 1, #(references or {}), #results + 1, { table.unpack(results) })
  for i, result in ipairs(all) do
    rows[i] = {}
    for k, column in ipairs(columns) do
      rows[i][k] = column.cell(result)
    end
    bounded = bounded or result.smallest_pool ~= nil and result.smallest_exact == false
  end
  local lines = text.table(columns, rows, function(line, row)
    return row == 0 and terminal.paint(line, "dim") or line
  end)
  print(table.concat(lines, "\n"))
  if bounded then
    print()
    print(text.wrap("it fits in this pool; under this policy a trace may fit in a pool and fail in a "
      .. "larger one, and not every smaller pool was tried (fit --exhaustive tries all).", 80, "≤  "))
  end
end

return M
