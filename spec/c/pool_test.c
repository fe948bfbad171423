/* SPDX-License-Identifier: MIT */
/*
 * The pool through its C interface: what Lua cannot reach, and random
 * operations on every policy, order, granule and guard with hpw_check after each
 * and every block's bytes compared.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

static uint64_t state;

static uint64_t next_random(void) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 2685821657736338717U;
}

static uint64_t below(uint64_t n) { return next_random() % n; }

enum { SLOTS = 200 };

typedef struct held {
    unsigned char *block;
    size_t size;
    unsigned char byte;
} held;

static bool intact(const held *h) {
    for (size_t i = 0; i < h->size; i++)
        if (h->block[i] != h->byte) return false;
    return true;
}

static size_t random_size(void) {
    size_t size = (size_t)below((uint64_t)1 << below(15));
    return below(4) == 0 ? size / 16 * 16 : size;
}

static void one_operation(hpw_pool *pool, held *h) {
    if (!h->block) {
        size_t size = random_size(), alignment = below(4) ? 1 : (size_t)1 << below(14);
        h->block = hpw_aligned_alloc(pool, alignment, size);
        if (!h->block) return;
        CHECK((uintptr_t)h->block % alignment == 0);
        h->size = size;
    } else if (below(2)) {
        size_t size = random_size(), kept = size < h->size ? size : h->size;
        unsigned char *moved = hpw_realloc(pool, h->block, size);
        if (!moved) return;
        held part = {moved, kept, h->byte};
        CHECK(intact(&part));
        h->block = moved;
        h->size = size;
    } else {
        CHECK(intact(h));
        CHECK_EQ(hpw_free(pool, h->block), HPW_OK);
        CHECK(hpw_free(pool, h->block) != HPW_OK);
        h->block = NULL;
        return;
    }
    h->byte = (unsigned char)next_random();
    if (h->size) memset(h->block, h->byte, h->size);
}

static void check_pool(hpw_pool *pool, const char *name) {
    hpw_report report = {0};
    if (CHECK_EQ(hpw_check(pool, &report), HPW_OK)) return;
    printf("%s: %s at %llu\n", name, report.what, (unsigned long long)report.address);
    exit(1);
}

static void random_operations(hpw_config config, uint64_t seed, unsigned operations) {
    held slots[SLOTS] = {{0}};
    state = seed * 0x9E3779B97F4A7C15U + 1;
    hpw_error error;
    hpw_pool *pool = hpw_open(&config, &error);
    CHECK_EQ(error, HPW_OK);
    if (!pool) return;
    check_pool(pool, config.policy);
    for (unsigned i = 0; i < operations; i++) {
        one_operation(pool, &slots[below(SLOTS)]);
        check_pool(pool, config.policy);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].block) CHECK(intact(&slots[i]));
        CHECK_EQ(hpw_free(pool, slots[i].block), HPW_OK);
        check_pool(pool, config.policy);
    }
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    CHECK_EQ(stats.in_use, 0);
    CHECK_EQ(stats.free, stats.capacity);
    CHECK_EQ(stats.allocations, stats.frees);
    hpw_reset(pool);
    check_pool(pool, config.policy);
    hpw_close(pool);
}

static void every_policy(unsigned operations) {
    const hpw_policy_info *info;
    static const uint32_t granules[] = {8, 16, 64};
    static const uint64_t capacities[] = {8192, 100000, 262144};
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        for (unsigned variant = 0; variant < 18; variant++) {
            hpw_config config = {.policy = info->name,
                                 .granule = granules[variant % 3],
                                 .capacity = capacities[variant / 3 % 3],
                                 .guard = variant / 9 ? HPW_GUARD_CHECK : HPW_GUARD_OFF,
                                 .max_capacity = variant % 2 ? 524288 : 0};
            for (hpw_order order = 0; order < HPW_ORDER_COUNT; order++) {
                config.order = order;
                if (order && (!info->takes_order || config.granule < 16)) continue;
                random_operations(config, variant + 1, operations);
            }
        }
}

/* From one granule to the maximum; the last and largest address of each. */
static void capacities(void) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
        for (uint64_t granules = 1; granules < 200; granules++) {
            hpw_pool *pool = hpw_open(&(hpw_config){.policy = info->name, .capacity = granules * 16}, NULL);
            bool power = (granules & (granules - 1)) == 0;
            void *whole = hpw_malloc(pool, granules * 16);
            CHECK((whole != NULL) == (power || strcmp(info->name, "buddy")));
            check_pool(pool, info->name);
            hpw_reset(pool);
            for (uint64_t taken = 0; taken < granules; taken++) CHECK(hpw_malloc(pool, 16) != NULL);
            CHECK(hpw_malloc(pool, 0) == NULL);
            check_pool(pool, info->name);
            hpw_close(pool);
        }
        for (uint32_t granule = 8; granule <= 4096; granule *= 8) {
            uint64_t most = hpw_max_capacity(granule);
            if (most > (uint64_t)1 << 40) continue;
            hpw_pool *pool =
                hpw_open(&(hpw_config){.policy = info->name, .capacity = most, .granule = granule}, NULL);
            if (!CHECK(pool != NULL)) continue;
            uint64_t first, last;
            CHECK_EQ(hpw_allocate(pool, granule, 0, &first, NULL), HPW_OK);
            CHECK_EQ(hpw_allocate(pool, 1, (uint64_t)1 << 31, &last, NULL), HPW_OK);
            CHECK(last % ((uint64_t)1 << 31) == 0);
            if (strcmp(info->name, "buddy")) CHECK(hpw_malloc(pool, (size_t)(most / 4)) != NULL);
            CHECK_EQ(hpw_release(pool, last, NULL), HPW_OK);
            CHECK_EQ(hpw_allocate(pool, most + 1, 0, &first, NULL), HPW_NO_MEMORY);
            CHECK_EQ(hpw_allocate(pool, UINT64_MAX, 0, &first, NULL), HPW_NO_MEMORY);
            CHECK_EQ(hpw_allocate(pool, 1, (uint64_t)1 << 63, &first, NULL), HPW_NO_MEMORY);
            hpw_close(pool);
        }
    }
}

/* A pool large enough for huge pages, with them and without: the same addresses. */
static void huge_pages(void) {
    for (int small = 0; small < 2; small++) {
        hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 8 << 20, .small_pages = small}, NULL);
        for (uint64_t i = 0; i < 8; i++) {
            unsigned char *block = hpw_calloc(pool, 1, 1 << 20);
            CHECK_EQ(hpw_address(pool, block), i << 20);
            if (block) CHECK(block[0] == 0 && block[(1 << 20) - 1] == 0);
        }
        CHECK(hpw_malloc(pool, 1) == NULL);
        check_pool(pool, "huge pages");
        hpw_close(pool);
    }
}

/* The size is asked of every block, under every policy, guard and lock, and a wrong one changes nothing. */
static void sized_frees_on(const hpw_config *config) {
    hpw_pool *pool = hpw_open(config, NULL);
    if (!CHECK(pool)) return;
    for (size_t size = 0; size < 5000; size += 1 + size / 3) {
        hpw_stats before, after;
        void *block = hpw_malloc(pool, size);
        hpw_get_stats(pool, &before);
        CHECK_EQ(hpw_free_sized(pool, block, size + 1), HPW_INVALID_ARGUMENT);
        CHECK_EQ(hpw_free_sized(pool, block, size - 1), HPW_INVALID_ARGUMENT);
        CHECK_EQ(hpw_free_sized(pool, (char *)block + 8, size), HPW_INVALID_FREE);
        hpw_get_stats(pool, &after);
        CHECK_EQ(memcmp(&before, &after, sizeof before), 0);
        CHECK_EQ(hpw_free_sized(pool, block, size), HPW_OK);
        CHECK(hpw_free_sized(pool, block, size) != HPW_OK);
        hpw_get_stats(pool, &after);
        CHECK_EQ(after.frees, before.frees + 1);
        CHECK_EQ(after.in_use, 0);
    }
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

static void sized_frees(void) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        for (hpw_guard guard = HPW_GUARD_OFF; guard < HPW_GUARD_COUNT; guard++)
            for (int single = 0; single < 2; single++)
                sized_frees_on(
                    &(hpw_config){.policy = info->name, .guard = guard, .single_threaded = single});
    sized_frees_on(&(hpw_config){.policy = "slab", .thread_caches = 2});
    sized_frees_on(&(hpw_config){.policy = "slab", .granule = 32});
}

static void pointers_of_others(void) {
    hpw_pool *pool = hpw_open(NULL, NULL), *other = hpw_open(NULL, NULL);
    char *mine = hpw_malloc(pool, 100), *theirs = hpw_malloc(other, 100);
    int local = 0;
    CHECK_EQ(hpw_free(pool, theirs), HPW_INVALID_FREE);
    CHECK_EQ(hpw_free(pool, &local), HPW_INVALID_FREE);
    CHECK_EQ(hpw_free(pool, mine + 1), HPW_INVALID_FREE);
    CHECK_EQ(hpw_free(pool, mine + 16), HPW_INVALID_FREE);
    CHECK_EQ(hpw_free_sized(pool, mine, 99), HPW_INVALID_ARGUMENT);
    CHECK_EQ(hpw_usable_size(pool, mine), 112);
    CHECK_EQ(hpw_usable_size(pool, theirs), 0);
    CHECK(hpw_realloc(pool, theirs, 10) == NULL);
    CHECK(hpw_calloc(pool, SIZE_MAX / 2, 3) == NULL);
    CHECK(hpw_calloc(pool, SIZE_MAX / 2 + 1, 2) == NULL);   /* the product is 0 */
    CHECK(hpw_calloc(pool, SIZE_MAX / 16 + 2, 16) == NULL); /* 16 */
    CHECK(hpw_aligned_alloc(pool, 24, 10) == NULL);
    CHECK(hpw_aligned_alloc(pool, 0, 10) == NULL);
    CHECK_EQ(hpw_free_sized(pool, mine, 100), HPW_OK);
    CHECK_EQ(hpw_free(pool, mine), HPW_DOUBLE_FREE);
    CHECK_EQ(hpw_free(pool, NULL), HPW_OK);
    CHECK_EQ(hpw_free_sized(pool, NULL, 7), HPW_OK);
    hpw_close(pool);
    hpw_close(other);
}

/* A C program that scribbles over a block's slack is told so. */
static void overwritten_slack(void) {
    hpw_pool *pool = hpw_open(NULL, NULL);
    char *block = hpw_malloc(pool, 100);
    hpw_report report;
    block[111] = (char)200;
    CHECK_EQ(hpw_free(pool, block), HPW_CORRUPTED);
    CHECK_EQ(hpw_check(pool, &report), HPW_CORRUPTED);
    CHECK(report.what != NULL);
    block[111] = 12;
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    CHECK_EQ(hpw_free(pool, block), HPW_OK);
    hpw_close(pool);
}

static void ring_of_events(void) {
    hpw_event slots[4], event;
    hpw_ring ring = {.slots = slots, .count = 4};
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 4096}, NULL);
    hpw_set_sink(pool, hpw_ring_sink, &ring);
    hpw_set_site(pool, 42);
    void *a = hpw_malloc(pool, 10);
    a = hpw_realloc(pool, a, 20);
    CHECK(hpw_malloc(pool, 10000) == NULL);
    hpw_free(pool, a);
    hpw_free(pool, a); /* refused: no event */
    uint64_t cursor = 0, lost = 0;
    static const hpw_event_kind kinds[] = {HPW_EVENT_ALLOC, HPW_EVENT_RESIZE, HPW_EVENT_FAILURE,
                                           HPW_EVENT_FREE};
    for (size_t i = 0; i < 4; i++) {
        CHECK(hpw_ring_next(&ring, &cursor, &event, &lost));
        CHECK_EQ(event.kind, kinds[i]);
        CHECK_EQ(event.id, i + 1);
        CHECK_EQ(event.site, 42);
    }
    CHECK(!hpw_ring_next(&ring, &cursor, &event, &lost));
    for (int i = 0; i < 3; i++) hpw_free(pool, hpw_malloc(pool, 10));
    CHECK(hpw_ring_next(&ring, &cursor, &event, &lost));
    CHECK_EQ(lost, 2);
    CHECK_EQ(event.id, 7);
    hpw_set_sink(pool, NULL, NULL);
    hpw_close(pool);
}

static void sink_from_live_blocks(void) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
        hpw_event slots[8], event;
        hpw_ring ring = {.slots = slots, .count = 8};
        hpw_pool *pool = hpw_open(&(hpw_config){.policy = info->name, .capacity = 1 << 16}, NULL);
        void *blocks[5];
        for (size_t n = 0; n < 5; n++) blocks[n] = hpw_malloc(pool, 10 + 100 * n);
        hpw_free(pool, blocks[1]);
        hpw_set_site(pool, 42);
        hpw_set_sink_with_live(pool, hpw_ring_sink, &ring);
        hpw_free(pool, blocks[4]);
        uint64_t cursor = 0, walked = 0, told = 0;
        for (hpw_block block; hpw_next_block(pool, &walked, &block);) {
            if (!block.live || block.address >= hpw_address(pool, blocks[4])) continue;
            CHECK(hpw_ring_next(&ring, &cursor, &event, NULL));
            CHECK_EQ(event.kind, HPW_EVENT_ALLOC);
            CHECK_EQ(event.id, ++told);
            CHECK_EQ(event.address, block.address);
            CHECK_EQ(event.size, block.requested);
            CHECK_EQ(event.site, 0);
        }
        while (hpw_ring_next(&ring, &cursor, &event, NULL) && event.kind == HPW_EVENT_ALLOC) told++;
        CHECK_EQ(told, 4);
        CHECK_EQ(event.kind, HPW_EVENT_FREE);
        CHECK_EQ(event.address, hpw_address(pool, blocks[4]));
        CHECK_EQ(event.site, 42);
        hpw_set_sink_with_live(pool, NULL, NULL);
        hpw_free(pool, blocks[0]);
        CHECK(!hpw_ring_next(&ring, &cursor, &event, NULL));
        hpw_close(pool);
    }
}

/* What best fit must choose for `size`, by looking at every block. */
static uint64_t best_by_scan(hpw_pool *pool, uint64_t size) {
    uint64_t cursor = 0, found = UINT64_MAX, least = UINT64_MAX;
    for (hpw_block block; hpw_next_block(pool, &cursor, &block);) {
        if (block.live || block.size < size || block.size >= least) continue;
        least = block.size;
        found = block.address;
    }
    return found;
}

/* Pools so large that more of their sizes have bitmaps (policy/small.h), with blocks of about those sizes. */
static void exact_in_a_large_pool(void) {
    enum { BLOCKS = 400 };
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = (uint64_t)64 << 20}, NULL);
    uint64_t addresses[BLOCKS];
    bool live[BLOCKS] = {false};
    state = 64;
    for (unsigned i = 0; i < 8 * BLOCKS; i++) {
        uint64_t at = i < BLOCKS ? i : below(BLOCKS), size = 16 * (28 + below(40));
        if (live[at]) {
            CHECK_EQ(hpw_release(pool, addresses[at], NULL), HPW_OK);
        } else {
            uint64_t expected = best_by_scan(pool, size);
            CHECK_EQ(hpw_allocate(pool, size, 0, &addresses[at], NULL), HPW_OK);
            CHECK_EQ(addresses[at], expected);
        }
        live[at] = !live[at];
        if (i % BLOCKS == 0) CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    }
    hpw_close(pool);
}

/* Pins: trimming a grown pool under bump cut the end off below its pointer, and the next block lay past it.
 */
static void trim_of_a_grown_pool(void) {
    enum { COUNT = 40, BYTES = 60000 };
    for (size_t i = 0; hpw_policy_at(i); i++) {
        hpw_config config = {.policy = hpw_policy_at(i)->name,
                             .capacity = 1 << 20,
                             .max_capacity = (uint64_t)6 * COUNT * BYTES};
        hpw_pool *pool = hpw_open(&config, NULL);
        void *blocks[COUNT];
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned k = 0; k < COUNT; k++) CHECK(blocks[k] = hpw_malloc(pool, BYTES));
            for (unsigned k = COUNT; k-- > 0;) hpw_free(pool, blocks[k]);
            hpw_trim(pool);
            CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
        }
        hpw_close(pool);
    }
}

/* Pins: in a pool that grew from less than one slot, slab cut a page into slots of no kind's size. */
static void growth_from_less_than_a_slot(void) {
    for (size_t i = 0; hpw_policy_at(i); i++) {
        hpw_config config = {
            .policy = hpw_policy_at(i)->name, .granule = 256, .capacity = 2816, .max_capacity = 4 << 20};
        hpw_pool *pool = hpw_open(&config, NULL);
        for (size_t size = 14000; size > 2000; size -= 1000) {
            CHECK(hpw_malloc(pool, size));
            CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
        }
        hpw_close(pool);
    }
}

int main(int argc, char **argv) {
    capacities();
    huge_pages();
    sized_frees();
    pointers_of_others();
    overwritten_slack();
    ring_of_events();
    sink_from_live_blocks();
    trim_of_a_grown_pool();
    growth_from_less_than_a_slot();
    exact_in_a_large_pool();
    every_policy(argc > 1 ? (unsigned)atoi(argv[1]) : 300);
    return CHECK_DONE();
}
