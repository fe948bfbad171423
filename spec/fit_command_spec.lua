-- SPDX-License-Identifier: MIT
-- Promises of heapwright fit: what it prints, that it is sound, and that threads change nothing.
local dkjson = require "dkjson"

local command = require "spec.support.command"

local write = command.write

local function fit(arguments)
  return command.shell(("%s fit %s </dev/null"):format(command.path, arguments))
end

local function json(arguments)
  local output, errors, code = fit(arguments .. " --json")
  assert.equal("", errors)
  assert.equal(0, code)
  return assert(dkjson.decode(output, 1, nil)), output
end

-- Best fit: fits in 10 granules and fails in 11.
local REVERSED = "a 1 48\na 2 48\na 3 32\nf 2\na 4 32\nf 1\na 5 80\n"

local function random_trace(events)
  local state, live, lines, id = 42, {}, {}, 0
  local function below(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & 0x7FFFFFFFFFFFFFFF
    return (state >> 33) % n
  end
  for _ = 1, events do
    if #live > 30 or #live > 0 and below(2) == 0 then
      lines[#lines + 1] = "f " .. table.remove(live, below(#live) + 1)
    else
      id = id + 1
      live[#live + 1] = id
      lines[#lines + 1] = ("a %d %d"):format(id, 1 + below(900))
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

before_each(command.enter)
after_each(command.leave)

describe("heapwright fit", function()
  it("prints the policies, the offline packing and the lower bound in 80 columns", function()
    local output, errors, code = fit(write("t.txt", random_trace(400)))
    assert.equal("", errors)
    assert.equal(0, code)
    for _, row in ipairs { "best%-fit", "bump", "offline packing", "lower bound" } do
      assert.truthy(output:match("\n" .. row .. " +[%d,]+ "), row)
    end
    for line in output:gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 80, line) end
  end)

  it("has no policy below the packing, and no packing below the bound", function()
    local report = json(write("t.txt", random_trace(800)))
    local packing, bound = report.packing, report.source.lower_bound
    assert.is_true(packing.pool >= packing.lower_bound)
    assert.is_true(packing.lower_bound >= bound)
    assert.equal(packing.pool == packing.lower_bound, packing.proved)
    assert.near(packing.pool / packing.lower_bound - 1, packing.overhead, 1e-9)
    assert.is_string(packing.method)
    assert.is_true(math.type(packing.nodes) == "integer")
    for _, result in ipairs(report.results) do
      assert.is_true(result.smallest_pool >= packing.lower_bound)
      assert.near(result.smallest_pool / bound - 1, result.overhead, 1e-9)
    end
  end)

  it("tells a pool that fits below a larger one that does not", function()
    local path = write("t.txt", REVERSED)
    local report = json(path .. " --policy best-fit,first-fit")
    assert.same({ { fits = 160, fails_from = 176, fails_to = 192 } }, report.results[1].reversals)
    assert.equal(160, report.results[1].smallest_pool)
    assert.is_true(report.results[1].exact)
    assert.same({}, report.results[2].reversals)
    local output = fit(path .. " --policy best-fit")
    assert.truthy(output:find("\n  best-fit fits in 160 bytes and fails in 176 … 192\n", 1, true))
  end)

  it("runs every capacity with --exhaustive, and says so", function()
    local path = write("t.txt", random_trace(60000))
    local sampled = json(path .. " -p next-fit").results[1]
    local exhaustive = json(path .. " -p next-fit --exhaustive").results[1]
    assert.is_false(sampled.exact)
    assert.is_true(exhaustive.exact)
    assert.is_true(exhaustive.smallest_pool <= sampled.smallest_pool)
    assert.is_true(exhaustive.runs > sampled.runs)
    assert.truthy(fit(path .. " -p next-fit"):find "≤")
    assert.falsy(fit(path .. " -p next-fit --exhaustive"):find "≤")
  end)

  it("prints the same with any number of threads", function()
    local path = write("t.txt", random_trace(500))
    local _, one = json(path .. " --jobs 1")
    for _, jobs in ipairs { 2, 3, 7 } do
      local _, many = json(path .. " --jobs " .. jobs)
      assert.equal(one, many)
    end
  end)

  it("searches no optimum with --nodes 0", function()
    local packing = json(write("t.txt", random_trace(300)) .. " --nodes 0 -p bump").packing
    assert.equal(0, packing.nodes)
  end)

  it("takes traces of one event, without a free, and of sizes that no machine has", function()
    local one = json(write("one.txt", "a 1 5\n"))
    assert.equal(16, one.packing.pool)
    assert.is_true(one.packing.proved)
    for _, result in ipairs(one.results) do assert.equal(16, result.smallest_pool) end
    local huge = json(write("huge.txt", "a 1 4611686018427387904\nf 1\na 2 4611686018427387904\n") .. " -p best-fit")
    assert.equal(4611686018427387904, huge.packing.pool)
    assert.is_nil(huge.results[1].smallest_pool)
  end)

  it("says why there is no packing where all would end past 2^63", function()
    local three = {}
    for i = 1, 3 do three[i] = ("a %d %d %d\n"):format(i, 1 << 61, 1 << 62) end
    local output, errors, code = fit(write("t.txt", table.concat(three)) .. " -p best-fit")
    assert.equal("", errors)
    assert.equal(0, code)
    assert.truthy(output:find("No offline packing: every packing tried ends past 2^63 - 1", 1, true))
  end)

  for option, values in pairs { jobs = { "0", "x", "1.5", "65", "-1" }, nodes = { "-1", "many" } } do
    for _, value in ipairs(values) do
      it(("refuses --%s %s in one line"):format(option, value), function()
        local output, errors, code = fit(("%s --%s=%s"):format(write("t.txt", "a 1 5\n"), option, value))
        assert.equal("", output)
        assert.equal(2, code)
        assert.truthy(errors:find(("^heapwright: %%-%%-%s: '%s' is no whole number from %%d+ to %%d+\n$"):format(
          option, (value:gsub("%p", "%%%0")))), errors)
      end)
    end
  end

  it("ends at once when it is interrupted", function()
    local path = write("t.txt", random_trace(200000))
    local _, _, code = command.shell(("timeout -s INT 0.5 %s fit %s --exhaustive >/dev/null </dev/null"):format(
      command.path, path))
    assert.equal(124, code)
  end)
end)
