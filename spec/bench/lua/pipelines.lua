-- SPDX-License-Identifier: MIT
-- Coroutines: generators chained into pipelines, merged in order, and a
-- scheduler that takes turns among thousands of short tasks. Threads and their
-- stacks come and go.
-- Argument: rounds.

local rounds = tonumber((...)) or 330

local function generate(from, to, by)
  return coroutine.wrap(function()
    for i = from, to, by do coroutine.yield(i) end
  end)
end

local function keep(source, wanted)
  return coroutine.wrap(function()
    for item in source do
      if wanted(item) then coroutine.yield(item) end
    end
  end)
end

local function pair_up(source)
  return coroutine.wrap(function()
    for first in source do
      local second = source()
      coroutine.yield { first, second or 0 }
      if not second then break end
    end
  end)
end

-- Two ascending sequences into one.
local function merge(a, b)
  return coroutine.wrap(function()
    local left, right = a(), b()
    while left or right do
      if left and (not right or left <= right) then
        coroutine.yield(left)
        left = a()
      else
        coroutine.yield(right)
        right = b()
      end
    end
  end)
end

-- The recursion yields from each level of its own.
local function walk(from, to)
  return coroutine.wrap(function()
    if from > to then return end
    local middle = (from + to) // 2
    for item in walk(from, middle - 1) do coroutine.yield(item) end
    coroutine.yield(middle)
    for item in walk(middle + 1, to) do coroutine.yield(item) end
  end)
end

local function run_tasks(count, turns)
  local tasks, done = {}, 0
  for i = 1, count do
    tasks[i] = coroutine.create(function(seed)
      local total = seed
      for turn = 1, turns + i % 5 do total = total + coroutine.yield(total * turn % 97) end
      return total
    end)
  end
  while #tasks > 0 do
    local waiting = {}
    for i, task in ipairs(tasks) do
      local _, value = coroutine.resume(task, i)
      if coroutine.status(task) == "dead" then
        done = (done * 31 + value) % 2147483647
      else
        waiting[#waiting + 1] = task
      end
    end
    tasks = waiting
  end
  return done
end

local sum = 0
for round = 1, rounds do
  local odd = keep(generate(1, 800, 1), function(i) return i % 2 == 1 end)
  for pair in pair_up(merge(odd, merge(generate(2, 600, 3), generate(round, 500, 2)))) do
    sum = (sum * 7 + pair[1] + pair[2]) % 2147483647
  end
  for item in walk(1, 250) do sum = (sum + item * round) % 2147483647 end
  sum = (sum + run_tasks(250, 4)) % 2147483647
end
return sum
