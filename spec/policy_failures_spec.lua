-- SPDX-License-Identifier: MIT
-- Policies in Lua that fail: the request fails with them, nothing else changes, and the error comes out
-- where the pool was called. And what heapwright.policy itself does not take.
local contract = require "spec.support.contract"
local heapwright = require "heapwright"
local own = require "spec.support.own_policies"

local choose -- what the policy of these specs does just now

local function first(free, size, align) return (free:first(size, align)) end

local function open(options)
  own.register { choose = function(...) return choose(...) end }
  options = options or {}
  options.policy, options.capacity = "spec-policy", options.capacity or 4096
  choose = first
  return assert(heapwright.new(options))
end

local function blocks_of(mem)
  local list = {}
  for address, size, requested in mem:blocks() do
    list[#list + 1] = ("%d+%d %s"):format(address, size, requested)
  end
  return table.concat(list, "\n")
end

-- From a line of Lua, so that what is raised has its position.
local function call(mem, method, ...)
  local result = table.pack(mem[method](mem, ...))
  return table.unpack(result, 1, result.n)
end

describe("a policy in Lua that fails", function()
  local mem

  before_each(function()
    mem = open()
    for _ = 1, 4 do assert(mem:malloc(64)) end
    mem:write(0, "kept")
    mem:write(128, "kept too")
    assert(mem:free(64))
  end)
  after_each(function()
    if tostring(mem):find "in use" then mem:close() end
    own.forget()
  end)

  -- The error of a call that fails by the policy, without its position; and nothing else changed.
  local function error_of(method, ...)
    local before, failures = blocks_of(mem), mem:stats().failures
    local ok, raised = pcall(call, mem, method, ...)
    assert.is_false(ok)
    assert.equal(before, blocks_of(mem))
    assert.equal(failures + 1, mem:stats().failures)
    assert(mem:check())
    assert.equal("kept", mem:read(0, 4))
    assert.equal("kept too", mem:read(128, 8))
    local chose = choose
    choose = first
    assert(mem:free(assert(mem:malloc(64)))) -- it goes on
    choose = chose
    return type(raised) == "string" and raised:match "^[^\n]-policy_failures_spec.lua:%d+: (.*)" or raised
  end

  local WRONG = {
    { 0x40, "chose 0x40 for 112 bytes: the free block there has 64 bytes" },
    { 0, "chose 0x0 for 112 bytes: the block of 64 bytes at 0x0 is live" },
    { 0x8f, "chose 0x8f for 112 bytes: the block of 64 bytes at 0x80 is live" },
    { 0x41, "chose 0x41 for 112 bytes: the address is not at a multiple of the granule" },
    { 0x50, "chose 0x50 for 112 bytes: the free block there has 48 bytes from there on" },
    { 4080, "chose 0xff0 for 112 bytes: the free block there has 16 bytes from there on" },
    { 4096, "chose 0x1000 for 112 bytes: that is outside of the pool's 4096 bytes" },
    { -16, "chose -0x10 for 112 bytes: that is outside of the pool's 4096 bytes" },
    { math.maxinteger, "chose 0x7fffffffffffffff for 112 bytes: that is outside of the pool's 4096 bytes" },
    { math.mininteger, "chose -0x8000000000000000 for 112 bytes: that is outside of the pool's 4096 bytes" },
    { 1 << 40, "chose 0x10000000000 for 112 bytes: that is outside of the pool's 4096 bytes" },
    { 1.5, "chose 1.5 for 112 bytes: an address or nil expected" },
    { 2 ^ 63, "chose 9.2233720368548e+18 for 112 bytes: an address or nil expected" },
    { 1 / 0, "chose inf for 112 bytes: an address or nil expected" },
    { "256", "chose a string for 112 bytes: an address or nil expected" },
    { true, "chose a boolean for 112 bytes: an address or nil expected" },
    { {}, "chose a table for 112 bytes: an address or nil expected" },
    { print, "chose a function for 112 bytes: an address or nil expected" },
    { io.stdout, "chose a userdata for 112 bytes: an address or nil expected" },
  }

  it("names the choice that does not fit, and the caller's line", function()
    for _, wrong in ipairs(WRONG) do
      choose = function() return wrong[1] end
      for _, method in ipairs { "alloc", "malloc" } do
        assert.equal("spec-policy " .. wrong[2], error_of(method, 100))
      end
      assert.equal("spec-policy " .. wrong[2], error_of("calloc", 10, 10))
      assert.equal("spec-policy " .. wrong[2], error_of("realloc", nil, 100))
      assert.equal("spec-policy " .. wrong[2], error_of("realloc", 128, 100)) -- not backwards either
      assert.equal("spec-policy " .. wrong[2], error_of("block", 100))
    end
    choose = function() return 0 / 0 end
    assert.is_truthy(error_of("malloc", 100):find "^spec%-policy chose %-?nan for 112 bytes: an address or nil")
    choose = function() return 16.0 * 16 end -- a whole number is one
    assert.equal(256, mem:malloc(1))
  end)

  it("names the alignment that a choice does not have", function()
    choose = function() return 0x100 end
    assert.equal("spec-policy chose 0x100 for 64 bytes aligned to 4096: the free block there holds no place so aligned"
      ,
      error_of("aligned_alloc", 4096, 64))
    choose = function() return 0x110 end
    assert.equal("spec-policy chose 0x110 for 64 bytes aligned to 512: the address is not so aligned",
      error_of("aligned_alloc", 512, 64))
  end)

  it("raises what it raised, whatever that is", function()
    local object = setmetatable({}, { __tostring = function() error "not even this" end })
    for _, raised in ipairs { object, 42, true, print, "a text without a position" } do
      choose = function() error(raised, 0) end
      assert.equal(raised, error_of("malloc", 100))
    end
    choose = function() error(nil) end
    assert.is_nil(error_of("malloc", 100))
    choose = function() error "said where" end
    assert.equal("said where", error_of("malloc", 100))
    choose = function(free) return free.none.such end
    assert.is_truthy(error_of("malloc", 100):find "attempt to index a nil value")
    choose = function(free) return free:first(-1) end
    assert.is_truthy(error_of("malloc", 100):find "negative size %-1")
  end)

  it("can't yield, nor recurse without end", function()
    choose = function() coroutine.yield(1) end
    assert.is_truthy(error_of("malloc", 100):find "attempt to yield")
    assert.is_truthy(coroutine.wrap(function() return error_of("malloc", 100) end)():find "attempt to yield")
    local function deeper(n) return 1 + deeper(n + 1) end
    choose = function() return deeper(1) end
    assert.is_truthy(error_of("malloc", 100):find "stack overflow")
    choose = function(_, size)
      local other <close> = heapwright.new { policy = "spec-policy", capacity = 4096 }
      return other:malloc(size)
    end
    assert.is_truthy(error_of("malloc", 100):find "stack overflow")
  end)

  it("may raise in the middle of growth, and with a quarantine: the pool neither grows nor lets one out", function()
    local growing <close> = open { max_capacity = "1M" }
    local asked = 0
    choose = function()
      asked = asked + 1
      if asked == 2 then error "enough" end
    end
    assert.is_false(pcall(growing.malloc, growing, 100))
    assert.equal(2, asked)
    assert.equal(4096, growing:stats().capacity)
    assert(growing:check())
    local guarded <close> = open { guard = "full" }
    assert(guarded:free(assert(guarded:malloc(100))))
    local held = guarded:stats().quarantined
    assert.is_true(held > 0)
    choose = function() error "enough" end
    assert.is_false(pcall(guarded.malloc, guarded, 100))
    assert.is_false(pcall(guarded.realloc, guarded, nil, 100))
    assert.equal(held, guarded:stats().quarantined)
    assert(guarded:check())
  end)

  it("rounds to what is no size, or down: that is an error, too", function()
    for answer, message in pairs {
      [100] = "spec-policy rounds 112 bytes down to 100",
      [-1] = "spec-policy rounds 112 bytes down to -1",
      [math.mininteger] = "spec-policy rounds 112 bytes down to -9223372036854775808",
      [112.5] = "spec-policy rounds 112 bytes to 112.5: a size expected",
      ["128"] = "spec-policy rounds 112 bytes to a string: a size expected",
    } do
      own.register { choose = first, round = function() return answer end }
      mem:close()
      mem = assert(heapwright.new { policy = "spec-policy", capacity = 4096 })
      local ok, raised = pcall(call, mem, "malloc", 100)
      assert.is_false(ok)
      assert.equal(message, raised:match ":%d+: (.*)")
      assert.equal(1, mem:stats().failures)
      assert.equal(1, mem:stats().free_blocks)
      assert(mem:check())
    end
    own.register { choose = first, round = function() return math.maxinteger end }
    local full <close> = heapwright.new { policy = "spec-policy", capacity = 4096, max_capacity = "1M" }
    assert.is_nil(full:malloc(100))
    assert.equal("no_memory", select(3, full:malloc(100)))
  end)

  local CHANGES = {
    alloc = { 1 }, malloc = { 1 }, calloc = { 1, 1 }, aligned_alloc = { 16, 1 }, realloc = { 0, 100 }, free = { 0 },
    reset = {}, trim = {}, close = {}, block = { 1 }, compact = {}, record = { "/dev/null" },
    inject = { { after = 1 } }, write = { 0, "x" }, fill = { 0, 1, 1 }, copy = { 0, 16, 1 }, pack = { 0, "b", 1 },
    store = { 0, 1 }, fetch_add = { 0, 1 }, cas = { 0, 1, 1 },
  }
  local QUESTIONS = {
    size = { 0 }, usable_size = { 0 }, owner = { 5 }, blocks = {}, leaks = {}, map = {}, stats = {}, policy = {},
    check = {}, read = { 0, 4 }, compare = { 0, 128, 4 }, unpack = { 0, "b" }, load = { 0 }, save = { "/dev/null" },
  }

  it("asks its own pool, and changes nothing in it", function()
    local seen = {}
    for name in pairs(debug.getmetatable(mem).__index) do
      seen[name] = true
      assert.is_truthy(CHANGES[name] or QUESTIONS[name], name)
    end
    for name, arguments in pairs(CHANGES) do
      choose = function(...)
        local ok, message = pcall(call, mem, name, table.unpack(arguments))
        assert.is_false(ok, name)
        assert.equal("spec-policy is choosing: until it has, its pool answers questions and changes nothing",
          message:match ":%d+: (.*)")
        return first(...)
      end
      assert(mem:free(assert(mem:malloc(64))), name)
      assert.is_true(seen[name])
    end
    for name, arguments in pairs(QUESTIONS) do
      choose = function(...)
        assert.is_not_nil((mem[name](mem, table.unpack(arguments))), name)
        return first(...)
      end
      assert(mem:free(assert(mem:malloc(64))), name)
      assert.is_true(seen[name])
    end
    contract.consistent(mem)
  end)

  it("does not lose its pool by <close>, a finalizer or a metamethod called by hand", function()
    local meta = debug.getmetatable(mem)
    for _, name in ipairs { "__gc", "__close" } do
      choose = function() meta[name](mem) end
      assert.is_truthy(error_of("malloc", 100):find "is choosing")
    end
    choose = function()
      local again <close> = mem -- luacheck: ignore 211
    end
    assert.is_truthy(error_of("malloc", 100):find "is choosing")
    local refused = false
    choose = function(...)
      setmetatable({}, { __gc = function() refused = not pcall(mem.close, mem) end })
      collectgarbage()
      return first(...)
    end
    assert.is_truthy(mem:malloc(1))
    assert.is_true(refused)
  end)

  it("has block objects that are collected meanwhile freed by the next call", function()
    choose = first
    mem:block(100)
    local kept = mem:block(100)
    local live = mem:stats().live_blocks
    choose = function(...)
      collectgarbage()
      assert.equal(live, mem:stats().live_blocks)
      assert.is_false(pcall(kept.free, kept))
      assert.is_false(pcall(kept.close, kept))
      assert.is_false(pcall(kept.resize, kept, 10))
      assert.is_false(pcall(kept.write, kept, 0, "x"))
      assert.equal(100, kept:size())
      assert.equal("\0", kept:read(0, 1))
      return first(...)
    end
    local address = mem:malloc(1)
    choose = first
    assert(mem:free(address))
    assert.equal(live - 1, mem:stats().live_blocks)
    mem:block(100)
    choose = function(...)
      collectgarbage()
      return first(...)
    end
    assert(mem:malloc(1))
    assert(mem:close()) -- with one that waits
  end)

  it("raises what its own memory's end raises", function()
    local tenant <close> = heapwright.state { limit = "8M", libs = { "heapwright" } }
    assert(tenant:eval [[
      heapwright = require "heapwright"
      heapwright.policy("greedy", { choose = function(free)
        local all = {}
        for i = 1, math.huge do all[i] = { i } end
      end })
      mem = heapwright.new { policy = "greedy", capacity = 4096 }
      return true
    ]])
    local ok, raised, code = tenant:eval "return mem:malloc(100)"
    assert.is_nil(ok)
    assert.is_truthy(raised:find "not enough memory")
    assert.equal("limit", code)
    assert.is_true(tenant:eval "return mem:check() and mem:stats().live_blocks == 0")
  end)

  it("is ended with its state's budget", function()
    local tenant <close> = heapwright.state { limit = "8M", libs = { "heapwright" }, instructions = 100000 }
    assert(tenant:eval [[
      heapwright = require "heapwright"
      heapwright.policy("endless", { choose = function() while true do pcall(error) end end })
      mem = heapwright.new { policy = "endless", capacity = 4096 }
      return true
    ]])
    local ok, raised, code = tenant:eval "pcall(mem.malloc, mem, 100) return 1"
    assert.is_nil(ok)
    assert.is_truthy(raised:find "out of instructions")
    assert.equal("limit", code)
  end)

  it("belongs to the state that opened its pool: no thread, no other state", function()
    local why = "spec-policy is a function of this Lua state, which no other can call"
    for _, share in ipairs {
      function() return heapwright.spawn(mem, "return 1") end,
      function() return heapwright.spawn(nil, { "return 1", pool = mem }) end,
      function() return heapwright.state { pool = mem } end,
    } do
      local ok, message = pcall(share)
      assert.is_false(ok)
      assert.is_truthy(message:find(why, 1, true), message)
    end
    local ok, message = pcall(heapwright.state, { policy = "spec-policy" })
    assert.is_false(ok)
    assert.is_truthy(message:find("policy: spec-policy is a function of Lua, a state lives in built-in ones", 1, true))
    ok, message = pcall(heapwright.new, { policy = "spec-policy", thread_safe = true })
    assert.is_false(ok)
    assert.is_truthy(message:find("thread_safe: spec-policy is a function of this Lua state, for one thread", 1, true))
    assert(heapwright.new { policy = "spec-policy", thread_safe = false }):close()
  end)

  it("fails in a replay with one message, and ends it", function()
    local path = os.tmpname()
    choose = first
    assert(mem:record(path))
    for _ = 1, 100 do assert(mem:free(assert(mem:malloc(100)))) end
    mem:record()
    local program <close> = assert(require("heapwright.replay").load(path))
    os.remove(path)
    local policies, asked = { { policy = "best-fit" }, { policy = "spec-policy" }, { policy = "bump" } }, 0
    choose = function(...)
      asked = asked + 1
      if asked == 50 then error("no more", 0) end
      return first(...)
    end
    local results, message, code = program:measure { policies = policies, smallest = true }
    assert.is_nil(results)
    assert.equal("spec-policy: no more", message)
    assert.equal("invalid_argument", code)
    assert.equal(50, asked)
    choose = function() return 0x8000 end
    results, message = program:measure { policies = policies, capacity = 4096 }
    assert.is_nil(results)
    assert.equal("spec-policy chose 0x8000 for 64 bytes: that is outside of the pool's 4096 bytes", message)
    choose = function()
      assert(not pcall(program.close, program))
      assert(not pcall(program.measure, program, { policies = policies }))
      error { "an object" }
    end
    results, message = program:measure { policies = policies }
    assert.is_nil(results)
    assert.is_truthy(message:find "^spec%-policy: table")
    choose = first
    assert.equal(3, #assert(program:measure { policies = policies, smallest = true }))
  end)
end)

describe("heapwright.policy", function()
  after_each(own.forget)

  -- Its error, without the position.
  local function refused(...)
    local ok, message = pcall(heapwright.policy, ...)
    assert.is_false(ok)
    return message
  end

  it("raises for names that can't be", function()
    for name, why in pairs {
      ["best-fit"] = "'best-fit' is built in",
      [""] = "letters, digits, '-', '_' and '.' expected",
      ["a/b"] = "letters, digits, '-', '_' and '.' expected",
      ["a,b"] = "letters, digits, '-', '_' and '.' expected",
      ["a b"] = "letters, digits, '-', '_' and '.' expected",
      ["zero\0"] = "letters, digits, '-', '_' and '.' expected",
      ["a-name-that-is-16"] = "has 17 bytes, 15 are the most",
    } do
      assert.is_truthy(refused(name, { choose = first }):find(why, 1, true), name)
    end
    for _, name in ipairs { {}, 7, true } do
      assert.is_truthy(refused(name, { choose = first }):find("string expected", 1, true))
    end
    assert.is_truthy(refused():find("string expected", 1, true))
    assert.is_true(heapwright.policy("exactly-15-long", { choose = first }))
  end)

  it("raises for definitions that can't be", function()
    assert.is_truthy(refused("x"):find("#2", 1, true))
    assert.is_truthy(refused("x", "text"):find("table expected", 1, true))
    assert.is_truthy(refused("x", {}):find("choose: function expected, got nil", 1, true))
    assert.is_truthy(refused("x", { choose = {} }):find("choose: function expected, got table", 1, true))
    assert.is_truthy(refused("x", { choose = first, round = 1 }):find("round: function expected, got number", 1, true))
    assert.is_truthy(refused("x", { choose = first, bound = 1 }):find("bound: string expected, got number", 1, true))
    local known = "(known: choose, round, chooses, index, bound, source)"
    assert.is_truthy(refused("x", { choose = first, chose = first }):find("unknown field 'chose' " .. known, 1, true))
    assert.is_truthy(refused("x", { choose = first, ["bound\0"] = "" }):find("unknown field 'bound", 1, true))
    assert.is_truthy(refused("x", { choose = first, first }):find("unknown field '1' " .. known, 1, true))
    assert.equal(8, #heapwright.policies())
    assert.is_false(pcall(heapwright.new, { policy = "x" }))
  end)

  it("lists what is registered, last, and forgets it again", function()
    own.register({ choose = first, chooses = "what is first", bound = "O(1)", index = "none", source = "this" }, "one")
    own.register({ choose = first }, "two")
    local list = heapwright.policies()
    assert.same({
      name = "one", chooses = "what is first", index = "none", bound = "O(1)", source = "this", takes_order = false,
      takes_caches = false, takes_classes = false, exact = false, monotone = false, scripted = true,
    }, list[9])
    assert.equal("two", list[10].name)
    assert.is_truthy(list[10].source:find "policy_failures_spec.lua:%d+$")
    assert.is_truthy(select(2, pcall(heapwright.new, { policy = "three" })):find("bump, one, two)", 1, true))
    assert.is_true(heapwright.policy("one", nil))
    assert.is_false(heapwright.policy("one", nil))
    list = heapwright.policies()
    assert.equal(9, #list)
    assert.equal("two", list[9].name)
  end)

  it("puts another in its place, and open pools keep theirs", function()
    own.register({ choose = function(free) return (free:largest()) end }, "one")
    own.register({ choose = first }, "two")
    local old <close> = heapwright.new { policy = "one", capacity = 4096 }
    own.register({ choose = function() end }, "one")
    assert.equal("one", heapwright.policies()[9].name)
    local new <close> = heapwright.new { policy = "one", capacity = 4096 }
    assert.equal(0, old:malloc(1))
    assert.is_nil(new:malloc(1))
    heapwright.policy("one", nil)
    collectgarbage()
    assert.equal(16, old:malloc(1))
    assert.equal("one", old:policy())
    assert.is_truthy(tostring(old):find("(one,", 1, true))
    assert.is_true(old:close())
    assert.equal("heapwright pool (one, closed)", tostring(old))
  end)

  it("takes neither orders nor caches of threads", function()
    own.register({ choose = first }, "one")
    assert.is_truthy(select(2, pcall(heapwright.new, { policy = "one", order = "fifo" }))
      :find("order: one places by its own rule", 1, true))
    assert.is_truthy(select(2, pcall(heapwright.new, { policy = "one", thread_caches = 2 }))
      :find("thread_caches: ", 1, true))
  end)

  it("leaves nothing behind when pools with it are collected", function()
    own.register({ choose = first }, "one")
    local function round()
      for _ = 1, 200 do
        local mem = heapwright.new { policy = "one", capacity = 4096 }
        mem:malloc(100)
        mem:block(10)
      end
      collectgarbage()
      collectgarbage()
    end
    round()
    local before = collectgarbage "count"
    for _ = 1, 5 do round() end
    assert.is_true(collectgarbage "count" < before + 64)
  end)
end)

describe("a pool of a policy in Lua", function()
  local path

  before_each(function()
    path = os.tmpname()
    own.register(own.SHORT["best-fit"], "one")
  end)
  after_each(function()
    os.remove(path)
    own.forget()
  end)

  it("is saved under the policy's name, and loaded where it is registered", function()
    local mem <close> = heapwright.new { policy = "one", capacity = 4096 }
    for i = 1, 8 do assert(mem:malloc(i * 10)) end
    assert(mem:free(16))
    assert(mem:write(0, "kept"))
    assert(mem:save(path))
    local again <close> = assert(heapwright.load(path))
    assert.equal("one", again:policy())
    assert.equal(blocks_of(mem), blocks_of(again))
    assert.equal("kept", again:read(0, 4))
    assert.equal(mem:malloc(20), again:malloc(20))
    assert(again:check())
    local other <close> = assert(heapwright.load(path, { policy = "first-fit", thread_safe = true }))
    assert.equal("first-fit", other:policy())
    assert.equal("kept", other:read(0, 4))
  end)

  it("is not loaded where its policy is unknown, but under another", function()
    local mem <close> = heapwright.new { policy = "one", capacity = 4096 }
    assert(mem:malloc(10))
    assert(mem:save(path))
    own.forget()
    local none, message, code = heapwright.load(path)
    assert.is_nil(none)
    assert.equal(("load: %s: its policy 'one' is one in Lua that is not registered here: register it with "
      .. "heapwright.policy, or name another"):format(path), message)
    assert.equal("invalid_argument", code)
    local other <close> = assert(heapwright.load(path, { policy = "best-fit" }))
    assert.equal(1, other:stats().live_blocks)
  end)

  it("is loaded from one of a built-in policy; what `round` raises then is raised", function()
    local built_in <close> = heapwright.new { capacity = 4096 }
    assert(built_in:malloc(10))
    assert(built_in:save(path))
    local mem <close> = assert(heapwright.load(path, { policy = "one" }))
    assert.equal("one", mem:policy())
    assert.equal(16, mem:malloc(16))
    assert.is_false(pcall(heapwright.load, path, { policy = "one", thread_safe = true }))
    own.register({ choose = first, round = function() error("not now", 0) end }, "one")
    local ok, message = pcall(heapwright.load, path, { policy = "one" })
    assert.is_false(ok)
    assert.equal("not now", message)
  end)

  it("takes failures by plan, recordings, block objects and compaction", function()
    local asked = 0
    own.register({ choose = function(...)
      asked = asked + 1
      return first(...)
    end }, "two")
    local mem <close> = heapwright.new { policy = "two", capacity = 4096 }
    mem:inject { after = 2 }
    assert.is_truthy(mem:malloc(10))
    local none, message, code = mem:malloc(10)
    assert.is_nil(none)
    assert.is_truthy(message:find("injected: the 2nd request", 1, true))
    assert.equal("no_memory", code)
    assert.equal(1, asked)
    mem:inject()
    assert(mem:record(path))
    local blocks = {}
    for i = 1, 8 do blocks[i] = assert(mem:block(100)) end
    for i = 1, 8, 2 do blocks[i]:free() end
    assert.is_true(blocks[2]:resize(300))
    local won, moved = mem:compact()
    assert.is_true(won > 0 and moved > 0)
    assert(mem:check())
    assert(mem:record())
    assert.equal(4, #{ blocks[2]:read(0, 4):byte(1, 4) })
    local program <close> = assert(require("heapwright.replay").load(path))
    local results = assert(program:measure { policies = { { policy = "two" }, { policy = "first-fit" } }, time = true })
    assert.equal(results[1].high_water, results[2].high_water)
    assert.equal(results[1].external_fragmentation, results[2].external_fragmentation)
    assert.is_number(results[1].ns_p50)
  end)
end)
