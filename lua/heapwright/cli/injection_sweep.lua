-- SPDX-License-Identifier: MIT
-- Whether a scenario copes with requests that fail by plan: one after the other, each
-- in a run of its own, or by one plan in one run. As SQLite tests itself: a run
-- without failures first, which counts the requests, then one for each of them; each
-- begins with the file run anew, so that a run that failed leaves the next one nothing.
--
-- A sweep of n requests takes n runs, so its time grows with the square of a
-- scenario's length; sweep=N bounds it.
local fault = require "heapwright.cli.fault"
local injection = require "heapwright.cli.injection"
local policies = require "heapwright.policies"
local scenario = require "heapwright.scenario"
local scripts = require "heapwright.cli.scripts"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"
local verdicts = require "heapwright.cli.verdicts"

local M = {}

local COUNTED = { "coped", "raised", "broken", "leaked", "missed" }
local LEAKS_SHOWN = 4
local COLLECT_EVERY = 32 -- runs: what a scenario forgot to close keeps its pool until it is collected

-- How a run with failures ended. One whose plan failed nothing is judged like any other.
local function judge(outcome, expects_failure)
  local plain = verdicts.of(outcome)
  if plain == "raised" or plain == "broken" then return plain end
  if outcome.planned.leaked then return "leaked" end
  if outcome.planned.injected > 0 then return "coped" end
  if expects_failure then return "missed" end
  return plain == "yes" and "coped" or plain
end

-- ---- In words ---------------------------------------------------------------------

local function ordinal(n)
  local ends = { "st", "nd", "rd" }
  return text.integer(n) .. (n // 10 % 10 ~= 1 and ends[n % 10] or "th")
end

local function blocks_and_bytes(result)
  if result.live_blocks == 0 then return "none" end
  return ("%s of %s"):format(text.counted(result.live_blocks, "block"), text.counted(result.in_use, "byte"))
end

local function leak_lines(outcome, without)
  local leaked, sizes = outcome.planned.leaked, {}
  for i = 1, math.min(#leaked, LEAKS_SHOWN) do -- by size alone, which is alike under all policies
    sizes[i] = text.integer(leaked[i].size)
  end
  if #leaked > LEAKS_SHOWN then sizes[#sizes + 1] = ("and %d more"):format(#leaked - LEAKS_SHOWN) end
  return ("%s live at the end, %s without failures;\n  not explained: %s of %s bytes"):format(
    blocks_and_bytes(outcome.result), blocks_and_bytes(without.result),
    #leaked == 1 and "a block" or "blocks", table.concat(sizes, ", "))
end

local function problem_of(how, outcome, without)
  if how == "leaked" then return "leaked: " .. leak_lines(outcome, without) end
  return table.concat(verdicts.complaints(outcome), "\n")
end

-- Quotes for a shell what it would not leave alone.
local function quote(word)
  if word:find "^[%w_./,=+:@%%-]+$" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- The command that runs it once more, failing the same; under these policies, or those that it was run under.
local function replay(one, given, labels, plan)
  local words = { "heapwright run", quote(one.origin.file) }
  if labels then words[2] = words[2] .. " -p " .. quote(table.concat(labels, ",")) end
  if given.shell.capacity then words[#words + 1] = "-c " .. quote(given.shell.capacity) end
  if given.seed ~= 1 then words[#words + 1] = ("--seed %d"):format(given.seed) end
  words[#words + 1] = "--inject " .. quote(injection.text(plan))
  return table.concat(words, " ")
end

-- ---- Runs -------------------------------------------------------------------------

local function run_once(one, choice, given, plan, without)
  local outcome, message = scenario.run(scripts.again(one), choice, {
    seed = given.seed, capacity = given.capacity, inject = plan, without = without,
  })
  if not outcome then fault.raise("%s under %s: %s", one.name, choice.label, message) end
  return outcome
end

-- The numbers of the requests to fail: all, or so many, the first and the last among them.
local function numbers(requests, most)
  local list, count = {}, math.min(requests, most or requests)
  for i = 1, count do
    list[i] = count > 1 and 1 + (i - 1) * (requests - 1) // (count - 1) or 1
  end
  return list
end

-- The plans of all runs, and for a sweep which request each of them fails.
local function plans_of(given, without)
  local plans, requests = {}, {}
  if not given.injection.sweep then return { injection.plan_of(given.injection) }, requests end
  requests = numbers(without.planned.requests, given.injection.runs)
  for i, n in ipairs(requests) do
    plans[i] = injection.plan_of(given.injection, n)
  end
  return plans, requests
end

---@class cli.Swept what came of all runs under one policy
---@field policy string
---@field without heapwright.Outcome the run without failures
---@field how string its verdict
---@field requests integer
---@field injected integer
---@field runs integer
---@field coped integer and raised, broken, leaked, missed: runs
---@field first table|nil of the runs that did not cope, the first: how, plan, request, place, problem
---@field absent integer|nil the first request that was missed: a run never came to it

local function note_first(swept, how, outcome, plan, request)
  local planned = outcome.planned
  if how == "missed" then
    swept.absent = swept.absent or request
    return
  end
  swept.first = swept.first or {
    how = how, plan = plan, request = request or planned.injected == 1 and plan.after or nil,
    place = planned.place, problem = problem_of(how, outcome, swept.without),
  }
end

local function sweep_under(one, choice, given)
  local progress = terminal.progress(("%s under %s"):format(one.name, choice.label))
  local without = run_once(one, choice, given, injection.counting(given.injection))
  local how = verdicts.of(without)
  local swept = {
    policy = choice.label, without = without, how = how, requests = without.planned.requests,
    injected = 0, runs = 0, coped = 0, raised = 0, broken = 0, leaked = 0, missed = 0, no = 0,
  }
  if how ~= "yes" then return swept end
  local plans, requests = plans_of(given, without)
  for i, plan in ipairs(plans) do
    local outcome = run_once(one, choice, given, plan, without)
    how = judge(outcome, given.injection.sweep)
    swept[how], swept.runs = swept[how] + 1, i
    swept.injected = swept.injected + outcome.planned.injected
    if how ~= "coped" then note_first(swept, how, outcome, plan, requests[i]) end
    if how ~= "coped" or i % COLLECT_EVERY == 0 then collectgarbage() end
    progress(i, #plans)
  end
  progress()
  return swept
end

-- ---- The report -------------------------------------------------------------------

-- A request that a run did not come to needed no coping; but some must have failed.
local function is_well(swept)
  return swept.how == "yes" and not swept.first and (swept.missed == 0 or swept.injected > 0)
end

local function table_of(title, all)
  local columns, rows, missed = { { title = "policy", left = true } }, {}, false
  for _, swept in ipairs(all) do
    missed = missed or swept.missed > 0
  end
  local names = table.move(COUNTED, 1, missed and 5 or 4, 4, { "requests", "runs", "injected" })
  for i, name in ipairs(names) do
    columns[i + 1] = { title = name }
  end
  columns[#columns + 1] = { title = "ok", left = true }
  for i, swept in ipairs(all) do
    rows[i] = { swept.policy }
    for _, name in ipairs(names) do
      table.insert(rows[i], text.integer(swept[name]))
    end
    table.insert(rows[i], is_well(swept) and "yes" or swept.how ~= "yes" and swept.how or "no")
  end
  local lines = text.table(columns, rows, function(line, number)
    if number == 0 then return terminal.paint(line, "dim") end
    return is_well(all[number]) and line or terminal.paint(line, "red")
  end)
  return title .. "\n" .. table.concat(lines, "\n")
end

-- Which requests failed, and where.
local function failed(swept, first)
  local all = text.counted(swept.requests, "request")
  local which = first.request and ("the %s of %s failed"):format(ordinal(first.request), all)
    or ("%s of %s failed, the first"):format(text.integer(swept.injected), all)
  return which .. (first.place and " at " .. first.place or ", asked for by another Lua state")
end

local function complaint_of(swept)
  if swept.how ~= "yes" then
    return "without failures: " .. table.concat(verdicts.complaints(swept.without), "\n")
  end
  if swept.first then return failed(swept, swept.first) .. "\n" .. swept.first.problem end
  if not swept.absent then return nil end
  return ("the run that was to fail the %s of %s made fewer;\n  %s so: "):format(ordinal(swept.absent),
    text.counted(swept.requests, "request"), text.counted(swept.missed, "run"))
    .. "the scenario is not the same from run to run"
end

-- What went wrong first under each policy; what is alike is said once, behind the policies' names.
local function complaints(one, given, all)
  local list, labels, plans = {}, {}, {}
  for _, swept in ipairs(all) do
    local complaint = complaint_of(swept)
    if complaint then
      if not labels[complaint] then
        labels[complaint], plans[complaint] = {}, swept.first and swept.first.plan or false
        list[#list + 1] = complaint
      end
      table.insert(labels[complaint], swept.policy)
    end
  end
  for i, complaint in ipairs(list) do
    local plan = plans[complaint]
    local everywhere = #labels[complaint] == #all and #all > 1
    list[i] = ("%s: %s"):format(everywhere and "every policy" or table.concat(labels[complaint], ", "), complaint)
    if plan and given.injection.sweep then
      local named = (given.choices or not everywhere) and labels[complaint]
      list[i] = list[i] .. "\nreplay: " .. replay(one, given, named, plan)
    end
  end
  return list
end

-- For JSON: the figures are those of the run without failures.
local function result_of(one, given, swept)
  local result, first = swept.without.result, swept.first
  result.inject = {
    plan = given.shell.inject, requests = swept.requests, runs = swept.runs, injected = swept.injected,
  }
  for _, name in ipairs(COUNTED) do
    result.inject[name] = swept[name]
  end
  if first then
    result.inject.first = {
      request = first.request, place = first.place, outcome = first.how,
      replay = replay(one, given, { swept.policy }, first.plan),
    }
  end
  return result
end

-- What fails, in words.
local function failing(asked)
  local runs, least = asked.runs, asked.plan.size_at_least
  if not asked.sweep then return injection.text(asked.plan) end
  return table.concat {
    runs and text.counted(runs, "request") or "each request",
    least and (" of at least %s bytes"):format(least) or "",
    asked.plan.persistent and " and all after it" or "",
    runs ~= 1 and " in turn" or "", runs and ", spread evenly" or "",
  }
end

local function title_of(one, given, heading)
  return ("%s%s\nfailing %s"):format(terminal.paint(one.name, "bold"), heading, failing(given.injection))
end

--- Runs a scenario with failures under each policy.
---@param one heapwright.Scenario
---@param given table what the command was given
---@param heading string pool and seed, behind the scenario's name
---@return cli.Report
---@return string table
---@return string[] complaints
function M.run(one, given, heading)
  if one.threads and given.injection.sweep then
    fault.raise("%s: --inject sweep: which request is the n-th is chance with threads; "
      .. "every=N and probability=P go with them", one.name)
  end
  local all, results, ok = {}, {}, true
  for i, choice in ipairs(given.choices or one.policies or policies.all()) do
    all[i] = sweep_under(one, choice, given)
    results[i] = result_of(one, given, all[i])
    ok = ok and is_well(all[i])
  end
  local report = { source = { name = one.name }, results = results, ok = ok }
  return report, table_of(title_of(one, given, heading), all), complaints(one, given, all)
end

return M
