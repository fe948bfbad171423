-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"

describe("access", function()
  local mem, a, b

  before_each(function()
    mem = assert(heapwright.new { capacity = "64K" })
    mem:alloc(64)
    a = mem:alloc(100) -- 0x40
    b = mem:alloc(40) -- 0xb0
  end)
  after_each(function() mem:close() end)

  local function refused(code, message, ...)
    local none, said, got = ...
    assert.is_nil(none)
    assert.equal(message, said)
    assert.equal(code, got)
  end

  describe("by write and read", function()
    it("keeps any bytes", function()
      local all = {}
      for byte = 0, 99 do all[#all + 1] = string.char(byte * 7 % 256) end
      local bytes = table.concat(all)
      assert.is_true(mem:write(a, bytes))
      assert.equal(bytes, mem:read(a, 100))
      assert.equal(bytes:sub(31, 40), mem:read(a + 30, 10))
    end)

    it("reads to the end of the block where no count is given", function()
      mem:write(a, ("x"):rep(100))
      assert.equal(100, #mem:read(a))
      assert.equal(1, #mem:read(a + 99))
      assert.equal("", mem:read(a + 100))
      assert.equal(100, #mem:read(a, nil))
    end)

    it("reads what is larger than any buffer on the way", function()
      for _, size in ipairs { 1023, 1024, 1025, 5000, 60000 } do
        local large = mem:malloc(size)
        mem:write(large + size - 3, "end")
        assert.equal(("\0"):rep(size - 3) .. "end", mem:read(large, size))
        mem:free(large)
      end
    end)

    it("refuses the first byte past the block, and says by how much", function()
      refused("out_of_bounds", "write of 101 bytes at 0x40 runs 1 byte past the 100-byte block at 0x40",
        mem:write(a, ("x"):rep(101)))
      refused("out_of_bounds", "read of 102 bytes at 0x40 runs 2 bytes past the 100-byte block at 0x40",
        mem:read(a, 102))
      refused("out_of_bounds", "write of 1 byte at 0xa4 runs 1 byte past the 100-byte block at 0x40",
        mem:write(a + 100, "x"))
      refused("out_of_bounds", "write of 1 byte at 0xa6 starts 2 bytes past the 100-byte block at 0x40",
        mem:write(a + 102, "x"))
      refused("out_of_bounds", "read of 0 bytes at 0xa5 starts 1 byte past the 100-byte block at 0x40",
        mem:read(a + 101))
    end)

    it("does not ask for memory before it knows the range", function()
      refused("out_of_bounds", "read of 9223372036854775807 bytes at 0x40 "
        .. "runs 9223372036854775707 bytes past the 100-byte block at 0x40", mem:read(a, math.maxinteger))
      assert.equal("out_of_bounds", select(3, mem:read(a, 1 << 40)))
      local thread <close> = assert(heapwright.spawn(nil, "while true do end")) -- with others it goes another way
      assert.is_nil((thread:join(0)))
      assert.equal("out_of_bounds", select(3, mem:read(a, math.maxinteger)))
    end)

    it("refuses free blocks and what is outside", function()
      refused("unallocated", "read of 4 bytes at 0x1000: inside a free block of 65312 bytes at 0xe0",
        mem:read(0x1000, 4))
      refused("out_of_bounds", "write of 2 bytes at 0x10000: outside of the pool's 65536 bytes",
        mem:write(65536, "xy"))
      refused("out_of_bounds", "write of 2 bytes at -0x1: outside of the pool's 65536 bytes",
        mem:write(-1, "xy"))
    end)

    it("of nothing is fine in a live block, and at its end", function()
      assert.is_true(mem:write(a, ""))
      assert.is_true(mem:write(a + 100, ""))
      assert.equal("", mem:read(a, 0))
      assert.equal("unallocated", select(3, mem:write(30000, "")))
    end)
  end)

  describe("by fill", function()
    it("sets bytes, and only those", function()
      mem:fill(a, 0, 100)
      assert.is_true(mem:fill(a + 10, 255, 5))
      assert.equal(("\0"):rep(10) .. ("\255"):rep(5) .. ("\0"):rep(85), mem:read(a))
    end)

    it("refuses what runs past the block", function()
      refused("out_of_bounds", "fill of 101 bytes at 0x40 runs 1 byte past the 100-byte block at 0x40",
        mem:fill(a, 0, 101))
      assert.equal("out_of_bounds", select(3, mem:fill(a, 0, math.maxinteger)))
    end)
  end)

  describe("by copy", function()
    it("moves bytes from block to block", function()
      mem:write(a, "from a to b")
      assert.is_true(mem:copy(b + 3, a, 11))
      assert.equal("from a to b", mem:read(b + 3, 11))
    end)

    it("moves overlapping bytes whole, either way", function()
      mem:write(a, "0123456789")
      assert.is_true(mem:copy(a + 2, a, 10))
      assert.equal("010123456789", mem:read(a, 12))
      assert.is_true(mem:copy(a, a + 2, 10))
      assert.equal("0123456789", mem:read(a, 10))
    end)

    it("refuses either end that runs past its block", function()
      local message = "copy of 41 bytes at 0xb0 runs 1 byte past the 40-byte block at 0xb0"
      refused("out_of_bounds", message, mem:copy(a, b, 41))
      refused("out_of_bounds", message, mem:copy(b, a, 41))
      assert.equal("unallocated", select(3, mem:copy(30000, a, 1)))
      assert.equal("unallocated", select(3, mem:copy(a, 30000, 1)))
    end)
  end)

  describe("by compare", function()
    it("orders as bytes, unsigned", function()
      mem:write(a, "abc\200")
      mem:write(b, "abc\100")
      assert.equal(0, mem:compare(a, b, 3))
      assert.equal(1, mem:compare(a, b, 4))
      assert.equal(-1, mem:compare(b, a, 4))
      assert.equal(0, mem:compare(a, b, 0))
    end)

    it("refuses what runs past a block", function()
      assert.equal("out_of_bounds", select(3, mem:compare(a, b, 41)))
      assert.equal("out_of_bounds", select(3, mem:compare(b, a, 41)))
    end)
  end)

  describe("by pack and unpack", function()
    it("takes the formats of string.pack", function()
      assert.is_true(mem:pack(a, "<i4 I2 d z s1", -7, 65535, 1.5, "zero", "length"))
      local values = table.pack(mem:unpack(a, "<i4 I2 d z s1"))
      assert.same({ -7, 65535, 1.5, "zero", "length", n = 5 }, values)
    end)

    it("writes the bytes that string.pack gives", function()
      mem:pack(b, ">I4 x i2", 0x01020304, -2)
      assert.equal(string.pack(">I4 x i2", 0x01020304, -2), mem:read(b, 7))
    end)

    it("reads exactly as far as the format says", function()
      mem:pack(b + 32, "<i8", 77)
      assert.equal(77, (mem:unpack(b + 32, "<i8")))
      refused("out_of_bounds", "unpack of 8 bytes at 0xd1 runs 1 byte past the 40-byte block at 0xb0",
        mem:unpack(b + 33, "<i8"))
    end)

    it("makes nothing that is too large for its block", function()
      collectgarbage()
      collectgarbage "stop" -- so that the count is what was asked for
      local before = collectgarbage "count"
      refused("out_of_bounds", "pack of 200000000 bytes at 0xb0 runs 199999960 bytes past the 40-byte block at 0xb0",
        mem:pack(b, "c200000000", "x"))
      assert.has_error(function() mem:pack(b, "c2147483647", "x") end) -- a format that there isn't
      local after = collectgarbage "count"
      collectgarbage "restart"
      assert.is_true(after - before < 1000) -- KiB
    end)

    it("packs nothing where it does not fit", function()
      mem:fill(b, 0, 40)
      refused("out_of_bounds", "pack of 8 bytes at 0xd4 runs 4 bytes past the 40-byte block at 0xb0",
        mem:pack(b + 36, "<i8", -1))
      assert.equal(("\0"):rep(40), mem:read(b))
    end)

    it("of no fixed size ends at the block's end", function()
      mem:fill(b, 65, 40)
      refused("out_of_bounds", "unpack of 'z' at 0xb0 runs past the block's end, 40 bytes on",
        mem:unpack(b, "z"))
      assert.equal("out_of_bounds", select(3, mem:unpack(b, "s4")))
      assert.equal("unallocated", select(3, mem:unpack(30000, "z")))
    end)

    it("of nothing gives nothing", function()
      assert.is_true(mem:pack(a, ""))
      assert.equal(0, select("#", mem:unpack(a, "")))
    end)

    it("raises for a wrong format or value, by our own count of arguments", function()
      assert.has_error(function() mem:pack(a, "q", 1) end,
        "bad argument #2 to 'pack' (invalid format option 'q')")
      assert.has_error(function() mem:unpack(a, "q") end,
        "bad argument #2 to 'unpack' (invalid format option 'q')")
      assert.has_error(function() mem:pack(a, "i4 i4", 1, "x") end,
        "bad argument #4 to 'pack' (number expected, got string)")
      assert.has_error(function() mem:pack(a, "i4") end,
        "bad argument #3 to 'pack' (number expected, got nil)")
      assert.has_error(function() mem:pack(a, "i1", 300) end, "bad argument #3 to 'pack' (integer overflow)")
    end)

    it("does not care what became of string.pack since", function()
      local pack, unpack = string.pack, string.unpack
      string.pack, string.unpack = nil, nil -- luacheck: ignore 122
      local ok, value = pcall(function() return mem:pack(a, "i4", 9) and mem:unpack(a, "i4") end)
      string.pack, string.unpack = pack, unpack -- luacheck: ignore 122
      assert.is_true(ok)
      assert.equal(9, value)
    end)
  end)
end)
