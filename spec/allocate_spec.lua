-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"

describe("allocation", function()
  local mem

  before_each(function() mem = assert(heapwright.new { capacity = "64K" }) end)
  after_each(function() mem:close() end)

  it("starts at address 0 and leaves no gap for headers", function()
    assert.equal(0, mem:alloc(16))
    assert.equal(16, mem:alloc(32))
    assert.equal(48, mem:alloc(16))
  end)

  it("rounds up to granules and remembers what was asked for", function()
    local a = mem:alloc(17)
    assert.equal(17, mem:size(a))
    assert.equal(32, mem:usable_size(a))
    assert.equal(32, mem:alloc(1))
  end)

  it("remembers every requested size exactly", function()
    for size = 0, 700 do
      local a = assert(mem:alloc(size))
      assert(mem:fill(a, 0xFF, size))
      if mem:size(a) ~= size then error("size " .. size .. " became " .. mem:size(a)) end
      assert(mem:free(a))
    end
  end)

  it("grants the whole capacity, to the last byte", function()
    assert.equal(0, mem:alloc(65536))
    assert.is_true(mem:write(65535, "x"))
    assert.equal("x", mem:read(65535, 1))
    assert.equal(0, mem:stats().free)
  end)

  it("of 0 bytes grants addresses of their own", function()
    local a, b = mem:alloc(0), mem:alloc(0)
    assert.not_equal(a, b)
    assert.equal(0, mem:size(a))
    assert.equal("", mem:read(a))
    assert.is_true(mem:write(a, ""))
    assert.is_nil((mem:write(a, "x")))
    assert.is_true(mem:free(a))
    assert.is_true(mem:free(b))
  end)

  it("takes floats of a whole value as Lua does", function()
    assert.equal(0, mem:alloc(16.0))
    assert.equal("integer", math.type(mem:alloc(16.0)))
    assert.is_true(mem:free(16.0))
  end)

  it("aligns every address to 16", function()
    for size = 0, 100 do assert.equal(0, mem:alloc(size) % 16) end
  end)

  it("aligns to the granule where that is smaller", function()
    local fine <close> = heapwright.new { capacity = 1024, granule = 8 }
    assert.equal(0, fine:alloc(8))
    assert.equal(8, fine:alloc(1))
    assert.equal(16, fine:alloc(1))
  end)

  it("of the default pool is best fit in 1 MiB", function()
    local default <close> = heapwright.new()
    assert.equal(1048576, default:stats().capacity)
    assert.equal("best-fit", default:policy())
  end)
end)
