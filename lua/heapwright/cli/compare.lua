-- SPDX-License-Identifier: MIT
-- heapwright compare: a trace under each policy, side by side.
local contention = require "heapwright.cli.contention"
local figures = require "heapwright.cli.figures"
local json = require "heapwright.cli.json"
local options = require "heapwright.cli.options"
local preparation = require "heapwright.cli.preparation"
local sources = require "heapwright.cli.sources"
local streams = require "heapwright.cli.streams"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"

-- Unbounded pools: how little does each policy need?
local SMALLEST = { "policy", "smallest", "over", "external", "internal", "mean", "max", "p50", "p999", "curve" }
-- Pools of one size: what does each policy make of it?
local BOUNDED = { "policy", "failures", "peak", "high", "external", "internal", "mean", "max", "curve" }
-- Traces that were streamed, in unbounded pools and in bounded ones.
local STREAMED = { "policy", "smallest", "high", "external", "internal", "mean", "max", "million" }
local STREAMED_BOUNDED = { "policy", "failures", "peak", "high", "external", "internal", "mean", "max", "million" }

local function names(results)
  local list = {}
  for i, result in ipairs(results) do
    list[i] = result.policy
  end
  local last = table.remove(list) or ""
  return #list == 0 and last or table.concat(list, ", ") .. " and " .. last
end

local function which(results, holds)
  local list = {}
  for _, result in ipairs(results) do
    if holds(result) then list[#list + 1] = result end
  end
  return list
end

local function conclude_smallest(results)
  local least = results[1].smallest_pool
  if not least then return "No policy fits it." end
  local best = which(results, function(result) return result.smallest_pool == least end)
  local words = ("%s %s in the least: %s"):format(names(best), #best == 1 and "fits" or "fit", text.size(least))
  if least >= 1024 then words = words .. (" (%s bytes)"):format(text.integer(least)) end
  if results[1].overhead then
    words = words .. (", %s over the lower bound"):format(text.percent(results[1].overhead))
  end
  return words .. "."
end

local function conclude_bounded(results, capacity)
  local well = which(results, function(result) return result.failures == 0 end)
  local who = names(well)
  if #well == 0 then who = "No policy" end
  if #well == #results and #well > 1 then who = "Every policy" end
  return ("%s can run it in %s without a failure."):format(who, text.size(capacity))
end

local function print_streamed(source, results, capacity)
  figures.print(capacity and STREAMED_BOUNDED or STREAMED,
    figures.sort(results, capacity and "failures" or "high_water"))
  print()
  print(text.wrap(streams.conclusion(source), 80))
  if capacity then
    print(terminal.paint(text.wrap(conclude_bounded(results, capacity), 80), "bold"))
  else
    print(text.wrap("The smallest pool is told where one run proves it; heapwright fit loads the trace, and "
      .. "searches that of the others.", 80))
  end
end

local function print_parallel(source, results)
  for _, line in ipairs(sources.headline(source)) do
    print(line)
  end
  print()
  contention.print(results)
end

local function print_report(source, results, capacity)
  for _, line in ipairs(sources.headline(source)) do
    print(line)
  end
  print()
  if source.streamed then return print_streamed(source, results, capacity) end
  local sorted = figures.sort(results, capacity and "failures" or "smallest_pool")
  figures.print(capacity and BOUNDED or SMALLEST, sorted)
  local conclusion = capacity and conclude_bounded(sorted, capacity) or conclude_smallest(sorted)
  print()
  print(terminal.paint(text.wrap(conclusion, 80), "bold"))
end

return {
  name = "compare replay",
  summary = "Replay traces, or scenarios, under each policy.",
  epilog = table.concat({
    "Without --capacity the pools are unbounded, and the smallest that fits is searched.",
    "Use over time: the bytes asked for and live after each eighth of the events, as a",
    "share of that pool, in eight levels.",
    "",
    "Examples:",
    "  heapwright compare app.hwt",
    "  heapwright compare app.hwt examples/churn.lua --policy best-fit,buddy --json",
    "  heapwright compare app.hwt --capacity 8M",
    "  heapwright compare app.hwt --header 16 --scale 2   # what if?",
    "  heapwright compare app.hwt --parallel --policy best-fit,slab",
    "  heapwright trace cat app.hwt | heapwright compare --stream -",
  }, "\n"),

  describe = function(command)
    command:argument("source", "Traces, - is standard input; a .lua file is a scenario, of which one run is recorded.")
      :args "+"
    options.add_policy(command)
    preparation.add(command)
    options.add_capacity(command, "Replay in pools of this size.")
    options.add_seed(command)
    options.add_what_if(command)
    streams.describe(command)
    contention.describe(command)
    options.add_json(command)
  end,

  run = function(given)
    local capacity, seed = options.capacity(given), options.seed(given)
    local out = options.output(given)
    contention.check(given)
    given.streams = not given.parallel
    preparation.run(given)
    local list, reports = sources.load(given), {}
    local choices = options.policies(given)
    if given.parallel then sources.refuse_scripted(choices, "--parallel") end
    for i, source in ipairs(list) do
      local results = (given.parallel and contention or sources).measure(source, choices, {
        given = given,
        capacity = capacity,
        seed = seed,
        smallest = capacity == nil,
        time = true,
        progress = terminal.progress("Comparing " .. source.name),
      })
      if not out then
        if i > 1 then print() end
        if given.parallel then print_parallel(source, results) else print_report(source, results, capacity) end
      end
      reports[i] = { source = sources.describe(source), results = results, ok = true }
    end
    if out then out(json.reports(reports)) end
  end,
}
