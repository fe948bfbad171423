-- SPDX-License-Identifier: MIT
-- A process that makes hostile calls (hostile.lua), and ends with 1 where one of them did
-- what it must not, where a pool is not what its blocks say, or where more memory, files
-- or threads are left at the end than were there before.
--   HEAPWRIGHT_HOSTILE_TRACE      a file: the last calls, each written before it is made
--   HEAPWRIGHT_HOSTILE_SANITIZED  memory is a sanitizer's affair
local contract = require "spec.support.contract"
local finalizer = require "spec.support.finalizer"
local heapwright = require "heapwright"
local hostile = require "spec.support.hostile"
local values = require "spec.support.hostile_values"

local M = {}

local random = math.random
local POOL, THREAD = hostile.POOL, hostile.THREAD
local ROUND, LOOK = 200, 1000 -- calls after which objects are replaced; after which pools are verified

-- Threads and finalizers may be at work on a pool: what is wrong must stay so.
local function consistent(pool)
  local ok, wrong
  for _ = 1, 20 do
    collectgarbage()
    collectgarbage "stop"
    ok, wrong = pcall(contract.consistent, pool)
    collectgarbage "restart"
    if ok or not pcall(pool.policy, pool) then return end
    os.execute "sleep 0.02"
  end
  return wrong
end

local function look(self)
  for _, pool in ipairs(self.objects[POOL]) do
    if pcall(pool.policy, pool) then
      pool:inject()
      local wrong = not pcall(contract.consistent, pool) and consistent(pool)
      if wrong then self:fail("%s: %s", self.names[pool], wrong) end
    end
  end
end

-- ---- A whole run ---------------------------------------------------------------------

-- What the system has of this process.
local function measure()
  for _ = 1, 6 do collectgarbage() end -- what one finalizer lets go of is the next cycle's
  local file = assert(io.open "/proc/self/status")
  local status = file:read "a"
  file:close()
  local pid = status:match "\nPid:%s+(%d+)"
  local pipe = assert(io.popen("ls -l /proc/" .. pid .. "/fd"))
  local listed = pipe:read "a"
  local _, files = listed:gsub(" %-> ", "")
  pipe:close()
  return {
    resident = tonumber(status:match "VmRSS:%s+(%d+)"), threads = tonumber(status:match "Threads:%s+(%d+)"),
    files = files, listed = listed, lua = collectgarbage "count",
  }
end

-- Forgets and ends everything that calls made.
local function leave(self)
  for _, thread in ipairs(self.objects[THREAD]) do
    pcall(thread.cancel, thread)
    pcall(thread.join, thread)
  end
  for name in next, self.objects do self.objects[name] = {} end
  self.depth = 9 -- finalizers call nothing any more
  local now
  for _ = 1, 40 do -- a thread that was let go of ends by itself
    now = measure()
    if now.threads <= self.first.threads and now.files <= self.first.files then break end
    os.execute "sleep 0.05"
  end
  self.depth = 0
  return now
end

local GROWTH = { resident = 8192, lua = 512, files = 0, threads = 0 } -- KiB, KiB, and how many

local function compare(self, before, after, names)
  for _, name in ipairs(names) do
    if after[name] > before[name] + GROWTH[name] then
      self:fail("%s grew from %s to %s\n%s\n%s", name, before[name], after[name], before.listed, after.listed)
    end
  end
end

local function run(self, count)
  local middle
  while self.calls < count and not self.failure do
    self:call(self:draw_target())
    if self.calls // ROUND ~= self.rounds then
      self.rounds = self.calls // ROUND
      self:refill()
      if self.calls // LOOK ~= self.looks then
        self.looks = self.calls // LOOK
        look(self)
      end
      if not middle and self.calls > count // 2 then
        middle = leave(self)
        self:refill()
        self:refill_others()
      end
    end
  end
  if not self.failure then self:ambush_each() end
  look(self)
  return middle
end

--- Which functions were called, and how that went: "kind.name calls results raised".
local function report(self)
  local lines = {}
  for _, name in ipairs(self.kind_names) do
    for _, target in ipairs(self.kinds[name]) do
      lines[#lines + 1] = ("%s.%s %d %d %d"):format(target.kind, target.name, target.calls, target.results,
        target.raised)
    end
  end
  return table.concat(lines, "\n")
end

-- ---- Several threads -----------------------------------------------------------------

-- Calls the pool's methods with numbers and texts, then closes its handle under the feet of nobody.
local function hammer(pool, names, seed, count)
  math.randomseed(seed, 0)
  local draw, address = math.random, 0
  for _ = 1, count do
    local arguments = {}
    for i = 1, draw(0, 3) do
      local how = draw(6)
      arguments[i] = how < 3 and address or how == 3 and draw(0, 300) or how == 4 and "<i4" or how == 5 and draw(0)
        or 16 * draw(0, 64)
    end
    local ok, result = pcall(pool[names[draw(#names)]], pool, table.unpack(arguments))
    if ok and math.type(result) == "integer" then address = result end
  end
  pool:close()
  return true
end

-- A pool that others call and close while this thread calls it, and perhaps closes it first.
local function share_round(self, names, seed)
  local options = hostile.tame_options()
  options.thread_safe = true
  local pool = assert(heapwright.new(options))
  local threads = {}
  for i = 1, 2 do threads[i] = assert(heapwright.spawn(pool, hammer, names, seed + i, 200)) end
  self.objects[POOL] = { pool }
  self:name(pool, POOL)
  for _ = 1, 200 do self:call(self.kinds[POOL][random(#self.kinds[POOL])]) end
  if random(3) == 1 then threads[1]:cancel() end
  for _, thread in ipairs(threads) do
    local ok, message = thread:join()
    if not ok and thread:status() ~= "cancelled" then self:fail("a thread ended: %s", message) end
  end
  if not pcall(pool.policy, pool) then return end
  pool:inject()
  local wrong = consistent(pool)
  if wrong then self:fail("%s: %s", self.names[pool], wrong) end
  if random(2) == 1 then pool:close() end
end

local function run_threads(self, count)
  local names = {}
  for _, target in ipairs(self.kinds[POOL]) do
    if not target.name:find "^__" and (hostile.OFTEN[target.name] or 1) > 0.02 then names[#names + 1] = target.name end
  end
  while self.calls < count and not self.failure do
    share_round(self, names, random(1 << 30))
    self.calls = self.calls + 400 -- the threads'
  end
end

--- Makes so many calls; ends the process, with 1 and what is wrong.
---@param seed integer
---@param count integer
---@param threads boolean|nil on pools that other threads call as well
function M.main(seed, count, threads)
  local path = os.getenv "HEAPWRIGHT_HOSTILE_TRACE"
  math.randomseed(seed, 0)
  values.make_paths()
  finalizer.relax()
  local trace = path and assert(io.open(path, "wb"))
  if trace then trace:setvbuf "no" end
  local self = hostile.new(trace)
  self.first = measure()
  local middle = (threads and run_threads or run)(self, count)
  local last = leave(self)
  compare(self, self.first, last, { "files", "threads" })
  if middle and not os.getenv "HEAPWRIGHT_HOSTILE_SANITIZED" then compare(self, middle, last, { "resident", "lua" }) end
  print(report(self))
  if self.failure then
    print(("seed %d, call %d: %s"):format(seed, self.calls, self.failure))
    os.exit(1, true)
  end
  print(("%d calls"):format(self.calls))
  os.exit(0, true)
end

return M
