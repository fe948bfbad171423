-- A Lua state in 4 MiB: 1 MB of small objects stays alive, while a loop calls
-- ("x"):rep(20000). Each call fills a buffer of 20,000 bytes, makes a string of
-- it (20,025 bytes, with its fields and the final zero) and drops the buffer; the
-- strings die at the next collection, when they make up twice what is alive.
--
-- Hosts have seen this die with half of their pool free: each buffer leaves a
-- hole of 20,000 bytes between two strings, and the next buffer does not fit into
-- it, because a header is added, or because the allocator looks only where every
-- block is sure to fit, in the size class above. Nor does the collector help:
-- buffers ask the allocator directly. Exact placement without headers puts each
-- buffer into the hole of the one before.
--
--   heapwright run examples/lua_buffer.lua
local heapwright = require "heapwright"

local BUFFER = 20000
local STRING = BUFFER + 25
local LIVE = 1000000 -- bytes of small objects
local CALLS = 2000

return heapwright.scenario {
  name = "lua_buffer",
  capacity = "4M",
  policy = { "best-fit", "first-fit", "next-fit", "worst-fit", "good-fit", "buddy", "slab" },

  run = function(mem, s)
    local small, live = {}, 0
    while live < LIVE do
      local size = s:uniform(24, 120)
      small[#small + 1] = assert(mem:alloc(size))
      live = live + size
    end

    s:phase "strings"
    local dead = {}
    for _ = 1, CALLS do
      local buffer = mem:alloc(BUFFER)
      local text = buffer and mem:alloc(STRING)
      if not text then return end -- "not enough memory": the script is dead
      assert(mem:free(buffer))
      dead[#dead + 1] = text
      for _ = 1, 10 do -- meanwhile small objects come and go
        local i = s:uniform(1, #small)
        assert(mem:free(small[i]))
        small[i] = assert(mem:alloc(s:uniform(24, 120)))
      end
      if #dead * STRING > 2 * LIVE then -- a collection
        for i = 1, #dead do
          assert(mem:free(dead[i]))
        end
        dead = {}
      end
    end
  end,

  expect = {
    ["best fit and first fit finish"] = function(r)
      return r.policy ~= "best-fit" and r.policy ~= "first-fit" or r.failures == 0
    end,
    ["good fit dies among holes as large as the buffer"] = function(r)
      return r.policy ~= "good-fit" or r.failures == 1 and r.largest_free >= BUFFER
    end,
  },
}

-- Output:
-- lua_buffer: 4.00 MiB, seed 1
--                peak      high            fragmentation      steps
-- policy       in use     water  failures    ext.   int.  mean  max  ok
-- best-fit   2.88 MiB  3.01 MiB         0    0.5%   9.5%   4.1   13  yes
-- first-fit  2.88 MiB  3.08 MiB         0    2.9%   9.5%   4.4   15  yes
-- next-fit   2.52 MiB  3.99 MiB         1   98.6%   3.8%   2.1   16  yes
-- worst-fit  2.50 MiB  4.00 MiB         1   98.6%   3.9%   2.0   11  yes
-- good-fit   2.44 MiB  3.99 MiB         1   98.7%   4.0%   3.7    9  yes
-- buddy      2.60 MiB  4.00 MiB         1   29.9%  34.9%   3.9   18  yes
-- slab       2.88 MiB  3.04 MiB         0    1.6%   9.5%   1.9  114  yes
