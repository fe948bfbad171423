-- SPDX-License-Identifier: MIT
-- A planner of constraints: variables joined by rules of the form z = x*a + y*b,
-- each with a strength. Adding a rule may overrule a weaker one; each time, a
-- plan (an order of rules in which every variable is written before it is read)
-- is made anew and run. Small tables, closures and arrays that come and go.
-- Argument: rounds of adding and removing rules.

local rounds = tonumber((...)) or 50
math.randomseed(7, 11)

local VARIABLES = 120

local function new_variable(index) return { index = index, value = index, rules = {}, written_by = false, mark = 0 } end

local function new_rule(inputs, output, strength)
  local a, b = math.random(3), math.random(5)
  local rule = { inputs = inputs, output = output, strength = strength, active = false }
  rule.run = function()
    local x, y = rule.inputs[1], rule.inputs[2]
    output.value = (x.value * a + y.value * b) % 65521
  end
  return rule
end

-- Does what `rule` writes reach one of its inputs?
local function closes_a_cycle(rule, mark)
  local stack = { rule.output }
  while #stack > 0 do
    local variable = table.remove(stack)
    if variable.mark ~= mark then
      variable.mark = mark
      for _, input in ipairs(rule.inputs) do
        if input == variable then return true end
      end
      for _, reader in ipairs(variable.rules) do
        if reader.active then stack[#stack + 1] = reader.output end
      end
    end
  end
  return false
end

local mark = 0
local function activate(rule)
  mark = mark + 1
  local other = rule.output.written_by
  if other and other.strength >= rule.strength then return false end
  if closes_a_cycle(rule, mark) then return false end
  if other then other.active = false end
  rule.active, rule.output.written_by = true, rule
  return true
end

local function make_plan(variables)
  local waiting, ready, plan = {}, {}, {}
  for i, variable in ipairs(variables) do
    local rule, open = variable.written_by, 0
    if rule then
      for _, input in ipairs(rule.inputs) do
        if input.written_by then open = open + 1 end
      end
      waiting[i] = { rule = rule, open = open }
      if open == 0 then ready[#ready + 1] = waiting[i] end
    end
  end
  while #ready > 0 do
    local step = table.remove(ready)
    local name = "step " .. #plan .. " of " .. step.rule.output.index
    plan[#plan + 1] = { run = step.rule.run, level = #plan, name = name }
    for _, reader in ipairs(step.rule.output.rules) do
      if reader.active then
        local next_step = waiting[reader.output.index]
        next_step.open = next_step.open - 1
        if next_step.open == 0 then ready[#ready + 1] = next_step end
      end
    end
  end
  return plan
end

local function add_rule(variables)
  local x, y, z = math.random(VARIABLES), math.random(VARIABLES), math.random(VARIABLES)
  if x == z or y == z or x == y then return end
  local rule = new_rule({ variables[x], variables[y] }, variables[z], math.random(8))
  if not activate(rule) then return end
  for _, input in ipairs(rule.inputs) do input.rules[#input.rules + 1] = rule end
end

local function forget_inactive(variables)
  for _, variable in ipairs(variables) do
    local kept = {}
    for _, rule in ipairs(variable.rules) do
      if rule.active and math.random(10) > 1 then
        kept[#kept + 1] = rule
      elseif rule.active then
        rule.active, rule.output.written_by = false, false
      end
    end
    variable.rules = kept
  end
  for _, variable in ipairs(variables) do -- a rule that one input forgot is gone for both
    local kept = {}
    for _, rule in ipairs(variable.rules) do
      if rule.active then kept[#kept + 1] = rule end
    end
    variable.rules = kept
  end
end

local sum = 0
for _ = 1, rounds do
  local variables = {}
  for i = 1, VARIABLES do variables[i] = new_variable(i) end
  for _ = 1, 3 do
    for _ = 1, 20 do
      for _ = 1, 8 do add_rule(variables) end
      for _, step in ipairs(make_plan(variables)) do step.run() end
    end
    forget_inactive(variables)
  end
  for _, variable in ipairs(variables) do sum = (sum * 31 + variable.value) % 2147483647 end
end
return sum
