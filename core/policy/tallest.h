/* SPDX-License-Identifier: MIT */
/*
 * Free blocks by address, with «the first at or after here of at least n
 * granules»: a heap of maxima over the pool, outside of its bytes.
 *
 *   1. A leaf a word of the map (64 granules): the size of the largest free
 *      block that starts in it. Above it 16 nodes have a parent, the largest of
 *      them, up to one root: the largest free block of the pool.
 *   2. The first that fits: from the word on, climb while nothing to the right
 *      is large enough, descend to the leftmost node that is, look through the
 *      word's at most 32 free blocks.
 *   3. A block that comes raises its path; one that goes recomputes the nodes
 *      that had it for their largest.
 *
 * Against a tree of nodes in the free blocks (Stephenson's Fast Fits, SOSP
 * 1983, or any balanced one): the bound holds whatever the sizes are (Fast
 * Fits degenerates where they rise with the address), and a search touches a
 * few lines of a dense array instead of log n blocks all over the pool.
 * Bound: a group of 16, looked at as one, up and down a level, and the 32 blocks
 * of a word: O(log16 capacity). Memory: 4.27 bytes a word, 0.42 % with granules of 16.
 */
#ifndef HPW_TALLEST_H
#define HPW_TALLEST_H

#include "../policy.h"

enum { TALLEST_FAN = 16, TALLEST_LEVELS = 8 };

typedef struct tallest {
    unsigned levels;
    size_t width[TALLEST_LEVELS]; /* nodes of the level; 1 on the top one */
    granule_t *level[TALLEST_LEVELS];
} tallest;

size_t tallest_bytes(granule_t capacity);
void tallest_open(const free_index *index, tallest *t);
void tallest_add(free_index *index, tallest *t, granule_t at, granule_t size);
void tallest_remove(free_index *index, tallest *t, granule_t at, granule_t size);

/* The first free block that starts at or after `from` and has at least `size` granules; or NO_GRANULE. */
granule_t tallest_seek(free_index *index, const tallest *t, granule_t from, granule_t size);

/* The first such block, from `from` on, that holds an aligned place for `want`. */
placement tallest_choose(free_index *index, const tallest *t, granule_t from, const request *want);

static inline granule_t tallest_largest(const tallest *t) { return t->level[t->levels - 1][0]; }

/* Counts the free blocks and compares every node; NULL, or what is wrong and *at. */
const char *tallest_check(free_index *index, const tallest *t, size_t *count, granule_t *at);

#endif
