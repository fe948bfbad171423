/* SPDX-License-Identifier: MIT */
/* Free blocks by address under a heap of maxima: see tallest.h for how it works and its bound. */
#include "tallest.h"

/* ---- The 16 children of a node: one cache line, looked at without a branch ---- */

#if defined(__SSE2__) && __STDC_HOSTED__ && !defined(HPW_PORTABLE_BITS)
#include <emmintrin.h>

/* SSE2 compares signed numbers only: with the top bit turned over, they are in the order of unsigned ones. */
HOT __m128i four_children(const granule_t *children) {
    return _mm_xor_si128(_mm_loadu_si128((const __m128i *)children), _mm_set1_epi32(INT32_MIN));
}

HOT unsigned four_above(const granule_t *children, __m128i least) {
    return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpgt_epi32(four_children(children), least)));
}

HOT __m128i greater_of(__m128i a, __m128i b) {
    __m128i mask = _mm_cmpgt_epi32(a, b);
    return _mm_or_si128(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b));
}

/* A bit for each child that is at least `size`, which is not 0. */
HOT unsigned large_enough(const granule_t *children, granule_t size) {
    __m128i least = _mm_set1_epi32((int)((size - 1) ^ (granule_t)INT32_MIN));
    return four_above(children, least) | four_above(children + 4, least) << 4 |
           four_above(children + 8, least) << 8 | four_above(children + 12, least) << 12;
}

HOT granule_t largest_child(const granule_t *children) {
    __m128i two = greater_of(four_children(children), four_children(children + 4));
    __m128i all = greater_of(two, greater_of(four_children(children + 8), four_children(children + 12)));
    all = greater_of(all, _mm_shuffle_epi32(all, _MM_SHUFFLE(1, 0, 3, 2)));
    all = greater_of(all, _mm_shuffle_epi32(all, _MM_SHUFFLE(2, 3, 0, 1)));
    return (granule_t)_mm_cvtsi128_si32(all) ^ (granule_t)INT32_MIN;
}
#else
HOT unsigned large_enough(const granule_t *children, granule_t size) {
    unsigned found = 0;
    for (unsigned i = 0; i < TALLEST_FAN; i++) found |= (unsigned)(children[i] >= size) << i;
    return found;
}

HOT granule_t largest_child(const granule_t *children) {
    granule_t largest = 0;
    for (unsigned i = 0; i < TALLEST_FAN; i++) largest = children[i] > largest ? children[i] : largest;
    return largest;
}
#endif

/* ---- Layout ---- */

static size_t parents(size_t nodes) { return (nodes + TALLEST_FAN - 1) / TALLEST_FAN; }

/* Each level but the root's is filled up with zeros to whole groups of children. */
static size_t filled(size_t nodes) { return nodes == 1 ? 1 : parents(nodes) * TALLEST_FAN; }

size_t tallest_bytes(granule_t capacity) {
    size_t nodes = blocks_words(capacity), all = filled(nodes);
    while (nodes > 1) all += filled(nodes = parents(nodes));
    return (sizeof(tallest) + all * sizeof(granule_t) + 7) / 8 * 8;
}

void tallest_open(const free_index *index, tallest *t) {
    granule_t *next = (granule_t *)(t + 1);
    size_t nodes = blocks_words(index->capacity);
    for (t->levels = 0;; nodes = parents(nodes)) {
        t->level[t->levels] = next;
        t->width[t->levels++] = nodes;
        next += filled(nodes);
        if (nodes == 1) return;
    }
}

/* ---- Coming and going ---- */

static uint64_t free_starts(const free_index *index, size_t word) {
    return index->map.mark[word] & ~index->map.live[word];
}

static granule_t largest_start(free_index *index, size_t word, uint64_t starts) {
    granule_t largest = 0;
    for (; starts; starts &= starts - 1) {
        granule_t size = blocks_size(&index->map, (granule_t)(word * WORD_BITS + bits_lowest(starts)));
        if (size > largest) largest = size;
    }
    return largest;
}

void tallest_add(free_index *index, tallest *t, granule_t at, granule_t size) {
    size_t node = at / WORD_BITS;
    unsigned level = 0;
    for (; level < t->levels && t->level[level][node] < size; level++, node /= TALLEST_FAN)
        t->level[level][node] = size;
    index->steps += level;
}

void tallest_remove(free_index *index, tallest *t, granule_t at, granule_t size) {
    size_t node = at / WORD_BITS;
    if (t->level[0][node] != size) return;
    uint64_t others = free_starts(index, node) & ~((uint64_t)1 << (at % WORD_BITS));
    granule_t largest = largest_start(index, node, others);
    for (unsigned level = 0;; level++) {
        t->level[level][node] = largest;
        if (level + 1 == t->levels) return;
        node /= TALLEST_FAN;
        if (largest == size || t->level[level + 1][node] != size) return;
        index->steps++;
        largest = largest_child(t->level[level] + node * TALLEST_FAN);
    }
}

/* ---- Search ---- */

/* The first start in the word, of those in `starts`, that is large enough; or NO_GRANULE. */
static granule_t first_in_word(free_index *index, size_t word, uint64_t starts, granule_t size) {
    for (; starts; starts &= starts - 1) {
        granule_t at = (granule_t)(word * WORD_BITS + bits_lowest(starts));
        if (blocks_size(&index->map, at) >= size) return at;
    }
    return NO_GRANULE;
}

/* From a node of the level that is large enough down to the first such block. */
static granule_t descend(free_index *index, const tallest *t, unsigned level, size_t node, granule_t size) {
    index->steps += level;
    while (level-- > 0) {
        node *= TALLEST_FAN;
        node += bits_lowest(large_enough(t->level[level] + node, size));
    }
    return first_in_word(index, node, free_starts(index, node), size);
}

granule_t tallest_seek(free_index *index, const tallest *t, granule_t from, granule_t size) {
    if (from >= index->map.count || tallest_largest(t) < size) return NO_GRANULE;
    if (from == 0) return descend(index, t, t->levels - 1, 0, size);
    size_t node = from / WORD_BITS;
    if (t->level[0][node] >= size) {
        uint64_t starts = free_starts(index, node) >> (from % WORD_BITS) << (from % WORD_BITS);
        granule_t at = first_in_word(index, node, starts, size);
        if (at != NO_GRANULE) return at;
    }
    for (unsigned level = 0; level + 1 < t->levels; level++, node /= TALLEST_FAN) {
        size_t group = node / TALLEST_FAN * TALLEST_FAN;
        unsigned later = large_enough(t->level[level] + group, size) >> (node % TALLEST_FAN) >> 1;
        index->steps++;
        if (later) return descend(index, t, level, node + 1 + bits_lowest(later), size);
    }
    return NO_GRANULE;
}

placement tallest_choose(free_index *index, const tallest *t, granule_t from, const request *want) {
    for (granule_t block; (block = tallest_seek(index, t, from, want->size)) != NO_GRANULE;
         from = block + 1) {
        placement found = placement_in(want, block, blocks_size(&index->map, block));
        if (found.block != NO_GRANULE) return found;
    }
    return placement_none();
}

const char *tallest_check(free_index *index, const tallest *t, size_t *count, granule_t *at) {
    for (size_t word = 0; word < t->width[0]; word++) {
        *at = (granule_t)(word * WORD_BITS);
        uint64_t starts = word < blocks_words(index->map.count) ? free_starts(index, word) : 0;
        if (t->level[0][word] != largest_start(index, word, starts))
            return "a word's note of its largest free block is wrong";
        for (; starts; starts &= starts - 1) ++*count;
    }
    for (unsigned level = 0; level + 1 < t->levels; level++)
        for (size_t node = 0; node < t->width[level + 1]; node++)
            if (t->level[level + 1][node] != largest_child(t->level[level] + node * TALLEST_FAN))
                return *at = 0, "a note of the largest free block below is wrong";
    return NULL;
}
