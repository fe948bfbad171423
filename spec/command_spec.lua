-- SPDX-License-Identifier: MIT
-- Promises of the command: exit codes, one clear line for bad input, tables of 80 columns, JSON.
local dkjson = require "dkjson"
local heapwright = require "heapwright"

local command = require "spec.support.command"

local COMMAND, write, read = command.path, command.write, command.read

local function heapwright_command(arguments)
  return command.shell(("%s %s </dev/null"):format(COMMAND, arguments))
end

local function one_line(text)
  return select(2, text:gsub("\n", "")) == 1 and text:sub(-1) == "\n"
end

local TRACE = "a 1 100\na 2 200\nf 1\nr 2 500\na 3 64\nf 2\nf 3\n"
local SCENARIO = [[
local heapwright = require "heapwright"
return heapwright.scenario {
  name = "small", capacity = "64K", policy = { "best-fit", "first-fit/lifo" },
  run = function(mem, s)
    print "from the script"
    for _ = 1, 10 do assert(mem:alloc(s:uniform(16, 512))) end
  end,
  expect = function(r)
    return %s
  end,
}
]]

before_each(command.enter)
after_each(command.leave)

describe("the command's exit code and its one line", function()
  local refused = {
    { "no verb", "", "a command is required" },
    { "an unknown verb", "comapre x", "unknown command 'comapre'" },
    { "an unknown option", "run --polcy x y.lua", "unknown option '--polcy'" },
    { "a file that is not there", "compare @/none.hwt", "none.hwt: No such file or directory" },
    { "a scenario that is not there", "run @/none.lua", "none.lua: No such file or directory" },
    { "a folder", "compare @", "is a folder" },
    { "an empty trace", "fit @/empty.hwt", "empty.hwt: " },
    { "a trace of another kind", "compare @/words.txt", "words.txt:1: " },
    { "an unknown policy", "compare @/trace.txt --policy worse-fit",
      "unknown policy 'worse-fit'; known are best-fit, first-fit, " },
    { "an order that a policy does not take", "fit @/trace.txt -p buddy/fifo", "policy 'buddy' takes no order 'fifo'" },
    { "a size that is none", "compare @/trace.txt --capacity 12Q", "--capacity: '12Q' is no size" },
    { "a capacity of 0", "compare @/trace.txt --capacity 0", "--capacity 0: a pool holds 16 bytes" },
    { "a seed that is none", "run @/good.lua --seed x", "--seed: 'x' is no integer" },
    { "a script that does not compile", "run @/broken.lua", "broken.lua:1: " },
    { "a script that returns something else", "run @/five.lua", "five.lua: returns a number" },
    { "an unknown field of a scenario", "run @/good.lua @/field.lua",
      "/field.lua:2: unknown scenario field 'runn'" },
    { "a field of the wrong type", "compare @/type.lua", "/type.lua:2: scenario field 'name': string expected, got 5" },
    { "an unknown policy in a scenario", "run @/policy.lua",
      "/policy.lua:1: scenario field 'policy': unknown policy 'b'" },
    { "a scenario that allocates nothing", "fit @/idle.lua", "idle: allocates nothing" },
    { "a size that no pool can have", "compare @/trace.txt -c 64G",
      "--capacity 64G: a pool holds 68719475712 bytes at most" },
    { "sizes whose sum wraps", "fit @/wraps.txt", "wraps.txt: event 2: more than 2^63 - 1 bytes live at once" },
    { "a conversion into no folder", "trace convert @/trace.txt @/none/x.hwt",
      "none/x.hwt: No such file or directory" },
    { "a program that is not there", "record -o @/x.hwt -- @/no-program", "no-program: No such file or directory" },
    { "an output that can't be written", "record -o @/none/x.hwt -- true", "x.hwt: No such file or directory" },
  }
  for _, case in ipairs(refused) do
    it("are 2 and what is wrong, for " .. case[1], function()
      write("empty.hwt", "")
      write("words.txt", "these are words\n")
      write("trace.txt", TRACE)
      write("good.lua", SCENARIO:format "true")
      write("broken.lua", "return 1 +")
      write("five.lua", "return 5")
      write("field.lua", "\nreturn heapwright.scenario { runn = print }")
      write("type.lua", "\nlocal one = heapwright.scenario { name = 5, run = print }\nreturn one")
      write("policy.lua", "return heapwright.scenario { name = 'x', run = print, policy = 'b' }")
      write("idle.lua", "return heapwright.scenario { name = 'idle', run = function() end }")
      write("wraps.txt", "a 1 9223372036854775000\na 2 9223372036854775000\n")
      local out, err, code = heapwright_command((case[2]:gsub("@", command.folder)))
      assert.equal(2, code, err)
      if not case[2]:find "good" then assert.equal("", out) end
      assert.is_true(one_line(err), err)
      assert.is_truthy(err:find("heapwright: ", 1, true) == 1, err)
      assert.is_truthy(err:find(case[3], 1, true), err)
    end)
  end
end)

describe("standard output that takes nothing", function()
  it("is told on standard error, with exit code 2, by every verb", function()
    local path = write("t.txt", TRACE)
    for _, call in ipairs { "--version", "--help", "fit --help", "--completion bash", "policies --json",
      "compare -p bump " .. path, "compare --json -p bump " .. path, "trace info " .. path } do
      local _, _, code = os.execute(("%s %s >/dev/full 2>%s/err"):format(COMMAND, call, command.folder))
      assert.equal(2, code, call)
      assert.equal("heapwright: standard output: No space left on device\n", read(command.folder .. "/err"), call)
    end
  end)
end)

describe("heapwright --version and --help", function()
  it("tell the version in the header", function()
    local out, _, code = heapwright_command "--version"
    assert.equal(0, code)
    assert.is_truthy(out:find("heapwright " .. heapwright.version, 1, true))
  end)

  it("fit 80 columns, for every verb, and give an example", function()
    for _, verb in ipairs { "run", "record", "compare", "replay", "fit", "report", "trace", "policies", "env" } do
      local out, err, code = heapwright_command(verb .. " --help")
      assert.equal(0, code, err)
      assert.is_truthy(out:find "Example", verb)
      for line in out:gmatch "[^\n]*" do
        assert.is_true(utf8.len(line) <= 80, line)
      end
    end
  end)
end)

describe("heapwright run", function()
  it("says so where a scenario closes its own pool", function()
    local path = write("closing.lua", [[
return heapwright.scenario { name = "closing", policy = "slab", run = function(mem) mem:close() end }
]])
    local _, err, code = heapwright_command("run " .. path)
    assert.equal(2, code)
    assert.equal("heapwright: closing under slab: its run closed the pool\n", err)
  end)

  it("ends with 0 where every expectation holds", function()
    local out, err, code = heapwright_command("run " .. write("s.lua", SCENARIO:format "r.failures == 0"))
    assert.equal(0, code, err)
    assert.is_truthy(out:find "small: 64.0 KiB, seed 1\n")
    assert.is_truthy(out:find "first%-fit/lifo .* yes\n")
  end)

  it("ends with 1 and tells what was expected and seen where one does not hold", function()
    local path = write("s.lua", SCENARIO:format 'r.policy ~= "best-fit" or r.failures > 0')
    local out, _, code = heapwright_command("run " .. path)
    assert.equal(1, code)
    assert.is_truthy(out:find('best-fit: not as expected (' .. path .. ':8)\n'
      .. '  expected  return r.policy ~= "best-fit" or r.failures > 0\n'
      .. '  seen      policy = "best-fit", failures = 0\n', 1, true), out)
    assert.is_nil(out:find("lifo: not as expected", 1, true))
  end)

  it("does not let a script end it before its verdict", function()
    for _, text in ipairs {
      "os.exit(0)",
      "return heapwright.scenario { name = 'x', policy = 'slab', run = function() os.exit(true, true) end }",
    } do
      local out, errors, code = heapwright_command("run " .. write("exits.lua", text))
      assert.equal(1, code, text)
      assert.matches("os.exit: a scenario can't end the command", out .. errors, 1, true)
    end
  end)

  it("shows the traceback of a scenario that raises, ends with 1 and runs the others", function()
    local raising = write("a.lua", (SCENARIO:format "true":gsub("for _ = .-\n", "error 'no'\n")))
    local out, _, code = heapwright_command("run " .. raising .. " " .. write("b.lua", SCENARIO:format "true"))
    assert.equal(1, code)
    local told = "best-fit, first-fit/lifo: raised\n" .. raising .. ":6: no\nstack traceback:"
    assert.is_truthy(out:find(told, 1, true), out) -- once, behind the policies that it happened under
    assert.equal(1, select(2, out:gsub("stack traceback", "")))
    assert.equal(2, select(2, out:gsub("small: 64.0 KiB", "")))
    assert.is_truthy(out:find "best%-fit .* yes\n")
  end)

  it("runs a scenario's body on its threads, and says that placements differ", function()
    local threads = (SCENARIO:format "r.allocations == 30"):gsub("capacity", "threads = 3, capacity")
    local path = write("s.lua", threads)
    local out, err, code = heapwright_command("run " .. path)
    assert.equal(0, code, err .. out)
    assert.is_truthy(out:find("small: 64.0 KiB, seed 1, 3 threads: placements differ from run to run\n", 1, true), out)
    assert.equal(6, select(2, out:gsub("from the script", "")))
    local raising = write("a.lua", (threads:gsub("for _ = .-\n", "if s.thread == 2 then s:phase 'x' error 'no' end\n")))
    out, err, code = heapwright_command("run -p slab " .. raising)
    assert.equal(1, code, err)
    local told = 'slab: raised in thread 2 in phase "x"\n' .. raising .. ":6: no\nstack traceback:"
    assert.is_truthy(out:find(told, 1, true), out)
    out, err, code = heapwright_command("run --json " .. path)
    assert.equal(0, code, err)
    local result = dkjson.decode(out).results[1]
    assert.same({ "best-fit", 65536 }, { result.policy, result.capacity })
    out, err, code = heapwright_command("compare -p slab " .. path)
    assert.equal(0, code, err)
    assert.is_truthy(out:find("Note: recorded on 3 threads, whose order is another in each run.", 1, true), out)
  end)

  it("runs a plain script and lets it print", function()
    local out, err, code = heapwright_command("run " .. write("p.lua", 'print(require("heapwright").version, arg[0])'))
    assert.equal(0, code, err)
    assert.equal(heapwright.version .. "\t" .. command.folder .. "/p.lua\n", out)
  end)

  it("takes policies, capacity and seed from the command line", function()
    local path = write("s.lua", SCENARIO:format "true")
    local out = heapwright_command("run " .. path .. " -p buddy,best-fit/fifo -c 1M --seed 9")
    assert.is_truthy(out:find "small: 1.00 MiB, seed 9\n")
    assert.is_truthy(out:find "\nbuddy " and out:find "\nbest%-fit/fifo ")
    assert.is_nil(out:find "first%-fit")
  end)
end)

describe("--json", function()
  it("puts one object on standard output, whatever the script prints", function()
    local path = write("s.lua", SCENARIO:format "true")
    local out, err, code = heapwright_command("run --json " .. path)
    assert.equal(0, code, err)
    local object, after = dkjson.decode(out)
    assert.equal("\n", out:sub(after))
    assert.equal("small", object.source.name)
    assert.is_true(object.ok)
    assert.equal(65536, object.results[1].capacity)
    assert.equal("from the script\nfrom the script\n", err)
  end)

  it("has its keys in their order and only what was measured", function()
    local out = heapwright_command("fit -p first-fit --json " .. write("t.txt", TRACE))
    local keys = {}
    for key in out:gmatch '"([%w_]+)":' do
      keys[#keys + 1] = key
    end
    assert.equal("heapwright source name events allocations peak_in_use lower_bound "
      .. "packing pool overhead lower_bound proved nodes method results policy failures "
      .. "peak_in_use peak_granted high_water external_fragmentation internal_fragmentation smallest_pool "
      .. "overhead exact runs reversals steps_max steps_mean ok", table.concat(keys, " "))
  end)

  it("is the same from run to run but for the times", function()
    local path = write("s.lua", SCENARIO:format "true")
    local function measured()
      local out = heapwright_command("compare --json " .. path)
      return (out:gsub('"ns_%w+":%d+', ""):gsub('"ops_per_second":[%d.e+]+', ""))
    end
    assert.equal(measured(), measured())
  end)

  it("holds several sources under one name", function()
    local path = write("t.txt", TRACE)
    local object = dkjson.decode((heapwright_command(("compare -p buddy --json %s %s"):format(path, path))))
    assert.equal(2, #object.sources)
    assert.equal(7, object.sources[2].source.events)
    assert.equal("buddy", object.sources[1].results[1].policy)
  end)
end)

describe("heapwright compare and fit", function()
  it("say one event and two events", function()
    local out = heapwright_command("fit -p bump " .. write("t.txt", "a 1 5\n"))
    assert.is_truthy(out:find("t.txt: 1 event, 1 allocation, peak in use 5 B;", 1, true), out)
    out = heapwright_command("fit -p bump " .. write("t.txt", "a 1 5\na 2 5\n"))
    assert.is_truthy(out:find(": 2 events, 2 allocations, ", 1, true), out)
  end)

  it("agree on the smallest pool, and say which policy needs the least", function()
    local path = write("t.txt", TRACE)
    local compared = dkjson.decode((heapwright_command("compare --json " .. path)))
    local fitted = dkjson.decode((heapwright_command("fit --json " .. path)))
    for i, result in ipairs(compared.results) do
      assert.equal(result.smallest_pool, fitted.results[i].smallest_pool, result.policy)
    end
    local out = heapwright_command("compare " .. path)
    assert.is_truthy(out:find "fits? in the least: %d+ B")
  end)

  it("count failures in a pool of a given size", function()
    local path = write("t.txt", TRACE)
    local object = dkjson.decode((heapwright_command("compare -c 256 --json " .. path)))
    assert.equal(256, object.results[1].capacity)
    assert.is_true(object.results[1].failures > 0)
    assert.is_nil(object.results[1].smallest_pool)
  end)

  it("print tables of at most 80 columns", function()
    local path = write("t.txt", TRACE)
    for _, call in ipairs { "compare ", "compare -c 512 ", "fit ", "compare -p worst-fit/fifo,first-fit/lifo " } do
      for line in heapwright_command(call .. path):gmatch "[^\n]*" do
        assert.is_true(utf8.len(line) <= 80, line)
      end
    end
  end)
end)

describe("heapwright record and trace", function()
  it("record a program and end with its exit code", function()
    local path = command.folder .. "/sh.hwt"
    local out, err, code = heapwright_command("record -o " .. path .. " -- sh -c 'echo hello; exit 7'")
    assert.equal(7, code, err)
    assert.equal("hello\n", out)
    assert.is_truthy(err:find("sh.hwt", 1, true), err)
    local _, _, told = heapwright_command("trace info " .. path)
    assert.equal(0, told)
  end)

  it("tell of a program that could not be recorded, and of a trace that ends early", function()
    local function build(name, options, body)
      local source = write(name .. ".c", "#include <stdlib.h>\nint main(void) { " .. body .. " return 0; }\n")
      assert(os.execute(("cc -O0 -w %s -o %s/%s %s"):format(options, command.folder, name, source)))
      return ("record -o %s/%s.hwt -- %s/%s"):format(command.folder, name, command.folder, name)
    end
    local _, err, code = heapwright_command(build("static", "-static", "free(malloc(5));"))
    assert.equal(0, code, err)
    assert.is_truthy(err:find("Note: no trace of the program itself: it allocated nothing", 1, true), err)
    local body = "for (int i = 0; i < 9999; i++) malloc(9); *(volatile char *)0 = 1;"
    _, err, code = heapwright_command(build("crash", "", body))
    assert.equal(139, code, err)
    assert.is_truthy(err:find("\nNote: [^\n]*crash.hwt: cut off at byte "), err)
  end)

  it("leave no part behind where a conversion is interrupted", function()
    local lines = {}
    for i = 1, 300000 do
      lines[i] = ("a %d 16\n"):format(i)
    end
    local path = write("t.txt", table.concat(lines))
    os.execute(("%s trace convert %s %s/u.txt & sleep 0.03; kill -TERM $!; wait"):format(COMMAND, path, command.folder))
    assert.is_nil((os.execute("ls " .. command.folder .. "/*.part* >/dev/null 2>&1")))
  end)

  it("convert a trace to text and back without loss", function()
    local path = write("t.txt", TRACE)
    assert.equal(0, select(3, heapwright_command(("trace convert %s %s/t.hwt"):format(path, command.folder))))
    local out = heapwright_command(("trace cat %s/t.hwt"):format(command.folder))
    assert.equal(TRACE, (out:gsub("#[^\n]*\n", "")))
  end)
end)

describe("heapwright env", function()
  it("prints what lets a stock Lua find the module", function()
    local interpreter = arg[-1] -- which runs this spec
    local file = write("env", (heapwright_command "env"))
    local script = write("script.lua", 'print(require("heapwright").version)')
    local pipe = assert(io.popen(("unset LUA_PATH LUA_CPATH; . %s; %s %s"):format(file, interpreter, script)))
    assert.equal(heapwright.version .. "\n", pipe:read "a")
    pipe:close()
  end)
end)

describe("heapwright policies", function()
  it("lists every policy with its bound", function()
    local out = heapwright_command "policies"
    local object = dkjson.decode((heapwright_command "policies --json"))
    for i, policy in ipairs(heapwright.policies()) do
      assert.is_truthy(out:find(policy.name, 1, true))
      assert.equal(policy.bound, object.policies[i].bound)
    end
  end)
end)
