-- SPDX-License-Identifier: MIT
-- A drawing of a few blocks around an address, 80 columns wide: a bar, in which '#' is
-- what was asked for, '-' what was granted beyond that, '.' free and 'x' in quarantine;
-- the address under it; and the blocks with their sizes in words.
--
--   |########|#############---|......................................................|
--             ^ 0x30
--     0x0   32 bytes, live
--   > 0x30  100 of 112 bytes, live
--     0xa0  864 bytes, free
--
-- A block's width grows with the logarithm of its size. O(blocks before the address).
local M = {}

local WIDTH = 80
local BESIDE = 2 -- blocks on each side

---@class heapwright.Drawn
---@field address integer
---@field size integer
---@field requested integer|nil
---@field quarantined boolean|nil

-- The blocks around the address and which of them holds it; nil where none does: they are the last ones then.
local function blocks_around(mem, address)
  local near, holder, after, reached = {}, nil, 0, -1
  for at, size, requested, quarantined in mem:blocks() do
    if at <= reached then break end -- of a pool that is not sound
    reached = at
    near[#near + 1] = { address = at, size = size, requested = requested, quarantined = quarantined }
    if holder then
      after = after + 1
      if after == BESIDE then break end
    else
      if #near > BESIDE + 1 then table.remove(near, 1) end
      if address >= at and address < at + size then holder = #near end
    end
  end
  return near, holder
end

-- Columns of each block, in all what the bars between them leave.
local function widths_of(near)
  local weights, total, widths = {}, 0, {}
  for i, block in ipairs(near) do
    local weight = 2
    while block.size >> weight > 1 do weight = weight + 1 end
    weights[i], total = weight, total + weight
  end
  local left = WIDTH - #near - 1
  for i = 1, #near do
    widths[i] = i == #near and left or (WIDTH - #near - 1) * weights[i] // total
    left = left - widths[i]
  end
  return widths
end

local function fill_of(block, width)
  if not block.requested then return (block.quarantined and "x" or "."):rep(width) end
  local requested = math.max(0, math.min(block.requested, block.size)) -- of a pool that is not sound, anything
  local asked = (requested * width + block.size - 1) // block.size
  return ("#"):rep(asked) .. ("-"):rep(width - asked)
end

local function plural(bytes) return ("%d byte%s"):format(bytes, bytes == 1 and "" or "s") end

--- A block's size and state in words: 100 of 112 bytes, live.
---@param block heapwright.Drawn
---@return string
function M.words(block)
  if block.quarantined then return plural(block.size) .. ", in quarantine" end
  if not block.requested then return plural(block.size) .. ", free" end
  if block.requested == block.size then return plural(block.size) .. ", live" end
  return ("%d of %s, live"):format(block.requested, plural(block.size))
end

--- An address in hexadecimal, a negative one with its sign.
---@param address integer
---@return string
function M.hexadecimal(address)
  return address < 0 and ("-0x%x"):format(-address) or ("0x%x"):format(address)
end

-- The address under its column.
local function mark(address, column)
  local text = "^ " .. M.hexadecimal(address)
  if column + #text <= WIDTH then return (" "):rep(column) .. text end
  text = M.hexadecimal(address) .. " ^"
  return (" "):rep(column + 1 - #text) .. text
end

--- Draws the blocks around an address; where it is outside of the pool, the pool's last.
---@param mem heapwright.Pool
---@param address integer
---@return string lines without a last newline
function M.draw(mem, address)
  local near, holder = blocks_around(mem, address)
  local widths, bar, column, lines = widths_of(near), { "|" }, 1, {}
  for i, block in ipairs(near) do
    bar[i + 1] = fill_of(block, widths[i]) .. "|"
    if i == holder then lines[2] = mark(address, column + (address - block.address) * widths[i] // block.size) end
    column = column + widths[i] + 1
  end
  lines[1] = table.concat(bar)
  local longest = #M.hexadecimal(near[#near].address)
  for i, block in ipairs(near) do
    local at = M.hexadecimal(block.address)
    lines[#lines + 1] = ("%s %s%s  %s"):format(i == holder and ">" or " ", at, (" "):rep(longest - #at),
      M.words(block))
  end
  return table.concat(lines, "\n")
end

--- The whole pool in one line: '#' live, '.' free, '+' both.
---@param mem heapwright.Pool
---@return string
function M.map(mem) return "|" .. mem:map(WIDTH - 2) .. "|" end

return M
