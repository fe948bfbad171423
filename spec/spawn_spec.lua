-- SPDX-License-Identifier: MIT
-- Threads: a state on a POSIX thread, joined, cancelled, abandoned. Under
-- ThreadSanitizer as well.
local finalizer = require "spec.support.finalizer"
local heapwright = require "heapwright"

local build = os.getenv "HEAPWRIGHT_BUILD" or "build"

-- Waits until a pool holds no block: what a thread that nobody joins gives back.
local function wait_for_empty(mem)
  local wait = heapwright.spawn(nil, "local t = os.clock() while os.clock() - t < 0.02 do end")
  wait:join()
  for _ = 1, 500 do
    if mem:stats().live_blocks == 0 then return true end
    heapwright.spawn(nil, "for i = 1, 1e5 do end"):join()
  end
  return false
end

-- A Lua program in a process of its own, so that it may end as it likes.
local function process(code, prefix)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(code)
  file:close()
  local interpreter = arg[-1] or "lua5.4"
  for i = -1, -8, -1 do
    if not arg[i] then break end
    interpreter = arg[i]
  end
  local command = "%s LUA_CPATH='%s/?.so' timeout 60 '%s' %s 2>&1"
  local pipe = assert(io.popen(command:format(prefix or "", build, interpreter, path)))
  local output = pipe:read "a"
  local ok, _, status = pipe:close()
  os.remove(path)
  return output, ok and 0 or status
end

describe("a thread", function()
  it("runs a text, a function or a file, with copies of the arguments", function()
    local thread = heapwright.spawn(nil, "local a, t = ... return a + 1, t", 2, { "x" })
    assert.same({ 3, { "x" }, n = 2 }, table.pack(thread:join()))
    assert.equal(42, heapwright.spawn(nil, function(a) return a * math.floor(2.5) end, 21):join())
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write "return 'file', ..."
    file:close()
    assert.same({ "file", 7, n = 2 }, table.pack(heapwright.spawn(nil, { file = path }, 7):join()))
    os.remove(path)
    assert.equal("io", select(3, heapwright.spawn(nil, { file = path }):join()))
    assert.equal(1, heapwright.spawn(nil, { "return 1", limit = "1M" }):join())
  end)

  it("runs beside the others", function()
    local mem <close> = heapwright.new { capacity = "64K" }
    local flag = mem:malloc(8)
    -- Each waits for what the other writes: neither could end if they took turns.
    local function wait_and_write(pool, at, seen, written)
      while pool:unpack(at, "i8") ~= seen do end
      pool:pack(at, "i8", written)
      return true
    end
    local a = heapwright.spawn(mem, wait_and_write, flag, 1, 2)
    local b = heapwright.spawn(mem, wait_and_write, flag, 2, 3)
    mem:pack(flag, "i8", 1)
    assert.is_true(a:join())
    assert.is_true(b:join())
    assert.equal(3, mem:unpack(flag, "i8"))
  end)

  it("shares the pool that it is given: the same addresses, the same bytes", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    local mine = mem:malloc(16)
    mem:write(mine, "from the host")
    local address = heapwright.spawn(mem, function(pool, at)
      assert(pool:read(at, 13) == "from the host")
      local address = pool:malloc(100)
      pool:write(address, "from the thread")
      return address
    end, mine):join()
    assert.equal("from the thread", mem:read(address, 15))
    assert.equal(100, mem:size(address))
    assert.is_true(mem:free(address))
  end)

  it("is one of several that allocate from one pool at once", function()
    for _, policy in ipairs { "best-fit", "slab", "good-fit" } do
      local caches = policy == "slab" and 4 or 0
      local mem <close> = heapwright.new { capacity = "4M", policy = policy, thread_caches = caches }
      local threads = {}
      for i = 1, 4 do
        threads[i] = heapwright.spawn(mem, function(pool, seed)
          math.randomseed(seed)
          local live = {}
          for _ = 1, 2000 do
            if #live < 20 or math.random() < 0.5 then
              local a = assert(pool:malloc(math.random(1, 300)))
              assert(pool:fill(a, seed, 1))
              live[#live + 1] = a
            else
              local a = table.remove(live, math.random(#live))
              assert(pool:unpack(a, "B") == seed)
              assert(pool:free(a))
            end
          end
          for _, a in ipairs(live) do assert(pool:free(a)) end
          return #live
        end, i)
      end
      for i = 1, 4 do assert.is_number(threads[i]:join()) end
      assert.is_true(mem:check())
      assert.equal(0, mem:stats().live_blocks)
    end
  end)

  it("may live in a pool with states and other threads", function()
    local mem <close> = heapwright.new { capacity = "8M" }
    local threads = {}
    local function work(n)
      local t = {}
      for k = 1, n do t[k] = tostring(k) end
      return #table.concat(t)
    end
    for i = 1, 4 do threads[i] = assert(heapwright.spawn(nil, { work, pool = mem, limit = "1M" }, 3000)) end
    local state = heapwright.state { pool = mem }
    assert.equal(6, state:eval "return 6")
    for i = 1, 4 do assert.equal(10893, threads[i]:join()) end
    state:close()
    assert.equal(0, mem:stats().live_blocks)
    assert.is_true(mem:check())
  end)

  it("has heapwright in it", function()
    local size, version = heapwright.spawn(nil, function()
      local inner = require "heapwright"
      local mem <close> = inner.new { capacity = "64K" }
      return mem:size(mem:malloc(10)), inner.version
    end):join()
    assert.equal(10, size)
    assert.equal(heapwright.version, version)
  end)

  it("may start threads, and takes them with it", function()
    local mem <close> = heapwright.new { capacity = "64K" }
    local sum = heapwright.spawn(mem, function(pool)
      local inner = require "heapwright"
      local threads, total = {}, 0
      for i = 1, 3 do threads[i] = inner.spawn(pool, "local pool, i = ... return pool:size(pool:malloc(i))", i) end
      for i = 1, 3 do total = total + threads[i]:join() end
      for _ = 1, 3 do inner.spawn(pool, "while true do end") end
      return total
    end):join()
    assert.equal(6, sum)
  end)

  it("gives its results again each time it is joined", function()
    local thread = heapwright.spawn(nil, "return 'text', { 1 }")
    local first, second = table.pack(thread:join()), table.pack(thread:join())
    assert.same({ "text", { 1 }, n = 2 }, first)
    assert.same(first, second)
    assert.are_not.equal(first[2], second[2]) -- copies, each time
    assert.equal("finished", thread:status())
    assert.is_false(thread:cancel())
    assert.equal("finished", thread:status())
  end)

  it("tells its error with a traceback", function()
    local thread = heapwright.spawn(nil, function() local function inner() error "oops" end inner() end)
    local ok, message, code = thread:join()
    assert.is_nil(ok)
    assert.matches("spawn_spec.lua:%d+: oops\nstack traceback:\n.*in local 'inner'", message)
    assert.is_nil(code)
    assert.equal("failed", thread:status())
    assert.same({ nil, { 7 }, n = 3 }, table.pack(heapwright.spawn(nil, "error { 7 }"):join()))
    assert.matches("syntax error", select(2, heapwright.spawn(nil, "x x"):join()), 1, true)
    assert.matches("result 1 is a function", select(2, heapwright.spawn(nil, "return print"):join()), 1, true)
  end)

  it("ends at its limits", function()
    local function ended(options)
      local results = table.pack(heapwright.spawn(nil, options):join())
      assert.equal("limit", results[3])
      return results[2]
    end
    assert.matches("^not enough memory", ended { "local t = {} while true do t[#t + 1] = {} end", limit = "1M" })
    assert.matches("out of instructions: all 10000 ", ended { "while true do end", instructions = 10000 })
    assert.matches("out of time: 0.0%d%d of 0.050 seconds", ended { "while true do end", seconds = 0.05 })
    local thread, message, code = heapwright.spawn(nil, { "return 1", limit = 5000 })
    assert.is_nil(thread)
    assert.matches("^a limit of 5000 bytes is too little for a state", message)
    assert.equal("limit", code)
  end)

  it("is waited for no longer than one likes", function()
    local thread = heapwright.spawn(nil, "while true do end")
    assert.same({ nil, "still running after 0.02 seconds", "limit", n = 3 }, table.pack(thread:join(0.02)))
    assert.same({ nil, "still running after 0 seconds", "limit", n = 3 }, table.pack(thread:join(0)))
    assert.equal("running", thread:status())
    assert.equal("heapwright thread (running)", tostring(thread))
    assert.is_true(thread:cancel())
    thread:join()
  end)

  it("is cancelled wherever it runs Lua", function()
    for _, code in ipairs {
      "while true do end",
      "while true do pcall(function() while true do end end) end",
      "xpcall(function() while true do end end, function() while true do end end)",
      [[coroutine.wrap(function()
        local x <close> = setmetatable({}, { __close = function() while true do end end })
        while true do end
      end)()]],
      "table.sort({ 3, 2, 1 }, function() while true do end end)",
      "local t = require('heapwright').spawn(nil, 'while true do end') t:join()",
    } do
      local thread = heapwright.spawn(nil, code)
      thread:join(0.01)
      assert.is_true(thread:cancel())
      local ok, message, code_of = thread:join()
      assert.is_nil(ok)
      assert.matches("cancelled after %d+%.%d+ seconds$", message)
      assert.is_nil(code_of)
      assert.equal("cancelled", thread:status())
    end
  end)

  it("that is not to be cancelled goes on to its end", function()
    local code = "local s = 0 for i = 1, 1e6 do s = s + i end return s"
    local thread = heapwright.spawn(nil, { code, cancellable = false })
    thread:cancel()
    assert.equal(500000500000, thread:join())
    assert.equal("finished", thread:status())
    assert.error_matches(function() heapwright.spawn(nil, { "", cancellable = 0 }) end,
      "cancellable: boolean expected, got number")
  end)

  it("may be cancelled before it began", function()
    for _ = 1, 20 do
      local thread = heapwright.spawn(nil, "while true do end")
      thread:cancel()
      assert.matches("cancelled after", select(2, thread:join()), 1, true)
    end
  end)

  it("is cancelled and waited for by <close>", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    local kept
    do
      local thread <close> = heapwright.spawn(mem, { "local pool = ... while true do end", pool = mem })
      kept = thread
    end
    assert.equal(0, mem:stats().live_blocks)
    assert.equal("heapwright thread (closed)", tostring(kept))
    assert.error_matches(function() kept:join() end, "thread is closed")
  end)

  it("goes on where its handle is collected", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    local done = mem:malloc(1)
    heapwright.spawn(mem, "local pool, at = ... for i = 1, 1e5 do end pool:fill(at, 1, 1)", done)
    collectgarbage()
    collectgarbage()
    while mem:unpack(done, "B") ~= 1 do end
  end)

  it("keeps a pool open that its host has closed", function()
    local mem = heapwright.new { capacity = "1M" }
    local go = mem:malloc(1)
    local thread = heapwright.spawn(mem, function(pool, at)
      while pool:unpack(at, "B") == 0 do end
      for i = 1, 1000 do assert(pool:free(assert(pool:malloc(i)))) end
      return pool:stats().live_blocks
    end, go)
    mem:fill(go, 1, 1)
    mem:close()
    assert.equal(1, thread:join())
  end)

  it("gives everything back that nobody joins", function()
    local mem <close> = heapwright.new { capacity = "4M" }
    local code = "local t = {} for i = 1, 1000 do t[i] = { i } end error 'x'"
    for i = 1, 10 do heapwright.spawn(nil, { code, pool = mem, limit = i .. "00K" }) end
    collectgarbage()
    assert.is_true(wait_for_empty(mem))
    assert.is_true(mem:check())
  end)
end)

describe("spawn", function()
  it("raises for what can't be run or passed", function()
    local outside = 1
    local mem <close> = heapwright.new { thread_safe = false }
    local closed = heapwright.new()
    closed:close()
    local cases = {
      { "the function uses the local variable 'outside' from outside of it", nil, function() return outside end },
      { "the function uses the local variable 'heapwright' from outside", nil, function() return heapwright end },
      { "the function uses the local variable 'outside' from outside of it", nil, { function() return outside end } },
      { "file: a name with a zero byte", nil, { file = "/dev/null\0.lua" } },
      { "a text, a function or a file's name expected, got number", nil, 1 },
      { "a text, a function or a file's name expected, got nil", nil, {} },
      { "code and a file as well", nil, { "return 1", file = "x" } },
      { "file: a name expected, got function", nil, { file = print } },
      { "unknown option 'limits'", nil, { "return 1", limits = 1 } },
      { "value 2 at .f is a function", nil, "return 1", 1, { f = print } },
      { "a pool or nil expected, got string", "return 1", "x" },
      { "pool is not thread_safe", mem, "return 1" },
      { "pool is not thread_safe", nil, { "return 1", pool = mem } },
      { "pool is closed", closed, "return 1" },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(heapwright.spawn, table.unpack(case, 2, 5))
      assert.is_false(ok)
      assert.matches(case[1], message, 1, true)
    end
    assert.is_false((pcall(heapwright.spawn)))
    for _, source in ipairs { print, function() return outside end, { function() return outside end } } do
      assert.matches("^bad argument #2 to ", (select(2, pcall(heapwright.spawn, nil, source))))
    end
    local thread <close> = heapwright.spawn(nil, "return 1")
    assert.error_matches(function() thread:join(-1) end, "negative")
    assert.error_matches(function() thread:join "soon" end, "number expected")
  end)

  it("tells where the system starts no thread", function()
    local output, status = process([[
      local heapwright = require "heapwright"
      local mem = heapwright.new { capacity = "1M" }
      print(heapwright.spawn(mem, { "return 1", pool = mem }))
      print(mem:stats().live_blocks)
    ]], "ulimit -s 1000000000;") -- each thread's stack would be a terabyte
    if output:find "^FATAL: ThreadSanitizer" then return pending "with such a limit it does not start" end
    assert.equal(0, status)
    assert.equal("nil\tthe system starts no thread: error 11, it has not what one more needs\tio\n0\n", output)
  end)
end)

describe("a host", function()
  it("that ends with threads running cancels them and waits", function()
    local output, status = process [[
      local heapwright = require "heapwright"
      local mem = heapwright.new { capacity = "4M" }
      kept = {}
      for i = 1, 4 do
        kept[i] = heapwright.spawn(mem, "local pool = ... while true do pool:free(pool:malloc(100)) end")
        heapwright.spawn(mem, { "local pool = ... while true do local t = { {} } end", pool = mem })
      end
      local begun = mem:calloc(1, 8)
      for i = 1, 4 do
        heapwright.spawn(mem, { [=[
          local pool, begun, i = ...
          setmetatable({}, { __gc = function() for i = 1, 1e6 do end print "ended" end })
          pool:fill(begun + i, 1, 1)
          while true do end
        ]=], finalizers = true }, begun, i)
      end
      while mem:read(begun + 1, 4) ~= "\1\1\1\1" do end
      setmetatable({}, { __gc = function() print "closing" end })
    ]]
    assert.matches("^closing\n", output)
    assert.equal(4, select(2, output:gsub("ended", "")))
    assert.is_nil(output:find "Sanitizer")
    assert.equal(0, status)
  end)

  it("that ends by os.exit, or with an error, does no worse", function()
    for _, way in ipairs { "os.exit(0)", "os.exit(0, true)", "error 'x'" } do
      local output, status = process([[
        local heapwright = require "heapwright"
        local mem = heapwright.new { capacity = "4M" }
        for i = 1, 4 do heapwright.spawn(mem, "local pool = ... while true do pool:free(pool:malloc(100)) end") end
      ]] .. way)
      assert.equal(way == "error 'x'" and 1 or 0, status, output)
      assert.is_nil(output:find "Sanitizer")
    end
  end)

  it("that runs out of memory, wherever it does, loses nothing", function()
    local code = [[
      local heapwright = require "heapwright"
      local state <close> = assert(heapwright.state { limit = "100K", libs = {} })
      local sum, list = assert(state:eval("local t = ... return #t, t, { t }", { 1, 2, "three" }))
      assert(sum == 3 and list[3] == "three")
      local _, raised = state:eval "error { 1 }"
      assert(raised[1] == 1)
      assert(state:stats().kinds.string and state:set("x", { 1 }))
      local mem <close> = assert(heapwright.new { capacity = "256K" })
      local function work(pool, t) return pool:size(pool:malloc(10)), t end
      local thread <close> = assert(heapwright.spawn(mem, { work, limit = "300K" }, { 1 }))
      local size, t = assert(thread:join())
      assert(size == 10 and t[1] == 1)
      return true]]
    local mem <close> = heapwright.new { capacity = "4M" }
    local limit, failures = 20000, 0
    while true do
      local state, _, refused = heapwright.state { pool = mem, limit = limit, libs = { "heapwright" } }
      local result, message, ended
      if state then
        result, message, ended = state:eval(code)
        assert.is_true(state:close())
      end
      if mem:stats().live_blocks ~= 0 then error("something left at a limit of " .. limit) end
      if result then break end
      if (ended or refused) ~= "limit" then error(("at a limit of %d: %s"):format(limit, message)) end
      failures = failures + 1
      limit = limit + 97
    end
    assert.is_true(failures > 300)
  end)

  it("whose system has no memory for a copy is told so", function()
    local code = [[
      local heapwright = require "heapwright"
      local state = heapwright.state { limit = "1M" }
      local other = heapwright.state { capacity = "80M" }
      other:eval "text = ('x'):rep(35 << 20)"
      local large, kept = ("x"):rep(130 << 20), {}
      for i, size in ipairs { 60, 60, 30 } do kept[i] = ("y"):rep(size << 20) end
      print(pcall(state.eval, state, "", large))
      print(pcall(heapwright.spawn, nil, "", large))
      print(pcall(heapwright.spawn, nil, large))
      print(other:eval "return text")
      print(state:eval "return 1 + 1", #kept)
    ]]
    local prefix = "ulimit -v 420000;"
    local _, starts = process("", prefix)
    if starts ~= 0 then return pending "no program starts with so little: a sanitizer's" end
    local output = process(code, prefix)
    assert.matches("^false\tvalue 1: no memory for a copy of 136314889 bytes\n" ..
      "false\tvalue 1: no memory for a copy of 136314889 bytes\n" ..
      "false\tno memory for a copy of 136314880 bytes of code\n" ..
      "nil\tresult 1: no memory for a copy of 36700169 bytes\tno_memory\n2\t3\n$", output)
  end)

  it("that is a bounded state takes its threads with it", function()
    local mem <close> = heapwright.new { capacity = "4M" }
    local state = heapwright.state { libs = { "heapwright" }, pool = mem }
    assert.is_true(state:eval [[
      local heapwright = require "heapwright"
      kept = heapwright.spawn(nil, "while true do end")
      heapwright.spawn(nil, "while true do end")
      return kept:status() == "running"
    ]])
    assert.is_true(state:close())
    assert.equal(0, mem:stats().live_blocks)
  end)

  it("whose handle a finalizer closes while results are copied gives them whole", function()
    local function work()
      local list = {}
      for i = 1, 20 do list[i] = ("x"):rep(100) .. i end
      return list
    end
    for fuse = 0, 25 do
      local thread = heapwright.spawn(nil, work)
      assert.equal(20, #thread:join())
      local ok, list = finalizer.struck(fuse, function() local _ <close> = thread end, thread.join, thread)
      if ok then
        assert.same(work(), list)
      else
        assert.matches("thread is closed", list, 1, true)
      end
    end
  end)

  it("that frees what another thread's malloc is zeroing breaks no pool", function()
    for _, policy in ipairs { "best-fit", "first-fit", "good-fit", "slab" } do
      local mem <close> = heapwright.new { capacity = "48M", policy = policy }
      local thread = heapwright.spawn(mem, function(pool) -- frees the block, and cuts up what it was
        local freed
        for _ = 1, 3000000 do
          freed = pool:free(0)
          if freed then break end
        end
        local list = {}
        for i = 1, freed and 20000 or 0 do list[i] = pool:alloc(1500) end
        for i = 1, #list, 2 do pool:free(list[i]) end
        return freed
      end)
      repeat mem:malloc(40 << 20) until thread:status() ~= "running"
      assert.is_true(thread:join())
      assert.is_true(mem:check())
    end
  end)
end)
