-- SPDX-License-Identifier: MIT
-- Policies in Lua: the rules, written as a program would, agree with the built-in ones; what is wrong in
-- one fails the request, and nothing else.
local contract = require "spec.support.contract"
local heapwright = require "heapwright"
local own = require "spec.support.own_policies"
local pools = require "heapwright.property.pool"
local property = require "heapwright.property"

-- The model of the built-in policy of that name, for a pool of one in Lua.
local function model_of(name)
  return function(config)
    local built_in = {}
    for key, value in pairs(config) do built_in[key] = value end
    built_in.policy = name
    return pools.model(built_in)
  end
end

local POOLS = {
  { capacity = 2048, usual_size = 100, guard = "off" },
  { capacity = 2048, usual_size = 100 },
  { capacity = "64K", usual_size = 400 },
  { capacity = 1024, granule = 8, usual_size = 30 },
  { capacity = 4096, granule = 32, usual_size = 80 },
  { capacity = 100000, max_capacity = 1000000, usual_size = 60 * 1024 },
  { capacity = 4096, usual_size = 100, guard = "full" },
  { capacity = 4096, usual_size = 100, guard = "full", quarantine = 256, red_zone = 0 },
}

local function choosing(choose, options)
  own.register { choose = choose }
  options = options or {}
  options.policy = "spec-policy"
  options.capacity = options.capacity or 4096
  return assert(heapwright.new(options))
end

describe("a policy in Lua", function()
  after_each(own.forget)

  for how, rules in pairs { ["a scan"] = own.RULES, ["the view's own answers"] = own.SHORT } do
    for name, definition in pairs(rules) do
      it(("agrees with %s address by address, by %s"):format(name, how), function()
        own.register(definition)
        for i, options in ipairs(POOLS) do
          local given = { policy = "spec-policy", operations = 300, runs = 3, seed = i, model = model_of(name) }
          for key, value in pairs(options) do given[key] = value end
          property.check(given)
        end
      end)
    end
  end

  it("that breaks ties otherwise is found, and the list of calls made small", function()
    own.register {
      choose = function(free, size, align)
        local best, least
        for address, bytes in free:blocks() do
          if (not least or bytes <= least) and free:place(address, size, align) then best, least = address, bytes end
        end
        return best
      end,
    }
    local found = property.find {
      policy = "spec-policy", capacity = 2048, operations = 300, runs = 20, seed = 1, model = model_of "best-fit",
    }
    assert.is_truthy(found.what:find("the model says", 1, true))
    assert.is_true(#found.operations <= 8)
  end)

  it("keeps the contract of every policy", function()
    for _, definition in pairs(own.SHORT) do
      own.register(definition)
      for _, guard in ipairs { "off", "check", "full" } do
        local mem <close> = heapwright.new { policy = "spec-policy", capacity = "8K", guard = guard }
        for _, block in ipairs(contract.drive(mem, 3, 600, 300)) do assert(mem:free(block.address)) end
        assert.equal(0, mem:stats().live_blocks)
      end
      property.check { policy = "spec-policy", capacity = 4096, operations = 200, runs = 3, seed = 5 }
    end
  end)

  it("may place anywhere in a free block, where the address that it names is aligned", function()
    local mem <close> = choosing(function(free, size, align)
      local address, bytes = free:largest()
      return (address + bytes - size) // align * align -- as high as it goes
    end)
    assert.equal(4096 - 112, mem:malloc(100))
    assert.equal(4096 - 112 - 16, mem:malloc(1))
    assert.equal(3584, mem:aligned_alloc(512, 100))
    assert.equal(3584 - 16, mem:malloc(16))
    assert(mem:free(4096 - 112))
    assert(mem:check())
    assert.is_true(mem:reset())
    assert.equal(4096 - 16, mem:malloc(16))
  end)

  it("lays a block that is named by its start at the lowest aligned place in it", function()
    local mem <close> = choosing(function(free) return (free:largest()) end)
    assert.equal(0, mem:malloc(10))
    assert.equal(256, mem:aligned_alloc(256, 10))
  end)

  it("is asked in granted bytes, and only where some free block has the size", function()
    local asked = {}
    local mem <close> = choosing(function(free, size, align)
      asked[#asked + 1] = size .. "/" .. align
      return (free:first(size, align))
    end)
    mem:malloc(0)
    mem:malloc(100)
    mem:aligned_alloc(64, 17)
    mem:aligned_alloc(8, 16)
    assert.same({ "16/16", "112/16", "32/64", "16/16" }, asked)
    assert.is_nil(mem:malloc(4096))
    assert.equal(4, #asked)
  end)

  it("that names no block has the pool grow, and be asked again", function()
    local asked = 0
    local mem <close> = choosing(function(free, size)
      asked = asked + 1
      local address, bytes = free:largest()
      if bytes >= size + 4096 then return address end -- keeps a reserve
    end, { capacity = 4096, max_capacity = "1M" })
    assert.equal(0, mem:malloc(1000))
    assert.equal(2, asked)
    assert.is_true(mem:stats().capacity > 4096)
    assert.is_true(mem:free(0))
    assert(mem:check())
  end)

  it("may give up: no_memory, in its name", function()
    for _, nothing in ipairs { function() end, function() return nil end, function() return false end } do
      local mem <close> = choosing(nothing)
      local address, message, code = mem:malloc(100)
      assert.is_nil(address)
      assert.equal("spec-policy has no place for 100 bytes: the largest of 4096 free bytes is 4096", message)
      assert.equal("no_memory", code)
      assert.equal(1, mem:stats().failures)
      assert(mem:check())
    end
  end)

  it("rounds what is granted, where it has `round`", function()
    own.register {
      choose = function(free, size, align) return (free:first(size, align)) end,
      round = function(size)
        local power = 16
        while power < size do power = power * 2 end
        return power
      end,
    }
    local mem <close> = heapwright.new { policy = "spec-policy", capacity = 4096 }
    assert.equal(0, mem:malloc(100))
    assert.equal(128, mem:usable_size(0))
    assert.equal(128, mem:malloc(1))
    assert.equal(0, mem:realloc(0, 128))
    assert.equal(144, mem:realloc(0, 129))
    assert.equal(256, mem:usable_size(144))
    assert.is_nil(mem:malloc(4096))
    property.check { policy = "spec-policy", capacity = 4096, operations = 200, runs = 3, seed = 5, guard = "full" }
  end)

  it("has a table of its own for each pool, empty again after reset", function()
    local mem <close> = choosing(function(free, size, _, state)
      state.calls = (state.calls or 0) + 1
      if state.calls <= 2 then return (free:first(size)) end
    end)
    local other <close> = heapwright.new { policy = "spec-policy", capacity = 4096 }
    assert.is_truthy(mem:malloc(1))
    assert.is_truthy(mem:malloc(1))
    assert.is_nil(mem:malloc(1))
    assert.is_truthy(other:malloc(1))
    assert(mem:reset())
    assert.is_truthy(mem:malloc(1))
  end)
end)

describe("the free blocks that a policy is shown", function()
  after_each(own.forget)

  -- A pool with free blocks of 64 at 0, 32 at 128, 96 at 256 and 2592 at 384, and what `look` gives in choose.
  local function holed(look)
    local calls, seen = 0, nil
    local mem <close> = choosing(function(free, size, align)
      calls = calls + 1
      if calls == 7 then seen = table.pack(look(free)) end
      return (free:first(size, align))
    end, { capacity = 2976 })
    for _, size in ipairs { 64, 64, 32, 96, 96, 32 } do assert(mem:alloc(size)) end
    for _, address in ipairs { 256, 0, 128 } do assert(mem:free(address)) end
    assert(mem:alloc(1))
    return table.unpack(seen, 1, seen.n)
  end

  local function list(step, view)
    local all = {}
    for address, size in step, view do all[#all + 1] = address .. "+" .. size end
    return table.concat(all, " ")
  end

  it("come by address, and by size", function()
    local by_address, by_size, from, count = holed(function(free)
      return list(free:blocks()), list(free:by_size()), list(free:by_size(65)), #free
    end)
    assert.equal("0+64 128+32 256+96 384+2592", by_address)
    assert.equal("128+32 0+64 256+96 384+2592", by_size)
    assert.equal("256+96 384+2592", from)
    assert.equal(4, count)
  end)

  it("are found by what they hold", function()
    local a, a_size, b, c, d, e, largest, most, capacity = holed(function(free)
      local a, a_size = free:first(96)
      local largest, most = free:largest()
      return a, a_size, (free:first(16, 256, 1)), (free:first(16, 1, 65)), (free:first(4000)), (free:first(1, 1, -1)),
        largest, most, free:capacity()
    end)
    assert.same({ 256, 96, 256, 128 }, { a, a_size, b, c })
    assert.is_nil(d)
    assert.is_nil(e)
    assert.same({ 384, 2592, 2976 }, { largest, most, capacity })
  end)

  it("know their neighbours", function()
    local seen = holed(function(free)
      local all = {}
      for _, address in ipairs { 0, 64, 130, 256, 384, 2975, 5000, -1 } do
        all[#all + 1] = { address, { free:before(address) }, { free:after(address) } }
      end
      return all
    end)
    assert.same({
      { 0, {}, { 64, 64, true } },
      { 64, { 0, 64, false }, { 128, 32, false } },
      { 130, { 64, 64, true }, { 160, 96, true } },
      { 256, { 160, 96, true }, { 352, 32, true } },
      { 384, { 352, 32, true }, {} },
      { 2975, { 352, 32, true }, {} },
      { 5000, {}, {} },
      { -1, {}, {} },
    }, seen)
  end)

  it("say where a request would lie", function()
    local seen = holed(function(free)
      local all = {}
      for i, try in ipairs { { 0, 64 }, { 0, 65 }, { 16, 48 }, { 16, 49 }, { 8, 16 }, { 64, 1 }, { 384, 16, 1024 },
        { 400, 16, 1024 }, { 384, 1, 1 << 40 }, { -16, 1 }, { 4096, 1 }, { 0, math.maxinteger } } do
        all[i] = free:place(table.unpack(try)) or false
      end
      return all
    end)
    assert.same({ 0, false, 16, false, false, false, 1024, false, false, false, false, false }, seen)
  end)

  it("can be asked while the policy chooses, and no later", function()
    local kept, walk, view = nil, nil, nil
    local mem <close> = choosing(function(free, size)
      if walk then assert(not pcall(walk)) end -- of an earlier call
      kept, walk = free, free:by_size()
      view = select(2, free:blocks())
      return (free:first(size))
    end)
    assert(mem:malloc(1))
    for name, method in pairs(debug.getmetatable(kept).__index) do
      local ok, message = pcall(method, kept, 1, 1)
      assert.is_false(ok, name)
      assert.equal("spec-policy is not choosing: the free blocks are shown while it does", message)
    end
    assert.is_false(pcall(function() return #kept end))
    assert.is_false(pcall(walk))
    assert.equal("free blocks of a heapwright pool (spec-policy)", tostring(kept))
    assert.equal(kept, view)
    mem:close()
    assert.is_false(pcall(kept.largest, kept))
    assert(heapwright.new { policy = "spec-policy", capacity = 4096 }):malloc(1)
  end)

  it("can't be written, and raise for arguments that make no sense", function()
    local messages = holed(function(free)
      local all = {}
      for i, call in ipairs {
        function() free.x = 1 end,
        function() free:first(-1) end,
        function() free:first(1, 3) end,
        function() free:first() end,
        function() free:by_size(-1) end,
        function() free:place(0) end,
        function() free:place(0, 1, 0) end,
        function() free:before(1.5) end,
        function() free.blocks(1) end,
      } do
        local ok, message = pcall(call)
        all[i] = not ok and message:match "policy_spec.lua:%d+: (.*)" or false
      end
      return all
    end)
    for _, message in ipairs(messages) do assert.is_string(message) end
    assert.is_truthy(messages[2]:find("negative size -1", 1, true))
    assert.is_truthy(messages[3]:find("an alignment is a power of two", 1, true))
  end)
end)
