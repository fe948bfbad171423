-- SPDX-License-Identifier: MIT
-- One contract for every policy that heapwright.policies() lists.

local heapwright = require "heapwright"
local contract = require "spec.support.contract"

-- Frees everything but what bump keeps until it is reset.
local function free_all(mem, held)
  for _, block in ipairs(held) do assert(mem:free(block.address)) end
  if mem:policy() == "bump" then assert(mem:reset()) end
end

for _, rule in ipairs(contract.rules()) do
  describe("every policy, " .. rule.label .. ",", function()
    local mem

    local function open(capacity)
      mem = assert(heapwright.new { capacity = capacity, policy = rule.policy, order = rule.order })
      return mem
    end

    after_each(function()
      if mem then mem:close() end
      mem = nil
    end)

    it("says its name", function()
      assert.equal(rule.policy, open("64K"):policy())
    end)

    it("keeps every byte, overlaps nothing, aligns, counts right: often full", function()
      for seed = 1, 4 do
        free_all(open "8K", contract.drive(mem, seed, 600, 300))
        mem:close()
      end
    end)

    it("keeps every byte, overlaps nothing, aligns, counts right: roomy", function()
      for seed = 11, 12 do
        free_all(open "1M", contract.drive(mem, seed, 1000, 3000))
        mem:close()
      end
    end)

    it("gives the whole pool again once all is freed", function()
      for seed = 21, 23 do
        free_all(open "128K", contract.drive(mem, seed, 500, 2000))
        if seed > 21 then -- without it, what is kept to be faster is given where it is wanted
          assert.is_true(mem:trim())
          assert.equal(1, mem:stats().free_blocks)
          assert.equal(131072, mem:stats().largest_free)
        end
        assert.equal(0, mem:alloc(131072))
        mem:close()
      end
    end)

    it("gives the whole pool in single granules", function()
      open "16K"
      local seen = {}
      for _ = 1, 1024 do
        local address = assert(mem:alloc(16))
        assert.is_nil(seen[address])
        seen[address] = true
      end
      local none, _, code = mem:alloc(0)
      assert.is_nil(none)
      assert.equal("no_memory", code)
      assert.equal(0, mem:stats().free)
      assert.equal(0, mem:stats().largest_free)
      contract.consistent(mem)
    end)

    it("places the same calls at the same addresses", function()
      local first = {}
      for pass = 1, 2 do
        open "32K"
        local held = contract.drive(mem, 7, 400, 500)
        for i, block in ipairs(held) do
          if pass == 1 then first[i] = block.address end
          assert.equal(first[i], block.address)
        end
        mem:close()
      end
    end)

    it("places after a reset as in a new pool", function()
      open "32K"
      local fresh = contract.drive(mem, 5, 300, 500)
      mem:close()
      open "32K"
      contract.drive(mem, 99, 300, 500)
      mem:reset()
      assert.equal(0, mem:stats().live_blocks)
      for i, block in ipairs(contract.drive(mem, 5, 300, 500)) do
        assert.equal(fresh[i].address, block.address)
      end
    end)

    it("changes nothing where it fails", function()
      open "4K"
      local held = contract.drive(mem, 3, 200, 400)
      local before, map, failures = {}, mem:map(256), mem:stats().failures
      for address, size in mem:blocks() do before[#before + 1] = address .. ":" .. size end
      assert.is_nil((mem:alloc(4097)))
      assert.is_nil((mem:aligned_alloc(4096, 4097)))
      assert.is_nil((mem:calloc(1 << 40, 1 << 40)))
      local block = held[1]
      if block then
        assert.is_nil((mem:realloc(block.address, 1 << 40)))
        assert.equal(block.size, mem:size(block.address))
      end
      local i = 0
      for address, size in mem:blocks() do
        i = i + 1
        assert.equal(before[i], address .. ":" .. size)
      end
      assert.equal(map, mem:map(256))
      assert.equal(failures + (block and 4 or 3), mem:stats().failures)
      contract.consistent(mem)
    end)

    it("works in a pool of one granule", function()
      open(16)
      assert.equal(0, mem:alloc(7))
      assert.is_nil((mem:alloc(0)))
      assert.equal(0, mem:realloc(0, 16))
      assert.is_true(mem:free(0))
      if rule.policy == "bump" then mem:reset() end
      assert.equal(0, mem:alloc(16))
      contract.consistent(mem)
    end)

    it("works in pools of any number of granules", function()
      for granules = 1, 70 do
        open(granules * 16)
        local count = 0
        while mem:alloc(16) do count = count + 1 end
        assert.equal(granules, count)
        contract.consistent(mem)
        mem:close()
      end
    end)

    it("takes granules from 8 to 4096", function()
      for shift = 3, 12 do
        local options = { capacity = "256K", policy = rule.policy, order = rule.order, granule = 1 << shift }
        if shift == 3 and rule.order ~= "address" then options.granule = 16 end
        mem = assert(heapwright.new(options))
        local a, b = assert(mem:alloc(1)), assert(mem:alloc(1))
        assert.equal(0, a % math.min(16, options.granule))
        assert.equal(0, (b - a) % options.granule)
        assert.is_true(mem:usable_size(a) >= options.granule)
        contract.consistent(mem)
        mem:close()
      end
    end)

    it("counts steps, the worst of them among all", function()
      open "64K"
      contract.drive(mem, 2, 100, 500)
      local stats = mem:stats()
      assert.is_true(stats.steps > 0 and stats.steps_max > 0 and stats.steps_max <= stats.steps)
      mem:stats()
      mem:check()
      assert.equal(stats.steps, mem:stats().steps)
    end)

    it("counts as the worst the steps of the call that took most", function()
      open "64K"
      local worst, before, held = 0, mem:stats().steps, {}
      for i = 1, 200 do
        if i % 3 == 0 then
          assert(mem:free(table.remove(held, i * 7 % #held + 1)))
        else
          held[#held + 1] = mem:alloc(i * 37 % 400)
        end
        local stats = mem:stats()
        worst, before = math.max(worst, stats.steps - before), stats.steps
        assert.equal(worst, stats.steps_max)
      end
    end)
  end)
end
