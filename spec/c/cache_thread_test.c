/* SPDX-License-Identifier: MIT */
/*
 * Caches of threads (hpw_config.thread_caches): what a thread holds back comes
 * out where it is wanted, misuse is told whoever made it, threads that end leave
 * nothing behind, and the whole pool can be looked at between any two calls. Run
 * under ThreadSanitizer too; thread_test.c hammers such pools as well.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "policy/slab.h"
#include "policy/slots_shared.h"
#include "pool.h"

enum { CAPACITY = 1 << 20, CACHES = 4 };

static hpw_pool *open_cached(uint64_t capacity, uint32_t caches) {
    hpw_error error;
    hpw_pool *pool =
        hpw_open(&(hpw_config){.policy = "slab", .capacity = capacity, .thread_caches = caches}, &error);
    CHECK(pool);
    CHECK_EQ(error, HPW_OK);
    return pool;
}

static void in_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
    pthread_join(thread, NULL);
}

static void whole_again(hpw_pool *pool) {
    hpw_stats stats;
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_trim(pool);
    hpw_get_stats(pool, &stats);
    CHECK_EQ(stats.live_blocks, 0);
    CHECK_EQ(stats.free_blocks, 1);
    CHECK_EQ(stats.largest_free, stats.capacity);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
}

/* ---- Configuration ---- */

static void refused(const hpw_config *config) {
    hpw_error error = HPW_OK;
    hpw_pool *pool = hpw_open(config, &error);
    CHECK(!pool);
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
    hpw_close(pool);
}

static void nothing(void *ud) { (void)ud; }

static void refuses(void) {
    refused(&(hpw_config){.thread_caches = 1}); /* best fit */
    refused(&(hpw_config){.policy = "slab", .thread_caches = 1, .single_threaded = true});
    refused(&(hpw_config){.policy = "slab", .thread_caches = 1, .granule = 32});
    refused(&(hpw_config){.policy = "slab", .thread_caches = 1, .max_capacity = 2 << 20});
    refused(&(hpw_config){.policy = "slab", .thread_caches = HPW_MOST_THREAD_CACHES + 1});
    refused(
        &(hpw_config){.policy = "slab", .thread_caches = 1, .host = {.lock = nothing, .unlock = nothing}});
    hpw_close(open_cached(CAPACITY, HPW_MOST_THREAD_CACHES));
    hpw_close(open_cached(64, 1)); /* no page fits in it */
}

static void in_a_buffer(void) {
    hpw_config config = {.policy = "slab", .capacity = 65536, .thread_caches = 2};
    size_t size = hpw_metadata_size(&config) + 65536;
    unsigned char *buffer = malloc(size + 1);
    hpw_pool *pool = hpw_open_in(buffer + 1, size, &config, NULL);
    CHECK(pool);
    void *block = hpw_malloc(pool, 100);
    CHECK(block);
    CHECK_EQ(hpw_free(pool, block), HPW_OK);
    whole_again(pool);
    hpw_close(pool);
    free(buffer);
}

/* ---- One thread: a pool like any other ---- */

/* Every kind of slot and large blocks; statistics exact whenever they are asked for. */
static void counts_are_exact(void) {
    hpw_pool *pool = open_cached(CAPACITY, CACHES);
    hpw_stats stats;
    void *held[300];
    uint64_t sum = 0;
    for (size_t i = 0; i < 300; i++) {
        CHECK((held[i] = hpw_malloc(pool, i * 7)) != NULL);
        sum += i * 7;
        hpw_get_stats(pool, &stats);
        CHECK_EQ(stats.in_use, sum);
        CHECK_EQ(stats.peak_in_use, sum);
        CHECK_EQ(stats.live_blocks, i + 1);
        CHECK_EQ(hpw_usable_size(pool, held[i]) >= i * 7, true);
    }
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    uint64_t high = stats.high_water;
    for (size_t i = 0; i < 300; i++) {
        CHECK_EQ(hpw_free(pool, held[i]), HPW_OK);
        CHECK_EQ(hpw_free(pool, held[i]), HPW_DOUBLE_FREE);
        sum -= i * 7;
    }
    hpw_get_stats(pool, &stats);
    CHECK_EQ(stats.in_use, 0);
    CHECK_EQ(stats.frees, 300);
    CHECK(stats.high_water >= high && stats.high_water <= CAPACITY);
    whole_again(pool);
    hpw_close(pool);
}

static void misuse_is_told(void) {
    hpw_pool *pool = open_cached(CAPACITY, CACHES);
    unsigned char *slot = hpw_malloc(pool, 40), *large = hpw_malloc(pool, 4000), outside[64];
    CHECK_EQ(hpw_free(pool, slot + 1), HPW_INVALID_FREE);
    CHECK_EQ(hpw_free(pool, slot + 16), HPW_INVALID_FREE);
    CHECK_EQ(hpw_free(pool, large + 16), HPW_INVALID_FREE);
    CHECK_EQ(hpw_free(pool, outside), HPW_INVALID_FREE);
    CHECK_EQ(hpw_free_sized(pool, slot, 41), HPW_INVALID_ARGUMENT);
    slot[47] = 0; /* its size record */
    CHECK_EQ(hpw_free(pool, slot), HPW_CORRUPTED);
    slot[47] = 8;
    CHECK_EQ(hpw_free_sized(pool, slot, 40), HPW_OK);
    CHECK_EQ(hpw_free(pool, large), HPW_OK);
    CHECK_EQ(hpw_free(pool, large), HPW_DOUBLE_FREE);
    whole_again(pool);
    hpw_close(pool);
}

/* A reset forgets what the heaps held, a sink sees every event, in order. */
static void count_event(void *ud, const hpw_event *event) { ((uint64_t *)ud)[event->kind]++; }

static void reset_and_sink(void) {
    hpw_pool *pool = open_cached(CAPACITY, CACHES);
    uint64_t events[4] = {0};
    for (int i = 0; i < 100; i++) hpw_malloc(pool, 48);
    hpw_reset(pool);
    whole_again(pool);
    CHECK(hpw_malloc(pool, 48) == hpw_pointer(pool, 0));
    hpw_set_sink(pool, count_event, events);
    void *block = hpw_malloc(pool, 48);
    hpw_free(pool, block);
    CHECK(!hpw_malloc(pool, CAPACITY));
    hpw_set_sink(pool, NULL, NULL);
    hpw_free(pool, hpw_malloc(pool, 48));
    CHECK_EQ(events[HPW_EVENT_ALLOC], 1);
    CHECK_EQ(events[HPW_EVENT_FREE], 1);
    CHECK_EQ(events[HPW_EVENT_FAILURE], 1);
    hpw_reset(pool);
    whole_again(pool);
    hpw_close(pool);
}

/* ---- Several threads ---- */

enum { MANY = 5000 };

typedef struct bundle {
    hpw_pool *pool;
    size_t size;
    void *blocks[MANY];
    size_t count;
} bundle;

static void *allocate_all(void *ud) { /* as many as there are */
    bundle *b = ud;
    while (b->count < MANY && (b->blocks[b->count] = hpw_malloc(b->pool, b->size))) b->count++;
    return NULL;
}

static void *free_all(void *ud) {
    bundle *b = ud;
    for (; b->count; b->count--) CHECK_EQ(hpw_free(b->pool, b->blocks[b->count - 1]), HPW_OK);
    return NULL;
}

static void *free_all_wrongly(void *ud) {
    bundle *b = ud;
    for (size_t i = 0; i < b->count; i++) CHECK(hpw_free(b->pool, b->blocks[i]) == HPW_DOUBLE_FREE);
    return NULL;
}

/* Blocks of one thread freed by another one; freed again by a third, and by the first. */
static void freed_elsewhere(void) {
    bundle *b = calloc(1, sizeof *b);
    hpw_stats stats;
    *b = (bundle){.pool = open_cached(CAPACITY, CACHES), .size = 100};
    allocate_all(b);
    size_t count = b->count;
    CHECK(count > 1000);
    in_thread(free_all, b);
    b->count = count;
    in_thread(free_all_wrongly, b);
    free_all_wrongly(b);
    hpw_get_stats(b->pool, &stats);
    CHECK_EQ(stats.frees, count);
    b->count = 0;
    allocate_all(b); /* the first one has all of them again */
    CHECK_EQ(b->count, count);
    free_all(b);
    whole_again(b->pool);
    hpw_close(b->pool);
    free(b);
}

/* A thread that ends gives back what it had; its blocks stay. */
static void threads_end(void) {
    bundle *b = calloc(1, sizeof *b);
    *b = (bundle){.pool = open_cached(CAPACITY, 2), .size = 64};
    for (int round = 0; round < 10; round++) { /* more threads than caches */
        in_thread(allocate_all, b);
        CHECK_EQ(hpw_check(b->pool, NULL), HPW_OK);
        size_t count = b->count;
        in_thread(free_all, b);
        if (round) CHECK_EQ(count, MANY);
        CHECK_EQ(hpw_check(b->pool, NULL), HPW_OK);
    }
    whole_again(b->pool);
    hpw_close(b->pool);
    free(b);
}

typedef struct holder {
    hpw_pool *pool;
    size_t size, keeps; /* each keeps-th block; 0: none */
    pthread_barrier_t barrier;
} holder;

/* Takes the whole pool in small blocks and gives most of it back: its cache holds what it can hold. */
static void *hold_back(void *ud) {
    holder *h = ud;
    bundle *b = calloc(1, sizeof *b);
    *b = (bundle){.pool = h->pool, .size = h->size};
    allocate_all(b);
    for (size_t i = 0; i < b->count; i++)
        if (!h->keeps || i % h->keeps) CHECK_EQ(hpw_free(b->pool, b->blocks[i]), HPW_OK);
    pthread_barrier_wait(&h->barrier); /* it has what it has */
    pthread_barrier_wait(&h->barrier); /* and goes on only now */
    for (size_t i = 0; h->keeps && i < b->count; i += h->keeps)
        CHECK_EQ(hpw_free(b->pool, b->blocks[i]), HPW_OK);
    free(b);
    return NULL;
}

/* What caches hold is there for whoever asks, of the same kind, of another one, or for all of the pool. */
static void nothing_is_held_back(size_t holds, size_t asks) {
    holder h = {.pool = open_cached(65536, CACHES), .size = holds, .keeps = 0};
    pthread_t threads[2];
    pthread_barrier_init(&h.barrier, NULL, 3);
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&threads[i], NULL, hold_back, &h), 0);
    pthread_barrier_wait(&h.barrier);
    hpw_pool *plain = hpw_open(&(hpw_config){.policy = "slab", .capacity = 65536}, NULL);
    bundle *here = calloc(1, sizeof *here), *there = calloc(1, sizeof *there);
    *here = (bundle){.pool = h.pool, .size = asks};
    *there = (bundle){.pool = plain, .size = asks};
    allocate_all(here);
    allocate_all(there);
    CHECK_EQ(here->count, there->count);
    CHECK_EQ(hpw_check(h.pool, NULL), HPW_OK);
    free_all(here);
    free_all(there);
    whole_again(h.pool);
    pthread_barrier_wait(&h.barrier);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&h.barrier);
    hpw_close(plain);
    hpw_close(h.pool);
    free(here);
    free(there);
}

/* Slots of pages that others still have blocks in are there too. */
static void shared_pages_are_not_held_back(void) {
    holder h = {.pool = open_cached(65536, CACHES), .size = 64, .keeps = 8};
    pthread_t thread;
    hpw_stats stats;
    pthread_barrier_init(&h.barrier, NULL, 2);
    CHECK_EQ(pthread_create(&thread, NULL, hold_back, &h), 0);
    pthread_barrier_wait(&h.barrier);
    bundle *here = calloc(1, sizeof *here);
    *here = (bundle){.pool = h.pool, .size = 64};
    allocate_all(here);
    CHECK_EQ(here->count, 1024 - 128);
    hpw_get_stats(h.pool, &stats);
    CHECK_EQ(stats.free, 0);
    CHECK_EQ(hpw_check(h.pool, NULL), HPW_OK);
    pthread_barrier_wait(&h.barrier); /* the other one frees what it kept, in pages no longer its own */
    free_all(here);
    pthread_join(thread, NULL);
    whole_again(h.pool);
    pthread_barrier_destroy(&h.barrier);
    hpw_close(h.pool);
    free(here);
}

/* Freed by another thread whose cache is still open, a block is freed for its own thread as well. */
static void *free_first(void *ud) {
    holder *h = ud;
    CHECK_EQ(hpw_free(h->pool, hpw_pointer(h->pool, 0)), HPW_OK);
    pthread_barrier_wait(&h->barrier);
    pthread_barrier_wait(&h->barrier);
    return NULL;
}

static void freed_for_all(void) {
    holder h = {.pool = open_cached(65536, CACHES)};
    pthread_t thread;
    pthread_barrier_init(&h.barrier, NULL, 2);
    void *block = hpw_malloc(h.pool, 64), *other = hpw_malloc(h.pool, 64);
    CHECK(block == hpw_pointer(h.pool, 0));
    CHECK_EQ(pthread_create(&thread, NULL, free_first, &h), 0);
    pthread_barrier_wait(&h.barrier);
    CHECK_EQ(hpw_free(h.pool, block), HPW_DOUBLE_FREE);
    CHECK_EQ(hpw_free(h.pool, other), HPW_OK);
    pthread_barrier_wait(&h.barrier);
    pthread_join(thread, NULL);
    whole_again(h.pool);
    pthread_barrier_destroy(&h.barrier);
    hpw_close(h.pool);
}

/*
 * Of two threads that found the same slot live at the same moment, which no test can make them do, one gives
 * it back to its owner and the other is told that it is free.
 */
static void given_back_once(void) {
    hpw_pool *pool = open_cached(CAPACITY, CACHES);
    granule_t at = (granule_t)(hpw_address(pool, hpw_malloc(pool, 64)) / 16);
    slab *state = pool->index.state;
    uint32_t owner = slots_owner_at(&state->pages, at);
    CHECK(owner);
    CHECK(slots_return(&state->pages, slab_heap(state, owner), at));
    CHECK(!slots_return(&state->pages, slab_heap(state, owner), at));
    CHECK(slots_return(&state->pages, slab_heap(state, owner), at + 4)); /* its neighbour */
    hpw_close(pool);
}

/*
 * Others empty more pages than a heap keeps, and are still there: their end would bring
 * all home.
 */
static void *empty_and_wait(void *ud) {
    holder *h = ud;
    for (uint64_t address = 0; address < h->size; address += 64)
        CHECK_EQ(hpw_free(h->pool, hpw_pointer(h->pool, address)), HPW_OK);
    pthread_barrier_wait(&h->barrier);
    pthread_barrier_wait(&h->barrier);
    return NULL;
}

static void many_pages_come_back_at_once(void) {
    holder h = {.pool = open_cached(CAPACITY, CACHES), .size = (size_t)100 * 4096};
    pthread_t thread;
    pthread_barrier_init(&h.barrier, NULL, 2);
    for (size_t i = 0; i < h.size / 64; i++) CHECK(hpw_malloc(h.pool, 64) == hpw_pointer(h.pool, i * 64));
    CHECK_EQ(pthread_create(&thread, NULL, empty_and_wait, &h), 0);
    pthread_barrier_wait(&h.barrier);
    void *block = hpw_malloc(h.pool, 200); /* collects them, and wants a page of its own */
    CHECK(block);
    CHECK_EQ(hpw_free(h.pool, block), HPW_OK);
    pthread_barrier_wait(&h.barrier);
    pthread_join(thread, NULL);
    whole_again(h.pool);
    pthread_barrier_destroy(&h.barrier);
    hpw_close(h.pool);
}

/* Without a key for the end of threads there are no caches, but a pool under its lock. */
static void no_key_left(void) {
    static pthread_key_t keys[4096];
    size_t count = 0;
    while (count < 4096 && !pthread_key_create(&keys[count], NULL)) count++;
    CHECK(count && count < 4096);
    hpw_pool *pool = open_cached(CAPACITY, CACHES);
    bundle *b = calloc(1, sizeof *b);
    *b = (bundle){.pool = pool, .size = 64};
    allocate_all(b);
    CHECK_EQ(b->count, MANY);
    in_thread(free_all, b);
    whole_again(pool);
    hpw_close(pool);
    free(b);
    while (count) pthread_key_delete(keys[--count]);
}

/* Each thread on two pools in turn, one of which is closed under the other's feet. */
static void *two_pools(void *ud) {
    hpw_pool *const *pools = ud;
    for (int i = 0; i < 1000; i++) {
        void *block = hpw_malloc(pools[i % 2], 32);
        if (!CHECK(block)) return NULL;
        CHECK_EQ(hpw_free(pools[1 - i % 2], block), HPW_INVALID_FREE);
        CHECK_EQ(hpw_free(pools[i % 2], block), HPW_OK);
    }
    return NULL;
}

static void several_pools(void) {
    for (int round = 0; round < 5; round++) {
        hpw_pool *pools[2] = {open_cached(CAPACITY, 2), open_cached(CAPACITY, 1)};
        pthread_t threads[3];
        for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], NULL, two_pools, pools), 0);
        two_pools(pools);
        for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
        whole_again(pools[0]);
        hpw_close(pools[0]); /* this thread's cache in it is gone, unasked */
        whole_again(pools[1]);
        hpw_close(pools[1]);
    }
}

/* ---- What a thread leaves to the next one ---- */

typedef struct visit {
    hpw_pool *pool;
    unsigned char *block;
} visit;

static void *allocate_one(void *ud) {
    visit *v = ud;
    v->block = hpw_malloc(v->pool, 64);
    return NULL;
}

/* The only cache goes from thread to thread, and its pages with it. */
static void a_cache_passes_on(void) {
    visit first = {.pool = open_cached(CAPACITY, 1)}, second = first;
    in_thread(allocate_one, &first);
    in_thread(allocate_one, &second);
    CHECK_EQ(hpw_address(first.pool, second.block) / 4096, hpw_address(first.pool, first.block) / 4096);
    hpw_close(first.pool);
}

/* The high-water mark knows of a block in a thread's cache as of any other. */
static void the_mark_is_above_them(void) {
    visit v = {.pool = open_cached(CAPACITY, 1)};
    hpw_stats stats;
    in_thread(allocate_one, &v);
    hpw_get_stats(v.pool, &stats);
    CHECK(stats.high_water >= hpw_address(v.pool, v.block) + 64);
    hpw_close(v.pool);
}

int main(void) {
    no_key_left(); /* the first of all: a key that there is stays */
    refuses();
    in_a_buffer();
    counts_are_exact();
    misuse_is_told();
    reset_and_sink();
    freed_elsewhere();
    threads_end();
    nothing_is_held_back(64, 64);
    nothing_is_held_back(64, 1024);
    nothing_is_held_back(16, 240);
    nothing_is_held_back(64, 60000);
    shared_pages_are_not_held_back();
    freed_for_all();
    given_back_once();
    many_pages_come_back_at_once();
    several_pools();
    a_cache_passes_on();
    the_mark_is_above_them();
    return CHECK_DONE();
}
