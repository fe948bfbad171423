/* SPDX-License-Identifier: MIT */
/*
 * Heaps of maxima: an array of numbers with «the first at or after here that is
 * at least n». Above the array a level of nodes, one for each group of children
 * that fills a cache line, the largest of them; above that another; up to one
 * root.
 *
 *   1. The first from the array's beginning: down from the root, or from a lower
 *      level's first node where that one is large enough.
 *   2. The first after some place: up while nothing to the right is large
 *      enough, then down.
 *   3. A number that rises raises its path; one that falls recomputes the nodes
 *      that had it for their largest.
 *
 * A heap is *narrow*, numbers of one byte, 64 of them a group, or *wide*, of 32
 * bits, 16 a group: a constant wherever these are called, so that each is
 * compiled twice. A group is looked at as one, without a branch.
 * Bound: a group, or a node, a level, up and down: O(log64 n), O(log16 n).
 * Memory: 64/63 bytes a number, or 4.27.
 */
#ifndef HPW_MAXIMA_H
#define HPW_MAXIMA_H

#include "../policy.h"

enum { MAXIMA_LEVELS = 8, NARROW_BITS = 6, WIDE_BITS = 4, MAXIMA_LINE = 64 };

#define NO_NODE SIZE_MAX

typedef struct maxima {
    unsigned levels;
    void *level[MAXIMA_LEVELS]; /* [0]: the array */
} maxima;

/* Bytes for `count` numbers, a multiple of 64; and lays them out in `memory`, zeroed. Returns its end. */
size_t maxima_bytes(size_t count, bool wide);
void *maxima_open(maxima *m, void *memory, size_t count, bool wide);

/* Does each node say what its children say? */
bool maxima_check(const maxima *m, size_t count, bool wide);

HOT unsigned maxima_bits(bool wide) { return wide ? WIDE_BITS : NARROW_BITS; }

/* Which child of its parent a node is. */
HOT unsigned maxima_number(bool wide, size_t node) {
    return (unsigned)(node & (((size_t)1 << maxima_bits(wide)) - 1));
}

HOT granule_t maxima_get(const maxima *m, bool wide, unsigned level, size_t node) {
    return wide ? ((const granule_t *)m->level[level])[node] : ((const uint8_t *)m->level[level])[node];
}

HOT void maxima_put(const maxima *m, bool wide, unsigned level, size_t node, granule_t value) {
    if (wide)
        ((granule_t *)m->level[level])[node] = value;
    else
        ((uint8_t *)m->level[level])[node] = (uint8_t)value;
}

HOT granule_t maxima_root(const maxima *m, bool wide) { return maxima_get(m, wide, m->levels - 1, 0); }

/* ---- A group ---- */

#if defined(__SSE2__) && __STDC_HOSTED__ && !defined(HPW_PORTABLE_BITS)
#define MAXIMA_SSE2
#include <emmintrin.h>

/* A line of ones, a hole of one byte or one number, more ones. */
extern const uint8_t maxima_narrow_hole[3 * MAXIMA_LINE];
extern const uint8_t maxima_wide_hole[3 * MAXIMA_LINE];

HOT __m128i maxima_load(const void *group, unsigned part) {
    return _mm_load_si128((const __m128i *)group + part);
}

/* A group's part without the child that the hole is over. */
HOT __m128i maxima_but(const void *group, unsigned part, const uint8_t *hole) {
    return _mm_and_si128(_mm_loadu_si128((const __m128i *)hole + part), maxima_load(group, part));
}

/* A bit for each of 16 bytes that is at least `least`. */
HOT uint64_t narrow_part(const void *group, unsigned part, __m128i least) {
    __m128i bytes = maxima_load(group, part);
    return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(bytes, least), bytes));
}

HOT uint64_t narrow_above(const void *group, granule_t value) {
    __m128i least = _mm_set1_epi8((char)value);
    return narrow_part(group, 0, least) | narrow_part(group, 1, least) << 16 |
           narrow_part(group, 2, least) << 32 | narrow_part(group, 3, least) << 48;
}

HOT granule_t narrow_largest(const void *group, unsigned but) {
    const uint8_t *hole = maxima_narrow_hole + MAXIMA_LINE - but;
    __m128i all = _mm_max_epu8(_mm_max_epu8(maxima_but(group, 0, hole), maxima_but(group, 1, hole)),
                               _mm_max_epu8(maxima_but(group, 2, hole), maxima_but(group, 3, hole)));
    all = _mm_max_epu8(all, _mm_srli_si128(all, 8));
    all = _mm_max_epu8(all, _mm_srli_si128(all, 4));
    all = _mm_max_epu8(all, _mm_srli_si128(all, 2));
    all = _mm_max_epu8(all, _mm_srli_si128(all, 1));
    return (granule_t)_mm_cvtsi128_si32(all) & UINT8_MAX;
}

/* SSE2 compares signed numbers only: with the top bit turned over, they are in the order of unsigned ones. */
HOT __m128i wide_signed(__m128i numbers) { return _mm_xor_si128(numbers, _mm_set1_epi32(INT32_MIN)); }

HOT __m128i wide_part(const void *group, unsigned part, __m128i below) {
    return _mm_cmpgt_epi32(wide_signed(maxima_load(group, part)), below);
}

HOT uint64_t wide_above(const void *group, granule_t value) {
    __m128i below = _mm_set1_epi32((int)((value - 1) ^ (granule_t)INT32_MIN));
    __m128i low = _mm_packs_epi32(wide_part(group, 0, below), wide_part(group, 1, below));
    __m128i high = _mm_packs_epi32(wide_part(group, 2, below), wide_part(group, 3, below));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

HOT __m128i wide_greater(__m128i a, __m128i b) {
    __m128i mask = _mm_cmpgt_epi32(a, b);
    return _mm_or_si128(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b));
}

HOT granule_t wide_largest(const void *group, unsigned but) {
    const uint8_t *hole = maxima_wide_hole + MAXIMA_LINE - but * sizeof(granule_t);
    __m128i low =
        wide_greater(wide_signed(maxima_but(group, 0, hole)), wide_signed(maxima_but(group, 1, hole)));
    __m128i high =
        wide_greater(wide_signed(maxima_but(group, 2, hole)), wide_signed(maxima_but(group, 3, hole)));
    __m128i all = wide_greater(low, high);
    all = wide_greater(all, _mm_shuffle_epi32(all, _MM_SHUFFLE(1, 0, 3, 2)));
    all = wide_greater(all, _mm_shuffle_epi32(all, _MM_SHUFFLE(2, 3, 0, 1)));
    return (granule_t)_mm_cvtsi128_si32(all) ^ (granule_t)INT32_MIN;
}
#else
HOT uint64_t narrow_above(const void *group, granule_t value) {
    const uint8_t *children = group;
    uint64_t found = 0;
    for (unsigned i = 0; i < 1 << NARROW_BITS; i++) found |= (uint64_t)(children[i] >= value) << i;
    return found;
}

HOT granule_t narrow_largest(const void *group, unsigned but) {
    const uint8_t *children = group;
    uint8_t largest = 0;
    for (unsigned i = 0; i < 1 << NARROW_BITS; i++)
        largest = children[i] > largest && i != but ? children[i] : largest;
    return largest;
}

HOT uint64_t wide_above(const void *group, granule_t value) {
    const granule_t *children = group;
    uint64_t found = 0;
    for (unsigned i = 0; i < 1 << WIDE_BITS; i++) found |= (uint64_t)(children[i] >= value) << i;
    return found;
}

HOT granule_t wide_largest(const void *group, unsigned but) {
    const granule_t *children = group;
    granule_t largest = 0;
    for (unsigned i = 0; i < 1 << WIDE_BITS; i++)
        largest = children[i] > largest && i != but ? children[i] : largest;
    return largest;
}
#endif

HOT const void *maxima_group(const maxima *m, unsigned level, size_t parent) {
    return (const uint8_t *)m->level[level] + parent * MAXIMA_LINE;
}

/* The largest child of the `parent` above but the one with the number `but`. */
HOT granule_t maxima_largest(const maxima *m, bool wide, unsigned level, size_t parent, unsigned but) {
    const void *group = maxima_group(m, level, parent);
    return wide ? wide_largest(group, but) : narrow_largest(group, but);
}

/* A bit for each child of the `parent` above that is at least `value`, which is not 0. */
HOT uint64_t maxima_above(const maxima *m, bool wide, unsigned level, size_t parent, granule_t value) {
    const void *group = maxima_group(m, level, parent);
    return wide ? wide_above(group, value) : narrow_above(group, value);
}

/* ---- Change ---- */

/* The number at `node` is `value` at least: written in any case, since that is cheaper than to guess. */
HOT void maxima_raise(free_index *index, const maxima *m, bool wide, size_t node, granule_t value) {
    granule_t old = maxima_get(m, wide, 0, node);
    maxima_put(m, wide, 0, node, old > value ? old : value);
    unsigned level = 1;
    for (; level < m->levels; level++) {
        node >>= maxima_bits(wide);
        if (maxima_get(m, wide, level, node) >= value) break;
        maxima_put(m, wide, level, node, value);
    }
    index->steps += level;
}

/*
 * The number at `node`, which was `old`, is `value` now, and that is less. A group is
 * read before one of it is written: a read of the whole would have to wait for that.
 */
HOT void maxima_lower(free_index *index, const maxima *m, bool wide, size_t node, granule_t old,
                      granule_t value) {
    unsigned level = 0;
    for (; level + 1 < m->levels; level++) {
        size_t parent = node >> maxima_bits(wide);
        granule_t above = maxima_get(m, wide, level + 1, parent);
        if (above != old) break;
        granule_t others = maxima_largest(m, wide, level, parent, maxima_number(wide, node));
        maxima_put(m, wide, level, node, value);
        index->steps++;
        if (others > value) value = others;
        if (value == above) return;
        node = parent;
    }
    maxima_put(m, wide, level, node, value);
}

/* ---- Search ---- */

/* From a node of the level that is at least `value` down to the first such number. */
HOT size_t maxima_down(const maxima *m, bool wide, unsigned level, size_t node, granule_t value) {
    while (level-- > 0)
        node = (node << maxima_bits(wide)) + bits_lowest(maxima_above(m, wide, level, node, value));
    return node;
}

/*
 * The first number that is at least `value`; the root is. Where the first node of a
 * level is, all is below it; of the lowest levels this is not asked: it would be a guess.
 */
HOT size_t maxima_first(free_index *index, const maxima *m, bool wide, granule_t value) {
    unsigned level = m->levels - 1;
    index->steps += level;
    while (level > 2 && maxima_get(m, wide, level - 1, 0) >= value) level--;
    return maxima_down(m, wide, level, 0, value);
}

/* The first after `node`; NO_NODE where there is none. */
HOT size_t maxima_after(free_index *index, const maxima *m, bool wide, size_t node, granule_t value) {
    for (unsigned level = 0; level + 1 < m->levels; level++, node >>= maxima_bits(wide)) {
        uint64_t later = maxima_above(m, wide, level, node >> maxima_bits(wide), value);
        later = later >> maxima_number(wide, node) >> 1;
        index->steps++;
        if (!later) continue;
        index->steps += level;
        return maxima_down(m, wide, level, node + 1 + bits_lowest(later), value);
    }
    return NO_NODE;
}

#endif
