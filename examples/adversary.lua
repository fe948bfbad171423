-- Best fit at its worst: with 256 units live, sizes up to 16, it takes 2,842 units and
-- more, mostly holes of 13 between live blocks of 1; first fit takes 298 for the same.
--
--   heapwright run examples/adversary.lua
--
-- The attack is that of `heapwright verify --only T6`, whose file explains it
-- (lua/heapwright/theory/worst_cases.lua). Each policy gets the same requests.
local heapwright = require "heapwright"
local worst_cases = require "heapwright.theory.worst_cases"

local LIVE, LARGEST, UNIT = 256, 16, 16

return heapwright.scenario {
  name = "best fit's adversary",
  capacity = "1M",
  policy = { "best-fit", "best-fit/fifo", "first-fit", "good-fit", "slab" },

  run = function(mem)
    local peak = worst_cases.attack(mem, LIVE, LARGEST)
    assert(peak <= LIVE)
  end,

  expect = {
    ["best fit takes what theory says"] = function(r)
      return r.policy ~= "best-fit" or r.high_water >= worst_cases.worst_of_best_fit(LIVE, LARGEST) * UNIT
    end,
    ["first fit keeps to its bound"] = function(r)
      return r.policy ~= "first-fit" or r.high_water <= worst_cases.bound_of_first_fit(LIVE, LARGEST) * UNIT
    end,
  },
}

-- Output:
-- best fit's adversary: 1.00 MiB, seed 1
--                    peak      high            fragmentation      steps
-- policy           in use     water  failures     ext.  int.  mean  max  ok
-- best-fit       4.00 KiB  44.6 KiB         0     4.0%  0.0%   7.0   10  yes
-- best-fit/fifo  4.00 KiB  44.6 KiB         0     4.0%  0.0%   2.1    4  yes
-- first-fit      4.00 KiB  4.66 KiB         0     0.0%  0.0%   2.2    9  yes
-- good-fit       4.00 KiB  44.6 KiB         0     4.0%  0.0%   2.1    4  yes
-- slab           4.00 KiB  16.0 KiB         0     1.6%  0.0%   1.5    8  yes
