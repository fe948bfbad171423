-- SPDX-License-Identifier: MIT
-- The bench's interface: what --json holds, what it refuses. It is built on
-- demand (make bench-build); where it is not, these specs say so. No time is
-- compared with anything here.

local json = require "dkjson"

local bench = (os.getenv "HEAPWRIGHT_BUILD" or "build") .. "/heapwright-bench"

local function run(arguments)
  local pipe = assert(io.popen(bench .. " " .. arguments .. " 2>&1"))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

-- Its JSON, decoded, of a run that must succeed.
local function measure(arguments)
  local output, status = run(arguments .. " --json")
  assert.equal(0, status, output)
  return assert(json.decode(output))
end

local function row_of(measured, workload, backend)
  for _, row in ipairs(measured.rows) do
    if row.workload == workload and row.backend == backend then return row end
  end
  error(("no row of %s on %s"):format(backend, workload), 2)
end

-- A file with this text, gone after `use`.
local function with_file(text, use)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local ok, message = pcall(use, path)
  os.remove(path)
  if not ok then error(message, 0) end
end

describe("heapwright-bench", function()
  local built = io.open(bench)
  if built then
    built:close()
  else
    pending "is not built here: make bench-build"
    return
  end

  it("prints a row for each workload and backend", function()
    local rows = measure("--workload W1 --backend null,slab/nolock,best-fit/fifo").rows
    assert.equal(3, #rows)
    for i, name in ipairs { "null", "best-fit/fifo", "slab/nolock" } do
      local row = rows[i]
      assert.equal(name, row.backend)
      assert.equal("W1", row.workload)
      assert.is_true(row.ns_per_op > 0 and row.spread >= 0)
      assert.is_true(row.max_ns >= row.p999_ns)
      assert.equal(0, row.failures)
      if name == "null" then
        assert.is_nil(row.tightness)
      else
        assert.is_true(row.tightness > 0.5 and row.tightness < 1)
      end
    end
  end)

  it("prints a table of the same, and in what tightness was measured", function()
    local output, status = run "--workload W4 --backend null,good-fit/nolock"
    assert.equal(0, status)
    assert.matches("W4: 2000000 calls, peak [%d.]+ MiB; tightness: granules of 16, 210000 calls", output)
    assert.matches("\nnull +[%d.]+ ", output)
    assert.matches("\ngood%-fit/nolock +[%d.]+ ", output)
  end)

  it("times two threads on one pool", function()
    local measured = measure "--workload W1,W1x2,W1x2r --backend null,good-fit,good-fit/nolock,slab/cached"
    assert.equal(10, #measured.rows) -- an unlocked pool is not for two threads
    assert.equal(0, row_of(measured, "W1x2r", "slab/cached").failures)
    for _, workload in ipairs { "W1x2", "W1x2r" } do
      local row = row_of(measured, workload, "good-fit")
      assert.is_true(row.ns_per_op > 0)
      assert.is_true(row.speed_up > 0)
      assert.equal(0, row.failures)
      row_of(measured, workload, "null")
    end
  end)

  it("shows huge pages and small ones", function()
    local measured = measure "--pages --backend null,good-fit,good-fit/nolock"
    assert.equal(6, #measured.rows)
    for _, workload in ipairs { "W2", "W6", "W6/fresh" } do
      local huge = row_of(measured, workload .. "/huge-pages", "good-fit/nolock")
      local small = row_of(measured, workload .. "/small-pages", "good-fit/nolock")
      assert.is_true(huge.ns_per_op > 0 and small.ns_per_op > 0)
      if workload == "W6/fresh" then
        assert.is_true(small.page_faults > 1000 and huge.page_faults <= small.page_faults)
      else
        assert.is_nil(huge.page_faults)
      end
    end
  end)

  it("measures tightness by granule", function()
    local measured = measure "--tightness --backend null,best-fit/fifo,best-fit/fifo/nolock"
    assert.equal(0, #measured.rows)
    assert.equal(8, #measured.tightness)
    for i, one in ipairs(measured.tightness) do
      assert.equal("best-fit/fifo", one.backend)
      assert.equal(i <= 4 and "W1" or "W2", one.workload)
      assert.equal(8 << (i - 1) % 4, one.granule)
      assert.is_true(one.tightness > 0.5 and one.tightness < 1)
    end
    assert.is_true(measured.tightness[1].tightness > measured.tightness[4].tightness) -- W1: 8 against 64
  end)

  it("counts steps as the free blocks grow", function()
    local measured = measure "--growth --backend null,good-fit,good-fit/nolock"
    assert.equal(0, #measured.rows)
    assert.equal(5, #measured.growth)
    for decade, counted in ipairs(measured.growth) do
      assert.equal("good-fit", counted.backend)
      assert.equal(10.0 ^ (decade + 1), counted.free_blocks)
      assert.is_true(counted.steps_mean > 0 and counted.steps_max <= 32)
    end
  end)

  -- Each allocated, one in three resized, all freed.
  local function some_trace()
    local lines = {}
    for id = 1, 3000 do lines[#lines + 1] = ("a %d %d"):format(id, 16 + id % 500) end
    for id = 1, 3000, 3 do lines[#lines + 1] = ("r %d %d"):format(id, 8 + id % 700) end
    for id = 1, 3000 do lines[#lines + 1] = ("f %d"):format(id) end
    return table.concat(lines, "\n") .. "\n"
  end

  it("takes a trace's calls as a workload, and says how fast it is replayed", function()
    with_file(some_trace(), function(path)
      local measured = measure(("--trace %s --replay %s --backend glibc,slab,slab/nolock"):format(path, path))
      assert.equal(4, #measured.rows) -- a replay takes no lock
      for _, backend in ipairs { "glibc", "slab", "slab/nolock" } do
        assert.equal(0, row_of(measured, "trace", backend).failures)
      end
      local row = row_of(measured, "replay", "slab/nolock")
      assert.is_true(math.abs(row.events_per_second * row.ns_per_op / 1e9 - 1) < 0.01)
      assert.equal(0, row.failures)
    end)
  end)

  for _, option in ipairs { "trace", "replay" } do
    it("refuses a file that is no trace: --" .. option, function()
      local output, status = run("--" .. option .. " /nonexistent --backend null")
      assert.equal(2, status)
      assert.matches("/nonexistent", output, 1, true)
      with_file("a 1 16\nnonsense\n", function(path)
        output, status = run("--" .. option .. " " .. path .. " --backend null")
        assert.equal(2, status)
        assert.matches(path .. ":2:", output, 1, true)
      end)
    end)
  end

  describe("--ratios", function()
    local chosen = "--ratios --workload W1 --backend null,glibc,best-fit/fifo/nolock,best-fit/nolock,good-fit/nolock"

    it("are made of the rows of the same run", function()
      local measured = measure(chosen)
      local seen = 0
      for _, ratio in ipairs(measured.ratios) do
        assert.equal("W1", ratio.workload)
        local row = row_of(measured, "W1", ratio.backend)
        if ratio.figure == "time over" then
          local expected = row.ns_per_op / row_of(measured, "W1", ratio.against).ns_per_op
          assert.is_true(math.abs(ratio.value / expected - 1) < 0.01)
          assert.equal(ratio.value <= ratio.goal, ratio.met)
          seen = seen + 1
        elseif ratio.figure == "worst operation, ns" then
          assert.equal(row.max_ns, ratio.value)
          assert.equal(row.max_ns <= 400, ratio.met)
          seen = seen + 1
        end
      end
      assert.equal(5, seen)
    end)

    it("take the empty loop's time off where the goal says so", function()
      local known, peers = run "--backend nonsense", {}
      for _, name in ipairs { "mimalloc", "tcmalloc", "jemalloc" } do
        if known:find(" " .. name .. " ", 1, true) then peers[#peers + 1] = name end
      end
      if not peers[1] then
        pending "none of the peers' packages is installed here"
        return
      end
      local measured = measure("--ratios --workload W3 --backend null,slab/nolock," .. table.concat(peers, ","))
      local function net(backend)
        return row_of(measured, "W3", backend).ns_per_op - row_of(measured, "W3", "null").ns_per_op
      end
      local fastest = net(peers[1])
      for _, name in ipairs(peers) do fastest = math.min(fastest, net(name)) end
      assert.equal(1, #measured.ratios)
      assert.is_true(math.abs(measured.ratios[1].value / (net "slab/nolock" / fastest) - 1) < 0.05)
    end)

    it("say of each goal whether it is met, or not measured", function()
      local output, status = run(chosen)
      assert.equal(0, status)
      assert.matches("| `best%-fit/fifo/nolock` | time over glibc | ≤ 0.85 | W1 %**[%d.]+%** | n?o?t? ?met |", output)
      assert.matches("| `best-fit/fifo/nolock` | time over glibc | ≤ 0.25 | W2 | not measured |", output, 1, true)
      assert.matches("%d+ of the %d+ goals measured are met\n$", output)
      assert.not_matches("ns/call", output, 1, true)
    end)
  end)

  for option, known in pairs { workload = "W1 W2", backend = "null glibc" } do
    it("refuses a " .. option .. " that it does not know", function()
      local output, status = run("--" .. option .. " W1,nonsense")
      assert.equal(2, status)
      if option == "workload" then assert.matches("no such workload: nonsense", output, 1, true) end
      assert.matches(known, output, 1, true)
    end)
  end

  it("refuses fewer rounds than a median wants", function()
    for _, arguments in ipairs { "--rounds 3", "--rounds 100", "--rounds many" } do
      local output, status = run(arguments)
      assert.equal(2, status)
      assert.matches("Rounds: 7 to 99", output, 1, true)
    end
  end)

  it("refuses what is no option", function()
    for _, arguments in ipairs { "--fast", "W1", "--workload" } do
      local output, status = run(arguments)
      assert.equal(2, status)
      assert.matches("usage: heapwright-bench", output, 1, true)
    end
  end)

  it("explains itself", function()
    local output, status = run "--help"
    assert.equal(0, status)
    for option in ("workload backend rounds trace replay pages growth ratios json help"):gmatch "%l+" do
      assert.matches("--" .. option, output, 1, true)
    end
  end)
end)
