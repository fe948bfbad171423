-- SPDX-License-Identifier: MIT
-- Traces that compare replays as it reads them: memory grows with what is live, not with the events.
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local replay = require "heapwright.replay"
local text = require "heapwright.text"

local M = {}

-- Files above this are streamed unasked: some 60 million events, of which a loaded trace takes 16 bytes each.
local LARGE = 256 << 20

--- Adds --stream and --in-memory.
function M.describe(command)
  command:mutex(
    command:flag("--stream", "Replay traces while they are read, in memory that grows with their live blocks "
      .. "only; no search of the smallest pool, no times of single operations. Files of more than 256 MiB are "
      .. "streamed unasked."),
    command:flag("--in-memory", "Load traces whatever their size, 16 bytes an event."))
end

local function is_large(path)
  if host.kind(path) ~= "file" then return false end
  local file = io.open(path, "rb")
  local size = file and file:seek "end"
  if file then file:close() end
  return size ~= nil and size > LARGE
end

--- Is this trace streamed?
---@param given table the options; `streams` where the verb streams at all
---@param path string
---@param what cli.WhatIf
---@return boolean
function M.wants(given, path, what)
  if given.stream and what.json then
    fault.raise("--stream: what if is asked of a trace in memory (%s)", table.concat(what.words, ", "))
  end
  if given.stream or given.in_memory then return given.stream == true end
  return given.streams and not what.json and is_large(path)
end

--- Replays a source; what there is to be known of it is in `source.known` then.
---@param source cli.Source with `path`
---@param asked table[] policies as heapwright.replay takes them
---@param what {capacity: integer|nil, progress: function}
---@return table[] results
function M.measure(source, asked, what)
  local streamed = fault.check(replay.stream {
    path = source.path,
    name = source.name,
    policies = asked,
    capacity = what.capacity,
    smallest = what.capacity == nil,
    progress = what.progress,
  })
  source.known, source.streamed = streamed.source, streamed
  streamed.source.streamed = {
    passes = streamed.passes,
    seconds = streamed.seconds,
    read_seconds = streamed.read_seconds,
  }
  return streamed.results
end

--- What a stream took, in words.
---@param source cli.Source that was measured
---@return string
function M.conclusion(source)
  local streamed, events = source.streamed, source.known.events
  local took = ("Streamed in %s, %s"):format(streamed.passes == 1 and "one pass" or "two passes",
    text.duration(streamed.seconds * 1e9))
  if streamed.read_seconds then
    took = took .. ("; to read a million events takes %s of a processor")
      :format(text.duration(streamed.read_seconds / events * 1e15))
  end
  return took .. "."
end

return M
