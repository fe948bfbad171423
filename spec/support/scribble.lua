-- SPDX-License-Identifier: MIT
-- Writes into a pool behind its back, as a C program with a wild pointer does: through
-- /proc/self/mem, where the system lets a process write to itself.
local M = {}

local LARGEST = 64 << 20 -- of the mappings that are searched
local FIRST, SECOND = 0xA7, 0x5C

-- Writable mappings of a size that a pool may be in.
local function mappings()
  local list = {}
  for line in io.lines "/proc/self/maps" do
    local from, to, flags = line:match "^(%x+)-(%x+) (%S+)"
    from, to = tonumber(from, 16), tonumber(to, 16)
    if flags:sub(1, 2) == "rw" and to - from <= LARGEST then list[#list + 1] = { from, to - from } end
  end
  return list
end

local function read(memory, at, count)
  memory:seek("set", at)
  return memory:read(count)
end

-- Is the block's first byte there? It is if what the pool writes to it is.
local function is_at(memory, at, mem, block)
  mem:fill(block, SECOND, 1)
  local changed = read(memory, at, 1) == string.char(SECOND)
  mem:fill(block, FIRST, 1)
  return changed and read(memory, at, 1) == string.char(FIRST)
end

-- Where the block of 64 bytes is in this process.
local function find(memory, mem, block)
  mem:fill(block, FIRST, 32)
  mem:fill(block + 32, SECOND, 32)
  local needle = string.char(FIRST):rep(32) .. string.char(SECOND):rep(32)
  for _, mapping in ipairs(mappings()) do
    local bytes, from = read(memory, mapping[1], mapping[2]), 1
    while bytes do
      local at = bytes:find(needle, from, true)
      if not at then break end
      if is_at(memory, mapping[1] + at - 1, mem, block) then return mapping[1] + at - 1 end
      from = at + 1
    end
  end
end

--- Writes bytes at an address of the pool, in which there is room for a block of 64 bytes.
---@return boolean done false: the system does not let it
function M.write(mem, address, bytes)
  local memory = io.open("/proc/self/mem", "r+b")
  if not memory then return false end
  memory:setvbuf "no"
  local block = assert(mem:alloc(64))
  local at = find(memory, mem, block)
  mem:free(block)
  if at then
    memory:seek("set", at - block + address)
    memory:write(bytes)
  end
  memory:close()
  return at ~= nil
end

return M
