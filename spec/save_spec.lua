-- SPDX-License-Identifier: MIT
-- Pools in files: saved whole or not at all, loaded as they were, refused with the reason.
local contract = require "spec.support.contract"
local heapwright = require "heapwright"

local path

local function bytes_of(name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read "a"
end

local function write(name, bytes)
  local file <close> = assert(io.open(name, "wb"))
  assert(file:write(bytes))
end

-- The live blocks as text.
local function listing(mem, granted)
  local lines = {}
  for address, size, requested in mem:blocks() do
    if requested then
      local bytes = mem:read(address, requested)
      lines[#lines + 1] = ("%d %d %d %s"):format(address, requested, granted and size or 0, bytes)
    end
  end
  return table.concat(lines, "\n")
end

describe("save and load", function()
  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  for _, rule in ipairs(contract.rules()) do
    it("bring back every block, its bytes and the policy: " .. rule.label, function()
      for seed = 1, 4 do
        local guard = seed % 2 == 0 and "off" or "check"
        local mem <close> = heapwright.new {
          capacity = "8K", max_capacity = "64K", policy = rule.policy, order = rule.order, guard = guard,
        }
        contract.drive(mem, seed, 300, 300)
        assert(mem:save(path))
        local again <close> = assert(heapwright.load(path))
        assert.equal(listing(mem, true), listing(again, true))
        assert.equal(rule.policy, again:policy())
        contract.consistent(again)
        assert.equal(mem:stats().in_use, again:stats().in_use)
        assert.equal(mem:stats().live_blocks, again:stats().allocations)
        for address, _, requested in mem:blocks() do
          if requested then assert(again:free(address)) end
        end
        contract.drive(again, seed, 100, 300)
      end
    end)
  end

  it("give the same file for the same pool", function()
    local mem <close> = heapwright.new { policy = "slab" }
    for i = 1, 100 do mem:malloc(i * 10) end
    assert(mem:save(path))
    local first = bytes_of(path)
    local again <close> = assert(heapwright.load(path))
    assert(again:save(path))
    assert.equal(first, bytes_of(path))
  end)

  it("take the blocks of objects as blocks like any other", function()
    local mem <close> = heapwright.new()
    local block = mem:block(10)
    block:write(0, "an object")
    assert(mem:save(path))
    local again <close> = assert(heapwright.load(path))
    assert.equal("an object", again:read(block:address(), 9))
    assert.is_true(again:free(block:address()))
  end)

  it("let options stand in the place of what was saved", function()
    local mem <close> = heapwright.new { capacity = "64K", policy = "first-fit" }
    local a = mem:malloc(100)
    mem:write(a, "kept")
    assert(mem:save(path))
    for _, options in ipairs {
      { capacity = "4K" }, { capacity = "1M" }, { policy = "buddy" }, { policy = "slab" }, { policy = "bump" },
      { granule = 64 }, { guard = "off" }, { thread_safe = false }, { order = "fifo" }, { max_capacity = "1M" },
      { policy = "slab", thread_caches = 4 },
    } do
      local again <close> = assert(heapwright.load(path, options))
      assert.equal("kept", again:read(a, 4))
      assert.equal(options.policy or "first-fit", again:policy())
      assert.equal(options.capacity and heapwright.parse_size(options.capacity) or 65536, again:stats().capacity)
      contract.consistent(again)
    end
  end)

  it("keep the seed of order random, while that is the order", function()
    local mem <close> = heapwright.new { capacity = "64K", policy = "first-fit", order = "random", seed = -3 }
    local held = {}
    for i = 1, 100 do held[i] = assert(mem:alloc(48)) end
    for i = 1, 100, 2 do assert(mem:free(held[i])) end
    assert(mem:save(path))
    local function load(options)
      local loaded <close> = assert(heapwright.load(path, options))
      local list = {}
      for i = 1, 20 do list[i] = assert(loaded:alloc(16)) end
      assert(loaded:check())
      return table.concat(list, " ")
    end
    assert.equal(load { seed = -3 }, load())
    assert.not_equal(load { seed = 4 }, load())
    assert.not_equal(load { order = "fifo" }, load())
    assert.has_error(function() load { order = "fifo", seed = 4 } end)
  end)

  it("keep size classes, while the policy takes them", function()
    local mem <close> = heapwright.new { capacity = "64K", policy = "slab", classes = { 48, 1008 } }
    local a = mem:malloc(10)
    mem:write(a, "kept")
    assert(mem:save(path))
    local function granted(options)
      local loaded <close> = assert(heapwright.load(path, options))
      assert.equal("kept", loaded:read(a, 4))
      contract.consistent(loaded)
      return loaded:usable_size(a), loaded:usable_size(loaded:alloc(10)), loaded:usable_size(loaded:alloc(49))
    end
    assert.same({ 48, 48, 1008 }, { granted() })
    assert.same({ 48, 48, 1008 }, { granted { capacity = "128K", guard = "off" } })
    assert.same({ 32, 32, 96 }, { granted { classes = { 32, 96 } } })
    assert.same({ 16, 16, 64 }, { granted { policy = "best-fit" } })
    assert.same({ 16, 16, 64 }, { granted { policy = "buddy" } })
    local _, message = pcall(heapwright.load, path, { granule = 32 })
    assert.truthy(tostring(message):find("classes: 48 is no multiple of the granule of 32 bytes", 1, true))
    assert.is_false((pcall(heapwright.load, path, { policy = "best-fit", classes = { 32 } })))
  end)

  it("refuse with reason and numbers what does not fit", function()
    local mem <close> = heapwright.new { capacity = "64K" }
    for _ = 1, 3 do mem:malloc(100) end
    assert(mem:save(path))
    for message, options in pairs {
      ["the block at 0x70, 100 bytes, ends at 212, past the capacity of 160"] = { capacity = 160 },
      ["the block at 0x70 is not at a multiple of the granule, 64"] = { granule = 64 },
      ["the block at 0x70, 100 bytes, is granted 128 here, which buddy never has at that address"] =
        { policy = "buddy" },
    } do
      assert.same({ nil, "load: " .. path .. ": " .. message, "invalid_argument" },
        { heapwright.load(path, options) })
    end
    assert.same({ nil, "no_memory" }, { (heapwright.load(path, { capacity = "100T", granule = 4096 })),
      "no_memory" })
    assert.is_false((pcall(heapwright.load, path, { polcy = "best-fit" })))
    assert.is_false((pcall(heapwright.load, path, 5)))
    assert.is_false((pcall(heapwright.load, "a\0b")))
    assert.is_false((pcall(heapwright.load)))
  end)

  it("refuse every file that is cut off or has a byte changed", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    for i = 1, 4 do mem:write(mem:malloc(i * 20), ("block %d"):format(i)) end
    assert(mem:save(path))
    local whole = bytes_of(path)
    for n = 0, #whole - 1 do
      write(path, whole:sub(1, n))
      local pool, message, code = heapwright.load(path)
      if pool or code ~= "corrupted" or not message:find(path, 1, true) then
        error(("cut off at %d: %s %s"):format(n, message, code))
      end
      write(path, whole:sub(1, n) .. string.char(whole:byte(n + 1) ~ (1 << n % 8)) .. whole:sub(n + 2))
      pool, message, code = heapwright.load(path)
      if pool or (code ~= "corrupted" and not (n < 12 and code == "invalid_argument"))
        or not message:find("at byte %d") then
        error(("byte %d changed: %s %s"):format(n, message, code))
      end
    end
    write(path, whole .. "x")
    assert.equal("corrupted", (select(3, heapwright.load(path))))
    write(path, whole)
    heapwright.load(path):close()
  end)

  it("refuse what is no image", function()
    assert.same({ nil, "load: " .. path .. ": at byte 0: the image is cut off there", "corrupted" },
      { heapwright.load(path) })
    write(path, ("text "):rep(100))
    assert.same({ nil, "load: " .. path .. ": at byte 0: this is no image of a pool", "corrupted" },
      { heapwright.load(path) })
    assert.same({ nil, "load: /: not a regular file", "io" }, { heapwright.load "/" })
    assert.same({ nil, "load: /dev/zero: not a regular file", "io" }, { heapwright.load "/dev/zero" })
    assert.same({ nil, "load: /none: No such file or directory", "io" }, { heapwright.load "/none" })
  end)

  it("leave the old file, and no other, where the new one can't be written", function()
    local mem <close> = heapwright.new()
    assert.same({ nil, "save: /none/x: No such file or directory", "io" }, { mem:save "/none/x" })
    assert.same({ nil, "save: /dev/full: No space left on device", "io" }, { mem:save "/dev/full" })
    assert.same({ nil, "save: /: Is a directory", "io" }, { mem:save "/" })
    assert.same({ nil, "save: " .. path .. "/x: Not a directory", "io" }, { mem:save(path .. "/x") })
    assert.is_false((pcall(mem.save, mem)))
    assert.is_false((pcall(mem.save, mem, "a\0b")))
  end)

  it("refuse a pool in which Lua states live, with their number", function()
    local mem <close> = heapwright.new()
    local one, two = heapwright.state { pool = mem }, heapwright.state { pool = mem }
    assert.same({ nil, "save: " .. path .. ": 2 Lua states live in the pool", "invalid_argument" }, { mem:save(path) })
    one:close()
    two:close()
    assert.is_true(mem:save(path))
  end)

  it("hold bytes that count as written, in a pool with guard full too", function()
    local mem <close> = heapwright.new { capacity = "4K", guard = "full" }
    local a = mem:alloc(40)
    mem:write(a, "some")
    assert.is_nil((mem:read(a, 5)))
    assert(mem:save(path))
    local loaded <close> = assert(heapwright.load(path))
    assert.equal("some", loaded:read(a, 4))
    assert.equal(40, #loaded:read(a, 40))
    assert.equal("uninitialised", (select(3, loaded:read(loaded:alloc(8), 1))))
  end)

  it("load blocks of which nobody knows where they come from, whatever was called before", function()
    local mem <close> = heapwright.new { guard = "full" }
    mem:alloc(10)
    assert.is_true(mem:save(path))
    local other = heapwright.new { guard = "full" }
    other:alloc(1) -- whose place would be this thread's last
    local loaded <close> = assert(heapwright.load(path, { guard = "full" }))
    other:close()
    assert.same({ { address = 0, size = 10 } }, loaded:leaks())
    loaded:alloc(20)
    assert.matches("^spec/save_spec.lua:%d+$", loaded:leaks()[1].site)
  end)
end)
