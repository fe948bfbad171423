-- SPDX-License-Identifier: MIT
-- What calls from Lua cost, as multiples of an empty method call of the same run
-- (empty_method.c: an integer in, nothing checked, nothing out).
--
--      LUA_CPATH='build/?.so' lua5.4 spec/bench/calls.lua [--rounds N] [--json] [--help]
--
-- A pair is a malloc, which zeroes, and the free of what it gave: once of a size
-- for which there is a hole just as large, as there mostly is in a pool that has
-- been in use for a while, and once of a size to be cut from the free end, as
-- in a new one. Each row is timed in slices, each beside a slice of empty calls,
-- so that whatever slows the machine slows both. A round's multiple is the
-- quotient of the two sums of processor time; a figure is the median of the
-- rounds, its spread (most - least) / median. Loops are unrolled: what they cost
-- themselves is below 1 %.

local heapwright = require "heapwright"
local empty = require "heapwright_empty_method"

local SLICES <const>, PASSES <const>, UNROLLED <const> = 40, 200, 10
local CALLS <const> = SLICES * PASSES * UNROLLED -- in a round
local LEAST_ROUNDS <const>, MOST_ROUNDS <const> = 7, 99
local HOLE <const>, NO_HOLE <const>, BLOCK <const> = 64, 96, 1024 -- bytes

-- A function of (mem, address, argument) that makes `call` PASSES * UNROLLED times.
local function slice_of(call)
  local text = "local mem, address, argument = ... for _ = 1, %d do %s end"
  return assert(load(text:format(PASSES, (call .. " "):rep(UNROLLED)), "=" .. call))
end

local empty_slice = slice_of "mem:call(address)"

local PAIR <const> = "mem:free(mem:malloc(argument))"
local calls = {
  { name = "malloc+free hole", text = PAIR, argument = HOLE },
  { name = "malloc+free cut", text = PAIR, argument = NO_HOLE },
  { name = "write 13", text = "mem:write(address, argument)", argument = "Hello, World!" },
  { name = "read 13", text = "mem:read(address, argument)", argument = 13 },
  { name = "read 1024", text = "mem:read(address, argument)", argument = BLOCK },
}

-- Named as heapwright-bench names backends; one whose option this build does not have is left out.
local backends = {
  { name = "slab/nolock", options = { policy = "slab", thread_safe = false } },
  { name = "slab", options = { policy = "slab" } },
  { name = "slab/cached", options = { policy = "slab", thread_caches = 2 } },
  { name = "best-fit/nolock", options = { policy = "best-fit", thread_safe = false } },
  { name = "best-fit", options = { policy = "best-fit" } },
}

-- ---- Measuring ----

-- A pool with a hole between two blocks, and the address of the second one.
local function furnish(mem)
  assert(mem:malloc(HOLE))
  local hole, address = assert(mem:malloc(HOLE)), assert(mem:malloc(BLOCK))
  assert(mem:free(hole))
  return address
end

local function all_rows()
  local rows = {}
  for _, backend in ipairs(backends) do
    for _, call in ipairs(calls) do
      local known, mem = pcall(heapwright.new, backend.options)
      if known then
        rows[#rows + 1] = {
          call = call, backend = backend.name, slice = slice_of(call.text),
          mem = assert(mem), address = furnish(mem), ns = {}, multiples = {},
        }
      end
    end
  end
  return rows
end

local function seconds(slice, ...)
  local begin = os.clock()
  slice(...)
  return os.clock() - begin
end

-- One round; returns an empty call's nanoseconds.
local function play(row)
  local spent, of_empty = 0, 0
  for _ = 1, SLICES do
    spent = spent + seconds(row.slice, row.mem, row.address, row.call.argument)
    of_empty = of_empty + seconds(empty_slice, empty, 0)
  end
  table.insert(row.ns, spent / CALLS * 1e9)
  table.insert(row.multiples, spent / of_empty)
  return of_empty / CALLS * 1e9
end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

-- Fills in the rows' figures; returns an empty call's nanoseconds.
local function measure(rows, rounds)
  local of_empty = {}
  for _ = 1, rounds do
    for _, row in ipairs(rows) do table.insert(of_empty, play(row)) end
  end
  for _, row in ipairs(rows) do
    row.ns_per_call, row.multiple = median(row.ns), median(row.multiples)
    row.spread = (row.multiples[rounds] - row.multiples[1]) / row.multiple
  end
  return median(of_empty)
end

-- ---- Printing ----

local function print_table(rows, empty_ns)
  print(("\ncalls from Lua, in empty method calls of %.1f ns"):format(empty_ns))
  print(("%-24s %-18s %8s %7s %8s"):format("backend", "call", "multiple", "spread", "ns/call"))
  for _, row in ipairs(rows) do
    print(("%-24s %-18s %8.2f %6.0f%% %8.1f"):format(row.backend, row.call.name, row.multiple, row.spread * 100,
      row.ns_per_call))
  end
end

local function print_json(rows, empty_ns)
  local texts = {}
  for i, row in ipairs(rows) do
    texts[i] = ('\n  {"call": "%s", "backend": "%s", "multiple": %.3f, "ns_per_call": %.2f, "spread": %.3f}')
      :format(row.call.name, row.backend, row.multiple, row.ns_per_call, row.spread)
  end
  print(('{"empty_ns": %.2f, "rows": [%s\n]}'):format(empty_ns, table.concat(texts, ",")))
end

-- ---- The command line ----

local function usage(to, status)
  to:write(("usage: calls.lua [--rounds N] [--json] [--help]\nRounds: %d to %d.\n"):format(LEAST_ROUNDS, MOST_ROUNDS))
  os.exit(status)
end

-- The number of rounds, and whether to print JSON.
local function read_options()
  local rounds, json, i = LEAST_ROUNDS, false, 1
  while arg[i] do
    if arg[i] == "--help" then usage(io.stdout, 0) end
    if arg[i] == "--json" then
      json = true
    elseif arg[i] == "--rounds" then
      i = i + 1
      rounds = math.tointeger(tonumber(arg[i])) or 0
    else
      usage(io.stderr, 2)
    end
    i = i + 1
  end
  if rounds < LEAST_ROUNDS or rounds > MOST_ROUNDS then usage(io.stderr, 2) end
  return rounds, json
end

local rounds, json = read_options()
local rows = all_rows()
local print_rows = json and print_json or print_table
print_rows(rows, measure(rows, rounds))
