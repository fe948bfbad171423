/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer's input as a source of numbers: bytes from the front, 0 where there
 * are none left. Numbers are made so that small inputs reach the odd values:
 * bounds, powers of two and their neighbours. And how a target fails: with a
 * sentence of what was demanded, then abort, which the fuzzer reports with the input.
 */
#ifndef HPW_INPUT_H
#define HPW_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct input {
    const uint8_t *at;
    size_t left;
} input;

static inline uint8_t take_byte(input *in) {
    if (!in->left) return 0;
    in->left--;
    return *in->at++;
}

/* A number of so many bytes. */
static inline uint64_t take_bytes(input *in, unsigned bytes) {
    uint64_t value = 0;
    while (bytes--) value = value << 8 | take_byte(in);
    return value;
}

/* 0 ... below - 1, from one byte where that is enough; below 65536. */
static inline uint32_t take_below(input *in, uint32_t below) {
    if (below <= 1) return 0;
    return (uint32_t)take_bytes(in, below > 256 ? 2 : 1) % below;
}

/* Any 64 bits, the odd ones first. */
static inline uint64_t take_any(input *in) {
    uint8_t kind = take_byte(in);
    uint64_t power = (uint64_t)1 << (kind & 63);
    switch (kind >> 6) {
    case 0:
        return power;
    case 1:
        return power - 1;
    case 2:
        return 0 - power;
    default:
        return take_bytes(in, 1 + (kind & 7));
    }
}

/* Is what happens to be printed? With HPW_FUZZ_TELL set, to read a crash. */
static inline bool is_told(void) {
    static int told = -1;
    if (told < 0) told = getenv("HPW_FUZZ_TELL") != NULL;
    return told;
}

#define TELL(...)                                                                                            \
    do {                                                                                                     \
        if (is_told()) fprintf(stderr, __VA_ARGS__);                                                         \
    } while (0)

#define DEMAND(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: demanded: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* A function whose branches are no news: loops over bytes. */
#define UNCOUNTED __attribute__((no_sanitize("coverage", "address")))

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#endif
