-- SPDX-License-Identifier: MIT
-- Promises of the curves in compare's tables: use over time, eight characters a policy.
local command = require "spec.support.command"
local text = require "heapwright.text"

before_each(command.enter)
after_each(command.leave)

-- 800 events: a pool of 64 KiB fills block by block, and empties again.
local function trace()
  local lines = {}
  for i = 1, 400 do lines[i] = ("a %d 160"):format(i) end
  for i = 1, 400 do lines[400 + i] = ("f %d"):format(i) end
  return command.write("trace.txt", table.concat(lines, "\n") .. "\n")
end

local function on_terminal(columns, environment)
  command.write("there.sh", ("stty cols %d rows 30\nTERM=xterm-256color %s %s compare trace.txt -p first-fit\n"):format(
    columns, environment, command.path))
  command.shell_there "script -qec 'sh there.sh' typescript </dev/null >/dev/null"
  return (command.read "typescript":gsub("\27%[[%d;]*m", ""))
end

describe("a sparkline", function()
  it("has eight levels from nothing to the most", function()
    assert.equal("▁▁▂▃▄▅▆▇█", text.sparkline({ 0, 1, 2, 3, 4, 5, 6, 7, 8 }, 8))
    assert.equal("__.:-=+*#", text.sparkline({ 0, 1, 2, 3, 4, 5, 6, 7, 8 }, 8, true))
    assert.equal("▁▂█", text.sparkline({ 0.1, 13, 100 }, 100))
  end)

  it("is drawn of nothing, and of values above the most, too", function()
    assert.equal("", text.sparkline({}, 8))
    assert.equal("▁▁", text.sparkline({ 0, 0 }, 0))
    assert.equal("█", text.sparkline({ 9 }, 8))
  end)
end)

describe("compare", function()
  it("shows use over time as a share of the smallest pool", function()
    trace()
    local out, err, code = command.shell_there(command.path .. " compare trace.txt -p first-fit </dev/null")
    assert.equal("", err)
    assert.equal(0, code)
    assert.matches("  use over\npolicy .*  time\n", out)
    assert.matches("\nfirst%-fit .*  %.%-%+#%+%-%._\n", out)
  end)

  it("shows it as a share of the capacity where that is given", function()
    trace()
    local out = command.shell_there(command.path .. " compare trace.txt -p first-fit,bump -c 128K </dev/null")
    assert.matches("\nfirst%-fit .*  _%.:%-:%._%_\n", out)
    out = command.shell_there(command.path .. " compare trace.txt -p first-fit -c 32K </dev/null")
    assert.matches("\nfirst%-fit +196 .*  %-###=___\n", out)
  end)

  it("puts it into a table of its own where there is no room beside the figures", function()
    trace()
    local out = command.shell_there(command.path .. " compare trace.txt -p first-fit/random,best-fit </dev/null")
    assert.is_truthy(out:find([[


                  use over
policy            time
best-fit          .-+#+-._
first-fit/random  .-+#+-._

]], 1, true), out)
    for line in out:gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 80, line) end
    assert.equal(2, select(2, out:gsub("first%-fit/random  ", "")))
  end)

  it("draws it as wide as the terminal lets it, and plain there with NO_COLOR", function()
    if not os.execute "script --version >/dev/null 2>&1" then
      return pending "script (util-linux) is not installed: no terminal to be had"
    end
    trace()
    assert.matches("\r\nfirst%-fit .*  ▂▄▆█▆▄▂▁\r\n", on_terminal(100, ""))
    assert.matches("\r\nfirst%-fit .*  %.%-%+#%+%-%._\r\n", on_terminal(100, "NO_COLOR=1"))
    local narrow = on_terminal(60, "")
    assert.matches("\r\n\r\n +use over\r\npolicy +time\r\nfirst%-fit  ▂▄▆█▆▄▂▁\r\n", narrow)
  end)

  it("has none of a trace that is streamed", function()
    trace()
    local out, err, code = command.shell_there(command.path .. " compare --stream trace.txt -p first-fit </dev/null")
    assert.equal("", err)
    assert.equal(0, code)
    assert.is_nil(out:find "use over")
  end)
end)
