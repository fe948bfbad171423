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
  { "format", function(i) return i.packing and ("%s, packed by %s"):format(i.format, i.packing) or i.format end },
  { "not told", function(i) return i.loses end },
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
  { "warning", function(i) return i.warning end },
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

local FORMATS = { "text", "binary", "rep", "minimalloc" }
local BY_ENDING = { hwt = "binary", rep = "rep", csv = "minimalloc" }

local function format_of(given)
  if not given.to_format then return BY_ENDING[given.to:match "%.(%w+)$"] or "text" end
  for _, format in ipairs(FORMATS) do
    if format == given.to_format then return format end
  end
  fault.raise("unknown format '%s'; known are %s", given.to_format, table.concat(FORMATS, ", "))
end

local function convert(given)
  local format = format_of(given)
  options.readable(given.from)
  host.converts_to(given.to)
  local converted, warning = traces.convert(given.from, given.to, format)
  fault.check(converted, warning)
  if warning then io.stderr:write("heapwright: ", given.to, ": ", warning, "\n") end
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
    "Every verb reads these, told by their content, as they are or packed by gzip, xz",
    "or zstd, or as the one file of a zip:",
    "  ours           text, and binary (.hwt: heapwright record)",
    "  rep            the CS:APP malloc lab's traces",
    "  mtrace         glibc's MALLOC_TRACE",
    "  memory_replay  Android's malloc debug, record_allocs",
    "  valgrind       valgrind --trace-malloc=yes",
    "  ltrace         ltrace -f -e malloc+calloc+realloc+free",
    "  heaptrack      heaptrack --raw",
    "  minimalloc     MiniMalloc's CSV",
    "",
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
    local conversion = add("convert", "Write a trace in another format.", table.concat({
      "Formats: text, binary (.hwt), rep (the CS:APP malloc lab's .rep), minimalloc",
      "(MiniMalloc's .csv). What the format can't hold is told on standard error.",
      "",
      "Example:",
      "  heapwright trace convert app.hwt app.txt",
    }, "\n"))
    conversion:argument("from", "A trace in any format that is read, see heapwright trace --help.")
    conversion:argument("to", "The new file; its ending tells the format, text where it is none of these.")
    conversion:option("--to", "The format, whatever the name.")
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
