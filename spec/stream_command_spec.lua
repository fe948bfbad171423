-- SPDX-License-Identifier: MIT
-- Promises of compare --stream: the figures of a loaded trace, from one that is only read.
local dkjson = require "dkjson"

local command = require "spec.support.command"

local function run(arguments)
  return command.shell(("%s %s </dev/null"):format(command.path, arguments))
end

-- A trace of some batches, with resizes.
local function generate(name, more)
  local path = command.folder .. "/" .. name
  local _, err, code = run(("trace generate -o %s --events 40k --live 300 --resizes 0.1 %s"):format(path, more or ""))
  assert.equal(0, code, err)
  return path
end

local function compare(arguments)
  local out, err, code = run("compare --json " .. arguments)
  assert.equal(0, code, err)
  return dkjson.decode(out)
end

local SAME = {
  "policy", "capacity", "failures", "peak_in_use", "peak_granted", "high_water", "external_fragmentation",
  "internal_fragmentation", "steps_max", "steps_mean",
}

local function assert_same_figures(streamed, loaded)
  assert.equal(#loaded.results, #streamed.results)
  for i, result in ipairs(loaded.results) do
    for _, key in ipairs(SAME) do
      assert.equal(result[key], streamed.results[i][key], result.policy .. " " .. key)
    end
  end
  for _, key in ipairs { "events", "allocations", "peak_in_use", "lower_bound" } do
    assert.equal(loaded.source[key], streamed.source[key], key)
  end
end

before_each(command.enter)
after_each(command.leave)

describe("compare --stream", function()
  it("gives the figures of a loaded trace, in unbounded pools and in bounded ones", function()
    local path = generate "trace.hwt"
    for _, pools in ipairs { "", " -c 40K", " -c 24K -p best-fit/lifo,first-fit/random,worst-fit/fifo --seed 7" } do
      assert_same_figures(compare("--stream " .. path .. pools), compare("--in-memory " .. path .. pools))
    end
  end)

  it("leaves out what it did not measure, and tells the smallest pool where one run proves it", function()
    local path = generate("trace.hwt", "--resizes 0")
    local streamed, loaded = compare("--stream " .. path), compare("--in-memory " .. path)
    for i, result in ipairs(streamed.results) do
      assert.is_nil(result.ns_p50)
      assert.is_nil(result.ns_p999)
      assert.is_true(result.ops_per_second > 0)
      local proved = result.policy == "first-fit" or result.policy == "bump"
      assert.equal(proved and loaded.results[i].smallest_pool or nil, result.smallest_pool, result.policy)
    end
    assert.equal(2, streamed.source.streamed.passes)
    assert.is_true(streamed.source.streamed.read_seconds > 0)
    assert.is_nil(loaded.source.streamed)
  end)

  it("reads standard input once, text or binary", function()
    local path = generate "trace.hwt"
    local loaded = compare("--in-memory " .. path .. " -c 40K")
    for _, from in ipairs { command.path .. " trace cat " .. path, "cat " .. path } do
      local out, err, code = command.shell(("%s | %s compare --json --stream - -c 40K"):format(from, command.path))
      assert.equal(0, code, err)
      local streamed = dkjson.decode(out)
      assert_same_figures(streamed, loaded)
      assert.equal(1, streamed.source.streamed.passes)
      assert.is_nil(streamed.source.streamed.read_seconds)
      assert.equal("standard input", streamed.source.name)
    end
    local out, err, code = command.shell(("cat %s | %s compare --stream - -p slab"):format(path, command.path))
    assert.equal(0, code, err)
    assert.is_truthy(out:find "Streamed in one pass, ", out)
    out, err, code = command.shell(("cat %s | %s compare - -p slab -c 1M"):format(path, command.path))
    assert.equal(0, code, err)
    assert.is_nil(out:find "Streamed")
  end)

  it("prints a table of 80 columns with the time of a million events", function()
    local path = generate "trace.hwt"
    for _, more in ipairs { "", " -c 40K" } do
      local out, err, code = run("compare --stream " .. path .. more)
      assert.equal(0, code, err)
      for line in out:gmatch "[^\n]*" do
        assert.is_true(utf8.len(line) <= 80, line)
      end
      assert.is_truthy(out:find("ms per", 1, true), out)
      assert.is_truthy(out:find "to read a million events takes [%d.]+ %a?[^ ]?s of a%s+processor", out)
    end
  end)

  it("gives them of a trace longer than what is read ahead, under policies slower than reading", function()
    local path = generate("long.hwt", "--events 200k --live 2k --sizes uniform:16,4096")
    local asked = path .. " -p best-fit/random,slab"
    assert_same_figures(compare("--stream " .. asked), compare("--in-memory " .. asked))
  end)

  it("tells a file that breaks off in its middle, with the byte; one that is cut off it reads so far", function()
    local path = generate("trace.hwt", "--events 200k")
    local bytes = command.read(path)
    local cut = command.write("cut.hwt", bytes:sub(1, 300000))
    local out, err, code = run("compare -p slab --stream " .. cut)
    assert.equal(0, code, err)
    assert.is_truthy(out:find "Note: cut off at byte %d+ of 300000, after %d+ events", out)
    local broken = command.write("broken.hwt", bytes:sub(1, 300000) .. "?" .. bytes:sub(300002))
    for _, how in ipairs { "compare -p slab --stream " .. broken, "compare -p slab --in-memory " .. broken } do
      out, err, code = run(how)
      assert.equal(2, code)
      assert.equal("", out)
      assert.matches("^heapwright: [^\n]*broken.hwt: the chunk at byte %d+ is corrupt: its checksum is wrong\n$", err)
    end
  end)

  it("refuses what it can't do, in one line", function()
    local path = generate "trace.hwt"
    for _, case in ipairs {
      { "--stream --in-memory " .. path, "can not be used together" },
      { "--stream --parallel " .. path, "--parallel loads the trace: not with --stream" },
      { "--stream --header 8 " .. path, "--stream: what if is asked of a trace in memory (header of 8 bytes)" },
      { "--stream " .. path .. ".none", "No such file or directory" },
      { "--stream " .. command.write("words.txt", "some words\n"), "words.txt:1: " },
    } do
      local out, err, code = run("compare " .. case[1])
      assert.equal(2, code, case[1])
      assert.equal("", out)
      assert.matches("^heapwright: [^\n]*\n$", err)
      assert.is_truthy(err:find(case[2], 1, true), err)
    end
  end)

  it("streams files of more than 256 MiB unasked", function()
    -- A comment line is text as any other, so a file may be large and hold little.
    local path = command.write("large.txt", "a 1 100\nf 1\n")
    local out, err, code = command.shell(("yes '# %s' | head -c 268435456 >>%s && %s compare --json -p slab %s"):format(
      ("x"):rep(1000), path, command.path, path))
    assert.equal(0, code, err)
    assert.equal(2, dkjson.decode(out).source.streamed.passes)
  end)
end)

describe("replay.stream", function()
  local replay = require "heapwright.replay"

  it("tells how far it is, and stops where that raises", function()
    local path, seen = generate("trace.hwt", "--events 3M"), {}
    local policies = { { policy = "best-fit" }, { policy = "first-fit" } }
    local result = assert(replay.stream {
      path = path, policies = policies, threads = 2,
      progress = function(done, total) seen[#seen + 1] = done / total end,
    })
    assert.equal(3000000, result.source.events)
    for i, share in ipairs(seen) do
      assert.is_true(share >= (seen[i - 1] or 0) and share <= 1)
    end
    assert.has_error(function()
      replay.stream { path = path, policies = policies, progress = function() error("enough", 0) end }
    end, "enough")
  end)

  it("raises for a misuse and returns what is wrong with a file", function()
    local one = { { policy = "slab" } }
    assert.has_error(function() replay.stream { policies = one } end, "path must be a string")
    assert.has_error(function() replay.stream { path = "x\0y", policies = one } end)
    assert.has_error(function() replay.stream { path = "x", policies = {} } end, "1 to 256 policies, not 0")
    assert.has_error(function() replay.stream { path = "x", policies = { { policy = "no" } } } end,
      "unknown policy 'no'")
    assert.has_error(function() replay.stream { path = "x", policies = one, threads = 0 } end,
      "threads must be 1 at least")
    assert.has_error(function() replay.stream { path = "x", policies = one, capacity = -1 } end)
    local nothing, message, code = replay.stream { path = command.folder .. "/none", policies = one }
    assert.is_nil(nothing)
    assert.matches("none: No such file", message)
    assert.equal("io", code)
    local path = generate "trace.hwt"
    nothing, message, code = replay.stream { path = path, policies = one, granule = 24 }
    assert.is_nil(nothing)
    assert.matches("granules of 24", message)
    assert.equal("invalid_argument", code)
  end)
end)
