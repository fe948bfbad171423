-- SPDX-License-Identifier: MIT
-- Plans of sweeps: what is to be replayed under what, every combination of it once.
--
--   return heapwright.sweep {
--     traces = { "app.hwt", "server.hwt" }, scenarios = { "churn.lua" },
--     policies = { "best-fit", "first-fit" },   -- nil: every policy
--     orders = { "address", "lifo" },           -- of the policies that take one; nil: by address
--     granules = { 16, 32 },                    -- nil: 16
--     capacities = { "smallest", "1M" },        -- "smallest": searched; "unbounded"; nil: "smallest"
--     seeds = { from = 1, to = 100 },           -- or a list; nil: 1
--     time = false,                             -- times, too, which differ from run to run
--   }
--
-- Files are found from the plan's folder. What runs it is `heapwright sweep`.
local policies = require "heapwright.policies"
local pool = require "heapwright.pool"

local M = {}

---@class heapwright.Sweep
---@field traces string[]
---@field scenarios string[]
---@field policies heapwright.Choice[]
---@field granules integer[]
---@field pools heapwright.SweptPool[]
---@field seeds {from: integer, to: integer}|integer[]
---@field time boolean
local Sweep = {}
Sweep.__index = Sweep
Sweep.__name = "heapwright.Sweep"

---@class heapwright.SweptPool
---@field label string "smallest", "unbounded", or its bytes
---@field capacity integer|nil bytes

local ORDERS = { address = true, fifo = true, lifo = true, random = true }
local GRANULES = { 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096 }

-- A list without gaps and without the same twice, each of its items checked; or nil and what is wrong.
local function list_of(expected, check)
  return function(value)
    if type(value) ~= "table" then value = { value } end
    local list, seen, count = {}, {}, 0
    for _ in pairs(value) do count = count + 1 end
    if count ~= #value then return nil, "a list expected" end
    if count == 0 then return nil, "it is empty" end
    for i, item in ipairs(value) do
      local kept, key, why = check(item)
      if kept == nil then return nil, why or ("%s expected, got %s"):format(expected, tostring(item)) end
      if seen[key or kept] then return nil, ("%s is in it twice"):format(tostring(key or kept)) end
      seen[key or kept], list[i] = true, kept
    end
    return list
  end
end

local function is_path(value)
  return type(value) == "string" and value ~= "" and not value:find "%z" and value or nil
end

local function is_power(value)
  for _, granule in ipairs(GRANULES) do
    if math.type(value) == "integer" and value == granule then return value end
  end
end

local function as_choice(value)
  if type(value) ~= "string" then return nil end
  local choice, message = policies.parse(value)
  return choice, value, message
end

local function as_pool(value)
  if value == "smallest" or value == "unbounded" then return { label = value }, value end
  local ok, bytes = pcall(pool.parse_size, value)
  if not ok or bytes < 1 then return nil end
  local label = ("%d"):format(bytes)
  return { label = label, capacity = bytes }, label
end

local function as_integer(value)
  return math.type(value) == "integer" and value or nil
end

local list_of_seeds = list_of("an integer", as_integer)

local function as_seeds(value)
  if type(value) ~= "table" or value.from == nil and value.to == nil then return list_of_seeds(value) end
  for name in pairs(value) do
    if name ~= "from" and name ~= "to" then return nil, "a list or { from = …, to = … } expected" end
  end
  if not as_integer(value.from) or not as_integer(value.to) then return nil, "integers expected as from and to" end
  if value.from > value.to then return nil, "it is empty" end
  if value.to - value.from < 0 then return nil, "there are too many" end
  return { from = value.from, to = value.to }
end

local FIELDS = {
  traces = list_of("a path", is_path),
  scenarios = list_of("a path", is_path),
  policies = list_of("a policy", as_choice),
  orders = list_of("address, fifo, lifo or random", function(value) return ORDERS[value] and value or nil end),
  granules = list_of("a power of two from 8 to 4096", is_power),
  capacities = list_of('a size such as "64K", "smallest" or "unbounded"', as_pool),
  seeds = as_seeds,
  time = function(value)
    if type(value) ~= "boolean" then return nil, "a boolean expected" end
    return value
  end,
}

-- The policies, each in each of these orders if it takes one.
local function in_orders(choices, orders)
  local takes = {}
  for _, policy in ipairs(pool.policies()) do takes[policy.name] = policy.takes_order end
  local list = {}
  for _, choice in ipairs(choices) do
    if choice.order then
      return nil, ("policy '%s' has its order already; leave either out"):format(choice.label)
    end
    if not takes[choice.policy] then list[#list + 1] = choice end
    for _, order in ipairs(takes[choice.policy] and orders or {}) do
      local label = order == "address" and choice.policy or choice.policy .. "/" .. order
      list[#list + 1] = assert(policies.parse(label))
    end
  end
  return list
end

--- Describes a sweep. Raises where a field is missing, unknown or of the wrong kind.
---@param fields table
---@param place string|nil "file:line: " of the caller, where that is known better than by the stack
---@return heapwright.Sweep
function M.define(fields, place)
  local function refuse(text, ...)
    text = text:format(...)
    if place then error(place .. text, 0) end
    error(text, 3)
  end
  if type(fields) ~= "table" then refuse("bad argument #1 to 'sweep' (table expected, got %s)", type(fields)) end
  local kept = {}
  for name, value in pairs(fields) do
    if not FIELDS[name] then refuse("unknown field '%s' of a sweep", tostring(name)) end
    local why
    kept[name], why = FIELDS[name](value)
    if kept[name] == nil then refuse("sweep field '%s': %s", name, why) end
  end
  if not kept.traces and not kept.scenarios then refuse "a sweep wants traces or scenarios" end
  local choices, why = kept.policies or policies.all(), nil
  if kept.orders then choices, why = in_orders(choices, kept.orders) end
  if not choices then refuse("sweep field 'orders': %s", why) end
  return setmetatable({
    traces = kept.traces or {}, scenarios = kept.scenarios or {}, policies = choices,
    granules = kept.granules or { 16 }, pools = kept.capacities or { (as_pool "smallest") },
    seeds = kept.seeds or { 1 }, time = kept.time or false,
  }, Sweep)
end

--- Is this what heapwright.sweep returns?
---@param value any
---@return boolean
function M.is_sweep(value)
  return getmetatable(value) == Sweep
end

return M
