-- SPDX-License-Identifier: MIT
-- Each exact rule in a picture small enough to follow by hand. property_spec has every
-- rule beside the model, where ties, splits and joins are dense.
local heapwright = require "heapwright"

-- A pool of 1 KiB with free blocks at 0 (64), 128 (32), 256 (96), 448 (32) and
-- 608 to its end (416), freed in the order given by their addresses; live else.
local HOLES = { [0] = 64, [128] = 32, [256] = 96, [448] = 32 }

local function holed(policy, order, freed)
  local mem = assert(heapwright.new { capacity = 1024, policy = policy, order = order })
  for _, size in ipairs { 64, 64, 32, 96, 96, 96, 32, 128 } do assert(mem:alloc(size)) end
  for _, address in ipairs(freed or { 0, 128, 256, 448 }) do
    assert(mem:size(address) == HOLES[address])
    assert(mem:free(address))
  end
  return mem
end

local function places(policy, order, freed, sizes)
  local mem <close> = holed(policy, order, freed)
  local list = {}
  for i, size in ipairs(sizes) do list[i] = mem:alloc(size) end
  assert(mem:check())
  return list
end

describe("best fit", function()
  it("takes the smallest block that fits, the lowest of equals", function()
    assert.same({ 128, 448, 0, 32, 256 }, places("best-fit", nil, nil, { 32, 32, 32, 32, 96 }))
    assert.same({ 0, 256, 608 }, places("best-fit", nil, { 448, 256, 128, 0 }, { 48, 80, 112 }))
  end)

  it("by fifo takes the equal that was freed first", function()
    assert.same({ 448, 128 }, places("best-fit", "fifo", { 448, 0, 128, 256 }, { 32, 32 }))
    assert.same({ 128, 448 }, places("best-fit", "fifo", { 128, 0, 448, 256 }, { 32, 32 }))
  end)

  it("by lifo takes the equal that was freed last", function()
    assert.same({ 128, 448 }, places("best-fit", "lifo", { 448, 0, 128, 256 }, { 32, 32 }))
    assert.same({ 448, 128 }, places("best-fit", "lifo", { 128, 0, 448, 256 }, { 32, 32 }))
  end)
end)

describe("first fit", function()
  it("takes the lowest block that fits", function()
    assert.same({ 0, 48, 128, 256, 608 },
      places("first-fit", nil, { 448, 256, 128, 0 }, { 48, 16, 32, 96, 96 }))
  end)

  it("by fifo takes the block that entered first, and what is left of one enters last", function()
    assert.same({ 608, 256, 0, 640 }, places("first-fit", "fifo", { 256, 448, 0, 128 }, { 32, 96, 64, 64 }))
  end)

  it("by lifo takes the block that entered last", function()
    assert.same({ 128, 0, 448 }, places("first-fit", "lifo", { 256, 448, 0, 128 }, { 32, 64, 16 }))
  end)
end)

describe("next fit", function()
  it("goes on from the end of the last placement and wraps", function()
    assert.same({ 608, 640, 0, 32, 128 }, places("next-fit", nil, nil, { 32, 384, 32, 32, 32 }))
  end)

  it("leaves a block that starts before the rover for the next time round", function()
    local mem <close> = heapwright.new { capacity = 1024, policy = "next-fit" }
    local a, b = mem:alloc(64), mem:alloc(64)
    mem:free(a)
    mem:free(b) -- one free block from 0; the rover stays at 128
    assert.equal(0, mem:alloc(16)) -- it starts before the rover: taken only since it is the one there is
    assert.equal(16, mem:alloc(16))
  end)

  it("counts from the end of the last placement, not from its start", function()
    local mem <close> = heapwright.new { capacity = 1024, policy = "next-fit" }
    local a = mem:alloc(64)
    mem:alloc(64)
    local c = mem:alloc(800)
    mem:free(a)
    mem:free(c) -- free from 128 on; the rover stays at 928, past its start
    assert.equal(0, mem:alloc(16))
  end)

  it("keeps its rover where a block is resized in place", function()
    local mem <close> = heapwright.new { capacity = 1024, policy = "next-fit" }
    local a = mem:alloc(64)
    mem:alloc(64)
    mem:realloc(a, 16) -- frees 16 to 64
    assert.equal(128, mem:alloc(16))
  end)
end)

describe("worst fit", function()
  it("takes the largest block, the lowest of equals", function()
    assert.same({ 608, 704, 800, 896, 256 }, places("worst-fit", nil, nil, { 96, 96, 96, 64, 16 }))
  end)

  it("by fifo and lifo breaks ties by time", function()
    for order, expected in pairs { fifo = 448, lifo = 128, address = 128 } do
      local mem <close> = holed("worst-fit", order, { 448, 128 })
      assert(mem:alloc(416)) -- the pool's end
      assert.equal(expected, mem:alloc(16), order)
    end
  end)
end)

-- Above 64 granules a bin holds several sizes: 256 to 259 granules are one.
describe("good fit", function()
  local GRANULES = { 256, 257, 258, 259 }

  -- A pool full of blocks of so many granules with a live one behind each, of which the first ones are free,
  -- the last one freed first.
  local function full_but_for(sizes, options)
    local total = 0
    for _, size in ipairs(sizes) do total = total + size + 1 end
    options.policy, options.capacity = "good-fit", total * 16
    local mem, held = assert(heapwright.new(options)), {}
    for i, size in ipairs(sizes) do
      held[i] = assert(mem:alloc(size * 16))
      assert(mem:alloc(16))
    end
    return mem, held
  end

  for _, guard in ipairs { "off", "check" } do
    it("takes the newest block of the first bin that is sure to fit, guard " .. guard, function()
      for _, size in ipairs(GRANULES) do
        local mem <close>, held = full_but_for({ 256, 300, 260, 260 }, { guard = guard })
        for i = 4, 1, -1 do assert(mem:free(held[i])) end
        local expected = size == 256 and held[1] or held[3]
        assert.equal(expected, mem:alloc(size * 16))
        assert.is_true(mem:check())
      end
    end)

    it("where there is none looks at the 8 newest of the size's own bin, guard " .. guard, function()
      for others = 0, 12 do
        local sizes = { 259 }
        for i = 1, others do sizes[i + 1] = 256 end
        local mem <close>, held = full_but_for(sizes, { guard = guard })
        for _, address in ipairs(held) do assert(mem:free(address)) end
        assert.equal(others < 8 and held[1] or nil, (mem:alloc(259 * 16)))
        assert.is_true(mem:check())
      end
    end)
  end
end)

describe("buddy", function()
  it("cuts the pool into powers of two from address 0", function()
    local mem <close> = heapwright.new { capacity = 16 * (32 + 8 + 1), policy = "buddy" }
    local sizes = {}
    for address, size in mem:blocks() do sizes[#sizes + 1] = address .. "+" .. size end
    assert.same({ "0+512", "512+128", "640+16" }, sizes)
  end)

  it("takes the smallest order that has a block, and its low half", function()
    local mem <close> = heapwright.new { capacity = 1024, policy = "buddy" }
    assert.equal(0, mem:alloc(100))
    assert.equal(128, mem:usable_size(0))
    assert.equal(128, mem:alloc(17))
    assert.equal(160, mem:alloc(32))
    assert.equal(192, mem:alloc(33))
    assert.equal(512, mem:alloc(257))
    assert.equal(256, mem:alloc(256))
  end)

  it("joins a block with its buddy only", function()
    local mem <close> = heapwright.new { capacity = 64, policy = "buddy" }
    for _ = 1, 4 do mem:alloc(16) end
    mem:free(16)
    mem:free(32)
    assert.equal(2, mem:stats().free_blocks)
    mem:free(0)
    assert.equal(2, mem:stats().free_blocks)
    mem:free(48)
    assert.equal(1, mem:stats().free_blocks)
  end)
end)

describe("bump", function()
  it("lets no block grow into freed bytes, only into those that nobody had", function()
    local mem <close> = heapwright.new { capacity = 1024, policy = "bump" }
    local a, b = mem:alloc(100), mem:alloc(100)
    assert.equal(b, mem:realloc(b, 200))
    assert.is_true(mem:free(b))
    assert.equal(320, mem:realloc(a, 150))
    assert.equal(320, mem:realloc(320, 300))
    assert.is_true(mem:check())
  end)

  it("takes the next bytes, whatever was freed, until it is reset", function()
    local mem <close> = heapwright.new { capacity = 1024, policy = "bump" }
    assert.equal(0, mem:alloc(500))
    mem:free(0)
    assert.equal(512, mem:alloc(500))
    mem:free(512)
    assert.is_nil((mem:alloc(16)))
    assert.equal(1024, mem:stats().free)
    mem:reset()
    assert.equal(0, mem:alloc(1024))
  end)
end)

describe("a reset", function()
  it("forgets which alignment was asked for, and where the rover was", function()
    local function run(policy, guard, dirty)
      local mem <close> = heapwright.new { capacity = "4K", policy = policy, guard = guard }
      if dirty then
        assert(mem:aligned_alloc(1024, 16))
        mem:reset()
      end
      local list = { mem:aligned_alloc(32, 0), mem:alloc(0), mem:alloc(0) }
      list[4] = mem:realloc(list[2], 17)
      list[5] = mem:realloc(list[1], 17)
      return list
    end
    for _, policy in ipairs { "best-fit", "first-fit", "next-fit", "worst-fit", "buddy" } do
      for _, guard in ipairs { "off", "check" } do
        assert.same(run(policy, guard, false), run(policy, guard, true))
      end
    end
  end)
end)
