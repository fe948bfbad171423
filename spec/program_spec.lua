-- SPDX-License-Identifier: MIT
-- A trace that was loaded, and is asked: by whom it may not be closed meanwhile.
local finalizer = require "spec.support.finalizer"
local heapwright = require "heapwright"

local function load_program()
  return heapwright.watch(function()
    local list = {}
    for i = 1, 300 do list[i] = { i } end
    return list
  end).program
end

local POLICIES = { { policy = "best-fit" }, { policy = "slab" }, { policy = "buddy" } }

describe("a program that is measured", function()
  it("cannot be closed by the function that is told of its progress", function()
    local program <close> = load_program()
    local ok, message = pcall(program.measure, program, {
      policies = POLICIES, smallest = true, progress = function() program:close() end,
    })
    assert.is_false(ok)
    assert.matches("the program is being measured", message, 1, true)
    assert.equal(3, #program:measure { policies = POLICIES })
  end)

  it("may ask of itself in that function, but not measure", function()
    local program <close> = load_program()
    local events
    local ok, message = pcall(program.measure, program, {
      policies = POLICIES,
      progress = function()
        events = program:source().events
        program:measure { policies = POLICIES }
      end,
    })
    assert.equal(load_program():source().events, events)
    assert.is_false(ok)
    assert.matches("the program is being measured", message, 1, true)
  end)

  it("raises where reading the questions closed it", function()
    local program = load_program()
    local questions = setmetatable({ policies = POLICIES }, { __index = function() program:close() end })
    local ok, message = pcall(program.measure, program, questions)
    assert.is_false(ok)
    assert.matches("the program is closed", message, 1, true)
  end)

  it("takes no granule of more than 32 bits for a smaller one", function()
    local program <close> = load_program()
    local ok, message = pcall(program.measure, program, { policies = POLICIES, granule = (1 << 32) + 16 })
    assert.is_false(ok)
    assert.matches("granule: 4294967312 bytes are too many", message, 1, true)
  end)
end)

describe("a program", function()
  it("that a finalizer closes while its source is told gives all of it, or raises", function()
    local whole = load_program():source()
    whole.name = nil
    for fuse = 0, 6 do
      local program = load_program()
      local ok, source = finalizer.struck(fuse, function() program:close() end, program.source, program)
      if ok then
        assert.equal("watch", source.name)
        assert.equal(whole.events, source.events)
        assert.equal(whole.lower_bound, source.lower_bound)
      else
        assert.matches("the program is closed", source, 1, true)
      end
    end
  end)
end)
