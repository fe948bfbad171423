/* SPDX-License-Identifier: MIT */
/*
 * What guarded bytes hold while nobody may write them: the canary in the slack of
 * a live block, the poison in a block held in quarantine. Eight bytes that repeat,
 * each in its place by the address, so that bytes copied from elsewhere seldom fit;
 * and changed by a number, for canaries the slack, so that a size record that was
 * overwritten does not find one, though older ones may lie about.
 *
 * Most are shorter than 16 bytes: two words that overlap, where bytes lie in
 * memory lowest first; else byte by byte.
 */
#ifndef HPW_PATTERN_H
#define HPW_PATTERN_H

#include <stdbool.h>

#include "bits.h"

enum { PATTERN_BYTES = 8 };

/* The byte at an address a is bits 8 (a % 8) and up. */
typedef uint64_t pattern;

HOT pattern pattern_canary(uint64_t slack) {
    return UINT64_C(0xD4A9F1B68DE39AC5) ^
           (((slack ^ slack >> 8) * 0x9D) & 0xFF) * UINT64_C(0x0101010101010101);
}

HOT pattern pattern_poison(void) { return UINT64_C(0xABF6CA92E7BE81DF); }

/* From an address on. */
HOT uint64_t pattern_from(pattern p, uint64_t address) {
    unsigned by = address % PATTERN_BYTES * 8;
    return p >> by | p << (-by & 63);
}

HOT unsigned char pattern_byte(pattern p, uint64_t address) {
    return (unsigned char)(p >> address % PATTERN_BYTES * 8);
}

#ifdef BITS_BY_BYTE
HOT void pattern_put(unsigned char *to, uint64_t word, size_t n) { memcpy(to, &word, n); }

/* Fills [from, to) of `bytes`. */
HOT void pattern_fill(pattern with, unsigned char *bytes, uint64_t from, uint64_t to) {
    uint64_t n = to - from;
    if (n >= 8) {
        for (; from + 8 < to; from += 8) pattern_put(bytes + from, pattern_from(with, from), 8);
        pattern_put(bytes + to - 8, pattern_from(with, to), 8);
    } else if (n >= 4) {
        pattern_put(bytes + from, pattern_from(with, from), 4);
        pattern_put(bytes + to - 4, pattern_from(with, to - 4), 4);
    } else {
        for (; from < to; from++) bytes[from] = pattern_byte(with, from);
    }
}

/* Is [from, to) as it was filled? */
HOT bool pattern_is_whole(pattern with, const unsigned char *bytes, uint64_t from, uint64_t to) {
    uint64_t n = to - from, first, last, differs = 0;
    uint32_t low, high;
    if (n >= 8) {
        for (; from + 8 < to; from += 8) {
            memcpy(&first, bytes + from, 8);
            differs |= first ^ pattern_from(with, from);
        }
        memcpy(&last, bytes + to - 8, 8);
        return !(differs | (last ^ pattern_from(with, to)));
    }
    if (n >= 4) {
        memcpy(&low, bytes + from, 4);
        memcpy(&high, bytes + to - 4, 4);
        return low == (uint32_t)pattern_from(with, from) && high == (uint32_t)pattern_from(with, to - 4);
    }
    for (; from < to; from++) differs |= bytes[from] ^ pattern_byte(with, from);
    return !differs;
}
#else
HOT void pattern_fill(pattern with, unsigned char *bytes, uint64_t from, uint64_t to) {
    for (; from < to; from++) bytes[from] = pattern_byte(with, from);
}

HOT bool pattern_is_whole(pattern with, const unsigned char *bytes, uint64_t from, uint64_t to) {
    while (from < to && bytes[from] == pattern_byte(with, from)) from++;
    return from >= to;
}
#endif

/* The first of [from, to) that is not as it was filled; `to`: all are. */
static inline uint64_t pattern_damage(pattern with, const unsigned char *bytes, uint64_t from, uint64_t to) {
    while (from < to && bytes[from] == pattern_byte(with, from)) from++;
    return from;
}

#endif
