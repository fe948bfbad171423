-- SPDX-License-Identifier: MIT
-- A small script as a host has it a thousand times over: some settings, some
-- handlers, a little state. With the standard libraries, a state of some 55 KB.

local settings = {}
for i = 1, 30 do
  settings["setting " .. i] = { name = "setting " .. i, value = i * 10, changed = false }
end

local handlers, log = {}, {}
for i = 1, 30 do
  handlers[i] = function(event)
    local setting = settings["setting " .. i]
    if event.value ~= setting.value then
      setting.value, setting.changed = event.value, true
      log[#log % 20 + 1] = ("%s is %d now"):format(setting.name, event.value)
    end
  end
end

for turn = 1, 50 do
  local event = { kind = "set", value = turn % 7 }
  for i = 1, #handlers do handlers[i](event) end
end

local sum = 0
for i = 1, 30 do sum = sum + settings["setting " .. i].value end
return sum + #log
