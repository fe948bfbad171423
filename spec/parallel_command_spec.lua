-- SPDX-License-Identifier: MIT
-- Promises of compare --parallel: a trace's threads on real threads, in one shared pool.
local dkjson = require "dkjson"

local command = require "spec.support.command"

local function run(arguments)
  return command.shell(("%s %s </dev/null"):format(command.path, arguments))
end

local function generate(arguments)
  local path = command.folder .. "/trace.hwt"
  local _, err, code = run(("trace generate -o %s --events 20k --live 200 %s"):format(path, arguments))
  assert.equal(0, code, err)
  return path
end

before_each(command.enter)
after_each(command.leave)

describe("compare --parallel", function()
  it("tells each policy's throughput, alone and on the trace's threads, and slab's with caches too", function()
    local path = generate "--threads 3 --passed 0.4"
    local out, err, code = run("compare --json --parallel " .. path)
    assert.equal(0, code, err)
    local caches, dependencies = 0, nil
    for _, result in ipairs(dkjson.decode(out).results) do
      assert.equal(3, result.threads)
      assert.equal(3, result.recorded_threads)
      assert.equal(0, result.failures)
      assert.is_true(result.ops_per_second > 0 and result.ops_per_second_alone > 0)
      assert.is_true(result.scaling > 0)
      assert.is_true(result.dependencies > 1000)
      assert.equal(dependencies or result.dependencies, result.dependencies)
      assert.is_true(result.waits <= result.dependencies)
      dependencies = result.dependencies
      if result.caches then caches = caches + 1 end
      assert.is_nil(result.smallest_pool)
      assert.is_nil(result.steps_mean)
    end
    assert.equal(1, caches)
  end)

  it("folds more threads onto those that --threads gives it", function()
    local path = generate "--threads 9"
    local out, err, code = run("compare --json --parallel --threads 2 -p best-fit " .. path)
    assert.equal(0, code, err)
    local result = dkjson.decode(out).results[1]
    assert.same({ 2, 9 }, { result.threads, result.recorded_threads })
  end)

  it("counts what a pool that is too small refuses, and is sound all the same", function()
    local path = generate "--threads 2"
    local out, err, code = run("compare --json --parallel -c 8K -p best-fit,slab " .. path)
    assert.equal(0, code, err)
    for _, result in ipairs(dkjson.decode(out).results) do
      assert.equal(8192, result.capacity)
      assert.is_true(result.failures > 0)
      assert.is_true(result.high_water <= 8192)
    end
  end)

  it("prints a table of 80 columns, and says that runs differ", function()
    local out, err, code = run("compare --parallel " .. generate "--threads 2")
    assert.equal(0, code, err)
    for line in out:gmatch "[^\n]*" do
      assert.is_true(utf8.len(line) <= 80, line)
    end
    assert.is_truthy(out:find "slab, caches", out)
    assert.is_truthy(out:find("2 threads of the trace, on 2 threads; ", 1, true), out)
    assert.is_truthy(out:gsub("%s+", " "):find("Other runs place otherwise", 1, true), out)
  end)

  it("refuses a trace that names no threads, and options that make no sense, in one line", function()
    local path = generate ""
    for _, case in ipairs {
      { "--parallel " .. path, "trace.hwt: best-fit: the trace names no threads" },
      { "--parallel --threads 0 " .. path, "--threads: '0' is no number of 1 to 64" },
      { "--parallel --threads 65 " .. path, "--threads: '65' is no number of 1 to 64" },
      { "--threads 2 " .. path, "--threads is for --parallel" },
    } do
      local out, err, code = run("compare " .. case[1])
      assert.equal(2, code, case[1])
      assert.equal("", out)
      assert.matches("^heapwright: [^\n]*\n$", err)
      assert.is_truthy(err:find(case[2], 1, true), err)
    end
  end)
end)

describe("program:contend", function()
  local replay = require "heapwright.replay"

  it("raises for a misuse, and returns what can't be", function()
    local program = assert(replay.load(generate "--threads 2"))
    assert.has_error(function() program:contend { policy = "no" } end, "unknown policy 'no'")
    assert.has_error(function() program:contend { policy = "slab", threads = -1 } end, "threads must not be negative")
    local nothing, message, code = program:contend { policy = "best-fit", caches = true }
    assert.is_nil(nothing)
    assert.equal("the policy takes no such pool", message)
    assert.equal("invalid_argument", code)
    program:close()
    assert.has_error(function() program:contend { policy = "slab" } end)
  end)
end)
