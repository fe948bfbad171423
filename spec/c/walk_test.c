/* SPDX-License-Identifier: MIT */
/* hpw_next_block from any address: the first block that starts there or behind it. */
#include "check.h"
#include "heapwright.h"

enum { CAPACITY = 4096, BLOCKS = 20 };

int main(void) {
    uint64_t starts[BLOCKS + 1] = {0};
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = CAPACITY}, NULL);
    hpw_block block;
    for (size_t i = 0; i < BLOCKS; i++) CHECK_EQ(hpw_allocate(pool, 1 + i * 7, 0, &starts[i], NULL), HPW_OK);
    starts[BLOCKS] =
        starts[BLOCKS - 1] + (uint64_t)((1 + (BLOCKS - 1) * 7 + 15) / 16) * 16; /* what is left */
    for (uint64_t from = 0, next = 0; from < CAPACITY; from++) {
        uint64_t cursor = from;
        while (next <= BLOCKS && starts[next] < from) next++;
        CHECK_EQ(hpw_next_block(pool, &cursor, &block), next <= BLOCKS);
        if (next > BLOCKS) continue;
        CHECK_EQ(block.address, starts[next]);
        CHECK_EQ(cursor, block.address + block.size);
    }
    uint64_t cursor = UINT64_MAX;
    CHECK(!hpw_next_block(pool, &cursor, &block));
    hpw_close(pool);
    return CHECK_DONE();
}
