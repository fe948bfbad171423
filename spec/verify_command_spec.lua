-- SPDX-License-Identifier: MIT
-- Promises of `heapwright verify`: each statement of theory with its bound, what was seen and a verdict; exit code 1
-- where one fails; a pool that does not do what its policy's name says is found out.
local dkjson = require "dkjson"
local heapwright = require "heapwright"

local command = require "spec.support.command"
local experiment = require "heapwright.theory.experiment"
local policies = require "heapwright.policies"
local states = require "heapwright.states"
local theory = require "heapwright.theory"

local write = command.write

local function verify(arguments)
  return command.shell(("%s verify %s </dev/null"):format(command.path, arguments))
end

local IDS = { "T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10" }

before_each(command.enter)
after_each(command.leave)

describe("heapwright verify --quick", function()
  local quick -- what it found

  it("finds every statement to hold, under every policy, and ends with 0", function()
    local out, err, code = verify "--quick --json"
    assert.equal(0, code, out .. err)
    assert.equal("", err)
    local object = assert(dkjson.decode(out))
    quick = object
    assert.equal(heapwright.version, object.heapwright)
    assert.equal(1, object.seed)
    assert.is_true(object.quick)
    assert.is_true(object.ok)
    local seen = {}
    for i, finding in ipairs(object.statements) do
      seen[i] = finding.id
      for _, key in ipairs { "title", "statement", "source", "tolerance" } do assert.is_string(finding[key]) end
      -- T8 is not run where the machine has too few programs to record.
      if finding.id ~= "T8" or #finding.results > 0 then
        assert.equal("holds", finding.verdict, finding.id)
        assert.is_true(#finding.results > 0)
      end
      local controls = 0
      for _, row in ipairs(finding.results) do
        for _, key in ipairs { "policy", "measured", "seen" } do assert.is_string(row[key]) end
        assert.is_truthy(row.verdict == "holds" or row.verdict == "shown", finding.id .. " " .. row.policy)
        if row.control then controls = controls + 1 end
      end
      if #finding.results > 0 then assert.is_true(controls > 0, finding.id .. " has a control") end
    end
    assert.same(IDS, seen)
  end)

  it("shows Robson's values for the four policies, and all pairs of M and n", function()
    local finding = quick.statements[1]
    local exact, pairs_exact = {}, {}
    for _, row in ipairs(finding.results) do
      if row.seen == "23, 753" and row.bound == "= 23, 753" then exact[row.policy] = true end
      if row.measured == "of 81 (M, n), those that need N exactly" and row.seen == "81" then
        pairs_exact[row.policy] = true
      end
    end
    local four = { ["best-fit"] = true, ["first-fit"] = true, ["next-fit"] = true, ["worst-fit"] = true }
    assert.same(four, exact)
    assert.same(four, pairs_exact)
  end)
end)

describe("heapwright verify", function()
  it("prints statement, source, bound, seen and verdict in 80 columns", function()
    local out, err, code = verify "--quick --only t5,T2,T9,T10 -p best-fit/random,first-fit/lifo,good-fit,next-fit"
    assert.equal(0, code, err)
    for line in out:gmatch "[^\n]*" do assert.is_true((utf8.len(line) or #line) <= 80, line) end
    local at = 1
    for _, words in ipairs {
      "T2  The pin attack: holds", "Allocate m − 1, allocate 1", "Source: ", "Tolerance: ", "bound", "seen", "verdict",
      "high water, m = 16, n = 64", "= 1024", "holds", "T5  Rounding of good fit: holds", "< 1.5625 %", "1.5594 %",
      "T9  ", "T10  ", "Seed 1, quick; holds: T2, T5, T9, T10.",
    } do
      local from, to = out:find(words, at, true)
      assert.is_truthy(from, words .. " in\n" .. out)
      at = to
    end
  end)

  it("prints the same for the same seed, and says which it was", function()
    local arguments = "--quick --only T9 --policy worst-fit --seed "
    local first, second, other = verify(arguments .. "7"), verify(arguments .. "7"), verify(arguments .. "8")
    assert.equal(first, second)
    assert.not_equal(first, other)
    assert.is_truthy(first:find("Seed 7, quick; holds: T9.", 1, true), first)
  end)

  it("says what a statement says of no policy that was asked for, and ends with 0", function()
    local out, _, code = verify "--quick --only T4,T7 --policy slab"
    assert.equal(0, code)
    assert.is_truthy(out:find("it speaks of none of the policies asked for", 1, true), out)
    assert.is_truthy(out:find("not run: T4, T7", 1, true), out)
  end)

  it("ends with 1, and says which, where a statement fails: traces that are torn", function()
    -- The pin attack as a trace, which no policy withstands where the pins come first.
    local paths = {}
    for number = 1, 5 do
      local lines = {}
      for i = 1, 200 do
        lines[#lines + 1] = ("a %d %d\na %d 16"):format(2 * i, 160 + 16 * i + number, 2 * i + 1)
      end
      for i = 1, 199 do lines[#lines + 1] = ("f %d"):format(2 * i) end
      for i = 1, 150 do lines[#lines + 1] = ("a %d 8000"):format(1000 + i) end
      paths[number] = write(("torn%d.txt"):format(number), table.concat(lines, "\n") .. "\n")
    end
    local out, _, code = verify("--only T8 --traces " .. table.concat(paths, " "))
    assert.equal(1, code)
    assert.is_truthy(out:find("T8  Real programs: fails", 1, true), out)
    assert.is_truthy(out:find("fails: T8", 1, true), out)
    local object = dkjson.decode((verify("--json --only T8 --traces " .. table.concat(paths, " "))))
    assert.is_false(object.ok)
    assert.equal("fails", object.statements[1].verdict)
  end)

  it("does not judge too few traces, says so, and ends with 0", function()
    local path = write("one.txt", "a 1 100\nf 1\n")
    local out, _, code = verify("--only T8 --traces " .. path)
    assert.equal(0, code)
    assert.is_truthy(out:find("not run", 1, true), out)
    assert.is_truthy(out:find("0 traces of 100 allocations and more, 5 are wanted", 1, true), out)
  end)

  it("leaves no file behind", function()
    command.shell(("TMPDIR=%s %s verify --quick --only T8"):format(command.folder, command.path))
    assert.equal("", (command.shell(("ls %s"):format(command.folder))))
  end)
end)

describe("heapwright verify's exit code and its one line", function()
  for _, case in ipairs {
    { "an unknown statement", "--only T1,T11", "--only: unknown statement 'T11'; known are T1, T2, " },
    { "an empty one", "--only ''", "--only: unknown statement ''" },
    { "an unknown policy", "--policy worse-fit", "unknown policy 'worse-fit'" },
    { "a seed that is none", "--seed x", "--seed: 'x' is no integer" },
    { "a trace that is not there", "--traces @/none.hwt", "none.hwt: No such file or directory" },
    { "a trace that is none", "--traces @/words.txt", "words.txt:1: " },
    { "traces for nothing", "--only T1 --traces @/good.txt", "--traces: they are for T8, which --only leaves out" },
    { "an unknown option", "--fast", "unknown option '--fast'" },
  } do
    it("are 2 and what is wrong, for " .. case[1], function()
      write("words.txt", "these are words\n")
      write("good.txt", "a 1 100\n")
      local out, err, code = verify((case[2]:gsub("@", command.folder)))
      assert.equal(2, code, err)
      assert.equal("", out)
      assert.equal(1, select(2, err:gsub("\n", "")))
      assert.is_truthy(err:find(case[3], 1, true), err)
    end)
  end

  it("--help fits 80 columns and gives an example", function()
    local out, _, code = verify "--help"
    assert.equal(0, code)
    assert.is_truthy(out:find("Examples:", 1, true))
    for line in out:gmatch "[^\n]*" do assert.is_true(utf8.len(line) <= 80, line) end
  end)
end)

-- ---- Pools that are not what they are called ---------------------------------------------

-- What a statement finds under the policies named, with pools opened by `open`.
local function finding_of(id, names, open)
  local choices = assert(policies.parse_list(names))
  local findings = theory.verify({ theory.statements[id] }, choices, { seed = 1, quick = true }, function(jobs)
    local results = {}
    for i, job in ipairs(jobs) do results[i] = theory.work(job, open) end
    return results
  end)
  return findings[1]
end

-- Opens another policy than is asked for.
local function instead(names)
  return function(choice, units, seed)
    local other = names[choice.policy]
    return experiment.open(other and { policy = other, label = other } or choice, units, seed)
  end
end

-- Opens more units than are asked for.
local function larger(by)
  return function(choice, units, seed) return experiment.open(choice, units + by, seed) end
end

describe("a statement", function()
  for _, case in ipairs {
    { "T1", "first-fit", "a pool of one unit more than it says", larger(1) },
    { "T1", "best-fit", "a best fit that rounds as slab does", instead { ["best-fit"] = "slab" } },
    { "T1", "good-fit", "a pool of one unit more, of a policy that is held to the bound alone", larger(1) },
    { "T2", "first-fit", "a first fit that is next fit", instead { ["first-fit"] = "next-fit" } },
    { "T2", "worst-fit", "a worst fit that is first fit", instead { ["worst-fit"] = "first-fit" } },
    { "T3", "first-fit", "neighbours that don't join", instead { ["first-fit"] = "buddy" } },
    { "T4", "buddy", "buddies that don't round", instead { buddy = "best-fit" } },
    { "T4", "buddy,first-fit", "a first fit that rounds", instead { ["first-fit"] = "buddy" } },
    { "T5", "good-fit", "a good fit that looks at every block", instead { ["good-fit"] = "best-fit" } },
    { "T5", "best-fit", "a best fit that passes blocks by", instead { ["best-fit"] = "good-fit" } },
    { "T6", "best-fit", "a best fit that is first fit", instead { ["best-fit"] = "first-fit" } },
    { "T6", "first-fit", "a first fit that is next fit", instead { ["first-fit"] = "next-fit" } },
    { "T7", "best-fit", "first and best fit exchanged",
      instead { ["first-fit"] = "best-fit", ["best-fit"] = "first-fit" } },
    { "T9", "next-fit", "a next fit that is monotone", instead { ["next-fit"] = "first-fit" } },
    { "T9", "first-fit", "a first fit that is not", instead { ["first-fit"] = "worst-fit" } },
    { "T10", "best-fit", "a pool of more than it says", larger(3) },
  } do
    it(("fails for %s (%s)"):format(case[3], case[1]), function()
      assert.equal("fails", finding_of(case[1], case[2], case[4]).verdict)
    end)
  end

  it("raises where a pool is broken, rather than to judge it", function()
    local function broken(choice, units, seed)
      local mem = experiment.open(choice, units, seed)
      return setmetatable({ check = function() return nil, "at 0x0: broken", "corrupted" end }, {
        __index = function(_, name)
          return function(_, ...) return mem[name](mem, ...) end
        end,
      })
    end
    local ok, message = pcall(finding_of, "T2", "first-fit", broken)
    assert.is_false(ok)
    assert.is_truthy(tostring(message):find("at 0x0: broken", 1, true), message)
  end)
end)

describe("the work of a statement", function()
  it("comes out the same on one thread, on several and without any", function()
    local choices = assert(policies.parse_list "best-fit,next-fit,slab")
    local settings = { seed = 3, quick = true }
    local jobs = theory.statements.T9.jobs(choices, settings)
    for i, job in ipairs(theory.statements.T6.jobs(choices, settings)) do jobs[3 + i] = job end
    local here = {}
    for i, job in ipairs(jobs) do here[i] = theory.work(job) end
    assert.same(here, theory.work_all(jobs, 1))
    local told
    assert.same(here, theory.work_all(jobs, 4, function(done, total) told = { done, total } end))
    assert.same({ #jobs, #jobs }, told)
  end)

  describe("without threads", function()
    local spawn, started = states.spawn, 0

    before_each(function()
      started = 0
      states.spawn = function()
        started = started + 1
        return nil, "the system starts no thread", "io"
      end
    end)
    after_each(function() states.spawn = spawn end)

    it("is done by the caller", function()
      local jobs = theory.statements.T2.jobs(assert(policies.parse_list "best-fit,next-fit"), { seed = 1 })
      local results = theory.work_all(jobs, 2)
      assert.equal(2, started)
      assert.same({ 79, 1087 }, results[1].high)
      assert.same({ 1024, 65536 }, results[2].high)
    end)

    it("is done by the caller where a policy is a function of its state: no thread is asked", function()
      local mine = { policy = "best-fit", label = "my-fit", scripted = true }
      local jobs = theory.statements.T2.jobs({ mine }, { seed = 1 })
      assert.same({ 79, 1087 }, theory.work_all(jobs, 2)[1].high)
      assert.equal(0, started)
    end)
  end)

  it("that raises on a thread is told with the statement", function()
    local ok, message = pcall(theory.work_all, { { id = "T2", policy = { policy = "no-fit", label = "no-fit" } } }, 2)
    assert.is_false(ok)
    assert.is_truthy(message:find("^T2: "), message)
    assert.is_truthy(message:find("no%-fit"), message)
  end)
end)
