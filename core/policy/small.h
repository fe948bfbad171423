/* SPDX-License-Identifier: MIT */
/*
 * Small free blocks by size and address, in bitmaps outside of the pool: for
 * each size of 1 ... SMALL - 1 granules a bit a word of the block map says that
 * a free block of just that size starts in it, under summary levels of 64.
 *
 *   1. The lowest block of a size: the lowest bit, a word a level; in its word
 *      the lowest free start whose block has that size.
 *   2. A block that comes sets a bit, mostly one that is set. One that goes
 *      looks whether its word has another of its size.
 *
 * Programs have thousands of equal small blocks, of which a heap's every level
 * is a wait for memory and a branch that nothing predicts; here a find reads a
 * word a level of bitmaps that stay in the cache, and nothing is kept in the
 * blocks. Bound: a word a level, O(log64 capacity), and the at most 64 starts of
 * one word. Memory: a bit a size and 64 granules, 0.4 % with granules of 16.
 */
#ifndef HPW_SMALL_H
#define HPW_SMALL_H

#include "../policy.h"

enum { SMALL = 32, SMALL_LEVELS = 5 };

typedef struct small {
    unsigned levels;
    size_t stride;               /* words of a size's bitmaps */
    size_t offset[SMALL_LEVELS]; /* of each level, in words; the last one is one word */
    uint64_t *bits;
} small;

/* Bytes that `small_open` wants for its bitmaps; zeroed. */
size_t small_bytes(granule_t capacity);
void small_open(small *s, granule_t capacity, void *bits);

/* Is [at ... at + size) a block, the starts of its word given, which doesn't reach the word's end? */
HOT bool small_is(uint64_t starts, unsigned at, granule_t size) {
    return bits_lowest(starts >> at >> 1) + 1 == size;
}

/*
 * The lowest free block of just `size` in the word but the one at `but`, or
 * WORD_BITS: where it starts in the word.
 */
HOT unsigned small_in_word(const blocks *map, size_t word, granule_t size, unsigned but) {
    uint64_t live = map->live[word], starts = live | map->mark[word], free = starts & ~live;
    free &= ~((uint64_t)(but < WORD_BITS) << (but % WORD_BITS));
    for (uint64_t found = free & (starts >> size); found; found &= found - 1)
        if (small_is(starts, bits_lowest(found), size)) return bits_lowest(found);
    unsigned last = bits_highest(starts); /* it may reach the word's end */
    bool fits = free >> last && map->span[word] == size && last + size >= WORD_BITS;
    return fits ? last : WORD_BITS;
}

/* All levels are written, needed or not: which would be is what no branch predicts. */
HOT void small_add(free_index *index, small *s, granule_t at, granule_t size) {
    uint64_t *bits = s->bits + size * s->stride;
    size_t word = at / WORD_BITS;
    index->steps += s->levels - 1;
    for (unsigned level = 0; level < s->levels; level++, word /= WORD_BITS)
        bits[s->offset[level] + word / WORD_BITS] |= (uint64_t)1 << (word % WORD_BITS);
}

/* No block of that size starts in the word any more. True where there is none in the pool. */
HOT bool small_clear(free_index *index, small *s, size_t word, granule_t size) {
    uint64_t *bits = s->bits + size * s->stride, left = 0;
    index->steps += s->levels;
    for (unsigned level = 0; level < s->levels; level++, word /= WORD_BITS) {
        uint64_t *w = &bits[s->offset[level] + word / WORD_BITS];
        left = *w &= ~((uint64_t)(left == 0) << (word % WORD_BITS));
    }
    return left == 0;
}

/* True where it was the last one of its size. */
HOT bool small_remove(free_index *index, small *s, granule_t at, granule_t size) {
    size_t word = at / WORD_BITS;
    bool another = small_in_word(&index->map, word, size, at % WORD_BITS) < WORD_BITS;
    return !another && small_clear(index, s, word, size);
}

/* The first word that has blocks of `size`; some has. */
HOT size_t small_first_word(free_index *index, const small *s, granule_t size) {
    const uint64_t *bits = s->bits + size * s->stride;
    size_t word = 0;
    index->steps += s->levels + 1; /* and the word of the map */
    for (unsigned level = s->levels; level-- > 0;)
        word = word * WORD_BITS + bits_lowest(bits[s->offset[level] + word]);
    return word;
}

/* The lowest block of `size`; there is one. */
HOT granule_t small_first(free_index *index, const small *s, granule_t size) {
    size_t word = small_first_word(index, s, size);
    return (granule_t)(word * WORD_BITS) + small_in_word(&index->map, word, size, WORD_BITS);
}

/* Takes the lowest block of `size`, there is one; *none: it was the last. */
HOT granule_t small_take(free_index *index, small *s, granule_t size, bool *none) {
    size_t word = small_first_word(index, s, size);
    unsigned at = small_in_word(&index->map, word, size, WORD_BITS);
    *none = small_in_word(&index->map, word, size, at) == WORD_BITS && small_clear(index, s, word, size);
    return (granule_t)(word * WORD_BITS) + at;
}

/* The lowest of `size` that holds an aligned place for `want`, or NO_GRANULE. O(blocks of that size). */
granule_t small_find(free_index *index, const small *s, granule_t size, const request *want, granule_t *at);

/* Counts the blocks of `size` and compares their bitmaps; NULL, or what is wrong and *at. */
const char *small_check(const free_index *index, const small *s, granule_t size, size_t *count,
                        granule_t *at);

#endif
