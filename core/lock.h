/* SPDX-License-Identifier: MIT */
/*
 * The lock that a hosted pool has of its own: cheap where nobody else wants it,
 * handed on after a slice of time where somebody does.
 *
 * Taking it is one compare-exchange, leaving it one store, both inlined; in a
 * process of one thread, where the C library tells that, not even the
 * compare-exchange. A lock that is handed on at each operation moves its pool's
 * lines from cache to cache each time, which costs several times what the
 * operation does. So who finds it held looks a few times, then waits in a queue,
 * first come first served; and only the queue's *front* tries for the lock, in
 * naps between which the running thread does thousands of operations. When it has
 * been the front for LOCK_SLICE_NS, it *reserves* the lock: from then on nobody
 * else may take it, so the front has it as soon as its holder leaves.
 *
 *      taken == 1      a thread is inside
 *      reserved == 1   the front takes it next; who comes now queues
 *
 * A wait is at most one slice for each thread in front and for itself, and the
 * time that one holder is inside: of 64 threads that all want it all the time
 * 0.26 s. What the system's scheduler adds is not in that: a thread that it takes
 * off its core inside makes all others wait.
 */
#ifndef HPW_LOCK_H
#define HPW_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "bits.h"

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define LOCK_ALONE ((bool)__libc_single_threaded)
#endif
#endif
#ifndef LOCK_ALONE
#define LOCK_ALONE false
#endif

/*
 * How long a thread goes on while others wait. Who gets the lock after it has to
 * fetch what it wrote, the blocks' own lines too: shorter slices cost throughput,
 * longer ones only make the others wait.
 */
enum { LOCK_SLICE_NS = 4000000 };

typedef struct lock_waiter lock_waiter;

typedef struct pool_lock {
    atomic_uint taken;
    atomic_uint reserved;
    pthread_mutex_t mutex; /* holds the queue */
    lock_waiter *front, *back;
} pool_lock;

void lock_open(pool_lock *lock);
void lock_close(pool_lock *lock);

/* Takes the lock where the inlined attempt did not. */
void lock_wait(pool_lock *lock);

/* Takes the lock where it is free, reserved or not. */
HOT bool lock_take(pool_lock *lock) {
    unsigned expected = 0;
    if (LOCK_ALONE) {
        if (atomic_load_explicit(&lock->taken, memory_order_relaxed)) return false;
        atomic_store_explicit(&lock->taken, 1, memory_order_relaxed);
        return true;
    }
    return atomic_compare_exchange_strong_explicit(&lock->taken, &expected, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

HOT bool lock_is_reserved(pool_lock *lock) {
    return atomic_load_explicit(&lock->reserved, memory_order_relaxed);
}

/* Not recursive. */
HOT void lock_enter(pool_lock *lock) {
    if (lock_is_reserved(lock) || !lock_take(lock)) lock_wait(lock);
}

HOT void lock_leave(pool_lock *lock) { atomic_store_explicit(&lock->taken, 0, memory_order_release); }

#endif
