/* SPDX-License-Identifier: MIT */
/*
 * The shortest way of slab's two calls: a slot from its kind's magazine, and
 * back. The pool must be of granules of 16, without sink and without growth;
 * whatever is unusual – a magazine that is empty or full, a size that is no
 * slot's, an address that is no live slot's, a size record that a plain request
 * does not leave – goes the general way (operations_of_policy.h) from its
 * beginning, nothing changed. Nothing here is called and comes back, and what
 * was looked at is not held until it is changed (ANEW), so no register is saved.
 *
 * No branch asks what sizes tell at random: whether a slot is all used, or has
 * slack. The page's count of live slots is what says that it became empty: a page
 * does so four times more seldom than a word of the map.
 *
 * Included after operations_of_policy.h in slab's file, which has `slab`.
 */
#include "pattern.h"

/* A word of the block map, of a page that only this thread writes: see slots_shared.h. */
HOT uint64_t get_word(uint64_t *word, bool shared) {
#ifndef HPW_FREESTANDING
    if (shared) return word_load(word);
#endif
    (void)shared;
    return *word;
}

HOT void set_word(uint64_t *word, uint64_t value, bool shared) {
#ifndef HPW_FREESTANDING
    if (shared) {
        word_store(word, value);
        return;
    }
#endif
    (void)shared;
    *word = value;
}

/* How a call is compiled: what the pool is like. */
typedef struct slot_way {
    bool remembers; /* frees */
    bool shared;    /* between threads with heaps of their own */
} slot_way;

/* ---- Allocate ---- */

enum { LARGEST_SLOT_BYTES = LARGEST_SLOT << PLAIN_SHIFT };

/* The kind of slot for a size in bytes, 16 at a time. 0: none; a request of 0 bytes goes the general way. */
#define KIND(k) k, k, k, k, k, k, k, k, k, k, k, k, k, k, k, k
#define KIND2(k) KIND(k), KIND(k)
#define KIND4(k) KIND2(k), KIND2(k)
#define KIND8(k) KIND4(k), KIND4(k)
static const uint8_t kind_of_bytes[LARGEST_SLOT_BYTES + 1] = {
    0,         KIND(1),   KIND(2),   KIND(3),   KIND(4),   KIND(5),   KIND(6),
    KIND(7),   KIND(8),   KIND2(9),  KIND2(10), KIND2(11), KIND2(12), KIND4(13),
    KIND4(14), KIND4(15), KIND4(16), KIND8(17), KIND8(18), KIND8(19), KIND8(20)};

/* The kind of slot for `size` bytes; 0: none. */
HOT unsigned kind_for(uint64_t size) { return size <= LARGEST_SLOT_BYTES ? kind_of_bytes[size] : 0; }

/* The slot at `at`, of `bytes`, is live now: a slot without slack has its mark taken, all others keep it. */
HOT void *occupy_slot(const free_index *index, uint64_t at, uint64_t bytes, uint64_t size, slot_way way) {
    const blocks *map = &index->map;
    uint64_t word = at / WORD_BITS, place = at % WORD_BITS;
    set_word(&map->live[word], get_word(&map->live[word], way.shared) | (uint64_t)1 << place, way.shared);
    ANEW(word);
    set_word(&map->mark[word], get_word(&map->mark[word], way.shared) ^ (uint64_t)(bytes == size) << place,
             way.shared);
    if (way.remembers)
        set_word(&map->freed[word], get_word(&map->freed[word], way.shared) & ~((uint64_t)1 << place),
                 way.shared);
    unsigned char *block = index->bytes + (at << PLAIN_SHIFT);
    block[bytes - 1] = (unsigned char)(bytes - size); /* where there is none, it is nobody's yet */
    if (way.remembers && bytes != size)
        pattern_fill(pattern_canary(bytes - size), index->bytes, (at << PLAIN_SHIFT) + size,
                     (at << PLAIN_SHIFT) + bytes - 1);
    return block;
}

/* A granted block, after in_use passed its peak; `granted` is still to be counted. */
APART void *passed_in_use(hpw_pool *pool, uint64_t granted, void *block) {
    pool->counts.granted_room -= (int64_t)granted;
    raise_peaks(pool);
    return block;
}

/* A granted block, after granted passed its peak. */
APART void *passed_granted(hpw_pool *pool, void *block) {
    raise_peaks(pool);
    return block;
}

HOT void *count_granted(hpw_pool *pool, uint64_t granted, uint64_t requested, void *block) {
    tally *counts = &pool->counts;
    counts->allocations++;
    counts->in_use_room -= (int64_t)requested;
    if (!MOSTLY(counts->in_use_room >= 0)) return passed_in_use(pool, granted, block);
    counts->granted_room -= (int64_t)granted;
    if (!MOSTLY(counts->granted_room >= 0)) return passed_granted(pool, block);
    return block;
}

/* The newest slot's page has no live slot; or there is no slot. */
APART void *take_first_of_page(hpw_pool *pool, uint64_t size, bool remembers) {
    slab *state = pool_state(pool);
    slots_heap *h = &state->heap;
    unsigned kind = kind_for(size);
    if (!kind || !slots_held(h, kind))
        return remembers ? allocate_validating(pool, size) : allocate(pool, size);
    slots_take(&pool->index.map, &state->pages, h, kind);
    uint64_t bytes = h->bytes[kind];
    void *block = occupy_slot(&pool->index, *h->top[kind], bytes, size, (slot_way){remembers, false});
    return count_granted(pool, bytes, size, block);
}

/* All slots in a magazine were in use before, so the high-water mark stays. */
HOT void *take_slot(hpw_pool *pool, uint64_t size, bool remembers) {
    slab *state = pool_state(pool);
    if (size > LARGEST_SLOT_BYTES) return take_first_of_page(pool, size, remembers);
    uint64_t kind = kind_of_bytes[size], at = state->heap.top[kind][-1], bytes = state->heap.bytes[kind];
    page_state *page = slab_page(state, at);
    if (!MOSTLY(page->live)) return take_first_of_page(pool, size, remembers);
    ANEW(page);
    ANEW(state);
    page->live++;
    state->heap.top[kind]--;
    void *block = occupy_slot(&pool->index, at, bytes, size, (slot_way){remembers, false});
    return count_granted(pool, bytes, size, block);
}

/* ---- Release ---- */

/* Of a slot of `bytes`, of which `slack` were not asked for and the last is its record. */
HOT bool canary_is_whole(const free_index *index, uint64_t at, uint64_t bytes, uint64_t slack) {
    uint64_t end = (at << PLAIN_SHIFT) + bytes;
    return slack < 2 || pattern_is_whole(pattern_canary(slack), index->bytes, end - slack, end - 1);
}

/* The granule at an address; that of one that is no granule's is past every pool's end. */
HOT uint64_t granule_of(uint64_t address) {
    return address >> PLAIN_SHIFT | address << (WORD_BITS - PLAIN_SHIFT);
}

/* A page that has no live slot any more may be one too many: then it becomes a free block. */
APART hpw_error page_emptied(hpw_pool *pool, granule_t at) {
    slots_heap *h = &((slab *)pool_state(pool))->heap;
    slots_emptied(h, at);
    if (h->kept_count <= h->most_kept) return HPW_OK;
    work w = begin_work(pool);
    w.calls += FREE_STEPS; /* the slot's own */
    give_runs_back(pool, &w, false);
    end_work(pool, &w, FREE_STEPS);
    return HPW_OK;
}

/* How a slot is freed: known at compile time. */
typedef enum freed_by { BY_POINTER, BY_ADDRESS, BY_SIZE } freed_by;

/* What is not for the short way. */
HOT hpw_error release_long(hpw_pool *pool, uint64_t at, freed_by by, uint64_t size, hpw_report *report,
                           bool remembers) {
    uint64_t address = at << PLAIN_SHIFT;
    const uint64_t *expected = by == BY_SIZE ? &size : NULL;
    return remembers ? release_expected_validating(pool, address, expected, report)
                     : release_expected(pool, address, expected, report);
}

/* A live slot is free now: onto its magazine, which has room. `slack` of its `bytes` were not used. */
HOT hpw_error vacate_slot(hpw_pool *pool, uint64_t at, uint64_t kind, uint64_t bytes, uint64_t slack,
                          bool remembers) {
    slab *state = pool_state(pool);
    const blocks *map = &pool->index.map;
    uint64_t word = at / WORD_BITS, bit = (uint64_t)1 << (at % WORD_BITS);
    pool->counts.frees++;
    pool->counts.granted_room += (int64_t)bytes;
    pool->counts.in_use_room += (int64_t)(bytes - slack);
    map->live[word] ^= bit;
    ANEW(word);
    map->mark[word] |= bit;
    if (remembers) map->freed[word] |= bit;
    *state->heap.top[kind]++ = (granule_t)at;
    return MOSTLY(--slab_page(state, at)->live) ? HPW_OK : page_emptied(pool, (granule_t)at);
}

/* The slot at `at`, which the pool has, where its block begins at `block`; `recorded`: all ones, or 0. */
HOT hpw_error put_slot(hpw_pool *pool, uint64_t at, const unsigned char *block, freed_by by, uint64_t size,
                       hpw_report *report, bool remembers) {
    slab *state = pool_state(pool);
    const blocks *map = &pool->index.map;
    uint64_t kind = slab_page(state, at)->kind, word = at / WORD_BITS, bit = (uint64_t)1 << (at % WORD_BITS);
    if (!MOSTLY(state->heap.top[kind] != state->heap.full[kind]) || !MOSTLY(map->live[word] & bit))
        return release_long(pool, at, by, size, report, remembers);
    uint64_t bytes = state->heap.bytes[kind];
    uint32_t slack = block[bytes - 1], recorded = 0U - (uint32_t)((map->mark[word] & bit) != 0);
    if (!MOSTLY(((slack - 1) & recorded) < state->heap.most_slack[kind]))
        return release_long(pool, at, by, size, report, remembers);
    slack &= recorded;
    if (remembers && !canary_is_whole(&pool->index, at, bytes, slack))
        return release_long(pool, at, by, size, report, remembers);
    if (by == BY_SIZE && bytes - slack != size) return release_long(pool, at, by, size, report, remembers);
    ANEW(pool);
    ANEW(at);
    return vacate_slot(pool, at, kind, bytes, slack, remembers);
}

APART hpw_error free_outside(const hpw_pool *pool, const void *block) {
    return block ? pool_diagnose(pool, (uintptr_t)block - (uintptr_t)pool->index.bytes, NULL) : HPW_OK;
}

HOT hpw_error put_pointer(hpw_pool *pool, void *block, bool remembers) {
    uint64_t at = granule_of((uintptr_t)block - (uintptr_t)pool->index.bytes);
    if (!MOSTLY(at < pool->index.map.count)) return free_outside(pool, block);
    return put_slot(pool, at, block, BY_POINTER, 0, NULL, remembers);
}

HOT hpw_error put_address(hpw_pool *pool, uint64_t address, hpw_report *report, bool remembers) {
    uint64_t at = granule_of(address);
    if (!MOSTLY(at < pool->index.map.count)) return pool_diagnose(pool, address, report);
    return put_slot(pool, at, pool->index.bytes + address, BY_ADDRESS, 0, report, remembers);
}

HOT hpw_error put_sized(hpw_pool *pool, uint64_t address, uint64_t size, bool remembers) {
    uint64_t at = granule_of(address);
    if (!MOSTLY(at < pool->index.map.count)) return pool_diagnose(pool, address, NULL);
    return put_slot(pool, at, pool->index.bytes + address, BY_SIZE, size, NULL, remembers);
}

/* ---- As the policy names them ---- */

static void *allocate_slot(hpw_pool *pool, uint64_t size) { return take_slot(pool, size, false); }
static void *allocate_remembering(hpw_pool *pool, uint64_t size) { return take_slot(pool, size, true); }
static hpw_error free_slot(hpw_pool *pool, void *block) { return put_pointer(pool, block, false); }
static hpw_error free_remembering(hpw_pool *pool, void *block) { return put_pointer(pool, block, true); }
static hpw_error release_slot(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return put_address(pool, address, report, false);
}
static hpw_error release_remembering(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return put_address(pool, address, report, true);
}
static hpw_error release_sized_slot(hpw_pool *pool, uint64_t address, uint64_t size) {
    return put_sized(pool, address, size, false);
}
static hpw_error release_sized_remembering(hpw_pool *pool, uint64_t address, uint64_t size) {
    return put_sized(pool, address, size, true);
}
