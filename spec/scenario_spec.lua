-- SPDX-License-Identifier: MIT
-- Promises of heapwright.scenario: what it takes, what `run` gets, what `expect` may answer.
local heapwright = require "heapwright"
local policies = require "heapwright.policies"
local scenario = require "heapwright.scenario"

local function nothing() end

local function run(fields, seed, policy)
  fields.name = fields.name or "a scenario"
  return assert(scenario.run(heapwright.scenario(fields), policies.parse(policy or "best-fit"), { seed = seed or 1 }))
end

local function expecting(expect)
  return run { run = function(mem) mem:alloc(100) end, expect = expect }.failures
end

describe("heapwright.scenario refuses", function()
  local refused = {
    { "an unknown field by its name", { name = "x", run = nothing, capacty = "1M" },
      "unknown scenario field 'capacty'" },
    { "a missing name", { run = nothing }, "scenario field 'name' is missing" },
    { "a missing run", { name = "x" }, "scenario field 'run' is missing" },
    { "a capacity that is no size", { name = "x", run = nothing, capacity = "12Q" },
      "scenario field 'capacity': a size such as 65536 or \"64K\" expected, got 12Q" },
    { "a name that is no string", { name = 1, run = nothing }, "scenario field 'name': string expected, got 1" },
    { "an empty list of policies", { name = "x", run = nothing, policy = {} },
      "scenario field 'policy': a policy or a list of policies expected" },
    { "an order that the policy does not take", { name = "x", run = nothing, policy = "buddy/fifo" },
      "scenario field 'policy': policy 'buddy' takes no order 'fifo'" },
    { "an expectation that is no function", { name = "x", run = nothing, expect = { a = 1 } },
      "scenario field 'expect': a function or a table of functions by name expected" },
  }
  for _, case in ipairs(refused) do
    it(case[1], function()
      local ok, message = pcall(heapwright.scenario, case[2])
      assert.is_false(ok)
      assert.is_truthy(message:find(case[3], 1, true), message)
    end)
  end

  it("an unknown policy, and lists the known", function()
    local ok, message = pcall(heapwright.scenario, { name = "x", run = nothing, policy = "frist-fit" })
    assert.is_false(ok)
    assert.is_truthy(message:find("unknown policy 'frist-fit'; known are best-fit, first-fit", 1, true))
  end)
end)

describe("a scenario's run", function()
  it("gets a pool of its capacity and policy", function()
    local seen
    run({ capacity = "64K", run = function(mem) seen = mem:stats().capacity end })
    assert.equal(65536, seen)
  end)

  it("draws the same for the same seed", function()
    local function draws(seed)
      local list = {}
      run({ run = function(_, s)
        for i = 1, 20 do list[i] = s:uniform(1, 1000000) end
      end }, seed)
      return table.concat(list, " ")
    end
    assert.equal(draws(5), draws(5))
    assert.not_equal(draws(5), draws(6))
  end)

  it("draws uniform integers from both ends, and all between", function()
    run { run = function(_, s)
      local seen = {}
      for _ = 1, 1000 do seen[s:uniform(-2, 2)] = true end
      for x = -2, 2 do assert(seen[x]) end
      assert(not seen[-3] and not seen[3])
      assert(s:uniform(math.mininteger // 2, math.maxinteger // 2))
    end }
  end)

  it("chooses by weight and shuffles without loss", function()
    local outcome = run { run = function(_, s)
      local count = { a = 0, b = 0, c = 0 }
      for _ = 1, 1000 do
        local one = s:choice({ "a", "b", "c" }, { 3, 1, 0 })
        count[one] = count[one] + 1
      end
      assert(count.c == 0 and count.a > 650 and count.a < 850)
      local list = s:shuffle { 1, 2, 3, 4, 5 }
      table.sort(list)
      assert(table.concat(list) == "12345")
    end }
    assert.is_nil(outcome.raised)
  end)

  it("raises at the script's line where a draw is misused", function()
    local outcome = run { run = function(_, s) s:uniform(2, 1) end }
    assert.is_truthy(outcome.raised:find("scenario_spec.lua:%d+: bad argument to 'uniform'"), outcome.raised)
  end)

  it("keeps stats by phase and by sample", function()
    local r = run { run = function(mem, s)
      s:phase "fill"
      local a = mem:alloc(100)
      s:sample "full"
      s:phase "empty"
      mem:free(a)
      s:sample(2)
    end }.result
    assert.equal(100, r.phases.fill.in_use)
    assert.equal(0, r.phases[2].in_use)
    assert.equal("empty", r.phases[2].name)
    assert.same({ "full", "fill", 100 }, { r.samples[1].label, r.samples[1].phase, r.samples[1].in_use })
    assert.same({ 2, "empty", 0 }, { r.samples[2].label, r.samples[2].phase, r.samples[2].in_use })
  end)

  it("that raises ends with its traceback and the phase", function()
    local outcome = run { run = function(_, s)
      s:phase "second"
      error "no"
    end }
    assert.is_truthy(outcome.raised:find "scenario_spec.lua:%d+: no\nstack traceback:")
    assert.equal("second", outcome.phase)
  end)
end)

describe("an expectation", function()
  it("holds where it answers true, or nothing at all", function()
    assert.same({}, expecting(function() return true end))
    assert.same({}, expecting(nothing))
  end)

  it("fails where it answers false or nil, with what it says", function()
    assert.equal(1, #expecting(function() return false end))
    assert.equal(1, #expecting(function() return nil end))
    assert.equal("too bad", expecting(function() return nil, "too bad" end)[1].message)
  end)

  it("fails where it raises, with the message", function()
    assert.is_truthy(expecting(function() error "boom" end)[1].message:find "boom")
  end)

  it("tells its source, its place and the fields that it read", function()
    local failure = expecting(function(r)
      return r.failures > 0 and r.capacity
    end)[1]
    assert.same({ "return r.failures > 0 and r.capacity" }, failure.source)
    assert.is_truthy(failure.place:find "scenario_spec.lua:%d+$")
    assert.same({ "failures = 0" }, failure.seen)
  end)

  it("sees phases and samples through the same glass", function()
    local failure = run {
      run = function(mem, s)
        s:phase "one"
        mem:alloc(10)
      end,
      expect = function(r)
        for _, phase in ipairs(r.phases) do
          if phase.in_use == 10 then return false end
        end
      end,
    }.failures[1]
    assert.same({ "phases[1].in_use = 10" }, failure.seen)
  end)

  it("in a table fails by its name, in the order of names", function()
    local failures = expecting {
      b = function() return false end,
      a = function() return false end,
      c = function() return true end,
    }
    assert.same({ "a", "b" }, { failures[1].name, failures[2].name })
    assert.equal(2, #failures)
  end)
end)
