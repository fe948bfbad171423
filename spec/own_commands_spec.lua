-- SPDX-License-Identifier: MIT
-- heapwright.property with a user's own commands, structure and model.
local command = require "spec.support.command"
local generator = require "heapwright.property.generator"
local heapwright = require "heapwright"
local property = require "heapwright.property"
local random = require "heapwright.random"

local build = command.path:match "(.*)/"
local QUEUE = "spec.support.queue_property"

-- Runs a script in an interpreter of its own, the queue with this fault.
local function run(script, bug)
  return command.shell(("QUEUE_BUG=%s LUA_PATH='./?.lua;;' LUA_CPATH='%s/?.so' %s %s"):format(bug, build, arg[-1],
    command.write("script.lua", script)))
end

-- What check says of the queue with this fault.
local function check(bug, faults)
  local out, err, code = run(([[
    require "heapwright"
    local options = require %q
    options.source, options.faults = %q, %s
    print(select(2, pcall(require("heapwright.property").check, options)))
  ]]):format(QUEUE, QUEUE, tostring(faults)), bug)
  assert.equal("", err)
  assert.equal(0, code)
  return out
end

-- The script that a message ends with.
local function script_of(message) return message:match "%-%- .*" end

describe("a structure with a fault", function()
  before_each(command.enter)
  after_each(command.leave)

  it("is shown by the fewest commands, of the simplest arguments", function()
    local message = check "order"
    assert.equal([[
pop(): "zddppksyypzxhvikqihhzlxhbueyf" is not ""
seed 7 (run 1 of 40), operation 10 of 60; HEAPWRIGHT_SEED=7 runs it again
the smallest list found that fails so, 4 operations:

-- pop(): "" is not "a"
local replay = require("heapwright.property").replay("spec.support.queue_property")
replay("push", "a")
replay("push", "")
replay("push", "")
replay("pop")
replay:finish()

]], message)
    local out, err, code = run(script_of(message), "order")
    assert.equal('push("a")\npush("")\npush("")\npop()\n', out)
    assert.is_truthy(err:find('script.lua:6: pop(): "" is not "a"', 1, true), err)
    assert.equal(1, code)
  end)

  it("is found in what it leaves behind", function()
    local message = check "leak"
    assert.is_truthy(message:find("finish: a block is live: 0 bytes at 0x0", 1, true), message)
    assert.is_truthy(message:find('\nreplay("push", "")\nreplay:finish()\n', 1, true), message)
    local out, err, code = run(script_of(message), "leak")
    assert.equal('push("")\n', out)
    assert.is_truthy(err:find("finish: a block is live: 0 bytes at 0x0", 1, true), err)
    assert.equal(1, code)
  end)

  it("is found in what it does to the pool, with the size that it takes", function()
    local message = check "overrun"
    assert.is_truthy(message:find("read of 18 bytes at 0x0 runs 1 byte past the 17-byte block at 0x0", 1, true),
      message)
    assert.is_truthy(message:find(('\nreplay("push", "%s")\n'):format(("a"):rep(17)), 1, true), message)
    local _, err, code = run(script_of(message), "overrun")
    assert.is_truthy(err:find("runs 1 byte past the 17-byte block", 1, true), err)
    assert.equal(1, code)
  end)

  it("whose script is run once it is mended is content", function()
    for _, bug in ipairs { "order", "leak", "overrun" } do
      local _, err, code = run(script_of(check(bug)), "none")
      assert.equal("", err)
      assert.equal(0, code)
    end
  end)

  it("that does not cope where memory runs out is shown by one request that fails", function()
    if not heapwright.new().inject then
      pending "pools have no inject yet"
      return
    end
    local message = check("careless", 0.2)
    assert.is_truthy(message:find("-- of the next command: its request of this number\n", 1, true), message)
    assert.is_truthy(message:find('replay:fail(1)', 1, true), message)
    assert.is_truthy(message:find('\nreplay("push", "")\nreplay:finish()\n', 1, true), message)
    local out, err, code = run(script_of(message), "careless")
    assert.equal('push("")\n', out)
    assert.is_truthy(err:find("injected", 1, true), err)
    assert.equal(1, code)
    assert.equal("2400\n", check("none", 0.2))
  end)

  it("faults are refused where pools can't fail by plan", function()
    if heapwright.new().inject then
      pending "pools have inject"
      return
    end
    assert.is_truthy(check("none", 0.2):find("option 'faults': pools here have no `inject`", 1, true))
  end)
end)

-- A counter in a pool, with what a case replaces.
local function counter(changes)
  local options = {
    capacity = 1024, operations = 20, runs = 5, seed = 1,
    setup = function(mem) return { mem = mem, at = mem:calloc(1, 8) }, { value = 0 } end,
    commands = {
      add = {
        draw = function(g) return g:integer(-5, 5) end,
        run = function(it, model, n)
          it.mem:pack(it.at, "j", it.mem:unpack(it.at, "j") + n)
          model.value = model.value + n
        end,
      },
      get = { run = function(it, model) return it.mem:unpack(it.at, "j") == model.value, "another value" end },
    },
    finish = function(it) it.mem:free(it.at) end,
  }
  for name, value in pairs(changes or {}) do options[name] = value end
  return options
end

describe("commands", function()
  it("hold: the number of operations is given", function()
    assert.equal(100, property.check(counter()))
  end)

  it("are drawn from the seed alone", function()
    local function calls(seed)
      local list = {}
      property.check(counter { seed = seed, invariant = function(_, model) list[#list + 1] = model.value end })
      return list
    end
    assert.same(calls(3), calls(3))
    assert.not_same(calls(3), calls(30))
  end)

  it("are drawn as often as their weight says", function()
    local counts = { a = 0, b = 0 }
    local function count(name, weight)
      return { weight = weight, run = function() counts[name] = counts[name] + 1 end }
    end
    property.check {
      setup = function() end, commands = { a = count("a", 9), b = count "b" }, operations = 1000, runs = 1, seed = 1,
    }
    assert.equal(1000, counts.a + counts.b)
    assert.is_true(counts.a > 850 and counts.a < 950, counts.a)
  end)

  it("that are not ready are not called, in the list and in those made of it", function()
    local found = property.find(counter {
      commands = {
        open = { ready = function(m) return not m.open end, run = function(_, m) m.open = true end },
        close = { ready = function(m) return m.open end, run = function(_, m) m.open = false end },
        use = {
          ready = function(m) return m.open end,
          run = function(_, m)
            m.uses = (m.uses or 0) + 1
            return m.uses < 3
          end,
        },
      },
    })
    local names = {}
    for i, op in ipairs(found.operations) do names[i] = op.call end
    assert.same({ "open", "use", "use", "use" }, names)
  end)

  it("none of which is ready end the list early", function()
    local never = { ready = function() return false end, run = error }
    assert.equal(0, property.check(counter { commands = { never = never } }))
  end)

  it("may draw from the model, and do without what a shorter list no longer has", function()
    local found = property.find(counter {
      seed = 2,
      commands = {
        put = {
          draw = function(g) return g:string(1, 3, "ab") end,
          run = function(_, model, key) table.insert(model, key) end,
        },
        take = {
          ready = function(model) return #model > 0 end,
          draw = function(g, model) return g:pick(model) end,
          run = function(_, model, key)
            return not (key == "b" and #model >= 2), "b was taken"
          end,
        },
      },
      operations = 200,
    })
    assert.is_true(#found.operations <= 3, found.script)
    assert.equal("take(\"b\"): b was taken", found.what)
  end)

  it("fail where they raise, give false, or break the invariant, and say which", function()
    local function what(changes) return property.find(counter(changes)).what end
    local function only(f) return { commands = { x = { run = f } } } end
    assert.equal("x(): it gave false", what(only(function() return false end)))
    assert.equal("x(): why", what(only(function() return false, "why" end)))
    assert.matches("^x%(%): spec/own_commands_spec.lua:%d+: raised$", what(only(function() error "raised" end)))
    assert.matches("^x%(%): table: ", what(only(function() error {} end)))
    assert.equal("setup: invariant: no", what { invariant = function() return false, "no" end })
    assert.equal("get(): invariant: no", what {
      commands = { get = { run = function(it) it.called = true end } },
      invariant = function(it) return not it.called, "no" end,
    })
    assert.equal("finish: a block is live: 8 bytes at 0x0", what { finish = function() end })
    assert.equal("finish: no", what { finish = function() return false, "no" end })
  end)

  it("whose setup raises are no counterexample: check raises that", function()
    local ok, message = pcall(property.check, counter { setup = function() error "no setup" end })
    assert.is_false(ok)
    assert.is_truthy(message:find "no setup")
  end)

  it("print any values as Lua has them", function()
    local values = {
      "a\nb\0\255\"", 1.5, 1e300, math.huge, -math.huge, math.mininteger, true,
      { 1, { x = "y" }, ["a b"] = false },
    }
    local found = property.find(counter {
      commands = { x = { draw = function() return table.unpack(values, 1, 8) end, run = function() return false end } },
    })
    local text = found.script:match 'replay%("x", (.*)%)\nreplay:finish'
    assert.same(values, { load("return " .. text)() })
  end)

  it("given as a table print a script that takes this table", function()
    local options = counter { commands = { x = { run = function() error("found", 0) end } } }
    local found = property.find(options)
    local script, printed = load(found.script), {}
    local print_before = print
    _G.print = function(text) printed[#printed + 1] = text end
    local ok, message = pcall(script, options)
    _G.print = print_before
    assert.is_false(ok)
    assert.matches("x%(%): found$", message)
    assert.same({ "x()" }, printed)
  end)

  it("can be replayed by hand; one that is none raises", function()
    local replay = property.replay(counter())
    local print_before = print
    _G.print = function() end
    local ok, message = pcall(function()
      replay("add", 3)
      replay("get")
      replay:finish()
    end)
    _G.print = print_before
    assert.is_true(ok, message)
    ok, message = pcall(function() property.replay(counter())("none") end)
    assert.is_false(ok)
    assert.matches("own_commands_spec.lua:%d+: no command 'none'$", message)
    ok, message = pcall(function() property.replay { capacity = 1024 } end)
    assert.is_false(ok)
    assert.matches("own_commands_spec.lua:%d+: replay is for properties with commands$", message)
  end)
end)

describe("a generator", function()
  local function fresh(seed) return generator.fresh(random.new(seed)) end

  it("gives integers of the range, its ends often, and simpler ones of smaller choices", function()
    for _, range in ipairs { { 3, 9 }, { -9, -3 }, { -4, 4 }, { 0, 0 }, { 1, math.maxinteger } } do
      local low, high = range[1], range[2]
      local g, ends = fresh(1), 0
      for _ = 1, 1000 do
        local n = g:integer(low, high)
        assert.is_true(n >= low and n <= high)
        if n == low or n == high then ends = ends + 1 end
      end
      assert.is_true(ends > 50, ends)
      local simplest = generator.again({}):integer(low, high)
      assert.equal(low > 0 and low or high < 0 and high or 0, simplest)
    end
  end)

  it("gives the same again from the same choices, and nothing that could not be drawn from others", function()
    local function draw(g)
      return { g:integer(-10, 10), g:boolean(), g:pick { "x", "y", "z" }, g:string(2, 5), g:string(0, 3, "01") }
    end
    for seed = 1, 100 do
      local g = fresh(seed)
      local drawn = draw(g)
      assert.same(drawn, draw(generator.again(g.choices)))
      local other = {}
      for i, choice in ipairs(g.choices) do other[i] = choice * 7 - 3 end
      local n, flag, letter, word, bits = table.unpack(draw(generator.again(other)))
      assert.is_true(n >= -10 and n <= 10 and type(flag) == "boolean")
      assert.matches("^[xyz]$", letter)
      assert.matches("^%l%l%l?%l?%l?$", word)
      assert.matches("^[01]?[01]?[01]?$", bits)
    end
    assert.same({ 0, false, "x", "aa", "" }, draw(generator.again {}))
  end)

  it("raises for what it can't draw from", function()
    for text, f in pairs {
      ["bad argument to 'integer' (two integers expected, the first not above the second)"] = function(g)
        g:integer(2, 1)
      end,
      ["bad argument to 'integer' (the range is too wide)"] = function(g) g:integer(math.mininteger, 1) end,
      ["bad argument to 'pick' (a list with at least one value expected)"] = function(g) g:pick {} end,
      ["bad argument to 'string' (two lengths expected, the first not above the second)"] = function(g)
        g:string(-1, 1)
      end,
      ["bad argument to 'string' (an alphabet of at least one character expected)"] = function(g)
        g:string(1, 1, "")
      end,
    } do
      local ok, message = pcall(f, fresh(1))
      assert.is_false(ok)
      assert.equal(text, message:match "own_commands_spec.lua:%d+: (.*)$")
    end
  end)
end)
