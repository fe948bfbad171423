/* SPDX-License-Identifier: MIT */
/*
 * Canaries: in a guarded pool, what the size record leaves of a block's slack. A
 * program that writes past the end of its block changes one before it can reach
 * the next block, unless the block has no slack at all.
 *
 *      | requested | canary | record |
 *
 * Written whenever the slack is noted, held against the record when the block is
 * freed or resized, and by hpw_check. Cost: O(slack), some 30 instructions for
 * that of a granule.
 */
#include "pattern.h"
#include "pool.h"

/* Bytes of the record of so much slack. */
static unsigned record_size(uint64_t slack) { return slack < SLACK_LONG ? 1 : 1 + sizeof slack; }

void canary_write(const hpw_pool *pool, granule_t at, granule_t size, uint64_t slack) {
    uint64_t end = pool_bytes(pool, at + size);
    pattern_fill(pattern_canary(slack), pool->index.bytes, end - slack, end - record_size(slack));
}

uint64_t canary_damage(const hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    uint64_t end = pool_bytes(pool, at + size), slack = pool_bytes(pool, size) - requested;
    if (!slack) return UINT64_MAX;
    pattern canary = pattern_canary(slack);
    uint64_t first = end - slack, record = end - record_size(slack);
    if (MOSTLY(pattern_is_whole(canary, pool->index.bytes, first, record))) return UINT64_MAX;
    return pattern_damage(canary, pool->index.bytes, first, record);
}
