/* SPDX-License-Identifier: MIT */
/* The portable way to find bits, which no other test takes where the compiler has an instruction for it. */
#define HPW_PORTABLE_BITS
#include "bits.h"

#include "check.h"

static unsigned lowest_by_counting(uint64_t word) {
    unsigned at = 0;
    while (!(word >> at & 1)) at++;
    return at;
}

static unsigned highest_by_counting(uint64_t word) {
    unsigned at = 63;
    while (!(word >> at & 1)) at--;
    return at;
}

int main(void) {
    uint64_t word = 1;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t one = (uint64_t)1 << i;
        CHECK_EQ(bits_lowest(one), i);
        CHECK_EQ(bits_highest(one), i);
        CHECK_EQ(bits_width(one), i + 1);
        CHECK_EQ(bits_below(i), one - 1);
    }
    CHECK_EQ(bits_width(0), 0);
    for (unsigned i = 0; i < 10000; i++) {
        word = word * 6364136223846793005U + 1442695040888963407U;
        uint64_t some = word >> (i % 64);
        if (!some) continue;
        CHECK_EQ(bits_lowest(some), lowest_by_counting(some));
        CHECK_EQ(bits_highest(some), highest_by_counting(some));
    }
    return CHECK_DONE();
}
