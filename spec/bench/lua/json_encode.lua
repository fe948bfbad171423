-- SPDX-License-Identifier: MIT
-- Writing JSON: nested records and arrays are turned into text, piece by piece,
-- the pieces joined at the end. Many short strings, and some long ones.
-- Argument: how many documents.

local documents = tonumber((...)) or 250
math.randomseed(3, 5)

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }
local encode

local function encode_string(text) return '"' .. text:gsub('["\\\n\t]', escapes) .. '"' end

local function encode_array(array)
  local parts = {}
  for i, item in ipairs(array) do parts[i] = encode(item) end
  return "[" .. table.concat(parts, ",") .. "]"
end

-- A record keeps the order of its keys in an array of them.
local function encode_record(record)
  local parts = {}
  for i, key in ipairs(record.keys) do parts[i] = encode_string(key) .. ":" .. encode(record.values[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

function encode(value)
  local kind = math.type(value) or type(value)
  if kind == "string" then return encode_string(value) end
  if kind == "integer" then return ("%d"):format(value) end
  if kind == "float" then return ("%.6g"):format(value) end
  if kind == "boolean" then return tostring(value) end
  return value.keys and encode_record(value) or encode_array(value)
end

local words = { "amber", "basalt", "cedar", "delta", "ember", "fjord", 'gr"anite', "harb\nour", "islet", "jun\\iper" }

local function make_record(number)
  local tags, points = {}, {}
  for i = 1, math.random(6) do tags[i] = words[math.random(#words)] .. math.random(999) end
  for i = 1, math.random(8) do points[i] = { math.random(1000), math.random() * 100 } end
  return {
    keys = { "id", "name", "active", "tags", "points" },
    values = { id = number, name = "item " .. number, active = number % 3 == 0, tags = tags, points = points },
  }
end

local sum = 0
for document = 1, documents do
  local records = {}
  for i = 1, 100 do records[i] = make_record(document * 1000 + i) end
  local text = encode(records)
  sum = (sum * 31 + #text) % 2147483647
  for at = 1, #text, 97 do sum = (sum * 17 + text:byte(at)) % 2147483647 end
end
return sum
