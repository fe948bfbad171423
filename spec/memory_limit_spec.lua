-- SPDX-License-Identifier: MIT
-- What ends a script: memory. Each hole that a script could slip through is a program
-- here; each program ends, clean, with nothing left in the pool.
local heapwright = require "heapwright"
local tenant = require "spec.support.tenant"

local run, ends = tenant.run, tenant.ends

describe("memory", function()
  local programs = {
    ["a table"] = "local t = {} for i = 1, 1000 do t[i] = i end return #t",
    ["tables in tables"] = "local t = {} for i = 1, 200 do t = { t, tostring(i) } end return t ~= nil",
    ["strings"] = "local s = '' for i = 1, 200 do s = s .. i .. ',' end return #s",
    ["a buffer"] = "local t = {} for i = 1, 200 do t[i] = 'piece ' .. i end return #table.concat(t)",
    ["closures"] = "local f = {} for i = 1, 200 do f[i] = function() return f, i end end return #f",
    ["coroutines"] = [[
      local t = {}
      for i = 1, 20 do
        t[i] = coroutine.wrap(function(...) local x = ... while true do x = coroutine.yield(x .. i) end end)
        t[i]("x")
      end
      return #t]],
    ["deep recursion"] = "local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end return f(2000)",
    ["many arguments"] =
      "local function f(n, ...) if n == 0 then return select('#', ...) end return f(n - 1, n, ...) end return f(200)",
    ["code"] = "return assert(load('return ' .. ('1 + '):rep(500) .. '1'))()",
    ["patterns"] = "return (('x y '):rep(300):gsub('%w', function(c) return c .. c end))",
    ["sort"] = "local t = {} for i = 1, 300 do t[i] = tostring(i) end table.sort(t) return t[1]",
    ["errors caught"] =
      "local t = {} for i = 1, 100 do t[i] = select(2, pcall(error, { i })) end return assert(#t[100] == 1)",
    ["__close"] =
      "for i = 1, 50 do local x <close> = setmetatable({}, { __close = function() return {} end }) end return 1",
    ["formats"] = "local s = {} for i = 1, 100 do s[i] = ('%5.2f %q %s'):format(i, i, i) end return #s",
    ["finalizers"] = [[
      local n = 0
      for i = 1, 50 do setmetatable({}, { __gc = function() n = n + 1 return { n } end }) end
      collectgarbage()
      return true]],
  }

  it("of 0, 1 and just too few bytes is no state, and tells what was missing", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    for _, limit in ipairs { 0, 1, 4987, "12K" } do
      local bytes = heapwright.parse_size(limit)
      local state, message, code = heapwright.state { pool = mem, limit = limit }
      assert.is_nil(state)
      local of, had, asked = message:match
        "^a limit of (%d+) bytes is too little for a state: with (%d+) in use it asked for (%d+) more$"
      assert.equal(bytes, tonumber(of))
      assert.is_true(had <= of and had + asked > bytes)
      assert.equal("limit", code)
      assert.equal(0, mem:stats().live_blocks)
    end
  end)

  it("too little to open, byte by byte, is a clean refusal each time", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    local opened
    for limit = 0, 40000 do
      local state, _, code = heapwright.state { pool = mem, limit = limit }
      if state then
        opened = limit
        state:close()
        break
      end
      if code ~= "limit" or mem:stats().live_blocks ~= 0 then error("at a limit of " .. limit) end
    end
    assert.is_true(opened > 4988 and opened < 25000, opened)
  end)

  for title, code in pairs(programs) do
    it("of " .. title .. ", step by step, ends in a clean error until it is enough", function()
      local mem <close> = heapwright.new { capacity = "4M" }
      local limit, step, failures = 16000, 61, 0
      while true do
        local state, _, refused = heapwright.state { pool = mem, limit = limit, finalizers = true }
        local result, _, ended = nil, nil, refused
        if state then
          result, _, ended = state:eval(code)
          local stats = state:stats()
          if stats.peak_in_use > limit then error("passed a limit of " .. limit) end
          if not state:close() then error("not closed at " .. limit) end
        end
        if mem:stats().live_blocks ~= 0 then error("something left at a limit of " .. limit) end
        if result then break end
        if ended ~= "limit" then error(("%s at a limit of %d"):format(ended, limit)) end
        failures = failures + 1
        limit = limit + step
        if failures > 200 then step = step + step // 8 end -- a long run, in larger steps
      end
      assert.is_true(mem:check())
      assert.is_true(failures > 0)
    end)
  end

  it("of one program, byte by byte, within one state", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    local state <close> = heapwright.state { pool = mem }
    state:eval "function work() local t = {} for i = 1, 20 do t[i] = { tostring(i) .. 'text' } end return #t end"
    local limit, failures = state:collect(), 0
    while true do
      state:limit(limit)
      local result, _, code = state:call "work"
      if result then break end
      assert.equal("limit", code)
      failures = failures + 1
      limit = limit + 1
    end
    assert.is_true(failures > 1000 and failures < 20000, failures)
    assert.equal(20, state:call "work")
  end)

  it("ends string bombs", function()
    ends("return #string.rep('x', 1 << 30)", { limit = "1M" },
      "^not enough memory: the state has %d+ bytes in use of a limit of 1048576")
    ends("local s = 'x' while true do s = s .. s end", { limit = "1M" }, "^not enough memory")
    ends("return ('x'):rep(1000):gsub('x', ('y'):rep(10000))", { limit = "1M" }, "^not enough memory")
    ends("local t = {} for i = 1, 40 do t[i] = ('x'):rep(10000) end return table.concat(t, ('y'):rep(100000))",
      { limit = "1M" }, "^not enough memory")
    ends("return ('%99d'):rep(20000):format(table.unpack({}, 1, 20000))", { limit = "100K" }, "^not enough memory")
    local results = run("return ('x'):rep(1 << 62)", { limit = "1M" })
    assert.matches("resulting string too large", results[2], 1, true) -- no request at all: an ordinary error
    assert.is_nil(results[3])
  end)

  it("that a script ran out of and freed is no limit reached", function()
    local results = run([[
      local ok, message = pcall(function() local t = {} while true do t[#t + 1] = { #t } end end)
      collectgarbage()
      return ok, message]], { limit = "200K" })
    assert.same({ false, "not enough memory", n = 2 }, results)
  end)

  it("is the reason still where the script raised it again", function()
    local fill = "local t = {} while true do t[#t + 1] = { #t } end"
    ends("local ok, m = pcall(function() " .. fill .. " end) error(m, 0)", { limit = "200K" }, "^not enough memory")
    ends("local ok, m = pcall(function() " .. fill .. " end) error(m)", { limit = "200K" }, "^not enough memory")
    ends("coroutine.wrap(function() " .. fill .. " end)()", { limit = "200K" }, "^not enough memory")
    ends("coroutine.wrap(function() " .. fill .. " end)()", { limit = "200K", seconds = 60 }, "^not enough memory")
    local results = run("error 'not enough memory'", { limit = "200K" }) -- there was enough
    assert.is_nil(results[3])
  end)

  it("may be lifted while a state lives, and set again", function()
    local state <close> = heapwright.state { limit = "50K", capacity = "2M" }
    local fill = "local t = {} for i = 1, 10000 do t[i] = i end return #t"
    assert.equal(51200, state:limit())
    assert.equal("limit", select(3, state:eval(fill)))
    assert.is_true(state:limit(nil))
    assert.is_nil(state:limit())
    assert.equal(10000, state:eval(fill))
    assert.is_true(state:limit "60K")
    state:collect()
    assert.equal("limit", select(3, state:eval(fill)))
    assert.is_true(state:limit(0)) -- nothing may grow
    assert.equal("limit", select(3, state:eval "return {}"))
    state:limit "60K"
    assert.equal(1, state:eval "return 1")
    assert.error_matches(function() state:limit(-1) end, "'%-1' is negative")
  end)

  it("is kept free by headroom, as far as collections can", function()
    local garbage = "local n = 0 for i = 1, 20000 do local t = { i, tostring(i) } n = n + #t end return n"
    local with <close> = heapwright.state { limit = "400K", headroom = "300K" }
    local without <close> = heapwright.state { limit = "400K" }
    for _, state in ipairs { with, without } do
      state:eval "collectgarbage 'stop'" -- so that only the limit has it collect
      assert.equal(40000, state:eval(garbage))
    end
    assert.is_true(with:stats().over_headroom > 0)
    assert.equal(0, without:stats().over_headroom)
    assert.is_true(with:stats().peak_in_use < 150 * 1024, with:stats().peak_in_use)
    assert.is_true(without:stats().peak_in_use > 390 * 1024)
  end)

  it("may be headroom altogether: the state opens and runs, and collects where it can", function()
    local state <close> = assert(heapwright.state { limit = "400K", headroom = "1M" })
    assert.equal(1000, state:eval "local t = {} for i = 1, 1000 do t[i] = { i } end return #t")
    assert.is_true(state:stats().over_headroom > 0)
  end)

  it("that another state wants is told by pressure, until one has collected", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    local idle <close> = heapwright.state { pool = mem }
    idle:eval "local t = {} for i = 1, 5000 do t[i] = { i } end" -- garbage now
    assert.is_false(idle:stats().pressure)
    local busy <close> = heapwright.state { pool = mem }
    assert.equal("limit", select(3, busy:eval "kept = {} while true do kept[#kept + 1] = { #kept } end"))
    assert.is_true(idle:stats().pressure)
    local before = idle:stats().in_use
    assert.is_true(idle:collect() < before)
    assert.is_false(idle:stats().pressure)
  end)

  it("of the pool ends one tenant, not its neighbours", function()
    local mem <close> = heapwright.new { capacity = "2M" }
    local neighbour <close> = heapwright.state { pool = mem, limit = "200K" }
    neighbour:eval "kept = {} for i = 1, 500 do kept[i] = 'text ' .. i end"
    local bomb = heapwright.state { pool = mem }
    local _, message, code = bomb:eval "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end"
    assert.matches(
      "^not enough memory: the state has %d+ bytes in use, %d+ at most so far; its pool has %d+ free", message)
    assert.equal("limit", code)
    assert.is_true(bomb:stats().over_pool > 0)
    bomb:collect()
    assert.equal(500, neighbour:eval "for i, text in ipairs(kept) do assert(text == 'text ' .. i) end return #kept")
    assert.is_true(bomb:close())
    assert.is_true(mem:check())
  end)

  it("too little for deep recursion ends in an ordinary error or the limit", function()
    local deep <close> = heapwright.state { limit = "256M" }
    local results = table.pack(deep:eval "local function f() return 1 + f() end return f()")
    assert.matches("stack overflow", results[2], 1, true)
    assert.is_nil(results[3])
    ends("local function f() return 1 + f() end return f()", { limit = "200K" }, "^not enough memory")
    results = run("local function f() return pcall(f) end return select('#', f())", { limit = "2M" })
    assert.is_true(results[1] > 100) -- so many calls said true before the innermost failed
    results = run(
      "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k + 1] end return t[1]",
      { limit = "2M" })
    assert.matches("C stack overflow", results[2], 1, true)
    results = run("local s = ('('):rep(1000) .. '1' .. (')'):rep(1000) return load('return ' .. s)", { limit = "2M" })
    assert.matches("overflow", results[2], 1, true)
  end)
end)
