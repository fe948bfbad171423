-- SPDX-License-Identifier: MIT
local heapwright = require "heapwright"

describe("record", function()
  local mem, path

  before_each(function()
    mem = assert(heapwright.new { capacity = "4K" })
    path = os.tmpname()
  end)
  after_each(function()
    mem:close()
    os.remove(path)
  end)

  -- The events of a text trace without times, threads and comments.
  local function events()
    local list = {}
    for line in io.lines(path) do
      if not line:find "^#" then list[#list + 1] = line:gsub("%s*[@%%]%d+", "") end
    end
    return list
  end

  it("writes what happens, from its begin to its end", function()
    assert.is_true(mem:record(path))
    local a = mem:alloc(100)
    local b = mem:aligned_alloc(256, 20)
    mem:realloc(a, 50)
    mem:free(b)
    mem:alloc(5000)
    mem:free(b)
    local ended, count = mem:record()
    assert.is_true(ended)
    assert.equal(4, count)
    mem:alloc(7)
    assert.same({ "a 1 100", "a 2 20 256", "r 1 50", "f 2" }, events())
  end)

  it("begins with the blocks that are live", function()
    local a = mem:alloc(10)
    mem:alloc(20)
    mem:record(path)
    mem:free(a)
    local _, count = mem:record(false)
    assert.equal(3, count)
    assert.same({ "a 1 10", "a 2 20", "f 1" }, events())
  end)

  it("knows reset as frees", function()
    mem:record(path)
    mem:alloc(1)
    mem:alloc(2)
    mem:reset()
    mem:record()
    assert.same({ "a 1 1", "a 2 2", "f 1", "f 2" }, events())
  end)

  it("writes the binary format where the name ends in .hwt", function()
    local binary = path .. ".hwt"
    mem:record(binary)
    for _ = 1, 1000 do mem:free(mem:alloc(10)) end
    local _, count = mem:record()
    assert.equal(2000, count)
    local file = assert(io.open(binary, "rb"))
    local bytes = file:read "a"
    file:close()
    os.remove(binary)
    assert.is_truthy(bytes:find "[^\n\r\t -~]")
    assert.is_true(#bytes < 2000 * 16)
  end)

  it("ends once, and what was not begun ends as nothing", function()
    local ended, count = mem:record()
    assert.is_true(ended)
    assert.equal(0, count)
    mem:record(path)
    mem:alloc(1)
    mem:record()
    assert.equal(0, select(2, mem:record()))
  end)

  it("may be begun anew", function()
    mem:record(path)
    mem:alloc(1)
    mem:record()
    mem:reset()
    mem:record(path)
    mem:alloc(2)
    assert.equal(1, select(2, mem:record()))
    assert.same({ "a 1 2" }, events())
  end)

  it("while one is on is refused", function()
    mem:record(path)
    local none, message, code = mem:record(path)
    assert.is_nil(none)
    assert.equal("record: the pool is being recorded already", message)
    assert.equal("invalid_argument", code)
    mem:alloc(9)
    mem:record()
    assert.same({ "a 1 9" }, events())
  end)

  it("to where nothing can be written is an error of io, and the pool goes on", function()
    local none, message, code = mem:record "/nowhere/at/all"
    assert.is_nil(none)
    assert.equal("io", code)
    assert.is_truthy(message:find("/nowhere/at/all", 1, true))
    assert.equal(0, mem:alloc(10))
    assert.equal("io", select(3, mem:record(".")))
  end)

  it("to a device that is full says so at its end, and the pool goes on", function()
    if not io.open("/dev/full", "r") then return end
    local began = mem:record "/dev/full"
    for _ = 1, 20000 do mem:free(mem:alloc(10)) end
    if began then
      local none, message, code = mem:record()
      assert.is_nil(none)
      assert.equal("io", code)
      assert.is_truthy(message:find("/dev/full", 1, true))
    end
    assert.is_true(mem:check())
  end)
end)
