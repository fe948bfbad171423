-- SPDX-License-Identifier: MIT
-- heapwright policies: what there is to choose from.
local json = require "heapwright.cli.json"
local options = require "heapwright.cli.options"
local preparation = require "heapwright.cli.preparation"
local pool = require "heapwright.pool"
local terminal = require "heapwright.cli.terminal"
local text = require "heapwright.text"

local KEYS = {
  "name", "chooses", "index", "bound", "source", "takes_order", "takes_caches", "takes_classes", "exact", "monotone",
  "scripted",
}

-- What the flags of a policy mean, in the order in which they are told.
local REMARKS = {
  { "exact", "exact: the rule alone defines each address" },
  { "takes_order", "takes /fifo, /lifo and /random" },
  { "takes_caches", "takes caches of threads" },
  { "takes_classes", "takes size classes" },
  { "monotone", "a trace that fits also fits in every larger pool" },
  { "scripted", "a function of Lua's, registered by heapwright.policy" },
}

local function describe(policy)
  local function say(label, words)
    print(text.wrap(words, 80, ("  %-7s  "):format(label)))
  end
  local remarks = {}
  for _, remark in ipairs(REMARKS) do
    if policy[remark[1]] then remarks[#remarks + 1] = remark[2] end
  end
  print(terminal.paint(policy.name, "bold"))
  say("chooses", policy.chooses)
  say("index", policy.index)
  say("bound", policy.bound)
  say("source", policy.source)
  if #remarks > 0 then say("also", table.concat(remarks, "; ")) end
end

return {
  name = "policies",
  summary = "Show the placement policies with their bounds.",
  epilog = "Examples:\n  heapwright policies --json\n  heapwright policies --load my_policy.lua",

  describe = function(command)
    preparation.add(command)
    options.add_json(command)
  end,

  run = function(given)
    preparation.run(given)
    if given.json then
      io.write(json.list("policies", pool.policies(), KEYS))
      return
    end
    for i, policy in ipairs(pool.policies()) do
      if i > 1 then print() end
      describe(policy)
    end
  end,
}
