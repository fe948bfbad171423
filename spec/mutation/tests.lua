-- SPDX-License-Identifier: MIT
-- Which tests know which file: those that are run first where it was changed.
local M = {}

-- The first pattern that a file's name matches counts.
local quick = "check_test reset_test refusal_test inject_test walk_test "
local knowing = {
  { "core/compact", "spec/compact compact_test links_test spec/block" },
  { "core/image", "image_test image_file_test spec/save" },
  { "core/inject", "inject_test inject_thread_test spec/inject" },
  { "core/guard", "check_test guard_test links_test spec/guard" },
  { "core/written", "spec/guard guard_test" },
  { "core/canary", "check_test guard_test" },
  { "core/pattern", "guard_test spec/guard" },
  { "core/account", "account_test account_thread_test spec/state" },
  { "core/slabs", "account_test account_thread_test spec/state" },
  { "core/lua_alloc", "account_test alloc_notes_test spec/state" },
  { "core/chunks", "account_test spec/state" },
  { "core/claim", "walk_test account_test spec/state" },
  { "core/access", "open_test pool_test spec/words spec/access spec/guard access_test guard_test words_thread_test "
    .. "spec/state" },
  { "core/trace", "trace_damage_test trace_test replay_test spec/record" },
  { "core/replay", "replay_test trace_test spec/command spec/program" },
  { "core/fit", "replay_test spec/command" },
  { "core/preload", "record_test" },
  { "core/cache", "cache_thread_test pool_test spec/slab" },
  { "core/slot_calls", "pool_test cache_thread_test spec/slab spec/contract" },
  { "core/short_calls", quick .. "pool_test links_test placement_test spec/free spec/contract spec/placement "
    .. "account_test" },
  { "core/lock", "thread_test account_thread_test cache_thread_test inject_thread_test share_thread_test" },
  { "core/open", "refused_open_test open_test pool_test share_thread_test account_test spec/pools" },
  { "core/backing", "refused_open_test open_test pool_test replay_test" },
  { "core/event", "pool_test cache_thread_test share_thread_test record_test spec/record" },
  { "core/check", quick .. "links_test pool_test" },
  { "core/stats", "walk_test check_test pool_test spec/contract spec/stats spec/blocks spec/errors" },
  { "core/bits", "bits_test" },
  { "core/policy/slot", "check_test pool_test cache_thread_test spec/slab spec/contract" },
  { "core/policy/slab", "check_test spec/slab pool_test cache_thread_test spec/contract spec/growth" },
  { "core/policy/randomised", "spec/randomised links_test" },
  { "core/policy/", "check_test pool_test spec/placement spec/aligned placement_test links_test thread_test "
    .. "spec/growth spec/contract" },
  { "core/operations", quick .. "links_test pool_test placement_test spec/growth spec/resize spec/aligned "
    .. "spec/contract spec/placement spec/slab spec/stats" },
  { "core/", quick .. "open_test pool_test thread_test placement_test spec/growth spec/resize spec/zero spec/free "
    .. "spec/aligned spec/allocate spec/blocks spec/stats spec/placement spec/contract spec/state spec/record "
    .. "spec/guard" },
  { "lua/values", "spec/values spec/spawn" },
  { "lua/spawn", "spec/spawn spec/words" },
  { "lua/budget", "spec/state spec/spawn" },
  { "lua/block", "spec/block spec/compact" },
  { "lua/save", "spec/save" },
  { "lua/plan", "spec/inject" },
  { "lua/options", "spec/options" },
  { "lua/access", "spec/types spec/access spec/words spec/block" },
  { "lua/queries", "spec/blocks spec/stats spec/guard" },
  { "lua/failure", "spec/errors spec/access spec/types spec/options spec/watch" },
  { "lua/share", "share_thread_test spec/close spec/record spec/spawn" },
  { "lua/", "spec/allocate spec/zero spec/resize spec/types spec/aligned spec/close spec/errors spec/exhaustion" },
}

---The names of the tests, in the order in which they are run.
function M.of(file)
  local names = {}
  for _, each in ipairs(knowing) do
    if file:sub(1, #each[1]) == each[1] then
      for name in each[2]:gmatch "%S+" do names[#names + 1] = name:find "^spec/" and name or "c/" .. name end
      return names
    end
  end
  return names
end

return M
