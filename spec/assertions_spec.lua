-- SPDX-License-Identifier: MIT
-- heapwright.assertions: what holds passes, what does not is told with numbers and drawn.
local command = require "spec.support.command"
local heapwright = require "heapwright"
local scribble = require "spec.support.scribble"
require "heapwright.assertions"

-- What an assertion that fails says, without the line it stands in.
local function said(assertion, ...)
  local ok, message = pcall(assertion, ...)
  assert.is_false(ok)
  return (tostring(message):gsub("^[^\n]-assertions_spec.lua:%d+: ", ""))
end

-- A literal with a first line break, as long strings have it.
local function lines(text) return (text:gsub("^\n", ""):gsub("\n$", "")) end

describe("assertions about a pool", function()
  local mem

  -- 48 bytes free, 100 of 112 live, 7 of 16 live, 848 free.
  before_each(function()
    mem = heapwright.new { capacity = 1024 }
    local first = mem:alloc(48)
    mem:alloc(100)
    mem:alloc(7)
    mem:free(first)
  end)
  after_each(function() mem:close() end)

  it("pass where they hold", function()
    assert.sound(mem)
    assert.live(mem, 0x30)
    assert.in_use(mem, 107)
    assert.fragmentation_below(mem, 0.06)
    local empty <close> = heapwright.new()
    assert.no_leaks(empty)
    assert.in_use(empty, 0)
  end)

  it("pass negated where they do not", function()
    assert.is_not.live(mem, 0x31)
    assert.is_not.no_leaks(mem)
    assert.is_not.in_use(mem, 108)
    assert.is_not.fragmentation_below(mem, 0.05)
    assert.not_live(mem, 0)
  end)

  it("give their arguments back, as luassert's own do", function()
    local pool, address = assert.live(mem, 0x30)
    assert.equal(mem, pool)
    assert.equal(0x30, address)
  end)

  it("begin with a message of one's own, where one is given", function()
    assert.equal("after pop\n128 bytes in use expected, there are 107: 2 blocks are live, the largest first",
      said(assert.in_use, mem, 128, "after pop"):match "^[^\n]*\n[^\n]*")
    assert.equal("at the end", said(assert.no_leaks, mem, "at the end"):match "^[^\n]*")
  end)

  it("can be called with any name that luassert makes of them", function()
    assert.is_sound(mem)
    assert.is.sound(mem)
    assert.is_not_live(mem, 1)
    assert.is_true(pcall(assert.has_no_leaks, heapwright.new()))
  end)
end)

describe("what a failing assertion says of", function()
  local mem

  before_each(function()
    mem = heapwright.new { capacity = 1024 }
    local first = mem:alloc(48)
    mem:alloc(100)
    mem:alloc(7)
    mem:free(first)
  end)
  after_each(function() mem:close() end)

  it("live: into which block the address points", function()
    assert.equal(lines [[
no live block starts at 0x38: that is 8 bytes into the 100-byte block at 0x30
|...............|#################-|######------|..............................|
                  ^ 0x38
  0x0   48 bytes, free
> 0x30  100 of 112 bytes, live
  0xa0  7 of 16 bytes, live
  0xb0  848 bytes, free
]], said(assert.live, mem, 0x38))
  end)

  it("live: how far past the end of a block", function()
    assert.equal("no live block starts at 0x95: that is 2 bytes past the end of the 100-byte block at 0x30",
      said(assert.live, mem, 0x95):match "^[^\n]*")
    assert.equal("no live block starts at 0x94: that is 1 byte past the end of the 100-byte block at 0x30",
      said(assert.live, mem, 0x94):match "^[^\n]*")
  end)

  it("live: that the address is free, by its neighbours", function()
    assert.equal(lines [[
no live block starts at 0x10: that is free
|.........................|###########################---|##########-----------|
         ^ 0x10
> 0x0   48 bytes, free
  0x30  100 of 112 bytes, live
  0xa0  7 of 16 bytes, live
]], said(assert.live, mem, 0x10))
  end)

  it("live: that the address is outside of the pool", function()
    assert.equal(lines [[
no live block starts at 0x400: that is outside of the pool's 1,024 bytes, which end with these blocks
|######################--|#######---------|....................................|
  0x30  100 of 112 bytes, live
  0xa0  7 of 16 bytes, live
  0xb0  848 bytes, free
]], said(assert.live, mem, 0x400))
    assert.equal("no live block starts at -0x10: that is outside of the pool's 1,024 bytes",
      said(assert.live, mem, -16):match "^[^\n,]*,[^\n,]*")
    assert.is_truthy(said(assert.live, mem, math.mininteger):find "outside of the pool")
  end)

  it("live, negated: which block starts there", function()
    assert.equal(lines [[
a live block of 7 bytes starts at 0xa0
|...............|#################-|######------|..............................|
                                    ^ 0xa0
  0x0   48 bytes, free
  0x30  100 of 112 bytes, live
> 0xa0  7 of 16 bytes, live
  0xb0  848 bytes, free
]], said(assert.is_not.live, mem, 0xa0))
  end)

  it("live: the address left of its mark, where there is no room to the right", function()
    assert.equal(lines [[
no live block starts at 0x3ff: that is free
|######################--|#######---------|....................................|
                                                                        0x3ff ^
  0x30  100 of 112 bytes, live
  0xa0  7 of 16 bytes, live
> 0xb0  848 bytes, free
]], said(assert.live, mem, 0x3ff))
  end)

  it("no_leaks: what is live, largest first, and where in the pool", function()
    assert.equal(lines [[
2 blocks are live, of 107 bytes, the largest first:
  100 bytes at 0x30
  7 bytes at 0xa0
|...+#########+................................................................|
]], said(assert.no_leaks, mem))
  end)

  it("no_leaks: ten blocks, and how much the others are", function()
    for size = 1, 20 do mem:alloc(size) end
    local message = said(assert.no_leaks, mem)
    assert.equal("22 blocks are live, of 317 bytes, the largest first:", message:match "^[^\n]*")
    assert.equal("  and 12 more, 73 bytes", message:match "\n(  and [^\n]*)")
    local _, count = message:gsub("\n  %d+ bytes at 0x%x+", "")
    assert.equal(10, count)
  end)

  it("no_leaks: a single block of a single byte", function()
    local single <close> = heapwright.new { capacity = 16 }
    single:alloc(1)
    assert.equal("1 block is live, of 1 byte, the largest first:\n  1 byte at 0x0\n|" .. ("#"):rep(78) .. "|",
      said(assert.no_leaks, single))
  end)

  it("in_use: what is in use instead", function()
    assert.equal(lines [[
5,000 bytes in use expected, there are 107: 2 blocks are live, the largest first
  100 bytes at 0x30
  7 bytes at 0xa0
|...+#########+................................................................|
]], said(assert.in_use, mem, 5000))
    local empty <close> = heapwright.new { capacity = 1024 }
    assert.equal("1 byte in use expected, there are 0: 0 blocks are live\n|" .. ("."):rep(78) .. "|",
      said(assert.in_use, empty, 1))
  end)

  it("fragmentation_below: what is free, and the largest of it", function()
    assert.equal(lines [[
external fragmentation is 0.05357, not below 0.05: of 896 bytes free in 2 blocks, the largest block has 848
|...+#########+................................................................|
]], said(assert.fragmentation_below, mem, 0.05))
  end)

  it("the others, negated", function()
    assert.equal("the pool is sound: 2 blocks are live", said(assert.is_not.sound, mem))
    assert.equal("107 bytes are in use", said(assert.is_not.in_use, mem, 107))
    assert.equal("external fragmentation is 0.05357, below 1", said(assert.is_not.fragmentation_below, mem, 1))
    local empty <close> = heapwright.new()
    assert.equal("no block is live", said(assert.is_not.no_leaks, empty))
  end)

  it("sound: what is broken, drawn", function()
    local broken <close> = heapwright.new { capacity = 1024, guard = "off" }
    broken:alloc(48)
    broken:alloc(100)
    if not scribble.write(broken, 0x30 + 100, ("\255"):rep(12)) then
      pending "the system does not let a process write to /proc/self/mem"
      return
    end
    assert.is_not.sound(broken)
    assert.equal(lines [[
the pool is not sound: at 0x30: a block's size record was overwritten
|###################|----------------------|...................................|
                     ^ 0x30
  0x0   48 bytes, live
> 0x30  -72057594037927823 of 112 bytes, live
  0xa0  864 bytes, free
]], said(assert.sound, broken))
  end)

  it("blocks in quarantine, and where leaks were allocated, where guard full knows", function()
    if not pcall(heapwright.new, { guard = "full" }) then
      pending "heapwright.new takes no guard \"full\" yet"
      return
    end
    local full <close> = heapwright.new { capacity = 1024, guard = "full" }
    local a = full:alloc(16)
    full:alloc(16)
    full:free(a)
    assert.equal(lines [[
no live block starts at 0x0: that was freed, and is in quarantine
|xxxxxxxxxxxxxxxxxxxx|##########----------|....................................|
 ^ 0x0
> 0x0   32 bytes, in quarantine
  0x20  16 of 32 bytes, live
  0x40  960 bytes, free
]], said(assert.live, full, a))
    assert.is_truthy(said(assert.no_leaks, full):find(
      "  16 bytes at 0x20, allocated at spec/assertions_spec.lua:", 1, true))
  end)
end)

describe("a drawing", function()
  local neighbourhood = require "heapwright.neighbourhood"

  it("is 80 columns wide whatever the blocks' sizes are", function()
    for _, capacity in ipairs { 16, 32, 48, 64, 80, 1024, "1M", "1G" } do
      local mem <close> = heapwright.new { capacity = capacity, small_pages = true }
      for i = 0, 6 do mem:alloc(1 << 4 * i) end
      for address in mem:blocks() do
        local bar, under = neighbourhood.draw(mem, address):match "^([^\n]*)\n([^\n]*)"
        assert.equal(80, #bar)
        assert.is_true(#under <= 80)
        assert.is_truthy(under:find("0x%x", 1, false))
        local column = under:find("^", 1, true)
        assert.is_truthy(bar:sub(column, column):find "[#.-]")
      end
    end
  end)

  it("marks the first and the last byte of a block inside of it", function()
    local mem <close> = heapwright.new { capacity = 1024 }
    for _ = 1, 10 do mem:alloc(100) end
    for address = 0, 1023 do
      local bar, under = neighbourhood.draw(mem, address):match "^([^\n]*)\n([^\n]*)"
      assert.not_equal("|", bar:sub(under:find("^", 1, true), under:find("^", 1, true)))
    end
  end)
end)

describe("an assertion's misuse", function()
  it("raises at the caller's line, naming the argument", function()
    local mem <close> = heapwright.new()
    local here = debug.getinfo(1, "l").currentline
    local cases = {
      { function() assert.live(mem, "x") end, "bad argument #2 to 'live' (an address expected, got string)" },
      { function() assert.live(mem) end, "bad argument #2 to 'live' (an address expected, got nil)" },
      { function() assert.live(mem, 1.5) end, "bad argument #2 to 'live' (an address expected, got 1.5)" },
      { function() assert.sound(nil) end, "bad argument #1 to 'sound' (a pool expected, got nil)" },
      { function() assert.sound({}) end, "bad argument #1 to 'sound' (a pool expected, got table)" },
      { function() assert.in_use(mem, "1K") end,
        "bad argument #2 to 'in_use' (a number of bytes expected, got string)" },
      { function() assert.fragmentation_below(mem) end,
        "bad argument #2 to 'fragmentation_below' (a number expected, got nil)" },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(case[1])
      assert.is_false(ok)
      local line, text = message:match "assertions_spec.lua:(%d+): (.*)$"
      assert.equal(case[2], text, message)
      assert.is_true(tonumber(line) > here)
    end
  end)

  it("of a closed pool raises", function()
    local mem = heapwright.new()
    mem:close()
    local ok, message = pcall(assert.sound, mem)
    assert.is_false(ok)
    assert.is_truthy(tostring(message):find "pool is closed")
  end)
end)

describe("without luassert", function()
  before_each(command.enter)
  after_each(command.leave)

  local function run(code)
    local script = command.write("s.lua", code)
    return command.shell(("LUA_PATH=/none/?.lua LUA_CPATH='%s/?.so' %s %s"):format(
      command.path:match "(.*)/", arg[-1], script))
  end

  it("the module works, and requiring the assertions says what is missing", function()
    local out, err, code = run [[
      local heapwright = require "heapwright"
      local mem = heapwright.new()
      require "heapwright.property".check { capacity = 1024, operations = 10, runs = 1 }
      print(mem:alloc(1), pcall(require, "heapwright.assertions"))
    ]]
    assert.equal("", err)
    assert.equal(0, code)
    assert.equal("0\tfalse\theapwright.assertions are for luassert, which was not found: install busted or luassert",
      out:match "^[^\n]*")
  end)
end)
