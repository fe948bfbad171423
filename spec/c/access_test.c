/* SPDX-License-Identifier: MIT */
/*
 * Checked access against the walk of the blocks: on pools of every policy full
 * of blocks of all sizes, each address with ranges around its block's end is
 * read, written, viewed and asked for, and has to be answered as the walk says.
 * Then what hpw_view tells where there may be others in the pool.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

static uint64_t state = 88172645463325252U;

static uint64_t below(uint64_t n) { /* xorshift64 */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

enum { CAPACITY = 32 * 1024, BLOCKS = 400, LARGEST = 6000, LONGEST = 40 };

/* Blocks with holes between them; sizes of a few bytes are the most. */
static void furnish(hpw_pool *pool) {
    void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = hpw_malloc(pool, (size_t)below(below(20) ? 1 + below(200) : LARGEST));
    for (int i = 0; i < BLOCKS; i++)
        if (below(3) == 0) hpw_free(pool, blocks[i]);
}

/* What the walk says of a range. */
static hpw_error expected(const hpw_block *around, uint64_t address, uint64_t n) {
    if (!around->live) return HPW_UNALLOCATED;
    return address + n <= around->address + around->requested ? HPW_OK : HPW_OUT_OF_BOUNDS;
}

static void try_range(hpw_pool *pool, const hpw_block *around, uint64_t address, size_t n) {
    unsigned char before[LARGEST], after[LARGEST], fresh[LARGEST];
    const void *bytes = NULL;
    hpw_error error = expected(around, address, n);
    hpw_report report = {.error = HPW_OK};
    const unsigned char *at = hpw_pointer(pool, address);
    CHECK_EQ(hpw_view(pool, address, n, &bytes, &report), error);
    CHECK_EQ(report.error, error);
    CHECK(bytes == (error ? NULL : at));
    memset(before, 0, n);
    CHECK_EQ(hpw_read(pool, address, before, n, NULL), error);
    if (!error) CHECK(memcmp(before, at, n) == 0);
    for (size_t i = 0; i < n; i++) fresh[i] = (unsigned char)below(256);
    report.error = HPW_OK;
    CHECK_EQ(hpw_write(pool, address, fresh, n, &report), error);
    CHECK_EQ(report.error, error);
    if (error) return;
    CHECK_EQ(hpw_read(pool, address, after, n, NULL), HPW_OK);
    CHECK(memcmp(after, fresh, n) == 0);
    CHECK_EQ(hpw_write(pool, address, before, n, NULL), HPW_OK);
}

/* Every address of the block, with what lies beside the range to be as it was. */
static void try_block(hpw_pool *pool, const hpw_block *block) {
    for (uint64_t address = block->address; address < block->address + block->size; address++) {
        uint64_t end = block->address + (block->live ? block->requested : 0);
        uint64_t left = end > address ? end - address : 0;
        try_range(pool, block, address, below(LONGEST));
        try_range(pool, block, address, 0);
        if (left < LARGEST - 1 && below(8) == 0) {
            try_range(pool, block, address, (size_t)left);
            try_range(pool, block, address, (size_t)left + 1);
        }
        uint64_t start = 0, requested = 0;
        CHECK_EQ(hpw_owner(pool, address, &start, &requested, NULL), block->live ? HPW_OK : HPW_UNALLOCATED);
        CHECK(!block->live || (start == block->address && requested == block->requested));
    }
}

/* Not only granted bytes: all of a pool's have to stay as they were. */
static void every_address(const hpw_config *config) {
    static unsigned char before[CAPACITY];
    hpw_pool *pool = hpw_open(config, NULL);
    furnish(pool);
    memcpy(before, hpw_pointer(pool, 0), CAPACITY);
    uint64_t cursor = 0;
    for (hpw_block block; hpw_next_block(pool, &cursor, &block);) try_block(pool, &block);
    CHECK(memcmp(before, hpw_pointer(pool, 0), CAPACITY) == 0);
    const void *bytes = &bytes;
    CHECK_EQ(hpw_view(pool, CAPACITY, 0, &bytes, NULL), HPW_OUT_OF_BOUNDS);
    CHECK(bytes == NULL);
    CHECK_EQ(hpw_view(pool, UINT64_MAX, 0, &bytes, NULL), HPW_OUT_OF_BOUNDS);
    CHECK(hpw_view(pool, 0, UINT64_MAX, &bytes, NULL) != HPW_OK);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

static void every_policy(void) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        for (uint32_t granule = 8; granule <= 64; granule *= 2)
            every_address(&(hpw_config){
                .policy = info->name, .capacity = CAPACITY, .granule = granule, .single_threaded = true});
}

/* ---- Who else may be in the pool ---- */

static void do_nothing(void *ud) { (void)ud; }

/* Does hpw_view tell where the bytes of a block are? */
static bool views(const hpw_config *config) {
    hpw_pool *pool = hpw_open(config, NULL);
    uint64_t address = 0;
    const void *bytes;
    CHECK_EQ(hpw_allocate(pool, 100, 0, &address, NULL), HPW_OK);
    CHECK_EQ(hpw_view(pool, address, 100, &bytes, NULL), HPW_OK);
    CHECK(bytes == NULL || bytes == hpw_pointer(pool, address));
    hpw_close(pool);
    return bytes != NULL;
}

static const hpw_config unlocked = {.single_threaded = true};
static const hpw_config locked = {.single_threaded = false};
static const hpw_config cached = {.policy = "slab", .thread_caches = 2};
static const hpw_config hosts_lock = {.host = {.lock = do_nothing, .unlock = do_nothing}};

static void *beside_another(void *ud) {
    (void)ud;
    CHECK(views(&unlocked));
    CHECK(!views(&locked));
    CHECK(!views(&cached));
    CHECK(!views(&hosts_lock));
    return NULL;
}

static void who_else(void) {
    pthread_t thread;
    CHECK(views(&unlocked));
    CHECK(!views(&hosts_lock));
    views(&locked); /* whether this is known to be the only thread is the C library's */
    views(&cached);
    int status = pthread_create(&thread, NULL, beside_another, NULL);
    if (!status) pthread_join(thread, NULL);
    CHECK_EQ(status, 0);
}

/* ---- Ranges that overlap, pointers into other memory ---- */

static void overlapping(void) {
    unsigned char bytes[100], expected[100], found[100];
    hpw_pool *pool = hpw_open(NULL, NULL);
    uint64_t at = 0;
    CHECK_EQ(hpw_allocate(pool, sizeof bytes, 0, &at, NULL), HPW_OK);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)i;
    for (size_t to = 0; to < 40; to++) {
        CHECK_EQ(hpw_write(pool, at, bytes, sizeof bytes, NULL), HPW_OK);
        CHECK_EQ(hpw_copy(pool, at + to, at + 20, 60, NULL), HPW_OK);
        memcpy(expected, bytes, sizeof bytes);
        memcpy(expected + to, bytes + 20, 60);
        CHECK_EQ(hpw_read(pool, at, found, sizeof found, NULL), HPW_OK);
        CHECK(memcmp(found, expected, sizeof found) == 0);
    }
    hpw_close(pool);
}

static void elsewhere(void) {
    static const hpw_config small = {.capacity = 4096, .max_capacity = 8192};
    hpw_pool *pool = hpw_open(&small, NULL);
    const unsigned char *first = hpw_pointer(pool, 0);
    CHECK_EQ(hpw_address(pool, first + 4095), 4095);
    CHECK_EQ(hpw_address(pool, first + 8191), 8191); /* where it may grow to */
    CHECK_EQ(hpw_address(pool, (const void *)((uintptr_t)first + 8192)), UINT64_MAX);
    CHECK_EQ(hpw_address(pool, (const void *)((uintptr_t)first - 1)), UINT64_MAX);
    CHECK_EQ(hpw_address(pool, &small), UINT64_MAX);
    CHECK(hpw_pointer(pool, 4096) == NULL);
    hpw_close(pool);
}

int main(void) {
    every_policy();
    overlapping();
    elsewhere();
    who_else();
    return CHECK_DONE();
}
