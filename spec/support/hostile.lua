-- SPDX-License-Identifier: MIT
-- Hostile calls: every function of the module, of every object that it gives, and every
-- metamethod, found through the real tables, with whatever Lua can pass. Run in a process
-- of its own (spec/hostile_spec.lua, hostile_run.lua), inside a folder of its own.
--
-- A call is drawn as a function and kinds of values (hostile_values.lua) for its
-- arguments; kinds with which a call gave results are kept and drawn again with one of
-- them changed, so that calls get deep whatever the function wants. Objects that calls
-- give are drawn as selves and arguments from then on. Some calls are made while the
-- collector runs at each of Lua's allocations, with a finalizer that closes, frees or
-- calls on after so many of them. After each call its results and errors are judged.
local finalizer = require "spec.support.finalizer"
local heapwright = require "heapwright"
local values = require "spec.support.hostile_values"

local M = {}

local random = math.random
local POOL, STATE, THREAD = "heapwright.pool", "heapwright.state", "heapwright.thread"
local FREE = "heapwright.free"
local MOST = { [POOL] = 8, [STATE] = 3, [THREAD] = 3 } -- objects of a kind that are kept; others 4
local TAME = 2 << 20 -- bytes that a call may reach by one of them
local TRACED, LINE = 64, 1024 -- lines of the trace file and their length

-- Of objects, and of functions: how often they are drawn. What is not named here counts 1.
local KINDS = { [POOL] = 100, ["heapwright.block"] = 15, module = 4, [STATE] = 4, [THREAD] = 1.5, workload = 2,
  ["heapwright.program"] = 0.5, [FREE] = 6 }
local OFTEN = {
  close = 0.02, __gc = 0.02, __close = 0.02, reset = 0.03, record = 0.05, check = 0.2, leaks = 0.2, map = 0.3,
  watch = 0.1, spawn = 0.2, state = 0.3, measure = 0.3, save = 0.02, load = 0.5, compact = 0.2, policies = 0.2,
}
local CODES = {}
for code in ("no_memory invalid_free double_free unallocated out_of_bounds invalid_argument corrupted limit io "
  .. "uninitialised"):gmatch "%S+" do CODES[code] = true end

local function pick(list)
  return list[random(#list)]
end

-- ---- The world: objects, functions, what was learnt ----------------------------------

local World = {}
World.__index = World

-- Every function of an object, by its metatable: methods and metamethods.
local function functions_of(meta, kind)
  local list = {}
  local function add(from)
    for name, f in next, from do
      if type(name) == "string" and type(f) == "function" then list[#list + 1] = { name = name, f = f, kind = kind } end
    end
  end
  add(meta)
  local index = rawget(meta, "__index")
  if type(index) == "table" and index ~= meta then add(index) end
  return list
end

function World:add_kind(kind, list)
  table.sort(list, function(a, b) return a.name < b.name end) -- pairs is in another order each time
  local sum = 0
  self.slots = nil
  for _, target in ipairs(list) do
    target.recipes, target.prefix, target.calls, target.results, target.raised = {}, {}, 0, 0, 0
    sum = sum + (OFTEN[target.name] or 1)
  end
  list.sum, list.kind, list.weight = sum, kind, KINDS[kind] or 1
  self.kinds[kind], self.kind_names[#self.kind_names + 1] = list, kind
  self.objects[kind] = self.objects[kind] or {}
end

-- The names of options that a function says it knows.
function World:harvest(f, ...)
  local _, message = pcall(f, ...)
  for name in (tostring(message):match "known: ([%w_, ]*)" or ""):gmatch "[%w_]+" do
    if not self.option_known[name] then
      self.option_known[name] = true
      self.option_names[#self.option_names + 1] = name
    end
  end
end

local function kind_of(value)
  local meta = type(value) == "userdata" and debug.getmetatable(value)
  return meta and meta.__name ~= "FILE*" and (meta.__name or "userdata of no name"), meta
end

function World:name(value, kind)
  self.named = self.named + 1
  self.names[value] = kind:gsub("^heapwright%.", "") .. self.named
end

-- Keeps an object for later calls, in another's place where there are enough.
function World:keep(value, kind)
  local list = self.objects[kind]
  if #list < (MOST[kind] or 4) then
    list[#list + 1] = value
  else
    table.remove(list, random(#list)) -- left to the collector, open
    list[#list + 1] = value
  end
  self:name(value, kind)
end

-- May calls have it? Not where one of them could reach more memory than a test should.
local function is_tame(value, kind)
  if kind == POOL then
    local ok, stats = pcall(value.stats, value)
    if not ok then return true end
    if stats.capacity > TAME then return false end
    local address = value:alloc(TAME)
    if address then value:free(address) end
    return not address
  elseif kind == STATE then
    local ok, limit = pcall(value.limit, value)
    return not ok or limit and limit <= 8 * TAME
  end
  return true
end

function World:adopt(value)
  local kind, meta = kind_of(value)
  if not kind or self.names[value] then return end
  if not self.kinds[kind] then self:add_kind(kind, functions_of(meta, kind)) end
  if is_tame(value, kind) then
    self:keep(value, kind)
  else
    value:close()
  end
end

-- ---- What values are drawn from ------------------------------------------------------

-- An address that a call gave, of this pool rather than another.
function World:some_address()
  local list = self.addresses
  return list[random(#list)] or 0
end

function World:object(kind)
  local list = self.objects[kind or pick(self.kind_names)]
  return list[random(math.max(1, #list))]
end

local POLICIES, GUARDS, ORDERS = {}, { "off", "check", "full" }, { "address", "fifo", "lifo" }
for _, info in ipairs(heapwright.policies()) do POLICIES[#POLICIES + 1] = info end

-- Options of a pool in which much happens; one that is its state's alone may have a policy in Lua.
local function tame_options(alone)
  local info = alone and random(6) == 1 and { name = "hostile" } or pick(POLICIES)
  local options = {
    policy = info.name, capacity = pick { 512, 4096, 16384, 65536 }, guard = pick(GUARDS),
    thread_safe = info.name ~= "hostile" and random(3) > 1, granule = pick { 16, 16, 16, 32 }, small_pages = true,
  }
  if info.takes_order then options.order = pick(ORDERS) end
  if random(4) == 1 then options.max_capacity = 1 << 18 end
  return options
end
function World:refill()
  local pools = self.objects[POOL]
  for i = #pools, 1, -1 do
    if not pcall(pools[i].policy, pools[i]) then table.remove(pools, i) end
  end
  if #pools == MOST[POOL] then
    local pool = table.remove(pools, random(#pools))
    if random(2) == 1 then pool:close() end
  end
  while #pools < MOST[POOL] - 2 do self:keep(assert(heapwright.new(tame_options(true))), POOL) end
  if random(4) == 1 then self:refill_others() end
end

function World:refill_others()
  local pool = random(2) == 1 and self:object(POOL) or nil
  local ok, state = pcall(heapwright.state, {
    limit = not pool and "512K" or nil, pool = pool, instructions = 20000, seconds = 1, finalizers = random(2) == 1,
  })
  if ok and state then
    state:eval "function f(...) return true, ... end"
    self:keep(state, STATE)
  end
  local thread = heapwright.spawn(nil, pick(values.SENT), random(0))
  if thread then self:keep(thread, THREAD) end
  self.objects.workload = { self.workload.new(self:object(POOL), random(0)) }
end

-- ---- One call ------------------------------------------------------------------------

local function pass(...) return ... end

-- From a line of Lua, so that an error has a position; no tail call.
local function invoke(f, ...)
  return pass(f(...))
end

local SLOTS = 8192

-- A table in which each function stands as often as it is to be drawn.
function World:weigh()
  local weight, slots = 0, {}
  for _, name in ipairs(self.kind_names) do weight = weight + self.kinds[name].weight end
  for _, name in ipairs(self.kind_names) do
    local list = self.kinds[name]
    for _, target in ipairs(list) do
      local share = (OFTEN[target.name] or 1) / list.sum * list.weight / weight
      for _ = 1, math.max(1, share * SLOTS // 1) do slots[#slots + 1] = target end
    end
  end
  self.slots = slots
end

function World:draw_target()
  if not self.slots then self:weigh() end
  return pick(self.slots)
end

-- Kinds of values for the arguments: anew, or those of a call that went well, with one of them changed.
function World:draw_recipe(target)
  local known = target.recipes
  local recipe = {}
  if #known > 0 and random(4) > 1 then
    table.move(known[random(#known)], 1, 6, 1, recipe)
    if random(2) == 1 then recipe[random(math.min(#recipe + 1, 6))] = pick(self.plain) end
    if random(12) == 1 then recipe[#recipe] = nil end
  else
    if random(4) > 1 then table.move(target.prefix, 1, #target.prefix, 1, recipe) end
    for i = #recipe + 1, random(math.min(#recipe, 4), 4) do recipe[i] = pick(self.plain) end
  end
  return recipe
end

function World:draw_self(target)
  if target.kind == "module" then return end
  if target.kind ~= "iterator" and random(25) == 1 then
    return self.draw[pick(self.plain)](target), random(3) == 1
  end
  return self:object(target.kind)
end

function World:fail(text, ...)
  self.failure = self.failure or text:format(...)
end

local POSITION = "^[^\n]-:%d+: ."

-- Lua's own, of a metamethod that is called from C.
local function is_bare(raised)
  return raised == "not enough memory" or raised:find "^attempt to %a+ a %w+ value"
end

-- What may be raised: a text with a position, or what a hostile function raised.
function World:judge_error(target, recipe, raised)
  target.raised = target.raised + 1
  if raised == values.RAISED then return end
  if type(raised) ~= "string" or not raised:find(POSITION) and not is_bare(raised) then
    return self:fail("%s.%s raised %s", target.kind, target.name, tostring(raised))
  end
  -- Which argument was the first that it did not take? Those before it are worth drawing again.
  local bad = tonumber(raised:match "bad argument #(%d+)")
  bad = bad and bad - (target.kind == "module" and 1 or 2)
  if bad and bad >= 0 and (bad >= #target.prefix or random(4) == 1) then
    target.prefix = table.move(recipe, 1, math.min(bad, #recipe), 1, {})
  end
end

function World:judge_failure(target, results)
  local message, code = results[3], results[4]
  local of_script = target.kind == STATE or target.kind == THREAD or target.name == "spawn" or target.name == "state"
  if not of_script and (type(message) ~= "string" or not CODES[code]) or code ~= nil and not CODES[code] then
    self:fail("%s.%s gave nil, %s, %s", target.kind, target.name, tostring(message), tostring(code))
  elseif code == "corrupted" and target.kind == POOL then
    self:fail("%s.%s found damage: %s", target.kind, target.name, message)
  end
end

function World:learn(target, recipe, used)
  local known = target.recipes
  known[#known < 12 and #known + 1 or random(12)] = recipe
  if not used then return end
  for name, kind in next, used do
    local well = self.well[name] or {}
    well[#well < 6 and #well + 1 or random(6)] = kind
    self.well[name] = well
  end
end

function World:judge(target, recipe, used, results)
  if not results[1] then return self:judge_error(target, recipe, results[2]) end
  if results[2] == nil and results.n > 2 then
    if target.results == 0 and #target.recipes < 3 then self:learn(target, recipe) end
    return self:judge_failure(target, results)
  end
  target.results = target.results + 1
  self:learn(target, recipe, used)
  for i = 2, math.min(results.n, 6) do
    local result = results[i]
    if math.type(result) == "integer" then
      if target.kind == POOL then self.addresses[random(48)] = result end
    elseif type(result) == "function" then
      if debug.getinfo(result, "S").what == "C" then self.objects.iterator[random(4)] = result end
    else
      if type(result) == "table" and target.kind == "module" then result = rawget(result, "program") end
      self:adopt(result)
    end
  end
end

-- Writes the call where a crash leaves it to be read.
function World:write_trace(target, arguments)
  local file = self.trace
  local list = {}
  for i = 1, arguments.n do list[i] = values.show(arguments[i], self.names) end
  local line = ("%d: %s%s.%s(%s)"):format(self.calls, ("  "):rep(self.depth - 1), target.kind, target.name,
    table.concat(list, ", "))
  file:seek("set", self.calls % TRACED * LINE)
  file:write(line:sub(1, LINE - 1), (" "):rep(LINE - 1 - #line), "\n")
end

local function prepare(self, target)
  local recipe, arguments = self:draw_recipe(target), { n = 0 }
  local it, missing = self:draw_self(target)
  if target.kind ~= "module" and not missing then arguments[1], arguments.n = it, 1 end
  self.used = nil
  for i = 1, #recipe do
    arguments.n = arguments.n + 1
    arguments[arguments.n] = self.draw[recipe[i]](target)
  end
  if random(40) == 1 then
    for _ = 1, random(30) do
      arguments.n = arguments.n + 1
      arguments[arguments.n] = random(9)
    end
  end
  return recipe, arguments, self.used
end

--- Makes one call and judges it; hostile functions come back here.
function World:call(target)
  if self.depth > 2 then return end
  self.depth = self.depth + 1
  self.calls = self.calls + 1
  local recipe, arguments, used = prepare(self, target)
  local f = target.f or arguments[1]
  if self.trace then self:write_trace(target, arguments) end
  target.calls = target.calls + 1
  local before = random(300) == 1 and self:ambush(arguments[1], random(0, 7))
  local results = table.pack(pcall(invoke, f, table.unpack(arguments, target.f and 1 or 2, arguments.n)))
  if before then finalizer.relax() end
  self:judge(target, recipe, used, results)
  self.depth = self.depth - 1
end

-- ---- Finalizers at every place -------------------------------------------------------

local function close(victim)
  local meta = select(2, kind_of(victim))
  if meta then pcall(meta.__close or meta.__gc, victim) end
end

-- What a finalizer does to what is being used.
local function strike(self, victim)
  local kind = kind_of(victim)
  local how = random(8)
  if not kind or how == 1 then
    self.reenter()
  elseif how == 2 and kind == POOL then
    pcall(victim.free, victim, self:some_address())
  elseif how == 3 and kind == POOL then
    pcall(victim.reset, victim)
  elseif how == 4 and self.kinds[kind] then
    for _, target in ipairs(self.kinds[kind]) do
      if (OFTEN[target.name] or 1) > 0.02 then pcall(target.f, victim, self:some_address(), 16, 1) end
    end
  else
    close(victim)
  end
end

--- From now on Lua collects, in full, wherever it may; what then strikes does so at the `fuse`-th of these.
function World:ambush(victim, fuse)
  finalizer.tense()
  finalizer.bury(fuse, function() strike(self, victim) end)
  return true
end

-- An open object of a kind, which nothing was done with.
function World:fresh(kind)
  if kind == POOL then
    local pool = assert(heapwright.new(tame_options(true)))
    for i = 1, 6 do
      local ok, address = pcall(pool.malloc, pool, i * 20) -- its policy may raise
      self.addresses[i] = ok and address or 0
    end
    self:name(pool, kind)
    return pool
  elseif kind == STATE or kind == THREAD then
    self:refill_others()
    return self.objects[kind][#self.objects[kind]]
  elseif kind == "heapwright.program" then
    local figures = heapwright.watch(function() return { {} } end)
    return figures and figures.program
  end
  return self:object(kind)
end

-- One call with what was called well, closed at the `fuse`-th place where Lua may collect.
local function ambush_with(self, target, recipe, fuse)
  local victim = self:fresh(target.kind)
  local arguments = { n = 1, victim }
  if target.kind == "module" then arguments.n = 0 end
  for _, kind in ipairs(recipe) do
    arguments.n = arguments.n + 1
    arguments[arguments.n] = self.draw[kind](target)
    victim = victim or type(arguments[arguments.n]) == "userdata" and arguments[arguments.n]
  end
  self.calls, self.depth, target.calls = self.calls + 1, 1, target.calls + 1
  if self.trace then self:write_trace(target, arguments) end
  finalizer.tense()
  finalizer.bury(fuse, function() close(victim) end)
  local results = table.pack(pcall(invoke, target.f, table.unpack(arguments, 1, arguments.n)))
  finalizer.relax()
  self:judge(target, recipe, nil, results)
  self.depth = 0
end

--- Every function with all that it was called with well, closed under its feet at each of its allocations.
function World:ambush_each()
  for _, name in ipairs(self.kind_names) do
    for _, target in ipairs(self.kinds[name]) do
      local recipes = table.move(target.recipes, 1, #target.recipes, 1, { {} })
      for _, recipe in ipairs(target.f and recipes or {}) do
        for fuse = 0, 7 do
          if not self.failure then ambush_with(self, target, recipe, fuse) end
        end
      end
    end
  end
end

-- ---- A policy ------------------------------------------------------------------------

-- Calls whatever it likes, and what it is shown the most; names a block mostly, anything now and then.
function World:choose(free, size, align)
  self:adopt(free)
  if self.depth < 2 and random(4) == 1 then
    if random(3) == 1 then self.reenter() end
    self.depth = self.depth + 1
    for _ = 1, random(0, 2) do
      local target = pick(self.kinds[FREE])
      pcall(invoke, target.f, free, self:some_address(), random(0, 300), 1 << random(0, 12))
      target.calls = target.calls + 1
    end
    self.depth = self.depth - 1
  end
  local how = random(40)
  if how == 1 then return self.draw[pick(self.plain)]() end
  if how == 2 then error(values.RAISED, 0) end
  if how == 3 then return self:some_address() end
  if how == 4 then collectgarbage() end
  return (free:first(size, align))
end

function World:register()
  heapwright.policy("hostile", { choose = function(...) return self:choose(...) end })
  local pool <close> = heapwright.new { policy = "hostile", capacity = 512 }
  repeat until pcall(pool.malloc, pool, 1) and self.kinds[FREE] -- the view's functions are known
end

-- ---- Its beginning -------------------------------------------------------------------

local function make()
  local self = setmetatable({
    kinds = {}, kind_names = {}, objects = {}, names = setmetatable({}, { __mode = "k" }), named = 0, well = {},
    addresses = { 0 }, option_names = {}, option_known = {}, calls = 0, depth = 0, plain = {},
    workload = require "heapwright.workload",
  }, World)
  for i = 1, 48 do self.addresses[i] = 16 * i end
  local module = {}
  for _, name in ipairs { "heapwright", "heapwright.replay", "heapwright.traces" } do
    for field, f in pairs((require(name))) do
      -- traces.record starts programs.
      if type(f) == "function" and name .. field ~= "heapwright.tracesrecord" then
        module[#module + 1] = { name = field, f = f, kind = "module" }
      end
    end
  end
  self:add_kind("module", module)
  self:add_kind("iterator", { { name = "()", kind = "iterator" } })
  return self
end

-- Gives it what values are drawn from.
local function equip(self)
  local world = {
    option_names = self.option_names, well = self.well, plain = self.plain,
    address = function() return self:some_address() end,
    object = function(kind) return self:object(kind) end,
    reenter = function() self:call(self:draw_target()) end,
    names = self.names,
  }
  self.reenter = world.reenter
  self.draw = values.kinds(world)
  for name in next, self.draw do self.plain[#self.plain + 1] = name end
  table.sort(self.plain)
  setmetatable(world, { __newindex = function(_, key, value) self[key] = value end }) -- what `options` used
end

-- One object of each kind, so that its functions are known, and the options that functions know.
local function meet(self)
  local pool <close> = heapwright.new()
  local state, thread = heapwright.state(), heapwright.spawn(nil, "")
  self:register()
  for _, object in ipairs { pool, state, thread } do self:adopt(object) end
  local workload = self.workload.new(pool, 1)
  self:add_kind("workload", functions_of(debug.getmetatable(workload), "workload"))
  for _, name in ipairs(self.kind_names) do
    for _, target in ipairs(self.kinds[name]) do
      if target.f and name ~= "workload" then
        self:harvest(target.f, { [""] = 1 })
        self:harvest(target.f, self:object(name), { [""] = 1 })
        if name == "module" then
          self:harvest(target.f, { [""] = 1 }, print)
          self:harvest(target.f, "name", { [""] = 1 })
        end
      end
    end
  end
  table.sort(self.option_names)
  self.objects[POOL] = {}
  self:refill()
  self:refill_others()
end

--- A world with objects of every kind.
---@param trace file*|nil where calls are written before they are made
function M.new(trace)
  local self = make()
  self.trace = trace
  equip(self)
  meet(self)
  return self
end

M.POOL, M.THREAD, M.OFTEN, M.tame_options = POOL, THREAD, OFTEN, tame_options

return M
