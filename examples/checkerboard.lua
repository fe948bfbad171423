-- A thousand blocks of mixed sizes, every second one freed: how torn is the rest?
--
--   heapwright run examples/checkerboard.lua
local heapwright = require "heapwright"

return heapwright.scenario {
  name = "checkerboard",
  capacity = "1M",

  run = function(mem, s) -- s: seeded randomness, phases, samples
    local held = {}
    for i = 1, 1000 do
      held[i] = assert(mem:malloc(s:uniform(16, 512)))
    end
    s:phase "free every second block"
    for i = 1, 1000, 2 do
      assert(mem:free(held[i]))
    end
  end,

  expect = function(r)
    return r.external_fragmentation < 0.9
  end,
}

-- Output:
-- checkerboard: 1.00 MiB, seed 1
--               peak     high            fragmentation      steps
-- policy      in use    water  failures    ext.   int.  mean  max  ok
-- best-fit   263 KiB  270 KiB         0   15.3%   2.7%   3.3    4  yes
-- first-fit  263 KiB  270 KiB         0   15.3%   2.7%   2.0    4  yes
-- next-fit   263 KiB  270 KiB         0   15.3%   2.7%   2.0    4  yes
-- worst-fit  263 KiB  270 KiB         0   15.3%   2.7%   2.0    4  yes
-- good-fit   263 KiB  270 KiB         0   15.3%   2.7%   3.0    4  yes
-- buddy      263 KiB  354 KiB         0   39.6%  26.1%   4.0   15  yes
-- slab       263 KiB  324 KiB         0   21.1%   7.9%   2.7    9  yes
-- bump       263 KiB  270 KiB         0   15.3%   2.7%   2.3    3  yes
