-- SPDX-License-Identifier: MIT
-- Real programs of this machine, recorded: what `heapwright verify` asks T8 about.
--
-- Each is run with nothing to read, and what it writes is thrown away. One that is not
-- there is left out; so is what can't be recorded. Of a program and its children the one
-- with the most events counts, so that one that starts many small ones has no more weight.
local host = require "heapwright.host"
local place = require "heapwright.cli.place"
local traces = require "heapwright.traces"

local M = {}

local LIBRARY <const> = "libheapwright-record.so"

local C_PROGRAM <const> = [[printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n]]
  .. [[static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }\n]]
  .. [[int main(void) { int n[64]; for (int i = 0; i < 64; i++) n[i] = i * 37 %% 64;\n]]
  .. [[qsort(n, 64, sizeof *n, by_number); printf("%%d\\n", n[0]); return (int)strlen(""); }\n' | ]]
  .. [[cc -O2 -x c -c -o /dev/null -]]

-- A program that must be there, what the shell runs, and whether it is quick.
local PROGRAMS <const> = {
  { "cc", C_PROGRAM, true },
  { "lua5.4", [[lua5.4 -e 'local t = {} for i = 1, 5000 do t[i] = { i, tostring(i) } end
    table.sort(t, function(a, b) return a[2] < b[2] end)']], true },
  { "perl", [[perl -e 'my %h; $h{$_ % 1000} .= $_ for 1 .. 20000; print sort values %h']], true },
  { "sqlite3", [[sqlite3 :memory: 'create table t(a, b);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 2000)
    insert into t select i, hex(i) from c;
    create index x on t(b); select count(*) from t where b > "8"']], true },
  { "make", "make -p -f /dev/null", true },
  { "awk", [[awk 'BEGIN { for (i = 0; i < 5000; i++) n[i % 500] = n[i % 500] i; for (k in n) print n[k] }']], true },
  { "sed", [[sed -n -e 's/\([a-z]*\).*/\1/p' -e 'y/abc/xyz/' /etc/passwd /etc/services]], true },
  { "find", "find /usr/lib -maxdepth 2", true },
  { "bash", "bash -c 'for ((i = 0; i < 2000; i++)); do a[$i]=x$i; done; echo ${a[@]}'", false },
  { "python3", [[python3 -c 'import json
print(json.dumps({str(i): list(range(i % 50)) for i in range(1000)}))']], false },
  { "git", "git help -a", false },
  { "gdb", "gdb --version", false },
  { "cmake", "cmake --help-commands", false },
  { "openssl", "openssl ciphers -v", false },
  { "bc", "echo '2^2000' | bc", false },
  { "sh", "sh -c 'i=0; while [ $i -lt 500 ]; do i=$((i + 1)); x=$x$i; done; echo $x'", false },
  { "tar", "tar -c -f - /usr/share/common-licenses", false },
  { "grep", "grep -r -c 'a.*b' /usr/share/common-licenses", false },
}

local function is_there(program)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(program)) == true
end

-- Leaves the trace with the most events at `path`, which the command removes whichever way it ends; and no other.
local function keep_largest(recorded, path)
  local most = recorded[1]
  for _, trace in ipairs(recorded) do
    if trace.events > most.events then most = trace end
  end
  for _, trace in ipairs(recorded) do
    if trace ~= most and trace.file ~= path then os.remove(trace.file) end
  end
  if most and most.file ~= path then os.rename(most.file, path) end
  return most and path
end

--- Records those that are there.
---@param quick boolean|nil the quick ones alone
---@param progress fun(done: integer, total: integer)
---@return string[] paths of traces, each to be removed by the caller
function M.record(quick, progress)
  local paths, library = {}, place.find(LIBRARY)
  if not library then return paths end
  for i, program in ipairs(PROGRAMS) do
    local output = (program[3] or not quick) and is_there(program[1]) and host.temporary ".hwt"
    if output then
      local script = ("{ %s; } </dev/null >/dev/null 2>&1"):format(program[2])
      local recorded = traces.record { output = output, argv = { "sh", "-c", script }, library = library }
      paths[#paths + 1] = keep_largest(recorded and recorded.traces or {}, output)
    end
    progress(i, #PROGRAMS)
  end
  return paths
end

return M
