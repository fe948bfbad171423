-- Enough is free, and yet a request fails: external fragmentation, step by step.
--
--   heapwright run examples/fragmentation.lua
local heapwright = require "heapwright"

local BLOCKS, SIZE = 16, 64
local mem = heapwright.new { capacity = BLOCKS * SIZE }

-- One character a granule: # live, . free.
local function show(title)
  local map = {}
  for _, size, requested in mem:blocks() do
    map[#map + 1] = (requested and "#" or "."):rep(size // 16)
  end
  local stats = mem:stats()
  print(title)
  print("  " .. table.concat(map))
  print(("  %d bytes free, the largest free block %d: external fragmentation %.3f"):format(
    stats.free, stats.largest_free, stats.external_fragmentation))
end

local held = {}
for i = 1, BLOCKS do
  held[i] = assert(mem:malloc(SIZE))
end
show(("%d blocks of %d bytes fill the pool:"):format(BLOCKS, SIZE))

for i = 1, BLOCKS, 2 do
  assert(mem:free(held[i]))
end
show "\nEvery second block is freed; no two of the holes touch:"

-- Half of the pool is free, and 128 bytes are not to be had.
print("\nmalloc(128): " .. select(2, mem:malloc(128)))

for i = 2, BLOCKS, 2 do
  assert(mem:free(held[i]))
end
show "\nThe others are freed, and the holes have joined to one:"

print(("\nmalloc(128): at %d"):format(assert(mem:malloc(128))))

-- Output:
-- 16 blocks of 64 bytes fill the pool:
--   ################################################################
--   0 bytes free, the largest free block 0: external fragmentation 0.000
--
-- Every second block is freed; no two of the holes touch:
--   ....####....####....####....####....####....####....####....####
--   512 bytes free, the largest free block 64: external fragmentation 0.875
--
-- malloc(128): no free block of 128 bytes: the largest of 512 free bytes is 64
--
-- The others are freed, and the holes have joined to one:
--   ................................................................
--   1024 bytes free, the largest free block 1024: external fragmentation 0.000
--
-- malloc(128): at 0
