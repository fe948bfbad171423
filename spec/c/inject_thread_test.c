/* SPDX-License-Identifier: MIT */
/*
 * Failures by plan while threads work: every refusal is some thread's own, as many as
 * the pool counts, and each thread hears the number of its own; plans that come and go
 * lose nothing, beside caches of threads and Lua states. Under ThreadSanitizer too.
 */
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

enum { THREADS = 4, CALLS = 4000, HELD = 32 };

static hpw_pool *pool;
static atomic_ulong refused, requests;
static atomic_uchar seen[THREADS * CALLS + 1]; /* by number: whether some thread heard it */
static atomic_bool done;

static hpw_pool *open_pool(const char *policy, uint32_t caches) {
    return hpw_open(&(hpw_config){.policy = policy, .capacity = 8 << 20, .thread_caches = caches}, NULL);
}

/* Allocates and frees; notes each refusal that is by plan, whose number nobody else may hear. */
static void *allocates(void *unused) {
    (void)unused;
    void *held[HELD] = {0};
    for (unsigned i = 0; i < CALLS; i++) {
        void **place = &held[i % HELD];
        CHECK_EQ(hpw_free(pool, *place), HPW_OK);
        *place = hpw_malloc(pool, 16 + i % 200);
        if (*place) continue;
        uint64_t number = hpw_refused_by_plan(pool);
        if (number == 0 || number > (uint64_t)THREADS * CALLS || atomic_exchange(&seen[number], 1))
            CHECK(false);
        refused++;
    }
    for (unsigned i = 0; i < HELD; i++) hpw_free(pool, held[i]);
    return NULL;
}

static void run(void *(*body)(void *)) {
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, body, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void counts_each(const char *policy, uint32_t caches) {
    pool = open_pool(policy, caches);
    memset((void *)seen, 0, sizeof seen);
    refused = 0;
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.probability = 0.25, .seed = 3}), HPW_OK);
    run(allocates);
    uint64_t counted, injected;
    hpw_get_injected(pool, &counted, &injected);
    CHECK_EQ(counted, THREADS * CALLS);
    CHECK_EQ(injected, refused);
    CHECK(injected > THREADS * CALLS / 8);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

/* ---- Plans that come and go ---- */

static void *works(void *unused) {
    (void)unused;
    void *held[HELD] = {0};
    hpw_account *account = NULL;
    for (unsigned i = 0; i < CALLS; i++) {
        void **place = &held[i % HELD];
        if (!account) account = hpw_open_account(pool, &(hpw_account_config){.limit = 1 << 20}, NULL);
        if (!account) continue;
        size_t size = 8 + i % HELD * 50; /* by place, so that it is known when it goes */
        if (*place) {
            hpw_lua_alloc(account, *place, size, 0);
            *place = NULL;
        } else {
            *place = hpw_lua_alloc(account, NULL, 5, size);
            if (*place) memset(*place, 7, size);
        }
        void *block = hpw_malloc(pool, 100);
        if (!block) refused++;
        hpw_free(pool, block);
    }
    for (unsigned i = 0; i < HELD; i++)
        if (held[i]) hpw_lua_alloc(account, held[i], 8 + i * 50, 0);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    return NULL;
}

static void *plans(void *unused) {
    (void)unused;
    for (unsigned i = 1; !done; i++) {
        uint64_t counted;
        CHECK_EQ(hpw_inject(pool, &(hpw_injection){.every = 1 + i % 5}), HPW_OK);
        hpw_get_injected(pool, &counted, NULL);
        CHECK_EQ(hpw_inject(pool, NULL), HPW_OK);
        hpw_get_injected(pool, &counted, NULL);
        requests += counted;
    }
    return NULL;
}

static void comes_and_goes(const char *policy, uint32_t caches) {
    pthread_t planner;
    pool = open_pool(policy, caches);
    done = false;
    CHECK_EQ(pthread_create(&planner, NULL, plans, NULL), 0);
    run(works);
    done = true;
    pthread_join(planner, NULL);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_stats stats;
    hpw_trim(pool);
    hpw_get_stats(pool, &stats);
    CHECK_EQ(stats.live_blocks, 0);
    CHECK(stats.injected <= requests);
    hpw_close(pool);
}

int main(void) {
    counts_each("best-fit", 0);
    counts_each("slab", 0);
    counts_each("slab", THREADS);
    counts_each("slab", 2); /* some threads have no cache */
    comes_and_goes("first-fit", 0);
    comes_and_goes("slab", THREADS);
    return CHECK_DONE();
}
