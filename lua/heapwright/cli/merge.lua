-- SPDX-License-Identifier: MIT
-- heapwright merge: the results of a sweep's shards, or their journals, in one.
--
-- Every line says of which plan and which cell it is, and of how many, so files can be
-- given in any order and overlap. The same cell twice has to say the same, but for times;
-- one that failed gives way to one that did not. Only where lines lie is in memory.
local cells = require "heapwright.cli.cells"
local fault = require "heapwright.cli.fault"
local files = require "heapwright.journal"
local journal = require "heapwright.cli.journal"
local results = require "heapwright.cli.results"
local text = require "heapwright.text"

local MOST_NAMED = 5
local FILE_BITS = 40 -- below these, an offset; above, which file

---@class cli.Merged
---@field files table[]
---@field paths string[]
---@field plan string|nil
---@field count integer|nil cells of the plan
---@field place table<integer, integer> of each cell, file and offset
---@field failed table<integer, boolean>
---@field cells cli.Cells|nil where a journal told the axes

local function line_at(merged, cell)
  local place = merged.place[cell]
  return journal.line(merged.files[place >> FILE_BITS], place & ((1 << FILE_BITS) - 1))
end

-- Is it of the plan that the others are of?
local function check_plan(merged, where, record)
  if not merged.plan then
    merged.plan, merged.count, merged.first = record.plan, record.cells, where
  elseif record.plan ~= merged.plan or record.cells ~= merged.count then
    fault.raise("%s: is of another plan than %s", where, merged.first)
  end
end

local function read_header(merged, where, record)
  check_plan(merged, where, record)
  local axes = type(record.axes) == "table" and record.axes
  for _, name in ipairs { "sources", "seeds", "policies", "granules", "pools" } do
    if not axes or type(axes[name]) ~= "table" then fault.raise("%s: is no journal of a sweep", where) end
  end
  merged.cells = cells.new(axes)
end

-- Do two lines of one cell say the same, but for times?
local function agree(one, other)
  for _, name in ipairs(results.TIMES) do
    one[name], other[name] = nil, nil
  end
  for name, value in pairs(one) do
    if other[name] ~= value then return false, name end
  end
  for name in pairs(other) do
    if one[name] == nil then return false, name end
  end
  return true
end

local function name_of(record)
  return ("cell %d (%s, seed %s, %s, granule %s, pool %s)"):format(record.cell, tostring(record.source),
    tostring(record.seed), tostring(record.policy), tostring(record.granule), tostring(record.pool))
end

local function add(merged, where, record, place)
  local cell = record.cell
  local before = merged.place[cell]
  if before and record.error then return end
  if before and not merged.failed[cell] then
    local kept = journal.decode(line_at(merged, cell))
    local same, field = agree(record, kept)
    if same then return end
    fault.broken(("%s: %s has %s %s here, %s in %s"):format(where, name_of(record), field, tostring(record[field]),
      tostring(kept[field]), merged.paths[before >> FILE_BITS]))
  end
  merged.place[cell], merged.failed[cell] = place, record.error ~= nil or nil
end

local function is_record(record)
  return record and type(record.plan) == "string" and math.type(record.cells) == "integer"
    and (record.journal ~= nil or math.type(record.cell) == "integer" and record.cell >= 1
      and record.cell <= record.cells)
end

local function read_file(merged, path)
  local file = fault.check(files.open(path, true))
  local number = #merged.files + 1
  merged.files[number], merged.paths[number] = file, path
  local whole = journal.scan(file, function(line, offset, n)
    local where, record = ("%s:%d"):format(path, n), journal.decode(line)
    if not is_record(record) then fault.raise("%s: is no line of a sweep's results", where) end
    if record.journal ~= nil then return read_header(merged, where, record) end
    check_plan(merged, where, record)
    add(merged, where, record, number << FILE_BITS | offset)
  end)
  if whole < file:size() then
    io.stderr:write(("heapwright: %s: its last line is torn, and left out\n"):format(path))
  end
end

-- The missing ones as ranges, and how many: { { 3, 3 }, { 7, 12 } }.
local function missing(merged)
  local ranges, count = {}, 0
  local from
  for cell = 1, merged.count + 1 do
    local there = cell > merged.count or merged.place[cell] ~= nil
    if there and from then
      ranges[#ranges + 1] = { from, cell - 1 }
      count, from = count + cell - from, nil
    elseif not there then
      from = from or cell
    end
  end
  return ranges, count
end

local function tell_missing(merged, ranges, count)
  local list = {}
  for i, range in ipairs(ranges) do
    if i > MOST_NAMED then
      list[i] = "…"
      break
    end
    list[i] = range[1] == range[2] and ("%d"):format(range[1]) or ("%d–%d"):format(range[1], range[2])
  end
  local words = ("%s of %s missing: %s"):format(text.integer(count), text.counted(merged.count, "cell"),
    table.concat(list, ", "))
  if merged.cells then words = words .. ("; the first is %s"):format(merged.cells:name(ranges[1][1])) end
  return words
end

local function make_lines(merged)
  return function()
    local cell = 0
    return function()
      repeat cell = cell + 1 until cell > merged.count or merged.place[cell]
      if cell <= merged.count then return line_at(merged, cell) end
    end
  end
end

return {
  name = "merge",
  summary = "Put the results of a sweep's shards together.",
  epilog = table.concat({
    "Takes results and journals, in any order, also of shards that were",
    "interrupted; what is missing is listed. Two that say different things of one",
    "cell are an error.",
    "",
    "Examples:",
    "  heapwright merge part*.jsonl -o results.jsonl --csv results.csv",
    "  heapwright merge part*.journal --partial    # as far as they are",
  }, "\n"),

  describe = function(command)
    command:argument("file", "Results or journals."):args "+"
    command:option("--output -o", "The results as JSON Lines; standard output without it."):argname "FILE"
    command:option("--csv", "The results as CSV as well."):argname "FILE"
    command:flag("--partial", "Write what there is, though cells are missing.")
  end,

  run = function(given)
    local merged = { files = {}, paths = {}, place = {}, failed = {} }
    for _, path in ipairs(given.file) do read_file(merged, path) end
    if not merged.plan then fault.raise("%s: no results", table.concat(given.file, ", ")) end
    local ranges, count = missing(merged)
    if count > 0 and not given.partial then fault.broken(tell_missing(merged, ranges, count)) end
    results.put(given.output, given.csv, make_lines(merged))
    if count > 0 then io.stderr:write("heapwright: ", tell_missing(merged, ranges, count), "\n") end
    if given.output then print(("%s: %s"):format(given.output, text.counted(merged.count - count, "cell"))) end
    local failed = 0
    for _ in pairs(merged.failed) do failed = failed + 1 end
    if failed == 0 then return 0 end
    io.stderr:write(("heapwright: %s failed\n"):format(text.counted(failed, "cell")))
    return 1
  end,
}
