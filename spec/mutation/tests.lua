-- SPDX-License-Identifier: MIT
-- Which tests know which file: those that are run first where it was changed.
local M = {}

-- The first pattern that a file's name matches counts.
local knowing = {
  { "core/compact", "compact_test links_test spec/compact" },
  { "core/image", "image_test image_file_test spec/save" },
  { "core/inject", "inject_test inject_thread_test" },
  { "core/guard", "guard_test check_test links_test spec/guard" },
  { "core/written", "guard_test spec/guard" },
  { "core/canary", "guard_test check_test" },
  { "core/pattern", "guard_test" },
  { "core/account", "account_test account_thread_test" },
  { "core/slabs", "account_test account_thread_test" },
  { "core/lua_alloc", "account_test" },
  { "core/chunks", "account_test" },
  { "core/claim", "account_test walk_test" },
  { "core/access", "access_test guard_test spec/guard spec/access" },
  { "core/trace", "trace_test trace_damage_test replay_test" },
  { "core/replay", "replay_test trace_test" },
  { "core/fit", "replay_test reversal_thread_test" },
  { "core/packing", "packing_test" },
  { "core/crew", "crew_thread_test" },
  { "core/preload", "record_test" },
  { "core/cache", "cache_thread_test pool_test" },
  { "core/slot_calls", "pool_test cache_thread_test" },
  { "core/lock", "thread_test account_thread_test share_thread_test cache_thread_test" },
  { "core/open", "refused_open_test pool_test" },
  { "core/backing", "refused_open_test pool_test replay_test" },
  { "core/event", "pool_test record_test cache_thread_test" },
  { "core/check", "check_test" },
  { "core/stats", "walk_test check_test spec/contract spec/stats spec/blocks" },
  { "core/bits", "bits_test" },
  { "core/policy/slot", "pool_test cache_thread_test check_test" },
  { "core/policy/slab", "pool_test cache_thread_test check_test" },
  { "core/policy/", "check_test pool_test placement_test thread_test links_test spec/placement spec/contract "
    .. "spec/aligned" },
  { "core/", "pool_test check_test reset_test refusal_test inject_test walk_test thread_test spec/growth spec/resize "
    .. "spec/contract spec/aligned spec/allocate spec/blocks spec/stats spec/placement" },
  { "lua/values", "spec/values spec/spawn" },
  { "lua/spawn", "spec/spawn" },
  { "lua/budget", "spec/budget" },
  { "lua/block", "spec/block spec/compact" },
  { "lua/save", "spec/save" },
  { "lua/plan", "spec/inject" },
  { "lua/options", "spec/options" },
  { "lua/access", "spec/access spec/words" },
  { "lua/queries", "spec/blocks spec/stats spec/guard" },
  { "lua/failure", "spec/errors spec/access spec/types" },
  { "lua/share", "spec/close share_thread_test" },
  { "lua/", "spec/allocate spec/resize spec/errors" },
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
