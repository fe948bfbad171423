-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"
local contract = require "spec.support.contract"

describe("aligned_alloc", function()
  for _, rule in ipairs(contract.rules()) do
    it("grants any power of two up to the capacity: " .. rule.label, function()
      for shift = 0, 20 do
        local mem <close> = heapwright.new { capacity = "1M", policy = rule.policy, order = rule.order }
        local first = mem:alloc(1)
        local size = shift == 20 and 1 or 100
        local a = mem:aligned_alloc(1 << shift, size)
        if shift == 20 then
          -- Where address 0 is taken, the next multiple lies past the end.
          if first == 0 then assert.is_nil(a) else assert.equal(0, a) end
        else
          assert.equal(0, a % (1 << shift))
          assert.equal(size, mem:size(a))
        end
        assert.is_true(mem:check())
      end
    end)
  end

  it("takes the lowest aligned place and leaves what lies before it free", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    mem:alloc(16)
    assert.equal(256, mem:aligned_alloc(256, 16))
    assert.equal(16, mem:alloc(240))
  end)

  it("under worst fit takes the lowest of equal blocks where the largest has no aligned place", function()
    local mem <close> = heapwright.new { capacity = 1024, policy = "worst-fit" }
    local blocks = {}
    for i, size in ipairs { 16, 240, 256, 128, 128, 128, 128 } do blocks[i] = mem:alloc(size) end
    assert.same({ 0, 16, 256, 512, 640, 768, 896 }, blocks)
    mem:free(16) -- 240 bytes, none of them at a multiple of 256
    mem:free(512)
    mem:free(768)
    assert.equal(512, mem:aligned_alloc(256, 16))
    assert.equal(768, mem:aligned_alloc(256, 16))
    assert.is_nil(mem:aligned_alloc(256, 16))
  end)

  it("of the whole capacity is at 0", function()
    local mem <close> = heapwright.new { capacity = "64K" }
    assert.equal(0, mem:aligned_alloc(65536, 65536))
  end)

  it("of more than the pool has is no_memory and counts as a failure", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    mem:alloc(1)
    local none, message, code = mem:aligned_alloc(1 << 62, 1)
    assert.is_nil(none)
    assert.equal("no_memory", code)
    assert.equal("best-fit has no place for 1 byte aligned to 4611686018427387904: "
      .. "the largest of 4080 free bytes is 4080", message)
    assert.equal(1, mem:stats().failures)
  end)

  it("to what is no power of two is an invalid argument and counts nothing", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    for _, alignment in ipairs { 0, 3, 24, -1, -16, math.mininteger, math.maxinteger } do
      local none, message, code = mem:aligned_alloc(alignment, 16)
      assert.is_nil(none)
      assert.equal("invalid_argument", code)
      assert.equal("aligned_alloc: the alignment " .. alignment .. " is not a power of two", message)
    end
    assert.equal(0, mem:stats().failures)
    assert.equal(0, mem:stats().allocations)
  end)
end)
