/* SPDX-License-Identifier: MIT */
/*
 * Small free blocks by size and address, in bitmaps outside of the pool: for
 * each size of 1 ... 31 granules, in large pools 1 ... 63, a bit a word of the
 * block map says that a free block of just that size starts in it, under summary
 * levels of 64.
 *
 *   1. The lowest word that has a size is kept; in it the lowest free start whose
 *      block has that size is the lowest block.
 *   2. A block that comes sets a bit, mostly one that is set. One that goes
 *      looks whether its word has another of its size; where it had not and the
 *      word was the lowest, the next one is the lowest bit that is left.
 *
 * Programs have thousands of equal small blocks, of which a heap's every level
 * is a wait for memory and a branch that nothing predicts; here a word or two
 * of bitmaps are read that stay in the cache, and nothing is kept in the
 * blocks. Bound: a word a level up and down, O(log64 capacity), and the at most 64
 * starts of one word. Memory: a bit a size and 64 granules: with granules of 16
 * 0.4 % of a pool, 0.8 % from 64 MiB on.
 */
#ifndef HPW_SMALL_H
#define HPW_SMALL_H

#include "../policy.h"

enum { SMALL_LEAST = 32, SMALL_MOST = 64, SMALL_LEVELS = 5 };

typedef struct small {
    unsigned levels;             /* two at least */
    size_t stride;               /* words of a size's bitmaps */
    size_t offset[SMALL_LEVELS]; /* of each level, in words; the last one is one word */
    uint64_t *bits;
    uint32_t lowest[SMALL_MOST]; /* the lowest word in which a block of the size starts; NO_WORD: none does */
} small;

#define NO_WORD UINT32_MAX

/* The sizes below it have bitmaps, in granules: SMALL_LEAST or, in large pools, SMALL_MOST. */
granule_t small_sizes(granule_t capacity);

/* Bytes that `small_open` wants for its bitmaps; zeroed. */
size_t small_bytes(granule_t capacity);
void small_open(small *s, granule_t capacity, void *bits);

/*
 * The lowest free block of just `size` that starts in the word: where in it, or WORD_BITS.
 * *another: it is not the only one. The word after it holds the starts that end what crosses it.
 */
HOT unsigned small_in_word(const blocks *map, size_t word, granule_t size, bool *another) {
    uint64_t live = map->live[word], starts = live | map->mark[word], next = blocks_starts(map, word + 1);
    uint64_t ends = starts >> size | next << (WORD_BITS - size);
    unsigned first = WORD_BITS;
    *another = false;
    for (uint64_t found = starts & ~live & ends; found; found &= found - 1) {
        unsigned at = bits_lowest(found);
        uint64_t after = starts >> at >> 1 | next << (WORD_BITS - 1 - at);
        if (bits_lowest(after) + 1 != size) continue; /* something else starts before that end */
        *another = first < WORD_BITS;
        if (*another) break;
        first = at;
    }
    return first;
}

HOT void small_add(free_index *index, small *s, granule_t at, granule_t size) {
    uint64_t *bits = s->bits + size * s->stride;
    size_t word = at / WORD_BITS;
    uint32_t lowest = s->lowest[size];
    s->lowest[size] = word < lowest ? (uint32_t)word : lowest; /* whether it is, no branch predicts */
    bits[word / WORD_BITS] |= (uint64_t)1 << (word % WORD_BITS);
    bool told = false; /* the first two levels are written, needed or not, for the same reason */
    for (unsigned level = 1; level < s->levels && !told; level++) {
        word /= WORD_BITS;
        index->steps++;
        uint64_t *w = &bits[s->offset[level] + word / WORD_BITS];
        told = *w;
        *w |= (uint64_t)1 << (word % WORD_BITS);
    }
}

/* The lowest word with blocks of `size`, where the lowest bit in level 1's word `word` leads to it. */
HOT size_t small_down(const small *s, const uint64_t *bits, size_t word) {
    word = word * WORD_BITS + bits_lowest(bits[s->offset[1] + word]);
    return word * WORD_BITS + bits_lowest(bits[word]);
}

/* The bit in level 1's word `word` was its last: the levels above, and what is now the lowest word. */
uint32_t small_clear_above(free_index *index, const small *s, uint64_t *bits, size_t word);

/* No block of that size starts in the word any more. True where there is none in the pool. */
HOT bool small_clear(free_index *index, small *s, size_t word, granule_t size) {
    uint64_t *bits = s->bits + size * s->stride, *low = &bits[word / WORD_BITS];
    *low &= ~((uint64_t)1 << (word % WORD_BITS));
    size_t above = word / WORD_BITS;
    uint64_t *high = &bits[s->offset[1] + above / WORD_BITS];
    *high &= ~((uint64_t)(*low == 0) << (above % WORD_BITS));
    index->steps += 2;
    if (!*high) {
        uint32_t lowest = small_clear_above(index, s, bits, above / WORD_BITS);
        if (word == s->lowest[size]) s->lowest[size] = lowest;
        return s->lowest[size] == NO_WORD;
    }
    if (word == s->lowest[size]) s->lowest[size] = (uint32_t)small_down(s, bits, above / WORD_BITS);
    return false;
}

/* True where it was the last one of its size. */
HOT bool small_remove(free_index *index, small *s, granule_t at, granule_t size) {
    size_t word = at / WORD_BITS;
    bool more, another = small_in_word(&index->map, word, size, &more) != at % WORD_BITS || more;
    index->steps++; /* the word of the map */
    return !another && small_clear(index, s, word, size);
}

/* The lowest block of `size`; there is one. */
HOT granule_t small_first(free_index *index, const small *s, granule_t size) {
    bool another;
    index->steps++;
    return s->lowest[size] * WORD_BITS + small_in_word(&index->map, s->lowest[size], size, &another);
}

/* Takes the lowest block of `size`, there is one; *none: it was the last. */
HOT granule_t small_take(free_index *index, small *s, granule_t size, bool *none) {
    uint32_t word = s->lowest[size];
    bool another;
    unsigned at = small_in_word(&index->map, word, size, &another);
    index->steps++;
    *none = !another && small_clear(index, s, word, size);
    return word * WORD_BITS + at;
}

/* The lowest of `size` that holds an aligned place for `want`, or NO_GRANULE. O(blocks of that size). */
granule_t small_find(free_index *index, const small *s, granule_t size, const request *want, granule_t *at);

/* Counts the blocks of `size` and compares their bitmaps; NULL, or what is wrong and *at. */
const char *small_check(const free_index *index, const small *s, granule_t size, size_t *count,
                        granule_t *at);

#endif
