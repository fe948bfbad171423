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

describe("heapwright-bench", function()
  local built = io.open(bench)
  if built then
    built:close()
  else
    pending "is not built here: make bench-build"
    return
  end

  it("prints a row for each workload and backend", function()
    local output, status = run "--workload W1 --backend null,slab/nolock,best-fit/fifo --json"
    assert.equal(0, status)
    local rows = assert(json.decode(output)).rows
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

  it("times two threads on one pool", function()
    local output, status = run "--workload W1,W1x2 --backend good-fit,good-fit/nolock --json"
    assert.equal(0, status)
    local rows = assert(json.decode(output)).rows
    assert.equal(3, #rows) -- an unlocked pool is not for two threads
    assert.equal("W1x2", rows[3].workload)
    assert.is_true(rows[3].speed_up > 0)
    assert.equal(0, rows[3].failures)
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
    local _, status = run "--rounds 3"
    assert.equal(2, status)
  end)
end)
