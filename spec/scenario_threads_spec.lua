-- SPDX-License-Identifier: MIT
-- Promises of a scenario with `threads = N`: its body runs so many times at once, on
-- one pool. Labelled for ThreadSanitizer too.
local heapwright = require "heapwright"
local policies = require "heapwright.policies"
local scenario = require "heapwright.scenario"

local FILE <const> = "threads.lua" -- as messages name it; nothing is read from there

-- The outcome of the scenario that a file with this text would return.
local function run(text, options)
  options = options or {}
  local one = assert(load(text, "@" .. FILE))(FILE)
  one.origin = { file = FILE, text = text, index = 1 }
  return scenario.run(one, policies.parse(options.policy or "best-fit"),
    { seed = options.seed or 1, record = options.record })
end

local HEAD <const> = 'local heapwright = require "heapwright"\nreturn heapwright.scenario {\n  name = "x", '

local function body(threads, lines, rest)
  return ("%sthreads = %d, capacity = '256K',\n  run = function(mem, s)\n%s\n  end, %s\n}"):format(
    HEAD, threads, lines, rest or "")
end

describe("a scenario with threads", function()
  it("runs its body once a thread, on one pool", function()
    local outcome = assert(run(body(4, [[
      assert(s.threads == 4)
      local a = assert(mem:malloc(8 + s.thread))
      assert(mem:store(a, s.thread))]])))
    assert.is_nil(outcome.raised)
    assert.equal(4, outcome.result.live_blocks)
    assert.equal(4 * 8 + 1 + 2 + 3 + 4, outcome.result.in_use)
    assert.equal(4, outcome.result.allocations)
  end)

  it("knows without threads that it is the only one", function()
    local outcome = assert(scenario.run(
      heapwright.scenario { name = "x", run = function(_, s) assert(s.thread == 1 and s.threads == 1) end },
      policies.parse "slab", { seed = 1 }))
    assert.is_nil(outcome.raised)
  end)

  it("lets the threads meet in the pool, each with its own globals", function()
    local outcome = assert(run(body(3, [[
      own = (own or 0) + 1
      assert(own == 1)
      if s.thread == 1 then assert(mem:store(assert(mem:malloc(16)) + 8, 1)) end
      while mem:load(8) ~= 1 do end -- there is a block now, zeroed
      mem:fetch_add(0, 1)
      while mem:load(0) < s.threads do end]])))
    assert.is_nil(outcome.raised)
    assert.equal(1, outcome.result.live_blocks)
  end)

  it("draws the same in each thread for the same seed, and another in each thread", function()
    local text = body(3, 's:sample(table.concat({ s:uniform(1, 1 << 40), s:uniform(1, 1 << 40) }, " "))')
    local function draws(seed)
      local list = {}
      for i, sample in ipairs(assert(run(text, { seed = seed })).result.samples) do list[i] = sample.label end
      return list
    end
    local first = draws(7)
    assert.equal(3, #first)
    assert.same(first, draws(7))
    assert.are_not.same(first, draws(8))
    assert.is_true(first[1] ~= first[2] and first[2] ~= first[3] and first[1] ~= first[3])
  end)

  it("keeps the phases and samples of each thread, by its name", function()
    local r = assert(run(body(2, [[
      s:phase "fill"
      local a = mem:alloc(100)
      s:sample "full"
      s:phase "empty"
      mem:free(a)]]))).result
    local names = {}
    for i, phase in ipairs(r.phases) do names[i] = phase.name end
    assert.same({ "thread 1: fill", "thread 1: empty", "thread 2: fill", "thread 2: empty" }, names)
    assert.equal(2, r.phases["thread 2: fill"].thread)
    assert.is_true(r.phases["thread 2: fill"].in_use >= 100)
    assert.same({ 1, "full", "fill", 2 },
      { r.samples[1].thread, r.samples[1].label, r.samples[2].phase, r.samples[2].thread })
    assert.equal(1, r.seed)
  end)

  it("asks what it expects at the end, of the whole pool's figures", function()
    local text = body(4, "for _ = 1, 100 do assert(mem:alloc(10)) end",
      [[expect = {
        all = function(r) return r.allocations == 400 end,
        few = function(r) return r.live_blocks < 400 end,
      }]])
    local outcome = assert(run(text))
    assert.equal(1, #outcome.failures)
    assert.equal("few", outcome.failures[1].name)
  end)

  it("is sound after any churn, under every policy", function()
    local text = body(3, [[
      local held = {}
      for i = 1, 2000 do
        local k = s:uniform(1, 50)
        if held[k] then assert(mem:free(held[k])) end
        held[k] = assert(mem:malloc(s:uniform(1, 100)))
        assert(mem:write(held[k], "x"))
      end
      for _, a in pairs(held) do assert(mem:free(a)) end]])
    for _, policy in ipairs(heapwright.policies()) do
      local outcome = assert(run(text:gsub("256K", "2M"), { policy = policy.name }))
      assert.is_nil(outcome.raised, policy.name)
      assert.is_nil(outcome.broken, policy.name)
      assert.equal(0, outcome.result.live_blocks, policy.name)
      assert.equal(6000, outcome.result.frees, policy.name)
    end
  end)

  it("writes a trace of all threads where it is recorded", function()
    local path = os.tmpname()
    assert(run(body(2, "for _ = 1, 50 do mem:free(mem:alloc(8)) end"), { record = path }))
    local file <close> = assert(io.open(path))
    local text = file:read "a"
    os.remove(path)
    assert.equal(100, select(2, text:gsub("\na %d+ 8 ", "")))
    local threads = {}
    for number in text:gmatch "%%(%d+)" do threads[number] = true end
    assert.is_truthy(next(threads, next(threads)))
  end)
end)

describe("a thread that raises", function()
  it("ends the run with its message, its traceback and its phase, and the others", function()
    local outcome = assert(run(body(3, [[
      s:phase "work"
      if s.thread == 2 then error "no" end
      while true do pcall(function() while true do end end) end]])))
    assert.is_truthy(outcome.raised:find("^threads.lua:6: no\nstack traceback:\n\t%[C%]: in function 'error'\n"
      .. "\tthreads.lua:6: in function <threads.lua:4>$"), outcome.raised)
    assert.same({ 2, "work" }, { outcome.thread, outcome.phase })
  end)

  it("is told whatever it raised", function()
    local outcome = assert(run(body(2, "if s.thread == 1 then error(nil) end")))
    assert.is_truthy(outcome.raised:find("(error object: nil)", 1, true))
    outcome = assert(run(body(1, "coroutine.yield()")))
    assert.is_truthy(outcome.raised:find("outside a coroutine", 1, true))
  end)

  it("may do so while its file is loaded, or return something else there", function()
    local function raised(otherwise)
      _G.is_first = true -- which threads don't know
      local outcome = assert(run(("if not is_first then %s end "):format(otherwise) .. body(2, "")))
      _G.is_first = nil
      return outcome.raised
    end
    local message = raised "error 'not here'"
    assert.is_truthy(message:find("^threads.lua:1: not here\nstack traceback:\n"), message)
    assert.is_truthy(message:find "in main chunk$", message)
    for _, otherwise in ipairs { "do return 5 end", "do return end", "do return {} end" } do
      assert.equal("threads.lua: does not return in a thread the scenario that it returned before", raised(otherwise))
    end
  end)

  it("and runs out of memory of its own is told so", function()
    local outcome = assert(run(body(1, "local all = ('x'):rep((1 << 31) - 100)")))
    assert.is_truthy(outcome.raised:find "not enough memory", outcome.raised)
    assert.equal(1, outcome.thread)
  end)
end)

describe("threads of a scenario", function()
  it("are 1 to 128", function()
    for _, threads in ipairs { 0, -1, 129, 1.5, "2", true } do
      local ok, message = pcall(heapwright.scenario, { name = "x", run = print, threads = threads })
      assert.is_false(ok)
      assert.is_truthy(message:find("scenario field 'threads': an integer from 1 to 128 expected, got ", 1, true))
    end
    local outcome = assert(run(body(128, "mem:alloc(1)")))
    assert.equal(128, outcome.result.live_blocks)
  end)

  it("want a file that they can load anew", function()
    local one = heapwright.scenario { name = "x", run = print, threads = 2 }
    local none, message, code = scenario.run(one, policies.parse "slab", { seed = 1 })
    assert.is_nil(none)
    assert.equal("threads want a scenario that was read from a file: each reads it anew", message)
    assert.equal("invalid_argument", code)
  end)
end)
