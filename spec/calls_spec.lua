-- SPDX-License-Identifier: MIT
-- The interface of spec/bench/calls.lua: what --json holds, what it refuses. What
-- it needs is built on demand (make bench-build); where it is not, these specs
-- say so. No time is compared with anything here.

local json = require "dkjson"

local build = os.getenv "HEAPWRIGHT_BUILD" or "build"

local function run(arguments)
  local pipe = assert(io.popen(("LUA_CPATH='%s/?.so' lua5.4 spec/bench/calls.lua %s 2>&1"):format(build, arguments)))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

describe("the bench of calls", function()
  local built = io.open(build .. "/heapwright_empty_method.so")
  if built then
    built:close()
  else
    pending "is not built here: make bench-build"
    return
  end

  it("prints a row for each pool and call", function()
    local output, status = run "--json"
    assert.equal(0, status)
    local found = assert(json.decode(output))
    assert.is_true(found.empty_ns > 0)
    local backends, rows = {}, 0
    for _, row in ipairs(found.rows) do
      backends[row.backend] = (backends[row.backend] or 0) + 1
      rows = rows + 1
      assert.is_true(row.multiple > 0 and row.ns_per_call > 0 and row.spread >= 0)
      assert.is_string(row.call)
    end
    for _, backend in ipairs { "slab", "slab/nolock", "best-fit", "best-fit/nolock" } do
      assert.equal(5, backends[backend])
    end
    assert.is_true(rows >= 20)
  end)

  it("prints a table of them", function()
    local output, status = run ""
    assert.equal(0, status)
    assert.matches("backend +call +multiple +spread +ns/call\n", output)
    assert.matches("best%-fit +read 1024 +%d+%.%d%d +%d+%% +%d+%.%d\n", output)
  end)

  for _, arguments in ipairs { "--nonsense", "--rounds 3", "--rounds 100", "--rounds x", "--rounds" } do
    it("refuses " .. arguments, function()
      local output, status = run(arguments)
      assert.equal(2, status)
      assert.matches("usage: calls.lua", output, 1, true)
    end)
  end

  it("says what it takes", function()
    local output, status = run "--help"
    assert.equal(0, status)
    assert.matches("Rounds: 7 to 99", output, 1, true)
  end)
end)
