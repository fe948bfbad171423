-- SPDX-License-Identifier: MIT
-- Promises of --granule, --header, --align, --classes, --scale, --only-thread and --window: the figures are
-- exactly those of the trace as it would have been, which a model here makes on its own.
local command = require "spec.support.command"
local dkjson = require "dkjson"

local COMMAND, write = command.path, command.write

local function heapwright_command(arguments)
  return command.shell(("%s %s </dev/null"):format(COMMAND, arguments))
end

before_each(command.enter)
after_each(command.leave)

-- compare's, fit's or run's report.
local function report(arguments)
  local out, err, code = heapwright_command(arguments .. " --json")
  assert.equal("", err)
  assert.equal(0, code)
  return assert(dkjson.decode(out))
end

local TRACE = [[
a 1 100 %1
a 2 7 64 %2
r 1 300 %2
a 3 0 %1
f 2 %1
a 4 50 %3
f 1 %3
a 5 1000 %2
f 4 %1
r 3 20 %1
]]

describe("a what-if of a trace made by hand", function()
  -- What is asked; then events, peak in use and lower bound.
  local cases = {
    { "", 10, 0 + 50 + 1000, 16 + 64 + 1008 },
    { "--header 16", 10, 16 + 66 + 1016, 16 + 80 + 1024 },
    { "--header 0", 10, 1050, 1088 },
    { "--scale 2", 10, 0 + 100 + 2000, 16 + 112 + 2000 },
    { "--scale 0.5", 10, 0 + 25 + 500, 16 + 32 + 512 },
    { "--scale 1.25", 10, 0 + 63 + 1250, 16 + 64 + 1264 }, -- 62.5, rounded up
    { "--scale 0.5 --header 7", 10, 7 + 32 + 507, 16 + 32 + 512 },
    { "--granule 8", 10, 1050, 8 + 56 + 1000 },
    { "--granule 32", 10, 1050, 32 + 64 + 1024 },
    { "--granule 64", 10, 1050, 64 + 64 + 1024 },
    { "--align 256", 10, 1050, 1088 },
    { "--only-thread 1", 5, 300, 304 + 16 },
    { "--only-thread 2,3", 5, 50 + 1000, 64 + 1008 },
    { "--window 5,7", 6, 300 + 50, 304 + 16 + 64 },
    { "--window 9,", 5, 1050, 1088 },
    { "--window ,4", 4, 300 + 7, 304 + 16 + 16 },
    { "--window 4,8 --only-thread 2 --header 1", 3, 1001, 1008 },
  }
  for _, case in ipairs(cases) do
    local asked, events, peak, bound = table.unpack(case)
    it(("has its figures: '%s'"):format(asked), function()
      local path = write("trace.txt", TRACE)
      for _, verb in ipairs { "fit", "compare" } do
        local source = report(("%s %s -p first-fit %s"):format(verb, path, asked)).source
        assert.same({ events, peak, bound }, { source.events, source.peak_in_use, source.lower_bound })
      end
    end)
  end

  it("counts blocks of slab by its classes", function()
    local trace = write("trace.txt", "a 1 17\na 2 100\na 3 500\na 4 600\n")
    local classes = write("classes", "# three\n16\n112\n\n 512 # the largest\n")
    local got = report(("compare %s -c 64K -p slab,best-fit --classes %s"):format(trace, classes))
    assert.equal(112 + 112 + 512 + 608, got.results[1].peak_granted)
    assert.equal(32 + 112 + 512 + 608, got.results[2].peak_granted)
    assert.same({ 16, 112, 512 }, got.source.what_if.classes)
  end)

  it("aligns each block", function()
    local trace = write("trace.txt", "a 1 1\na 2 1\na 3 1\n")
    local got = report(("fit %s -p first-fit --align 64"):format(trace))
    assert.equal(2 * 64 + 16, got.results[1].smallest_pool)
  end)

  it("is of every trace that is named", function()
    local one, two = write("one.txt", "a 1 10\n"), write("two.txt", "a 1 10\nf 1\na 2 20\n")
    local got = report(("fit %s %s -p first-fit,buddy --scale 3 --header 2"):format(one, two))
    assert.equal(32, got.sources[1].source.peak_in_use)
    assert.equal(62, got.sources[2].source.peak_in_use)
    assert.equal(64, got.sources[2].results[2].smallest_pool)
  end)

  it("is of scenarios too, of which a run is recorded", function()
    local path = write("s.lua", [[return heapwright.scenario { name = "s", run = function(mem) mem:alloc(100) end }]])
    assert.equal(208, report(("fit %s -p first-fit --scale 2 --header 8"):format(path)).source.peak_in_use)
  end)
end)

---- A model ------------------------------------------------------------------------

-- A random trace: its events, each { kind, id, size, alignment, thread }.
local function random_events(count)
  local events, live, next_id = {}, {}, 1
  for i = 1, count do
    local choice = math.random(10)
    local thread = math.random(3)
    if #live == 0 or choice <= 5 then
      local size = math.random(0, 1 << math.random(0, 10))
      local alignment = math.random(8) == 1 and 1 << math.random(0, 8) or nil
      events[i] = { kind = "a", id = next_id, size = size, alignment = alignment, thread = thread }
      live[#live + 1], next_id = next_id, next_id + 1
    elseif choice <= 8 then
      events[i] = { kind = "f", id = table.remove(live, math.random(#live)), thread = thread }
    else
      events[i] = { kind = "r", id = live[math.random(#live)], size = math.random(0, 2000), thread = thread }
    end
  end
  return events
end

-- Which events are left, in three plain passes: whole blocks of other threads go; then what is outside of the
-- window, but for what it needs to begin with; then sizes change.
local function transformed(events, what)
  local of_thread, kept = {}, {}
  for number, event in ipairs(events) do
    if event.kind == "a" then of_thread[event.id] = not what.threads or what.threads[event.thread] end
    if of_thread[event.id] then kept[#kept + 1] = { number = number, event = event } end
  end
  local from, to = what.from or 1, what.to or #events
  local list, state = {}, {}
  for _, one in ipairs(kept) do -- the state before the window
    local event = one.event
    if one.number < from then
      if event.kind == "f" then
        state[event.id] = nil
      else
        local old = state[event.id]
        state[event.id] = {
          kind = "a", id = event.id, size = event.size,
          alignment = old and old.alignment or event.kind == "a" and event.alignment or nil,
        }
      end
    end
  end
  for _, one in ipairs(kept) do -- ids ascend with birth
    if one.event.kind == "a" and state[one.event.id] then list[#list + 1] = state[one.event.id] end
  end
  for _, one in ipairs(kept) do
    if one.number >= from and one.number <= to then list[#list + 1] = one.event end
  end
  local lines = {}
  for i, event in ipairs(list) do
    if event.kind == "f" then
      lines[i] = ("f %d"):format(event.id)
    else
      local times, by = (what.times or 1), (what.by or 1)
      local size = (event.size * times + by - 1) // by + (what.header or 0)
      local alignment = event.kind == "a" and math.max(event.alignment or 1, what.align or 1) or 1
      lines[i] = ("%s %d %d%s"):format(event.kind, event.id, size, alignment > 1 and " " .. alignment or "")
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function text_of(events)
  local lines = {}
  for i, event in ipairs(events) do
    lines[i] = ("%s %d%s%s %%%d"):format(event.kind, event.id, event.size and " " .. event.size or "",
      event.alignment and " " .. event.alignment or "", event.thread)
  end
  return table.concat(lines, "\n") .. "\n"
end

describe("a what-if of random traces", function()
  local asked = {
    { "--header 16", { header = 16 } },
    { "--scale 2.5", { times = 25, by = 10 } },
    { "--scale 0.001", { times = 1, by = 1000 } },
    { "--align 64", { align = 64 } },
    { "--only-thread 2", { threads = { [2] = true } } },
    { "--only-thread 3,1", { threads = { [1] = true, [3] = true } } },
    { "--window 150,300", { from = 150, to = 300 } },
    { "--window 399,", { from = 399 } },
    { "--window ,1", { to = 1 } },
    { "--window 100,350 --only-thread 1,2 --header 8 --scale 0.5 --align 32",
      { from = 100, to = 350, threads = { true, true }, header = 8, times = 1, by = 2, align = 32 } },
  }
  for seed, case in ipairs(asked) do
    it("is replayed as the trace that a model makes of it: " .. case[1], function()
      math.randomseed(seed)
      local events = random_events(400)
      local path = write("trace.txt", text_of(events))
      local model = write("model.txt", transformed(events, case[2]))
      for _, granule in ipairs { 16, 64 } do
        local pools = (" -p best-fit,first-fit/lifo,next-fit,buddy,slab --granule %d"):format(granule)
        local got = report("fit " .. path .. pools .. " " .. case[1])
        local expected = report("fit " .. model .. pools)
        assert.same(expected.results, got.results)
        for _, field in ipairs { "events", "allocations", "peak_in_use", "lower_bound" } do
          assert.equal(expected.source[field], got.source[field])
        end
      end
    end)
  end
end)

---- What is said -------------------------------------------------------------------

describe("what was asked", function()
  it("is in the headline, at 80 columns, in words", function()
    local path = write("trace.txt", TRACE)
    local classes = write("classes", "20\n30\n60\n")
    local out, err, code = heapwright_command(("compare %s --granule 8 --header 16 --align 32 --scale 2 "
      .. "--only-thread 2,1 --window 2,9 --classes %s -p slab"):format(path, classes))
    assert.equal("", err)
    assert.equal(0, code)
    local words = out:gsub("\n", " ")
    assert.truthy(words:find("What if: granule of 8 bytes, header of 16 bytes, aligned to 32 bytes, slots of 24, 32 "
      .. "and 64 bytes, sizes × 2, threads 1 and 2 alone, events 2 to 9.", 1, true), words)
    assert.truthy(words:find("Note: classes rounded up to the granule: 20 to 24, 30 to 32, 60 to 64.", 1, true))
    for line in out:gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 80, line) end
  end)

  it("is an object of JSON's source, and absent where nothing was asked", function()
    local path = write("trace.txt", TRACE)
    local out = heapwright_command(("fit %s -p buddy --json --granule 32 --header 1 --align 4 --scale 0.5 "
      .. "--only-thread 1 --window 2,"):format(path))
    assert.truthy(out:find([["what_if":{
      "granule":32,
      "header":1,
      "align":4,
      "scale":0.5,
      "only_thread":[1],
      "window":{
        "from":2
      }
    }]], 1, true), out)
    assert.is_nil(report(("fit %s -p buddy"):format(path)).source.what_if)
  end)

  it("joins classes that the granule makes equal", function()
    local path, classes = write("trace.txt", TRACE), write("classes", "1\n2\r\n33\n")
    assert.same({ 16, 48 }, report(("fit %s -p slab --classes %s"):format(path, classes)).source.what_if.classes)
  end)
end)

describe("heapwright run", function()
  local SCENARIO = [[
    return heapwright.scenario {
      name = "s", capacity = "64K",
      run = function(mem, s) for i = 1, 10 do mem:free(mem:alloc(20)) mem:alloc(20) end end,
    }]]

  it("takes granule and classes for the scenarios' pools", function()
    local path, classes = write("s.lua", SCENARIO), write("classes", "64\n")
    local got = report(("run %s -p best-fit,slab --granule 32 --classes %s"):format(path, classes))
    assert.equal(11 * 32 - 32, got.results[1].high_water)
    assert.equal(10 * 64, got.results[2].peak_granted)
    assert.same({ granule = 32, classes = { 64 } }, got.source.what_if)
    local out = heapwright_command(("run %s -p slab --granule 8"):format(path))
    assert.truthy(out:find("s: 64.0 KiB, seed 1, granule of 8 bytes", 1, true), out)
  end)

  it("refuses a granule that a scenario's pool does not hold", function()
    local path = write("s.lua", (SCENARIO:gsub('"64K"', "32")))
    local out, err, code = heapwright_command(("run %s --granule 64"):format(path))
    assert.same({ "", "heapwright: s: its pool of 32 bytes holds no granule of 64 bytes\n", 2 }, { out, err, code })
  end)

  it("says why it has no other what-ifs", function()
    local path = write("s.lua", SCENARIO)
    for option, why in pairs {
      ["--header 8"] = "--header: of compare and fit, which replay: a scenario's pool grants what it is asked for",
      ["--align 8"] = "--align: of compare and fit, which replay: a scenario asks for its alignments itself",
      ["--scale 2"] = "--scale: of compare and fit, which replay: a scenario's sizes are its own",
      ["--only-thread 1"] = "--only-thread: of compare and fit, which replay: a scenario's threads run together",
      ["--window 1,2"] = "--window: of compare and fit, which replay: a scenario runs from its start",
    } do
      local out, err, code = heapwright_command(("run %s %s"):format(path, option))
      assert.same({ "", 2 }, { out, code })
      assert.truthy(err:find(why, 1, true), err)
    end
  end)
end)

---- Bad input ----------------------------------------------------------------------

describe("a what-if that can't be", function()
  local many = {}
  for i = 1, 21 do many[i] = 16 * i end
  local files = {
    ["empty.classes"] = "", ["comment.classes"] = "# nothing\n\n", ["words.classes"] = "16\nthirty\n",
    ["down.classes"] = "32\n16\n", ["twice.classes"] = "32\n32\n", ["zero.classes"] = "0\n",
    ["negative.classes"] = "-16\n", ["large.classes"] = "16\n1040\n", ["fraction.classes"] = "16.5\n",
    ["many.classes"] = table.concat(many, "\n"), ["huge.classes"] = "99999999999999999999999\n",
    ["long.classes"] = ("# a line\n"):rep(10000), ["two.classes"] = "16 32\n", ["bytes.classes"] = "\0\1\2\27[31m",
    ["good.classes"] = "16\n", ["plain.txt"] = "a 1 5\nf 1\n", ["large.txt"] = "a 1 9223372036854775800\n",
  }
  local cases = {
    { "--granule 12", "--granule 12: 8, 16, 32 or 64 wanted" },
    { "--granule 128", "--granule 128: 8, 16, 32 or 64 wanted" },
    { "--granule 64 --capacity 32", "--capacity 32: a pool holds 64 bytes, one granule, at least" },
    { "--granule 8 --capacity 33G", "--capacity 33G: a pool holds 34359737856 bytes at most" },
    { "--granule x", "--granule x: 8, 16, 32 or 64 wanted" },
    { "--granule 8 -p first-fit/fifo", "--granule 8: first-fit/fifo takes larger granules only" },
    { "--header=-1", "--header -1: a whole number of bytes from 0 to 1048576 wanted" },
    { "--header 1.5", "--header 1.5: a whole number" },
    { "--header 1048577", "--header 1048577: a whole number of bytes from 0 to 1048576 wanted" },
    { "--header 99999999999999999999", "--header 99999999999999999999: a whole number" },
    { "--align 0", "--align 0: a power of two from 1 to 65536 wanted" },
    { "--align 48", "--align 48: a power of two" },
    { "--align 131072", "--align 131072: a power of two" },
    { "--scale 0", "--scale 0: a factor above 0, of 1000000 at most, wanted" },
    { "--scale 0.000000", "--scale 0.000000: a factor above 0" },
    { "--scale=-2", "--scale -2: a factor such as 0.5 or 2 wanted" },
    { "--scale 1e3", "--scale 1e3: a factor such as" },
    { "--scale nan", "--scale nan: a factor such as" },
    { "--scale 0.1234567", "of at most 6 digits behind the point" },
    { "--scale 1000001", "--scale 1000001: a factor above 0, of 1000000 at most" },
    { "--only-thread x", "--only-thread x: 'x' is no thread's number" },
    { "--only-thread 1,", "--only-thread 1,: '' is no thread's number" },
    { "--only-thread 4294967296", "'4294967296' is no thread's number, 0 to 2^32 - 1" },
    { "--only-thread 7", "trace.txt: no thread 7 allocates in it; those that do: 1, 2, 3" },
    { "--only-thread 1,9", "trace.txt: no thread 9 allocates in it" },
    { "--only-thread 3 --window 1,4", "trace.txt: nothing is left of its 10 events" },
    { "--window 5,3", "--window 5,3: it ends before it begins" },
    { "--window 0,3", "--window 0,3: events are counted from 1" },
    { "--window ,", "--window ,: the numbers of two events wanted" },
    { "--window 5", "--window 5: the numbers of two events wanted" },
    { "--window a,b", "--window a,b: the numbers of two events wanted" },
    { "--window 1,2,3", "--window 1,2,3: the numbers of two events wanted" },
    { "--window 99999999999999999999,", "the numbers of two events wanted" },
    { "--window 11,", "trace.txt: there is no event 11 for a window's edge: it has 10" },
    { "--window 2,11", "trace.txt: there is no event 11 for a window's edge: it has 10" },
    { "--classes @/none", "none: No such file or directory" },
    { "--classes @", "is a folder" },
    { "--classes /dev/zero", "/dev/zero: is no file" },
    { "--classes @/empty.classes", "empty.classes: no size in it" },
    { "--classes @/comment.classes", "comment.classes: no size in it" },
    { "--classes @/words.classes", "words.classes: line 2: 'thirty' is no size in bytes" },
    { "--classes @/two.classes", "two.classes: line 1: '16 32' is no size in bytes" },
    { "--classes @/zero.classes", "zero.classes: line 1: '0' is no size in bytes" },
    { "--classes @/negative.classes", "negative.classes: line 1: '-16' is no size in bytes" },
    { "--classes @/fraction.classes", "fraction.classes: line 1: '16.5' is no size in bytes" },
    { "--classes @/huge.classes", "huge.classes: line 1: '99999999999999999999…' is no size" },
    { "--classes @/bytes.classes", "bytes.classes: line 1: '????[31m' is no size in bytes" },
    { "--classes @/down.classes", "down.classes: line 2: 16 after 32: the sizes must ascend" },
    { "--classes @/twice.classes", "twice.classes: line 2: 32 after 32: the sizes must ascend" },
    { "--classes @/many.classes", "many.classes: line 21: more than 20 classes" },
    { "--classes @/long.classes", "long.classes: longer than 65536 bytes" },
    { "--classes @/large.classes",
      "large.classes: 1040 is more than the largest slot, 1024 bytes (64 granules of 16)" },
    { "--classes @/good.classes -p best-fit", "--classes: they are slab's, which is not among the policies" },
  }
  local function refused(arguments, expected)
    for name, text in pairs(files) do write(name, text) end
    local out, err, code = heapwright_command((arguments:gsub("@", command.folder)))
    assert.same({ "", 2 }, { out, code })
    assert.truthy(err:find(expected, 1, true), err)
    assert.equal(1, select(2, err:gsub("\n", "")))
  end
  for _, case in ipairs(cases) do
    it("is one line and exit code 2: " .. case[1], function()
      write("trace.txt", TRACE)
      local policy = case[1]:find "-p " and "" or " -p slab,best-fit"
      refused("compare @/trace.txt" .. policy .. " " .. case[1], case[2])
    end)
  end

  it("is one line where the trace tells no threads, or a size passes 2^63", function()
    refused("fit @/plain.txt --only-thread 0", "plain.txt: no thread 0 allocates in it: it does not tell threads")
    refused("fit @/large.txt --header 8",
      "large.txt: event 1: 9223372036854775800 bytes, scaled and with a header, are more than 2^63 - 1")
    refused("fit @/large.txt --scale 2", "large.txt: event 1: 9223372036854775800 bytes, scaled")
  end)
end)
