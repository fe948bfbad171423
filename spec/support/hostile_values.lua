-- SPDX-License-Identifier: MIT
-- What hostile calls are made with. Each kind of value has a name, under which a call
-- that went well remembers what it was made with; strings hold no '/' but where they are
-- paths of the folder that the calls are made in, so that whatever takes one for a path
-- touches nothing else. All draws come from math.random, whose seed the caller sets.
local M = {}

local random = math.random

local function pick(list)
  return list[random(#list)]
end

local INTEGERS = {
  0, 1, -1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 48, 64, 100, 255, 256, 1000, 1024, 4095, 4096, 65535, 65536,
  1 << 20, (1 << 20) - 16, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 32) - 16, (1 << 32) + 16, 1 << 36, 1 << 40,
  1 << 53, 1 << 62, math.maxinteger, math.maxinteger - 15, math.mininteger, math.mininteger + 16, -16, -4096,
}
local FLOATS = {
  0 / 0, 1 / 0, -1 / 0, 0.5, -0.0, 1e308, 5e-324, 2.0 ^ 53, 2.0 ^ 63, -2.0 ^ 63, 16.0, 3.0, 1.0, -1.0, 1e15, 100.25,
}
local TEXTS = {
  "", " ", "0", "16", "0x20", " 32 ", "1e2", "12Q", "1M", "64K", "1.5K", "-1", "99999999999999999999", "1T", "nan",
  "%s%s%n", "Hello, World!", "zero\0byte", "\0", "\27Lua", "best-fit", "address", "full", "f", "x", "a.b.c", "string",
  "text", "binary", "\xff\xfe\x80", ("x"):rep(41), ("long "):rep(300),
}
local HUGE = ("\x5a"):rep(70000)
local FORMATS = {
  "i4", "<i8", "z", "s4", "b", "B", "!8 d", "i16", "xxi2", "c10", "c0", "!16", "Xi4", "j", ">I3", "s1", "i17", "%",
  "<i4 i4 i4", "zs1", "c10000", "bbbbbbbbbbbbbbbb", "i", "!1000", " ",
}
-- Two are links to /dev/null and /dev/full: who puts another file in a path's place does so to the link.
local PATHS = { "one.hwt", "two.txt", "three", "none.hwt", "null", "full.hwt", "below/one.hwt", "one.hwt/below", "." }
local CODES = {
  "return true, ...", "x = (x or 0) + 1 return true, x", "error 'raised'", "error { 1 }", "error()",
  "local t = {} for i = 1, 300 do t[i] = { i } end return true, #t", "return ('x'):rep(1000)", "no code",
  "local c <close> = setmetatable({}, { __close = error })", "return true, select('#', ...)", "return function() end",
  "coroutine.wrap(function() coroutine.yield(1) end)() return true", "local t = {} t[1] = t return t",
  "function f(...) return true, ... end", "return pcall(string.rep, 'x', 1 << 40)",
  "local m = ... if type(m) == 'userdata' then local a = m:alloc(20) if a then m:write(a, 'x') m:free(a) end end",
  "local m = ... if type(m) == 'userdata' and m.close then m:close() end return true",
  "for i = 1, 2000 do end return true", "setmetatable({}, { __gc = function() end })",
  "local ok, h = pcall(require, 'heapwright') return true, ok and h.new():alloc(10)",
}

-- For other Lua states: they close over nothing.
M.SENT = {
  function(...) return true, ... end,
  function() return { { "a text of more than forty bytes, which is copied", { 1 } }, { 2, { 3 } }, "x" } end,
  function(pool) return true, type(pool) == "userdata" and pool:malloc(10) end,
  function(pool) return true, type(pool) == "userdata" and pool:close() end,
  function() error { "raised", 1 } end,
}

local function bytes()
  local list = {}
  for i = 1, random(0, 24) do list[i] = string.char(random(0, 255)) end
  return (table.concat(list):gsub("/", "."))
end

--- The error that hostile functions raise where it is no text.
M.RAISED = setmetatable({}, { __name = "%s raised" })

local function raise()
  error(M.RAISED, 0)
end
local function raise_text() error "raised" end

--- Kinds of values by name; `world` has what the values need: addresses, objects, callbacks.
---@param world table
---@return table<string, fun(target: any): any> draws
function M.kinds(world)
  local callbacks = {
    raise, raise_text, world.reenter, function(...) return ... end,
    function() world.reenter() raise() end, function() return 3 end,
  }
  local nonsense = { raise, raise_text, world.reenter, 3, "text", false, {} }
  local EVENTS = {
    "__index", "__len", "__pairs", "__name", "__tostring", "__close", "__call", "__eq", "__lt", "__concat",
    "__newindex", "__metatable", "__mode",
  }
  local finished = coroutine.create(function() end)
  coroutine.resume(finished)
  local closed = io.tmpfile()
  closed:close()
  local others = {
    io.stdout, io.stderr, closed, coroutine.create(raise), finished, coroutine.running(), M.RAISED,
    debug.upvalueid(bytes, 1), string, _G,
  }
  for i, value in ipairs(others) do world.names[value] = "other" .. i end
  local option_names, D = world.option_names, {}

  D["nil"] = function() return nil end
  D.boolean = function() return random(2) == 1 end
  D.integer = function()
    if random(3) == 1 then return random(0) >> random(0, 63) end
    return pick(INTEGERS) + (random(8) == 1 and random(-20, 20) or 0)
  end
  D.size = function() return random(0, 8) * random(0, 40) end
  D.byte = function() return random(0, 255) end
  D.float = function() return random(4) == 1 and random() * 100 or pick(FLOATS) end
  D.address = function(target) return world.address(target) end
  D.interior = function(target) return world.address(target) + random(-8, 24) end
  D.alignment = function() return 1 << random(0, 16) end
  D.text = function() return pick(TEXTS) end
  D.bytes = bytes
  D.huge = function() return random(10) == 1 and HUGE or ("x"):rep(random(0, 3000)) end
  D.format = function() return pick(FORMATS) end
  D.name = function() return pick { "f", "x", "string.rep", "f.g", "none", "_G" } end
  D.path = function() return pick(PATHS) end
  D.code = function() return pick(CODES) end
  D.callback = function() return pick(callbacks) end
  D.sent = function() return pick(M.SENT) end
  D.pool = function() return world.object "heapwright.pool" end
  D.object = function() return world.object() end
  D.other = function() return pick(others) end
  D.list = function()
    local list = {}
    for i = 1, random(0, 4) do list[i] = D[pick { "integer", "text", "float", "boolean", "size" }]() end
    return list
  end
  D.events = function()
    local meta = {}
    for _ = 1, random(3) do meta[pick(EVENTS)] = pick(nonsense) end
    if random(4) == 1 then meta.__gc = world.reenter end
    meta.__metatable = random(2) == 1 and meta.__metatable or nil
    return setmetatable({ random(100), text = pick(TEXTS) }, meta)
  end
  -- Names that functions say they know, with values of which each has gone well, or any.
  D.options = function(target)
    local options, used = {}, {}
    for _ = 1, random(0, 3) do
      local name = pick(option_names)
      local well = world.well[name]
      local kind = well and random(4) > 1 and pick(well) or pick(world.plain)
      options[name], used[name] = D[kind](target), kind
    end
    if random(6) == 1 then options[1] = pick(random(2) == 1 and CODES or M.SENT) end
    if random(30) == 1 then options[pick { 0, 1.5, "none", false, raise }] = random(5) end
    world.used = used
    return options
  end
  D.scenario = function(target)
    local fields = D.options(target)
    fields.name, fields.run = "hostile", world.reenter
    return fields
  end
  D.questions = function(target)
    local questions = D.options(target)
    questions.policies = { { policy = pick { "best-fit", "slab", "bump", "none" } }, random(4) == 1 and {} or nil }
    questions.progress = random(2) == 1 and pick(callbacks) or nil
    return questions
  end
  return D
end

--- Makes what the paths name in the current folder.
function M.make_paths()
  os.execute "ln -sf /dev/null null && ln -sf /dev/full full.hwt"
end

-- ---- As text ------------------------------------------------------------------------

--- A value as Lua writes it, where it can be written.
---@param value any
---@param names table<any, string> of objects
function M.show(value, names, depth)
  local kind = type(value)
  if kind == "string" then
    if #value > 400 then return ("(%q):rep(%d)"):format(value:sub(1, 1), #value) end
    return (("%q"):format(value):gsub("\\\n", "\\n"):gsub("[\r\x1a\x7f-\xff]", function(c)
      return ("\\%03d"):format(c:byte())
    end))
  elseif kind == "number" then
    return ("%q"):format(value)
  elseif kind ~= "table" or names[value] or debug.getmetatable(value) or depth == 3 then
    return names[value] or (kind == "nil" or kind == "boolean") and tostring(value) or "--[[" .. kind .. "]] nil"
  end
  local parts = {}
  for k, v in next, value do
    depth = (depth or 0) + 1
    parts[#parts + 1] = ("[%s] = %s"):format(M.show(k, names, 3), M.show(v, names, depth))
    depth = depth - 1
  end
  table.sort(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end

return M
