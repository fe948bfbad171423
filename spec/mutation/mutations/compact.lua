-- SPDX-License-Identifier: MIT
-- Compaction: what moves, where to, what is told.
local compact = "core/compact.c"

return {
  {
    file = compact,
    from = "if (pool_damage(pool, m->at, m->size, m->requested) != UINT64_MAX) return false;",
    to = "",
    breaks = "a block whose canary was overwritten moves, which hides it",
  },
  {
    file = compact,
    from = "if (!c->mover->may_move(c->mover->ud, address, m->requested)) return false;",
    to = "",
    breaks = "whoever says that a block stays is not asked",
  },
  {
    file = compact,
    from = "memmove(bytes + address, bytes + from, (size_t)m->requested);",
    to = "memcpy(bytes + address, bytes + from, (size_t)(m->requested / 2));",
    breaks = "the second half of a block that moves is lost",
  },
  {
    file = compact,
    from = "m->align = pool_kept_align(pool, at);",
    to = "m->align = 1;",
    breaks = "a block that slides loses its alignment",
  },
  {
    file = compact,
    from = "pool->guards->records[to] = pool->guards->records[m->at];",
    to = "",
    breaks = "with guard full the site of a block that moved is lost",
  },
  {
    file = compact,
    from = "guard_move_written(pool->guards, address, from, m->requested, m->requested);",
    to = "",
    breaks = "with guard full bytes that were written are unwritten where their block moved",
  },
  {
    file = compact,
    from = "blocks_note_freed(map, to, over_aligned);",
    to = "blocks_note_freed(map, to, false);",
    breaks = "a block that moved forgets that it was asked for with an alignment",
  },
  {
    file = compact,
    from = "c->bytes += m->requested;",
    to = "",
    breaks = "moved bytes are not counted",
  },
  {
    file = compact,
    from = "if (to > hand) hold(pool, hand, to - hand);",
    to = "",
    breaks = "the gap before an aligned block that slid is in no block",
    survives = "nobody looks at the map before add_free, a few lines on, makes it a free block",
  },
  {
    file = compact,
    from = "return after < before;",
    to = "return false;",
    breaks = "a stretch is left with a smaller largest free block than it had",
  },
  {
    file = compact,
    from = "if (found.block == NO_GRANULE || found.at >= at) continue;",
    to = "if (found.block == NO_GRANULE) continue;",
    breaks = "a buddy moves up",
  },
  {
    file = compact,
    from = "if (found.size > m.size && joined_size(pool, at, m.size, found.block) < found.size) continue;",
    to = "",
    breaks = "a buddy cuts a larger one, for which nothing is won",
  },
  {
    file = compact,
    from = "if (POLICY.keeps_freed) return;",
    to = "",
    breaks = "bump moves blocks",
    survives = "bump names no place below a block's own, so that none moves: what is lost is time",
  },
  {
    file = compact,
    from = ".won = after > before ? after - before : 0,",
    to = ".won = after,",
    breaks = "what compaction won is told to be all there is",
  },
}
