-- SPDX-License-Identifier: MIT
-- A queue whose entries are blocks, its commands and its model: what a user would
-- write. QUEUE_BUG in the environment gives it a fault: "order", "leak", "overrun",
-- or "careless" where memory runs out.
local bug = os.getenv "QUEUE_BUG"

local Queue = {}
Queue.__index = Queue

function Queue:push(text)
  local address, message, code = self.mem:malloc(#text)
  if not address then
    if bug == "careless" then error(message) end
    return nil, message, code
  end
  assert(self.mem:write(address, text))
  table.insert(self, address)
  return true
end

function Queue:pop()
  local first = bug == "order" and #self > 2 and 2 or 1
  local address = table.remove(self, first)
  local size = self.mem:size(address)
  local text = assert(self.mem:read(address, bug == "overrun" and size == 17 and 18 or size))
  if not (bug == "leak" and text == "") then assert(self.mem:free(address)) end
  return text
end

return {
  capacity = 512, operations = 60, runs = 40, seed = 7,
  setup = function(mem) return setmetatable({ mem = mem }, Queue), {} end,
  commands = {
    push = {
      weight = 2,
      draw = function(g) return g:string(0, 40) end,
      run = function(queue, model, text)
        local ok, _, code = queue:push(text)
        if ok then table.insert(model, text) end
        return ok or code == "no_memory", code
      end,
    },
    pop = {
      ready = function(model) return #model > 0 end,
      run = function(queue, model)
        local got, expected = queue:pop(), table.remove(model, 1)
        return got == expected, ("%q is not %q"):format(got, expected)
      end,
    },
  },
  invariant = function(queue, model, mem)
    return mem:stats().live_blocks >= #model and #queue == #model
  end,
  finish = function(queue)
    while #queue > 0 do queue:pop() end
  end,
}
