-- SPDX-License-Identifier: MIT
-- Promises of `heapwright lua`: a script runs as under the stock interpreter, byte by byte of what it
-- prints and by its exit code; its memory is bounded; --stats tells who holds it.
local command = require "spec.support.command"

local COMMAND, write, run = command.path, command.write, command.shell_there

local function bounded(arguments)
  return run(("%s lua %s </dev/null"):format(COMMAND, arguments))
end

before_each(command.enter)
after_each(command.leave)

-- { title, script, [arguments], [environment] }
local scripts = {
  { "that prints its arguments", "print(...) print(#arg, arg[0], arg[1], arg[2], arg[3])" },
  { "whose arguments look like options", "print(...)", "--limit 5 -p --stats -- --help -h" },
  { "that raises a string", "local function f() error 'boom' end f()" },
  { "that raises a string without a position", "error('x', 0)" },
  { "that raises a number", "error(12)" },
  { "that raises nil", "error()" },
  { "that raises a table", "error {}" },
  { "that raises an object with __tostring", "error(setmetatable({}, { __tostring = function() return 'me' end }))" },
  { "that raises an object whose __tostring gives no string",
    "error(setmetatable({}, { __tostring = function() return 5 end }))" },
  { "that raises in a coroutine", "coroutine.wrap(function() error 'inside' end)()" },
  { "that raises under to-be-closed variables",
    "local x <close> = setmetatable({}, { __close = function(_, e) print('close', e) end }) error 'z'" },
  { "with a syntax error", "x = = 1" },
  { "with a goto to nowhere", "goto x" },
  { "that is not there", nil },
  { "that begins with #!", "#!/usr/bin/env lua\nprint 'after it'" },
  { "that returns a value", "return 5" },
  { "that exits with a code", "io.write 'no line end' os.exit(3)" },
  { "that exits with true", "os.exit(true)" },
  { "that exits with false", "os.exit(false)" },
  { "that exits wrongly", "os.exit {}" },
  { "that exits under pcall and in a coroutine",
    "coroutine.wrap(function() pcall(function() os.exit(9) end) end)() print 'never'" },
  { "that exits without closing its state",
    "setmetatable({}, { __gc = function() print 'collected' end }) os.exit(7)" },
  { "that exits and closes its state",
    "setmetatable({}, { __gc = function() print 'collected' end }) os.exit(7, true)" },
  { "that leaves finalizers to the end", "setmetatable({}, { __gc = function() print 'collected' end })" },
  { "that warns", "warn '@on' warn('a', 'b') warn '@off' warn 'c' warn '@on' warn('@off', 'x') warn 'd'" },
  { "whose finalizer raises", "warn '@on' setmetatable({}, { __gc = function() error 'in gc' end }) collectgarbage()" },
  { "that asks for the collector's mode", "print(collectgarbage 'incremental')" },
  { "that asks for hooks", "print(debug.gethook())" },
  { "that requires a neighbour", "print(require 'neighbour')", "", "LUA_PATH='./sub/?.lua;;' " },
  { "that requires what is not there", "require 'nothing.at.all'" },
  { "under LUA_INIT", "print 'script'", "", "LUA_INIT='print \"init\"' " },
  { "under a file in LUA_INIT", "print 'script'", "", "LUA_INIT=@sub/neighbour.lua " },
  { "under LUA_INIT that raises", "print 'never'", "", "LUA_INIT='error \"init\"' " },
  { "under LUA_INIT that replaces arg", "print(...)", "", "LUA_INIT='arg = { 7, 8 }' " },
  { "under LUA_INIT that spoils arg", "print(...)", "", "LUA_INIT='arg = 5' " },
  { "under LUA_INIT that makes arg longer than any stack", "print(...)", "",
    "LUA_INIT='arg = setmetatable({}, { __len = function() return 1 << 30 end })' " },
  { "under LUA_INIT_5_4, which comes first", "print 'script'", "", "LUA_INIT='error()' LUA_INIT_5_4='print(1)' " },
}

describe("a script under heapwright lua ends and prints as under the stock interpreter:", function()
  for _, case in ipairs(scripts) do
    it("one " .. case[1], function()
      if case[2] then write("s.lua", case[2]) end
      assert(os.execute(("mkdir %s/sub"):format(command.folder)))
      write("sub/neighbour.lua", "print('neighbour', ...) return 'of the script'")
      local rest = (" s.lua %s </dev/null"):format(case[3] or "one '' three")
      local out, err, code = run((case[4] or "") .. "lua5.4" .. rest)
      local our_out, our_err, our_code = run((case[4] or "") .. COMMAND .. " lua" .. rest)
      assert.equal(code, our_code)
      assert.equal(out, our_out)
      assert.equal((err:gsub("^lua5%.4: ", "heapwright: ")), our_err)
    end)
  end

  it("not where arg pretends a length that Lua's own wraps around", function()
    write("s.lua", "print 'never'")
    for _, length in ipairs { "1 << 31", "math.maxinteger" } do
      local _, err, code = run(
        ("LUA_INIT='arg = setmetatable({}, { __len = function() return %s end })' %s lua s.lua")
          :format(length, COMMAND))
      assert.equal("heapwright: stack overflow (too many arguments to script)\n", err)
      assert.equal(1, code)
    end
  end)

  it("one from standard input", function()
    for _, text in ipairs { "print(arg[0], ...)", "error 'from stdin'" } do
      write("in", text)
      local out, err, code = run "lua5.4 - a b <in"
      local our_out, our_err, our_code = run(COMMAND .. " lua - a b <in")
      assert.same({ out, (err:gsub("^lua5%.4", "heapwright")), code }, { our_out, our_err, our_code })
    end
  end)

  it("one that is interrupted", function()
    write("s.lua", "io.stdout:write 'begun\\n' io.stdout:flush() for _ = 1, 1 << 31 do end")
    -- The shell lets its background children ignore SIGINT; lua takes it all the same.
    local interrupted = "%s s.lua & pid=$!; until grep -q begun .out; do sleep 0.01; done; kill -INT $pid; wait $pid"
    local _, err, code = run(interrupted:format "lua5.4")
    local _, our_err, our_code = run(interrupted:format(COMMAND .. " lua"))
    assert.equal(1, our_code)
    assert.equal(code, our_code)
    assert.is_truthy(our_err:find("heapwright: interrupted!\nstack traceback:", 1, true), our_err)
    assert.equal((err:gsub("^lua5%.4", "heapwright")), our_err)
  end)
end)

describe("arg", function()
  it("holds at negative indices what stands before the script", function()
    write("s.lua", "for i = -6, 2 do print(i, arg[i]) end")
    local out = bounded "--limit 8M --policy first-fit s.lua --stats"
    assert.equal(table.concat({ "-6\t" .. COMMAND, "-5\tlua", "-4\t--limit", "-3\t8M", "-2\t--policy",
      "-1\tfirst-fit", "0\ts.lua", "1\t--stats", "2\tnil", "" }, "\n"), out)
  end)
end)

describe("the module", function()
  it("is there without a path to it", function()
    write("s.lua", "print(require('heapwright').new { capacity = '4K' }:alloc(10))")
    assert.equal("0\n", (bounded "s.lua"))
  end)
end)

describe("a limit", function()
  local BOMB = "local t = {} while true do t[#t + 1] = { #t } end"

  it("ends what asks for more, in figures", function()
    write("s.lua", BOMB)
    local out, err, code = bounded "--limit 1M s.lua"
    assert.equal("", out)
    assert.equal(1, code)
    local in_use, more = err:match("^heapwright: not enough memory: limit of 1 MiB %(1,048,576 bytes%) reached, "
      .. "([%d,]+) in use, ([%d,]+) more wanted\n$")
    assert.is_truthy(in_use, err)
    in_use, more = tonumber((in_use:gsub(",", ""))), tonumber((more:gsub(",", "")))
    assert.is_true(in_use <= 1048576 and in_use + more > 1048576)
  end)

  it("holds under every policy that reuses what is freed", function()
    write("s.lua", "for i = 1, 3000 do local s = ('x'):rep(5000 + i) end print 'well'")
    for _, info in ipairs(require("heapwright").policies()) do
      local out, err, code = bounded(("--limit 400K --policy %s s.lua"):format(info.name))
      if info.name == "bump" then
        assert.equal(1, code)
        assert.is_truthy(err:find "^heapwright: not enough memory: pool of [%d.]+ MiB %([%d,]+ bytes%) is full, ", err)
      else
        assert.equal("", err)
        assert.equal("well\n", out)
      end
    end
  end)

  it("is met by pcall, and the script goes on", function()
    write("s.lua", ("print(pcall(function() %s end)) collectgarbage() print(#('x'):rep(100000))"):format(BOMB))
    local out, err, code = bounded "--limit 1M s.lua"
    assert.equal("false\tnot enough memory\n100000\n", out)
    assert.equal("", err)
    assert.equal(0, code)
  end)

  it("is told of where a buffer met it, for which Lua does not collect", function()
    write("s.lua", "local s = ('x'):rep(200000)\nlocal t = {} for i = 1, 100 do t[i] = s end\nprint(#table.concat(t))")
    local _, err, code = bounded "--limit 1M s.lua"
    assert.equal(1, code)
    local words = "^heapwright: not enough memory: limit of 1 MiB .- in use, %d,%d%d%d,%d%d%d more wanted\n$"
    assert.is_truthy(err:find(words), err)
  end)

  it("that is too small for the state itself is told as well", function()
    write("s.lua", "print 'never'")
    for _, limit in ipairs { 1, 1000, 5000, 9000, 15000, 20000 } do
      local out, err, code = bounded(("--limit %d s.lua"):format(limit))
      assert.equal("", out)
      assert.equal(1, code)
      local words = "^heapwright: not enough memory: limit of .* reached, [%d,]+ in use, [%d,]+ more wanted\n$"
      assert.is_truthy(err:find(words), err)
    end
  end)

  it("is met at any request, and nothing else breaks", function()
    write("s.lua", [[
      local t <close> = setmetatable({}, { __close = function() end })
      for i = 1, 20 do
        local co = coroutine.wrap(function() t[i] = ("x"):rep(i * 40) coroutine.yield() end)
        co() co()
        t[-i] = assert(load("return function() return " .. i .. " end"))()
      end
      print "well"]])
    local ended = {}
    for limit = 24000, 44000, 500 do
      local out, err, code = bounded(("%s--limit %d s.lua"):format(limit % 1000 == 0 and "--stats " or "", limit))
      ended[code] = (ended[code] or 0) + 1
      if code == 0 then
        assert.equal("well\n", out)
      else
        assert.equal(1, code, err)
        assert.is_truthy(err:find "^heapwright: [^\n]*not enough memory: limit of ", err)
      end
    end
    assert.is_true((ended[0] or 0) > 0 and (ended[1] or 0) > 0)
  end)
end)

describe("wrong usage", function()
  local cases = {
    { "no script", "", "missing argument 'script'" },
    { "a limit that is none", "--limit 12Q s.lua", "--limit: '12Q' is no size" },
    { "a limit of nothing", "--limit 0 s.lua", "--limit: '0' is no size" },
    { "a policy that is none", "--policy x s.lua", "unknown policy 'x'; known are best-fit, " },
    { "two policies", "--policy best-fit,buddy s.lua", "unknown policy 'best-fit,buddy'" },
    { "an unknown option", "--limt 5 s.lua", "unknown option '--limt'" },
  }
  for _, case in ipairs(cases) do
    it("is refused with 2 and nothing is run: " .. case[1], function()
      write("s.lua", "print 'never'")
      local out, err, code = bounded(case[2])
      assert.equal(2, code)
      assert.equal("", out)
      assert.is_truthy(err:find("heapwright: ", 1, true) == 1 and err:find(case[3], 1, true), err)
    end)
  end

  it("is none where -- stands before the script", function()
    write("s.lua", "print(arg[-1], ...)")
    assert.equal("--\t--limit\n", (bounded "-- s.lua --limit"))
  end)
end)

describe("standard output that takes nothing", function()
  it("is told, with 2 where the script ended well, also by os.exit", function()
    if not io.open("/dev/full", "r") then return end
    for script, expected in pairs { ["print 'x'"] = 2, ["print 'x' os.exit(0)"] = 2, ["print 'x' os.exit(5)"] = 5 } do
      write("s.lua", script)
      local _, _, code = run(COMMAND .. " lua s.lua >/dev/full 2>err")
      assert.equal(expected, code)
      assert.is_truthy(command.read "err":find("heapwright: standard output: ", 1, true))
    end
  end)
end)

describe("--stats", function()
  local function line_of(err, name)
    local escaped = name:gsub("[%.%-]", "%%%0")
    local figures = {}
    for number in (err:match("\n" .. escaped .. "%s+([%d, ]+)\n") or ""):gmatch "%S+" do
      figures[#figures + 1] = tonumber((number:gsub(",", "")))
    end
    return figures -- in use, blocks, peak, allocated in all
  end

  local HOLDER = [[
local held = {}
local function node(i)
  return { i }
end
for i = 1, 1000 do
  held[i] = node(i)
end
local co = coroutine.wrap(function()
  local own = {}
  for i = 1, 100 do
    own[i] = ("x"):rep(1000 + i)
    if i == 50 then coroutine.yield() end
  end
  coroutine.yield(own)
end)
co()
co()
for i = 1, 500 do
  local s = ("y"):rep(2000 + i)
end
%s]]

  it("charges each line with what it holds, in coroutines too", function()
    write("s.lua", HOLDER:format "")
    local out, err, code = bounded "--stats s.lua"
    assert.equal("", out)
    assert.equal(0, code)
    local tables = line_of(err, "s.lua:3")
    -- Each of the 1,000 tables is two blocks, of 56 and of 16 bytes.
    assert.same({ 72000, 2000, 72000, 72000 }, tables, err)
    local strings = line_of(err, "s.lua:11")
    assert.is_true(strings[1] >= 100 * 1050 and strings[1] < 100 * 1200, err)
    local dropped = line_of(err, "s.lua:19")
    assert.is_true(dropped[4] >= 500 * 2250 and dropped[3] < dropped[4], err)
    for line in err:gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 80, line) end
  end)

  it("comes after the script's own output, however it ends", function()
    for ending, code in pairs { ["os.exit(4)"] = 4, ["os.exit(4, true)"] = 4, ["error 'x'"] = 1, ["x.y.z = 1"] = 1,
      ["coroutine.wrap(function() os.exit(6, true) end)()"] = 6 } do
      write("s.lua", HOLDER:format(ending))
      local _, err, ended = bounded "--stats s.lua"
      assert.equal(code, ended)
      assert.equal(72000, line_of(err, "s.lua:3")[3], err)
      if code == 1 then assert.is_truthy(err:find "^heapwright: s.lua:21: ", err) end
    end
  end)

  it("counts by kind what there is", function()
    write("s.lua", "held = {} for i = 1, 1000 do held[i] = function() return i end end")
    local _, err = bounded "--stats s.lua"
    local functions, upvalues = line_of(err, "function"), line_of(err, "upvalue")
    assert.is_true(functions[2] >= 1000 and functions[1] >= 40 * 1000, err)
    assert.is_true(upvalues[2] >= 1000, err)
    local sum = 0
    for _, kind in ipairs { "other", "string", "table", "function", "userdata", "thread", "upvalue", "prototype" } do
      sum = sum + line_of(err, kind)[1]
    end
    local total = err:match "end of the script: ([%d,]+) in use"
    assert.equal(tonumber((total:gsub(",", ""))), sum)
  end)

  it("tells of the limit, and who had the memory when it was reached", function()
    write("s.lua", "local t = {}\nwhile true do\n  t[#t + 1] = { #t }\nend")
    local _, err, code = bounded "--limit 1M --stats s.lua"
    assert.equal(1, code)
    assert.is_truthy(err:find("limit 1,048,576", 1, true) or err:find("limit\n1,048,576", 1, true), err)
    assert.is_true(line_of(err, "s.lua:3")[1] > 600000, err)
  end)

  it("does not change what a script with coroutines does", function()
    write("s.lua", [[
      local function gen(n)
        return coroutine.wrap(function()
          for i = 1, n do
            local inner = coroutine.create(function() coroutine.yield(i) error { i } end)
            coroutine.yield(select(2, coroutine.resume(inner)))
            local ok, e = coroutine.resume(inner)
            coroutine.yield(ok, e[1])
            print(coroutine.resume(inner))
            print(pcall(coroutine.close, inner) == true)
          end
          error "end"
        end)
      end
      for n = 0, 3 do
        local g = gen(n)
        for _ = 1, 2 * n do print(g()) end
        print(pcall(g))
        print(pcall(g))
        collectgarbage()
      end]])
    local out = bounded "s.lua"
    local with, err, code = bounded "--stats s.lua"
    assert.equal(out, with)
    assert.equal(0, code, err)
    assert.equal(out, (run "lua5.4 s.lua"))
  end)

  it("is interrupted in a coroutine too", function()
    write("s.lua", "coroutine.wrap(function()\n  print 'begun' io.stdout:flush()\n  for _ = 1, 1 << 31 do end\nend)()")
    local _, err, code = run(COMMAND .. " lua --stats s.lua & pid=$!; until grep -q begun .out; do sleep 0.01; done;"
      .. " kill -INT $pid; wait $pid")
    assert.equal(1, code)
    assert.is_truthy(err:find "^heapwright: [^\n]*interrupted!\n", err)
    assert.is_truthy(err:find("\nkind ", 1, true), err)
  end)
end)
