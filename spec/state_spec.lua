-- SPDX-License-Identifier: MIT
-- Bounded states: what they do, what their scripts find, and that they leave nothing.
-- What ends a script is in memory_limit_spec and budget_spec, what crosses in values_spec.
local heapwright = require "heapwright"

local function file_with(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

local function closes(state)
  assert.is_true(state:close())
end

describe("a state", function()
  it("evaluates code, with arguments, to results", function()
    local state <close> = heapwright.state { limit = "1M" }
    assert.same({ 5, "ab", n = 2 }, table.pack(state:eval("local a, b = ... return a + b, 'a' .. 'b'", 2, 3)))
    assert.same({ n = 0 }, table.pack(state:eval "x = 1"))
    assert.equal(1, state:eval "return x")
  end)

  it("runs files", function()
    local path = file_with "local a = ... return a * 2"
    local state <close> = heapwright.state { limit = "1M" }
    assert.equal(42, state:run(path, 21))
    os.remove(path)
    assert.same({ nil, "cannot open " .. path .. ": No such file or directory", "io", n = 3 },
      table.pack(state:run(path)))
  end)

  it("calls global functions, by names with dots", function()
    local state <close> = heapwright.state { limit = "1M" }
    state:eval "function twice(x) return 2 * x end handlers = { on = { event = function(...) return ... end } }"
    assert.equal(8, state:call("twice", 4))
    assert.same({ 1, nil, 3, n = 3 }, table.pack(state:call("handlers.on.event", 1, nil, 3)))
    assert.equal("ABC", state:call("string.upper", "abc"))
    for name, what in pairs { nothing = "nil", ["nothing.at.all"] = "nil", handlers = "table", ["twice.x"] = "nil" } do
      assert.same({ nil, ("no function '%s': it is a %s value"):format(name, what), nil, n = 3 },
        table.pack(state:call(name)))
    end
  end)

  it("sets globals without running a script", function()
    local state <close> = heapwright.state { limit = "1M", instructions = 1000 }
    state:eval "setmetatable(_G, { __newindex = function() error 'called' end })"
    assert.is_true(state:set("settings", { list = { 1, 2, 3 } }))
    assert.equal(3, state:eval "return #settings.list")
    assert.is_true(state:set("settings", nil))
    assert.is_nil(state:eval "return settings")
  end)

  it("tells an error with its traceback, and no code", function()
    local state <close> = heapwright.state { limit = "1M" }
    local ok, message, code = state:eval "local function f() error 'oops' end f()"
    assert.is_nil(ok)
    assert.matches("]:1: oops\nstack traceback:\n.*in local 'f'", message)
    assert.is_nil(code)
    assert.matches("^%(error object is a nil value%)\nstack", select(2, state:eval "error()"))
    assert.matches("^42\nstack", select(2, state:eval "error(42)"))
    state:eval "error { f = print }" -- of which nothing is left in the next message
    assert.matches("^%(error object is a boolean value%)\nstack", select(2, state:eval "error(true)"))
  end)

  it("tells an error's text to its end, behind zero bytes as well", function()
    local state <close> = heapwright.state()
    local _, message = state:eval "error('before\\0behind', 0)"
    assert.equal("before\0behind\nstack traceback:", message:match "^.-:")
    assert.matches("^12\nstack traceback", (select(2, state:eval "error(12)")))
  end)

  it("gives an error that is a table as a copy", function()
    local state <close> = heapwright.state { limit = "1M" }
    assert.same({ nil, { code = 7, list = { 1 } }, nil, n = 3 },
      table.pack(state:eval "error { code = 7, list = { 1 } }"))
    local message = select(2, state:eval "error { f = print }")
    assert.matches("^%(error object is a table value; error 1 at .f is a function: .*%)\nstack traceback", message)
    local raise = "error(setmetatable({ f = print }, { __tostring = function() %s end }))"
    message = select(2, state:eval(raise:format "return 'in words'"))
    assert.matches("^in words\nstack traceback", message)
    message = select(2, state:eval(raise:format "error 'again'"))
    assert.matches("again", message)
    message = select(2, state:eval
      "local x <close> = setmetatable({}, { __close = function() error 'second' end }) error { 1 }")
    assert.matches("second\nstack traceback", message)
    assert.same({ nil, { 2 }, nil, n = 3 }, table.pack(state:eval
      "local x <close> = setmetatable({}, { __close = function() error { 2 } end }) error { 1 }"))
  end)

  it("returns its own results where load caught an error that is a table", function()
    local state <close> = heapwright.state()
    local a, b = state:eval "load(function() error { wrong = true } end) local t = { 9 } return t, t"
    assert.same({ 9 }, a)
    assert.equal(a, b)
  end)

  it("tells syntax errors and refuses binary chunks", function()
    local state <close> = heapwright.state { limit = "1M" }
    assert.same({ nil, "[string \"x x\"]:1: syntax error near 'x'", nil, n = 3 }, table.pack(state:eval "x x"))
    local binary = string.dump(function() return 1 end)
    assert.same({ nil, "attempt to load a binary chunk (mode is 't')", nil, n = 3 }, table.pack(state:eval(binary)))
    local path = file_with(binary)
    assert.matches("attempt to load a binary chunk", select(2, state:run(path)), 1, true)
    os.remove(path)
    local inside = "return load(string.dump(function() end), 'x', %s)"
    for _, mode in ipairs { "nil", "'b'", "'bt'" } do
      assert.matches("attempt to load a binary chunk", select(2, state:eval(inside:format(mode))), 1, true)
    end
    assert.equal(3, state:eval "return load('return ...', 'x', 't', {})(3)")
    assert.equal(3, state:eval "y = 3 return load('return y')()")
    assert.is_nil(state:eval "return load('return y', 'x', 't', {})()")
  end)

  it("goes on after a script failed", function()
    local state <close> = heapwright.state { limit = "200K" }
    state:eval "kept = 'kept'"
    for _ = 1, 20 do
      state:eval "local t = {} while true do t[#t + 1] = {} end"
      state:eval "error 'x'"
      assert.equal("kept", state:eval "return kept")
    end
  end)

  it("may be closed again; everything else on a closed one raises, and names the call", function()
    local state = heapwright.state()
    closes(state)
    closes(state)
    assert.equal("heapwright state (closed)", tostring(state))
    for name in pairs(debug.getmetatable(state).__index) do
      if name ~= "close" then
        local call = assert(load("local state = ... return state:" .. name .. "('x', 'x')", "=here"))
        local ok, message = pcall(call, state)
        assert.is_false(ok)
        assert.equal("here:1: calling '" .. name .. "' on bad self (state is closed)", message)
      end
    end
  end)

  it("is closed by <close> and by collection, while a call's arguments are made, too", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    do
      local state <close> = heapwright.state { pool = mem }
      state:eval "x = ('x'):rep(1000)"
      assert.is_true(mem:stats().live_blocks > 0)
    end
    assert.equal(0, mem:stats().live_blocks)
    for _ = 1, 50 do heapwright.state { pool = mem } end
    collectgarbage()
    assert.equal(0, mem:stats().live_blocks)
    local pause, multiplier = collectgarbage("setpause", 0), collectgarbage("setstepmul", 1000)
    for _ = 1, 20 do
      local state = heapwright.state { pool = mem }
      setmetatable({}, { __gc = function() state:close() end })
      local ok, message
      for i = 1, 1e6 do
        ok, message = pcall(state.eval, state, "return ...", { i, { i } }, "text " .. i)
        if not ok then break end
      end
      assert.is_false(ok)
      assert.matches("state is closed", message, 1, true)
    end
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", multiplier)
    collectgarbage()
    assert.equal(0, mem:stats().live_blocks)
  end)

  it("cannot be forged or changed", function()
    local state <close> = heapwright.state()
    assert.is_false(getmetatable(state))
    assert.is_false((pcall(setmetatable, state, {})))
    local other <close> = heapwright.new()
    assert.is_false((pcall(state.eval, other, "return 1")))
    assert.is_false((pcall(state.eval, nil, "return 1")))
  end)

  it("says what it has in use, by kind, and what the last call took", function()
    local state <close> = heapwright.state { limit = "1M", instructions = 100000 }
    local before = state:stats()
    state:eval "kept = {} for i = 1, 100 do kept[i] = { tostring(i) .. 'a string of its own' } end"
    local stats = state:stats()
    assert.equal(1 << 20, stats.limit)
    assert.is_true(stats.in_use > before.in_use + 100 * 56)
    assert.is_true(stats.peak_in_use >= stats.in_use and stats.in_use <= stats.limit)
    assert.is_true(stats.instructions >= 500 and stats.instructions < 3000)
    assert.is_true(stats.seconds > 0 and stats.seconds < 10)
    local names = {}
    for kind in pairs(stats.kinds) do names[#names + 1] = kind end
    table.sort(names)
    assert.equal("function other prototype string table thread upvalue userdata", table.concat(names, " "))
    assert.equal(state:eval "return collectgarbage 'count' * 1024", state:stats().in_use)
    state:eval "kept = nil"
    assert.equal(state:collect(), state:stats().in_use)
    assert.is_true(state:collect() < stats.in_use - 100 * 56)
    local unlimited <close> = heapwright.state { capacity = "1M" }
    assert.is_nil(unlimited:stats().limit)
    assert.is_nil(unlimited:stats().instructions)
  end)

  it("charges a call in C for what it does", function()
    local state <close> = heapwright.state { limit = "1M", instructions = 50000 }
    state:eval "t = {} for i = 1, 1000 do t[i] = i end"
    assert.is_string(state:eval "return table.concat(t)")
    local once = state:stats().instructions
    assert.is_true(once >= 1000)
    assert.is_string(state:eval "for _ = 1, 3 do table.concat(t) end return table.concat(t)")
    assert.is_true(state:stats().instructions >= 4 * 1000)
    local none, message, code = state:eval "for i = 1, 100 do n = i table.concat(t) end"
    assert.is_nil(none)
    assert.equal("limit", code)
    assert.matches("out of instructions: all 50000 are spent", message)
    local rounds = state:eval "return n"
    assert.is_true(rounds > 1 and rounds <= 50)
  end)

  it("counts as Lua counts, under every policy", function()
    for _, info in ipairs(heapwright.policies()) do
      local state <close> = heapwright.state { limit = "512K", policy = info.name }
      local message, code = select(2, state:eval [[
        local ok = pcall(function() local t = {} while true do t[#t + 1] = { #t } end end)
        assert(not ok)
        collectgarbage()
        peak = 0
        local t = {}
        pcall(function() while true do t[#t + 1] = ("x"):rep(200) .. #t end end)
        return #t
      ]])
      assert.is_nil(message, info.name)
      assert.is_nil(code)
      local stats = state:stats()
      if info.name ~= "bump" then -- which gives nothing back before the end
        assert.is_true(stats.over_limit > 0 and stats.over_pool == 0, info.name)
        assert.is_true(stats.peak_in_use > 500 * 1024 and stats.peak_in_use <= 512 * 1024, info.name)
      end
    end
  end)
end)

describe("a state's pool", function()
  it("may be shared, and gets everything back", function()
    local mem <close> = heapwright.new { capacity = "4M" }
    local mine = mem:malloc(100)
    local states = {}
    for i = 1, 20 do
      states[i] = assert(heapwright.state { pool = mem, limit = "100K" })
      states[i]:eval("x = {} for i = 1, 100 do x[i] = { tostring(i) } end")
    end
    assert.is_true(mem:check())
    for i = 1, 20 do closes(states[i]) end
    assert.equal(1, mem:stats().live_blocks)
    assert.equal(100, mem:size(mine))
  end)

  it("lives as long as a state in it", function()
    local mem = heapwright.new { capacity = "1M" }
    local state = heapwright.state { pool = mem }
    mem:close()
    assert.equal(2, state:eval "return 1 + 1")
    closes(state)
    assert.error_matches(function() heapwright.state { pool = mem } end, "pool is closed")
  end)

  it("refuses the addresses of a state's blocks, all of them, and the state goes on", function()
    local codes = { unallocated = true, invalid_free = true, double_free = true } -- double: where a block once began
    for _, policy in ipairs { "best-fit", "slab", "buddy" } do
      local mem <close> = heapwright.new { capacity = "64K", policy = policy }
      local state <close> = heapwright.state { pool = mem }
      assert(state:eval "list = {} for i = 1, 100 do list[i] = { i } end return true")
      local stats, refused = mem:stats(), 0
      for address = 0, stats.capacity - 16, 16 do
        for _, call in ipairs {
          { "free", address }, { "realloc", address, 64 }, { "write", address, "x" }, { "fill", address, 255, 8 },
          { "copy", address, address, 8 }, { "store", address, 1 }, { "cas", address, 0, 1 }, { "read", address, 1 },
        } do
          local value, message, code = mem[call[1]](mem, table.unpack(call, 2))
          if value ~= nil then error(("%s: %s %d: %s"):format(policy, call[1], address, value)) end
          if message:find("which is a Lua state's", 1, true) then
            refused = refused + 1
            if not codes[code] then error(message .. " " .. code) end
          end
        end
      end
      assert.is_true(refused > 1000)
      assert.equal(stats.live_blocks, mem:stats().live_blocks)
      assert.equal(5050, state:eval "local sum = 0 for _, t in ipairs(list) do sum = sum + t[1] end return sum")
      assert.is_true(mem:check())
    end
  end)

  it("is not reset under a state", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    local state = heapwright.state { pool = mem }
    assert.same({ nil, "reset: 1 Lua states live in the pool", "invalid_argument", n = 3 }, table.pack(mem:reset()))
    assert.equal(2, state:eval "return 1 + 1")
    closes(state)
    assert.is_true(mem:reset())
  end)

  it("that is full tells so", function()
    local mem <close> = heapwright.new { capacity = "8K" }
    local state, message, code = heapwright.state { pool = mem }
    assert.is_nil(state)
    assert.matches("^the pool holds no state: with %d+ in use it asked for %d+ more", message)
    assert.equal("no_memory", code)
    assert.equal(0, mem:stats().live_blocks)
    local tiny <close> = heapwright.new { capacity = 16 }
    assert.equal("no_memory", select(3, heapwright.state { pool = tiny }))
    assert.equal(0, tiny:stats().live_blocks)
  end)
end)

describe("the libraries of a state", function()
  local function globals(options)
    local state <close> = heapwright.state(options)
    return state:eval [[
      local names = {}
      for name, value in pairs(_G) do
        if type(value) == "table" and value ~= _G then
          for field in pairs(value) do names[#names + 1] = name .. "." .. field end
        else
          names[#names + 1] = name
        end
      end
      table.sort(names)
      return names
    ]]
  end

  it("are safe: no files, no processes, no debug, no C modules", function()
    for _, options in ipairs { {}, { instructions = 1e6 } } do
      local names = table.concat(globals(options), " ") .. " "
      assert.is_nil(names:find "%f[%w]io%.")
      assert.is_nil(names:find "%f[%w]debug%.")
      assert.is_nil(names:find "%f[%w]package%.")
      for _, name in ipairs { "dofile", "loadfile", "require" } do
        assert.is_nil(names:find("%f[%w]" .. name .. " "), name)
      end
      local os_functions = {}
      for name in names:gmatch "%f[%w]os%.(%w+)" do os_functions[#os_functions + 1] = name end
      assert.equal("clock date difftime time", table.concat(os_functions, " "))
      for _, name in ipairs { "pcall", "string.rep", "table.sort", "coroutine.wrap", "math.random", "utf8.char" } do
        assert.is_truthy(names:find(name, 1, true), name)
      end
    end
  end)

  it("are the same with a budget and without", function()
    assert.same(globals {}, globals { instructions = 1e6, seconds = 60 })
  end)

  it("are more where they are asked for", function()
    local state <close> = heapwright.state { libs = { "io", "os", "debug", "package" } }
    assert.equal("table table function function", state:eval
      "return table.concat({ type(io), type(debug), type(os.getenv), type(require) }, ' ')")
    assert.error_matches(function() heapwright.state { libs = { "network" } } end,
      "libs: unknown 'network' %(known: io, os, debug, package, heapwright%)")
    assert.error_matches(function() heapwright.state { libs = { 1 } } end,
      "libs: names of libraries expected, got number")
  end)

  it("may be heapwright itself", function()
    local state <close> = heapwright.state { libs = { "heapwright" } }
    assert.equal(100, state:eval [[
      local heapwright = require "heapwright"
      assert(heapwright == require "heapwright")
      local mem <close> = heapwright.new { capacity = "64K" }
      return mem:size(mem:malloc(100))
    ]])
    assert.matches("module 'lfs' not found", select(2, state:eval "require 'lfs'"), 1, true)
    assert.equal(6, state:eval [[
      local inner <close> = require "heapwright".state { limit = "100K" }
      return inner:eval("return 2 * 3")
    ]])
  end)

  it("run finalizers only where the host wants them", function()
    local state <close> = heapwright.state {}
    for _, code in ipairs { "setmetatable({}, { __gc = function() end })", "setmetatable({}, { __gc = true })" } do
      assert.matches("__gc: this state has no finalizers", select(2, state:eval(code)), 1, true)
    end
    -- Set afterwards it does nothing: Lua looks for it once.
    state:eval "local m = {} setmetatable({}, m) m.__gc = function() ran = true end"
    state:collect()
    assert.is_nil(state:eval "return ran")
    local other <close> = heapwright.state { finalizers = true }
    other:eval "setmetatable({}, { __gc = function() ran = true end })"
    other:collect()
    assert.is_true(other:eval "return ran")
  end)
end)

describe("closing a state", function()
  local bodies = {
    ["whose finalizers allocate"] =
      "keep = setmetatable({}, { __gc = function() local t = {} for i = 1, 1e6 do t[i] = { i } end end })",
    ["whose finalizers fail"] = "keep = setmetatable({}, { __gc = function() error { 'x' } end })",
    ["whose finalizers resurrect"] = [[
      local m = {}
      m.__gc = function(o) back = o setmetatable(o, m) setmetatable({}, m) end
      keep = setmetatable({}, m)
    ]],
    ["with suspended coroutines"] = [[
      keep = {}
      for i = 1, 50 do
        keep[i] = coroutine.wrap(function()
          local x <close> = setmetatable({}, { __close = function() error "closed" end })
          coroutine.yield(string.rep("x", 100))
        end)
        keep[i]()
      end
    ]],
    ["in the middle of a memory error"] = "keep = {} while true do keep[#keep + 1] = { #keep } end",
    ["after deep recursion"] = "local function f(n) keep = n return 1 + f(n + 1) end f(1)",
    ["after an error in a coroutine in a coroutine"] =
      "keep = coroutine.wrap(function() coroutine.wrap(function() error {} end)() end) keep()",
  }
  for title, body in pairs(bodies) do
    it(title .. " gives back every byte", function()
      local mem <close> = heapwright.new { capacity = "2M" }
      for _, budget in ipairs { false, true } do
        local state = assert(heapwright.state {
          pool = mem, limit = "500K", finalizers = true, instructions = budget and 1e7 or nil,
        })
        state:eval(body)
        state:collect()
        closes(state)
        assert.equal(0, mem:stats().live_blocks)
      end
    end)
  end
end)

describe("the options of a state", function()
  it("raise where they are not understood", function()
    local cases = {
      [{ limit = -1 }] = "limit: '-1' is negative",
      [{ limit = "8 apples" }] = "limit: '8 apples' is not a size",
      [{ instructions = -1 }] = "instructions: a number of instructions expected, got -1",
      [{ instructions = 1.5 }] = "instructions: a number of instructions expected, got 1.5",
      [{ seconds = -0.5 }] = "seconds: a number of seconds expected, got -0.5",
      [{ libs = { io = true } }] = "libs: a list of names expected, got the key 'io'",
      [{ instructions = "1000" }] = "instructions: a number of instructions expected, got string",
      [{ seconds = "1" }] = "seconds: a number of seconds expected, got string",
      [{ seconds = 0 / 0 }] = "seconds: a number of seconds expected",
      [{ finalizers = 1 }] = "finalizers: boolean expected, got number",
      [{ libs = "io" }] = "libs: table expected, got string",
      [{ pool = {} }] = "pool: a pool expected, got table",
      [{ policy = "worst" }] = "policy: unknown 'worst'",
      [{ 1 }] = "unknown option '1'",
      [{ max_capacity = "4M" }] = "max_capacity: of a pool whose capacity is given",
    }
    for options, expected in pairs(cases) do
      local ok, message = pcall(heapwright.state, options)
      assert.is_false(ok)
      assert.matches(expected, message, 1, true)
    end
    assert.error_matches(function() heapwright.state { limits = 1 } end,
      "unknown option 'limits' %(known: limit, headroom, instructions, seconds, finalizers, libs, pool, capacity,")
    assert.error_matches(function() heapwright.state "8M" end, "table expected, got string")
    local mem <close> = heapwright.new()
    assert.error_matches(function() heapwright.state { pool = mem, policy = "slab" } end,
      "policy is for a pool of its own, and a pool was given")
  end)

  it("may want more headroom than the limit is: it collects, and is a state", function()
    for _, headroom in ipairs { "64K", "1M" } do
      local state <close> = assert(heapwright.state { limit = "64K", headroom = headroom })
      assert.equal(2000, state:eval "local n = 0 for i = 1, 2000 do n = n + #{ i } end return n")
      assert.equal(heapwright.parse_size(headroom), state:stats().headroom)
    end
  end)

  it("ask for more than there is", function()
    local state, message, code = heapwright.state { limit = 1 << 60 }
    assert.is_nil(state)
    assert.equal(
      "a pool of 2305843009213759488 bytes for the state: with granules of 16, 68719475712 are the most", message)
    assert.equal("no_memory", code)
  end)
end)
