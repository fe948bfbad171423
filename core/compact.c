/* SPDX-License-Identifier: MIT */
/*
 * Compaction: blocks whose owner says that they may move go to lower addresses,
 * so that free bytes come together; all others stay where they are.
 *
 *   1. A policy that joins all free neighbours: blocks *slide*. A stretch is what
 *      lies between two blocks that stay. One pass over it keeps in hand what is
 *      free just below the next block, moves the block to its beginning, and the
 *      hand above it.
 *
 *          [ free ][ a ][ free ][ b ][stays]  =>  [ a ][ b ][ ---- free ---- ][stays]
 *
 *      Order is kept. A block that keeps an alignment may leave a gap. Where the
 *      gaps would leave a stretch with a smaller largest free block than it had,
 *      such blocks stay in it, and the others slide between them.
 *   2. Buddy: each block, lowest first, asks the policy for a place, and takes it
 *      where that is lower, and either just as large or what the block leaves
 *      behind joins to as much as is cut there.
 *   3. Slab: each block in a slot, lowest first, goes to the lowest free slot of
 *      its size, pages that became empty are given back, and the rest slides.
 *   4. Bump never moves: what it frees stays unused.
 *
 * So the largest free block is never smaller afterwards. The same pool and the
 * same answers of the mover give the same addresses. The handle-based heaps of
 * early personal computers slid their relocatable blocks around the locked ones in
 * the same way. Bound: O(blocks) calls of the policy and of the mover, O(bytes
 * moved); slab: and O(blocks) for each of its kinds of slots.
 */
#define POLICY (*pool->policy)
#include "guard.h"
#include "operations.h"

typedef struct compaction {
    hpw_pool *pool;
    const hpw_mover *mover;
    work w;
    uint64_t blocks, bytes; /* moved */
} compaction;

/* Was a link in a free block found overwritten? Then nothing more moves; what was moved has been. */
static bool stopped(const compaction *c) { return is_broken(c->pool, &c->w); }

typedef struct movable {
    granule_t at, size;
    uint64_t requested;
    granule_t align; /* to keep */
} movable;

static bool in_run(const hpw_pool *pool, granule_t at) {
    return POLICY.in_run && POLICY.in_run(&pool->index, at);
}

/*
 * May the live block at `at` move? Not an account's, nor one in quarantine, nor one whose record
 * or canary was overwritten: moving it would write them anew, and nobody would ever know.
 */
static bool may_move(const compaction *c, granule_t at, movable *m) {
    const hpw_pool *pool = c->pool;
    uint64_t address = pool_bytes(pool, at);
    if (!pool_find_user(pool, address, &m->at, &m->size, &m->requested)) return false;
    if (pool_damage(pool, m->at, m->size, m->requested) != UINT64_MAX) return false;
    if (!c->mover->may_move(c->mover->ud, address, m->requested)) return false;
    m->align = pool_kept_align(pool, at);
    return true;
}

/*
 * The block's bytes go to `to`, and with guard full what is known of them. Its old place needs no
 * quarantine: who holds the block is told where it went.
 */
static void move_bytes(const compaction *c, const movable *m, granule_t to) {
    hpw_pool *pool = c->pool;
    unsigned char *bytes = pool->index.bytes;
    uint64_t from = pool_bytes(pool, m->at), address = pool_bytes(pool, to);
    memmove(bytes + address, bytes + from, (size_t)m->requested);
    if (!pool->guards) return;
    pool->guards->records[to] = pool->guards->records[m->at];
    guard_move_written(pool->guards, address, from, m->requested, m->requested);
}

/* It lies at `to`: the map shows it there. */
static void tell(compaction *c, const movable *m, granule_t to) {
    hpw_pool *pool = c->pool;
    blocks *map = &pool->index.map;
    uint64_t from = pool_bytes(pool, m->at), address = pool_bytes(pool, to);
    bool over_aligned = map->freed && blocks_bit(map->freed, m->at);
    blocks_note_freed(map, m->at, true);
    blocks_note_freed(map, to, over_aligned);
    c->blocks++;
    c->bytes += m->requested;
    if (pool->sink)
        pool_emit(pool,
                  (hpw_event){
                      .kind = HPW_EVENT_RESIZE, .address = address, .previous = from, .size = m->requested});
    c->mover->moved(c->mover->ud, from, address, m->requested);
}

/* ---- Sliding ---- */

/* Where the block goes that lies behind the free range [hand, m->at). */
static granule_t slide_place(const compaction *c, const movable *m, granule_t hand) {
    request want = {.size = m->size, .align = m->align, .skew = c->pool->skew & (m->align - 1)};
    return place_in(&want, hand, m->at + m->size - hand);
}

/* The end of the stretch that begins at `at`: a block that stays, a slot, or the pool's end. */
static granule_t stretch_end(const compaction *c, granule_t at) {
    const hpw_pool *pool = c->pool;
    const blocks *map = &pool->index.map;
    movable m;
    for (; at < map->count && !in_run(pool, at); at += blocks_size(map, at))
        if (blocks_is_live(map, at) && !may_move(c, at, &m)) break;
    return at;
}

/* Would the stretch have a smaller largest free block than it has now? */
static bool would_lose(const compaction *c, granule_t at, granule_t end) {
    const blocks *map = &c->pool->index.map;
    granule_t before = 0, after = 0, hand = at, size;
    for (; at < end; at += size) {
        size = blocks_size(map, at);
        if (!blocks_is_live(map, at)) {
            if (size > before) before = size;
            continue;
        }
        movable m;
        granule_t to = hand < at && may_move(c, at, &m) ? slide_place(c, &m, hand) : at;
        if (to - hand > after) after = to - hand;
        hand = to + size;
    }
    if (end - hand > after) after = end - hand;
    return after < before;
}

/* The free block at `at` comes into the hand; or it stays, where the index is broken. */
static void take_in_hand(compaction *c, granule_t hand, granule_t at, granule_t size) {
    hpw_pool *pool = c->pool;
    if (!index_remove(pool, &c->w, at, size)) return;
    if (hand < at) blocks_erase(&pool->index.map, at);
    hold(pool, hand, at + size - hand);
}

/* The live block at `at` slides into the hand, if it does; returns where the hand begins from now on. */
static granule_t slide_block(compaction *c, granule_t hand, granule_t at, granule_t size, bool aligned_stay) {
    hpw_pool *pool = c->pool;
    movable m;
    bool moves = hand < at && may_move(c, at, &m) && !(aligned_stay && m.align > 1);
    granule_t to = moves ? slide_place(c, &m, hand) : at;
    if (to < at) {
        move_bytes(c, &m, to);
        blocks_erase(&pool->index.map, at);
        if (to > hand) hold(pool, hand, to - hand);
        set_live(pool, to, size, m.requested);
        hold(pool, to + size, at - to);
        tell(c, &m, to);
    }
    if (to > hand) add_free(pool, &c->w, hand, to - hand);
    return to + size;
}

static void slide_stretch(compaction *c, granule_t at, granule_t end, bool aligned_stay) {
    const blocks *map = &c->pool->index.map;
    granule_t hand = at, size; /* [hand, at) is in hand */
    for (; at < end; at += size) {
        size = blocks_size(map, at);
        if (blocks_is_live(map, at))
            hand = slide_block(c, hand, at, size, aligned_stay);
        else
            take_in_hand(c, hand, at, size);
        if (stopped(c)) end = blocks_is_live(map, at) ? at + size : at;
    }
    if (hand < end) add_free(c->pool, &c->w, hand, end - hand);
}

static void slide(compaction *c) {
    const blocks *map = &c->pool->index.map;
    for (granule_t at = 0; at < map->count && !stopped(c);) {
        granule_t end = stretch_end(c, at);
        if (end > at) slide_stretch(c, at, end, would_lose(c, at, end));
        at = end < map->count ? end + blocks_size(map, end) : end;
    }
}

/* ---- Moving to another free block ---- */

static void relocate(compaction *c, const movable *m, placement place) {
    hpw_pool *pool = c->pool;
    if (!take(pool, &c->w, place, m->size, m->requested)) return;
    move_bytes(c, m, place.at);
    tell(c, m, place.at); /* the old place is live still: its marks are right once it is free */
    if (POLICY.freed) POLICY.freed(&pool->index, m->at, m->size);
    join_and_add(pool, &c->w, m->at, m->size);
    if (POLICY.returns_run && !stopped(c)) give_runs_back(pool, &c->w, false);
}

/* How large a free block there would be if the live one at `at` were free and `taken` were not. */
static granule_t joined_size(hpw_pool *pool, granule_t at, granule_t size, granule_t taken) {
    const blocks *map = &pool->index.map;
    for (bool again = true; again;) {
        again = false;
        granule_t next = at + size, previous;
        if (next != taken && !blocks_is_live(map, next) &&
            POLICY.may_join(&pool->index, at, next, blocks_size(map, next))) {
            size += blocks_size(map, next);
            again = true;
        }
        if (at == 0) continue;
        previous = blocks_previous(map, at);
        if (previous == taken || blocks_is_live(map, previous) ||
            !POLICY.may_join(&pool->index, previous, at, size))
            continue;
        size += at - previous;
        at = previous;
        again = true;
    }
    return size;
}

/* Each block goes to the lower place that the policy has for it, where nothing is lost by that. */
static void move_down(compaction *c) {
    hpw_pool *pool = c->pool;
    const blocks *map = &pool->index.map;
    movable m;
    for (granule_t at = 0, end; at < map->count && !stopped(c); at = blocks_next_start(map, end)) {
        end = at + blocks_size(map, at);
        if (!blocks_is_live(map, at) || !may_move(c, at, &m)) continue;
        request want = {.size = m.size, .align = m.align, .skew = pool->skew & (m.align - 1)};
        c->w.calls++;
        placement found = POLICY.choose(&pool->index, &want);
        if (found.block == NO_GRANULE || found.at >= at) continue;
        if (found.size > m.size && joined_size(pool, at, m.size, found.block) < found.size) continue;
        relocate(c, &m, found);
    }
}

/* ---- Slots ---- */

/* The lowest free slot of `size` below `before`; *from is where the last search ended. */
static granule_t free_slot(const compaction *c, granule_t *from, granule_t size, granule_t before) {
    hpw_pool *pool = c->pool;
    const blocks *map = &pool->index.map;
    slot_run none;
    for (*from = blocks_next_start(map, *from); *from < before; *from += blocks_size(map, *from)) {
        if (blocks_is_live(map, *from) || blocks_size(map, *from) != size || !in_run(pool, *from)) continue;
        if (POLICY.wants_slot(&pool->index, *from, size, &none)) return *from;
    }
    return NO_GRANULE;
}

/* Every block in a slot goes to the lowest one there is for it; empty runs are free blocks again. */
static void move_slots(compaction *c) {
    hpw_pool *pool = c->pool;
    const blocks *map = &pool->index.map;
    granule_t from[WORD_BITS + 1] = {0}; /* of each size of slots: below it none is free */
    movable m;
    for (granule_t at = 0, end; at < map->count && !stopped(c); at = blocks_next_start(map, end)) {
        end = at + blocks_size(map, at);
        if (!in_run(pool, at) || !blocks_is_live(map, at) || !may_move(c, at, &m)) continue;
        granule_t to = free_slot(c, &from[m.size], m.size, at);
        if (to != NO_GRANULE) relocate(c, &m, (placement){to, m.size, to});
    }
    if (!stopped(c)) give_runs_back(pool, &c->w, true);
}

/* ---- The whole ---- */

static void compact(compaction *c) {
    const hpw_pool *pool = c->pool;
    if (POLICY.keeps_freed) return;
    if (POLICY.may_join) {
        move_down(c);
        return;
    }
    if (POLICY.wants_slot) move_slots(c);
    slide(c);
}

hpw_error hpw_compact(hpw_pool *pool, const hpw_mover *mover, hpw_compaction *out) {
    if (!mover || !mover->may_move || !mover->moved) return HPW_INVALID_ARGUMENT;
    pool_enter(pool);
    compaction c = {.pool = pool, .mover = mover, .w = begin_work(pool)};
    uint64_t before = pool_largest_free(pool);
    if (!stopped(&c)) compact(&c);
    add_work(pool, &c.w);
    uint64_t after = pool_largest_free(pool);
    if (!POLICY.keeps_freed && pool->index.map.count > pool->capacity && !stopped(&c)) pool_trim(pool);
    if (stopped(&c)) pool_note_broken(pool);
    hpw_error error = stopped(&c) ? HPW_CORRUPTED : HPW_OK;
    pool_leave(pool);
    if (out)
        *out = (hpw_compaction){.won = after > before ? after - before : 0,
                                .largest_free = after,
                                .moved_blocks = c.blocks,
                                .moved_bytes = c.bytes};
    return error;
}
