/* SPDX-License-Identifier: MIT */
/*
 * Worst fit: the largest free block; among equals the lowest address, or the
 * one that entered the index first (fifo) or last (lifo). Knuth, TAOCP 2.5.
 *
 *   1. By address: first fit's heap of maxima (tallest.h), whose root is the
 *      largest; the lowest of that size is the first that is as large as it.
 *   2. By time: best fit's bins (bins.h) with the sizes turned round, so that the
 *      largest is the first.
 *   3. By chance: randomised.c.
 *
 * Not monotone, in any order: the pool's end competes with the holes for being the
 * largest. A trace of nine events fits in 20 granules and fails in 22:
 * spec/c/reversal_thread_test.c.
 */
#include "bins.h"
#include "tallest.h"

static size_t state_size(granule_t capacity, hpw_order order) {
    return order == HPW_ORDER_ADDRESS ? tallest_bytes(capacity) : bins_bytes(capacity, false);
}

static void open(free_index *index) {
    if (index->order == HPW_ORDER_ADDRESS)
        tallest_open(index, index->state);
    else
        bins_open(index, index->state, true, false);
}

static placement choose(free_index *index, const request *want) {
    return index->order == HPW_ORDER_ADDRESS ? tallest_choose_largest(index, index->state, want)
                                             : bins_choose_largest(index, index->state, want);
}

HOT void added(free_index *index, granule_t at, granule_t size) {
    if (index->order == HPW_ORDER_ADDRESS)
        tallest_add(index, index->state, at, size);
    else
        bins_add(index, index->state, index->order, at, size);
}

HOT void removed(free_index *index, granule_t at, granule_t size) {
    if (index->order == HPW_ORDER_ADDRESS)
        tallest_remove(index, index->state, at, size);
    else
        bins_remove(index, index->state, index->order, at, size);
}

static bool may_add(free_index *index, granule_t at, granule_t size) {
    return index->order == HPW_ORDER_ADDRESS || bins_may_add(index, index->state, at, size);
}
static bool may_remove(free_index *index, granule_t at, granule_t size) {
    return index->order == HPW_ORDER_ADDRESS || bins_may_remove(index, index->state, at, size);
}

/* In address order. */
HOT void replaced(free_index *index, granule_t was, granule_t was_size, granule_t at, granule_t size) {
    tallest_replace(index, index->state, was, was_size, at, size);
}

static granule_t largest(free_index *index) {
    return index->order == HPW_ORDER_ADDRESS ? tallest_largest(index, index->state)
                                             : bins_largest(index, index->state);
}

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    size_t count = 0;
    const char *wrong = index->order == HPW_ORDER_ADDRESS ? tallest_check(index, index->state, &count, at)
                                                          : bins_check(index, index->state, &count, at);
    return wrong || count == free_blocks ? wrong : "the index does not hold every free block";
}

HOT bool pick(free_index *index, links of, hpw_order order, uint64_t size, granule_t *at, granule_t *found) {
    (void)of, (void)order;
    if (size > index->capacity) return false;
    *found = tallest_largest(index, index->state);
    if (*found < size) return false;
    *at = tallest_first_largest(index, index->state);
    return true;
}

HOT bool put(free_index *index, links of, hpw_order order, granule_t at, granule_t size) {
    (void)of, (void)order;
    tallest_add(index, index->state, at, size);
    return true;
}

extern const policy policy_worst_fit, policy_worst_fit_at_random;
#define POLICY policy_worst_fit
#include "../operations_of_policy.h"
#include "../short_calls.h"

SHORT_PAIR(by_address, HPW_ORDER_ADDRESS, true, allocate)

const policy policy_worst_fit = {
    .info =
        {
            .name = "worst-fit",
            .chooses = "the largest, lowest address among equals",
            .index = "first fit's; by time best fit's, largest first",
            .bound = "O(log capacity); by time O(log n)",
            .source = "Knuth, TAOCP 2.5",
            .takes_order = true,
            .exact = true,
        },
    .at_random = &policy_worst_fit_at_random,
    .general = GENERAL_CALLS,
    .validating = VALIDATING_CALLS,
    .calls = {{allocate_by_address, release_by_address, NULL, free_by_address}},
    .state_size = state_size,
    .open = open,
    .choose = choose,
    .may_add = may_add,
    .may_remove = may_remove,
    .added = added,
    .removed = removed,
    .replaced = replaced,
    .largest = largest,
    .check = check,
};
