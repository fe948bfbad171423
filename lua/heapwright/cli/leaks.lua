-- SPDX-License-Identifier: MIT
-- What is live at a scenario's end, by the line that allocated it: run --leaks.
local text = require "heapwright.text"

local M = {}

M.help = "Say what is live at each run's end, by the line that allocated it; such a run fails."

local COLUMNS = { { title = "bytes" }, { title = "blocks" }, { title = "allocated at", left = true } }

---@class cli.LeakingSite
---@field site string
---@field blocks integer
---@field bytes integer

--- Those of one site as one, in the order of mem:leaks(): the site with the most bytes first.
---@param leaks heapwright.Leak[]
---@return cli.LeakingSite[]
function M.by_site(leaks)
  local list, of_site = {}, {}
  for _, leak in ipairs(leaks) do
    local name = leak.site or "unknown"
    local site = of_site[name]
    if not site then
      site = { site = name, blocks = 0, bytes = 0 }
      of_site[name], list[#list + 1] = site, site
    end
    site.blocks, site.bytes = site.blocks + 1, site.bytes + leak.size
  end
  return list
end

--- In words and a table.
---@param sites cli.LeakingSite[]
---@return string
function M.complaint(sites)
  local rows, blocks, bytes = {}, 0, 0
  for i, site in ipairs(sites) do
    blocks, bytes = blocks + site.blocks, bytes + site.bytes
    rows[i] = { text.integer(site.bytes), text.integer(site.blocks), site.site }
  end
  local lines = text.table(COLUMNS, rows)
  table.insert(lines, 1, ("leaked %s, %s"):format(text.counted(blocks, "block"), text.counted(bytes, "byte")))
  return table.concat(lines, "\n")
end

return M
