/* SPDX-License-Identifier: MIT */
/*
 * Bits of a 64-bit word: where the lowest and the highest one lies. Compilers
 * that have an instruction for it use it; the portable way is a binary search,
 * six steps, and is what HPW_PORTABLE_BITS selects so that tests can run it.
 */
#ifndef HPW_BITS_H
#define HPW_BITS_H

#include <stdint.h>
#include <string.h>

/*
 * The few functions on the way of every call: inlined whatever the compiler
 * thinks of their size, unless it was told to think of nothing else (-Os).
 * APART is what such a function does now and then: kept out of it, so that it
 * costs the common way no registers.
 */
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
#define HOT static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))
#else
#define HOT static inline
#define APART static
#endif

/*
 * Two hints for what is too hot to leave to chance: this is mostly true; what was
 * computed from this value, or read through it, is to be so anew from here on, not
 * to be held in a register until then.
 */
#if defined(__GNUC__)
#define MOSTLY(condition) __builtin_expect(!!(condition), 1)
#define ANEW(value) __asm__("" : "+r"(value))
#else
#define MOSTLY(condition) (condition)
#define ANEW(value) (void)(value)
#endif

/* Both want a word that is not 0. */
#if defined(__GNUC__) && !defined(HPW_PORTABLE_BITS)
HOT unsigned bits_lowest(uint64_t word) { return (unsigned)__builtin_ctzll(word); }
HOT unsigned bits_highest(uint64_t word) { return 63U - (unsigned)__builtin_clzll(word); }
#else
static inline unsigned bits_highest(uint64_t word) {
    unsigned at = 0;
    for (unsigned half = 32; half; half /= 2) {
        if (word >> half) {
            word >>= half;
            at += half;
        }
    }
    return at;
}
static inline unsigned bits_lowest(uint64_t word) { return bits_highest(word & (~word + 1)); }
#endif

/* The 64 bits of a bitmap from its byte `at` on, where words lie in memory with the lowest bits first. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && !defined(HPW_PORTABLE_BITS)
#define BITS_BY_BYTE
HOT uint64_t bits_from_byte(const uint64_t *bitmap, size_t at) {
    uint64_t bits;
    memcpy(&bits, (const unsigned char *)bitmap + at, sizeof bits);
    return bits;
}
#endif

/* How many bits it takes to write `n`: 0 for 0, 1 for 1, 2 for 2 and 3, 3 for 4 ... */
static inline unsigned bits_width(uint64_t n) { return n ? bits_highest(n) + 1 : 0; }

static inline uint64_t bits_below(unsigned at) { return ((uint64_t)1 << at) - 1; } /* at < 64 */

#endif
