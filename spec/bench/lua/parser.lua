-- SPDX-License-Identifier: MIT
-- A small language: its text is cut into tokens, the tokens become a syntax
-- tree, constants in it are folded, and the tree is printed again.
-- Argument: how often.

local times = tonumber((...)) or 22
math.randomseed(59, 61)

local OPERATORS = { ["+"] = 1, ["-"] = 1, ["*"] = 2, ["/"] = 2, ["%"] = 2 }

local function make_expression(depth)
  local kind = depth > 0 and math.random(6) or 6
  if kind <= 3 then
    local operator = ("+-*/%"):sub(math.random(5), -1):sub(1, 1)
    return make_expression(depth - 1) .. " " .. operator .. " " .. make_expression(depth - 1)
  end
  if kind == 4 then return "(" .. make_expression(depth - 1) .. ")" end
  if kind == 5 then return "call" .. math.random(9) .. "(" .. make_expression(depth - 1) .. ", x)" end
  return math.random(2) == 1 and tostring(math.random(999)) or "name" .. math.random(200)
end

local function make_text(statements)
  local lines = {}
  for i = 1, statements do lines[i] = ("let v%d = %s;"):format(i, make_expression(5)) end
  return table.concat(lines, "\n")
end

local function tokenize(text)
  local tokens, at = {}, 1
  while true do
    at = text:find("%S", at)
    if not at then break end
    local word = text:match("^[%a_][%w_]*", at)
    local number = not word and text:match("^%d+", at)
    local piece = word or number or text:sub(at, at)
    local kind = word and "word" or number and "number" or "sign"
    tokens[#tokens + 1] = { kind = kind, text = piece, at = at }
    at = at + #piece
  end
  tokens[#tokens + 1] = { kind = "end", text = "", at = #text + 1 }
  return tokens
end

local function parse(tokens)
  local place = 1
  local expression

  local function take(text)
    local token = tokens[place]
    if text and token.text ~= text then error(("%s at %d, not %s"):format(text, token.at, token.text)) end
    place = place + 1
    return token
  end

  local function primary()
    local token = take()
    if token.kind == "number" then return { kind = "number", value = math.tointeger(token.text) } end
    if token.text == "(" then
      local inner = expression(1)
      take ")"
      return inner
    end
    if tokens[place].text ~= "(" then return { kind = "name", name = token.text } end
    local call = { kind = "call", name = token.text, arguments = {} }
    repeat
      take()
      call.arguments[#call.arguments + 1] = expression(1)
    until tokens[place].text ~= ","
    take ")"
    return call
  end

  function expression(level)
    local left = primary()
    while (OPERATORS[tokens[place].text] or 0) >= level do
      local operator = take().text
      left = { kind = "binary", operator = operator, left = left, right = expression(OPERATORS[operator] + 1) }
    end
    return left
  end

  local statements = {}
  while tokens[place].kind ~= "end" do
    take "let"
    local name = take().text
    take "="
    statements[#statements + 1] = { kind = "let", name = name, value = expression(1) }
    take ";"
  end
  return statements
end

local compute = {
  ["+"] = function(a, b) return a + b end,
  ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b % 1000003 end,
  ["/"] = function(a, b) return b ~= 0 and a // b or 0 end,
  ["%"] = function(a, b) return b ~= 0 and a % b or 0 end,
}

-- A new tree, constants computed.
local function fold(node)
  if node.kind == "binary" then
    local left, right = fold(node.left), fold(node.right)
    if left.kind == "number" and right.kind == "number" then
      return { kind = "number", value = compute[node.operator](left.value, right.value) }
    end
    return { kind = "binary", operator = node.operator, left = left, right = right }
  end
  if node.kind == "call" then
    local arguments = {}
    for i, argument in ipairs(node.arguments) do arguments[i] = fold(argument) end
    return { kind = "call", name = node.name, arguments = arguments }
  end
  return node
end

local function show(node)
  if node.kind == "number" then return tostring(node.value) end
  if node.kind == "name" then return node.name end
  if node.kind == "binary" then return "(" .. show(node.left) .. node.operator .. show(node.right) .. ")" end
  local arguments = {}
  for i, argument in ipairs(node.arguments) do arguments[i] = show(argument) end
  return node.name .. "(" .. table.concat(arguments, ", ") .. ")"
end

local text, sum = make_text(700), 0
for _ = 1, times do
  local statements = parse(tokenize(text))
  local lines = {}
  for i, statement in ipairs(statements) do lines[i] = statement.name .. " = " .. show(fold(statement.value)) end
  local printed = table.concat(lines, "\n")
  sum = (sum * 31 + #printed + printed:byte(#printed // 3)) % 2147483647
end
return sum
