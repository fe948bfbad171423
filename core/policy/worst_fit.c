/* SPDX-License-Identifier: MIT */
/*
 * Worst fit: the largest free block; among equals the lowest address, or the
 * one that entered the index first (fifo) or last (lifo). Best fit's index with
 * its sizes turned round, so that the largest is the first. Knuth, TAOCP 2.5.
 */
#include "bins.h"

static size_t state_size(granule_t capacity, hpw_order order) {
    return bins_bytes(capacity, order == HPW_ORDER_ADDRESS);
}

static void open(free_index *index) {
    bins_open(index, index->state, true, index->order == HPW_ORDER_ADDRESS);
}
HOT placement choose(free_index *index, const request *want) {
    return bins_choose_largest(index, index->state, want);
}
HOT void added(free_index *index, granule_t at, granule_t size) {
    bins_add(index, index->state, index->order, at, size);
}
HOT void removed(free_index *index, granule_t at, granule_t size) {
    bins_remove(index, index->state, index->order, at, size);
}
static granule_t largest(free_index *index) { return bins_largest(index, index->state); }

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    size_t count = 0;
    const char *wrong = bins_check(index, index->state, &count, at);
    return wrong || count == free_blocks ? wrong : "the bins do not hold every free block";
}

extern const policy policy_worst_fit;
#define POLICY policy_worst_fit
#include "../operations_of_policy.h"

const policy policy_worst_fit = {
    .info =
        {
            .name = "worst-fit",
            .chooses = "the largest, lowest address among equals",
            .index = "best fit's, largest first",
            .bound = "O(log n)",
            .source = "Knuth, TAOCP 2.5",
            .takes_order = true,
            .exact = true,
        },
    .general = GENERAL_CALLS,
    .state_size = state_size,
    .open = open,
    .choose = choose,
    .added = added,
    .removed = removed,
    .largest = largest,
    .check = check,
};
