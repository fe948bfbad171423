-- SPDX-License-Identifier: MIT
-- heapwright verify: what theory says of the policies, put to the test.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local json = require "heapwright.cli.json"
local options = require "heapwright.cli.options"
local preparation = require "heapwright.cli.preparation"
local pool = require "heapwright.pool"
local programs = require "heapwright.cli.programs"
local replay = require "heapwright.replay"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"
local theory = require "heapwright.theory"

local WIDTH <const>, INDENT <const>, LABELS <const> = 80, "    ", 36

-- The statements that --only names, in their own order; every one without it.
local function chosen(given)
  if not given.only then return table.move(theory.statements, 1, #theory.statements, 1, {}) end
  local asked, list, known = {}, {}, {}
  for i, statement in ipairs(theory.statements) do known[i] = statement.id end
  for id in (given.only .. ","):gmatch "%s*([^,]-)%s*," do
    if not theory.statements[id:upper()] then
      fault.raise("--only: unknown statement '%s'; known are %s", id, table.concat(known, ", "))
    end
    asked[id:upper()] = true
  end
  for _, statement in ipairs(theory.statements) do
    if asked[statement.id] then list[#list + 1] = statement end
  end
  return list
end

-- Rows that say the same of several policies become one; where their names take too much room, a few.
local function gather(rows)
  local groups = {}
  for _, row in ipairs(rows) do
    local last
    for _, group in ipairs(groups) do
      local same = group.what == row.what and group.bound == row.bound and group.seen == row.seen
      if same and group.verdict == row.verdict and #group.policies + #row.policy + 2 <= LABELS then last = group end
    end
    if last then
      last.policies = last.policies .. ", " .. row.policy
    else
      groups[#groups + 1] = {
        what = row.what, policies = row.policy, bound = row.bound, seen = row.seen, verdict = row.verdict,
        control = row.control,
      }
    end
  end
  return groups
end

local COLUMNS = {
  { title = INDENT .. "measured", left = true },
  { title = "bound" },
  { title = "seen" },
  { title = "verdict", left = true },
}

-- A table of what was measured, each in a line above the policies that it was measured of.
local function print_rows(rows)
  local groups, order, at = gather(rows), {}, {}
  for _, group in ipairs(groups) do -- those of one measurement together
    local key = (group.control and "control: " or "") .. group.what
    if not at[key] then
      order[#order + 1] = { key = key, number = #order }
      at[key] = order[#order]
    end
    table.insert(at[key], group)
  end
  table.sort(order, function(a, b) -- controls last
    if a[1].control ~= b[1].control then return not a[1].control end
    return a.number < b.number
  end)
  local cells, heads, verdicts = {}, {}, {}
  for _, measured in ipairs(order) do
    heads[#cells + 1] = measured.key
    for _, group in ipairs(measured) do
      cells[#cells + 1] = { INDENT .. "  " .. group.policies, group.bound, group.seen, group.verdict }
      verdicts[#cells] = group.verdict
    end
  end
  local lines = text.table(COLUMNS, cells, function(line, number)
    if number == 0 then return terminal.paint(line, "dim") end
    line = verdicts[number] == "fails" and terminal.paint(line, "red") or line
    return heads[number] and text.wrap(heads[number], WIDTH, INDENT) .. "\n" .. line or line
  end)
  print(table.concat(lines, "\n"))
end

local function print_finding(finding)
  local statement = finding.statement
  local colour = finding.verdict == "fails" and "red" or finding.verdict == "holds" and "green" or "dim"
  print(("%s  %s: %s"):format(statement.id, terminal.paint(statement.title, "bold"),
    terminal.paint(finding.verdict, colour)))
  print(text.wrap(statement.statement, WIDTH, INDENT))
  print(text.wrap(statement.source .. ".", WIDTH, INDENT .. "Source: "))
  print(text.wrap(statement.tolerance .. ".", WIDTH, INDENT .. "Tolerance: "))
  if finding.reason then print(text.wrap(finding.reason .. ".", WIDTH, INDENT .. "Not run: ")) end
  if #finding.rows > 0 then print_rows(finding.rows) end
  print()
end

local function names(findings, verdict)
  local list = {}
  for _, finding in ipairs(findings) do
    if finding.verdict == verdict then list[#list + 1] = finding.statement.id end
  end
  return #list > 0 and ("%s: %s"):format(verdict, table.concat(list, ", ")) or nil
end

-- What came of it, in a line.
local function conclude(findings, given)
  local parts = { ("Seed %d%s"):format(given.seed, given.quick and ", quick" or "") }
  for _, verdict in ipairs { "holds", "fails", "not run" } do parts[#parts + 1] = names(findings, verdict) end
  return text.wrap(table.concat(parts, "; ") .. ".", WIDTH)
end

local ROW <const> = { "policy", "measured", "bound", "seen", "verdict", "control" }
local FINDING <const> = { "id", "title", "statement", "source", "tolerance", "verdict", "reason", "results" }

local function ordered(object, keys)
  return setmetatable(object, { __jsontype = "object", __jsonorder = keys })
end

local function encode(findings, given, ok)
  local list = setmetatable({}, { __jsontype = "array" })
  for i, finding in ipairs(findings) do
    local results = setmetatable({}, { __jsontype = "array" })
    for r, row in ipairs(finding.rows) do
      results[r] = ordered({
        policy = row.policy, measured = row.what, bound = row.bound ~= "" and row.bound or nil, seen = row.seen,
        verdict = row.verdict, control = row.control or false,
      }, ROW)
    end
    local statement = finding.statement
    list[i] = ordered({
      id = statement.id, title = statement.title, statement = statement.statement, source = statement.source,
      tolerance = statement.tolerance, verdict = finding.verdict, reason = finding.reason, results = results,
    }, FINDING)
  end
  return json.encode(ordered({
    heapwright = pool.version, seed = given.seed, quick = given.quick or false, statements = list, ok = ok,
  }, { "heapwright", "seed", "quick", "statements", "ok" }))
end

-- The traces that T8 asks about: those given, each of which must be one; else recorded ones, which are
-- removed when the list is closed.
local function traces_for(given, statements)
  local asked
  for _, statement in ipairs(statements) do asked = asked or statement.id == "T8" end
  if given.traces then
    if not asked then fault.raise "--traces: they are for T8, which --only leaves out" end
    for _, path in ipairs(given.traces) do
      options.readable(path)
      fault.check(replay.load(path)):close()
    end
    return setmetatable(given.traces, { __close = function() end })
  end
  local progress = terminal.progress "Recording programs"
  local paths = asked and programs.record(given.quick, progress) or {}
  progress()
  return setmetatable(paths, { __close = function()
    for _, path in ipairs(paths) do os.remove(path) end
  end })
end

return {
  name = "verify",
  summary = "Put what theory says of the policies to the test, experiment by experiment.",
  epilog = table.concat({
    "Each statement is printed with its source, the bound, what was seen, and the",
    "verdict: holds, fails, or shown, for a policy of which it says nothing. Controls",
    "are experiments in which the effect must be absent. T8 records programs of this",
    "machine, or takes --traces; with fewer than five it is not run. The exit code is",
    "1 where one fails. Units are granules of 16 bytes.",
    "",
    "Examples:",
    "  heapwright verify --quick",
    "  heapwright verify --only T1,T6 --policy best-fit,first-fit",
    "  heapwright verify --only T8 --traces *.hwt",
  }, "\n"),

  describe = function(command)
    command:flag("--quick -q", "Fewer settings and samples: seconds rather than a minute or two.")
    command:option("--only", "Statements, separated by commas: T1,T6."):argname "LIST"
    options.add_policy(command)
    preparation.add(command)
    options.add_seed(command)
    command:option("--traces", "Traces of real programs, for T8."):argname("FILE"):args "+"
    options.add_json(command)
  end,

  run = function(given)
    preparation.run(given)
    local statements, choices = chosen(given), options.policies(given)
    given.seed = options.seed(given)
    local out = options.output(given)
    local traces <close> = traces_for(given, statements)
    local settings = { seed = given.seed, quick = given.quick, traces = traces }
    local progress = terminal.progress "Verifying"
    local findings = theory.verify(statements, choices, settings, function(jobs)
      return theory.work_all(jobs, host.cores(), progress)
    end)
    progress()
    local ok = true
    for _, finding in ipairs(findings) do ok = ok and finding.verdict ~= "fails" end
    if out then
      out(encode(findings, given, ok))
    else
      for _, finding in ipairs(findings) do print_finding(finding) end
      print(terminal.paint(conclude(findings, given), "bold"))
    end
    return ok and 0 or 1
  end,
}
