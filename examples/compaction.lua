-- Objects own blocks that may be moved: after compaction there is room in one piece
-- again. The pool is saved to a file then, and loaded under another policy.
--
--   heapwright run examples/compaction.lua
local heapwright = require "heapwright"

local mem = heapwright.new { capacity = "16K", policy = "first-fit" }

local messages = {}
for i = 1, 16 do
  messages[i] = assert(mem:block(1024))
  messages[i]:pack(0, "z", "message " .. i)
end
local raw -- an address that a script holds: its block stays where it is
for i = 1, 16, 2 do
  messages[i]:free()
  if i == 7 then raw = assert(mem:malloc(100)) end
end
mem:write(raw, "I stay")

local function show(when)
  local stats = mem:stats()
  print(("%-8s %s  %5d free, %5d in one piece"):format(when, mem:map(32), stats.free, stats.largest_free))
end

show "before:"
print(mem:malloc(6000))
print(("won %d bytes by moving %d blocks of %d bytes"):format(mem:compact()))
show "after:"
print("6000 bytes at " .. assert(mem:malloc(6000)))
print(messages[16]:unpack(0, "z") .. ", now at " .. messages[16]:address())
print(mem:read(raw, 6))

-- A range is held against the block's own bounds, and a block frees itself.
print(messages[16]:write(1020, "too long"))
do
  local scratch <close> = assert(mem:block(50))
  scratch:fill(0, 0xff, scratch:size())
end
print(mem:stats().live_blocks .. " blocks are live")

-- Every block and its bytes, at the addresses they have.
local path = os.tmpname()
assert(mem:save(path))
local again = assert(heapwright.load(path, { policy = "best-fit", capacity = "64K" }))
os.remove(path)
print(again:policy(), again:stats().live_blocks, again:read(raw, 6))

-- Output:
-- before:  +.##..##..##..##..##..##..##..##   8080 free,  1024 in one piece
-- nil	no free block of 6000 bytes: the largest of 8080 free bytes is 1024	no_memory
-- won 7056 bytes by moving 8 blocks of 8192 bytes
-- after:   ################+...............   8080 free,  8080 in one piece
-- 6000 bytes at 8304
-- message 16, now at 7280
-- I stay
-- nil	write of 8 bytes at offset 1020 runs 4 bytes past the 1024-byte block	out_of_bounds
-- 10 blocks are live
-- best-fit	10	I stay
