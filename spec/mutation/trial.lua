-- SPDX-License-Identifier: MIT
-- A copy of the source tree in which mutations are tried, one after the other. It
-- is built once as it is; what was built then is kept beside it and put back before
-- each mutation, with its times, so that only what the mutation touches is compiled.
local M = {}
M.__index = M

local json = require "dkjson"
local mutations = require "mutations"

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

local quick = 3 -- seconds; a test that takes longer comes last
-- A test hangs after so many seconds of a processor's time, and of anybody's: on a machine with much else to
-- do the two are far apart. Both are added to what it takes on one that has not.
local spins_after, sleeps_after, slower = 10, 60, 3

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

---Runs a shell command; whether it ended with 0, and what it ended with.
function M.run(command)
  local ok, how, code = os.execute(command)
  return ok == true, how == "signal" and "signal " .. code or code
end

local function now()
  local pipe = assert(io.popen "date +%s.%N")
  local text = pipe:read "l"
  pipe:close()
  return tonumber(text)
end

---The copy `number` in the folder `work`, which has the source tree in base/. With `again`, one
---that was prepared by an earlier process.
function M.new(work, number)
  local self = setmetatable({ work = work, number = number, built = {} }, M)
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

-- What the tests are made of, as cmake's targets; nil: everything.
local function targets_of(tests)
  local targets = {}
  for _, test in ipairs(tests) do
    local program = test.name:match "^c/(.*)$"
    if not program then return nil end
    targets[#targets + 1] = program
  end
  return targets
end

function M:compile(build, tests)
  local targets = tests and targets_of(tests)
  return M.run(self:command("cmake --build %s %s", quote(self:build_folder(build)),
    targets and "--target " .. table.concat(targets, " ") or ""))
end

---Builds it all and keeps what was built. Whether that went well.
function M:prepare(build)
  local folder = self:build_folder(build)
  if not M.run(self:command("cmake -S %s -B %s %s", quote(self.source), quote(folder), builds[build].options)) then
    return false
  end
  return self:compile(build, self:tests(build)) and M.run(("cp -a %s %s.kept"):format(quote(folder), quote(folder)))
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
    local line = { "env", quote("TMPDIR=" .. self.folder .. "/tmp") }
    for _, property in ipairs(listing.properties or {}) do
      if property.name == "ENVIRONMENT" then
        for _, setting in ipairs(property.value) do line[#line + 1] = quote(setting) end
      elseif property.name == "LABELS" then
        for _, label in ipairs(property.value) do test.labels[label] = true end
      end
    end
    line[#line + 1] = "timeout -k 2 LIMIT"
    for _, word in ipairs(listing.command or {}) do line[#line + 1] = quote(word) end
    test.line = table.concat(line, " ")
    -- That the list no longer applies to what a mutation has changed is no notice of it.
    if test.name ~= "spec/mutation" and builds[build].runs(test) then tests[#tests + 1] = test end
  end
  return tests
end

---Runs one test, which takes so many seconds on its own; nil where that is still to be found out.
---Whether it passed, seconds, and what it ended with.
function M:test(test, takes)
  local began = now()
  local most = math.ceil(slower * (takes or 200))
  local line = test.line:gsub("LIMIT", tostring(sleeps_after + most), 1)
  local limits = ("ulimit -c 0; ulimit -t %d"):format(spins_after + most)
  local passed, code = M.run(self:command("(%s; cd %s && %s)", limits, quote(self.source), line))
  local hung = not passed and (code == 124 or code == 137 or code == 152)
  return passed, now() - began, hung and "hung" or code
end

-- The order in which tests are run: in a build in stages those that are quick before those
-- that are not, and the core's first, unless it is Lua's side that was changed.
local function in_order(tests, times, of_lua)
  local function stage(test)
    if times[test.name] > quick then return 3 end
    return test.core ~= of_lua and 1 or 2
  end
  table.sort(tests, function(a, b)
    local x, y = stage(a), stage(b)
    if x ~= y then return x < y end
    if times[a.name] ~= times[b.name] then return times[a.name] < times[b.name] end
    return a.name < b.name
  end)
  local first = {} -- these are built before the rest is
  for _, test in ipairs(tests) do
    if stage(test) == 1 and test.core then first[#first + 1] = test end
  end
  return #first > 0 and first or tests
end

-- The tests of the build run until one fails; the name of that one and how it failed. The first
-- `built` of them are built, the others are to be.
local function find_failing(self, build, tests, times, built)
  for i, test in ipairs(tests) do
    if i == built + 1 and not self:compile(build, tests) then return nil, "compile" end
    local passed, _, code = self:test(test, times[test.name])
    if not passed then return test.name, code end
  end
end

---Tries a mutation: "noticed" and the test's name; "survived"; or "error" and what is wrong.
---`times`: how long each test takes, in seconds.
function M:try(mutation, times)
  local build = mutation.build or "plain"
  local folder, file = self:build_folder(build), self.source .. "/" .. mutation.file
  self.listed = self.listed or {}
  self.listed[build] = self.listed[build] or self:tests(build)
  local changed, fault = mutations.apply(mutation, mutations.read(file))
  if not changed then return "error", fault end
  local tests = table.move(self.listed[build], 1, #self.listed[build], 1, {})
  local first = in_order(tests, times, mutation.file:find "^lua/" ~= nil)
  local out = assert(io.open(file, "wb"))
  out:write(changed)
  out:close()
  local noticed, code, status
  if not self:compile(build, first) then
    status = "error"
  else
    noticed, code = find_failing(self, build, tests, times, #first)
    status = noticed and "noticed" or code and "error" or "survived"
  end
  local told = noticed or status == "error" and "it does not compile: " .. self:last_words() or nil
  M.run(("cp -p %s/base/%s %s; rm -rf %s; cp -a %s.kept %s"):format(quote(self.work), quote(mutation.file),
    quote(file), quote(folder), quote(folder), quote(folder)))
  return status, told, type(code) == "string" and code or nil
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
