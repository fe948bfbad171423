-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"
local contract = require "spec.support.contract"

local STEP = 64 * 1024

for _, rule in ipairs(contract.rules()) do
  describe("a pool with a max_capacity, " .. rule.label .. ",", function()
    local mem

    local function open(capacity, max_capacity)
      mem = assert(heapwright.new {
        capacity = capacity, max_capacity = max_capacity, policy = rule.policy, order = rule.order,
      })
      return mem
    end

    after_each(function()
      if mem then mem:close() end
      mem = nil
    end)

    it("grows when a request does not fit, and addresses stay", function()
      open("64K", "1M")
      local a = assert(mem:alloc(60000))
      mem:write(a, "kept")
      assert.equal(STEP, mem:stats().capacity)
      local b = assert(mem:alloc(60000))
      assert.is_true(mem:stats().capacity > STEP)
      assert.equal("kept", mem:read(a, 4))
      assert.is_true(mem:write(b + 59990, "end"))
      contract.consistent(mem)
    end)

    it("grows by as much as a request needs, to its maximum and not past it", function()
      open("64K", "1M")
      assert(mem:alloc(500000))
      contract.consistent(mem)
      local none, _, code = mem:alloc(1 << 20)
      assert.is_nil(none)
      assert.equal("no_memory", code)
      assert.is_true(mem:stats().capacity <= 1 << 20)
      contract.consistent(mem)
    end)

    it("that fails to grow enough is as it was", function()
      open("64K", "256K")
      contract.drive(mem, 8, 200, 300)
      local before = mem:stats()
      local map = mem:map(4096)
      assert.is_nil((mem:alloc(256 * 1024)))
      local after = mem:stats()
      for _, name in ipairs { "steps", "steps_max", "failures" } do before[name], after[name] = nil, nil end
      assert.same(before, after)
      assert.equal(map, mem:map(4096))
      contract.consistent(mem)
    end)

    it("that grew for a request for which its policy has no place all the same is as it was", function()
      for granules = 1, 256, 51 do
        open("64K", "200K") -- in which no buddy of 128 KiB fits behind a live block
        assert(mem:alloc(granules * 16))
        for _, size in ipairs { 70000, 100000, 132000, 150000, 190000 } do
          local address = mem:alloc(size)
          if address then
            mem:reset()
            assert(mem:alloc(granules * 16))
          else
            assert.equal(STEP, mem:stats().capacity, size)
            contract.consistent(mem)
          end
        end
        mem:close()
      end
    end)

    it("grants its maximum in the end, to the last granule", function()
      open("64K", "256K")
      local count = 0
      while mem:alloc(1024) do count = count + 1 end
      if rule.order == "random" then -- the first one may lie at no multiple of its size
        while mem:alloc(16) do count = count + 1 / 64 end
      end
      assert.equal(256, count)
      assert.equal(262144, mem:stats().capacity)
      contract.consistent(mem)
    end)

    it("grants its maximum and no more where that is no multiple of a step", function()
      open("64K", 9000 * 16)
      local count = 0
      while mem:alloc(16) do count = count + 1 end
      assert.equal(9000, count)
      assert.equal(9000 * 16, mem:stats().capacity)
      contract.consistent(mem)
    end)

    it("shrinks to its capacity and no further, whatever it is guarded with", function()
      for _, guard in ipairs { "off", "check" } do
        mem = assert(heapwright.new {
          capacity = "256K", max_capacity = "1M", policy = rule.policy, order = rule.order, guard = guard,
        })
        assert(mem:free(assert(mem:alloc(600000))))
        if rule.policy == "bump" then mem:reset() end
        assert.equal(262144, mem:stats().capacity)
        contract.consistent(mem)
        mem:close()
      end
    end)

    it("shrinks again, never below its capacity", function()
      open("64K", "4M")
      local held = {}
      for i = 1, 60 do held[i] = assert(mem:alloc(32768)) end
      local grown = mem:stats().capacity
      assert.is_true(grown >= 60 * 32768)
      for i = 60, 1, -1 do
        assert(mem:free(held[i]))
        contract.consistent(mem)
      end
      if rule.policy == "bump" then mem:reset() end
      local capacity = mem:stats().capacity
      assert.is_true(capacity < grown and capacity >= STEP)
      assert.equal(0, capacity % STEP)
      assert.is_true(capacity <= 3 * STEP)
    end)

    it("keeps the contract while it grows and shrinks", function()
      open("16K", "2M")
      for seed = 41, 43 do
        local held = contract.drive(mem, seed, 500, 20000)
        for _, block in ipairs(held) do assert(mem:free(block.address)) end
        if rule.policy == "bump" then mem:reset() end
        contract.consistent(mem)
      end
    end)

    it("keeps the contract where the maximum is no multiple of a step", function()
      open(5000, 150000)
      contract.drive(mem, 44, 600, 9000)
      mem:reset()
      contract.consistent(mem)
    end)
  end)
end

describe("a pool with a max_capacity", function()
  it("forgets nothing of an address past its end", function()
    local mem <close> = heapwright.new { capacity = "64K", max_capacity = "1M" }
    local a = mem:alloc(60000)
    local b = mem:alloc(500000)
    assert.is_true(mem:free(b))
    assert.is_nil((mem:free(b)))
    assert.is_nil((mem:read(b, 1)))
    assert.is_true(mem:free(a))
  end)

  it("does not grow for what could never fit", function()
    local mem <close> = heapwright.new { capacity = "64K", max_capacity = "1M" }
    assert.is_nil((mem:alloc(math.maxinteger)))
    assert.is_nil((mem:aligned_alloc(1 << 40, 100000)))
    assert.equal(65536, mem:stats().capacity)
    assert.is_true(mem:check())
  end)

  it("keeps the next step when it shrinks, so that a block that comes and goes moves no end", function()
    local mem <close> = heapwright.new { capacity = "64K", max_capacity = "1M" }
    assert(mem:alloc(60000))
    local kept, large = assert(mem:alloc(STEP)), assert(mem:alloc(5 * STEP))
    assert(mem:free(large))
    assert.equal(3 * STEP, mem:stats().capacity) -- the two that the live blocks reach into, and one
    for _ = 1, 3 do
      local address = assert(mem:alloc(60000))
      assert.equal(3 * STEP, mem:stats().capacity)
      assert(mem:free(address))
      assert.equal(3 * STEP, mem:stats().capacity)
    end
    assert(mem:free(kept))
  end)

  it("grows where what is free at its end is several blocks", function()
    local mem <close> = heapwright.new {
      capacity = 48 * 16, max_capacity = 1024 * 16, granule = 16, policy = "buddy",
    }
    assert.equal(0, mem:malloc(1000 * 16)) -- buddies of 32 and of 16 granules, none of them live
    assert.equal(1024 * 16, mem:stats().granted)
  end)
end)
