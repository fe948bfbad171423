-- SPDX-License-Identifier: MIT
-- compare --parallel: a trace's threads on real threads, in one shared pool under each policy.
local fault = require "heapwright.cli.fault"
local figures = require "heapwright.cli.figures"
local pool = require "heapwright.pool"
local text = require "heapwright.text"

local M = {}

local COLUMNS = { "policy", "failures", "peak", "high", "waits", "alone", "together", "scaling" }

--- Adds --parallel and --threads.
function M.describe(command)
  command:flag("--parallel", "Replay the trace's threads on real threads in one shared pool: throughput and waits. "
    .. "Each thread keeps its order, each block that of its events; placement differs from run to run.")
  command:option("--threads", "With --parallel, on so many threads at most; else on those of the trace, 64 at most.")
    :argname "N"
end

-- The threads that --threads names, nil without it.
local function threads_of(given)
  if not given.threads then return nil end
  local n = math.tointeger(tonumber(given.threads))
  if not n or n < 1 or n > 64 then fault.raise("--threads: '%s' is no number of 1 to 64", given.threads) end
  if not given.parallel then fault.raise "--threads is for --parallel" end
  return n
end

--- Checks what the options name.
---@param given table
function M.check(given)
  threads_of(given)
  if given.parallel and given.stream then fault.raise "--parallel loads the trace: not with --stream" end
end

-- The choices, and once more with caches those whose policy takes them.
local function variants(choices)
  local list, caches = {}, {}
  for _, policy in ipairs(pool.policies()) do
    caches[policy.name] = policy.takes_caches
  end
  for _, choice in ipairs(choices) do
    list[#list + 1] = { choice = choice, label = choice.label }
    if caches[choice.policy] then
      list[#list + 1] = { choice = choice, label = choice.label .. ", caches", caches = true }
    end
  end
  return list
end

--- Measures a source.
---@param source cli.Source loaded
---@param choices heapwright.Choice[]
---@param what {given: table, capacity: integer|nil, seed: integer, progress: function}
---@return table[] results
function M.measure(source, choices, what)
  local results, list = {}, variants(choices)
  for i, variant in ipairs(list) do
    what.progress(i - 1, #list)
    local result, message = source.program:contend {
      policy = variant.choice.policy,
      order = variant.choice.order,
      seed = what.seed,
      capacity = what.capacity,
      threads = threads_of(what.given),
      caches = variant.caches,
    }
    if not result then
      what.progress()
      fault.raise("%s: %s: %s", source.name, variant.label, message)
    end
    result.policy, result.caches, result.capacity = variant.choice.label, variant.caches or false, what.capacity
    result.label = variant.label
    results[i] = result
  end
  what.progress()
  return results
end

--- Prints the table, fastest first, and what is to be known of it.
---@param results table[]
function M.print(results)
  local sorted = {}
  for i, result in ipairs(results) do
    sorted[i] = setmetatable({ policy = result.label, slowness = -result.ops_per_second }, { __index = result })
  end
  figures.print(COLUMNS, figures.sort(sorted, "slowness"))
  local one = results[1]
  print()
  print(text.wrap(("%s of the trace, on %s; %s wait for another thread's on the same block. Other runs place "
    .. "otherwise; the pool was sound after each, and held what the trace leaves."):format(
      text.counted(one.recorded_threads, "thread"), text.counted(one.threads, "thread"),
      text.counted(one.dependencies, "event")), 80))
end

return M
