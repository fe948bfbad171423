-- SPDX-License-Identifier: MIT
-- The module: pools and states from C (heapwright.pool, heapwright.states), scenarios and sweeps' plans from Lua. What
-- only some scripts need has a name of its own: heapwright.traces, heapwright.replay.
local scenario = require "heapwright.scenario"
local sweep = require "heapwright.sweep"

local M = {}

for _, part in ipairs { "heapwright.pool", "heapwright.states" } do
  for name, value in pairs(require(part)) do M[name] = value end
end

M.scenario = scenario.define
M.sweep = sweep.define

return M
