-- SPDX-License-Identifier: MIT
-- A copy of the source tree in which mutations are tried, one after the other. Only
-- what a mutation touches is compiled, and for the tests that are next. A test that
-- fails for the first time is run again on the source as it is, where it must pass.
local M = {}
M.__index = M

local json = require "dkjson"
local mutations = require "mutations"
local knowing = require "tests"

-- How each build is configured, and which of ctest's tests are run in it. Plain is
-- compiled for the sake of compiling fast, and without assertions: what they notice,
-- users' builds do not. The sanitizers are for mutations that say that they want one.
local quiet = "-DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="
local builds = {
  plain = { options = quiet .. "'-O1 -DNDEBUG -w'", runs = function() return true end },
  thread = {
    options = quiet .. "-w -DHEAPWRIGHT_SANITIZE=thread",
    runs = function(test) return test.labels.thread and test.name:find "^c/" end,
  },
  address = {
    options = quiet .. "-w -DHEAPWRIGHT_SANITIZE=address,undefined",
    runs = function(test) return test.name:find "^c/[%l]+_test$" and test.core and not test.name:find "growth" end,
  },
}

-- Tests that take long come last, of all else in the order of tests.lua.
local slow = {
  ["c/growth_test"] = true, ["c/small_worlds_test"] = true, ["c/account_test"] = true, ["c/words_thread_test"] = true,
  ["spec/property"] = true, ["c/replay_stream_thread_test"] = true, ["spec/verify_command"] = true,
}
-- What these find depends on how fast the machine is at that moment, so that they are no witnesses.
local timed = {
  ["spec/bench"] = true, ["spec/budget"] = true, ["spec/calls"] = true, ["spec/lua_bench"] = true,
  ["spec/memory_limit"] = true,
}
-- A test hangs after so many seconds of a processor's time, and of anybody's: on a machine with much else to
-- do the two are far apart. Both are added to what it takes on one that has not, and with a sanitizer.
local spins_after, sleeps_after = 4, 120
local slower = { plain = 3, address = 20, thread = 60 }

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

---Runs a shell command; whether it ended with 0, and what it ended with.
function M.run(command)
  local ok, how, code = os.execute(command)
  return ok == true, how == "signal" and "signal " .. code or code
end

---The copy `number` in the folder `work`, which has the source tree in base/; made by create.
function M.new(work, number)
  local self = setmetatable({ work = work, number = number, listed = {}, passed = {} }, M)
  self.folder = ("%s/copy-%d"):format(work, number)
  self.source = self.folder .. "/source"
  self.log = self.folder .. "/log"
  return self
end

-- With its output, and the shell's about it, in the log.
function M:command(text, ...) return ("exec >%s 2>&1 </dev/null; %s"):format(quote(self.log), text:format(...)) end

---Copies the source tree.
function M:create()
  assert(M.run(("mkdir -p %s/tmp && cp -a %s/base %s")
    :format(quote(self.folder), quote(self.work), quote(self.source))))
end

function M:build_folder(build) return ("%s/build-%s"):format(self.folder, build) end

-- What the tests are made of, as cmake's targets; nil: everything, which examples may want.
local function targets_of(tests)
  local targets = {}
  for _, test in ipairs(tests) do
    local program = test.name:match "^c/(.*)$"
    if not program and not test.name:find "^spec/" then return nil end
    targets[#targets + 1] = program or "module command second_thread"
  end
  return targets
end

function M:compile(build, tests)
  local targets = tests and targets_of(tests)
  return M.run(self:command("cmake --build %s %s", quote(self:build_folder(build)),
    targets and "--target " .. table.concat(targets, " ") or ""))
end

---Configures the build. Whether that went well.
function M:prepare(build)
  local generator = M.run "ninja --version >/dev/null 2>&1" and "-G Ninja" or ""
  return M.run(self:command("cmake %s -S %s -B %s %s", generator, quote(self.source), quote(self:build_folder(build)),
    builds[build].options))
end

-- Does a test need nothing of Lua's? Then it is built and run before all that does.
local function is_of_core(self, name)
  local file = name:match "^c/(.*)$"
  if not file then return false end
  return not mutations.read(("%s/spec/c/%s.c"):format(self.source, file)):find "#include <lua"
end

---What ctest would run in the build: name, command line with its environment (once it is built), whether
---it is the core's.
function M:tests(build)
  local pipe = assert(io.popen(("ctest --test-dir %s --show-only=json-v1"):format(quote(self:build_folder(build)))))
  local listed = assert(json.decode(pipe:read "a"))
  pipe:close()
  local tests = {}
  for _, listing in ipairs(listed.tests) do
    local test = { name = listing.name, core = is_of_core(self, listing.name), labels = {} }
    local line = { -- of each test the first failure will do
      "env", quote("TMPDIR=" .. self.folder .. "/tmp"), "CHECK_STOPS=1", "SPEC_OPTIONS=--no-keep-going",
      "TSAN_OPTIONS=halt_on_error=1",
    }
    for _, property in ipairs(listing.properties or {}) do
      if property.name == "ENVIRONMENT" then
        for _, setting in ipairs(property.value) do line[#line + 1] = quote(setting) end
      elseif property.name == "LABELS" then
        for _, label in ipairs(property.value) do test.labels[label] = true end
      end
    end
    line[#line + 1] = "timeout -k 2 LIMIT"
    local program = test.name:match "^c/(.*)$" -- has no command yet where it is not built
    local unbuilt = program and { self:build_folder(build) .. "/spec/" .. program }
    for _, word in ipairs(listing.command or unbuilt or {}) do line[#line + 1] = quote(word) end
    test.line = table.concat(line, " ")
    -- That the list no longer applies to what a mutation has changed is no notice of it.
    local seen = test.name ~= "spec/mutation" and not timed[test.name] and builds[build].runs(test)
    if seen then tests[#tests + 1] = test end
  end
  return tests
end

---Runs one test, which takes so many seconds on its own. Whether it passed, and what it ended with.
function M:test(build, test, takes)
  local most = slower[build] * takes
  local line = test.line:gsub("LIMIT", tostring(sleeps_after + most), 1)
  local limits = ("ulimit -c 0; ulimit -t %d"):format(spins_after + most)
  local passed, code = M.run(self:command("(%s; cd %s && %s)", limits, quote(self.source), line))
  local hung = not passed and (code == 124 or code == 137 or code == 152)
  return passed, hung and "hung" or code
end

-- The stages in which tests are built and run: those that know the file, the core's before Lua's; the other
-- quick ones of the core; all others that are quick; the slow ones.
local function stages_of(mutation, tests, all)
  local first, stages = {}, { {}, {}, {}, {}, {} }
  for place, name in ipairs(knowing.of(mutation.file)) do first[name] = place end
  for _, test in ipairs(tests) do
    local stage = first[test.name] and (test.core and 1 or 2) or slow[test.name] and 5 or test.core and 3 or 4
    if all or first[test.name] then table.insert(stages[stage], test) end
  end
  for stage = 1, 2 do
    table.sort(stages[stage], function(a, b) return first[a.name] < first[b.name] end)
  end
  return stages
end

local function takes(test) return slow[test.name] and 60 or 2 end

-- Does the test pass on the source as it is? Once is enough.
local function passes_unmutated(self, build, test, restore, mutate)
  if self.passed[build .. test.name] == nil then
    restore()
    self.passed[build .. test.name] = self:compile(build, { test }) and self:test(build, test, takes(test)) or false
    mutate()
  end
  return self.passed[build .. test.name]
end

---Tries a mutation: "noticed" and the test's name, and how it failed; "survived", or where not all tests
---are to be run "open"; or "error" and what is wrong. Of one that the list says can't be noticed it is enough
---that the tests which know the file agree.
function M:try(mutation, all)
  local build = mutation.build or "plain"
  local file = self.source .. "/" .. mutation.file
  local original = mutations.read(file)
  local changed, fault = mutations.apply(mutation, original)
  if not changed then return "error", fault end
  local function write(text)
    local out = assert(io.open(file, "wb"))
    out:write(text)
    out:close()
  end
  local function restore() write(original) end
  local function mutate() write(changed) end
  self.listed[build] = self.listed[build] or self:tests(build)
  mutate()
  local function run()
    for _, tests in ipairs(stages_of(mutation, self.listed[build], all and not mutation.survives)) do
      if #tests > 0 and not self:compile(build, tests) then
        return "error", "it does not compile: " .. self:last_words()
      end
      for _, test in ipairs(tests) do
        local passed, code = self:test(build, test, takes(test))
        if not passed then
          if passes_unmutated(self, build, test, restore, mutate) then
            return "noticed", test.name, type(code) == "string" and code or nil
          end
          return "error", test.name .. " fails unmutated too"
        end
      end
    end
    return (all or mutation.survives) and "survived" or "open"
  end
  local status, told, how = run()
  restore()
  return status, told, how
end

---The first line of the log that speaks of an error, or its last one.
function M:last_words()
  local last = ""
  for line in io.lines(self.log) do
    if line:find "error:" then return line end
    if line:find "%S" then last = line end
  end
  return last
end

return M
