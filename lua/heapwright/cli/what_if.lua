-- SPDX-License-Identifier: MIT
-- The options of a what-if: what a trace is asked to have been, and its pools to be.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local pool = require "heapwright.pool"
local size_classes = require "heapwright.size_classes"
local text = require "heapwright.text"

local M = {}

local GRANULES = { [8] = true, [16] = true, [32] = true, [64] = true }
local MOST_HEADER = 1 << 20
local MOST_ALIGN = 1 << 16 -- a pool's bytes begin at a multiple of it, wherever they are
local MOST_THREADS = 64
local DIGITS = 6 -- of a factor, behind its point
local MOST_SCALE = 1000000

---@class cli.WhatIf
---@field program table what replay.load takes
---@field granule integer|nil of the pools
---@field classes integer[]|nil of slab's pools
---@field json table|nil what is told of it; nil: nothing was asked
---@field words string[] the same for people
---@field note string|nil

---- The options -----------------------------------------------------------------

local OPTIONS = {
  { "granule", "N", "The pools' unit of placement: 8, 16, 32 or 64 bytes." },
  { "classes", "FILE", "Slab's size classes: a size in bytes a line, ascending, # for comments." },
  { "header", "N", "Charge N bytes to each block, as allocators with headers do." },
  { "align", "N", "Align each request to N bytes at least." },
  { "scale", "F", "Multiply each size by F, such as 0.5 or 2, rounded up." },
  { "only-thread", "T[,T]", "Only blocks that these threads allocate, whoever frees them." },
  { "window", "A,B",
    "Only events A to B, counted from 1; either may be left out. What is live before A is allocated first, oldest "
    .. "block first." },
}

-- What run can't do, and why.
local OF_TRACES = {
  header = "of compare and fit, which replay: a scenario's pool grants what it is asked for",
  align = "of compare and fit, which replay: a scenario asks for its alignments itself",
  scale = "of compare and fit, which replay: a scenario's sizes are its own, and it writes to its blocks",
  ["only-thread"] = "of compare and fit, which replay: a scenario's threads run together",
  window = "of compare and fit, which replay: a scenario runs from its start",
}

local function field(name) return (name:gsub("-", "_")) end

--- Adds the options; for `pools`, as run has them, those of traces are taken only to be refused with the reason.
---@param command table
---@param pools boolean|nil
function M.add(command, pools)
  for _, option in ipairs(OPTIONS) do
    local name, argument, meaning = table.unpack(option)
    local added = command:option("--" .. name, meaning):argname(argument)
    if pools and OF_TRACES[name] then added:hidden(true) end
  end
end

---- Their values ------------------------------------------------------------------

local function shown(value)
  return #value > 40 and value:sub(1, 40) .. "…" or value
end

-- A whole number without a sign, or nil.
local function whole(value)
  return value:find "^%d+$" and #value < 19 and math.tointeger(tonumber(value)) or nil
end

local function read_granule(value)
  local granule = whole(value)
  if not GRANULES[granule or 0] then fault.raise("--granule %s: 8, 16, 32 or 64 wanted", shown(value)) end
  return granule
end

M.granule = read_granule

local function read_header(value)
  local header = whole(value)
  if not header or header > MOST_HEADER then
    fault.raise("--header %s: a whole number of bytes from 0 to %d wanted", shown(value), MOST_HEADER)
  end
  return header
end

local function read_align(value)
  local align = whole(value)
  if not align or align < 1 or align > MOST_ALIGN or align & (align - 1) ~= 0 then
    fault.raise("--align %s: a power of two from 1 to %d wanted", shown(value), MOST_ALIGN)
  end
  return align
end

-- The factor as a fraction of whole numbers: exact.
local function read_scale(value)
  local units, digits = value:match "^(%d+)%.?(%d*)$"
  if not units or #units > 7 or #digits > DIGITS then
    fault.raise("--scale %s: a factor such as 0.5 or 2 wanted, of at most %d digits behind the point", shown(value),
      DIGITS)
  end
  local by = math.tointeger(10 ^ #digits)
  local scale = math.tointeger(tonumber(units .. digits))
  if scale == 0 or scale > MOST_SCALE * by then
    fault.raise("--scale %s: a factor above 0, of %d at most, wanted", shown(value), MOST_SCALE)
  end
  return { scale, by }
end

local function read_threads(value)
  local list, known = {}, {}
  for part in (value .. ","):gmatch "([^,]*)," do
    local thread = whole(part)
    if not thread or thread >= 1 << 32 then
      fault.raise("--only-thread %s: '%s' is no thread's number, 0 to 2^32 - 1", shown(value), shown(part))
    end
    if not known[thread] then list[#list + 1] = thread end
    known[thread] = true
  end
  if #list > MOST_THREADS then
    fault.raise("--only-thread: %d threads, %d at most", #list, MOST_THREADS)
  end
  table.sort(list)
  return list
end

local function read_window(value)
  local from, to = value:match "^(%d*),(%d*)$"
  local first, last = from ~= "" and whole(from or ""), to ~= "" and whole(to or "")
  if not from or value == "," or first == nil or last == nil then
    fault.raise("--window %s: the numbers of two events wanted, such as 1000,2000 or 1000,", shown(value))
  end
  if first == 0 or last == 0 then fault.raise("--window %s: events are counted from 1", shown(value)) end
  if first and last and first > last then
    fault.raise("--window %s: it ends before it begins", shown(value))
  end
  return first or nil, last or nil
end

local function read_classes(path, granule)
  local kind = fault.check(host.kind(path))
  if kind == "directory" then fault.raise("%s: is a folder", path) end
  if kind ~= "file" then fault.raise("%s: is no file", path) end
  local classes, note = size_classes.read(path, granule)
  if not classes then fault.raise("%s", note) end
  return classes, note ~= "" and ("classes rounded up to the granule: %s."):format(note) or nil
end

---- What was asked ----------------------------------------------------------------

local function listed(numbers)
  local last = numbers[#numbers]
  return #numbers == 1 and ("%d"):format(last)
    or ("%s and %d"):format(table.concat(numbers, ", ", 1, #numbers - 1), last)
end

local function window_words(from, to)
  if not to then return ("events from %s on"):format(text.integer(from)) end
  return ("events %s to %s"):format(text.integer(from or 1), text.integer(to))
end

local WORDS = {
  { "granule", function(value) return ("granule of %d bytes"):format(value) end },
  { "header", function(value) return ("header of %s"):format(text.counted(value, "byte")) end },
  { "align", function(value) return ("aligned to %s"):format(text.counted(value, "byte")) end },
  { "classes", function(value)
    return ("slots of %s bytes"):format(listed(value))
  end },
  { "scale", function(value) return ("sizes × %s"):format(value) end },
  { "only_thread", function(value)
    return ("%s %s alone"):format(#value == 1 and "thread" or "threads", listed(value))
  end },
  { "window", function(value) return window_words(value.from, value.to) end },
}

M.KEYS = {}
for i, one in ipairs(WORDS) do M.KEYS[i] = one[1] end
M.WINDOW = { "from", "to" }

local function told(json)
  local words = {}
  for _, one in ipairs(WORDS) do
    local value = json[one[1]]
    if value ~= nil then words[#words + 1] = one[2](value) end
  end
  return words
end

-- Half a window or a factor as JSON and people see it: 2, 0.5.
local function factor(scale)
  local value = scale[1] / scale[2]
  return math.tointeger(value) or value
end

--- What the command line asks for.
---@param given table
---@return cli.WhatIf
function M.read(given)
  local json, program, note = {}, {}, nil
  json.granule = given.granule and read_granule(given.granule)
  json.header = given.header and read_header(given.header)
  json.align = given.align and read_align(given.align)
  if given.classes then json.classes, note = read_classes(given.classes, json.granule or 16) end
  program.scale = given.scale and read_scale(given.scale)
  json.scale = program.scale and factor(program.scale)
  json.only_thread = given.only_thread and read_threads(given.only_thread)
  if given.window then
    program.from, program.to = read_window(given.window)
    json.window = { from = program.from or 1, to = program.to }
  end
  program.granule, program.header, program.align = json.granule, json.header, json.align
  program.threads = json.only_thread
  return {
    program = program, granule = json.granule, classes = json.classes, note = note,
    json = next(json) and json or nil, words = told(json),
  }
end

--- The same for pools that a scenario uses; what is of traces alone is refused with the reason.
---@param given table
---@return cli.WhatIf
function M.of_pools(given)
  for _, option in ipairs(OPTIONS) do
    local why = OF_TRACES[option[1]]
    if why and given[field(option[1])] then fault.raise("--%s: %s", option[1], why) end
  end
  return M.read(given)
end

---- Policies with it --------------------------------------------------------------

local LEAST = 64 * 1024 -- a pool to try options on

-- Is there a pool of this policy, order and granule?
local function has_pool(choice, granule)
  local ok, mem = pcall(pool.new, {
    policy = choice.policy, order = choice.order, granule = granule, capacity = LEAST,
  })
  if ok and mem then mem:close() end
  return ok and mem ~= nil
end
M.has_pool = has_pool

local function takes_classes(choice)
  for _, info in ipairs(pool.policies()) do
    if info.name == choice.policy then return info.takes_classes end
  end
end

--- Ends the command where no pool is as asked for.
---@param what cli.WhatIf
---@param choices heapwright.Choice[]
function M.check(what, choices)
  local any = false
  for _, choice in ipairs(choices) do
    any = any or takes_classes(choice)
    if what.granule and choice.order and not has_pool(choice, what.granule) then
      fault.raise("--granule %d: %s takes larger granules only", what.granule, choice.label)
    end
  end
  if what.classes and not any then fault.raise("--classes: they are slab's, which is not among the policies") end
end

return M
