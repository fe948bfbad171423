-- SPDX-License-Identifier: MIT
-- Promises of heapwright suggest: the choice needs the least of all that were tried in the half that it saw, by
-- fit's own figures; the half that it did not see says whether it holds; classes are the best there are.
local command = require "spec.support.command"
local dkjson = require "dkjson"
local heapwright = require "heapwright"
local size_classes = require "heapwright.size_classes"

local COMMAND, write = command.path, command.write

local function heapwright_command(arguments)
  return command.shell(("%s %s </dev/null"):format(COMMAND, arguments))
end

local function report(arguments)
  local out, err, code = heapwright_command(arguments .. " --json")
  assert.equal("", err)
  assert.equal(0, code)
  return assert(dkjson.decode(out))
end

before_each(command.enter)
after_each(command.leave)

-- So many events of blocks of the sizes that `draw` gives, up to `most` at once.
local function churn(count, most, draw, first_id)
  local lines, live, id = {}, {}, first_id or 1
  while #lines < count do
    if #live < most // 4 or math.random(2) == 1 and #live < most then
      lines[#lines + 1] = ("a %d %d"):format(id, draw())
      live[#live + 1], id = id, id + 1
    else
      lines[#lines + 1] = ("f %d"):format(table.remove(live, math.random(#live)))
    end
  end
  for _, left in ipairs(live) do lines[#lines + 1] = ("f %d"):format(left) end
  return lines, id
end

local function total(need) return need.smallest_pool and need.smallest_pool + need.metadata or math.huge end

describe("heapwright suggest", function()
  local function trace()
    math.randomseed(7)
    local lines = churn(700, 100, function()
      return ({ 20, 24, 40, 100, 200 })[math.random(5)] + (math.random(10) == 1 and math.random(1000) or 0)
    end)
    return write("trace.txt", table.concat(lines, "\n") .. "\n"), #lines
  end

  it("has fit's figures of each half, and chooses the least of the first", function()
    local path, events = trace()
    local got = report("suggest " .. path)
    assert.equal(events // 2, got.cut)
    assert.equal(events, got.source.events)
    local halves = { { nil, "," .. got.cut }, { "unseen", got.cut + 1 .. "," } }
    local own = 0
    for _, result in ipairs(got.results) do
      local classes = ""
      if result.classes then
        own = own + 1
        classes = " --classes " .. write("classes", table.concat(result.classes, "\n"))
      end
      for _, half in ipairs(halves) do
        local fitted = report(("fit %s -p %s --granule %d --window %s%s"):format(path, result.policy, result.granule,
          half[2], classes)).results[1]
        assert.equal(fitted.smallest_pool, (half[1] and result[half[1]] or result).smallest_pool)
      end
      assert.is_true(total(got.choice) <= total(result))
    end
    assert.is_true(own >= 1)
    assert.is_true(got.candidates > #got.results)
  end)

  it("says what each saves, and ranks them in the half that was not seen", function()
    local got = report("suggest " .. trace())
    local default
    for _, result in ipairs(got.results) do
      if result.policy == "best-fit" and result.granule == 16 then default = result end
    end
    local ranks = {}
    for i, result in ipairs(got.results) do
      assert.is_true(math.abs(1 - total(result) / total(default) - result.saves) < 1e-12)
      assert.is_true(math.abs(1 - total(result.unseen) / total(default.unseen) - result.unseen.saves) < 1e-12)
      assert.is_nil(ranks[result.unseen.rank])
      ranks[result.unseen.rank] = result
      if i > 1 then assert.is_true(total(got.results[i - 1]) <= total(result)) end
    end
    for rank = 2, #got.results do assert.is_true(total(ranks[rank - 1].unseen) <= total(ranks[rank].unseen)) end
    assert.equal(got.choice.unseen.saves >= 0, got.held)
    local advised = got.held and got.choice or default
    assert.same(advised.policy, got.advice.policy)
    assert.same(advised.granule, got.advice.granule)
    local fitted = report(("fit %s -p %s --granule %d%s"):format(command.folder .. "/trace.txt", advised.policy,
      advised.granule, advised.classes and " --classes " .. write("classes", table.concat(advised.classes, "\n"))
        or "")).results[1]
    assert.equal(fitted.smallest_pool, got.whole.smallest_pool)
  end)

  it("is the same from run to run", function()
    local path = trace()
    local first = heapwright_command("suggest --json " .. path)
    assert.equal(first, (heapwright_command("suggest --json " .. path)))
  end)

  it("prints at 80 columns a table, a sentence, and lines of code that open such a pool", function()
    local out, err, code = heapwright_command("suggest " .. trace())
    assert.equal("", err)
    assert.equal(0, code)
    for line in out:gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 80, line) end
    assert.truthy(out:find("policy%s+granule%s+classes"), out)
    local words = out:gsub("%s+", " ")
    assert.truthy(words:find("The choice held: on the half that it did not see it needs %d+%.%d%% less than best%-fit, "
      .. "rank %d+ of %d+%."), out)
    local source = out:match "(heapwright%.new %b{})"
    local mem <close> = assert(load("local heapwright = ... return " .. source))(heapwright)
    assert.is_true(mem:check())
    assert.truthy(words:find("hpw_open(&(hpw_config){ .capacity = " .. mem:stats().capacity, 1, true))
  end)

  it("says so where the choice does not hold, and stays with the default", function()
    math.randomseed(3)
    local lines, id = churn(8000, 4000, function() return 24 end) -- granules of 8 save a quarter
    local more = churn(#lines - 1001, 1000, function() return 1024 end, id) -- and here cost metadata
    table.move(more, 1, #more, #lines + 1, lines)
    local path = write("trace.txt", table.concat(lines, "\n") .. "\n")
    local got = report("suggest -p best-fit " .. path)
    assert.equal(8, got.choice.granule)
    assert.is_true(got.choice.saves > 0.1)
    assert.is_true(got.choice.unseen.saves < 0)
    assert.is_false(got.held)
    assert.equal(16, got.advice.granule)
    local out = heapwright_command("suggest -p best-fit " .. path):gsub("%s+", " ")
    assert.truthy(out:find("The choice did not hold: on the half that it did not see it needs %d+%.%d%% more than "
      .. "best%-fit, rank %d of %d%. Stay with best%-fit%."), out)
    assert.truthy(out:find('policy = "best-fit", granule = 16 }', 1, true), out)
  end)

  it("stays with the default where nothing needs less", function()
    local lines = {}
    for i = 1, 2000 do lines[i] = ("a %d 16"):format(i) end
    for i = 1, 2000 do lines[2000 + i] = ("f %d"):format(i) end
    local path = write("t.txt", table.concat(lines, "\n") .. "\n")
    local out, _, code = heapwright_command("suggest -p best-fit " .. path)
    assert.equal(0, code)
    assert.truthy(out:gsub("%s+", " "):find("best-fit with granules of 16 bytes, the default, needs the least: stay "
      .. "with it.", 1, true), out)
  end)

  it("writes classes that compare and fit take", function()
    local path = trace()
    local file = command.folder .. "/out.classes"
    local got = report(("suggest %s -p slab --classes-out %s"):format(path, file))
    local best
    for _, result in ipairs(got.results) do best = best or result.classes and result end
    assert.same(best.classes, assert(size_classes.read(file, best.granule)))
    local fitted = report(("fit %s -p slab --granule %d --classes %s --window ,%d"):format(path, best.granule, file,
      got.cut))
    assert.equal(best.smallest_pool, fitted.results[1].smallest_pool)
    local out = heapwright_command(("suggest %s -p slab --classes-out %s"):format(path, file))
    assert.truthy(out:find(("for granules of %d bytes"):format(best.granule), 1, true), out)
  end)

  it("takes a scenario, of which one run is recorded", function()
    local path = write("s.lua", [[return heapwright.scenario {
      name = "churned", run = function(mem, s) for _ = 1, 50 do mem:free(mem:alloc(s:uniform(1, 100))) end end }]])
    assert.equal("churned", report("suggest -p first-fit " .. path).source.name)
  end)

  local refused = {
    { "no trace", "suggest", "missing argument 'source'" },
    { "a file that is not there", "suggest @/none", "none: No such file or directory" },
    { "a folder", "suggest @", "is a folder" },
    { "one event", "suggest @/one.txt", "one.txt: one event, which makes no two halves" },
    { "a trace of another kind", "suggest @/words.txt", "words.txt:1: " },
    { "an unknown policy", "suggest @/two.txt -p x", "unknown policy 'x'" },
    { "classes of a policy that has none", "suggest @/two.txt -p buddy --classes-out @/c",
      "--classes-out: the classes are slab's, which is not among the policies" },
    { "classes of blocks that are all too large", "suggest @/large.txt -p slab --json --classes-out @/c",
      "c: no classes to write: no block of 64 granules or less is live at the peak" },
    { "classes that can't be written", "suggest @/two.txt -p slab --json --classes-out @/no/c",
      "no/c: No such file or directory" },
    { "several scenarios", "suggest @/two.lua -p buddy --json", "two.lua: several scenarios; suggest takes one" },
  }
  for _, case in ipairs(refused) do
    it("ends with 2 and one line, for " .. case[1], function()
      write("one.txt", "a 1 5\n")
      write("two.txt", "a 1 5\nf 1\n")
      write("large.txt", "a 1 100000\nf 1\n")
      write("words.txt", "these are words\n")
      local one = "heapwright.scenario { name = 'n', run = function(mem) mem:free(mem:alloc(1)) end }"
      write("two.lua", "return { " .. one .. ", " .. one .. " }")
      local _, err, code = heapwright_command((case[2]:gsub("@", command.folder)))
      assert.equal(2, code)
      assert.truthy(err:find(case[3], 1, true), err)
      assert.equal(1, select(2, err:gsub("\n", "")))
    end)
  end
end)

describe("size classes", function()
  -- The waste of these classes, in granules of a page's 256.
  local function waste(blocks, classes)
    local sum = 0
    for size, count in pairs(blocks) do
      local class
      for _, one in ipairs(classes) do class = class or one >= size and one end
      if not class then return math.huge end
      sum = sum + count * (256 / (256 // class) - size)
    end
    return sum
  end

  -- The least of all lists of at most k classes from `from` to `largest`.
  local function least(blocks, k, from, largest, classes)
    local best = #classes > 0 and waste(blocks, classes) or math.huge
    if k == 0 then return best end
    for class = from, largest do
      classes[#classes + 1] = class
      best = math.min(best, least(blocks, k - 1, class + 1, largest, classes))
      classes[#classes] = nil
    end
    return best
  end

  it("waste as little as the best of all lists that there are", function()
    math.randomseed(11)
    for _ = 1, 60 do
      local granule, k, blocks, counts = 8 << math.random(0, 3), math.random(3), {}, {}
      for _ = 1, math.random(8) do
        local size = math.random(14)
        local count = math.random(100)
        blocks[size] = (blocks[size] or 0) + count
        local bytes = size * granule - math.random(0, granule - 1)
        counts[bytes] = (counts[bytes] or 0) + count
      end
      local classes, wasted = size_classes.best(counts, granule, k)
      local expected = least(blocks, k, 1, 18, {})
      local in_granules = {}
      for i, class in ipairs(classes) do in_granules[i] = class // granule end
      assert.is_true(math.abs(expected * granule - wasted) < 1e-6)
      assert.is_true(math.abs(waste(blocks, in_granules) - expected) < 1e-6)
      assert.is_true(#classes >= 1 and #classes <= k)
    end
  end)

  it("are none where no block is small enough, and one for blocks of size 0", function()
    assert.same({}, (size_classes.best({}, 16, 4)))
    assert.same({}, (size_classes.best({ [1025] = 7 }, 16, 4)))
    assert.same({ 16 }, (size_classes.best({ [0] = 7 }, 16, 4)))
    assert.same({ 1024 }, (size_classes.best({ [1024] = 7 }, 16, 4)))
  end)

  it("are those that open a pool", function()
    math.randomseed(5)
    for _ = 1, 20 do
      local counts = {}
      for _ = 1, 100 do counts[math.random(0, 5000)] = math.random(50) end
      local granule = 8 << math.random(0, 3)
      local classes = size_classes.best(counts, granule, 20)
      local mem <close> = assert(heapwright.new { policy = "slab", granule = granule, classes = classes })
      for i, class in ipairs(classes) do
        assert.equal(class, mem:usable_size(mem:alloc((classes[i - 1] or 0) + 1)))
      end
    end
  end)
end)
