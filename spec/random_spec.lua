-- SPDX-License-Identifier: MIT
-- Promises of the scenarios' randomness: the same on every machine, and of the right shape.
local random = require "heapwright.random"

local function mean_of(count, draw)
  local sum = 0.0
  for _ = 1, count do
    sum = sum + draw()
  end
  return sum / count
end

local function assert_near(expected, seen, tolerance)
  assert.is_true(math.abs(seen - expected) <= tolerance, ("%s expected, %s seen"):format(expected, seen))
end

describe("random numbers", function()
  it("are xoshiro256** filled by splitmix64: the published outputs for seed 1", function()
    local r = random.new(1)
    assert.equal("b3f2af6d0fc710c5 853b559647364cea 92f89756082a4514",
      ("%016x %016x %016x"):format(r:bits(), r:bits(), r:bits()))
  end)

  it("repeat for the same seed and differ for another", function()
    local a, b, c = random.new(7), random.new(7), random.new(8)
    local same, other = true, true
    for _ = 1, 100 do
      local x = a:bits()
      same, other = same and x == b:bits(), other and x == c:bits()
    end
    assert.is_true(same)
    assert.is_false(other)
  end)

  it("below n reach every number, each about as often", function()
    local r, seen = random.new(3), {}
    for _ = 1, 6000 do
      local x = r:below(6)
      seen[x] = (seen[x] or 0) + 1
    end
    for x = 0, 5 do
      assert_near(1000, seen[x], 150)
    end
  end)

  it("have logarithms and exponentials within two units of the last place", function()
    local r = random.new(5)
    for _ = 1, 5000 do
      local x = (r:unit() + 1e-9) * 10.0 ^ (r:below(20) - 10)
      assert_near(math.log(x), random.log(x), math.abs(math.log(x)) * 1e-15)
      local y = (r:unit() - 0.5) * 100
      assert_near(1, random.exp(y) / math.exp(y), 1e-14)
    end
  end)

  it("draw distributions with their means", function()
    local r = random.new(11)
    assert_near(100.5, mean_of(50000, function() return r:exponential(100) end), 2)
    assert_near(0, mean_of(50000, function() return r:normal() end), 0.02)
    assert_near(24.5, mean_of(50000, function() return r:pareto(3, 16) end), 0.5)
    assert_near(math.exp(4 + 0.5 * 0.25) + 0.5, mean_of(50000, function() return r:lognormal(4, 0.5) end), 1)
  end)

  it("draw the very same deviates everywhere", function()
    local r = random.new(1)
    local drawn = {}
    for i = 1, 4 do
      drawn[i] = ("%d %d %d"):format(r:exponential(1000), r:lognormal(5, 1), r:pareto(1.5, 16))
    end
    assert.same({ "1214 308 23", "1195 2077 18", "74 109 28", "2697 391 131" }, drawn)
  end)
end)
