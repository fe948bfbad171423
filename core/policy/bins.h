/* SPDX-License-Identifier: MIT */
/*
 * Free blocks by size, exactly: a bin for each size below `exact` granules under
 * a two-level bitmap, one tree for all larger ones. Best fit, worst fit and
 * slab choose from it.
 *
 *   1. Size s < exact lies in bin s. By address the bins of the smallest sizes are
 *      bitmaps (small.h), the others heaps (heap.h) with the lowest at their root;
 *      by time a bin is a queue or a stack (queue.h), oldest or newest in front.
 *   2. Larger blocks lie in one trie keyed by size and, among equals, by
 *      address or by time of entry; all but one, `held`: the block that a pool's
 *      unused end is comes and goes with every call that cuts it or joins it,
 *      and mostly is the only large one. Of two the larger one is held.
 *   3. The smallest size that fits is the first set bit from s on: one word of
 *      the bitmap, or its summary (one word) and another. The largest is the
 *      trie's least key (its order descends then), or the last set bit.
 *
 * Bounds: by time O(1) within the bins; by address O(log k) in a bin of k
 * blocks; O(log n) above them.
 * State: 4 bytes a bin, 8 by time, a bin for each 512 granules of the pool, 64 ... 4096 bins;
 * and small.h's by address.
 */
#ifndef HPW_BINS_H
#define HPW_BINS_H

#include "heap.h"
#include "queue.h"
#include "small.h"
#include "trie.h"

enum { MAX_BIN_WORDS = 64 };

typedef struct bins {
    granule_t exact; /* sizes below it have bins; a multiple of 64 */
    bool largest_first;
    trie_order above;
    trie large;
    granule_t held;      /* a large block that is not in the trie; NO_GRANULE: none */
    uint32_t held_stamp; /* its time of entry */
    uint32_t stamp;      /* the next time of entry of a large block */
    uint64_t summary;    /* a bit a word of bitmap */
    uint64_t bitmap[MAX_BIN_WORDS];
    granule_t smallest; /* sizes below it have bitmaps: small_sizes, or 0 */
    small bitmaps;
    granule_t heads[]; /* [size]: the heap's root; by time [2 size]: the list's first block, its last one */
} bins;

/*
 * `bitmaps`: the smallest sizes have bitmaps, for pools in address order all of whose
 * free blocks are here (the bitmaps ask the map what else lies in a word).
 */
size_t bins_bytes(granule_t capacity, bool bitmaps);
void bins_open(const free_index *index, bins *b, bool largest_first, bool bitmaps);

/* Adds the members to *count; NULL, or what is wrong and *at. */
const char *bins_check(free_index *index, const bins *b, size_t *count, granule_t *at);

/* The blocks of `exact` granules and more: one more than `held` can be, or than stamps there are. */
void bins_file_large(free_index *index, bins *b, granule_t at, granule_t size);
void bins_unfile_large(free_index *index, bins *b, granule_t at);
placement bins_choose_large(free_index *index, const bins *b, const request *want);

/* By time: the first of a bin that holds an aligned place. */
placement bins_choose_timed(free_index *index, const bins *b, granule_t size, const request *want);

/* For may_add and may_remove. */
bool bins_may_add(free_index *index, const bins *b, granule_t at, granule_t size);
bool bins_may_remove(free_index *index, const bins *b, granule_t at, granule_t size);

HOT void bins_add_large(free_index *index, bins *b, hpw_order order, granule_t at, granule_t size) {
    if (b->held != NO_GRANULE || b->stamp == UINT32_MAX) {
        bins_file_large(index, b, at, size);
        return;
    }
    b->held = at;
    b->held_stamp = b->stamp;
    b->stamp += order != HPW_ORDER_ADDRESS;
}

HOT void bins_remove_large(free_index *index, bins *b, granule_t at) {
    if (b->held == at)
        b->held = NO_GRANULE;
    else
        bins_unfile_large(index, b, at);
}

/* By address: is it the size of a bitmap? */
HOT bool bins_has_bitmap(const bins *b, granule_t size) { return size < SMALL_MOST && size < b->smallest; }

/* The bin of `size`: its heap's root, its stack, or its queue. */
HOT granule_t *bins_head(bins *b, hpw_order order, granule_t size) {
    return &b->heads[order == HPW_ORDER_ADDRESS ? (size_t)size : (size_t)size * 2];
}

HOT queue *bins_queue(bins *b, granule_t size) { return (queue *)&b->heads[(size_t)size * 2]; }

/* The bin of `size` has no blocks any more. */
HOT void bins_unmark(bins *b, granule_t size) {
    uint64_t *word = &b->bitmap[size / WORD_BITS];
    *word &= ~((uint64_t)1 << (size % WORD_BITS));
    if (!*word) b->summary &= ~((uint64_t)1 << (size / WORD_BITS));
}

/*
 * Adds a block of a size that has a bin. `of` is links_of(index), and the order
 * the index's: the caller may know more of them than the compiler does.
 */
HOT void bins_add_small(free_index *index, bins *b, links of, hpw_order order, granule_t at, granule_t size) {
    granule_t *head = bins_head(b, order, size);
    if (order == HPW_ORDER_ADDRESS && bins_has_bitmap(b, size)) {
        b->bitmap[0] |= (uint64_t)1 << size;
        b->summary |= 1;
        small_add(index, &b->bitmaps, at, size);
        return;
    }
    if (*head == NO_GRANULE) {
        b->bitmap[size / WORD_BITS] |= (uint64_t)1 << (size % WORD_BITS);
        b->summary |= (uint64_t)1 << (size / WORD_BITS);
    }
    if (order == HPW_ORDER_ADDRESS)
        heap_insert(index, head, at, size);
    else if (order == HPW_ORDER_FIFO)
        queue_append(of, bins_queue(b, size), at);
    else
        stack_push(of, head, at);
}

HOT void bins_add(free_index *index, bins *b, hpw_order order, granule_t at, granule_t size) {
    if (size >= b->exact)
        bins_add_large(index, b, order, at, size);
    else
        bins_add_small(index, b, links_of(index), order, at, size);
}

/* Adds it where that is the work of a few instructions, or changes nothing. */
HOT bool bins_put(free_index *index, bins *b, links of, hpw_order order, granule_t at, granule_t size) {
    if (size >= (order == HPW_ORDER_ADDRESS ? b->smallest : b->exact)) return false;
    bins_add_small(index, b, of, order, at, size);
    return true;
}

HOT void bins_remove(free_index *index, bins *b, hpw_order order, granule_t at, granule_t size) {
    if (size >= b->exact) {
        bins_remove_large(index, b, at);
        return;
    }
    granule_t *head = bins_head(b, order, size);
    bool empty = order == HPW_ORDER_FIFO    ? queue_unlink(links_of(index), bins_queue(b, size), at)
                 : order == HPW_ORDER_LIFO  ? stack_unlink(links_of(index), head, at)
                 : bins_has_bitmap(b, size) ? small_remove(index, &b->bitmaps, at, size)
                                            : heap_remove(index, head, at, size);
    if (empty) bins_unmark(b, size);
}

/* The smallest size >= `size` that has blocks in a bin; NO_GRANULE where none has. */
HOT granule_t bins_size_up(free_index *index, const bins *b, granule_t size) {
    if (size >= b->exact) return NO_GRANULE;
    unsigned word = size / WORD_BITS;
    uint64_t found = b->bitmap[word] >> (size % WORD_BITS);
    if (found) return size + bits_lowest(found);
    uint64_t above = b->summary >> word >> 1;
    if (!above) return NO_GRANULE;
    index->steps++;
    word += bits_lowest(above) + 1;
    return word * WORD_BITS + bits_lowest(b->bitmap[word]);
}

/* The first block of a size that has some. */
HOT granule_t bins_first(free_index *index, const bins *b, hpw_order order, granule_t size) {
    if (order != HPW_ORDER_ADDRESS) return b->heads[(size_t)size * 2];
    return bins_has_bitmap(b, size) ? small_first(index, &b->bitmaps, size) : b->heads[size];
}

/*
 * Takes out the block `at` that bins_choose_smallest would choose for `size` granules, unaligned,
 * where the size's own word of the bitmap tells of it and nothing needs to be called; or nothing.
 */
HOT bool bins_pick(free_index *index, bins *b, links of, hpw_order order, uint64_t size, granule_t *at,
                   granule_t *found) {
    if (size >= b->exact) return false;
    uint64_t sizes = b->bitmap[size / WORD_BITS] >> (size % WORD_BITS);
    if (!sizes) return false;
    *found = (granule_t)size + bits_lowest(sizes);
    bool none;
    if (order == HPW_ORDER_ADDRESS) {
        if (!bins_has_bitmap(b, *found)) return false;
        *at = small_take(index, &b->bitmaps, *found, &none);
    } else {
        granule_t *first = bins_head(b, order, *found);
        *at = *first;
        none = stack_pop(of, first); /* of a queue too */
    }
    if (none) bins_unmark(b, *found);
    return true;
}

/* Takes out the large block that is the smallest of at least `size` granules; NO_GRANULE: there is none. */
HOT granule_t bins_take_large(free_index *index, bins *b, granule_t size, granule_t *found) {
    granule_t at = b->held;
    if (b->large.root == NO_GRANULE) { /* it is all there is */
        if (at == NO_GRANULE || (*found = blocks_size(&index->map, at)) < size) return NO_GRANULE;
        index->steps++;
        b->held = NO_GRANULE;
        return at;
    }
    placement place = bins_choose_large(index, b, &(request){.size = size, .align = 1});
    *found = place.size;
    if (place.block != NO_GRANULE) bins_remove_large(index, b, place.block);
    return place.block;
}

/* As bins_pick, wherever the block is; NO_GRANULE: there is none. */
HOT granule_t bins_take_smallest(free_index *index, bins *b, hpw_order order, granule_t size,
                                 granule_t *found) {
    *found = bins_size_up(index, b, size);
    if (*found == NO_GRANULE) return bins_take_large(index, b, size, found);
    granule_t at;
    if (order == HPW_ORDER_ADDRESS && bins_has_bitmap(b, *found)) {
        bool none;
        at = small_take(index, &b->bitmaps, *found, &none);
        if (none) bins_unmark(b, *found);
        return at;
    }
    at = *bins_head(b, order, *found);
    bins_remove(index, b, order, at, *found);
    return at;
}

/* The largest size < `size` that has blocks in a bin; 0 where none has. */
static inline granule_t bins_size_down(free_index *index, const bins *b, granule_t size) {
    if (size == 0) return 0;
    unsigned word = --size / WORD_BITS;
    uint64_t found = b->bitmap[word] << (WORD_BITS - 1 - size % WORD_BITS);
    if (found) return size - (WORD_BITS - 1 - bits_highest(found));
    uint64_t below = b->summary & bits_below(word);
    if (!below) return 0;
    index->steps++;
    word = bits_highest(below);
    return word * WORD_BITS + bits_highest(b->bitmap[word]);
}

/* The first in the bin's order that holds an aligned place for `want`. */
HOT placement bins_choose_in(free_index *index, const bins *b, granule_t size, const request *want) {
    granule_t head = bins_first(index, b, index->order, size), at = head;
    if (want->align == 1) return (placement){head, size, head};
    if (index->order == HPW_ORDER_ADDRESS) {
        granule_t block = bins_has_bitmap(b, size) ? small_find(index, &b->bitmaps, size, want, &at)
                                                   : heap_find(index, head, size, want, &at);
        return block == NO_GRANULE ? placement_none() : (placement){block, size, at};
    }
    return bins_choose_timed(index, b, size, want);
}

/* The same, over-aligned: not every bin has one. */
static inline placement bins_choose_aligned(free_index *index, const bins *b, granule_t size,
                                            const request *want) {
    for (; size < b->exact; index->steps++, size = bins_size_up(index, b, size + 1)) {
        placement found = bins_choose_in(index, b, size, want);
        if (found.block != NO_GRANULE) return found;
    }
    return bins_choose_large(index, b, want);
}

/* The smallest block of at least `want->size` granules that holds an aligned place for it. */
HOT placement bins_choose_smallest(free_index *index, const bins *b, const request *want) {
    granule_t size = bins_size_up(index, b, want->size);
    if (size == NO_GRANULE) return bins_choose_large(index, b, want);
    if (want->align > 1) return bins_choose_aligned(index, b, size, want);
    granule_t first = bins_first(index, b, index->order, size);
    return (placement){first, size, first};
}

/* The largest block that holds an aligned place for `want`. */
static inline placement bins_choose_largest(free_index *index, const bins *b, const request *want) {
    placement found = bins_choose_large(index, b, want);
    granule_t size = b->exact;
    for (; found.block == NO_GRANULE && (size = bins_size_down(index, b, size)) >= want->size && size;
         index->steps++)
        found = bins_choose_in(index, b, size, want);
    return found;
}

static inline granule_t bins_largest(free_index *index, const bins *b) {
    granule_t held = b->held == NO_GRANULE ? 0 : blocks_size(&index->map, b->held);
    if (b->large.root == NO_GRANULE) return held ? held : bins_size_down(index, b, b->exact);
    granule_t last = b->largest_first ? b->large.root : trie_last(index, &b->above, &b->large);
    granule_t filed = last == NO_GRANULE ? 0 : blocks_size(&index->map, last);
    return held > filed ? held : filed;
}

#endif
