/* SPDX-License-Identifier: MIT */
/*
 * Eight threads on one pool, each policy in turn: blocks never overlap, bytes
 * stay, counts add up, blocks of one thread may be freed by another, readers of
 * statistics and walkers of blocks run beside. Then 64 threads at once: nobody
 * waits without end, on a pool with room and on a full one. Run under
 * ThreadSanitizer too.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static void one_policy(const hpw_config *config) {
    shared all = {.pool = hpw_open(config, NULL)};
    CHECK(all.pool);
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

/* ---- Many threads ---- */

enum { CROWD = 64, TURNS = 2000, CROWD_HELD = 8, BLOCK = 64 };

typedef struct member {
    hpw_pool *pool;
    pthread_barrier_t *start;
    uint64_t failures, wrong, longest_wait; /* of one call, ns */
} member;

static uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Takes and gives back blocks of one size as long as there are any, each inscribed with its owner. */
static void *crowd(void *ud) {
    member *m = ud;
    member **held[CROWD_HELD] = {NULL};
    pthread_barrier_wait(m->start);
    for (int i = 0; i < TURNS; i++) {
        member ***slot = &held[i % CROWD_HELD];
        if (*slot && (**slot != m || hpw_free(m->pool, *slot))) m->wrong++;
        uint64_t before = nanoseconds();
        *slot = hpw_malloc(m->pool, BLOCK);
        uint64_t wait = nanoseconds() - before;
        if (wait > m->longest_wait) m->longest_wait = wait;
        if (*slot)
            **slot = m;
        else
            m->failures++;
    }
    for (int i = 0; i < CROWD_HELD; i++)
        if (held[i] && (*held[i] != m || hpw_free(m->pool, held[i]))) m->wrong++;
    return NULL;
}

/* All of the crowd's turns: the NULLs that its members saw. */
static uint64_t run_crowd(hpw_pool *pool) {
    static member members[CROWD];
    pthread_t threads[CROWD];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, CROWD);
    for (int i = 0; i < CROWD; i++) {
        members[i] = (member){.pool = pool, .start = &start};
        CHECK_EQ(pthread_create(&threads[i], NULL, crowd, &members[i]), 0);
    }
    uint64_t failures = 0, wrong = 0, longest = 0;
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        failures += members[i].failures;
        wrong += members[i].wrong;
        if (members[i].longest_wait > longest) longest = members[i].longest_wait;
    }
    pthread_barrier_destroy(&start);
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(stats.failures, failures);
    CHECK_EQ(stats.allocations + stats.failures, (uint64_t)CROWD * TURNS);
    CHECK_EQ(stats.live_blocks, 0);
    CHECK_EQ(stats.granted, 0);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    CHECK(longest < (uint64_t)60 * 1000000000); /* 64 slices are 0.26 s; a loaded machine is slow */
    return failures;
}

/* With room for all, and with room for half of what one thread alone wants. */
static void crowd_on(const char *policy, uint32_t caches) {
    hpw_config config = {
        .policy = policy, .capacity = (uint64_t)CROWD * TURNS * BLOCK, .thread_caches = caches};
    hpw_pool *roomy = hpw_open(&config, NULL);
    CHECK_EQ(run_crowd(roomy), 0);
    hpw_close(roomy);
    config.capacity = (uint64_t)CROWD_HELD / 2 * BLOCK;
    hpw_pool *full = hpw_open(&config, NULL);
    CHECK(run_crowd(full) > 0);
    hpw_close(full);
}

int main(void) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        for (hpw_guard guard = HPW_GUARD_OFF; guard < HPW_GUARD_COUNT; guard++)
            one_policy(&(hpw_config){
                .policy = info->name, .guard = guard, .capacity = 1 << 18, .max_capacity = 1 << 20});
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) crowd_on(info->name, 0);
    for (uint32_t caches = 1; caches <= 8; caches += 7) { /* for fewer threads than there are, and for more */
        one_policy(&(hpw_config){.policy = "slab", .thread_caches = caches});
        one_policy(&(hpw_config){.policy = "slab", .thread_caches = caches, .guard = HPW_GUARD_CHECK});
        one_policy(&(hpw_config){.policy = "slab", .thread_caches = caches, .classes = {48, 80, 1024}});
        crowd_on("slab", caches);
    }
    return CHECK_DONE();
}
