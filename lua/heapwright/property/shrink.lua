-- SPDX-License-Identifier: MIT
-- Makes a list of operations that fails smaller while it still fails: first without
-- as many operations as can go (delta debugging, Zeller and Hildebrandt 2002), then
-- each integer in them as near to 0 as it can be, and again until nothing changes.
-- The result is minimal in this: no operation can be left out alone.
--
-- O(n²) runs at worst for n operations; no more than `most`. The two steps are for
-- others as well: heapwright minimize makes recordings smaller by them.
local M = {}

local MOST = 20000

--- Leaves out of a list as much as can go: halves of it first, then parts half as long, at last single ones,
--- until none of them can be left out. `drop(first, last)` leaves these out where what remains still fails.
---@param count integer how long the list is
---@param drop fun(first: integer, last: integer): integer|nil how long it is then; nil where they have to stay
---@return integer # how long it is at last
function M.fewer(count, drop)
  local chunk = count // 2
  while chunk >= 1 do
    local i, removed = 1, false
    while i <= count do
      local left = drop(i, math.min(i + chunk - 1, count))
      if left then
        count, removed = left, true
      else
        i = i + chunk
      end
    end
    if not removed or chunk > 1 then chunk = chunk // 2 end
  end
  return count
end

--- Makes an integer as near to 0 as can be: 0, else less by halves of what it may lose.
---@param value integer
---@param try fun(smaller: integer): boolean takes it where that still fails
---@return integer
function M.smaller(value, try)
  local lost = value
  while lost ~= 0 do
    if try(value - lost) then
      value = value - lost
      lost = value
    else
      lost = lost > 0 and lost // 2 or -(-lost // 2)
    end
  end
  return value
end

-- The list without as many of its parts as can go.
local function fewer(list, fails)
  M.fewer(#list, function(first, last)
    local shorter = table.move(list, 1, first - 1, 1, {})
    table.move(list, last + 1, #list, #shorter + 1, shorter)
    if not fails(shorter) then return nil end
    list = shorter
    return #list
  end)
  return list
end

-- The names of what may become smaller: not which operation it is, nor whose block it is about.
local function integers_of(op)
  local names = {}
  for name, value in pairs(op) do
    if math.type(value) == "integer" and name ~= "number" and name ~= "block" then names[#names + 1] = name end
  end
  table.sort(names, function(a, b)
    if type(a) == type(b) then return a < b end
    return type(a) == "string"
  end)
  return names
end

-- Each integer of each operation.
local function smaller_integers(list, fails)
  list = table.move(list, 1, #list, 1, {})
  local any = false
  for i, op in ipairs(list) do
    for _, name in ipairs(integers_of(op)) do
      M.smaller(op[name], function(smaller)
        local copy = {}
        for key, kept in pairs(op) do copy[key] = kept end
        copy[name], list[i] = smaller, copy
        if not fails(list) then return false end
        op, any = copy, true
        return true
      end)
      list[i] = op
    end
  end
  return list, any
end

--- The smallest list found that still fails.
---@param list table[] operations: tables whose integers may become smaller, but `number` and `block`
---@param fails fun(list: table[]): boolean
---@param most integer|nil calls of it; 20,000 unless given
---@return table[]
function M.smallest(list, fails, most)
  local left = most or MOST
  local function bounded(shorter)
    left = left - 1
    return left >= 0 and fails(shorter)
  end
  local any, size
  repeat
    size = #list
    list, any = smaller_integers(fewer(list, bounded), bounded)
  until not any and #list == size
  return list
end

return M
