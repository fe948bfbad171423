/* SPDX-License-Identifier: MIT */
/*
 * Good fit: a block from the first bin that is sure to fit. TLSF: Masmano,
 * Ripoll, Crespo, Real, «TLSF: a new dynamic memory allocator for real-time
 * systems», ECRTS 2004.
 *
 *   1. Bin of a size: below 32 granules its own; above, each power of two is
 *      cut into 32 bins, so a bin's sizes differ by less than 1/32.
 *   2. A request is rounded up to the next bin's lower bound; every block of
 *      the first non-empty bin from there on fits; the newest is taken.
 *   3. Where there is none, the blocks of the request's own bin may still fit:
 *      the first PEEK of them are looked at. (Without this a pool could not
 *      grant its own whole capacity, nor a size just freed.) Over-aligned
 *      requests look at PEEK blocks of the first sure bin too.
 *
 * Bound: a choice visits at most 2 bitmap words twice and 2 PEEK blocks; adding
 * and removing are 1 each, at most 6 an operation: 32 steps at most, whatever the pool.
 * Rounding wastes at most 1/32 of a request.
 */
#include "list.h"

enum { SECOND_BITS = 5, SECOND = 1 << SECOND_BITS, FIRST = 33 - SECOND_BITS, PEEK = 8 };

typedef struct two_level {
    uint32_t first; /* a bit a row that is not empty */
    uint32_t second[FIRST];
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

/* The head of the first bin from `bin` on that is not empty. */
HOT granule_t head_from(free_index *index, const two_level *state, unsigned bin) {
    unsigned row = bin / SECOND;
    if (row >= FIRST) return NO_GRANULE;
    uint32_t columns = state->second[row] >> (bin % SECOND) << (bin % SECOND);
    if (!columns) {
        uint64_t rows = (uint64_t)state->first >> row >> 1;
        if (!rows) return NO_GRANULE;
        index->steps++;
        row += bits_lowest(rows) + 1;
        columns = state->second[row];
    }
    return state->heads[row * SECOND + bits_lowest(columns)];
}

/* The first PEEK blocks of the list: one with a place for `want`? */
static placement peek(free_index *index, granule_t head, const request *want) {
    granule_t block = head;
    for (unsigned i = 0; i < PEEK && block != NO_GRANULE; i++, block = list_after(index, head, block)) {
        index->steps++;
        placement found = placement_in(want, block, blocks_size(&index->map, block));
        if (found.block != NO_GRANULE) return found;
    }
    return placement_none();
}

HOT void removed(free_index *index, granule_t at, granule_t size) {
    two_level *state = index->state;
    unsigned bin = bin_of(size);
    if (!list_unlink(index, &state->heads[bin], at)) return;
    uint32_t *columns = &state->second[bin / SECOND];
    *columns &= ~((uint32_t)1 << (bin % SECOND));
    if (!*columns) state->first &= ~((uint32_t)1 << (bin / SECOND));
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
    list_prepend(index, &state->heads[bin], at);
    state->second[bin / SECOND] |= (uint32_t)1 << (bin % SECOND);
    state->first |= (uint32_t)1 << (bin / SECOND);
}

static granule_t largest(free_index *index) {
    const two_level *state = index->state;
    if (!state->first) return 0;
    unsigned row = bits_highest(state->first);
    granule_t head = state->heads[row * SECOND + bits_highest(state->second[row])], most = 0;
    for (granule_t at = head; at != NO_GRANULE; at = list_after(index, head, at)) {
        granule_t size = blocks_size(&index->map, at);
        if (size > most) most = size;
    }
    return most;
}

static bool in_bin(const free_index *index, granule_t at, uint32_t bin) {
    return bin_of(blocks_size(&index->map, at)) == bin;
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
        const char *wrong = list_check(index, state->heads[bin], in_bin, bin, &count, at);
        if (wrong) return wrong;
    }
    return count == free_blocks ? NULL : "the bins do not hold every free block";
}

/* Above the granules that it asks for, whatever its bin: see 2. */
HOT granule_t pick(free_index *index, hpw_order order, granule_t size, granule_t *found) {
    (void)order;
    two_level *state = index->state;
    granule_t at = head_from(index, state, sure_bin(size));
    if (at == NO_GRANULE) return NO_GRANULE;
    *found = blocks_size(&index->map, at);
    removed(index, at, *found);
    return at;
}

HOT void put(free_index *index, hpw_order order, granule_t at, granule_t size) {
    (void)order;
    added(index, at, size);
}

extern const policy policy_good_fit;
#define POLICY policy_good_fit
#include "../operations_of_policy.h"
#include "../short_calls.h"

SHORT_CALLS(short, HPW_ORDER_ADDRESS)

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
    .calls = {{allocate_short, release_short}},
    .state_size = state_size,
    .open = open,
    .choose = choose,
    .added = added,
    .removed = removed,
    .largest = largest,
    .check = check,
};
