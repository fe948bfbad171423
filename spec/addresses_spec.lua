-- SPDX-License-Identifier: MIT
-- Any integer is a legal address. What is not what the call needs is answered
-- with its code, and nothing happens.
local heapwright = require "heapwright"
local contract = require "spec.support.contract"
local uniform = require("heapwright.property.generator").uniform

local WANT_START = { "free", "size", "usable_size" }
local WANT_LIVE = { "read", "owner" }

-- What holds the address, from the list of blocks alone.
local function block_at(mem, address)
  for start, size, requested in mem:blocks() do
    if address >= start and address < start + size then return start, size, requested end
  end
end

local function random_address(random)
  local kind = random(1, 6)
  if kind == 1 then return random(0, math.maxinteger) - random(0, math.maxinteger) end
  if kind == 2 then return 1 << random(0, 63) end
  if kind == 3 then return -random(1, 100) end
  if kind == 4 then return 16 * random(0, 1024) end
  return random(0, 17000)
end

describe("any integer as an address", function()
  for _, rule in ipairs(contract.rules()) do
    it("is answered, and changes nothing where it is none: " .. rule.label, function()
      local mem <close> = heapwright.new { capacity = "16K", policy = rule.policy, order = rule.order }
      contract.drive(mem, 17, 300, 400)
      local map, random, refused = mem:map(1024), uniform(23), {}
      for _ = 1, 3000 do
        local address = random_address(random)
        local start, _, requested = block_at(mem, address)
        if not (requested and start == address) then
          for _, call in ipairs(WANT_START) do
            local got, message, code = mem[call](mem, address)
            local refusal = code == "invalid_free" or code == "double_free"
            if got ~= nil or type(message) ~= "string" or not refusal then
              error(("%s(%d) gave %s, %s, %s"):format(call, address, tostring(got), tostring(message),
                tostring(code)))
            end
            refused[code] = true
          end
          local got, _, code = mem:realloc(address, 100)
          if got ~= nil or (code ~= "invalid_free" and code ~= "double_free") then
            error(("realloc(%d) gave %s, %s"):format(address, tostring(got), tostring(code)))
          end
        end
        local expected = not start and "out_of_bounds" or not requested and "unallocated" or nil
        if expected then
          for _, call in ipairs(WANT_LIVE) do
            local got, _, code = mem[call](mem, address, 0)
            if got ~= nil or code ~= expected then
              error(("%s(%d) gave %s, %s; not %s"):format(call, address, tostring(got), tostring(code),
                expected))
            end
          end
          for _, done in ipairs {
            { mem:write(address, "x") }, { mem:fill(address, 1, 1) }, { mem:copy(address, 0, 1) },
            { mem:compare(address, address, 1) }, { mem:pack(address, "i4", 1) },
            { mem:unpack(address, "i4") },
          } do
            if done[1] ~= nil or not (done[3] == expected or done[3] == "unallocated") then
              error(("an access at %d gave %s, %s"):format(address, tostring(done[1]), tostring(done[3])))
            end
          end
        elseif mem:owner(address) ~= start then
          error(("owner(%d) is not %d"):format(address, start))
        end
      end
      assert.is_true(refused.invalid_free and refused.double_free)
      assert.equal(map, mem:map(1024))
      contract.consistent(mem)
    end)
  end

  it("inside a block serves access and owner", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    mem:alloc(16)
    local a = mem:alloc(100)
    assert.is_true(mem:write(a + 50, "inside"))
    assert.equal("inside", mem:read(a + 50, 6))
    local start, size = mem:owner(a + 99)
    assert.equal(a, start)
    assert.equal(100, size)
  end)

  it("may be a float of a whole value", function()
    local mem <close> = heapwright.new { capacity = "4K" }
    mem:alloc(16)
    assert.equal(16, mem:size(0.0))
  end)
end)
