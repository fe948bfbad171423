-- SPDX-License-Identifier: MIT
-- The annotations say what is exported, no more and no less.
local heapwright = require "heapwright"
local parts = { require "heapwright.pool", require "heapwright.states" }

-- Names annotated in the file, by the table that they are on.
local function annotated(path)
  local file <close> = assert(io.open(path))
  local names, fields, class = {}, {}, nil
  for line in file:lines() do
    local owner, name = line:match "^function (%w+)[.:]([%w_]+)%("
    if owner then
      names[owner] = names[owner] or {}
      names[owner][name] = line
    end
    class = line:match "^%-%-%-@class ([%w.]+)" or class
    local field = line:match "^%-%-%-@field ([%w_]+)"
    if field then
      fields[class] = fields[class] or {}
      fields[class][field] = true
    end
  end
  return names, fields
end

local function keys(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

describe("the annotations", function()
  local names, fields = annotated "lua/library/heapwright.lua"

  it("name every function of the module", function()
    local functions = {}
    for _, exported in ipairs(parts) do
      for name, value in pairs(exported) do
        if type(value) == "function" then functions[name] = true end
      end
    end
    assert.same(keys(functions), keys(names.heapwright))
    assert.same({ "version" }, keys(fields.heapwright))
    assert.is_string(heapwright.version)
  end)

  it("name every function of heapwright.traces, and every method of a reader", function()
    local of_traces = annotated "lua/library/traces.lua"
    assert.same(keys(require "heapwright.traces"), keys(of_traces.traces))
    local reader <close> = assert(require("heapwright.traces").open "spec/support/traces/shop.mtrace")
    assert.same(keys(debug.getregistry()["heapwright.trace_reader"].__index), keys(of_traces.Reader))
    assert.is_truthy(reader)
  end)

  it("name every method of a pool", function()
    local mem <close> = heapwright.new()
    assert.same(keys(debug.getmetatable(mem).__index), keys(names.Pool))
  end)

  it("name every method of the free blocks that a policy is shown, and every field of a policy", function()
    local shown
    heapwright.policy("annotated", { choose = function(free) shown = free end })
    local mem <close> = heapwright.new { policy = "annotated" }
    mem:alloc(1)
    assert.same(keys(debug.getmetatable(shown).__index), keys(names.Free))
    local known = {}
    local _, message = pcall(heapwright.policy, "annotated", { [""] = 1 })
    for name in message:match "known: ([%w_, ]+)":gmatch "[%w_]+" do
      known[name] = true
    end
    assert.same(keys(known), keys(fields["heapwright.Definition"]))
    heapwright.policy("annotated", nil)
  end)

  it("name every method of a block", function()
    local mem <close> = heapwright.new()
    assert.same(keys(debug.getmetatable(mem:block(1)).__index), keys(names.Block))
  end)

  it("name every method of a state and of a thread", function()
    local state <close> = heapwright.state()
    local thread <close> = heapwright.spawn(nil, "")
    assert.same(keys(debug.getmetatable(state).__index), keys(names.State))
    assert.same(keys(debug.getmetatable(thread).__index), keys(names.Thread))
  end)

  it("name every field and option of a state", function()
    local state <close> = heapwright.state { instructions = 1000 }
    state:eval ""
    assert.same(keys(state:stats()), keys(fields["heapwright.StateStats"]))
    local known = {}
    for name in select(2, pcall(heapwright.state, { [""] = 1 })):match "known: ([%w_, ]+)":gmatch "[%w_]+" do
      known[name] = not fields["heapwright.Options"][name] or nil
    end
    assert.same(keys(known), keys(fields["heapwright.StateOptions"]))
    assert.is_truthy(fields["heapwright.SourceOptions"].cancellable)
  end)

  it("name every field of stats, policies and leaks", function()
    local mem <close> = heapwright.new { guard = "full" }
    mem:alloc(1)
    assert.same(keys(mem:stats()), keys(fields["heapwright.Stats"]))
    assert.same(keys(heapwright.policies()[1]), keys(fields["heapwright.PolicyInfo"]))
    assert.same(keys(mem:leaks()[1]), keys(fields["heapwright.Leak"]))
  end)

  it("name every field of what watch gives", function()
    local figures = heapwright.watch("/dev/null", function() end)
    figures.program = true -- which stands there instead of the path
    assert.same(keys(figures), keys(fields["heapwright.Watched"]))
    assert.same(keys(figures.kinds.table), keys(fields["heapwright.KindWatched"]))
    local _, message = pcall(heapwright.watch, { none = 1 }, print)
    local known = {}
    for name in message:match "known: ([%w_, ]+)":gmatch "[%w_]+" do known[name] = true end
    assert.same(keys(known), keys(fields["heapwright.Where"]))
  end)

  it("name every option", function()
    local ok, message = pcall(heapwright.new, { [{}] = 1 })
    assert.is_false(ok)
    local known = {}
    for name in message:match "known: ([%w_, ]+)":gmatch "[%w_]+" do known[name] = true end
    assert.same(keys(known), keys(fields["heapwright.Options"]))
  end)

  it("are valid Lua", function()
    for _, name in ipairs { "heapwright", "property", "assertions", "replay" } do
      assert.is_function(loadfile("lua/library/" .. name .. ".lua"))
    end
  end)

  it("name every function, option and result of heapwright.property", function()
    local property = require "heapwright.property"
    local generator = require("heapwright.property.generator").again {}
    local theirs, options = annotated "lua/library/property.lua"
    assert.same(keys(property), keys(theirs.property))
    assert.same({ "boolean", "integer", "pick", "string" }, keys(theirs.Generator))
    for name in pairs(theirs.Generator) do assert.is_function(generator[name]) end
    local known = {}
    local _, message = pcall(property.check, { none = 1 })
    for name in message:match "of a property: ([%w_, ]+)":gmatch "[%w_]+" do known[name] = true end
    assert.same(keys(known), keys(options["heapwright.PropertyOptions"]))
    local found = property.find {
      setup = function() end, commands = { x = { run = function() return false end } },
    }
    assert.same(keys(found), keys(options["heapwright.Counterexample"]))
    local replay = property.replay { setup = function() end, commands = { x = { run = function() end } } }
    for name in pairs(theirs.Replay) do assert.is_function(replay[name]) end
  end)

  it("name every function and method of heapwright.replay, and what its answers hold", function()
    local replay = require "heapwright.replay"
    local theirs, classes = annotated "lua/library/replay.lua"
    assert.same(keys(replay), keys(theirs.replay))
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write("a 1 48\na 2 48\na 3 32\nf 2\na 4 32\nf 1\na 5 80\n"):flush()
    local program <close> = assert(replay.load(path))
    os.remove(path)
    for name in pairs(theirs.Program) do assert.is_function(program[name]) end
    for name in pairs(program:source()) do assert.is_true(classes["heapwright.Source"][name]) end
    local packing = program:pack { pieces = true }
    assert.same(keys(packing), keys(classes["heapwright.Packing"]))
    assert.same(keys(packing.pieces), keys(classes["heapwright.Pieces"]))
    local _, message = pcall(program.pack, program, { none = 1 })
    local known = {}
    for name in message:match "known are ([%w_, ]+)":gmatch "[%w_]+" do known[name] = true end
    assert.same(keys(known), keys(classes["heapwright.PackingOptions"]))
    local answer = program:measure {
      policies = { { policy = "best-fit" } }, smallest = true, reversals = true, time = true,
    }[1]
    answer.capacity = 0 -- of bounded pools alone
    assert.same(keys(answer), keys(classes["heapwright.Answer"]))
    assert.same(keys(answer.reversals[1]), keys(classes["heapwright.Reversal"]))
    local history = program:write_history { path = path, format = "csv", policy = "best-fit" }
    os.remove(path)
    for name in pairs(history) do
      assert.is_true(classes["heapwright.History"][name] or classes["heapwright.Answer"][name], name)
    end
    for name in pairs(classes["heapwright.History"]) do
      assert.is_true(history[name] ~= nil or name == "back_at", name)
    end
  end)

  it("name every assertion", function()
    local names_there = {}
    for _, name in ipairs(require "heapwright.assertions") do names_there[name] = true end
    assert.same(keys(names_there), keys(annotated("lua/library/assertions.lua").assert))
  end)

  it("belong to the module that require gives", function()
    for _, exported in ipairs(parts) do
      for name, value in pairs(exported) do assert.equal(value, heapwright[name]) end
    end
  end)
end)

describe("heapwright.policies", function()
  it("describes each policy in a fresh table", function()
    local list = heapwright.policies()
    list[1].name = "changed"
    assert.equal("best-fit", heapwright.policies()[1].name)
    for _, info in ipairs(heapwright.policies()) do
      for _, field in ipairs { "name", "chooses", "index", "bound", "source" } do
        assert.is_truthy(#info[field] > 0)
      end
      for _, field in ipairs { "takes_order", "takes_caches", "exact", "monotone" } do
        assert.is_boolean(info[field])
      end
    end
  end)

  it("has those of the design", function()
    local names = {}
    for i, info in ipairs(heapwright.policies()) do names[i] = info.name end
    local designed = "best-fit first-fit next-fit worst-fit good-fit buddy slab bump"
    assert.equal(designed, table.concat(names, " "))
  end)
end)
