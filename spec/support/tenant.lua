-- SPDX-License-Identifier: MIT
-- A script that is to be ended: run in a state, in a pool that has to be empty afterwards.
local assert = require "luassert"
local heapwright = require "heapwright"

local M = {}

--- Runs `code` in a state in a pool of its own kind; returns what eval does, packed,
-- and the statistics. The pool is empty afterwards.
function M.run(code, options)
  local mem <close> = heapwright.new { capacity = "16M" }
  options.pool = mem
  local state = assert(heapwright.state(options))
  local results = table.pack(state:eval(code))
  local stats = state:stats()
  assert.is_true(state:close())
  assert.equal(0, mem:stats().live_blocks)
  assert.is_true(mem:check())
  return results, stats
end

--- The same of code that a limit has to end, with `message`; returns the statistics.
function M.ends(code, options, message)
  local results, stats = M.run(code, options)
  assert.is_nil(results[1], code)
  assert.matches(message, tostring(results[2]), 1)
  assert.equal("limit", results[3])
  return stats
end

return M
