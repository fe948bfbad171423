-- SPDX-License-Identifier: MIT
-- Promises of report: what lay where, as a picture, a timeline and tables that other programs read.
local command = require "spec.support.command"
local dkjson = require "dkjson"
local replay = require "heapwright.replay"

local TRACE = "a 1 100 @1000 %7\na 2 50 @2000 %7\nf 1 @3500 %9\na 3 20 @4000 %9\nr 2 60 @5000 %7\n"

local function report(arguments, text)
  if text then command.write("t.txt", text) end
  return command.shell_there(("%s report %s </dev/null"):format(command.path, arguments))
end

local function well(arguments, text)
  local out, err, code = report(arguments, text)
  assert.equal(0, code, err)
  assert.equal("", err)
  return out
end

-- The lines of a table by RFC 4180, none of whose fields needs quotes.
local function rows(name)
  local text, list = command.read(name), {}
  assert.equal("\r\n", text:sub(-2))
  assert.is_nil(text:gsub("\r\n", ""):find "[\r\n\"]")
  for line in text:gmatch "(.-)\r\n" do
    local row = {}
    for field in (line .. ","):gmatch "(.-)," do row[#row + 1] = field end
    list[#list + 1] = row
    assert.equal(#list[1], #row)
  end
  return list
end

-- The elements of a document: names in order. Fails where it is not well-formed.
local function elements(text)
  local open, names = {}, {}
  text = text:gsub("^<%?xml.-%?>%s*", "")
  local rest = text:gsub("<(/?)(%a+)([^<>]-)(/?)>", function(closing, name, attributes, empty)
    if closing == "/" then
      assert.equal(name, table.remove(open))
      return ""
    end
    local known = {}
    local left = attributes:gsub('%s+([%a-]+)="[^"<]*"', function(key)
      assert.is_nil(known[key])
      known[key] = true
      return ""
    end)
    assert.matches("^%s*$", left)
    if empty == "" then open[#open + 1] = name end
    names[#names + 1] = name
    return ""
  end)
  assert.equal(0, #open)
  assert.is_nil(rest:find "[<>]")
  for entity in text:gmatch "&([^;]*);?" do
    assert.is_truthy(({ amp = true, lt = true, gt = true, quot = true })[entity], entity)
  end
  assert.is_truthy(utf8.len(text))
  assert.is_nil(text:find "[\0-\8\11-\31]")
  return names, text
end

local function count(text, pattern)
  return select(2, text:gsub(pattern, ""))
end

local function timeline(name)
  local object, _, problem = dkjson.decode(command.read(name))
  assert.is_nil(problem)
  local kinds = {}
  for _, event in ipairs(object.traceEvents) do
    kinds[event.ph] = kinds[event.ph] or {}
    table.insert(kinds[event.ph], event)
    assert.is_truthy(event.ph == "M" or math.type(event.ts), event.name)
  end
  return kinds, object.otherData
end

before_each(command.enter)
after_each(command.leave)

describe("heapwright report", function()
  it("writes a table of the blocks: place, sizes, life, thread", function()
    local out = well("t.txt --policy first-fit --csv t.csv", TRACE)
    assert.equal("t.csv: 4 rectangles\n"
      .. "first-fit, unbounded: high-water mark 176 B, peak in use 150 B, 0 failures.\n", out)
    assert.same({
      { "block", "address", "granted", "requested", "born", "died", "born_ns", "died_ns", "thread", "end" },
      { "1", "0", "112", "100", "1", "3", "1000", "3500", "0", "freed" },
      { "2", "112", "64", "50", "2", "5", "2000", "5000", "0", "resized" },
      { "4", "0", "32", "20", "4", "6", "4000", "", "1", "live" },
      { "2", "112", "64", "60", "5", "6", "5000", "", "0", "live" },
    }, rows "t.csv")
  end)

  it("leaves empty what the trace does not tell", function()
    well("t.txt --csv t.csv", "a 1 100\nf 1\n")
    assert.same({ "1", "0", "112", "100", "1", "2", "", "", "", "freed" }, rows("t.csv")[2])
  end)

  it("writes a table of the curves", function()
    well("t.txt --policy first-fit --capacity 1024 --curves c.csv", TRACE)
    local list = rows "c.csv"
    assert.equal(6, #list)
    assert.same({ "event", "ns", "in_use", "granted", "high_water", "free", "largest_free", "internal_fragmentation",
      "external_fragmentation", "live_blocks", "failures" }, list[1])
    assert.same({ "3", "3500", "50", "64", "176", "960", "848", "0.218750", "0.116667", "1", "0" }, list[4])
    well "t.txt --curves c.csv --points 2"
    assert.same({ "2", "5" }, { rows("c.csv")[2][1], rows("c.csv")[3][1] })
  end)

  it("draws a picture: well-formed, a shape for each block, failures and the high-water mark", function()
    local trace = "a 1 1024\na 2 1024\na 3 2048\nf 1\na 4 512\na 5 9999\n"
    local out = well("t.txt --policy first-fit --capacity 4K --svg t.svg", trace)
    assert.matches("^t%.svg: 4 rectangles\n", out)
    local names, text = elements(command.read "t.svg")
    assert.equal("svg", names[1])
    assert.is_truthy(text:find("<title>t.txt under first-fit, pool of 4 KiB</title>", 1, true))
    assert.is_truthy(text:find("6 events, high-water mark 4 KiB, peak in use 4 KiB, 1 failure", 1, true))
    assert.equal(4, count(text, 'class="large"'))
    -- 1,024 of 4,096 bytes from below: the lowest quarter of 560 pixels, three of six events of 1,000.
    assert.is_truthy(text:find('d="M0.00 420.00h500.00v140.00h-500.00z"', 1, true))
    assert.equal(1, count(text, 'class="line failure"'))
    assert.equal(2, count(text, "stroke%-dasharray")) -- the mark, and the legend's
    for _, words in ipairs { ">event<", ">address<", ">4 KiB<", ">0 B<", ">≤ 2 KiB<", ">high%-water mark<" } do
      assert.matches(words, text)
    end
  end)

  it("writes a timeline of nanoseconds: counters, a slice for each block", function()
    well("t.txt --policy first-fit --perfetto t.json", TRACE)
    local kinds, other = timeline "t.json"
    assert.equal("nanoseconds of the trace", other.time)
    assert.equal("4", other.slices)
    assert.equal(4, #kinds.b)
    assert.equal(4, #kinds.e)
    assert.equal(5 * 6, #kinds.C)
    local first, last = kinds.b[1], kinds.e[1]
    assert.same({ 1.0, 3.5, "112 bytes", "block" }, { first.ts, last.ts, first.name, first.cat })
    assert.equal(first.id, last.id)
    assert.same({ address = "0x0", granted = 112, requested = 100, block = 1, born = 1, died = 3, thread = 0 },
      first.args)
    assert.same({ "in use (bytes)", 1.0, 100 }, { kinds.C[1].name, kinds.C[1].ts, kinds.C[1].args.value })
  end)

  it("has failures in the timeline, and events where the trace has no times", function()
    well("t.txt --capacity 64 --perfetto t.json", "a 1 64\na 2 7\nr 1 99\nf 1\n")
    local kinds, other = timeline "t.json"
    assert.equal("events: one is a microsecond", other.time)
    assert.equal(2, #kinds.i)
    assert.same({ event = 2, size = 7, resize = false }, kinds.i[1].args)
    assert.same({ event = 3, size = 99, resize = true }, kinds.i[2].args)
    assert.same({ 1, 4 }, { kinds.b[1].ts, kinds.e[1].ts })
  end)

  it("says that times go backwards, and draws by events", function()
    local out = well("t.txt --svg t.svg --perfetto t.json", "a 1 9 @500\na 2 9 @100\nf 1 @200\n")
    assert.is_truthy(out:find("Note: times go back at event 2: the timeline is of events.", 1, true), out)
    assert.equal("events: one is a microsecond", select(2, timeline "t.json").time)
    elements(command.read "t.svg")
  end)

  it("draws one event, a block of the whole pool, failures alone, huge sizes", function()
    for _, case in ipairs {
      { "one event", "a 1 1\n", "", "1 rectangle ", "0 failures" },
      { "the whole pool", "a 1 4096\nf 1\n", "--capacity 4K", "1 rectangle ", "0 failures" },
      { "failures alone", "a 1 5000\nf 1\na 2 4097\n", "--capacity 4K", "0 rectangles ", "2 failures" },
      { "2^40 bytes", "a 1 1099511627776\na 2 10\n", "", "1 rectangle ", "1 failure" },
      { "a small trace in a large pool", "a 1 10\n", "--capacity 1G", "1 rectangle ", "0 failures" },
    } do
      local files = "--svg t.svg --perfetto t.json --csv t.csv --curves c.csv "
      local out = well("t.txt " .. files .. case[3], case[2]):gsub("\n", " ")
      assert.is_truthy(out:find(case[4], 1, true), case[1] .. out)
      assert.is_truthy(out:find(case[5], 1, true), case[1] .. out)
      local _, text = elements(command.read "t.svg")
      assert.is_nil(text:find "nan" or text:find "inf", case[1])
      timeline "t.json"
      rows "t.csv"
    end
  end)

  it("escapes names in every format", function()
    local name = "<&\"'>\\\1\255</script>]]>.txt"
    command.write("plain", TRACE)
    command.shell_there("mkdir -p '<&\"'\"'\"'>\\\1\255<'")
    local folder = "'<&\"'\"'\"'>\\\1\255<'"
    command.shell_there("mv plain " .. folder .. "/script")
    well(folder .. "/script --svg t.svg --perfetto t.json --csv t.csv")
    local _, text = elements(command.read "t.svg")
    assert.is_truthy(text:find("&lt;&amp;&quot;'&gt;\\��&lt;/script under", 1, true), name)
    local kinds, other = timeline "t.json"
    assert.equal("<&\"'>\\��</script", other.source)
    assert.equal("<&\"'>\\��</script under best-fit", kinds.M[1].args.name)
    assert.is_nil(command.read("t.json"):find("</", 1, true))
    rows "t.csv"
  end)

  it("keeps the files of a long trace small, and says what is put together", function()
    well("t.txt --csv t.csv", TRACE)
    assert(os.execute(("%s trace generate -o %s/l.hwt --events 130k --live 5k --sizes pareto:1.2,16 --resizes 0.2")
      :format(command.path, command.folder)))
    local out = well "l.hwt --svg l.svg --perfetto l.json --csv l.csv"
    local svg, all = command.read "l.svg", #rows "l.csv" - 1
    assert.is_true(all > 60000)
    assert.is_true(#svg < 3000000, #svg)
    local _, text = elements(svg)
    local shapes = count(text, 'class="large"')
    assert.is_true(shapes > 10 and shapes <= 20000, shapes)
    assert.is_true(count(text, "stroke%-opacity") > 5)
    assert.matches("small rectangles are drawn as density", text)
    local kinds, other = timeline "l.json"
    assert.is_true(#kinds.b > 20000 and #kinds.b <= 50000, #kinds.b)
    assert.equal(#kinds.b, #kinds.e)
    assert.equal(tostring(all), other.rectangles)
    assert.matches("l.json: %d+,%d+ rectangles, %d+,%d+ of them slices\n", out)
  end)

  it("takes a scenario, a policy's order, a what-if, a policy in Lua", function()
    command.write("s.lua", [[return heapwright.scenario { name = "seven", capacity = "64K", run = function(mem)
      for i = 1, 7 do assert(mem:alloc(i * 16)) end end }]])
    well "s.lua --policy best-fit/fifo --csv t.csv"
    assert.equal(8, #rows "t.csv")
    well("t.txt --header 16 --granule 32 --csv t.csv", "a 1 32\n")
    assert.same({ "64", "48" }, { rows("t.csv")[2][3], rows("t.csv")[2][4] })
    command.write("p.lua", [[heapwright.policy("lowest", { choose = function(free, size)
      for address, bytes in free:blocks() do if bytes >= size then return address end end end })]])
    local out, err = report("t.txt --load p.lua --policy lowest --capacity 4K --csv t.csv", TRACE)
    assert.equal("", err)
    assert.matches("4 rectangles", out)
    command.write("p.lua", [[heapwright.policy("bad", { choose = function() error "no idea" end })]])
    os.remove(command.folder .. "/t.csv")
    local _, message, code = report "t.txt --load p.lua --policy bad --capacity 4K --csv t.csv"
    assert.equal(2, code)
    assert.matches("^heapwright: [^\n]*no idea[^\n]*\n$", message)
    assert.equal("", (command.shell_there "ls | grep csv"))
  end)

  it("refuses bad input in one line, and leaves no file", function()
    command.write("t.txt", TRACE)
    command.write("empty.txt", "# nothing\n")
    for _, case in ipairs {
      { "t.txt", "nothing is asked for" },
      { "none.txt --svg o", "none.txt: No such file" },
      { "empty.txt --svg o", "empty.txt: " },
      { "t.txt --svg o --policy fastest", "fastest" },
      { "t.txt --svg o --policy buddy,slab", "--policy: one policy, not 2" },
      { "t.txt --svg o --capacity 3", "--capacity 3: a pool holds 16 bytes" },
      { "t.txt --svg o --points 0", "--points: '0' is no whole number from 1 to 1000000" },
      { "t.txt --svg o --perfetto o", "--svg and --perfetto: both are o" },
      { "t.txt --svg ''", "--svg: a file's name is missing" },
      { "t.txt --svg no/such/o", "no/such/o: No such file or directory" },
      { "t.txt --csv .", ".: Is a directory" },
    } do
      local out, err, code = report(case[1])
      assert.equal(2, code, case[1] .. out)
      assert.matches("^heapwright: [^\n]*\n$", err)
      assert.is_truthy(err:find(case[2], 1, true), err)
      assert.equal("empty.txt\nt.txt\n", (command.shell_there "ls"))
    end
  end)

  it("leaves what was there, and no half of a file, where the disk is full", function()
    assert(os.execute(("%s trace generate -o %s/l.hwt --events 30k"):format(command.path, command.folder)))
    for _, option in ipairs { "svg", "perfetto", "csv", "curves" } do
      command.write("o", "before")
      local _, err, code = command.shell_there(("ulimit -f 16 && trap '' XFSZ && %s report l.hwt --%s o")
        :format(command.path, option))
      assert.equal(2, code, option)
      assert.equal("heapwright: o: File too large\n", err)
      assert.equal("before", command.read "o")
      assert.equal("l.hwt\no\n", (command.shell_there "ls"))
      _, err, code = report(("l.hwt --%s /dev/full"):format(option))
      assert.equal(2, code)
      assert.equal("heapwright: /dev/full: No space left on device\n", err)
    end
  end)

  it("writes to standard output where that is named, and says the rest elsewhere", function()
    local out, err, code = report("t.txt --csv /dev/stdout", TRACE)
    assert.equal(0, code)
    assert.matches("^block,address,.*\r\n$", out)
    assert.matches("4 rectangles\nbest%-fit", err)
  end)

  it("has a help that fits 80 columns", function()
    local out = well "--help"
    for line in out:gmatch "[^\n]*" do
      assert.is_true(utf8.len(line) <= 80, line)
    end
    assert.is_truthy(out:find "Example")
  end)
end)

describe("program:write_history", function()
  local program

  before_each(function() program = assert(replay.load(command.write("t.txt", TRACE))) end)
  after_each(function() program:close() end)

  it("answers as measure does, and with what was drawn", function()
    local path = command.folder .. "/o"
    local history = assert(program:write_history { path = path, format = "csv", policy = "buddy" })
    local answer = program:measure({ policies = { { policy = "buddy" } } })[1]
    answer.metadata = nil
    for name, value in pairs(answer) do assert.same(value, history[name], name) end
    assert.equal(4, history.rectangles)
    assert.equal(4, history.drawn)
    assert.is_false(history.by_time)
  end)

  it("raises for a misuse of a field, naming it", function()
    local function call(changes)
      local fields = { path = command.folder .. "/o", format = "csv", policy = "buddy" }
      for name, value in pairs(changes) do fields[name] = value end
      return function() program:write_history(fields) end
    end
    assert.has_error(call { colour = 1 }, "write_history: unknown field 'colour'")
    assert.has_error(call { format = "png" }, "write_history: format 'png' is none of svg, perfetto, csv, curves")
    assert.has_error(call { path = 1 }, "write_history: path must be a string")
    assert.has_error(call { title = {} }, "write_history: title must be a string")
    assert.has_error(call { points = 0 }, "write_history: points must be a whole number from 1 to 1000000")
    assert.has_error(call { policy = "none" }, "unknown policy 'none'")
    assert.has_error(call { path = "a\0b" })
    assert.has_error(function() program:write_history() end)
  end)

  it("can't be closed by the policy that it asks", function()
    local heapwright = require "heapwright"
    heapwright.policy("closing", { choose = function() program:close() end })
    local history, message, code = program:write_history {
      path = command.folder .. "/o", format = "svg", policy = "closing", capacity = 4096,
    }
    heapwright.policy("closing", nil)
    assert.is_nil(history)
    assert.matches("the program is being measured", message)
    assert.equal("invalid_argument", code)
    assert.equal(5, program:source().events)
  end)
end)
