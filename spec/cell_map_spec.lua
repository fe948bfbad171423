-- SPDX-License-Identifier: MIT
-- Promises of the picture of a pool in rows of cells.
local cell_map = require "heapwright.cell_map"
local heapwright = require "heapwright"

-- Opens a pool, in which a negative size frees the block at that address.
local function pool(capacity, sizes)
  local mem = heapwright.new { capacity = capacity }
  for _, size in ipairs(sizes) do
    if size < 0 then assert(mem:free(-size)) else assert(mem:alloc(size)) end
  end
  return mem
end

local function rows_of(capacity, sizes, width, most)
  local mem <close> = pool(capacity, sizes)
  return cell_map.draw(cell_map.measure(mem, cell_map.scale(capacity, width, most)), false)
end

describe("a cell map", function()
  it("shows by a character how much of a cell is live", function()
    -- Cells of 128 bytes: none, 16, 32, 64, 96, 112 and 128 of them.
    local mem <close> = pool(1024, {})
    local rest = {}
    for i, bytes in ipairs { 16, 32, 64, 96, 112 } do
      assert(mem:alloc(bytes))
      rest[i] = assert(mem:alloc(128 - bytes))
    end
    assert(mem:alloc(128))
    for _, address in ipairs(rest) do assert(mem:free(address)) end
    assert.same({ ":-=++#.." }, cell_map.draw(cell_map.measure(mem, cell_map.strip(1024, 8)), false))
  end)

  it("begins each row with its address, and ends the last where the pool ends", function()
    assert.same({
      "   0x0 ########",
      "  0x80 ####....",
      " 0x100 ..",
    }, rows_of(288, { 192 }, 16))
  end)

  it("has cells as small as fit into its rows", function()
    local cases = { { 65536, 80, 12 }, { 65537, 80, 12 }, { 1 << 20, 200, 3 }, { 16, 80, 1 }, { 1 << 40, 30, 2 } }
    for _, case in ipairs(cases) do
      local capacity, width, most = table.unpack(case)
      local scale = cell_map.scale(capacity, width, most)
      assert.is_true(scale.rows <= most)
      assert.is_true(scale.rows * scale.columns * scale.cell >= capacity)
      assert.is_true((scale.rows - 1) * scale.columns * scale.cell < capacity)
      if scale.cell > 16 then assert.is_true(most * scale.columns * scale.cell / 2 < capacity) end
      assert.is_true(scale.label + 1 + scale.columns <= width)
    end
  end)

  it("counts every live byte once, and every block where it begins", function()
    local mem <close> = heapwright.new { capacity = 65536 }
    local held = {}
    for i = 1, 200 do held[i] = assert(mem:alloc(1 + i * 7919 % 600)) end
    for i = 1, 200, 3 do assert(mem:free(held[i])) end
    local stats = mem:stats()
    for _, width in ipairs { 20, 80, 133 } do
      local cells = cell_map.measure(mem, cell_map.scale(65536, width))
      local live, begins = 0, 0
      for i in ipairs(cells.live) do
        assert.is_true(cells.live[i] <= cells.scale.cell)
        live, begins = live + cells.live[i], begins + cells.begins[i]
      end
      assert.equal(stats.granted, live)
      assert.equal(stats.live_blocks + stats.free_blocks, begins)
    end
  end)

  it("tells a cell's share by its background in 256 colours, and where blocks begin by bars", function()
    local mem <close> = pool(1024, { 128, 64, 64, -128 }) -- all; half, with two blocks; free
    local line = cell_map.draw(cell_map.measure(mem, cell_map.strip(1024, 8)), true)[1]
    assert.equal("\27[38;5;136;48;5;227m▏\27[38;5;240;48;5;145m▎\27[38;5;244;48;5;235m▏     \27[0m", line)
  end)

  it("leaves the pool as it was", function()
    local mem <close> = pool(65536, { 100, 2000, 30, -112 })
    local before, map = mem:stats(), mem:map(4096)
    cell_map.draw(cell_map.measure(mem, cell_map.scale(65536, 80)), true)
    assert.same(before, mem:stats())
    assert.equal(map, mem:map(4096))
  end)
end)
