/* SPDX-License-Identifier: MIT */
/*
 * What guarded bytes hold while nobody may write them: the canary in the slack of
 * a live block, the poison in a block held in quarantine. Eight bytes that repeat,
 * each in its place by the address, so that bytes copied from elsewhere seldom fit,
 * and none of them one that programs like to write: 0, 0xFF, a letter.
 */
#ifndef HPW_PATTERN_H
#define HPW_PATTERN_H

#include "bits.h"

enum { PATTERN_BYTES = 8 };

typedef struct pattern {
    unsigned char bytes[PATTERN_BYTES];
} pattern;

static const pattern pattern_canary = {{0xC5, 0x9A, 0xE3, 0x8D, 0xB6, 0xF1, 0xA9, 0xD4}};
static const pattern pattern_poison = {{0xDF, 0x81, 0xBE, 0xE7, 0x92, 0xCA, 0xF6, 0xAB}};

/* Fills [from, to) of `bytes`. */
HOT void pattern_fill(const pattern *with, unsigned char *bytes, uint64_t from, uint64_t to) {
    for (; from < to && from % PATTERN_BYTES; from++) bytes[from] = with->bytes[from % PATTERN_BYTES];
    for (; to - from >= PATTERN_BYTES && from < to; from += PATTERN_BYTES)
        memcpy(bytes + from, with->bytes, PATTERN_BYTES);
    for (; from < to; from++) bytes[from] = with->bytes[from % PATTERN_BYTES];
}

/* The first of [from, to) that is not as it was filled; `to`: all are. */
HOT uint64_t pattern_damage(const pattern *with, const unsigned char *bytes, uint64_t from, uint64_t to) {
    while (from < to) {
        if (from % PATTERN_BYTES == 0 && to - from >= PATTERN_BYTES &&
            memcmp(bytes + from, with->bytes, PATTERN_BYTES) == 0)
            from += PATTERN_BYTES;
        else if (bytes[from] == with->bytes[from % PATTERN_BYTES])
            from++;
        else
            break;
    }
    return from;
}

#endif
