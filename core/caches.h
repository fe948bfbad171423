/* SPDX-License-Identifier: MIT */
/*
 * Caches of threads in front of one pool: a thread allocates and frees in a heap
 * of its own without the pool's lock, which it takes for what is not in there.
 * Hosted pools only.
 *
 *   1. A thread's first call on the pool takes a cache, one of as many as the
 *      config says, and finds it again through a thread-local word. A thread that
 *      gets none uses the lock. At its thread's end a cache is given back.
 *   2. Inside of its heap a thread is *busy*. Whoever needs the whole pool for
 *      itself – statistics, check, a walk, access by address, a request that finds
 *      nothing – takes the lock, says *stop*, and waits until no thread is busy;
 *      then what others freed is collected and what the caches counted goes to
 *      the pool's counts. From there on it is a pool like any other.
 *   3. A thread that finds *stop* said leaves its heap alone and waits for the lock.
 *
 * Saying busy is a plain store and looking at stop a plain load: that the two are
 * not exchanged is seen to by the one who stops, with a barrier in all threads of
 * the process (membarrier, Linux 4.14); where there is none, by a fence in each
 * call (and with HPW_PORTABLE_BITS, which tests it). As in «biased locking» (Kawachiya, Koseki and Onodera,
 * OOPSLA 2002).
 */
#ifndef HPW_CACHES_H
#define HPW_CACHES_H

#include <stdalign.h>
#include <stdatomic.h>

#include "pool.h"

/* A thread's: a cache line's start each. */
typedef struct thread_cache {
    alignas(64) atomic_uint busy;
    _Atomic uint64_t thread; /* whose it is; 0: nobody's */
    uint32_t number;         /* of its heap: 1 ... */
    void *heap;              /* the policy's */
    int64_t in_use, granted; /* bytes more than the pool's counts say */
    uint64_t allocations, frees;
    granule_t high_water;
} thread_cache;

/* Why a thread may not use its heap. */
enum { STOP_NOW = 1, STOP_TO_FENCE = 2, STOP_FOR_SINK = 4, STOP_BROKEN = 8 };

typedef struct pool_caches {
    atomic_uint stop;
    uint32_t count;
    uint64_t id;               /* of the pool: no other one ever has it */
    hpw_pool *next, *previous; /* of those open in the process */
    thread_cache each[];
} pool_caches;

/* What the calling thread used last. */
typedef struct caches_latest {
    uint64_t pool;
    thread_cache *cache; /* NULL: it got none */
} caches_latest;

#if defined(__GNUC__)
extern _Thread_local caches_latest caches_of_thread __attribute__((tls_model("initial-exec")));
#else
extern _Thread_local caches_latest caches_of_thread;
#endif

/* Bytes of the struct, and opening and closing it; false: the system has no more keys. */
size_t caches_bytes(uint32_t count);
bool caches_open(hpw_pool *pool, void *storage, uint32_t count);
void caches_close(hpw_pool *pool);

/* After the policy was opened. */
void caches_set_heaps(hpw_pool *pool);

/* The calling thread's where it was not used last; NULL: there is none left. */
thread_cache *caches_find(hpw_pool *pool);

/* NULL also where it used another pool last. */
HOT thread_cache *caches_latest_of(hpw_pool *pool) {
    return caches_of_thread.pool == pool->caches->id ? caches_of_thread.cache : NULL;
}

HOT thread_cache *caches_mine(hpw_pool *pool) {
    return caches_of_thread.pool == pool->caches->id ? caches_of_thread.cache : caches_find(pool);
}

/* False: stop is said, and the thread is not busy. */
bool caches_begin_slowly(pool_caches *all, thread_cache *mine);

/* The thread is busy now, or must not use its heap: false. */
HOT bool caches_begin(pool_caches *all, thread_cache *mine) {
    atomic_store_explicit(&mine->busy, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&all->stop, memory_order_acquire)) return true;
    return caches_begin_slowly(all, mine);
}

HOT void caches_end(thread_cache *mine) { atomic_store_explicit(&mine->busy, 0, memory_order_release); }

/* Whether every call has to take the lock and stop all. */
HOT bool caches_have_sink(pool_caches *all) {
    return atomic_load_explicit(&all->stop, memory_order_relaxed) & STOP_FOR_SINK;
}

/*
 * Takes the lock alone where that does for looking at the block around the
 * address. False: it does not, and nothing is taken.
 */
bool caches_look(hpw_pool *pool, uint64_t address);

/*
 * The cache's blocks are as the map says, no more pages are kept than may be, and
 * its counts are the pool's. The lock is held, and its thread calls or does not run.
 */
void caches_bring_home(hpw_pool *pool, thread_cache *cache);

/* The sink or the plan of failures changed: with one every call takes the lock. The pool is entered. */
void caches_note_sink(hpw_pool *pool);

/* The index broke, or is whole again: while it is broken every call takes the lock, and is refused. */
void caches_note_broken(hpw_pool *pool);

#endif
