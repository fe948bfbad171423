-- SPDX-License-Identifier: MIT
-- Size classes of slab: read from a file, written to one, and the best ones for a set of blocks.
--
-- A file has one size in bytes a line, ascending; `#` begins a comment.
local M = {}

M.MOST = 20 -- classes of a pool
M.LARGEST = 64 -- granules of a class
local PAGE = 256 -- granules of a page of slots
local LONGEST = 64 * 1024 -- bytes of a file

---- Files ------------------------------------------------------------------------

local function shown(text)
  text = text:gsub("%c", "?")
  return #text > 20 and text:sub(1, 20) .. "…" or text
end

-- The sizes of a text, or nil and what is wrong with it.
local function parse(text)
  local sizes, number = {}, 0
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do
    number = number + 1
    local word = line:gsub("#.*", ""):match "^%s*(.-)%s*$"
    if word ~= "" then
      local size = word:find "^%d+$" and math.tointeger(tonumber(word))
      if not size or size == 0 then
        return nil, ("line %d: '%s' is no size in bytes, a whole number from 1"):format(number, shown(word))
      end
      local before = sizes[#sizes]
      if before and size <= before then
        return nil, ("line %d: %d after %d: the sizes must ascend"):format(number, size, before)
      end
      if #sizes == M.MOST then return nil, ("line %d: more than %d classes"):format(number, M.MOST) end
      sizes[#sizes + 1] = size
    end
  end
  if #sizes == 0 then return nil, "no size in it" end
  return sizes
end

--- Reads a file of classes, each rounded up to the granule.
---@param path string
---@param granule integer
---@return integer[]|nil # nil where it can't be read or holds something else
---@return string # what was rounded, "" for nothing; or what is wrong
function M.read(path, granule)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local text, failed = file:read(LONGEST + 1)
  file:close()
  if failed then return nil, ("%s: %s"):format(path, failed) end
  text = text or ""
  if #text > LONGEST then return nil, ("%s: longer than %d bytes: no list of classes"):format(path, LONGEST) end
  local sizes, wrong = parse(text)
  if not sizes then return nil, ("%s: %s"):format(path, wrong) end
  local rounded, notes, most = {}, {}, M.LARGEST * granule
  for _, size in ipairs(sizes) do
    local up = (size - 1) // granule * granule + granule
    if size > most then
      return nil, ("%s: %d is more than the largest slot, %d bytes (%d granules of %d)"):format(path, size, most,
        M.LARGEST, granule)
    end
    if up ~= size then notes[#notes + 1] = ("%d to %d"):format(size, up) end
    if rounded[#rounded] ~= up then rounded[#rounded + 1] = up end
  end
  return rounded, table.concat(notes, ", ")
end

--- Writes classes to a file that M.read reads.
---@param path string
---@param classes integer[]
---@param comment string one line
---@return boolean|nil
---@return string|nil message
function M.write(path, classes, comment)
  local file, why = io.open(path, "wb")
  if not file then return nil, why end
  local written
  written, why = file:write("# ", comment, "\n", table.concat(classes, "\n"), "\n")
  local closed, why_not = file:close()
  if written and closed then return true end
  return nil, ("%s: %s"):format(path, tostring(why or why_not))
end

---- The best ones ------------------------------------------------------------------

-- Granules of a page for each slot of `size` granules: what the page's end is too short for counts too.
local function room(size) return PAGE / (PAGE // size) end

-- How many blocks there are of each size of 1 to 64 granules.
local function in_granules(counts, granule)
  local blocks, largest = {}, 0
  for size = 1, M.LARGEST do blocks[size] = 0 end
  for bytes, count in pairs(counts) do
    local size = math.max(1, (bytes + granule - 1) // granule)
    if size <= M.LARGEST then
      blocks[size] = blocks[size] + count
      largest = math.max(largest, size)
    end
  end
  return blocks, largest
end

--- The classes with which these blocks waste the least: the sum over all blocks of the page's part that a slot
--- takes, less the block in granules. Exact, by dynamic programming over the largest class and how many there
--- are: least(k, c) = min over b < c of least(k - 1, b) + the blocks above b and up to c in slots of c. It is the
--- problem of the best quantiser with k levels (Bruce, MIT, 1965), in which a level may only round up.
--- O(k n^2) for n = 64 sizes. A block of more than 64 granules gets no class.
---@param counts table<integer, integer> blocks by size in bytes
---@param granule integer
---@param most integer classes at most
---@return integer[] # bytes, ascending; none where there is no such block
---@return number waste in bytes
function M.best(counts, granule, most)
  local blocks, largest = in_granules(counts, granule)
  if largest == 0 then return {}, 0 end
  local number, volume = { [0] = 0 }, { [0] = 0 } -- of all blocks of at most so many granules
  for size = 1, M.LARGEST do
    number[size] = number[size - 1] + blocks[size]
    volume[size] = volume[size - 1] + blocks[size] * size
  end
  local least, before = { [0] = { [0] = 0 } }, {}
  for k = 1, most do
    least[k], before[k] = {}, {}
    for class = 1, M.LARGEST do
      for lower, so_far in pairs(least[k - 1]) do
        local waste = lower < class
          and so_far + (number[class] - number[lower]) * room(class) - (volume[class] - volume[lower])
        local known = least[k][class]
        if waste and (not known or waste < known or waste == known and lower < before[k][class]) then
          least[k][class], before[k][class] = waste, lower
        end
      end
    end
  end
  local k, class
  for tried = 1, most do -- fewer where more save nothing, and then the smaller largest one
    for last = largest, M.LARGEST do
      local waste = least[tried][last]
      if waste and (not k or waste < least[k][class]) then k, class = tried, last end
    end
  end
  local classes, waste = {}, least[k][class]
  for left = k, 1, -1 do
    classes[left] = class * granule
    class = before[left][class]
  end
  return classes, waste * granule
end

return M
