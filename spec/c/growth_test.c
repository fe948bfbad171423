/* SPDX-License-Identifier: MIT */
/*
 * How cost grows: steps of a single operation with 10^2 ... 10^5 free blocks in
 * the pool, every policy and order, in three patterns of sizes. Steps are
 * counted, not timed, so the figures are the same on every machine. With an
 * argument it prints them.
 *
 * Each policy is held to limit = base + slope * log2(free blocks): slope 0 where
 * it claims O(1). A linear scan passes 1000 steps at 10^3 blocks already.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

enum { OPERATIONS = 400, LARGEST_DECADE = 5 };

typedef enum pattern { EQUAL, SMALL, LARGE, PATTERNS } pattern;

static const char *const pattern_names[] = {"equal", "small", "large"};

/*
 * What each policy claims of its worst operation. The sizes here lie in bins, so
 * best and worst fit by time are O(1); first and next fit by address depend on
 * the pool's capacity alone (7 levels here, 31 nodes a level, twice for next
 * fit); a slab's page dissolves in at most 256 steps.
 */
static const struct {
    const char *policy;
    hpw_order order;
    double base, slope;
} claims[] = {
    {"best-fit", HPW_ORDER_ADDRESS, 20, 5},  {"best-fit", HPW_ORDER_FIFO, 12, 0},
    {"best-fit", HPW_ORDER_LIFO, 12, 0},     {"first-fit", HPW_ORDER_ADDRESS, 280, 0},
    {"first-fit", HPW_ORDER_FIFO, 60, 10},   {"first-fit", HPW_ORDER_LIFO, 60, 10},
    {"next-fit", HPW_ORDER_ADDRESS, 400, 0}, {"worst-fit", HPW_ORDER_ADDRESS, 25, 5},
    {"worst-fit", HPW_ORDER_FIFO, 25, 0},    {"worst-fit", HPW_ORDER_LIFO, 25, 0},
    {"good-fit", HPW_ORDER_ADDRESS, 32, 0},  {"buddy", HPW_ORDER_ADDRESS, 40, 5},
    {"slab", HPW_ORDER_ADDRESS, 280, 0},     {"bump", HPW_ORDER_ADDRESS, 3, 0},
};

static uint64_t state = 20261122;

static uint64_t below(uint64_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

/* Sizes that all fall into one bin, into many, or mostly above the bins. */
static size_t size_of(pattern sizes) {
    if (sizes == EQUAL) return 64;
    return sizes == SMALL ? 16 + (size_t)below(1000) : 1024 + (size_t)below(15000);
}

static uint64_t steps_of(const hpw_pool *pool) {
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    return stats.steps;
}

/* Blocks side by side, every second one freed. */
static hpw_pool *make_holes(const char *policy, hpw_order order, pattern sizes, size_t holes) {
    hpw_config config = {
        .policy = policy, .order = order, .capacity = (uint64_t)2 << 30, .single_threaded = true};
    hpw_pool *pool = hpw_open(&config, NULL);
    void **held = calloc(holes, sizeof *held);
    if (!pool || !held) exit(2);
    for (size_t i = 0; i < holes; i++) {
        held[i] = hpw_malloc(pool, size_of(sizes));
        hpw_malloc(pool, 16);
    }
    while (holes) { /* in random order */
        size_t one = below(holes--);
        hpw_free(pool, held[one]);
        held[one] = held[holes];
    }
    free(held);
    return pool;
}

static uint64_t worst_operation(hpw_pool *pool, pattern sizes) {
    uint64_t worst = 0, before = steps_of(pool);
    void *held[16] = {NULL};
    for (int i = 0; i < OPERATIONS; i++) {
        void **slot = &held[below(16)];
        if (*slot) {
            hpw_free(pool, *slot);
            *slot = NULL;
        } else {
            *slot = hpw_malloc(pool, size_of(sizes));
        }
        uint64_t now = steps_of(pool);
        if (now - before > worst) worst = now - before;
        before = now;
    }
    return worst;
}

int main(int argc, char **argv) {
    (void)argv;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        for (int sizes = 0; sizes < PATTERNS; sizes++) {
            size_t holes = 10;
            for (int decade = 2; decade <= LARGEST_DECADE; decade++) {
                holes *= 10;
                hpw_pool *pool = make_holes(claims[i].policy, claims[i].order, (pattern)sizes, holes);
                uint64_t worst = worst_operation(pool, (pattern)sizes);
                double limit = claims[i].base + claims[i].slope * log2((double)holes);
                if (!CHECK((double)worst <= limit) || argc > 1)
                    printf("%-10s order %d, %s sizes, %6zu holes: %llu steps, limit %.0f\n", claims[i].policy,
                           (int)claims[i].order, pattern_names[sizes], holes, (unsigned long long)worst,
                           limit);
                hpw_close(pool);
            }
        }
    const hpw_policy_info *info; /* a new policy has to make its claim here */
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
        bool claimed = false;
        for (size_t j = 0; j < sizeof claims / sizeof *claims; j++)
            claimed = claimed || !strcmp(claims[j].policy, info->name);
        if (!CHECK(claimed)) printf("%s claims no bound\n", info->name);
    }
    return CHECK_DONE();
}
