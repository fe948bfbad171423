/* SPDX-License-Identifier: MIT */
/*
 * How a pool opens: configurations that are refused, the caller's buffer of every size
 * and alignment, what is aligned in it and stays so, a lock of the host's.
 */
#include <string.h>

#include "check.h"
#include "heapwright.h"

/* Buffers at every alignment and of every size from nothing to more than enough. */
static void callers_buffer(void) {
    static unsigned char buffer[70000];
    hpw_config config = {.capacity = 4096};
    size_t needed = hpw_metadata_size(&config);
    CHECK(needed > 0);
    for (size_t shift = 0; shift < 40; shift++) {
        hpw_error error;
        hpw_pool *pool = hpw_open_in(buffer + shift, needed + 4096, &config, &error);
        CHECK(pool != NULL);
        unsigned char *block = hpw_malloc(pool, 4096);
        CHECK(block != NULL);
        CHECK((uintptr_t)block % 16 == 0);
        CHECK_EQ(hpw_address(pool, block), 0);
        CHECK(hpw_malloc(pool, 1) == NULL);
        hpw_close(pool);
    }
    unsigned refused = 0;
    for (size_t size = 0; size < sizeof buffer; size += 7) {
        hpw_error error;
        hpw_pool *pool = hpw_open_in(buffer, size, NULL, &error);
        hpw_stats stats;
        if (!pool) {
            CHECK_EQ(error, HPW_NO_MEMORY);
            refused++;
            continue;
        }
        hpw_get_stats(pool, &stats);
        CHECK(stats.capacity + stats.metadata <= size);
        memset(hpw_malloc(pool, (size_t)stats.capacity), 1, (size_t)stats.capacity);
        CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
        hpw_close(pool);
    }
    CHECK(refused > 0);
    for (size_t size = 0; size < needed + 4096; size++) { /* of a capacity that is told */
        hpw_error error;
        hpw_pool *pool = hpw_open_in(buffer, size, &config, &error);
        hpw_stats stats;
        if (!pool) {
            CHECK_EQ(error, HPW_NO_MEMORY);
            continue;
        }
        hpw_get_stats(pool, &stats);
        CHECK_EQ(stats.capacity, 4096);
        CHECK(stats.capacity + stats.metadata <= size);
        hpw_close(pool);
    }
}

static void half_a_lock(void *ud) { (void)ud; }

static void refused_configs(void) {
    static const hpw_config bad[] = {
        {.policy = "no-such-fit"},
        {.granule = 4},
        {.granule = 24},
        {.granule = 8192},
        {.capacity = 8},
        {.capacity = UINT64_MAX},
        {.capacity = 4096, .max_capacity = 1024},
        {.order = HPW_ORDER_COUNT},
        {.guard = HPW_GUARD_COUNT},
        {.policy = "buddy", .order = HPW_ORDER_FIFO},
        {.policy = "buddy", .order = HPW_ORDER_RANDOM},
        {.policy = "first-fit", .order = HPW_ORDER_RANDOM, .granule = 8},
        {.seed = 1},
        {.order = HPW_ORDER_LIFO, .seed = 1},
        {.policy = "first-fit", .order = HPW_ORDER_LIFO, .granule = 8},
        {.host = {.lock = half_a_lock}},
        {.host = {.unlock = half_a_lock}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hpw_error error = HPW_OK;
        CHECK(hpw_open(&bad[i], &error) == NULL);
        CHECK_EQ(error, HPW_INVALID_ARGUMENT);
        CHECK(hpw_open(&bad[i], NULL) == NULL);
    }
    static char buffer[4096];
    hpw_error error = HPW_OK;
    CHECK(hpw_open_in(NULL, 4096, NULL, &error) == NULL);
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
    hpw_config grows = {.capacity = 1024, .max_capacity = 2048};
    CHECK(hpw_open_in(buffer, sizeof buffer, &grows, &error) == NULL);
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
    CHECK_EQ(hpw_metadata_size(&bad[0]), 0);
    hpw_close(NULL);
}

/* Pins: with granules above 16 the pool began at any multiple of 16, and so did what was aligned to a
 * granule. */
static void callers_buffer_by_granule(void) {
    static unsigned char buffer[300000];
    for (uint32_t granule = 8; granule <= 4096; granule *= 2)
        for (size_t shift = 0; shift < 40; shift += 3) {
            hpw_config config = {.granule = granule, .capacity = (uint64_t)32 * granule};
            size_t size = hpw_metadata_size(&config) + (size_t)config.capacity;
            for (int all = 0; all < 2; all++, config.capacity = 0) {
                hpw_pool *pool = hpw_open_in(buffer + shift, size, &config, NULL);
                if (!CHECK(pool != NULL)) continue;
                for (size_t alignment = 1; alignment <= (size_t)8 * granule; alignment *= 2) {
                    void *block = hpw_aligned_alloc(pool, alignment, 1);
                    CHECK(block != NULL && (uintptr_t)block % alignment == 0);
                    CHECK_EQ(hpw_free(pool, block), HPW_OK);
                }
                CHECK_EQ(hpw_address(pool, hpw_malloc(pool, 1)), 0);
                CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
                hpw_close(pool);
            }
        }
}

/* Pins: above the mapping's own alignment it was chance whether address 0 was granted. */
static void alignment_beyond_the_mapping(void) {
    for (int i = 0; i < 20; i++) {
        hpw_pool *small = hpw_open(&(hpw_config){.capacity = 16}, NULL);
        hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 100000}, NULL);
        void *block = hpw_aligned_alloc(small, 65536, 16);
        CHECK(block != NULL && (uintptr_t)block % 65536 == 0);
        CHECK(hpw_aligned_alloc(pool, 262144, 16) == NULL);
        block = hpw_aligned_alloc(pool, 131072, 16);
        CHECK(block != NULL && (uintptr_t)block % 131072 == 0);
        hpw_close(small);
        hpw_close(pool);
    }
}

/* A block that moves keeps the alignment that was asked for: in a pool that remembers which was, the block's
 * own; in one that does not, the largest of any, as far as its place has it. */
static void alignment_of_what_moves(void) {
    for (hpw_guard guard = HPW_GUARD_OFF; guard < HPW_GUARD_COUNT; guard++) {
        hpw_pool *pool = hpw_open(&(hpw_config){.guard = guard, .capacity = 1 << 16}, NULL);
        void *block = hpw_aligned_alloc(pool, 1024, 100), *next;
        for (size_t size = 200; size < 3000; size += 200) { /* each time there is something behind it */
            next = hpw_malloc(pool, 1);
            void *moved = hpw_realloc(pool, block, size);
            CHECK(moved && (uintptr_t)moved % 1024 == 0);
            if (moved) block = moved;
            CHECK(next != NULL);
        }
        CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
        hpw_close(pool);
    }
}

/* ---- A lock of the host's ---- */

typedef struct turnstile {
    unsigned entered;
    bool inside;
} turnstile;

static void go_in(void *ud) {
    turnstile *t = ud;
    CHECK(!t->inside);
    t->inside = true;
    t->entered++;
}

static void go_out(void *ud) {
    turnstile *t = ud;
    CHECK(t->inside);
    t->inside = false;
}

/* How often the lock was taken since it was last asked; it is left by now. */
static unsigned entries(turnstile *t) {
    unsigned count = t->entered;
    CHECK(!t->inside);
    t->entered = 0;
    return count;
}

/* Every call takes the lock, and leaves it, once. */
static void lock_of_the_host(hpw_guard guard) {
    turnstile t = {0};
    uint64_t address, moved;
    hpw_stats stats;
    char byte = 1;
    hpw_config config = {.guard = guard, .host = {.ud = &t, .lock = go_in, .unlock = go_out}};
    hpw_pool *pool = hpw_open(&config, NULL);
    entries(&t);
    void *block = hpw_malloc(pool, 100), *wide = hpw_aligned_alloc(pool, 256, 100);
    CHECK_EQ(entries(&t), 2);
    CHECK((block = hpw_realloc(pool, block, 200)) && entries(&t) == 1);
    CHECK(hpw_free(pool, block) == HPW_OK && entries(&t) == 1);
    CHECK(hpw_free(pool, block) != HPW_OK && entries(&t) == 1);
    CHECK(hpw_free_sized(pool, wide, 100) == HPW_OK && entries(&t) == 1);
    CHECK(hpw_allocate(pool, 50, 0, &address, NULL) == HPW_OK && entries(&t) == 1);
    CHECK(hpw_write(pool, address, &byte, 1, NULL) == HPW_OK && entries(&t) == 1);
    CHECK(hpw_read(pool, address, &byte, 1, NULL) == HPW_OK && entries(&t) == 1);
    CHECK(hpw_resize(pool, address, 60, &moved, NULL) == HPW_OK && entries(&t) == 1);
    CHECK(hpw_release(pool, moved, NULL) == HPW_OK && entries(&t) == 1);
    CHECK(!hpw_malloc(pool, 2 << 20) && entries(&t) == 1);
    hpw_get_stats(pool, &stats);
    CHECK_EQ(entries(&t), 1);
    CHECK(hpw_check(pool, NULL) == HPW_OK && entries(&t) == 1);
    CHECK(hpw_reset(pool) == HPW_OK && entries(&t) == 1);
    hpw_close(pool);
}

/* Pins: both rounded down to the same granule, a max_capacity below the capacity was taken. */
static void max_capacity_below(void) {
    hpw_error error = HPW_OK;
    CHECK(hpw_open(&(hpw_config){.capacity = 1000, .max_capacity = 999}, &error) == NULL);
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
    CHECK_EQ(hpw_metadata_size(&(hpw_config){.capacity = 1024, .max_capacity = 2048}), 0);
    CHECK(hpw_metadata_size(&(hpw_config){.capacity = 1024, .max_capacity = 1024}) > 0);
}

int main(void) {
    refused_configs();
    callers_buffer();
    callers_buffer_by_granule();
    alignment_beyond_the_mapping();
    alignment_of_what_moves();
    for (hpw_guard guard = HPW_GUARD_OFF; guard < HPW_GUARD_COUNT; guard++) lock_of_the_host(guard);
    max_capacity_below();
    return CHECK_DONE();
}
