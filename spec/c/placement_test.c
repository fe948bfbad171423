/* SPDX-License-Identifier: MIT */
/*
 * First, next and worst fit in address order against a walk over the blocks, in
 * pools that are large enough for every level of their index: sizes of one
 * granule to half of the pool, many around the bounds where the index treats
 * them differently, pools nearly empty and nearly full, fixed and growing.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

enum { HELD = 600, OPERATIONS = 12000, NOWHERE = 1 };

static const uint64_t mebibyte = 1 << 20;

static uint64_t state;

static uint64_t below(uint64_t n) { /* xorshift64 */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

static uint64_t some_size(uint64_t capacity) {
    static const uint64_t bounds[] = {63, 64, 65, 254, 255, 256, 257, 32766, 32767, 32768, 32769};
    uint64_t granules = bounds[below(sizeof bounds / sizeof *bounds)];
    switch (below(8)) {
    case 0:
        return granules * 16 < capacity / 2 ? granules * 16 : 4080;
    case 1:
        return 1 + below(below(4) ? capacity / 64 : capacity / 2);
    case 2:
    case 3:
        return 1 + below(6000);
    default:
        return 1 + below(600);
    }
}

/* What the rule says: the address, or NOWHERE. */
static uint64_t expected(hpw_pool *pool, const char *policy, uint64_t size, uint64_t rover) {
    uint64_t cursor = 0, first = NOWHERE, next = NOWHERE, worst = NOWHERE, most = 0;
    for (hpw_block block; hpw_next_block(pool, &cursor, &block);) {
        if (block.live || block.size < (size + 15) / 16 * 16) continue;
        if (first == NOWHERE) first = block.address;
        if (next == NOWHERE && block.address >= rover) next = block.address;
        if (block.size > most) worst = block.address, most = block.size;
    }
    if (!strcmp(policy, "first-fit")) return first;
    if (!strcmp(policy, "worst-fit")) return worst;
    return next == NOWHERE ? first : next;
}

/* `fill`: of 100 operations, how many allocate. */
static void run(const char *policy, uint64_t capacity, uint64_t most, unsigned fill) {
    hpw_config config = {.policy = policy, .capacity = capacity, .max_capacity = most};
    hpw_pool *pool = hpw_open(&config, NULL);
    uint64_t held[HELD], rover = 0;
    size_t count = 0;
    state = 20261125 + capacity + fill;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        if (count < HELD && below(100) < fill) {
            uint64_t size = some_size(capacity), address = NOWHERE,
                     right = expected(pool, policy, size, rover);
            hpw_allocate(pool, size, 0, &address, NULL);
            if (right != NOWHERE || most == capacity) CHECK_EQ(address, right);
            if (address == NOWHERE) continue;
            rover = address + (size + 15) / 16 * 16;
            held[count++] = address;
        } else if (count) {
            size_t one = (size_t)below(count);
            CHECK_EQ(hpw_release(pool, held[one], NULL), HPW_OK);
            held[one] = held[--count];
        }
        if (i % 16 == 0 && !CHECK_EQ(hpw_check(pool, NULL), HPW_OK)) break;
    }
    while (count) hpw_release(pool, held[--count], NULL);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

/* Where the lowest block of `size` bytes has a place at a multiple of `alignment` for so many; or NOWHERE. */
static uint64_t expected_aligned(hpw_pool *pool, uint64_t size, uint64_t alignment, uint64_t wanted) {
    uint64_t cursor = 0;
    for (hpw_block block; hpw_next_block(pool, &cursor, &block);) {
        uint64_t place = (block.address + alignment - 1) / alignment * alignment;
        if (!block.live && block.size == size && place + wanted <= block.address + size) return place;
    }
    return NOWHERE;
}

/* Best fit among many equal blocks, freed in any order, of which a few have an aligned place. */
static void aligned_among_equals(uint64_t size) {
    enum { COUNT = 300, WANTED = 400, ALIGNMENT = 2048 };
    hpw_pool *pool = hpw_open(NULL, NULL);
    uint64_t blocks[COUNT], right, found = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK_EQ(hpw_allocate(pool, size, 0, &blocks[i], NULL), HPW_OK);
        CHECK(hpw_malloc(pool, (size_t)16 * (1 + i % 3)));
    }
    state = size;
    for (unsigned left = COUNT; left > 0; left--) {
        unsigned one = (unsigned)below(left);
        CHECK_EQ(hpw_release(pool, blocks[one], NULL), HPW_OK);
        blocks[one] = blocks[left - 1];
    }
    while ((right = expected_aligned(pool, size, ALIGNMENT, WANTED)) != NOWHERE) {
        CHECK_EQ(hpw_allocate(pool, WANTED, ALIGNMENT, &found, NULL), HPW_OK);
        if (!CHECK_EQ(found, right)) break;
    }
    CHECK(found > 0);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

int main(void) {
    static const char *const policies[] = {"first-fit", "next-fit", "worst-fit"};
    for (unsigned i = 0; i < 3; i++) {
        run(policies[i], 4 * mebibyte, 4 * mebibyte, 50);
        run(policies[i], 4 * mebibyte, 4 * mebibyte, 60);
        run(policies[i], mebibyte / 4 - 16, mebibyte / 4 - 16, 55);
        run(policies[i], 12 * mebibyte + 48, 12 * mebibyte + 48, 70);
        run(policies[i], mebibyte / 2, 8 * mebibyte, 55);
    }
    aligned_among_equals(640); /* in heaps */
    aligned_among_equals(480); /* in bitmaps */
    return CHECK_DONE();
}
