/* SPDX-License-Identifier: MIT */
/*
 * Placing and freeing, written once and compiled for each policy: the file of a
 * policy defines POLICY as its own constant struct and includes this, so that
 * the compiler sees through every call of the plug and leaves out what the
 * policy does not have; pool.c defines it as (*pool->policy) for the rest.
 *
 *   take     [ ------------- block ------------- ]
 *         => [ before ][ ------ live ------ ][ after ]
 *   give     [ free ][ ------ live ------ ][ free ]
 *         => [ --------------- free -------------- ]
 *
 * With pool.c the only code that changes the block map of an open pool.
 */
#ifndef POLICY
#error "operations.h wants POLICY"
#endif

#include "pool.h"

/* ---- Free ranges ---- */

HOT void add_free(hpw_pool *pool, granule_t at, granule_t size) {
    blocks_set_free(&pool->index.map, at, size);
    pool->counts.free_blocks++;
    POLICY.added(&pool->index, at, size);
}

HOT void remove_free(hpw_pool *pool, granule_t at, granule_t size) {
    pool->counts.free_blocks--;
    POLICY.removed(&pool->index, at, size);
}

/*
 * A range *in hand* is in no index and marked live, so that no policy counts it
 * and no neighbour joins it before its turn.
 */
HOT void hold(hpw_pool *pool, granule_t at, granule_t size) {
    blocks_set_live(&pool->index.map, at, size, false);
}

/* Every free neighbour joins: there is at most one on each side. */
HOT void join_both(hpw_pool *pool, granule_t at, granule_t size) {
    blocks *map = &pool->index.map;
    granule_t next = at + size;
    if (!blocks_is_live(map, next)) {
        granule_t next_size = blocks_size(map, next);
        remove_free(pool, next, next_size);
        blocks_erase(map, next);
        size += next_size;
    }
    if (at) {
        granule_t previous = blocks_previous(map, at);
        if (!blocks_is_live(map, previous)) {
            remove_free(pool, previous, at - previous);
            blocks_erase(map, at);
            size += at - previous;
            at = previous;
        }
    }
    add_free(pool, at, size);
}

/* The policy says which may: each join may make another one possible. */
static inline void join_some(hpw_pool *pool, granule_t at, granule_t size) {
    blocks *map = &pool->index.map;
    for (bool again = true; again;) {
        again = false;
        granule_t next = at + size;
        if (!blocks_is_live(map, next)) {
            granule_t next_size = blocks_size(map, next);
            if (POLICY.may_join(&pool->index, at, next, next_size)) {
                remove_free(pool, next, next_size);
                blocks_erase(map, next);
                size += next_size;
                hold(pool, at, size);
                again = true;
            }
        }
        if (at == 0) continue;
        granule_t previous = blocks_previous(map, at);
        if (blocks_is_live(map, previous) || !POLICY.may_join(&pool->index, previous, at, size)) continue;
        remove_free(pool, previous, at - previous);
        blocks_erase(map, at);
        size += at - previous;
        at = previous;
        hold(pool, at, size);
        again = true;
    }
    add_free(pool, at, size);
}

/* Makes [at, at + size), in hand, one free block with whatever free neighbours it may join. */
HOT void join_and_add(hpw_pool *pool, granule_t at, granule_t size) {
    if (POLICY.may_join)
        join_some(pool, at, size);
    else
        join_both(pool, at, size);
}

/* [at, at + size), in hand, becomes free blocks in the policy's pieces, joined where they may be. */
static inline void add_pieces(hpw_pool *pool, granule_t at, granule_t size) {
    while (size) {
        granule_t part = POLICY.piece ? POLICY.piece(&pool->index, at, size) : size;
        hold(pool, at, part);
        if (part < size) hold(pool, at + part, size - part);
        join_and_add(pool, at, part);
        at += part;
        size -= part;
    }
}

/* The same for what is left of a free block that was cut: only special policies have joins there. */
HOT void add_rest(hpw_pool *pool, granule_t at, granule_t size) {
    if (POLICY.piece || POLICY.may_join)
        add_pieces(pool, at, size);
    else
        add_free(pool, at, size);
}

/* ---- Live blocks ---- */

/* Marks [at, at + size) live and notes its requested size. */
HOT void set_live(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    uint64_t granted = pool_bytes(pool, size), slack = granted - requested;
    blocks_set_live(&pool->index.map, at, size, slack != 0);
    if (!slack) return;
    unsigned char *end = pool->index.bytes + pool_bytes(pool, at) + granted;
    if (slack < SLACK_LONG) {
        end[-1] = (unsigned char)slack;
    } else {
        end[-1] = SLACK_LONG;
        memcpy(end - 1 - sizeof slack, &slack, sizeof slack);
    }
}

HOT void count_live(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    hpw_stats *counts = &pool->counts;
    uint64_t end = pool_bytes(pool, at + size);
    counts->in_use += requested;
    counts->granted += pool_bytes(pool, size);
    if (counts->in_use > counts->peak_in_use) counts->peak_in_use = counts->in_use;
    if (counts->granted > counts->peak_granted) counts->peak_granted = counts->granted;
    if (end > counts->high_water) counts->high_water = end;
}

HOT void count_gone(hpw_pool *pool, granule_t size, uint64_t requested) {
    pool->counts.in_use -= requested;
    pool->counts.granted -= pool_bytes(pool, size);
}

/* An operation ends that began when the index had made `before` steps. */
HOT void count_steps(hpw_pool *pool, uint64_t before) {
    uint64_t steps = pool->index.steps - before;
    if (steps > pool->counts.steps_max) pool->counts.steps_max = steps;
}

/* Granules for `size` bytes, as the policy grants them; NO_GRANULE where no pool holds them. */
HOT granule_t granules_for(const hpw_pool *pool, uint64_t size) {
    uint64_t granules = (size >> pool->index.shift) + ((size & (pool_bytes(pool, 1) - 1)) != 0);
    if (granules == 0) granules = 1;
    if (granules > pool->max_capacity) return NO_GRANULE;
    return POLICY.round ? POLICY.round(&pool->index, (granule_t)granules) : (granule_t)granules;
}

/* A place for `want`, and the pool grown for it where it can. */
HOT placement find(hpw_pool *pool, const request *want) {
    if (want->size > pool->max_capacity) return placement_none();
    placement found = POLICY.choose(&pool->index, want);
    if (found.block != NO_GRANULE || pool->index.map.count == pool->max_capacity) return found;
    return pool_grow_for(pool, want);
}

/* Cuts [at, at + size) out of the free block that holds it and makes it live. */
HOT void take(hpw_pool *pool, placement place, granule_t size, uint64_t requested) {
    granule_t before = place.at - place.block, after = place.size - before - size;
    remove_free(pool, place.block, place.size);
    if (POLICY.placed) POLICY.placed(&pool->index, place.at, size, false);
    if (after && (POLICY.piece || POLICY.may_join)) hold(pool, place.at + size, after);
    set_live(pool, place.at, size, requested);
    if (before) {
        hold(pool, place.block, before);
        add_rest(pool, place.block, before);
    }
    if (after) add_rest(pool, place.at + size, after);
}

HOT void give(hpw_pool *pool, granule_t at, granule_t size) {
    if (POLICY.freed) POLICY.freed(&pool->index, at, size);
    join_and_add(pool, at, size);
    if (!POLICY.keeps_freed && pool->index.map.count > pool->capacity) pool_trim(pool);
}

/* `want->align` is known where this is inlined, so that what only alignment needs is left out. */
HOT hpw_error place_request(hpw_pool *pool, uint64_t size, uint64_t alignment, const request *want,
                            granule_t *at, hpw_report *report) {
    uint64_t steps = pool->index.steps;
    placement place = find(pool, want);
    if (place.block == NO_GRANULE) {
        count_steps(pool, steps);
        return pool_refuse(pool, 0, size, alignment, report);
    }
    take(pool, place, want->size, size);
    count_steps(pool, steps);
    count_live(pool, place.at, want->size, size);
    pool->counts.allocations++;
    blocks_note_freed(&pool->index.map, place.at, want->align > 1); /* of a live block: over-aligned */
    *at = place.at;
    if (pool->sink) pool_emit_alloc(pool, place.at, size, want->align > 1 ? alignment : 0);
    return HPW_OK;
}
