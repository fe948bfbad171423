-- SPDX-License-Identifier: MIT
-- Shards of a sweep: each N-th cell, from the I-th on, so that what is costly (a large
-- trace) is spread over all of them.
local fault = require "heapwright.cli.fault"

local M = {}

local MOST = 1000000

---@class cli.Shard
---@field number integer from 1
---@field of integer
---@field label string "3/8"
---@field has fun(cell: integer): boolean
---@field count fun(cells: integer): integer

--- What --shard says; the whole without it.
---@return cli.Shard
function M.read(given)
  local word = given.shard or "1/1"
  local number, of = word:match "^(%d+)/(%d+)$"
  number, of = math.tointeger(tonumber(number)), math.tointeger(tonumber(of))
  if not number or not of or of < 1 or number < 1 or number > of or of > MOST then
    fault.raise("--shard: '%s' is no I/N such as 3/8, with I from 1 to N", word)
  end
  return {
    number = number, of = of, label = ("%d/%d"):format(number, of),
    has = function(cell) return (cell - number) % of == 0 end,
    count = function(cells) return math.max(0, (cells - number) // of + 1) end,
  }
end

return M
