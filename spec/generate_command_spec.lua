-- SPDX-License-Identifier: MIT
-- Promises of trace generate: as many events, blocks, threads and sizes as are asked for, the same each time.
local command = require "spec.support.command"
local traces = require "heapwright.traces"

local function run(arguments)
  return command.shell(("%s %s </dev/null"):format(command.path, arguments))
end

local function generate(name, arguments)
  local path = command.folder .. "/" .. name
  local out, err, code = run(("trace generate -o %s %s"):format(path, arguments))
  assert.equal(0, code, err)
  assert.equal("", out)
  return path
end

-- What a trace holds, counted event by event.
local function count(path)
  local seen = { kinds = { alloc = 0, free = 0, resize = 0 }, sizes = {}, threads = {}, live = {} }
  seen.passed, seen.most = 0, 0
  local live, reader = 0, assert(traces.open(path))
  for kind, id, size, _, thread in reader:events() do
    seen.kinds[kind] = seen.kinds[kind] + 1
    if kind ~= "free" then seen.sizes[size] = (seen.sizes[size] or 0) + 1 end
    if thread then seen.threads[thread] = true end
    if kind == "alloc" then seen.live[id] = thread or 0 end
    if kind == "free" and thread ~= seen.live[id] then seen.passed = seen.passed + 1 end
    live = live + (kind == "alloc" and 1 or kind == "free" and -1 or 0)
    seen.most = math.max(seen.most, live)
  end
  seen.at_end = live
  reader:close()
  return seen
end

before_each(command.enter)
after_each(command.leave)

describe("heapwright trace generate", function()
  it("makes as many events as are asked for, with so many blocks live", function()
    local seen = count(generate("a.hwt", "--events 20k --live 500"))
    assert.equal(20000, seen.kinds.alloc + seen.kinds.free)
    assert.equal(0, seen.kinds.resize)
    assert.equal(500, seen.most)
    assert.is_true(seen.at_end >= 499)
    assert.same({}, seen.threads)
  end)

  it("makes fewer events than blocks, and a single one", function()
    assert.same({ alloc = 100, free = 0, resize = 0 }, count(generate("a.hwt", "--events 100 --live 500")).kinds)
    assert.same({ alloc = 1, free = 0, resize = 0 }, count(generate("a.hwt", "--events 1")).kinds)
  end)

  it("gives the same file for the same seed, and another for another", function()
    local function bytes(seed)
      return command.read(generate("a.hwt", "--events 5000 --live 100 --threads 3 --resizes 0.2 --seed " .. seed))
    end
    local one = bytes(7)
    assert.equal(one, bytes(7))
    assert.not_equal(one, bytes(8))
  end)

  it("draws sizes from the distribution that it names", function()
    for arguments, holds in pairs {
      ["uniform:100,103"] = function(size) return size >= 100 and size <= 103 end,
      ["choice:24,4096"] = function(size) return size == 24 or size == 4096 end,
      ["pareto:1.5,64"] = function(size) return size >= 64 end,
      ["exponential:50"] = function(size) return size >= 1 end,
      ["lognormal:4,0.5"] = function(size) return size >= 1 end,
    } do
      local sizes, kinds = count(generate("a.hwt", "--events 20k --live 100 --sizes " .. arguments)).sizes, 0
      for size in pairs(sizes) do
        kinds = kinds + 1
        assert.is_true(holds(size), arguments .. " drew " .. size)
      end
      assert.is_true(kinds >= 2, arguments)
    end
  end)

  it("resizes the share that is asked for", function()
    local kinds = count(generate("a.hwt", "--events 40k --live 100 --resizes 0.25")).kinds
    local share = kinds.resize / (kinds.resize + kinds.free)
    assert.is_true(share > 0.23 and share < 0.27, share)
    assert.same(0, count(generate("a.hwt", "--events 4k --live 100 --resizes 1")).kinds.free)
  end)

  it("has its events made by threads, and the share of frees by others that is asked for", function()
    local seen = count(generate("a.hwt", "--events 40k --live 100 --threads 4 --passed 0.5"))
    assert.same({ true, true, true, true }, seen.threads)
    local share = seen.passed / seen.kinds.free
    assert.is_true(share > 0.47 and share < 0.53, share)
    assert.equal(0, count(generate("a.hwt", "--events 4k --live 100 --threads 4 --passed 0")).passed)
  end)

  it("writes text where the name does not end in .hwt", function()
    local text = command.read(generate("a.txt", "--events 10 --live 3"))
    assert.matches("\na 1 %d+\na 2 %d+\na 3 %d+\nf %d\n", text)
  end)

  it("refuses bad input in one line, and leaves no file", function()
    for _, case in ipairs {
      { "--events 0", "--events: '0' is no number of 1 to" },
      { "--events 1.5", "--events: '1.5' is no number" },
      { "--events many", "--events: 'many' is no number" },
      { "--live 5G", "--live: '5G' is no number of 1 to 4294967294" },
      { "--live 0", "--live: '0' is no number" },
      { "--sizes normal:3", "--sizes: 'normal:3' is none of uniform:LEAST,MOST" },
      { "--sizes uniform:3", "--sizes: 'uniform:3' is none of" },
      { "--sizes uniform:3,x", "--sizes: 'uniform:3,x' is none of" },
      { "--sizes uniform:9,3", "--sizes uniform:9,3: bad argument to 'uniform'" },
      { "--sizes uniform:-9,3", "is no whole number, or negative" },
      { "--sizes choice:1.5", "is no whole number, or negative" },
      { "--resizes 2", "--resizes: '2' is no number of 0 to 1" },
      { "--resizes nan", "--resizes: 'nan' is no number of 0 to 1" },
      { "--threads 0", "--threads: '0' is no number of 1 to 65535" },
      { "--threads 2 --passed 1.5", "--passed: '1.5' is no number of 0 to 1" },
      { "--seed x", "--seed: 'x' is no integer" },
    } do
      local out, err, code = run(("trace generate -o %s/a.hwt %s"):format(command.folder, case[1]))
      assert.equal(2, code, case[1])
      assert.equal("", out)
      assert.matches("^heapwright: [^\n]*\n$", err)
      assert.is_truthy(err:find(case[2], 1, true), err)
    end
    assert.equal("", (command.shell("ls " .. command.folder)))
  end)

  it("leaves no part of a file that it can't write whole", function()
    local _, err, code = command.shell_there(("ulimit -f 100 && trap '' XFSZ && %s trace generate -o a.hwt")
      :format(command.path))
    assert.equal(2, code, err)
    assert.matches("^heapwright: [^\n]*a.hwt[^\n]*: File too large\n$", err)
    assert.equal("", (command.shell("ls " .. command.folder)))
    _, err, code = run("trace generate -o /dev/full --events 1M")
    assert.equal(2, code)
    assert.equal("heapwright: /dev/full: No space left on device\n", err)
  end)

  it("needs a file's name, and its help fits 80 columns", function()
    local _, err, code = run "trace generate"
    assert.equal(2, code)
    assert.is_truthy(err:find("missing option '-o'", 1, true) or err:find("missing option '--output'", 1, true), err)
    local out = run "trace generate --help"
    for line in out:gmatch "[^\n]*" do
      assert.is_true(utf8.len(line) <= 80, line)
    end
    assert.is_truthy(out:find "Example")
  end)
end)

describe("traces.generate", function()
  it("raises for a misuse of a field, naming it", function()
    local function plan(changes)
      local fields = { path = command.folder .. "/a.hwt", events = 10, sizes = { 16 } }
      for name, value in pairs(changes) do fields[name] = value end
      return function() traces.generate(fields) end
    end
    assert.has_error(plan { colour = 1 }, "generate: unknown field 'colour'")
    assert.has_error(plan { events = 0 }, "generate: events must be a whole number of 1 ... 9223372036854775807")
    assert.has_error(plan { sizes = {} }, "generate: sizes must be 1 ... 4294967295 in number")
    assert.has_error(plan { sizes = { 1, -1 } }, "generate: size 2 is no whole number, or negative")
    assert.has_error(plan { resizes = 1.5 }, "generate: resizes must be a number of 0 ... 1")
    assert.has_error(plan { format = "csv" }, "generate: format must be binary or text")
    assert.has_error(plan { path = false }, "generate: path must be a string")
    assert.has_error(plan { path = "a\0b" })
  end)
end)
