-- SPDX-License-Identifier: MIT
-- The list of mutations (spec/mutation) against the source as it is. To try them
-- takes minutes and is `make mutation`; that each still applies is seen at once.
local mutations = dofile "spec/mutation/mutations.lua"

describe("the list of mutations", function()
  local source = "int a = b < c;\nint d = b < c;\n"

  it("holds texts that are in the source, once, and changes them", function()
    for _, mutation in ipairs(mutations.all()) do
      local fault = mutations.fault(mutation, ".")
      assert.is_nil(fault, ("%d, %s: %s"):format(mutation.number, mutation.file, fault))
    end
  end)

  it("breaks every part of the house, in 40 ways at least", function()
    local all, parts = mutations.all(), {}
    for _, mutation in ipairs(all) do parts[mutation.file:match "^(.*)/"] = true end
    assert.is_true(#all >= 40)
    assert.same({ core = true, ["core/policy"] = true, ["core/preload"] = true, lua = true }, parts)
  end)

  it("names no mutation twice", function()
    local seen = {}
    for _, mutation in ipairs(mutations.all()) do
      local name = table.concat({ mutation.file, mutation.after or "", mutation.from, mutation.to }, "\0")
      assert.is_nil(seen[name], mutation.breaks)
      seen[name] = true
    end
  end)

  it("tells a mutation by what it changes, not by its number or its sentence", function()
    local a, b = { file = "x", from = "1", to = "2", breaks = "y", number = 1 }, { file = "x", from = "1", to = "2" }
    assert.equal(mutations.fingerprint(a), mutations.fingerprint(b))
    assert.not_equal(mutations.fingerprint(a), mutations.fingerprint { file = "x", from = "1", to = "3" })
    assert.not_equal(mutations.fingerprint(a), mutations.fingerprint { file = "x", after = "1", from = "", to = "2" })
  end)

  it("knows for each file tests that there are", function()
    local knowing = dofile "spec/mutation/tests.lua"
    for _, mutation in ipairs(mutations.all()) do
      local names = knowing.of(mutation.file)
      assert.is_true(#names > 0, mutation.file)
      for _, name in ipairs(names) do
        local path = name:gsub("^c/(.*)", "spec/c/%1.c"):gsub("^spec/([%l_]+)$", "spec/%1_spec.lua")
        assert.is_truthy(mutations.read(path), name)
      end
    end
  end)

  it("refuses a text that the source no longer has", function()
    local changed, fault = mutations.apply({ from = "b > c", to = "c > b" }, source)
    assert.is_nil(changed)
    assert.equal("the text occurs nowhere: b > c", fault)
  end)

  it("refuses a text that the source has twice, unless told after what", function()
    local changed, fault = mutations.apply({ from = "b < c", to = "b <= c" }, source)
    assert.is_nil(changed)
    assert.equal("the text occurs more than once: b < c", fault)
    assert.equal("int a = b < c;\nint d = b <= c;\n",
      mutations.apply({ after = "int d", from = "b < c", to = "b <= c" }, source))
  end)

  it("refuses a context that is gone or not the only one, and what changes nothing", function()
    local function fault(mutation) return select(2, mutations.apply(mutation, source)) end
    assert.equal("`after` occurs nowhere: int e", fault { after = "int e", from = "b < c", to = "" })
    assert.equal("`after` occurs more than once: int", fault { after = "int", from = "b < c", to = "" })
    assert.equal([[the text does not occur after "int d": a]], fault { after = "int d", from = "a", to = "" })
    assert.equal("it changes nothing", fault { from = "int a", to = "int a" })
  end)

  it("refuses a mutation that says too little, or what nobody reads", function()
    local whole = { file = "Makefile", from = "BUILD := build", to = "", breaks = "nothing" }
    local function fault(changes)
      local mutation = {}
      for name, value in pairs(whole) do mutation[name] = value end
      for name, value in pairs(changes) do mutation[name] = value or nil end
      return mutations.fault(mutation, ".")
    end
    assert.is_nil(fault {})
    assert.equal("no breaks", fault { breaks = false })
    assert.equal("an unknown field, form", fault { form = "x" })
    assert.equal("build is 'thread' or 'address'", fault { build = "memory" })
    assert.matches("nowhere.c: No such file", fault { file = "nowhere.c" })
  end)
end)
