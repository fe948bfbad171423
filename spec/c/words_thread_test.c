/* SPDX-License-Identifier: MIT */
/*
 * Words under several threads: sums are exact, a lock made of a word protects what
 * it should, stores are seen in order, C11's own atomics may be used beside, and a
 * word that another thread frees is there or not. Run under ThreadSanitizer too.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

enum { THREADS = 4, ADDS = 100000, TURNS = 4000, PASSES = 3000, FREES = 3000 };

typedef struct shared {
    hpw_pool *pool;
    uint64_t word, other;  /* addresses */
    unsigned long counter; /* plain: what one thread alone, or under a lock, counts */
    void *(*body)(void *);
    pthread_barrier_t begin;
    atomic_uint number; /* of the next thread */
    atomic_uint done;
} shared;

static uint64_t new_word(hpw_pool *pool) {
    uint64_t address = 0;
    CHECK_EQ(hpw_allocate(pool, 8, 0, &address, NULL), HPW_OK);
    CHECK_EQ(hpw_store(pool, address, 0, NULL), HPW_OK);
    return address;
}

static uint64_t load(const shared *all, uint64_t address) {
    uint64_t value = 0;
    CHECK_EQ(hpw_load(all->pool, address, &value, NULL), HPW_OK);
    return value;
}

static void *begin_together(void *ud) {
    shared *all = ud;
    pthread_barrier_wait(&all->begin);
    return all->body(all);
}

static void run_threads(shared *all, void *(*body)(void *)) {
    pthread_t threads[THREADS];
    all->body = body;
    atomic_store(&all->number, 0);
    pthread_barrier_init(&all->begin, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, begin_together, all), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all->begin);
}

/* ---- Sums ---- */

static void *add(void *ud) {
    shared *all = ud;
    uint64_t last = 0, before;
    for (int i = 0; i < ADDS; i++) {
        CHECK_EQ(hpw_fetch_add(all->pool, all->word, 3, &before, NULL), HPW_OK);
        if (i) CHECK(before >= last + 3 && before % 3 == 0);
        last = before;
        CHECK_EQ(hpw_fetch_add(all->pool, all->other, UINT64_MAX, NULL, NULL), HPW_OK);
    }
    return NULL;
}

static void sums_are_exact(shared *all) {
    all->word = new_word(all->pool);
    all->other = new_word(all->pool);
    run_threads(all, add);
    CHECK_EQ(load(all, all->word), 3 * THREADS * ADDS);
    CHECK_EQ(load(all, all->other), -(int64_t)THREADS * ADDS);
}

#ifndef HPW_PORTABLE_BITS /* where the pool's words are not atomic in themselves */
static void *add_by_pointer(void *ud) {
    shared *all = ud;
    _Atomic uint64_t *word = hpw_pointer(all->pool, all->word);
    bool by_pointer = atomic_fetch_add(&all->number, 1) == 0;
    if (by_pointer) { /* for as long as the others go on */
        for (; atomic_load(&all->done) < THREADS - 1; all->counter++) atomic_fetch_add(word, 1);
        return NULL;
    }
    for (int i = 0; i < ADDS; i++) hpw_fetch_add(all->pool, all->word, 1, NULL, NULL);
    atomic_fetch_add(&all->done, 1);
    return NULL;
}

static void atomics_of_c_may_be_used_beside(shared *all) {
    all->word = new_word(all->pool);
    all->counter = 0;
    atomic_store(&all->done, 0);
    run_threads(all, add_by_pointer);
    CHECK_EQ(load(all, all->word), (uint64_t)(THREADS - 1) * ADDS + all->counter);
}
#else
static void atomics_of_c_may_be_used_beside(shared *all) { (void)all; }
#endif

/* ---- A lock ---- */

static void *take_turns(void *ud) {
    shared *all = ud;
    for (int i = 0; i < TURNS; i++) {
        for (bool mine = false; !mine;) {
            uint64_t expected = 0;
            CHECK_EQ(hpw_compare_exchange(all->pool, all->word, &expected, 1, &mine, NULL), HPW_OK);
            CHECK_EQ(expected, mine ? 0 : 1);
            if (!mine) sched_yield();
        }
        all->counter++;
        CHECK_EQ(hpw_store(all->pool, all->word, 0, NULL), HPW_OK);
    }
    return NULL;
}

static void a_lock_protects(shared *all) {
    all->word = new_word(all->pool);
    all->counter = 0;
    run_threads(all, take_turns);
    CHECK_EQ(all->counter, THREADS * TURNS);
}

/* ---- Order ---- */

static void *write_both(void *ud) {
    shared *all = ud;
    for (uint64_t i = 1; i <= PASSES; i++) {
        hpw_store(all->pool, all->word, i, NULL);
        hpw_store(all->pool, all->other, i, NULL);
    }
    return NULL;
}

static void stores_are_seen_in_order(shared *all) {
    pthread_t writer;
    all->word = new_word(all->pool);
    all->other = new_word(all->pool);
    CHECK_EQ(pthread_create(&writer, NULL, write_both, all), 0);
    for (uint64_t second = 0, first; second < PASSES;) {
        second = load(all, all->other);
        first = load(all, all->word);
        CHECK(first >= second); /* what was written first is there when the second is */
    }
    pthread_join(writer, NULL);
}

/* ---- Frees ---- */

/* Frees the block of the word, and allocates it anew, for something else. */
static void *free_and_allocate(void *ud) {
    shared *all = ud;
    uint64_t address = all->word;
    for (int i = 0; i < FREES; i++) {
        CHECK_EQ(hpw_release(all->pool, address, NULL), HPW_OK);
        CHECK_EQ(hpw_allocate(all->pool, 8, 0, &address, NULL), HPW_OK);
        CHECK_EQ(hpw_store(all->pool, address, 0, NULL), HPW_OK);
    }
    hpw_store(all->pool, all->other, 1, NULL);
    return NULL;
}

static void is_there_or_not(shared *all) {
    pthread_t freer;
    hpw_report report;
    all->word = new_word(all->pool);
    all->other = new_word(all->pool);
    CHECK_EQ(pthread_create(&freer, NULL, free_and_allocate, all), 0);
    while (load(all, all->other) == 0) {
        uint64_t value = 0;
        hpw_error error = hpw_load(all->pool, all->word, &value, &report);
        CHECK(error == HPW_OK || (error == HPW_UNALLOCATED && report.error == error));
    }
    pthread_join(freer, NULL);
    CHECK_EQ(hpw_check(all->pool, NULL), HPW_OK);
}

/* ---- Reports ---- */

static void reports_say_why(shared *all) {
    hpw_report report;
    uint64_t value = 77, word = new_word(all->pool);
    bool exchanged = true;
    CHECK_EQ(hpw_load(all->pool, word + 1, &value, &report), HPW_INVALID_ARGUMENT);
    CHECK_EQ(report.address, word + 1);
    CHECK_EQ(report.size, 8);
    CHECK(strcmp(report.what, "not aligned to 8") == 0);
    CHECK_EQ(hpw_store(all->pool, word + 8000000, 1, &report), HPW_OUT_OF_BOUNDS);
    CHECK_EQ(hpw_fetch_add(all->pool, word + 4, 1, &value, NULL), HPW_INVALID_ARGUMENT);
    CHECK_EQ(hpw_compare_exchange(all->pool, word + 2, &value, 1, &exchanged, NULL), HPW_INVALID_ARGUMENT);
    CHECK_EQ(value, 77);
    CHECK(exchanged); /* as they were */
    CHECK_EQ(hpw_release(all->pool, word, NULL), HPW_OK);
    CHECK_EQ(hpw_compare_exchange(all->pool, word, &value, 1, NULL, &report), HPW_UNALLOCATED);
    CHECK(report.in_free_block);
}

static void try_pool(const hpw_config *config) {
    shared all = {.pool = hpw_open(config, NULL)};
    sums_are_exact(&all);
    atomics_of_c_may_be_used_beside(&all);
    a_lock_protects(&all);
    stores_are_seen_in_order(&all);
    is_there_or_not(&all);
    reports_say_why(&all);
    hpw_close(all.pool);
}

int main(void) {
    try_pool(&(hpw_config){.capacity = 1 << 16});
    try_pool(&(hpw_config){.capacity = 1 << 16, .granule = 8, .policy = "good-fit"});
    try_pool(
        &(hpw_config){.capacity = 1 << 20, .policy = "slab", .thread_caches = 2}); /* fewer than threads */
    try_pool(&(hpw_config){.capacity = 1 << 20, .policy = "slab", .thread_caches = THREADS + 1});
    return CHECK_DONE();
}
