-- SPDX-License-Identifier: MIT
-- Finalizers that strike in the middle of a call: while it is tense, Lua runs a whole
-- cycle of its collector wherever it may, which is after most allocations, and what was
-- buried strikes in the cycle of a chosen number.
local M = {}

local is_tense = false

--- What is buried calls `strike`, relaxed, in the `fuse`-th cycle from here on; 0 is the next.
---@param fuse integer
---@param strike function
function M.bury(fuse, strike)
  setmetatable({}, {
    __gc = function()
      if fuse <= 0 then
        M.relax()
        strike()
      elseif is_tense then
        M.bury(fuse - 1, strike)
      end
    end,
  })
end

--- From now on each of Lua's checks is a whole cycle.
function M.tense()
  collectgarbage("incremental", 1, 1000, 40) -- no pause, and a step is a cycle
  collectgarbage() -- from whose end on that holds
  is_tense = true
end

--- The collector as it is by default.
function M.relax()
  is_tense = false
  collectgarbage("incremental", 200, 100, 13)
end

--- pcall(f, ...), struck in the `fuse`-th cycle where it has so many.
---@return boolean ok
---@return any ...
function M.struck(fuse, strike, f, ...)
  M.tense()
  M.bury(fuse, strike)
  local results = table.pack(pcall(f, ...))
  M.relax()
  return table.unpack(results, 1, results.n)
end

return M
