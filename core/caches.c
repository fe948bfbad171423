/* SPDX-License-Identifier: MIT */
/* Caches of threads: who has one, stopping them all, and their end. See caches.h. */
#define _GNU_SOURCE
#include "caches.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#if defined(__linux__) && defined(__has_include) && !defined(HPW_PORTABLE_BITS)
#if __has_include(<linux/membarrier.h>)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#define HAS_MEMBARRIER
#endif
#endif

#define POLICY (*pool->policy)
#include "operations.h"

_Thread_local caches_latest caches_of_thread;

/*
 * The pools with caches in this process, for a thread that ends: what it has to
 * give back it does not know itself, since a pool may be gone before it. This and
 * the key are the only state outside of pools; they hold no block.
 */
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static hpw_pool *first_pool;
static pthread_key_t end_of_thread;
static int key_error = -1; /* not asked for yet */
static uint64_t last_id;

/* ---- The barrier ---- */

static bool barrier_available(void) {
#ifdef HAS_MEMBARRIER
    return !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
#else
    return false;
#endif
}

static void barrier_in_all_threads(void) {
#ifdef HAS_MEMBARRIER
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
#endif
}

/* ---- Stopping ---- */

bool caches_begin_slowly(pool_caches *all, thread_cache *mine) {
    unsigned stop = atomic_load_explicit(&all->stop, memory_order_relaxed);
    if (stop == STOP_TO_FENCE) {
        atomic_exchange(&mine->busy, 1);
        if (atomic_load(&all->stop) == STOP_TO_FENCE) return true;
    }
    caches_end(mine);
    return false;
}

static void settle(hpw_pool *pool, thread_cache *cache) {
    count_sizes(pool, (uint64_t)cache->granted, (uint64_t)cache->in_use); /* of either sign */
    pool->counts.allocations += cache->allocations;
    pool->counts.frees += cache->frees;
    if (cache->high_water > pool->counts.high_water) pool->counts.high_water = cache->high_water;
    cache->in_use = cache->granted = 0;
    cache->allocations = cache->frees = 0;
}

void caches_bring_home(hpw_pool *pool, thread_cache *cache) {
    work w = begin_work(pool);
    while (!pool->policy->caches->collect(&pool->index, cache->number)) give_runs_back(pool, &w, false);
    add_work(pool, &w);
    settle(pool, cache);
}

static bool has_thread(const thread_cache *cache) {
    return atomic_load_explicit(&cache->thread, memory_order_acquire) != 0;
}

void caches_enter(hpw_pool *pool) {
    pool_caches *all = pool->caches;
    const thread_cache *mine = caches_of_thread.pool == all->id ? caches_of_thread.cache : NULL;
    bool others = false;
    lock_enter(pool->lock);
    atomic_fetch_or(&all->stop, STOP_NOW);
    for (uint32_t i = 0; i < all->count; i++)
        others = others || (&all->each[i] != mine && has_thread(&all->each[i]));
    if (others) barrier_in_all_threads();
    for (uint32_t i = 0; i < all->count; i++) {
        thread_cache *cache = &all->each[i];
        while (atomic_load(&cache->busy)) sched_yield();
        caches_bring_home(pool, cache);
    }
}

void caches_leave(hpw_pool *pool) {
    atomic_fetch_and_explicit(&pool->caches->stop, ~(unsigned)STOP_NOW, memory_order_release);
    lock_leave(pool->lock);
}

bool caches_look(hpw_pool *pool, uint64_t address) {
    const thread_cache *mine = caches_latest_of(pool);
    if (!pool_holds(pool, address)) return false;
    lock_enter(pool->lock);
    bool sees =
        pool->policy->caches->sees(&pool->index, mine ? mine->number : 0, pool_granule(pool, address));
    if (!sees) lock_leave(pool->lock);
    return sees;
}

void caches_note_sink(hpw_pool *pool) {
    atomic_uint *stop = &pool->caches->stop;
    if (pool->sink || pool->injection.on)
        atomic_fetch_or_explicit(stop, STOP_FOR_SINK, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(stop, ~(unsigned)STOP_FOR_SINK, memory_order_relaxed);
}

void caches_note_broken(hpw_pool *pool) {
    atomic_uint *stop = &pool->caches->stop;
    if (pool->index.broken)
        atomic_fetch_or_explicit(stop, STOP_BROKEN, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(stop, ~(unsigned)STOP_BROKEN, memory_order_relaxed);
}

/* ---- Who has one ---- */

static uint64_t thread_token(void) {
    static _Atomic uint64_t last;
    static _Thread_local uint64_t own;
    if (!own) own = atomic_fetch_add(&last, 1) + 1;
    return own;
}

/* Under the lock, so that nobody stops all threads without this one. */
static thread_cache *claim(hpw_pool *pool, uint64_t token) {
    pool_caches *all = pool->caches;
    thread_cache *found = NULL;
    lock_enter(pool->lock);
    for (uint32_t i = 0; i < all->count && !found; i++)
        if (!has_thread(&all->each[i])) found = &all->each[i];
    if (found) atomic_store_explicit(&found->thread, token, memory_order_release);
    lock_leave(pool->lock);
    return found;
}

thread_cache *caches_find(hpw_pool *pool) {
    pool_caches *all = pool->caches;
    uint64_t token = thread_token();
    thread_cache *found = NULL;
    for (uint32_t i = 0; i < all->count && !found; i++)
        if (atomic_load_explicit(&all->each[i].thread, memory_order_relaxed) == token) found = &all->each[i];
    if (!found && !pthread_setspecific(end_of_thread, pool)) found = claim(pool, token);
    caches_of_thread = (caches_latest){all->id, found};
    return found;
}

/* Its empty pages are the pool's; the rest waits for the next thread, or for who finds nothing else. */
static void give_back(hpw_pool *pool, thread_cache *cache) {
    caches_enter(pool);
    work w = begin_work(pool);
    give_runs_back(pool, &w, true);
    add_work(pool, &w);
    atomic_store_explicit(&cache->thread, 0, memory_order_release);
    caches_leave(pool);
}

static void thread_ends(void *unused) {
    uint64_t token = thread_token();
    (void)unused;
    pthread_mutex_lock(&registry);
    for (hpw_pool *pool = first_pool; pool; pool = pool->caches->next)
        for (uint32_t i = 0; i < pool->caches->count; i++) {
            thread_cache *cache = &pool->caches->each[i];
            if (atomic_load_explicit(&cache->thread, memory_order_relaxed) == token) give_back(pool, cache);
        }
    caches_of_thread = (caches_latest){0, NULL};
    pthread_mutex_unlock(&registry);
}

/* ---- Opening and closing ---- */

size_t caches_bytes(uint32_t count) {
    return count ? sizeof(pool_caches) + count * sizeof(thread_cache) + alignof(thread_cache) : 0;
}

bool caches_open(hpw_pool *pool, void *storage, uint32_t count) {
    unsigned char *begin = storage;
    pool_caches *all = (pool_caches *)(begin + (0U - (uintptr_t)begin) % alignof(pool_caches));
    pthread_mutex_lock(&registry);
    if (key_error) key_error = pthread_key_create(&end_of_thread, thread_ends);
    bool opened = !key_error;
    if (opened) {
        atomic_init(&all->stop, barrier_available() ? 0 : STOP_TO_FENCE);
        all->count = count;
        all->id = ++last_id;
        for (uint32_t i = 0; i < count; i++) all->each[i].number = i + 1;
        all->previous = NULL;
        all->next = first_pool;
        if (first_pool) first_pool->caches->previous = pool;
        first_pool = pool;
        pool->caches = all;
        pool->locking = LOCKING_CACHED;
    }
    pthread_mutex_unlock(&registry);
    return opened;
}

void caches_set_heaps(hpw_pool *pool) {
    for (uint32_t i = 0; i < pool->caches->count; i++)
        pool->caches->each[i].heap = pool->policy->caches->heap(&pool->index, i + 1);
}

void caches_close(hpw_pool *pool) {
    pool_caches *all = pool->caches;
    pthread_mutex_lock(&registry);
    if (all->next) all->next->caches->previous = all->previous;
    if (all->previous)
        all->previous->caches->next = all->next;
    else
        first_pool = all->next;
    pthread_mutex_unlock(&registry);
}
