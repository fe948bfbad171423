-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"
local contract = require "spec.support.contract"

describe("two pools at once", function()
  it("share nothing", function()
    local a <close> = heapwright.new { capacity = "4K" }
    local b <close> = heapwright.new { capacity = "4K", policy = "worst-fit" }
    local x, y = a:alloc(100), b:alloc(100)
    assert.equal(x, y)
    a:write(x, "a")
    b:write(y, "b")
    assert.equal("a", a:read(x, 1))
    assert.is_true(a:free(x))
    assert.equal("b", b:read(y, 1))
    assert.equal(1, b:stats().live_blocks)
    a:close()
    assert.is_true(b:free(y))
  end)

  it("of every policy, driven in turn, are what each would be alone", function()
    local rules, alone = contract.rules(), {}
    local function open(rule)
      return heapwright.new { capacity = "16K", policy = rule.policy, order = rule.order }
    end
    for i, rule in ipairs(rules) do
      local mem <close> = open(rule)
      contract.drive(mem, i, 100, 300)
      contract.drive(mem, i + 100, 100, 300)
      alone[i] = mem:map(1024)
    end
    local pools = {}
    for i, rule in ipairs(rules) do
      pools[i] = open(rule)
      contract.drive(pools[i], i, 100, 300)
    end
    for i, mem in ipairs(pools) do contract.drive(mem, i + 100, 100, 300) end
    for i, mem in ipairs(pools) do
      assert.equal(alone[i], mem:map(1024))
      mem:close()
    end
  end)

  it("are told apart, however many there are and whoever came before them", function()
    for _ = 1, 3 do
      local pools = {}
      for i = 1, 300 do
        pools[i] = heapwright.new { capacity = "64K" }
        pools[i]:alloc(i)
      end
      for i = 1, 300, 3 do pools[i]:close() end
      for i = 2, 300, 3 do pools[i]:write(0, tostring(i)) end
      for i, mem in ipairs(pools) do
        local open, size = pcall(mem.size, mem, 0)
        assert.equal(i % 3 ~= 1, open)
        if open then assert.equal(i, size) end
        if i % 3 == 2 then assert.equal(tostring(i):sub(1, 1), mem:read(0, 1)) end
      end
      pools = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
    end
  end)

  it("of a module that was opened a second time are alike", function()
    local file = assert(package.searchpath("heapwright", package.cpath))
    local open = assert(package.loadlib(file, "luaopen_heapwright_pool"))
    local again = open()
    local mem <close> = again.new { capacity = "4K" }
    local first <close> = heapwright.new { capacity = "4K" }
    assert.equal(debug.getmetatable(first), debug.getmetatable(mem))
    assert.equal(0, first.alloc(mem, 10))
    assert.equal(16, mem.alloc(mem, 10))
    assert.equal(heapwright.version, again.version)
  end)
end)
