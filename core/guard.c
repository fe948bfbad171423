/* SPDX-License-Identifier: MIT */
/*
 * Guard full: see guard.h for what is kept, heapwright.h for what it promises.
 *
 * Its calls are the pool's `inner` ones, so lock and injected failures lie around
 * them as around any policy's. They place and give by the policy as ever, with the
 * red zone as slack, which the canary fills; a freed block stays live in the map
 * until it leaves the quarantine, and only then is given. That a block in there is
 * whole is looked at before anything changes, so that a call that finds one written
 * to can still refuse.
 *
 * As in AddressSanitizer (Serebryany et al., USENIX ATC 2012) and Valgrind's
 * memcheck (Seward and Nethercote, USENIX ATC 2005), but for the whole of a block
 * lying outside of its pool's bytes.
 */
#define POLICY (*pool->policy)
#include "guard.h"
#include "operations.h"
#include "pattern.h"

enum { DEFAULT_RED_ZONE = 16, MOST_DEFAULT_QUARANTINE = 1024 * 1024 };

#define WRITTEN_AFTER_FREE "the block was written to after it was freed"

/* ---- Layout ---- */

static uint64_t size_or(uint64_t configured, uint64_t otherwise) {
    if (configured == HPW_NONE) return 0;
    return configured ? configured : otherwise;
}

static uint64_t quarantine_of(const hpw_config *config) {
    uint64_t quarter = config->capacity / 4;
    uint64_t bytes =
        size_or(config->quarantine, quarter < MOST_DEFAULT_QUARANTINE ? quarter : MOST_DEFAULT_QUARANTINE);
    return bytes < config->max_capacity ? bytes : config->max_capacity; /* no more can be granted */
}

static size_t round16(size_t size) { return (size + 15) / 16 * 16; }

/* One more than the quarantine holds: the newest enters before the oldest leave. */
static granule_t ring_room(const hpw_config *config) {
    return (granule_t)(quarantine_of(config) / config->granule) + 1;
}

static size_t granules_of(const hpw_config *config) {
    return (size_t)(config->max_capacity / config->granule);
}

static size_t bitmap_size(const hpw_config *config) {
    return round16(blocks_words((granule_t)granules_of(config)) * sizeof(uint64_t));
}

static size_t written_size(const hpw_config *config) {
    return round16((size_t)(config->max_capacity / 8 + 1));
}

size_t guard_size(const hpw_config *config) {
    if (config->guard != HPW_GUARD_FULL) return 0;
    return round16(sizeof(pool_guards)) + round16(granules_of(config) * sizeof(guard_record)) +
           bitmap_size(config) + written_size(config) + round16(ring_room(config) * sizeof(granule_t));
}

void guard_open(hpw_pool *pool, void *memory, const hpw_config *config) {
    unsigned char *next = memory;
    pool_guards *g = memory;
    next += round16(sizeof *g);
    *g = (pool_guards){
        .red_zone = size_or(config->red_zone, DEFAULT_RED_ZONE),
        .quarantine = quarantine_of(config),
        .room = ring_room(config),
        .damaged = NO_GRANULE,
        .records = (guard_record *)(void *)next,
    };
    next += round16(granules_of(config) * sizeof(guard_record));
    pool->held = (uint64_t *)(void *)next;
    next += bitmap_size(config);
    g->written = next;
    next += written_size(config);
    g->queue = (granule_t *)(void *)next;
    pool->guards = g;
    pool->red_zone = g->red_zone;
}

/* ---- Who ---- */

static uintptr_t site_now(const hpw_pool *pool) { return (uintptr_t)pool_site(pool); }

static uint32_t thread_now(const hpw_pool *pool) {
    return pool->host.thread ? pool->host.thread(pool->host.ud) : 0;
}

void guard_note_allocated(hpw_pool *pool, granule_t at) {
    pool->guards->records[at] =
        (guard_record){.allocated_site = site_now(pool), .allocated_thread = thread_now(pool)};
}

hpw_origin guard_origin(const hpw_pool *pool, granule_t at) {
    const guard_record *r = &pool->guards->records[at];
    return (hpw_origin){r->allocated_site, r->freed_site, r->allocated_thread, r->freed_thread};
}

/* ---- The quarantine ---- */

static void flip_held(hpw_pool *pool, granule_t at) {
    pool->held[at / WORD_BITS] ^= (uint64_t)1 << (at % WORD_BITS);
}

/* The i-th in the queue. */
static granule_t queued_at(const pool_guards *g, granule_t i) {
    uint64_t place = (uint64_t)g->first + i;
    return g->queue[place < g->room ? place : place - g->room];
}

static uint64_t granted_at(const hpw_pool *pool, granule_t at) {
    return pool_bytes(pool, blocks_size(&pool->index.map, at));
}

/* The first byte of a held block that was written to; UINT64_MAX: none. */
static uint64_t damage_of(const hpw_pool *pool, granule_t at) {
    granule_t size = blocks_size(&pool->index.map, at);
    uint64_t requested, start = pool_bytes(pool, at), end;
    if (!pool_requested(pool, at, size, &requested)) return start + pool_bytes(pool, size) - 1;
    end = start + requested;
    if (pattern_is_whole(pattern_poison(), pool->index.bytes, start, end))
        return pool_damage(pool, at, size, requested);
    return pattern_damage(pattern_poison(), pool->index.bytes, start, end);
}

/* Takes the i-th out of the queue; it stays held. */
static void lose(hpw_pool *pool, granule_t i) {
    pool_guards *g = pool->guards;
    g->damaged = queued_at(g, i);
    g->queued -= granted_at(pool, g->damaged);
    for (; i + 1 < g->count; i++) {
        uint64_t place = (uint64_t)g->first + i;
        g->queue[place < g->room ? place : place - g->room] = queued_at(g, i + 1);
    }
    g->count--;
}

/* Are the oldest whole, as many as have to leave so that `most` bytes stay? If not, the first that is not is
 * lost. */
static bool oldest_are_whole(hpw_pool *pool, uint64_t most) {
    const pool_guards *g = pool->guards;
    uint64_t left = g->queued;
    for (granule_t i = 0; i < g->count && left > most; i++) {
        granule_t at = queued_at(g, i);
        if (damage_of(pool, at) != UINT64_MAX) {
            lose(pool, i);
            return false;
        }
        left -= granted_at(pool, at);
    }
    return true;
}

hpw_error guard_report_damaged(const hpw_pool *pool, hpw_report *report) {
    granule_t at = pool->guards->damaged;
    return pool_report_at(pool, report, HPW_CORRUPTED, damage_of(pool, at), 0, WRITTEN_AFTER_FREE);
}

hpw_error guard_expect(hpw_pool *pool, uint64_t size, hpw_report *report) {
    pool_guards *g = pool->guards;
    bool whole = oldest_are_whole(pool, size < g->quarantine ? g->quarantine - size : 0);
    return whole ? HPW_OK : guard_report_damaged(pool, report);
}

/* False: the index is broken, and it stays. */
static bool let_oldest_out(hpw_pool *pool) {
    pool_guards *g = pool->guards;
    granule_t at = queued_at(g, 0), size = blocks_size(&pool->index.map, at);
    uint64_t granted = pool_bytes(pool, size);
    work w = begin_work(pool);
    w.blocks--;
    if (is_broken(pool, &w) || !give(pool, &w, at, size)) {
        pool_note_broken(pool);
        return false;
    }
    add_work(pool, &w);
    g->first = g->first + 1 < g->room ? g->first + 1 : 0;
    g->count--;
    g->queued -= granted;
    g->held -= granted;
    g->held_count--;
    flip_held(pool, at);
    pool->counts.granted_room += (int64_t)granted;
    if (is_broken(pool, &w)) pool_note_broken(pool);
    return true;
}

void guard_hold(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    pool_guards *g = pool->guards;
    uint64_t start = pool_bytes(pool, at), granted = pool_bytes(pool, size);
    uint64_t place = (uint64_t)g->first + g->count;
    g->records[at].freed_site = site_now(pool);
    g->records[at].freed_thread = thread_now(pool);
    pattern_fill(pattern_poison(), pool->index.bytes, start, start + requested);
    g->queue[place < g->room ? place : place - g->room] = at;
    g->count++;
    g->queued += granted;
    g->held += granted;
    g->held_count++;
    flip_held(pool, at);
    while (g->queued > g->quarantine && let_oldest_out(pool)) {
    }
}

bool guard_empty(hpw_pool *pool) {
    pool_guards *g = pool->guards;
    if (!g->count || !oldest_are_whole(pool, 0)) return false;
    while (g->count && let_oldest_out(pool)) {
    }
    return !pool->index.broken;
}

void guard_forget(hpw_pool *pool) {
    pool_guards *g = pool->guards;
    memset(pool->held, 0, blocks_words(pool->max_capacity) * sizeof *pool->held);
    g->first = g->count = g->held_count = 0;
    g->queued = g->held = 0;
}

const char *guard_check(const hpw_pool *pool, granule_t *bad, uint64_t *byte) {
    const pool_guards *g = pool->guards;
    const blocks *map = &pool->index.map;
    uint64_t held = 0, queued = 0;
    granule_t count = 0;
    for (granule_t at = 0; at < map->count; at += blocks_size(map, at)) {
        if (!blocks_bit(pool->held, at)) continue;
        *bad = at;
        if (!blocks_is_live(map, at)) return "a block in quarantine is not in the map";
        held += granted_at(pool, at);
        count++;
        if ((*byte = damage_of(pool, at)) != UINT64_MAX) return WRITTEN_AFTER_FREE;
    }
    *bad = 0;
    for (granule_t i = 0; i < g->count; i++) {
        *bad = queued_at(g, i);
        if (*bad >= map->count || !blocks_bit(pool->held, *bad))
            return "a block in the queue is not in quarantine";
        queued += granted_at(pool, *bad);
    }
    *bad = 0;
    if (held != g->held || count != g->held_count || queued != g->queued || queued > g->quarantine)
        return "the counts of the quarantine are wrong";
    return NULL;
}

/* ---- The pool's calls ---- */

static void *allocate(hpw_pool *pool, uint64_t size) { return pool_allocate_aligned(pool, size, 0); }

static hpw_error release_expected(hpw_pool *pool, uint64_t address, const uint64_t *expected,
                                  hpw_report *report) {
    granule_t at, size;
    uint64_t requested, damaged;
    work w = begin_work(pool);
    if (is_broken(pool, &w)) return pool_report_broken(pool, report);
    pool->guards->damaged = NO_GRANULE;
    if (!pool_find_user(pool, address, &at, &size, &requested)) return pool_diagnose(pool, address, report);
    if ((damaged = pool_damage(pool, at, size, requested)) != UINT64_MAX)
        return pool_report_at(pool, report, HPW_CORRUPTED, damaged, 0, POOL_OVERRUN);
    if (expected && requested != *expected) return HPW_INVALID_ARGUMENT;
    hpw_error error = guard_expect(pool, pool_bytes(pool, size), report);
    if (error) return error;
    pool->counts.in_use_room += (int64_t)requested;
    pool->counts.frees++;
    blocks_note_freed(&pool->index.map, at, true);
    guard_hold(pool, at, size, requested);
    end_work(pool, &w, FREE_STEPS);
    pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FREE, .address = address, .size = requested});
    return HPW_OK;
}

static hpw_error release(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return release_expected(pool, address, NULL, report);
}

static hpw_error release_sized(hpw_pool *pool, uint64_t address, uint64_t size) {
    return release_expected(pool, address, &size, NULL);
}

const pool_calls guard_calls = {allocate, release, release_sized, NULL};

/* ---- Around them: the lock, and who calls ---- */

static void enter(hpw_pool *pool, uintptr_t caller) {
    pool_enter(pool);
    pool->guards->caller = caller;
}

static void leave(hpw_pool *pool) {
    pool->guards->caller = 0;
    pool_leave(pool);
}

/* A block of any alignment, its bytes written or not. */
static unsigned char *allocate_any(hpw_pool *pool, uint64_t size, uint64_t alignment, bool written) {
    unsigned char *block = alignment > pool_bytes(pool, 1) ? pool_allocate_over_aligned(pool, size, alignment)
                                                           : pool->inner.allocate(pool, size);
    if (!block) return NULL;
    guard_set_written(pool->guards, (uint64_t)(block - pool->index.bytes), size, written);
    return block;
}

hpw_error guard_allocate(hpw_pool *pool, uint64_t size, uint64_t alignment, uint64_t *address,
                         uintptr_t caller, hpw_report *report) {
    hpw_error error = HPW_OK;
    enter(pool, caller);
    const unsigned char *block = allocate_any(pool, size, alignment, false);
    if (block)
        *address = (uint64_t)(block - pool->index.bytes);
    else
        error = pool_report_refused(pool, report, 0, size);
    leave(pool);
    return error;
}

void *guard_malloc(hpw_pool *pool, uint64_t size, uint64_t alignment, uintptr_t caller) {
    enter(pool, caller);
    void *block = allocate_any(pool, size, alignment, true);
    leave(pool);
    return block;
}

hpw_error guard_resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved, uintptr_t caller,
                       hpw_report *report) {
    enter(pool, caller);
    hpw_error error = pool_resize_asking(pool, address, size, moved, report);
    leave(pool);
    return error;
}

void *guard_realloc(hpw_pool *pool, void *block, uint64_t size, uintptr_t caller) {
    uint64_t moved;
    enter(pool, caller);
    hpw_error error = pool_resize_asking(pool, hpw_address(pool, block), size, &moved, NULL);
    if (!error) guard_set_written(pool->guards, moved, size, true);
    leave(pool);
    return error ? NULL : pool->index.bytes + moved;
}

hpw_error guard_release(hpw_pool *pool, uint64_t address, uintptr_t caller, hpw_report *report) {
    enter(pool, caller);
    hpw_error error = pool->inner.release(pool, address, report);
    leave(pool);
    return error;
}

hpw_error guard_release_sized(hpw_pool *pool, uint64_t address, uint64_t size, uintptr_t caller) {
    enter(pool, caller);
    hpw_error error = pool->inner.release_sized(pool, address, size);
    leave(pool);
    return error;
}

/* What the public functions jump to at their end: so these return to where those do. */
static void *allocate_outer(hpw_pool *pool, uint64_t size) {
    uintptr_t caller = CALLER;
    return guard_malloc(pool, size, 0, caller);
}

static hpw_error release_outer(hpw_pool *pool, uint64_t address, hpw_report *report) {
    uintptr_t caller = CALLER;
    return guard_release(pool, address, caller, report);
}

static hpw_error free_outer(hpw_pool *pool, void *block) {
    uintptr_t caller = CALLER;
    uint64_t address = (uintptr_t)block - (uintptr_t)pool->index.bytes;
    return block ? guard_release(pool, address, caller, NULL) : HPW_OK;
}

static hpw_error release_sized_outer(hpw_pool *pool, uint64_t address, uint64_t size) {
    uintptr_t caller = CALLER;
    return guard_release_sized(pool, address, size, caller);
}

const pool_calls guard_outer_calls = {allocate_outer, release_outer, release_sized_outer, free_outer};
