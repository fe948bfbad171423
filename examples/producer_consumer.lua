-- Two Lua states on two threads pass messages through a ring buffer in one pool.
-- The producer allocates a block for each message and puts its address into the
-- ring; the consumer reads the block and frees it. They share nothing but the
-- pool: `load` and `store` order what they do, and a lock made of `cas` protects
-- the one record that both change.
--
--   heapwright run examples/producer_consumer.lua
local heapwright = require "heapwright"

local MESSAGES <const>, SLOTS <const> = 5000, 64

-- Words of the ring, offsets from its address; the slots follow.
local layout = { put = 0, taken = 8, lock = 16, held = 24, most_held = 32, slots = 64, count = SLOTS }

-- Both threads begin with this: their functions are text, since they go to other states.
local common = [[
local mem, ring, at, messages = ...

-- Waits until the condition holds; that is all that a thread can do with words alone.
local function wait(condition)
  while not condition() do end
end

local function slot(number)
  return ring + at.slots + 8 * (number % at.count)
end

-- Bytes on their way, and the most that ever were: two words that change together.
local function account(bytes)
  wait(function() return mem:cas(ring + at.lock, 0, 1) end)
  local held = mem:load(ring + at.held) + bytes
  mem:store(ring + at.held, held)
  if held > mem:load(ring + at.most_held) then mem:store(ring + at.most_held, held) end
  mem:store(ring + at.lock, 0)
end
]]

local producer = common .. [[
local bytes = 0
for i = 0, messages - 1 do
  local text = ("message %d "):format(i):rep(1 + i % 7)
  local block = assert(mem:alloc(#text))
  assert(mem:write(block, text))
  account(#text)
  wait(function() return i - mem:load(ring + at.taken) < at.count end) -- room in the ring?
  mem:store(slot(i), block)
  mem:store(ring + at.put, i + 1) -- only now may the consumer see it
  bytes = bytes + #text
end
return messages, bytes
]]

local consumer = common .. [[
local bytes, in_order = 0, true
for i = 0, messages - 1 do
  wait(function() return mem:load(ring + at.put) > i end) -- anything there?
  local block = mem:load(slot(i))
  local text = assert(mem:read(block))
  in_order = in_order and tonumber(text:match "^message (%d+) ") == i
  assert(mem:free(block))
  mem:store(ring + at.taken, i + 1)
  account(-#text)
  bytes = bytes + #text
end
return messages, bytes, in_order
]]

local mem = heapwright.new { capacity = "1M", policy = "good-fit" }
local ring = assert(mem:malloc(layout.slots + 8 * SLOTS)) -- zeroed

local threads = {
  assert(heapwright.spawn(mem, producer, ring, layout, MESSAGES)),
  assert(heapwright.spawn(mem, consumer, ring, layout, MESSAGES)),
}
local sent, sent_bytes = assert(threads[1]:join())
local received, received_bytes, in_order = assert(threads[2]:join())

print(("sent      %d messages, %d bytes"):format(sent, sent_bytes))
print(("received  %d messages, %d bytes, %s"):format(received, received_bytes,
  in_order and "in order" or "out of order"))
print(("on their way now: %d bytes; never more than the ring's: %s"):format(
  mem:load(ring + layout.held), mem:load(ring + layout.most_held) <= (SLOTS + 2) * 7 * #"message 4999 "))

local stats = mem:stats()
print(("%d allocations, %d frees; left is the ring, of %d bytes"):format(stats.allocations, stats.frees, stats.in_use))
print("the pool is sound: " .. tostring(mem:check()))

-- Output:
-- sent      5000 messages, 255509 bytes
-- received  5000 messages, 255509 bytes, in order
-- on their way now: 0 bytes; never more than the ring's: true
-- 5001 allocations, 5000 frees; left is the ring, of 576 bytes
-- the pool is sound: true
