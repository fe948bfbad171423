-- SPDX-License-Identifier: MIT
-- heapwright suggest: the policy, granule and size classes that need the least for a trace.
local fault = require "heapwright.cli.fault"
local json = require "heapwright.cli.json"
local options = require "heapwright.cli.options"
local pool = require "heapwright.pool"
local size_classes = require "heapwright.size_classes"
local sources = require "heapwright.cli.sources"
local suggestion = require "heapwright.suggestion"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"
local what_if = require "heapwright.cli.what_if"

local SHOWN = 12 -- finalists

---- For people -------------------------------------------------------------------

local COLUMNS = {
  { title = "policy", left = true },
  { title = "granule" },
  { title = "classes" },
  { over = "first half", title = "needs" },
  { over = "first half", title = "saves" },
  { over = "unseen half", title = "needs" },
  { over = "unseen half", title = "saves" },
  { over = "unseen half", title = "rank" },
}

local function needs(need)
  if not need.pool then return "-" end
  return (need.exact == false and "≤ " or "") .. text.size(need.total)
end

local function saves(need)
  return need.saves and text.percent(need.saves) or "-"
end

local function row(candidate)
  return {
    candidate.label,
    ("%d"):format(candidate.granule),
    candidate.classes and ("%d own"):format(#candidate.classes) or "",
    needs(candidate.first), saves(candidate.first),
    needs(candidate.unseen), saves(candidate.unseen), ("%d"):format(candidate.unseen.rank),
  }
end

local function print_table(found)
  local rows, shown_default = {}, false
  for i, candidate in ipairs(found.finalists) do
    if i <= SHOWN - (shown_default and 0 or 1) or candidate == found.default then
      rows[#rows + 1] = row(candidate)
      shown_default = shown_default or candidate == found.default
    end
  end
  local lines = text.table(COLUMNS, rows, function(line, number)
    return number == 0 and terminal.paint(line, "dim") or line
  end)
  print(table.concat(lines, "\n"))
end

local function named(candidate)
  local words = ("%s with granules of %d bytes"):format(candidate.label, candidate.granule)
  if not candidate.classes then return words end
  return ("%s and %s of its own"):format(words, #candidate.classes == 1 and "a size class"
    or ("%d size classes"):format(#candidate.classes))
end

-- 0.021: 2.1% less than.
local function compared(need)
  local saved = need.saves or 0
  if saved == 0 then return "as much as" end
  return ("%s %s than"):format(text.percent(math.abs(saved)), saved > 0 and "less" or "more")
end

local function conclusion(found)
  local choice, default = found.choice, found.default
  if choice == default then
    return ("%s, the default, needs the least: stay with it. On the half that this did not see it has rank %d of %d.")
      :format(named(default), default.unseen.rank, #found.finalists)
  end
  local least = ("%s needs the least: %s with its metadata, %s %s."):format(named(choice),
    text.size(choice.first.total), compared(choice.first), default.label)
  local unseen = ("on the half that it did not see it needs %s %s, rank %d of %d"):format(compared(choice.unseen),
    default.label, choice.unseen.rank, #found.finalists)
  if found.held then return ("%s The choice held: %s."):format(least, unseen) end
  return ("%s The choice did not hold: %s. Stay with %s."):format(least, unseen, default.label)
end

local function whole(found)
  if not found.whole.pool then return "No pool of it holds the whole trace." end
  local words = ("For the whole trace a pool of %s suffices, %s with its metadata"):format(
    text.counted(found.whole.pool, "byte"), text.size(found.whole.total))
  if found.advice == found.default then return words .. "." end
  return ("%s: %s %s."):format(words, compared(found.whole), found.default.label)
end

local function order_line(candidate)
  if not candidate.order then return "", "" end
  return (', order = "%s"'):format(candidate.order), (", .order = HPW_ORDER_%s"):format(candidate.order:upper())
end

-- What puts it to use, in Lua and in C.
local function code(candidate, capacity)
  local in_lua, in_c = order_line(candidate)
  local list = candidate.classes and table.concat(candidate.classes, ", ")
  return ('heapwright.new { capacity = %d, policy = "%s"%s, granule = %d%s }'):format(capacity, candidate.policy,
    in_lua, candidate.granule, list and (", classes = { %s }"):format(list) or ""),
    ('hpw_open(&(hpw_config){ .capacity = %d, .policy = "%s"%s, .granule = %d%s }, &error);'):format(capacity,
      candidate.policy, in_c, candidate.granule, list and (", .classes = { %s }"):format(list) or "")
end

local function print_report(found)
  local known = found.source
  print(text.wrap(("%s: %s, %s, peak in use %s. Of %s candidates, chosen on events 1 to %s; then tried on the events "
    .. "after these, which the choice did not see."):format(known.name, text.counted(known.events, "event"),
    text.counted(known.allocations, "allocation"), text.size(known.peak_in_use), text.integer(found.candidates),
    text.integer(found.cut)), 80))
  if known.warning then print(text.wrap("Note: " .. known.warning, 80)) end
  print()
  print_table(found)
  print()
  print(text.wrap("needs: the smallest pool that was found, and its metadata; saves: of what best-fit with granules of "
    .. "16 bytes needs.", 80))
  print()
  print(terminal.paint(text.wrap(conclusion(found) .. " " .. whole(found), 80), "bold"))
  if not found.whole.pool then return end
  for _, line in ipairs { code(found.advice, found.whole.pool) } do
    print()
    local glued = line:gsub(" = ", "\1=\1") -- no line ends within a field
    print((text.wrap(glued, 80, "  "):gsub("\1", " ")))
  end
end

---- For machines ------------------------------------------------------------------

local SOURCE = { "name", "events", "allocations", "peak_in_use", "lower_bound" }
local CANDIDATE = {
  "policy", "granule", "classes", "smallest_pool", "smallest_exact", "metadata", "saves", "unseen",
}
local NEED = { "smallest_pool", "smallest_exact", "metadata", "saves", "rank" }
local KEYS = { "heapwright", "source", "cut", "candidates", "results", "choice", "held", "advice", "whole", "ok" }

local function need_of(need)
  return json.object({
    smallest_pool = need.pool, smallest_exact = need.exact, metadata = need.metadata, saves = need.saves,
    rank = need.rank,
  }, NEED)
end

local function candidate_of(candidate)
  local first = candidate.first
  return json.object({
    policy = candidate.label, granule = candidate.granule, classes = candidate.classes, smallest_pool = first.pool,
    smallest_exact = first.exact, metadata = first.metadata, saves = first.saves, unseen = need_of(candidate.unseen),
  }, CANDIDATE)
end

local function encode(found)
  local results = setmetatable({}, { __jsontype = "array" })
  for i, candidate in ipairs(found.finalists) do results[i] = candidate_of(candidate) end
  return json.encode(json.object({
    heapwright = pool.version, source = json.object(found.source, SOURCE), cut = found.cut,
    candidates = found.candidates, results = results, choice = candidate_of(found.choice), held = found.held,
    advice = candidate_of(found.advice), whole = need_of(found.whole), ok = true,
  }, KEYS))
end

---- The verb ----------------------------------------------------------------------

-- Writes the best classes of slab's that were found.
local function write_classes(found, path)
  for _, candidate in ipairs(found.finalists) do
    if candidate.classes then
      local comment = ("slab's size classes for granules of %d bytes; from %s"):format(candidate.granule,
        found.source.name:gsub("%c", "?"))
      fault.check(size_classes.write(path, candidate.classes, comment))
      return candidate
    end
  end
  fault.raise("%s: no classes to write: no block of 64 granules or less is live at the peak", path)
end

local function takes_classes(choices)
  local takes = {}
  for _, info in ipairs(pool.policies()) do takes[info.name] = info.takes_classes end
  for _, choice in ipairs(choices or {}) do
    if takes[choice.policy] then return true end
  end
  return choices == nil
end

return {
  name = "suggest",
  summary = "Suggest the pool that needs the least for a trace, and whether that holds for events not seen.",
  epilog = table.concat({
    "The choice is made on the first half of the events, then tried on the second.",
    "",
    "Examples:",
    "  heapwright suggest app.hwt",
    "  heapwright suggest app.hwt --policy slab --classes-out app.classes",
    "  heapwright compare app.hwt --classes app.classes --granule 8   # the one that it named",
  }, "\n"),

  describe = function(command)
    command:argument("source", "A trace; a .lua file is a scenario, of which one run is recorded.")
    options.add_policy(command)
    command:option("--classes-out", "Write the best size classes of slab's, for --classes."):argname "FILE"
    options.add_seed(command)
    options.add_json(command)
  end,

  run = function(given)
    local choices = given.policy and options.policies(given) or nil
    if given.classes_out and not takes_classes(choices) then
      fault.raise("--classes-out: the classes are slab's, which is not among the policies")
    end
    local out = options.output(given)
    local count = 0
    sources.each({ source = { given.source }, seed = given.seed }, function(path, one)
      count = count + 1
      if count > 1 then fault.raise("%s: several scenarios; suggest takes one", given.source) end
      local found = fault.check(suggestion.of(path, one and one.name, {
        choices = choices, has_pool = what_if.has_pool,
        progress = terminal.progress("Trying " .. (one and one.name or path)),
      }))
      if out then out(encode(found)) else print_report(found) end
      if not given.classes_out then return end
      local of = write_classes(found, given.classes_out)
      if out then return end
      print()
      print(text.wrap(("%s: %s, for granules of %d bytes."):format(given.classes_out,
        text.counted(#of.classes, "size"), of.granule), 80))
    end)
  end,
}
