-- SPDX-License-Identifier: MIT
-- A cache that drops what was used least recently: a table by key and a list of
-- entries in order of use. Keys are strings, values strings and small tables of
-- many sizes; in a steady state each miss frees as much as it allocates.
-- Argument: requests.

local requests = tonumber((...)) or 260000
math.randomseed(67, 71)

local MOST, KEYS = 6000, 20000

local Cache = {}
Cache.__index = Cache

local function new_cache(most)
  local cache = setmetatable({ most = most, count = 0, entries = {}, hits = 0, misses = 0 }, Cache)
  cache.newest, cache.oldest = {}, {} -- the list's two ends
  cache.newest.older, cache.oldest.newer = cache.oldest, cache.newest
  return cache
end

local function unlink(entry) entry.newer.older, entry.older.newer = entry.older, entry.newer end

function Cache:link(entry)
  entry.newer, entry.older = self.newest, self.newest.older
  entry.older.newer, self.newest.older = entry, entry
end

function Cache:get(key)
  local entry = self.entries[key]
  if not entry then
    self.misses = self.misses + 1
    return nil
  end
  self.hits = self.hits + 1
  unlink(entry)
  self:link(entry)
  return entry.value
end

function Cache:put(key, value)
  if self.count == self.most then
    local oldest = self.oldest.newer
    unlink(oldest)
    self.entries[oldest.key] = nil
  else
    self.count = self.count + 1
  end
  local entry = { key = key, value = value }
  self.entries[key] = entry
  self:link(entry)
end

local function load_value(number)
  if number % 3 == 0 then return { number = number, name = "value " .. number, list = { number, number + 1 } } end
  return ("%d:"):format(number):rep(1 + number % 40)
end

local function weight(value) return type(value) == "table" and #value.name + #value.list or #value end

local cache, sum = new_cache(MOST), 0
for _ = 1, requests do
  local number = math.floor(KEYS * math.random() ^ 2)
  local key = "key/" .. number
  local value = cache:get(key)
  if not value then
    value = load_value(number)
    cache:put(key, value)
  end
  sum = (sum + weight(value)) % 2147483647
end
return ("%d %d %d"):format(sum, cache.hits, cache.misses)
