/* SPDX-License-Identifier: MIT */
/* Claimed blocks: see claim.h. A block is made an ordinary one before the pool frees or resizes it. */
#include "claim.h"

#include "guard.h"

/* While its claimed blocks are at work, the pool is entered: see hpw_pool.claiming. */
static void enter(hpw_pool *pool) {
    pool_enter(pool);
    pool->claiming = true;
}

/*
 * The owner is no one to be told that a block in quarantine was written to: that one is out of use now,
 * hpw_check tells of it, and the call is made again.
 */
static bool met_damage(const hpw_pool *pool, hpw_error error) {
    return error == HPW_CORRUPTED && pool->guards && pool->guards->damaged != NO_GRANULE;
}

static void leave(hpw_pool *pool) {
    pool->claiming = false;
    pool_leave(pool);
}

enum { TAG_SHIFT = 56 };

/* Is a block of `size` bytes to be told by the bitmap? */
static bool is_cell(const hpw_pool *pool, uint64_t size, unsigned tag) {
    return tag == 0 && size > pool_bytes(pool, POOL_CELL);
}

/* What the pool is to grant: with room for the record, never whole granules, so that it has slack. */
static uint64_t wanted(const hpw_pool *pool, uint64_t size, unsigned tag) {
    if (is_cell(pool, size, tag)) return size;
    uint64_t want = size + CLAIM_END;
    return want % pool_bytes(pool, 1) ? want : want + 1;
}

static void write_record(const hpw_pool *pool, granule_t at, granule_t size, uint64_t record) {
    unsigned char *end = pool->index.bytes + pool_bytes(pool, at + size);
    memcpy(end - CLAIM_END, &record, sizeof record);
    end[-1] = SLACK_LONG;
}

static bool has_record(const hpw_pool *pool, granule_t at, granule_t size, uint64_t *record) {
    uint64_t granted = pool_bytes(pool, size);
    const unsigned char *end = pool->index.bytes + pool_bytes(pool, at) + granted;
    if (!blocks_has_slack(&pool->index.map, at) || granted < CLAIM_END || end[-1] != SLACK_LONG) return false;
    memcpy(record, end - CLAIM_END, sizeof *record);
    return *record & POOL_CLAIMED;
}

bool pool_claimed(const hpw_pool *pool, granule_t at, granule_t size, uint64_t *requested) {
    uint64_t granted = pool_bytes(pool, size), record;
    if (pool_large_claimed(pool, at, size)) return pool_requested(pool, at, size, requested);
    if (!has_record(pool, at, size, &record)) return false;
    uint64_t slack = record & (((uint64_t)1 << TAG_SHIFT) - 1);
    *requested = granted - slack;
    return slack && slack <= granted;
}

static void flip_bit(hpw_pool *pool, granule_t at) {
    pool->claims[at / POOL_CELL / WORD_BITS] ^= (uint64_t)1 << (at / POOL_CELL % WORD_BITS);
}

/* An ordinary block of `want` bytes becomes a claimed one. */
static void mark(hpw_pool *pool, granule_t at, uint64_t want, unsigned tag) {
    granule_t size = blocks_size(&pool->index.map, at);
    if (is_cell(pool, want, tag))
        flip_bit(pool, at);
    else
        write_record(pool, at, size,
                     POOL_CLAIMED | (uint64_t)tag << TAG_SHIFT | (pool_bytes(pool, size) - want));
}

/* And back; returns its `want` and its tag. */
static uint64_t unmark(hpw_pool *pool, granule_t at, unsigned *tag) {
    granule_t size = blocks_size(&pool->index.map, at);
    uint64_t want = 0, record;
    *tag = 0;
    pool_claimed(pool, at, size, &want);
    if (pool_large_claimed(pool, at, size)) {
        flip_bit(pool, at);
        return want;
    }
    if (has_record(pool, at, size, &record)) *tag = (unsigned)(record >> TAG_SHIFT) & 127;
    pool_note_slack(pool, at, size, pool_bytes(pool, size) - want);
    return want;
}

static uint64_t granted_at(const hpw_pool *pool, granule_t at) {
    return pool_bytes(pool, blocks_size(&pool->index.map, at));
}

void *claim_take(hpw_pool *pool, uint64_t size, uint64_t alignment, unsigned tag, uint64_t *granted) {
    if (size > pool_bytes(pool, pool->max_capacity)) return NULL;
    enter(pool);
    uint64_t want = wanted(pool, size, tag);
    void *block;
    do
        block = alignment <= pool_bytes(pool, 1) ? inject_pass(pool, want)
                                                 : pool_allocate_aligned(pool, want, alignment);
    while (!block && met_damage(pool, HPW_CORRUPTED));
    if (block) {
        mark(pool, pool_granule_of(pool, block), want, tag);
        *granted += granted_at(pool, pool_granule_of(pool, block));
    }
    leave(pool);
    return block;
}

void *claim_resize(hpw_pool *pool, void *block, uint64_t size, uint64_t *granted) {
    if (size > pool_bytes(pool, pool->max_capacity)) return NULL;
    enter(pool);
    unsigned tag;
    uint64_t was = unmark(pool, pool_granule_of(pool, block), &tag), want = wanted(pool, size, tag);
    uint64_t moved = pool_bytes(pool, pool_granule_of(pool, block)),
             before = granted_at(pool, pool_granule_of(pool, block));
    hpw_error error;
    do error = pool_resize(pool, moved, want, &moved, NULL);
    while (met_damage(pool, error));
    bool fits = error == HPW_OK;
    mark(pool, pool_granule(pool, moved), fits ? want : was, tag);
    *granted += granted_at(pool, pool_granule(pool, moved)) - before;
    leave(pool);
    return fits ? pool->index.bytes + moved : NULL;
}

void claim_give(hpw_pool *pool, void *block, uint64_t *granted) {
    unsigned tag;
    hpw_error error;
    enter(pool);
    unmark(pool, pool_granule_of(pool, block), &tag);
    *granted -= granted_at(pool, pool_granule_of(pool, block));
    do error = pool->inner.release(pool, pool_bytes(pool, pool_granule_of(pool, block)), NULL);
    while (met_damage(pool, error));
    leave(pool);
}

claim claim_of(const hpw_pool *pool, const void *block) {
    claim found = {.tag = 0};
    uint64_t record;
    pool_enter(pool);
    granule_t at = pool_granule_of(pool, block), size = blocks_size(&pool->index.map, at);
    if (pool_large_claimed(pool, at, size)) {
        pool_requested(pool, at, size, &found.owned);
    } else if (has_record(pool, at, size, &record)) {
        found.owned = pool_bytes(pool, size) - CLAIM_END;
        found.tag = (unsigned)(record >> TAG_SHIFT) & 127;
    }
    pool_leave(pool);
    return found;
}
