-- SPDX-License-Identifier: MIT
-- Promises of heapwright.watch: what this Lua state allocates while a function runs, by kind, as a trace
-- that replays like any other; the function is called as by pcall; the allocator is its own again.
local heapwright = require "heapwright"
local replay = require "heapwright.replay"
local traces = require "heapwright.traces"

local KINDS = { "function", "other", "prototype", "string", "table", "thread", "upvalue", "userdata" }

local path

before_each(function()
  path = os.tmpname()
  collectgarbage()
  collectgarbage "stop" -- what is collected meanwhile is another spec's
end)

after_each(function()
  collectgarbage "restart"
  os.remove(path)
end)

local function hold(n)
  local held = {}
  for i = 1, n do held[i] = { i } end
  return held
end

-- The lines of a text trace without times; comments behind events stay.
local function lines()
  local list = {}
  for line in io.lines(path) do
    if not line:find "^#" then list[#list + 1] = line:gsub(" @%d+", "") end
  end
  return list
end

local function sorted_keys(map)
  local list = {}
  for key in pairs(map) do list[#list + 1] = key end
  table.sort(list)
  return list
end

describe("what watch calls", function()
  it("gets the arguments, and its results follow the figures", function()
    local got = table.pack(heapwright.watch(function(...) return select("#", ...), ... end, 1, nil, 3, nil))
    assert.equal(7, got.n)
    assert.same({ true, 4, 1, nil, 3 }, { table.unpack(got, 2, 6) })
    got = table.pack(heapwright.watch(path, function(...) return ... end, "a", nil))
    assert.equal(4, got.n)
    assert.same({ true, "a" }, { table.unpack(got, 2, 4) })
  end)

  it("may raise anything, which follows the figures as after pcall", function()
    local raised = {}
    local figures, ok, value = heapwright.watch(path, function()
      local t = { {} }
      error(t and raised)
    end)
    assert.is_false(ok)
    assert.equal(raised, value)
    assert.is_true(figures.kinds.table.allocations >= 2)
    assert.equal(figures.events, traces.info(path).events)
  end)

  it("may return more than the stack held", function()
    local got = table.pack(heapwright.watch(table.unpack, {}, 1, 10000))
    assert.equal(10002, got.n)
  end)

  it("can't yield across, but what it resumes can", function()
    local co = coroutine.wrap(function()
      return heapwright.watch(function() coroutine.yield() end)
    end)
    local _, ok, message = co()
    assert.is_false(ok)
    assert.equal("attempt to yield across a C-call boundary", message)
    local _, well, sum = heapwright.watch(function()
      local total = 0
      for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do total = total + i end
      return total
    end)
    assert.same({ true, 6 }, { well, sum })
  end)
end)

describe("watch", function()
  it("while another is on is refused, and the outer one goes on", function()
    local figures, ok, none, message, code = heapwright.watch(path, function()
      local none, message, code = heapwright.watch(print)
      return none, message, code, hold(10)
    end)
    assert.is_true(ok)
    assert.is_nil(none)
    assert.equal("watch: the allocations of this state are being recorded already", message)
    assert.equal("invalid_argument", code)
    assert.is_true(figures.kinds.table.allocations >= 11)
  end)

  it("ends with its function: what follows is not in the trace", function()
    local figures, _, kept = heapwright.watch(path, hold, 10)
    local more = hold(1000)
    local info = traces.info(path)
    assert.equal(figures.events, info.events)
    assert.is_true(#kept + #more == 1010 and info.allocations < 100)
    assert.is_truthy(heapwright.watch(hold, 1)) -- and another can begin
  end)

  it("raises for what it can't take", function()
    local cases = {
      { {}, "function, path or table expected, got no value" },
      { { 5 }, "function, path or table expected, got number" },
      { { path }, "#2" },
      { { path, {} }, "#2" },
      { { { kind = { "table" } }, print }, "unknown option 'kind'; known: kinds, path" },
      { { { [1] = 1 }, print }, "unknown option 'number'" },
      { { { kinds = "table" }, print }, "kinds: a list expected, got string" },
      { { { kinds = {} }, print }, "kinds: at least one expected" },
      { { { kinds = { 5 } }, print }, "kinds: names expected, got number" },
      { { { kinds = { "tables" } }, print },
        "kinds: unknown kind 'tables'; known: other, string, table, function, userdata, thread, upvalue, prototype" },
      { { { path = 5 }, print }, "path: string expected, got number" },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(heapwright.watch, table.unpack(case[1]))
      assert.is_false(ok)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end
  end)

  it("to a path with a zero byte raises, as recording a pool and loading a trace do", function()
    local mem <close> = heapwright.new()
    local cut = os.tmpname() .. "\0.hwt"
    local function never() error "called" end
    for _, case in ipairs {
      { 1, heapwright.watch, cut, never }, { 1, heapwright.watch, { path = cut }, never },
      { 2, mem.record, mem, cut }, { 1, require "heapwright.replay".load, cut },
      { 1, traces.info, cut }, { 1, traces.open, cut }, { 1, traces.convert, cut, "x", "text" },
      { 2, traces.convert, "/dev/null", cut, "text" },
    } do
      local ok, message = pcall(table.unpack(case, 2))
      assert.is_false(ok)
      assert.matches(("^bad argument #%d to .* %%(a path with a zero byte%%)$"):format(case[1]), message)
    end
    assert.same({ true, 0, n = 2 }, table.pack(mem:record()))
    os.remove((cut:gsub("\0.*", "")))
  end)

  it("to where nothing can be written calls nothing", function()
    local called = false
    local none, message, code = heapwright.watch("/nowhere/at/all", function() called = true end)
    assert.is_nil(none)
    assert.equal("/nowhere/at/all: No such file or directory", message)
    assert.equal("io", code)
    assert.is_false(called)
  end)

  it("to a device that is full says so, whenever it shows", function()
    if not io.open("/dev/full", "r") then return end
    local none, message, code = heapwright.watch("/dev/full", hold, 20000)
    assert.is_nil(none)
    assert.equal("/dev/full: No space left on device", message)
    assert.equal("io", code)
    assert.is_truthy(heapwright.watch(hold, 1))
  end)
end)

describe("the trace", function()
  it("holds the function's own allocations, each with its kind", function()
    local figures, _, kept = heapwright.watch(path, function() return { { 1, 2, 3 } } end)
    assert.is_true(#kept == 1)
    local counts = {}
    for _, line in ipairs(lines()) do
      local kind, size = line:match "# (%a+)$", line:match "^a %d+ (%d+)"
      assert.is_truthy(size == nil or kind, line)
      if kind then counts[kind .. size] = (counts[kind .. size] or 0) + 1 end
    end
    assert.equal(2, counts.table56)   -- both tables
    assert.equal(1, counts.other16)   -- the array of the outer one
    assert.equal(1, counts.other48)   -- the array of the inner one
    assert.equal(path, figures.path)
    assert.is_nil(figures.program)
  end)

  it("says of frees and sizes what the figures say", function()
    collectgarbage "restart"
    local figures = heapwright.watch(path, function()
      for i = 1, 300 do local _ = { ("x"):rep(i), i } end
      local array = {}
      for i = 1, 1000 do array[i] = i end
      collectgarbage()
      return array
    end)
    local info = traces.info(path)
    for _, name in ipairs { "events", "allocations", "frees", "resizes", "peak_in_use", "live_at_end", "live_bytes" } do
      assert.equal(info[name], figures[name], name)
    end
    assert.is_true(figures.frees > 600 and figures.resizes > 5)
    local sums = { allocations = 0, live_at_end = 0, live_bytes = 0 }
    for _, kind in pairs(figures.kinds) do
      for name in pairs(sums) do sums[name] = sums[name] + kind[name] end
      assert.is_true(kind.peak_in_use <= kind.bytes and kind.live_bytes <= kind.peak_in_use)
    end
    for name, sum in pairs(sums) do assert.equal(figures[name], sum) end
    assert.same(KINDS, sorted_keys(figures.kinds))
  end)

  it("leaves out the frees of blocks that were there before, and allocates what they are resized to", function()
    local old, grows = hold(100), { 1, 2, 3, 4 }
    collectgarbage "restart"
    local figures = heapwright.watch({ path = path, kinds = { "table", "other" } }, function()
      for i = 5, 1000 do grows[i] = i end
      old = nil
      collectgarbage()
    end)
    assert.same({ nil, 1000 }, { old, #grows })
    assert.equal(0, figures.kinds.table.allocations)
    assert.is_true(figures.frees < 20)
    local first = lines()[1]
    assert.equal("a 1 128 # other", first) -- the array of 4 that grew to 8
  end)

  it("is binary where the name ends in .hwt", function()
    local binary = path .. ".hwt"
    local figures = heapwright.watch(binary, hold, 1000)
    local info = traces.info(binary)
    os.remove(binary)
    assert.equal("binary", info.format)
    assert.equal(figures.events, info.events)
  end)

  it("holds chosen kinds alone where they are named, and so do the figures", function()
    local figures = heapwright.watch({ path = path, kinds = { "string", "function" } }, function()
      local list = {}
      for i = 1, 100 do list[i] = { function() return i end, "text " .. i .. " of many" } end
      return list
    end)
    assert.same({ "function", "string" }, sorted_keys(figures.kinds))
    assert.is_true(figures.kinds["function"].allocations == 100 and figures.kinds.string.allocations >= 100)
    for _, line in ipairs(lines()) do
      local kind = line:match "# (%a+)$"
      assert.is_true(kind == nil or kind == "string" or kind == "function", line)
    end
    assert.equal(figures.events, traces.info(path).events)
  end)

  it("replays under every policy", function()
    local figures, _, kept = heapwright.watch(hold, 2000)
    assert.equal(2000, #kept)
    assert.is_nil(figures.path)
    local source = figures.program:source()
    assert.equal(figures.events, source.events)
    assert.equal(figures.peak_in_use, source.peak_in_use)
    local asked = {}
    for i, info in ipairs(heapwright.policies()) do asked[i] = { policy = info.name } end
    for _, result in ipairs(assert(figures.program:measure { policies = asked, smallest = true })) do
      assert.equal(0, result.failures, result.policy)
      assert.is_true(result.smallest_pool >= source.lower_bound, result.policy)
    end
    heapwright.watch(path, hold, 2000)
    assert.equal(source.allocations, assert(replay.load(path)):source().allocations)
  end)

  it("of nothing at all is told in figures of 0", function()
    local figures = heapwright.watch(function() end)
    figures = heapwright.watch({ kinds = { "table" } }, function() end) or figures
    assert.equal(0, figures.events)
    assert.is_nil(figures.program)
  end)
end)

describe("a state that ends inside of watch", function()
  local build = os.getenv "HEAPWRIGHT_BUILD" or "build"

  it("by os.exit with close has its trace finished", function()
    local script = path .. ".lua"
    local file = assert(io.open(script, "w"))
    file:write(([[
      local t = {}
      require("heapwright").watch(%q, function()
        for i = 1, 1000 do t[i] = { i } end
        os.exit(3, true)
      end)]]):format(path))
    file:close()
    local _, how, code = os.execute(("%s/heapwright lua %s"):format(build, script))
    os.remove(script)
    assert.same({ "exit", 3 }, { how, code })
    local info = assert(traces.info(path))
    assert.is_nil(info.warning)
    assert.is_true(info.allocations >= 2000)
  end)

  it("for want of memory restores its allocator, at any request", function()
    local script = path .. ".lua"
    local file = assert(io.open(script, "w"))
    file:write(([[
      local heapwright = require "heapwright"
      local held = {}
      for i = 1, 200 do held[i] = ("x"):rep(200) .. i end -- to be dropped for the figures' sake
      local figures, ok, message = heapwright.watch(%q, function()
        local t = {}
        for i = 1, 100 do t[i] = { tostring(i) } end
        return #t
      end)
      held = nil
      assert(figures, ok)
      assert(ok == true or message == "not enough memory", message)
      local traces = require "heapwright.traces"
      assert(traces.info(%q).events == figures.events)
      print(ok)]]):format(path, path))
    file:close()
    local seen = {}
    for limit = 120000, 200000, 1600 do
      local command = ("%s/heapwright lua --limit %d %s 2>&1"):format(build, limit, script)
      local pipe = assert(io.popen(command))
      local said = pipe:read "a"
      local _, how = pipe:close()
      assert.equal("exit", how, said)
      local word = said:match "^(%a+)\n$" or said:match "not enough memory"
      assert.is_truthy(word, said)
      seen[word] = (seen[word] or 0) + 1
    end
    os.remove(script)
    assert.is_truthy(seen["true"] and seen["not enough memory"])
  end)
end)
