/* SPDX-License-Identifier: MIT */
/*
 * What guarded bytes hold while nobody may write them: the canary in the slack of
 * a live block, the poison in a block held in quarantine. Eight bytes that repeat,
 * each in its place by the address, so that bytes copied from elsewhere seldom fit;
 * and changed by a number, for canaries the slack, so that a size record that was
 * overwritten does not find one, though older ones may lie about.
 */
#ifndef HPW_PATTERN_H
#define HPW_PATTERN_H

#include "bits.h"

enum { PATTERN_BYTES = 8 };

typedef struct pattern {
    unsigned char bytes[PATTERN_BYTES];
} pattern;

HOT pattern pattern_changed(pattern p, uint64_t number) {
    unsigned char by = (unsigned char)((number ^ number >> 8) * 0x9D);
    for (unsigned i = 0; i < PATTERN_BYTES; i++) p.bytes[i] ^= by;
    return p;
}

HOT pattern pattern_canary(uint64_t slack) {
    return pattern_changed((pattern){{0xC5, 0x9A, 0xE3, 0x8D, 0xB6, 0xF1, 0xA9, 0xD4}}, slack);
}

HOT pattern pattern_poison(void) { return (pattern){{0xDF, 0x81, 0xBE, 0xE7, 0x92, 0xCA, 0xF6, 0xAB}}; }

/* Fills [from, to) of `bytes`. */
HOT void pattern_fill(pattern with, unsigned char *bytes, uint64_t from, uint64_t to) {
    for (; from < to && from % PATTERN_BYTES; from++) bytes[from] = with.bytes[from % PATTERN_BYTES];
    for (; from < to && to - from >= PATTERN_BYTES; from += PATTERN_BYTES)
        memcpy(bytes + from, with.bytes, PATTERN_BYTES);
    for (; from < to; from++) bytes[from] = with.bytes[from % PATTERN_BYTES];
}

/* The first of [from, to) that is not as it was filled; `to`: all are. */
HOT uint64_t pattern_damage(pattern with, const unsigned char *bytes, uint64_t from, uint64_t to) {
    while (from < to) {
        if (from % PATTERN_BYTES == 0 && to - from >= PATTERN_BYTES &&
            memcmp(bytes + from, with.bytes, PATTERN_BYTES) == 0)
            from += PATTERN_BYTES;
        else if (bytes[from] == with.bytes[from % PATTERN_BYTES])
            from++;
        else
            break;
    }
    return from;
}

#endif
