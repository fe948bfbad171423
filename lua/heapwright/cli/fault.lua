-- SPDX-License-Identifier: MIT
-- What ends a verb with one line on standard error.
local M = {}

---@class cli.Fault
---@field message string
---@field code integer
local Fault = {}
Fault.__index = Fault
Fault.__tostring = function(self) return self.message end

--- Raises: the verb ends with this line and exit code 2, wrong usage or bad input.
---@param message string
---@param ... any for string.format, where given
function M.raise(message, ...)
  if select("#", ...) > 0 then message = message:format(...) end
  error(setmetatable({ message = message, code = 2 }, Fault), 0)
end

--- As raise, but with exit code 1: what was run broke.
---@param message string
function M.broken(message)
  error(setmetatable({ message = message, code = 1 }, Fault), 0)
end

---@param value any
---@return boolean
function M.is_fault(value)
  return getmetatable(value) == Fault
end

--- As assert, for functions that return nil, message: raises the message as a fault.
---@generic T
---@param value T|nil
---@param message string|nil
---@return T
function M.check(value, message)
  if value == nil or value == false then M.raise(tostring(message)) end
  return value
end

return M
