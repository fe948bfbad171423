-- SPDX-License-Identifier: MIT
-- Where the files lie that come with the command: beside it in a build folder,
-- under ../lib where it is installed.
local host = require "heapwright.host"

local M = {}

-- The command's own folder, links resolved, and the folder above.
local function folders()
  local own = assert(host.executable()):match "^(.*)/[^/]*$"
  return own, own:match "^(.*)/[^/]*$" or own
end

--- The path of a file that comes with the command, nil where it is not there.
---@param name string
---@return string|nil
function M.find(name)
  local own, above = folders()
  for _, folder in ipairs { own, above .. "/lib/heapwright", above .. "/lib/lua/5.4" } do
    local path = folder .. "/" .. name
    if host.kind(path) == "file" then return path end
  end
end

--- The folder of the module's Lua sources, where the command lies in a checkout's build folder.
---@return string|nil
function M.sources()
  local _, above = folders()
  local sources = above .. "/lua"
  if host.kind(sources .. "/heapwright/init.lua") == "file" then return sources end
end

return M
