-- SPDX-License-Identifier: MIT
-- heapwright run --map and --watch: what is printed, and that looking changes nothing.
local dkjson = require "dkjson"

local command = require "spec.support.command"

local function run(arguments, environment)
  local line = "env -u COLUMNS %s %s run %s </dev/null"
  return command.shell_there(line:format(environment or "", command.path, arguments))
end

local function scenario(body, fields)
  command.write("s.lua", ([[
return heapwright.scenario {
  name = "small", capacity = "4K", policy = { "best-fit", "buddy" }, %s
  run = function(mem, s)
%s
  end,
}
]]):format(fields or "", body))
  return "s.lua"
end

local QUARTER = [[
    s:phase "fill"
    mem:alloc(1024)
    local after = mem:alloc(256)
    s:phase "drain"
    mem:free(after)]]

local LONG = [[
    for phase = 1, 3 do
      s:phase("part " .. phase)
      local ends = os.clock() + 0.15
      while os.clock() < ends do mem:free(mem:alloc(s:uniform(1, 100))) end
    end]]

-- On a terminal of its own, 80 columns wide and 30 lines high: all that came to it, and the exit code.
local has_script = os.execute "script --version >/dev/null 2>&1"

local function on_terminal(arguments, environment)
  command.write("there.sh", ("stty cols 80 rows 30\nexport TERM=xterm-256color\nunset NO_COLOR\n%s %s run %s\n"):format(
    environment or "", command.path, arguments))
  local _, _, code = command.shell_there "script -qec 'sh there.sh' typescript </dev/null >/dev/null"
  local text = command.read "typescript"
  return text:gsub("^Script started[^\n]*\n", ""):gsub("\nScript done[^\n]*\n$", ""), code
end

local function count(text, what)
  local n, at = 0, 1
  while true do
    local from, to = text:find(what, at, true)
    if not from then return n end
    n, at = n + 1, to + 1
  end
end

before_each(command.enter)
after_each(command.leave)

describe("run --map", function()
  it("prints the pool after each policy's run, with a scale, and its phases", function()
    local out, err, code = run("--map " .. scenario(QUARTER))
    assert.equal("", err)
    assert.equal(0, code)
    assert.equal([[
small, best-fit: 1.00 KiB of 4.00 KiB in use in 1 block, at the end of drain
   0x0 ################################################################
 0x400 ................................................................
 0x800 ................................................................
 0xc00 ................................................................
A cell is 16 bytes, a row 1.00 KiB.
Of a cell is live: . none, : below 1/4, - below 1/2, = below 3/4, + more, # all.
At the end of:
  fill             ##############+.................................  1.25 KiB
  drain            ###########+....................................  1.00 KiB
]], out:sub(1, (out:find("\n\n", 1, true))))
    assert.is_truthy(out:find("\nsmall, buddy: ", 1, true))
  end)

  it("has lines of 80 columns without a terminal, and as many as COLUMNS says", function()
    for columns, cells in pairs { [""] = 64, ["COLUMNS=40"] = 32, ["COLUMNS=x"] = 64, ["COLUMNS=-5"] = 64,
      ["COLUMNS=1"] = 16, ["COLUMNS=200"] = 192 } do
      local out = run("--map -p best-fit " .. scenario "mem:alloc(16)", columns)
      assert.equal(cells, #out:match "0x0 (%S+)\n", columns)
    end
  end)

  it("changes nothing of what is measured", function()
    local churn = scenario [[
    local held = {}
    for i = 1, 2000 do
      if i % 100 == 0 then s:phase("p" .. i) end
      local at = s:uniform(1, 20)
      if held[at] then mem:free(held[at]) end
      held[at] = mem:alloc(s:uniform(1, 300))
    end]]
    local plain = run(churn)
    local out = run("--map " .. churn)
    assert.equal(plain, out:sub(-#plain))
    assert.is_true(#out > #plain)
    assert.is_truthy(out:find("At the end of the last 8 of 20 phases:\n  p1300 ", 1, true))
  end)

  it("is not in the JSON's way", function()
    local file = scenario(QUARTER)
    local plain = run("--json " .. file)
    local out, err, code = run("--json --map --watch " .. file)
    assert.equal(plain, out)
    assert.equal("", err)
    assert.equal(0, code)
    assert.is_table(dkjson.decode(out))
  end)

  it("shows the pool where a run raised, and those of threads at their end", function()
    local out, _, code = run("--map -p best-fit " .. scenario [[s:phase "bad" mem:alloc(2048) error "no more"]])
    assert.equal(1, code)
    assert.matches("where it raised of bad\n   0x0 ##", out)
    out, _, code = run("--map --watch -p best-fit " .. scenario("mem:alloc(1024)", "threads = 2,"))
    assert.equal(0, code)
    assert.matches("2.00 KiB of 4.00 KiB in use in 2 blocks, at the end\n", out)
  end)

  it("lets a name neither tear lines nor speak to the terminal", function()
    local out = run("--map -p best-fit " .. scenario [[s:phase "a\27[2J\n" s:phase(("ä"):rep(40)) s:phase "\xff"]])
    assert.is_nil(out:find("\27", 1, true))
    assert.is_truthy(out:find("\n  a?[2J?           ", 1, true), out)
    assert.is_truthy(out:find("\n  " .. ("ä"):rep(15) .. "… ", 1, true))
    assert.is_truthy(out:find("at the end of ?\n", 1, true))
  end)

  it("is refused where nothing could be drawn", function()
    local _, err, code = run("--map --inject sweep " .. scenario(QUARTER))
    assert.equal("heapwright: --map: --inject runs a scenario once a failure, and draws none\n", err)
    assert.equal(2, code)
    command.write("none.lua", "local x = 1")
    _, err, code = run "--watch none.lua"
    assert.is_truthy(err:find("none.lua: returns no scenario, so there is no pool for a map\n", 1, true), err)
    assert.equal(2, code)
    _, err, code = run("--map=3 " .. scenario(QUARTER))
    assert.is_truthy(err:find("^heapwright: option '%-%-map' does not take arguments"), err)
    assert.equal(2, code)
  end)

  it("is told by --help, in 80 columns", function()
    local out = run "--help"
    assert.is_truthy(out:find("--map ", 1, true) and out:find("--watch ", 1, true))
    for line in out:gmatch "[^\n]+" do assert.is_true(#line <= 80, line) end
  end)

  it("is in 256 colours on a terminal, and plain there with NO_COLOR", function()
    if not has_script then return pending "script (util-linux) is not installed: no terminal to be had" end
    local out, code = on_terminal("--map -p best-fit " .. scenario(QUARTER))
    assert.equal(0, code)
    assert.is_truthy(out:find("   0x0 \27[38;5;136;48;5;227m▏" .. (" "):rep(63) .. "\27[0m", 1, true), out)
    out = on_terminal("--map -p best-fit " .. scenario(QUARTER), "NO_COLOR=1")
    assert.is_nil(out:find("\27", 1, true))
    assert.is_truthy(out:find("   0x0 " .. ("#"):rep(64), 1, true))
  end)
end)

describe("run --watch", function()
  it("says that it can't without a terminal, and prints the maps at the end", function()
    for environment, terminal in pairs { [""] = run, ["TERM=dumb"] = has_script and on_terminal or run } do
      local out, err = terminal("--watch -p best-fit " .. scenario(QUARTER), environment)
      if terminal == on_terminal then out, err = out:gsub("\r", ""), out:gsub("\r", "") end
      assert.is_truthy(err:find("heapwright: --watch: standard output is no terminal that can be redrawn; "
        .. "maps are printed when runs have ended\n", 1, true), err)
      assert.is_truthy(out:find("at the end of drain\n   0x0 #", 1, true), out)
      assert.is_nil(out:find("\27", 1, true))
    end
  end)

  describe("on a terminal", function()
    if not has_script then
      pending "draws (script of util-linux is not installed: no terminal to be had)"
      return
    end

    it("redraws in place at most 20 times a second, with the cursor hidden", function()
      local out, code = on_terminal("--watch -p best-fit " .. scenario(LONG))
      assert.equal(0, code)
      local frames = count(out, "\27[J")
      assert.is_true(frames >= 3 and frames <= 25, frames)
      assert.equal(1, count(out, "\27[?25l"))
      assert.equal(1, count(out, "\27[?25h"))
      for phase = 1, 3 do assert.is_truthy(out:find(", in part " .. phase, 1, true)) end
      assert.equal(frames - 1, count(out, "\27[5A\r")) -- a title and four rows, over which the next one lies
      assert.is_truthy(out:find("at the end of part 3", 1, true))
      assert.is_nil(out:find("\27[2J", 1, true))
    end)

    it("writes a frame at once", function()
      if not os.execute "strace -V >/dev/null 2>&1" then return pending "strace is not installed" end
      local file = scenario(LONG)
      local sh = ("stty cols 80 rows 30; TERM=xterm-256color exec strace -qq -s 8 -e trace=write -o writes "
        .. "%s run --watch -p best-fit %s"):format(command.path, file)
      command.write("there.sh", sh)
      command.shell_there "script -qec 'sh there.sh' typescript </dev/null >/dev/null"
      local frames = 0
      for bytes in command.read("writes"):gmatch 'write%(%d+, "\\33%[5A.-, (%d+)%) += ' do
        frames = frames + 1
        assert.is_true(tonumber(bytes) > 300, bytes)
      end
      assert.equal(count(command.read "typescript", "\27[5A\r"), frames)
      assert.is_true(frames >= 3)
    end)

    it("draws inside coroutines as well", function()
      local out = on_terminal("--watch -p best-fit " .. scenario("coroutine.wrap(function()\n" .. LONG .. "\nend)()"))
      assert.is_true(count(out, "\27[J") >= 3)
    end)

    it("changes nothing of what is measured, also where a policy is written in Lua", function()
      command.write("own.lua", [[
heapwright.policy("own", { choose = function(free, size, align) return (free:first(size, align)) end })
]])
      local body = "for i = 1, 3000 do mem:free(mem:alloc(s:uniform(1, 300))) if i % 30 == 0 then mem:alloc(1) end end"
      local file = scenario(body)
      local plain = run("--load own.lua -p best-fit,own " .. file)
      local out, code = on_terminal("--watch --load own.lua -p best-fit,own " .. file, "NO_COLOR=1")
      assert.is_truthy(out:find("small, own: ", 1, true))
      assert.equal(0, code)
      assert.equal(plain:match "\nbest%-fit.*", out:gsub("\r", ""):gsub("\27%[[0-9;]*m", ""):match "\nbest%-fit.*")
    end)

    it("lets what the scenario prints stand above the picture, also by a child process", function()
      local out, code = on_terminal("--watch -p best-fit " .. scenario(LONG .. [[
    print "by print"
    io.write "by io.write"
    mem:alloc(16)
    s:phase "end"
    local ends = os.clock() + 0.15
    while os.clock() < ends do mem:free(mem:alloc(16)) end
    os.execute "echo by a child"]]))
      assert.equal(0, code)
      for _, words in ipairs { "by print\r\n", "by io.write", "by a child\r\n" } do
        assert.equal(1, count(out, words))
        local before = out:sub(1, out:find(words, 1, true) - 1):gsub("by print\r\n$", "")
        assert.equal("\27[5A\r\27[J", before:sub(-8)) -- where the picture stood, which was taken away
      end
      assert.is_truthy(out:find("by io.write" .. (" "):rep(80) .. "\r\r\27[1msmall", 1, true))
    end)

    it("loses nothing that was printed when a signal ends it", function()
      local file = scenario [[print "last words" os.execute "sleep 1"]]
      local line = "stty cols 80 rows 30\nTERM=xterm-256color timeout --foreground 0.3 %s run --watch %s\n"
      command.write("there.sh", line:format(command.path, file))
      command.shell_there "script -qec 'sh there.sh' typescript </dev/null >/dev/null"
      assert.is_truthy(command.read "typescript":find("last words\r\n\27[0m\27[?25h", 1, true))
    end)

    it("shows the cursor again where the run raises, and when it is interrupted", function()
      local out, code = on_terminal("--watch -p best-fit " .. scenario [[mem:alloc(16) error "no more"]])
      assert.equal(1, code)
      assert.equal(1, count(out, "\27[?25l"))
      assert.equal(1, count(out, "\27[?25h"))
      local endless = scenario "while true do mem:free(mem:alloc(16)) end"
      for signal, status in pairs { INT = 130, TERM = 143 } do
        local line = "stty cols 80 rows 30\nTERM=xterm-256color timeout --foreground -s %s 0.5 %s run --watch %s\n"
        command.write("there.sh", line:format(signal, command.path, endless))
        command.shell_there "script -qec 'sh there.sh' typescript </dev/null >/dev/null"
        local text = command.read "typescript"
        assert.is_truthy(text:find("\27[0m\27[?25h", 1, true), status)
        assert.is_true(count(text, "\27[J") >= 3)
      end
    end)
  end)
end)
