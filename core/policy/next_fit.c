/* SPDX-License-Identifier: MIT */
/*
 * Next fit: the first block that fits, of those that start at or after the end
 * of the last placement; past the last one, from the lowest address again.
 * The index is first fit's (tallest.h); the end of the last placement, the
 * rover, is a granule's number, so that no free or join has to move it.
 * Not monotone: how much lies past the rover decides when it wraps. A trace of nine
 * events fits in 17 granules and fails in 18: spec/c/reversal_thread_test.c.
 * Knuth, TAOCP 2.5.
 */
#include "tallest.h"

typedef struct roving {
    granule_t rover;
    granule_t unused; /* keeps what follows on 8 bytes */
    tallest by_address;
} roving;

static size_t state_size(granule_t capacity, hpw_order order) {
    (void)order;
    return offsetof(roving, by_address) + tallest_bytes(capacity);
}

static tallest *blocks_of(free_index *index) { return &((roving *)index->state)->by_address; }
static void open(free_index *index) { tallest_open(index, blocks_of(index)); }

HOT placement choose(free_index *index, const request *want) {
    roving *state = index->state;
    placement found = tallest_choose(index, &state->by_address, state->rover, want);
    return found.block != NO_GRANULE || !state->rover ? found
                                                      : tallest_choose(index, &state->by_address, 0, want);
}

static void placed(free_index *index, granule_t at, granule_t size, bool in_place) {
    roving *state = index->state;
    if (!in_place) state->rover = at + size;
}

HOT void added(free_index *index, granule_t at, granule_t size) {
    tallest_add(index, blocks_of(index), at, size);
}
HOT void removed(free_index *index, granule_t at, granule_t size) {
    tallest_remove(index, blocks_of(index), at, size);
}
static granule_t largest(free_index *index) { return tallest_largest(index, blocks_of(index)); }

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    size_t count = 0;
    const char *wrong = tallest_check(index, blocks_of(index), &count, at);
    return wrong || count == free_blocks ? wrong : "the index does not hold every free block";
}

HOT void replaced(free_index *index, granule_t was, granule_t was_size, granule_t at, granule_t size) {
    tallest_replace(index, blocks_of(index), was, was_size, at, size);
}

HOT bool pick(free_index *index, links of, hpw_order order, uint64_t size, granule_t *at, granule_t *found) {
    (void)of, (void)order;
    if (size > index->capacity) return false;
    roving *state = index->state;
    granule_t granules = (granule_t)size;
    *at = tallest_seek(index, &state->by_address, state->rover, granules);
    if (*at == NO_GRANULE) *at = tallest_first(index, &state->by_address, granules);
    if (*at == NO_GRANULE) return false;
    *found = blocks_size(&index->map, *at);
    state->rover = *at + granules;
    return true;
}

HOT bool put(free_index *index, links of, hpw_order order, granule_t at, granule_t size) {
    (void)of, (void)order;
    tallest_add(index, blocks_of(index), at, size);
    return true;
}

extern const policy policy_next_fit;
#define POLICY policy_next_fit
#include "../operations_of_policy.h"
#include "../short_calls.h"

SHORT_PAIR(short, HPW_ORDER_ADDRESS, true, allocate)

const policy policy_next_fit = {
    .info =
        {
            .name = "next-fit",
            .chooses = "the first that fits from the end of the last placement on",
            .index = "first fit's, and a rover",
            .bound = "O(log capacity)",
            .source = "Knuth, TAOCP 2.5",
            .exact = true,
        },
    .general = GENERAL_CALLS,
    .calls = {{allocate_short, release_short, NULL, free_short}},
    .state_size = state_size,
    .open = open,
    .choose = choose,
    .placed = placed,
    .added = added,
    .removed = removed,
    .replaced = replaced,
    .largest = largest,
    .check = check,
};
