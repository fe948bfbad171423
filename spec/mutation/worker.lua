-- SPDX-License-Identifier: MIT
-- One of the processes that run.lua starts, each with a copy of the source tree:
--   worker.lua WORK NUMBER WORKERS prepare BUILD ...   builds the copy and runs its tests as it is
--   worker.lua WORK NUMBER WORKERS try                 tries mutations until none is left
-- It tells run.lua what it found in lines of words with tabs between them. Who tries which
-- mutation is settled by making a folder, which only one can.
package.path = arg[0]:match "^(.*)worker%.lua$" .. "?.lua;" .. package.path
local trial = require "trial"
local mutations = require "mutations"

local work, number, workers, task = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4]
local copy = trial.new(work, number)

local function tell(...)
  io.write(table.concat({ ... }, "\t"):gsub("\n", " "), "\n")
  io.flush()
end

-- The plain build's tests are shared out among the workers; others have one worker each.
local function prepare(builds)
  copy:create()
  for _, build in ipairs(builds) do
    if not copy:prepare(build) then
      tell("failed", build, "the build", copy:last_words())
      return
    end
    for i, test in ipairs(copy:tests(build)) do
      if build ~= "plain" or i % workers == number - 1 then
        local passed, seconds, code = copy:test(test)
        tell("time", build, test.name, seconds)
        if not passed then tell("failed", build, test.name, code) end
      end
    end
  end
end

local function read_times(build)
  local times = {}
  for line in io.lines(("%s/times-%s"):format(work, build)) do
    local name, seconds = line:match "^(.*)\t(.*)$"
    times[name] = tonumber(seconds)
  end
  return times
end

local function try()
  local all, times = mutations.all(), {}
  for line in io.lines(work .. "/queue") do
    local which, whose = line:match "^(%d+) (%d+)$"
    local mine = whose == "0" or tonumber(whose) == number
    if mine and trial.run(("mkdir %s/claimed/%s 2>/dev/null"):format(work, which)) then
      local mutation = all[tonumber(which)]
      local build, began = mutation.build or "plain", os.time()
      times[build] = times[build] or read_times(build)
      local status, told, how = copy:try(mutation, times[build])
      tell("result", which, status, told or "", how or "", os.time() - began)
    end
  end
end

if task == "prepare" then
  prepare(table.move(arg, 5, #arg, 1, {}))
else
  try()
end
tell "done"
