-- SPDX-License-Identifier: MIT
-- Traces of other programs, told by their content. The files in spec/support/traces are
-- what the tools wrote of shop.cc (compiled by g++ 12; valgrind 3.19, ltrace 0.7.3,
-- heaptrack 1.4, glibc 2.36), their paths changed.
local command = require "spec.support.command"
local traces = require "heapwright.traces"

local FOLDER = "spec/support/traces/"
local SHARED = (os.getenv "HEAPWRIGHT_SHARED" or "../shared") .. "/data/"

-- Is the file there? Else the spec is left out.
local function is_there(path)
  local file = io.open(path)
  if file then return file:close() end
  pending("no such file here: " .. path)
  return false
end

local function put(text, name) return command.write(name or "trace", text) end

-- The events as lines of our own text.
local function lines_of(path)
  local reader <close> = assert(traces.open(path))
  local lines = {}
  for kind, id, size, alignment, thread, time in reader:events() do
    local line = { kind == "resize" and "r" or kind:sub(1, 1), tostring(id) }
    if kind ~= "free" then line[#line + 1] = tostring(size) end
    if alignment then line[#line + 1] = tostring(alignment) end
    if time then line[#line + 1] = "@" .. time end
    if thread then line[#line + 1] = "%" .. thread end
    lines[#lines + 1] = table.concat(line, " ")
  end
  return table.concat(lines, "\n"), reader:warning()
end

-- Reads a text: its format, the events, the warning.
local function read(text)
  local path = put(text)
  local lines, warning = lines_of(path)
  return assert(traces.info(path)).format, lines, warning
end

-- Reads a text that can't be read: what is said, without the path.
local function refusal(text)
  local path = put(text)
  local info, message, code = traces.info(path)
  assert.is_nil(info)
  assert.equal("corrupted", code)
  assert.equal(path, message:sub(1, #path))
  assert.is_nil(message:find "\n")
  return message:sub(#path + 1)
end

local function events(list) return table.concat(list, "\n") end

-- One of each, small enough to be cut everywhere.
local SAMPLES = {
  rep = "100\n2\n5\n1\na 0 16\na 1 24\nr 0 40\nf 1\nf 0\n",
  mtrace = "= Start\n@ ./a:(f+0x1)[0x12] + 0x5010 0x18\n@ ./a:[0x13] < 0x5010\n@ ./a:[0x13] > 0x6010 0x20\n"
    .. "@ ./a:[0x14] - 0x6010\n= End\n",
  memory_replay = "7: malloc 0xb4 16 100 110\n7: calloc 0xc4 3 4 120 130\n8: realloc 0xd4 0xb4 40 140 150\n"
    .. "8: memalign 0xe8 8 9 160 170\n7: free 0xc4 180 190\n7: thread_done 0x0 200\n",
  valgrind = "==1== Command: a\n--1-- malloc(24) = 0x4A43040\nout\n--1-- realloc(0x4A43040,30) = 0x4A43100\n"
    .. "--1-- memalign(al 64, size 200) = 0x4A43240\n--1-- free(0x4A43100)\n",
  ltrace = "5 a->malloc(24) = 0x5010\n5 a->realloc(0x5010, 30 <unfinished ...>\n6 a->malloc(8) = 0x5040\n"
    .. "5 <... realloc resumed> ) = 0x6010\n6 a->free(0x5040) = <void>\n",
  heaptrack = "v 10400 3\nX ./a\nt 7f 0\n+ 18 1 5010\nc a\n+ 1e 1 6010\n- 5010\n",
  minimalloc = "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,5\n",
}

describe("a trace of another program", function()
  before_each(command.enter)
  after_each(command.leave)

  it("is known by its content, whatever its name, and says what it does not tell", function()
    for format, text in pairs(SAMPLES) do
      local info = assert(traces.info(put(text, "x.hwt")))
      assert.equal(format, info.format)
      assert.is_string(info.loses)
      assert.is_true(info.events >= 3)
      assert.is_nil(info.packing)
    end
    local own = assert(traces.info(put "a 1 2\nf 1\n"))
    assert.equal("text", own.format)
    assert.is_nil(own.loses)
  end)

  it("is read by every verb", function()
    for format, text in pairs(SAMPLES) do
      local path = put(text, format)
      for _, verb in ipairs { "trace info", "trace cat", "compare", "fit", "trace convert" } do
        local call = ("%s %s %s"):format(command.path, verb, path)
        if verb == "trace convert" then call = call .. " " .. command.folder .. "/out.hwt" end
        local out, err, code = command.shell(call)
        assert.equal(0, code, call .. ": " .. err)
        if verb ~= "trace convert" then assert.is_true(#out > 0, call) end
      end
    end
  end)

  it("says in `trace info` which format it is, what packs it and what it does not tell", function()
    put(SAMPLES.mtrace, "m")
    local out, err, code = command.shell_there("gzip m && " .. command.path .. " trace info m.gz")
    assert.equal("", err)
    assert.equal(0, code)
    local says = "  format       mtrace, packed by gzip\n  not told     alignments, threads, times\n"
    assert.is_truthy(out:find(says, 1, true), out)
  end)

  it("survives our own formats", function()
    for format, text in pairs(SAMPLES) do
      local path = put(text, format)
      local wanted = lines_of(path)
      for _, own in ipairs { "text", "binary" } do
        local copy = command.folder .. "/copy"
        assert.is_true(traces.convert(path, copy, own))
        assert.equal(wanted, lines_of(copy))
      end
    end
  end)

  it("cut anywhere is read up to there, or refused in one line that names the place", function()
    local path = command.folder .. "/cut"
    for format, text in pairs(SAMPLES) do
      local most = assert(traces.info(put(text))).events
      for n = 0, #text - 1 do
        command.write("cut", text:sub(1, n))
        local reader, message, code = traces.open(path)
        if reader then
          local count = -1
          repeat
            local kind
            kind, message, code = reader:next()
            count = count + 1
          until not kind
          assert.is_true(count <= most, format)
          reader:close()
        end
        if message then
          assert.equal("corrupted", code, format .. n .. message)
          assert.is_truthy(message:find(path, 1, true), message)
          assert.is_nil(message:find "\n")
        end
      end
    end
  end)

  it("with any byte changed is read, or refused with a reason", function()
    local path = command.folder .. "/changed"
    for _, text in pairs(SAMPLES) do
      for at = 1, #text do
        for _, byte in ipairs { "\0", "\n", " ", "9", "-", ")" } do
          command.write("changed", text:sub(1, at - 1) .. byte .. text:sub(at + 1))
          local info, message, code = traces.info(path)
          if not info then
            assert.equal("corrupted", code)
            assert.equal(path, message:sub(1, #path))
          end
        end
      end
    end
  end)
end)

describe("a .rep trace", function()
  before_each(command.enter)
  after_each(command.leave)

  it("has its header in either order, or less of one, or none where `w` or -1 tell it", function()
    local body = "a 0 16\nf 0\nf -1\n"
    for _, header in ipairs { "20000\n1\n3\n1\n", "1\n1\n3\n20000\n", "20000\n1\n3\n", "3\n", "1 1 3 1\n" } do
      local format, lines, warning = read(header .. body)
      assert.equal("rep", format)
      assert.equal(events { "a 0 16", "f 0" }, lines)
      assert.is_nil(warning)
    end
    assert.is_truthy(refusal(body):find(':3: "-1" is no id', 1, true)) -- our text
    assert.equal("rep", (read "f -1\na 1 2\n"))
  end)

  it("frees nothing by -1, allocates by resizing an unseen id, frees by resizing to 0", function()
    local format, lines, warning = read "9\n9\n9\n9\nf -1\nr 3 10\nr 3 0\nf 3\na 3 0\nr 3 5\nr 3 0\nr 3 7\nf 3\n"
    assert.equal("rep", format)
    assert.equal(events { "a 3 10", "f 3", "a 3 0", "r 3 5", "f 3", "a 3 7", "f 3" }, lines)
    assert.is_nil(warning)
  end)

  it("may have CR LF, blank lines, comments, and MIT's writes, which are counted", function()
    local _, lines, warning = read "1\r\n1\r\n3\r\n1\r\n\r\na 0 16\r\n# here\r\nw 0 4 5 6\r\nf 0\r\n"
    assert.equal(events { "a 0 16", "f 0" }, lines)
    assert.equal("1 writes into blocks are left out", warning)
  end)

  it("tells where its header counts otherwise", function()
    local _, _, warning = read "1\n1\n7\n1\na 0 16\nf 0\n"
    assert.equal("its header says 7 operations, it holds 2", warning)
    _, _, warning = read "1\n1\n0\n1\na 0 16\n"
    assert.equal("its header says 0 operations, it holds 1", warning)
  end)

  it("is refused where ids contradict, or a line is none", function()
    local header = "1\n1\n1\n1\n"
    for text, says in pairs {
      ["a 0 1\na 0 2\n"] = ":6: alloc of id 0, which is live",
      ["a 0 1\nf 1\n"] = ":6: free of id 1, which is not live: never allocated, or freed before",
      ["a 0 1\nf 0\nf 0\n"] = ":7: free of id 0, which is not live: never allocated, or freed before",
      ["a 0 1\nr 0 0\nf 0\nf 0\n"] = ":8: free of id 0, which is not live: never allocated, or freed before",
      ["5\na 0 1\n"] = ':5: "5" is a fifth number of the header',
      ["a 0 1\n5\n"] = ':6: "5" is no operation: a, f, r or w',
      ["a 0\n"] = ":5: the size is missing",
      ["a\n"] = ":5: the id is missing",
      ["f\n"] = ":5: the id is missing",
      ["a -1 5\n"] = ':5: "-1" is no id: 0 to 2^64 - 1',
      ["f -2\n"] = ':5: "-2" is no id: 0 to 2^64 - 1, or -1 for none',
      ["a 0 -5\n"] = ':5: "-5" is no size: 0 to 2^63 - 1',
      ["a 0 9223372036854775808\n"] = ':5: "9223372036854775808" is no size: 0 to 2^63 - 1',
      ["a 0 5 16\n"] = ':5: "16" is too much for this line',
      ["f 0 5\n"] = ':5: "5" is too much for this line',
      [""] = ": holds no event",
    } do
      assert.equal(says, refusal(header .. text), text)
    end
  end)
end)

describe("glibc's mtrace", function()
  before_each(command.enter)
  after_each(command.leave)

  it("is what the program did", function()
    local path = FOLDER .. "shop.mtrace"
    local lines, warning = lines_of(path)
    local info = assert(traces.info(path))
    assert.equal("mtrace", info.format)
    assert.same({ 16, 13, 7, 3 }, { info.allocations, info.frees, info.resizes, info.live_at_end })
    assert.equal("1 requests are left out: they failed", warning)
    assert.equal(events { "a 1 24", "a 2 30", "r 1 100", "f 2", "a 3 50" }, lines:match "^(.-a 3 %d+)\n")
  end)

  it("may have places of any kind, or none", function()
    local _, lines, warning = read(events {
      "= Start", "@ /a folder/with + signs > 0x1 0x2:(f(int, char)+0x1)[0x7] + 0x10 0x20", "+ 0x30 0x5", "- 0x30",
      "@ ./a:[0x1] ! 0x10 0x99", "@ ./a:[0x1] - 0x10", "= End", "" })
    assert.equal(events { "a 1 32", "a 2 5", "f 2", "f 1" }, lines)
    assert.equal("1 requests are left out: they failed", warning)
  end)

  it("counts what began before the recording, and addresses given out twice", function()
    local _, lines, warning = read(events {
      "= Start", "- 0x10", "< 0x20", "> 0x30 0x5", "+ 0x30 0x6", "> 0x40 0x7", "< 0x1", "< 0x40", "> 0x50 0x9", "" })
    assert.equal(events { "a 1 5", "f 1", "a 2 6", "a 3 7", "r 3 9" }, lines)
    assert.equal("1 frees are left out: their blocks were not recorded; "
      .. "2 resizes count as allocations: their blocks were not recorded; "
      .. "1 blocks count as freed when their address was given out again: their frees were not recorded; "
      .. "1 calls are left out: their lines are torn or their results no addresses", warning)
  end)

  it("is refused at a line that is none, but for a last one that was cut off", function()
    local says = "is no event of mtrace: + - < > or ! and an address"
    for _, line in ipairs { "@ ./a + 0x10", "@ ./a - x", "hello", "+ 0x10 0xg", "- 0x11112222333344445", "- -1" } do
      assert.equal(":3: " .. says, refusal("= Start\n+ 0x10 0x5\n" .. line .. "\n"))
      local _, lines, warning = read("= Start\n+ 0x10 0x5\n" .. line)
      assert.equal("a 1 5", lines)
      assert.equal("the last line, 3, has no line end: it may be cut off", warning)
    end
    assert.equal(":2: the size is above 2^63 - 1, and the request did not fail",
      refusal "= Start\n+ 0x10 0x8000000000000000\n")
  end)
end)

describe("Android's memory_replay", function()
  before_each(command.enter)
  after_each(command.leave)

  it("has threads, and in newer versions times, counted from the first and never going back", function()
    local _, lines, warning = read(SAMPLES.memory_replay)
    assert.equal(events { "a 1 16 @0 %7", "a 2 12 @20 %7", "r 1 40 @40 %8", "a 3 9 8 @60 %8", "f 2 @80 %7" }, lines)
    assert.is_nil(warning)
    _, lines = read "7: malloc 0x10 1 50 60\n7: malloc 0x20 2 40 45\n8: malloc 0x30 3 70 80\n8: malloc 0x40 4 60 65\n"
    assert.equal(events { "a 1 1 @0 %7", "a 2 2 @0 %7", "a 3 3 @20 %8", "a 4 4 @20 %8" }, lines)
    _, lines = read "202: malloc 0x10 16\n202: free 0x10\n202: thread_done 0x0\n"
    assert.equal(events { "a 1 16 %202", "f 1 %202" }, lines)
  end)

  it("means by realloc what C does, and counts what failed", function()
    local _, lines, warning = read(events {
      "1: realloc 0x10 0x0 5", "1: realloc 0x20 0x10 6", "1: realloc 0x0 0x20 99", "1: realloc 0x0 0x20 0",
      "1: free 0x0",
      "1: malloc 0x0 99", "1: calloc 0x0 18446744073709551615 2", "1: memalign 0x30 24 7", "" })
    assert.equal(events { "a 1 5 %1", "r 1 6 %1", "f 1 %1", "a 2 7 %1" }, lines)
    assert.equal("3 requests are left out: they failed; 1 alignments are left out: they are no powers of two", warning)
  end)

  it("is refused at a line that is none", function()
    local first = "1: malloc 0x10 5\n"
    for line, says in pairs {
      ["malloc 0x10 5"] = ':2: does not begin with a thread, as in "202: malloc 0xb4 16"',
      ["1: brk 0x10"] = ':2: "brk" is no call: malloc, free, calloc, realloc, memalign, thread_done',
      ["1: malloc 0x10"] = ":2: has not the numbers that its call has",
      ["1: malloc 0x10 5 6"] = ":2: has not the numbers that its call has",
      ["1: malloc 0x10 5 6 7 8"] = ":2: has not the numbers that its call has",
      ["1: free zero"] = ":2: has not the numbers that its call has",
      ["4294967296: free 0x10"] = ':2: does not begin with a thread, as in "202: malloc 0xb4 16"',
      ["1: calloc 0x20 18446744073709551615 2"] = ":2: the size is above 2^63 - 1, and the request did not fail",
    } do
      assert.equal(says, refusal(first .. line .. "\n"))
    end
  end)

  it("of a phone is read from its zip, in well under two seconds", function()
    local path = SHARED .. "android-systemui.zip"
    if not is_there(path) then return end
    local began = os.clock()
    local info = assert(traces.info(path))
    assert.is_true(os.clock() - began < 2)
    assert.same({ "memory_replay", "zip", 770279, 402690, 349045, 18544, 393 },
      { info.format, info.packing, info.events, info.allocations, info.frees, info.resizes, info.threads })
    assert.is_nil(info.warning)
  end)
end)

describe("valgrind --trace-malloc=yes", function()
  before_each(command.enter)
  after_each(command.leave)

  it("agrees with valgrind's own sum", function()
    local path = FOLDER .. "shop.valgrind"
    local info = assert(traces.info(path))
    local allocations, frees, bytes = command.read("/" .. path:gsub("^", os.getenv "PWD" .. "/"):sub(2))
      :match "total heap usage: (%d+) allocs, (%d+) frees, (%d+,?%d+) bytes"
    -- valgrind counts a resize as one of each
    assert.equal(tonumber(allocations), info.allocations + info.resizes)
    assert.equal(tonumber(frees), info.frees + info.resizes)
    local sum = 0
    local reader <close> = assert(traces.open(path))
    for kind, _, size in reader:events() do
      if kind ~= "free" then sum = sum + size end
    end
    assert.equal(tonumber((bytes:gsub(",", ""))), sum)
    assert.equal("1 requests are left out: they failed", info.warning)
  end)

  it("stands between the program's own lines, whatever these hold and however long they are", function()
    local _, lines = read(events {
      "x\0y", "a 1 2", "--1-- malloc(24) = 0x10",
      ("z"):rep(100000), ("z"):rep(32767), ("z"):rep(32768), ("z"):rep(32769),
      "no end --1-- calloc(2,3) = 0x20", "malloc(9) = 0x30",
      "----1-- free(0x20)", "--2 -- free(0x10)", "" })
    assert.equal(events { "a 1 24", "a 2 6", "f 2" }, lines)
  end)

  it("reads C++'s, realloc to 0, and newer versions' posix_memalign, whose result is not told", function()
    local _, lines, warning = read(events {
      "--1-- _Znwm(40) = 0x10", "--1-- _ZnwmSt11align_val_t(size 128, al 64) = 0x20", "--1-- _ZdaPv(0x10)",
      "--1-- realloc(0x20,0)free(0x20)", "--1--  = 0", "--1-- malloc(1) = 0x30", "--1-- realloc(0x30,0) = 0x0",
      "--1-- posix_memalign(al 64, size 200)", "--1-- reallocarray(0x0,2,4) = 0x40",
      "--1-- malloc_usable_size(0x40) = 9",
      "" })
    assert.equal(events { "a 1 40", "a 2 128 64", "f 1", "f 2", "a 3 1", "f 3", "a 4 8" }, lines)
    assert.equal("1 allocations are left out: their addresses are not told", warning)
  end)

  it("is of the first process, and counts the lines of others and those that are torn", function()
    local _, lines, warning = read(events {
      "--1-- malloc(24) = 0x10", "--2-- free(0x10)", "--1-- malloc(24)malloc(8) = 0x20", "--1-- malloc(99",
      "--1-- free(z)",
      "" })
    assert.equal(events { "a 1 24", "a 2 8" }, lines)
    assert.equal("3 calls are left out: their lines are torn or their results no addresses; "
      .. "1 lines are left out: other processes wrote them", warning)
  end)
end)

describe("ltrace", function()
  before_each(command.enter)
  after_each(command.leave)

  it("is what the program did, once for each call, though C++'s call C's", function()
    for _, name in ipairs { "shop.ltrace", "shop-times.ltrace" } do
      local info = assert(traces.info(FOLDER .. name))
      assert.same({ "ltrace", 13, 12, 7, 3, 1 },
        { info.format, info.allocations, info.frees, info.resizes, info.threads, info.live_at_end })
      assert.equal("1 frees are left out: their blocks were not recorded; 1 requests are left out: they failed; "
        .. "1 allocations are left out: their addresses are not told; "
        .. "1 calls are left out: their lines are torn or their results no addresses", info.warning)
    end
  end)

  it("may have pids, times, addresses of code and objects before a call, or nothing", function()
    local _, lines = read(events {
      "malloc(24) = 0x1010", "[pid 5] malloc(8)   = 0x1020", "6 prog->malloc(7) = 0x1030",
      "[pid 5] 22:12:19.366275 [0x55cea3df9540] lib.so.6->free(0x1030) = <void>", "  0.000123 calloc(2, 3) = 0x1040",
      "1700000000.5 free(nil) = <void>", "free(NULL) = <void>", "realloc(NULL, 5) = 0x1050",
      "+++ exited (status 0) +++", "" })
    assert.equal(events { "a 1 24", "a 2 8 %5", "a 3 7 %6", "f 3 %5", "a 4 6", "a 5 5" }, lines)
  end)

  it("frees when a call begins, allocates when it returns", function()
    local _, lines, warning = read(events {
      "1 malloc(24) = 0x1010", "1 free(0x1010 <unfinished ...>", "2 malloc(8) = 0x1010",
      "1 <... free resumed> ) = <void>",
      "1 realloc(0x1010, 50 <unfinished ...>", "2 malloc(9) = 0x1010", "1 <... realloc resumed> ) = 0x1080",
      "1 realloc(0x1080, 99999 <unfinished ...>", "1 <... realloc resumed> ) = 0", "1 free(0x1080) = <void>",
      "2 realloc(0x1010, 0 <unfinished ...>", "2 <... realloc resumed> ) = 0", "" })
    assert.equal(events { "a 1 24 %1", "f 1 %1", "a 2 8 %2", "a 3 9 %2", "r 2 50 %1", "f 2 %1", "f 3 %2" }, lines)
    assert.equal("1 requests are left out: they failed", warning)
  end)

  it("loses one call, not the rest, where a call never returns", function()
    local list = { "1 malloc(1 <unfinished ...>" }
    for i = 1, 100 do list[#list + 1] = ("1 malloc(8) = 0x%x"):format(4096 + 16 * i) end
    list[#list + 1] = ""
    local _, lines, warning = read(events(list))
    assert.equal(36, select(2, lines:gsub("a %d+ 8 %%1", "")))
    assert.equal("1 calls are left out: their lines are torn or their results no addresses", warning)
  end)

  it("holds more calls at once than it remembers, and tells it", function()
    local list = { "1 malloc(1) = 0x1010" }
    for pid = 2, 400 do list[#list + 1] = ("%d malloc(8 <unfinished ...>"):format(pid) end
    for pid = 2, 400 do list[#list + 1] = ("%d <... malloc resumed> ) = 0x%x"):format(pid, 8192 + 16 * pid) end
    list[#list + 1] = ""
    local _, lines, warning = read(events(list))
    assert.equal(257, select(2, lines:gsub("a ", "")))
    assert.is_truthy(warning:find("286 calls are left out", 1, true), warning)
  end)
end)

describe("heaptrack", function()
  before_each(command.enter)
  after_each(command.leave)

  it("--raw is what the program did, with the program's name", function()
    local info = assert(traces.info(FOLDER .. "shop.heaptrack"))
    assert.same({ "heaptrack", "shop", 23, 19, 0, 4 },
      { info.format, info.program, info.allocations, info.frees, info.resizes, info.live_at_end })
    assert.equal("1 frees are left out: their blocks were not recorded", info.warning)
  end)

  it("--raw has times to 10 ms", function()
    local _, lines = read(SAMPLES.heaptrack)
    assert.equal(events { "a 1 24 @0", "a 2 30 @10000000", "f 1 @10000000" }, lines)
  end)

  it("without --raw is refused with the reason, and with what to do", function()
    local info, message, code = traces.info(FOLDER .. "interpreted.heaptrack")
    assert.is_nil(info)
    assert.equal("corrupted", code)
    assert.equal(FOLDER .. "interpreted.heaptrack:4: is of heaptrack's interpreted output, which does not tell "
      .. "which block is freed: record with `heaptrack --raw`", message)
  end)

  it("--raw is refused at a line that is none", function()
    for _, line in ipairs { "+ 18 1", "+ 18 1 5010 3", "- xyz", "- 11112222333344445", "c", "hello", "\0" } do
      assert.equal(":2: is no line of heaptrack's: a letter and hexadecimal numbers",
        refusal("v 10400 3\n" .. line .. "\n+ 1 1 10\n"))
    end
  end)
end)

describe("MiniMalloc's table", function()
  before_each(command.enter)
  after_each(command.leave)

  it("lives half-open: at equal times frees come first", function()
    local _, lines, warning = read "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,5\n"
    assert.equal(events { "a 0 4", "a 2 5", "f 0", "a 1 4", "f 1", "f 2" }, lines)
    assert.is_nil(warning)
  end)

  it("has its columns in any order, by either name, `end` inclusive; others are told", function()
    local _, lines, warning = read(
      "offset, size, start , end,gaps,buffer,alignment\r\n0,7,5,5,,10,64\r\n1,8,6,9,,11,1\r\n\r\nrest\r\n")
    assert.equal(events { "a 10 7 64", "f 10", "a 11 8", "f 11" }, lines)
    assert.equal("2 columns are left out", warning)
  end)

  it("keeps ids that are numbers, else numbers its rows", function()
    local _, lines = read "id,lower,upper,size\n7,-5,3,4\n9,0,1,2\n"
    assert.equal(events { "a 7 4", "a 9 2", "f 9", "f 7" }, lines)
    _, lines = read "id,lower,upper,size\n7,0,3,4\n07,0,1,2\n"
    assert.equal(events { "a 0 4", "a 1 2", "f 1", "f 0" }, lines)
  end)

  it("is refused where it contradicts itself", function()
    local header = "id,lower,upper,size\n"
    for text, says in pairs {
      [header .. "a,0,1,2\nb,0,1,2\na,5,6,7\n"] = ':4: "a" is the id of line 2 too',
      [header .. "a,1,1,2\n"] = ":2: its buffer ends before it begins",
      [header .. "a,2,1,2\n"] = ":2: its buffer ends before it begins",
      [header .. "a,0,1\n"] = ":2: has fewer cells than the header has columns",
      [header .. "a,0,1,2,3\n"] = ':2: "3" is too much for this row',
      [header .. ",0,1,2\n"] = ":2: the id is missing",
      [header .. "a,x,1,2\n"] = ':2: "x" is no time',
      [header .. "a,0,9223372036854775808,2\n"] = ':2: "9223372036854775808" is no time',
      [header .. "a,0,1,-2\n"] = ':2: "-2" is no size: 0 to 2^63 - 1',
      [header] = ": holds no event",
      ["lower,upper,size\n1,2,3\n"] = ":1: has no column id",
      ["id,lower,upper,size,size\na,1,2,3,4\n"] = ':1: "size" is a column twice',
      ["id,lower,upper,end,size\na,1,2,3,4\n"] = ":1: has both upper and end",
      ["id,lower,end,size\na,1,9223372036854775807,4\n"] = ':2: "9223372036854775807" is no time',
    } do
      assert.equal(says, refusal(text))
    end
  end)

  it("of the published instances has the peak that is their proved optimum", function()
    for name, optimum in pairs { A = 1048576, E = 1048576, I = 1048576, K = 1048576, C = 1039360 } do
      local path = ("%sminimalloc-%s.1048576.csv"):format(SHARED, name)
      if not is_there(path) then return end
      assert.equal(optimum, assert(traces.info(path)).peak_in_use)
    end
  end)
end)

describe("what is no trace of single allocations", function()
  before_each(command.enter)
  after_each(command.leave)

  it("is refused by its name, with what to do instead", function()
    for name, says in pairs {
      ["shop.dhat"] = "is DHAT's output: sums", ["shop.massif"] = "is massif's output: the heap's size" } do
      local out, err, code = command.shell(("%s fit %s"):format(command.path, FOLDER .. name))
      assert.equal("", out)
      assert.equal(2, code)
      assert.is_truthy(err:find(FOLDER .. name .. ": " .. says, 1, true), err)
      assert.is_truthy(err:find("record with `heapwright record` or `valgrind --trace-malloc=yes`", 1, true), err)
      assert.equal(1, select(2, err:gsub("\n", "")))
    end
  end)
end)
