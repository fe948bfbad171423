-- SPDX-License-Identifier: MIT
-- heapwright trace generate: a trace made up, as long as is wanted.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local options = require "heapwright.cli.options"
local traces = require "heapwright.traces"
local workload = require "heapwright.workload"

local M = {}

-- Sizes are drawn from the distribution so often; each event takes one of them.
local DRAWN = 65536

local POWERS = { [""] = 1, k = 1000, K = 1000, M = 1000000, G = 1000000000 }

-- How many numbers each distribution of heapwright.workload takes; choice: any.
local DISTRIBUTIONS = { uniform = 2, exponential = 1, lognormal = 2, pareto = 2, choice = 0 }

-- A number of things: 5000, 20k, 100M.
local function count(given, name, least, most)
  local digits, power = given:match "^(%d+%.?%d*)([kKMG]?)$"
  local n = digits and math.tointeger(tonumber(digits) * POWERS[power])
  if not n or n < least or n > most then
    fault.raise("--%s: '%s' is no number of %d to %d, such as 5000, 20k or 100M", name, given, least, most)
  end
  return n
end

local function share(given, name)
  local x = tonumber(given)
  if not x or x ~= x or x < 0 or x > 1 then fault.raise("--%s: '%s' is no number of 0 to 1", name, given) end
  return x
end

-- The sizes that --sizes names: NAME:NUMBER,NUMBER.
local function draw(given, seed)
  local name, rest = given:match "^(%l+):(.+)$"
  local numbers = {}
  for part in (rest or ""):gmatch "[^,]+" do
    numbers[#numbers + 1] = tonumber(part)
  end
  local wanted = DISTRIBUTIONS[name]
  local _, commas = (rest or ""):gsub(",", "")
  if not wanted or #numbers ~= commas + 1 or (wanted > 0 and #numbers ~= wanted) then
    fault.raise("--sizes: '%s' is none of uniform:LEAST,MOST, exponential:MEAN, lognormal:MU,SIGMA, "
      .. "pareto:ALPHA,LEAST, choice:SIZE,SIZE,…", given)
  end
  local drawer, sizes = workload.new({}, seed), {}
  for i = 1, DRAWN do
    local ok, size
    if wanted == 0 then
      ok, size = pcall(drawer.choice, drawer, numbers)
    else
      ok, size = pcall(drawer[name], drawer, table.unpack(numbers))
    end
    if not ok then fault.raise("--sizes %s: %s", given, (tostring(size):gsub("^.-:%d+: ", ""))) end
    size = math.tointeger(size)
    if not size or size < 0 then
      fault.raise("--sizes: '%s' names a size that is no whole number, or negative", given)
    end
    sizes[i] = size
  end
  return sizes
end

--- Describes `trace generate` to argparse.
function M.describe(command)
  command:option("--output -o", "The new file: binary where its name ends in .hwt, else text."):argname "FILE"
    :count(1)
  command:option("--events -n", "How many events."):argname("N"):default "1M"
  command:option("--live", "How many blocks are live, once as many have been allocated."):argname("N")
    :default "10k"
  command:option("--sizes", "uniform:LEAST,MOST, exponential:MEAN, lognormal:MU,SIGMA, pareto:ALPHA,LEAST "
    .. "or choice:SIZE,SIZE,…"):argname("DISTRIBUTION"):default "uniform:16,256"
  command:option("--resizes", "The share of resizes among frees and resizes, 0 to 1."):argname("SHARE")
    :default "0"
  command:option("--threads", "Events are of so many threads, each by chance."):argname("N")
  command:option("--passed", "With --threads, the share of blocks that another thread frees, 0 to 1.")
    :argname("SHARE"):default "0.1"
  command:option("--seed", "What chance follows from."):argname("N"):default "1"
end

--- Runs it.
function M.run(given)
  local seed = options.seed(given)
  local plan = {
    path = given.output,
    format = given.output:match "%.hwt$" and "binary" or "text",
    events = count(given.events, "events", 1, 1000000000000),
    live = count(given.live, "live", 1, 4294967294),
    seed = seed,
    resizes = share(given.resizes, "resizes"),
    sizes = draw(given.sizes, seed),
  }
  if given.threads then
    plan.threads = count(given.threads, "threads", 1, 65535)
    plan.passed = share(given.passed, "passed")
  end
  host.converts_to(given.output)
  fault.check(traces.generate(plan))
end

return M
