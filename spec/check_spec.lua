-- SPDX-License-Identifier: MIT
-- No script can break a pool: check holds whatever is done. That it finds what
-- is broken is shown in C, where the bytes can be reached.
local heapwright = require "heapwright"
local contract = require "spec.support.contract"

describe("check", function()
  for _, rule in ipairs(contract.rules()) do
    it("is true whatever a script writes: " .. rule.label, function()
      local mem <close> = heapwright.new { capacity = "8K", policy = rule.policy, order = rule.order }
      for _, block in ipairs(contract.drive(mem, 31, 300, 300)) do
        mem:fill(block.address, 255, block.size)
        mem:write(block.address + block.size, "past the end")
        mem:fill(block.address + block.size, 0, 1)
      end
      assert.is_true(mem:check())
      for address, size, requested in mem:blocks() do
        if not requested then
          assert.is_nil((mem:fill(address, 255, size)))
          assert.is_nil((mem:write(address, "x")))
        end
      end
      assert.is_true(mem:check())
    end)
  end

  it("changes nothing", function()
    local mem <close> = heapwright.new { capacity = "8K" }
    contract.drive(mem, 32, 100, 300)
    local before = mem:stats()
    mem:check()
    assert.same(before, mem:stats())
  end)
end)
