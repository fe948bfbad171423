-- SPDX-License-Identifier: MIT
-- heapwright minimize: the smallest part of a trace that still fails in a pool.
--
-- Delta debugging (Zeller and Hildebrandt 2002) over the trace's blocks, each with its
-- resizes and its free: what is left out is halved until single blocks are tried, and
-- those over and over until none can go. So the result is 1-minimal: without any one of
-- its blocks nothing is refused. Each try is a replay in C (core/part.h); the algorithm
-- is that of property/shrink.lua. What it may spend is counted in replays, not seconds,
-- so that its result is the same on every machine.
local fault = require "heapwright.cli.fault"
local json = require "heapwright.cli.json"
local options = require "heapwright.cli.options"
local preparation = require "heapwright.cli.preparation"
local reproduction = require "heapwright.cli.reproduction"
local shrink = require "heapwright.property.shrink"
local sources = require "heapwright.cli.sources"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"
local what_if = require "heapwright.cli.what_if"

local MOST_EVENTS = 1000000000 -- that are replayed in all, unless --max-runs says otherwise
local ROUNDS, SHARES = 4, 32 -- of a recording's history, which may go as a whole
local DETAILS = {
  "policy", "capacity", "granule", "seed", "fragmented", "refused", "blocks_before", "events_before", "blocks",
  "events", "runs", "minimal", "shrunk", "output",
}

-- ---- Trying ---------------------------------------------------------------------

---@class cli.Trials the tries that are left, and how far they are
---@field left integer runs
---@field events integer that may still be replayed
---@field runs integer
---@field cut boolean a try was wanted and not to be had
---@field progress fun(done: number|nil, total: number|nil)

-- One replay, unless all are spent: does the part still fail?
local function try(trials, part, method, ...)
  if trials.left == 0 or trials.events <= 0 then
    trials.cut = true
    return false
  end
  trials.left, trials.runs = trials.left - 1, trials.runs + 1
  trials.events = trials.events - select(2, part:count())
  local fails, message = part[method](part, ...)
  if fails == nil then fault.raise("%s", message) end
  return fails
end

-- Leaves out what can go, by a method of the part that drops a range; `which` of part:count() counts it.
local function fewer(trials, part, method, which)
  local function count() return (select(which, part:count())) end
  local levels = math.log(count() + 1, 2)
  return shrink.fewer(count(), function(first, last)
    local level = levels - math.log(last - first + 1, 2) + first / (count() + 1)
    trials.progress(level, levels + 1)
    return try(trials, part, method, first, last) and count() or nil
  end)
end

-- What can go at once: what was freed before, as late as it fails without that history, all of it where it is
-- not for the holes; then the small ones, as far as the large ones fail without them, since few large blocks tell
-- more than many small ones.
local function drop_many(trials, part)
  for _ = 1, ROUNDS do
    local _, events = part:count()
    local share = SHARES
    while share > 0 and not try(trials, part, "drop_freed", events * share // SHARES) do share = share - 1 end
    if share == SHARES or share == 0 then break end
  end
  local step = 1 << 40
  local least = 0 -- without the smaller ones it fails
  while step > 0 do
    if try(trials, part, "drop_smaller", least + step) then least = least + step end
    step = step // 2
  end
end

local function smaller_sizes(trials, part)
  local any, i = false, 1
  while i <= select(4, part:count()) do
    trials.progress(i, (select(4, part:count())))
    shrink.smaller(part:size(i), function(size)
      -- A request before it may be refused by now: then this one is gone.
      if i > select(4, part:count()) then return false end
      local fails = try(trials, part, "set_size", i, size)
      any = any or fails
      return fails
    end)
    i = i + 1
  end
  return any
end

-- Blocks first; then, where that is wanted, frees, resizes and sizes, and again until nothing changes.
local function minimize(trials, part, thoroughly)
  drop_many(trials, part)
  fewer(trials, part, "drop_blocks", 1)
  while thoroughly and not trials.cut do
    local _, before = part:count()
    fewer(trials, part, "drop_changes", 3)
    local any = smaller_sizes(trials, part)
    fewer(trials, part, "drop_blocks", 1)
    if not any and select(2, part:count()) == before then break end
  end
  trials.progress()
end

-- ---- What it was given ------------------------------------------------------------

-- How many replays, and how many events in all of them.
local function read_runs(given)
  if not given.max_runs then return math.maxinteger, MOST_EVENTS end
  local runs = math.tointeger(tonumber(given.max_runs))
  if not runs or runs < 1 then fault.raise("--max-runs: '%s' is no number of replays from 1 on", given.max_runs) end
  return runs, math.maxinteger
end

local function one_policy(given)
  local choices = options.policies { policy = given.policy }
  if #choices ~= 1 then fault.raise("--policy: one policy, not %d", #choices) end
  return choices[1]
end

local function one_source(given)
  local list = sources.load { source = { given.source }, seed = given.seed }
  if #list ~= 1 then fault.raise("%s: holds %d scenarios; one at a time", given.source, #list) end
  return list[1]
end

-- Nothing fails there: that is told with where it would.
local function refuse_whole(source, asked)
  local words = ("%s: fits in %s under %s: nothing to minimize"):format(source.name, text.size(asked.capacity),
    asked.label)
  local result = sources.measure(source, { asked.choice }, {
    seed = asked.seed, smallest = true, time = false, progress = terminal.progress("Fitting " .. source.name),
  })[1]
  if result.smallest_pool then
    words = words .. ("; the smallest pool is %s%s bytes"):format(result.smallest_exact and "" or "at most ",
      text.integer(result.smallest_pool))
  end
  fault.raise("%s", words)
end

-- ---- The report -------------------------------------------------------------------

local function headline(d)
  local why = d.fragmented and "all that is live then would go into the pool, but it has no hole so large"
    or "more is live then than goes into the pool"
  return ("%s under %s in %s: the request for %s is refused; %s."):format(d.name, d.policy, text.size(d.capacity),
    text.counted(d.refused, "byte"), why)
end

local function outcome(d)
  local words = ("%s of %s, %s of %s, after %s; "):format(text.integer(d.blocks),
    text.counted(d.blocks_before, "block"), text.integer(d.events), text.counted(d.events_before, "event"),
    text.counted(d.runs, "replay"))
  if not d.minimal then
    return words .. "stopped there, before it was known that none of them can go: --max-runs N goes on."
  end
  return words .. (d.blocks == 1 and "it fails alone."
    or "without any one of these blocks it does not fail so.")
end

local function print_report(d)
  -- Where the script itself goes to standard output, this goes beside it.
  local out = d.output and io.stdout or io.stderr
  out:write(text.wrap(headline(d), 80), "\n", text.wrap(outcome(d), 80), "\n")
  if d.output and d.output:match "%.lua$" then out:write("heapwright run ", reproduction.arguments(d), "\n") end
end

return {
  name = "minimize",
  summary = "Find the smallest part of a trace that still fails in a pool.",
  epilog = table.concat({
    "Leaves out blocks, each with its resizes and its free, as long as a request",
    "is still refused; without any one of those that are left it is not. The",
    "result is a scenario that fails under heapwright run, or a trace.",
    "",
    "Examples:",
    "  heapwright minimize app.hwt --capacity 64K --policy best-fit -o fails.lua",
    "  heapwright minimize app.hwt -c 64K -p first-fit --shrink -o fails.txt",
  }, "\n"),

  describe = function(command)
    command:argument("source", "A trace; a .lua file is a scenario, of which one run is recorded.")
    preparation.add(command)
    options.add_capacity(command, "The pool in which it fails.")
    command:option("--policy -p", "Its policy; an order (fifo, lifo, random) after a slash: best-fit/fifo.")
      :argname("POLICY"):default "best-fit"
    command:option("--output -o", "The result: a trace where its name ends in .txt or .hwt, else a scenario; "
      .. "standard output without it."):argname "FILE"
    command:option("--granule", "The pool's granule: 8, 16, 32 or 64 bytes."):argname "N"
    command:flag("--shrink", "Then also leave out single frees and resizes, and make sizes smaller.")
    command:option("--max-runs", "Stop after so many replays; after 1,000 million events without it."):argname "N"
    options.add_seed(command)
    options.add_json(command)
  end,

  run = function(given)
    preparation.run(given)
    local asked = {
      choice = one_policy(given), capacity = options.capacity(given), seed = options.seed(given),
      granule = given.granule and what_if.granule(given.granule) or 16,
    }
    asked.label = asked.choice.label
    if not asked.capacity then fault.raise "--capacity is missing: in which pool does it fail?" end
    local runs, most = read_runs(given)
    local trials = { left = runs, events = most, runs = 0, cut = false }
    local source = one_source(given)
    local out = options.output(given)
    local part, message, code = source.program:part {
      policy = asked.choice.policy, order = asked.choice.order, seed = asked.seed,
      capacity = asked.capacity, granule = asked.granule,
    }
    if not part and code == "limit" then refuse_whole(source, asked) end
    if not part then fault.raise("%s under %s in %d bytes: %s", source.name, asked.label, asked.capacity, message) end
    local known = source.program:source()
    trials.progress = terminal.progress("Minimizing " .. source.name)
    minimize(trials, part, given.shrink)
    local blocks, events, _, sizes = part:count()
    local details = {
      name = source.name, policy = asked.label, capacity = asked.capacity, granule = asked.granule, seed = asked.seed,
      random = asked.choice.order == "random", fragmented = part:fragmented(), refused = part:size(sizes),
      blocks_before = known.allocations, events_before = known.events, blocks = blocks, events = events,
      runs = trials.runs, minimal = not trials.cut, shrunk = given.shrink or false, output = given.output,
    }
    if given.output or not out then reproduction.write(given.output, part:text(), details) end
    if out then return out(json.details(sources.describe(source), { details }, DETAILS)) end
    print_report(details)
  end,
}
