-- SPDX-License-Identifier: MIT
-- heapwright fit: the smallest pool of each policy, and what there would be to gain.
local fault = require "heapwright.cli.fault"
local figures = require "heapwright.cli.figures"
local json = require "heapwright.cli.json"
local options = require "heapwright.cli.options"
local sources = require "heapwright.cli.sources"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"

local COLUMNS = { "policy", "bytes", "smallest", "over", "search" }

-- The packing; without a search where --nodes is 0.
local function pack(source, nodes)
  local packing, message, code = source.program:pack { nodes = nodes ~= 0 and nodes or nil, heuristic = nodes == 0 }
  if not packing and code ~= "limit" then fault.raise("%s: %s", source.name, message) end
  return packing, message
end

-- What every policy is held against, as rows below theirs.
local function references(known, packing)
  local rows = {}
  if packing then
    rows[1] = {
      policy = "offline packing",
      smallest_pool = packing.pool,
      overhead = packing.overhead,
      search = packing.proved and "optimal, proved" or "heuristic",
    }
  end
  local least = packing and packing.lower_bound or known.lower_bound
  local raised = least > known.lower_bound
  rows[#rows + 1] = {
    policy = "lower bound",
    smallest_pool = least,
    overhead = raised and least / known.lower_bound - 1 or nil,
    search = raised and "proved by search" or "peak of live bytes",
  }
  return rows
end

-- Pools that fit below larger ones that don't: a line for the lowest of each policy.
local function print_reversals(results)
  local began = false
  for _, result in ipairs(results) do
    local first = result.reversals and result.reversals[1]
    if first then
      if not began then print "\nReversals, among the capacities that were run:" end
      began = true
      local fails = text.integer(first.fails_from)
      if first.fails_to > first.fails_from then fails = fails .. " … " .. text.integer(first.fails_to) end
      local others = result.reversal_count - 1
      local more = others > 0 and (", and %s more"):format(text.integer(others)) or ""
      print(text.wrap(("%s fits in %s bytes and fails in %s%s"):format(
        result.policy, text.integer(first.fits), fails, more), 80, "  "))
    end
  end
end

local function print_report(source, results, packing, unpacked)
  for _, line in ipairs(sources.headline(source)) do
    print(line)
  end
  print()
  figures.print(COLUMNS, figures.sort(results, "smallest_pool"), references(source.program:source(), packing))
  if unpacked then print(("\nNo offline packing: %s."):format(unpacked)) end
  print_reversals(results)
end

return {
  name = "fit",
  summary = "Search the smallest pool of each policy in which a trace runs without a failure.",
  epilog = table.concat({
    "Below the policies: the offline packing, as if all of the trace were known in",
    "advance, and the peak of live bytes, which no pool can be smaller than.",
    "",
    "Examples:",
    "  heapwright fit app.hwt",
    "  heapwright fit app.hwt --policy best-fit --json",
    "  heapwright fit app.hwt --policy next-fit --exhaustive --jobs 8",
  }, "\n"),

  describe = function(command)
    command:argument("source", "Traces; a .lua file is a scenario, of which one run is recorded."):args "+"
    options.add_policy(command)
    options.add_seed(command)
    command:flag("--exhaustive",
      "Run every capacity from the lower bound to the least found, whatever it takes.")
    command:option("--jobs -j", "Threads; as many as there are cores where it is not given."):argname "N"
    command:option("--nodes", "What the search for the optimal packing may visit; 0: no search.")
      :argname("N"):default "300000"
    options.add_json(command)
  end,

  run = function(given)
    local choices, seed = options.policies(given), options.seed(given)
    local jobs, nodes = options.whole(given, "jobs", 1, 64), options.whole(given, "nodes", 0, 1 << 40)
    local out = options.output(given)
    local reports = {}
    for i, source in ipairs(sources.load(given)) do
      local results = sources.measure(source, choices, {
        seed = seed,
        smallest = true,
        time = false,
        threads = jobs,
        exhaustive = given.exhaustive,
        reversals = true,
        progress = terminal.progress("Fitting " .. source.name),
      })
      local packing, unpacked = pack(source, nodes)
      if not out then
        if i > 1 then print() end
        print_report(source, results, packing, not packing and unpacked)
      end
      reports[i] = { source = sources.describe(source), results = results, packing = packing, ok = true }
    end
    if out then out(json.reports(reports)) end
  end,
}
