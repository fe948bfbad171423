---@meta heapwright.assertions
-- SPDX-License-Identifier: MIT
-- heapwright.assertions, for editors and language servers: what requiring it adds to
-- luassert's `assert`. spec/library_spec.lua compares this with what is there.
-- Each can be negated (assert.is_not.live) and takes a message of your own at the end.

---@class luassert
local assert = {}

---mem:check() holds.
---@param mem heapwright.Pool
---@param message? string
function assert.sound(mem, message) end

---No block is live.
---@param mem heapwright.Pool
---@param message? string
function assert.no_leaks(mem, message) end

---A live block starts at the address.
---@param mem heapwright.Pool
---@param address heapwright.Address
---@param message? string
function assert.live(mem, address, message) end

---So many bytes are in use, as they were asked for.
---@param mem heapwright.Pool
---@param n integer
---@param message? string
function assert.in_use(mem, n, message) end

---External fragmentation is below the limit.
---@param mem heapwright.Pool
---@param limit number
---@param message? string
function assert.fragmentation_below(mem, limit, message) end
