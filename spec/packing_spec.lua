-- SPDX-License-Identifier: MIT
-- Promises of program:pack: sound packings, by a checker of this file's own, and optima where they are known.
local replay = require "heapwright.replay"

local SHARED = (os.getenv "HEAPWRIGHT_SHARED" or "../shared") .. "/data/minimalloc-%s.csv"

local function load(lines)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
  local program = assert(replay.load(path))
  os.remove(path)
  return program
end

-- Blocks { from, to, size, alignment } as a trace; at one moment frees go before allocations.
local function play(blocks)
  local events, lines = {}, {}
  for id, block in ipairs(blocks) do
    events[#events + 1] = { block[1], 1, id }
    events[#events + 1] = { block[2], 0, id }
  end
  table.sort(events, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  for i, event in ipairs(events) do
    local block = blocks[event[3]]
    lines[i] = event[2] == 1 and ("a %d %d %d"):format(event[3], block[3], block[4] or 1) or "f " .. event[3]
  end
  return load(lines)
end

-- Each pair of pieces, looked at by itself: none shares a byte at one moment; the highest end is the pool.
local function assert_sound(packing, granule)
  local p, highest = packing.pieces, 0
  for i = 1, #p.address do
    highest = math.max(highest, p.address[i] + p.size[i])
    assert.equal(0, p.address[i] % granule)
    assert.is_true(p.from[i] < p.to[i])
    for k = 1, i - 1 do
      local meet = p.from[i] < p.to[k] and p.from[k] < p.to[i]
        and p.address[i] < p.address[k] + p.size[k] and p.address[k] < p.address[i] + p.size[i]
      if meet then error(("pieces %d and %d overlap"):format(k, i)) end
    end
  end
  assert.equal(highest, packing.pool)
end

-- The least height, by giving each block in turn every address. A block of a tiny instance only.
local function optimum(blocks, least)
  local at = {}
  local function place(i, height)
    if i > #blocks then return true end
    local own = blocks[i]
    for address = 0, height - own[3], own[4] do
      local free = true
      for k = 1, i - 1 do
        local other = blocks[k]
        if other[1] < own[2] and own[1] < other[2] and at[k] < address + own[3] and address < at[k] + other[3] then
          free = false
          break
        end
      end
      at[i] = address
      if free and place(i + 1, height) then return true end
    end
    return false
  end
  while not place(1, least) do least = least + 1 end
  return least
end

local function peak(blocks)
  local most = 0
  for _, own in ipairs(blocks) do
    local sum = 0
    for _, other in ipairs(blocks) do
      if other[1] <= own[1] and own[1] < other[2] then sum = sum + other[3] end
    end
    most = math.max(most, sum)
  end
  return most
end

local function random_from(seed)
  local state = seed
  return function(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & 0x7FFFFFFFFFFFFFFF
    return (state >> 33) % n
  end
end

describe("program:pack", function()
  it("finds the optimum of tiny instances, proved, as an exhaustive search does", function()
    local below, above = random_from(7), 0
    for _ = 1, 500 do
      local blocks = {}
      for i = 1, 5 + below(4) do
        local from = below(6)
        blocks[i] = { from, from + 1 + below(4), 1 + below(4), 1 << below(3) }
      end
      local packing = assert(play(blocks):pack { granule = 1, pieces = true })
      assert_sound(packing, 1)
      local bound = peak(blocks)
      local least = optimum(blocks, bound)
      assert.equal(least, packing.pool)
      assert.is_true(packing.proved)
      if least > bound then above = above + 1 end
    end
    assert.is_true(above > 15) -- many need a proof beyond the peak: of aligned blocks
  end)

  it("packs sound in every granule, with alignments and resizes", function()
    local below = random_from(3)
    for round = 1, 40 do
      local live, lines, id = {}, {}, 0
      for i = 1, 150 do
        local what = below(5)
        if #live > 0 and what < 2 then
          lines[i] = "f " .. table.remove(live, 1 + below(#live))
        elseif #live > 0 and what == 2 then
          lines[i] = ("r %d %d"):format(live[1 + below(#live)], below(500))
        else
          id = id + 1
          live[#live + 1] = id
          lines[i] = ("a %d %d %d"):format(id, below(500), 1 << below(9))
        end
      end
      local granule = 1 << (round % 7)
      local packing = assert(load(lines):pack { granule = granule, nodes = 2000, pieces = true })
      assert_sound(packing, granule)
    end
  end)

  it("gives what is never freed to the trace's end, and a resize another piece", function()
    local packing = load({ "a 1 100", "a 2 50", "r 2 60", "r 2 70", "f 2" }):pack { pieces = true }
    assert.same({ from = { 1, 2, 4 }, to = { 6, 4, 5 }, size = { 112, 64, 80 } },
      { from = packing.pieces.from, to = packing.pieces.to, size = packing.pieces.size })
    assert.equal(192, packing.pool)
    assert.is_true(packing.proved)
    assert.equal(0.0, packing.overhead)
  end)

  it("is the same in every run, and tells no pieces unless asked", function()
    local below, blocks = random_from(11), {}
    for i = 1, 90 do
      local from = below(60)
      blocks[i] = { from, from + 1 + below(30), 1 + below(4000) }
    end
    local program = play(blocks)
    local first = program:pack { nodes = 20000 }
    assert.same(first, program:pack { nodes = 20000 })
    assert.is_nil(first.pieces)
    assert.is_true(program:pack { heuristic = true }.pool >= first.pool)
  end)

  it("raises for a wrong option, naming it", function()
    local program = load { "a 1 1" }
    for want, options in pairs {
      ["granule must be a power of two, not 24"] = { granule = 24 },
      ["granule must be a whole number from 1"] = { granule = 0 },
      ["nodes must be a whole number from 1"] = { nodes = "many" },
      ["unknown option 'node' of pack; known are granule, nodes, heuristic, pieces"] = { node = 1 },
    } do
      local ok, message = pcall(program.pack, program, options)
      assert.is_false(ok)
      assert.truthy(message:find(want, 1, true), message)
    end
    program:close()
    assert.has_error(function() program:pack() end)
  end)
end)

describe("the published instances", function()
  local optima = {
    ["example.12"] = 12, ["A.1048576"] = 1048576, ["C.1048576"] = 1039360, ["E.1048576"] = 1048576,
    ["I.1048576"] = 1048576, ["K.1048576"] = 1048576,
  }
  for name, least in pairs(optima) do
    it(("are packed within 10 %% of the proved optimum, never below it: %s"):format(name), function()
      local file = io.open(SHARED:format(name))
      if not file then return pending "no shared data" end
      local blocks = {}
      for line in file:lines() do
        local from, to, size = line:match "^[^,]+,(%d+),(%d+),(%d+)"
        if from then blocks[#blocks + 1] = { tonumber(from), tonumber(to), tonumber(size) } end
      end
      file:close()
      local packing = play(blocks):pack { granule = 1, pieces = true }
      assert_sound(packing, 1)
      assert.is_true(packing.pool >= least)
      assert.is_true(packing.lower_bound <= least)
      assert.is_true(packing.pool <= 1.1 * least, ("%d"):format(packing.pool))
    end)
  end
end)
