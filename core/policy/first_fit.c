/* SPDX-License-Identifier: MIT */
/*
 * First fit: the lowest address that fits; or the block that fits and entered
 * the index first (fifo) or last (lifo); by chance: randomised.c.
 *
 *   1. By address: the heap of maxima of tallest.h.
 *   2. By time: a trie keyed by the time of entry whose nodes know the largest
 *      block below them (trie.h): the leftmost path on which one fits. Nodes
 *      take 16 bytes, so the granule must be 16 at least.
 *
 * By address a trace that fits in P fits in every larger pool, with the same
 * addresses: capacity enters the choice only through the last free block, and
 * that one is taken only where no lower one fits. So the high-water mark of a
 * run in an unbounded pool is the smallest pool. In full, for a trace without
 * resizes: let H be that mark. In a pool of H or more, by induction over the events,
 * all blocks lie where they do in the unbounded one: the free blocks are the same but
 * for the end of the last, which is chosen only where no lower one fits, and then
 * holds what the unbounded one places there, since that ends at or below H. In a pool
 * of less than H, the first event whose block would end above the pool finds no lower
 * block either, and fails. By time or by chance the end is no longer last: not
 * monotone, see spec/c/reversal_thread_test.c.
 * Knuth, TAOCP 2.5.
 */
#include "tallest.h"
#include "trie.h"

typedef struct by_time {
    trie_order order;
    trie set;
    uint32_t stamp;
} by_time;

static size_t state_size(granule_t capacity, hpw_order order) {
    return order == HPW_ORDER_ADDRESS ? tallest_bytes(capacity) : (sizeof(by_time) + 7) / 8 * 8;
}

static void open(free_index *index) {
    if (index->order == HPW_ORDER_ADDRESS) {
        tallest_open(index, index->state);
        return;
    }
    by_time *state = index->state;
    state->order = trie_order_of(index->capacity, false, false, index->order, true);
    state->set.root = NO_GRANULE;
}

static placement choose_by_time(free_index *index, by_time *state, const request *want) {
    for (uint64_t key = 0;;) {
        granule_t block = trie_seek(index, &state->order, &state->set, key, want->size);
        if (block == NO_GRANULE) return placement_none();
        placement found = placement_in(want, block, blocks_size(&index->map, block));
        if (found.block != NO_GRANULE) return found;
        key = trie_key(index, &state->order, block) + 1;
    }
}

HOT placement choose(free_index *index, const request *want) {
    if (index->order == HPW_ORDER_ADDRESS) return tallest_choose(index, index->state, 0, want);
    return choose_by_time(index, index->state, want);
}

HOT void added(free_index *index, granule_t at, granule_t size) {
    if (index->order == HPW_ORDER_ADDRESS) {
        tallest_add(index, index->state, at, size);
        return;
    }
    by_time *state = index->state;
    if (state->stamp == UINT32_MAX) state->stamp = trie_restamp(index, &state->order, &state->set);
    trie_insert(index, &state->order, &state->set, at, state->stamp++);
}

HOT void removed(free_index *index, granule_t at, granule_t size) {
    by_time *state = index->state;
    if (index->order == HPW_ORDER_ADDRESS)
        tallest_remove(index, index->state, at, size);
    else
        trie_remove(index, &state->order, &state->set, at);
}

static bool may_add(free_index *index, granule_t at, granule_t size) {
    const by_time *state = index->state;
    (void)size;
    if (index->order == HPW_ORDER_ADDRESS) return true;
    if (state->stamp == UINT32_MAX) return trie_may_restamp(index, &state->order, &state->set);
    return trie_may_insert(index, &state->order, &state->set, at, state->stamp);
}

static bool may_remove(free_index *index, granule_t at, granule_t size) {
    const by_time *state = index->state;
    (void)size;
    return index->order == HPW_ORDER_ADDRESS || trie_may_remove(index, &state->order, &state->set, at);
}

static granule_t largest(free_index *index) {
    if (index->order == HPW_ORDER_ADDRESS) return tallest_largest(index, index->state);
    by_time *state = index->state;
    return trie_largest(index, &state->order, &state->set);
}

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    size_t count = 0;
    by_time *state = index->state;
    const char *wrong = index->order == HPW_ORDER_ADDRESS
                            ? tallest_check(index, index->state, &count, at)
                            : trie_check(index, &state->order, &state->set, &count, at);
    return wrong || count == free_blocks ? wrong : "the index does not hold every free block";
}

/* In address order. */
HOT void replaced(free_index *index, granule_t was, granule_t was_size, granule_t at, granule_t size) {
    tallest_replace(index, index->state, was, was_size, at, size);
}

HOT bool pick(free_index *index, links of, hpw_order order, uint64_t size, granule_t *at, granule_t *found) {
    (void)of, (void)order;
    if (size > index->capacity) return false;
    *at = tallest_first(index, index->state, (granule_t)size);
    if (*at == NO_GRANULE) return false;
    *found = blocks_size(&index->map, *at);
    return true;
}

HOT bool put(free_index *index, links of, hpw_order order, granule_t at, granule_t size) {
    (void)of, (void)order;
    tallest_add(index, index->state, at, size);
    return true;
}

extern const policy policy_first_fit, policy_first_fit_at_random;
#define POLICY policy_first_fit
#include "../operations_of_policy.h"
#include "../short_calls.h"

SHORT_PAIR(by_address, HPW_ORDER_ADDRESS, true, allocate)

const policy policy_first_fit = {
    .info =
        {
            .name = "first-fit",
            .chooses = "the lowest address that fits",
            .index = "a heap of the largest free block by address, fan-out 64",
            .bound = "O(log capacity); by time O(log n)",
            .source = "Knuth, TAOCP 2.5",
            .takes_order = true,
            .exact = true,
            .monotone = true,
        },
    .least_ordered_granule = 16,
    .at_random = &policy_first_fit_at_random,
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
