-- SPDX-License-Identifier: MIT
-- What came of a scenario's run, in words.
local leaks = require "heapwright.cli.leaks"
local text = require "heapwright.text"

local M = {}

--- How it went, in a word.
---@param outcome heapwright.Outcome
---@return "yes"|"no"|"raised"|"broken"|"leaked"
function M.of(outcome)
  if outcome.raised then return "raised" end
  if outcome.broken then return "broken" end
  if #outcome.failures > 0 then return "no" end
  return outcome.leaks and "leaked" or "yes"
end

-- A failed expectation, but for the policies that it failed under.
local function failure_lines(failure)
  local lines = { ("not as expected%s (%s)"):format(failure.name and ": " .. failure.name or "", failure.place) }
  for i, line in ipairs(failure.source or {}) do
    lines[#lines + 1] = (i == 1 and "  expected  " or "            ") .. line
  end
  if failure.message then lines[#lines + 1] = "  says      " .. failure.message end
  if #failure.seen > 0 then
    lines[#lines + 1] = text.wrap(table.concat(failure.seen, ", "), 80, "  seen      ")
  end
  return table.concat(lines, "\n")
end

--- What went wrong in one run, in words; an empty list where nothing did.
---@param outcome heapwright.Outcome
---@return string[]
function M.complaints(outcome)
  local list = {}
  if outcome.raised then
    local thread = outcome.thread and (" in thread %d"):format(outcome.thread) or ""
    local phase = outcome.phase and (' in phase "%s"'):format(outcome.phase) or ""
    list[1] = ("raised%s%s\n%s"):format(thread, phase, outcome.raised)
  end
  if outcome.broken then list[#list + 1] = "the pool is broken: " .. outcome.broken end
  for _, failure in ipairs(outcome.failures) do
    list[#list + 1] = failure_lines(failure)
  end
  if outcome.leaks then list[#list + 1] = leaks.complaint(leaks.by_site(outcome.leaks)) end
  return list
end

return M
