-- SPDX-License-Identifier: MIT
-- Compaction: blocks of objects come together, raw addresses stay, and it says what was won.
local contract = require "spec.support.contract"
local heapwright = require "heapwright"
local uniform = require("heapwright.property.generator").uniform

describe("compact", function()
  it("slides the blocks of objects together, in their order, up to the next raw one", function()
    local mem <close> = heapwright.new { capacity = 1024 }
    local blocks, raw = {}, nil
    for i = 1, 8 do
      if i == 5 then raw = mem:malloc(64) end
      blocks[i] = mem:block(64)
      blocks[i]:fill(0, 96 + i, 64)
    end
    for i = 1, 8, 2 do blocks[i]:free() end
    assert.equal("..##..####..##..##..............", mem:map(32))
    assert.same({ 128, 4, 256 }, { mem:compact() })
    local addresses = {}
    for i = 2, 8, 2 do
      addresses[#addresses + 1] = blocks[i]:address()
      assert.equal(string.char(96 + i):rep(64), blocks[i]:read())
    end
    assert.same({ 0, 64, 320, 384 }, addresses)
    assert.equal("####....######..................", mem:map(32))
    assert.equal(64, mem:size(raw))
    assert.same({ 0, 0, 0 }, { mem:compact() })
  end)

  it("makes room for what found none", function()
    local mem <close> = heapwright.new { capacity = "64K" }
    local held = {}
    for i = 1, 64 do held[i] = assert(mem:block(1024)) end
    for i = 1, 64, 2 do held[i]:free() end
    assert.is_nil(mem:malloc(4096))
    assert.same({ 32 * 1024 - 1024, 32, 32 * 1024 }, { mem:compact() })
    assert.is_truthy(mem:malloc(32 * 1024))
  end)

  it("keeps the alignment that a block was asked for with", function()
    local mem <close> = heapwright.new { capacity = "64K" }
    local first, hole = mem:block(16), mem:malloc(8000)
    local aligned = mem:block(100, 1024)
    aligned:write(0, "aligned")
    mem:free(hole)
    mem:compact()
    assert.equal(1024, aligned:address())
    assert.equal("aligned", aligned:read(0, 7))
    assert.equal(0, first:address())
  end)

  it("leaves no gap before an aligned block that no block covers", function()
    local mem <close> = heapwright.new { capacity = "64K" }
    local hole, first = mem:malloc(3000), mem:block(16)
    local aligned = mem:block(100, 1024)
    mem:free(hole)
    mem:compact()
    assert.same({ 0, 1024 }, { first:address(), aligned:address() })
    assert.is_true(mem:check())
    contract.consistent(mem)
    assert.equal(16, mem:malloc(900)) -- the gap
  end)

  it("with guard full knows of moved blocks what it knew: bytes written, and who allocated them", function()
    local mem <close> = heapwright.new { capacity = "64K", guard = "full", quarantine = 0 }
    local hole = mem:alloc(200) -- not one byte of it is written
    local moved = mem:block(100); local line = debug.getinfo(1, "l").currentline
    local raw = mem:malloc(10)
    moved:write(0, ("x"):rep(100))
    mem:free(hole)
    local _, count = mem:compact()
    assert.equal(1, count)
    assert.equal(0, moved:address())
    assert.equal(("x"):rep(100), moved:read())
    assert.equal("spec/compact_spec.lua:" .. line, mem:leaks()[1].site)
    assert.is_true(mem:free(raw))
    assert.is_true(mem:check())
  end)

  it("moves nothing of bump, and only where their rule has a place of buddy and slab", function()
    for policy, expected in pairs { bump = { 0, 0 }, buddy = { 0, 1 }, slab = { 4096, 16 } } do
      local mem <close> = heapwright.new { capacity = "16K", policy = policy }
      local held = {}
      for i = 1, 32 do held[i] = assert(mem:block(256)) end
      local keep = policy == "slab" and function(i) return i % 2 == 0 end
        or function(i) return i ~= 1 and i ~= 2 and (i <= 8 or i == 9 or i == 17) end
      for i = 1, 32 do if not keep(i) then held[i]:free() end end
      local won, moved = mem:compact()
      assert.same({ policy, moved }, { policy, expected[2] })
      assert.is_truthy(won >= expected[1])
      assert.is_true(mem:check())
    end
  end)

  it("writes each move into the recording as a resize to the same size", function()
    local path = os.tmpname()
    local mem <close> = heapwright.new { capacity = "4K" }
    local hole, block = mem:block(100), mem:block(77)
    hole:free()
    mem:record(path)
    mem:compact()
    block:free()
    assert.is_true((mem:record()))
    local file <close> = assert(io.open(path))
    local text = file:read "a"
    os.remove(path)
    assert.matches("a 1 77.*\nr 1 77.*\nf 1", text)
    assert.equal(0, mem:stats().reallocations)
  end)

  for _, rule in ipairs(contract.rules()) do
    it("keeps every byte, address and count right: " .. rule.label, function()
      for seed = 1, 6 do
        local random = uniform(seed)
        local mem <close> = heapwright.new {
          capacity = seed % 2 == 0 and "16K" or "64K", max_capacity = "64K", policy = rule.policy, order = rule.order,
          guard = seed % 3 == 0 and "off" or "check",
        }
        local raw, held = {}, {}
        for n = 1, 400 do
          local what = random(1, 8)
          if what <= 3 then
            local block = mem:block(random(0, 600), random(1, 5) == 1 and 1 << random(0, 8) or nil)
            if block then
              local byte = random(0, 255)
              block:fill(0, byte, block:size())
              held[#held + 1] = { block, byte, block:size() }
            end
          elseif what == 4 then
            local size = random(0, 300)
            local address = mem:alloc(size)
            if address then
              mem:fill(address, 7, size)
              raw[#raw + 1] = { address, size }
            end
          elseif what == 5 and #raw > 0 then
            assert(mem:free(table.remove(raw, random(1, #raw))[1]))
          elseif what <= 7 and #held > 0 then
            assert(table.remove(held, random(1, #held))[1]:free())
          elseif what == 8 then
            local largest, capacity = mem:stats().largest_free, mem:stats().capacity
            local won = mem:compact()
            local now = mem:stats()
            if now.largest_free ~= largest + won and now.capacity == capacity then
              error(("seed %d, call %d: %d won, %d to %d"):format(seed, n, won, largest, now.largest_free))
            end
            contract.consistent(mem)
          end
        end
        for _, one in ipairs(held) do
          if one[1]:read() ~= string.char(one[2]):rep(one[3]) then error("seed " .. seed .. ": bytes were lost") end
        end
        for _, one in ipairs(raw) do
          if mem:read(one[1]) ~= ("\7"):rep(one[2]) then error("seed " .. seed .. ": raw bytes were lost") end
        end
      end
    end)
  end

  it("is the same in every run", function()
    local function run()
      local mem <close> = heapwright.new { capacity = "64K", policy = "best-fit" }
      local random, held, places = uniform(5), {}, {}
      for _ = 1, 200 do
        held[#held + 1] = mem:block(random(0, 500))
        if random(1, 2) == 1 and #held > 0 then table.remove(held, random(1, #held)):free() end
        if random(1, 20) == 1 then mem:compact() end
      end
      for i, block in ipairs(held) do places[i] = block:address() end
      return places
    end
    assert.same(run(), run())
  end)
end)
