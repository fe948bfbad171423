-- SPDX-License-Identifier: MIT
-- heapwright env: the shell lines with which a stock Lua 5.4 finds the module.
local fault = require "heapwright.cli.fault"
local place = require "heapwright.cli.place"

local function quote(value)
  return "'" .. value:gsub("'", "'\\''") .. "'"
end

-- Lua 5.4 reads NAME_5_4 where it is set, NAME otherwise; what was there stays behind ours.
local function export(name, ours)
  local versioned = name .. "_5_4"
  local value = os.getenv(versioned)
  if value then name = versioned else value = os.getenv(name) end
  local path = value and value ~= "" and value or ";;"
  for i = #ours, 1, -1 do
    if not (";" .. path .. ";"):find(";" .. ours[i] .. ";", 1, true) then
      path = ours[i] .. (path:sub(1, 1) == ";" and "" or ";") .. path
    end
  end
  print(("export %s=%s"):format(name, quote(path)))
end

return {
  name = "env",
  summary = "Print the shell lines with which a stock Lua 5.4 finds the module.",
  epilog = 'Example:\n  eval "$(heapwright env)" && lua5.4 -e \'require "heapwright"\'',

  describe = function() end,

  run = function()
    local module = place.find "heapwright.so"
    if not module then
      fault.raise("heapwright.so is neither beside the command nor in ../lib/lua/5.4 from there")
    end
    local sources = place.sources()
    export("LUA_PATH", sources and { sources .. "/?.lua", sources .. "/?/init.lua" } or {})
    export("LUA_CPATH", { module:match "^(.*)/" .. "/?.so" })
  end,
}
