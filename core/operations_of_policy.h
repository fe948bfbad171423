/* SPDX-License-Identifier: MIT */
/*
 * The pool's two calls for the policy named POLICY, whatever the pool is like:
 * included at the end of its file, before the struct. See also short_calls.h.
 */
#include "operations.h"

static void *allocate(hpw_pool *pool, uint64_t size) {
    granule_t granules = granules_for(pool, size), at = NO_GRANULE;
    if (granules != NO_GRANULE) at = place_request(pool, size, 0, &(request){.size = granules, .align = 1});
    if (at != NO_GRANULE) return granted(pool, at);
    pool_refuse(pool, 0, size, 0);
    return NULL;
}

/* `expected`: the size that it must have been requested with, NULL: any. */
APART hpw_error release_expected(hpw_pool *pool, uint64_t address, const uint64_t *expected,
                                 hpw_report *report) {
    granule_t at, size;
    uint64_t requested, damaged;
    work w = begin_work(pool);
    if (!pool_find_live(pool, address, &at, &size, &requested)) return pool_diagnose(pool, address, report);
    if ((damaged = pool_damage(pool, at, size, requested)) != UINT64_MAX)
        return pool_report_at(pool, report, HPW_CORRUPTED, damaged, 0, POOL_OVERRUN);
    if (expected && requested != *expected) return HPW_INVALID_ARGUMENT;
    count_gone(pool, size, requested);
    pool->counts.frees++;
    blocks_note_freed(&pool->index.map, at, true);
    w.blocks--;
    give(pool, &w, at, size);
    end_work(pool, &w, FREE_STEPS);
    if (pool->sink)
        pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FREE, .address = address, .size = requested});
    return HPW_OK;
}

static hpw_error release(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return release_expected(pool, address, NULL, report);
}

static hpw_error release_sized(hpw_pool *pool, uint64_t address, uint64_t size) {
    return release_expected(pool, address, &size, NULL);
}

#define GENERAL_CALLS                                                                                        \
    { allocate, release, release_sized, NULL }
