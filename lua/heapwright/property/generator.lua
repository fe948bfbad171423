-- SPDX-License-Identifier: MIT
-- Where the arguments of a user's commands come from. Each value is made of choices,
-- integers from 0 on, that are noted: made again from the same choices it is the same,
-- and from smaller ones it is simpler, but never one that could not have been drawn.
-- So a failing list is made smaller without a word about its arguments' types
-- (MacIver and Donaldson 2020, "Test-case reduction via test-case generation").
local random = require "heapwright.random"

local M = {}

local EDGES = 8 -- of so many integers, one is the first or the last of its range

---@class heapwright.Generator
---@field choices integer[]
---@field package random heapwright.Random|nil nil: the choices are given
---@field package at integer how many choices were used
local Generator = {}
Generator.__index = Generator

--- A generator that draws.
---@param source heapwright.Random
---@return heapwright.Generator
function M.fresh(source)
  return setmetatable({ choices = {}, random = source, at = 0 }, Generator)
end

--- A generator that chooses as it is told; 0 where it is told no more.
---@param choices integer[]
---@return heapwright.Generator
function M.again(choices)
  return setmetatable({ choices = choices, at = 0 }, Generator)
end

--- A function that draws integers of low … high, each as likely as the other.
---@param seed integer
---@return fun(low: integer, high: integer): integer
function M.uniform(seed)
  local source = random.new(seed)
  return function(low, high) return low + source:below(high - low + 1) end
end

local function choose(self, count)
  local i = self.at + 1
  self.at = i
  local kept = self.choices[i]
  if self.random then
    kept = self.random:below(count)
    self.choices[i] = kept
  end
  return kept and math.max(0, math.min(kept, count - 1)) or 0
end

local function check(condition, name, text)
  if not condition then error(("bad argument to '%s' (%s)"):format(name, text), 3) end
end

--- An integer of low … high, often the first or the last; simpler: nearer to 0, or to low where 0 is not in it.
---@param low integer
---@param high integer
---@return integer
function Generator:integer(low, high)
  check(math.type(low) == "integer" and math.type(high) == "integer" and low <= high, "integer",
    "two integers expected, the first not above the second")
  local last = high - low
  check(last >= 0 and last < math.maxinteger, "integer", "the range is too wide")
  local choice
  if self.random and self.random:below(EDGES) == 0 then
    choice = self.random:below(2) * last
    self.at = self.at + 1
    self.choices[self.at] = choice
  else
    choice = choose(self, last + 1)
  end
  if low > 0 then return low + choice end
  if high < 0 then return high - choice end
  return choice <= high and choice or high - choice
end

--- true or, simpler, false.
---@return boolean
function Generator:boolean()
  return choose(self, 2) == 1
end

--- One of the list's values; simpler: an earlier one.
---@generic T
---@param list T[]
---@return T
function Generator:pick(list)
  check(type(list) == "table" and #list > 0, "pick", "a list with at least one value expected")
  return list[choose(self, #list) + 1]
end

local LETTERS = "abcdefghijklmnopqrstuvwxyz"

--- A string of least … most characters; simpler: shorter, and of characters that come earlier in the alphabet.
---@param least integer
---@param most integer
---@param alphabet string|nil its characters are bytes; a … z unless given
---@return string
function Generator:string(least, most, alphabet)
  alphabet = alphabet or LETTERS
  check(type(alphabet) == "string" and alphabet ~= "", "string", "an alphabet of at least one character expected")
  check(math.type(least) == "integer" and math.type(most) == "integer" and least >= 0 and least <= most,
    "string", "two lengths expected, the first not above the second")
  local bytes = {}
  for i = 1, self:integer(least, most) do
    local at = choose(self, #alphabet) + 1
    bytes[i] = alphabet:sub(at, at)
  end
  return table.concat(bytes)
end

return M
