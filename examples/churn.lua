-- A server under load: small blocks come and go, some live long, sizes have a
-- long tail. Who keeps up in a pool a quarter larger than what is live?
--
--   heapwright run examples/churn.lua
local heapwright = require "heapwright"

local LIVE = 2000 -- blocks at once
local ROUNDS = 50000 -- blocks replaced

return heapwright.scenario {
  name = "churn",
  capacity = "576K",

  run = function(mem, s)
    local held = {}
    s:phase "fill"
    for i = 1, LIVE do
      held[i] = mem:alloc(s:lognormal(4.5, 1.2))
    end
    s:phase "churn"
    for round = 1, ROUNDS do
      local i = s:uniform(1, LIVE)
      if held[i] then assert(mem:free(held[i])) end
      held[i] = mem:alloc(s:lognormal(4.5, 1.2)) -- nil where it does not fit: counted as a failure
      if round % 10000 == 0 then s:sample(round) end
    end
  end,

  expect = {
    ["best fit and first fit serve every request"] = function(r)
      return r.policy ~= "best-fit" and r.policy ~= "first-fit" or r.failures == 0
    end,
    ["whoever frees serves 19 requests of 20"] = function(r)
      return r.policy == "bump" or r.failures < r.allocations / 20
    end,
  },
}

-- Output:
-- churn: 576 KiB, seed 1
--               peak     high            fragmentation      steps
-- policy      in use    water  failures    ext.   int.  mean  max  ok
-- best-fit   397 KiB  453 KiB         0   21.6%   3.9%   4.9   46  yes
-- first-fit  397 KiB  489 KiB         0   17.6%   3.9%   3.9   16  yes
-- next-fit   383 KiB  576 KiB       187   99.0%   4.1%   2.9   16  yes
-- worst-fit  383 KiB  576 KiB     1,872   99.7%   5.1%   4.9   15  yes
-- good-fit   397 KiB  453 KiB         0   29.8%   3.9%   1.8    4  yes
-- buddy      392 KiB  576 KiB        16   75.9%  30.1%   3.7   13  yes
-- slab       397 KiB  576 KiB         4   92.9%   8.0%   1.9   64  yes
-- bump       383 KiB  576 KiB    49,053    0.0%   0.0%   1.2    3  yes
