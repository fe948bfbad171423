/* SPDX-License-Identifier: MIT */
/*
 * Free blocks by size, exactly: a bin for each size below `exact` granules under
 * a two-level bitmap, one tree for all larger ones. Best fit, worst fit and
 * slab choose from it.
 *
 *   1. Size s < exact lies in bin s. By address a bin is a trie (trie.h) keyed
 *      by address; by time it is a circular list, oldest or newest at its head.
 *   2. Larger blocks lie in one trie keyed by size and, among equals, by
 *      address or by time of entry.
 *   3. The smallest size that fits is the first set bit from s on: one word of
 *      the bitmap, or its summary (one word) and another. The largest is the
 *      trie's least key (its order descends then), or the last set bit.
 *
 * Bounds: by time O(1) within the bins; by address O(log k) in a bin of k
 * blocks; O(log n) above them.
 * State: 4 bytes a bin, a bin for each 64 granules of the pool, 64 ... 4096 bins.
 */
#ifndef HPW_BINS_H
#define HPW_BINS_H

#include "trie.h"

enum { MAX_BIN_WORDS = 64 };

typedef struct bins {
    granule_t exact; /* sizes below it have bins; a multiple of 64 */
    bool largest_first;
    trie_order in_bin, above; /* the tries' orders; in_bin by address only */
    trie large;
    uint32_t stamp;   /* the next time of entry into `large` */
    uint64_t summary; /* a bit a word of bitmap */
    uint64_t bitmap[MAX_BIN_WORDS];
    granule_t heads[]; /* [size]: the trie's root or the list's head */
} bins;

size_t bins_bytes(granule_t capacity);
void bins_open(const free_index *index, bins *b, bool largest_first);
void bins_add(free_index *index, bins *b, granule_t at, granule_t size);
void bins_remove(free_index *index, bins *b, granule_t at, granule_t size);

/*
 * The choice: the first block, in the bins' order, of at least `want->size`
 * granules that holds an aligned place for it.
 */
placement bins_choose(free_index *index, const bins *b, const request *want);

granule_t bins_largest(free_index *index, const bins *b);

/* Adds the members to *count; NULL, or what is wrong and *at. */
const char *bins_check(free_index *index, const bins *b, size_t *count, granule_t *at);

#endif
