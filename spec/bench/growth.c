/* SPDX-License-Identifier: MIT */
/* Counting steps: see growth.h. */
#include "growth.h"

#include <stdio.h>
#include <stdlib.h>

enum { OPERATIONS = 400, HELD = 16 };

static uint64_t below(uint64_t *state, uint64_t n) { /* xorshift64 */
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % n;
}

static size_t size_of(uint64_t *state, growth_sizes sizes) {
    if (sizes == GROWTH_EQUAL) return 64;
    return sizes == GROWTH_SMALL ? 16 + (size_t)below(state, 1000) : 1024 + (size_t)below(state, 15000);
}

static uint64_t steps_of(const hpw_pool *pool) {
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    return stats.steps;
}

/* Blocks side by side, every second one freed, in random order. */
static hpw_pool *make_holes(uint64_t *state, const hpw_config *config, growth_sizes sizes, size_t holes) {
    hpw_pool *pool = hpw_open(config, NULL);
    void **held = calloc(holes, sizeof *held);
    if (!pool || !held) {
        fputs("growth: no memory\n", stderr);
        exit(2);
    }
    for (size_t i = 0; i < holes; i++) {
        held[i] = hpw_malloc(pool, size_of(state, sizes));
        hpw_malloc(pool, 16);
    }
    while (holes) {
        size_t one = below(state, holes--);
        hpw_free(pool, held[one]);
        held[one] = held[holes];
    }
    free(held);
    return pool;
}

growth growth_measure(const char *policy, hpw_order order, growth_sizes sizes, size_t free_blocks) {
    hpw_config config = {.policy = policy,
                         .order = order,
                         .capacity = (uint64_t)(free_blocks > 100000 ? 24 : 2) << 30,
                         .single_threaded = true};
    uint64_t state = 20261122;
    hpw_pool *pool = make_holes(&state, &config, sizes, free_blocks);
    uint64_t worst = 0, first = steps_of(pool), before = first;
    void *held[HELD] = {NULL};
    for (int i = 0; i < OPERATIONS; i++) {
        void **slot = &held[below(&state, HELD)];
        if (*slot) {
            hpw_free(pool, *slot);
            *slot = NULL;
        } else {
            *slot = hpw_malloc(pool, size_of(&state, sizes));
        }
        uint64_t now = steps_of(pool);
        if (now - before > worst) worst = now - before;
        before = now;
    }
    hpw_close(pool);
    return (growth){.steps_mean = (double)(before - first) / OPERATIONS, .steps_max = worst};
}
