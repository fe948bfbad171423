/* SPDX-License-Identifier: MIT */
/*
 * Binary buddies: Knowlton, CACM 8 (1965); Knuth, TAOCP 2.5.
 *
 *   1. A block of order k is 2^k granules at a multiple of 2^k from the pool's
 *      start. A capacity that is no power of two is cut from address 0 on into
 *      the largest such blocks.
 *   2. A request takes the smallest order with a block that holds it; of these
 *      the lowest address. A larger block is halved until it is just large
 *      enough; the low half is kept.
 *   3. A freed block joins its buddy, the other half of the block of the next
 *      order, where that is free and whole; then the two of them theirs.
 *
 * Not monotone: what a capacity is cut into decides where a small request goes, and
 * which large block it breaks. A trace of four events fits in 40 granules and fails
 * in 48: spec/c/reversal_thread_test.c.
 *
 * Each order keeps its free blocks in a heap by address (heap.h). Bound:
 * O(log capacity) orders, each O(log k) for k blocks. Rounding to powers of two
 * wastes up to half of a block, 1 - 1/1.4427 of all in the mean over log-uniform
 * sizes (Peterson and Norman, CACM 20, 1977).
 */
#include "heap.h"

enum { ORDERS = 32 };

typedef struct buddies {
    uint32_t not_empty; /* a bit an order */
    granule_t roots[ORDERS];
} buddies;

static size_t state_size(granule_t capacity, hpw_order order) {
    (void)capacity, (void)order;
    return (sizeof(buddies) + 7) / 8 * 8;
}

static void open(free_index *index) {
    buddies *state = index->state;
    for (unsigned order = 0; order < ORDERS; order++) state->roots[order] = NO_GRANULE;
}

static granule_t round_up(const free_index *index, granule_t size) {
    (void)index;
    unsigned order = bits_width(size - 1);
    return order < ORDERS ? (granule_t)1 << order : NO_GRANULE;
}

HOT placement choose(free_index *index, const request *want) {
    const buddies *state = index->state;
    /* A place inside of a block must be one of its aligned parts. */
    request whole = {want->size, want->align, want->skew};
    if (!want->skew && whole.align < want->size) whole.align = want->size;
    uint32_t orders = state->not_empty >> bits_highest(want->size) << bits_highest(want->size);
    for (; orders; orders &= orders - 1) {
        unsigned order = bits_lowest(orders);
        granule_t at = 0, block = heap_find(index, state->roots[order], (granule_t)1 << order, &whole, &at);
        if (block != NO_GRANULE && (at & (want->size - 1)) == 0)
            return (placement){block, (granule_t)1 << order, at};
    }
    return placement_none();
}

static granule_t piece(free_index *index, granule_t at, granule_t size) {
    (void)index;
    unsigned order = bits_highest(size);
    if (at && bits_lowest(at) < order) order = bits_lowest(at);
    return (granule_t)1 << order;
}

static bool may_join(free_index *index, granule_t left, granule_t right, granule_t right_size) {
    (void)index;
    return right - left == right_size && (left & (2 * right_size - 1)) == 0;
}

static bool may_add(free_index *index, granule_t at, granule_t size) {
    const buddies *state = index->state;
    return heap_may_insert(index, state->roots[bits_highest(size)], at, size);
}

static bool may_remove(free_index *index, granule_t at, granule_t size) {
    const buddies *state = index->state;
    return heap_may_remove(index, state->roots[bits_highest(size)], at, size);
}

/* What a smaller block gives back is several buddies: each is asked for before the first one is written to.
 */
static bool may_resize(free_index *index, granule_t at, granule_t old_size, granule_t size) {
    for (granule_t rest = size; index_validates(index) && rest < old_size; rest *= 2)
        if (!may_add(index, at + rest, rest)) return false;
    return (at & (size - 1)) == 0;
}

HOT void added(free_index *index, granule_t at, granule_t size) {
    buddies *state = index->state;
    unsigned order = bits_highest(size);
    heap_insert(index, &state->roots[order], at, size);
    state->not_empty |= (uint32_t)1 << order;
}

HOT void removed(free_index *index, granule_t at, granule_t size) {
    buddies *state = index->state;
    unsigned order = bits_highest(size);
    if (heap_remove(index, &state->roots[order], at, size)) state->not_empty &= ~((uint32_t)1 << order);
}

static granule_t largest(free_index *index) {
    const buddies *state = index->state;
    return state->not_empty ? (granule_t)1 << bits_highest(state->not_empty) : 0;
}

/* Of this order, and at a multiple of its size? */
static bool belongs(const free_index *index, granule_t at, uint32_t order) {
    granule_t size = (granule_t)1 << order;
    return blocks_size(&index->map, at) == size && (at & (size - 1)) == 0;
}

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    const buddies *state = index->state;
    size_t count = 0;
    for (unsigned order = 0; order < ORDERS; order++) {
        granule_t root = state->roots[order];
        *at = 0;
        if ((state->not_empty >> order & 1) != (root != NO_GRANULE))
            return "the bitmap of the orders disagrees with a heap";
        const char *wrong = heap_check(index, root, (granule_t)1 << order, belongs, order, &count, at);
        if (wrong) return wrong;
    }
    return count == free_blocks ? NULL : "the orders do not hold every free block";
}

extern const policy policy_buddy;
#define POLICY policy_buddy
#include "../operations_of_policy.h"

const policy policy_buddy = {
    .info =
        {
            .name = "buddy",
            .chooses = "the smallest power of two that fits, lowest address",
            .index = "a heap by address an order",
            .bound = "O(log capacity)",
            .source = "Knowlton, CACM 8 (1965); Knuth, TAOCP 2.5",
            .exact = true,
        },
    .general = GENERAL_CALLS,
    .validating = VALIDATING_CALLS,
    .state_size = state_size,
    .open = open,
    .round = round_up,
    .choose = choose,
    .may_add = may_add,
    .may_remove = may_remove,
    .piece = piece,
    .may_join = may_join,
    .may_resize = may_resize,
    .added = added,
    .removed = removed,
    .largest = largest,
    .check = check,
};
