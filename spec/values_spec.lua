-- SPDX-License-Identifier: MIT
-- What crosses from one state to another, as what, and what is refused by name.
local heapwright = require "heapwright"

-- There and back again.
local function echo(...)
  local state <close> = heapwright.state { limit = "32M" }
  return state:eval("return ...", ...)
end

describe("a copy", function()
  it("keeps nil, booleans, numbers and strings as they are", function()
    local values = { nil, true, false, 0, -1, math.maxinteger, math.mininteger, 0.5, -0.0, 1e300, math.huge, -math.huge,
      "", "text", "zero \0 byte", ("long "):rep(1000), n = 16 }
    local copies = table.pack(echo(table.unpack(values, 1, values.n)))
    assert.same(values, copies)
    for i = 1, values.n do assert.equal(math.type(values[i]), math.type(copies[i])) end
    assert.equal(-math.huge, 1 / copies[9])
    local nan = echo(0 / 0)
    assert.is_true(nan ~= nan)
    assert.equal("float", math.type(echo(2.0)))
  end)

  it("keeps tables, with all keys that are no objects", function()
    local value = {
      1, 2, { 3, { 4 } }, nil, 5, [0] = "zero", [-1] = "minus", [1.5] = "half", [true] = "yes", [false] = "no",
      name = { deeper = { deepest = {} } }, [""] = "empty", [("k"):rep(100)] = "long",
    }
    assert.same(value, echo(value))
    assert.same({}, echo({}))
    local list = {}
    for i = 1, 10000 do list[i] = i * i end
    assert.same(list, echo(list))
  end)

  it("of what is reached twice is one", function()
    local inner, text = { 1 }, ("t"):rep(100)
    local copy = echo({ a = inner, b = { inner, inner }, text, text, [text] = text })
    assert.equal(copy.a, copy.b[1])
    assert.equal(copy.a, copy.b[2])
    assert.equal(text, copy[text])
    local a, b = echo(inner, inner)
    assert.equal(a, b)
    assert.are_not.equal(inner, a)
  end)

  it("of what doubles at each level stays small", function()
    local state <close> = heapwright.state { limit = "100K" }
    local value = state:eval "local t = {} for _ = 1, 90 do t = { t, t } end return t"
    local depth = 0
    while value[1] do
      assert.equal(value[1], value[2])
      value, depth = value[1], depth + 1
    end
    assert.equal(90, depth)
    collectgarbage()
    local before = collectgarbage "count"
    local texts = state:eval "local s, t = ('x'):rep(20000), {} for i = 1, 1000 do t[i] = s end return t"
    assert.equal(20000, #texts[1000])
    assert.is_true(collectgarbage "count" - before < 200) -- KiB, not 20,000
  end)

  it("leaves metatables behind and runs no metamethod", function()
    local called = false
    local function call() called = true end
    local value = setmetatable({ 1, x = 2 }, { __index = call, __pairs = call, __len = call, __newindex = call })
    local copy = echo(value)
    assert.same({ 1, x = 2 }, { copy[1], x = copy.x })
    assert.is_nil(getmetatable(copy))
    assert.is_false(called)
  end)

  it("is refused for what belongs to one state, by the way to it", function()
    local state <close> = heapwright.state()
    local all = ": nil, booleans, numbers, strings and tables of these can be copied"
    local refused = {
      { print, "value 1 is a function" .. all },
      { io.stdout, "value 1 is a userdata" .. all },
      { coroutine.create(print), "value 1 is a thread" .. all },
      { { a = { b = { 1, 2, print } } }, "value 1 at .a.b[3] is a function" .. all },
      { { ["a key"] = { [-1] = { [2.5] = { [true] = print } } } },
        "value 1 at [\"a key\"][-1][2.5][true] is a function" .. all },
      { { [("k"):rep(50)] = print }, "value 1 at [\"" .. ("k"):rep(24) .. "...\"] is a function" .. all },
      { { ["line\nfeed"] = print }, "value 1 at [\"line\nfeed\"] is a function" .. all },
      { { x = { [{}] = 1 } }, "value 1 at .x[a table] is under a key that is a table" .. all },
      { { [print] = 1 }, "value 1 at [a function] is under a key that is a function" .. all },
    }
    for _, case in ipairs(refused) do
      local ok, message = pcall(state.eval, state, "return ...", case[1])
      assert.is_false(ok)
      assert.equal(case[2], message)
    end
    local ok, message = pcall(state.set, state, "x", { 1, print })
    assert.is_false(ok)
    assert.equal("value 1 at [2] is a function" .. all, message)
    assert.matches("value 3 is a function", select(2, pcall(state.eval, state, "", 1, 2, print)), 1, true)
    assert.same({ nil, "result 2 at .f is a function" .. all, nil, n = 3 },
      table.pack(state:eval "return 1, { f = print }"))
  end)

  it("is refused for cycles, by the way round", function()
    local a = { b = { c = {} } }
    a.b.c.a = a
    local state <close> = heapwright.state()
    assert.equal("value 1 at .b.c.a is a table that contains it: cycles can't be copied",
      select(2, pcall(state.eval, state, "", a)))
    assert.equal("result 1 at .t is a table that contains it: cycles can't be copied",
      select(2, state:eval "local t = {} t.t = t return t"))
    assert.equal("result 1 at ._G is a table that contains it: cycles can't be copied",
      select(2, state:eval "for k in pairs(_G) do if k ~= '_G' then _G[k] = nil end end return _G"))
  end)

  it("is refused where tables are nested too deeply", function()
    local function nested(n)
      local t = {}
      for _ = 2, n do t = { t } end
      return t
    end
    assert.is_table(echo(nested(100)))
    local state <close> = heapwright.state()
    local ok, message = pcall(state.eval, state, "", nested(101))
    assert.is_false(ok)
    assert.matches("^value 1 at %[1%]%[1%].* is nested more than 100 tables deep$", message)
    assert.is_true(#message < 256)
    assert.is_false((pcall(state.eval, state, "", nested(100000))))
  end)

  it("that the state has no memory for is a limit reached", function()
    local state <close> = heapwright.state { limit = "100K" }
    assert.equal("limit", select(3, state:eval("return #...", ("x"):rep(200000))))
    assert.equal("limit", select(3, state:set("x", ("x"):rep(200000))))
    local list = {}
    for i = 1, 20000 do list[i] = i end
    assert.equal("limit", select(3, state:eval("return #...", list)))
    assert.equal("limit", select(3, state:call("type", list)))
    assert.equal(1, state:eval "return 1")
  end)

  it("may be of a great many values", function()
    local state <close> = heapwright.state { limit = "64M" }
    local list = {}
    for i = 1, 100000 do list[i] = i end
    local results = table.pack(state:eval("return ...", table.unpack(list)))
    assert.equal(100000, results.n)
    assert.equal(100000, results[100000])
    assert.equal(1, select("#", state:eval("return nil")))
  end)

  it("of an error's value too", function()
    local state <close> = heapwright.state()
    local shared = select(2, state:eval "local t = { 1 } error { t, t }")
    assert.equal(shared[1], shared[2])
  end)
end)
