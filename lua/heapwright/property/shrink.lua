-- SPDX-License-Identifier: MIT
-- Makes a list of operations that fails smaller while it still fails: first without
-- as many operations as can go (delta debugging, Zeller and Hildebrandt 2002), then
-- each integer in them as near to 0 as it can be, and again until nothing changes.
-- The result is minimal in this: no operation can be left out alone.
--
-- O(n²) runs at worst for n operations; no more than `most`.
local M = {}

local MOST = 20000

-- The list without as many of its parts as can go.
local function fewer(list, fails)
  local chunk = #list // 2
  while chunk >= 1 do
    local i, removed = 1, false
    while i <= #list do
      local shorter = table.move(list, 1, i - 1, 1, {})
      table.move(list, i + chunk, #list, #shorter + 1, shorter)
      if #shorter < #list and fails(shorter) then
        list, removed = shorter, true
      else
        i = i + chunk
      end
    end
    if not removed or chunk > 1 then chunk = chunk // 2 end
  end
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

-- Each integer: 0, then less by halves of what it may lose.
local function smaller_integers(list, fails)
  list = table.move(list, 1, #list, 1, {})
  local any = false
  for i, op in ipairs(list) do
    for _, name in ipairs(integers_of(op)) do
      local lost = op[name]
      while lost ~= 0 do
        local copy = {}
        for key, kept in pairs(op) do copy[key] = kept end
        copy[name] = op[name] - lost
        list[i] = copy
        if fails(list) then
          op, lost, any = copy, copy[name], true
        else
          lost = lost > 0 and lost // 2 or -(-lost // 2)
        end
      end
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
