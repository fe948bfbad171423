-- SPDX-License-Identifier: MIT
-- One of the processes that run.lua starts, each with a copy of the source tree:
--   worker.lua WORK NUMBER WORKERS prepare BUILD ...   makes the copy and configures its builds
--   worker.lua WORK NUMBER WORKERS try                 tries mutations until none is left
--   worker.lua WORK NUMBER WORKERS quick               the same with the tests that know the file alone
-- It tells run.lua what it found in lines of words with tabs between them. Who tries which
-- mutation is settled by making a folder, which only one can.
package.path = arg[0]:match "^(.*)worker%.lua$" .. "?.lua;" .. package.path
local trial = require "trial"
local mutations = require "mutations"

local work, number, task = arg[1], tonumber(arg[2]), arg[4]
local copy = trial.new(work, number)

local function tell(...)
  io.write(table.concat({ ... }, "\t"):gsub("\n", " "), "\n")
  io.flush()
end

local function prepare(builds)
  copy:create()
  for _, build in ipairs(builds) do
    if not copy:prepare(build) then tell("failed", build, "the build", copy:last_words()) end
  end
end

local function try(all_tests)
  local all = mutations.all()
  for line in io.lines(work .. "/queue") do
    local which, whose = line:match "^(%d+) (%d+)$"
    local mine = whose == "0" or tonumber(whose) == number
    if mine and trial.run(("mkdir %s/claimed/%s 2>/dev/null"):format(work, which)) then
      local began = os.time()
      local status, told, how = copy:try(all[tonumber(which)], all_tests)
      tell("result", which, status, told or "", how or "", os.time() - began)
    end
  end
end

if task == "prepare" then
  prepare(table.move(arg, 5, #arg, 1, {}))
else
  try(task == "try")
end
tell "done"
