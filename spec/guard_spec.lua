-- SPDX-License-Identifier: MIT
-- Guard levels as a script sees them. What only C can do, writing where it must not,
-- is in spec/c/guard_test.c.
local contract = require "spec.support.contract"
local heapwright = require "heapwright"

local function line() return debug.getinfo(2, "l").currentline end

-- The message and the code of a call that fails.
local function failed(ok, message, code)
  assert.is_nil(ok)
  return message, code
end

describe("guard full", function()
  local mem

  before_each(function() mem = assert(heapwright.new { capacity = "64K", guard = "full" }) end)
  after_each(function() mem:close() end)

  it("answers a read of bytes that were never written", function()
    local a = mem:alloc(20)
    local message, code = failed(mem:read(a, 4))
    assert.equal("uninitialised", code)
    assert.equal(("read of 4 bytes: the byte at 0x0 of the 20-byte block at 0x0 was never written, "
      .. "allocated at %s:%d"):format("spec/guard_spec.lua", line() - 4), message)
    assert(mem:write(a + 2, "abc"))
    assert.equal("abc", mem:read(a + 2, 3))
    assert.matches("the byte at 0x5 ", failed(mem:read(a + 2, 4)))
    assert.matches("the byte at 0x1 ", (select(2, mem:read(a + 1, 2))))
    assert.equal("", mem:read(a, 0))
  end)

  it("knows what each way of writing wrote", function()
    local a, b = mem:alloc(64), mem:alloc(64)
    assert(mem:fill(a, 7, 10))
    assert.equal(("\7"):rep(10), mem:read(a, 10))
    assert(mem:pack(a + 16, "<i4", 5))
    assert.equal(5, mem:unpack(a + 16, "<i4"))
    assert.equal("uninitialised", (select(3, mem:unpack(a + 16, "<i8"))))
    assert(mem:store(a + 24, 9))
    assert.equal(9, mem:load(a + 24))
    assert.equal("uninitialised", (select(3, mem:load(a + 32))))
    assert.equal("uninitialised", (select(3, mem:fetch_add(a + 32, 1))))
    assert.equal("uninitialised", (select(3, mem:cas(a + 32, 0, 1))))
    assert.equal("uninitialised", (select(3, mem:compare(a, b, 1))))
    assert.equal(("\0"):rep(8), mem:read(mem:malloc(8)))
    assert.equal(("\0"):rep(12), mem:read(mem:calloc(3, 4)))
  end)

  it("copies what is known of bytes, whether they overlap or not", function()
    for _, shift in ipairs { 0, 1, 8, 13 } do
      local a, b = mem:alloc(80), mem:alloc(80)
      mem:write(a + 3, "written")
      assert(mem:copy(b + shift, a, 16))
      assert.equal("written", mem:read(b + shift + 3, 7))
      assert.equal("uninitialised", (select(3, mem:read(b + shift + 2, 1))))
      assert.equal("uninitialised", (select(3, mem:read(b + shift + 10, 1))))
      assert(mem:copy(a + shift, a, 16))
      assert.equal("written", mem:read(a + shift + 3, 7))
      assert.equal("uninitialised", (select(3, mem:read(a + shift + 10, 1))))
      assert(mem:copy(a, a + shift, 16))
      assert.equal("written", mem:read(a + 3, 7))
    end
  end)

  it("knows of a resized block's new bytes that they were never written", function()
    local a = mem:malloc(10)
    mem:alloc(10)
    for _, size in ipairs { 12, 3, 200, 100, 300 } do
      local before = mem:size(a)
      a = assert(mem:realloc(a, size))
      local kept = math.min(before, size)
      assert.is_string(mem:read(a, math.min(kept, 3)))
      if size > before then
        assert.equal("uninitialised", (select(3, mem:read(a + kept, 1))))
      end
    end
  end)

  it("knows of a resized block's new bytes that they were never written, whatever lay there before", function()
    local tight <close> = heapwright.new { capacity = "4K", guard = "full", quarantine = 0 }
    local before = tight:malloc(1000)
    tight:free(before)
    local a = tight:alloc(13)
    assert.equal(before, a)
    tight:fill(a, 7, 13)
    for size = 14, 300, 22 do
      a = assert(tight:realloc(a, size))
      assert.equal(("\7"):rep(13), tight:read(a, 13))
      for at = 13, size - 1 do assert.equal("uninitialised", (select(3, tight:read(a + at, 1)))) end
    end
  end)

  it("forgets what was written when a block is granted anew", function()
    local tight <close> = heapwright.new { capacity = "4K", guard = "full", quarantine = 0 }
    local a = tight:malloc(100)
    tight:free(a)
    assert.equal(a, tight:alloc(100))
    assert.equal("uninitialised", (select(3, tight:read(a, 1))))
  end)

  it("grants the red zone beyond each block", function()
    assert.equal(32, mem:usable_size(mem:alloc(1)))
    assert.equal(32, mem:usable_size(mem:alloc(16)))
    assert.equal(48, mem:usable_size(mem:alloc(17)))
    for _, zone in ipairs { 0, 1, 100, 4000 } do
      local wide <close> = heapwright.new { capacity = "64K", guard = "full", red_zone = zone }
      for _, size in ipairs { 0, 1, 16, 1000 } do
        local a = wide:alloc(size)
        assert.equal(math.max(1, (size + zone + 15) // 16) * 16, wide:usable_size(a))
        assert.equal(size, wide:size(a))
        a = wide:realloc(a, size + 5)
        assert.equal((size + 5 + zone + 15) // 16 * 16, wide:usable_size(a))
        wide:free(a)
      end
      local code = select(3, wide:alloc(math.maxinteger))
      assert.equal("no_memory", code)
      assert.is_true(wide:check())
    end
    local none <close> = heapwright.new { capacity = "64K", guard = "full", red_zone = "1T" }
    assert.equal("no_memory", (select(3, none:alloc(1))))
  end)

  it("holds freed blocks back, oldest out first, until they are more than the quarantine", function()
    local small <close> = heapwright.new { capacity = "4K", guard = "full", red_zone = 0, quarantine = 64 }
    local held = {}
    for i = 1, 6 do held[i] = small:alloc(16) end
    for i = 1, 4 do small:free(held[i]) end
    assert.equal(64, small:stats().quarantined)
    assert.equal(96 + 0, small:stats().granted)
    assert.equal(32, small:stats().in_use)
    assert.equal(96, small:alloc(16)) -- none of the four
    small:free(held[5])
    assert.equal(64, small:stats().quarantined)
    assert.equal(held[1], small:alloc(16)) -- the first had to leave
    small:free(small:alloc(100)) -- which is more than the quarantine by itself
    assert.equal(0, small:stats().quarantined)
    assert.is_true(small:check())
  end)

  it("keeps the quarantine where no emptying could make room", function()
    local small <close> = heapwright.new {
      capacity = 800, guard = "full", red_zone = 0, quarantine = 800, policy = "buddy",
    }
    assert.is_true(small:free(assert(small:alloc(16))))
    assert.is_nil((small:alloc(600))) -- a buddy of 1,024 bytes
    assert.equal(16, small:stats().quarantined)
    assert.is_nil((small:alloc(801)))
    assert.equal(16, small:stats().quarantined)
  end)

  it("answers for a block in quarantine as for a freed one", function()
    local a = mem:malloc(100)
    local allocated = line() - 1
    mem:free(a)
    local freed = line() - 1
    local origin = ("; it was allocated at spec/guard_spec.lua:%d and freed at spec/guard_spec.lua:%d")
      :format(allocated, freed)
    local inside = "inside a freed block of 128 bytes at 0x0, in quarantine" .. origin
    assert.same({ "double free of 0x0: it is now " .. inside, "double_free" }, { failed(mem:free(a)) })
    assert.same({ "free of 0x10: no block was ever allocated there, it is " .. inside, "invalid_free" },
      { failed(mem:free(a + 16)) })
    assert.same({ "read of 1 byte at 0x5: " .. inside, "unallocated" }, { failed(mem:read(a + 5, 1)) })
    assert.same({ "write of 1 byte at 0x0: " .. inside, "unallocated" }, { failed(mem:write(a, "x")) })
    assert.equal("double_free", (select(3, mem:realloc(a, 10))))
    assert.equal("double_free", (select(3, mem:size(a))))
    assert.equal("unallocated", (select(3, mem:owner(a + 3))))
    assert.same({ n = 4, 0, 128, nil, true }, table.pack(mem:blocks()()))
    assert.equal(0, #mem:leaks())
  end)

  it("holds the old place of a block that moved", function()
    local a = mem:malloc(16)
    mem:alloc(16)
    assert.not_equal(a, mem:realloc(a, 100))
    assert.equal(32, mem:stats().quarantined)
    assert.equal("double_free", (select(3, mem:free(a))))
    assert.equal(2, mem:stats().live_blocks)
    assert.equal(0, mem:stats().frees)
    assert.is_true(mem:check())
  end)

  it("never fails for want of what is in quarantine", function()
    for _, rule in ipairs(contract.rules()) do
      local all <close> = heapwright.new {
        capacity = "8K", guard = "full", quarantine = "8K", policy = rule.policy, order = rule.order,
      }
      if rule.policy ~= "bump" then
        for _ = 1, 100 do
          local a = assert(all:alloc(3000))
          assert(all:free(a))
        end
        assert.is_true(all:check())
      end
    end
  end)

  it("empties the quarantine with reset", function()
    mem:free(mem:alloc(100))
    mem:alloc(100)
    mem:reset()
    local stats = mem:stats()
    assert.same({ 0, 0, 0, 2, 1 },
      { stats.quarantined, stats.granted, stats.live_blocks, stats.frees, stats.free_blocks })
    assert.equal(0, mem:alloc(10))
    assert.is_true(mem:check())
  end)

  it("names the nearest line of Lua, through functions of C too", function()
    local _, a = pcall(mem.alloc, mem, 10)
    assert.equal(("spec/guard_spec.lua:%d"):format(line() - 1), mem:leaks()[1].site)
    mem:free(a)
    load("local mem = ...; mem:alloc(10)", "=the chunk")(mem)
    assert.equal("the chunk:1", mem:leaks()[1].site)
  end)

  it("tells the line that allocated a block in every message about it", function()
    local a = mem:malloc(100)
    local at = (", allocated at spec/guard_spec.lua:%d"):format(line() - 1)
    assert.equal("write of 101 bytes at 0x0 runs 1 byte past the 100-byte block at 0x0" .. at,
      (failed(mem:write(a, ("x"):rep(101)))))
    assert.equal("free of 0x8: inside the 100-byte block at 0x0" .. at, (failed(mem:free(a + 8))))
  end)

  for _, rule in ipairs(contract.rules()) do
    it("keeps to the contract of " .. rule.label, function()
      local sizes = { { 16, "16K" }, { 0, 0 }, { 40, 300 } }
      for i, size in ipairs(sizes) do
        local full <close> = heapwright.new {
          capacity = "16K", guard = "full", policy = rule.policy, order = rule.order,
          red_zone = size[1], quarantine = size[2],
        }
        contract.drive(full, 60 + i, 400, 300)
      end
    end)
  end
end)

describe("leaks with guard full", function()
  it("are those of one line together, the line with the most bytes first", function()
    local mem <close> = heapwright.new { guard = "full" }
    local lines = {}
    for i = 1, 3 do
      mem:alloc(100 * i); lines.many = line()
    end
    mem:alloc(400); lines.one = line()
    mem:alloc(700); lines.large = line()
    mem:free(mem:alloc(10000))
    local found = {}
    for _, leak in ipairs(mem:leaks()) do
      assert.equal("integer", math.type(leak.thread))
      found[#found + 1] = { leak.size, leak.site }
    end
    local function at(where) return "spec/guard_spec.lua:" .. lines[where] end
    assert.same({
      { 700, at "large" }, { 300, at "many" }, { 200, at "many" }, { 100, at "many" }, { 400, at "one" },
    }, found)
  end)

  it("are told by close, where something is live and nobody else holds the pool", function()
    local mem = heapwright.new { guard = "full" }
    local a = mem:alloc(10)
    local state = heapwright.state { pool = mem, libs = { "heapwright" } }
    state:close()
    local ok, leaks = mem:close()
    assert.is_true(ok)
    assert.same({ address = a, size = 10, site = "spec/guard_spec.lua:" .. (line() - 5), thread = 1 },
      { address = leaks[1].address, size = leaks[1].size, site = leaks[1].site, thread = 1 })
    local clean = heapwright.new { guard = "full" }
    clean:free(clean:alloc(10))
    assert.same({ n = 1, true }, table.pack(clean:close()))
    local plain = heapwright.new()
    plain:alloc(10)
    assert.same({ n = 1, true }, table.pack(plain:close()))
  end)
end)

describe("guard", function()
  it("check and full without red zone and quarantine place blocks alike", function()
    for _, rule in ipairs(contract.rules()) do
      local results = {}
      for i, options in ipairs {
        { guard = "check" }, { guard = "full", red_zone = 0, quarantine = 0 },
      } do
        options.capacity, options.policy, options.order = "16K", rule.policy, rule.order
        local mem <close> = heapwright.new(options)
        contract.drive(mem, 70, 300, 200)
        local blocks = {}
        for address, size, requested in mem:blocks() do
          blocks[#blocks + 1] = ("%d %d %s"):format(address, size, requested)
        end
        results[i] = table.concat(blocks, "\n")
      end
      assert.equal(results[1], results[2])
    end
  end)
end)
