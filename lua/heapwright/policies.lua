-- SPDX-License-Identifier: MIT
-- Policies as people write them: "best-fit", "first-fit/lifo", or the name of one that heapwright.policy registered.
local pool = require "heapwright.pool"

local M = {}

---@class heapwright.Choice
---@field policy string
---@field order string|nil
---@field label string as it was written
---@field scripted boolean a function of this Lua state, registered by heapwright.policy

local ORDERS = { address = true, fifo = true, lifo = true, random = true }

local function names()
  local list = {}
  for i, policy in ipairs(pool.policies()) do
    list[i] = policy.name
  end
  return table.concat(list, ", ")
end

--- Every policy, in its usual order.
---@return heapwright.Choice[]
function M.all()
  local list = {}
  for i, policy in ipairs(pool.policies()) do
    list[i] = { policy = policy.name, label = policy.name, scripted = policy.scripted }
  end
  return list
end

--- Every policy that a scenario can run under: with threads, those alone that all their states can call.
---@param threads integer|nil
---@return heapwright.Choice[]
function M.all_for(threads)
  local list = {}
  for _, choice in ipairs(M.all()) do
    if not threads or not choice.scripted then list[#list + 1] = choice end
  end
  return list
end

--- One policy, with the order of ties after a slash where it takes one.
---@param text string
---@return heapwright.Choice|nil
---@return string|nil message where there is no such policy
function M.parse(text)
  local name, order = text:match "^([^/]*)/?(.*)$"
  local known
  for _, policy in ipairs(pool.policies()) do
    if policy.name == name then known = policy end
  end
  if not known then return nil, ("unknown policy '%s'; known are %s"):format(name, names()) end
  if text:find("/", 1, true) then
    if not ORDERS[order] then
      return nil, ("unknown order '%s' in '%s'; known are address, fifo, lifo, random"):format(order, text)
    end
    if order ~= "address" and not known.takes_order then
      return nil, ("policy '%s' takes no order '%s'"):format(name, order)
    end
  else
    order = nil
  end
  return { policy = name, order = order, label = text, scripted = known.scripted }
end

--- A list of policies, separated by commas.
---@param text string
---@return heapwright.Choice[]|nil
---@return string|nil message
function M.parse_list(text)
  local list = {}
  for part in (text .. ","):gmatch "%s*([^,]-)%s*," do
    local choice, message = M.parse(part)
    if not choice then return nil, message end
    list[#list + 1] = choice
  end
  return list
end

return M
