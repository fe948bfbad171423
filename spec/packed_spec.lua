-- SPDX-License-Identifier: MIT
-- Packed traces: gzip, xz, zstd, and a zip with one file.
local command = require "spec.support.command"
local traces = require "heapwright.traces"

local PACKERS = { gzip = "gzip -nc", xz = "xz -c", zstd = "zstd -qc" }

-- A zip archive of stored files, a list of name and text.
local function zip(files)
  local function crc(text)
    local sum = 0xffffffff
    for i = 1, #text do
      sum = sum ~ text:byte(i)
      for _ = 1, 8 do sum = sum & 1 == 1 and sum >> 1 ~ 0xedb88320 or sum >> 1 end
    end
    return ~sum & 0xffffffff
  end
  local body, directory = {}, {}
  local at = 0
  for _, file in ipairs(files) do
    local name, text = file[1], file[2]
    local fields = ("<I2I2I2I2I4I4I4I2I2"):pack(0, 0, 0, 33, crc(text), #text, #text, #name, 0)
    body[#body + 1] = ("<I4I2"):pack(0x04034b50, 20) .. fields .. name .. text
    directory[#directory + 1] = ("<I4I2I2"):pack(0x02014b50, 20, 20) .. fields
      .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, at) .. name
    at = at + #body[#body]
  end
  local list = table.concat(directory)
  return table.concat(body) .. list .. ("<I4I2I2I2I2I4I4I2"):pack(0x06054b50, 0, 0, #files, #files, #list, at, 0)
end

-- Packs a text; nil where the packer is not installed.
local function pack(packing, text)
  if packing == "zip" then return zip { { "trace.txt", text } } end
  command.write("plain", text)
  local out, _, code = command.shell(("%s <%s/plain"):format(PACKERS[packing], command.folder))
  return code == 0 and out or nil
end

local function each(check)
  for _, packing in ipairs { "gzip", "xz", "zstd", "zip" } do check(packing) end
end

-- A text trace of n blocks.
local function long(n)
  local lines = {}
  for i = 1, n do lines[i] = ("a %d %d"):format(i, i * 7919 % 5000) end
  return table.concat(lines, "\n") .. "\n"
end

describe("a packed trace", function()
  before_each(command.enter)
  after_each(command.leave)

  it("is what it is unpacked, whatever it is called", function()
    local text = long(20000)
    each(function(packing)
      for _, sample in ipairs { text, "a 1 2\n",
        command.read(os.getenv "PWD" .. "/spec/support/traces/shop.mtrace") } do
        local info = assert(traces.info(command.write("x.hwt", assert(pack(packing, sample)))))
        local plain = assert(traces.info(command.write("plain", sample)))
        assert.equal(packing, info.packing)
        info.packing = nil
        assert.same(plain, info)
      end
    end)
  end)

  it("may come through a pipe, and go through every verb", function()
    each(function(packing)
      local path = command.write("packed", assert(pack(packing, "a 1 20\na 2 30\nf 1\nf 2\n")))
      for _, call in ipairs { "trace info %s", "compare --policy best-fit %s", "fit --policy best-fit %s",
        "trace cat %s | grep -c '^a'" } do
        local out, err, code = command.shell(command.path .. " " .. call:format(path))
        assert.equal("", err)
        assert.equal(0, code)
        assert.is_true(#out > 0)
      end
      local out = command.shell(("cat %s | %s trace cat /dev/stdin"):format(path, command.path))
      assert.is_truthy(out:find("a 1 20\na 2 30\nf 1\nf 2\n", 1, true), out)
    end)
  end)

  it("of a recorder, which seeks, goes to a file without a name first, and so from a pipe", function()
    local plain = command.folder .. "/plain.hwt"
    local _, err = command.shell(("%s record -o %s -- sort /dev/null"):format(command.path, plain))
    local info = traces.info(plain)
    if not info then
      pending("nothing can be recorded here: " .. err)
      return
    end
    local text = command.read(plain)
    local through = command.shell(("cat %s | %s trace info /dev/stdin"):format(plain, command.path))
    local direct = command.shell(("%s trace info %s"):format(command.path, plain))
    assert.equal((direct:gsub("^[^\n]*", "")), (through:gsub("^[^\n]*", "")))
    each(function(packing)
      local path = command.write("packed", assert(pack(packing, text)))
      local packed = assert(traces.info(path))
      assert.equal(packing, packed.packing)
      packed.packing = nil
      assert.same(info, packed)
      local _, says, code = command.shell(("TMPDIR=/nowhere %s trace info %s"):format(command.path, path))
      assert.equal(2, code)
      assert.equal(("heapwright: %s: no temporary file in /nowhere: No such file or directory\n"):format(path), says)
      -- The disk is full: nothing may be larger than 512 bytes.
      _, says, code = command.shell(("sh -c 'trap \"\" XFSZ; ulimit -f 1; exec %s trace info %s' | cat")
        :format(command.path, path))
      assert.equal(("heapwright: %s: its copy in a temporary file: File too large\n"):format(path), says)
      assert.equal(0, code) -- cat's
    end)
  end)

  it("cut off anywhere is refused in one line, after the events that are there", function()
    local text = long(300)
    each(function(packing)
      local whole = assert(pack(packing, text))
      local path = command.folder .. "/cut"
      local last = packing == "zip" and whole:find("PK\1\2", 1, true) - 1 or #whole
      for n = 1, last - 1, packing == "zip" and 37 or 7 do
        command.write("cut", whole:sub(1, n))
        local info, message, code = traces.info(path)
        assert.is_nil(info, packing .. n)
        assert.equal("corrupted", code)
        assert.equal(path, message:sub(1, #path))
        assert.is_nil(message:find "\n")
      end
    end)
  end)

  it("with any byte changed is read as it was, or refused in one line", function()
    local text = long(40)
    each(function(packing)
      local whole = assert(pack(packing, text))
      local path = command.folder .. "/changed"
      local events = traces.info(command.write("plain", text)).events
      local refused = 0
      for at = 1, #whole do
        command.write("changed", whole:sub(1, at - 1) .. string.char(whole:byte(at) ~ 0x55) .. whole:sub(at + 1))
        local info, message, code = traces.info(path)
        if info then
          assert.equal(events, info.events, packing .. at)
        else
          refused = refused + 1
          assert.equal(path, message:sub(1, #path))
          assert.is_nil(message:find "\n")
          assert.is_true(code == "corrupted" or code == "no_memory" or code == "io", code)
        end
      end
      assert.is_true(refused > 20, packing .. refused)
    end)
  end)

  it("says where it is damaged", function()
    local whole = assert(pack("gzip", long(20000)))
    local path = command.write("cut", whole:sub(1, #whole // 2))
    local _, message = traces.info(path)
    assert.is_truthy(message:find(path .. ": can't be unpacked by gzip, up to byte ", 1, true), message)
    local out, err, code = command.shell(("%s fit %s"):format(command.path, path))
    assert.equal("", out)
    assert.equal(2, code)
    assert.equal("heapwright: " .. message .. "\n", err)
  end)

  it("that is empty, or holds no trace, or more than one file, is refused", function()
    each(function(packing)
      local path = command.write("empty", assert(pack(packing, "")))
      local _, message = traces.info(path)
      assert.is_truthy(message:find("is empty, not a trace", 1, true) or message:find("can't be unpacked", 1, true),
        message)
      path = command.write("none", assert(pack(packing, "hello\n")))
      _, message = traces.info(path)
      assert.equal(path .. ':1: "hello" is no event: a, f or r', message)
    end)
    local path = command.write("two", zip { { "a", "a 1 2\n" }, { "b", "f 1\n" } })
    local _, message, code = traces.info(path)
    assert.equal(path .. ": holds more than one file: unpack the trace first", message)
    assert.equal("corrupted", code)
    assert.equal(1, assert(traces.info(command.write("folder", zip { { "f/", "" }, { "f/a", "a 1 2\n" } }))).events)
  end)

  it("takes no more memory when it is a thousand times as long", function()
    -- 400 MB of comments, in 400 KB.
    local made = select(3, command.shell(
      ("yes '# nothing to see here, and much of it' | head -c 400000000 | gzip -1 >%s/bomb"):format(command.folder)))
    assert.equal(0, made)
    command.write("event", "\na 1 2\n")
    local out, err, code = command.shell_there(
      ("gzip -c event >>bomb && ulimit -v 400000 && exec %s trace info bomb"):format(command.path))
    if os.getenv "ASAN_OPTIONS" and err:find("Sanitizer", 1, true) then return end -- takes terabytes of addresses
    assert.equal("", err)
    assert.equal(0, code)
    assert.is_truthy(out:find("events       1: 1 allocation,", 1, true), out)
  end)

  it("is refused where its library is not there, or has not got what it takes", function()
    for packing, needs in pairs { gzip = { "zlib", "libz.so.1" }, zip = { "libarchive", "libarchive.so.13" } } do
      local path = command.write("x", assert(pack(packing, "a 1 2\n")))
      local library = command.write(needs[2], "")
      local call = ("LD_LIBRARY_PATH=%s %s trace info %s"):format(command.folder, command.path, path)
      local _, err, code = command.shell(call)
      assert.equal(2, code)
      local says = ("%s: is packed by %s; to unpack it takes %s: "):format(path, packing, needs[1])
      assert.is_truthy(err:find(says, 1, true), err)
      os.remove(library)
      local made = ("echo 'int nothing;' | gcc -shared -x c - -o %s"):format(library)
      assert.equal(0, select(3, command.shell(made)))
      _, err, code = command.shell(call)
      assert.equal(2, code)
      assert.equal("heapwright: " .. says .. "this one is too old\n", err)
      local other = ("LD_LIBRARY_PATH=%s %s policies"):format(command.folder, command.path)
      assert.equal(0, select(3, command.shell(other)))
      os.remove(library)
    end
  end)
end)

describe("what unpacks", function()
  before_each(command.enter)
  after_each(command.leave)

  it("is linked by nothing that is built: it is loaded with the first packed trace", function()
    local build = command.path:match "(.*)/"
    for _, name in ipairs { "heapwright", "heapwright.so", "libheapwright.so", "libheapwright-record.so" } do
      local out = command.shell(("ldd %s/%s"):format(build, name))
      assert.is_truthy(out:find("libc.so", 1, true), name .. out)
      assert.is_nil(out:find("libarchive", 1, true), name)
      assert.is_nil(out:find("libz", 1, true), name)
    end
  end)
end)
