-- SPDX-License-Identifier: MIT
-- The module: pools from C (heapwright.pool), scenarios from Lua. What only some
-- scripts need has a name of its own: heapwright.traces, heapwright.replay.
local scenario = require "heapwright.scenario"

local M = {}

for name, value in pairs(require "heapwright.pool") do
  M[name] = value
end

M.scenario = scenario.define

return M
