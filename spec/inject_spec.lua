-- SPDX-License-Identifier: MIT
-- Failures by plan: which requests fail, what a failed one leaves, what Lua states see of it.
local contract = require "spec.support.contract"
local heapwright = require "heapwright"

-- What bump needs to have its bytes back.
local function reclaim(mem)
  if mem:policy() == "bump" and mem:stats().live_blocks == 0 then mem:reset() end
end

-- Requests of 100 bytes, each freed at once: those that fail as x, the others as dots.
local function pattern(mem, count)
  local seen = {}
  reclaim(mem)
  for i = 1, count do
    local address, _, code = mem:alloc(100)
    seen[i] = address and "." or "x"
    if address then mem:free(address) else assert.equal("no_memory", code) end
  end
  return table.concat(seen)
end

local function fails(mem, plan, expected)
  assert.is_true(mem:inject(plan))
  assert.equal(expected, pattern(mem, #expected))
  local ok, requests, injected = mem:inject()
  assert.same({ true, #expected, select(2, expected:gsub("x", "")) }, { ok, requests, injected })
  assert.equal(("."):rep(20), pattern(mem, 20))
end

for _, rule in ipairs(contract.rules()) do
  describe("every policy, " .. rule.label .. ",", function()
    local mem

    before_each(function()
      mem = assert(heapwright.new { capacity = "64K", policy = rule.policy, order = rule.order })
    end)
    after_each(function() mem:close() end)

    it("fails the n-th request, and that one alone", function()
      fails(mem, { after = 1 }, "x.......")
      fails(mem, { after = 5 }, "....x...")
      fails(mem, { after = math.maxinteger }, "........")
    end)

    it("fails all from the n-th on where the plan is persistent", function()
      fails(mem, { after = 3, persistent = true }, "..xxxxxx")
      fails(mem, { after = 3, persistent = false }, "..x.....")
    end)

    it("fails each n-th", function()
      fails(mem, { every = 1 }, "xxxx")
      fails(mem, { every = 3 }, "..x..x..x.")
    end)

    it("fails as probability and seed say, the same each time", function()
      fails(mem, { probability = 1 }, "xxxx")
      local plan = { probability = 0.25, seed = 42 }
      mem:inject(plan)
      local first = pattern(mem, 400)
      local failed = select(2, first:gsub("x", ""))
      assert.is_true(failed > 60 and failed < 140, failed)
      fails(mem, plan, first)
      mem:inject { probability = 0.25, seed = 43 }
      assert.not_equal(first, pattern(mem, 400))
    end)

    it("counts and fails no request below size_at_least", function()
      fails(mem, { size_at_least = 100 }, "xxxx")
      fails(mem, { size_at_least = "64", every = 2 }, ".x.x")
      mem:inject { size_at_least = 101 }
      assert.equal("....", pattern(mem, 4))
      assert.is_nil((mem:alloc(101)))
      assert.same({ true, 1, 1 }, { select(1, mem:inject()), 1, 1 })
      mem:inject { after = 2, size_at_least = 101 }
      assert.equal("....", pattern(mem, 4))
      assert.is_truthy(mem:alloc(101))
      assert.is_nil((mem:alloc(101)))
    end)

    it("changes nothing with a request that fails", function()
      local held = contract.drive(mem, 5, 100, 300)
      local block = held[1] or { address = assert(mem:alloc(10)), size = 10 }
      local before, map = mem:stats(), mem:map(256)
      local bytes = mem:read(block.address)
      mem:inject { every = 1 }
      assert.is_nil((mem:alloc(10)))
      assert.is_nil((mem:malloc(10)))
      assert.is_nil((mem:calloc(3, 10)))
      assert.is_nil((mem:aligned_alloc(1024, 10)))
      assert.is_nil((mem:realloc(nil, 10)))
      assert.is_nil((mem:realloc(block.address, block.size + 1)))
      assert.same({ true, 6, 6 }, { select(1, mem:inject()), 6, 6 })
      local after = mem:stats()
      assert.same({ before.failures + 6, 6 }, { after.failures, after.injected })
      after.failures, after.injected = before.failures, 0
      assert.same(before, after)
      assert.equal(map, mem:map(256))
      assert.equal(bytes, mem:read(block.address))
      contract.consistent(mem)
    end)

    it("never fails what shrinks, frees or is refused for another reason, and does not count it", function()
      local a, gone = mem:alloc(100), mem:alloc(1)
      mem:free(gone)
      mem:inject { every = 1 }
      assert.equal("invalid_argument", select(3, mem:aligned_alloc(3, 1)))
      assert.equal("no_memory", select(3, mem:calloc(1 << 40, 1 << 40)))
      assert.is_nil(select(2, mem:calloc(1 << 40, 1 << 40)):find "injected")
      assert.equal("double_free", select(3, mem:realloc(gone, 500)))
      assert.equal(a, mem:realloc(a, 100))
      a = assert(mem:realloc(a, 20))
      assert.is_true(mem:free(a))
      assert.same({ true, 0, 0 }, { mem:inject() })
    end)

    it("places what it lets pass as if there were no plan", function()
      local plain <close> = heapwright.new { capacity = "64K", policy = rule.policy, order = rule.order }
      mem:inject { after = math.maxinteger }
      contract.drive(plain, 9, 300, 400)
      contract.drive(mem, 9, 300, 400)
      local _, requests = mem:inject()
      assert.is_true(requests > 100)
      local next_block = plain:blocks()
      for address, size, requested in mem:blocks() do
        assert.same({ address, size, requested }, { next_block() })
      end
      local one, other = plain:stats(), mem:stats()
      assert.same(one, other)
    end)

    it("keeps every promise while a third of the requests fail", function()
      mem:inject { probability = 0.34, seed = 3 }
      contract.drive(mem, 21, 1000, 300)
      local _, requests, injected = mem:inject()
      assert.is_true(injected > requests // 5 and injected < requests // 2)
      contract.consistent(mem)
    end)

    it("fails a state's requests, which ends its script and nothing else", function()
      local finished = 0
      for n = 1, 400, 7 do
        mem:inject { after = n, persistent = true }
        local state, message, code = heapwright.state { pool = mem, libs = { "os" } }
        if state then
          local done, why, limit = state:eval "local t = {} for i = 1, 20 do t[i] = { i .. 'x' } end return #t"
          if done == 20 then
            finished = finished + 1
          else
            assert.equal("limit", limit, why)
            assert.matches("injected: %d+ of its requests were refused by plan", why)
            assert.is_true(state:stats().injected > 0)
          end
          mem:inject()
          assert.equal(20, state:eval "local t = {} for i = 1, 20 do t[i] = { i .. 'x' } end return #t")
          assert.is_true(state:close())
        else
          assert.equal("no_memory", code)
          assert.matches("injected: .* refused by plan", message)
        end
        mem:inject()
        reclaim(mem)
        assert.equal(0, mem:stats().live_blocks)
        assert.is_true(mem:check())
      end
      assert.is_true(finished < 50)
    end)
  end)
end

describe("inject", function()
  local mem

  before_each(function() mem = assert(heapwright.new { capacity = "64K" }) end)
  after_each(function() mem:close() end)

  it("says in the message which request it was, counted from inject on", function()
    mem:inject { every = 1 }
    local told = {}
    for i = 1, 22 do told[i] = select(2, mem:malloc(i)) end
    assert.equal("injected: the 1st request since inject, of 1 byte", told[1])
    assert.equal("injected: the 2nd request since inject, of 2 bytes", told[2])
    assert.equal("injected: the 3rd request since inject, of 3 bytes", told[3])
    for i, ordinal in pairs { [4] = "4th", [11] = "11th", [12] = "12th", [13] = "13th", [21] = "21st" } do
      assert.equal(("injected: the %s request since inject, of %d bytes"):format(ordinal, i), told[i])
    end
    mem:inject()
    local a = mem:alloc(10)
    mem:inject { every = 1 }
    assert.same({ "realloc of 0x0: injected: the 1st request since inject, of 20 bytes", "no_memory" },
      { select(2, mem:realloc(a, 20)) })
    assert.matches("^injected: the 2nd", select(2, mem:calloc(2, 20)))
    assert.matches("^injected: the 3rd", select(2, mem:aligned_alloc(64, 20)))
  end)

  it("says so of nothing that the pool itself can't hold", function()
    mem:inject { after = 2 }
    assert.matches("^no free block of 65537 bytes", select(2, mem:alloc(65537)))
    assert.matches("^injected: the 2nd", select(2, mem:alloc(65537)))
    assert.matches("^no free block of 65537 bytes", select(2, mem:alloc(65537)))
    assert.equal(1, mem:stats().injected)
    assert.equal(3, mem:stats().failures)
  end)

  it("ends, and returns what the plan counted and where the first failed", function()
    assert.same({ true, 0, 0 }, { mem:inject() })
    mem:inject { every = 2 }
    mem:alloc(1)
    assert.is_nil((mem:alloc(1))); local line = debug.getinfo(1, "l").currentline
    mem:alloc(1)
    pcall(mem.alloc, mem, 1)
    local ok, requests, injected, place = mem:inject(false)
    assert.same({ true, 4, 2 }, { ok, requests, injected })
    assert.equal(line, tonumber(place:match "inject_spec%.lua:(%d+)$"))
    assert.same({ true, 0, 0 }, { mem:inject() })
    mem:inject { after = 1 }
    pcall(mem.alloc, mem, 1); line = debug.getinfo(1, "l").currentline -- no function of Lua calls it but this one
    assert.matches(":" .. line .. "$", select(4, mem:inject(nil)))
  end)

  it("replaces the plan before, and counts from 1 again", function()
    mem:inject { every = 1 }
    assert.is_nil((mem:alloc(1)))
    mem:inject { after = 2 }
    assert.equal(".x..", pattern(mem, 4))
    assert.same({ true, 4, 1 }, { select(1, mem:inject()), 4, 1 })
    assert.equal(2, mem:stats().injected)
    mem:inject { every = 1 }
    mem:alloc(1)
    mem:inject { every = 1 }
    mem:alloc(1); local line = debug.getinfo(1, "l").currentline
    assert.matches(":" .. line .. "$", select(4, mem:inject()))
  end)

  it("fails requests of a guarded pool, which leaves its quarantine as it is", function()
    local guarded <close> = heapwright.new { capacity = "64K", guard = "full" }
    fails(guarded, { every = 3 }, "..x..x..x")
    fails(guarded, { after = 2, persistent = true }, ".xxx")
    local a = guarded:alloc(100)
    local before = guarded:stats()
    assert.is_true(before.quarantined > 0)
    guarded:inject { every = 1 }
    for i, request in ipairs {
      function() return guarded:alloc(100) end, function() return guarded:malloc(60000) end,
      function() return guarded:calloc(2, 8) end, function() return guarded:aligned_alloc(1024, 8) end,
      function() return guarded:realloc(a, 101) end, function() return guarded:realloc(nil, 1) end,
    } do
      local address, message, code = request()
      assert.same({ false, "no_memory" }, { address or false, code })
      assert.matches("injected: the " .. i .. "%l%l request since inject", message)
    end
    local after = guarded:stats()
    assert.equal(a, guarded:realloc(a, 50))
    local ok, requests, injected, place = guarded:inject()
    assert.same({ true, 6, 6 }, { ok, requests, injected })
    assert.matches("inject_spec.lua:%d+$", place)
    assert.same({ before.quarantined, before.live_blocks, before.granted },
      { after.quarantined, after.live_blocks, after.granted })
    assert.is_true(guarded:check())
  end)

  it("outlives a reset", function()
    mem:inject { after = 2 }
    mem:alloc(1)
    mem:reset()
    assert.is_nil((mem:alloc(1)))
    assert.is_truthy(mem:alloc(1))
  end)

  it("lets a pool that would grow stay as it is", function()
    local grows <close> = heapwright.new { capacity = "64K", max_capacity = "1M" }
    grows:inject { after = 1 }
    assert.is_nil((grows:alloc(100000)))
    assert.equal(65536, grows:stats().capacity)
    assert.is_truthy(grows:alloc(100000))
  end)

  it("works with caches of threads, which rest meanwhile", function()
    local cached <close> = heapwright.new { policy = "slab", thread_caches = 4 }
    for _ = 1, 100 do cached:alloc(40) end
    fails(cached, { every = 3 }, "..x..x..x")
    for _ = 1, 100 do assert(cached:alloc(40)) end
    assert.is_true(cached:check())
  end)

  it("works without lock, with other granules, and in a recording", function()
    for _, options in ipairs { { thread_safe = false }, { granule = 64 }, { guard = "off" } } do
      local other <close> = heapwright.new(options)
      fails(other, { every = 3 }, "..x..x..x")
    end
    local path = os.tmpname()
    mem:record(path)
    mem:inject { after = 2 }
    assert.equal(".x.", pattern(mem, 3))
    local _, events = mem:record()
    assert.equal(4, events)
    os.remove(path)
  end)

  it("is the same from every handle of the pool: a thread's requests fail too", function()
    mem:inject { every = 1 }
    local thread = heapwright.spawn(mem, function(pool)
      local address, message, code = pool:alloc(10)
      return address or false, message, code
    end)
    local address, message, code = thread:join()
    assert.same({ false, "injected: the 1st request since inject, of 10 bytes", "no_memory" },
      { address, message, code })
    assert.is_nil((select(4, mem:inject()))) -- the place is the other handle's
  end)

  it("raises at the caller, naming the field, and keeps the plan before", function()
    mem:inject { after = 2 }
    for _, case in ipairs {
      { {}, "no request fails: after, every, probability or size_at_least wanted" },
      { { after = 0 }, "after: an integer from 1 on expected, got 0" },
      { { after = 1.5 }, "after: an integer from 1 on expected, got 1.5" },
      { { after = "3" }, "after: an integer from 1 on expected, got 3" },
      { { every = -1 }, "every: an integer from 1 on expected, got -1" },
      { { probability = 0 }, "probability: a number above 0 and at most 1 expected, got 0" },
      { { probability = 1.5 }, "probability: a number above 0 and at most 1 expected, got 1.5" },
      { { probability = 0 / 0 }, "probability: a number above 0 and at most 1 expected, got " },
      { { probability = "1" }, "probability: a number above 0 and at most 1 expected, got 1" },
      { { probability = 1, seed = 1.5 }, "seed: an integer expected, got 1.5" },
      { { size_at_least = 0 }, "size_at_least: a size from 1 on expected, got 0" },
      { { size_at_least = "12Q" }, "size_at_least: '12Q' is not a size" },
      { { size_at_least = -1 }, "size_at_least: '-1' is negative" },
      { { after = 1, persistent = 1 }, "persistent: a boolean expected, got 1" },
      { { every = 1, persistent = true }, "persistent: goes with after alone" },
      { { after = 1, seed = 1 }, "seed: goes with probability alone" },
      { { after = 1, every = 1 }, "after, every and probability: one of them at most" },
      { { every = 1, probability = 1 }, "after, every and probability: one of them at most" },
      { { aftr = 1 }, "unknown field 'aftr' (known: after, persistent, every, probability, seed, size_at_least)" },
      { { 1 }, "unknown field '1'" },
      { { ["after\0"] = 1 }, "unknown field 'after" },
    } do
      local ok, message = pcall(load("local mem, plan = ... mem:inject(plan)", "=here"), mem, case[1])
      assert.is_false(ok)
      assert.equal(1, message:find("here:1: bad argument #1 to 'inject' (" .. case[2], 1, true), message)
    end
    for _, wrong in ipairs { 5, "x", true, print } do assert.is_false((pcall(mem.inject, mem, wrong))) end
    assert.equal(".x.", pattern(mem, 3))
  end)

  it("has each field in the annotations", function()
    local _, message = pcall(mem.inject, mem, { [{}] = 1 })
    local known, fields, class = {}, {}, nil
    for name in message:match "known: ([%w_, ]+)":gmatch "[%w_]+" do known[name] = true end
    for line in io.lines "lua/library/heapwright.lua" do
      class = line:match "^%-%-%-@class ([%w.]+)" or class
      local field = line:match "^%-%-%-@field ([%w_]+)"
      if field and class == "heapwright.Injection" then fields[field] = true end
    end
    assert.same(known, fields)
  end)

  it("survives a plan whose error closes the pool", function()
    local closing = setmetatable({}, { __tostring = function() mem:close() return "gone" end })
    local ok, message = pcall(mem.inject, mem, { after = closing })
    assert.is_false(ok)
    assert.matches("got gone", message)
    assert.is_false((pcall(mem.inject, mem, { after = 1 })))
  end)
end)
