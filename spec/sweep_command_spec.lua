-- SPDX-License-Identifier: MIT
-- Promises of heapwright sweep: each cell once, the same results byte for byte however often it was
-- killed, failures of a cell kept as such, wrong plans and journals refused.
local churn = require "spec.support.churn"
local command = require "spec.support.command"
local dkjson = require "dkjson"
local pool = require "heapwright.pool"
local replay = require "heapwright.replay"

local write, read = command.write, command.read

-- In the specs' folder, so that plan and results have short names.
local function sweep(arguments)
  return command.shell_there(("%s sweep %s </dev/null"):format(command.path, arguments))
end

local function records(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do list[#list + 1] = assert(dkjson.decode(line)) end
  return list
end

-- Two files are the same, byte for byte; says where they are not.
local function assert_alike(name, other)
  local a, b = read(name), read(other)
  if a == b then return end
  local at = 1
  while a:byte(at) == b:byte(at) do at = at + 1 end
  error(("%s and %s differ at byte %d: %q, %q"):format(name, other, at, a:sub(at, at + 60), b:sub(at, at + 60)), 2)
end

local function exists(name)
  local file = io.open(command.folder .. "/" .. name)
  if file then file:close() end
  return file ~= nil
end

local PLAN = [[
return heapwright.sweep {
  traces = { "a.txt", "b.txt" }, policies = { "best-fit", "next-fit" }, granules = { 16, 32 },
  capacities = { "smallest", "4K", "unbounded" }, seeds = { 1, 2 },
}
]]

-- The folder, with two traces and a plan of 48 cells.
local function prepare(plan)
  write("a.txt", churn.trace(1, 300, 30, 200))
  write("b.txt", churn.trace(2, 200, 20, 300))
  write("plan.lua", plan or PLAN)
end

before_each(command.enter)
after_each(command.leave)

describe("the results of heapwright sweep", function()
  it("hold each combination once, in the plan's order", function()
    prepare()
    local out, err, code = sweep "plan.lua -o r.jsonl"
    assert.equal(0, code, err)
    assert.equal("plan.lua: 48 cells\n", out)
    local number, list = 0, records(read "r.jsonl")
    assert.equal(48, #list)
    for _, source in ipairs { "a.txt", "b.txt" } do
      for seed = 1, 2 do
        for _, policy in ipairs { "best-fit", "next-fit" } do
          for _, granule in ipairs { 16, 32 } do
            for _, size in ipairs { "smallest", "4096", "unbounded" } do
              number = number + 1
              local r = list[number]
              assert.same({ number, 48, source, seed, policy, granule, size },
                { r.cell, r.cells, r.source, r.seed, r.policy, r.granule, r.pool })
            end
          end
        end
      end
    end
  end)

  it("are what a replay measures", function()
    prepare()
    sweep "plan.lua -o r.jsonl"
    local program <close> = assert(replay.load(command.folder .. "/b.txt"))
    for _, r in ipairs(records(read "r.jsonl")) do
      if r.source == "b.txt" then
        local expected = assert(program:measure {
          policies = { { policy = r.policy, seed = r.seed } }, granule = r.granule,
          capacity = r.pool == "4096" and 4096 or nil, smallest = r.pool == "smallest",
        })[1]
        for _, name in ipairs { "capacity", "failures", "peak_in_use", "peak_granted", "high_water", "smallest_pool",
          "smallest_exact", "steps_max" } do
          assert.equal(expected[name], r[name], name)
        end
        for _, name in ipairs { "external_fragmentation", "internal_fragmentation", "overhead", "steps_mean" } do
          if not expected[name] then assert.is_nil(r[name]) else assert.near(expected[name], r[name], 1e-12) end
        end
        assert.is_nil(r.ns_p50)
      end
    end
  end)

  it("are the same for any number of workers, and on standard output", function()
    prepare()
    sweep "plan.lua -o one.jsonl -j 1"
    sweep "plan.lua -o many.jsonl -j 7"
    local out, err, code = sweep "plan.lua"
    assert.equal(0, code, err)
    assert_alike("one.jsonl", "many.jsonl")
    assert.equal(read "one.jsonl", out)
    assert.is_true(exists "plan.journal")
  end)

  it("are every policy's where the plan names none, by address, of the smallest pool and seed 1", function()
    prepare 'return heapwright.sweep { traces = { "a.txt" } }'
    local list = records((sweep "plan.lua"))
    assert.equal(#pool.policies(), #list)
    for i, policy in ipairs(pool.policies()) do
      assert.same({ policy.name, "smallest", 1, 16 }, { list[i].policy, list[i].pool, list[i].seed, list[i].granule })
    end
  end)

  it("cross orders with the policies that take one", function()
    prepare [[return heapwright.sweep { traces = "a.txt", policies = { "best-fit", "buddy" }, capacities = "8K",
      orders = { "address", "lifo", "random" }, seeds = { from = 3, to = 4 } }]]
    local seen = {}
    for i, r in ipairs(records((sweep "plan.lua"))) do seen[i] = r.policy .. " " .. r.seed end
    assert.same({ "best-fit 3", "best-fit/lifo 3", "best-fit/random 3", "buddy 3",
      "best-fit 4", "best-fit/lifo 4", "best-fit/random 4", "buddy 4" }, seen)
  end)

  it("take scenarios, which the seed changes", function()
    write("s.lua", [[
local function run(mem, s) for _ = 1, 20 do assert(mem:alloc(s:uniform(1, 500))) end print "not a result" end
return { heapwright.scenario { name = "x", run = run }, heapwright.scenario { name = "y", run = run } }]])
    write("plan.lua", [[return heapwright.sweep { scenarios = { "s.lua" }, policies = "bump", seeds = { 1, 2 } }]])
    local out, err, code = sweep "plan.lua"
    assert.equal(0, code, err)
    local list = records(out)
    assert.same({ "s.lua:x", "s.lua:x", "s.lua:y", "s.lua:y" },
      { list[1].source, list[2].source, list[3].source, list[4].source })
    assert.not_equal(list[1].peak_in_use, list[2].peak_in_use)
    assert.equal(list[1].peak_in_use, list[3].peak_in_use)
    assert.equal("", (command.shell_there "ls | grep -v -e s.lua -e plan"))
  end)

  it("have times where the plan asks for them, and then alone", function()
    prepare 'return heapwright.sweep { traces = "a.txt", policies = "buddy", capacities = "unbounded", time = true }'
    local r = records((sweep "plan.lua"))[1]
    assert.is_true(r.ns_max >= r.ns_p50 and r.ops_per_second > 0)
  end)

  it("are found from the plan's folder, wherever that is", function()
    prepare()
    sweep "plan.lua -o r.jsonl"
    assert(os.execute(("mkdir %s/sub"):format(command.folder)))
    local _, err, code = command.shell_there("cd sub && " .. command.path .. " sweep ../plan.lua -o r.jsonl </dev/null")
    assert.equal(0, code, err)
    assert_alike("r.jsonl", "sub/r.jsonl")
  end)

  it("are CSV as well, by RFC 4180", function()
    prepare [[return heapwright.sweep { traces = { "a.txt", 'odd "name", too.txt' }, policies = "buddy",
      capacities = "4K" }]]
    write('odd "name", too.txt', "a 1 100\n")
    local _, err, code = sweep "plan.lua -o r.jsonl --csv r.csv"
    assert.equal(0, code, err)
    local lines = {}
    for line in read "r.csv":gmatch "(.-)\r\n" do lines[#lines + 1] = line end
    assert.equal(3, #lines)
    assert.is_truthy(lines[1]:find "^plan,cell,cells,source,seed,policy,granule,pool,capacity,failures,peak_in_use,")
    local r = records(read "r.jsonl")
    assert.equal(("%s,1,2,a.txt,1,buddy,16,4096,4096,%d,%d,"):format(r[1].plan, r[1].failures, r[1].peak_in_use),
      lines[2]:match "^.-,4096,4096,%d+,%d+,")
    assert.is_truthy(lines[3]:find(',2,2,"odd ""name"", too.txt",1,buddy,', 1, true), lines[3])
    local commas = select(2, lines[1]:gsub(",", ""))
    assert.equal(commas, select(2, lines[2]:gsub(",", "")))
    assert.equal(commas + 1, select(2, lines[3]:gsub(",", "")))
  end)
end)

describe("a sweep that was killed", function()
  -- So long that no short life is enough for it.
  local LONG = [[
return heapwright.sweep {
  traces = { "a.txt", "b.txt" }, policies = { "best-fit", "worst-fit", "buddy" }, granules = { 8, 16, 32, 64 },
  capacities = { "smallest", "2K", "4K" }, seeds = { from = 1, to = 12 },
}
]]

  local function seconds_now()
    local pipe = assert(io.popen "date +%s.%N")
    return tonumber(pipe:read "l"), pipe:close()
  end

  local function lines_of(name)
    return exists(name) and select(2, read(name):gsub("\n", "")) or 0
  end

  it("at a hundred moments gives the results of one that was not, nothing lost and nothing twice", function()
    prepare(LONG)
    local began = seconds_now()
    local _, err, code = sweep "plan.lua -o whole.jsonl"
    local whole = seconds_now() - began
    assert.equal(0, code, err)
    assert.equal(864, lines_of "whole.jsonl")
    local state, grew, killed, before = 12345, 0, 0, 0
    for round = 1, 100 do
      state = (state * 1103515245 + 12345) & 0x7fffffff
      local seconds = 0.001 + whole * 0.4 * ((state >> 8) % 1000 / 1000)
      -- Every other time the workers are left behind, for whom the parent's end has to be enough.
      local foreground = round % 2 == 0 and "--foreground " or ""
      _, _, code = command.shell_there(("timeout %s-s KILL %.3f %s sweep plan.lua -o r.jsonl </dev/null"):format(
        foreground, seconds, command.path))
      killed = killed + (code == 137 and 1 or 0)
      local now = lines_of "r.jsonl.journal"
      assert.is_true(now >= before, "the journal lost lines")
      grew, before = grew + (now > before and 1 or 0), now
      if code == 0 then
        assert_alike("whole.jsonl", "r.jsonl")
        os.remove(command.folder .. "/r.jsonl.journal")
        before = 0
      end
    end
    assert.is_true(killed >= 30, killed .. " of 100 were killed")
    assert.is_true(grew >= 5, "the journal grew in " .. grew .. " rounds")
    _, err, code = sweep "plan.lua -o r.jsonl"
    assert.equal(0, code, err)
    assert_alike("whole.jsonl", "r.jsonl")
    -- Each cell has one line that did not fail.
    local seen = {}
    for _, r in ipairs(records(read "r.jsonl.journal")) do
      if r.cell and not r.error then
        assert.is_nil(seen[r.cell])
        seen[r.cell] = true
      end
    end
    assert.equal(864, #seen)
  end)

  it("does what it was at once more where the journal's last line is torn, wherever", function()
    prepare()
    sweep "plan.lua -o whole.jsonl"
    local journal = read "whole.jsonl.journal"
    local third = journal:find("\n", journal:find("\n", journal:find("\n", 1, true) + 1, true) + 1, true)
    for cut = 0, third, 29 do
      write("r.jsonl.journal", journal:sub(1, cut))
      local _, err, code = sweep "plan.lua -o r.jsonl"
      assert.equal(0, code, err)
      assert_alike("whole.jsonl", "r.jsonl")
      assert.equal(49, #records(read "r.jsonl.journal")) -- each line whole, and no cell twice
    end
  end)

  it("leaves no worker behind, even one amid a cell", function()
    write("slow.lua", [[
return heapwright.scenario { name = "slow", run = function(mem)
  mem:alloc(1)
  os.execute "echo $PPID >pid; mv pid worker; exec sleep 4"
end }]])
    write("plan.lua", 'return heapwright.sweep { scenarios = "slow.lua", policies = "buddy" }')
    local out = command.shell_there(([[
%s sweep plan.lua -o r.jsonl </dev/null & sweep=$!
while [ ! -s worker ]; do sleep 0.01; done
kill -9 $sweep; sleep 0.3
grep '^State:.*[RSD] ' /proc/$(cat worker)/status 2>/dev/null || echo gone]]):format(command.path))
    assert.equal("gone\n", out)
  end)

  it("measures nothing again: a journal that is whole is enough", function()
    prepare()
    sweep "plan.lua -o r.jsonl"
    local journal = read "r.jsonl.journal"
    local out, err, code = sweep "plan.lua -o again.jsonl --journal r.jsonl.journal"
    assert.equal(0, code, err)
    assert.equal("plan.lua: 48 cells, 48 of them from r.jsonl.journal\n", out)
    assert_alike("r.jsonl", "again.jsonl")
    assert.equal(journal, read "r.jsonl.journal")
  end)
end)

describe("a journal", function()
  -- A changed journal, and what is said of it.
  local cases = {
    { "of another plan", function() prepare(PLAN:gsub("seeds = { 1, 2 }", "seeds = { 1, 3 }")) end,
      "r.jsonl.journal: the journal of another plan than plan.lua is now" },
    { "of a trace that has changed since", function() write("b.txt", churn.trace(3, 200, 20, 300)) end,
      "r.jsonl.journal: b.txt has changed since this journal was begun" },
    { "of garbage", function() write("r.jsonl.journal", "these are words\nand more\n") end,
      "r.jsonl.journal: is no journal of a sweep" },
    { "of garbage without a line's end", function() write("r.jsonl.journal", ("\0\255"):rep(1000)) end,
      "r.jsonl.journal: is no journal of a sweep" },
    { "with a line of garbage", function()
      write("r.jsonl.journal", read "r.jsonl.journal":gsub("\n", "\n{\"cell\":}\n", 1))
    end, "r.jsonl.journal:2: no record of this sweep" },
    { "with a cell that is none", function()
      write("r.jsonl.journal", read "r.jsonl.journal":gsub('"cell":%d+', '"cell":49', 1))
    end, "r.jsonl.journal:2: no record of this sweep" },
    { "of another version", function()
      write("r.jsonl.journal", read "r.jsonl.journal":gsub('"heapwright":"[^"]*"', '"heapwright":"0.0.0"', 1))
    end, "r.jsonl.journal: the journal of heapwright 0.0.0; this is " },
  }
  for _, case in ipairs(cases) do
    it(case[1] .. " is refused, and left as it is", function()
      prepare()
      sweep "plan.lua -o r.jsonl"
      case[2]()
      local before = read "r.jsonl.journal"
      local out, err, code = sweep "plan.lua -o new.jsonl --journal r.jsonl.journal"
      assert.equal(2, code, err)
      assert.equal("", out)
      assert.is_truthy(err:find("heapwright: " .. case[3], 1, true) == 1, err)
      assert.equal(1, select(2, err:gsub("\n", "")))
      assert.equal(before, read "r.jsonl.journal")
      assert.is_false(exists "new.jsonl")
    end)
  end

  it("of another shard is refused", function()
    prepare()
    sweep "plan.lua --shard 1/2 --journal j -o r.jsonl"
    local _, err, code = sweep "plan.lua --shard 2/2 --journal j -o r.jsonl"
    assert.equal(2, code)
    assert.equal("heapwright: j: the journal of shard 1/2, not of 2/2\n", err)
  end)

  it("belongs to one sweep at a time", function()
    prepare()
    write("slow.lua", [[
return heapwright.scenario { name = "slow", run = function(mem) mem:alloc(1) os.execute "sleep 5" end }]])
    write("plan.lua", 'return heapwright.sweep { scenarios = "slow.lua", policies = "buddy" }')
    local out, err, code = command.shell_there(([[
%s sweep plan.lua -o one.jsonl --journal j </dev/null & first=$!
while [ ! -s j ]; do sleep 0.01; done
%s sweep plan.lua -o two.jsonl --journal j </dev/null; code=$?
kill $first; wait $first; echo $first; exit $code]]):format(command.path, command.path))
    assert.equal(2, code)
    assert.equal(("heapwright: j: another sweep writes it, process %d\n"):format(tonumber(out)),
      (err:gsub("[^\n]*Terminated[^\n]*\n?", "")))
    assert.is_false(exists "two.jsonl")
  end)

  it("keeps what is done where the disk is full, and goes on there", function()
    prepare()
    sweep "plan.lua -o whole.jsonl"
    local size = #read "whole.jsonl.journal"
    local blocks = size // 2 // 512
    local out, err, code = command.shell_there(([[trap '' XFSZ; ulimit -f %d
%s sweep plan.lua -o r.jsonl </dev/null]]):format(blocks, command.path))
    assert.equal(2, code, err)
    assert.equal("", out)
    assert.is_truthy(err:find("^heapwright: r.jsonl.journal: File too large; %d+ of 48 cells are in it: started again"),
      err)
    local kept = read "r.jsonl.journal"
    assert.equal("\n", kept:sub(-1))
    assert.equal(#records(kept) - 1, tonumber(err:match "(%d+) of 48"))
    assert.is_false(exists "r.jsonl")
    out, err, code = sweep "plan.lua -o r.jsonl"
    assert.equal(0, code, err)
    assert.is_truthy(out:find("of them from r.jsonl.journal", 1, true), out)
    assert_alike("whole.jsonl", "r.jsonl")
    assert.equal(kept, read "r.jsonl.journal":sub(1, #kept))
  end)

  it("is whole where the results can't be written, whose old file stays", function()
    prepare()
    write("r.jsonl", "old")
    for _, case in ipairs {
      { "-o /dev/full --journal j", "/dev/full: No space left on device" },
      { "-o r.jsonl --csv /dev/full --journal j", "/dev/full: No space left on device" },
      { "-o none/r.jsonl --journal j", "none/r.jsonl: No such file or directory" },
      { "-o . --journal j", ".: is a folder" },
    } do
      local _, err, code = sweep("plan.lua " .. case[1])
      assert.equal(2, code)
      assert.equal("heapwright: " .. case[2] .. "\n", err)
      assert.equal(49, #records(read "j"))
      assert.equal("old", read "r.jsonl")
    end
  end)
end)

describe("a cell that fails", function()
  it("is kept as failed with its reason, the others as they are", function()
    prepare()
    write("b.txt", "a 1 100\nf 2\n")
    local out, err, code = sweep "plan.lua -o r.jsonl --csv r.csv"
    assert.equal(1, code)
    assert.equal("plan.lua: 48 cells\n", out)
    assert.equal("heapwright: 24 cells failed; the first is b.txt, seed 1, best-fit, granule 16, pool smallest: "
      .. "b.txt:2: free of id 2, which is not live: never allocated, or freed before\n", err)
    for i, r in ipairs(records(read "r.jsonl")) do
      assert.equal(i > 24, r.error ~= nil)
      assert.equal(i <= 24, r.peak_in_use ~= nil)
    end
    assert.equal(24, select(2, read "r.csv":gsub("or freed before\"?\r\n", "")))
  end)

  -- A scenario that dies as it is told to, once the file that it leaves is not there.
  local function dying(how)
    write("s.lua", ([[
return heapwright.scenario { name = "s", run = function(mem, s)
  mem:alloc(s:uniform(1, 1000))
  local again = io.open "died"
  if s.seed == 3 and not again then io.open("died", "w"):close() %s end
end }]]):format(how))
    write("plan.lua",
      'return heapwright.sweep { scenarios = "s.lua", policies = "buddy", seeds = { from = 1, to = 6 } }')
  end

  for _, case in ipairs {
    { "killed", [[os.execute "kill -9 $PPID"]], "killed by signal 9 (Killed)" },
    { "raising", [[error "what a day"]], "s: raised while it was recorded: s.lua:4: what a day" },
  } do
    it("by its worker " .. case[1] .. " is measured again when the sweep is started again", function()
      dying(case[2])
      write("died", "")
      sweep "plan.lua -o whole.jsonl"
      os.remove(command.folder .. "/died")
      local _, err, code = sweep "plan.lua -o r.jsonl -j 2"
      assert.equal(1, code)
      assert.is_truthy(err:find("heapwright: 1 cell failed; the first is s.lua, seed 3, buddy, granule 16, "
        .. "pool smallest: " .. case[3], 1, true), err)
      local out
      out, err, code = sweep "plan.lua -o r.jsonl"
      assert.equal(0, code, err)
      assert.equal("plan.lua: 6 cells, 5 of them from r.jsonl.journal\n", out)
      assert_alike("whole.jsonl", "r.jsonl")
    end)
  end
end)

describe("a shard", function()
  it("has each N-th cell; all of them are the whole", function()
    prepare()
    sweep "plan.lua -o whole.jsonl"
    local all = records(read "whole.jsonl")
    local count = 0
    for i = 1, 5 do
      local out, err, code = sweep(("plan.lua --shard %d/5 -o %d.jsonl"):format(i, i))
      assert.equal(0, code, err)
      local list = records(read(i .. ".jsonl"))
      assert.equal(("plan.lua: %d cells of shard %d/5\n"):format(#list, i), out)
      for k, r in ipairs(list) do assert.same(all[i + 5 * (k - 1)], r) end
      count = count + #list
    end
    assert.equal(48, count)
  end)

  it("may be empty", function()
    prepare 'return heapwright.sweep { traces = "a.txt", policies = "buddy" }'
    local out, err, code = sweep "plan.lua --shard 2/2 -o r.jsonl"
    assert.equal(0, code, err)
    assert.equal("plan.lua: 0 cells of shard 2/2\n", out)
    assert.equal("", read "r.jsonl")
  end)
end)

describe("heapwright sweep refuses in one line, with exit code 2,", function()
  local function plan(fields) return "return heapwright.sweep { " .. fields .. " }" end
  local cases = {
    { "a plan that raises", 'error "no, really"', "plan.lua:1: no, really" },
    { "a plan that does not compile", "return {", "plan.lua:1: " },
    { "a plan that ends the process", "os.exit(0)", "plan.lua:1: os.exit" },
    { "a plan that is none", "return 5", "plan.lua: returns a number that is no sweep; a plan returns" },
    { "a plan that returns nothing", "", "plan.lua: returns nothing; a plan returns heapwright.sweep { … }" },
    { "a scenario as a plan", 'return heapwright.scenario { name = "x", run = print }',
      "plan.lua: returns a table that is no sweep" },
    { "a plan of no table", "return heapwright.sweep(7)", "plan.lua:1: bad argument #1 to 'sweep' (table expected" },
    { "a plan without traces", plan "", "plan.lua:1: a sweep wants traces or scenarios" },
    { "an unknown field", plan 'traces = "a.txt", polices = {}', "plan.lua:1: unknown field 'polices' of a sweep" },
    { "an empty axis", plan 'traces = "a.txt", policies = {}', "plan.lua:1: sweep field 'policies': it is empty" },
    { "an empty range of seeds", plan 'traces = "a.txt", seeds = { from = 2, to = 1 }',
      "plan.lua:1: sweep field 'seeds': it is empty" },
    { "a list with a gap", plan 'traces = { "a.txt", [3] = "b.txt" }', "sweep field 'traces': a list expected" },
    { "an unknown policy", plan 'traces = "a.txt", policies = "bestfit"',
      "plan.lua:1: sweep field 'policies': unknown policy 'bestfit'; known are " },
    { "a policy twice", plan 'traces = "a.txt", policies = { "buddy", "buddy" }',
      "plan.lua:1: sweep field 'policies': buddy is in it twice" },
    { "an order twice, in policies and orders", plan 'traces = "a.txt", policies = "best-fit/lifo", orders = "fifo"',
      "sweep field 'orders': policy 'best-fit/lifo' has its order already" },
    { "an unknown order", plan 'traces = "a.txt", orders = "size"',
      "address, fifo, lifo or random expected, got size" },
    { "a granule that is none", plan 'traces = "a.txt", granules = { 16, 24 }',
      "sweep field 'granules': a power of two from 8 to 4096 expected, got 24" },
    { "a capacity that is none", plan 'traces = "a.txt", capacities = "lots"',
      "sweep field 'capacities': a size such as \"64K\", \"smallest\" or \"unbounded\" expected, got lots" },
    { "one capacity twice", plan 'traces = "a.txt", capacities = { "4K", 4096 }', "4096 is in it twice" },
    { "a seed that is none", plan 'traces = "a.txt", seeds = { 1.5 }', "an integer expected, got 1.5" },
    { "a trace that is not there", plan 'traces = { "a.txt", "none.hwt" }', "none.hwt: No such file or directory" },
    { "a trace that is a folder", plan 'traces = "."', ".: is no file" },
    { "a trace twice", plan 'traces = { "a.txt", "a.txt" }', "a.txt is in it twice" },
    { "a scenario on threads", plan 'scenarios = "threads.lua"', "threads.lua: t runs on threads" },
    { "a scenario file that returns none", plan 'scenarios = "none.lua"', "none.lua: returns no scenario" },
    { "a thousand million cells", plan 'traces = "a.txt", policies = "buddy", seeds = { from = 1, to = 1000000000 }',
      "plan.lua: 1,000,000,000 cells, 1 source × 1000000000 seeds × 1 policy × 1 granule × 1 pool; a shard has "
      .. "10,000,000 at most: with --shard I/100 they are few enough" },
    { "more cells than integers",
      plan "traces = { 'a.txt', 'b.txt' }, seeds = { from = 1, to = math.maxinteger }",
      "plan.lua: 1.48e+20 cells are too many" },
    { "a negative shard", nil, "--shard: '-1/2' is no I/N", "--shard=-1/2" },
    { "a shard past the last", nil, "--shard: '3/2' is no I/N such as 3/8, with I from 1 to N", "--shard 3/2" },
    { "shard 0", nil, "--shard: '0/2'", "--shard 0/2" },
    { "a shard of none", nil, "--shard: '1/0'", "--shard 1/0" },
    { "a shard that is none", nil, "--shard: 'x'", "--shard x" },
    { "no workers", nil, "--jobs: '0' is no number from 1 to 256", "--jobs 0" },
    { "results over the plan", nil, "-o plan.lua: is the plan", "-o plan.lua" },
    { "results over the journal", nil, "--journal r: is the file of -o", "-o r --journal r" },
    { "a journal that is a folder", nil, ".: Is a directory", "--journal ." },
    { "a journal that is no file", nil, "/dev/null: is no regular file", "--journal /dev/null" },
    { "a journal in no folder", nil, "none/j: No such file or directory", "--journal none/j" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      prepare(case[2])
      write("none.lua", "")
      write("threads.lua", 'return heapwright.scenario { name = "t", threads = 2, run = print }')
      local out, err, code = sweep("plan.lua " .. (case[4] or ""))
      assert.equal(2, code, err)
      assert.equal("", out)
      assert.is_truthy(err:find("^heapwright: [^\n]*\n$"), err)
      assert.is_truthy(err:find(case[3], 1, true), err)
      assert.equal(case[2] or PLAN, read "plan.lua")
    end)
  end

  it("a plan that is not there", function()
    local _, err, code = sweep "plan.lua"
    assert.equal(2, code)
    assert.equal("heapwright: plan.lua: No such file or directory\n", err)
  end)
end)

describe("heapwright sweep --help", function()
  it("fits 80 columns, and gives an example", function()
    local out, _, code = sweep "--help"
    assert.equal(0, code)
    assert.is_truthy(out:find "Example")
    for line in out:gmatch "[^\n]*" do assert.is_true(utf8.len(line) <= 80, line) end
  end)
end)
