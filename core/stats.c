/* SPDX-License-Identifier: MIT */
/* What a pool says of itself: statistics, the walk over its blocks, reports of faults, names. */
#include "guard.h"

/* Where the index is broken, or breaks here, which nothing notes, the map is asked. */
uint64_t pool_largest_free(const hpw_pool *pool) {
    free_index scratch = pool->index; /* looking for the largest block counts no steps */
    granule_t largest = scratch.broken ? 0 : pool->policy->largest(&scratch);
    return pool_bytes(pool, scratch.broken ? blocks_largest_free(&pool->index.map) : largest);
}

void hpw_get_stats(const hpw_pool *pool, hpw_stats *out) {
    pool_enter(pool);
    const tally *counts = &pool->counts;
    uint64_t live = counts->allocations - counts->frees, least = counts->allocations ? ALLOCATION_STEPS : 0;
    *out = (hpw_stats){
        .capacity = pool_bytes(pool, pool->index.map.count),
        .in_use = tally_in_use(counts),
        .granted = tally_granted(counts),
        .live_blocks = live,
        .free_blocks = counts->blocks - live - (pool->guards ? pool->guards->held_count : 0),
        .free = pool_bytes(pool, pool->index.map.count) - tally_granted(counts),
        .largest_free = pool_largest_free(pool),
        .peak_in_use = counts->peak_in_use,
        .peak_granted = counts->peak_granted,
        .high_water = pool_bytes(pool, counts->high_water),
        .allocations = counts->allocations,
        .frees = counts->frees,
        .reallocations = counts->reallocations,
        .failures = counts->failures,
        .injected = pool->injection.ever,
        .steps = pool->index.steps + ALLOCATION_STEPS * counts->allocations + FREE_STEPS * counts->frees,
        .steps_max = counts->steps_max > least ? counts->steps_max : least,
        .metadata = pool->metadata_size,
        .quarantined = pool->guards ? pool->guards->held : 0,
    };
    pool_leave(pool);
}

bool hpw_next_block(hpw_pool *pool, uint64_t *cursor, hpw_block *out) {
    pool_enter(pool);
    bool found = pool_holds(pool, *cursor);
    uint64_t granule = (*cursor >> pool->index.shift) + ((*cursor & (pool_bytes(pool, 1) - 1)) != 0);
    granule_t at = found ? blocks_next_start(&pool->index.map, (granule_t)granule) : 0;
    found = found && at < pool->index.map.count;
    if (found) {
        granule_t size = blocks_size(&pool->index.map, at);
        *out = (hpw_block){
            .address = pool_bytes(pool, at),
            .size = pool_bytes(pool, size),
            .live = blocks_is_live(&pool->index.map, at) && !pool_is_held(pool, at),
            .quarantined = pool_is_held(pool, at),
        };
        if (pool->guards && (out->live || out->quarantined)) out->origin = guard_origin(pool, at);
        if (out->live && !pool_requested(pool, at, size, &out->requested))
            pool_claimed(pool, at, size, &out->requested);
        *cursor = out->address + out->size;
    }
    pool_leave(pool);
    return found;
}

hpw_error pool_report(hpw_report *report, hpw_error error, uint64_t address, uint64_t size,
                      const char *what) {
    if (report) *report = (hpw_report){.error = error, .address = address, .size = size, .what = what};
    return error;
}

hpw_error pool_report_at(const hpw_pool *pool, hpw_report *report, hpw_error error, uint64_t address,
                         uint64_t size, const char *what) {
    pool_report(report, error, address, size, what);
    if (!report || !pool_holds(pool, address)) return error;
    granule_t asked = pool_granule(pool, address), at = blocks_owner(&pool->index.map, asked);
    granule_t granules = blocks_size(&pool->index.map, at);
    report->block = pool_bytes(pool, at);
    report->quarantined = pool_is_held(pool, at);
    report->in_live_block = blocks_is_live(&pool->index.map, at) && !report->quarantined;
    if (pool->guards)
        report->origin = guard_origin(pool, report->in_live_block || report->quarantined ? at : asked);
    report->in_free_block = !report->in_live_block;
    report->block_size = pool_bytes(pool, granules);
    report->claimed = report->in_live_block && pool_claimed(pool, at, granules, &report->block_size);
    if (report->in_live_block && !report->claimed) pool_requested(pool, at, granules, &report->block_size);
    return error;
}

const char *hpw_error_name(hpw_error error) {
    static const char *const names[] = {
        [HPW_OK] = "ok",
        [HPW_NO_MEMORY] = "no_memory",
        [HPW_INVALID_FREE] = "invalid_free",
        [HPW_DOUBLE_FREE] = "double_free",
        [HPW_UNALLOCATED] = "unallocated",
        [HPW_OUT_OF_BOUNDS] = "out_of_bounds",
        [HPW_INVALID_ARGUMENT] = "invalid_argument",
        [HPW_CORRUPTED] = "corrupted",
        [HPW_LIMIT] = "limit",
        [HPW_IO] = "io",
        [HPW_UNINITIALISED] = "uninitialised",
    };
    return (unsigned)error < HPW_ERROR_COUNT ? names[error] : "unknown";
}
