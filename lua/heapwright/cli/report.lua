-- SPDX-License-Identifier: MIT
-- heapwright report: what lay where, from when to when, as files for papers and other programs.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local options = require "heapwright.cli.options"
local preparation = require "heapwright.cli.preparation"
local sources = require "heapwright.cli.sources"
local text = require "heapwright.text"
local what_if = require "heapwright.cli.what_if"

local MOST_POINTS = 1000000
local STDOUT = "/dev/stdout"

-- Says a line where no file is written.
local function speaker(files)
  local where = io.stdout
  for _, file in ipairs(files) do
    if file.path == STDOUT then where = io.stderr end
  end
  return function(line) where:write(line, "\n") end
end

-- An option, the file's format, what it is, and what its rectangles are called there.
local FILES = {
  { "svg", "svg", "A picture for papers: address against events, and curves.", "drawn each" },
  { "perfetto", "perfetto", "Trace events as JSON, which Perfetto opens: counters, blocks, failures.", "slices" },
  { "csv", "csv", "A table of the blocks: place, sizes, when they are allocated and freed.", "lines" },
  { "curves", "curves", "A table of the curves: in use, granted, free, fragmentation, failures." },
}

local function asked_files(given)
  local list, paths = {}, {}
  for _, file in ipairs(FILES) do
    local path = given[file[1]]
    if path then
      if path == "" then fault.raise("--%s: a file's name is missing", file[1]) end
      if paths[path] then fault.raise("--%s and --%s: both are %s", paths[path], file[1], path) end
      paths[path] = file[1]
      list[#list + 1] = { path = path, format = file[2], called = file[4] }
    end
  end
  if #list == 0 then fault.raise "nothing is asked for: --svg, --perfetto, --csv or --curves names a file" end
  return list
end

local function one_policy(given)
  local choices = options.policies { policy = given.policy }
  if #choices ~= 1 then fault.raise("--policy: one policy, not %d", #choices) end
  return choices[1]
end

local function one_source(given)
  local list = sources.load {
    source = { given.source }, seed = given.seed, policy = given.policy, times = true,
    granule = given.granule, header = given.header, align = given.align, classes = given.classes,
    scale = given.scale, only_thread = given.only_thread, window = given.window,
  }
  if #list ~= 1 then fault.raise("%s: holds %d scenarios; one at a time", given.source, #list) end
  return list[1]
end

local function write(source, choice, asked, file)
  host.converts_to(file.path)
  local result = fault.check(source.program:write_history {
    path = file.path, format = file.format, policy = choice.policy, order = choice.order, label = choice.label,
    seed = asked.seed, capacity = asked.capacity, points = asked.points,
    granule = source.what.granule, classes = source.what.classes,
  })
  local words = file.path
  if file.called then
    words = ("%s: %s"):format(words, text.counted(result.rectangles, "rectangle"))
    if result.drawn < result.rectangles then
      words = ("%s, %s of them %s"):format(words, text.integer(result.drawn), file.called)
    end
  end
  asked.say(words)
  return result
end

local function print_result(choice, asked, result)
  local where = asked.capacity and ("in %s"):format(text.size(asked.capacity)) or "unbounded"
  asked.say(text.wrap(("%s, %s: high-water mark %s, peak in use %s, %s."):format(choice.label, where,
    text.size(result.high_water), text.size(result.peak_in_use), text.counted(result.failures, "failure")), 80))
  if result.back_at then
    asked.say(text.wrap(("Note: times go back at event %s: the timeline is of events."):format(
      text.integer(result.back_at)), 80))
  end
end

return {
  name = "report",
  summary = "Write what lies where over a trace under a policy: a picture, a timeline, tables.",
  epilog = table.concat({
    "Without --capacity the pool is unbounded.",
    "",
    "Examples:",
    "  heapwright report app.hwt --svg app.svg",
    "  heapwright report app.hwt --policy first-fit --capacity 8M --svg app.svg",
    "  heapwright report app.hwt --perfetto app.json   # open it at ui.perfetto.dev",
    "  heapwright report app.hwt --csv blocks.csv --curves curves.csv --points 500",
  }, "\n"),

  describe = function(command)
    command:argument("source", "A trace, - is standard input; a .lua file is a scenario, of which one run is recorded.")
    command:option("--policy -p", "One policy; an order (fifo, lifo, random) after a slash: best-fit/fifo.")
      :argname("POLICY"):default "best-fit"
    preparation.add(command)
    options.add_capacity(command, "Replay in a pool of this size, not in an unbounded one.")
    for _, file in ipairs(FILES) do
      command:option("--" .. file[1], file[3]):argname "FILE"
    end
    command:option("--points", "How many points the curves have."):argname("N"):default "1000"
    options.add_seed(command)
    options.add_what_if(command)
  end,

  run = function(given)
    local files = asked_files(given)
    local asked = {
      capacity = options.capacity(given), seed = options.seed(given),
      points = options.whole(given, "points", 1, MOST_POINTS), say = speaker(files),
    }
    preparation.run(given)
    local source = one_source(given)
    local choice, result = one_policy(given), nil
    what_if.check(source.what, { choice })
    for _, file in ipairs(files) do
      result = write(source, choice, asked, file)
    end
    print_result(choice, asked, result)
  end,
}
