-- SPDX-License-Identifier: MIT
-- Loops of a control-flow graph: a random program's graph of basic blocks is
-- numbered in reverse postorder, its dominators are found by iteration (Cooper,
-- Harvey and Kennedy), and each back edge gives a natural loop; loops that share a header
-- are one, and are nested by what they contain. Tables of edges, work lists, sets.
-- Argument: how many graphs.

local graphs = tonumber((...)) or 75
math.randomseed(23, 29)

local function connect(from, to)
  from.next[#from.next + 1] = to
  to.before[#to.before + 1] = from
end

-- Appends statements to the graph after `from`; returns the last block.
local function build(graph, from, depth)
  local function new_block()
    local block = { number = #graph + 1, next = {}, before = {} }
    graph[#graph + 1] = block
    return block
  end
  for _ = 1, math.random(2, 4) do
    local kind = depth > 0 and math.random(3) or 0
    local block = new_block()
    connect(from, block)
    if kind == 1 then -- a loop, with a way out of its middle now and then
      local last, after = build(graph, block, depth - 1), new_block()
      connect(last, block)
      connect(math.random(2) == 1 and last or block, after)
      block = after
    elseif kind == 2 then -- two branches
      local left, right = build(graph, block, depth - 1), build(graph, block, depth - 2)
      block = new_block()
      connect(left, block)
      connect(right, block)
    end
    from = block
  end
  return from
end

local function reverse_postorder(entry)
  local order, seen = {}, {}
  local function visit(block)
    seen[block] = true
    for _, following in ipairs(block.next) do
      if not seen[following] then visit(following) end
    end
    order[#order + 1] = block
  end
  visit(entry)
  local reversed = {}
  for i = #order, 1, -1 do
    reversed[#reversed + 1] = order[i]
    order[i].place = #reversed
  end
  return reversed
end

local function find_dominators(order)
  local function meet(a, b)
    while a ~= b do
      while a.place > b.place do a = a.dominator end
      while b.place > a.place do b = b.dominator end
    end
    return a
  end
  order[1].dominator = order[1]
  repeat
    local changed = false
    for i = 2, #order do
      local found
      for _, before in ipairs(order[i].before) do
        if before.dominator then found = found and meet(found, before) or before end
      end
      if order[i].dominator ~= found then order[i].dominator, changed = found, true end
    end
  until not changed
end

local function dominates(a, b)
  while b.place > a.place do b = b.dominator end
  return a == b
end

local function find_loops(order)
  local loops = {}
  for _, header in ipairs(order) do
    local body, list, work = { [header] = true }, { header }, {}
    for _, before in ipairs(header.before) do
      if before.place and dominates(header, before) then work[#work + 1] = before end
    end
    if #work > 0 then
      while #work > 0 do
        local block = table.remove(work)
        if not body[block] then
          body[block] = true
          list[#list + 1] = block
          for _, before in ipairs(block.before) do work[#work + 1] = before end
        end
      end
      loops[#loops + 1] = { header = header, body = body, list = list, inner = {} }
    end
  end
  return loops
end

-- The smallest loop around each.
local function nest(loops)
  local outermost = {}
  table.sort(loops, function(a, b)
    if #a.list ~= #b.list then return #a.list < #b.list end
    return a.header.place < b.header.place
  end)
  for i, loop in ipairs(loops) do
    local outer
    for j = i + 1, #loops do
      if loops[j].body[loop.header] then
        outer = loops[j]
        break
      end
    end
    local to = outer and outer.inner or outermost
    to[#to + 1] = loop
  end
  return outermost
end

local function deepest(loops)
  local depth = 0
  for _, loop in ipairs(loops) do depth = math.max(depth, 1 + deepest(loop.inner)) end
  return depth
end

local sum = 0
for _ = 1, graphs do
  local graph = { { number = 1, next = {}, before = {} } }
  build(graph, graph[1], 6)
  local order = reverse_postorder(graph[1])
  find_dominators(order)
  local loops = find_loops(order)
  local size = 0
  for _, loop in ipairs(loops) do size = size + #loop.list end
  sum = (sum * 31 + #graph + #loops * 7 + size + deepest(nest(loops))) % 2147483647
end
return sum
