-- Three tenants share a pool of 8 MiB, each with 1 MiB for itself. One is a memory
-- bomb and one never ends; both are stopped, and the third goes on as if it were
-- alone. When they are gone, so is everything that they had.
--
--   heapwright run examples/tenants.lua
local heapwright = require "heapwright"

local mem = heapwright.new { capacity = "8M", policy = "slab" }

local function tenant()
  return assert(heapwright.state { pool = mem, limit = "1M", instructions = 10000000 })
end

local books, bomb, loop = tenant(), tenant(), tenant()

assert(books:eval [[
  local entries = {}
  function enter(day, amounts)
    for _, amount in ipairs(amounts) do entries[#entries + 1] = { day = day, amount = amount } end
    local sum = 0
    for _, entry in ipairs(entries) do sum = sum + entry.amount end
    return { entries = #entries, sum = sum }
  end
  return true
]])

-- What went wrong, without the numbers, which differ between versions of Lua.
local function tell(what, _, message, code)
  print(what, code, message:match "not enough memory" or message:match "out of instructions")
end

for day = 1, 3 do
  local book = books:call("enter", day, { 10 * day, 20 * day, 30 * day })
  print(("day %d: %d entries, %d in all"):format(day, book.entries, book.sum))
  tell("  the bomb:", bomb:eval "local t = {} while true do t[#t + 1] = ('x'):rep(100) .. #t end")
  tell("  the loop:", loop:eval "while true do pcall(function() while true do end end) end")
end

-- They are bounded, not broken: each can be used again.
print(bomb:eval "return 'the bomb', 1 + 1")
assert(bomb:stats().peak_in_use <= 1 << 20)

for _, state in ipairs { books, bomb, loop } do assert(state:close()) end
print(("%d blocks are left in the pool"):format(mem:stats().live_blocks))

-- Output:
-- day 1: 3 entries, 60 in all
--   the bomb:	limit	not enough memory
--   the loop:	limit	out of instructions
-- day 2: 6 entries, 180 in all
--   the bomb:	limit	not enough memory
--   the loop:	limit	out of instructions
-- day 3: 9 entries, 360 in all
--   the bomb:	limit	not enough memory
--   the loop:	limit	out of instructions
-- the bomb	2
-- 0 blocks are left in the pool
