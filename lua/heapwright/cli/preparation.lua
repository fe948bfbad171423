-- SPDX-License-Identifier: MIT
-- --load FILE: Lua files that run before a verb looks at anything else, so that the policies which
-- they register with heapwright.policy can be named like any other.
local fault = require "heapwright.cli.fault"
local scripts = require "heapwright.cli.scripts"

local M = {}

--- Adds --load.
function M.add(command)
  command:option("--load", "Run this Lua file first: it may register policies (heapwright.policy). Again for more.")
    :argname("FILE"):count "*"
end

--- Runs the files that --load names; the command ends where one can't be read, does not compile, or raises.
---@param given table
function M.run(given)
  for _, path in ipairs(given.load or {}) do
    local raised = scripts.prepare(scripts.load(path))
    if raised then fault.raise("--load %s: %s", path, (raised:gsub("\n.*", ""))) end
  end
end

return M
