/* SPDX-License-Identifier: MIT */
/*
 * How cost grows: steps of single operations with 10^2 ... 10^6 free blocks in
 * the pool, every policy and order, in three patterns of sizes (the largest
 * number in one of them). Steps are counted, not timed, so the figures are the
 * same on every machine. With an argument it prints them; `heapwright-bench
 * --growth` prints the table.
 *
 * Each policy is held to worst <= base + slope * log2(free blocks), slope 0
 * where it claims O(1); and its mean, where it claims O(log n), may rise by
 * `slope` a doubling at most from one decade to the next: a curve that bends
 * upward passes that. A linear scan passes 1000 steps at 10^3 blocks already.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "growth.h"

enum { LARGEST_DECADE = 5, LARGEST_SMALL_DECADE = 6 };

static const char *const size_names[] = {"equal", "small", "large"};

/*
 * What each policy claims. The sizes here lie in bins, so best and worst fit by
 * time are O(1); in random order all lie in tries; first, next and worst fit by address depend on the pool's
 * capacity alone; a slab's page dissolves in at most 256 steps.
 */
static const struct {
    const char *policy;
    hpw_order order;
    double base, slope;
} claims[] = {
    {"best-fit", HPW_ORDER_ADDRESS, 24, 1},  {"best-fit", HPW_ORDER_FIFO, 8, 0},
    {"best-fit", HPW_ORDER_LIFO, 8, 0},      {"best-fit", HPW_ORDER_RANDOM, 110, 8},
    {"first-fit", HPW_ORDER_ADDRESS, 20, 0}, {"first-fit", HPW_ORDER_RANDOM, 60, 10},
    {"worst-fit", HPW_ORDER_RANDOM, 110, 8}, {"first-fit", HPW_ORDER_FIFO, 60, 10},
    {"first-fit", HPW_ORDER_LIFO, 60, 10},   {"next-fit", HPW_ORDER_ADDRESS, 28, 0},
    {"worst-fit", HPW_ORDER_ADDRESS, 32, 0}, {"worst-fit", HPW_ORDER_FIFO, 20, 0},
    {"worst-fit", HPW_ORDER_LIFO, 20, 0},    {"good-fit", HPW_ORDER_ADDRESS, 32, 0},
    {"buddy", HPW_ORDER_ADDRESS, 20, 1},     {"slab", HPW_ORDER_ADDRESS, 280, 0},
    {"bump", HPW_ORDER_ADDRESS, 3, 0},
};

static void check_claim(size_t number, growth_sizes sizes, int largest_decade, bool print) {
    const char *policy = claims[number].policy;
    hpw_order order = claims[number].order;
    double mean_before = 0;
    size_t holes = 10;
    for (int decade = 2; decade <= largest_decade; decade++) {
        growth g = growth_measure(policy, order, sizes, holes *= 10);
        double limit = claims[number].base + claims[number].slope * log2((double)holes);
        bool bends = claims[number].slope > 0 && decade > 2 &&
                     g.steps_mean > mean_before + claims[number].slope * log2(10);
        bool kept = CHECK((double)g.steps_max <= limit) && CHECK(!bends);
        if (!kept || print)
            printf("%-10s order %d, %s sizes, %7zu holes: %.1f steps, at most %llu, limit %.0f\n", policy,
                   (int)order, size_names[sizes], holes, g.steps_mean, (unsigned long long)g.steps_max,
                   limit);
        mean_before = g.steps_mean;
    }
}

int main(int argc, char **argv) {
    (void)argv;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        for (int sizes = 0; sizes < GROWTH_SIZES; sizes++)
            check_claim(i, (growth_sizes)sizes, sizes == GROWTH_SMALL ? LARGEST_SMALL_DECADE : LARGEST_DECADE,
                        argc > 1);
    const hpw_policy_info *info; /* a new policy has to make its claim here */
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
        bool claimed = false;
        for (size_t j = 0; j < sizeof claims / sizeof *claims; j++)
            claimed = claimed || !strcmp(claims[j].policy, info->name);
        if (!CHECK(claimed)) printf("%s claims no bound\n", info->name);
    }
    return CHECK_DONE();
}
