-- SPDX-License-Identifier: MIT
-- Journals of sweeps: what is done is kept as it is done, so that a sweep that is killed
-- goes on where it was.
--
-- JSON Lines. The first line says of what: the plan's sum, its axes, its traces' sums, how
-- many cells there are and which part of them is this journal's. Then a line for each cell
-- that is done, as it will stand in the results, in any order. A last line without its end
-- was being written when the sweep was killed: it is cut off, and its cell done again. A
-- cell that failed may be there more than once; the last line counts.
local dkjson = require "dkjson"
local fault = require "heapwright.cli.fault"
local files = require "heapwright.journal"
local host = require "heapwright.host"
local pool = require "heapwright.pool"

local M = {}

local PIECE = 1 << 20
local LONGEST = 1 << 20
local SYNC_EVERY = 1 -- seconds

---@class cli.Journal
---@field path string
---@field file table
---@field done table<integer, integer> of each cell that is done, where its line begins
---@field failed table<integer, boolean>
---@field synced number
local Journal = {}
Journal.__index = Journal
Journal.__close = function(self) self.file:close() end

--- Calls a function with each whole line of a file, where it begins, and which it is.
---@param file table of heapwright.journal
---@param each fun(line: string, offset: integer, number: integer)
---@return integer # where the last whole line ends
function M.scan(file, each)
  local rest, begins, number, offset = "", 0, 0, 0
  repeat
    local piece = fault.check(file:read(offset, PIECE))
    offset = offset + #piece
    rest = rest .. piece
    local from = 1
    while true do
      local stop = rest:find("\n", from, true)
      if not stop then break end
      number = number + 1
      each(rest:sub(from, stop - 1), begins + from - 1, number)
      from = stop + 1
    end
    rest, begins = rest:sub(from), begins + from - 1
  until piece == "" or #rest > LONGEST
  return begins
end

--- The line that begins there.
---@param file table
---@param offset integer
---@return string
function M.line(file, offset)
  local length = 1024
  repeat
    local piece = fault.check(file:read(offset, length))
    local line = piece:match "^([^\n]*)\n"
    if line then return line end
    length = length * 8
  until length > LONGEST * 8
  error("a line of the journal has gone", 0)
end

--- A line as a table, nil where it is none.
---@param line string
---@return table|nil
function M.decode(line)
  if line:sub(1, 1) ~= "{" then return nil end
  local object, stop = dkjson.decode(line)
  return type(object) == "table" and stop == #line + 1 and object or nil
end

-- The first line of this plan's journal.
local function header_of(plan, shard)
  return ('{"heapwright":%s,"journal":1,"plan":"%s","cells":%d,"shard":"%s","axes":%s,"sums":%s}'):format(
    dkjson.encode(pool.version), plan.sum, plan.cells:count(), shard.label, plan.axes, plan.sums)
end

-- Why this header is not ours, in words.
local function explain_header(path, line, plan, shard)
  local header = M.decode(line)
  if not header or header.journal == nil then return ("%s: is no journal of a sweep"):format(path) end
  if header.journal ~= 1 or header.heapwright ~= pool.version then
    return ("%s: the journal of heapwright %s; this is %s"):format(path, tostring(header.heapwright), pool.version)
  end
  if header.plan == plan.sum then
    return ("%s: the journal of shard %s, not of %s"):format(path, tostring(header.shard), shard.label)
  end
  local known = type(header.axes) == "table" and type(header.sums) == "table"
  local sources = known and type(header.axes.sources) == "table" and header.axes.sources or {}
  for i, name in ipairs(sources) do
    local own = plan.sources[i]
    if own and own.name == name and own.sum ~= header.sums[i] then
      return ("%s: %s has changed since this journal was begun"):format(path, own.path)
    end
  end
  return ("%s: the journal of another plan than %s is now"):format(path, plan.file)
end

-- One line of a journal that is gone on with.
local function recall(self, line, offset, number, plan, shard)
  local record = M.decode(line)
  local cell = record and math.type(record.cell) == "integer" and record.cell
  if not cell or record.plan ~= plan.sum or cell < 1 or cell > plan.cells:count() or not shard.has(cell) then
    fault.raise("%s:%d: no record of this sweep", self.path, number)
  end
  self.done[cell], self.failed[cell] = offset, record.error ~= nil or nil
end

--- Opens a plan's journal, which is made where there is none; the command ends where it can't be used.
---@param path string
---@param plan cli.Plan
---@param shard cli.Shard
---@return cli.Journal
function M.open(path, plan, shard)
  local self = setmetatable({
    path = path, file = fault.check(files.open(path)), done = {}, failed = {}, synced = host.now(),
  }, Journal)
  local header, seen = header_of(plan, shard), false
  local whole = M.scan(self.file, function(line, offset, number)
    seen = true
    if number > 1 then return recall(self, line, offset, number, plan, shard) end
    if line ~= header then fault.raise("%s", explain_header(path, line, plan, shard)) end
  end)
  local torn = fault.check(self.file:read(whole, #header))
  if not seen and header:sub(1, #torn) ~= torn then fault.raise("%s: is no journal of a sweep", path) end
  if self.file:size() > whole then fault.check(self.file:cut(whole)) end
  if not seen then fault.check(self.file:append(header .. "\n")) end
  return self
end

--- Keeps a cell's line. Nil and why where it can't be: the journal is as it was then.
---@param cell integer
---@param line string
---@param failed boolean
---@return boolean|nil
---@return string|nil message
function Journal:add(cell, line, failed)
  local offset, message = self.file:append(line .. "\n")
  if not offset then return nil, message end
  self.done[cell], self.failed[cell] = offset, failed or nil
  local now = host.now()
  if now - self.synced < SYNC_EVERY then return true end
  self.synced = now
  return self.file:sync()
end

--- The line of a cell that is done.
---@param cell integer
---@return string
function Journal:line(cell)
  return M.line(self.file, self.done[cell])
end

return M
