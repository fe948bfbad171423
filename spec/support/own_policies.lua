-- SPDX-License-Identifier: MIT
-- The exact policies, written in Lua as their rules state them: what a program gives heapwright.policy.
local heapwright = require "heapwright"

local M = {}

-- Each scans all free blocks, lowest address first, for the one that is better than all before it.
local function scan(better)
  return function(free, size, align)
    local best, best_bytes
    for address, bytes in free:blocks() do
      if free:place(address, size, align) and (not best or better(bytes, best_bytes)) then
        best, best_bytes = address, bytes
      end
    end
    return best
  end
end

M.RULES = {
  ["first-fit"] = { choose = scan(function() return false end) },
  ["best-fit"] = { choose = scan(function(a, b) return a < b end) },
  ["worst-fit"] = { choose = scan(function(a, b) return a > b end) },
  ["next-fit"] = {
    choose = function(free, size, align, state)
      local rover, first, ahead = state.rover or 0, nil, nil
      for address in free:blocks() do
        if free:place(address, size, align) then
          first = first or address
          if address >= rover then
            ahead = address
            break
          end
        end
      end
      local chosen = ahead or first
      if chosen then state.rover = free:place(chosen, size, align) + size end
      return chosen
    end,
  },
}

-- The same by what the view answers without a scan in Lua.
M.SHORT = {
  ["first-fit"] = { choose = function(free, size, align) return (free:first(size, align)) end },
  ["best-fit"] = {
    choose = function(free, size, align)
      for address in free:by_size(size) do
        if free:place(address, size, align) then return address end
      end
    end,
  },
  ["worst-fit"] = {
    choose = function(free, size, align)
      local largest = free:largest()
      if free:place(largest, size, align) then return largest end
      local address, bytes = nil, 0
      for at, room in free:blocks() do
        if room > bytes and free:place(at, size, align) then address, bytes = at, room end
      end
      return address
    end,
  },
  ["next-fit"] = {
    choose = function(free, size, align, state)
      local chosen = free:first(size, align, state.rover) or free:first(size, align)
      if chosen then state.rover = free:place(chosen, size, align) + size end
      return chosen
    end,
  },
}

--- Registers one under a name that no spec has else; its name.
function M.register(definition, name)
  name = name or "spec-policy"
  heapwright.policy(name, definition)
  return name
end

--- Forgets all that are registered.
function M.forget()
  for _, info in ipairs(heapwright.policies()) do
    if info.scripted then heapwright.policy(info.name, nil) end
  end
end

return M
