-- SPDX-License-Identifier: MIT
-- Traces written in formats of others: .rep and MiniMalloc's tables.
local command = require "spec.support.command"
local traces = require "heapwright.traces"

-- Converts a text by the command: what is written, what is said.
local function convert(text, name, more)
  local from = command.write("from", text)
  local to = command.folder .. "/" .. name
  local out, err, code = command.shell(("%s trace convert %s %s %s"):format(command.path, more or "", from, to))
  assert.equal("", out)
  return code == 0 and command.read(name) or nil, err, code
end

local function says(name, words) return ("heapwright: %s/%s: %s\n"):format(command.folder, name, words) end

local OWN = [[
a 7 100 64 @1 %1
a 5 20 @2 %1
r 7 50 @3 %2
f 5
a 5 0
]]

describe("a trace that is converted", function()
  before_each(command.enter)
  after_each(command.leave)

  it("to .rep has the header that drivers want, ids from 0, and says what it loses", function()
    local text, err = convert(OWN, "x.rep")
    assert.equal("120\n3\n5\n1\na 0 100\na 1 20\nr 0 50\nf 1\na 2 0\n", text)
    assert.equal(says("x.rep", "1 alignments are left out, 3 times are left out, 3 threads are left out"), err)
    text, err = convert("a 1 5\nr 1 0\nf 1\n", "y.rep")
    assert.equal("5\n1\n3\n1\na 0 5\nr 0 0\nf 0\n", text)
    assert.equal(says("y.rep", "1 resizes to 0 bytes are frees"), err)
    text, err = convert("a 1 5\nf 1\n", "z.rep")
    assert.equal("5\n1\n2\n1\na 0 5\nf 0\n", text)
    assert.equal("", err)
  end)

  it("to MiniMalloc's table has a row a buffer, and says what it loses", function()
    local text, err = convert(OWN, "x.csv")
    assert.equal("id,lower,upper,size\n0,0,2,100\n1,1,3,20\n2,2,5,50\n3,4,5,0\n", text)
    assert.equal(says("x.csv", "1 alignments are left out, 3 times are left out, 3 threads are left out, "
      .. "1 resizes are a buffer that ends and one that begins, 2 blocks that are never freed end with the trace"), err)
    text, err = convert("a 1 5\nf 1\n", "y.csv")
    assert.equal("id,lower,upper,size\n0,0,1,5\n", text)
    assert.equal("", err)
  end)

  it("gets its format by the name's ending, or by --to", function()
    for name, format in pairs { ["a.rep"] = "rep", ["a.csv"] = "minimalloc", ["a.hwt"] = "binary", ["a.txt"] = "text",
      ["a"] = "text" } do
      convert(OWN, name)
      assert.equal(format, assert(traces.info(command.folder .. "/" .. name)).format)
    end
    for _, format in ipairs { "rep", "minimalloc", "binary", "text" } do
      convert(OWN, "b.x", "--to " .. format)
      assert.equal(format, assert(traces.info(command.folder .. "/b.x")).format)
    end
    local _, err, code = convert(OWN, "c", "--to mtrace")
    assert.equal(2, code)
    assert.equal("heapwright: unknown format 'mtrace'; known are text, binary, rep, minimalloc\n", err)
    assert.has_error(function() traces.convert("a", "b", "mtrace") end,
      "bad argument #3 to 'convert' (invalid option 'mtrace')")
  end)

  it("to .rep and back is the same, and the same again", function()
    local text = convert("a 0 16\na 1 24\nr 0 40\nf 1\na 2 8\nf 0\n", "x.rep")
    assert.is_true(traces.convert(command.folder .. "/x.rep", command.folder .. "/back", "text"))
    assert.equal("a 0 16\na 1 24\nr 0 40\nf 1\na 2 8\nf 0\n", command.read "back":gsub("^#[^\n]*\n", ""))
    assert.equal(text, convert(command.read "back", "y.rep"))
  end)

  it("keeps its peak in every format, whatever it was", function()
    for _, name in ipairs { "shop.mtrace", "shop.valgrind", "shop.ltrace", "shop.heaptrack" } do
      local from = "spec/support/traces/" .. name
      local peak = assert(traces.info(from)).peak_in_use
      for _, format in ipairs { "text", "binary", "rep", "minimalloc" } do
        local to = command.folder .. "/to"
        local done, warning = traces.convert(from, to, format)
        assert.is_true(done)
        assert.equal(peak, assert(traces.info(to)).peak_in_use, name .. format)
        local own = assert(traces.info(from)).warning
        assert.equal(own, warning and warning:sub(1, #own)) -- the source's first
      end
    end
  end)

  it("of 100,000 blocks that live at once is written whole, in the order of ids", function()
    local lines = {}
    for i = 1, 100000 do lines[i] = ("a %d %d"):format(i, i % 100) end
    local text = assert(convert(table.concat(lines, "\n") .. "\n", "x.csv"))
    local row = 0
    for id, lower, upper in text:gmatch "\n(%d+),(%d+),(%d+),%d+" do
      if id ~= tostring(row) or lower ~= id or upper ~= "100000" then assert.equal(row, id) end
      row = row + 1
    end
    assert.equal(100000, row)
    assert.equal(text, convert(table.concat(lines, "\n") .. "\n", "y.csv"))
    local rep = assert(convert(table.concat(lines, "\n") .. "\n", "x.rep"))
    assert.equal(100004, select(2, rep:gsub("\n", "")))
  end)

  it("goes to a pipe too", function()
    local from = command.write("from", "a 1 5\nf 1\n")
    local out, err = command.shell(("%s trace convert --to rep %s /dev/stdout | cat"):format(command.path, from))
    assert.equal("5\n1\n2\n1\na 0 5\nf 0\n", out)
    assert.equal("", err)
  end)

  it("is not there where it can't be written whole", function()
    local from = command.write("from", OWN)
    local to = command.folder .. "/x.rep"
    local _, err, code = command.shell(("TMPDIR=/nowhere %s trace convert %s %s"):format(command.path, from, to))
    assert.equal(2, code)
    assert.equal(("heapwright: %s: no temporary file in /nowhere: No such file or directory\n"):format(to), err)
    assert.is_nil(io.open(to))
    for _, name in ipairs { "x.rep", "x.csv" } do
      local long = { "a 1 5" }
      for _ = 1, 500 do long[#long + 1] = "r 1 6\nr 1 5" end
      from = command.write("from", table.concat(long, "\n") .. "\n")
      to = command.folder .. "/" .. name
      err = select(2, command.shell(("sh -c 'trap \"\" XFSZ; ulimit -f 1; exec %s trace convert %s %s' | cat")
        :format(command.path, from, to)))
      assert.equal(("heapwright: %s: File too large\n"):format(to), err)
      assert.is_nil(io.open(to))
      assert.is_true(select(3, command.shell(("ls %s/*.part* 2>/dev/null"):format(command.folder))) ~= 0)
    end
  end)
end)
