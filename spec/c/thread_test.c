/* SPDX-License-Identifier: MIT */
/*
 * Eight threads on one pool, each policy in turn: blocks never overlap, bytes
 * stay, counts add up, blocks of one thread may be freed by another, readers of
 * statistics and walkers of blocks run beside. Run under ThreadSanitizer too.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

enum { THREADS = 8, OPERATIONS = 4000, HELD = 32, MAILBOXES = 64 };

typedef struct shared {
    hpw_pool *pool;
    _Atomic(unsigned char *) mailbox[MAILBOXES]; /* blocks on their way to another thread */
    atomic_ulong wrong, allocated, freed;
} shared;

typedef struct worker {
    shared *all;
    uint64_t state;
} worker;

static uint64_t below(worker *w, uint64_t n) {
    w->state ^= w->state << 13;
    w->state ^= w->state >> 7;
    w->state ^= w->state << 17;
    return w->state % n;
}

/* A block's first 4 bytes are its size, the rest one byte. */
static void inscribe(unsigned char *block, uint32_t size, unsigned char byte) {
    memset(block, byte, size);
    memcpy(block, &size, sizeof size);
}

static bool intact(const unsigned char *block) {
    uint32_t size;
    memcpy(&size, block, sizeof size);
    for (uint32_t i = 5; i < size; i++)
        if (block[i] != block[4]) return false;
    return true;
}

static void dispose(worker *w, unsigned char *block) {
    if (!block) return;
    if (!intact(block)) atomic_fetch_add(&w->all->wrong, 1);
    if (below(w, 4) == 0) block = atomic_exchange(&w->all->mailbox[below(w, MAILBOXES)], block);
    if (!block) return;
    if (!intact(block) || hpw_free(w->all->pool, block)) atomic_fetch_add(&w->all->wrong, 1);
    atomic_fetch_add(&w->all->freed, 1);
}

static void *hammer(void *ud) {
    worker *w = ud;
    hpw_pool *pool = w->all->pool;
    unsigned char *held[HELD] = {NULL};
    for (int i = 0; i < OPERATIONS; i++) {
        unsigned char **slot = &held[below(w, HELD)];
        uint32_t size = 5 + (uint32_t)below(w, (uint64_t)1 << (3 + below(w, 9)));
        if (*slot && below(w, 3) == 0) {
            unsigned char *moved = hpw_realloc(pool, *slot, size);
            if (!moved) continue;
            *slot = moved;
        } else {
            dispose(w, *slot);
            *slot = below(w, 5) ? hpw_malloc(pool, size) : hpw_aligned_alloc(pool, 64, size);
            if (!*slot) continue;
            atomic_fetch_add(&w->all->allocated, 1);
        }
        inscribe(*slot, size, (unsigned char)below(w, 256));
        hpw_stats stats;
        if (i % 64 == 0) hpw_get_stats(pool, &stats);
        if (i % 512 == 0 && hpw_check(pool, NULL)) atomic_fetch_add(&w->all->wrong, 1);
    }
    for (int i = 0; i < HELD; i++) dispose(w, held[i]);
    return NULL;
}

static void *walk(void *ud) {
    shared *all = ud;
    for (int round = 0; round < 20; round++) {
        uint64_t cursor = 0, before = 0;
        for (hpw_block block; hpw_next_block(all->pool, &cursor, &block); before = block.address)
            if (block.address < before) atomic_fetch_add(&all->wrong, 1);
    }
    return NULL;
}

static void one_policy(const char *policy) {
    shared all = {.pool = hpw_open(
                      &(hpw_config){.policy = policy, .capacity = 1 << 18, .max_capacity = 1 << 20}, NULL)};
    worker workers[THREADS];
    pthread_t threads[THREADS + 1];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){&all, 0x9E3779B97F4A7C15U * (uint64_t)(i + 1)};
        CHECK_EQ(pthread_create(&threads[i], NULL, hammer, &workers[i]), 0);
    }
    CHECK_EQ(pthread_create(&threads[THREADS], NULL, walk, &all), 0);
    for (int i = 0; i <= THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < MAILBOXES; i++) {
        unsigned char *block = atomic_load(&all.mailbox[i]);
        if (!block) continue;
        CHECK(intact(block));
        CHECK_EQ(hpw_free(all.pool, block), HPW_OK);
        atomic_fetch_add(&all.freed, 1);
    }
    hpw_stats stats;
    hpw_get_stats(all.pool, &stats);
    CHECK_EQ(atomic_load(&all.wrong), 0);
    CHECK_EQ(stats.live_blocks, 0);
    CHECK_EQ(stats.in_use, 0);
    CHECK_EQ(stats.allocations, atomic_load(&all.allocated));
    CHECK_EQ(stats.frees, atomic_load(&all.freed));
    CHECK_EQ(hpw_check(all.pool, NULL), HPW_OK);
    hpw_close(all.pool);
}

int main(void) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) one_policy(info->name);
    return CHECK_DONE();
}
