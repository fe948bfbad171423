/* SPDX-License-Identifier: MIT */
/*
 * The two calls that have to be fast, for the policy named POLICY: included at
 * the end of its file, before the struct, which takes them as .allocate and
 * .release. The lock is held.
 */
#include "operations.h"

/* `want->align` is known where this is inlined, so that what only alignment needs is left out. */
HOT hpw_error place_request(hpw_pool *pool, uint64_t size, uint64_t alignment, const request *want,
                            granule_t *at, hpw_report *report) {
    uint64_t steps = pool->index.steps;
    placement place = find(pool, want);
    if (place.block == NO_GRANULE) {
        count_steps(pool, steps);
        return pool_refuse(pool, 0, size, alignment, report);
    }
    take(pool, place, want->size, size);
    count_steps(pool, steps);
    count_live(pool, place.at, want->size, size);
    pool->counts.allocations++;
    blocks_note_freed(&pool->index.map, place.at, want->align > 1); /* of a live block: over-aligned */
    *at = place.at;
    if (pool->sink) pool_emit_alloc(pool, place.at, size, want->align > 1 ? alignment : 0);
    return HPW_OK;
}

static hpw_error allocate_aligned(hpw_pool *pool, uint64_t size, uint64_t alignment, granule_t *at,
                                  hpw_report *report) {
    request want = {.size = granules_for(pool, size)};
    if (want.size == NO_GRANULE || !pool_align(pool, &want, alignment))
        return pool_refuse(pool, 0, size, alignment, report);
    return place_request(pool, size, alignment, &want, at, report);
}

static hpw_error allocate(hpw_pool *pool, uint64_t size, uint64_t alignment, granule_t *at,
                          hpw_report *report) {
    if (alignment > pool_bytes(pool, 1)) return allocate_aligned(pool, size, alignment, at, report);
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
