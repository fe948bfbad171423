-- SPDX-License-Identifier: MIT
-- heapwright record: runs a program, or with --lua a script, and keeps what it allocates.
local bounded = require "heapwright.bounded"
local fault = require "heapwright.cli.fault"
local place = require "heapwright.cli.place"
local script = require "heapwright.cli.script"
local text = require "heapwright.text"
local traces = require "heapwright.traces"

local LIBRARY = "libheapwright-record.so"
local COLUMNS = {
  { title = "trace", left = true },
  { title = "program", left = true },
  { title = "events" },
  { title = "peak in use" },
}
local KINDS = {
  { title = "kind", left = true },
  { title = "allocations" },
  { title = "bytes in all" },
  { title = "peak in use" },
  { title = "live at the end" },
}
local WITH_VALUE = { ["--output"] = true, ["-o"] = true }

-- As seen from this folder, where it lies under it.
local function from_here(path)
  local here = (os.getenv "PWD" or "") .. "/"
  return path:sub(1, #here) == here and path:sub(#here + 1) or path
end

-- The listing goes to standard error: standard output is the program's.
local function list(recorded)
  local rows, notes = {}, {}
  local function note(words)
    if words then notes[#notes + 1] = text.wrap(words, 80, "Note: ") .. "\n" end
  end
  note(recorded.warning)
  for i, trace in ipairs(recorded.traces) do
    local file = from_here(trace.file):gsub("%c", "?")
    local program = trace.program ~= "" and trace.program or "-"
    rows[i] = { file, program, text.integer(trace.events), text.size(trace.peak) }
    local warning = trace.warning
    if warning then
      -- Where there is no event, the warning names the file itself.
      if warning:sub(1, #trace.file + 2) == trace.file .. ": " then warning = warning:sub(#trace.file + 3) end
      note(file .. ": " .. warning)
    end
  end
  if #rows > 0 then io.stderr:write(table.concat(text.table(COLUMNS, rows), "\n"), "\n") end
  io.stderr:write(table.concat(notes))
end

-- What a script allocated, by Lua's own kinds, the most first.
local function list_kinds(kinds)
  local names, rows = {}, {}
  for name in pairs(kinds) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if kinds[a].bytes ~= kinds[b].bytes then return kinds[a].bytes > kinds[b].bytes end
    return a < b
  end)
  for i, name in ipairs(names) do
    local kind = kinds[name]
    rows[i] = { name, text.integer(kind.allocations), text.integer(kind.bytes), text.integer(kind.peak_in_use),
      text.counted(kind.live_at_end, "block") }
  end
  io.stderr:write("\n", table.concat(text.table(KINDS, rows), "\n"), "\n")
end

local function record_script(given, arguments)
  local name = given.program:match "[^/]*$"
  local output = given.output or (name == "-" and "stdin" or name:gsub("%.lua$", "")) .. ".hwt"
  io.stdout:flush()
  return fault.check(bounded.run {
    arguments = arguments,
    script = #arguments - #given.arguments,
    record = output,
    failed = script.failed,
    ended = function(outcome)
      io.stdout:flush()
      if outcome.problem then
        io.stderr:write("heapwright: ", outcome.problem, "\n")
        return outcome.status ~= 0 and outcome.status or 2
      end
      local figures = outcome.record
      list { traces = { { file = output, program = name, events = figures.events, peak = figures.peak_in_use } } }
      list_kinds(figures.kinds)
      return outcome.status
    end,
  })
end

-- Behind the script's name everything is the script's; behind a program's it is not, without --.
local function shield(arguments)
  local shielded = script.shield(arguments, WITH_VALUE)
  for _, argument in ipairs(shielded) do
    if argument == "--" then break end
    if argument == "--lua" then return shielded end
  end
  return arguments
end

return {
  name = "record",
  summary = "Run a program and record its allocations, all threads and child processes.",
  epilog = table.concat({
    "Ends with the program's exit code (128 + the signal that ended it). A child is",
    "recorded into FILE.N-NAME. Programs that are statically linked, that gain",
    "privileges (setuid), or that are started with an emptied environment (env -i)",
    "load no library and are not recorded.",
    "",
    "With --lua, PROGRAM is a Lua script, run as lua runs it: the trace is what its",
    "state asks its allocator for, from its making to its closing; a text trace names",
    "the kind of each block. What C libraries allocate otherwise is not in it.",
    "",
    "Examples:",
    "  heapwright record -- ls -l",
    "  heapwright record -o build.hwt -- cc -c file.c    # and its children",
    "  heapwright record --lua -o script.txt script.lua arguments",
  }, "\n"),

  shield = shield,

  describe = function(command)
    command:option("--output -o", "The trace; PROGRAM.hwt in this folder without it."):argname "FILE"
    command:flag("--lua", "Record the allocations of a Lua script, by kind.")
    command:argument("program", "The program; put -- before it. With --lua, the script."):args(1)
    command:argument("arguments", "Its arguments."):args "*"
  end,

  run = function(given, arguments)
    if given.lua then return record_script(given, arguments) end
    local argv = { given.program, table.unpack(given.arguments) }
    local library = place.find(LIBRARY)
    if not library then
      fault.raise("%s is neither beside the command nor in ../lib/heapwright from there", LIBRARY)
    end
    local output = given.output or given.program:match "[^/]*$" .. ".hwt"
    io.stdout:flush()
    local recorded = fault.check(traces.record { output = output, argv = argv, library = library })
    list(recorded)
    return recorded.status
  end,
}
