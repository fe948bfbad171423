-- SPDX-License-Identifier: MIT
-- heapwright run --inject: what coping demands, which requests a sweep fails, what is told of those
-- that a scenario does not cope with.
local dkjson = require "dkjson"

local command = require "spec.support.command"

local write = command.write

local function run(arguments)
  return command.shell(("%s run %s </dev/null"):format(command.path, arguments))
end

-- A scenario with this body.
local function scenario(body, fields)
  return write("s.lua", ([[
return heapwright.scenario {
  name = "small", capacity = "64K", policy = { "best-fit", "slab" }, %s
  run = function(mem, s)
%s
  end,
}
]]):format(fields or "", body))
end

local COPES = [[
local list = {}
for i = 1, 5 do
  local a = mem:malloc(i * 10)
  if a then list[#list + 1] = mem:realloc(a, i * 20) or a end
end
for _, a in ipairs(list) do assert(mem:free(a)) end
]]

-- The one object of --json; whatever was wrong.
local function result(arguments, expected_code)
  local out, err, code = run("--json " .. arguments)
  assert.equal(expected_code, code, err)
  local object = dkjson.decode(out)
  assert.equal(expected_code == 0, object.ok)
  return object.results[1].inject, object.results[1], err
end

before_each(command.enter)
after_each(command.leave)

describe("run --inject sweep", function()
  it("fails each request in turn, in a run of its own, and ends with 0 where the scenario copes", function()
    local out, err, code = run("--inject sweep " .. scenario(COPES))
    assert.equal(0, code, out .. err)
    assert.equal(([[
small: 64.0 KiB, seed 1
failing each request in turn
policy    requests  runs  injected  coped  raised  broken  leaked  ok
best-fit        10    10        10     10       0       0       0  yes
slab            10    10        10     10       0       0       0  yes
]]), out)
  end)

  it("tells what raised, at which request and line, and how to replay it", function()
    local path = scenario("mem:free(mem:malloc(10))\nassert(mem:malloc(20))")
    local out, _, code = run("--inject sweep -p slab --seed 3 -c 32K " .. path)
    assert.equal(1, code)
    assert.is_truthy(out:find("\nslab           2     2         2      0       2       0       0  no\n", 1, true), out)
    assert.is_truthy(out:find(("\nslab: the 1st of 2 requests failed at %s:4\nraised\n%s:4: bad argument"):format(
      path, path), 1, true), out)
    local replay = "heapwright run " .. path .. " -p slab -c 32K --seed 3 --inject after=1"
    assert.is_truthy(out:find("\nreplay: " .. replay .. "\n", 1, true), out)
    out, _, code = run(replay:gsub("^heapwright run ", ""))
    assert.equal(1, code)
    assert.is_truthy(out:find("\nslab           2     1         1      0       1       0       0  no\n", 1, true), out)
    assert.is_truthy(out:find("slab: the 1st of 2 requests failed at " .. path .. ":4\nraised", 1, true), out)
  end)

  it("says once what is alike under every policy", function()
    local path = scenario "assert(mem:malloc(20))"
    local out = run("--inject sweep " .. path)
    assert.is_truthy(out:find("\nevery policy: the 1st of 1 request failed at " .. path .. ":4\n", 1, true), out)
    assert.is_truthy(out:find("\nreplay: heapwright run " .. path .. " --inject after=1\n", 1, true), out)
    assert.equal(1, select(2, out:gsub("replay", "")))
  end)

  it("demands that nothing more is live at the end than without failures", function()
    local path = scenario [[
local a = mem:malloc(100)
local b = mem:malloc(50)
if not b then return end
mem:free(b)
if a then mem:free(a) end
]]
    local out, _, code = run("--inject sweep " .. path)
    assert.equal(1, code)
    assert.is_truthy(out:find("\nslab             2     2         2      1 ", 1, true), out)
    assert.is_truthy(out:find(("\nevery policy: the 2nd of 2 requests failed at %s:5\n"):format(path)
      .. "leaked: 1 block of 100 bytes live at the end, none without failures;\n"
      .. "  not explained: a block of 100 bytes\n", 1, true), out)
  end)

  it("takes what the run without failures leaves for explained, and less", function()
    local _, err, code = run("--inject sweep " .. scenario "for i = 1, 4 do mem:malloc(i * 10) end")
    assert.equal(0, code, err)
    local out
    out, _, code = run("--inject sweep -p slab " .. scenario [[
mem:malloc(10)
if not mem:malloc(20) then mem:malloc(30) end
]])
    assert.equal(1, code) -- as many blocks, but more bytes
    assert.is_truthy(out:find("leaked: 2 blocks of 40 bytes live at the end, 2 blocks of 30 bytes without failures;\n"
      .. "  not explained: a block of 30 bytes\n", 1, true), out)
    out, _, code = run("--inject sweep -p slab " .. scenario [[
if not mem:malloc(40) then mem:malloc(10) mem:malloc(10) end
]])
    assert.equal(1, code) -- fewer bytes, but more blocks
    assert.is_truthy(out:find("leaked: 2 blocks of 20 bytes live at the end, 1 block of 40 bytes without failures;\n"
      .. "  not explained: blocks of 10, 10 bytes\n", 1, true), out)
  end)

  it("asks what is expected of the run without failures alone", function()
    local expecting = scenario(COPES, "expect = function(r) print 'asked' return r.failures == 0 end,")
    local out, err, code = run("--inject sweep -p slab " .. expecting)
    assert.equal(0, code, err)
    assert.equal(1, select(2, out:gsub("asked", "")))
    out, err, code = run("--inject sweep " .. scenario(COPES, "expect = function(r) return r.failures == 1 end,"))
    assert.equal(1, code, err)
    assert.is_truthy(out:find("\nslab            10     0         0      0       0       0       0  no\n", 1,
      true), out)
    assert.is_truthy(out:find("every policy: without failures: not as expected (", 1, true), out)
  end)

  it("fails nothing of a scenario that raises by itself", function()
    local out, _, code = run("--inject sweep " .. scenario "mem:malloc(10) error 'no'")
    assert.equal(1, code)
    assert.is_truthy(out:find("\nslab             1     0         0      0       0       0       0  raised\n", 1,
      true), out)
    assert.is_truthy(out:find("every policy: without failures: raised\n", 1, true), out)
  end)

  it("takes so many requests, spread evenly, as sweep=N says, and says so", function()
    local body = "for i = 1, 101 do if not mem:malloc(8) then print('failed ' .. i) end end"
    local out, err, code = run("--inject sweep=5 -p slab " .. scenario(body))
    assert.equal(0, code, err)
    assert.is_truthy(out:find("\nfailing 5 requests in turn, spread evenly\n", 1, true), out)
    assert.is_truthy(out:find("\nslab         101     5         5      5 ", 1, true), out)
    local failed = {}
    for n in out:gmatch "failed (%d+)" do failed[#failed + 1] = n end
    assert.same({ "1", "26", "51", "76", "101" }, failed)
    assert.equal(1, result("--inject sweep=1 -p slab " .. scenario(body), 0).runs)
    assert.equal(101, result("--inject sweep=5000 -p slab " .. scenario(body), 0).runs)
  end)

  it("fails all that follow as well where it is persistent", function()
    local swept = result("--inject sweep,persistent -p slab "
      .. scenario "if not mem:malloc(1) then mem:malloc(2) assert(not mem:malloc(3)) end", 0)
    assert.same({ 1, 1, 3, 1 }, { swept.requests, swept.runs, swept.injected, swept.coped })
    local out = run("--inject sweep,persistent " .. scenario "assert(mem:malloc(1))")
    assert.is_truthy(out:find("\nfailing each request and all after it in turn\n", 1, true), out)
    assert.is_truthy(out:find(" --inject after=1,persistent\n", 1, true), out)
  end)

  it("leaves smaller requests alone where size_at_least says so", function()
    local body = "assert(mem:malloc(10)) assert(mem:malloc(20)) mem:malloc(64) mem:malloc(100)"
    local swept = result("--inject sweep,size_at_least=64 -p slab " .. scenario(body), 0)
    assert.same({ 2, 2, 2 }, { swept.requests, swept.runs, swept.coped })
    local out = run("--inject sweep,size_at_least=64 " .. scenario "assert(mem:malloc(64))")
    assert.is_truthy(out:find("\nfailing each request of at least 64 bytes in turn\n", 1, true), out)
    assert.is_truthy(out:find(" --inject after=1,size_at_least=64\n", 1, true), out)
  end)

  it("runs the file anew each time: what one run left in its variables is not there", function()
    local path = write("s.lua", [[
local held = {}
return heapwright.scenario { name = "keeps", capacity = "4K", run = function(mem)
  assert(#held == 0, "an older run's")
  for i = 1, 3 do held[#held + 1] = mem:malloc(i) end
end }]])
    local out, _, code = run("--inject sweep " .. path)
    assert.equal(0, code, out)
  end)

  it("fails the requests of Lua states in the pool, which may end well or not", function()
    local path = scenario [[
local state = heapwright.state { pool = mem }
if not state then return end
state:eval "local t = {} for i = 1, 50 do t[i] = { i } end"
assert(state:close())
]]
    local swept = result("--inject sweep=40 -p slab " .. path, 0)
    assert.same({ 40, 40 }, { swept.runs, swept.coped })
    swept = result("--inject sweep=40,persistent -p slab " .. path, 0)
    assert.same({ 40, 40 }, { swept.runs, swept.coped })
    local out = run("--inject sweep=2,persistent -p slab " .. scenario "assert(heapwright.state { pool = mem })")
    assert.is_truthy(out:find(" requests failed, asked for by another Lua state\nraised\n", 1, true), out)
  end)

  it("says where a scenario does not make the same requests each time, which fails where none failed", function()
    local path = write("s.lua", [[
return heapwright.scenario { name = "moody", policy = "slab", run = function(mem)
  runs = (runs or 0) + 1
  for _ = 1, runs == 1 and 3 or 1 do mem:free(mem:malloc(1) or mem:malloc(1)) end
end }]])
    local out, _, code = run("--inject sweep " .. path)
    assert.equal(0, code)
    assert.is_truthy(out:find "missed  ok\n" and out:find("\nslab           3     3         1      1       0       0 "
      .. "      0       2  yes\n", 1, true), out)
    assert.is_truthy(out:find("\nslab: the run that was to fail the 2nd of 3 requests made fewer;\n"
      .. "  2 runs so: the scenario is not the same from run to run\n", 1, true), out)
    path = write("t.lua", [[
return heapwright.scenario { name = "moody", policy = "slab", run = function(mem)
  runs = (runs or 0) + 1
  if runs == 1 then mem:malloc(1) end
end }]])
    out, _, code = run("--inject sweep " .. path)
    assert.equal(1, code)
    assert.is_truthy(out:find("\nslab           1     1         0      0       0       0       0       1  no\n", 1,
      true), out)
  end)

  it("is refused for a scenario with threads, where every=N is not", function()
    local path = scenario("for _ = 1, 10 do mem:malloc(1) end", "threads = 2,")
    local out, err, code = run("--inject sweep " .. path)
    assert.equal(2, code)
    assert.equal("", out)
    assert.equal("heapwright: small: --inject sweep: which request is the n-th is chance with threads; "
      .. "every=N and probability=P go with them\n", err)
    local swept = result("--inject every=4 -p slab " .. path, 0)
    assert.same({ 20, 1, 5, 1 }, { swept.requests, swept.runs, swept.injected, swept.coped })
  end)
end)

describe("run --inject with another plan", function()
  it("runs once without failures and once with them", function()
    local path = scenario(COPES .. "print 'ran'")
    local out, _, code = run("--inject every=3 -p slab " .. path)
    assert.equal(0, code, out)
    assert.equal(2, select(2, out:gsub("ran\n", "")))
    assert.is_truthy(out:find("\nfailing every=3\n", 1, true), out)
    assert.is_truthy(out:find("\nslab          10     1         2      1       0       0       0  yes\n", 1, true), out)
    assert.equal(10, result("--inject probability=1,seed=7 -p slab " .. scenario(COPES
      .. "if #list == 0 then for _ = 1, 5 do mem:malloc(1) end end"), 0).injected)
    assert.equal(2, result("--inject size_at_least=80 -p slab " .. path, 0).injected)
  end)

  it("tells which request it was, and of how many", function()
    local path = scenario "for i = 1, 5 do assert(mem:malloc(1)) end"
    local swept, _, err = result("--inject every=2 -p slab " .. path, 1)
    assert.equal(1, swept.raised)
    assert.is_truthy(err:find("slab: 1 of 5 requests failed, the first at " .. path .. ":4\nraised\n", 1, true), err)
    swept, _, err = result("--inject after=4 -p slab " .. path, 1)
    assert.same({ request = 4, place = path .. ":4", outcome = "raised",
      replay = "heapwright run " .. path .. " -p slab --inject after=4" }, swept.first)
    assert.is_truthy(err:find("slab: the 4th of 5 requests failed at " .. path .. ":4\nraised\n", 1, true), err)
  end)

  it("is judged as any run where it fails nothing", function()
    local path = scenario(COPES, "expect = function(r) return r.failures == 0 end,")
    local swept = result("--inject after=1000 -p slab " .. path, 0)
    assert.same({ 1, 0, 1 }, { swept.runs, swept.injected, swept.coped })
  end)
end)

describe("run --inject --json", function()
  it("has the figures of the run without failures, and what came of the others", function()
    local swept, object = result("--inject sweep -p best-fit " .. scenario(COPES), 0)
    assert.same({ 0, 0, 300 }, { object.failures, object.peak_in_use - 300, object.peak_in_use })
    assert.same({ plan = "sweep", requests = 10, runs = 10, injected = 10, coped = 10, raised = 0, broken = 0,
      leaked = 0, missed = 0 }, swept)
  end)

  it("has no such field without --inject", function()
    assert.is_nil((result("-p best-fit " .. scenario(COPES), 0)))
  end)
end)

describe("a wrong --inject", function()
  for plan, expected in pairs {
    swep = "'swep': known are sweep, sweep=N, after=N",
    ["after"] = "'after': known are sweep",
    ["after="] = "after: an integer from 1 on expected, got ",
    ["after=x"] = "after: an integer from 1 on expected, got x",
    ["after=0"] = "after: an integer from 1 on expected, got 0",
    ["after=1,after=2"] = "after is given twice",
    ["after=1,every=2"] = "after, every and probability: one of them at most",
    ["probability=2"] = "probability: a number above 0 and at most 1 expected, got 2",
    ["every=2,persistent"] = "persistent: goes with after alone",
    ["size_at_least=12Q"] = "size_at_least: '12Q' is not a size",
    ["seed=1"] = "no request fails: after, every, probability or size_at_least wanted",
    ["sweep=0"] = "sweep=0: an integer from 1 on expected",
    ["sweep=x"] = "sweep=x: an integer from 1 on expected",
    ["sweep,after=1"] = "sweep fails one request after the other",
    ["sweep,seed=1"] = "seed: goes with probability alone",
    [""] = "'': known are sweep",
  } do
    it(("is 2 and one line: '%s'"):format(plan), function()
      local out, err, code = run(("--inject '%s' %s"):format(plan, scenario(COPES)))
      assert.equal(2, code, out)
      assert.equal("", out)
      assert.equal(1, err:find("heapwright: --inject: " .. expected, 1, true), err)
      assert.equal(1, select(2, err:gsub("\n", "")))
    end)
  end

  it("is told of a file that returns no scenario", function()
    local path = write("p.lua", "")
    local _, err, code = run("--inject sweep " .. path)
    assert.equal(2, code)
    assert.equal("heapwright: " .. path .. ": returns no scenario, so --inject has no requests to fail\n", err)
  end)
end)
