-- SPDX-License-Identifier: MIT
-- Words: 8 bytes that are read and changed in one step. That it is one step for
-- several threads is what spec/c/words_thread_test.c shows.
local heapwright = require "heapwright"

local ARGUMENTS <const> = { load = {}, store = { 1 }, fetch_add = { 1 }, cas = { 0, 1 } }

-- Every policy, with and without a lock, caches, the smallest granule, memory of frees.
local function each_pool(visit)
  for _, policy in ipairs(heapwright.policies()) do
    local variants = {
      { name = "", thread_safe = true },
      { name = " without a lock", thread_safe = false },
      { name = " with granules of 8", granule = 8 },
      { name = " that remembers no frees", guard = "off" },
    }
    if policy.takes_caches then variants[#variants + 1] = { name = " with caches", thread_caches = 2 } end
    for _, options in ipairs(variants) do
      local name = policy.name .. options.name
      options.name, options.policy, options.capacity = nil, policy.name, "64K"
      visit(name, options)
    end
  end
end

each_pool(function(name, options)
  describe("a word of " .. name, function()
    local mem, a

    before_each(function()
      mem = assert(heapwright.new(options))
      assert(mem:malloc(24))
      a = assert(mem:malloc(64))
    end)
    after_each(function()
      assert.is_true(mem:check())
      mem:close()
    end)

    local function refused(code, message, ...)
      local none, said, got = ...
      assert.is_nil(none)
      assert.equal(message, said)
      assert.equal(code, got)
    end

    it("is stored and loaded, with any value, and no byte beside it", function()
      mem:fill(a, 0xee, 64)
      for _, value in ipairs { 0, 1, -1, 0x0102030405060708, math.maxinteger, math.mininteger } do
        assert.is_true(mem:store(a + 8, value))
        assert.equal(value, mem:load(a + 8))
        assert.equal(value, (mem:unpack(a + 8, "=i8")))
        assert.equal(("\xee"):rep(8), mem:read(a, 8))
        assert.equal(("\xee"):rep(48), mem:read(a + 16, 48))
      end
    end)

    it("is added to, wraps around, and was before what is answered", function()
      assert.equal(0, mem:fetch_add(a, 5))
      assert.equal(5, mem:fetch_add(a, -7))
      assert.equal(-2, mem:load(a))
      mem:store(a, math.maxinteger)
      assert.equal(math.maxinteger, mem:fetch_add(a, 1))
      assert.equal(math.mininteger, mem:fetch_add(a, 0))
    end)

    it("is swapped where it is the old value, and else stays and is told", function()
      mem:store(a, 10)
      assert.same({ true, 10 }, { mem:cas(a, 10, -20) })
      assert.same({ false, -20 }, { mem:cas(a, 10, 30) })
      assert.equal(-20, mem:load(a))
      assert.same({ true, -20 }, { mem:cas(a, -20, -20) })
    end)

    it("reaches to its block's last byte, and not past it", function()
      local b = assert(mem:malloc(20))
      assert.is_true(mem:store(b + 8, 1))
      local past = "%s of 8 bytes at 0x%x runs 4 bytes past the 20-byte block at 0x%x"
      for method, arguments in pairs(ARGUMENTS) do
        refused("out_of_bounds", past:format(method, b + 16, b), mem[method](mem, b + 16, table.unpack(arguments)))
      end
    end)

    it("has an address that is a multiple of 8, in a live block", function()
      local b = assert(mem:malloc(64))
      mem:fill(a, 0x55, 64)
      assert(mem:malloc(8))
      assert(mem:free(b))
      for method, arguments in pairs(ARGUMENTS) do
        local function call(address) return mem[method](mem, address, table.unpack(arguments)) end
        for offset = 1, 7 do
          refused("invalid_argument", ("%s of 8 bytes at 0x%x: not aligned to 8"):format(method, a + offset),
            call(a + offset))
        end
        assert.equal("unallocated", select(3, call(b)))
        refused("out_of_bounds", method .. " of 8 bytes at 0x10000: outside of the pool's 65536 bytes", call(65536))
        assert.equal("out_of_bounds", select(3, call(-8)))
        assert.equal("out_of_bounds", select(3, call(math.mininteger)))
        assert.equal("invalid_argument", select(3, call(-1)))
      end
      assert.equal(("\x55"):rep(64), mem:read(a, 64))
    end)
  end)
end)

describe("a word", function()
  it("is an integer, whoever gives it", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    local a = mem:malloc(8)
    assert.is_true(mem:store(a, 3.0))
    assert.equal("integer", math.type(mem:load(a)))
    for _, call in ipairs {
      function() mem:store(a, 1.5) end, function() mem:store(a) end, function() mem:fetch_add(a, "x") end,
      function() mem:cas(a, 3) end, function() mem:cas(a, {}, 1) end, function() mem:load() end,
      function() mem:load(0.5) end,
    } do
      local raised, message = pcall(call)
      assert.is_false(raised)
      assert.matches("bad argument #%d to '[%w_]+' %(number", message)
    end
    assert.equal(3, mem:load(a))
  end)
end)
