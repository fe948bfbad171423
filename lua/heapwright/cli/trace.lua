-- SPDX-License-Identifier: MIT
-- heapwright trace: what is in a trace, and in which format.
local fault = require "heapwright.cli.fault"
local generation = require "heapwright.cli.generation"
local host = require "heapwright.host"
local options = require "heapwright.cli.options"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"
local traces = require "heapwright.traces"

local function bytes(n)
  return n < 1024 and text.size(n) or ("%s (%s bytes)"):format(text.size(n), text.integer(n))
end

-- The lines of `info`: label, words made of the figures; nil leaves the line out.
local INFO = {
  { "format", function(i) return i.format end },
  {
    "events",
    function(i)
      return ("%s: %s, %s, %s"):format(text.integer(i.events), text.counted(i.allocations, "allocation"),
        text.counted(i.frees, "free"), text.counted(i.resizes, "resize"))
    end,
  },
  { "threads", function(i) return i.threads > 0 and text.integer(i.threads) or nil end },
  { "peak in use", function(i) return bytes(i.peak_in_use) end },
  { "lower bound", function(i) return bytes(i.lower_bound) end },
  { "largest", function(i) return bytes(i.largest) end },
  { "live at end", function(i) return text.counted(i.live_at_end, "block") end },
  { "duration", function(i) return (i.duration or 0) > 0 and text.duration(i.duration) or nil end },
  { "warning", function(i) return i.warning ~= "" and i.warning or nil end },
}

local function info(given)
  for i, path in ipairs(given.file) do
    local known = fault.check(traces.info(options.readable(path)))
    if i > 1 then print() end
    print(terminal.paint(path, "bold"))
    for _, line in ipairs(INFO) do
      local words = line[2](known)
      if words then print(text.wrap(words, 80, ("  %-11s  "):format(line[1]))) end
    end
  end
end

local FORMATS = { text = true, binary = true }

local function convert(given)
  local format = given.to_format or (given.to:match "%.hwt$" and "binary" or "text")
  if not FORMATS[format] then fault.raise("unknown format '%s'; known are text, binary", format) end
  options.readable(given.from)
  host.converts_to(given.to)
  fault.check(traces.convert(given.from, given.to, format))
end

local function cat(given)
  io.stdout:flush()
  for _, path in ipairs(given.file) do
    fault.check(traces.convert(options.readable(path), "/dev/stdout", "text"))
  end
end

local actions = { info = info, convert = convert, cat = cat, generate = generation.run }

return {
  name = "trace",
  summary = "Look into traces, convert them, make them up.",
  epilog = table.concat({
    "Examples:",
    "  heapwright trace info app.hwt",
    "  heapwright trace convert app.hwt app.txt",
    "  heapwright trace cat app.hwt | head",
  }, "\n"),

  describe = function(command)
    command:command_target "action"
    local function add(name, summary, epilog)
      return command:command(name, summary):epilog(epilog):help_max_width(80):usage_max_width(80)
    end
    add("info", "Show what is in a trace.", "Example:\n  heapwright trace info app.hwt")
      :argument("file", "Traces."):args "+"
    local conversion = add("convert", "Write a trace in the other format.",
      "Example:\n  heapwright trace convert app.hwt app.txt")
    conversion:argument("from", "A trace in any format.")
    conversion:argument("to", "The new file: binary where its name ends in .hwt, else text.")
    conversion:option("--to", "The format, text or binary, whatever the name.")
      :argname("FORMAT"):target "to_format"
    add("cat", "Print a trace as text.", "Example:\n  heapwright trace cat app.hwt | head")
      :argument("file", "Traces."):args "+"
    generation.describe(add("generate", "Write a trace that is made up, as long as is wanted.",
      "Example:\n  heapwright trace generate -o big.hwt --events 100M --live 100k"))
  end,

  run = function(given)
    return actions[given.action](given)
  end,
}
