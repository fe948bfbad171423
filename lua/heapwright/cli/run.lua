-- SPDX-License-Identifier: MIT
-- heapwright run: scenarios under each policy, and whether what they expect holds; with
-- --inject, whether they cope with requests that fail (injection_sweep.lua).
local fault = require "heapwright.cli.fault"
local heap_map = require "heapwright.cli.heap_map"
local injection = require "heapwright.cli.injection"
local json = require "heapwright.cli.json"
local leaks = require "heapwright.cli.leaks"
local options = require "heapwright.cli.options"
local policies = require "heapwright.policies"
local preparation = require "heapwright.cli.preparation"
local scenario = require "heapwright.scenario"
local scripts = require "heapwright.cli.scripts"
local injection_sweep = require "heapwright.cli.injection_sweep"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"
local what_if = require "heapwright.cli.what_if"
local verdicts = require "heapwright.cli.verdicts"

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
    verdicts.of(outcome),
  }
end

-- The same of all runs: what went wrong alike is said once, behind the policies' names.
local function complaints(outcomes)
  local list, policies_of = {}, {}
  for _, outcome in ipairs(outcomes) do
    for _, complaint in ipairs(verdicts.complaints(outcome)) do
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
  if given.what.json then words = words .. ", " .. table.concat(given.what.words, ", ") end
  if not one.threads then return words end
  return ("%s, %s: placements differ from run to run"):format(words, text.counted(one.threads, "thread"))
end

local function table_of(one, given, outcomes)
  local rows = {}
  for i, outcome in ipairs(outcomes) do
    rows[i] = row(outcome)
  end
  local lines = text.table(COLUMNS, rows, function(line, number)
    if number == 0 then return terminal.paint(line, "dim") end
    return verdicts.of(outcomes[number]) == "yes" and line or terminal.paint(line, "red")
  end)
  table.insert(lines, 1, terminal.paint(one.name, "bold") .. heading(one, given))
  return table.concat(lines, "\n")
end

-- Runs one scenario under its policies: the report for JSON, and the outcomes.
local function run_scenario(one, given)
  local choices = given.choices or one.policies or policies.all_for(one.threads)
  what_if.check(given.what, choices)
  local capacity, granule = given.capacity or one.capacity, given.what.granule
  if granule and capacity < granule then
    fault.raise("%s: its pool of %d bytes holds no granule of %d bytes", one.name, capacity, granule)
  end
  local map = given.map and heap_map.new(given.map, one.name)
  local progress = map and function() end or terminal.progress(one.name)
  local outcomes, results, ok = {}, {}, true
  for i, choice in ipairs(choices) do
    local outcome, message = scenario.run(one, choice, {
      seed = given.seed, capacity = given.capacity, leaks = given.leaks,
      granule = given.what.granule, classes = given.what.classes, observer = map,
    })
    if not outcome then fault.raise("%s under %s: %s", one.name, choice.label, message) end
    if given.leaks then outcome.result.leaks = leaks.by_site(outcome.leaks or {}) end
    outcomes[i], results[i] = outcome, outcome.result
    ok = ok and verdicts.of(outcome) == "yes"
    progress(i, #choices)
  end
  progress()
  return { source = { name = one.name, what_if = given.what.json }, results = results, ok = ok }, outcomes
end

local function run_file(script, given, reports)
  local list, raised = scripts.open(script)
  if not list then
    io.stdout:flush()
    io.stderr:write("heapwright: ", raised, "\n")
    return false
  end
  if given.shell.policy then given.choices = options.policies(given.shell) end -- which the file may have registered
  if given.injection and #list == 0 then
    fault.raise("%s: returns no scenario, so --inject has no requests to fail", script.file)
  end
  if given.leaks and #list == 0 then
    fault.raise("%s: returns no scenario, so --leaks has no pool to look at", script.file)
  end
  if given.map and #list == 0 then
    fault.raise("%s: returns no scenario, so there is no pool for a map", script.file)
  end
  local ok = true
  for _, one in ipairs(list) do
    local report, lines, wrong
    if given.injection then
      report, lines, wrong = injection_sweep.run(one, given, heading(one, given))
    else
      local outcomes
      report, outcomes = run_scenario(one, given)
      lines, wrong = table_of(one, given, outcomes), complaints(outcomes)
    end
    if not given.json then
      if #reports > 0 then print() end
      print(lines)
    end
    local out = given.json and io.stderr or io.stdout
    for _, complaint in ipairs(wrong) do
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
    injection.help,
    "",
    "Examples:",
    "  heapwright run examples/checkerboard.lua",
    "  heapwright run churn.lua -p best-fit,first-fit/lifo -c 4M --seed 7",
    "  heapwright run examples/copes.lua --inject sweep",
    "  heapwright run examples/churn.lua --leaks",
    "  heapwright run examples/churn.lua --watch -p best-fit,buddy",
  }, "\n"),

  describe = function(command)
    command:argument("scenario", "Lua files."):args "+"
    options.add_policy(command)
    preparation.add(command)
    options.add_capacity(command, "Run in pools of this size, whatever the scenario says.")
    options.add_seed(command)
    options.add_what_if(command, true)
    injection.add(command)
    command:flag("--leaks", leaks.help)
    heap_map.describe(command)
    options.add_json(command)
  end,

  run = function(given)
    local files = {}
    if given.leaks and given.inject then fault.raise("--leaks: --inject tells of leaks by itself") end
    for i, path in ipairs(given.scenario) do
      files[i] = scripts.load(path)
    end
    preparation.run(given)
    local settings = {
      capacity = options.capacity(given),
      seed = options.seed(given),
      json = given.json,
      injection = injection.read(given),
      leaks = given.leaks,
      map = heap_map.read(given),
      what = what_if.of_pools(given),
      shell = given,
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
