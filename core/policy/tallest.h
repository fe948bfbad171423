/* SPDX-License-Identifier: MIT */
/*
 * Free blocks by address, with «the first at or after here of at least n
 * granules» and «the largest, the first of equals», outside of the pool's bytes.
 *
 *   1. A narrow heap of maxima (maxima.h) over the words of the map: a byte a
 *      word (64 granules), the size of the largest free block that starts in it,
 *      or LARGE for LARGE and more. Which block of a word it is that fits is told
 *      by the word's bits, without a loop.
 *   2. A wide one over runs of LARGE + 1 granules: the size of the free block of
 *      LARGE and more that starts there. There is one at most, since a live block
 *      lies between any two.
 *   3. The free block that ends the pool, the tail, is in neither: it comes last
 *      by address, and where a pool is not full yet most calls cut it or give
 *      back to it, which costs nothing so.
 *
 * Against a tree of nodes in the free blocks (Stephenson's Fast Fits, SOSP
 * 1983, or any balanced one): the bound holds whatever the sizes are (Fast
 * Fits degenerates where they rise with the address), and a search touches a
 * few lines of a dense array instead of log n blocks all over the pool.
 * Bound: a group, looked at as one, up and down a level, and the blocks of a
 * word or the 4 words of a run: O(log64 capacity), O(log16 capacity) for large
 * ones. Memory: 2.1 bytes a word, 0.2 % with granules of 16.
 */
#ifndef HPW_TALLEST_H
#define HPW_TALLEST_H

#include "maxima.h"

enum { LARGE = UINT8_MAX, RUN = LARGE + 1, RUN_WORDS = RUN / WORD_BITS };

typedef struct tallest {
    granule_t tail; /* NO_GRANULE: the pool's end is live */
    maxima words, runs;
} tallest;

size_t tallest_bytes(granule_t capacity);
void tallest_open(const free_index *index, tallest *t);

/* The first such block, from `from` on, that holds an aligned place for `want`. */
placement tallest_choose(free_index *index, const tallest *t, granule_t from, const request *want);

/* The largest that holds an aligned place for `want`, the first of equals. */
placement tallest_choose_largest(free_index *index, const tallest *t, const request *want);

/* Counts the free blocks and compares every node; NULL, or what is wrong and *at. */
const char *tallest_check(free_index *index, const tallest *t, size_t *count, granule_t *at);

/* As a byte of the narrow heap. */
HOT granule_t tallest_byte(granule_t size) { return size < LARGE ? size : LARGE; }

/* ---- A word of the map ---- */

/* Where the word's free blocks start, without the tail. */
HOT uint64_t tallest_starts(const free_index *index, const tallest *t, size_t word) {
    uint64_t tail = (uint64_t)(t->tail / WORD_BITS == word) << (t->tail % WORD_BITS);
    return index->map.mark[word] & ~index->map.live[word] & ~tail;
}

/*
 * Of the start at the lowest bit of `free`, where there is one: how far the next one is;
 * else 0. Without a branch, as nothing predicts how many free blocks a word has.
 */
HOT granule_t tallest_gap(uint64_t starts, uint64_t free) {
    const uint64_t top = (uint64_t)1 << (WORD_BITS - 1);
    granule_t gap = bits_lowest(starts >> bits_lowest(free | top) >> 1 | top) + 1;
    return gap & (0U - (granule_t)(free != 0));
}

HOT granule_t tallest_greater(granule_t a, granule_t b) { return a > b ? a : b; }

/* The largest of the free blocks that begin at `free` in the word; 0: none. Few words have more than 5. */
HOT granule_t tallest_in_word(const free_index *index, size_t word, uint64_t free) {
    if (!free) return 0;
    uint64_t starts = blocks_starts(&index->map, word), last = (uint64_t)1 << bits_highest(starts);
    granule_t largest = free & last ? index->map.span[word] : 0; /* it reaches the word's end */
    free &= ~last;
    do {
        uint64_t second = free & (free - 1), third = second & (second - 1), fourth = third & (third - 1);
        granule_t two = tallest_greater(tallest_gap(starts, free), tallest_gap(starts, second));
        granule_t more = tallest_greater(tallest_gap(starts, third), tallest_gap(starts, fourth));
        largest = tallest_greater(largest, tallest_greater(two, more));
        free = fourth & (fourth - 1);
    } while (free);
    return largest;
}

/* A bit wherever one of the `count` < 64 bits above it is set. */
HOT uint64_t tallest_shadow(uint64_t bits, unsigned count) {
    uint64_t shadow = count ? bits >> 1 : 0;
    unsigned rest = count ? count - 1 : 0;
    for (unsigned step = 1; step < WORD_BITS; step *= 2) { /* twice as long each time, up to `count` */
        unsigned more = rest < step ? rest : step;
        shadow |= shadow >> more;
        rest -= more;
    }
    return shadow;
}

/* The bits of the word where free blocks of at least `size` start: those in whose way no start is. */
HOT uint64_t tallest_fitting(const free_index *index, size_t word, granule_t size) {
    const blocks *map = &index->map;
    uint64_t live = map->live[word], starts = live | map->mark[word];
    if (!starts) return 0;
    uint64_t too_short = (uint64_t)(map->span[word] < size) << bits_highest(starts);
    return starts & ~live & ~too_short & ~tallest_shadow(starts, size < WORD_BITS ? size - 1 : WORD_BITS - 1);
}

/* ---- Coming and going ---- */

HOT void tallest_raise(free_index *index, const tallest *t, granule_t at, granule_t size) {
    maxima_raise(index, &t->words, false, at / WORD_BITS, tallest_byte(size));
    if (size >= LARGE) maxima_raise(index, &t->runs, true, at / RUN, size);
}

HOT void tallest_add(free_index *index, tallest *t, granule_t at, granule_t size) {
    if (at + size == index->map.count)
        t->tail = at;
    else
        tallest_raise(index, t, at, size);
}

/* A block noted as `byte` is no longer in the word, whose other free blocks begin at `free`. */
HOT void tallest_lower(free_index *index, const tallest *t, size_t word, granule_t byte, uint64_t free) {
    if (maxima_get(&t->words, false, 0, word) != byte) return;
    index->steps++;
    granule_t largest = tallest_byte(tallest_in_word(index, word, free));
    if (largest < byte) maxima_lower(index, &t->words, false, word, byte, largest);
}

HOT void tallest_remove(free_index *index, tallest *t, granule_t at, granule_t size) {
    if (at == t->tail) {
        t->tail = NO_GRANULE;
        return;
    }
    size_t word = at / WORD_BITS;
    uint64_t others = tallest_starts(index, t, word) & ~((uint64_t)1 << (at % WORD_BITS));
    tallest_lower(index, t, word, tallest_byte(size), others);
    if (size >= LARGE) maxima_lower(index, &t->runs, true, at / RUN, size, 0);
}

/*
 * Of one that becomes another: what grew is raised first, so that lowering ends where
 * the two paths meet; what shrank is raised last, since a group that was just written
 * is slow to read as a whole. In the runs, a size of 0 is none:
 */
HOT void tallest_replace_large(free_index *index, const tallest *t, size_t was_run, granule_t was, size_t run,
                               granule_t now) {
    bool stays = run == was_run;
    if (now > was) maxima_raise(index, &t->runs, true, run, now);
    if (was && !(stays && now >= was)) maxima_lower(index, &t->runs, true, was_run, was, stays ? now : 0);
    if (now && now <= was && !stays) maxima_raise(index, &t->runs, true, run, now);
}

/* The same in the words. */
HOT void tallest_replace_small(free_index *index, const tallest *t, size_t was_word, granule_t was,
                               size_t word, granule_t now) {
    bool stays = word == was_word && now;
    if (now > was) maxima_raise(index, &t->words, false, word, now);
    if (!stays || now < was) tallest_lower(index, t, was_word, was, tallest_starts(index, t, was_word));
    if (now && now <= was && !stays) maxima_raise(index, &t->words, false, word, now);
}

/* See policy.h; the map shows the new block. */
HOT void tallest_replace(free_index *index, tallest *t, granule_t was, granule_t was_size, granule_t at,
                         granule_t size) {
    if (was == t->tail) { /* a cut one still ends the pool, a joined one too */
        t->tail = at;
        return;
    }
    bool ends = at + size == index->map.count;
    if (ends) t->tail = at;
    tallest_replace_small(index, t, was / WORD_BITS, tallest_byte(was_size), at / WORD_BITS,
                          ends ? 0 : tallest_byte(size));
    if (size >= LARGE || was_size >= LARGE)
        tallest_replace_large(index, t, was / RUN, was_size < LARGE ? 0 : was_size, at / RUN,
                              ends || size < LARGE ? 0 : size);
}

/* ---- Search ---- */

/* The size of the tail, 0 where there is none. */
HOT granule_t tallest_tail(const free_index *index, const tallest *t) {
    return t->tail == NO_GRANULE ? 0 : index->map.count - t->tail;
}

/* The size of the largest but the tail. */
HOT granule_t tallest_root(const tallest *t) {
    granule_t large = maxima_root(&t->runs, true);
    return large ? large : maxima_root(&t->words, false);
}

HOT granule_t tallest_largest(const free_index *index, const tallest *t) {
    granule_t most = tallest_root(t), tail = tallest_tail(index, t);
    return most > tail ? most : tail;
}

/* Where the large block of a run starts: it has one. */
HOT granule_t tallest_in_run(const free_index *index, const tallest *t, size_t run) {
    size_t word = run * RUN_WORDS;
    unsigned large = 0; /* a bit for the one word that has it */
    for (unsigned i = 0; i < RUN_WORDS; i++)
        large |= (unsigned)(maxima_get(&t->words, false, 0, word + i) == LARGE) << i;
    word += bits_lowest(large);
    return (granule_t)(word * WORD_BITS) + bits_highest(blocks_starts(&index->map, word));
}

HOT granule_t tallest_at(const free_index *index, size_t word, granule_t size) {
    return (granule_t)(word * WORD_BITS) + bits_lowest(tallest_fitting(index, word, size));
}

/* The first of at least `size` granules that is not the tail: the root says that there is one. */
HOT granule_t tallest_lowest(free_index *index, const tallest *t, granule_t size) {
    if (size >= LARGE) return tallest_in_run(index, t, maxima_first(index, &t->runs, true, size));
    return tallest_at(index, maxima_first(index, &t->words, false, size), size);
}

/* The tail where it begins at or after `from` and has the size, else NO_GRANULE. */
HOT granule_t tallest_tail_from(const free_index *index, const tallest *t, granule_t from, granule_t size) {
    return t->tail >= from && tallest_tail(index, t) >= size ? t->tail : NO_GRANULE;
}

HOT granule_t tallest_first(free_index *index, const tallest *t, granule_t size) {
    return tallest_root(t) >= size ? tallest_lowest(index, t, size) : tallest_tail_from(index, t, 0, size);
}

HOT granule_t tallest_large_from(free_index *index, const tallest *t, granule_t from, granule_t size) {
    size_t run = from / RUN;
    if (maxima_get(&t->runs, true, 0, run) >= size) {
        granule_t at = tallest_in_run(index, t, run);
        if (at >= from) return at;
    }
    run = maxima_after(index, &t->runs, true, run, size);
    return run == NO_NODE ? NO_GRANULE : tallest_in_run(index, t, run);
}

HOT granule_t tallest_small_from(free_index *index, const tallest *t, granule_t from, granule_t size) {
    size_t word = from / WORD_BITS;
    if (maxima_get(&t->words, false, 0, word) >= size) {
        uint64_t fitting = tallest_fitting(index, word, size) >> (from % WORD_BITS);
        if (fitting) return from + bits_lowest(fitting);
        index->steps++;
    }
    word = maxima_after(index, &t->words, false, word, size);
    return word == NO_NODE ? NO_GRANULE : tallest_at(index, word, size);
}

/* The first free block that starts at or after `from` and has at least `size` granules; or NO_GRANULE. */
HOT granule_t tallest_seek(free_index *index, const tallest *t, granule_t from, granule_t size) {
    granule_t found = NO_GRANULE;
    if (from < index->map.count && tallest_root(t) >= size)
        found = size >= LARGE ? tallest_large_from(index, t, from, size)
                              : tallest_small_from(index, t, from, size);
    return found == NO_GRANULE ? tallest_tail_from(index, t, from, size) : found;
}

/* The first of the largest; there is a free block. */
HOT granule_t tallest_first_largest(free_index *index, const tallest *t) {
    granule_t most = tallest_root(t);
    return tallest_tail(index, t) > most ? t->tail : tallest_lowest(index, t, most);
}

#endif
