-- SPDX-License-Identifier: MIT
-- heapwright lua: runs a script in a pool, as the stand-alone interpreter would.
local bounded = require "heapwright.bounded"
local fault = require "heapwright.cli.fault"
local policies = require "heapwright.policies"
local pool = require "heapwright.pool"
local script = require "heapwright.cli.script"
local text = require "heapwright.text"

local WITH_VALUE = { ["--limit"] = true, ["--policy"] = true, ["-p"] = true }

local KINDS = {
  { title = "kind", left = true },
  { title = "in use" },
  { title = "blocks" },
  { title = "at the peak" },
  { title = "allocated in all" },
}

local LINES = {
  { title = "line", left = true },
  { title = "in use" },
  { title = "blocks" },
  { title = "its peak" },
  { title = "allocated in all" },
}

local function limit_of(given)
  if not given.limit then return nil end
  local ok, bytes = pcall(pool.parse_size, given.limit)
  if not ok or bytes < 1 then fault.raise("--limit: '%s' is no size such as 65536, 64K or 1.5M", given.limit) end
  return bytes
end

local function policy_of(given)
  if not given.policy then return policies.parse "best-fit" end
  return fault.check(policies.parse(given.policy))
end

local function rows_of(list, name, own)
  local rows = {}
  for i, one in ipairs(list) do
    rows[i] = { one[name], text.integer(one.in_use), text.integer(one.blocks), text.integer(one[own]),
      text.integer(one.allocated) }
  end
  return rows
end

local function print_stats(outcome, label)
  local account, lines = outcome.account, {}
  local function add(words, first)
    lines[#lines + 1] = text.wrap(words, 80, first)
  end
  local limit = account.limit and "limit " .. text.integer(account.limit) or "no limit"
  add(("Bytes, at the end of the script: %s in use, peak %s, %s."):format(
    text.integer(account.in_use), text.integer(account.peak_in_use), limit))
  add(("Of the pool (%s): %s granted, peak %s, high water %s."):format(label, text.integer(account.granted),
    text.integer(account.peak_granted), text.integer(outcome.pool.high_water)))
  add(("%s, %s, %s, %s."):format(text.counted(account.allocations, "allocation"),
    text.counted(account.frees, "free"), text.counted(account.reallocations, "resize"),
    text.counted(account.over_limit + account.over_pool, "refusal")))
  local function add_table(columns, rows)
    lines[#lines + 1] = ""
    for _, line in ipairs(text.table(columns, rows)) do lines[#lines + 1] = line end
  end
  add_table(KINDS, rows_of(outcome.kinds, "kind", "at_peak"))
  add_table(LINES, rows_of(outcome.lines, "line", "peak_in_use"))
  if outcome.lost > 0 then
    add(("Note: the system had no memory to note %s."):format(text.counted(outcome.lost, "allocation")))
  end
  io.stdout:flush()
  io.stderr:write(table.concat(lines, "\n"), "\n")
end

return {
  name = "lua",
  summary = "Run a Lua script in a pool, with a limit to its memory.",
  epilog = table.concat({
    "As lua runs it: what follows SCRIPT is its own (arg, ...), - is standard input,",
    "and the exit code is its own, 1 where it ends with an error.",
    "",
    "The limit counts bytes as the script asks for them; the pool around it grows to",
    "twice the limit and 1 MiB at most, without a limit to the machine's memory.",
    "",
    "--stats tells on standard error who holds the memory: the kinds of Lua, and the",
    "ten lines of Lua that ever held the most at once, in the blocks that they were",
    "the first to allocate. What is garbage but not yet collected is in use. With it",
    "the script takes about twice its time, and finds a hook in debug.gethook.",
    "",
    "Examples:",
    "  heapwright lua --limit 8M script.lua first second",
    "  heapwright lua --stats script.lua",
  }, "\n"),

  shield = function(arguments) return script.shield(arguments, WITH_VALUE) end,

  describe = function(command)
    command:option("--limit", "The most that the script may have in use."):argname "SIZE"
    command
      :option("--policy -p", "The pool's policy; an order of ties after a slash: best-fit/fifo (random: of seed 0).")
      :argname "POLICY"
    command:flag("--stats", "Tell who holds the memory.")
    command:argument("script", "The script."):args(1)
    command:argument("arguments", "Its arguments."):args "*"
  end,

  run = function(given, arguments)
    local policy = policy_of(given)
    io.stdout:flush()
    return fault.check(bounded.run {
      arguments = arguments,
      script = #arguments - #given.arguments,
      limit = limit_of(given),
      policy = policy.policy,
      order = policy.order,
      stats = given.stats or false,
      failed = script.failed,
      ended = function(outcome)
        if given.stats then print_stats(outcome, policy.label) end
        return outcome.status
      end,
    })
  end,
}
