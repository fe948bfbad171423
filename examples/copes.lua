-- A scenario that copes with a pool that is full at any moment: a queue of messages
-- whose sender drops what finds no room, and gives back what it had already.
-- --inject sweep runs it once for each of its requests, failing that one, and demands
-- that it raises nothing, breaks nothing and leaks nothing.
--
--   heapwright run --inject sweep examples/copes.lua
local heapwright = require "heapwright"

-- A message is a header and a body; nil where either finds no room, and nothing is kept.
local function receive(mem, size)
  local header = mem:malloc(32)
  if not header then return nil end
  local body = mem:malloc(size)
  if not body then
    assert(mem:free(header)) -- without this line, 20 runs leak 32 bytes
    return nil
  end
  return { header = header, body = body }
end

-- Room for more, or the body as it was.
local function append(mem, message, size)
  message.body = mem:realloc(message.body, size) or message.body
end

local function drop(mem, message)
  assert(mem:free(message.body))
  assert(mem:free(message.header))
end

return heapwright.scenario {
  name = "copes",
  capacity = "64K",

  run = function(mem, s)
    local queue = {}
    for _ = 1, 20 do
      local message = receive(mem, s:uniform(16, 512))
      if message then
        append(mem, message, 600)
        table.insert(queue, message)
      end
      if #queue > 5 then drop(mem, table.remove(queue, 1)) end
    end
    for _, message in ipairs(queue) do
      drop(mem, message)
    end
  end,

  expect = function(r) -- of the run in which nothing fails
    return r.failures == 0 and r.allocations == 40 and r.live_blocks == 0
  end,
}

-- Output:
-- copes: 64.0 KiB, seed 1
-- failing each request in turn
-- policy     requests  runs  injected  coped  raised  broken  leaked  ok
-- best-fit         60    60        60     60       0       0       0  yes
-- first-fit        60    60        60     60       0       0       0  yes
-- next-fit         60    60        60     60       0       0       0  yes
-- worst-fit        60    60        60     60       0       0       0  yes
-- good-fit         60    60        60     60       0       0       0  yes
-- buddy            60    60        60     60       0       0       0  yes
-- slab             60    60        60     60       0       0       0  yes
-- bump             60    60        60     60       0       0       0  yes
