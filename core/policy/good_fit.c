/* SPDX-License-Identifier: MIT */
/*
 * Good fit: a block from the first bin that is sure to fit. TLSF: Masmano,
 * Ripoll, Crespo, Real, «TLSF: a new dynamic memory allocator for real-time
 * systems», ECRTS 2004.
 *
 *   1. Bin of a size: below 64 granules its own; above, each power of two is
 *      cut into 64 bins, so a bin's sizes differ by less than 1/64.
 *   2. A request is rounded up to the next bin's lower bound; every block of
 *      the first non-empty bin from there on fits; the newest is taken.
 *   3. Where there is none, the blocks of the request's own bin may still fit:
 *      the first PEEK of them are looked at. (Without this a pool could not
 *      grant its own whole capacity, nor a size just freed.) Over-aligned
 *      requests look at PEEK blocks of the first sure bin too.
 *
 * Bound: a choice visits at most 2 bitmap words twice and 2 PEEK blocks; adding
 * and removing are 1 each, at most 6 an operation: 32 steps at most, whatever the pool.
 * Not monotone, for best fit's reason, and by its trace: spec/c/reversal_thread_test.c.
 * Rounding passes by what is less than 1/64 larger than a request.
 */
#include "queue.h"

enum { SECOND_BITS = 6, SECOND = 1 << SECOND_BITS, FIRST = 33 - SECOND_BITS, PEEK = 8, NO_BIN = -1 };

typedef struct two_level {
    uint64_t first; /* a bit a row that is not empty */
    uint64_t second[FIRST];
    granule_t heads[]; /* [row * SECOND + column] */
} two_level;

HOT unsigned bin_of(granule_t size) {
    if (size < SECOND) return size;
    unsigned shift = bits_highest(size) - SECOND_BITS;
    return (shift << SECOND_BITS) + (size >> shift);
}

/* The first bin all of whose blocks hold `size`. */
HOT unsigned sure_bin(uint64_t size) {
    if (size < SECOND) return (unsigned)size;
    size += ((uint64_t)1 << (bits_highest(size) - SECOND_BITS)) - 1;
    return size > UINT32_MAX ? FIRST * SECOND : bin_of((granule_t)size);
}

static unsigned bins_for(granule_t capacity) { return bin_of(capacity) / SECOND * SECOND + SECOND; }

static size_t state_size(granule_t capacity, hpw_order order) {
    (void)order;
    return (sizeof(two_level) + bins_for(capacity) * sizeof(granule_t) + 7) / 8 * 8;
}

static void open(free_index *index) {
    two_level *state = index->state;
    for (unsigned bin = 0; bin < bins_for(index->capacity); bin++) state->heads[bin] = NO_GRANULE;
}

/* The first bin from `bin` on that is not empty; NO_BIN: all are. */
HOT int bin_from(free_index *index, const two_level *state, unsigned bin) {
    unsigned row = bin / SECOND;
    if (row >= FIRST) return NO_BIN;
    uint64_t columns = state->second[row] >> (bin % SECOND);
    if (columns) return (int)(bin + bits_lowest(columns));
    uint64_t rows = state->first >> row >> 1;
    if (!rows) return NO_BIN;
    index->steps++;
    row += bits_lowest(rows) + 1;
    return (int)(row * SECOND + bits_lowest(state->second[row]));
}

/* The newest block of that bin; NO_GRANULE where there is none. */
HOT granule_t head_from(free_index *index, const two_level *state, unsigned bin) {
    int found = bin_from(index, state, bin);
    return found == NO_BIN ? NO_GRANULE : state->heads[found];
}

static bool in_bin(const free_index *index, granule_t at, uint32_t bin) {
    return bin_of(blocks_size(&index->map, at)) == bin;
}

/* The next block of the list that begins with `head`. */
static granule_t after(free_index *index, granule_t head, granule_t block) {
    return queue_next(index, head, block, in_bin, bin_of(blocks_size(&index->map, head)));
}

/* The first PEEK blocks of the list: one with a place for `want`? */
static placement peek(free_index *index, granule_t head, const request *want) {
    granule_t block = head;
    for (unsigned i = 0; i < PEEK && block != NO_GRANULE; i++, block = after(index, head, block)) {
        index->steps++;
        placement found = placement_in(want, block, blocks_size(&index->map, block));
        if (found.block != NO_GRANULE) return found;
    }
    return placement_none();
}

HOT void mark(two_level *state, unsigned bin) {
    state->second[bin / SECOND] |= (uint64_t)1 << (bin % SECOND);
    state->first |= (uint64_t)1 << (bin / SECOND);
}

/* The bin has no blocks any more. */
HOT void unmark(two_level *state, unsigned bin) {
    uint64_t *columns = &state->second[bin / SECOND];
    *columns &= ~((uint64_t)1 << (bin % SECOND));
    if (!*columns) state->first &= ~((uint64_t)1 << (bin / SECOND));
}

HOT void removed(free_index *index, granule_t at, granule_t size) {
    two_level *state = index->state;
    unsigned bin = bin_of(size);
    if (stack_unlink(links_of(index), &state->heads[bin], at)) unmark(state, bin);
}

HOT placement choose(free_index *index, const request *want) {
    const two_level *state = index->state;
    granule_t sure = head_from(index, state, sure_bin((uint64_t)want->size + want->align - 1));
    if (sure != NO_GRANULE) return placement_in(want, sure, blocks_size(&index->map, sure));
    if (want->size > index->capacity) return placement_none();
    if (want->align > 1) {
        placement found = peek(index, head_from(index, state, sure_bin(want->size)), want);
        if (found.block != NO_GRANULE) return found;
    }
    return peek(index, state->heads[bin_of(want->size)], want);
}

HOT void added(free_index *index, granule_t at, granule_t size) {
    two_level *state = index->state;
    unsigned bin = bin_of(size);
    stack_push(links_of(index), &state->heads[bin], at);
    mark(state, bin);
}

/* Onto the front of a list, whatever lies there. */
static bool may_add(free_index *index, granule_t at, granule_t size) {
    (void)index, (void)at, (void)size;
    return true;
}

static bool may_remove(free_index *index, granule_t at, granule_t size) {
    const two_level *state = index->state;
    unsigned bin = bin_of(size);
    return queue_may_unlink(index, state->heads[bin], NULL, at, in_bin, bin);
}

static granule_t largest(free_index *index) {
    const two_level *state = index->state;
    if (!state->first) return 0;
    unsigned row = bits_highest(state->first);
    granule_t head = state->heads[row * SECOND + bits_highest(state->second[row])], most = 0;
    for (granule_t at = head; at != NO_GRANULE; at = after(index, head, at)) {
        granule_t size = blocks_size(&index->map, at);
        if (size > most) most = size;
    }
    return most;
}

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    const two_level *state = index->state;
    size_t count = 0;
    for (unsigned bin = 0; bin < bins_for(index->capacity); bin++) {
        *at = state->heads[bin] == NO_GRANULE ? 0 : state->heads[bin];
        bool column = state->second[bin / SECOND] >> (bin % SECOND) & 1;
        bool row = state->first >> (bin / SECOND) & 1;
        if (column != (state->heads[bin] != NO_GRANULE))
            return "the second-level bitmap disagrees with a bin";
        if (row != (state->second[bin / SECOND] != 0))
            return "the first-level bitmap disagrees with the second";
        granule_t last = NO_GRANULE;
        const char *wrong = queue_check(index, state->heads[bin], in_bin, bin, &count, &last, at);
        if (wrong) return wrong;
    }
    return count == free_blocks ? NULL : "the bins do not hold every free block";
}

/* A bin of the row where the sure ones begin: its newest block. Above the granules that it asks for: see 2.
 */
HOT bool pick(free_index *index, links of, hpw_order order, uint64_t size, granule_t *at, granule_t *found) {
    (void)order;
    two_level *state = index->state;
    unsigned bin = sure_bin(size), row = bin / SECOND;
    if (row >= FIRST) return false;
    uint64_t columns = state->second[row] >> (bin % SECOND);
    if (!columns) return false;
    bin += bits_lowest(columns);
    *at = state->heads[bin];
    *found = bin < SECOND ? bin : blocks_size(&index->map, *at);
    if (stack_pop(of, &state->heads[bin])) unmark(state, bin);
    return true;
}

HOT granule_t seek(free_index *index, hpw_order order, granule_t size, granule_t *found) {
    (void)order;
    two_level *state = index->state;
    int bin = bin_from(index, state, sure_bin(size));
    if (bin == NO_BIN) return NO_GRANULE;
    granule_t at = state->heads[bin];
    *found = blocks_size(&index->map, at);
    if (stack_pop(links_of(index), &state->heads[bin])) unmark(state, (unsigned)bin);
    return at;
}

HOT bool put(free_index *index, links of, hpw_order order, granule_t at, granule_t size) {
    (void)order;
    two_level *state = index->state;
    unsigned bin = bin_of(size);
    mark(state, bin);
    stack_push(of, &state->heads[bin], at);
    return true;
}

extern const policy policy_good_fit;
#define POLICY policy_good_fit
#include "../operations_of_policy.h"
#include "../short_calls.h"

SHORT_CALLS(short, HPW_ORDER_ADDRESS, false)

const policy policy_good_fit = {
    .info =
        {
            .name = "good-fit",
            .chooses = "a block from the first bin that is sure to fit",
            .index = "two-level segregated bins",
            .bound = "O(1), at most 32 steps",
            .source = "Masmano et al., TLSF, ECRTS 2004",
        },
    .general = GENERAL_CALLS,
    .validating = VALIDATING_CALLS,
    .calls = {{allocate_short, release_short, NULL, free_short}},
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
