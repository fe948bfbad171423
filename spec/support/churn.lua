-- SPDX-License-Identifier: MIT
-- Text traces made up from a seed: blocks come, are resized and go, at random.
local M = {}

--- So many events, of which about `live` blocks are live at once.
---@param seed integer
---@param events integer
---@param live integer
---@param largest integer bytes
---@return string
function M.trace(seed, events, live, largest)
  local state, lines, ids, count = seed, {}, {}, 0
  local function draw(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return (state >> 33) % n + 1
  end
  for i = 1, events do
    local kind = draw(20)
    if #ids == 0 or kind <= (#ids < live and 14 or 8) then
      count = count + 1
      ids[#ids + 1] = count
      lines[i] = ("a %d %d%s"):format(count, draw(largest), draw(12) == 1 and " 64" or "")
    elseif kind == 20 then
      lines[i] = ("r %d %d"):format(ids[draw(#ids)], draw(largest))
    else
      local at = draw(#ids)
      lines[i] = "f " .. ids[at]
      ids[at] = ids[#ids]
      ids[#ids] = nil
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
