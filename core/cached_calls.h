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

HOT void count_taken(thread_cache *mine, const magazine *m, uint64_t size) {
    mine->allocations++;
    mine->in_use += (int64_t)size;
    mine->granted += m->bytes;
}

static tried take_cached(hpw_pool *pool, thread_cache *mine, uint64_t size, void **block) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    unsigned kind = kind_for(size);
    slots_heap *h = slab_heap(state, mine->number);
    magazine *m = &h->magazines[kind];
    if (!kind) return TRIED_NOTHING;
    if (!m->count && !fill_magazine(pool, h, kind, mine)) return TRIED_PAGES;
    granule_t at = m->slots[m->count - 1];
    if (slots_page_is_empty(map, at)) slots_revived(h, at);
    slot_way way = {map->freed != NULL, true};
    *block = occupy_top(&pool->index, m, size, live_at_top(map, m, true), way);
    count_taken(mine, m, size);
    return TRIED_DONE;
}

/* The heap gets a page for slots of this size, where it still needs one. False: there is none as the pool is.
 */
static bool add_page(hpw_pool *pool, thread_cache *mine, uint64_t size) {
    slab *state = pool->index.state;
    slots_heap *h = slab_heap(state, mine->number);
    unsigned kind = slots_kind[(size + PLAIN_MASK) >> PLAIN_SHIFT];
    request want = {.size = slots_size[kind], .align = 1};
    lock_enter(pool->lock);
    caches_bring_home(pool, mine);
    work w = begin_work(pool);
    bool found = slots_find(&pool->index.map, &state->pages, h, kind, NO_GRANULE) != NO_GRANULE;
    state->current = h;
    if (!found) found = make_run(pool, &w, &want);
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
    placement place = choose(&pool->index, &want);
    w.calls++;
    if (place.block == NO_GRANULE && make_run(pool, &w, &want)) place = choose(&pool->index, &want);
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
    block = allocate(pool, size);
    pool_leave(pool);
    return block;
}

/* A slot that lies in the magazine, of a word that has live ones: no more is looked at. */
static void *allocate_cached(hpw_pool *pool, uint64_t size) {
    thread_cache *mine = caches_latest_of(pool);
    if (!mine || !caches_begin(pool->caches, mine)) return allocate_somehow(pool, size);
    slots_heap *h = mine->heap;
    magazine *m = &h->magazines[kind_for(size)];
    KEEP(m);
    uint64_t live = m->count ? live_at_top(&pool->index.map, m, true) : 0;
    if (!live || pool->index.map.freed) {
        caches_end(mine);
        return allocate_somehow(pool, size);
    }
    void *block = occupy_top(&pool->index, m, size, live, (slot_way){false, true});
    count_taken(mine, m, size);
    caches_end(mine);
    return block;
}

/* ---- Release ---- */

HOT void count_put(thread_cache *mine, const magazine *m, const freeing *f) {
    mine->frees++;
    mine->in_use -= (int64_t)(m->bytes - f->slack);
    mine->granted -= m->bytes;
}

/* Is it live by the map, and not returned by another thread? */
HOT bool may_be_put(hpw_pool *pool, slab *state, uint64_t address, const magazine *m, freeing *f) {
    return is_live_slot(&pool->index, address, m, f, true) &&
           !(word_load(&state->pages.freed[f->word]) & f->bit);
}

static tried put_cached(hpw_pool *pool, thread_cache *mine, uint64_t address, const uint64_t *expected) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    freeing f;
    uint32_t owner = locate(map, address, &f) ? slots_owner_at(&state->pages, f.at) : 0;
    if (!owner) return TRIED_NOTHING;
    slots_heap *h = slab_heap(state, owner);
    unsigned kind = slots_kind_at(&state->pages, f.at);
    magazine *m = &h->magazines[kind];
    if (!kind || !may_be_put(pool, state, address, m, &f)) return TRIED_NOTHING;
    if (expected && m->bytes - f.slack != *expected) return TRIED_NOTHING;
    if (owner != mine->number && !slots_return(&state->pages, h, f.at)) return TRIED_NOTHING;
    count_put(mine, m, &f);
    if (owner != mine->number) return TRIED_DONE;
    if (m->count == m->room) slots_drop_half(&state->pages, h, kind);
    bool in_use = vacate_slot(map, m, &f, (slot_way){map->freed != NULL, true});
    if (in_use || !slots_page_is_empty(map, f.at)) return TRIED_DONE;
    slots_emptied(h, f.at);
    return h->kept_count > h->most_kept ? TRIED_PAGES : TRIED_DONE;
}

/* A block in no page of a thread's. False: it lies in one, or is none at all. */
static bool release_locked_only(hpw_pool *pool, uint64_t address, const uint64_t *expected) {
    slab *state = pool->index.state;
    lock_enter(pool->lock);
    state->surplus = &state->heap; /* no other heap is to be looked at */
    bool of_pool = pool_holds(pool, address) && !slots_owner_at(&state->pages, pool_granule(pool, address));
    bool released = of_pool && !release_long(pool, address, expected, NULL);
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
    hpw_error error = release_long(pool, address, expected, report);
    pool_leave(pool);
    return error;
}

/* A slot of the thread's own that goes onto a magazine with room, of a word that keeps live ones. */
static hpw_error release_cached(hpw_pool *pool, uint64_t address, hpw_report *report) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    thread_cache *mine = caches_latest_of(pool);
    freeing f;
    if (!mine || !locate(map, address, &f) || !caches_begin(pool->caches, mine))
        return release_somehow(pool, address, NULL, report);
    slots_heap *h = mine->heap;
    magazine *m = &h->magazines[slots_kind_at(&state->pages, f.at)];
    KEEP(m);
    if (slots_owner_at(&state->pages, f.at) != mine->number || m->count == m->room || map->freed ||
        !may_be_put(pool, state, address, m, &f) || word_load(&map->live[f.word]) == f.bit) {
        caches_end(mine);
        return release_somehow(pool, address, NULL, report);
    }
    count_put(mine, m, &f);
    vacate_slot(map, m, &f, (slot_way){false, true});
    caches_end(mine);
    return HPW_OK;
}

static hpw_error release_sized_cached(hpw_pool *pool, uint64_t address, uint64_t size) {
    return release_somehow(pool, address, &size, NULL);
}
