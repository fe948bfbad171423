-- SPDX-License-Identifier: MIT
-- What ends a script: instructions and time. Each hole that a script could slip through
-- is a program here; each program ends, clean, with nothing left in the pool.
local heapwright = require "heapwright"
local tenant = require "spec.support.tenant"

local run, ends = tenant.run, tenant.ends

describe("a budget of instructions", function()
  -- Each of them would run for ever.
  local holes = {
    ["a loop"] = "while true do end",
    ["a loop of goto"] = "::a:: goto a",
    ["tail calls"] = "local function f() return f() end f()",
    ["pcall in a loop"] = "while true do pcall(function() while true do end end) end",
    ["pcall of itself"] = "local function f() pcall(f) f() end f()",
    ["a message handler that loops"] = "xpcall(function() while true do end end, function() while true do end end)",
    ["a message handler of an ordinary error"] = "xpcall(error, function() while true do end end)",
    ["message handlers in message handlers"] = [[
      local function h() xpcall(error, h) while true do end end
      while true do xpcall(function() while true do end end, h) end]],
    ["coroutines that are dropped"] = "while true do coroutine.wrap(function() for i = 1, 30 do end end)() end",
    ["coroutines in coroutines"] = "local function f() coroutine.wrap(f)() end while true do pcall(f) end",
    ["a coroutine that yields"] =
      "local f = coroutine.wrap(function() while true do coroutine.yield() end end) while true do f() end",
    ["a coroutine that is resumed for ever"] =
      "while true do local co = coroutine.create(function() while true do end end) coroutine.resume(co) end",
    ["__close after the end, of wrap"] = [[
      coroutine.wrap(function()
        local x <close> = setmetatable({}, { __close = function() while true do end end })
        while true do end
      end)()]],
    ["__close after the end, of coroutine.close"] = [[
      local co = coroutine.create(function()
        local x <close> = setmetatable({}, { __close = function() while true do end end })
        while true do end
      end)
      coroutine.resume(co)
      coroutine.close(co)]],
    ["__close after the end, by a coroutine that has some instructions left"] = [[
      local function looping()
        local x <close> = setmetatable({}, { __close = function() while true do end end })
        while true do end
      end
      coroutine.wrap(function()
        local co = coroutine.create(looping)
        coroutine.resume(co)
        coroutine.close(co)
      end)()]],
    ["__close after the end, of a call"] = [[
      local x <close> = setmetatable({}, { __close = function() while true do end end })
      while true do end]],
    ["__close after the end, of a loop"] = [[
      local closing = setmetatable({}, { __close = function() while true do end end })
      for _ in function() return 1 end, nil, nil, closing do end]],
    ["a metamethod"] = "local t = setmetatable({}, { __index = function() while true do end end }) return t.x",
    ["__tostring of an error"] = "error(setmetatable({ print }, { __tostring = function() while true do end end }))",
    ["a comparison of sort"] = "table.sort({ 1, 2, 3 }, function() while true do end end)",
    ["a replacement of gsub"] = "('x'):gsub('x', function() while true do end end)",
    ["a reader of load"] = "load(function() return ' ' end)",
    ["__len"] = "return #setmetatable({}, { __len = function() while true do end end })",
  }
  for title, code in pairs(holes) do
    it("ends " .. title, function()
      local stats = ends(code, { instructions = 50000, limit = "4M" }, "out of instructions: all 50000 are spent$")
      assert.is_true(stats.instructions <= 50000)
    end)
  end
  for title, code in pairs(holes) do
    it("ends " .. title .. ", as time does", function()
      ends(code, { seconds = 0.01, limit = "4M" }, "out of time: %d%.%d+ of 0.010 seconds$")
    end)
  end

  -- One call in C that would take years: refused at once, whatever the budget.
  local loops = {
    "table.move({}, 1, 1 << 62, 2)",
    "table.move({}, math.mininteger, -1, 1)",
    "table.concat(setmetatable({}, { __index = table.concat }), '', 1, 1 << 50)",
    "local t = {} for i = 0, 62 do t[1 << i] = 1 end t[math.maxinteger] = 1 assert(#t > 1 << 40) table.insert(t, 1, 1)",
    "local t = {} for i = 0, 62 do t[1 << i] = 1 end t[math.maxinteger] = 1 assert(#t > 1 << 40) table.remove(t, 1)",
    "local t = {} for i = 0, 30 do t[1 << i] = 1 end assert(#t >= 1 << 30) table.sort(t, rawequal)",
    "table.insert(setmetatable({}, { __len = function() return 1 << 62 end }), 1, 1)",
    "table.remove(setmetatable({}, { __len = function() return 1 << 62 end }), 1)",
    "table.sort(setmetatable({}, { __len = function() return 1 << 30 end }), rawequal)",
  }
  it("refuses loops in C over what is not there", function()
    for _, code in ipairs(loops) do
      for _, options in ipairs { { instructions = 1 << 62, limit = "4M" }, { seconds = 60, limit = "4M" } } do
        local began = os.clock()
        local results = run(code, options)
        assert.is_nil(results[1])
        assert.is_true(os.clock() - began < 1, code)
      end
    end
    assert.same({ "", n = 1 }, (run("return (''):rep(1 << 62)", { seconds = 60 })))
  end)

  -- Calls in C that are each as long as a text, or as what there is to collect, or that make many of them;
  -- hours of work each, most of it between two looks at the clock.
  local long_calls = {
    ["collections as a replacement"] = [[
      local t = {} for i = 1, 20000 do t[i] = {} end
      return #("collect"):rep(200000):gsub("collect", collectgarbage)]],
    ["collections as a comparison"] = [[
      local t = {} for i = 1, 100000 do t[i] = "collect" end
      return pcall(table.sort, t, collectgarbage)]],
    ["collections"] = "local t = {} for i = 1, 50000 do t[i] = {} end while true do collectgarbage() end",
    ["replacements by nothing, long"] = "while true do ('aaa'):gsub('(x-).', ('%1'):rep(500000)) end",
    ["sorting long strings"] = [[
      local long, t = ("x"):rep(500000), {}
      local strings = { long .. "a", long .. "b", long .. "c" }
      for i = 1, 100000 do t[i] = strings[i % 3 + 1] end
      table.sort(t)]],
    ["utf8.len"] = "local s = ('a'):rep(3000000) while true do utf8.len(s) end",
    ["os.date"] = "local s = ('%n'):rep(1000000) while true do os.date(s) end",
    ["string.packsize"] = "local s = ('b'):rep(3000000) while true do string.packsize(s) end",
    ["string.format"] = "local s = ('\\0'):rep(1000000) while true do ('%q'):format(s) end",
    ["string.rep"] = "while true do ('x'):rep(3000000) end",
    ["tonumber"] = "local s = '1' .. (' '):rep(3000000) while true do tonumber(s) end",
    ["compiling"] = "return load('if a then ' .. ('elseif a then '):rep(200000) .. ' end')",
    ["compiling what a reader gives at once"] = [[
      local s = "if a then " .. ("elseif a then "):rep(200000)
      return load(function() return s end)]],
  }
  for title, code in pairs(long_calls) do
    it("of time holds against " .. title, function()
      local began = os.clock()
      local results = run(code, { seconds = 0.1, limit = "16M" })
      assert.matches("out of time: 0.%d+ of 0.100 seconds$", results[2])
      assert.is_true(os.clock() - began < 3, os.clock() - began)
    end)
    it("of instructions holds against " .. title, function()
      if title:find "compiling" then return end -- charged by its bytes, which are fewer
      local began = os.clock()
      local results = run(code, { instructions = 1000000, limit = "16M" })
      assert.matches("out of instructions: all 1000000 are spent$", results[2])
      assert.is_true(os.clock() - began < 10, os.clock() - began)
    end)
  end
  it("of time holds against compiling what the host was given", function()
    local code = "if a then " .. ("elseif a then "):rep(200000) .. " end"
    local results = run(code, { seconds = 0.1, limit = "16M" })
    assert.matches("^out of time: 0.%d+ of 0.100 seconds$", results[2])
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    assert(file:write(code)):flush()
    local state <close> = heapwright.state { seconds = 0.1, limit = "16M" }
    assert.matches("^out of time: 0.%d+ of 0.100 seconds$", (select(2, state:run(path))))
    assert.equal(2, state:eval "return 1 + 1")
    os.remove(path)
  end)

  it("refuses replacements by nothing that nothing would end", function()
    for _, options in ipairs { { seconds = 60, limit = "16M" }, { instructions = 1 << 60, limit = "16M" } } do
      local results = run("return #('a'):rep(500000):gsub('(x-).', ('%1'):rep(500000))", options)
      assert.matches("captures to replace by: 18500000 and more, of a text of 500000 bytes 18000000 at most",
        results[2], 1, true)
    end
    assert.same({ 900000, n = 1 }, (run("return #('abc'):rep(100000):gsub('(.)', '%1%1%1')", { seconds = 60 })))
  end)

  it("leaves functions of long texts as they are", function()
    local code = [[
      local long = ("ab%%\0\n"):rep(1000)
      local t = { long .. "c", long .. "a", 5 .. long, long .. "b" }
      table.sort(t)
      assert(t[1] == "5" .. long and t[2] == long .. "a" and t[4] == long .. "c")
      assert(select(2, pcall(table.sort, { long, 1 })) == "attempt to compare number with string" or
        select(2, pcall(table.sort, { long, 1 })) == "attempt to compare string with number")
      assert(load(("x = 1 "):rep(1000) .. "return x + ...")(2) == 3)
      assert(load("return y", "n", "t", { y = 7 })() == 7 and load("return _ENV", "n", "t", nil)() == nil)
      assert(select(2, load(("\n"):rep(1000) .. "x", "=name")):find "^name:1001:")
      assert(select(2, load(function() return {} end)):find ":%d+: reader function must return a string")
      local pieces = { "return ", 1, "2", "" , "ignored" }
      assert(load(function() return table.remove(pieces, 1) end)() == 12)
      assert(not pcall(load, {}) and not pcall(load) and load(12) == nil)
      assert(not load("\27Lua") and not load("return 1", "n", "b") == false)
      return #long:upper(), #long:format(), utf8.len(long), long:packsize == nil, tonumber("1" .. (" "):rep(2000)),
        collectgarbage "count" > 0, collectgarbage(), collectgarbage "step", #os.date(("%%"):rep(1000))]]
    code = code:gsub("long:packsize == nil", "#string.pack('s', long)")
    local plain, guarded = run(code, {}), run(code, { instructions = 1e7, seconds = 60 })
    assert.same({ 6000, 5000, 6000, 6008, 1, true, 0, plain[8], 1000, n = 9 }, plain)
    assert.same(plain, guarded)
  end)

  it("is charged for table functions by the element", function()
    local state <close> = heapwright.state { instructions = 100000 }
    assert.is_nil(state:eval "t = {} for i = 1, 1000 do t[i] = i end")
    for _, call in ipairs {
      "table.move(t, 1, 1000, 1)", "table.concat(t)", "table.insert(t, 1, 0)", "table.remove(t, 1)", "table.sort(t)",
    } do
      assert.is_nil(state:eval("for _ = 1, 5 do " .. call .. " end"))
      local charged = state:stats().instructions
      assert.is_true(charged >= 5000 and charged < 100000, call)
      assert.equal("limit", select(3, state:eval("for _ = 1, 200 do " .. call .. " end")))
    end
  end)

  -- Searches that would take longer than anyone lives, or hours.
  local searches = {
    "return ('a'):rep(40):find(('a*'):rep(20) .. 'b')",
    "return ('a'):rep(40):match(('a-'):rep(20) .. 'b')",
    "return ('a'):rep(40):match('^' .. ('a?'):rep(40) .. ('a'):rep(41))",
    "for _ in ('a'):rep(40):gmatch(('a*'):rep(20) .. 'b') do end",
    "return ('a'):rep(40):gsub(('[a-z]*'):rep(20) .. 'b', '')",
    "return ('a'):rep(100000):find('.-.-b')",
    "return ('('):rep(200000):find('%b()')",
    "return ('a'):rep(50000):find('(a*)%1b')",
    "return ('a'):rep(1 << 20):find(('a'):rep(1 << 19) .. 'b', 1, true)",
    "return ('a'):rep(200000):find('[' .. ('b'):rep(100000) .. ']')",
    "local s, p = ('a'):rep(40), ('a*'):rep(20) .. 'b' while true do pcall(string.find, s, p) end",
  }
  for i, code in ipairs(searches) do
    it("ends search " .. i .. ", as time does", function()
      ends(code, { instructions = 1000000, limit = "8M" }, "out of instructions: all 1000000 are spent$")
      local began = os.clock()
      ends(code, { seconds = 0.05, limit = "8M" }, "out of time: 0.0%d%d of 0.050 seconds$")
      assert.is_true(os.clock() - began < 2)
    end)
  end

  it("leaves patterns as they are", function()
    local code = [=[
      local atoms = { "a", "b", ".", "%a", "%d", "%S", "[ab]", "[^a]", "[a-c%d]", "[]x]", "%b()", "%f[%w]", "%1", "(", ")",
        "()", "$", "^", "%%", "-", "*", "+", "?", "[", "%", " ", "\0" }
      local repeats, pieces = { "", "", "*", "+", "-", "?" }, { "a", "b", "c", " ", "1", "(", ")", "\0", "x" }
      local seed = 1
      local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648 return seed // 65536 % n + 1 end
      local log = {}
      local function note(...)
        for i = 1, select("#", ...) do
          local value = select(i, ...)
          log[#log + 1] = type(value) == "function" and "function" or tostring(value)
        end
      end
      for _ = 1, 1500 do
        local p, t = {}, {}
        for i = 1, random(6) do p[i] = atoms[random(#atoms)] .. repeats[random(#repeats)] end
        for i = 1, random(40) do t[i] = pieces[random(#pieces)] end
        local pattern, text, init = table.concat(p), table.concat(t):rep(3), random(60) - 20
        note(pcall(string.find, text, pattern, init))
        note(pcall(string.find, text, pattern, init, true))
        note(pcall(string.match, text, pattern, init))
        note(pcall(string.gsub, text, pattern, "<%0>", random(9) - 2))
        note(pcall(string.gsub, text, pattern, function(...) return select("#", ...) .. "!" end))
        note(pcall(function() for a, b in text:gmatch(pattern, init) do note(a, b) end end))
      end
      for _, f in ipairs { string.find, string.match, string.gmatch, string.gsub } do
        note(pcall(f)) note(pcall(f, {}, "a")) note(pcall(f, "a", {})) note(pcall(f, "a", "a", {}, {}))
        note(pcall(f, 12, 2)) note(pcall(f, ("a"):rep(3000), ("a?"):rep(250)))
      end
      return #log, table.concat(log, " ")]=]
    local plain, guarded = run(code, { limit = "8M" }), run(code, { limit = "8M", seconds = 60 })
    assert.is_true(plain[1] > 20000)
    assert.same(plain, guarded)
  end)

  it("leaves table functions as they are", function()
    local code = [[
      local t = { 3, 1, 2 }
      table.sort(t) table.insert(t, 4) table.insert(t, 1, 0)
      assert(table.remove(t) == 4 and table.remove(t, 1) == 0)
      table.sort(t, function(a, b) return a > b end)
      table.move(t, 1, 3, 2)
      assert(select("#", table.unpack(t)) == 4)
      for _, f in ipairs { table.insert, table.remove, table.sort, table.concat, table.move, string.rep, xpcall,
                           coroutine.create, coroutine.wrap, coroutine.close, load, setmetatable } do
        assert(not pcall(f) and not pcall(f, 1, {}, {}))
      end
      local proxy = setmetatable({}, { __len = function() return 2 end, __index = function(_, k) return "v" .. k end })
      assert(table.concat(proxy, ",") == "v1,v2")
      assert(select(2, pcall(table.concat, 1)):find "expected")
      return table.concat(t, ",") .. ("ab"):rep(2, "-") .. ("ab"):rep(0)]]
    local plain, guarded = run(code, {}), run(code, { instructions = 1e6, seconds = 60 })
    assert.same({ "3,3,2,1ab-ab", n = 1 }, plain)
    assert.same(plain, guarded)
  end)

  it("leaves coroutines and xpcall as they are", function()
    local code = [[
      local log = {}
      local function note(...) log[#log + 1] = table.concat({ ... }, " ") end
      local f = coroutine.wrap(function(a, b) local c = coroutine.yield(a + b) note("got", c) return "end" end)
      note(f(1, 2)) note(f "x")
      note(select(2, pcall(f)))
      local g = coroutine.wrap(function()
        local x <close> = setmetatable({}, { __close = function(_, e) note("closed", e) end })
        error "inside"
      end)
      note(select(2, pcall(g)))
      note(type(select(2, pcall(coroutine.wrap(function() error {} end)))))
      local co = coroutine.create(function()
        local x <close> = setmetatable({}, { __close = function() note "closing" end })
        coroutine.yield()
      end)
      coroutine.resume(co)
      note(tostring(coroutine.close(co)), coroutine.status(co))
      note(select(2, xpcall(error, function(m) return "handled " .. m end, "m", 0)))
      local through = coroutine.wrap(function()
        return xpcall(function() coroutine.yield(1) error("y", 0) end, function(m) return m .. "!" end)
      end)
      note(through()) note(tostring(through()))
      note(select(2, xpcall(function(...) return ... end, print, "passed")))
      return log]]
    local plain, guarded = run(code, {}), run(code, { instructions = 1e6, seconds = 60 })
    assert.equal(1, plain.n)
    assert.same(plain, guarded)
  end)

  it("is exact to the instruction", function()
    for _, n in ipairs { 0, 1, 2, 500, 990, 998, 999, 1000, 5000, 123456 } do
      local code = ("for i = 1, %d do end return 1"):format(n)
      local counted = 0 -- by a hook before every one
      local co = coroutine.create(load(code))
      debug.sethook(co, function() counted = counted + 1 end, "", 1)
      assert(coroutine.resume(co))
      local state <close> = heapwright.state { instructions = counted }
      for _ = 1, 3 do assert.equal(1, state:eval(code)) end
      ends(code, { instructions = counted - 1 }, "out of instructions")
    end
  end)

  it("bounds what runs in coroutines, however short they live", function()
    local state <close> = heapwright.state { instructions = 50000 }
    for _, code in ipairs {
      "n = 0 while true do coroutine.wrap(function() for i = 1, 50 do n = n + 1 end end)() end",
      "n = 0 while true do coroutine.resume(coroutine.create(function() for i = 1, 30 do n = n + 1 end end)) end",
      [[n = 0
        local function f() for i = 1, 30 do n = n + 1 end coroutine.wrap(f)() end
        while true do pcall(coroutine.wrap(f)) end]],
    } do
      assert.equal("limit", select(3, state:eval(code)))
      local rounds = state:eval "return n" -- of three instructions at least: fetch, add, store
      assert.is_true(rounds > 500 and rounds * 3 <= 50000, rounds)
    end
  end)

  it("counts coroutines in, and never more than it says", function()
    local stats = ends([[
      local t = {}
      while true do
        for i = 1, 10 do t[i] = coroutine.wrap(function() while true do coroutine.yield() end end) end
        for _ = 1, 20 do for i = 1, 10 do t[i]() end end
      end]], { instructions = 123456 }, "out of instructions")
    assert.equal(123456, stats.instructions)
  end)

  it("begins anew with each call", function()
    local state <close> = heapwright.state { instructions = 10000 }
    state:eval "function work(n) for i = 1, n do end return n end"
    for _ = 1, 10 do
      assert.equal(8000, state:call("work", 8000))
      assert.equal("limit", select(3, state:call("work", 20000)))
      assert.equal("limit", select(3, state:eval "local co = coroutine.wrap(function() while true do end end) co()"))
    end
    ends("x = 1", { instructions = 0 }, "out of instructions: all 0 are spent")
  end)

  it("names the line where it ended", function()
    local results = run("local x = 1\nwhile true do\n  x = x + 1\nend", { instructions = 10000 })
    assert.matches("^%[string \"local x = 1...\"%]:[23]: out of instructions", results[2])
  end)

  it("that ended in a coroutine lets nothing run in the main thread", function()
    local state <close> = heapwright.state { instructions = 10500 }
    assert.equal("limit", select(3, state:eval [[
      n = 0
      coroutine.resume(coroutine.create(function() while true do end end))
      n = 1]]))
    assert.equal(0, state:eval "return n")
  end)

  it("says that it ended, whatever the script returned", function()
    ends("coroutine.resume(coroutine.create(function() while true do end end)) return 'fine'",
      { instructions = 10000 }, "out of instructions")
  end)
end)

describe("a budget of time", function()
  it("ends a script near its time", function()
    local state <close> = heapwright.state { seconds = 0.05 }
    local _, message, code = state:eval "while true do end"
    assert.matches("^%[string \"while true do end\"%]:1: out of time: 0.0%d%d of 0.050 seconds$", message)
    assert.equal("limit", code)
    assert.is_true(state:stats().seconds >= 0.05)
    assert.equal(1, state:eval "return 1")
  end)

  it("of 0 seconds lets nothing run", function()
    ends("x = 1", { seconds = 0 }, "out of time")
  end)

  it("may be as long as one likes", function()
    assert.same({ 1, n = 1 }, (run("return 1", { seconds = math.huge })))
    assert.same({ 1, n = 1 }, (run("return 1", { seconds = 1e300 })))
  end)
end)
