-- An adversary: a scenario that looks where its blocks lie, and frees those that hurt most.
--
--   heapwright run examples/robson.lua
--
-- Robson (Journal of the ACM 21, 1974): with sizes that are powers of two up to n and at
-- most M live, whatever moves nothing needs M(1 + ½ log2 n) − n + 1. M = 256 and n = 16
-- units of 16 bytes make 753 units; these policies need not one more.
local heapwright = require "heapwright"

local M, N, UNIT = 256, 16, 16
local BOUND = 753

return heapwright.scenario {
  name = "robson",
  capacity = BOUND * UNIT,
  policy = { "first-fit", "best-fit", "next-fit", "worst-fit" },

  run = function(mem)
    local live, size, f = 0, 1, 0
    local function fill()
      while live + size <= M do
        assert(mem:alloc(size * UNIT))
        live = live + size
      end
    end
    -- The blocks that cover an address ≡ remainder modulo size, and the room that they keep from such blocks.
    local function covering(remainder)
      local blocks, room = {}, 0
      for address = remainder * UNIT, mem:stats().high_water - 1, size * UNIT do
        local start, requested = mem:owner(address)
        if start then
          blocks[start] = true
          room = room + size - requested // UNIT
        end
      end
      return blocks, room
    end

    fill()
    while size < N do
      size = 2 * size
      local keep, room = covering(f)
      local others, more = covering(f + size // 2)
      if more > room then
        keep, f = others, f + size // 2
      end
      local freed = {}
      for address, _, requested in mem:blocks() do
        if requested and not keep[address] then freed[#freed + 1] = { address, requested // UNIT } end
      end
      for _, block in ipairs(freed) do
        assert(mem:free(block[1]))
        live = live - block[2]
      end
      fill()
    end
  end,

  expect = function(r)
    return r.failures == 0 and r.high_water == BOUND * UNIT
  end,
}

-- Output:
-- robson: 11.8 KiB, seed 1
--                peak      high            fragmentation      steps
-- policy       in use     water  failures     ext.  int.  mean  max  ok
-- first-fit  4.00 KiB  11.8 KiB         0    97.0%  0.0%   2.2    5  yes
-- best-fit   4.00 KiB  11.8 KiB         0    97.0%  0.0%   4.0   12  yes
-- next-fit   4.00 KiB  11.8 KiB         0    97.0%  0.0%   2.2    5  yes
-- worst-fit  4.00 KiB  11.8 KiB         0    97.0%  0.0%   2.2    5  yes
