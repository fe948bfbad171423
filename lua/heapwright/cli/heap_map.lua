-- SPDX-License-Identifier: MIT
-- run --map: the pool after each policy's run, in rows of cells (cell_map.lua), and how it was
-- at the end of each phase, in one row. run --watch: the same while the scenario runs.
--
-- The live view is a hook that looks at the clock every few thousand instructions of Lua
-- (with any such hook Lua itself is slower: 1.2 to 1.5 times the time, where it was measured).
-- Each frame is one write over the one before, with the cursor hidden; live.c shows that again
-- whichever way the command ends. What the scenario prints waits for the next frame, and comes to
-- stand above it. A frame follows the one before after FRAME seconds at
-- least, and after REST times what that took to draw, so that drawing takes no more than a
-- fifth of the time.
--
-- Nothing is allocated in the pool, so that blocks lie where they would without. The collector
-- rests while a frame is drawn. But pictures are values of Lua: blocks that a scenario
-- leaves to finalizers may be freed at other moments than without.
local cell_map = require "heapwright.cell_map"
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local live = require "heapwright.live"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"

local M = {}

local INSTRUCTIONS = 5000 -- between looks at the clock
local FRAME, REST = 1 / 20, 4
local STRIPS, NAME = 8, 16 -- phases shown, and characters of their names
local HEIGHT = 24 -- lines of a terminal that does not tell

--- Adds --map and --watch.
function M.describe(command)
  command:flag("--map", "Print a map of the pool after each policy's run; not with --json.")
  command:flag("--watch", "Draw the map while the scenario runs as well, on a terminal.")
end

---@class cli.HeapMap
---@field watch boolean draws while it runs
---@field name string of the scenario
---@field private label string of the policy
---@field private mem heapwright.Pool
---@field private phase string|nil that runs now
---@field private strips {name: string, in_use: integer, cells: heapwright.Cells}[]
---@field private drawn integer lines that stand on the screen
local HeapMap = {}
HeapMap.__index = HeapMap

--- What --map and --watch ask for; nil where they don't. The command ends where they make no sense.
---@param given table
---@return {watch: boolean}|nil
function M.read(given)
  if not given.map and not given.watch then return nil end
  local option = given.map and "--map" or "--watch"
  if given.inject then fault.raise("%s: --inject runs a scenario once a failure, and draws none", option) end
  if given.json then return nil end
  local watch = given.watch and terminal.can_redraw
  if given.watch and not watch then
    io.stderr:write("heapwright: --watch: standard output is no terminal that can be redrawn; ",
      "maps are printed when runs have ended\n")
  end
  return { watch = watch or false }
end

--- A view of one scenario.
---@param asked {watch: boolean}
---@param name string
---@return cli.HeapMap
function M.new(asked, name)
  return setmetatable({ watch = asked.watch, name = name }, HeapMap)
end

-- Names may hold anything; lines are not to be torn, nor the terminal told what to do.
local function clean(name)
  name = utf8.len(name) and name or name:gsub("[\x80-\xff]", "?")
  return (name:gsub("%c", "?"))
end

local function shorten(name, width)
  name = clean(name)
  if text.width(name) <= width then return name end
  return name:sub(1, utf8.offset(name, width) - 1) .. "…"
end

local function pad(name, width) return name .. (" "):rep(width - text.width(name)) end

-- Where the scenario closed it, or a policy in Lua places just now, there is nothing to be seen.
local function look(mem, scale_of)
  local ok, cells, stats = pcall(function()
    local stats = mem:stats()
    return cell_map.measure(mem, scale_of(stats.capacity)), stats
  end)
  if ok then return cells, stats end
end

local function strip_columns() return math.max(8, (terminal.width() - NAME - 16) // 8 * 8) end

-- The title and the rows.
function HeapMap:picture(most_rows, moment)
  local width = terminal.width() - 1
  local cells, stats = look(self.mem, function(capacity) return cell_map.scale(capacity, width, most_rows) end)
  if not cells then return nil end
  local words = (": %s of %s in use in %s, %s"):format(text.size(stats.in_use), text.size(stats.capacity),
    text.counted(stats.live_blocks, "block"), moment)
  local name = clean(self.name .. ", " .. self.label)
  local lines = cell_map.draw(cells, terminal.coloured)
  table.insert(lines, 1, terminal.paint(shorten(name, width), "bold") .. words)
  if text.width(name .. words) > width then lines[1] = shorten(name .. words, width) end
  local scale = cells.scale
  return lines, ("A cell is %s bytes, a row %s."):format(text.integer(scale.cell),
    text.size(scale.cell * scale.columns))
end

-- What the scenario printed since the last frame comes to stand above the picture. Blanks as many as
-- the terminal is wide go to the next line where that did not end one, and else not.
function HeapMap:let_through()
  if not live.holds() then return end
  if self.drawn > 0 then live.draw(("\27[%dA\r\27[J"):format(self.drawn)) end
  live.let_through()
  live.draw((" "):rep(terminal.width()) .. "\r")
  self.drawn = 0
end

-- Writes lines over those that were drawn before.
function HeapMap:redraw(lines)
  self:let_through()
  local frame = { self.drawn > 0 and ("\27[%dA\r"):format(self.drawn) or "\r" }
  for _, line in ipairs(lines) do frame[#frame + 1] = line .. "\27[K\n" end
  frame[#frame + 1] = "\27[J"
  self.drawn = #lines
  return live.draw(table.concat(frame))
end

function HeapMap:frame()
  local width, height = host.terminal_size "stdout"
  if width ~= self.width then self.drawn = 0 end -- lines may have been wrapped anew: below them
  self.width = width
  local lines = self:picture(math.max(1, math.min(12, (height or HEIGHT) - 3)),
    self.phase and "in " .. clean(self.phase) or "running")
  return not lines or self:redraw(lines)
end

function HeapMap:tick()
  local now = host.now()
  if now < self.next_frame then return end
  local collects = collectgarbage "isrunning"
  collectgarbage "stop"
  local goes_on = self:frame()
  if collects then collectgarbage "restart" end
  local after = host.now()
  self.next_frame = after + math.max(FRAME, REST * (after - now))
  if not goes_on then self.next_frame = math.huge end -- the terminal is gone
end

--- Called as a run begins. On several threads there is no one whose hook could draw.
---@param mem heapwright.Pool
---@param choice heapwright.Choice
---@param threads integer|nil
function HeapMap:begin(mem, choice, threads)
  self.mem, self.label, self.phase, self.strips, self.drawn = mem, choice.label, nil, {}, 0
  self.skipped, self.next_frame, self.width = 0, 0, host.terminal_size "stdout"
  if not self.watch or threads then return end
  if live.begin() then -- else there is the last picture alone
    live.every(INSTRUCTIONS, function() self:tick() end) end
end

--- Called when the scenario's body has ended, however it did.
function HeapMap:stop()
  if not self.watch then return end
  live.every(0)
end

--- Called as a phase begins.
---@param name string
function HeapMap:phase_begins(name) self.phase = name end

--- Called when a phase has ended.
---@param name string
function HeapMap:phase_ends(name)
  local cells, stats = look(self.mem, function(capacity) return cell_map.strip(capacity, strip_columns()) end)
  if not cells then return end
  table.insert(self.strips, { name = name, in_use = stats.in_use, cells = cells })
  if #self.strips > STRIPS then
    table.remove(self.strips, 1)
    self.skipped = self.skipped + 1
  end
end

local function add_strips(self, lines)
  if #self.strips < 2 then return end
  lines[#lines + 1] = "At the end of" .. (self.skipped > 0
    and (" the last %d of %s:"):format(#self.strips, text.counted(self.skipped + #self.strips, "phase")) or ":")
  for _, strip in ipairs(self.strips) do
    local picture = cell_map.draw(strip.cells, terminal.coloured)[1]
    lines[#lines + 1] = ("  %s %s  %s"):format(pad(shorten(strip.name, NAME), NAME), picture,
      text.size(strip.in_use))
  end
end

--- The last picture of a run, printed: over the live one where there is one.
---@param outcome heapwright.Outcome
function HeapMap:finish(outcome)
  local last = outcome.raised and outcome.phase or #self.strips > 0 and self.strips[#self.strips].name
  local moment = (outcome.raised and "where it raised" or "at the end") .. (last and " of " .. clean(last) or "")
  local lines, scale = self:picture(nil, moment)
  if not lines then return live.done() end
  lines[#lines + 1] = terminal.paint(scale, "dim")
  lines[#lines + 1] = cell_map.legend(terminal.coloured)
  add_strips(self, lines)
  lines[#lines + 1] = ""
  local stands = self.drawn > 0 and self:redraw(lines)
  live.done()
  if stands then return end
  print(table.concat(lines, "\n"))
end

return M
