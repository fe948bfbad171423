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

/* Is the block that starts at `at` live, or a slot? A word in which slots lie is not even read. */
HOT bool stays_apart(const hpw_pool *pool, granule_t at) {
    return (POLICY.in_run && POLICY.in_run(&pool->index, at)) || blocks_is_live(&pool->index.map, at);
}

/* The free block that ends where the live one at `at` begins, and may join it; `at` where none does. */
HOT granule_t joining_before(const hpw_pool *pool, granule_t at) {
    if (at == 0 || (POLICY.in_run && POLICY.in_run(&pool->index, at - 1))) return at;
    granule_t previous = blocks_previous(&pool->index.map, at);
    return blocks_is_live(&pool->index.map, previous) ? at : previous;
}

/* Does the policy want to be told of a block that becomes another as one change? */
HOT bool replaces(const hpw_pool *pool) { return POLICY.replaced && pool->index.order == HPW_ORDER_ADDRESS; }

/*
 * The live block [at, at + size) becomes one free block with each free
 * neighbour; `previous` is the one before it, or `at`. Returns how many joined.
 */
APART unsigned join_neighbours(hpw_pool *pool, granule_t at, granule_t size, granule_t previous) {
    blocks *map = &pool->index.map;
    granule_t next = at + size, was = at, was_size = 0; /* the one that is replaced */
    bool joins_previous = previous != at;
    unsigned joined = 0;
    if (!stays_apart(pool, next)) {
        granule_t next_size = blocks_size(map, next);
        if (joins_previous || !replaces(pool))
            POLICY.removed(&pool->index, next, next_size);
        else
            was = next, was_size = next_size;
        blocks_erase(map, next);
        size += next_size;
        joined++;
    }
    if (joins_previous) {
        if (replaces(pool))
            was = previous, was_size = at - previous;
        else
            POLICY.removed(&pool->index, previous, at - previous);
        blocks_erase(map, at);
        size += at - previous;
        at = previous;
        joined++;
    } else {
        blocks_vacate(map, at);
    }
    blocks_span(map, at, size);
    if (was_size && POLICY.replaced)
        POLICY.replaced(&pool->index, was, was_size, at, size);
    else
        POLICY.added(&pool->index, at, size);
    return joined;
}

/* The calls of the policy that this took. */
HOT unsigned join_calls(const hpw_pool *pool, unsigned joined) {
    return joined && replaces(pool) ? joined : 1 + joined;
}

/* Every free neighbour of the live block [at, at + size) joins it: there is at most one on each side. */
HOT void join_both(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    blocks *map = &pool->index.map;
    if (POLICY.in_run && POLICY.in_run(&pool->index, at)) { /* a slot */
        blocks_vacate(map, at);
        index_add(pool, w, at, size);
        return;
    }
    granule_t previous = joining_before(pool, at);
    if (previous == at && stays_apart(pool, at + size)) {
        blocks_vacate(map, at);
        index_add(pool, w, at, size);
        return;
    }
    unsigned joined = join_neighbours(pool, at, size, previous);
    w->calls += join_calls(pool, joined);
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

/* Marks [at, at + size) live and notes its requested size. */
HOT void set_live(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    uint64_t slack = pool_bytes(pool, size) - requested;
    blocks_set_live(&pool->index.map, at, size, slack != 0);
    pool_note_slack(pool, at, size, slack);
}

/* What is more than the peaks are new peaks. */
HOT void raise_peaks(hpw_pool *pool) {
    tally *counts = &pool->counts;
    if (counts->in_use_room < 0) {
        counts->peak_in_use -= (uint64_t)counts->in_use_room;
        counts->in_use_room = 0;
    }
    if (counts->granted_room < 0) {
        counts->peak_granted -= (uint64_t)counts->granted_room;
        counts->granted_room = 0;
    }
}

HOT void count_sizes(hpw_pool *pool, uint64_t granted, uint64_t requested) {
    pool->counts.in_use_room -= (int64_t)requested;
    pool->counts.granted_room -= (int64_t)granted;
    raise_peaks(pool);
}

HOT void count_live(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    count_sizes(pool, pool_bytes(pool, size), requested);
    if (at + size > pool->counts.high_water) pool->counts.high_water = at + size;
}

HOT void count_gone(hpw_pool *pool, granule_t size, uint64_t requested) {
    pool->counts.in_use_room += (int64_t)requested;
    pool->counts.granted_room += (int64_t)pool_bytes(pool, size);
}

/* Granules for `size` bytes, as the policy grants them; NO_GRANULE where no pool holds them. */
HOT granule_t granules_for(const hpw_pool *pool, uint64_t size) {
    uint64_t granules = size ? ((size - 1) >> pool->index.shift) + 1 : 1;
    if (granules > pool->max_capacity) return NO_GRANULE;
    return POLICY.round ? POLICY.round(&pool->index, (granule_t)granules) : (granule_t)granules;
}

/* ---- Runs of slots ---- */

/* The run is cut out of the free block that its place names. */
static inline void cut_run(hpw_pool *pool, work *w, const slot_run *made) {
    blocks *map = &pool->index.map;
    placement place = made->place;
    granule_t before = place.at - place.block, end = place.at + made->size;
    granule_t after = place.block + place.size - end;
    index_remove(pool, w, place.block, place.size);
    if (after) blocks_set_free(map, end, after);
    w->blocks += (int)blocks_set_slots(map, place.at, made->size, made->slot);
    if (before) blocks_set_free(map, place.block, before);
    POLICY.run_added(&pool->index, made);
    if (before) index_add(pool, w, place.block, before);
    if (after) index_add(pool, w, end, after);
}

/* A run for `want` is cut out of the free block that the policy names. False: it names none. */
static inline bool make_run(hpw_pool *pool, work *w, const request *want) {
    slot_run made;
    w->calls++;
    if (!POLICY.wants_run(&pool->index, want, &made)) return false;
    cut_run(pool, w, &made);
    return true;
}

/* The runs that the policy no longer needs are free blocks again. False: there was none. */
static inline bool give_runs_back(hpw_pool *pool, work *w, bool all) {
    slot_run back;
    bool any = false;
    for (; POLICY.returns_run(&pool->index, all, &back); any = true) {
        w->blocks -= (int)blocks_clear_range(&pool->index.map, back.place.at, back.size);
        hold(pool, back.place.at, back.size);
        join_and_add(pool, w, back.place.at, back.size);
    }
    return any;
}

/* A place for `want` in a run that is made for it, or is no more, or where else it may lie. */
APART placement find_by_runs(hpw_pool *pool, work *w, const request *want) {
    while (!make_run(pool, w, want)) {
        if (!give_runs_back(pool, w, true)) {
            w->calls++;
            return POLICY.choose_last ? POLICY.choose_last(&pool->index, want) : placement_none();
        }
        w->calls++;
        placement found = POLICY.choose(&pool->index, want);
        if (found.block != NO_GRANULE) return found;
    }
    w->calls++;
    return POLICY.choose(&pool->index, want);
}

/* ---- Placing ---- */

/* A place for `want` in the pool as it is. */
HOT placement find_here(hpw_pool *pool, work *w, const request *want) {
    w->calls++;
    placement found = POLICY.choose(&pool->index, want);
    return found.block == NO_GRANULE && POLICY.wants_run ? find_by_runs(pool, w, want) : found;
}

/* A place for `want`, and the pool grown for it where it can. */
HOT placement find(hpw_pool *pool, work *w, const request *want) {
    if (POLICY.round && want->size > pool->max_capacity) return placement_none();
    placement found = find_here(pool, w, want);
    if (found.block != NO_GRANULE || pool->index.map.count == pool->max_capacity) return found;
    return pool_grow_for(pool, want);
}

/* A policy that has a say in which free blocks there are takes the long way. */
#define POLICY_CUTS (POLICY.piece || POLICY.may_join)

/*
 * What the block [at, at + size + rest) keeps after its first `size` granules is a free
 * block. It was removed from the index before, unless the policy has `replaced`.
 */
APART void cut(hpw_pool *pool, granule_t at, granule_t size, granule_t rest) {
    blocks_cut(&pool->index.map, at, size, rest);
    if (replaces(pool))
        POLICY.replaced(&pool->index, at, size + rest, at + size, rest);
    else
        POLICY.added(&pool->index, at + size, rest);
}

/* Cuts [at, at + size) out of the free block that holds it and makes it live. */
HOT void take(hpw_pool *pool, work *w, placement place, granule_t size, uint64_t requested) {
    blocks *map = &pool->index.map;
    granule_t before = place.at - place.block, after = place.size - before - size;
    bool replaced = after && !before && !POLICY_CUTS && replaces(pool);
    if (!replaced) index_remove(pool, w, place.block, place.size);
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
        w->blocks += !replaced;
    }
    pool_note_slack(pool, place.at, size, slack);
}

HOT void give(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    if (POLICY.freed) POLICY.freed(&pool->index, at, size);
    join_and_add(pool, w, at, size);
    if (POLICY.returns_run) give_runs_back(pool, w, false);
    if (!POLICY.keeps_freed && pool->index.map.count > pool->capacity) pool_trim(pool);
}

/* The request becomes live at the place, which is counted and told: where it lies. */
HOT granule_t place_found(hpw_pool *pool, work *w, uint64_t size, uint64_t alignment, const request *want,
                          placement place) {
    if (want->align == 1 && !POLICY_CUTS) place.at = place.block; /* which the compiler wants to know */
    take(pool, w, place, want->size, size);
    w->blocks++; /* the live one */
    end_work(pool, w, ALLOCATION_STEPS);
    count_live(pool, place.at, want->size, size);
    pool->counts.allocations++;
    blocks_note_freed(&pool->index.map, place.at, want->align > 1); /* of a live block: over-aligned */
    if (pool->sink) pool_emit_alloc(pool, place.at, size, alignment);
    return place.at;
}

/* The granule where it lies now; NO_GRANULE: no free block holds it. */
HOT granule_t place_request(hpw_pool *pool, uint64_t size, uint64_t alignment, const request *want) {
    work w = begin_work(pool);
    placement place = find(pool, &w, want);
    if (place.block != NO_GRANULE) return place_found(pool, &w, size, alignment, want, place);
    end_work(pool, &w, 0);
    return NO_GRANULE;
}

/* What an allocation answers. */
HOT void *granted(hpw_pool *pool, granule_t at) { return pool->index.bytes + pool_bytes(pool, at); }
