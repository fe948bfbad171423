/* SPDX-License-Identifier: MIT */
/* Which bytes of a pool with guard full were written: a bit each, whole bytes of the bitmap at once. */
#include "guard.h"

static bool is_written(const pool_guards *g, uint64_t at) { return g->written[at / 8] >> (at % 8) & 1; }

static void set(pool_guards *g, uint64_t at, bool written) {
    uint8_t bit = (uint8_t)(1U << (at % 8)), *byte = &g->written[at / 8];
    *byte = (uint8_t)(written ? *byte | bit : *byte & ~bit);
}

void guard_set_written(pool_guards *g, uint64_t address, uint64_t n, bool written) {
    uint64_t end = address + n;
    for (; address < end && address % 8; address++) set(g, address, written);
    uint64_t whole = (end - address) / 8;
    memset(g->written + address / 8, written ? 0xFF : 0, (size_t)whole);
    for (address += whole * 8; address < end; address++) set(g, address, written);
}

uint64_t guard_first_unwritten(const pool_guards *g, uint64_t address, uint64_t n) {
    uint64_t end = address + n;
    while (address < end) {
        if (address % 8 == 0 && end - address >= 8 && g->written[address / 8] == 0xFF)
            address += 8;
        else if (is_written(g, address))
            address++;
        else
            break;
    }
    return address;
}

void guard_copy_written(pool_guards *g, uint64_t to, uint64_t from, uint64_t n) {
    if (to % 8 == 0 && from % 8 == 0 && n % 8 == 0) {
        memmove(g->written + to / 8, g->written + from / 8, (size_t)(n / 8));
    } else if (to < from) {
        for (uint64_t i = 0; i < n; i++) set(g, to + i, is_written(g, from + i));
    } else if (to > from) {
        for (uint64_t i = n; i-- > 0;) set(g, to + i, is_written(g, from + i));
    }
}

void guard_move_written(pool_guards *g, uint64_t to, uint64_t from, uint64_t was, uint64_t size) {
    uint64_t kept = was < size ? was : size;
    guard_copy_written(g, to, from, kept);
    guard_set_written(g, to + kept, size - kept, false);
}
