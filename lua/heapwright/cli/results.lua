-- SPDX-License-Identifier: MIT
-- A sweep's results as files: JSON Lines, one object a cell, and CSV (RFC 4180), both in
-- the order of the cells. Files are written beside the old ones, whose names they take
-- when they are whole.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local journal = require "heapwright.cli.journal"

local M = {}

--- What a line begins with, and what it may hold then.
M.KEY = { "plan", "cell", "cells", "source", "seed", "policy", "granule", "pool" }
M.FIGURES = {
  "capacity", "failures", "peak_in_use", "peak_granted", "high_water", "external_fragmentation",
  "internal_fragmentation", "smallest_pool", "smallest_exact", "overhead", "steps_max", "steps_mean",
}
M.TIMES = { "ns_p50", "ns_p999", "ns_max", "ops_per_second" }

M.FIELDS = table.move(M.KEY, 1, #M.KEY, 1, {})
for _, list in ipairs { M.FIGURES, M.TIMES, { "error" } } do
  table.move(list, 1, #list, #M.FIELDS + 1, M.FIELDS)
end

-- The path to write to, and whether that is beside the file.
local function begin(path)
  local kind = host.kind(path)
  if kind == "directory" then fault.raise("%s: is a folder", path) end
  if kind == "other" then return path, false end
  host.converts_to(path)
  return path .. ".part", true
end

--- Writes a file by a function that is given one that writes pieces. The command ends where it can't be written;
--- the old file is as it was then.
---@param path string
---@param fill fun(write: fun(piece: string))
function M.write(path, fill)
  local part, beside = begin(path)
  local file, why = io.open(part, "wb")
  if not file then fault.raise("%s", (why:gsub("%.part: ", ": ", 1))) end
  local function give_up(reason)
    file:close()
    if beside then os.remove(part) end
    fault.raise("%s: %s", path, reason)
  end
  fill(function(piece)
    local written, reason = file:write(piece)
    if not written then give_up(reason) end
  end)
  local flushed, reason = file:flush()
  if not flushed then give_up(reason) end
  file:close()
  if beside then fault.check(os.rename(part, path)) end
end

local function quote(value)
  local text = value == nil and "" or tostring(value)
  if not text:find '[",\r\n]' then return text end
  return '"' .. text:gsub('"', '""') .. '"'
end

local function csv_line(values)
  return table.concat(values, ",") .. "\r\n"
end

--- Writes results.
---@param output string|nil JSON Lines; nil: standard output
---@param csv string|nil
---@param lines fun(): string|nil gives the lines one after the other, from the first each time it is made
---@param make fun(): fun(): string|nil
function M.put(output, csv, make)
  if csv then
    M.write(csv, function(write)
      write(csv_line(M.FIELDS))
      for line in make() do
        local object, values = journal.decode(line), {}
        for i, name in ipairs(M.FIELDS) do values[i] = quote(object[name]) end
        write(csv_line(values))
      end
    end)
  end
  local function fill(write)
    for line in make() do write(line .. "\n") end
  end
  if output then return M.write(output, fill) end
  fill(function(piece) io.stdout:write(piece) end) -- the command tells at its end whether that went well
end

return M
