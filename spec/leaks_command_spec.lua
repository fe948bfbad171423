-- SPDX-License-Identifier: MIT
-- heapwright run --leaks: what is live at a run's end, by the line that allocated it.
local dkjson = require "dkjson"

local command = require "spec.support.command"

local function run(arguments)
  return command.shell_there(("%s run %s </dev/null"):format(command.path, arguments))
end

local function scenario(body, fields)
  command.write("s.lua", ([[
return heapwright.scenario {
  name = "small", capacity = "64K", policy = { "best-fit", "slab" }, %s
  run = function(mem, s)
%s
  end,
}
]]):format(fields or "", body))
  return "s.lua"
end

local LEAKS = [[
    for i = 1, 3 do mem:malloc(100 * i) end
    mem:alloc(700)
    mem:free(mem:alloc(5000))
    local moved = mem:realloc(mem:alloc(10), 400)]]

before_each(command.enter)
after_each(command.leave)

describe("run --leaks", function()
  it("says what is live by line, the one with the most bytes first, and ends with 1", function()
    local out, err, code = run("--leaks " .. scenario(LEAKS))
    assert.equal("", err)
    assert.equal(1, code)
    assert.matches("best%-fit .* leaked\n", out)
    assert.is_truthy(out:find([[

best-fit, slab: leaked 5 blocks, 1,700 bytes
bytes  blocks  allocated at
  700       1  s.lua:5
  600       3  s.lua:4
  400       1  s.lua:7
]], 1, true), out)
  end)

  it("ends with 0 where nothing is", function()
    local out, _, code = run("--leaks " .. scenario "mem:free(mem:malloc(10))")
    assert.equal(0, code)
    assert.matches("best%-fit .* yes\n", out)
  end)

  it("places blocks where they lie without it", function()
    local file = scenario(LEAKS .. "\nfor _ = 1, 500 do mem:realloc(mem:alloc(s:uniform(1, 90)), s:uniform(1, 90)) end")
    local plain = dkjson.decode((run("--json " .. file))).results
    local told = dkjson.decode((run("--json --leaks " .. file))).results
    for i, result in ipairs(told) do
      result.leaks = nil
      assert.same(plain[i], result)
    end
  end)

  it("tells it in JSON, an empty list where nothing is live", function()
    local out, _, code = run("--json --leaks " .. scenario(LEAKS))
    assert.equal(1, code)
    local object = dkjson.decode(out)
    assert.is_false(object.ok)
    assert.same({
      { site = "s.lua:5", blocks = 1, bytes = 700 }, { site = "s.lua:4", blocks = 3, bytes = 600 },
      { site = "s.lua:7", blocks = 1, bytes = 400 },
    }, object.results[2].leaks)
    out, _, code = run("--json --leaks " .. scenario "mem:alloc(1); mem:reset()")
    assert.equal(0, code)
    assert.same({}, dkjson.decode(out).results[1].leaks)
  end)

  it("tells of the blocks of all threads", function()
    local out, _, code = run("--leaks " .. scenario("mem:alloc(10)", "threads = 3,"))
    assert.equal(1, code)
    assert.matches("leaked 3 blocks, 30 bytes\n.-\n +30 +3  s.lua:4\n", out)
  end)

  it("is refused where there is nothing to look at", function()
    command.write("plain.lua", "print 'no scenario'")
    local _, err, code = run "--leaks plain.lua"
    assert.equal(2, code)
    assert.equal("heapwright: plain.lua: returns no scenario, so --leaks has no pool to look at\n", err)
    _, err, code = run("--leaks --inject sweep " .. scenario "")
    assert.equal(2, code)
    assert.equal("heapwright: --leaks: --inject tells of leaks by itself\n", err)
  end)
end)
