-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"

-- Raises with the caller's position, and with this after "bad argument #1 to 'new'".
local function refuses(options, reason)
  local ok, message = pcall(function() heapwright.new(options) end)
  assert.is_false(ok)
  local expected = "spec/options_spec.lua:6: bad argument #1 to 'new' (" .. reason .. ")"
  assert.equal(expected, (message:gsub("^%./", "")))
end

local KNOWN_POLICIES = {}
for i, policy in ipairs(heapwright.policies()) do KNOWN_POLICIES[i] = policy.name end
local POLICIES = table.concat(KNOWN_POLICIES, ", ")
local A_SIZE = "; a size is a number of bytes, or one with a unit of B, K, KiB, M, MiB, G, GiB, T, TiB"

describe("heapwright.new", function()
  it("takes no name with a zero byte and more behind it", function()
    refuses({ policy = "best-fit\0x" }, "policy: unknown 'best-fit' (known: " .. POLICIES .. ")")
    assert.has_error(function() heapwright.new { ["capacity\0x"] = 4096 } end)
    assert.has_error(function() heapwright.new { guard = "off\0" } end)
  end)

  local function capacity_of(options)
    local mem <close> = assert(heapwright.new(options))
    return mem:stats().capacity
  end

  describe("capacity", function()
    it("is 1 MiB unless given", function()
      assert.equal(1048576, capacity_of(nil))
      assert.equal(1048576, capacity_of {})
    end)

    it("takes integers and what people write", function()
      assert.equal(4096, capacity_of { capacity = 4096 })
      assert.equal(4096, capacity_of { capacity = 4096.0 })
      assert.equal(65536, capacity_of { capacity = "64K" })
      assert.equal(12288, capacity_of { capacity = "12KiB" })
      assert.equal(1572864, capacity_of { capacity = "1.5M" })
      assert.equal(4096, capacity_of { capacity = "4096" })
    end)

    it("is rounded down to granules", function()
      assert.equal(96, capacity_of { capacity = 100 })
      assert.equal(64, capacity_of { capacity = 100, granule = 64 })
    end)

    it("is refused where it is no size", function()
      refuses({ capacity = "12Q" }, "capacity: '12Q' is not a size" .. A_SIZE)
      refuses({ capacity = "" }, "capacity: '' is not a size" .. A_SIZE)
      refuses({ capacity = "M" }, "capacity: 'M' is not a size" .. A_SIZE)
      refuses({ capacity = "1.M" }, "capacity: '1.M' is not a size" .. A_SIZE)
      refuses({ capacity = "1MB" }, "capacity: '1MB' is not a size" .. A_SIZE)
      refuses({ capacity = "1M " .. "x" }, "capacity: '1M x' is not a size" .. A_SIZE)
      refuses({ capacity = -4096 }, "capacity: '-4096' is negative" .. A_SIZE)
      refuses({ capacity = "-1M" }, "capacity: '-1M' is negative" .. A_SIZE)
      refuses({ capacity = 4096.5 }, "capacity: '4096.5' is not a whole number of bytes" .. A_SIZE)
      refuses({ capacity = "1.3K" }, "capacity: '1.3K' is not a whole number of bytes" .. A_SIZE)
      refuses({ capacity = 2.0 ^ 70 },
        "capacity: '1.1805916207174e+21' is not a whole number of bytes" .. A_SIZE)
      refuses({ capacity = "9223372036854775808" }, "capacity: '9223372036854775808' is too large" .. A_SIZE)
      refuses({ capacity = "8388608T" }, "capacity: '8388608T' is too large" .. A_SIZE)
      refuses({ capacity = true }, "capacity: size expected, got boolean")
      refuses({ capacity = {} }, "capacity: size expected, got table")
    end)

    it("is refused where no granule fits", function()
      refuses({ capacity = 0 }, "capacity: 0 is less than one granule of 16 bytes")
      refuses({ capacity = 15 }, "capacity: 15 is less than one granule of 16 bytes")
      refuses({ capacity = 32, granule = 64 }, "capacity: 32 is less than one granule of 64 bytes")
    end)
  end)

  it("refuses a max_capacity that is none", function()
    refuses({ max_capacity = "x" }, "max_capacity: 'x' is not a size" .. A_SIZE)
    refuses({ max_capacity = -1 }, "max_capacity: '-1' is negative" .. A_SIZE)
    refuses({ max_capacity = 0 }, "max_capacity: 0 is below the capacity")
    refuses({ max_capacity = "512K" }, "max_capacity: 524288 is below the capacity of 1048576")
    refuses({ capacity = "2M", max_capacity = "1M" },
      "max_capacity: 1048576 is below the capacity of 2097152")
    refuses({ capacity = "2M", max_capacity = (2 << 20) - 1 },
      "max_capacity: 2097151 is below the capacity of 2097152")
    assert(heapwright.new { capacity = "2M", max_capacity = "2M" }):close()
  end)

  it("takes a capacity of a single granule", function()
    for _, granule in ipairs { 8, 16, 4096 } do
      local mem <close> = heapwright.new { capacity = granule, granule = granule }
      assert.equal(0, mem:alloc(granule))
      assert.equal(granule, mem:stats().capacity)
    end
  end)

  it("takes granules that are powers of two from 8 to 4096", function()
    for _, granule in ipairs { 8, 16, 32, 4096, "1K" } do
      local mem <close> = assert(heapwright.new { granule = granule })
      local a = mem:alloc(1)
      assert.equal(heapwright.parse_size(granule), mem:usable_size(a))
    end
    for _, granule in ipairs { 0, 1, 4, 12, 24, 8192 } do
      refuses({ granule = granule }, "granule: " .. granule .. " is not a power of two from 8 to 4096")
    end
    refuses({ granule = {} }, "granule: size expected, got table")
  end)

  it("takes every policy by its name, and no other", function()
    for _, policy in ipairs(heapwright.policies()) do
      local mem <close> = assert(heapwright.new { policy = policy.name })
      assert.equal(policy.name, mem:policy())
    end
    refuses({ policy = "worse-fit" }, "policy: unknown 'worse-fit' (known: " .. POLICIES .. ")")
    refuses({ policy = "" }, "policy: unknown '' (known: " .. POLICIES .. ")")
    refuses({ policy = "Best-Fit" }, "policy: unknown 'Best-Fit' (known: " .. POLICIES .. ")")
    refuses({ policy = 1 }, "policy: string expected, got number")
  end)

  it("takes an order with the policies that have one", function()
    for _, policy in ipairs(heapwright.policies()) do
      assert(heapwright.new { policy = policy.name, order = "address" }):close()
      for _, order in ipairs { "fifo", "lifo", "random" } do
        if policy.takes_order then
          assert(heapwright.new { policy = policy.name, order = order }):close()
        else
          refuses({ policy = policy.name, order = order },
            "order: " .. policy.name .. " places by its own rule, '" .. order
            .. "' is for best-fit, first-fit, worst-fit")
        end
      end
    end
    refuses({ order = "chance" }, "order: unknown 'chance' (known: address, fifo, lifo, random)")
    refuses({ order = false }, "order: string expected, got boolean")
    refuses({ policy = "first-fit", order = "fifo", granule = 8 },
      "order: first-fit does not take 'fifo' with a granule of 8")
    refuses({ policy = "first-fit", order = "random", granule = 8 },
      "order: first-fit does not take 'random' with a granule of 8")
  end)

  it("takes any integer as the seed of order random, and of no other", function()
    for _, seed in ipairs { 0, 1, -1, 2.0, math.maxinteger, math.mininteger } do
      assert(heapwright.new { order = "random", seed = seed }):close()
    end
    refuses({ seed = 0 }, "seed: of order 'random' alone, not 'address'")
    refuses({ seed = 1, order = "lifo" }, "seed: of order 'random' alone, not 'lifo'")
    refuses({ seed = 1.5, order = "random" }, "seed: an integer expected, got 1.5")
    refuses({ seed = "1", order = "random" }, "seed: an integer expected, got 1")
    refuses({ seed = true, order = "random" }, "seed: an integer expected, got true")
  end)

  it("takes a guard of off, check or full", function()
    for _, guard in ipairs { "off", "check", "full" } do
      assert(heapwright.new { guard = guard }):close()
    end
    refuses({ guard = "some" }, "guard: unknown 'some' (known: off, check, full)")
    refuses({ policy = "slab", thread_caches = 1, guard = "full" },
      "thread_caches: a pool with guard full has none")
    refuses({ guard = true }, "guard: string expected, got boolean")
  end)

  it("takes red_zone and quarantine with guard full alone", function()
    for _, size in ipairs { 0, 1, "1K", "1T" } do
      assert(heapwright.new { guard = "full", red_zone = size, quarantine = size }):close()
    end
    refuses({ red_zone = 16 }, "red_zone: of guard 'full' alone, not 'check'")
    refuses({ guard = "off", quarantine = "1K" }, "quarantine: of guard 'full' alone, not 'off'")
    refuses({ guard = "check", quarantine = 0 }, "quarantine: of guard 'full' alone, not 'check'")
    refuses({ guard = "full", red_zone = -1 }, "red_zone: '-1' is negative; a size is a number of bytes, or one "
      .. "with a unit of B, K, KiB, M, MiB, G, GiB, T, TiB")
  end)

  it("takes thread_safe as a boolean", function()
    for _, safe in ipairs { true, false } do
      local mem <close> = assert(heapwright.new { thread_safe = safe })
      assert.equal(0, mem:alloc(10))
    end
    refuses({ thread_safe = 1 }, "thread_safe: boolean expected, got number")
    refuses({ thread_safe = "no" }, "thread_safe: boolean expected, got string")
  end)

  it("takes small_pages as a boolean, and is the same pool with them", function()
    for _, small in ipairs { true, false } do
      local mem <close> = assert(heapwright.new { capacity = "8M", small_pages = small })
      local a = assert(mem:malloc(5000000))
      assert(mem:write(a + 4999990, "0123456789"))
      assert.equal("0123456789", mem:read(a + 4999990, 10))
    end
    refuses({ small_pages = 1 }, "small_pages: boolean expected, got number")
  end)

  it("takes thread_caches for slab, and is the same pool with them", function()
    local plain <close> = assert(heapwright.new { policy = "slab" })
    local cached <close> = assert(heapwright.new { policy = "slab", thread_caches = 2 })
    for size = 1, 3000, 97 do
      local a = assert(cached:malloc(size))
      assert(plain:malloc(size))
      assert.equal(string.rep("\0", size), cached:read(a))
      assert(cached:write(a, string.rep("x", size)))
      assert.equal(size, cached:size(a))
    end
    for name, value in pairs(plain:stats()) do
      local same = name ~= "metadata" and name ~= "high_water" and not name:find "^steps" and not name:find "^free_"
      if same and name ~= "largest_free" and name ~= "external_fragmentation" then
        assert.equal(value, cached:stats()[name], name)
      end
    end
    for address, _, requested in cached:blocks() do
      if requested then
        assert.is_true(cached:free(address))
        assert.equal("double_free", select(3, cached:free(address)))
      end
    end
    assert.is_true(cached:trim())
    assert.equal(1, cached:stats().free_blocks)
    assert.is_true(cached:check())
  end)

  it("refuses thread_caches where there can be none", function()
    local range = "thread_caches: an integer from 0 to 128 expected, got "
    refuses({ policy = "slab", thread_caches = 129 }, range .. "129")
    refuses({ policy = "slab", thread_caches = -1 }, range .. "-1")
    refuses({ policy = "slab", thread_caches = 1.5 }, range .. "1.5")
    refuses({ policy = "slab", thread_caches = "2" }, range .. "2")
    refuses({ policy = "slab", thread_caches = true }, range .. "true")
    refuses({ thread_caches = 1 }, "thread_caches: best-fit takes none")
    refuses({ policy = "slab", thread_caches = 1, granule = 32 }, "thread_caches: granules of 16 wanted, not 32")
    refuses({ policy = "slab", thread_caches = 1, max_capacity = "2M" }, "thread_caches: the pool may not grow")
    refuses({ policy = "slab", thread_caches = 1, thread_safe = false },
      "thread_caches: a pool that is not thread_safe has one thread")
  end)

  it("refuses options that it does not know, by name", function()
    local known = " (known: capacity, max_capacity, granule, policy, order, seed, guard, red_zone, quarantine, "
      .. "thread_safe, small_pages, thread_caches)"
    refuses({ polcy = "best-fit" }, "unknown option 'polcy'" .. known)
    refuses({ "64K" }, "unknown option '1'" .. known)
    refuses({ [1.5] = 1 }, "unknown option '1.5'" .. known)
    refuses({ Capacity = 64 }, "unknown option 'Capacity'" .. known)
  end)

  it("refuses what is no table", function()
    refuses("64K", "table expected, got string")
    refuses(64, "table expected, got number")
    refuses(true, "table expected, got boolean")
  end)
end)

describe("heapwright.parse_size", function()
  it("reads bytes and binary units", function()
    local cases = {
      ["0"] = 0, ["7"] = 7, ["7B"] = 7, ["1K"] = 1024, ["1k"] = 1024, ["1KiB"] = 1024, ["1kib"] = 1024,
      ["2M"] = 2097152, ["2MiB"] = 2097152, ["1.5G"] = 1610612736, ["3 GiB"] = 3221225472, ["1T"] = 1 << 40,
      ["0.5K"] = 512, ["0.0009765625K"] = 1, ["1.50K"] = 1536, ["1.0"] = 1, ["8388607T"] = 8388607 << 40,
      ["9223372036854775807"] = math.maxinteger,
    }
    for text, bytes in pairs(cases) do assert.equal(bytes, heapwright.parse_size(text)) end
    assert.equal(5, heapwright.parse_size(5))
    assert.equal("integer", math.type(heapwright.parse_size(5.0)))
  end)

  it("raises for what is no size", function()
    for _, text in ipairs {
      "12Q", "", " 1", "1K1", "0x10", "1e3", "-1", ".5K", "1..5K", "1,5K", "1KB", "K", "1\0K", "0.1", "0.3K",
      "1.00000000000000000000001K", "9223372036854775808", "1.5", "99999999999T", "inf", "nan",
    } do
      local ok, message = pcall(heapwright.parse_size, text)
      assert.is_false(ok)
      assert.is_truthy(message:find("bad argument #1 to ", 1, true))
    end
    assert.is_false(pcall(heapwright.parse_size))
    assert.is_false(pcall(heapwright.parse_size, nil))
    assert.is_false(pcall(heapwright.parse_size, 1.5))
    assert.is_false(pcall(heapwright.parse_size, -1))
  end)
end)
