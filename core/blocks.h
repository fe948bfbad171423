/* SPDX-License-Identifier: MIT */
/*
 * The block map: what lies where in a pool, kept outside of the pool's bytes.
 *
 * Glossary: a *granule* is the unit of placement, numbered from 0; a *word* is
 * 64 granules; a block *crosses* its word where it reaches the word's end or
 * goes past it.
 *
 * Two bits a granule say all that a block is:
 *
 *      live mark
 *       0    0    inside a block
 *       0    1    a free block starts here
 *       1    0    a live block starts here, its requested size is its whole size
 *       1    1    a live block starts here, its requested size is in its slack
 *
 * So «a block starts here» is live | mark, and one load answers «is this the
 * start of a live block». Sizes and predecessors need no scan: of the blocks
 * that start in a word at most one crosses it, the last, and of the words that
 * a block covers wholly nobody else needs the entry. One 32-bit number a word,
 * `span`, serves both:
 *
 *      span[w] = size of the block that starts in w and crosses it;
 *      span[m] = start of the block that covers all of w+1 ... m, m the last
 *                such word, where it covers any (so that the block after it
 *                finds its predecessor).
 *
 *      word  |....S===|========|========|==S.....|
 *      span      3 words        ^ start of S
 *
 * Finding the block around any granule goes through a summary: a bit for each
 * word in which a block starts, a bit for each word of those, and so on.
 *
 * The design named the first and the last granule of a free block instead. That
 * leaves neighbouring free blocks (buddies, the slots of a slab's page) of one
 * granule ambiguous, and makes the size of a large block a scan or a footer in
 * bytes that anyone may overwrite. Marking starts only and keeping `span`
 * costs 0.39 % of a pool with granules of 16 and makes size, next and previous
 * O(1), with nothing trusted inside the pool.
 *
 * Memory: 2 bits a granule, 4 bytes and 1.02 bits a word. Invariants: see
 * blocks_check. Bounds: everything O(1) but blocks_owner and blocks_next_start,
 * which visit at most 2 words a summary level: O(log64 granules).
 */
#ifndef HPW_BLOCKS_H
#define HPW_BLOCKS_H

#include "bits.h"
#include "heapwright.h"

typedef uint32_t granule_t; /* a granule's number, or a count of granules */

#define NO_GRANULE UINT32_MAX
#define WORD_BITS 64U
#define SUMMARY_LEVELS 5 /* 64^6 > 2^32: the last level is one word */

typedef struct blocks {
    uint64_t *live;
    uint64_t *mark;
    uint32_t *span;
    uint64_t *summary[SUMMARY_LEVELS]; /* [0]: a bit a word of the map */
    size_t words;                      /* of each bitmap */
    uint64_t *freed;                   /* a bit a granule: the newest block that began here was freed, or,
                                          of a live block: it was asked for with an alignment; or NULL */
    granule_t count;                   /* granules now; a live block's start is faked there, as an end */
} blocks;

/* ---- Layout ---- */

/* Words of the map for `granules` and the mark at their end. */
HOT size_t blocks_words(granule_t granules) { return (size_t)granules / WORD_BITS + 1; }

/* Bytes that a map of up to `granules` takes; a multiple of 8. */
size_t blocks_bytes(granule_t granules, bool remembers_frees);

/* Lays the map out in `memory`, zeroed, aligned to 8. It has no blocks and count 0. */
void blocks_init(blocks *map, void *memory, granule_t granules, bool remembers_frees);

/* ---- Questions ---- */

HOT uint64_t blocks_starts(const blocks *map, size_t word) { return map->live[word] | map->mark[word]; }

HOT bool blocks_bit(const uint64_t *bitmap, granule_t at) {
    return bitmap[at / WORD_BITS] >> (at % WORD_BITS) & 1;
}

HOT bool blocks_is_live(const blocks *map, granule_t at) { return blocks_bit(map->live, at); }

HOT bool blocks_is_start(const blocks *map, granule_t at) {
    return blocks_starts(map, at / WORD_BITS) >> (at % WORD_BITS) & 1;
}

HOT bool blocks_is_free(const blocks *map, granule_t at) {
    return blocks_bit(map->mark, at) && !blocks_is_live(map, at);
}

/* Does the live block that starts here keep its requested size in its slack? */
HOT bool blocks_has_slack(const blocks *map, granule_t at) { return blocks_bit(map->mark, at); }

/*
 * A piece of both bitmaps. Most blocks are small, and so are most distances; but
 * where a word ends among them is what no branch predicts. So a piece begins or
 * ends at any byte of the bitmaps, where words lie in memory lowest bits first,
 * and is 57 granules or more; else it ends where the word does. For pools without
 * caches of threads: of the neighbouring word a thread may be at work.
 */
typedef struct blocks_piece {
    uint64_t live, mark;
} blocks_piece;

/* The granules from `at` on, in the lowest bits: past the pool's end, which is a start, lies anything. */
HOT blocks_piece blocks_from(const blocks *map, granule_t at) {
#ifdef BITS_BY_BYTE
    return (blocks_piece){bits_from_byte(map->live, at / 8) >> (at % 8),
                          bits_from_byte(map->mark, at / 8) >> (at % 8)};
#else
    size_t word = at / WORD_BITS;
    return (blocks_piece){map->live[word] >> (at % WORD_BITS), map->mark[word] >> (at % WORD_BITS)};
#endif
}

/* The granules before `at`, in the highest bits. */
HOT blocks_piece blocks_before(const blocks *map, granule_t at) {
    size_t word = at / WORD_BITS;
    unsigned above = WORD_BITS - 1 - at % WORD_BITS;
#ifdef BITS_BY_BYTE
    if (at >= 56)
        return (blocks_piece){bits_from_byte(map->live, at / 8 - 7) << (8 - at % 8),
                              bits_from_byte(map->mark, at / 8 - 7) << (8 - at % 8)};
#endif
    return (blocks_piece){map->live[word] << above << 1, map->mark[word] << above << 1};
}

/* The size of the block that starts at `at`. */
HOT granule_t blocks_size(const blocks *map, granule_t at) {
    size_t word = at / WORD_BITS;
    uint64_t after = blocks_starts(map, word) >> (at % WORD_BITS) >> 1;
    return after ? bits_lowest(after) + 1 : map->span[word];
}

/* The start of the block that ends where `at` begins; at > 0, and a block starts there. */
HOT granule_t blocks_previous(const blocks *map, granule_t at) {
    size_t word = at / WORD_BITS;
    uint64_t before = blocks_starts(map, word) & bits_below(at % WORD_BITS);
    if (!before) {
        word--;
        before = blocks_starts(map, word);
        if (!before) return map->span[word]; /* it covers this word: its start is noted here */
    }
    return (granule_t)(word * WORD_BITS + bits_highest(before));
}

/* Is the block that ends where `at` begins live? A block starts there; before granule 0 there is none. */
HOT bool blocks_previous_is_live(const blocks *map, granule_t at) {
    blocks_piece before = blocks_before(map, at);
    uint64_t starts = before.live | before.mark;
    if (starts) return before.live > (before.live ^ starts); /* whose highest start is the higher one? */
    return at && blocks_is_live(map, blocks_previous(map, at));
}

/* The start of the block that holds granule `at` < count. */
granule_t blocks_owner(const blocks *map, granule_t at);

/* The first block that starts at or after `at`; count where there is none. */
granule_t blocks_next_start(const blocks *map, granule_t at);

/* The size of the largest free block, 0 where there is none. O(blocks). */
granule_t blocks_largest_free(const blocks *map);

/* ---- Changes: pool.c's alone ---- */

void blocks_summary_set(blocks *map, size_t word);
void blocks_summary_clear(blocks *map, size_t word);

/* Notes the size of [at, at + size) where the bits of one word do not tell it. */
HOT void blocks_span(blocks *map, granule_t at, granule_t size) {
    size_t word = at / WORD_BITS;
    if (at % WORD_BITS + (uint64_t)size < WORD_BITS) return;
    map->span[word] = size;
    size_t last_whole = ((size_t)at + size) / WORD_BITS - 1;
    if (last_whole > word) map->span[last_whole] = at;
}

/* A block is about to start in the word: the summary is told before the bits are set. */
HOT void blocks_begin(blocks *map, size_t word) {
    if (!blocks_starts(map, word)) blocks_summary_set(map, word);
}

/* [at, at + size) is a free block. What lay there must have been erased. */
HOT void blocks_set_free(blocks *map, granule_t at, granule_t size) {
    size_t word = at / WORD_BITS;
    uint64_t bit = (uint64_t)1 << (at % WORD_BITS);
    blocks_begin(map, word);
    map->live[word] &= ~bit;
    map->mark[word] |= bit;
    blocks_span(map, at, size);
}

/* [at, at + size) is a live block. */
HOT void blocks_set_live(blocks *map, granule_t at, granule_t size, bool has_slack) {
    size_t word = at / WORD_BITS;
    uint64_t bit = (uint64_t)1 << (at % WORD_BITS);
    blocks_begin(map, word);
    map->live[word] |= bit;
    map->mark[word] = has_slack ? map->mark[word] | bit : map->mark[word] & ~bit;
    blocks_span(map, at, size);
}

/*
 * The steps that placing and freeing are made of. Each knows what is there, so
 * it writes only what changes.
 */

/* The free block at `at` is live from now on, as large as it was. */
HOT void blocks_occupy(blocks *map, granule_t at, bool has_slack) {
    size_t word = at / WORD_BITS;
    map->live[word] |= (uint64_t)1 << (at % WORD_BITS);
    map->mark[word] ^= (uint64_t)!has_slack << (at % WORD_BITS);
}

/* The live block at `at` is free from now on, as large as it was. */
HOT void blocks_vacate(blocks *map, granule_t at) {
    size_t word = at / WORD_BITS;
    uint64_t bit = (uint64_t)1 << (at % WORD_BITS);
    map->live[word] ^= bit;
    map->mark[word] |= bit;
}

/* The block [at, at + size + rest) becomes two; the second one, [at + size, at + size + rest), is free. */
HOT void blocks_cut(blocks *map, granule_t at, granule_t size, granule_t rest) {
    granule_t second = at + size;
    size_t word = second / WORD_BITS;
    blocks_begin(map, word);
    map->mark[word] |= (uint64_t)1 << (second % WORD_BITS);
    blocks_span(map, at, size);
    blocks_span(map, second, rest);
}

/* No block starts at `at` any more: it becomes the inside of the one before it. */
HOT void blocks_erase(blocks *map, granule_t at) {
    size_t word = at / WORD_BITS;
    uint64_t bit = (uint64_t)1 << (at % WORD_BITS);
    map->live[word] &= ~bit;
    map->mark[word] &= ~bit;
    if (!blocks_starts(map, word)) blocks_summary_clear(map, word);
}

/*
 * [at, at + size), whole words that lie in one block, becomes free blocks of
 * `slot` granules each, at most a word, and one of what is left over. Returns how
 * many. Blocks around it are the caller's to set.
 */
granule_t blocks_set_slots(blocks *map, granule_t at, granule_t size, granule_t slot);

/* No block starts in [at, at + size), whole words, any more. Returns how many did. */
granule_t blocks_clear_range(blocks *map, granule_t at, granule_t size);

/* The pool ends at `count` now. The blocks up to there are the caller's to set. */
void blocks_set_end(blocks *map, granule_t count);

/* No blocks and count 0 again; which blocks were freed stays remembered. */
void blocks_clear(blocks *map);

/* Remembers, or forgets, that the newest block which began here was freed. */
HOT void blocks_note_freed(blocks *map, granule_t at, bool freed) {
    if (!map->freed) return;
    uint64_t bit = (uint64_t)1 << (at % WORD_BITS);
    uint64_t *word = &map->freed[at / WORD_BITS];
    *word = freed ? *word | bit : *word & ~bit;
}

/*
 * Verifies the map in itself: from 0 to count each block starts where the one
 * before it ended, spans agree with the bits, previous(start + size) = start,
 * summaries hold a bit exactly where the level below is not 0, and nothing is
 * marked past the end. False with the granule and a sentence. O(granules).
 */
bool blocks_check(const blocks *map, granule_t capacity, granule_t *at, const char **what);

#endif
