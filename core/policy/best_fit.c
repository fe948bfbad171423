/* SPDX-License-Identifier: MIT */
/*
 * Best fit: the smallest free block that fits; among equals the lowest address,
 * or the one that entered the index first (fifo) or last (lifo).
 * All of the work is in bins.h; by chance: randomised.c. Knuth, TAOCP 2.5.
 *
 * Not monotone, in any order: where the pool's end is the smallest block that fits,
 * a granule more may make another block the smallest. A trace of seven events fits
 * in 10 granules and fails in 11: spec/c/reversal_thread_test.c.
 */
#include "bins.h"

static size_t state_size(granule_t capacity, hpw_order order) {
    return bins_bytes(capacity, order == HPW_ORDER_ADDRESS);
}

static void open(free_index *index) {
    bins_open(index, index->state, false, index->order == HPW_ORDER_ADDRESS);
}
HOT placement choose(free_index *index, const request *want) {
    return bins_choose_smallest(index, index->state, want);
}
HOT void added(free_index *index, granule_t at, granule_t size) {
    bins_add(index, index->state, index->order, at, size);
}
HOT void removed(free_index *index, granule_t at, granule_t size) {
    bins_remove(index, index->state, index->order, at, size);
}
static bool may_add(free_index *index, granule_t at, granule_t size) {
    return bins_may_add(index, index->state, at, size);
}
static bool may_remove(free_index *index, granule_t at, granule_t size) {
    return bins_may_remove(index, index->state, at, size);
}
static granule_t largest(free_index *index) { return bins_largest(index, index->state); }

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    size_t count = 0;
    const char *wrong = bins_check(index, index->state, &count, at);
    return wrong || count == free_blocks ? wrong : "the bins do not hold every free block";
}

HOT bool pick(free_index *index, links of, hpw_order order, uint64_t size, granule_t *at, granule_t *found) {
    return bins_pick(index, index->state, of, order, size, at, found);
}

HOT granule_t seek(free_index *index, hpw_order order, granule_t size, granule_t *found) {
    return bins_take_smallest(index, index->state, order, size, found);
}

HOT bool put(free_index *index, links of, hpw_order order, granule_t at, granule_t size) {
    return bins_put(index, index->state, of, order, at, size);
}

extern const policy policy_best_fit, policy_best_fit_at_random;
#define POLICY policy_best_fit
#include "../operations_of_policy.h"
#include "../short_calls.h"

SHORT_CALLS(by_address, HPW_ORDER_ADDRESS, true)
SHORT_CALLS(fifo, HPW_ORDER_FIFO, false)
SHORT_CALLS(lifo, HPW_ORDER_LIFO, false)

const policy policy_best_fit = {
    .info =
        {
            .name = "best-fit",
            .chooses = "the smallest that fits, lowest address among equals",
            .index = "exact-size bins under a bitmap, a tree above",
            .bound = "O(log64 capacity) small, O(log k) in a bin of k, O(1) fifo, lifo; O(log n) above",
            .source = "Knuth, TAOCP 2.5",
            .takes_order = true,
            .exact = true,
        },
    .at_random = &policy_best_fit_at_random,
    .general = GENERAL_CALLS,
    .validating = VALIDATING_CALLS,
    .calls = {{allocate_by_address, release_by_address, NULL, free_by_address},
              {allocate_fifo, release_fifo, NULL, free_fifo},
              {allocate_lifo, release_lifo, NULL, free_lifo}},
    .state_size = state_size,
    .open = open,
    .choose = choose,
    .may_add = may_add,
    .may_remove = may_remove,
    .added = added,
    .removed = removed,
    .largest = largest,
    .check = check,
};
