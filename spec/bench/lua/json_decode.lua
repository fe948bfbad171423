-- SPDX-License-Identifier: MIT
-- Reading JSON: text into nested tables and strings, one value after another.
-- Argument: how often the document is read.

local times = tonumber((...)) or 45
math.randomseed(13, 17)

local record = '{"id": %d, "name": "customer number %d", "balance": %.2f, "open": %s, "note": %s, '
  .. '"cities": ["%s", "%s"], "place": {"x": %d, "y": %d}, "history": [%d, %d, %d, %d]}'

local function make_document(records)
  local lines = {}
  for i = 1, records do
    lines[i] = record:format(i, math.random(1 << 20), math.random() * 1e4, i % 2 == 0 and "true" or "false",
      i % 7 == 0 and "null" or '"a\\tb\\"' .. i .. '"', "town" .. i % 50, "village" .. math.random(500),
      math.random(900), math.random(900), i, i * 2, i * 3, i * 5)
  end
  return "[" .. table.concat(lines, ",\n") .. "]"
end

local null = setmetatable({}, { __name = "null" })
local escapes = { n = "\n", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local constants = { ["true"] = true, ["false"] = false, null = null }
local decode

local function skip(text, at) return text:find("%S", at) end

local function decode_string(text, at)
  local stop = at
  repeat
    stop = text:find('["\\]', stop + 1)
    local escaped = text:byte(stop) == 92
    if escaped then stop = stop + 1 end
  until not escaped
  return text:sub(at + 1, stop - 1):gsub("\\(.)", escapes), stop + 1
end

local function decode_array(text, at)
  local array, count = {}, 0
  at = skip(text, at + 1)
  while text:byte(at) ~= 93 do
    count = count + 1
    array[count], at = decode(text, at)
    at = skip(text, at)
    if text:byte(at) == 44 then at = skip(text, at + 1) end
  end
  return array, at + 1
end

local function decode_record(text, at)
  local fields = {}
  at = skip(text, at + 1)
  while text:byte(at) ~= 125 do
    local key
    key, at = decode(text, at)
    at = skip(text, skip(text, at) + 1)
    fields[key], at = decode(text, at)
    at = skip(text, at)
    if text:byte(at) == 44 then at = skip(text, at + 1) end
  end
  return fields, at + 1
end

function decode(text, at)
  local first = text:byte(at)
  if first == 34 then return decode_string(text, at) end
  if first == 91 then return decode_array(text, at) end
  if first == 123 then return decode_record(text, at) end
  local word = text:match("^%a+", at)
  if word then return constants[word], at + #word end
  local number = text:match("^[-+%d.eE]+", at)
  return tonumber(number), at + #number
end

local text = make_document(400)
local sum = 0
for _ = 1, times do
  local records = decode(text, 1)
  for _, customer in ipairs(records) do
    sum = sum + customer.id + #customer.name + customer.place.x + customer.history[4] + #customer.cities[2]
    if customer.note ~= null then sum = sum + #customer.note end
    if customer.open then sum = sum + math.floor(customer.balance) end
  end
end
return sum
