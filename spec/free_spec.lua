-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"

describe("free", function()
  local mem

  before_each(function() mem = assert(heapwright.new { capacity = "4K" }) end)
  after_each(function() mem:close() end)

  local function code_of(...) return (select(3, ...)) end

  it("gives a block back and joins it with its free neighbours", function()
    local a, b, c = mem:alloc(16), mem:alloc(16), mem:alloc(16)
    assert.is_true(mem:free(a))
    assert.is_true(mem:free(c))
    assert.equal(2, mem:stats().free_blocks)
    assert.is_true(mem:free(b))
    assert.equal(1, mem:stats().free_blocks)
    assert.equal(4096, mem:stats().largest_free)
  end)

  it("of a freed block is a double free", function()
    local a = mem:alloc(16)
    mem:free(a)
    assert.equal("double_free", code_of(mem:free(a)))
  end)

  it("of a freed block is a double free though the address now lies inside another block", function()
    local a = mem:alloc(16)
    local b = mem:alloc(16)
    mem:free(b)
    mem:free(a)
    assert.equal(a, mem:alloc(64))
    assert.equal("double_free", code_of(mem:free(b)))
    assert.equal("double_free", code_of(mem:realloc(b, 5)))
    assert.equal("double_free", code_of(mem:size(b)))
  end)

  it("of an address granted anew frees the new block", function()
    local a = mem:alloc(16)
    mem:free(a)
    assert.equal(a, mem:alloc(16))
    assert.is_true(mem:free(a))
  end)

  it("of where a block moved away from is a double free", function()
    local a = mem:alloc(16)
    mem:alloc(16)
    local moved = mem:realloc(a, 64)
    assert.not_equal(a, moved)
    assert.equal("double_free", code_of(mem:free(a)))
  end)

  it("after a reset is a double free", function()
    local a = mem:alloc(16)
    mem:reset()
    assert.equal("double_free", code_of(mem:free(a)))
  end)

  it("of what was never granted is invalid", function()
    mem:alloc(100)
    for _, address in ipairs {
      -1, 1, 15, 16, 99, 111, 112, 4095, 4096, 1 << 40, math.mininteger, math.maxinteger,
    } do
      assert.equal("invalid_free", code_of(mem:free(address)))
    end
    assert.equal(1, mem:stats().live_blocks)
    assert.equal(0, mem:stats().frees)
  end)

  it("without guard takes a free address for a freed one", function()
    local bare <close> = heapwright.new { capacity = "4K", guard = "off" }
    local a = bare:alloc(16)
    bare:free(a)
    assert.equal("double_free", code_of(bare:free(a)))
    assert.equal("double_free", code_of(bare:free(32)))
    bare:alloc(100)
    assert.equal("invalid_free", code_of(bare:free(16)))
    assert.equal("invalid_free", code_of(bare:free(4096)))
  end)
end)

describe("reset", function()
  it("frees everything, counts it, and keeps what was counted", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    for _ = 1, 5 do mem:alloc(100) end
    mem:alloc(10000)
    assert.is_true(mem:reset())
    local stats = mem:stats()
    assert.equal(0, stats.in_use)
    assert.equal(0, stats.live_blocks)
    assert.equal(1, stats.free_blocks)
    assert.equal(5, stats.allocations)
    assert.equal(5, stats.frees)
    assert.equal(1, stats.failures)
    assert.equal(500, stats.peak_in_use)
    assert.is_true(mem:check())
    assert.equal(0, mem:alloc(4096))
  end)
end)
