-- SPDX-License-Identifier: MIT
-- heapwright run: scenarios under each policy, and whether what they expect holds.
local fault = require "heapwright.cli.fault"
local json = require "heapwright.cli.json"
local options = require "heapwright.cli.options"
local policies = require "heapwright.policies"
local scenario = require "heapwright.scenario"
local scripts = require "heapwright.cli.scripts"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"

local COLUMNS = {
  { title = "policy", left = true },
  { over = "peak", title = "in use" },
  { over = "high", title = "water" },
  { title = "failures" },
  { over = "fragmentation", title = "ext." },
  { over = "fragmentation", title = "int." },
  { over = "steps", title = "mean" },
  { over = "steps", title = "max" },
  { title = "ok", left = true },
}

local function verdict(outcome)
  if outcome.raised then return "raised" end
  if outcome.broken then return "broken" end
  return #outcome.failures == 0 and "yes" or "no"
end

local function row(outcome)
  local r = outcome.result
  return {
    r.policy,
    text.size(r.peak_in_use),
    text.size(r.high_water),
    text.integer(r.failures),
    text.percent(r.external_fragmentation),
    text.percent(r.internal_fragmentation),
    r.steps_mean and ("%.1f"):format(r.steps_mean) or "-",
    text.integer(r.steps_max),
    verdict(outcome),
  }
end

-- A failed expectation, but for the policies that it failed under.
local function failure_lines(failure)
  local lines = { ("not as expected%s (%s)"):format(failure.name and ": " .. failure.name or "", failure.place) }
  for i, line in ipairs(failure.source or {}) do
    lines[#lines + 1] = (i == 1 and "  expected  " or "            ") .. line
  end
  if failure.message then lines[#lines + 1] = "  says      " .. failure.message end
  if #failure.seen > 0 then
    lines[#lines + 1] = text.wrap(table.concat(failure.seen, ", "), 80, "  seen      ")
  end
  return table.concat(lines, "\n")
end

-- What went wrong in one run, in words; an empty list where nothing did.
local function complaints_of(outcome)
  local list = {}
  if outcome.raised then
    local thread = outcome.thread and (" in thread %d"):format(outcome.thread) or ""
    local phase = outcome.phase and (' in phase "%s"'):format(outcome.phase) or ""
    list[1] = ("raised%s%s\n%s"):format(thread, phase, outcome.raised)
  end
  if outcome.broken then list[#list + 1] = "the pool is broken: " .. outcome.broken end
  for _, failure in ipairs(outcome.failures) do
    list[#list + 1] = failure_lines(failure)
  end
  return list
end

-- The same of all runs: what went wrong alike is said once, behind the policies' names.
local function complaints(outcomes)
  local list, policies_of = {}, {}
  for _, outcome in ipairs(outcomes) do
    for _, complaint in ipairs(complaints_of(outcome)) do
      if not policies_of[complaint] then
        policies_of[complaint] = {}
        list[#list + 1] = complaint
      end
      table.insert(policies_of[complaint], outcome.result.policy)
    end
  end
  for i, complaint in ipairs(list) do
    list[i] = table.concat(policies_of[complaint], ", ") .. ": " .. complaint
  end
  return list
end

-- Pool, seed and threads, which make placements depend on chance.
local function heading(one, given)
  local words = (": %s, seed %d"):format(text.size(given.capacity or one.capacity), given.seed)
  if not one.threads then return words end
  return ("%s, %s: placements differ from run to run"):format(words, text.counted(one.threads, "thread"))
end

local function print_table(out, one, given, outcomes)
  out:write(terminal.paint(one.name, "bold"), heading(one, given), "\n")
  local rows = {}
  for i, outcome in ipairs(outcomes) do
    rows[i] = row(outcome)
  end
  local lines = text.table(COLUMNS, rows, function(line, number)
    if number == 0 then return terminal.paint(line, "dim") end
    return verdict(outcomes[number]) == "yes" and line or terminal.paint(line, "red")
  end)
  out:write(table.concat(lines, "\n"), "\n")
end

-- Runs one scenario under its policies: the report for JSON, and the outcomes.
local function run_scenario(one, given)
  local choices = given.choices or one.policies or policies.all()
  local progress = terminal.progress(one.name)
  local outcomes, results, ok = {}, {}, true
  for i, choice in ipairs(choices) do
    local outcome, message = scenario.run(one, choice, { seed = given.seed, capacity = given.capacity })
    if not outcome then fault.raise("%s under %s: %s", one.name, choice.label, message) end
    outcomes[i], results[i] = outcome, outcome.result
    ok = ok and verdict(outcome) == "yes"
    progress(i, #choices)
  end
  progress()
  return { source = { name = one.name }, results = results, ok = ok }, outcomes
end

local function run_file(script, given, reports)
  local list, raised = scripts.open(script)
  if not list then
    io.stdout:flush()
    io.stderr:write("heapwright: ", raised, "\n")
    return false
  end
  local ok = true
  for _, one in ipairs(list) do
    local report, outcomes = run_scenario(one, given)
    if not given.json then
      if #reports > 0 then print() end
      print_table(io.stdout, one, given, outcomes)
    end
    local out = given.json and io.stderr or io.stdout
    for _, complaint in ipairs(complaints(outcomes)) do
      out:write("\n", complaint, "\n")
    end
    reports[#reports + 1] = report
    ok = ok and report.ok
  end
  return ok
end

return {
  name = "run",
  summary = "Run scenarios under each policy and check what they expect.",
  epilog = table.concat({
    "A file that returns no scenario simply runs, with the module at hand.",
    "",
    "Examples:",
    "  heapwright run examples/checkerboard.lua",
    "  heapwright run churn.lua -p best-fit,first-fit/lifo -c 4M --seed 7",
  }, "\n"),

  describe = function(command)
    command:argument("scenario", "Lua files."):args "+"
    options.add_policy(command)
    options.add_capacity(command, "Run in pools of this size, whatever the scenario says.")
    options.add_seed(command)
    options.add_json(command)
  end,

  run = function(given)
    local files = {}
    for i, path in ipairs(given.scenario) do
      files[i] = scripts.load(path)
    end
    local settings = {
      choices = given.policy and options.policies(given),
      capacity = options.capacity(given),
      seed = options.seed(given),
      json = given.json,
    }
    local out = options.output(given)
    local reports, ok = {}, true
    for _, script in ipairs(files) do
      ok = run_file(script, settings, reports) and ok
    end
    if out then
      if #reports == 0 then fault.raise("no scenario in %s", table.concat(given.scenario, ", ")) end
      out(json.reports(reports))
    end
    return ok and 0 or 1
  end,
}
