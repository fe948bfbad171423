-- SPDX-License-Identifier: MIT
-- Pools that do something wrong, to see that it is found: heapwright.new wraps each
-- pool in a table whose methods go to it, but for one that is faulty.
--   lua5.4 -e 'require("spec.support.faulty_pool").break_pools "realloc loses bytes"' SCRIPT
local heapwright = require "heapwright"

local M = {}

local new = heapwright.new

-- The fault, by its name: methods that take the pool's place.
M.FAULTS = {
  ["realloc loses bytes"] = {
    realloc = function(mem, address, size)
      local got, message, code = mem:realloc(address, size)
      if got and got ~= address and size > 0 then mem:fill(got, 0, 1) end
      return got, message, code
    end,
  },
  ["free writes into its neighbour"] = {
    free = function(mem, address)
      local ok, message, code = mem:free(address)
      for other, _, requested in mem:blocks() do
        if ok and requested and requested > 0 and other > address then
          mem:fill(other, 0, 1)
          break
        end
      end
      return ok, message, code
    end,
  },
  ["malloc does not zero"] = {
    malloc = function(mem, size)
      local got, message, code = mem:malloc(size)
      if got and size > 0 then mem:fill(got + size - 1, 255, 1) end
      return got, message, code
    end,
  },
  ["allocates one place twice"] = {
    alloc = function(mem, size)
      local got, message, code = mem:alloc(size)
      for address, _, requested in mem:blocks() do
        if got and requested then return address end
      end
      return got, message, code
    end,
  },
  ["refuses all but small requests"] = {
    alloc = function(mem, size)
      if size > 1000 then return nil, "no", "no_memory" end
      return mem:alloc(size)
    end,
  },
  ["check complains"] = {
    check = function(mem)
      if mem:stats().live_blocks < 3 then return true end
      return nil, "at 0x0: three blocks are live", "corrupted"
    end,
  },
  ["counts a failure as two"] = {
    stats = function(mem)
      local stats = mem:stats()
      stats.failures = stats.failures * 2
      return stats
    end,
  },
  ["hides blocks of 48 bytes"] = {
    blocks = function(mem)
      local step = mem:blocks()
      return function()
        local address, size, requested = step()
        if size == 48 then return step() end
        return address, size, requested
      end
    end,
  },
}

local function wrap(mem, fault)
  local methods = setmetatable({}, {
    __index = function(_, name)
      local faulty = fault[name]
      return function(_, ...)
        if faulty then return faulty(mem, ...) end
        return mem[name](mem, ...)
      end
    end,
  })
  return setmetatable({}, { __index = methods, __close = function() mem:close() end })
end

--- From now on pools have this fault.
function M.break_pools(name)
  local fault = assert(M.FAULTS[name], name)
  heapwright.new = function(options)
    local mem, message, code = new(options)
    return mem and wrap(mem, fault), message, code
  end
end

--- Pools are as they are.
function M.mend_pools() heapwright.new = new end

return M
