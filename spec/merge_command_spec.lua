-- SPDX-License-Identifier: MIT
-- Promises of heapwright merge: shards' results and journals are the whole again, each cell once; what
-- contradicts, lacks or is of another plan is named. And that a sweep is whole where machines die on
-- the way, under GNU parallel.
local churn = require "spec.support.churn"
local command = require "spec.support.command"

local write, read = command.write, command.read

local function heapwright_command(arguments)
  return command.shell_there(("%s %s </dev/null"):format(command.path, arguments))
end

local function merge(arguments) return heapwright_command("merge " .. arguments) end

local PLAN = [[
return heapwright.sweep {
  traces = { "a.txt", "b.txt" }, policies = { "best-fit", "buddy" }, granules = { 16, 32 },
  capacities = { "2K", "4K" }, seeds = { 1, 2 },
}
]]

local prepared ---@type table<string, string> files by name

-- The whole sweep of 32 cells, and its three shards: measured once, there for each spec.
local function prepare()
  for name, text in pairs(prepared or {}) do write(name, text) end
  if prepared then return end
  prepared = { ["a.txt"] = churn.trace(1, 300, 30, 200), ["b.txt"] = churn.trace(2, 200, 20, 300), ["plan.lua"] = PLAN }
  for name, text in pairs(prepared) do write(name, text) end
  assert.equal(0, select(3, heapwright_command "sweep plan.lua -o whole.jsonl --csv whole.csv"))
  for i = 1, 3 do
    assert.equal(0, select(3, heapwright_command(("sweep plan.lua --shard %d/3 -o %d.jsonl"):format(i, i))))
  end
  for _, name in ipairs { "whole.jsonl", "whole.csv", "whole.jsonl.journal", "1.jsonl", "2.jsonl", "3.jsonl",
    "1.jsonl.journal", "2.jsonl.journal", "3.jsonl.journal" } do
    prepared[name] = read(name)
  end
end

local function exists(name)
  local file = io.open(command.folder .. "/" .. name)
  if file then file:close() end
  return file ~= nil
end

before_each(command.enter)
after_each(command.leave)

describe("heapwright merge", function()
  before_each(prepare)

  for _, case in ipairs {
    { "of results", "1.jsonl 2.jsonl 3.jsonl" },
    { "of results in any order", "3.jsonl 1.jsonl 2.jsonl" },
    { "of journals", "1.jsonl.journal 2.jsonl.journal 3.jsonl.journal" },
    { "of both, overlapping", "2.jsonl.journal 1.jsonl 3.jsonl whole.jsonl 2.jsonl" },
    { "of the whole's journal", "whole.jsonl.journal" },
  } do
    it("gives the whole sweep's results, byte for byte, " .. case[1], function()
      local out, err, code = merge(case[2] .. " -o m.jsonl --csv m.csv")
      assert.equal(0, code, err)
      assert.equal("m.jsonl: 32 cells\n", out)
      assert.is_true(read "whole.jsonl" == read "m.jsonl")
      assert.is_true(read "whole.csv" == read "m.csv")
      assert.is_true(read "whole.jsonl" == (merge(case[2])))
    end)
  end

  it("lists what is missing, with exit code 1, and writes nothing then", function()
    local out, err, code = merge "1.jsonl 3.jsonl -o m.jsonl"
    assert.equal(1, code)
    assert.equal("", out)
    assert.equal("heapwright: 11 of 32 cells missing: 2, 5, 8, 11, 14, …\n", err)
    assert.is_false(exists "m.jsonl")
  end)

  it("names the first that is missing, where a journal tells the axes", function()
    write("part", read "whole.jsonl.journal":match "^[^\n]*\n" .. read "whole.jsonl":match "^[^\n]*\n")
    local _, err, code = merge "part"
    assert.equal(1, code)
    assert.equal("heapwright: 31 of 32 cells missing: 2–32; the first is a.txt, seed 1, best-fit, granule 16, "
      .. "pool 4096\n", err)
  end)

  it("writes what there is with --partial", function()
    local out, err, code = merge "1.jsonl 3.jsonl -o m.jsonl --partial"
    assert.equal(0, code)
    assert.equal("m.jsonl: 21 cells\n", out)
    assert.is_truthy(err:find "11 of 32 cells missing")
    assert.equal(21, select(2, read "m.jsonl":gsub("\n", "")))
  end)

  it("leaves out a torn last line, and says so", function()
    write("3.jsonl", read "3.jsonl":sub(1, -20))
    local _, err, code = merge "1.jsonl 2.jsonl 3.jsonl -o m.jsonl"
    assert.equal(1, code)
    assert.equal("heapwright: 3.jsonl: its last line is torn, and left out\n"
      .. "heapwright: 1 of 32 cells missing: 30\n", err)
  end)

  it("refuses two that say different things of a cell, and names both", function()
    write("other.jsonl", read "2.jsonl":gsub('"failures":%d+', '"failures":12345', 1))
    local _, err, code = merge "1.jsonl 2.jsonl other.jsonl 3.jsonl -o m.jsonl"
    assert.equal(1, code)
    assert.is_truthy(err:find("heapwright: other.jsonl:1: cell 2 (a.txt, seed 1, best-fit, granule 16, pool 4096) ",
      1, true) == 1, err)
    assert.is_truthy(err:find "has failures 12345 here, %d+ in 2%.jsonl\n$", err)
    assert.is_false(exists "m.jsonl")
  end)

  it("takes two that differ in times alone as the same", function()
    write("plan.lua", PLAN:gsub("seeds", "time = true, seeds"))
    heapwright_command "sweep plan.lua -o one.jsonl"
    heapwright_command "sweep plan.lua -o two.jsonl"
    local _, err, code = merge "one.jsonl two.jsonl -o m.jsonl"
    assert.equal(0, code, err)
    assert.is_true(read "one.jsonl" == read "m.jsonl")
  end)

  it("takes what was measured over what failed, wherever each stands", function()
    local failed = read "2.jsonl":gsub('"failures".-}', '"error":"killed by signal 9 (Killed)"}')
    write("failed.jsonl", failed)
    for _, order in ipairs { "failed.jsonl 1.jsonl 2.jsonl 3.jsonl", "1.jsonl 2.jsonl failed.jsonl 3.jsonl" } do
      local _, err, code = merge(order .. " -o m.jsonl")
      assert.equal(0, code, err)
      assert.is_true(read "whole.jsonl" == read "m.jsonl")
    end
    local out, err, code = merge "1.jsonl 3.jsonl failed.jsonl -o m.jsonl"
    assert.equal(1, code)
    assert.equal("m.jsonl: 32 cells\n", out)
    assert.equal("heapwright: 11 cells failed\n", err)
  end)

  it("takes a journal that was gone on with after a cell had failed", function()
    local journal = read "whole.jsonl.journal"
    local header, first, rest = journal:match "^([^\n]*\n)([^\n]*\n)(.*)$"
    write("j", header .. first:gsub('"failures".-}', '"error":"killed"}') .. rest .. first)
    local _, err, code = merge "j -o m.jsonl"
    assert.equal(0, code, err)
    assert.is_true(read "whole.jsonl" == read "m.jsonl")
  end)

  local refused = {
    { "another plan's", function()
      write("plan.lua", PLAN:gsub("seeds = { 1, 2 }", "seeds = { 1, 3 }"))
      heapwright_command "sweep plan.lua -o other.jsonl"
    end, "1.jsonl other.jsonl", "other.jsonl:1: is of another plan than 1.jsonl:1" },
    { "a file of garbage", function() write("g", "words\n") end, "1.jsonl g", "g:1: is no line of a sweep's results" },
    { "a line of garbage", function() write("g", read "1.jsonl" .. "{}\n") end, "g",
      "g:12: is no line of a sweep's results" },
    { "a cell that is none", function() write("g", read "1.jsonl":gsub('"cell":1,', '"cell":33,')) end, "g",
      "g:1: is no line of a sweep's results" },
    { "a journal's first line without axes", function()
      write("g", read "1.jsonl.journal":gsub('"axes"', '"axles"', 1))
    end, "g", "g:1: is no journal of a sweep" },
    { "an empty file", function() write("g", "") end, "g", "g: no results" },
    { "a file that is not there", function() end, "none", "none: No such file or directory" },
    { "a folder", function() end, ".", ".: is no regular file" },
    { "an output that can't be written", function() end, "whole.jsonl -o none/m", "none/m: No such file or directory" },
    { "a full disk", function() end, "whole.jsonl -o /dev/full", "/dev/full: No space left on device" },
  }
  for _, case in ipairs(refused) do
    it("refuses " .. case[1] .. " in one line, with exit code 2", function()
      case[2]()
      local out, err, code = merge(case[3])
      assert.equal(2, code, err)
      assert.equal("", out)
      assert.is_truthy(err:find("^heapwright: [^\n]*\n$"), err)
      assert.is_truthy(err:find(case[4], 1, true), err)
    end)
  end

  it("has a help of 80 columns, with an example", function()
    local out, _, code = merge "--help"
    assert.equal(0, code)
    assert.is_truthy(out:find "Example")
    for line in out:gmatch "[^\n]*" do assert.is_true(utf8.len(line) <= 80, line) end
  end)
end)

-- ---- On several machines -----------------------------------------------------------

-- Debian's moreutils has another program of this name.
local function has_gnu_parallel()
  local pipe = assert(io.popen "parallel --version 2>/dev/null </dev/null")
  local text = pipe:read "a"
  pipe:close()
  return text:find "GNU parallel" ~= nil
end

describe("a sweep under GNU parallel", function()
  before_each(prepare)

  local function skip_without()
    if not has_gnu_parallel() then pending "GNU parallel is not installed (Debian: parallel)" end
    return not has_gnu_parallel()
  end

  it("is the whole sweep, shard by shard", function()
    if skip_without() then return end
    local _, err, code = command.shell_there(([[parallel --will-cite --sshlogin : --wd . --retries 3 \
  %s sweep plan.lua --shard {}/4 -o p{}.jsonl ::: 1 2 3 4 </dev/null]]):format(command.path))
    assert.equal(0, code, err)
    assert.equal(0, select(3, merge "p*.jsonl -o m.jsonl"))
    assert.is_true(read "whole.jsonl" == read "m.jsonl")
  end)

  it("is whole though a machine dies half way: parallel starts its shard again, which goes on", function()
    if skip_without() then return end
    -- What a machine is here: it dies under shard 2 when that has done some of its cells, and once only.
    write("machine", ([[#!/bin/sh
# machine N: sweeps shard N of 4
%s sweep plan.lua --shard $1/4 -o p$1.jsonl &
sweep=$!
if [ $1 = 2 ] && mkdir died 2>/dev/null; then
  while [ "$(wc -l <p2.jsonl.journal 2>/dev/null || echo 0)" -lt 4 ]; do sleep 0.005; done
  cp p2.jsonl.journal journal-then
  kill -9 $sweep
  kill -9 $$
fi
wait $sweep
]]):format(command.path))
    -- So slow that it is half way for some time: with a scenario that takes a while.
    write("slow.lua", [[
return heapwright.scenario { name = "slow", run = function(mem, s)
  for _ = 1, 40 do mem:alloc(s:uniform(1, 400)) end
  os.execute "sleep 0.05"
end }]])
    write("plan.lua", [[
return heapwright.sweep { scenarios = "slow.lua", policies = { "best-fit", "buddy" }, capacities = "4K",
  seeds = { from = 1, to = 20 } }]])
    local _, err, code = heapwright_command "sweep plan.lua -o slow.jsonl"
    assert.equal(0, code, err)
    _, err, code = command.shell_there [[
parallel --will-cite --sshlogin : --wd . --retries 3 --joblog log sh machine ::: 1 2 3 4 </dev/null]]
    assert.equal(0, code, err)
    assert.is_true(exists "died")
    local then_done = select(2, read "journal-then":gsub("\n", "")) - 1
    assert.is_true(then_done >= 3 and then_done < 10, then_done)
    assert.equal(read "journal-then", read "p2.jsonl.journal":sub(1, #read "journal-then"))
    assert.equal(0, select(3, merge "p*.jsonl -o m.jsonl"))
    assert.is_true(read "slow.jsonl" == read "m.jsonl")
  end)
end)
