/* SPDX-License-Identifier: MIT */
/*
 * A shorter way of the pool's two calls, for policies that know at once which
 * block to take and where to put one. For pools of granules of 16 without sink,
 * growth and memory of frees; whatever else is unusual goes the general way
 * (operations_of_policy.h) from its beginning, nothing changed.
 *
 * Included after operations_of_policy.h, in a file that has
 *
 *      bool pick(free_index *, links, hpw_order, uint64_t size, granule_t *at, granule_t *found)
 *          takes out of the index the block `at` that `choose` would choose for
 *          `size` granules, however many they are, *found large, where it is at
 *          hand (of a policy with `replaced`: leaves it in the index); or changes
 *          nothing;
 *      granule_t seek(free_index *, hpw_order, granule_t size, granule_t *found)
 *          the same, at hand or not; NO_GRANULE: there is none. For SHORT_CALLS;
 *      bool put(free_index *, links, hpw_order, granule_t at, granule_t size)
 *          is `added` where that is at hand; or changes nothing.
 *
 * A policy with `replaced` goes this way in address order alone.
 *
 * What is rare is called last, with what it needs to begin again: so the few
 * values at work stay in registers, and none is saved for after a call. The
 * order is known at compile time, and whether `pick` and `put` count steps.
 */

/* The index's steps were `before`: more than `derived` are counted, see tally. */
HOT void end_short_work(hpw_pool *pool, uint64_t before, unsigned derived) {
    uint64_t beyond = pool->index.steps - before;
    if (beyond && beyond + derived > pool->counts.steps_max) pool->counts.steps_max = beyond + derived;
}

HOT links plain_links(const hpw_pool *pool) { return (links){pool->index.bytes, PLAIN_SHIFT}; }

/* ---- Allocate ---- */

/* Gives back what the block [at, at + size + rest) has beyond `size`; the steps were `before`. */
HOT void *cut_off(hpw_pool *pool, granule_t at, granule_t size, granule_t rest, uint64_t before) {
    blocks_cut(&pool->index.map, at, size, rest);
    if (POLICY.replaced)
        POLICY.replaced(&pool->index, at, size + rest, at + size, rest);
    else
        POLICY.added(&pool->index, at + size, rest);
    pool->counts.blocks++;
    pool->index.steps += !POLICY.replaced;
    end_short_work(pool, before, ALLOCATION_STEPS);
    return granted(pool, at);
}

APART void *cut_rest(hpw_pool *pool, granule_t at, granule_t size, granule_t rest, uint64_t before) {
    return cut_off(pool, at, size, rest, before);
}

/* The block at `at`, which was free and is out of the index, is live: `granules` of it, for `size` bytes. */
HOT void *occupy(hpw_pool *pool, granule_t at, granule_t granules, uint64_t size) {
    unsigned slack = (0U - (unsigned)size) & PLAIN_MASK;
    unsigned char *block = pool->index.bytes + ((uint64_t)at << PLAIN_SHIFT);
    blocks_occupy(&pool->index.map, at, slack != 0);
    count_live(pool, at, granules, size);
    pool->counts.allocations++;
    block[((uint64_t)granules << PLAIN_SHIFT) - 1] = (unsigned char)slack; /* none: it is nobody's yet */
    return block;
}

/* Granules for `size` bytes; far too many for none. */
HOT uint64_t plain_granules(uint64_t size) { return ((size - 1) >> PLAIN_SHIFT) + 1; }

/* What `pick` did not find. */
HOT void *search(hpw_pool *pool, uint64_t size, hpw_order order,
                 granule_t (*seek_on)(free_index *, hpw_order, granule_t size, granule_t *found)) {
    uint64_t granules = plain_granules(size), before = pool->index.steps;
    granule_t found, at;
    if (granules > pool->max_capacity) return allocate(pool, size);
    if ((at = seek_on(&pool->index, order, (granule_t)granules, &found)) == NO_GRANULE)
        return allocate(pool, size);
    void *block = occupy(pool, at, (granule_t)granules, size);
    if (found != granules) return cut_off(pool, at, (granule_t)granules, found - (granule_t)granules, before);
    end_short_work(pool, before, ALLOCATION_STEPS);
    return block;
}

HOT void *short_allocate(hpw_pool *pool, uint64_t size, hpw_order order, bool counts,
                         void *(*search_on)(hpw_pool *, uint64_t)) {
    uint64_t granules = plain_granules(size), before = pool->index.steps;
    granule_t at, found;
    if (!pick(&pool->index, plain_links(pool), order, granules, &at, &found)) return search_on(pool, size);
    if (POLICY.replaced && found == granules) POLICY.removed(&pool->index, at, found);
    void *block = occupy(pool, at, (granule_t)granules, size);
    if (found != granules)
        return cut_rest(pool, at, (granule_t)granules, found - (granule_t)granules, before);
    if (counts) end_short_work(pool, before, ALLOCATION_STEPS);
    return block;
}

/* ---- Release ---- */

APART hpw_error join_freed(hpw_pool *pool, granule_t at, granule_t size) {
    uint64_t before = pool->index.steps;
    unsigned joined = join_neighbours(pool, at, size, joining_before(pool, at));
    pool->counts.blocks -= joined;
    pool->index.steps += join_calls(pool, joined) - FREE_STEPS;
    end_short_work(pool, before, FREE_STEPS);
    return HPW_OK;
}

/* What `put` did not take. */
APART hpw_error put_apart(hpw_pool *pool, granule_t at, granule_t size) {
    uint64_t before = pool->index.steps;
    POLICY.added(&pool->index, at, size);
    end_short_work(pool, before, FREE_STEPS);
    return HPW_OK;
}

HOT hpw_error short_release(hpw_pool *pool, uint64_t address, hpw_report *report, hpw_order order,
                            bool counts) {
    const blocks *map = &pool->index.map;
    uint64_t granule = address >> PLAIN_SHIFT | address << (64 - PLAIN_SHIFT); /* far off where unaligned */
    granule_t at = (granule_t)granule, size;
    if (granule >= map->count) return release(pool, address, report);
    blocks_piece from = blocks_from(map, at);
    if (!(from.live & 1)) return release(pool, address, report);
    uint64_t after = (from.live | from.mark) >> 1;
    bool next_is_live;
    if (after) {
        size = bits_lowest(after) + 1;
        next_is_live = from.live >> 1 & after & (0U - after);
    } else {
        size = blocks_size(map, at);
        if (pool_large_claimed(pool, at, size)) return release(pool, address, report);
        next_is_live = blocks_is_live(map, at + size);
    }
    unsigned has_slack = from.mark & 1;
    unsigned slack = pool->index.bytes[address + ((uint64_t)size << PLAIN_SHIFT) - 1] & (0U - has_slack);
    if (slack - has_slack >= PLAIN_MASK) return release(pool, address, report); /* 1 ... 15, or none */
    count_gone(pool, size, ((uint64_t)size << PLAIN_SHIFT) - slack);
    pool->counts.frees++;
    if (!next_is_live || !blocks_previous_is_live(map, at)) return join_freed(pool, at, size);
    uint64_t before = pool->index.steps;
    blocks_vacate(&pool->index.map, at);
    if (!put(&pool->index, plain_links(pool), order, at, size)) return put_apart(pool, at, size);
    if (counts) end_short_work(pool, before, FREE_STEPS);
    return HPW_OK;
}

HOT hpw_error short_free(hpw_pool *pool, void *block, hpw_order order, bool counts) {
    if (!block) return HPW_OK;
    return short_release(pool, (uintptr_t)block - (uintptr_t)pool->index.bytes, NULL, order, counts);
}

/* The calls of an order; `search_on`: what is done where `pick` found nothing. */
#define SHORT_PAIR(name, order, counts, search_on)                                                           \
    static hpw_error release_##name(hpw_pool *pool, uint64_t address, hpw_report *report) {                  \
        return short_release(pool, address, report, order, counts);                                          \
    }                                                                                                        \
    static hpw_error free_##name(hpw_pool *pool, void *block) {                                              \
        return short_free(pool, block, order, counts);                                                       \
    }                                                                                                        \
    static void *allocate_##name(hpw_pool *pool, uint64_t size) {                                            \
        return short_allocate(pool, size, order, counts, search_on);                                         \
    }

/* With `seek`: not all there is is at hand. */
#define SHORT_CALLS(name, order, counts)                                                                     \
    static void *search_##name(hpw_pool *pool, uint64_t size);                                               \
    SHORT_PAIR(name, order, counts, search_##name)                                                           \
    APART void *search_##name(hpw_pool *pool, uint64_t size) { return search(pool, size, order, seek); }
