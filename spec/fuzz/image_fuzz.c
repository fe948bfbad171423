/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: any bytes at all, read as an image of a pool. Beyond not crashing:
 * what is refused leaves an empty pool; what is accepted is a sound pool, every block of
 * which can be freed, and which saved again is restored to the same blocks.
 *
 *      clang -g -O1 -fsanitize=fuzzer,address,undefined -Icore -Icore/policy \
 *            spec/fuzz/image_fuzz.c core/[a-z]*.c core/policy/[a-z]*.c -lpthread -o /tmp/image_fuzz
 *      /tmp/image_fuzz -max_len=8192 -max_total_time=180
 *
 * Checksums hide what is behind them from a fuzzer, so an input that begins with 'C' is
 * composed instead: a header of options, then blocks of any sizes at any places, with
 * whatever checksums they need. The pool is of 64 KiB, whatever the image says; whether
 * it is like the image's is drawn from the input too.
 */
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "little_endian.h"
#include "trace_chunk.h"

enum { MOST = 1 << 18, CAPACITY = 1 << 16 };

typedef struct memory {
    size_t size, at;
    uint8_t bytes[MOST];
} memory;

static bool put(void *ud, const void *bytes, size_t n) {
    memory *m = ud;
    if (n > MOST - m->size) return false;
    memcpy(m->bytes + m->size, bytes, n);
    m->size += n;
    return true;
}

static size_t get(void *ud, void *bytes, size_t n) {
    memory *m = ud;
    if (n > m->size - m->at) n = m->size - m->at;
    memcpy(bytes, m->bytes + m->at, n);
    m->at += n;
    return n;
}

static const char *policy_of(uint8_t number) {
    size_t count = 0;
    while (hpw_policy_at(count)) count++;
    return hpw_policy_at(number % count)->name;
}

/* A block from 7 bytes of input. */
static image_block block_of(const uint8_t *from, uint64_t *address) {
    image_block block = {.flags = (from[0] & 3u) | (uint32_t)(from[1] % 12) << IMAGE_ALIGN_SHIFT};
    *address += (uint64_t)(from[2] & 31) * 16;
    block.address = *address + (from[2] & 128 ? from[2] & 15 : 0);
    block.granted = ((from[3] | (uint64_t)from[4] << 8) & 0xfff) * (from[3] & 1 ? 1 : 16);
    uint64_t slack = from[5] | ((uint64_t)from[6] << 8 & 0xf00);
    block.requested = block.granted > slack ? block.granted - slack : from[5];
    *address += block.granted;
    return block;
}

static void put_block(memory *m, const image_block *block) {
    uint8_t first[IMAGE_BLOCK], check[IMAGE_CHECK];
    static uint8_t bytes[IMAGE_PIECE];
    image_block_encode(block, first);
    put(m, first, sizeof first);
    for (uint64_t left = block->requested; left;) {
        size_t n = left < IMAGE_PIECE ? (size_t)left : IMAGE_PIECE;
        put64(check, hpw_checksum(bytes, n));
        put(m, bytes, n);
        put(m, check, sizeof check);
        left -= n;
    }
}

static void compose(memory *m, const uint8_t *from, size_t n) {
    uint8_t header[IMAGE_HEADER];
    uint64_t address = 0;
    hpw_image image = {.config = {.policy = policy_of(from[0]),
                                  .capacity = CAPACITY,
                                  .max_capacity = CAPACITY,
                                  .granule = 8u << (from[1] & 3),
                                  .guard = from[1] & 4 ? HPW_GUARD_CHECK : HPW_GUARD_OFF},
                       .capacity = CAPACITY};
    m->size = IMAGE_HEADER;
    for (size_t at = 2; at + 7 <= n && m->size < MOST / 2; at += 7) {
        image_block block = block_of(from + at, &address);
        put_block(m, &block);
        image.blocks++;
        image.in_use += block.requested;
    }
    image.size = m->size;
    image_encode(&image, 4096, header);
    memcpy(m->bytes, header, sizeof header);
}

static void use(hpw_pool *pool, const hpw_config *config) {
    static memory again;
    again = (memory){.size = 0};
    if (hpw_check(pool, NULL) || hpw_save_to(pool, put, &again, NULL)) abort();
    hpw_pool *twin = hpw_open(config, NULL);
    if (hpw_restore(twin, get, &again, NULL) || hpw_check(twin, NULL)) abort();
    hpw_close(twin);
    uint64_t cursor = 0;
    hpw_block block;
    while (hpw_next_block(pool, &cursor, &block))
        if (block.live && hpw_release(pool, block.address, NULL)) abort();
    hpw_trim(pool);
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    if (stats.live_blocks || stats.in_use || hpw_check(pool, NULL)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static memory m;
    m.at = m.size = 0;
    hpw_config config = {.capacity = CAPACITY};
    if (n > 3 && bytes[0] == 'C') {
        compose(&m, bytes + 2, n - 2);
        config.policy = policy_of(bytes[1] & 128 ? bytes[1] : bytes[2]);
        config.granule = 8u << ((bytes[1] & 64 ? bytes[1] : bytes[3]) & 3);
        config.guard = bytes[1] & 32 ? HPW_GUARD_CHECK : HPW_GUARD_OFF;
        if (bytes[1] & 16) config.capacity /= 4, config.max_capacity = CAPACITY;
    } else {
        put(&m, bytes, n);
    }
    hpw_image_error error = {.code = HPW_OK};
    hpw_pool *pool = hpw_open(&config, NULL);
    hpw_error wrong = hpw_restore(pool, get, &m, &error);
    if (wrong != error.code || (wrong && (!*error.message || error.offset > m.size))) abort();
    if (wrong) {
        hpw_stats stats;
        hpw_get_stats(pool, &stats);
        if (stats.live_blocks || hpw_check(pool, NULL)) abort();
    } else {
        use(pool, &config);
    }
    hpw_close(pool);
    return 0;
}
