-- SPDX-License-Identifier: MIT
-- heapwright sweep: every combination of what a plan holds, on all cores; killed at any
-- moment and started again it goes on where it was.
--
--   1. The plan is read and its journal opened, which says what is done already.
--   2. Worker processes measure the cells that are left, one at a time each. What comes
--      back is a line of the journal, written before the next cell is handed out. A
--      worker that dies takes its cell with it, which then has failed, and is replaced.
--   3. The journal's lines in the order of the cells are the results.
--
-- A line depends on its cell alone, not on who measured it or when, so the results are
-- the same byte for byte however often the sweep was killed. Cells that failed are done
-- again when it is started again.
local crew = require "heapwright.cli.crew"
local fault = require "heapwright.cli.fault"
local json = require "heapwright.cli.json"
local journal = require "heapwright.cli.journal"
local options = require "heapwright.cli.options"
local plans = require "heapwright.cli.plan"
local results = require "heapwright.cli.results"
local shards = require "heapwright.cli.shard"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"
local workers = require "heapwright.workers"

local MOST_CELLS = 10000000 -- in a shard: 16 bytes each of what is done are in memory

local function read_jobs(given)
  if not given.jobs then return workers.cores() end
  local jobs = math.tointeger(tonumber(given.jobs))
  if not jobs or jobs < 1 or jobs > 256 then fault.raise("--jobs: '%s' is no number from 1 to 256", given.jobs) end
  return jobs
end

-- Where the journal is without --journal: beside the results, else by the plan's name in this folder.
local function journal_path(given, shard)
  if given.journal then return given.journal end
  if given.output then return given.output .. ".journal" end
  local name = given.plan:match "[^/]*$":gsub("%.lua$", "")
  return name .. (shard.of > 1 and ("." .. shard.label:gsub("/", "-of-")) or "") .. ".journal"
end

local function read_paths(given, shard)
  local path, taken = journal_path(given, shard), { [given.plan] = "the plan" }
  local list = { { "-o", given.output }, { "--csv", given.csv }, { "--journal", path } }
  for _, one in pairs(list) do
    if one[2] and taken[one[2]] then fault.raise("%s %s: is %s", one[1], one[2], taken[one[2]]) end
    if one[2] then taken[one[2]] = "the file of " .. one[1] end
  end
  return path
end

-- Before anything is measured: can this shard be swept at all?
local function check_count(plan, shard)
  local count, factors = plan.cells:count()
  local own = shard.count(count)
  if own <= MOST_CELLS then return own end
  fault.raise("%s: %s cells, %s; a shard has %s at most: with --shard I/%d they are few enough", plan.file,
    text.integer(count), factors, text.integer(MOST_CELLS), math.ceil(count / MOST_CELLS))
end

-- The numbers of this shard's cells, from the first: an iterator.
local function own_cells(plan, shard)
  local count, cell = plan.cells:count(), shard.number - shard.of
  return function()
    cell = cell + shard.of
    if cell <= count then return cell end
  end
end

-- What a worker answers for a cell: its line.
local function line_of(plan, cell, figures)
  local _, key = plan.cells:at(cell)
  for name, value in pairs(key) do figures[name] = value end
  figures.plan, figures.cell, figures.cells = plan.sum, cell, plan.cells:count()
  return json.line(figures, results.FIELDS)
end

-- Measures what is left, and keeps it.
local function fill(book, plan, shard, jobs, own)
  local left, done = {}, 0
  local progress = terminal.progress("Sweeping " .. plan.file)
  for cell in own_cells(plan, shard) do
    if book.done[cell] and not book.failed[cell] then done = done + 1 else left[#left + 1] = cell end
  end
  local from_journal = done
  crew.work(plan, left, jobs, function(cell, figures)
    local kept, message = book:add(cell, line_of(plan, cell, figures), figures.error ~= nil)
    if not kept then
      fault.raise("%s; %s of %s are in it: started again, the sweep goes on there", message,
        text.integer(done), text.counted(own, "cell"))
    end
    done = done + 1
    progress(done, own)
  end)
  progress()
  fault.check(book.file:sync())
  return from_journal
end

local function tell_failed(book, plan, shard)
  local count, first = 0, nil
  for cell in own_cells(plan, shard) do
    if book.failed[cell] then
      count, first = count + 1, first or cell
    end
  end
  if count == 0 then return 0 end
  local why = journal.decode(book:line(first)).error
  io.stderr:write(("heapwright: %s failed; the first is %s: %s\n"):format(text.counted(count, "cell"),
    plan.cells:name(first), why))
  return 1
end

return {
  name = "sweep",
  summary = "Replay a plan of traces, policies, capacities … in every combination, on all cores.",
  epilog = table.concat({
    "A plan returns heapwright.sweep { … } with traces, scenarios, policies,",
    "orders, granules, capacities and seeds; what is left out is as usual. Called",
    "again, a sweep that was killed goes on where it was: its journal knows.",
    "",
    "Examples:",
    "  heapwright sweep plan.lua -o results.jsonl --csv results.csv",
    "  heapwright sweep plan.lua --shard 3/8 -o part3.jsonl    # one of 8 machines",
    "  heapwright merge part*.jsonl -o results.jsonl",
  }, "\n"),

  describe = function(command)
    command:argument("plan", "A Lua file.")
    command:option("--jobs -j", "Worker processes, as many as there are cores without it."):argname "N"
    command:option("--shard", "Each N-th cell alone, from the I-th on."):argname "I/N"
    command:option("--output -o", "The results as JSON Lines; standard output without it."):argname "FILE"
    command:option("--csv", "The results as CSV as well."):argname "FILE"
    command:option("--journal", "What is done already; FILE.journal or PLAN.journal without it."):argname "FILE"
  end,

  run = function(given)
    local shard, jobs = shards.read(given), read_jobs(given)
    local path = read_paths(given, shard)
    local plan = plans.load(options.readable(given.plan))
    local own = check_count(plan, shard)
    local book <close> = journal.open(path, plan, shard)
    local before = fill(book, plan, shard, jobs, own)
    results.put(given.output, given.csv, function()
      local following = own_cells(plan, shard)
      return function()
        local cell = following()
        return cell and book:line(cell)
      end
    end)
    local out = given.output and io.stdout or io.stderr
    out:write(("%s: %s%s%s\n"):format(given.plan, text.counted(own, "cell"),
      shard.of > 1 and " of shard " .. shard.label or "",
      before > 0 and (", %s of them from %s"):format(text.integer(before), path) or ""))
    return tell_failed(book, plan, shard)
  end,
}
