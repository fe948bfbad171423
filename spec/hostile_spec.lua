-- SPDX-License-Identifier: MIT
-- Bad input is the subject: every function that there is, from Lua, with whatever Lua can
-- pass (support/hostile.lua), in a process of its own, since a crash has to be told of.
--   HEAPWRIGHT_HOSTILE       how many calls; `.ci/run hostile` makes 10 million
--   HEAPWRIGHT_HOSTILE_SEED  the seed; a failure prints it, and the last calls
local command = require "spec.support.command"
local heapwright = require "heapwright"

local sanitized = arg[-1]:find "lua_host" ~= nil -- the interpreter that has a sanitizer's runtime
local CALLS = math.tointeger(os.getenv "HEAPWRIGHT_HOSTILE" or sanitized and 40000 or 200000)
local SEED = math.tointeger(os.getenv "HEAPWRIGHT_HOSTILE_SEED" or 1)
local SHOWN = 12 -- calls before a failure

local build = command.path:match "(.*)/"

-- The last lines that a process wrote before its calls, in their order.
local function last_calls(path)
  local file = io.open(path, "rb")
  local calls = {}
  for line in file and file:lines() or function() end do
    local number = tonumber(line:match "^(%d+): ")
    if number then calls[#calls + 1] = { number, (line:gsub(" +$", "")) } end
  end
  table.sort(calls, function(a, b) return a[1] < b[1] end)
  local shown = {}
  for i = math.max(1, #calls - SHOWN), #calls do shown[#shown + 1] = calls[i][2] end
  return table.concat(shown, "\n")
end

-- Makes the calls in a process, in a folder of its own.
local function process(count, threads, trace)
  local text = ("require('spec.support.hostile_run').main(%d, %d, %s)"):format(SEED, count, threads)
  command.write("main.lua", text)
  os.execute("mkdir " .. command.folder .. "/calls")
  local out, err, code = command.shell(
    ("root=$PWD; cd %s/calls && LUA_PATH=$root/?.lua LUA_CPATH=%s/?.so %s%s %s ../main.lua"):format(command.folder,
      build, trace and "HEAPWRIGHT_HOSTILE_TRACE=" .. trace .. " " or "",
      sanitized and "HEAPWRIGHT_HOSTILE_SANITIZED=1" or "", arg[-1]))
  os.execute("rm -rf " .. command.folder .. "/calls")
  return out, err, code
end

-- The same, and once more with each call written down where it fails.
local function run(count, threads)
  local out, err, code = process(count, threads)
  if code == 0 then return out end
  local trace = command.folder .. "/trace"
  local again, _, its_code = process(count, threads, trace)
  local said = "seed %d+, call.*"
  local text = "seed %d: %d calls ended with %d\n%s%s\nonce more (HEAPWRIGHT_HOSTILE_SEED=%d) with %d, after\n%s\n%s"
  error(text:format(SEED, count, code, out:match(said) or "", err, SEED, its_code, last_calls(trace),
    again:match(said) or ""), 0)
end

-- Of the free blocks that a policy in Lua is shown.
local function shown_methods()
  local methods
  heapwright.policy("shown", { choose = function(free) methods = debug.getmetatable(free).__index end })
  local mem <close> = heapwright.new { policy = "shown" }
  mem:alloc(1)
  heapwright.policy("shown", nil)
  return methods
end

describe("hostile calls", function()
  before_each(command.enter)
  after_each(command.leave)

  it("neither crash nor leak nor break a pool, whatever is passed to whatever there is", function()
    local out = run(CALLS, false)
    local called, results, raised = {}, 0, 0
    for name, calls, given, refused in out:gmatch "(%S+) (%d+) (%d+) (%d+)\n" do
      called[name], results, raised = tonumber(calls), results + given, raised + refused
    end
    -- Hostile, but not all of them at the door: and all that is exported was called.
    assert.is_truthy(results > CALLS // 4 and raised > CALLS // 8)
    local mem <close> = heapwright.new()
    local state <close> = heapwright.state()
    local thread <close> = heapwright.spawn(nil, "")
    for kind, list in pairs {
      module = heapwright, ["heapwright.pool"] = debug.getmetatable(mem).__index,
      ["heapwright.state"] = debug.getmetatable(state).__index,
      ["heapwright.thread"] = debug.getmetatable(thread).__index,
      ["heapwright.free"] = shown_methods(),
    } do
      for name, f in pairs(list) do
        if type(f) == "function" and (called[kind .. "." .. name] or 0) == 0 then
          error(kind .. "." .. name .. " was never called")
        end
      end
    end
  end)

  it("nor do they on a pool that other threads call and close meanwhile", function() run(CALLS // 10, true) end)

  it("are told where they fail, with the seed and the calls before", function()
    local trace = command.folder .. "/trace"
    command.write("main.lua", "")
    local _, _, code = process(300, false, trace)
    assert.equal(0, code)
    assert.is_truthy(last_calls(trace):find "^%d+: .*%(.*%)\n")
  end)
end)
