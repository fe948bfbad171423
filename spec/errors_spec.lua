-- SPDX-License-Identifier: MIT
-- Each code that Lua can meet, with its message. "corrupted" takes a write from
-- C and "limit" an account: see the specs in C.
local heapwright = require "heapwright"

describe("the error", function()
  local mem

  before_each(function() mem = assert(heapwright.new { capacity = "4K" }) end)
  after_each(function() if mem then mem:close() end end)

  local function gives(code, message, ...)
    assert.equal(3, select("#", ...))
    local none, said, got = ...
    assert.is_nil(none)
    assert.equal(message, said)
    assert.equal(code, got)
  end

  it("no_memory", function()
    gives("no_memory", "no free block of 5000 bytes: the largest of 4096 free bytes is 4096", mem:alloc(5000))
    gives("no_memory", "no free block of 5000 bytes aligned to 64: the largest of 4096 free bytes is 4096",
      mem:aligned_alloc(64, 5000))
  end)

  it("no_memory of a pool that no system gives", function()
    gives("no_memory", "a pool of 1125899906842624 bytes: with granules of 16, 68719475712 are the most",
      heapwright.new { capacity = 1 << 50 })
    gives("no_memory", "a pool of 9223372036854775807 bytes: with granules of 16, 68719475712 are the most",
      heapwright.new { max_capacity = math.maxinteger })
  end)

  it("invalid_free", function()
    local a = mem:alloc(64)
    mem:alloc(100)
    gives("invalid_free", "free of 0x41: inside the 100-byte block at 0x40", mem:free(0x41))
    gives("invalid_free", "realloc of 0x1: inside the 64-byte block at 0x0", mem:realloc(a + 1, 5))
    gives("invalid_free", "size of 0x1000: outside of the pool's 4096 bytes", mem:size(4096))
    gives("invalid_free", "usable_size of -0x8000000000000000: outside of the pool's 4096 bytes",
      mem:usable_size(math.mininteger))
    gives("invalid_free",
      "free of 0x800: no block was ever allocated there, it is inside a free block of 3920 bytes at 0xb0",
      mem:free(0x800))
  end)

  it("double_free", function()
    local a = mem:alloc(64)
    local b = mem:alloc(16)
    mem:free(b)
    mem:free(a)
    gives("double_free", "double free of 0x0: it is now inside a free block of 4096 bytes at 0x0",
      mem:free(a))
    mem:alloc(100)
    gives("double_free", "double free of 0x40: it is now inside the 100-byte block at 0x0", mem:free(b))
    gives("double_free",
      "usable_size of 0x40: its block was freed, it is now inside the 100-byte block at 0x0",
      mem:usable_size(b))
  end)

  it("unallocated", function()
    mem:alloc(16)
    gives("unallocated", "read of 4 bytes at 0x20: inside a free block of 4080 bytes at 0x10",
      mem:read(32, 4))
    gives("unallocated", "owner of 0x20: inside a free block of 4080 bytes at 0x10", mem:owner(32))
  end)

  it("out_of_bounds", function()
    local a = mem:alloc(100)
    gives("out_of_bounds", "write of 101 bytes at 0x0 runs 1 byte past the 100-byte block at 0x0",
      mem:write(a, ("x"):rep(101)))
    gives("out_of_bounds", "owner of 0x1000: outside of the pool's 4096 bytes", mem:owner(4096))
  end)

  it("invalid_argument", function()
    gives("invalid_argument", "aligned_alloc: the alignment 3 is not a power of two", mem:aligned_alloc(3, 1))
  end)

  it("io", function()
    local none, message, code = mem:record "/nowhere/at/all.txt"
    assert.is_nil(none)
    assert.equal("io", code)
    assert.is_truthy(message:find("/nowhere/at/all.txt", 1, true))
  end)
end)
