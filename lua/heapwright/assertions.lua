-- SPDX-License-Identifier: MIT
-- Assertions about pools for luassert, busted's assert:
--
--   require "heapwright.assertions"
--   assert.sound(mem)                      -- mem:check() holds
--   assert.no_leaks(mem)                   -- no block is live
--   assert.live(mem, address)              -- a live block starts there
--   assert.in_use(mem, n)                  -- so many bytes, as they were asked for
--   assert.fragmentation_below(mem, f)     -- external fragmentation
--
-- each also as assert.is_not.live(mem, address) and so on, and with a message of your
-- own as the last argument. What fails is drawn: see neighbourhood.lua.
--
-- luassert is wanted when this is required, by nothing else of heapwright.
local neighbourhood = require "heapwright.neighbourhood"
local text = require "heapwright.text"

local M = {}

local LISTED = 10 -- of the blocks that are live

local hexadecimal = neighbourhood.hexadecimal

local function bytes(count) return text.counted(count, "byte") end

-- The live blocks, largest first, in lines.
local function live_lines(mem)
  local lines, rest, left = {}, 0, 0
  for i, leak in ipairs(mem:leaks()) do
    if i <= LISTED then
      local site = leak.site and (", allocated at " .. leak.site) or ""
      lines[i] = ("  %s at %s%s"):format(bytes(leak.size), hexadecimal(leak.address), site)
    else
      rest, left = rest + 1, left + leak.size
    end
  end
  if rest > 0 then lines[#lines + 1] = ("  and %s more, %s"):format(text.integer(rest), bytes(left)) end
  return table.concat(lines, "\n")
end

local function live_count(stats)
  if stats.live_blocks == 1 then return "1 block is live" end
  return text.integer(stats.live_blocks) .. " blocks are live"
end

---- What holds, and what is said -------------------------------------------------

-- Each is given the pool and the argument: does it hold, and what is so.
local ASSERTIONS = {}

function ASSERTIONS.sound(mem)
  local sound, message = mem:check()
  if sound then return true, "the pool is sound: " .. live_count(mem:stats()) end
  local address = math.tointeger(tonumber(message:match "^at (0x%x+)"))
  return false, ("the pool is not sound: %s\n%s"):format(message,
    address and neighbourhood.draw(mem, address) or neighbourhood.map(mem))
end

function ASSERTIONS.no_leaks(mem)
  local stats = mem:stats()
  if stats.live_blocks == 0 then return true, "no block is live" end
  return false, ("%s, of %s, the largest first:\n%s\n%s"):format(live_count(stats), bytes(stats.in_use),
    live_lines(mem), neighbourhood.map(mem))
end

-- What lies at an address where no live block starts.
local function place_of(mem, address)
  local start, requested = mem:owner(address)
  if start and address >= start + requested then
    return ("that is %s past the end of the %d-byte block at %s"):format(bytes(address - start - requested + 1),
      requested, hexadecimal(start))
  end
  if start then
    return ("that is %s into the %d-byte block at %s"):format(bytes(address - start), requested, hexadecimal(start))
  end
  local capacity = mem:stats().capacity
  if address < 0 or address >= capacity then
    return ("that is outside of the pool's %s, which end with these blocks"):format(bytes(capacity))
  end
  for at, size, _, quarantined in mem:blocks() do
    if quarantined and address >= at and address < at + size then return "that was freed, and is in quarantine" end
  end
  return "that is free"
end

function ASSERTIONS.live(mem, address)
  local size = mem:size(address)
  if size then
    return true, ("a live block of %s starts at %s\n%s"):format(bytes(size), hexadecimal(address),
      neighbourhood.draw(mem, address))
  end
  return false, ("no live block starts at %s: %s\n%s"):format(hexadecimal(address), place_of(mem, address),
    neighbourhood.draw(mem, address))
end

function ASSERTIONS.in_use(mem, n)
  local stats = mem:stats()
  if stats.in_use == n then return true, bytes(n) .. " are in use" end
  local lines = stats.live_blocks > 0 and live_lines(mem) .. "\n" or ""
  return false, ("%s in use expected, there %s: %s%s\n%s%s"):format(bytes(n),
    stats.in_use == 1 and "is 1" or "are " .. text.integer(stats.in_use), live_count(stats),
    stats.live_blocks > 0 and ", the largest first" or "", lines, neighbourhood.map(mem))
end

function ASSERTIONS.fragmentation_below(mem, limit)
  local stats = mem:stats()
  local is = ("external fragmentation is %.4g"):format(stats.external_fragmentation)
  if stats.external_fragmentation < limit then return true, ("%s, below %.4g"):format(is, limit) end
  return false, ("%s, not below %.4g: of %s free in %s, the largest block has %s\n%s"):format(is, limit,
    bytes(stats.free), text.counted(stats.free_blocks, "block"), text.integer(stats.largest_free),
    neighbourhood.map(mem))
end

-- What the second argument has to be, where there is one.
local WANTED = {
  live = { "an address", math.tointeger },
  in_use = { "a number of bytes", math.tointeger },
  fragmentation_below = { "a number", tonumber },
}

---- For luassert -----------------------------------------------------------------

local function is_pool(value)
  local kind = type(value)
  if kind ~= "userdata" and kind ~= "table" then return false end
  local ok, check = pcall(function() return value.check and value.leaks and value.blocks end)
  return ok and check ~= nil
end

local function refuse(name, number, expected, value, level)
  error(("bad argument #%d to '%s' (%s expected, got %s)"):format(number, name, expected,
    type(value) == "number" and tostring(value) or type(value)), level + 2)
end

-- The callback that luassert wants. Its negation is luassert's own.
local function asserting(name)
  local wanted = WANTED[name]
  return function(state, arguments, level)
    local mem, value = arguments[1], arguments[2]
    if not is_pool(mem) then refuse(name, 1, "a pool", mem, level) end
    if wanted then
      value = (type(value) == "number") and wanted[2](value) or nil
      if value == nil then refuse(name, 2, wanted[1], arguments[2], level) end
    end
    local holds, message = ASSERTIONS[name](mem, value)
    local own = arguments[wanted and 3 or 2]
    state.failure_message = own == nil and message or tostring(own) .. "\n" .. message
    return holds
  end
end

local found, luassert = pcall(require, "luassert")
if not found then
  error("heapwright.assertions are for luassert, which was not found: install busted or luassert\n"
    .. tostring(luassert), 0)
end
for name in pairs(ASSERTIONS) do
  luassert:register("assertion", name, asserting(name))
  M[#M + 1] = name
end
table.sort(M)

--- The names of the assertions.
return M
