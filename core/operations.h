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
    int blocks;     /* more, or fewer */
    bool validates; /* what the policy keeps in free blocks: a constant where calls are compiled for it */
} work;

/* Are there links that are to be validated? */
HOT bool validates(const hpw_pool *pool) { return POLICY.may_remove && index_validates(&pool->index); }

HOT work begin_work_so(const hpw_pool *pool, bool validates) {
    return (work){.steps = pool->index.steps, .validates = POLICY.may_remove && validates};
}

HOT work begin_work(const hpw_pool *pool) { return begin_work_so(pool, validates(pool)); }

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

/*
 * A policy's links in free blocks may have been overwritten; see may_add. Once the index is broken the
 * policy is told of nothing more, and the operation that met it puts the map back as it was: nothing is
 * granted or freed until hpw_reset.
 */
HOT bool is_broken(const hpw_pool *pool, const work *w) { return w->validates && pool->index.broken; }

HOT bool may_be_added(hpw_pool *pool, granule_t at, granule_t size, bool validates) {
    return !POLICY.may_add || !validates || (!pool->index.broken && POLICY.may_add(&pool->index, at, size));
}

HOT bool may_be_removed(hpw_pool *pool, granule_t at, granule_t size, bool validates) {
    return !POLICY.may_remove || !validates ||
           (!pool->index.broken && POLICY.may_remove(&pool->index, at, size));
}

HOT void index_add(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    w->calls++;
    w->blocks++;
    if (may_be_added(pool, at, size, w->validates)) POLICY.added(&pool->index, at, size);
}

/* False: the index is broken. */
HOT bool index_remove(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    if (!may_be_removed(pool, at, size, w->validates)) return false;
    w->calls++;
    w->blocks--;
    POLICY.removed(&pool->index, at, size);
    return true;
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

/* Takes out what joins; false: the index is broken. */
HOT bool forget(hpw_pool *pool, granule_t at, granule_t size, bool validates) {
    if (!may_be_removed(pool, at, size, validates)) return false;
    POLICY.removed(&pool->index, at, size);
    return true;
}

/*
 * The live block [at, at + size) becomes one free block with each free
 * neighbour; `previous` is the one before it, or `at`. Returns how many joined.
 * `validates` is a constant, so that a short way has nothing of it.
 */
HOT unsigned join(hpw_pool *pool, granule_t at, granule_t size, granule_t previous, bool validates) {
    blocks *map = &pool->index.map;
    granule_t next = at + size, was = at, was_size = 0; /* the one that is replaced */
    bool joins_previous = previous != at;
    unsigned joined = 0;
    if (!stays_apart(pool, next)) {
        granule_t next_size = blocks_size(map, next);
        bool joins = true;
        if (joins_previous || !replaces(pool))
            joins = forget(pool, next, next_size, validates);
        else
            was = next, was_size = next_size;
        if (joins) {
            blocks_erase(map, next);
            size += next_size;
            joined++;
        }
    }
    if (joins_previous && !replaces(pool))
        joins_previous = forget(pool, previous, at - previous, validates);
    else if (joins_previous)
        was = previous, was_size = at - previous;
    if (joins_previous) {
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
    else if (may_be_added(pool, at, size, validates))
        POLICY.added(&pool->index, at, size);
    return joined;
}

APART unsigned join_neighbours(hpw_pool *pool, granule_t at, granule_t size, granule_t previous) {
    return join(pool, at, size, previous, false);
}

APART unsigned join_validated(hpw_pool *pool, granule_t at, granule_t size, granule_t previous) {
    return join(pool, at, size, previous, true);
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
    unsigned joined =
        w->validates ? join_validated(pool, at, size, previous) : join_neighbours(pool, at, size, previous);
    w->calls += join_calls(pool, joined);
    w->blocks += 1 - (int)joined;
}

/* The policy says which may: each join may make another one possible. */
HOT void join_some_so(hpw_pool *pool, work *total, granule_t at, granule_t size, bool validates) {
    blocks *map = &pool->index.map;
    work here = {.validates = validates}, *w = &here;
    for (bool again = true; again;) {
        again = false;
        granule_t next = at + size;
        if (!blocks_is_live(map, next)) {
            granule_t next_size = blocks_size(map, next);
            if (POLICY.may_join(&pool->index, at, next, next_size)) {
                if (!index_remove(pool, w, next, next_size)) break;
                blocks_erase(map, next);
                size += next_size;
                hold(pool, at, size);
                again = true;
            }
        }
        if (at == 0) continue;
        granule_t previous = blocks_previous(map, at);
        if (blocks_is_live(map, previous) || !POLICY.may_join(&pool->index, previous, at, size)) continue;
        if (!index_remove(pool, w, previous, at - previous)) break;
        blocks_erase(map, at);
        size += at - previous;
        at = previous;
        hold(pool, at, size);
        again = true;
    }
    add_free(pool, w, at, size);
    total->calls += here.calls;
    total->blocks += here.blocks;
}

APART void join_some(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    join_some_so(pool, w, at, size, false);
}

APART void join_some_validated(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    join_some_so(pool, w, at, size, true);
}

/* Makes [at, at + size), in hand, one free block with whatever free neighbours it may join. */
HOT void join_and_add(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    if (POLICY.may_join && w->validates)
        join_some_validated(pool, w, at, size);
    else if (POLICY.may_join)
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

/* ---- The map as it was before the index broke ---- */

/* [at, at + size), in which nothing starts, is free in the policy's pieces. */
static inline void show_free(hpw_pool *pool, granule_t at, granule_t size) {
    while (size) {
        granule_t part = POLICY.piece ? POLICY.piece(&pool->index, at, size) : size;
        blocks_set_free(&pool->index.map, at, part);
        at += part;
        size -= part;
    }
}

/*
 * [from, to) shows the live block [at, at + size) again, and around it what was free there: one block on
 * each side, or buddies, of which those side by side that are free are always as large as they can be.
 * The live block's size record is the caller's. `size` 0: nothing in it is live.
 */
APART void show_again(hpw_pool *pool, granule_t from, granule_t to, granule_t at, granule_t size,
                      bool has_slack) {
    blocks *map = &pool->index.map;
    for (granule_t start = from + blocks_size(map, from), next; start < to; start = next) {
        next = start + blocks_size(map, start);
        blocks_erase(map, start);
    }
    show_free(pool, from, at - from);
    if (size) blocks_set_live(map, at, size, has_slack);
    show_free(pool, at + size, to - at - size);
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
    if (!POLICY.round) return (granule_t)granules;
    granule_t rounded = POLICY.round(&pool->index, (granule_t)granules);
    return rounded > pool->max_capacity ? NO_GRANULE : rounded;
}

/* ---- Runs of slots ---- */

/* The run is cut out of the free block that its place names. False: the index is broken. */
static inline bool cut_run(hpw_pool *pool, work *w, const slot_run *made) {
    blocks *map = &pool->index.map;
    placement place = made->place;
    granule_t before = place.at - place.block, end = place.at + made->size;
    granule_t after = place.block + place.size - end;
    if (!index_remove(pool, w, place.block, place.size)) return false;
    if (after) blocks_set_free(map, end, after);
    w->blocks += (int)blocks_set_slots(map, place.at, made->size, made->slot);
    if (before) blocks_set_free(map, place.block, before);
    POLICY.run_added(&pool->index, made);
    if (before) index_add(pool, w, place.block, before);
    if (after) index_add(pool, w, end, after);
    return true;
}

/* A run for `want` is cut out of the free block that the policy names. False: it names none. */
static inline bool make_run(hpw_pool *pool, work *w, const request *want) {
    slot_run made;
    w->calls++;
    if (!POLICY.wants_run(&pool->index, want, &made)) return false;
    return cut_run(pool, w, &made);
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
        if (is_broken(pool, w)) return placement_none();
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
    if (is_broken(pool, w)) return placement_none();
    if (found.block != NO_GRANULE || !POLICY.wants_run) return found;
    work apart = *w; /* so that all of it but this stays in registers */
    found = find_by_runs(pool, &apart, want);
    w->calls = apart.calls;
    w->blocks = apart.blocks;
    return found;
}

/* A place for `want`, and the pool grown for it where it can. */
HOT placement find(hpw_pool *pool, work *w, const request *want) {
    if (is_broken(pool, w)) return placement_none();
    placement found = find_here(pool, w, want);
    if (found.block != NO_GRANULE || pool->index.map.count == pool->max_capacity) return found;
    if (is_broken(pool, w)) return found;
    return pool_grow_for(pool, want);
}

/* A policy that has a say in which free blocks there are takes the long way. */
#define POLICY_CUTS (POLICY.piece || POLICY.may_join)

/*
 * What the block [at, at + size + rest) keeps after its first `size` granules is a free
 * block. It was removed from the index before, unless the policy has `replaced`.
 */
HOT void cut_so(hpw_pool *pool, granule_t at, granule_t size, granule_t rest, bool validates) {
    blocks_cut(&pool->index.map, at, size, rest);
    if (replaces(pool))
        POLICY.replaced(&pool->index, at, size + rest, at + size, rest);
    else if (may_be_added(pool, at + size, rest, validates))
        POLICY.added(&pool->index, at + size, rest);
}

APART void cut(hpw_pool *pool, granule_t at, granule_t size, granule_t rest) {
    cut_so(pool, at, size, rest, false);
}

APART void cut_validated(hpw_pool *pool, granule_t at, granule_t size, granule_t rest) {
    cut_so(pool, at, size, rest, true);
}

/* Is what was chosen there, by the map, and holds the request? */
HOT bool is_there(const hpw_pool *pool, placement place, granule_t size) {
    return index_has_free(&pool->index, place.block) &&
           blocks_size(&pool->index.map, place.block) == place.size && place.at >= place.block &&
           place.at - place.block <= place.size && size <= place.size - (place.at - place.block);
}

/* Cuts [at, at + size) out of the free block that holds it and makes it live. */
HOT void cut_out(hpw_pool *pool, work *w, placement place, granule_t size, uint64_t requested) {
    blocks *map = &pool->index.map;
    granule_t before = place.at - place.block, after = place.size - before - size;
    bool replaced = after && !before && !POLICY_CUTS && replaces(pool);
    if (!replaced && !index_remove(pool, w, place.block, place.size)) return;
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
        if (w->validates)
            cut_validated(pool, place.at, size, after);
        else
            cut(pool, place.at, size, after);
        w->calls++;
        w->blocks += !replaced;
    }
    pool_note_slack(pool, place.at, size, slack);
}

/* The place is one free block again. */
APART void take_back(hpw_pool *pool, placement place) {
    show_again(pool, place.block, place.block + place.size, place.block, 0, false);
}

/* The same, of what was chosen; false: the index is broken, and nothing was taken. */
HOT bool take(hpw_pool *pool, work *w, placement place, granule_t size, uint64_t requested) {
    int count = w->blocks;
    if (w->validates && !is_there(pool, place, size))
        return index_break(
            &pool->index, index_has_free(&pool->index, place.block) ? place.block : 0,
            "free blocks were overwritten: the index chose what is not free, or of another size");
    cut_out(pool, w, place, size, requested);
    if (!is_broken(pool, w)) return true;
    take_back(pool, place);
    w->blocks = count;
    return false;
}

/* False: the index is broken, and the block still live. */
HOT bool give(hpw_pool *pool, work *w, granule_t at, granule_t size) {
    int count = w->blocks;
    bool has_slack = w->validates && blocks_has_slack(&pool->index.map, at);
    if (POLICY.freed) POLICY.freed(&pool->index, at, size);
    join_and_add(pool, w, at, size);
    if (is_broken(pool, w)) {
        granule_t from = blocks_owner(&pool->index.map, at);
        show_again(pool, from, from + blocks_size(&pool->index.map, from), at, size, has_slack);
        w->blocks = count;
        return false;
    }
    if (POLICY.returns_run) give_runs_back(pool, w, false);
    if (!POLICY.keeps_freed && pool->index.map.count > pool->capacity) pool_trim(pool);
    return true;
}

/*
 * The request becomes live at the place, which is counted and told: where it lies. NO_GRANULE: the index is
 * broken.
 */
HOT granule_t place_found(hpw_pool *pool, work *w, uint64_t size, uint64_t alignment, const request *want,
                          placement place) {
    if (want->align == 1 && !POLICY_CUTS && !POLICY.places_anywhere)
        place.at = place.block; /* which the compiler wants to know */
    if (!take(pool, w, place, want->size, size)) return NO_GRANULE;
    w->blocks++; /* the live one */
    end_work(pool, w, ALLOCATION_STEPS);
    count_live(pool, place.at, want->size, size);
    pool->counts.allocations++;
    blocks_note_freed(&pool->index.map, place.at, want->align > 1); /* of a live block: over-aligned */
    if (pool->sink) pool_emit_alloc(pool, place.at, size, alignment);
    return place.at;
}

/* The granule where it lies now; NO_GRANULE: no free block holds it, or the index is broken. */
HOT granule_t place_request(hpw_pool *pool, uint64_t size, uint64_t alignment, const request *want,
                            bool validates) {
    work w = begin_work_so(pool, validates);
    placement place = find(pool, &w, want);
    if (place.block != NO_GRANULE) {
        granule_t at = place_found(pool, &w, size, alignment, want, place);
        if (!w.validates || at != NO_GRANULE) return at;
    }
    end_work(pool, &w, 0);
    return NO_GRANULE;
}

/* What an allocation answers. */
HOT void *granted(hpw_pool *pool, granule_t at) { return pool->index.bytes + pool_bytes(pool, at); }
