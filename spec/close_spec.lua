-- SPDX-License-Identifier: MIT
local finalizer = require "spec.support.finalizer"
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

  describe("that a finalizer closes in the middle of a call", function()
    local calls = {
      read = function(mem, a) mem:read(a, 1100) end,
      ["a large read"] = function(mem, a) mem:read(a) end,
      map = function(mem) mem:map(1100) end,
      unpack = function(mem, a) mem:unpack(a, "s4") end,
      leaks = function(mem) mem:leaks() end,
      write = function(mem, a) mem:write(a, math.random()) end, -- which becomes a new string
    }
    local pause, multiplier

    before_each(function() -- so that the collector is always at work
      collectgarbage()
      pause, multiplier = collectgarbage("setpause", 0), collectgarbage("setstepmul", 1000)
    end)
    after_each(function()
      collectgarbage("setpause", pause)
      collectgarbage("setstepmul", multiplier)
    end)

    for name, call in pairs(calls) do
      it("answers " .. name, function()
        for i = 1, 200 do -- which of Lua's allocations in a call it is, is chance
          local mem = heapwright.new { capacity = "1M", thread_safe = i % 2 == 0 }
          local a = mem:malloc(50000)
          for _ = 1, 100 do mem:malloc(1) end
          setmetatable({}, { __gc = function() mem:close() end })
          local open, message = true, nil
          for _ = 1, 1000000 do
            open, message = pcall(call, mem, a)
            if not open then break end
          end
          assert.is_false(open)
          assert.matches("pool is closed", message, 1, true)
        end
      end)
    end
  end)

  it("that a finalizer closes within leaks gives whole sites, or raises", function()
    local whole, raised = 0, 0
    for fuse = 0, 20 do
      local mem = heapwright.new { capacity = 4096, guard = "full" }
      for i = 1, 5 do mem:alloc(i) end
      local ok, leaks = finalizer.struck(fuse, function() mem:close() end, mem.leaks, mem)
      if ok then
        whole = whole + 1
        for _, leak in ipairs(leaks) do assert.matches("^spec/close_spec.lua:%d+$", leak.site) end
      else
        raised = raised + 1
        assert.matches("pool is closed", leaks, 1, true)
      end
    end
    assert.is_truthy(whole > 0 and raised > 5)
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
