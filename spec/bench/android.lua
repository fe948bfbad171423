-- SPDX-License-Identifier: MIT
--
-- Turns a dump of Android's memory_replay into a text trace of ours:
--
--      unzip -p DUMP.zip | lua5.4 spec/bench/android.lua > OUT.trace
--
-- Reads one event a line, addresses in hexadecimal, sizes in decimal, whatever
-- follows them ignored:
--
--      TID: malloc ADDR SIZE             TID: free ADDR
--      TID: calloc ADDR N SIZE           TID: realloc NEW OLD SIZE
--      TID: memalign ADDR ALIGN SIZE     TID: thread_done 0x0
--
-- A dump begins in the middle of a program's life and does not know every call
-- of it. What is missing is mended so that each block is allocated before it is
-- freed and live at most once, and what was mended or left out is counted on
-- standard error. A line that is none of these ends it with status 1.

local live, last = {}, 0 -- ids by address, the newest id
local notes = { -- printed in this order, where they happened
  { "free_of_none", "frees of NULL left out" },
  { "unknown_free", "frees of unknown addresses left out" },
  { "unknown_realloc", "reallocs of unknown addresses taken as allocations" },
  { "lost_free", "frees added: their addresses were granted again" },
  { "failed", "requests that the program saw fail left out" },
  { "odd_alignment", "alignments that are no power of two left out" },
  { "thread_done", "ends of threads left out" },
}
local counts = {}
local events = 0

local function note(name) counts[name] = (counts[name] or 0) + 1 end

local function put(format, ...)
  events = events + 1
  io.write(format:format(...), "\n")
end

local function release(thread, address)
  put("f %d %%%d", live[address], thread)
  live[address] = nil
end

-- Makes room at an address where the dump lost the free before.
local function vacate(thread, address)
  if not live[address] then return end
  note "lost_free"
  release(thread, address)
end

local function allocate(thread, address, size, alignment)
  if address == 0 then
    note "failed"
    return
  end
  vacate(thread, address)
  last = last + 1
  live[address] = last
  if alignment then
    put("a %d %d %d %%%d", last, size, alignment, thread)
  else
    put("a %d %d %%%d", last, size, thread)
  end
end

local verbs = {}

function verbs.malloc(thread, address, size) allocate(thread, address, size) end

function verbs.calloc(thread, address, count, size) allocate(thread, address, count * size) end

function verbs.memalign(thread, address, alignment, size)
  if alignment == 0 or alignment & (alignment - 1) ~= 0 then
    note "odd_alignment"
    alignment = nil
  end
  allocate(thread, address, size, alignment)
end

function verbs.free(thread, address)
  if live[address] then
    release(thread, address)
  else
    note(address == 0 and "free_of_none" or "unknown_free")
  end
end

function verbs.realloc(thread, address, old, size)
  local id = live[old]
  if not id then
    if old ~= 0 then note "unknown_realloc" end
    allocate(thread, address, size)
  elseif address ~= 0 then
    live[old] = nil
    vacate(thread, address)
    live[address] = id
    put("r %d %d %%%d", id, size, thread)
  elseif size == 0 then
    release(thread, old)
  else
    note "failed"
  end
end

function verbs.thread_done() note "thread_done" end

local wants = { malloc = 2, calloc = 3, memalign = 3, free = 1, realloc = 3, thread_done = 0 }
local number = 0
for line in io.lines() do
  number = number + 1
  local thread, verb, rest = line:match "^(%d+): (%l+_?%l*)(.*)$"
  local figures = {}
  for figure in (rest or ""):gmatch "%S+" do figures[#figures + 1] = math.tointeger(tonumber(figure)) end
  if not wants[verb] or #figures < wants[verb] then
    io.stderr:write(("line %d: not an event: %s\n"):format(number, line))
    os.exit(1)
  end
  verbs[verb](math.tointeger(thread), table.unpack(figures, 1, 3))
end

io.stderr:write(("%d lines, %d events\n"):format(number, events))
for _, entry in ipairs(notes) do
  if counts[entry[1]] then io.stderr:write(("%d %s\n"):format(counts[entry[1]], entry[2])) end
end
