-- SPDX-License-Identifier: MIT
-- Placing and freeing, the short ways of it, what is counted, and the check of the whole.
local operations, short, slot = "core/operations.h", "core/short_calls.h", "core/slot_calls.h"
local stats, check = "core/stats.c", "core/check.c"

return {
  {
    file = operations,
    from = "if (!stays_apart(pool, next)) {",
    to = "if (false) {",
    breaks = "a freed block does not join the free one after it",
  },
  {
    file = operations,
    from = "return blocks_is_live(&pool->index.map, previous) ? at : previous;",
    to = "return at;",
    breaks = "a freed block does not join the free one before it",
  },
  {
    file = operations,
    from = "if (POLICY.may_join(&pool->index, at, next, next_size)) {",
    to = "if (true) {",
    breaks = "a freed block joins the next one though its policy forbids it",
  },
  {
    file = operations,
    after = "if (blocks_is_live(map, previous) || !POLICY.may_join",
    from = "again = true;",
    to = "",
    breaks = "buddies that joined do not join theirs in turn",
  },
  {
    file = operations,
    after = "HOT bool stays_apart(",
    from = "(POLICY.in_run && POLICY.in_run(&pool->index, at)) || ",
    to = "",
    breaks = "a freed block joins the free slot after it",
  },
  {
    file = operations,
    from = "if (at + size > pool->counts.high_water) pool->counts.high_water = at + size;",
    to = "if (at > pool->counts.high_water) pool->counts.high_water = at;",
    breaks = "the high-water mark is where the highest block starts",
  },
  {
    file = operations,
    from = "counts->peak_granted -= (uint64_t)counts->granted_room;",
    to = "",
    breaks = "the peak of granted bytes does not rise",
  },
  {
    file = operations,
    from = "uint64_t granules = size ? ((size - 1) >> pool->index.shift) + 1 : 1;",
    to = "uint64_t granules = (size >> pool->index.shift) + 1;",
    breaks = "a request of whole granules takes one more",
  },
  {
    file = operations,
    from = "if (granules > pool->max_capacity) return NO_GRANULE;",
    to = "if (granules >= pool->max_capacity) return NO_GRANULE;",
    breaks = "a pool does not grant all of itself",
  },
  {
    file = operations,
    from = "blocks_note_freed(&pool->index.map, place.at, want->align > 1); /*",
    to = "blocks_note_freed(&pool->index.map, place.at, false); /*",
    breaks = "a block does not remember that it was asked for with an alignment",
  },
  {
    file = operations,
    from = "if (steps > pool->counts.steps_max) pool->counts.steps_max = steps;",
    to = "if (steps < pool->counts.steps_max) pool->counts.steps_max = steps;",
    breaks = "the greatest count of steps is not the greatest",
  },
  {
    file = operations,
    from = "pool->counts.allocations++;",
    to = "",
    breaks = "allocations are not counted",
  },
  {
    file = operations,
    from = "if (!give_runs_back(pool, w, true)) {",
    to = "if (!give_runs_back(pool, w, false)) {",
    breaks = "a request that finds nothing does not get the pages that are kept",
  },
  {
    file = operations,
    after = "cut_out(hpw_pool *pool",
    from = "if (after) add_rest(pool, w, place.at + size, after);",
    to = "",
    breaks = "what is behind an aligned block that was cut out is lost",
  },
  {
    file = operations,
    from = "if (!POLICY.keeps_freed && pool->index.map.count > pool->capacity) pool_trim(pool);",
    to = "",
    breaks = "a pool that grew does not give its end back",
  },
  {
    file = short,
    from = "if (slack - has_slack >= PLAIN_MASK) return",
    to = "if (slack - has_slack > PLAIN_MASK) return",
    breaks = "the short way believes a size record of 16 bytes of slack, which no request leaves",
    survives = "the general way, which gets what the short one does not believe, believes it too: the block is freed "
      .. "and counted alike",
  },
  {
    file = short,
    from = "pool->counts.blocks -= joined;",
    to = "",
    breaks = "the short way does not count that free blocks joined",
  },
  {
    file = short,
    after = "HOT hpw_error short_release(",
    from = "if (pool_large_claimed(pool, at, size)) return release(pool, address, report);",
    to = "",
    breaks = "the short way frees a Lua state's large block",
  },
  {
    file = short,
    from = "if (!next_is_live || !blocks_previous_is_live(map, at)) return join_freed(pool, at, size);",
    to = "if (!next_is_live) return join_freed(pool, at, size);",
    breaks = "the short way does not join a block with the free one before it",
  },
  {
    file = short,
    from = "if (granules > pool->max_capacity) return allocate(pool, size);",
    to = "",
    breaks = "the short way takes a size modulo 64 GiB",
  },
  {
    file = short,
    from = "if (granule >= map->count) return release(pool, address, report);",
    to = "if (granule > map->count) return release(pool, address, report);",
    breaks = "the short way takes the pool's end for a block",
  },
  {
    file = short,
    from = "pool->counts.frees++;",
    to = "",
    breaks = "the short way counts no frees",
  },
  {
    file = slot,
    from = "if (by == BY_SIZE && bytes - slack != size) return release_long(pool, at, by, size, report, remembers);",
    to = "",
    breaks = "free_sized of a slot does not look at the size",
  },
  {
    file = slot,
    from = "if (!MOSTLY(((slack - 1) & recorded) < state->heap.most_slack[kind]))",
    to = "if (!MOSTLY(((slack - 1) & recorded) <= state->heap.most_slack[kind]))",
    breaks = "the short way believes a size record that its kind of slot can't have",
    survives = "the general way, which gets what the short one does not believe, believes it too: the slot is freed "
      .. "and counted alike",
  },
  {
    file = slot,
    from = "if (!MOSTLY(state->heap.top[kind] != state->heap.full[kind]) || !MOSTLY(map->live[word] & bit))",
    to = "if (!MOSTLY(state->heap.top[kind] != state->heap.full[kind]))",
    breaks = "a slot can be freed twice",
  },
  {
    file = slot,
    from = "if (remembers) map->freed[word] |= bit;",
    to = "",
    breaks = "a slot that was freed is told to have never been allocated",
  },
  {
    file = slot,
    from = "if (h->kept_count <= h->most_kept) return HPW_OK;",
    to = "return HPW_OK;",
    breaks = "more empty pages are kept than there is room for",
  },
  {
    file = slot,
    after = "HOT void *count_granted(",
    from = "if (!MOSTLY(counts->granted_room >= 0)) return passed_granted(pool, block);",
    to = "",
    breaks = "the peak of granted bytes does not rise where a slot passes it",
  },
  {
    file = stats,
    from = ".largest_free = pool_largest_free(pool),",
    to = ".largest_free = pool_bytes(pool, pool->index.map.count) - tally_granted(counts),",
    breaks = "the largest free block is said to be all that is free",
  },
  {
    file = stats,
    from = "uint64_t granule = (*cursor >> pool->index.shift) + ((*cursor & (pool_bytes(pool, 1) - 1)) != 0);",
    to = "uint64_t granule = *cursor >> pool->index.shift;",
    breaks = "a walk from an address inside of a granule begins before it",
  },
  {
    file = stats,
    from = "free_index scratch = pool->index; /*",
    to = "#define scratch (((hpw_pool *)pool)->index) /*",
    breaks = "asking for statistics counts steps",
  },
  {
    file = stats,
    from = [=[[HPW_UNALLOCATED] = "unallocated",]=],
    to = [=[[HPW_UNALLOCATED] = "out_of_bounds",]=],
    breaks = "an error has another one's code",
  },
  {
    file = check,
    from = "previous = at;\n            continue;",
    to = "continue;",
    breaks = "check does not see free neighbours that should be one block",
  },
  {
    file = check,
    from = "if (tally_granted(counts) != sum->granted) return",
    to = "if (false) return",
    breaks = "check does not see a wrong count of granted bytes",
  },
  {
    file = check,
    from = "if (counts->blocks - held - sum->live != sum->free) return",
    to = "if (false) return",
    breaks = "check does not see a wrong count of free blocks",
  },
  {
    file = check,
    from = "if (pool->policy->largest(&pool->index) != sum.largest) return",
    to = "if (false) return",
    breaks = "check does not see that the policy names another largest free block",
    survives = "each policy's own check leaves no state of its index in which it would: bins, orders, heaps and pages "
      .. "are compared with the map one by one before",
  },
}
