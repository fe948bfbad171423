-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"

local ARGUMENTS = {
  write = { 0, "x" }, pack = { 0, "i4", 1 }, unpack = { 0, "i4" }, record = { "x" }, map = { 8 },
}

describe("a closed pool", function()
  it("may be closed again", function()
    local mem = heapwright.new()
    assert.is_true(mem:close())
    assert.is_true(mem:close())
  end)

  it("raises from every other method, and names it", function()
    local mem = heapwright.new()
    local methods = debug.getmetatable(mem).__index
    mem:close()
    for name in pairs(methods) do
      if name ~= "close" then
        local text = ("local mem, arguments = ... return mem:%s(table.unpack(arguments))"):format(name)
        local call = assert(load(text, "=here"))
        local ok, message = pcall(call, mem, ARGUMENTS[name] or { 0, 0, 0 })
        assert.is_false(ok)
        assert.equal("here:1: calling '" .. name .. "' on bad self (pool is closed)", message)
      end
    end
  end)

  it("is what <close> leaves, on an error too", function()
    local kept
    do
      local mem <close> = heapwright.new()
      kept = mem
    end
    assert.is_false((pcall(kept.alloc, kept, 1)))
    pcall(function()
      local mem <close> = heapwright.new()
      kept = mem
      error "x"
    end)
    assert.is_false((pcall(kept.alloc, kept, 1)))
  end)

  it("is what collection leaves, in whatever order", function()
    for _ = 1, 100 do heapwright.new { capacity = "64M" }:alloc(100) end
    collectgarbage()
    local seen
    do
      local mem = heapwright.new()
      setmetatable({}, { __gc = function() seen = { pcall(mem.alloc, mem, 1) } end })
    end
    collectgarbage()
    collectgarbage()
    assert.is_table(seen) -- it was alive or collected: either way answered
  end)

  it("may be closed by a finalizer in the middle of a call", function()
    for _ = 1, 10 do
      local mem = heapwright.new { capacity = "1M" }
      local a = mem:malloc(500000)
      for _ = 1, 20 do setmetatable({}, { __gc = function() mem:close() end }) end
      for _ = 1, 5 do pcall(mem.read, mem, a) end
      for _ = 1, 5 do pcall(mem.map, mem, 60000) end
      for _ = 1, 5 do pcall(mem.unpack, mem, a, "s4") end
      for _ = 1, 5 do pcall(mem.leaks, mem) end
      for _ = 1, 5 do pcall(mem.write, mem, a, 1.5) end
      collectgarbage()
    end
  end)

  it("cannot be forged or changed", function()
    local mem <close> = heapwright.new()
    assert.is_false(getmetatable(mem))
    assert.is_false((pcall(setmetatable, mem, {})))
    assert.is_false((pcall(function() mem.x = 1 end)))
    assert.is_nil(mem.x)
  end)

  it("ends its own recording", function()
    local path = os.tmpname()
    local mem = heapwright.new()
    mem:record(path)
    mem:alloc(77)
    mem:close()
    local file <close> = assert(io.open(path))
    assert.is_truthy(file:read "a":find("a 1 77", 1, true))
    os.remove(path)
  end)
end)
