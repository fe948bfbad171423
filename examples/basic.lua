-- Allocates, writes, reads and frees. Addresses are offsets from the pool's
-- start, so the first block of an empty pool is at 0.
--
--   heapwright run examples/basic.lua
local heapwright = require "heapwright"

local mem = heapwright.new { capacity = 1024, policy = "best-fit" }

local a = assert(mem:malloc(100))
local b = assert(mem:malloc(50))
print(("two blocks, at %d and %d"):format(a, b))

-- Bytes go in and out by address; an address inside a block will do, too.
assert(mem:write(a, "Hello, World!"))
print(mem:read(a, 13))
print(mem:read(a + 7, 5))

-- Nothing reaches past a block's end, not even by one byte.
print(mem:write(b + 49, "no"))

-- A granule is 16 bytes: 100 bytes are granted 112, so the neighbour starts there.
local stats = mem:stats()
print(("%d bytes in use, %d granted, %d free"):format(stats.in_use, stats.granted, stats.free))

print("\nblock  size  requested")
for address, size, requested in mem:blocks() do
  print(("%5d  %4d  %s"):format(address, size, requested or "free"))
end

-- Free it once, and once only.
print()
print(mem:free(a))
print(mem:free(a))
assert(mem:free(b))
print(("%d blocks left, %d bytes free"):format(mem:stats().live_blocks, mem:stats().free))

-- Output:
-- two blocks, at 0 and 112
-- Hello, World!
-- World
-- nil	write of 2 bytes at 0xa1 runs 1 byte past the 50-byte block at 0x70	out_of_bounds
-- 150 bytes in use, 176 granted, 848 free
--
-- block  size  requested
--     0   112  100
--   112    64  50
--   176   848  free
--
-- true
-- nil	double free of 0x0: it is now inside a free block of 112 bytes at 0x0	double_free
-- 0 blocks left, 1024 bytes free
