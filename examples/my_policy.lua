-- A placement policy of your own: best fit in ten lines of Lua. A scenario drives it beside the
-- built-in one and holds their addresses against each other.
--
--   heapwright run examples/my_policy.lua
--   heapwright compare app.hwt --load examples/my_policy.lua      # or beside all others
local heapwright = require "heapwright"

heapwright.policy("my-best-fit", {
  chooses = "the smallest that fits, lowest address among equals",
  bound = "O(free blocks)",
  choose = function(free, size, align)
    local best, least
    for address, bytes in free:blocks() do -- lowest address first
      if (not least or bytes < least) and free:place(address, size, align) then
        best, least = address, bytes
      end
    end
    return best
  end,
})

-- The same call on both pools, which must answer alike.
local function both(mine, ours, method, ...)
  local a, b = mine[method](mine, ...), ours[method](ours, ...)
  if a ~= b then error(("%s: mine gives %s, ours %s"):format(method, a, b), 2) end
  return a
end

return heapwright.scenario {
  name = "my best fit and ours",
  capacity = "40K",
  policy = "my-best-fit",

  run = function(mine, s)
    local ours <close> = heapwright.new { capacity = "40K", policy = "best-fit" }
    local held = {}
    for _ = 1, 20000 do
      local i = s:uniform(1, 200)
      if not held[i] then
        local align = 1 << s:uniform(0, 8)
        held[i] = both(mine, ours, "aligned_alloc", align, s:lognormal(5, 1))
      elseif s:uniform(1, 4) == 1 then
        held[i] = both(mine, ours, "realloc", held[i], s:lognormal(5, 1)) or held[i]
      else
        both(mine, ours, "free", held[i])
        held[i] = nil
      end
    end
    print(("%d blocks placed at the same addresses"):format(ours:stats().allocations))
  end,

  expect = function(r) return r.allocations > 8000 and r.failures > 20 end,
}

-- Output:
-- 8652 blocks placed at the same addresses
-- my best fit and ours: 40.0 KiB, seed 1
--                  peak      high            fragmentation      steps
-- policy         in use     water  failures     ext.  int.  mean  max  ok
-- my-best-fit  36.2 KiB  40.0 KiB        45    88.9%  2.9%  54.1  140  yes
