-- SPDX-License-Identifier: MIT
-- The bench of Lua programs: what it prints, what it refuses, and that every
-- program gives the same result with every allocator. It is built on demand
-- (make bench-build); where it is not, these specs say so. No time is compared
-- with anything here.

local json = require "dkjson"

local bench = (os.getenv "HEAPWRIGHT_BUILD" or "build") .. "/heapwright-lua-bench"

local HEAVY = {
  "binary_trees", "planner", "loop_finder", "json_encode", "json_decode", "storage", "collisions", "string_buffers",
  "closures", "life", "arrays", "substrings", "parser", "cache", "pipelines",
}
local LIGHT = { "nbody", "spectral_norm", "fannkuch", "mandelbrot", "sieve" }
local POOLS = { "heapwright", "heapwright/small-pages", "heapwright/nolock" }

-- Inherited files closed: whoever runs the specs may have some open.
local SHELL = "exec 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; "

-- Under this limit of the shell's, where one is given.
local function run(arguments, limit)
  local command = SHELL .. ("%s exec %s %s"):format(limit and "ulimit " .. limit .. ";" or "", bench, arguments)
  local pipe = assert(io.popen(command))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

-- Its JSON, decoded, of a run that must succeed: small arguments, one round.
local function measure(arguments)
  local output, status = run("--small --rounds 1 --json " .. arguments)
  assert.equal(0, status, output)
  return assert(json.decode(output))
end

local function goal_of(measured, says)
  for _, goal in ipairs(measured.goals) do
    if goal.goal == says then return goal end
  end
  error("no goal " .. says, 2)
end

-- A folder in which binary_trees.lua is this text, gone after `use`.
local function with_program(text, use)
  local folder = os.tmpname()
  assert(os.remove(folder))
  assert(os.execute("mkdir " .. folder))
  local file = assert(io.open(folder .. "/binary_trees.lua", "w"))
  file:write(text)
  file:close()
  local ok, message = pcall(use, ("--times --rounds 1 --program binary_trees --programs %s "):format(folder))
  os.execute("rm -r " .. folder)
  if not ok then error(message, 0) end
end

describe("heapwright-lua-bench", function()
  local built = io.open(bench)
  if built then
    built:close()
  else
    pending "is not built here: make bench-build"
    return
  end

  it("runs every program with every allocator, and all results agree", function()
    local measured = measure "--times"
    local of = {}
    for _, row in ipairs(measured.times) do
      of[row.program] = of[row.program] or {}
      assert.is_nil(of[row.program][row.backend])
      of[row.program][row.backend] = row
      assert.is_true(row.seconds > 0 and row.ratio > 0 and row.page_faults >= 0)
      assert.equal(row.ratio, row.least_ratio) -- of one round
    end
    for group, names in pairs { heavy = HEAVY, light = LIGHT } do
      for _, name in ipairs(names) do
        local glibc = assert(of[name] and of[name].glibc, name)
        assert.equal(1, glibc.ratio)
        assert.is_true(#glibc.checksum > 0)
        for _, pool in ipairs(POOLS) do
          local row = assert(of[name][pool], name)
          assert.equal(group, row.group)
          assert.equal(glibc.checksum, row.checksum)
        end
        of[name] = nil
      end
    end
    assert.is_nil(next(of))
    assert.same({}, measured.memory)
  end)

  it("takes the geometric mean of each group", function()
    local measured = measure "--times --program parser,cache,sieve --backend heapwright"
    local ratios = {}
    for _, row in ipairs(measured.times) do
      if row.backend == "heapwright" then ratios[row.program] = row.ratio end
    end
    local means = {}
    for _, mean in ipairs(measured.means) do
      if mean.backend == "heapwright" then means[mean.group] = mean.ratio end
    end
    assert.near((ratios.parser * ratios.cache) ^ 0.5, means.heavy, 0.001)
    assert.near(ratios.sieve, means.light, 0.001)
    assert.equal(means.heavy, goal_of(measured, "CPU time, allocation-heavy, huge pages / glibc").found)
    assert.is_nil(goal_of(measured, "CPU time, allocation-heavy, small pages / glibc").found)
  end)

  it("weighs the pool that each program needs", function()
    local measured = measure "--memory"
    assert.equal(#HEAVY + #LIGHT + 1, #measured.memory)
    assert.same({}, measured.times)
    local large = {}
    for _, row in ipairs(measured.memory) do
      assert.is_true(row.requested > 20000, row.program)
      assert.is_true(row.high_water >= row.requested, row.program)
      assert.is_true(row.metadata > 1000 and row.metadata < row.high_water, row.program)
      assert.near((row.high_water + row.metadata) / row.requested, row.footprint, 0.001)
      assert.is_true(row.high_water < 2 * row.requested + 256 * 1024, row.program)
      if row.requested > 1000000 then large[#large + 1] = row.footprint end
    end
    table.sort(large)
    local middle = (large[(#large + 1) // 2] + large[#large // 2 + 1]) / 2
    assert.near(middle, goal_of(measured, "footprint, heaps above 1 MB, median").found, 0.001)
    local small = measured.memory[#measured.memory]
    assert.equal("small_state", small.program)
    assert.is_true(small.requested > 45000 and small.requested < 60000)
    assert.equal(small.footprint, goal_of(measured, "footprint, a state of 55 KB").found)
  end)

  it("says of each goal whether it is met", function()
    for _, goal in ipairs(measure("--program cache").goals) do
      if goal.found then assert.equal(goal.found <= goal.most, goal.met) end
    end
  end)

  it("prints the same as a table of 80 columns", function()
    local output, status = run "--small --rounds 2"
    assert.equal(0, status, output)
    for line in output:gmatch "[^\n]+" do
      if not line:find "^CPU time: milliseconds" then assert.is_true(#line <= 80, line) end
    end
    for _, name in ipairs(HEAVY) do
      assert.matches("\n" .. name .. " +%d+ ", output)
      assert.matches("\n" .. name .. " +%d+ +%d+ +%d+ +%d%.%d%d%d\n", output)
    end
    for _, row in ipairs { "mean, heavy", "mean, light", "  of the least" } do
      assert.matches("\n" .. row .. " +[%d.]+ ", output)
    end
    assert.matches("\nfootprint, a state of 55 KB +1%.50 +%d%.%d%d%d  %l+\n", output)
  end)

  it("tells a program that raises, that ends its process, and that is not there", function()
    with_program("error 'out of ideas'", function(arguments)
      local output, status = run(arguments)
      assert.equal(1, status)
      assert.matches("binary_trees with glibc: .*binary_trees.lua:1: out of ideas", output)
    end)
    with_program("os.exit(3)", function(arguments)
      local output, status = run(arguments)
      assert.equal(1, status)
      assert.matches("binary_trees with glibc: its process ended early, status 3", output, 1, true)
    end)
    local output, status = run "--times --program cache --programs /nonexistent"
    assert.equal(1, status)
    assert.matches("cannot open /nonexistent/cache.lua", output, 1, true)
  end)

  it("tells a program that wants more than the pool, which is 1 GiB", function()
    -- A buffer that is asked for and never written: it costs the other allocators nothing.
    with_program("return io.open('/dev/null'):read(1100 << 20)", function(arguments)
      local output, status = run(arguments .. "--backend heapwright/small-pages")
      assert.equal(1, status)
      assert.matches("binary_trees with heapwright/small-pages: not enough memory", output, 1, true)
    end)
  end)

  it("tells where the system has no pool, no pipe for it", function()
    local output, status = run("--times --small --program cache --backend heapwright", "-v 900000")
    assert.equal(1, status)
    assert.matches("cache with heapwright: no memory for a state", output, 1, true)
    output, status = run("--times --small --program cache", "-n 4")
    assert.equal(1, status)
    assert.matches("cache with glibc: no pipe for it", output, 1, true)
  end)

  it("tells a program that does not return the same each time", function()
    with_program("return io.open('/proc/self/stat'):read('n')", function(arguments)
      local output, status = run(arguments .. "--backend heapwright")
      assert.equal(1, status)
      assert.matches("binary_trees with heapwright returned %d+, before %d+", output)
    end)
  end)

  it("keeps a result that is text of any kind", function()
    with_program([[return 'a "b"\\\n']], function(arguments)
      local output, status = run(arguments .. "--json --backend heapwright")
      assert.equal(0, status, output)
      assert.equal('a "b"\\\n', assert(json.decode(output)).times[2].checksum)
    end)
  end)

  it("refuses what it does not know, and names what it does", function()
    local output, status = run "--program cache,bees"
    assert.equal(2, status)
    assert.matches("no such program: bees; known: binary_trees planner ", output, 1, true)
    output, status = run "--backend glib"
    assert.equal(2, status)
    assert.matches("no such backend: glib; known: glibc ", output, 1, true)
    for _, arguments in ipairs { "--fast", "cache", "--rounds 0", "--rounds 100", "--rounds 7x", "--rounds" } do
      output, status = run(arguments)
      assert.equal(2, status, arguments)
      assert.matches("usage: heapwright-lua-bench", output, 1, true)
    end
  end)

  it("explains itself", function()
    local output, status = run "--help"
    assert.equal(0, status)
    for option in ("program backend rounds times memory small programs json help"):gmatch "%l+" do
      assert.matches("--" .. option, output, 1, true)
    end
    for line in output:gmatch "[^\n]+" do assert.is_true(#line <= 80, line) end
  end)
end)
