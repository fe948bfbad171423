-- SPDX-License-Identifier: MIT
-- Every argument of every method, given what it does not take: raises, with the
-- caller's position, the argument and the method named; nothing happens.
local heapwright = require "heapwright"

-- What each argument wants, in order; "?" may be left out.
local SIGNATURES = {
  alloc = { "size" }, malloc = { "size" }, calloc = { "size", "size" }, aligned_alloc = { "integer", "size" },
  realloc = { "address or nil", "size" },
  free = { "address" }, size = { "address" }, usable_size = { "address" },
  owner = { "address" }, read = { "address", "size?" }, write = { "address", "string" },
  fill = { "address", "byte", "size" }, copy = { "address", "address", "size" },
  compare = { "address", "address", "size" },
  load = { "address" }, store = { "address", "integer" }, fetch_add = { "address", "integer" },
  cas = { "address", "integer", "integer" },
  pack = { "address", "string" }, unpack = { "address", "string" },
  map = { "width?" }, record = { "path?" }, inject = { "plan?" },
  block = { "size", "alignment?" }, save = { "path" }, compact = {},
  blocks = {}, stats = {}, check = {}, leaks = {}, reset = {}, trim = {}, close = {}, policy = {},
}

local NIL = {} -- stands for nil in a list
local NOT_INTEGER = { NIL, "x", {}, true, 1.5, print, 2 ^ 63, 0 / 0, 1 / 0 }
local NOT_STRING = { NIL, {}, true, print }
local WRONG = {
  address = NOT_INTEGER,
  integer = NOT_INTEGER,
  ["address or nil"] = { "x", {}, true, 1.5, print },
  size = { NIL, "x", {}, true, 1.5, print, -1, math.mininteger, -1.0 },
  ["size?"] = { "x", {}, true, 1.5, print, -1, math.mininteger },
  byte = { NIL, "x", {}, true, 1.5, -1, 256 },
  string = NOT_STRING,
  ["width?"] = { "x", {}, true, 1.5, 0, -1, 65537 },
  ["path?"] = { {}, true, print },
  path = { NIL, {}, true, print },
  ["alignment?"] = { "x", {}, true, 1.5, print },
  ["plan?"] = { "x", 5, true, print, {}, { after = 0 } },
}
local RIGHT = {
  address = 0, integer = 16, ["address or nil"] = 0, size = 1, ["size?"] = 1,
  path = "/nowhere/at/all", byte = 1, string = "",
  ["width?"] = 8,
}

local function arguments(signature, wrong_at, wrong)
  local list = { n = #signature }
  for i, kind in ipairs(signature) do list[i] = RIGHT[kind] end
  if wrong == NIL then wrong = nil end
  list[wrong_at] = wrong
  return list
end

describe("a wrong argument", function()
  local mem

  before_each(function()
    mem = assert(heapwright.new { capacity = "4K" })
    mem:alloc(100)
  end)
  after_each(function() mem:close() end)

  it("is looked for in every method there is", function()
    local methods = debug.getmetatable(mem).__index
    for name in pairs(methods) do assert.is_table(SIGNATURES[name], name) end
    for name in pairs(SIGNATURES) do assert.is_function(methods[name], name) end
  end)

  for name, signature in pairs(SIGNATURES) do
    for i, kind in ipairs(signature) do
      it(("raises as argument %d of %s"):format(i, name), function()
        local text = "local mem, args = ... return mem:%s(table.unpack(args, 1, args.n))"
        local call = assert(load(text:format(name), "=here"))
        for _, wrong in ipairs(WRONG[kind]) do
          local ok, message = pcall(call, mem, arguments(signature, i, wrong))
          if ok then error(("%s took %s for argument %d"):format(name, tostring(wrong), i)) end
          local expected = ("here:1: bad argument #%d to '%s' ("):format(i, name)
          if not message:find(expected, 1, true) then error(message) end
        end
        assert.equal(1, mem:stats().live_blocks)
        assert.equal(1, mem:stats().allocations)
        assert.is_true(mem:check())
      end)
    end

    it("raises as the pool of " .. name, function()
      local method = mem[name]
      local light = debug.upvalueid(arguments, 1)
      for _, wrong in ipairs { 1, "x", {}, true, print, io.stdout, light, NIL } do
        if wrong == NIL then wrong = nil end
        local ok, message = pcall(method, wrong, 0, 0, 0)
        assert.is_false(ok)
        assert.is_truthy(message:find("bad argument #1 to ", 1, true))
        assert.is_truthy(message:find("heapwright.pool expected, got ", 1, true))
      end
    end)
  end

  it("is named with the caller's position", function()
    local ok, message = pcall(function() mem:malloc(-5) end)
    assert.is_false(ok)
    assert.is_truthy(message:find("types_spec.lua:%d+: bad argument #1 to 'malloc' %(negative size %-5%)"))
  end)

  it("may be a number where a string is wanted, as in Lua", function()
    assert.is_true(mem:write(0, 42))
    assert.equal("42", mem:read(0, 2))
  end)

  it("may be a string of a number where a number is wanted, as in Lua", function()
    assert.equal(100, mem:size "0")
  end)
end)
