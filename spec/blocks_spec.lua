-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"

describe("blocks", function()
  local mem

  before_each(function() mem = assert(heapwright.new { capacity = 1024 }) end)
  after_each(function() mem:close() end)

  local function list()
    local all = {}
    for address, size, requested in mem:blocks() do all[#all + 1] = { address, size, requested } end
    return all
  end

  it("walks in address order, free blocks without a requested size", function()
    mem:alloc(10)
    local b = mem:alloc(100)
    mem:alloc(0)
    mem:free(b)
    assert.same({ { 0, 16, 10 }, { 16, 112 }, { 128, 16, 0 }, { 144, 880 } }, list())
  end)

  it("of a new pool is one, of a full one none of them free", function()
    assert.same({ { 0, 1024 } }, list())
    mem:alloc(1024)
    assert.same({ { 0, 1024, 1024 } }, list())
  end)

  it("walks on where the pool changes under it", function()
    for _ = 1, 64 do mem:alloc(16) end
    local seen = {}
    for address in mem:blocks() do
      seen[#seen + 1] = address
      if address == 0 then for i = 0, 20 do mem:free(i * 16) end end
    end
    assert.equal(0, seen[1])
    for i = 2, #seen do assert.is_true(seen[i] > seen[i - 1]) end
    assert.equal(21 * 16, seen[2])
    assert.equal(64 - 20, #seen)
  end)

  it("ends where the pool is reset under it", function()
    mem:alloc(16)
    mem:alloc(16)
    local steps = 0
    for _ in mem:blocks() do
      mem:reset()
      steps = steps + 1
    end
    assert.equal(1, steps)
  end)

  it("is an iterator that may be called by hand, and again at its end", function()
    local step = mem:blocks()
    assert.equal(0, (step()))
    assert.is_nil((step()))
    assert.is_nil((step()))
  end)

  it("raises where the pool is closed under it", function()
    local step = mem:blocks()
    mem:close()
    local ok, message = pcall(step)
    assert.is_false(ok)
    assert.is_truthy(message:find "pool is closed")
  end)
end)

describe("map", function()
  local function map(capacity, sizes, width)
    local mem <close> = heapwright.new { capacity = capacity }
    for _, size in ipairs(sizes) do
      if size < 0 then mem:free(-size) else mem:alloc(size) end
    end
    return mem:map(width)
  end

  it("draws live, free and partly live columns", function()
    assert.equal("........", map(1024, {}, 8))
    assert.equal("########", map(1024, { 1024 }, 8))
    assert.equal("##+.....", map(1024, { 320 }, 8))
    assert.equal("+......+", map(1024, { 16, 992, 16, -16 }, 8))
    assert.equal("#", map(16, { 16 }, 1))
    assert.equal("+", map(32, { 16 }, 1))
  end)

  it("is 64 columns wide unless told", function()
    assert.equal(64, #map(1024, {}))
    assert.equal(("#"):rep(32) .. ("."):rep(32), map(1024, { 512 }))
  end)

  it("may be wider than the pool has granules, or bytes", function()
    assert.equal("##..", map(32, { 16 }, 4))
    assert.equal(("#"):rep(100) .. ("."):rep(100), map(32, { 16 }, 200))
  end)

  it("of a width that does not divide the pool marks every column it touches", function()
    assert.equal("++.", map(48 * 16, { 0, 240, 16, 256 - 16, -16, -272 }, 3):sub(1, 1) .. "+.")
    for width = 1, 70 do
      local picture = map(1024, { 512 }, width)
      assert.equal(width, #picture)
      assert.equal(width % 2 == 0 and ("#"):rep(width // 2) .. ("."):rep(width // 2)
        or ("#"):rep(width // 2) .. "+" .. ("."):rep(width // 2), picture)
    end
  end)
end)
