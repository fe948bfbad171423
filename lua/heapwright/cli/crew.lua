-- SPDX-License-Identifier: MIT
-- The worker processes of a sweep: what they measure, and who gets which cell.
--
-- A worker keeps the program that it loaded last; cells are handed out in their order, in
-- which a source comes first, so that each worker loads each source once.
local fault = require "heapwright.cli.fault"
local dkjson = require "dkjson"
local host = require "heapwright.host"
local replay = require "heapwright.replay"
local results = require "heapwright.cli.results"
local scripts = require "heapwright.cli.scripts"
local sources = require "heapwright.cli.sources"
local workers = require "heapwright.workers"

local M = {}

local LONGEST_REASON = 400
local POLL = 0.2 -- seconds, for the progress line

-- ---- In the worker -----------------------------------------------------------------

-- A function that gives the program of a source and seed, which is the last one where that is so.
local function loader(temporary)
  local last, program
  return function(source, seed)
    local wanted = source.scenario and source.name .. "\0" .. seed or source.name
    if last == wanted then return program end
    if program then program:close() end
    last, program = nil, nil
    if source.scenario then
      program = sources.record(scripts.again(source.scenario), seed, temporary).program
    else
      local loaded, message = replay.load(source.path, source.name)
      -- Named as in the plan, wherever that lies.
      if not loaded then
        local from, to = message:find(source.path, 1, true)
        fault.raise("%s", from == 1 and source.name .. message:sub(to + 1) or message)
      end
      program = loaded
    end
    last = wanted
    return program
  end
end

local function measure(plan, load, cell)
  local places, key = plan.cells:at(cell)
  local choice, pool = plan.choices[places.policies], plan.pools[places.pools]
  local found, message = load(plan.sources[places.sources], key.seed):measure {
    policies = { { policy = choice.policy, order = choice.order, seed = key.seed } },
    granule = key.granule, capacity = pool.capacity, smallest = pool.label == "smallest", time = plan.time, threads = 1,
  }
  if not found then fault.raise("%s", message) end
  local figures = {}
  for _, list in ipairs { results.FIGURES, results.TIMES } do
    for _, name in ipairs(list) do figures[name] = found[1][name] end
  end
  return figures
end

-- What a worker does with a line, a cell's number: the cell's figures, or why there are none.
local function worker(plan, temporary)
  local load = loader(temporary)
  return function(task)
    local ok, figures = pcall(measure, plan, load, math.tointeger(tonumber(task)))
    if not ok then
      local reason = tostring(figures):gsub("\nstack traceback.*", ""):gsub("\n%s*", ": ")
      figures = { error = reason:sub(1, LONGEST_REASON) }
    end
    return dkjson.encode(figures)
  end
end

-- ---- In the parent -----------------------------------------------------------------

-- Hands cells to a worker as long as there are some; starts it where it does not run.
local function hand_out(self, i)
  if self.next > #self.cells then return end
  if not self.crew:process(i) then
    self.temporary = self.temporaries[i]
    fault.check(self.crew:start(i))
  end
  self.at[i] = self.cells[self.next]
  self.next = self.next + 1
  self.crew:send(i, ("%d"):format(self.at[i])) -- if it has died, await tells
end

local function needs_temporaries(plan)
  for _, source in ipairs(plan.sources) do
    if source.scenario then return true end
  end
end

--- Measures cells in worker processes.
---@param plan cli.Plan
---@param cells integer[]
---@param jobs integer
---@param done fun(cell: integer, figures: table) called for each, with `error` where it failed
function M.work(plan, cells, jobs, done)
  jobs = math.min(jobs, #cells)
  if jobs == 0 then return end
  local self = { cells = cells, next = 1, at = {}, temporaries = {} }
  for i = 1, jobs do -- here, so that they are removed however a worker ends
    self.temporaries[i] = needs_temporaries(plan) and fault.check(host.temporary ".hwt") or nil
  end
  local answer
  local crew <close> = workers.crew(jobs, function(task)
    answer = answer or worker(plan, self.temporary)
    return answer(task)
  end)
  self.crew = crew
  for i = 1, jobs do hand_out(self, i) end
  while next(self.at) do
    local i, line, reason = crew:await(POLL)
    if i then
      local cell = self.at[i]
      self.at[i] = nil
      if line then
        done(cell, dkjson.decode(line))
      elseif cell then
        done(cell, { error = reason })
      end
      hand_out(self, i)
    end
  end
end

return M
