-- SPDX-License-Identifier: MIT
-- Options that several verbs share, and what their values mean.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local policies = require "heapwright.policies"
local pool = require "heapwright.pool"

local M = {}

local GRANULE = 16 -- of the pools that the command opens
local MOST = ((1 << 32) - 64) * GRANULE -- hpw_max_capacity

--- Adds --policy.
function M.add_policy(command)
  command
    :option("--policy -p", "Policies, separated by commas; an order (fifo, lifo, random) after a slash: best-fit/fifo.")
    :argname("LIST")
end

--- Adds --capacity.
function M.add_capacity(command, meaning)
  command:option("--capacity -c", meaning):argname "SIZE"
end

--- Adds --seed.
function M.add_seed(command)
  command:option("--seed", "Seed of scenarios' randomness and of order random."):argname("N"):default "1"
end

--- The seed that --seed names.
---@return integer
function M.seed(options)
  local seed = math.tointeger(tonumber(options.seed))
  if not seed then fault.raise("--seed: '%s' is no integer", options.seed) end
  return seed
end

--- The whole number from `least` to `most` that an option gives, nil without it.
---@param name string of the option, without its dashes
---@param least integer
---@param most integer
---@return integer|nil
function M.whole(options, name, least, most)
  if not options[name] then return nil end
  local value = math.tointeger(tonumber(options[name]))
  if not value or value < least or value > most then
    fault.raise("--%s: '%s' is no whole number from %d to %d", name, options[name], least, most)
  end
  return value
end

--- Adds --json.
function M.add_json(command)
  command:flag("--json", "Print one JSON object instead of tables.")
end

--- With --json, a function that writes the object; nil without. From here on
--- whatever else writes to standard output writes to standard error.
---@return nil|fun(object: string)
function M.output(options)
  if not options.json then return nil end
  local file = fault.check(host.reserve_output())
  return function(object)
    local written, why = file:write(object)
    if written then written, why = file:close() end
    if not written then fault.raise("standard output: %s", why) end
  end
end

--- The policies that --policy names, every one without it.
---@return heapwright.Choice[]
function M.policies(options)
  if not options.policy then return policies.all() end
  return fault.check(policies.parse_list(options.policy))
end

--- The bytes that --capacity names, nil without it.
---@return integer|nil
function M.capacity(options)
  local text = options.capacity
  if not text then return nil end
  local ok, bytes = pcall(pool.parse_size, text)
  if not ok then fault.raise("--capacity: '%s' is no size such as 65536, 64K or 1.5M", text) end
  if bytes < GRANULE then
    fault.raise("--capacity %s: a pool holds %d bytes, one granule, at least", text, GRANULE)
  end
  if bytes > MOST then fault.raise("--capacity %s: a pool holds %d bytes at most", text, MOST) end
  return bytes
end

--- Checks that there is something to read at `path`.
---@param path string
---@return string path
function M.readable(path)
  local kind = fault.check(host.kind(path))
  if kind == "directory" then fault.raise("%s: is a folder", path) end
  return path
end

return M
