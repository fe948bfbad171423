-- SPDX-License-Identifier: MIT
-- The mutation check: breaks heapwright in each of the ways that mutations.lua lists,
-- one at a time, and shows which of its tests notices. DeMillo, Lipton and Sayward,
-- «Hints on test data selection», IEEE Computer 11 (1978).
--
--   lua5.4 spec/mutation/run.lua [--list] [--only N,N-M,TEXT] [--sample N [--seed N]] [--jobs N]
--     [--results FILE] [--quick]
--
--   1. The source tree is copied to a temporary folder, once for each job; nothing is
--      changed in the tree itself.
--   2. Each mutation is put into a copy. What it touches is built for the tests that know
--      the file (tests.lua), which are run; then for the core's other quick ones, then for
--      all that are quick, then for the slow ones; until one fails, or hangs. That one has
--      to pass on the source as it is. A mutation that does not compile, or whose text is
--      gone, is an error in the list.
--   3. A table: which test noticed it. What none noticed survived; of a mutation that the list
--      argues changes nothing only the tests that know the file are asked. With --results each
--      line of it goes to a file at once, and what is in the file is not tried again: a
--      run that was broken off goes on there. With --quick only the
--      tests that know the file are run, and no sanitizer's build is made; what is not noticed
--      then is left open, for a run without.
--
-- Ends with 1 where less than 95 % of the mutations are noticed, where one survives that
-- the list gives no reason for, or where the list has an error.
local here = arg[0]:match "^(.*)run%.lua$"
package.path = here .. "?.lua;" .. package.path
local mutations = require "mutations"
local root = here .. "../.."

local least_noticed = 0.95

-- ---- The command line ---------------------------------------------------------------

local usage = [[
usage: lua5.4 spec/mutation/run.lua [options]
  --list         prints the mutations; tries none
  --only N,...   only those: numbers (3), ranges (3-7), parts of a file's name (pool.c)
  --sample N     N of them, spread over the whole list
  --seed N       where the sample begins (default: the day)
  --results FILE keeps what was found, and tries only what is not there
  --quick        runs the tests that know the file alone, without sanitizers
  --jobs N       how many are tried at a time (default: 2)
]]

local function refuse(message)
  io.stderr:write("run.lua: ", message, "\n", usage)
  os.exit(2)
end

local function read_options()
  local options, i = { jobs = 2, seed = os.time() // 86400 }, 1
  while arg[i] do
    local name = arg[i]:match "^%-%-(%l+)$"
    if name == "list" then
      options.list = true
    elseif name == "only" and arg[i + 1] then
      options.only, i = arg[i + 1], i + 1
    elseif name == "quick" then
      options.quick = true
    elseif name == "results" and arg[i + 1] then
      options.results, i = arg[i + 1], i + 1
    elseif (name == "sample" or name == "seed" or name == "jobs") and math.tointeger(tonumber(arg[i + 1])) then
      options[name], i = math.tointeger(tonumber(arg[i + 1])), i + 1
    else
      refuse("what is " .. arg[i] .. "?")
    end
    i = i + 1
  end
  if options.jobs < 1 or (options.sample and options.sample < 1) then refuse "at least 1" end
  return options
end

local function is_wanted(mutation, only)
  for part in only:gmatch "[^,]+" do
    local first, last = part:match "^(%d+)%-?(%d*)$"
    if first then
      local from, to = tonumber(first), last ~= "" and tonumber(last) or tonumber(first)
      if mutation.number >= from and mutation.number <= to then return true end
    elseif mutation.file:find(part, 1, true) then
      return true
    end
  end
  return false
end

local function choose(all, options)
  local chosen = {}
  for _, mutation in ipairs(all) do
    if not options.only or is_wanted(mutation, options.only) then chosen[#chosen + 1] = mutation end
  end
  local count = options.sample
  if not count or count >= #chosen then return chosen end
  local sample, stride = {}, #chosen / count
  for i = 0, count - 1 do
    sample[#sample + 1] = chosen[(math.floor(i * stride) + options.seed) % #chosen + 1]
  end
  table.sort(sample, function(a, b) return a.number < b.number end)
  return sample
end

local function list(all)
  for _, mutation in ipairs(all) do
    print(("%3d  %-26s %s%s"):format(mutation.number, mutation.file, mutation.breaks,
      mutation.build and " [" .. mutation.build .. "]" or ""))
  end
end

-- Errors of the list, told; how many.
local function count_faults(chosen)
  local faults = 0
  for _, mutation in ipairs(chosen) do
    local fault = mutations.fault(mutation, root)
    if fault then
      faults = faults + 1
      print(("error: %d, %s: %s"):format(mutation.number, mutation.file or "no file", fault))
    end
  end
  return faults
end

-- ---- Workers ------------------------------------------------------------------------

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function must(command)
  if not os.execute(command) then error("failed: " .. command, 0) end
end

local function make_work()
  local pipe = assert(io.popen "mktemp -d")
  local work = pipe:read "l"
  pipe:close()
  must(("mkdir -p %s/claimed %s/base && tar -C %s --exclude=./build --exclude='./build-*' --exclude=./.git -cf - ."
    .. " | tar -C %s/base -xf -"):format(quote(work), quote(work), quote(root), quote(work)))
  return work
end

---Runs workers beside each other, all to their ends; on_line is called with the words of each line that
---one of them says.
local function run_workers(work, workers, tasks, on_line)
  local parts = {}
  for number = 1, workers do
    parts[number] = ("lua5.4 %s/base/spec/mutation/worker.lua %s %d %d %s")
      :format(quote(work), quote(work), number, workers, tasks(number))
  end
  local pipe = assert(io.popen(table.concat(parts, " & ") .. " & wait"))
  local done = 0
  for line in pipe:lines() do
    local words = {}
    for word in (line .. "\t"):gmatch "(.-)\t" do words[#words + 1] = word end
    if line == "done" then done = done + 1 else on_line(table.unpack(words)) end
  end
  pipe:close()
  if done < workers then error(("%d of %d workers broke off"):format(workers - done, workers), 0) end
end

-- The builds that the mutations want besides the plain one, and which worker has each.
local function owners(chosen, workers)
  local owner, next_worker = {}, 1
  for _, mutation in ipairs(chosen) do
    if mutation.build and not owner[mutation.build] then
      owner[mutation.build] = next_worker
      next_worker = next_worker % workers + 1
    end
  end
  return owner
end

---Makes the copies; false where one can't be configured.
local function prepare(work, workers, owner)
  local sound = true
  run_workers(work, workers, function(number)
    local task = "prepare plain"
    for build, whose in pairs(owner) do
      if whose == number then task = task .. " " .. build end
    end
    return task
  end, function(_, build, name, told)
    sound = false
    print(("unmutated, %s build: %s fails: %s"):format(build, name, told))
  end)
  return sound
end

-- Those that only one worker can try come first: then the others have enough to do to the end.
local function write_queue(work, chosen, owner)
  local file = assert(io.open(work .. "/queue", "w"))
  for _, pinned in ipairs { true, false } do
    for _, mutation in ipairs(chosen) do
      if (mutation.build ~= nil) == pinned then
        file:write(mutation.number, " ", mutation.build and owner[mutation.build] or 0, "\n")
      end
    end
  end
  file:close()
end

-- ---- The whole ----------------------------------------------------------------------

-- What a file of results says of the mutations, by number; a status that is still open is none.
local function read_results(path, chosen)
  local results, by_fingerprint = {}, {}
  for _, mutation in ipairs(chosen) do by_fingerprint[mutations.fingerprint(mutation)] = mutation end
  local file = io.open(path)
  if not file then return results end
  for line in file:lines() do
    local fingerprint, status, told = line:match "^(%x+)\t(%l+)\t([^\t]*)"
    local mutation = by_fingerprint[fingerprint]
    if mutation and (status == "noticed" or status == "survived") then
      results[mutation.number] = { status = status, told = told }
    end
  end
  file:close()
  return results
end

---Tries them and prints the table; adds to the results by number.
local function try(work, workers, all, chosen, owner, options, results)
  local kept = options.results and assert(io.open(options.results, "a"))
  write_queue(work, chosen, owner)
  run_workers(work, workers, function() return options.quick and "quick" or "try" end,
    function(_, number, status, told, how, seconds)
      local mutation = all[tonumber(number)]
      results[mutation.number] = { status = status, told = told }
      local by = status == "noticed" and told .. (how ~= "" and " " .. how or "") or status:upper()
      print(("%3d  %-34s %3d s  %s: %s"):format(mutation.number, by, seconds, mutation.file, mutation.breaks))
      if status == "error" then print("     " .. told) end
      if kept then
        local line = { mutations.fingerprint(mutation), status, told, seconds, mutation.file, mutation.breaks }
        kept:write(table.concat(line, "\t"), "\n")
        kept:flush()
      end
    end)
  if kept then kept:close() end
end

-- Prints what came of it; whether that is good enough.
local function sum_up(chosen, results)
  local noticed, excused, wrong = 0, 0, 0
  for _, mutation in ipairs(chosen) do
    local result = results[mutation.number] or { status = "open" }
    if result.status == "noticed" then
      noticed = noticed + 1
      if mutation.survives then print(mutation.number .. " was noticed, though the list says why it can't be") end
    elseif result.status == "survived" and mutation.survives then
      excused = excused + 1
      print(("%d survived, as it must: %s"):format(mutation.number, mutation.survives))
    else
      wrong = wrong + 1
      print(("%d %s: %s: %s"):format(mutation.number, result.status, mutation.file, mutation.breaks))
    end
  end
  local share = noticed / #chosen
  print(("%d of %d mutations noticed, %.1f %%, at least %.0f %% wanted; %d survived with a reason, %d without")
    :format(noticed, #chosen, share * 100, least_noticed * 100, excused, wrong))
  -- Of a sample a single one that survives with a reason may be too much.
  return wrong == 0 and (share >= least_noticed or noticed + excused == #chosen and #chosen < 20)
end

local function check(options, all)
  local chosen = choose(all, options)
  if #chosen == 0 then refuse("no mutation is " .. options.only) end
  if options.sample then print(("a sample of %d, --seed %d"):format(#chosen, options.seed)) end
  if count_faults(chosen) > 0 then return false end
  local results = options.results and read_results(options.results, chosen) or {}
  local left = {}
  for _, mutation in ipairs(chosen) do
    if not results[mutation.number] and not (options.quick and mutation.build) then left[#left + 1] = mutation end
  end
  if #left == 0 then return sum_up(chosen, results) end
  local workers = math.min(options.jobs, #left)
  local owner = owners(left, workers)
  local work = make_work()
  local done, good = pcall(function()
    if not prepare(work, workers, owner) then return false end
    try(work, workers, all, left, owner, options, results)
    return sum_up(chosen, results)
  end)
  os.execute("rm -rf " .. quote(work))
  if not done then error(good, 0) end
  return good
end

io.stdout:setvbuf "line"
local options, all = read_options(), mutations.all()
if options.list then
  list(options.only and choose(all, options) or all)
  os.exit(count_faults(all) == 0 and 0 or 1)
end
os.exit(check(options, all) and 0 or 1)
