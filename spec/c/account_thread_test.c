/* SPDX-License-Identifier: MIT */
/*
 * Accounts of one pool on threads: the sum never passes the pool, each thread's
 * bytes stay its own, limits are set from outside while the states run, pressure
 * reaches everybody, and the pool is empty in the end.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

enum { THREADS = 4, BLOCKS = 300, STEPS = 60000 };

typedef struct tenant {
    hpw_account *account;
    uint64_t seed;
    unsigned granted, refused;
    atomic_bool done;
} tenant;

typedef struct owned {
    unsigned char *block;
    size_t size;
} owned;

static uint64_t draw(tenant *t, uint64_t below) {
    t->seed = t->seed * 6364136223846793005U + 1442695040888963407U;
    return (t->seed >> 33) % below;
}

static void check_owned(const owned *o) {
    for (size_t i = 0; i < o->size; i += 64)
        if (o->block[i] != (unsigned char)o->size) CHECK(false);
}

static void change(tenant *t, owned *o) {
    size_t size = draw(t, 4) ? 1 + (size_t)draw(t, 300) : 1 + (size_t)draw(t, 20000);
    if (o->block) check_owned(o);
    if (o->block && draw(t, 3) == 0) {
        hpw_lua_alloc(t->account, o->block, o->size, 0);
        o->block = NULL;
        return;
    }
    unsigned char *block = hpw_lua_alloc(t->account, o->block, o->block ? o->size : draw(t, 11), size);
    if (!block) {
        t->refused++;
        if (o->block) hpw_lua_alloc(t->account, o->block, o->size, 0);
        o->block = NULL;
        return;
    }
    t->granted++;
    *o = (owned){block, size};
    memset(block, (unsigned char)size, size);
}

static void *live(void *ud) {
    tenant *t = ud;
    owned all[BLOCKS];
    memset(all, 0, sizeof all);
    for (unsigned i = 0; i < STEPS; i++) {
        change(t, &all[draw(t, BLOCKS)]);
        if (i % 1000 == 0) hpw_account_pressure(t->account);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        if (all[i].block) hpw_lua_alloc(t->account, all[i].block, all[i].size, 0);
    CHECK_EQ(hpw_close_account(t->account), HPW_OK);
    return NULL;
}

static void share(const hpw_config *config, bool wants_refusals) {
    hpw_pool *pool = hpw_open(config, NULL);
    static tenant tenants[THREADS];
    pthread_t threads[THREADS];
    unsigned refused = 0, granted = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        tenants[i].account = hpw_open_account(pool, NULL, NULL);
        tenants[i].seed = i + 1;
        tenants[i].granted = tenants[i].refused = 0;
    }
    for (unsigned i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, live, &tenants[i]), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        granted += tenants[i].granted; /* in a pool that is full, one may well get nothing */
        if (!wants_refusals) CHECK(tenants[i].granted > STEPS / 4);
        refused += tenants[i].refused;
    }
    CHECK(granted > STEPS / 4);
    CHECK((refused > 0) == wants_refusals);
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    CHECK_EQ(stats.live_blocks, 0);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

/* ---- A limit that another thread changes ---- */

static void *grow(void *ud) {
    tenant *t = ud;
    static unsigned char *held[100000];
    unsigned count = 0;
    while (!atomic_load(&t->done)) {
        unsigned char *block = count < 100000 ? hpw_lua_alloc(t->account, NULL, 4 + count % 7, 40) : NULL;
        if (block)
            held[count++] = block;
        else if (count > 50)
            for (unsigned i = 0; i < 50; i++) hpw_lua_alloc(t->account, held[--count], 40, 0);
    }
    /* Whatever met whatever: the last limit holds. */
    while (count > 10) hpw_lua_alloc(t->account, held[--count], 40, 0);
    for (unsigned char *block; (block = hpw_lua_alloc(t->account, NULL, 5, 40));) held[count++] = block;
    CHECK_EQ(count, 400000 / 40);
    while (count) hpw_lua_alloc(t->account, held[--count], 40, 0);
    return NULL;
}

static void limits_from_outside(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 16 << 20}, NULL);
    tenant t = {.account = hpw_open_account(pool, NULL, NULL)};
    pthread_t thread;
    hpw_set_limit(t.account, 50000);
    CHECK_EQ(pthread_create(&thread, NULL, grow, &t), 0);
    for (unsigned i = 0; i < 20000; i++) {
        hpw_set_limit(t.account, 40000 + (uint64_t)i % 7 * 100000);
        hpw_set_headroom(t.account, (uint64_t)i % 3 * 5000);
    }
    hpw_set_headroom(t.account, 0);
    hpw_set_limit(t.account, 400000);
    atomic_store(&t.done, true);
    pthread_join(thread, NULL);
    CHECK_EQ(hpw_close_account(t.account), HPW_OK);
    hpw_close(pool);
}

int main(void) {
    share(&(hpw_config){.capacity = 64 << 20}, false);
    share(&(hpw_config){.capacity = 1 << 20}, true);
    share(&(hpw_config){.capacity = 256 << 10, .policy = "good-fit"}, true);
    share(&(hpw_config){.capacity = 1 << 20, .policy = "slab", .thread_caches = 2}, true);
    limits_from_outside();
    return CHECK_DONE();
}
