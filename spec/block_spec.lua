-- SPDX-License-Identifier: MIT
-- Block objects: what they own, when they let go of it, and what they answer then.
local heapwright = require "heapwright"

local function live(mem) return mem:stats().live_blocks end

describe("a block object", function()
  local mem

  before_each(function() mem = heapwright.new { capacity = "64K" } end)
  after_each(function() mem:close() end)

  it("owns as many zeroed bytes as were asked for", function()
    local dirty = mem:malloc(100)
    mem:fill(dirty, 255, 100)
    mem:free(dirty)
    local block = mem:block(100)
    assert.equal(("\0"):rep(100), block:read())
    assert.equal(100, block:size())
    assert.equal(100, mem:size(block:address()))
    assert.equal(0, mem:block(0):size())
  end)

  it("is read and written by offsets, each call as the pool's own", function()
    local block = mem:block(64)
    assert.is_true(block:write(0, "Hello, World!"))
    assert.equal("World", block:read(7, 5))
    assert.equal("Hello", mem:read(block:address(), 5))
    assert.is_true(block:copy(20, 0, 13))
    assert.equal("Hello, World!", block:read(20, 13))
    assert.equal(0, block:compare(0, 20, 13))
    assert.equal(-1, block:compare(0, 1, 1))
    assert.equal(1, block:compare(1, 0, 1))
    assert.is_true(block:fill(0, 120, 64))
    assert.equal(("x"):rep(64), block:read(0))
    assert.is_true(block:pack(8, "<i4 s1 z", -7, "seven", "zero"))
    assert.same({ -7, "seven", "zero" }, { block:unpack(8, "<i4 s1 z") })
    assert.equal("", block:read(64))
  end)

  it("has bounds of its own, and says where a range leaves them", function()
    local block = mem:block(100)
    mem:malloc(1000) -- which a range could run into
    local cases = {
      { "write of 101 bytes at offset 0 runs 1 byte past the 100-byte block", "write", 0, ("x"):rep(101) },
      { "read of 3 bytes at offset 98 runs 1 byte past the 100-byte block", "read", 98, 3 },
      { "read of 0 bytes at offset 105 starts 5 bytes past the 100-byte block", "read", 105 },
      { "read of 1 byte at offset -1 starts before the 100-byte block", "read", -1, 1 },
      { "fill of 1 byte at offset 100 runs 1 byte past the 100-byte block", "fill", 100, 0, 1 },
      { "copy of 10 bytes at offset 95 runs 5 bytes past the 100-byte block", "copy", 95, 0, 10 },
      { "copy of 10 bytes at offset 91 runs 1 byte past the 100-byte block", "copy", 0, 91, 10 },
      { "compare of 2 bytes at offset 99 runs 1 byte past the 100-byte block", "compare", 99, 0, 2 },
      { "compare of 2 bytes at offset 99 runs 1 byte past the 100-byte block", "compare", 0, 99, 2 },
      { "pack of 8 bytes at offset 93 runs 1 byte past the 100-byte block", "pack", 93, "i8", 1 },
      { "unpack of 8 bytes at offset 93 runs 1 byte past the 100-byte block", "unpack", 93, "i8" },
      { "unpack of 's4' at offset 97 runs past the block's end, 3 bytes on", "unpack", 97, "s4" },
      { "read of 9223372036854775807 bytes at offset 1 runs 9223372036854775708 bytes past the 100-byte block",
        "read", 1, math.maxinteger },
    }
    for _, case in ipairs(cases) do
      local answer = table.pack(block[case[2]](block, table.unpack(case, 3)))
      assert.same({ nil, case[1], "out_of_bounds", n = 3 }, answer)
    end
    assert.equal(("\0"):rep(100), block:read())
  end)

  it("raises for what is no offset, size, byte, format or block", function()
    local block = mem:block(10)
    for _, call in ipairs {
      function() block:read {} end, function() block:read(0, -1) end, function() block:read(0, 1.5) end,
      function() block:write(0) end, function() block:fill(0, 256, 1) end, function() block:pack(0, "12Q", 1) end,
      function() block:unpack(0, "12Q") end, function() block:resize(-1) end, function() mem:block(-1) end,
      function() mem:block() end, function() block.read(mem, 0) end, function() block.free {} end,
    } do
      assert.is_false((pcall(call)))
    end
    assert.same({ nil, "block: the alignment 3 is not a power of two", "invalid_argument" }, { mem:block(1, 3) })
  end)

  it("is answered with no_memory where the pool has no room, and nothing is lost", function()
    local block, message, code = mem:block(1 << 20)
    assert.same({ nil, "no_memory" }, { block, code })
    assert.matches("no free block of 1048576 bytes", message, 1, true)
    local first = mem:block(100)
    first:write(0, "kept")
    assert.same({ nil, "no_memory" }, { (first:resize(1 << 20)), (select(3, first:resize(1 << 20))) })
    assert.equal(100, first:size())
    assert.equal("kept", first:read(0, 4))
    first:free()
    assert.equal(0, live(mem))
    assert.is_true(mem:check())
  end)

  it("changes its size, keeps its bytes, and what is new is zero", function()
    local block = mem:block(10)
    mem:malloc(10) -- so that it has to move
    block:fill(0, 97, 10)
    local before = block:address()
    assert.is_true(block:resize(3000))
    assert.not_equal(before, block:address())
    assert.equal(("a"):rep(10) .. ("\0"):rep(2990), block:read())
    assert.is_true(block:resize(5))
    assert.is_true(block:resize(10))
    assert.equal("aaaaa\0\0\0\0\0", block:read())
    block:free()
    assert.equal(1, live(mem))
  end)

  it("frees its block at <close>, at collection, by free and by close", function()
    do local block <close> = mem:block(10) assert.equal(1, live(mem)) assert.is_truthy(block) end
    assert.equal(0, live(mem))
    for _ = 1, 100 do mem:block(10) end
    collectgarbage()
    collectgarbage()
    assert.equal(0, live(mem))
    local block = mem:block(10)
    assert.equal("heapwright block (10 bytes)", tostring(block))
    assert.is_true(block:free())
    assert.equal("heapwright block (freed)", tostring(block))
    assert.is_true(block:close())
    assert.equal(0, live(mem))
  end)

  it("answers every call after it was freed", function()
    local block = mem:block(10)
    local address = block:address()
    block:free()
    assert.equal(address, mem:malloc(10)) -- a stranger's block, where it was
    for name, arguments in pairs {
      read = {}, write = { 0, "x" }, fill = { 0, 1, 1 }, copy = { 0, 1, 1 }, compare = { 0, 1, 1 }, size = {},
      pack = { 0, "i1", 1 }, unpack = { 0, "i1" }, resize = { 5 }, address = {},
    } do
      assert.same({ nil, name .. ": the block was freed", "unallocated" },
        { block[name](block, table.unpack(arguments)) })
    end
    assert.same({ nil, "double free of a block object of 10 bytes", "double_free" }, { block:free() })
    assert.is_true(block:close())
    assert.equal(("\0"):rep(10), mem:read(address))
    assert.equal(1, live(mem))
  end)

  it("knows that its pool was reset, and never frees the block of another", function()
    local block = mem:block(10)
    mem:block(20)
    mem:reset()
    local stranger = mem:malloc(10)
    assert.same({ nil, "read: the block was freed by a reset of its pool", "unallocated" }, { block:read() })
    assert.same({ nil, "free: the block was freed by a reset of its pool", "unallocated" }, { block:free() })
    assert.is_true(block:close())
    collectgarbage()
    assert.equal(10, mem:size(stranger))
    assert.equal(16, mem:block(7):address())
  end)

  it("cannot be freed, resized or forged by its address", function()
    local block = mem:block(10)
    local address = block:address()
    local refused = ("of 0x%x: a block object has it"):format(address)
    assert.same({ nil, "free " .. refused, "invalid_free" }, { mem:free(address) })
    assert.same({ nil, "realloc " .. refused, "invalid_free" }, { mem:realloc(address, 5) })
    assert.equal(10, block:size())
    assert.is_false(getmetatable(block))
    assert.is_false((pcall(function() block.x = 1 end)))
    block:free()
    assert.equal("double_free", select(3, mem:free(address)))
  end)

  it("keeps its pool open until it is collected, but not against close", function()
    local block = heapwright.new():block(10)
    collectgarbage()
    collectgarbage()
    assert.is_true(block:write(0, "still"))
    local pool = heapwright.new()
    local kept = pool:block(10)
    pool:close()
    local methods = debug.getmetatable(kept).__index
    for name in pairs(methods) do
      if name ~= "close" then
        local ok, message = pcall(methods[name], kept, 0, 0, 0)
        assert.is_false(ok)
        assert.matches("pool is closed", message, 1, true)
      end
    end
    assert.is_true(kept:close())
  end)

  it("ends with the handle that made it, though others have the pool still", function()
    local shared = heapwright.new { capacity = "64K" }
    local inner = heapwright.spawn(shared, function(pool)
      pool:block(100)
      local kept = pool:block(50)
      pool:close()
      return (select(2, pcall(kept.read, kept)))
    end)
    assert.matches("pool is closed", inner:join(), 1, true)
    assert.equal(0, live(shared))
    assert.is_true(shared:check())
    shared:close()
  end)
end)

describe("block objects of several threads", function()
  it("keep their bytes while any of them compacts, and learn of a reset", function()
    for _, policy in ipairs { "best-fit", "buddy", "slab" } do
      local mem <close> = heapwright.new { capacity = "256K", policy = policy }
      local code = [[
        local pool, seed = ...
        local held, random = {}, seed
        local function draw(n)
          random = (random * 1103515245 + 12345) & 0x7fffffff
          return random // 65536 % n
        end
        for i = 1, 600 do
          local n = 1 + draw(40)
          local block = pool:block(draw(700))
          if block then
            block:fill(0, n, block:size())
            if held[n] then held[n]:close() end
            held[n] = block
          end
          if i % 7 == 0 then pool:compact() end
          local seen = held[1 + draw(40)]
          if seen then
            local bytes = assert(seen:read())
            if bytes ~= bytes:sub(1, 1):rep(#bytes) then error "bytes were lost" end
            if i % 5 == 0 then
              seen:resize(draw(700))
              seen:fill(0, n, seen:size())
            end
          end
        end
        for _, block in pairs(held) do assert(block:free()) end
        return true
      ]]
      local threads = {}
      for i = 1, 3 do threads[i] = heapwright.spawn(mem, code, i * 7919) end
      for _ = 1, 100 do mem:compact() end
      for _, thread in ipairs(threads) do assert.is_true((thread:join())) end
      assert.equal(0, live(mem))
      assert.is_true(mem:check())
    end
  end)

  it("learn that another thread reset the pool", function()
    local mem <close> = heapwright.new { capacity = "256K" }
    local thread = heapwright.spawn(mem, [[
      local pool = ...
      local resets = 0
      repeat
        local block <close> = pool:block(100)
        for _ = 1, 10 do
          local ok, message, code = block:write(0, "x")
          if not ok then
            if code ~= "unallocated" or not message:find "reset" then error(message) end
            resets = resets + 1
          end
        end
      until resets > 20
      return resets
    ]])
    while thread:status() == "running" do assert.is_true(mem:reset()) end
    assert.is_truthy(thread:join() > 20)
    assert.equal(0, live(mem))
    assert.is_true(mem:check())
  end)
end)
