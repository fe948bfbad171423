/* SPDX-License-Identifier: MIT */
/*
 * The pool's two calls for the policy named POLICY, whatever the pool is like:
 * included at the end of its file, before the struct. See also short_calls.h.
 */
#include "operations.h"

HOT void *allocate_so(hpw_pool *pool, uint64_t size, bool validates) {
    granule_t granules = granules_for(pool, size), at = NO_GRANULE;
    if (granules != NO_GRANULE)
        at = place_request(pool, size, 0, &(request){.size = granules, .align = 1}, validates);
    if (at != NO_GRANULE) return granted(pool, at);
    if (validates && pool->index.broken)
        pool_note_broken(pool);
    else
        pool_refuse(pool, 0, size, 0);
    return NULL;
}

/* `expected`: the size that it must have been requested with, NULL: any. */
HOT hpw_error release_so(hpw_pool *pool, uint64_t address, const uint64_t *expected, hpw_report *report,
                         bool validates) {
    granule_t at, size;
    uint64_t requested, damaged;
    work w = begin_work_so(pool, validates);
    if (is_broken(pool, &w)) return pool_report_broken(pool, report);
    if (!pool_find_live(pool, address, &at, &size, &requested)) return pool_diagnose(pool, address, report);
    if ((damaged = pool_damage(pool, at, size, requested)) != UINT64_MAX)
        return pool_report_at(pool, report, HPW_CORRUPTED, damaged, 0, POOL_OVERRUN);
    if (expected && requested != *expected) return HPW_INVALID_ARGUMENT;
    w.blocks--;
    if (!give(pool, &w, at, size)) {
        pool_note_broken(pool);
        return pool_report_broken(pool, report);
    }
    count_gone(pool, size, requested);
    pool->counts.frees++;
    blocks_note_freed(&pool->index.map, at, true);
    end_work(pool, &w, FREE_STEPS);
    if (is_broken(pool, &w)) pool_note_broken(pool); /* by what the free made possible, after it */
    if (pool->sink)
        pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FREE, .address = address, .size = requested});
    return HPW_OK;
}

static void *allocate(hpw_pool *pool, uint64_t size) { return allocate_so(pool, size, false); }

APART hpw_error release_expected(hpw_pool *pool, uint64_t address, const uint64_t *expected,
                                 hpw_report *report) {
    return release_so(pool, address, expected, report, false);
}

static hpw_error release(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return release_expected(pool, address, NULL, report);
}

static hpw_error release_sized(hpw_pool *pool, uint64_t address, uint64_t size) {
    return release_expected(pool, address, &size, NULL);
}

#define GENERAL_CALLS                                                                                        \
    { allocate, release, release_sized, NULL }

/* The same for pools that validate what lies in free blocks, of policies that keep something there. */
#define VALIDATING_CALLS                                                                                     \
    { allocate_validating, release_validating, release_sized_validating, NULL }

static inline void *allocate_validating(hpw_pool *pool, uint64_t size) {
    return allocate_so(pool, size, true);
}

APART hpw_error release_expected_validating(hpw_pool *pool, uint64_t address, const uint64_t *expected,
                                            hpw_report *report) {
    return release_so(pool, address, expected, report, true);
}

static inline hpw_error release_validating(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return release_expected_validating(pool, address, NULL, report);
}

static inline hpw_error release_sized_validating(hpw_pool *pool, uint64_t address, uint64_t size) {
    return release_expected_validating(pool, address, &size, NULL);
}
