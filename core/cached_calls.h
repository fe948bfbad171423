/* SPDX-License-Identifier: MIT */
/*
 * Slab's two calls in a pool with caches of threads (caches.h): in the thread's
 * own heap without the lock; under the lock alone, where a page has to come or go
 * and for what lies in no thread's page: large blocks, and those of threads
 * without a cache; and with all threads stopped, the general way, for whatever is
 * left: full pools and misuse.
 *
 * Included after slot_calls.h.
 */
#include "caches.h"

/*
 * What a try in the heap came to: it is done; or done but for pages, of which one
 * is wanted or too many are kept; or it is not for the heap.
 */
typedef enum tried { TRIED_DONE, TRIED_PAGES, TRIED_NOTHING } tried;

/* ---- Allocate ---- */

/* Fetches free slots of the kind from the heap's pages, and what others freed of them. False: there is none.
 */
APART bool fill_magazine(hpw_pool *pool, slots_heap *h, unsigned kind, thread_cache *mine) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    granule_t found = slots_find(map, &state->pages, h, kind, NO_GRANULE);
    if (found == NO_GRANULE && slots_collect(map, &state->pages, h)) /* late: so there are many in a page */
        found = slots_find(map, &state->pages, h, kind, NO_GRANULE);
    mine->high_water = h->high;
    return found != NO_GRANULE;
}

HOT void count_taken(thread_cache *mine, const slots_heap *h, unsigned kind, uint64_t size) {
    mine->allocations++;
    mine->in_use += (int64_t)size;
    mine->granted += h->bytes[kind];
}

static tried take_cached(hpw_pool *pool, thread_cache *mine, uint64_t size, void **block) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    slots_heap *h = slab_heap(state, mine->number);
    unsigned kind = kind_for(h, size);
    if (!kind) return TRIED_NOTHING;
    if (!slots_held(h, kind) && !fill_magazine(pool, h, kind, mine)) return TRIED_PAGES;
    uint64_t bytes = h->bytes[kind];
    slots_take(map, &state->pages, h, kind);
    granule_t at = *h->top[kind];
    *block = occupy_slot(&pool->index, at, bytes, size, (slot_way){map->freed != NULL, true});
    count_taken(mine, h, kind, size);
    return TRIED_DONE;
}

/* The heap gets a page for slots of this size, where it still needs one. False: there is none as the pool is.
 */
static bool add_page(hpw_pool *pool, thread_cache *mine, uint64_t size) {
    slab *state = pool->index.state;
    slots_heap *h = slab_heap(state, mine->number);
    unsigned kind = kind_for(h, size);
    request want = {.size = h->classes->size[kind], .align = 1};
    lock_enter(pool->lock);
    caches_bring_home(pool, mine);
    work w = begin_work(pool);
    bool found = slots_find(&pool->index.map, &state->pages, h, kind, NO_GRANULE) != NO_GRANULE;
    state->current = h;
    if (!found && !pool->index.broken) found = make_run(pool, &w, &want);
    state->current = &state->heap;
    end_work(pool, &w, 0);
    lock_leave(pool->lock);
    return found;
}

/* From the pool's own pages and blocks, as they are or with one page more. NULL: they have nothing. */
static void *allocate_locked_only(hpw_pool *pool, uint64_t size) {
    slab *state = pool->index.state;
    granule_t granules = granules_for(pool, size), at = NO_GRANULE;
    request want = {.size = granules, .align = 1};
    if (granules == NO_GRANULE) return NULL;
    lock_enter(pool->lock);
    state->current = state->surplus = &state->heap; /* no other heap is to be looked at */
    work w = begin_work(pool);
    placement place = pool->index.broken ? placement_none() : choose(&pool->index, &want);
    w.calls++;
    if (place.block == NO_GRANULE && !pool->index.broken && make_run(pool, &w, &want))
        place = choose(&pool->index, &want);
    if (place.block != NO_GRANULE) at = place_found(pool, &w, size, 0, &want, place);
    lock_leave(pool->lock);
    return at == NO_GRANULE ? NULL : granted(pool, at);
}

APART void *allocate_somehow(hpw_pool *pool, uint64_t size) {
    thread_cache *mine = caches_mine(pool);
    void *block;
    for (bool again = mine != NULL; again && caches_begin(pool->caches, mine);) {
        tried result = take_cached(pool, mine, size, &block);
        caches_end(mine);
        if (result == TRIED_DONE) return block;
        again = result == TRIED_PAGES && add_page(pool, mine, size);
    }
    if (!caches_have_sink(pool->caches) && (block = allocate_locked_only(pool, size))) return block;
    pool_enter(pool);
    block = pool->inner.allocate(pool, size);
    pool_leave(pool);
    return block;
}

/* A slot that lies in the magazine, of a word that has live ones: no more is looked at. */
static void *allocate_cached(hpw_pool *pool, uint64_t size) {
    thread_cache *mine = caches_latest_of(pool);
    if (!mine || size > LARGEST_SLOT_BYTES || !caches_begin(pool->caches, mine))
        return allocate_somehow(pool, size);
    slots_heap *h = mine->heap;
    unsigned kind = h->kind_of_bytes[size];
    granule_t at = h->top[kind][-1];
    if (at == pool->index.capacity || !word_load(&pool->index.map.live[at / WORD_BITS]) ||
        pool->index.map.freed) { /* capacity: see slots_heap */
        caches_end(mine);
        return allocate_somehow(pool, size);
    }
    uint64_t bytes = h->bytes[kind];
    h->top[kind]--;
    void *block = occupy_slot(&pool->index, at, bytes, size, (slot_way){false, true});
    count_taken(mine, h, kind, size);
    caches_end(mine);
    return block;
}

/* ---- Release ---- */

/* A slot that is being freed: where it is, and what is left of it by its size record. */
typedef struct leaving {
    granule_t at;
    size_t word;
    uint64_t bit;
    uint32_t slack;
} leaving;

/* Where an address would be a slot; false: in no pool's. */
HOT bool locate(const blocks *map, uint64_t address, leaving *f) {
    uint64_t granule = granule_of(address);
    f->at = (granule_t)granule;
    f->word = f->at / WORD_BITS;
    f->bit = (uint64_t)1 << (f->at % WORD_BITS);
    return granule < map->count;
}

/* False: it is none that is live with a usual record, as far as its kind goes. */
HOT bool is_live_slot(const free_index *index, uint64_t address, const slots_heap *h, unsigned kind,
                      leaving *f) {
    const blocks *map = &index->map;
    f->slack = 0;
    if (MOSTLY(word_load(&map->mark[f->word]) & f->bit)) {
        f->slack = index->bytes[address + h->bytes[kind] - 1];
        if (f->slack - 1 >= h->most_slack[kind]) return false;
        if (map->freed && !canary_is_whole(index, f->at, h->bytes[kind], f->slack)) return false;
    }
    return word_load(&map->live[f->word]) & f->bit;
}

/* Its place in the map is free. */
HOT void vacate(const blocks *map, const leaving *f, bool remembers) {
    word_store(&map->mark[f->word], word_load(&map->mark[f->word]) | f->bit);
    if (remembers) word_store(&map->freed[f->word], word_load(&map->freed[f->word]) | f->bit);
    word_store(&map->live[f->word], word_load(&map->live[f->word]) ^ f->bit);
}

HOT void count_put(thread_cache *mine, const slots_heap *h, unsigned kind, const leaving *f) {
    mine->frees++;
    mine->in_use -= (int64_t)(h->bytes[kind] - f->slack);
    mine->granted -= h->bytes[kind];
}

/* Is it live by the map, and not returned by another thread? */
HOT bool may_be_put(hpw_pool *pool, slab *state, uint64_t address, const slots_heap *h, unsigned kind,
                    leaving *f) {
    return is_live_slot(&pool->index, address, h, kind, f) &&
           !(word_load(&state->pages.freed[f->word]) & f->bit);
}

static tried put_cached(hpw_pool *pool, thread_cache *mine, uint64_t address, const uint64_t *expected) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    leaving f;
    uint32_t owner = locate(map, address, &f) ? slots_owner_at(&state->pages, f.at) : 0;
    if (!owner) return TRIED_NOTHING;
    slots_heap *h = slab_heap(state, owner);
    unsigned kind = slots_kind_at(&state->pages, f.at);
    if (!kind || !may_be_put(pool, state, address, h, kind, &f)) return TRIED_NOTHING;
    if (expected && h->bytes[kind] - f.slack != *expected) return TRIED_NOTHING;
    if (owner != mine->number && !slots_return(&state->pages, h, f.at)) return TRIED_NOTHING;
    count_put(mine, h, kind, &f);
    if (owner != mine->number) return TRIED_DONE;
    vacate(map, &f, map->freed != NULL);
    slots_put(map, &state->pages, h, f.at);
    return h->kept_count > h->most_kept ? TRIED_PAGES : TRIED_DONE;
}

/* The general way, as the pool is. */
static hpw_error release_known(hpw_pool *pool, uint64_t address, const uint64_t *expected,
                               hpw_report *report) {
    return index_validates(&pool->index) ? release_expected_validating(pool, address, expected, report)
                                         : release_expected(pool, address, expected, report);
}

/* A block in no page of a thread's. False: it lies in one, or is none at all. */
static bool release_locked_only(hpw_pool *pool, uint64_t address, const uint64_t *expected) {
    slab *state = pool->index.state;
    lock_enter(pool->lock);
    state->surplus = &state->heap; /* no other heap is to be looked at */
    bool of_pool = pool_holds(pool, address) && !slots_owner_at(&state->pages, pool_granule(pool, address));
    bool released = of_pool && !release_known(pool, address, expected, NULL);
    lock_leave(pool->lock);
    return released;
}

APART hpw_error release_somehow(hpw_pool *pool, uint64_t address, const uint64_t *expected,
                                hpw_report *report) {
    thread_cache *mine = caches_mine(pool);
    if (mine && caches_begin(pool->caches, mine)) {
        tried result = put_cached(pool, mine, address, expected);
        caches_end(mine);
        if (result == TRIED_PAGES) {
            lock_enter(pool->lock);
            caches_bring_home(pool, mine);
            lock_leave(pool->lock);
        }
        if (result != TRIED_NOTHING) return HPW_OK;
    }
    if (!caches_have_sink(pool->caches) && release_locked_only(pool, address, expected)) return HPW_OK;
    pool_enter(pool);
    hpw_error error = release_known(pool, address, expected, report);
    pool_leave(pool);
    return error;
}

/* A slot of the thread's own that goes onto a magazine with room, of a word that keeps live ones; or false.
 */
HOT bool put_own_slot(hpw_pool *pool, uint64_t address) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    thread_cache *mine = caches_latest_of(pool);
    leaving f;
    if (!mine || !locate(map, address, &f) || !caches_begin(pool->caches, mine)) return false;
    slots_heap *h = mine->heap;
    unsigned kind = slots_kind_at(&state->pages, f.at);
    if (slots_owner_at(&state->pages, f.at) != mine->number || h->top[kind] == h->full[kind] || map->freed ||
        !may_be_put(pool, state, address, h, kind, &f) || word_load(&map->live[f.word]) == f.bit) {
        caches_end(mine);
        return false;
    }
    count_put(mine, h, kind, &f);
    vacate(map, &f, false);
    *h->top[kind]++ = f.at;
    caches_end(mine);
    return true;
}

static hpw_error release_cached(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return put_own_slot(pool, address) ? HPW_OK : release_somehow(pool, address, NULL, report);
}

static hpw_error free_cached(hpw_pool *pool, void *block) {
    uint64_t address = (uintptr_t)block - (uintptr_t)pool->index.bytes;
    if (put_own_slot(pool, address) || !block) return HPW_OK;
    return release_somehow(pool, address, NULL, NULL);
}

static hpw_error release_sized_cached(hpw_pool *pool, uint64_t address, uint64_t size) {
    return release_somehow(pool, address, &size, NULL);
}
