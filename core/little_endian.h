/* SPDX-License-Identifier: MIT */
/* Numbers in files: little-endian, whatever the machine's own order of bytes. */
#ifndef HPW_LITTLE_ENDIAN_H
#define HPW_LITTLE_ENDIAN_H

#include <stdint.h>

static inline void put32(uint8_t *to, uint32_t n) {
    for (unsigned i = 0; i < 4; i++) to[i] = (uint8_t)(n >> 8 * i);
}

static inline void put64(uint8_t *to, uint64_t n) {
    put32(to, (uint32_t)n);
    put32(to + 4, (uint32_t)(n >> 32));
}

static inline uint32_t get32(const uint8_t *from) {
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static inline uint64_t get64(const uint8_t *from) { return get32(from) | (uint64_t)get32(from + 4) << 32; }

#endif
