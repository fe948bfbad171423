-- SPDX-License-Identifier: MIT
-- Slab's own placement rule: slots of a kind in pages of 256 granules, the
-- newest free one first; empty pages that stay until they are wanted.

local heapwright = require "heapwright"
local random = require("heapwright.property.generator").uniform

local PAGE = 256 * 16

describe("slab", function()
  local mem
  after_each(function() if mem then mem:close() end end)

  local function open(capacity, options)
    options = options or {}
    options.capacity, options.policy = capacity, "slab"
    mem = assert(heapwright.new(options))
  end

  -- What a request of `size` bytes is granted.
  local function granted(size)
    local address = assert(mem:alloc(size))
    local usable = mem:usable_size(address)
    assert(mem:free(address))
    return usable
  end

  it("rounds to 1 ... 8 granules, then to four sizes a power of two, up to 1 KiB", function()
    open "1M"
    local kinds, at = { 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64 }, 1
    for granules = 1, 64 do
      while kinds[at] < granules do at = at + 1 end
      assert.equal(kinds[at] * 16, granted(granules * 16))
      assert.equal(kinds[at] * 16, granted(granules * 16 - 15))
    end
    assert.equal(65 * 16, granted(65 * 16))
  end)

  it("cuts a page into slots of one kind, lowest first", function()
    open "64K"
    for i = 0, PAGE // 48 - 1 do assert.equal(i * 48, mem:alloc(48)) end
    assert.equal(PAGE, mem:alloc(16)) -- of another kind: the next page
    assert.equal(2 * PAGE, mem:alloc(48)) -- the first is full
    assert.equal(PAGE + 16, mem:alloc(16))
    assert.is_true(mem:check())
  end)

  it("hands out the slot that was freed last", function()
    open "64K"
    local held = {}
    for i = 1, 10 do held[i] = assert(mem:alloc(100)) end
    for _, i in ipairs { 3, 7, 5 } do assert(mem:free(held[i])) end
    for _, i in ipairs { 5, 7, 3 } do assert.equal(held[i], mem:alloc(100)) end
  end)

  it("lets no slot join: a page has 256 free blocks of 16 bytes less those that are live", function()
    open "64K"
    assert(mem:alloc(16))
    assert.equal(255 + 1, mem:stats().free_blocks)
  end)

  it("keeps empty pages, an eighth of the pool at most, and gives them back at trim", function()
    open "1M"
    local held = {}
    for i = 1, 64 * 8 do held[i] = assert(mem:alloc(512)) end -- 64 pages
    for _, address in ipairs(held) do assert(mem:free(address)) end
    assert.equal(32 * 8 + 1, mem:stats().free_blocks)
    assert.is_true(mem:trim())
    assert.equal(1, mem:stats().free_blocks)
    assert.is_true(mem:check())
  end)

  it("gives kept pages to whatever asks for them: large blocks, over-aligned ones, other kinds", function()
    for _, ask in ipairs {
      function() return mem:alloc(64 * 1024) end,
      function() return mem:aligned_alloc(32768, 40000) end,
      function() return mem:realloc(assert(mem:alloc(2000)), 50000) end,
      function()
        for _ = 1, 64 * 1024 // 32 do if not mem:alloc(32) then return nil end end
        return true
      end,
    } do
      open "64K"
      local held = {}
      while true do
        local address = mem:alloc(256)
        if not address then break end
        held[#held + 1] = address
      end
      assert.equal(256, #held)
      for _, address in ipairs(held) do assert(mem:free(address)) end
      assert.is_truthy(ask())
      assert.is_true(mem:check())
      mem:close()
    end
  end)

  it("puts small requests where best fit does when no page is to be had", function()
    open(PAGE + 160)
    for _ = 1, 256 do assert(mem:alloc(16)) end -- all of the only page
    local rest = {}
    for i = 0, 9 do rest[i] = assert(mem:alloc(16)) end
    for i = 0, 9 do assert.equal(PAGE + i * 16, rest[i]) end
    assert.is_nil(mem:alloc(16))
    assert(mem:free(rest[4]))
    assert.equal(rest[4], mem:alloc(1))
  end)

  it("lets no large block grow into slots, neither behind it nor before it", function()
    open(3 * PAGE)
    for i = 0, 255 do assert.equal(i * 16, mem:alloc(16)) end
    local large = assert(mem:alloc(PAGE))
    assert.equal(PAGE, large)
    for i = 0, 255 do assert.equal(2 * PAGE + i * 16, mem:alloc(16)) end
    assert.is_true(mem:free(PAGE - 16))
    assert.is_true(mem:free(2 * PAGE))
    local none, _, code = mem:realloc(large, PAGE + 16)
    assert.is_nil(none)
    assert.equal("no_memory", code)
    assert.equal(PAGE, mem:size(large))
    assert.is_true(mem:check())
  end)

  it("keeps no page in a pool that grows, so that it can shrink", function()
    open("64K", { max_capacity = "1M" })
    local held = {}
    for i = 1, 2000 do held[i] = assert(mem:alloc(256)) end
    assert.is_true(mem:stats().capacity > 65536)
    for _, address in ipairs(held) do assert(mem:free(address)) end
    assert.equal(65536, mem:stats().capacity)
    assert.equal(1, mem:stats().free_blocks)
  end)

  it("places alike whatever is remembered, recorded or locked", function()
    local function run(options, recorded)
      open("256K", options)
      if recorded then assert(mem:record(recorded)) end
      local draw, held, seen = random(7), {}, {}
      for i = 1, 3000 do
        local slot = draw(1, 200)
        if held[slot] then assert(mem:free(held[slot])) end
        held[slot] = mem:alloc(draw(0, 1500))
        seen[i] = held[slot] or -1
      end
      mem:close()
      return seen
    end
    local plain = run {}
    assert.same(plain, run { guard = "off" })
    assert.same(plain, run { guard = "off", thread_safe = false })
    local trace = os.tmpname()
    assert.same(plain, run({}, trace))
    os.remove(trace)
  end)

  it("fetches slots that were in use before many at a time, and each other one alone", function()
    open "1M"
    local function steps_of_allocating()
      local before, held = mem:stats().steps, {}
      for i = 1, 4096 do held[i] = assert(mem:alloc(64)) end
      local steps = mem:stats().steps - before
      for _, address in ipairs(held) do assert(mem:free(address)) end
      return steps
    end
    assert.is_true(steps_of_allocating() > 4 * 4096) -- so that the high-water mark is exact
    for _ = 1, 3 do assert.is_true(steps_of_allocating() < 2.5 * 4096) end
  end)

  it("counts every step that it takes, and few", function()
    open "16M"
    local draw, held = random(11), {}
    for i = 1, 2000 do held[i] = assert(mem:alloc(draw(1, 1024))) end
    local before = mem:stats()
    for _ = 1, 20000 do
      local i = draw(1, 2000)
      assert(mem:free(held[i]))
      held[i] = assert(mem:alloc(draw(1, 1024)))
    end
    local after = mem:stats()
    local mean = (after.steps - before.steps) / 40000
    assert.is_true(mean >= 1.5 and mean < 3, mean)
    assert.is_true(after.steps_max < 280, after.steps_max)
  end)
end)
