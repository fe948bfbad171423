/* SPDX-License-Identifier: MIT */
/*
 * Allocation and freeing: ask the policy, edit the block map, count, tell. Placing
 * and freeing themselves are in operations.h, compiled for each policy; here is what
 * calls them, and what is not so often called: growing, reset. Beside it only
 * resize.c, compact.c and image_restore.c change the map of an open pool, by the same
 * steps.
 *
 * Every public operation: enter; validate; find (the policy's work); commit
 * (the map's, which cannot fail); count; emit; leave.
 */
#define POLICY (*pool->policy)
#include "guard.h"
#include "operations.h"

static void set_end(hpw_pool *pool, granule_t end) {
    blocks_set_end(&pool->index.map, end);
    pool->plain = pool->guards ? 0 : end;
}

void pool_fill(hpw_pool *pool) {
    granule_t count = pool->capacity;
    work w = begin_work(pool);
    hold(pool, 0, count);
    set_end(pool, count);
    add_pieces(pool, &w, 0, count);
    add_work(pool, &w);
    pool->index.steps = 0;
}

/* ---- Growing and shrinking ---- */

/* The last block, where it is free; NO_GRANULE where it is live. */
static granule_t free_tail(const hpw_pool *pool) {
    granule_t last = blocks_previous(&pool->index.map, pool->index.map.count);
    return blocks_is_live(&pool->index.map, last) ? NO_GRANULE : last;
}

/* Where what is free at the end begins, the end itself where that is live: several blocks may be free there,
 * buddies or slots. */
static granule_t free_end(const hpw_pool *pool) {
    granule_t end = pool->index.map.count;
    while (end) {
        granule_t previous = blocks_previous(&pool->index.map, end);
        if (blocks_is_live(&pool->index.map, previous)) break;
        end = previous;
    }
    return end;
}

void pool_extend(hpw_pool *pool, granule_t end) {
    granule_t from = pool->index.map.count;
    work w = begin_work(pool);
    set_end(pool, end);
    hold(pool, from, end - from);
    add_pieces(pool, &w, from, end - from);
    add_work(pool, &w);
}

static void shrink(hpw_pool *pool, granule_t end) {
    work w = begin_work(pool);
    for (granule_t old = pool->index.map.count; pool->index.map.count > end;) {
        granule_t tail = free_tail(pool), size = pool->index.map.count - tail;
        if (!index_remove(pool, &w, tail, size)) w.blocks--; /* broken: only the map is kept */
        if (tail >= end) {
            blocks_erase(&pool->index.map, tail);
            set_end(pool, tail);
        } else {
            hold(pool, tail, end - tail);
            set_end(pool, end);
            add_pieces(pool, &w, tail, end - tail);
        }
        if (pool->index.map.count <= end && pool->discard)
            pool->discard(pool, pool_bytes(pool, pool->index.map.count), pool_bytes(pool, old));
    }
    add_work(pool, &w);
}

/* A pool that grew gives its free end back, all but a step of it. */
void pool_trim(hpw_pool *pool) {
    granule_t tail = free_end(pool), step = pool->growth_step;
    if (pool->index.map.count - tail < 2 * step) return;
    granule_t end = (tail + step - 1) / step * step + step;
    if (end < pool->capacity) end = pool->capacity;
    if (end < pool->index.map.count) shrink(pool, end);
}

/* Grows until `want` fits; as the pool was where it never does. */
placement pool_grow_for(hpw_pool *pool, const request *want) {
    granule_t old = pool->index.map.count, step = pool->growth_step, from = free_end(pool);
    placement found = placement_none();
    if (place_in(want, from, pool->max_capacity - from) == NO_GRANULE) return found;
    for (uint64_t end = from; pool->index.map.count < pool->max_capacity && found.block == NO_GRANULE &&
                              !pool->index.broken && !pool_policy_failed(pool);) {
        end += (uint64_t)want->align - 1 + want->size;
        if (end <= pool->index.map.count) end = (uint64_t)pool->index.map.count + 1;
        end = (end + step - 1) / step * step;
        if (end > pool->max_capacity) end = pool->max_capacity;
        pool_extend(pool, (granule_t)end);
        work w = begin_work(pool);
        found = find_here(pool, &w, want);
        add_work(pool, &w);
    }
    if (found.block == NO_GRANULE) shrink(pool, old);
    return found;
}

/* ---- Allocate ---- */

uint64_t pool_guarded_size(const hpw_pool *pool, uint64_t size) {
    uint64_t zone = pool->claiming ? 0 : pool->red_zone;
    return size <= UINT64_MAX - zone ? size + zone : UINT64_MAX;
}

/* Was a block in quarantine found written to in this call? Then that is what it answers. */
static bool found_damage(const hpw_pool *pool) { return pool->guards && pool->guards->damaged != NO_GRANULE; }

void pool_refuse_request(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t alignment) {
    if (found_damage(pool))
        inject_note_latest(pool, 0);
    else
        pool_refuse(pool, address, size, alignment);
}

void *pool_allocate_aligned(hpw_pool *pool, uint64_t size, uint64_t alignment) {
    uint64_t align = alignment >> pool->index.shift;
    granule_t granules = granules_for(pool, pool_guarded_size(pool, size)), at = NO_GRANULE;
    bool never = align > (uint64_t)1 << 31 || (pool->most_align && alignment > pool->most_align);
    if (pool->guards) pool->guards->damaged = NO_GRANULE;
    if (granules != NO_GRANULE && !never) {
        request want = {.size = granules, .align = align ? (granule_t)align : 1};
        want.skew = pool->skew & (want.align - 1);
        at = place_request(pool, size, alignment, &want, validates(pool));
        if (at == NO_GRANULE && pool->guards && !pool->index.broken && !pool_policy_failed(pool) &&
            guard_empty(pool))
            at = place_request(pool, size, alignment, &want, validates(pool));
    }
    if (at == NO_GRANULE) {
        if (pool->index.broken)
            pool_note_broken(pool);
        else
            pool_refuse_request(pool, 0, size, alignment);
        return NULL;
    }
    if (pool->guards) guard_note_allocated(pool, at);
    return granted(pool, at);
}

void *pool_allocate_over_aligned(hpw_pool *pool, uint64_t size, uint64_t alignment) {
    bool refused = pool->injection.on && inject_refuses(pool, 0, size, alignment);
    void *block = refused ? NULL : pool_allocate_aligned(pool, size, alignment);
    if (block && alignment > pool->largest_align) pool->largest_align = alignment;
    return block;
}

static void *allocate_aligned(hpw_pool *pool, uint64_t size, uint64_t alignment) {
    pool_enter(pool);
    void *block = pool_allocate_over_aligned(pool, size, alignment);
    pool_leave(pool);
    return block;
}

void pool_refuse(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t alignment) {
    pool->counts.failures++;
    host_policy *host = pool_host_policy(pool);
    if (host) {
        host->refused = host->failure;
        host->failure = (policy_failure){HPW_OK, 0, NULL};
    }
    inject_note_latest(pool, 0);
    pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FAILURE,
                                .address = address,
                                .previous = address,
                                .size = size,
                                .alignment = alignment});
}

hpw_error pool_report_refused(const hpw_pool *pool, hpw_report *report, uint64_t address, uint64_t size) {
    if (pool->index.broken) return pool_report_broken(pool, report);
    uint64_t number = inject_latest(pool);
    if (!number && found_damage(pool)) return guard_report_damaged(pool, report);
    const host_policy *host = number ? NULL : pool_host_policy(pool);
    if (host && host->refused.error)
        return pool_report_at(pool, report, host->refused.error, host->refused.address, size,
                              host->refused.what);
    const char *what = number ? "injected: refused by plan" : "no free block holds the request";
    pool_report_at(pool, report, HPW_NO_MEMORY, address, size, what);
    if (report) report->injected = number;
    return HPW_NO_MEMORY;
}

void pool_emit_alloc(hpw_pool *pool, granule_t at, uint64_t size, uint64_t alignment) {
    pool_emit(pool, (hpw_event){.kind = HPW_EVENT_ALLOC,
                                .address = pool_bytes(pool, at),
                                .size = size,
                                .alignment = alignment});
}

hpw_error hpw_allocate(hpw_pool *pool, uint64_t size, uint64_t alignment, uint64_t *address,
                       hpw_report *report) {
    if (alignment & (alignment - 1))
        return pool_report(report, HPW_INVALID_ARGUMENT, alignment, size,
                           "the alignment is not a power of two");
    if (pool->guards) return guard_allocate(pool, size, alignment, address, CALLER, report);
    unsigned char *block = alignment > pool_bytes(pool, 1) ? allocate_aligned(pool, size, alignment)
                                                           : pool->outer.allocate(pool, size);
    if (!block) {
        pool_enter(pool);
        hpw_error error = pool->index.broken ? pool_report_broken(pool, report)
                                             : pool_report_refused(pool, report, 0, size);
        pool_leave(pool);
        return error;
    }
    *address = (uint64_t)(block - pool->index.bytes);
    return HPW_OK;
}

void *hpw_malloc(hpw_pool *pool, size_t size) {
    if (ASKS_GUARDS(pool)) return guard_malloc(pool, size, 0, CALLER);
    return pool->outer.allocate(pool, size);
}

void *hpw_aligned_alloc(hpw_pool *pool, size_t alignment, size_t size) {
    uint64_t address;
    if (pool->guards && alignment && !(alignment & (alignment - 1)))
        return guard_malloc(pool, size, alignment, CALLER);
    if (!alignment || hpw_allocate(pool, size, alignment, &address, NULL)) return NULL;
    return pool->index.bytes + address;
}

void *hpw_calloc(hpw_pool *pool, size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) {
        pool_enter(pool);
        pool_refuse(pool, 0, UINT64_MAX, 0);
        pool_leave(pool);
        return NULL;
    }
    void *block = pool->guards ? guard_malloc(pool, count * size, 0, CALLER) : hpw_malloc(pool, count * size);
    return block ? memset(block, 0, count * size) : NULL;
}

/* ---- Free ---- */

hpw_error pool_diagnose(const hpw_pool *pool, uint64_t address, hpw_report *report) {
    if (!pool_holds(pool, address))
        return pool_report(report, HPW_INVALID_FREE, address, 0, "the address lies outside of the pool");
    granule_t at = pool_granule(pool, address);
    const blocks *map = &pool->index.map;
    if (address == pool_bytes(pool, at)) {
        if (blocks_is_live(map, at) && !pool_is_held(pool, at)) {
            if (pool_claimed(pool, at, blocks_size(map, at), &(uint64_t){0}))
                return pool_report_at(pool, report, HPW_INVALID_FREE, address, 0,
                                      "the block is a Lua state's");
            return pool_report_at(pool, report, HPW_CORRUPTED, address, 0,
                                  "the block's size record was overwritten");
        }
        bool freed = map->freed ? blocks_bit(map->freed, at) : !blocks_is_live(map, blocks_owner(map, at));
        if (freed)
            return pool_report_at(pool, report, HPW_DOUBLE_FREE, address, 0, "the block was freed before");
    }
    return pool_report_at(pool, report, HPW_INVALID_FREE, address, 0, "no live block starts here");
}

hpw_error hpw_release(hpw_pool *pool, uint64_t address, hpw_report *report) {
    if (ASKS_GUARDS(pool)) return guard_release(pool, address, CALLER, report);
    return pool->outer.release(pool, address, report);
}

/* Where a pointer lies from the pool's first byte on; one into other memory lies past every block. */
static uint64_t offset_of(const hpw_pool *pool, const void *block) {
    return (uintptr_t)block - (uintptr_t)pool->index.bytes;
}

hpw_error hpw_free(hpw_pool *pool, void *block) {
    if (ASKS_GUARDS(pool) && block) return guard_release(pool, offset_of(pool, block), CALLER, NULL);
    return pool->outer.free(pool, block);
}

hpw_error hpw_free_sized(hpw_pool *pool, void *block, size_t size) {
    if (ASKS_GUARDS(pool) && block) return guard_release_sized(pool, offset_of(pool, block), size, CALLER);
    return block ? pool->outer.release_sized(pool, offset_of(pool, block), size) : HPW_OK;
}

/* ---- Which way ---- */

/* hpw_free by the pool's `release`. */
static hpw_error free_by_release(hpw_pool *pool, void *block) {
    return block ? pool->outer.release(pool, offset_of(pool, block), NULL) : HPW_OK;
}

/* The calls under the host's lock. */
static void *allocate_hosted(hpw_pool *pool, uint64_t size) {
    pool->host.lock(pool->host.ud);
    void *block = pool->inner.allocate(pool, size);
    pool->host.unlock(pool->host.ud);
    return block;
}

static hpw_error release_hosted(hpw_pool *pool, uint64_t address, hpw_report *report) {
    pool->host.lock(pool->host.ud);
    hpw_error error = pool->inner.release(pool, address, report);
    pool->host.unlock(pool->host.ud);
    return error;
}

static hpw_error release_sized_hosted(hpw_pool *pool, uint64_t address, uint64_t size) {
    pool->host.lock(pool->host.ud);
    hpw_error error = pool->inner.release_sized(pool, address, size);
    pool->host.unlock(pool->host.ud);
    return error;
}

#ifndef HPW_FREESTANDING
/* Under the pool's own. */
static void *allocate_locked(hpw_pool *pool, uint64_t size) {
    lock_enter(pool->lock);
    void *block = pool->inner.allocate(pool, size);
    lock_leave(pool->lock);
    return block;
}

static hpw_error release_locked(hpw_pool *pool, uint64_t address, hpw_report *report) {
    lock_enter(pool->lock);
    hpw_error error = pool->inner.release(pool, address, report);
    lock_leave(pool->lock);
    return error;
}

static hpw_error release_sized_locked(hpw_pool *pool, uint64_t address, uint64_t size) {
    lock_enter(pool->lock);
    hpw_error error = pool->inner.release_sized(pool, address, size);
    lock_leave(pool->lock);
    return error;
}
#endif

static pool_calls outer_calls(const hpw_pool *pool) {
    if (pool->guards) return guard_outer_calls;
    if (pool->locking == LOCKING_NONE) return pool->inner;
#ifndef HPW_FREESTANDING
    if (pool->locking == LOCKING_CACHED) return pool->policy->cached;
    if (pool->locking == LOCKING_OWN)
        return (pool_calls){allocate_locked, release_locked, release_sized_locked, NULL};
#endif
    return (pool_calls){allocate_hosted, release_hosted, release_sized_hosted, NULL};
}

static pool_calls short_way(const hpw_pool *pool) {
    if (pool->index.shift != PLAIN_SHIFT || pool->sink || pool->index.grows || pool->guards ||
        pool->index.broken)
        return (pool_calls){NULL, NULL, NULL, NULL};
    return pool->index.map.freed ? pool->policy->remembering : pool->policy->calls[pool->index.order];
}

const pool_calls *pool_general(const hpw_pool *pool) {
    if (pool->guards) return &guard_calls;
    return validates(pool) ? &pool->policy->validating : &pool->policy->general;
}

void pool_choose_way(hpw_pool *pool) {
    pool_calls way = short_way(pool);
    pool->inner = way.allocate && !pool->cache_count && !pool->injection.on ? way : *pool_general(pool);
    if (pool->injection.on) pool->inner.allocate = inject_allocate;
    if (!pool->inner.release_sized) pool->inner.release_sized = pool_general(pool)->release_sized;
    if (pool->locking != LOCKING_NONE && pool->outer.allocate) return; /* other threads may be reading it */
    pool->outer = outer_calls(pool);
    if (!pool->outer.free) pool->outer.free = free_by_release;
}

void pool_note_broken(hpw_pool *pool) {
    pool_choose_way(pool); /* the general ones, which ask */
#ifndef HPW_FREESTANDING
    if (pool->caches) caches_note_broken(pool);
#endif
}

hpw_error pool_report_broken(const hpw_pool *pool, hpw_report *report) {
    return pool_report_at(pool, report, HPW_CORRUPTED, pool_bytes(pool, pool->index.broken_at), 0,
                          pool->index.broken);
}

/* ---- Trim and reset ---- */

hpw_error hpw_trim(hpw_pool *pool) {
    pool_enter(pool);
    work w = begin_work(pool);
    bool refuses = is_broken(pool, &w);
    if (!refuses && pool->policy->returns_run) give_runs_back(pool, &w, true);
    add_work(pool, &w);
    if (!refuses && !pool->policy->keeps_freed && pool->index.map.count > pool->capacity) pool_trim(pool);
    if (!refuses && is_broken(pool, &w)) pool_note_broken(pool);
    pool_leave(pool);
    return refuses ? HPW_CORRUPTED : HPW_OK;
}

void pool_reset(hpw_pool *pool) {
    blocks *map = &pool->index.map;
    for (granule_t at = 0; at < map->count; at += blocks_size(map, at)) {
        if (!blocks_is_live(map, at) || pool_is_held(pool, at)) continue;
        granule_t size = blocks_size(map, at);
        uint64_t requested = 0;
        blocks_note_freed(map, at, true);
        pool_requested(pool, at, size, &requested);
        pool->counts.frees++;
        pool->index.steps -= FREE_STEPS; /* which this one did not take */
        pool_emit(pool,
                  (hpw_event){.kind = HPW_EVENT_FREE, .address = pool_bytes(pool, at), .size = requested});
    }
    granule_t count = map->count;
    if (pool->guards) guard_forget(pool);
    pool->largest_align = 0;
    pool->counts.in_use_room = (int64_t)pool->counts.peak_in_use;
    pool->counts.granted_room = (int64_t)pool->counts.peak_granted;
    pool->counts.blocks = 0;
    blocks_clear(map);
    size_t kept = pool->policy->by_host ? sizeof(host_policy) : 0;
    memset((unsigned char *)pool->index.state + kept, 0, pool->state_bytes - kept);
    pool->index.broken = NULL; /* whose links are forgotten with all the rest of it */
    pool_open_policy(pool);
    pool_note_broken(pool);
    uint64_t steps = pool->index.steps;
    work w = begin_work(pool);
    hold(pool, 0, count);
    set_end(pool, count);
    add_pieces(pool, &w, 0, count);
    add_work(pool, &w);
    if (map->count > pool->capacity) pool_trim(pool);
    pool->index.steps = steps;
}

hpw_error hpw_reset(hpw_pool *pool) {
    pool_enter(pool);
    bool may = !pool->accounts;
    if (may) pool_reset(pool);
    pool_leave(pool);
    return may ? HPW_OK : HPW_INVALID_ARGUMENT;
}
