-- SPDX-License-Identifier: MIT
-- Guards: canaries, the quarantine with its poison, written bytes, sites; and failures by plan.
local canary, guard, written, pattern, pool = "core/canary.c", "core/guard.c", "core/written.c", "core/pattern.h",
  "core/pool.c"
local inject = "core/inject.c"

return {
  {
    file = canary,
    from = "pattern_fill(pattern_canary(slack), pool->index.bytes, end - slack, end - record_size(slack));",
    to = "pattern_fill(pattern_canary(slack), pool->index.bytes, end - slack + 1, end - record_size(slack));",
    breaks = "the canary's first byte is not written",
  },
  {
    file = canary,
    from = "uint64_t first = end - slack, record = end - record_size(slack);",
    to = "uint64_t first = end - slack + 1, record = end - record_size(slack);",
    breaks = "a write of one byte past a block is not noticed",
  },
  {
    file = canary,
    from = "static unsigned record_size(uint64_t slack) { return slack < SLACK_LONG ?",
    to = "static unsigned record_size(uint64_t slack) { return slack <= SLACK_LONG ?",
    breaks = "with 255 bytes of slack the canary lies in the size record",
  },
  {
    file = pattern,
    from = "return !(differs | (last ^ pattern_from(with, to)));",
    to = "return !(last ^ pattern_from(with, to));",
    breaks = "of a long pattern only the last 8 bytes are looked at",
  },
  {
    file = pattern,
    from = "return low == (uint32_t)pattern_from(with, from) && high == (uint32_t)pattern_from(with, to - 4);",
    to = "return low == (uint32_t)pattern_from(with, from);",
    breaks = "of a pattern of 5 to 7 bytes only the first 4 are looked at",
  },
  {
    file = guard,
    from = "pattern_fill(pattern_poison(), pool->index.bytes, start, start + requested);",
    to = "pattern_fill(pattern_poison(), pool->index.bytes, start, start + requested - (requested > 0));",
    breaks = "the last byte of a freed block is not poisoned",
  },
  {
    file = guard,
    from = "while (g->queued > g->quarantine && let_oldest_out(pool)) {",
    to = "while (g->queued >= g->quarantine && let_oldest_out(pool)) {",
    breaks = "a quarantine never holds as much as it may",
  },
  {
    file = guard,
    from = "granule_t at = queued_at(g, 0), size = blocks_size(&pool->index.map, at);",
    to = "granule_t at = queued_at(g, g->count - 1), size = blocks_size(&pool->index.map, at);",
    breaks = "the newest block leaves the quarantine, not the oldest",
  },
  {
    file = guard,
    after = "static bool oldest_are_whole(",
    from = "if (damage_of(pool, at) != UINT64_MAX) {",
    to = "if (false) {",
    breaks = "a block that was written to after it was freed leaves the quarantine unnoticed",
  },
  {
    file = guard,
    from = "left -= granted_at(pool, at);",
    to = "left = 0;",
    breaks = "of the blocks that leave the quarantine together only the first is looked at",
  },
  {
    file = guard,
    from = "g->first = g->first + 1 < g->room ? g->first + 1 : 0;",
    to = "g->first = g->first + 1;",
    breaks = "the quarantine's queue does not begin again at its room's beginning",
  },
  {
    file = guard,
    after = "void guard_forget(",
    from = "memset(pool->held, 0, blocks_words(pool->max_capacity) * sizeof *pool->held);",
    to = "",
    breaks = "blocks are still held back after a reset",
  },
  {
    file = guard,
    from = "g->records[at].freed_thread = thread_now(pool);",
    to = "",
    breaks = "which thread freed a block is not known",
  },
  {
    file = guard,
    after = "void *guard_realloc(",
    from = "if (!error) guard_set_written(pool->guards, moved, size, true);",
    to = "",
    breaks = "what a C program's realloc added counts as never written",
  },
  {
    file = guard,
    from = "if (held != g->held || count != g->held_count || queued != g->queued || queued > g->quarantine)",
    to = "if (false)",
    breaks = "check does not see wrong counts of the quarantine",
  },
  {
    file = written,
    from = "guard_set_written(g, to + kept, size - kept, false);",
    to = "",
    breaks = "what a resize added counts as written, as whatever lay there was",
  },
  {
    file = written,
    from = "for (uint64_t i = n; i-- > 0;) set(g, to + i, is_written(g, from + i));",
    to = "for (uint64_t i = 0; i < n; i++) set(g, to + i, is_written(g, from + i));",
    breaks = "what is known of bytes that are copied onto themselves, upwards, is smeared",
  },
  {
    file = written,
    from = "for (address += whole * 8; address < end; address++) set(g, address, written);",
    to = "",
    breaks = "the last bytes of a write that does not end at a multiple of 8 count as never written",
  },
  {
    file = pool,
    after = "static hpw_error refuse_damaged(",
    from = "if (damaged != UINT64_MAX) return",
    to = "if (false) return",
    breaks = "realloc does not look at the canary",
  },
  {
    file = pool,
    after = "static bool resize_by_moving(",
    from = "r->held = pool->guards;",
    to = "r->held = false;",
    breaks = "the old place of a block that moved does not go into the quarantine",
  },
  {
    file = "core/access.c",
    from = "if (!error && pool->guards) guard_copy_written(pool->guards, to, from, n);",
    to = "",
    breaks = "copied bytes count as never written",
  },
  {
    file = "core/access.c",
    from = "if (first == address + n) return HPW_OK;",
    to = "if (first != address) return HPW_OK;",
    breaks = "a read of bytes never written is noticed only where its first byte is one",
  },
  {
    file = inject,
    from = "if (plan->every) return i->requests % plan->every == 0;",
    to = "if (plan->every) return i->requests % plan->every == 1;",
    breaks = "every n-th request fails from the first one on",
  },
  {
    file = inject,
    from = "if (!i->on || size < i->plan.size_at_least) return false;",
    to = "if (!i->on || size <= i->plan.size_at_least) return false;",
    breaks = "a request of just the size that is to fail passes",
  },
  {
    file = inject,
    from = "&& size > requested &&",
    to = "&& size >= requested &&",
    breaks = "a resize that does not grow its block fails by plan",
  },
  {
    file = inject,
    from = "return plan->persistent ? i->requests >= plan->after : i->requests == plan->after;",
    to = "return i->requests == plan->after;",
    breaks = "failures that were to go on end after the first",
  },
}
