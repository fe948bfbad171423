/* SPDX-License-Identifier: MIT */
/*
 * The two calls that have to be fast, for the policy named POLICY: included at
 * the end of its file, before the struct, which takes them as .allocate and
 * .release. The lock is held.
 */
#include "operations.h"

static hpw_error allocate(hpw_pool *pool, uint64_t size, uint64_t alignment, granule_t *at,
                          hpw_report *report) {
    if (alignment > pool_bytes(pool, 1)) return pool_allocate_aligned(pool, size, alignment, at, report);
    granule_t granules = granules_for(pool, size);
    if (granules == NO_GRANULE) return pool_refuse(pool, 0, size, alignment, report);
    return place_request(pool, size, 0, &(request){.size = granules, .align = 1}, at, report);
}

static hpw_error release(hpw_pool *pool, uint64_t address, const uint64_t *expected, hpw_report *report) {
    granule_t at, size;
    uint64_t requested, steps = pool->index.steps;
    if (!pool_find_live(pool, address, &at, &size, &requested)) return pool_diagnose(pool, address, report);
    if (expected && *expected != requested)
        return pool_report_at(pool, report, HPW_INVALID_ARGUMENT, address, *expected,
                              "the block has another size");
    count_gone(pool, size, requested);
    blocks_note_freed(&pool->index.map, at, true);
    give(pool, at, size);
    count_steps(pool, steps);
    pool->counts.frees++;
    if (pool->sink)
        pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FREE, .address = address, .size = requested});
    return HPW_OK;
}
