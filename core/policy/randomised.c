/* SPDX-License-Identifier: MIT */
/*
 * First, best and worst fit in order «random»: of the free blocks that the rule
 * holds for equal the choice looks like chance and follows from a seed, so that who
 * does not know the seed can't say which one comes next. Guard levels find a fault;
 * this makes one harder to use.
 *
 *   1. Each granule has a *rank*, its number through a bijection of 32 bits keyed
 *      by the seed. One trie (trie.h) holds all free blocks, whatever their size:
 *      by size and then rank (best and worst fit), or by rank alone, each node with
 *      the largest block below it (first fit).
 *   2. The n-th placement since the pool was opened or reset draws 64 bits, which
 *      follow from the seed and n. Their upper half is a rank: of the equals, the
 *      first at or after it is taken, after the last comes the first. As ranks are
 *      spread by the seed, over all seeds each of k equals is as likely as another;
 *      as each placement draws anew, the same block freed and asked for again is
 *      not the same answer again.
 *   3. Where all of the pool is one free block, the lower half says where in it the
 *      request goes: one of all its places that are aligned as asked, each equally
 *      likely. Elsewhere a request takes a block's lowest place, as always.
 *
 * The bits are those of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
 * Number Generators, OOPSLA 2014), the 0th of them the key of the ranks; the
 * bijection is MurmurHash3's last step (Appleby) with that key put in between. Who
 * sees many addresses could compute a seed: this is no cipher.
 *
 * Bound: two or three paths of the trie a placement, one a free block that comes or
 * goes: O(log n) expected. Over-aligned requests, which not every block holds, try
 * one block after the other. Nodes take 8 bytes of a free block, with notes 16.
 */
#include "trie.h"

typedef struct randomised {
    trie_order order;
    trie set;
    uint64_t placements; /* since the pool was opened or reset */
} randomised;

static size_t state_size(granule_t capacity, hpw_order order) {
    (void)capacity, (void)order;
    return (sizeof(randomised) + 7) / 8 * 8;
}

/* The n-th 64 bits of a seed. */
static uint64_t bits_of(uint64_t seed, uint64_t n) {
    uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* By size and then rank, or by rank alone. */
static void open_by(free_index *index, bool by_size, bool largest_first) {
    randomised *r = index->state;
    r->order = trie_order_of(index->capacity, by_size, largest_first, HPW_ORDER_RANDOM, !by_size);
    r->order.rank_key = bits_of(index->seed, 0);
    r->set.root = NO_GRANULE;
}

/* ---- Choosing ---- */

/* Of the members with keys from `first` to `last`, the first that holds an aligned place for `want`. */
static placement first_between(free_index *index, const randomised *r, const request *want, uint64_t first,
                               uint64_t last) {
    for (uint64_t key = first; key <= last; key++) {
        granule_t block = trie_seek(index, &r->order, &r->set, key, want->size);
        if (block == NO_GRANULE || (key = trie_key(index, &r->order, block)) > last) break;
        index->steps++;
        placement found = placement_in(want, block, blocks_size(&index->map, block));
        if (found.block != NO_GRANULE) return found;
    }
    return placement_none();
}

/* The same from a rank on, and round to it; the keys of these equals begin with `least`. */
static placement among_equals(free_index *index, const randomised *r, const request *want, uint64_t least,
                              uint32_t rank) {
    placement found = first_between(index, r, want, least | rank, least | UINT32_MAX);
    if (found.block != NO_GRANULE || rank == 0 || index->broken) return found;
    return first_between(index, r, want, least, least | (rank - 1));
}

/* Equals are the blocks of a size, from the one that the policy prefers on. */
static placement choose_by_size(free_index *index, const randomised *r, const request *want, uint32_t rank) {
    uint64_t least = r->order.largest_first ? 0 : trie_size_key(index, &r->order, want->size);
    for (;; least += (uint64_t)1 << 32) { /* no overflow: sizes are below 2^32 - 64 */
        granule_t block = trie_seek(index, &r->order, &r->set, least, 0);
        if (block == NO_GRANULE) return placement_none();
        granule_t size = blocks_size(&index->map, block);
        if (size < want->size) return placement_none(); /* descending: the rest is smaller still */
        least = trie_size_key(index, &r->order, size);
        placement found = among_equals(index, r, want, least, rank);
        if (found.block != NO_GRANULE || index->broken) return found;
    }
}

/* One of the places in the free block, by the lower half of what was drawn. */
static granule_t place_by_chance(const request *want, placement found, uint64_t drawn) {
    granule_t room = found.size - (found.at - found.block) - want->size;
    uint64_t places = (uint64_t)(room / want->align) + 1;
    return found.at + (granule_t)((drawn & UINT32_MAX) * places >> 32) * want->align;
}

static placement choose(free_index *index, const request *want) {
    randomised *r = index->state;
    uint64_t drawn = bits_of(index->seed, r->placements + 1);
    uint32_t rank = (uint32_t)(drawn >> 32);
    placement found =
        r->order.by_size ? choose_by_size(index, r, want, rank) : among_equals(index, r, want, 0, rank);
    if (found.block == NO_GRANULE) return found;
    r->placements++; /* what is chosen is placed */
    if (found.size == index->map.count) found.at = place_by_chance(want, found, drawn);
    return found;
}

/* ---- Coming and going ---- */

static void added(free_index *index, granule_t at, granule_t size) {
    randomised *r = index->state;
    (void)size;
    trie_insert(index, &r->order, &r->set, at, 0);
}

static void removed(free_index *index, granule_t at, granule_t size) {
    randomised *r = index->state;
    (void)size;
    trie_remove(index, &r->order, &r->set, at);
}

static bool may_add(free_index *index, granule_t at, granule_t size) {
    const randomised *r = index->state;
    (void)size;
    return trie_may_insert(index, &r->order, &r->set, at, 0);
}

static bool may_remove(free_index *index, granule_t at, granule_t size) {
    const randomised *r = index->state;
    (void)size;
    return trie_may_remove(index, &r->order, &r->set, at);
}

static granule_t largest(free_index *index) {
    const randomised *r = index->state;
    if (!r->order.by_size) return trie_largest(index, &r->order, &r->set);
    granule_t block = r->order.largest_first ? r->set.root : trie_last(index, &r->order, &r->set);
    return block == NO_GRANULE ? 0 : blocks_size(&index->map, block);
}

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    const randomised *r = index->state;
    size_t count = 0;
    const char *wrong = trie_check(index, &r->order, &r->set, &count, at);
    return wrong || count == free_blocks ? wrong : "the index does not hold every free block";
}

/* ---- The policies: one but for what their keys are ---- */

static void open_first_fit(free_index *index) { open_by(index, false, false); }
static void open_best_fit(free_index *index) { open_by(index, true, false); }
static void open_worst_fit(free_index *index) { open_by(index, true, true); }

extern const policy policy_first_fit_at_random, policy_best_fit_at_random, policy_worst_fit_at_random;
#define POLICY policy_best_fit_at_random
#include "../operations_of_policy.h"

#define AT_RANDOM                                                                                            \
    .general = GENERAL_CALLS, .validating = VALIDATING_CALLS, .places_anywhere = true,                       \
    .state_size = state_size, .choose = choose, .may_add = may_add, .may_remove = may_remove,                \
    .added = added, .removed = removed, .largest = largest, .check = check

/* What is told of a policy is in its own file. */
const policy policy_first_fit_at_random = {
    .info = {.name = "first-fit", .exact = true},
    .open = open_first_fit,
    .least_ordered_granule = 16,
    AT_RANDOM,
};
const policy policy_best_fit_at_random = {
    .info = {.name = "best-fit", .exact = true},
    .open = open_best_fit,
    AT_RANDOM,
};
const policy policy_worst_fit_at_random = {
    .info = {.name = "worst-fit", .exact = true},
    .open = open_worst_fit,
    AT_RANDOM,
};
