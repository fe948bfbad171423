-- SPDX-License-Identifier: MIT
-- heapwright fit: the smallest pool of each policy.
local figures = require "heapwright.cli.figures"
local json = require "heapwright.cli.json"
local options = require "heapwright.cli.options"
local preparation = require "heapwright.cli.preparation"
local sources = require "heapwright.cli.sources"
local terminal = require "heapwright.cli.terminal"

local COLUMNS = { "policy", "bytes", "smallest", "over", "search" }

return {
  name = "fit",
  summary = "Search the smallest pool of each policy in which a trace runs without a failure.",
  epilog = table.concat({
    "Examples:",
    "  heapwright fit app.hwt",
    "  heapwright fit app.hwt --policy best-fit --json",
    "  heapwright fit app.hwt --granule 8 --window 1000,   # what if?",
  }, "\n"),

  describe = function(command)
    command:argument("source", "Traces; a .lua file is a scenario, of which one run is recorded."):args "+"
    options.add_policy(command)
    preparation.add(command)
    options.add_seed(command)
    options.add_what_if(command)
    options.add_json(command)
  end,

  run = function(given)
    local seed, out = options.seed(given), options.output(given)
    preparation.run(given)
    local list, reports = sources.load(given), {}
    local choices = options.policies(given)
    for i, source in ipairs(list) do
      local results = sources.measure(source, choices, {
        seed = seed,
        smallest = true,
        time = false,
        progress = terminal.progress("Fitting " .. source.name),
      })
      if not out then
        if i > 1 then print() end
        for _, line in ipairs(sources.headline(source)) do
          print(line)
        end
        print()
        figures.print(COLUMNS, figures.sort(results, "smallest_pool"))
      end
      reports[i] = { source = sources.describe(source), results = results, ok = true }
    end
    if out then out(json.reports(reports)) end
  end,
}
