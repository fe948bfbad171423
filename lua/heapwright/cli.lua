-- SPDX-License-Identifier: MIT
-- The command line: reads the arguments, hands over to a verb, turns what went
-- wrong into one line and an exit code.
--
-- A verb is a file under cli/ that returns a table (cli.Verb), and a line in
-- the list below. Exit codes: 0 well, 1 an expectation or an invariant broke,
-- 2 wrong usage or bad input.
local argparse = require "argparse"
local fault = require "heapwright.cli.fault"
local host = require "heapwright.host"
local pool = require "heapwright.pool"

local M = {}

---@class cli.Verb
---@field name string its names, apart by blanks
---@field summary string one sentence
---@field epilog string|nil an example or two
---@field describe fun(command: table) adds the verb's options to its argparse command
---@field shield nil|fun(arguments: string[]): string[] what the parser gets instead of the arguments
---@field run fun(options: table, arguments: string[]): integer|nil the exit code, 0 where nil

local VERBS = {
  "run", "record", "compare", "fit", "suggest", "minimize", "sweep", "report", "merge", "verify", "lua", "trace",
  "policies", "env",
}

local function tidy(parser)
  parser:help_max_width(80):usage_max_width(80):help_description_margin(26)
end

local function build_parser()
  local parser = argparse("heapwright")
    :description("Drives, measures and compares memory pools.")
    :epilog(table.concat({
      "Examples:",
      "  heapwright record -o app.hwt -- ./app   # what does it allocate?",
      "  heapwright compare app.hwt              # which policy, how small a pool?",
      "  heapwright run scenario.lua             # a scenario under every policy",
      "  heapwright lua --limit 8M script.lua    # a script, bounded",
      "",
      "Exit codes: 0 well; 1 an expectation or invariant broke; 2 wrong usage or input.",
    }, "\n"))
    :command_target("verb")
    :require_command(true)
  tidy(parser)
  parser:flag("--version", "Show the version and exit."):action(function()
    print(("heapwright %s (%s)"):format(pool.version, _VERSION))
    os.exit(0, true)
  end)
  parser:add_complete()
  local by_name = {}
  for _, name in ipairs(VERBS) do
    local verb = require("heapwright.cli." .. name) ---@type cli.Verb
    local command = parser:command(verb.name, verb.summary)
    tidy(command)
    if verb.epilog then command:epilog(verb.epilog) end
    verb.describe(command)
    by_name[name] = verb
  end
  return parser, by_name
end

-- A message for people, a traceback for what should never happen.
local function explain(problem)
  if fault.is_fault(problem) then return problem end
  return debug.traceback(tostring(problem), 2)
end

-- argparse ends the process itself after --help, --version and --completion.
local function check_output_at_exit()
  local exit = os.exit
  os.exit = function(code, close) -- luacheck: ignore 122
    local written, why = host.flush()
    if not written then
      io.stderr:write("heapwright: ", why, "\n")
      code = 2
    end
    exit(code, close)
  end
  return function() os.exit = exit end -- luacheck: ignore 122
end

local function complain(message)
  io.stdout:flush()
  io.stderr:write("heapwright: ", message, "\n")
end

--- Runs the command line.
---@param arguments string[] with the program's name at 0
---@return integer # the exit code
function M.main(arguments)
  local parser, by_name = build_parser()
  local restore = check_output_at_exit()
  local asked = by_name[arguments[1]]
  local parsed, options = parser:pparse(asked and asked.shield and asked.shield(arguments) or arguments)
  restore()
  if not parsed then
    local verb = asked and " " .. arguments[1] or ""
    complain(("%s (see heapwright%s --help)"):format(tostring(options):gsub("\n.*", ""), verb))
    return 2
  end
  local ok, result = xpcall(by_name[options.verb].run, explain, options, arguments)
  if ok then return result or 0 end
  if fault.is_fault(result) then
    complain(result.code == 2 and result.message:gsub("%c", "?") or result.message)
    return result.code
  end
  complain(result)
  return 1
end

return M
