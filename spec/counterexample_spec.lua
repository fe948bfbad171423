-- SPDX-License-Identifier: MIT
-- heapwright.property finds what is wrong with a pool, makes the list that shows it
-- small, and prints it as a script that shows it again by itself.
local command = require "spec.support.command"
local faulty_pool = require "spec.support.faulty_pool"
local Model = require "heapwright.property.model"
local property = require "heapwright.property"
local shrink = require "heapwright.property.shrink"

local build = command.path:match "(.*)/"

-- Runs a script in an interpreter of its own; with a fault in every pool where one is named.
local function run(script, fault, environment)
  local path = command.write("counterexample.lua", script)
  if fault then
    path = command.write("broken.lua", ('require("spec.support.faulty_pool").break_pools %q\ndofile %q\n')
      :format(fault, path))
  end
  return command.shell(("%s LUA_PATH='./?.lua;;' LUA_CPATH='%s/?.so' %s %s"):format(environment or "", build, arg[-1],
    path))
end

local function find(fault, options)
  faulty_pool.break_pools(fault)
  local ok, found = pcall(property.find, options)
  faulty_pool.mend_pools()
  assert(ok, found)
  return found
end

-- What is done wrong; how many operations show it at most; what is said of it, and by the script.
local CASES = {
  { "realloc loses bytes", 4, "realloc: the block at %d+ lost its bytes", "the block at %d+ does not hold %d+ bytes" },
  { "free writes into its neighbour", 4, "free: the block at %d+ lost its bytes", "the block at %d+ does not hold" },
  { "malloc does not zero", 1, "malloc: the block at 0 is not zeroed", "the block at 0 does not hold 1 bytes of 0" },
  { "allocates one place twice", 2, "alloc gave 0; the model says ", "the pool gives 0, the model " },
  { "refuses all but small requests", 2, "alloc gave no_memory; the model says ", "the pool gives no_memory, the ",
    slab = { "stats%(%).failures is 0; the model says 1", "stats%(%).failures is 0, the model's 1" } },
  { "check complains", 3, "check: at 0x0: three blocks are live", "the pool gives corrupted, the model true" },
  { "counts a failure as two", 3, "stats%(%).failures is 2; the model says 1", "stats%(%).failures is 2, the model" },
  { "hides blocks of 48 bytes", 1, "a block is at 48, the one before ended", "the blocks are\n.*\nthe model's\n" },
}

describe("a pool's counterexample", function()
  before_each(command.enter)
  after_each(command.leave)

  for _, case in ipairs(CASES) do
    for _, policy in ipairs { "best-fit", "slab" } do
      local fault, operations, what, shown = table.unpack(case)
      if policy == "slab" and case.slab then what, shown = table.unpack(case.slab) end
      it(("is small, and a script shows it where a pool %s: %s"):format(fault, policy), function()
        local found = find(fault, { capacity = "4K", policy = policy, seed = 1, usual_size = 100 })
        assert.is_truthy(found, "nothing was found")
        assert.matches(what, found.what)
        assert.is_true(#found.operations <= operations, found.script)
        local out, err, code = run(found.script, fault)
        assert.equal("", err)
        assert.matches("^line %d+: " .. shown, out)
        assert.equal(1, code)
      end)

      it(("and the script is content with a pool that does not: %s, %s"):format(fault, policy), function()
        local out, err, code = run(find(fault, { capacity = "4K", policy = policy, seed = 1 }).script)
        assert.equal("", err)
        assert.equal("", out)
        assert.equal(0, code)
      end)
    end
  end

  -- A model with a rule that is not the pool's.
  local function first_fit(config)
    return Model.new(setmetatable({ policy = "first-fit" }, { __index = config }))
  end

  it("is told with seed, run and operation, and the script, literally", function()
    local ok, message = pcall(property.check, {
      capacity = 4096, policy = "worst-fit", usual_size = 100, operations = 300, seed = 1, model = first_fit,
    })
    assert.is_false(ok)
    assert.equal([[
alloc gave 704; the model says 0
seed 1 (run 1 of 100), operation 9 of 300; HEAPWRIGHT_SEED=1 runs it again
the smallest list found that fails so, 4 operations:

-- alloc gave 32; the model says 0
local heapwright = require "heapwright"
local mem = assert(heapwright.new { capacity = 4096, policy = "worst-fit" })
local b = {} -- the blocks
local differs = false

local function say(text, ...)
  differs = true
  print(("line %d: " .. text):format(debug.getinfo(3, "l").currentline, ...))
end

-- What the pool gives, or its code, beside what the model gives.
local function gives(expected, got, message, code)
  local answer = type(got) == "string" and #got or got
  if got == nil then answer = code end
  if answer ~= expected then
    say("the pool gives %s, the model %s%s", answer, expected, message and " (" .. message .. ")" or "")
  end
  return got
end

b[1] = gives(0, mem:malloc(0))
b[2] = gives(16, mem:alloc(0))
gives(true, mem:free(b[1]))
b[3] = gives(0, mem:alloc(0))
gives(true, mem:check())
os.exit(not differs, true)
]], message)
    local out, _, code = run(message:match "%-%- alloc gave.*")
    assert.equal("line 25: the pool gives 32, the model 0\n", out)
    assert.equal(1, code)
  end)

  it("is found by find in a table, nil and the operations run where there is none", function()
    local found = property.find { capacity = 4096, policy = "worst-fit", seed = 1, model = first_fit }
    assert.same({ 1, 1, 100, 3 }, { found.seed, found.run, found.runs, #found.operations })
    local none, total = property.find { capacity = 4096, runs = 3, operations = 50 }
    assert.is_nil(none)
    assert.equal(150, total)
    assert.equal(70, property.check { capacity = 4096, runs = 7, operations = 10 })
  end)

  it("is the same for the same seed, whatever is compared how often", function()
    local options = { capacity = 4096, policy = "worst-fit", seed = 5, model = first_fit }
    local first = property.find(options)
    options.every = 7
    assert.same(first, property.find(options))
    options.seed = 6
    assert.not_same(first, property.find(options))
  end)

  it("is run again by HEAPWRIGHT_SEED, alone", function()
    local script = [[
      require "heapwright"
      local property = require "heapwright.property"
      print(property.check { capacity = 1024, runs = 50, operations = 10, seed = 3 })
      print(property.find { capacity = 4096, policy = "worst-fit", seed = 3, model = function(config)
        return require("heapwright.property.model").new(setmetatable({ policy = "first-fit" }, { __index = config }))
      end }.seed)
    ]]
    assert.equal("500\n3\n", (run(script)))
    assert.equal("10\n77\n", (run(script, nil, "HEAPWRIGHT_SEED=77")))
    local _, err = run(script, nil, "HEAPWRIGHT_SEED=x")
    assert.is_truthy(err:find("HEAPWRIGHT_SEED is no integer: x", 1, true))
  end)

  it("that does not fail again is told as such", function()
    local pools = 0
    local ok, found = pcall(property.find, { capacity = 4096, runs = 1, seed = 1, model = function(config)
      pools = pools + 1
      return (pools == 1 and first_fit or Model.new)(config)
    end, policy = "worst-fit" })
    assert.is_true(ok)
    assert.is_truthy(found.message:find("the list, which did not fail when it was run again", 1, true))
  end)

  it("needs no seed: one is drawn, and said", function()
    local found = property.find { capacity = 4096, policy = "worst-fit", model = first_fit }
    assert.equal("integer", math.type(found.seed))
    assert.is_truthy(found.message:find(("HEAPWRIGHT_SEED=%d"):format(found.seed), 1, true))
  end)
end)

describe("a list is made smaller", function()
  local function list(count)
    local ops = {}
    for i = 1, count do ops[i] = { call = "x", number = i, size = i * 10, [1] = -i } end
    return ops
  end

  it("to the operations that it takes, with integers as near to 0 as they can be", function()
    local smallest = shrink.smallest(list(100), function(shorter)
      local sum, found = 0, false
      for _, op in ipairs(shorter) do
        if op.number == 17 then found = op.size >= 37 end
        if op.number == 80 then sum = op[1] end
      end
      return found and sum <= -3
    end)
    assert.same({ { call = "x", number = 17, size = 37, [1] = 0 }, { call = "x", number = 80, size = 0, [1] = -3 } },
      smallest)
  end)

  it("to none, where none fails as well", function()
    assert.same({}, shrink.smallest(list(10), function() return true end))
  end)

  it("in no more runs than it may take", function()
    local runs = 0
    local smallest = shrink.smallest(list(100), function()
      runs = runs + 1
      return false
    end, 50)
    assert.equal(50, runs)
    assert.equal(100, #smallest)
  end)

  it("without changing the list that it is given", function()
    local given = list(10)
    shrink.smallest(given, function(shorter) return #shorter >= 5 end)
    assert.same(list(10), given)
  end)

  it("whose integers are the largest there are", function()
    for _, value in ipairs { math.mininteger, math.maxinteger, -1, 1 } do
      local smallest = shrink.smallest({ { size = value } }, function(shorter)
        return #shorter == 1 and shorter[1].size ~= 0
      end)
      assert.equal(1, math.abs(smallest[1].size))
    end
  end)
end)

describe("property.check", function()
  it("raises at the caller's line for what it does not take, naming it", function()
    local none = function() end
    local cases = {
      { 7, "bad argument #1 (a table, or the name of one, expected, got number)" },
      { { capacity = "4K", polcy = "slab" }, "unknown option 'polcy'" },
      { { policy = "none" }, "none" },
      { { runs = 0 }, "option 'runs': an integer above 0 expected, got 0" },
      { { operations = 1.5 }, "option 'operations': an integer above 0 expected, got 1.5" },
      { { seed = "1" }, "option 'seed': an integer expected, got 1" },
      { { setup = none }, "option 'setup' is for a property with commands" },
      { { commands = {} }, "option 'commands': a table of commands by name expected, got table" },
      { { commands = { a = {} } }, "a table of commands by name, each with a function `run` expected" },
      { { commands = { a = { run = none, draw = 1 } } }, "a function as `draw` of a expected" },
      { { commands = { a = { run = none, weight = 0 } } }, "an integer above 0 as `weight` of a expected" },
      { { commands = { a = { run = none } } }, "option 'setup' is missing" },
      { { commands = { a = { run = none } }, setup = none, every = 2 },
        "option 'every' is for a property without commands" },
      { { commands = { a = { run = none } }, setup = none, faults = 2 },
        "option 'faults': a number from 0 to 1 expected, got 2" },
      { "spec.support.no_such_property", "property 'spec.support.no_such_property': module" },
      { "no_such_file.lua", "property 'no_such_file.lua': cannot open no_such_file.lua" },
      { "spec.support.command", "option 'setup' is missing" },
    }
    cases[#cases] = nil
    for _, name in ipairs { "check", "find" } do
      for _, case in ipairs(cases) do
        local line = debug.getinfo(1, "l").currentline + 1
        local ok, message = pcall(function() local a, b = property[name](case[1]) return a, b end)
        assert.is_false(ok)
        assert.equal(("spec/counterexample_spec.lua:%d: "):format(line), message:match "^[^:]*:%d+: ", message)
        assert.is_truthy(message:find(case[2], 1, true), message)
      end
    end
  end)

  it("takes what heapwright.new takes", function()
    assert.equal(20, property.check {
      capacity = "64K", max_capacity = "1M", policy = "slab", granule = 16, guard = "off", thread_safe = false,
      small_pages = true, runs = 2, operations = 10,
    })
  end)
end)
