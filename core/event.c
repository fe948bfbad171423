/* SPDX-License-Identifier: MIT */
/* Events: the one place that emits them, and the bounded ring that keeps the newest. */
#include "guard.h"
#ifndef HPW_FREESTANDING
#include "caches.h"
#endif

uint64_t pool_site(const hpw_pool *pool) {
    if (pool->host.site) return pool->claiming ? 0 : pool->host.site(pool->host.ud);
    return pool->site || !pool->guards ? pool->site : pool->guards->caller;
}

void pool_emit(hpw_pool *pool, hpw_event event) {
    if (!pool->sink) return;
    event.id = ++pool->events;
    event.site = pool_site(pool);
    event.time = pool->host.now ? pool->host.now(pool->host.ud) : 0;
    event.thread = pool->host.thread ? pool->host.thread(pool->host.ud) : 0;
    pool->sink(pool->sink_ud, &event);
}

/* The pool is entered. */
static void set_sink(hpw_pool *pool, hpw_sink *sink, void *ud) {
    pool->sink = sink;
    pool->sink_ud = ud;
    pool_choose_way(pool);
#ifndef HPW_FREESTANDING
    if (pool->caches) caches_note_sink(pool);
#endif
}

void hpw_set_sink(hpw_pool *pool, hpw_sink *sink, void *ud) {
    pool_enter(pool);
    set_sink(pool, sink, ud);
    pool_leave(pool);
}

void hpw_set_sink_with_live(hpw_pool *pool, hpw_sink *sink, void *ud) {
    const blocks *map = &pool->index.map;
    pool_enter(pool);
    set_sink(pool, sink, ud);
    uint64_t site = pool->site;
    pool->site = 0; /* these come from elsewhere */
    for (granule_t at = 0, size; sink && at < map->count; at += size) {
        uint64_t requested;
        size = blocks_size(map, at);
        if (!blocks_is_live(map, at) || pool_is_held(pool, at)) continue;
        if (!pool_requested(pool, at, size, &requested)) pool_claimed(pool, at, size, &requested);
        pool_emit_alloc(pool, at, requested, 0);
    }
    pool->site = site;
    pool_leave(pool);
}

void hpw_set_site(hpw_pool *pool, uint64_t site) {
    pool_enter(pool);
    pool->site = site;
    pool_leave(pool);
}

void hpw_ring_sink(void *ud, const hpw_event *event) {
    hpw_ring *ring = ud;
    if (ring->count) ring->slots[ring->written % ring->count] = *event;
    ring->written++;
}

bool hpw_ring_next(const hpw_ring *ring, uint64_t *cursor, hpw_event *out, uint64_t *lost) {
    uint64_t oldest = ring->written > ring->count ? ring->written - ring->count : 0;
    if (*cursor < oldest) {
        if (lost) *lost += oldest - *cursor;
        *cursor = oldest;
    }
    if (*cursor >= ring->written) return false;
    *out = ring->slots[(*cursor)++ % ring->count];
    return true;
}
