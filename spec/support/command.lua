-- SPDX-License-Identifier: MIT
-- The command as specs call it: with files in a folder that each spec has to itself.
--   before_each(command.enter)
--   after_each(command.leave)
local M = {}

local build = os.getenv "HEAPWRIGHT_BUILD" or "build"
M.path = (build:sub(1, 1) == "/" and build or os.getenv "PWD" .. "/" .. build) .. "/heapwright"
M.folder = nil ---@type string the spec's

function M.enter()
  M.folder = os.tmpname()
  os.remove(M.folder)
  assert(os.execute("mkdir " .. M.folder))
end

function M.leave()
  os.execute("rm -rf " .. M.folder)
end

--- Writes a file of the folder.
---@return string path
function M.write(name, text)
  local path = M.folder .. "/" .. name
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

--- Reads a file of the folder, or any by its whole path.
---@return string text
function M.read(name)
  local file = assert(io.open(name:sub(1, 1) == "/" and name or M.folder .. "/" .. name, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

--- Runs a shell command where the specs are run.
---@return string output
---@return string errors
---@return integer code 128 + the signal that ended it
function M.shell(command)
  local _, how, code = os.execute(("{ %s; } >%s/.out 2>%s/.err"):format(command, M.folder, M.folder))
  return M.read ".out", M.read ".err", how == "signal" and 128 + code or code
end

--- The same, in the folder.
function M.shell_there(command)
  return M.shell(("cd %s && { %s; }"):format(M.folder, command))
end

return M
