/* SPDX-License-Identifier: MIT */
/*
 * How cost grows: steps of single operations on a pool with a given number of
 * free blocks. Steps are counted, not timed, so the figures are the same on
 * every machine. Shared by the bench and spec/c/growth_test.c.
 */
#ifndef HPW_BENCH_GROWTH_H
#define HPW_BENCH_GROWTH_H

#include <stddef.h>
#include <stdint.h>

#include "heapwright.h"

/* Sizes that all fall into one bin, into many, or mostly above the bins. */
typedef enum growth_sizes { GROWTH_EQUAL, GROWTH_SMALL, GROWTH_LARGE, GROWTH_SIZES } growth_sizes;

typedef struct growth {
    double steps_mean;
    uint64_t steps_max;
} growth;

/* Opens a pool, makes the free blocks in it, and counts 400 operations. Exits where there is no memory. */
growth growth_measure(const char *policy, hpw_order order, growth_sizes sizes, size_t free_blocks);

#endif
