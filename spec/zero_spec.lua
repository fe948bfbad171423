-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"
local contract = require "spec.support.contract"

describe("zeroing", function()
  for _, rule in ipairs(contract.rules()) do
    it("is malloc's and calloc's promise in memory that was used: " .. rule.label, function()
      local mem <close> = heapwright.new { capacity = "64K", policy = rule.policy, order = rule.order }
      local function soil()
        local a = assert(mem:alloc(32768))
        assert(mem:fill(a, 0xAA, 32768))
        assert(mem:free(a))
        if rule.policy == "bump" then mem:reset() end
      end
      for _, size in ipairs { 0, 1, 15, 16, 17, 1000, 20000 } do
        soil()
        local a = assert(mem:malloc(size))
        assert.equal(("\0"):rep(size), mem:read(a))
        mem:reset()
        soil()
        local b = assert(mem:calloc(3, size))
        assert.equal(("\0"):rep(3 * size), mem:read(b))
        assert.equal(3 * size, mem:size(b))
        mem:reset()
      end
    end)
  end

  it("reaches every byte of a block of any size", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    for size = 0, 300 do
      local a = assert(mem:alloc(320))
      assert(mem:fill(a, 0xAA, 320))
      assert(mem:free(a))
      local b = assert(mem:malloc(size))
      assert.equal(a, b)
      assert.equal(("\0"):rep(size), mem:read(b))
      assert(mem:free(b))
    end
  end)

  it("is not alloc's", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    local a = mem:alloc(64)
    mem:fill(a, 0xAA, 64)
    mem:free(a)
    assert.equal(("\xAA"):rep(8), mem:read(mem:alloc(64)):sub(33, 40))
  end)

  it("in calloc multiplies", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    assert.equal(12, mem:size(mem:calloc(3, 4)))
    assert.equal(0, mem:size(mem:calloc(0, 4)))
    assert.equal(0, mem:size(mem:calloc(4, 0)))
    assert.equal(0, mem:size(mem:calloc(math.maxinteger, 0)))
  end)

  it("in calloc sees a product that overflows", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    local none, message, code = mem:calloc(math.maxinteger, math.maxinteger)
    assert.is_nil(none)
    assert.equal("no_memory", code)
    assert.equal("calloc of 9223372036854775807 times 9223372036854775807 bytes: no pool holds so many",
      message)
    assert.equal("no_memory", select(3, mem:calloc(1 << 62, 4)))
    assert.equal("no_memory", select(3, mem:calloc(1 << 61, 16)))
    assert.equal(3, mem:stats().failures)
    assert.equal(0, mem:stats().live_blocks)
  end)
end)
