-- SPDX-License-Identifier: MIT
-- Promises of `heapwright record --lua`: the trace of a script's state, from its making to its closing,
-- with the script's own output and exit code.
local heapwright = require "heapwright"
local replay = require "heapwright.replay"
local traces = require "heapwright.traces"

local command = require "spec.support.command"

local write, read = command.write, command.read

local function record(arguments)
  return command.shell_there(("%s record %s </dev/null"):format(command.path, arguments))
end

local SCRIPT = [[
local held = {}
for i = 1, 500 do held[i] = { "number " .. i, function() return i end } end
print(#held, ...)
]]

before_each(command.enter)
after_each(command.leave)

describe("record --lua", function()
  it("ends with everything freed, and says what it recorded, by kind", function()
    write("s.lua", SCRIPT)
    local out, err, code = record "--lua -o s.hwt s.lua -o x --lua"
    assert.equal("500\t-o\tx\t--lua\n", out)
    assert.equal(0, code)
    local info = assert(traces.info(command.folder .. "/s.hwt"))
    assert.is_nil(info.warning)
    assert.equal(0, info.live_at_end)
    assert.equal(info.allocations, info.frees)
    local events, peak = err:match "trace  program  events  peak in use\ns%.hwt  s%.lua +([%d,]+) +([%d.]+ KiB)\n"
    assert.equal(info.events, tonumber((events:gsub(",", ""))))
    assert.equal(("%.0f KiB"):format(info.peak_in_use / 1024), peak)
    local sum = 0
    for _, kind in ipairs { "other", "string", "table", "function", "userdata", "thread", "upvalue", "prototype" } do
      local allocations, live = err:match("\n" .. kind .. " +([%d,]+) +[%d,]+ +[%d,]+ +(%d+) blocks\n")
      assert.equal("0", live, err)
      sum = sum + tonumber((allocations:gsub(",", "")))
    end
    assert.equal(info.allocations, sum)
    for line in err:gmatch "[^\n]+" do assert.is_true(#line <= 80, line) end
  end)

  it("begins with the state itself", function()
    write("s.lua", SCRIPT)
    record "--lua -o s.txt s.lua"
    local lines = {}
    for line in read "s.txt":gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.is_truthy(lines[2]:find "^a 1 %d+ @0 # thread$", lines[2])
    assert.is_truthy(lines[#lines]:find "^f 1 @%d+$", lines[#lines])
  end)

  it("writes what replays under every policy", function()
    write("s.lua", SCRIPT)
    record "--lua -o s.hwt s.lua"
    local program, asked = assert(replay.load(command.folder .. "/s.hwt")), {}
    for i, info in ipairs(heapwright.policies()) do asked[i] = { policy = info.name } end
    for _, result in ipairs(assert(program:measure { policies = asked, smallest = true })) do
      assert.equal(0, result.failures, result.policy)
    end
  end)

  it("names its trace after the script where it is not told how", function()
    write("s.lua", SCRIPT)
    record "--lua s.lua"
    assert.equal("binary", assert(traces.info(command.folder .. "/s.hwt")).format)
  end)

  it("has the script's exit code, and the whole trace, however it ends", function()
    for ending, expected in pairs { ["os.exit(5)"] = 5, ["os.exit(6, true)"] = 6, ["error 'x'"] = 1,
      ["coroutine.wrap(function() os.exit(7, true) end)()"] = 7 } do
      write("s.lua", SCRIPT .. ending)
      local out, err, code = record "--lua -o s.hwt s.lua"
      assert.equal("500\n", out)
      assert.equal(expected, code)
      local info = assert(traces.info(command.folder .. "/s.hwt"))
      assert.is_nil(info.warning)
      assert.equal(ending == "os.exit(5)", info.live_at_end > 0, ending) -- which closes nothing
      assert.is_truthy(err:find("s.hwt  s.lua", 1, true), err)
    end
  end)

  it("of what does not run is refused or told", function()
    local _, err, code = record "--lua -o s.hwt none.lua"
    assert.equal(1, code)
    assert.is_truthy(err:find "^heapwright: cannot open none.lua", err)
    write("s.lua", SCRIPT)
    local out
    out, err, code = record "--lua -o none/s.hwt s.lua"
    assert.equal("", out)
    assert.equal(2, code)
    assert.equal("heapwright: none/s.hwt: No such file or directory\n", err)
    _, _, code = record "--lua"
    assert.equal(2, code)
  end)

  it("to a device that is full is 2 where the script ended well", function()
    if not io.open("/dev/full", "r") then return end
    write("s.lua", SCRIPT)
    -- A binary trace first writes when it has 64 KiB: at the end, here.
    os.execute(("ln -s /dev/full %s/full.hwt"):format(command.folder))
    local _, err, code = record "--lua -o full.hwt s.lua"
    assert.equal(2, code)
    assert.is_truthy(err:find "^heapwright: full.hwt: No space left on device\n", err)
  end)

  it("lets the script not watch itself as well, and says so", function()
    write("s.lua", "print(require('heapwright').watch(print))")
    assert.equal("nil\twatch: the allocations of this state are being recorded already\tinvalid_argument\n",
      (record "--lua s.lua"))
  end)
end)

describe("record without --lua", function()
  it("still takes its own options behind the program, and -- before it", function()
    local _, _, code = record "ls -o x.hwt"
    assert.equal(0, code)
    assert.is_true(assert(traces.info(command.folder .. "/x.hwt")).allocations > 0)
    _, _, code = record "-o y.hwt -- sh -c 'exit 4' --lua"
    assert.equal(4, code)
  end)
end)
