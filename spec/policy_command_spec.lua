-- SPDX-License-Identifier: MIT
-- Policies in Lua in the command: --load registers them, and so does a scenario's own file; then their names
-- stand wherever a policy's does, and what one of them raises ends a replay with one line.
local dkjson = require "dkjson"

local command = require "spec.support.command"

local write = command.write

local BEST = [[
heapwright.policy("my-fit", {
  chooses = "the smallest that fits",
  bound = "O(free blocks)",
  choose = function(free, size, align)
    for address in free:by_size(size) do
      if free:place(address, size, align) then return address end
    end
  end,
})
]]

local SCENARIO = [[
return heapwright.scenario {
  name = "small", capacity = "64K", %s
  run = function(mem, s)
    local held = {}
    for i = 1, 300 do
      local k = s:uniform(1, 40)
      if held[k] then assert(mem:free(held[k])) held[k] = nil else held[k] = assert(mem:malloc(s:uniform(1, 300))) end
    end
  end,
}
]]

local function call(arguments)
  return command.shell(("%s %s </dev/null"):format(command.path, arguments))
end

-- The results of --json by policy.
local function results(arguments)
  local out, err, code = call(arguments .. " --json")
  assert.equal(0, code, err)
  local by_policy, order = {}, {}
  for i, result in ipairs(dkjson.decode(out).results) do
    by_policy[result.policy], order[i] = result, result.policy
  end
  return by_policy, order
end

-- One line on standard error, exit code 2.
local function refused(arguments)
  local out, err, code = call(arguments)
  assert.equal(2, code, out .. err)
  assert.equal(1, select(2, err:gsub("\n", "")), err)
  return err
end

describe("a policy in Lua", function()
  local trace, scenario, best

  before_each(function()
    command.enter()
    scenario = write("s.lua", SCENARIO:format "")
    best = write("best.lua", BEST)
    local record = ([[
local mem = heapwright.new { capacity = "64K" }
mem:record %q
local one = dofile %q
one.run(mem, require("heapwright.workload").new(mem, 1))
mem:record()
]]):format(command.folder .. "/t.hwt", scenario)
    local _, err, code = call("run " .. write("record.lua", record))
    assert.equal(0, code, err)
    trace = command.folder .. "/t.hwt"
  end)
  after_each(command.leave)

  it("is listed once its file was loaded", function()
    local out, _, code = call("policies --load " .. best)
    assert.equal(0, code)
    assert.equal(([[
my-fit
  chooses  the smallest that fits
  index    first fit's, read by its function
  bound    O(free blocks)
  source   %s:4
  also     a function of Lua's, registered by heapwright.policy
]]):format(best), out:match "\n\n(my%-fit\n.*)$")
    out = call("policies --json --load " .. best)
    local list = dkjson.decode(out).policies
    assert.equal("my-fit", list[#list].name)
    assert.is_true(list[#list].scripted)
    assert.is_false(list[1].scripted)
  end)

  it("is replayed beside the built-in ones, with the same figures as its twin", function()
    local by, order = results(("compare %s --load %s"):format(trace, best))
    assert.equal("my-fit", order[#order])
    assert.equal(9, #order)
    by["my-fit"].policy = "best-fit"
    for name, value in pairs(by["best-fit"]) do
      if not name:find "^steps" and not name:find "^ns" and name ~= "ops_per_second" then
        assert.same(value, by["my-fit"][name], name)
      end
    end
    assert.is_number(by["my-fit"].ns_p999)
    by = results(("compare %s --load %s -p my-fit,best-fit -c 4K"):format(trace, best))
    assert.equal(by["best-fit"].failures, by["my-fit"].failures)
    assert.is_true(by["my-fit"].failures > 0)
    by = results(("fit %s --load %s -p my-fit,best-fit"):format(trace, best))
    assert.equal(by["best-fit"].smallest_pool, by["my-fit"].smallest_pool)
  end)

  it("runs scenarios, by --load or from their own file", function()
    local _, order = results(("run %s --load %s"):format(scenario, best))
    assert.equal("my-fit", order[#order])
    local own = write("own.lua", BEST .. SCENARIO:format 'policy = { "my-fit", "best-fit" },')
    local by = results("run " .. own)
    assert.equal(by["best-fit"].high_water, by["my-fit"].high_water)
    _, order = results(("run %s --policy my-fit"):format(own))
    assert.same({ "my-fit" }, order)
    _, order = results(("compare %s --policy my-fit,bump"):format(own))
    assert.same({ "my-fit", "bump" }, order)
    local out, err, code = call(("run %s -p my-fit --inject sweep=5"):format(own))
    assert.equal(1, code, out .. err) -- it asserts
    assert.is_truthy(out:find("replay: heapwright run " .. own .. " -p my-fit", 1, true))
  end)

  it("is left out of scenarios on several threads, and refused where it is asked for", function()
    local threads = write("threads.lua", SCENARIO:format "threads = 2,")
    local _, order = results(("run %s --load %s"):format(threads, best))
    assert.equal(8, #order)
    assert.equal("heapwright: small under my-fit: a function of one Lua state places, and each of the scenario's "
      .. "threads has its own\n", refused(("run %s --load %s -p my-fit"):format(threads, best)))
  end)

  it("that fails ends a replay with one line, and a scenario with its line", function()
    local bad = write("bad.lua", [[
local asked = 0
heapwright.policy("bad", { choose = function(free, size)
  asked = asked + 1
  if asked > 50 then error "no idea\nat all" end
  return (free:first(size))
end })
]])
    for _, verb in ipairs { "compare", "fit" } do
      local err = refused(("%s %s --load %s"):format(verb, trace, bad))
      assert.equal("heapwright: bad: " .. bad .. ":4: no idea?at all\n", err)
    end
    local wrong = write("wrong.lua", 'heapwright.policy("wrong", { choose = function() return 0 end })')
    assert.is_truthy(refused(("fit %s --load %s"):format(trace, wrong))
      :find "^heapwright: wrong chose 0x0 for %d+ bytes: the block of %d+ bytes at 0x0 is live\n$")
    local out, _, code = call(("run %s --load %s -p wrong,best-fit"):format(scenario, wrong))
    assert.equal(1, code)
    assert.is_truthy(out:find("wrong: raised\n" .. scenario .. ":7: wrong chose 0x0 for ", 1, true), out)
    assert.is_truthy(out:find "best%-fit .* yes\n")
  end)

  it("is unknown without its file; and a file that can't be loaded is told in one line", function()
    local known = "known are best-fit, first-fit, next-fit, worst-fit, good-fit, buddy, slab, bump\n"
    for _, verb in ipairs { "compare " .. trace, "fit " .. trace, "run " .. scenario } do
      assert.equal("heapwright: unknown policy 'my-fit'; " .. known, refused(verb .. " -p my-fit"))
    end
    local raises = write("raises.lua", 'error "not today"')
    local builtin = write("builtin.lua", 'heapwright.policy("buddy", { choose = print })')
    for _, verb in ipairs { "compare " .. trace, "fit " .. trace, "run " .. scenario, "policies" } do
      assert.is_truthy(refused(verb .. " --load /none"):find("/none: No such file", 1, true))
      assert.is_truthy(refused(verb .. " --load " .. command.folder):find("is a folder", 1, true))
      assert.is_truthy(refused(verb .. " --load " .. write("syntax.lua", "x =")):find("syntax.lua:1:", 1, true))
      assert.equal(("heapwright: --load %s: %s:1: not today\n"):format(raises, raises),
        refused(verb .. " --load " .. raises))
      assert.is_truthy(refused(verb .. " --load " .. builtin):find("'buddy' is built in", 1, true))
    end
    assert.is_truthy(refused(("run %s --load %s --load %s"):format(scenario, best, raises)):find "not today")
  end)

  it("is minimized, swept and put to the test like ours, whose rule it follows", function()
    local parts = {}
    for _, policy in ipairs { "my-fit", "best-fit" } do
      local part = command.folder .. "/part.txt"
      local _, err, code = call(("minimize %s -c 1K -p %s --load %s -o %s"):format(trace, policy, best, part))
      assert.equal(0, code, err)
      parts[#parts + 1] = command.read(part)
    end
    assert.equal(parts[1], parts[2])
    assert.is_truthy(parts[1]:find "^a %d")

    local plan = write("plan.lua", BEST .. ([[
return heapwright.sweep { traces = { %q }, policies = { "my-fit", "best-fit" }, capacities = { "smallest" } }
]]):format(trace))
    local swept = command.folder .. "/swept.jsonl"
    local _, err, code = call(("sweep %s -o %s"):format(plan, swept))
    assert.equal(0, code, err)
    local mine, ours = command.read(swept):match "^([^\n]+)\n([^\n]+)\n$"
    mine, ours = dkjson.decode(mine), dkjson.decode(ours)
    assert.same({ "my-fit", "best-fit" }, { mine.policy, ours.policy })
    assert.equal(ours.smallest_pool, mine.smallest_pool)

    local out
    out, err, code = call(("verify --only T2 -p my-fit,best-fit --load %s"):format(best))
    assert.equal(0, code, err)
    assert.is_truthy(out:find "my%-fit +1087  shown")
  end)

  it("ends minimize with one line where it raises, and is not for other threads", function()
    local bad = write("bad.lua", 'heapwright.policy("bad", { choose = function() error "no idea" end })')
    local err = refused(("minimize %s -c 1K -p bad --load %s"):format(trace, bad))
    assert.is_truthy(err:find("bad.lua:1: no idea", 1, true), err)
    for _, how in ipairs { "--parallel", "--stream" } do
      assert.equal(("heapwright: %s: my-fit is a function in Lua, of one thread\n"):format(how),
        refused(("compare %s %s -p my-fit --load %s"):format(how, trace, best)))
    end
  end)

  it("can't place for heapwright lua", function()
    assert.is_truthy(refused("lua --policy my-fit " .. best):find("unknown policy 'my-fit'", 1, true))
  end)
end)
