-- A user's own specs: a little queue whose entries live in a pool, and what it
-- promises about memory, under busted.
--
--   eval "$(build/heapwright env)"
--   lua5.4 /usr/bin/busted -C examples -o TAP pool_spec.lua
local heapwright = require "heapwright"
local property = require "heapwright.property"
require "heapwright.assertions"

-- The code under test: first in, first out, each entry a block.
local Queue = {}
Queue.__index = Queue

local function new_queue(mem)
  return setmetatable({ mem = mem, first = 1, last = 0 }, Queue)
end

function Queue:push(text)
  local address, message, code = self.mem:alloc(#text)
  if not address then return nil, message, code end
  assert(self.mem:write(address, text))
  self.last = self.last + 1
  self[self.last] = address
  return true
end

function Queue:pop()
  local address = self[self.first]
  if not address then return nil end
  local text = assert(self.mem:read(address, self.mem:size(address)))
  assert(self.mem:free(address))
  self[self.first], self.first = nil, self.first + 1
  return text
end

-- One suite for every policy: what a queue promises does not depend on placement.
for _, policy in ipairs { "best-fit", "next-fit", "buddy", "slab" } do
  describe("a queue in a " .. policy .. " pool", function()
    local mem, queue

    before_each(function()
      mem = heapwright.new { capacity = "64K", policy = policy }
      queue = new_queue(mem)
    end)

    after_each(function()
      assert.sound(mem) -- whatever a spec did
      mem:close()
    end)

    it("hands out what was put in, in order", function()
      queue:push "one"
      queue:push "two"
      assert.equal("one", queue:pop())
      assert.equal("two", queue:pop())
      assert.is_nil(queue:pop())
    end)

    it("gives all of its memory back", function()
      for i = 1, 100 do
        queue:push(("x"):rep(i))
      end
      repeat until not queue:pop()
      assert.no_leaks(mem)
    end)

    it("says so when the pool is full, and goes on", function()
      local pushed, _, code
      repeat
        pushed, _, code = queue:push(("x"):rep(1000))
      until not pushed
      assert.equal("no_memory", code)
      assert.equal(1000, #queue:pop())
      assert.is_true(queue:push(("y"):rep(1000)))
    end)

    it("does what a list does, whatever is called in whatever order", function()
      property.check {
        capacity = "2K", policy = policy, operations = 50, runs = 20, seed = 1,
        setup = function(pool) return new_queue(pool), {} end,
        commands = {
          push = {
            weight = 2,
            draw = function(g) return g:string(0, 100) end,
            run = function(it, list, text)
              local pushed, _, code = it:push(text)
              if pushed then table.insert(list, text) end
              return pushed or code == "no_memory"
            end,
          },
          pop = { run = function(it, list) assert.equal(table.remove(list, 1), it:pop()) end },
        },
        finish = function(it) repeat until not it:pop() end,
      }
    end)
  end)
end

-- Output:
-- ok 1 - a queue in a best-fit pool hands out what was put in, in order
-- ok 2 - a queue in a best-fit pool gives all of its memory back
-- ok 3 - a queue in a best-fit pool says so when the pool is full, and goes on
-- ok 4 - a queue in a best-fit pool does what a list does, whatever is called in whatever order
-- ok 5 - a queue in a next-fit pool hands out what was put in, in order
-- ok 6 - a queue in a next-fit pool gives all of its memory back
-- ok 7 - a queue in a next-fit pool says so when the pool is full, and goes on
-- ok 8 - a queue in a next-fit pool does what a list does, whatever is called in whatever order
-- ok 9 - a queue in a buddy pool hands out what was put in, in order
-- ok 10 - a queue in a buddy pool gives all of its memory back
-- ok 11 - a queue in a buddy pool says so when the pool is full, and goes on
-- ok 12 - a queue in a buddy pool does what a list does, whatever is called in whatever order
-- ok 13 - a queue in a slab pool hands out what was put in, in order
-- ok 14 - a queue in a slab pool gives all of its memory back
-- ok 15 - a queue in a slab pool says so when the pool is full, and goes on
-- ok 16 - a queue in a slab pool does what a list does, whatever is called in whatever order
-- 1..16
