-- SPDX-License-Identifier: MIT
-- heapwright record: runs a program and keeps what it allocates.
local fault = require "heapwright.cli.fault"
local place = require "heapwright.cli.place"
local text = require "heapwright.text"
local traces = require "heapwright.traces"

local LIBRARY = "libheapwright-record.so"
local COLUMNS = {
  { title = "trace", left = true },
  { title = "program", left = true },
  { title = "events" },
  { title = "peak in use" },
}

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

return {
  name = "record",
  summary = "Run a program and record its allocations, all threads and child processes.",
  epilog = table.concat({
    "Ends with the program's exit code (128 + the signal that ended it). A child is",
    "recorded into FILE.N-NAME. Programs that are statically linked, that gain",
    "privileges (setuid), or that are started with an emptied environment (env -i)",
    "load no library and are not recorded.",
    "",
    "Examples:",
    "  heapwright record -- ls -l",
    "  heapwright record -o build.hwt -- cc -c file.c    # and its children",
  }, "\n"),

  describe = function(command)
    command:option("--output -o", "The trace; PROGRAM.hwt in this folder without it."):argname "FILE"
    command:argument("program", "The program; put -- before it."):args(1)
    command:argument("arguments", "Its arguments."):args "*"
  end,

  run = function(given)
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
