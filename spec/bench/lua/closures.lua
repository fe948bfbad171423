-- SPDX-License-Identifier: MIT
-- Closures: functions made by functions, chained and called: streams that
-- compute their rest when asked, and counters that share a variable.
-- Argument: rounds.

local rounds = tonumber((...)) or 150

-- A stream is a value and a function that gives the rest of it.
local function range(from, to)
  if from > to then return nil end
  return { value = from, rest = function() return range(from + 1, to) end }
end

local function map(stream, change)
  if not stream then return nil end
  return { value = change(stream.value), rest = function() return map(stream.rest(), change) end }
end

local function filter(stream, keep)
  while stream and not keep(stream.value) do stream = stream.rest() end
  if not stream then return nil end
  return { value = stream.value, rest = function() return filter(stream.rest(), keep) end }
end

local function compose(...)
  local functions = { ... }
  return function(x)
    for i = #functions, 1, -1 do x = functions[i](x) end
    return x
  end
end

local function counter(start)
  local count = start
  return function(step)
    count = count + step
    return count
  end, function() return count end
end

local sum = 0
for round = 1, rounds do
  local add = function(x) return x + round end
  local change = compose(add, function(x) return x * 3 end, function(x) return x % 1009 end)
  local stream = filter(map(range(1, 3000), change), function(x) return x % 2 == 0 end)
  while stream do
    sum = sum + stream.value
    stream = stream.rest()
  end
  local readers = {}
  for i = 1, 1000 do
    local step, read = counter(i)
    step(round)
    step(i)
    readers[i] = read
  end
  for _, read in ipairs(readers) do sum = sum + read() end
end
return sum
