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

/* The work of one operation: each call of choose, added and removed is a step; more is in index.steps. */
typedef struct work {
    uint64_t steps; /* the index's when the operation began */
    unsigned calls;
    int blocks; /* more, or fewer */
} work;

HOT work begin_work(const hpw_pool *pool) { return (work){.steps = pool->index.steps}; }

/* Of a part of an operation. */
HOT void add_work(hpw_pool *pool, const work *w) {
    pool->index.steps += w->calls;
    pool->counts.blocks += (granule_t)w->blocks;
}

/* Of a whole one; `derived` of its calls are counted by themselves, see tally. */
HOT void end_work(hpw_pool *pool, const work *w, unsigned derived) {
    uint64_t steps = pool->index.steps + w->calls - w->steps;
    add_work(pool, w);
    pool->index.steps -= derived;
    if (steps > pool->counts.steps_max) pool->counts.steps_max = steps;
}

HOT void index_add(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    w->calls++;
    w->blocks++;
    POLICY.added(&pool->index, at, size);
}

HOT void index_remove(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    w->calls++;
    w->blocks--;
    POLICY.removed(&pool->index, at, size);
}

HOT void add_free(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    blocks_set_free(&pool->index.map, at, size);
    index_add(pool, w, at, size);
}

/*
 * A range *in hand* is in no index and marked live, so that no policy counts it
 * and no neighbour joins it before its turn.
 */
HOT void hold(hpw_pool *pool, granule_t at, granule_t size) {
    blocks_set_live(&pool->index.map, at, size, false);
}

/*
 * The live block [at, at + size) becomes one free block with each free
 * neighbour; `previous` is the block before it. Returns how many joined.
 */
APART unsigned join_neighbours(hpw_pool *pool, granule_t at, granule_t size, granule_t previous) {
    blocks *map = &pool->index.map;
    granule_t next = at + size;
    unsigned joined = 0;
    if (!blocks_is_live(map, next)) {
        granule_t next_size = blocks_size_by_word(map, next);
        POLICY.removed(&pool->index, next, next_size);
        blocks_erase(map, next);
        size += next_size;
        joined++;
    }
    if (blocks_is_live(map, previous)) {
        blocks_vacate(map, at);
    } else {
        POLICY.removed(&pool->index, previous, at - previous);
        blocks_erase(map, at);
        size += at - previous;
        at = previous;
        joined++;
    }
    blocks_span(map, at, size);
    POLICY.added(&pool->index, at, size);
    return joined;
}

/* Every free neighbour of the live block [at, at + size) joins it: there is at most one on each side. */
HOT void join_both(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    blocks *map = &pool->index.map;
    granule_t previous = at ? blocks_previous(map, at) : at; /* itself is live */
    if (blocks_is_live(map, previous) && blocks_is_live(map, at + size)) {
        blocks_vacate(map, at);
        index_add(pool, w, at, size);
        return;
    }
    unsigned joined = join_neighbours(pool, at, size, previous);
    w->calls += 1 + joined;
    w->blocks += 1 - (int)joined;
}

/* The policy says which may: each join may make another one possible. */
static inline void join_some(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    blocks *map = &pool->index.map;
    for (bool again = true; again;) {
        again = false;
        granule_t next = at + size;
        if (!blocks_is_live(map, next)) {
            granule_t next_size = blocks_size(map, next);
            if (POLICY.may_join(&pool->index, at, next, next_size)) {
                index_remove(pool, w, next, next_size);
                blocks_erase(map, next);
                size += next_size;
                hold(pool, at, size);
                again = true;
            }
        }
        if (at == 0) continue;
        granule_t previous = blocks_previous(map, at);
        if (blocks_is_live(map, previous) || !POLICY.may_join(&pool->index, previous, at, size)) continue;
        index_remove(pool, w, previous, at - previous);
        blocks_erase(map, at);
        size += at - previous;
        at = previous;
        hold(pool, at, size);
        again = true;
    }
    add_free(pool, w, at, size);
}

/* Makes [at, at + size), in hand, one free block with whatever free neighbours it may join. */
HOT void join_and_add(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    if (POLICY.may_join)
        join_some(pool, w, at, size);
    else
        join_both(pool, w, at, size);
}

/* [at, at + size), in hand, becomes free blocks in the policy's pieces, joined where they may be. */
static inline void add_pieces(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    while (size) {
        granule_t part = POLICY.piece ? POLICY.piece(&pool->index, at, size) : size;
        hold(pool, at, part);
        if (part < size) hold(pool, at + part, size - part);
        join_and_add(pool, w, at, part);
        at += part;
        size -= part;
    }
}

/* The same for what is left of a free block that was cut: only special policies have joins there. */
HOT void add_rest(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    if (POLICY.piece || POLICY.may_join)
        add_pieces(pool, w, at, size);
    else
        add_free(pool, w, at, size);
}

/* ---- Live blocks ---- */

/* Notes in the live block's slack, if it has any, what was requested of it. */
HOT void note_requested(const hpw_pool *pool, granule_t at, granule_t size, uint64_t slack) {
    if (!slack) return;
    unsigned char *end = pool->index.bytes + pool_bytes(pool, at + size);
    if (slack < SLACK_LONG) {
        end[-1] = (unsigned char)slack;
    } else {
        end[-1] = SLACK_LONG;
        memcpy(end - 1 - sizeof slack, &slack, sizeof slack);
    }
}

/* Marks [at, at + size) live and notes its requested size. */
HOT void set_live(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    uint64_t slack = pool_bytes(pool, size) - requested;
    blocks_set_live(&pool->index.map, at, size, slack != 0);
    note_requested(pool, at, size, slack);
}

HOT void count_live(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    tally *counts = &pool->counts;
    uint64_t in_use = counts->in_use += requested;
    granule_t granted = counts->granted += size, end = at + size;
    if (in_use > counts->peak_in_use) counts->peak_in_use = in_use;
    if (granted > counts->peak_granted) counts->peak_granted = granted;
    if (end > counts->high_water) counts->high_water = end;
}

HOT void count_gone(hpw_pool *pool, granule_t size, uint64_t requested) {
    pool->counts.in_use -= requested;
    pool->counts.granted -= size;
}

/* Granules for `size` bytes, as the policy grants them; NO_GRANULE where no pool holds them. */
HOT granule_t granules_for(const hpw_pool *pool, uint64_t size) {
    uint64_t granules = size ? ((size - 1) >> pool->index.shift) + 1 : 1;
    if (granules > pool->max_capacity) return NO_GRANULE;
    return POLICY.round ? POLICY.round(&pool->index, (granule_t)granules) : (granule_t)granules;
}

/* A place for `want`, and the pool grown for it where it can. */
HOT placement find(hpw_pool *pool, work *w, const request *want) {
    if (POLICY.round && want->size > pool->max_capacity) return placement_none();
    w->calls++;
    placement found = POLICY.choose(&pool->index, want);
    if (found.block != NO_GRANULE || pool->index.map.count == pool->max_capacity) return found;
    return pool_grow_for(pool, want);
}

/* A policy that has a say in which free blocks there are takes the long way. */
#define POLICY_CUTS (POLICY.piece || POLICY.may_join)

/* What the block [at, at + size + rest) keeps after its first `size` granules is a free block. */
APART void cut(hpw_pool *pool, granule_t at, granule_t size, granule_t rest) {
    blocks_cut(&pool->index.map, at, size, rest);
    POLICY.added(&pool->index, at + size, rest);
}

/* Cuts [at, at + size) out of the free block that holds it and makes it live. */
HOT void take(hpw_pool *pool, work *w, placement place, granule_t size, uint64_t requested) {
    blocks *map = &pool->index.map;
    granule_t before = place.at - place.block, after = place.size - before - size;
    index_remove(pool, w, place.block, place.size);
    if (POLICY.placed) POLICY.placed(&pool->index, place.at, size, false);
    if (before || POLICY_CUTS) {
        if (after) hold(pool, place.at + size, after);
        set_live(pool, place.at, size, requested);
        if (before) {
            hold(pool, place.block, before);
            add_rest(pool, w, place.block, before);
        }
        if (after) add_rest(pool, w, place.at + size, after);
        return;
    }
    uint64_t slack = pool_bytes(pool, size) - requested;
    blocks_occupy(map, place.at, slack != 0);
    if (after) {
        cut(pool, place.at, size, after);
        w->calls++;
        w->blocks++;
    }
    note_requested(pool, place.at, size, slack);
}

HOT void give(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    if (POLICY.freed) POLICY.freed(&pool->index, at, size);
    join_and_add(pool, w, at, size);
    if (!POLICY.keeps_freed && pool->index.map.count > pool->capacity) pool_trim(pool);
}

/* The granule where it lies now; NO_GRANULE: no free block holds it. */
HOT granule_t place_request(hpw_pool *pool, uint64_t size, uint64_t alignment, const request *want) {
    work w = begin_work(pool);
    placement place = find(pool, &w, want);
    if (place.block == NO_GRANULE) {
        end_work(pool, &w, 0);
        return NO_GRANULE;
    }
    if (want->align == 1 && !POLICY_CUTS) place.at = place.block; /* which the compiler wants to know */
    take(pool, &w, place, want->size, size);
    w.blocks++; /* the live one */
    end_work(pool, &w, ALLOCATION_STEPS);
    count_live(pool, place.at, want->size, size);
    pool->counts.allocations++;
    blocks_note_freed(&pool->index.map, place.at, want->align > 1); /* of a live block: over-aligned */
    if (pool->sink) pool_emit_alloc(pool, place.at, size, alignment);
    return place.at;
}

/* What an allocation answers. */
HOT void *granted(hpw_pool *pool, granule_t at) { return pool->index.bytes + pool_bytes(pool, at); }
