-- SPDX-License-Identifier: MIT
-- Order "random": property_spec follows it address by address; here is what it is for.
local heapwright = require "heapwright"

local POLICIES = { "best-fit", "first-fit", "worst-fit" }
local SEEDS = 200

local function open(policy, seed, more)
  local options = { capacity = "64K", policy = policy, order = "random", seed = seed }
  for name, value in pairs(more or {}) do options[name] = value end
  return assert(heapwright.new(options))
end

-- Addresses of a program that allocates and frees.
local function addresses(mem)
  local list, held = {}, {}
  for i = 1, 60 do
    local a = assert(mem:alloc(16 + i % 3 * 16))
    list[i] = a
    held[#held + 1] = a
    if i % 2 == 0 then assert(mem:free(table.remove(held, 1))) end
  end
  return list
end

-- A pool whose only free blocks are eight of 64 bytes, and those.
local function with_holes(policy, seed)
  local mem = open(policy, seed, { capacity = "16K" })
  local granules, holes = {}, {}
  for _ = 1, mem:stats().capacity // 16 do granules[#granules + 1] = assert(mem:alloc(16)) end
  table.sort(granules)
  for hole = 1, 8 do
    local from = hole * 100
    holes[hole] = granules[from]
    for i = from, from + 3 do assert(mem:free(granules[i])) end
  end
  return mem, holes
end

local function position(list, wanted)
  for i, value in ipairs(list) do
    if value == wanted then return i end
  end
end

-- Chi-squared of eight counts of which each should be as large: above 24.3 once in a thousand fair draws.
local function chi_squared(counts)
  local total, sum = 0, 0
  for i = 1, 8 do total = total + counts[i] end
  for i = 1, 8 do sum = sum + (counts[i] - total / 8) ^ 2 / (total / 8) end
  return sum
end

for _, policy in ipairs(POLICIES) do
  describe(policy .. " in random order", function()
    it("gives the same addresses for the same seed, and others for another", function()
      local seen, different = {}, 0
      for seed = 1, 20 do
        local one <close> = open(policy, seed)
        local again <close> = open(policy, seed)
        local list = table.concat(addresses(one), " ")
        assert.equal(list, table.concat(addresses(again), " "))
        if not seen[list] then different = different + 1 end
        seen[list] = true
      end
      assert.equal(20, different)
    end)

    it("has seed 0 unless another is given", function()
      local given <close> = open(policy, 0)
      local usual <close> = open(policy, nil)
      assert.same(addresses(given), addresses(usual))
    end)

    it("takes each of eight equal blocks in a fair share of 200 seeds", function()
      local counts = { 0, 0, 0, 0, 0, 0, 0, 0 }
      for seed = 1, SEEDS do
        local mem <close>, holes = with_holes(policy, seed)
        local chosen = position(holes, assert(mem:alloc(64)))
        counts[chosen] = counts[chosen] + 1
      end
      assert.is_true(chi_squared(counts) < 24.3, table.concat(counts, " "))
    end)

    it("draws anew for each placement of one pool", function()
      local mem <close>, holes = with_holes(policy, 7)
      local chosen, different = {}, 0
      for _ = 1, SEEDS do
        local a = assert(mem:alloc(64))
        if not chosen[a] then different = different + 1 end
        chosen[a] = true
        assert(position(holes, a))
        assert(mem:free(a))
      end
      assert.is_true(different >= 6, different .. " of 8") -- shares differ in one pool, by the seed
    end)

    it("puts the first block of an empty pool anywhere in it, aligned as asked", function()
      for _, alignment in ipairs { 16, 256 } do
        local seen, different, again = {}, 0, 0
        local eighths = { 0, 0, 0, 0, 0, 0, 0, 0 }
        for seed = 1, SEEDS do
          local mem <close> = open(policy, seed)
          local a = assert(mem:aligned_alloc(alignment, 100))
          assert.equal(0, a % alignment)
          if not seen[a] then different = different + 1 end
          seen[a] = true
          eighths[a * 8 // 65536 + 1] = eighths[a * 8 // 65536 + 1] + 1
          assert(mem:free(a))
          if mem:aligned_alloc(alignment, 100) == a then again = again + 1 end
          assert(mem:check())
        end
        assert.is_true(different > SEEDS / 2, different .. " starts")
        assert.is_true(again <= 5, again .. " times the same again") -- of 256 places, 0.8 are to be expected
        assert.is_true(chi_squared(eighths) < 24.3, table.concat(eighths, " "))
      end
    end)

    it("puts it at each place that there is, from the first to the last", function()
      for places = 2, 5 do
        local seen, different = {}, 0
        for seed = 1, SEEDS do
          local mem <close> = open(policy, seed, { capacity = (places + 1) * 16 })
          local a = assert(mem:alloc(32))
          if not seen[a] then different = different + 1 end
          seen[a] = true
        end
        assert.equal(places, different)
        assert.is_true(seen[0] and seen[(places - 1) * 16])
      end
    end)

    it("puts it anywhere in a pool that can still grow as well", function()
      local eighths = { 0, 0, 0, 0, 0, 0, 0, 0 }
      for seed = 1, SEEDS do
        local mem <close> = open(policy, seed, { max_capacity = "256K" })
        local a = assert(mem:alloc(16))
        eighths[a * 8 // 65536 + 1] = eighths[a * 8 // 65536 + 1] + 1
      end
      assert.is_true(chi_squared(eighths) < 24.3, table.concat(eighths, " "))
    end)

    it("has a place for what takes the whole empty pool", function()
      for seed = 1, 20 do
        local mem <close> = open(policy, seed)
        assert.equal(0, mem:alloc(65536))
        mem:reset()
        assert.equal(0, mem:aligned_alloc(65536, 16))
      end
    end)

    it("begins anew with reset", function()
      local mem <close> = open(policy, 3)
      local first = addresses(mem)
      assert(mem:reset())
      assert.same(first, addresses(mem))
    end)

    it("is the same under every guard, but for red zones and quarantine", function()
      local plain <close> = open(policy, 5, { guard = "off" })
      local check <close> = open(policy, 5, { guard = "check" })
      local full <close> = open(policy, 5, { guard = "full", red_zone = 0, quarantine = 0 })
      local list = addresses(plain)
      assert.same(list, addresses(check))
      assert.same(list, addresses(full))
    end)

    it("is the same while requests fail by plan, or events are recorded", function()
      local plain <close> = open(policy, 6)
      local planned <close> = open(policy, 6)
      local path = os.tmpname()
      planned:inject { after = 1000 }
      assert(planned:record(path))
      assert.same(addresses(plain), addresses(planned))
      os.remove(path)
    end)

    it("chooses only among those that its rule holds for equal", function()
      for seed = 1, SEEDS do
        local mem <close>, holes = with_holes(policy, seed)
        local cut = position(holes, assert(mem:alloc(16))) -- of this one 48 bytes are left
        local chosen = assert(mem:alloc(32))
        if policy == "best-fit" then assert.equal(holes[cut] + 16, chosen) end
        if policy == "worst-fit" then assert.is_truthy(position(holes, chosen)) end
        if policy == "first-fit" then
          assert.is_truthy(position(holes, chosen) or chosen == holes[cut] + 16)
        end
        assert.is_true(mem:check())
      end
    end)
  end)
end
