-- SPDX-License-Identifier: MIT
-- Random numbers that are the same on every machine.
--
-- The generator is xoshiro256** (Blackman and Vigna 2018) in 64-bit integers,
-- its state filled by splitmix64 from the seed. Distributions need a logarithm
-- and an exponential: those of C libraries differ in their last bits, so both
-- are computed here from additions, multiplications and divisions alone, which
-- IEEE 754 defines to the bit.
local M = {}

local LN2 = 0.6931471805599453
local SQRT_HALF = 0.7071067811865476
local LARGEST = 1 << 53 -- the largest integer drawn by a distribution

---@class heapwright.Random
---@field package a integer
---@field package b integer
---@field package c integer
---@field package d integer
---@field package spare number|nil second deviate of the last pair, see normal
local Random = {}
Random.__index = Random

local function rotate(x, k)
  return x << k | x >> 64 - k
end

--- A generator.
---@param seed integer
---@return heapwright.Random
function M.new(seed)
  local function splitmix()
    seed = seed + 0x9E3779B97F4A7C15
    local z = seed
    z = (z ~ z >> 30) * 0xBF58476D1CE4E5B9
    z = (z ~ z >> 27) * 0x94D049BB133111EB
    return z ~ z >> 31
  end
  local self = { a = splitmix(), b = splitmix(), c = splitmix(), d = splitmix() }
  return setmetatable(self, Random)
end

--- 64 random bits.
---@return integer
function Random:bits()
  local a, b, c, d = self.a, self.b, self.c, self.d
  local result = rotate(b * 5, 7) * 9
  c, d = c ~ a, d ~ b
  self.b, self.a = b ~ c, a ~ d
  self.c, self.d = c ~ b << 17, rotate(d, 45)
  return result
end

--- An integer of 0 … n − 1, each as likely as the other; n ≥ 1.
---@param n integer
---@return integer
function Random:below(n)
  local mask = n - 1
  if n & mask == 0 then return self:bits() & mask end
  for shift = 0, 5 do
    mask = mask | mask >> (1 << shift)
  end
  local drawn
  repeat drawn = self:bits() & mask until drawn < n
  return drawn
end

--- A number of [0, 1) with 53 random bits.
---@return number
function Random:unit()
  return (self:bits() >> 11) * 0x1p-53
end

--- The natural logarithm of x > 0, a normal number.
---@param x number
---@return number
function M.log(x)
  local bits = string.unpack("<i8", string.pack("<d", x))
  local exponent = (bits >> 52) - 1022
  local mantissa = string.unpack("<d", string.pack("<i8", bits & 0xFFFFFFFFFFFFF | 1022 << 52))
  if mantissa < SQRT_HALF then
    mantissa, exponent = mantissa * 2, exponent - 1
  end
  -- 2 artanh(z) = ln((1 + z) / (1 - z)), |z| < 0.172: 23 is where terms leave the last bit
  local z = (mantissa - 1) / (mantissa + 1)
  local square, sum = z * z, 0.0
  for odd = 23, 1, -2 do
    sum = sum * square + 1 / odd
  end
  return exponent * LN2 + 2 * z * sum
end

--- e to the power of x; 0 below −700, and no larger than e^700.
---@param x number
---@return number
function M.exp(x)
  if x < -700 then return 0.0 end
  if x > 700 then x = 700.0 end
  local exponent = math.floor(x / LN2 + 0.5)
  local rest = x - exponent * LN2
  local sum = 1.0
  for n = 18, 1, -1 do
    sum = 1 + rest / n * sum
  end
  return sum * string.unpack("<d", string.pack("<i8", exponent + 1023 << 52))
end

local function whole(x)
  if x >= LARGEST then return LARGEST end
  return math.max(1, math.ceil(x))
end

--- Waiting times: exponential with this mean, rounded up to an integer.
---@param mean number
---@return integer
function Random:exponential(mean)
  return whole(-mean * M.log(1 - self:unit()))
end

--- A standard normal deviate (Marsaglia's polar method).
---@return number
function Random:normal()
  local spare = self.spare
  if spare then
    self.spare = nil
    return spare
  end
  local x, y, square
  repeat
    x, y = 2 * self:unit() - 1, 2 * self:unit() - 1
    square = x * x + y * y
  until square < 1 and square > 0
  local factor = math.sqrt(-2 * M.log(square) / square)
  self.spare = y * factor
  return x * factor
end

--- e to a normal deviate of mean mu and standard deviation sigma, rounded up.
---@param mu number
---@param sigma number
---@return integer
function Random:lognormal(mu, sigma)
  return whole(M.exp(mu + sigma * self:normal()))
end

--- Pareto: at least `least`, with a tail that falls as x^−alpha; rounded up.
---@param alpha number
---@param least number
---@return integer
function Random:pareto(alpha, least)
  return whole(least * M.exp(-M.log(1 - self:unit()) / alpha))
end

return M
