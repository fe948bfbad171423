/* SPDX-License-Identifier: MIT */
/*
 * The one expensive check of everything that must hold, cheap things first: the
 * block map in itself, then each block against its neighbours and its own size
 * record, then the counts, then the policy's index.
 */
#include "guard.h"

typedef struct sums {
    uint64_t in_use, granted, live, free; /* bytes, bytes, blocks, blocks */
    granule_t largest;
} sums;

static bool may_be_joined(hpw_pool *pool, granule_t left, granule_t right, granule_t right_size) {
    const policy *p = pool->policy;
    if (p->in_run && (p->in_run(&pool->index, left) || p->in_run(&pool->index, right))) return false;
    return !p->may_join || p->may_join(&pool->index, left, right, right_size);
}

/* Sets *byte too, where one was overwritten. */
static const char *check_blocks(hpw_pool *pool, sums *sum, granule_t *bad, uint64_t *byte) {
    const blocks *map = &pool->index.map;
    granule_t previous = NO_GRANULE; /* where it is free */
    for (granule_t at = 0, size; at < map->count; at += size) {
        size = blocks_size(map, at);
        *bad = at;
        if (!blocks_is_live(map, at)) {
            sum->free++;
            if (size > sum->largest) sum->largest = size;
            if (previous != NO_GRANULE && may_be_joined(pool, previous, at, size))
                return "two free neighbours that may be joined are not";
            previous = at;
            continue;
        }
        uint64_t requested;
        previous = NO_GRANULE;
        if (pool_is_held(pool, at)) {
            sum->granted += pool_bytes(pool, size);
            continue;
        }
        if (pool_large_claimed(pool, at, size) || !pool_requested(pool, at, size, &requested)) {
            if (!pool_claimed(pool, at, size, &requested)) return "a block's size record was overwritten";
        } else if ((*byte = pool_damage(pool, at, size, requested)) != UINT64_MAX) {
            return POOL_OVERRUN;
        }
        sum->live++;
        sum->in_use += requested;
        sum->granted += pool_bytes(pool, size);
    }
    *bad = 0;
    return NULL;
}

static const char *check_counts(const hpw_pool *pool, const sums *sum) {
    const tally *counts = &pool->counts;
    if (tally_in_use(counts) != sum->in_use) return "the count of bytes in use is wrong";
    if (tally_granted(counts) != sum->granted) return "the count of granted bytes is wrong";
    if (counts->in_use_room < 0 || counts->granted_room < 0) return "a peak is below what it is the peak of";
    if (counts->allocations - counts->frees != sum->live)
        return "allocations less frees are not the live blocks";
    granule_t held = pool->guards ? pool->guards->held_count : 0;
    if (counts->blocks - held - sum->live != sum->free) return "the count of free blocks is wrong";
    return NULL;
}

static const char *check(hpw_pool *pool, granule_t *bad, uint64_t *byte) {
    const char *wrong;
    sums sum = {0};
    if (!blocks_check(&pool->index.map, pool->max_capacity, bad, &wrong)) return wrong;
    if ((wrong = check_blocks(pool, &sum, bad, byte)) || (wrong = check_counts(pool, &sum))) return wrong;
    if (pool->guards && (wrong = guard_check(pool, bad, byte))) return wrong;
    if ((wrong = pool->policy->check(&pool->index, (size_t)sum.free, bad))) return wrong;
    *bad = 0;
    if (pool->policy->largest(&pool->index) != sum.largest) return "the largest free block is another one";
    return NULL;
}

hpw_error hpw_refuses(hpw_pool *pool, hpw_report *report) {
    pool_enter(pool);
    hpw_error error = pool->index.broken ? pool_report_broken(pool, report) : HPW_OK;
    pool_leave(pool);
    return error;
}

hpw_error hpw_check(hpw_pool *pool, hpw_report *report) {
    granule_t bad = 0;
    uint64_t byte = UINT64_MAX;
    hpw_error error = HPW_OK;
    pool_enter(pool);
    uint64_t steps = pool->index.steps;
    const char *wrong = pool->index.broken;
    if (wrong)
        bad = pool->index.broken_at;
    else
        wrong = check(pool, &bad, &byte);
    pool->index.steps = steps;
    if (byte != UINT64_MAX) /* the map is sound */
        error = pool_report_at(pool, report, HPW_CORRUPTED, byte, 0, wrong);
    else if (wrong)
        error = pool_report(report, HPW_CORRUPTED, pool_bytes(pool, bad), 0, wrong);
    pool_leave(pool);
    return error;
}
