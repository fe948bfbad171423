/* SPDX-License-Identifier: MIT */
/*
 * After a reset a pool is as it was when it was opened, but for what it counts:
 * the same calls get the same addresses, and every block is told to be freed.
 */
#include "check.h"
#include "heapwright.h"

/* Where a few blocks come to lie, one of which has to move. */
static void place_some(hpw_pool *pool, uint64_t at[3]) {
    CHECK_EQ(hpw_allocate(pool, 16, 0, &at[0], NULL), HPW_OK);
    CHECK_EQ(hpw_allocate(pool, 16, 0, &at[1], NULL), HPW_OK);
    CHECK_EQ(hpw_resize(pool, at[0], 64, &at[2], NULL), HPW_OK);
}

/* An alignment that was asked for before the reset is none that a block after it keeps. */
static void alignments_are_forgotten(void) {
    for (size_t i = 0; hpw_policy_at(i); i++)
        for (hpw_guard guard = 0; guard < HPW_GUARD_COUNT; guard++) {
            hpw_config config = {.policy = hpw_policy_at(i)->name, .capacity = 1 << 16, .guard = guard};
            hpw_pool *fresh = hpw_open(&config, NULL), *reset = hpw_open(&config, NULL);
            uint64_t expected[3] = {0}, found[3] = {0};
            CHECK(hpw_aligned_alloc(reset, 4096, 16));
            CHECK_EQ(hpw_reset(reset), HPW_OK);
            place_some(fresh, expected);
            place_some(reset, found);
            for (int k = 0; k < 3; k++) CHECK_EQ(found[k], expected[k]);
            hpw_close(fresh);
            hpw_close(reset);
        }
}

/* Each block that a reset frees is told with its address and its requested size, in address order. */
static void events_tell_the_sizes(void) {
    static const size_t sizes[] = {10, 100, 1000};
    hpw_event slots[8], event;
    hpw_ring ring = {.slots = slots, .count = 8};
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 1 << 16}, NULL);
    uint64_t addresses[3] = {0}, cursor = 0;
    for (int i = 0; i < 3; i++) CHECK_EQ(hpw_allocate(pool, sizes[i], 0, &addresses[i], NULL), HPW_OK);
    hpw_set_sink(pool, hpw_ring_sink, &ring);
    CHECK_EQ(hpw_reset(pool), HPW_OK);
    for (int i = 0; i < 3; i++) {
        CHECK(hpw_ring_next(&ring, &cursor, &event, NULL));
        CHECK_EQ(event.kind, HPW_EVENT_FREE);
        CHECK_EQ(event.address, addresses[i]);
        CHECK_EQ(event.size, sizes[i]);
    }
    CHECK(!hpw_ring_next(&ring, &cursor, &event, NULL));
    hpw_close(pool);
}

int main(void) {
    alignments_are_forgotten();
    events_tell_the_sizes();
    return CHECK_DONE();
}
