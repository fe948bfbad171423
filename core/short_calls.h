/* SPDX-License-Identifier: MIT */
/*
 * A shorter way of the pool's two calls, for policies that know at once which
 * block to take and where to put one. The pool must be plain: granules of 16,
 * no sink, no growth, no memory of frees; whatever else is unusual goes the
 * general way (operations_of_policy.h) from its beginning, nothing changed.
 *
 * Included after operations_of_policy.h, in a file that has
 *
 *      granule_t pick(free_index *, hpw_order, granule_t size, granule_t *found)
 *          takes out of the index what `choose` would choose for `size` granules,
 *          *found large (of a policy with `replaced`: leaves it in the index); or
 *          changes nothing and returns NO_GRANULE;
 *      void put(free_index *, hpw_order, granule_t at, granule_t size)
 *          is `added`.
 *
 * A policy with `replaced` goes this way in address order alone.
 *
 * Nothing here is called and comes back but for what is rare, so that the few
 * values at work stay in registers; the order is known at compile time.
 */

/* The index's steps were `before`: more than `derived` are counted, see tally. */
HOT void end_short_work(hpw_pool *pool, uint64_t before, unsigned derived) {
    uint64_t beyond = pool->index.steps - before;
    if (beyond && beyond + derived > pool->counts.steps_max) pool->counts.steps_max = beyond + derived;
}

/* ---- Allocate ---- */

/* Gives back what the block [at, at + size + rest) has beyond `size`. */
APART void *cut_rest(hpw_pool *pool, granule_t at, granule_t size, granule_t rest, uint64_t before) {
    cut(pool, at, size, rest);
    pool->counts.blocks++;
    pool->index.steps += !POLICY.replaced;
    end_short_work(pool, before, ALLOCATION_STEPS);
    return granted(pool, at);
}

HOT void *short_allocate(hpw_pool *pool, uint64_t size, hpw_order order) {
    uint64_t granules = (size + PLAIN_MASK) >> PLAIN_SHIFT, before = pool->index.steps;
    if (size - 1 >= (uint64_t)pool->max_capacity << PLAIN_SHIFT) return allocate(pool, size);
    granule_t found, at = pick(&pool->index, order, (granule_t)granules, &found);
    if (at == NO_GRANULE) return allocate(pool, size);
    if (POLICY.replaced && found == granules) POLICY.removed(&pool->index, at, found);
    unsigned slack = (0U - (unsigned)size) & PLAIN_MASK;
    unsigned char *block = pool->index.bytes + ((uint64_t)at << PLAIN_SHIFT);
    blocks_occupy(&pool->index.map, at, slack != 0);
    count_live(pool, at, (granule_t)granules, size);
    pool->counts.allocations++;
    block[(granules << PLAIN_SHIFT) - 1] = (unsigned char)slack; /* where there is none, it is nobody's yet */
    if (found != granules)
        return cut_rest(pool, at, (granule_t)granules, found - (granule_t)granules, before);
    end_short_work(pool, before, ALLOCATION_STEPS);
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

HOT hpw_error short_release(hpw_pool *pool, uint64_t address, hpw_report *report, hpw_order order) {
    const blocks *map = &pool->index.map;
    uint64_t granule = address >> PLAIN_SHIFT;
    granule_t at = (granule_t)granule;
    if ((address & PLAIN_MASK) || granule >= map->count || !blocks_is_live(map, at))
        return release(pool, address, report);
    granule_t size = blocks_size(map, at);
    unsigned has_slack = blocks_has_slack(map, at);
    unsigned slack = pool->index.bytes[address + ((uint64_t)size << PLAIN_SHIFT) - 1] & (0U - has_slack);
    if (slack - has_slack >= PLAIN_MASK) return release(pool, address, report); /* 1 ... 15, or none */
    bool joins = !at || !blocks_is_live(map, at + size) || !blocks_previous_is_live(map, at);
    count_gone(pool, size, ((uint64_t)size << PLAIN_SHIFT) - slack);
    pool->counts.frees++;
    if (joins) return join_freed(pool, at, size);
    uint64_t before = pool->index.steps;
    blocks_vacate(&pool->index.map, at);
    put(&pool->index, order, at, size);
    end_short_work(pool, before, FREE_STEPS);
    return HPW_OK;
}

#define SHORT_CALLS(name, order)                                                                             \
    static void *allocate_##name(hpw_pool *pool, uint64_t size) {                                            \
        return short_allocate(pool, size, order);                                                            \
    }                                                                                                        \
    static hpw_error release_##name(hpw_pool *pool, uint64_t address, hpw_report *report) {                  \
        return short_release(pool, address, report, order);                                                  \
    }
