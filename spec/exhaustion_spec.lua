-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"

describe("a pool that has no place", function()
  local mem

  before_each(function() mem = assert(heapwright.new { capacity = "4K" }) end)
  after_each(function() mem:close() end)

  local function refused(message, ...)
    local none, said, code = ...
    assert.is_nil(none)
    assert.equal(message, said)
    assert.equal("no_memory", code)
  end

  it("says how much is free and how large the largest piece", function()
    refused("no free block of 4097 bytes: the largest of 4096 free bytes is 4096", mem:alloc(4097))
    local a = mem:alloc(2000)
    mem:alloc(16)
    mem:free(a)
    refused("no free block of 2081 bytes: the largest of 4080 free bytes is 2080", mem:alloc(2081))
  end)

  it("says so when it is full", function()
    mem:alloc(4096)
    refused("no free block of 1 byte: all 4096 bytes are granted", mem:malloc(1))
    refused("no free block of 0 bytes: all 4096 bytes are granted", mem:alloc(0))
  end)

  it("goes on after it", function()
    local a = mem:alloc(4096)
    assert.is_nil((mem:alloc(16)))
    mem:free(a)
    assert.equal(0, mem:alloc(4096))
  end)

  it("answers any size, however large", function()
    for _, size in ipairs { 4097, 1 << 31, 1 << 32, (1 << 36) - 1, 1 << 36, 1 << 62, math.maxinteger - 1,
      math.maxinteger } do
      assert.equal("no_memory", select(3, mem:alloc(size)))
      assert.equal("no_memory", select(3, mem:malloc(size)))
      assert.equal("no_memory", select(3, mem:calloc(1, size)))
      assert.equal("no_memory", select(3, mem:calloc(size, 1)))
      assert.equal("no_memory", select(3, mem:aligned_alloc(64, size)))
      assert.equal("no_memory", select(3, mem:realloc(nil, size)))
    end
    assert.equal(48, mem:stats().failures)
    assert.is_true(mem:check())
  end)

  it("names the policy that has a block and does not take it", function()
    local bump <close> = heapwright.new { capacity = "4K", policy = "bump" }
    bump:free(bump:alloc(4000))
    refused("bump has no place for 100 bytes: the largest of 4096 free bytes is 4000", bump:alloc(100))
  end)
end)
