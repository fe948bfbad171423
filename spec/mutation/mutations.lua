-- SPDX-License-Identifier: MIT
-- The mutations: ways to break heapwright, one small change of the source each,
-- that its tests have to notice. The lists themselves are in mutations/, by the
-- part of the house that they break. A mutation is
--
--   file      what is changed
--   from, to  this text becomes that one; `from` occurs exactly once in the file
--   after     where `from` alone would not be unique: a text that occurs exactly
--             once; the first `from` at or behind its beginning is meant
--   breaks    one sentence: what goes wrong then
--   build     "thread" or "address": it is tried in a build with that sanitizer,
--             since without one nothing need be seen of it
--   survives  why no test can notice it: an argument that it changes nothing that
--             anybody may rely on
--
-- A text that is no longer there, or is there more than once, is an error: so the
-- list can't outlive what it is about. spec/mutation_spec.lua looks at each test
-- run whether all of it still applies.
local M = {}

local folder = debug.getinfo(1, "S").source:match "^@(.*)mutations%.lua$"

---The lists, in the order in which they are run: like with like, so that little is built anew.
M.lists = {
  "map", "pool", "operations", "access", "guard", "links", "compact", "images",
  "policies", "slab", "threads", "accounts", "traces", "lua",
}

---All mutations, numbered from 1.
function M.all()
  local all = {}
  for _, name in ipairs(M.lists) do
    for _, mutation in ipairs(dofile(folder .. "mutations/" .. name .. ".lua")) do all[#all + 1] = mutation end
  end
  for number, mutation in ipairs(all) do mutation.number = number end
  return all
end

-- How often `text` occurs in `source`, up to 2, and where it does first.
local function occurrences(source, text, from)
  local first = source:find(text, from or 1, true)
  if not first then return 0 end
  return source:find(text, first + 1, true) and 2 or 1, first
end

---The source with the mutation in it; nil and what is wrong with the mutation.
function M.apply(mutation, source)
  local count, first
  if mutation.after then
    local unique, begin = occurrences(source, mutation.after)
    if unique ~= 1 then
      return nil, ("`after` occurs %s: %s"):format(unique == 0 and "nowhere" or "more than once", mutation.after)
    end
    count, first = occurrences(source, mutation.from, begin)
    if count == 0 then return nil, ("the text does not occur after %q: %s"):format(mutation.after, mutation.from) end
  else
    count, first = occurrences(source, mutation.from)
    if count ~= 1 then
      return nil, ("the text occurs %s: %s"):format(count == 0 and "nowhere" or "more than once", mutation.from)
    end
  end
  local changed = source:sub(1, first - 1) .. mutation.to .. source:sub(first + #mutation.from)
  if changed == source then return nil, "it changes nothing" end
  return changed
end

---The content of a file; nil and a message.
function M.read(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local text = file:read "a"
  file:close()
  return text
end

local wanted = { file = "string", from = "string", to = "string", breaks = "string" }
local known = { after = "string", build = "string", survives = "string", number = "number" }

---A number that tells it, and what it does, from others, in whatever place of the list it is.
function M.fingerprint(mutation)
  local hash = 0xcbf29ce484222325
  for _, field in ipairs { "file", "after", "from", "to", "build" } do
    for _, byte in ipairs { (mutation[field] or ""):byte(1, -1) } do hash = (hash ~ byte) * 0x100000001b3 end
    hash = (hash ~ 0xff) * 0x100000001b3
  end
  return ("%016x"):format(hash)
end

---What is wrong with the mutation in the source tree at `root`; nil where nothing is.
function M.fault(mutation, root)
  for field, kind in pairs(wanted) do
    if type(mutation[field]) ~= kind then return "no " .. field end
  end
  for field, value in pairs(mutation) do
    if type(value) ~= (wanted[field] or known[field]) then return "an unknown field, " .. tostring(field) end
  end
  if mutation.build and mutation.build ~= "thread" and mutation.build ~= "address" then
    return "build is 'thread' or 'address'"
  end
  local source, message = M.read(root .. "/" .. mutation.file)
  if not source then return message end
  local _, fault = M.apply(mutation, source)
  return fault
end

return M
