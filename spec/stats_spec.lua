-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"

local FIELDS = {
  "capacity", "in_use", "granted", "live_blocks", "free_blocks", "free", "largest_free", "peak_in_use",
  "peak_granted", "high_water", "allocations", "frees", "reallocations", "failures", "injected",
  "internal_fragmentation", "external_fragmentation", "steps", "steps_max", "quarantined",
}

describe("stats", function()
  local mem

  before_each(function() mem = assert(heapwright.new { capacity = "4K" }) end)
  after_each(function() mem:close() end)

  it("has the fields that are documented, and no other", function()
    local stats, count = mem:stats(), 0
    for _ in pairs(stats) do count = count + 1 end
    for _, field in ipairs(FIELDS) do assert.is_number(stats[field], field) end
    assert.equal(#FIELDS, count)
  end)

  it("is a fresh table each time", function()
    local before = mem:stats()
    mem:alloc(100)
    assert.equal(0, before.in_use)
    assert.not_equal(before, mem:stats())
  end)

  it("of a new pool says that all is free", function()
    local stats = mem:stats()
    stats.steps, stats.steps_max = nil, nil
    assert.same({
      capacity = 4096, in_use = 0, granted = 0, live_blocks = 0, free_blocks = 1, free = 4096,
      largest_free = 4096, peak_in_use = 0, peak_granted = 0, high_water = 0, allocations = 0, frees = 0,
      reallocations = 0, failures = 0, injected = 0, quarantined = 0,
      internal_fragmentation = 0.0, external_fragmentation = 0.0,
    }, stats)
  end)

  it("counts what the words of the design say", function()
    local a, b, c = mem:alloc(100), mem:alloc(100), mem:alloc(100)
    mem:free(b)
    mem:realloc(c, 50)
    mem:alloc(5000)
    mem:free(b)
    mem:free(a + 1)
    local stats = mem:stats()
    stats.steps, stats.steps_max = nil, nil
    assert.same({
      capacity = 4096, in_use = 150, granted = 112 + 64, live_blocks = 2, free_blocks = 2, free = 4096 - 176,
      largest_free = 4096 - 224 - 64, peak_in_use = 300, peak_granted = 336, high_water = 336,
      allocations = 3, frees = 1, reallocations = 1, failures = 1, injected = 0, quarantined = 0,
      internal_fragmentation = 1 - 150 / 176, external_fragmentation = 1 - 3808 / 3920,
    }, stats)
  end)

  it("has no external fragmentation in a full pool", function()
    mem:alloc(4096)
    assert.equal(0, mem:stats().external_fragmentation)
    assert.equal(0, mem:stats().internal_fragmentation)
    assert.equal(0, mem:stats().largest_free)
  end)
end)

describe("leaks", function()
  it("lists the live blocks, the largest first, by address among equals", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    assert.same({}, mem:leaks())
    mem:alloc(10)
    mem:alloc(300)
    local gone = mem:alloc(16)
    mem:alloc(10)
    mem:alloc(0)
    mem:free(gone)
    assert.same({
      { address = 16, size = 300 }, { address = 0, size = 10 }, { address = 336, size = 10 },
      { address = 352, size = 0 },
    }, mem:leaks())
  end)

  it("lists many", function()
    local mem <close> = heapwright.new { capacity = "1M" }
    for i = 1, 5000 do mem:alloc(i % 100) end
    local leaks = mem:leaks()
    assert.equal(5000, #leaks)
    for i = 2, #leaks do
      local a, b = leaks[i - 1], leaks[i]
      if a.size < b.size or (a.size == b.size and a.address >= b.address) then error "not in order" end
    end
  end)
end)

describe("tostring of a pool", function()
  it("says policy, capacity and what is in use", function()
    local mem <close> = heapwright.new { capacity = "4K", policy = "buddy" }
    mem:alloc(100)
    assert.equal("heapwright pool (buddy, 100 of 4096 bytes in use)", tostring(mem))
    mem:close()
    assert.equal("heapwright pool (buddy, closed)", tostring(mem))
  end)
end)
