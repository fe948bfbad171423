-- SPDX-License-Identifier: MIT
-- What the bytes of a fuzzer's input do with the module: see scenario_fuzz.c,
-- which calls what this file returns once for each input.
--
-- Whatever the script does, a call returns or raises; what answers nil says why
-- with a code; a pool that is open passes its check. The module's functions and
-- the methods are found in the module itself, so that new ones are tried as well.

local attempt, tells = ...

local heapwright = require "heapwright"
local traces = require "heapwright.traces"
local replay = require "heapwright.replay"

local MOST_OBJECTS, MOST_CALLS, MOST_THREADS = 8, 150, 2

local CODES = {}
for code in ([[no_memory invalid_free double_free unallocated out_of_bounds invalid_argument corrupted
  limit io uninitialised]]):gmatch "%S+" do CODES[code] = true end

---- The input ---------------------------------------------------------------------

local input, at = "", 1

local function byte()
  local b = input:byte(at) or 0
  at = at + 1
  return b
end

local function one_of(list) return list[byte() % #list + 1] end

local function take(n)
  local text = input:sub(at, at + n - 1)
  at = at + n
  return text
end

---- What there is -------------------------------------------------------------------

local objects, addresses = {}, {} -- of this input
local threads, started = {}, 0

local function is_open(object, kind)
  local text = tostring(object)
  return text:find(kind, 1, true) and not text:find("closed", 1, true)
end

local function some_pool()
  for _ = 1, #objects do
    local object = one_of(objects)
    if is_open(object, "pool") then return object end
  end
  return objects[1]
end

local function close_some() local pool = some_pool() if pool then pool:close() end end

-- Objects whose every use does something to the pools that are there.
local Hostile = {}
for _, name in ipairs { "__index", "__newindex", "__len", "__eq", "__lt", "__le", "__concat", "__call", "__add" } do
  Hostile[name] = function() close_some() return 1 end
end
Hostile.__tostring = function() close_some() return "hostile" end
Hostile.__name = "heapwright.pool"
local Finalized = { __gc = function()
  local pool = some_pool()
  if not pool then return end
  pcall(pool.free, pool, addresses[1] or 0)
  pcall(pool.malloc, pool, 24)
  pcall(pool.close, pool)
end }

local FUNCTIONS = {
  function() error("on purpose", 0) end,
  function() error {} end,
  function(...) return ... end,
  function() close_some() end,
  function() collectgarbage() end,
  function() coroutine.yield(1) end,
  function(pool) return pool and pool:malloc(40) end,
  function() local t = {} for i = 1, 50 do t[i] = { i } end return #t end,
  coroutine.wrap(function() while true do coroutine.yield() end end),
  string.rep, setmetatable, next,
}

---- Values ----------------------------------------------------------------------------

local INTEGERS = { 0, 1, -1, 2, 7, 8, 15, 16, 17, 255, 256, 1000, 4096, 65535, 65536, 1 << 31, (1 << 31) - 1, 1 << 32,
  1 << 53, 1 << 62, math.maxinteger, math.mininteger, math.mininteger + 1, math.maxinteger - 15 }
local FLOATS = { 0.0, -0.0, 1.0, 1.5, -1.5, 16.0, 1e15, 2.0 ^ 53, 2.0 ^ 63, -2.0 ^ 63, 1e308, 1 / 0, -1 / 0, 0 / 0 }
local TEXTS = { "", "0", "16", "-1", "1K", "12KiB", "1.5K", "12Q", "0x10", "1e3", " 8 ", "1e400", "nan", "K", "check",
  "off", "full", "best-fit", "slab", "address", "a\0b", ("x"):rep(300), "\255\254" }
local PATHS = { "a.hwt", "b.txt", "c", "missing", "", "a\0.hwt", ("n"):rep(300) }
local FORMATS = { "i4", "<i8", ">I2", "z", "s2", "s8", "!16 i16", "d", "b", "i17", "!3i4", "x", "Xi4", "c100000",
  "i4i4i4", "%", "", "s", "c0", "!", "j", "T", "Xz" }
local SOURCES = { "return 1", "return ...", "error 'x'", "local t = {} for i = 1, 100 do t[i] = {} end return t",
  "return string.rep('x', 1000)", "x = 1", "function f(...) return ... end", "return (", "\27Lua", "",
  "local h = require 'heapwright' return h.new {}", "return setmetatable({}, {})", "return ('x'):rep(1e7)",
  "local pool = ... local a = pool:malloc(10) pool:free(a) return a",
  "return coroutine.wrap(function() return 1 end)()",
  "local t = {} t.t = t return t", "return 0/0, {1, {2}}, nil" }

local POLICIES = {}
for i, policy in ipairs(heapwright.policies()) do POLICIES[i] = policy.name end

local function address()
  local b = byte()
  local base = #addresses > 0 and addresses[b % #addresses + 1] or 0
  if b < 160 then return base end
  if b < 224 then return base + byte() % 40 - 4 end
  return one_of(INTEGERS)
end

local function small() return byte() * (byte() % 4 == 0 and 16 or 1) end

local options -- a table of options; below

local VALUES = {
  function() return nil end,
  function() return byte() % 2 == 0 end,
  function() return one_of(INTEGERS) end,
  function() return one_of(INTEGERS) + byte() - 128 end,
  function() return one_of(FLOATS) end,
  function() return one_of(TEXTS) end,
  function() return (take(byte() % 24):gsub("/", "_")) end,
  function() return one_of(FUNCTIONS) end,
  function() return one_of(objects) end,
  function() return setmetatable({}, Hostile) end,
  function() return setmetatable({}, Finalized) end,
  function() return options() end,
  function() return address() end,
  function() return small() end,
  function() return one_of(FORMATS) end,
  function() return one_of(PATHS) end,
  function() return one_of(SOURCES) end,
  function() return io.stdout end,
  function() return coroutine.create(FUNCTIONS[6]) end,
}

local function any() return one_of(VALUES)() end

-- Sizes that a pool may have; nothing between what is cheap and what is refused at once.
local function capacity()
  local b = byte()
  if b < 128 then return (b + 1) * 64 end
  if b < 192 then return ({ "4K", "64K", "1M", "100", "1.5K", 65536, 4000, 1 << 18 })[b % 8 + 1] end
  return ({ 0, -1, 1 << 60, math.maxinteger, 1.5, "12Q", true, 3 })[b % 8 + 1]
end

local OPTIONS = {
  capacity = capacity, max_capacity = capacity,
  policy = function() return one_of(POLICIES) end,
  order = function() return one_of { "address", "fifo", "lifo", "random", "none" } end,
  guard = function() return one_of { "off", "check", "full", "none" } end,
  granule = function() return one_of { 8, 16, 32, 64, 4096, "16", 24, 0 } end,
  red_zone = small, quarantine = small, seed = function() return one_of(INTEGERS) end,
  thread_safe = function() return byte() % 2 == 0 end,
  small_pages = function() return true end,
  thread_caches = function() return byte() % 4 end,
  classes = function()
    return one_of { { 16, 48, 256 }, { 64, "1K" }, { 4096 }, { 32, 16 }, {}, "16", { 0 }, { 24 } }
  end,
  limit = function() return one_of { "32K", "64K", "256K", "1M", 100, -1, "8M" } end,
  headroom = small,
  instructions = function() return one_of { 1000, 5000, 0, -1, 1 } end,
  seconds = function() return one_of { 1, 0.01, 0, -1, 0 / 0, "1" } end,
  finalizers = function() return byte() % 2 == 0 end,
  pool = function() return some_pool() end,
  libs = function() return one_of { {}, { "heapwright" }, { "none" }, "io", { 1 } } end,
  after = small, every = small, probability = function() return one_of(FLOATS) end, size_at_least = small,
  path = function() return one_of(PATHS) end,
  kinds = function() return one_of { {}, { "table" }, { "none" }, "table" } end,
}
local OPTION_NAMES = {}
for name in pairs(OPTIONS) do OPTION_NAMES[#OPTION_NAMES + 1] = name end
table.sort(OPTION_NAMES)

function options()
  local made = {}
  for _ = 1, byte() % 5 do
    local name = one_of(OPTION_NAMES)
    made[name] = OPTIONS[name]()
  end
  if byte() % 16 == 0 then made[one_of(OPTION_NAMES)] = byte() % 2 == 0 and any() or nil end
  for _, name in ipairs { "capacity", "max_capacity", "limit" } do -- what `any` made
    if math.type(made[name]) == "integer" and made[name] > 1 << 22 and made[name] < 1 << 50 then made[name] = 4096 end
  end
  return made
end

local function pool_options()
  local made = { capacity = 64 * (byte() + 1), policy = one_of(POLICIES) }
  for _ = 1, byte() % 4 do
    local name = one_of {
      "order", "guard", "granule", "thread_safe", "thread_caches", "max_capacity", "red_zone", "classes",
    }
    made[name] = OPTIONS[name]()
  end
  return made
end

local function state_options()
  local made = options()
  made.instructions = made.instructions or 2000
  made.limit = made.limit or "256K"
  return made
end

---- Calls --------------------------------------------------------------------------------

local function integer() return one_of(INTEGERS) end
local function word() return address() & ~7 end
local function alignment() return 1 << byte() % 16 end
local function text() return (("x"):rep(byte() % 80)) end
local function format() return one_of(FORMATS) end
local function path() return one_of(PATHS) end
local function source() return one_of(SOURCES) end

-- What the calls usually take.
local USUAL = {
  alloc = { small }, malloc = { small }, calloc = { small, small }, aligned_alloc = { alignment, small },
  realloc = { address, small }, free = { address }, size = { address }, usable_size = { address },
  owner = { address }, read = { address, small }, write = { address, text }, fill = { address, byte, small },
  copy = { address, address, small }, compare = { address, address, small }, load = { word },
  store = { word, integer }, fetch_add = { word, integer }, cas = { word, integer, integer },
  pack = { address, format, any, any, any }, unpack = { address, format }, map = { small },
  record = { path }, save = { path }, inject = { function() return options() end }, block = { small },
  new = { pool_options }, state = { state_options }, parse_size = { any },
  spawn = { some_pool, source, any }, watch = { path, function() return one_of(FUNCTIONS) end, any },
  eval = { source, any }, call = { function() return "f" end, any }, set = { function() return "x" end, any },
  run = { path }, limit = { small }, join = { function() return byte() % 2 == 0 and 0.01 or nil end },
  info = { path }, open = { path }, convert = { path, path },
}

-- Of the module: a program's recording runs programs, and is left out.
local MODULE = {}
for _, part in ipairs { heapwright, traces, replay } do
  for name, f in pairs(part) do
    if type(f) == "function" and f ~= traces.record then MODULE[#MODULE + 1] = { name, f } end
  end
end
table.sort(MODULE, function(a, b) return a[1] < b[1] end)

local methods_of_type = {}

local function methods_of(object)
  local metatable = debug.getmetatable(object)
  local index = metatable and rawget(metatable, "__index")
  if type(index) ~= "table" then return nil end
  if not methods_of_type[index] then
    local list = {}
    for name, f in pairs(index) do list[#list + 1] = { name, f } end
    table.sort(list, function(a, b) return a[1] < b[1] end)
    methods_of_type[index] = list
  end
  return methods_of_type[index]
end

local function drop(i)
  local object = table.remove(objects, i)
  local close = methods_of(object) and object.close
  if close then pcall(close, object) end
end

local function keep(value, name)
  if math.type(value) == "integer" and USUAL[name] and name:find "alloc" then
    addresses[#addresses + 1] = value
    if #addresses > 40 then table.remove(addresses, 1) end
  elseif type(value) == "userdata" and methods_of(value) and getmetatable(value) ~= getmetatable(io.stdout) then
    objects[#objects + 1] = value
    if name == "spawn" then threads[#threads + 1] = value end
    if #objects > MOST_OBJECTS then drop(1) end
  end
end

-- These may hand on what a script returned.
local RUNS_CODE = { watch = true, call = true, eval = true, run = true, join = true }

-- Calls f; what it gives back is kept and held against what every call promises.
local function perform(name, f, n, ...)
  if name == "spawn" then
    started = started + 1
    if started > MOST_THREADS then return end
  end
  local budget = byte()
  if tells then print(name, ...) end
  local results = table.pack(attempt(budget > 239 and (budget - 240) * 2 or -1, f, table.unpack({ ... }, 1, n)))
  if tells then print("", table.unpack(results, 1, results.n)) end
  if not results[1] then return end
  local value, message, code = results[2], results[3], results[4]
  local answers = results.n == 4 and value == nil and type(message) == "string" and type(code) == "string"
  if answers and not RUNS_CODE[name] and not CODES[code] then
    error(("%s answered an unknown code: %s, %s"):format(name, message, code))
  end
  for i = 2, results.n do keep(results[i], name) end
end

local function usual_arguments(name)
  local made, n = {}, 0
  for i, draw in ipairs(USUAL[name] or {}) do
    n = i
    made[i] = draw()
  end
  return made, n
end

local function hostile_arguments()
  local made, n = {}, byte() % 6
  for i = 1, n do made[i] = any() end
  return made, n
end

local function call_method(object, hostile)
  local methods = object and methods_of(object)
  if not methods then return end
  local name, f = table.unpack(one_of(methods))
  if type(f) ~= "function" then return end
  local made, n
  if hostile then
    made, n = hostile_arguments()
  else
    made, n = usual_arguments(name)
  end
  local self = object
  if hostile and byte() % 8 == 0 then self = any() end
  perform(name, f, n + 1, self, table.unpack(made, 1, n))
end

local function call_module(hostile)
  local name, f = table.unpack(one_of(MODULE))
  local made, n
  if hostile then
    made, n = hostile_arguments()
  else
    made, n = usual_arguments(name)
  end
  perform(name, f, n, table.unpack(made, 1, n))
end

local function check_all()
  for _, object in ipairs(objects) do
    if is_open(object, "pool") then
      local returned, sound, message = pcall(object.check, object)
      if returned and not sound then error("a pool is not sound: " .. tostring(message)) end
    end
  end
end

local function step()
  local verb = byte() % 32
  if verb < 18 then return call_method(some_pool(), false) end
  if verb < 22 then return call_method(some_pool(), true) end
  if verb < 25 then return call_method(one_of(objects), byte() % 2 == 0) end
  if verb < 27 then return call_module(true) end
  if verb < 29 then return call_module(false) end
  if verb == 29 then return perform("new", heapwright.new, 1, pool_options()) end
  if verb == 30 then return collectgarbage() end
  return check_all()
end

return function(bytes)
  input, at, objects, addresses, threads, started = bytes, 1, {}, {}, {}, 0
  perform("new", heapwright.new, 1, pool_options())
  for _ = 1, MOST_CALLS do
    if at > #input or #objects == 0 then break end
    step()
  end
  check_all()
  while #objects > 0 do drop(#objects) end
  for _, thread in ipairs(threads) do -- what a thread has in a pool, who looks for leaks does not see
    thread:cancel()
    thread:join()
  end
end
