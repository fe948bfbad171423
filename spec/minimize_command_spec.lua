-- SPDX-License-Identifier: MIT
-- Promises of heapwright minimize: what is left still fails, fails without none of its blocks, and is a
-- script that shows it.
local churn = require "spec.support.churn"
local command = require "spec.support.command"
local dkjson = require "dkjson"
local pool = require "heapwright.pool"
local replay = require "heapwright.replay"

local write, read = command.write, command.read

local function minimize(arguments)
  return command.shell(("%s minimize %s </dev/null"):format(command.path, arguments:gsub("@", command.folder)))
end

local function run(path)
  return command.shell(("%s run %s </dev/null"):format(command.path, path))
end

-- How many requests a trace's text is refused in this pool.
local function failures(text, capacity, policy, settings)
  local program <close> = assert(replay.load(write("tried.txt", text)))
  local order
  policy, order = policy:match "^([^/]*)/?(.*)$"
  return assert(program:measure {
    policies = { { policy = policy, order = order ~= "" and order or nil, seed = settings and settings.seed } },
    capacity = capacity, granule = settings and settings.granule,
  })[1].failures
end

-- The same without the block `id`.
local function without(text, id)
  return (text:gsub("%a (%d+)[^\n]*\n", function(line_id)
    if tonumber(line_id) == id then return "" end
  end))
end

local function count_blocks(text)
  return select(2, text:gsub("a ", ""))
end

before_each(command.enter)
after_each(command.leave)

-- The largest capacity of these in which the policy fails, so that holes matter.
local function failing_capacity(text, policy)
  for capacity = 9216, 1024, -256 do
    if failures(text, capacity, policy) > 0 then return capacity end
  end
  error("it never fails: " .. policy)
end

describe("what heapwright minimize finds", function()
  for _, policy in ipairs(pool.policies()) do
    it("fails, and does not without any one of its blocks, under " .. policy.name, function()
      local text = churn.trace(7, 400, 30, 300)
      local capacity = failing_capacity(text, policy.name)
      write("t.txt", text)
      local out, err, code = minimize(("@/t.txt -c %d -p %s -o @/s.txt"):format(capacity, policy.name))
      assert.equal(0, code, err)
      out = out:gsub("%s+", " ")
      assert.is_truthy(out:find "of these blocks it does not fail so" or out:find "it fails alone", out)
      local small = read "s.txt"
      assert.is_true(count_blocks(small) < count_blocks(text))
      assert.equal(1, failures(small, capacity, policy.name))
      for id = 1, count_blocks(small) do
        local left = without(small, id)
        if left ~= "" then assert.equal(0, failures(left, capacity, policy.name), "without block " .. id) end
      end
    end)

    it("is a scenario that shows the failure under " .. policy.name, function()
      local text = churn.trace(8, 400, 30, 300)
      local capacity = failing_capacity(text, policy.name)
      write("t.txt", text)
      local _, err, code = minimize(("@/t.txt -c %d -p %s -o @/s.lua"):format(capacity, policy.name))
      assert.equal(0, code, err)
      local script = read "s.lua"
      assert.is_truthy(script:find(" -- refused\n", 1, true))
      local last = select(2, script:sub(1, (script:find " %-%- refused")):gsub("\n", "")) + 1
      local out
      out, err, code = run(command.folder .. "/s.lua")
      assert.equal(1, code, err)
      assert.is_truthy(out:find(("s.lua:%d: "):format(last), 1, true), out)
      assert.is_truthy(out:find("\n" .. policy.name:gsub("%-", "%%-") .. " .* 1 .* raised\n"), out)
    end)
  end

  for _, case in ipairs {
    { "an order by time", "best-fit/lifo", "" },
    { "an order by chance, with its seed", "best-fit/random", "--seed 9", seed = 9 },
    { "another granule", "first-fit", "--granule 32", granule = 32 },
  } do
    it("fails likewise with " .. case[1], function()
      local text = churn.trace(9, 400, 30, 300)
      write("t.txt", text)
      local capacity = 9216
      while failures(text, capacity, case[2], case) == 0 do capacity = capacity - 256 end
      local arguments = ("@/t.txt -c %d -p %s %s"):format(capacity, case[2], case[3])
      local _, err, code = minimize(arguments .. " -o @/s.txt")
      assert.equal(0, code, err)
      assert.equal(1, failures(read "s.txt", capacity, case[2], case))
      minimize(arguments .. " -o @/s.lua")
      local out
      out, err, code = run(command.folder .. "/s.lua" .. (case.seed and " --seed " .. case.seed or ""))
      assert.equal(1, code, err)
      assert.is_truthy(out:find "raised", out)
    end)
  end

  it("is the same each time, and says what it took", function()
    write("t.txt", churn.trace(10, 600, 40, 200))
    local first = minimize "@/t.txt -c 4K --json"
    assert.equal(first, (minimize "@/t.txt -c 4K --json"))
    local result = dkjson.decode(first).results[1]
    assert.is_true(result.minimal)
    assert.is_true(result.runs > 0 and result.blocks < result.blocks_before)
    assert.equal("best-fit", result.policy)
    assert.equal(4096, result.capacity)
  end)

  it("is one block where one is larger than the pool", function()
    write("t.txt", churn.trace(11, 200, 20, 100) .. "a 100000 9999\n")
    local out = minimize "@/t.txt -c 8K -o @/s.txt"
    assert.equal("a 1 9999\n", read "s.txt")
    assert.is_truthy(out:find("it fails alone", 1, true), out)
  end)

  it("is standard output's where no file is named, the words standard error's", function()
    write("t.txt", "a 1 100\na 2 5000\n")
    local out, err, code = minimize "@/t.txt -c 4K"
    assert.equal(0, code)
    assert.is_truthy(out:find("return heapwright.scenario {", 1, true))
    assert.is_truthy(err:find("1 of 2 blocks", 1, true), err)
    write("out.lua", out)
    assert.equal(1, select(3, run(command.folder .. "/out.lua")))
  end)

  it("may be a binary trace", function()
    write("t.txt", churn.trace(12, 300, 30, 200))
    local _, err, code = minimize "@/t.txt -c 2K -o @/s.hwt"
    assert.equal(0, code, err)
    minimize "@/t.txt -c 2K -o @/s.txt"
    local cat = command.shell(command.path .. " trace cat " .. command.folder .. "/s.hwt")
    assert.equal(read "s.txt", (cat:gsub("^#[^\n]*\n", "")))
  end)

  it("comes from a scenario as well", function()
    write("s.lua", [[
return heapwright.scenario { name = "it's a \"test\"", run = function(mem)
  for i = 1, 50 do mem:alloc(i * 10) end
end }]])
    local _, err, code = minimize "@/s.lua -c 2K -o @/small.lua"
    assert.equal(0, code, err)
    assert.equal(1, select(3, run(command.folder .. "/small.lua")))
  end)
end)

describe("a failure for want of a hole", function()
  -- 16 blocks of 64 bytes fill the pool; every second one goes; 128 in a row are nowhere.
  local text = {}
  for i = 1, 16 do text[i] = ("a %d 64\n"):format(i) end
  for i = 1, 16, 2 do text[#text + 1] = ("f %d\n"):format(i) end
  text = table.concat(text) .. "a 17 128\n"

  for _, shrunk in ipairs { "", " --shrink" } do
    it("stays one, though it gets smaller," .. (shrunk == "" and " by blocks" or " by frees and sizes too"), function()
      write("t.txt", text)
      local out, err, code = minimize("@/t.txt -c 1K --json -o @/s.txt" .. shrunk)
      assert.equal(0, code, err)
      local result = dkjson.decode(out).results[1]
      assert.is_true(result.fragmented)
      assert.is_true(result.minimal)
      local live, sizes = 0, {}
      for kind, id, size in read("s.txt"):gmatch "(%a) (%d+) ?(%d*)\n" do
        live = live - (sizes[id] or 0)
        sizes[id] = kind ~= "f" and math.max(1, (tonumber(size) + 15) // 16) * 16 or 0
        live = live + sizes[id]
      end
      assert.is_true(live <= 1024, read "s.txt")
    end)
  end

  it("has smaller sizes and fewer frees with --shrink, none of which can go", function()
    write("t.txt", churn.trace(13, 300, 30, 300))
    local capacity = failing_capacity(read "t.txt", "first-fit")
    minimize(("@/t.txt -c %d -p first-fit -o @/plain.txt"):format(capacity))
    local _, err, code = minimize(("@/t.txt -c %d -p first-fit --shrink -o @/s.txt"):format(capacity))
    assert.equal(0, code, err)
    local function bytes(name)
      local sum = 0
      for size in read(name):gmatch "[ar] %d+ (%d+)" do sum = sum + tonumber(size) end
      return sum
    end
    assert.is_true(bytes "s.txt" < bytes "plain.txt")
    local small = read "s.txt"
    for id = 1, count_blocks(small) do
      assert.equal(0, failures(without(small, id), capacity, "first-fit"), "without block " .. id)
    end
  end)
end)

describe("heapwright minimize", function()
  it("stops after --max-runs replays, says so, and what it has still fails", function()
    write("t.txt", churn.trace(14, 2000, 60, 200))
    local capacity = 4096
    assert.is_true(failures(read "t.txt", capacity, "best-fit") > 0)
    local out, err, code = minimize "@/t.txt -c 4K --max-runs 50 -o @/s.txt"
    assert.equal(0, code, err)
    out = out:gsub("%s+", " ")
    assert.is_truthy(out:find("after 50 replays; stopped there", 1, true), out)
    assert.equal(1, failures(read "s.txt", capacity, "best-fit"))
  end)

  it("takes a recording of a million events", function()
    local text = churn.trace(15, 1000000, 300, 200)
    write("t.txt", text .. "a 2000001 30000\n")
    local out, err, code = minimize "@/t.txt -c 60000 -o @/s.txt --max-runs 2000"
    assert.equal(0, code, err)
    assert.equal(1, failures(read "s.txt", 60000, "best-fit"))
    assert.is_truthy(out:gsub("%s+", " "):find("1,000,001 events", 1, true), out)
    assert.is_true(count_blocks(read "s.txt") < 1000)
  end)

  local refused = {
    { "a trace that fits", "@/t.txt -c 64K",
      "t.txt: fits in 64.0 KiB under best-fit: nothing to minimize; the smallest pool is 400 bytes" },
    { "no capacity", "@/t.txt", "--capacity is missing" },
    { "a capacity that is none", "@/t.txt -c x", "--capacity: 'x' is no size" },
    { "two policies", "@/t.txt -c 256 -p best-fit,buddy", "--policy: one policy, not 2" },
    { "an unknown policy", "@/t.txt -c 256 -p bestfit", "unknown policy 'bestfit'" },
    { "a granule that is none", "@/t.txt -c 256 --granule 24", "--granule 24: 8, 16, 32 or 64 wanted" },
    { "a count of runs that is none", "@/t.txt -c 256 --max-runs 0", "--max-runs: '0' is no number" },
    { "a seed that is none", "@/t.txt -c 256 --seed x", "--seed: 'x' is no integer" },
    { "a trace that is not there", "@/none.hwt -c 256", "none.hwt: No such file or directory" },
    { "a trace of another kind", "@/words.txt -c 256", "words.txt:1: " },
    { "a scenario of two", "@/two.lua -c 256", "two.lua: holds 2 scenarios" },
    { "a folder that is not there", "@/t.txt -c 256 -o @/none/s.lua", "none/s.lua" },
    { "a disk that is full", "@/t.txt -c 256 -o /dev/full", "/dev/full: No space left on device" },
  }
  for _, case in ipairs(refused) do
    it("refuses " .. case[1] .. " in one line, with exit code 2", function()
      write("t.txt", "a 1 100\na 2 150\nr 1 120\nf 2\n")
      write("words.txt", "these are words\n")
      write("two.lua", [[local function run(mem) mem:alloc(9) end
return { heapwright.scenario { name = "a", run = run }, heapwright.scenario { name = "b", run = run } }]])
      local out, err, code = minimize(case[2])
      assert.equal(2, code, err)
      assert.equal("", out)
      assert.is_truthy(err:find("^heapwright: [^\n]*\n$"), err)
      assert.is_truthy(err:find(case[3], 1, true), err)
    end)
  end

  it("leaves the old file where the new one can't be written", function()
    write("t.txt", churn.trace(16, 400, 30, 300))
    write("s.lua", "old")
    local _, err, code = command.shell(([[ulimit -f 1; trap '' XFSZ
%s minimize %s/t.txt -c 2K -o %s/s.lua </dev/null]]):format(command.path, command.folder, command.folder))
    assert.equal(2, code)
    assert.is_truthy(err:find "File too large", err)
    assert.equal("old", read "s.lua")
    assert.is_nil(io.open(command.folder .. "/s.lua.part"))
  end)

  it("has a help of 80 columns, with an example", function()
    local out, _, code = minimize "--help"
    assert.equal(0, code)
    assert.is_truthy(out:find "Example")
    for line in out:gmatch "[^\n]*" do assert.is_true(utf8.len(line) <= 80, line) end
  end)
end)
