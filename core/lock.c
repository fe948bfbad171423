/* SPDX-License-Identifier: MIT */
/* The slow way into a pool's own lock: a few looks, the queue, naps at its front, the reservation. */
#define _GNU_SOURCE
#include "lock.h"

#include <time.h>

/*
 * LOOKS at a lock that its holder is about to leave are cheaper than a nap; more
 * than a few only take the holder's lines from it. The first nap is NAP_NS, each
 * further one twice as long, so that who has just come does not wait for long
 * behind one that is about to go, and who waits a whole slice wakes seldom.
 */
enum { LOOKS = 8, PAUSES = 16, FRONT_LOOKS = 64, IDLE_LOOKS = 8, NAP_NS = 50000, NAP_MOST = 200000 };

struct lock_waiter {
    lock_waiter *next;
    pthread_cond_t turn;
};

void lock_open(pool_lock *lock) {
    atomic_init(&lock->taken, 0);
    atomic_init(&lock->reserved, 0);
    pthread_mutex_init(&lock->mutex, NULL);
    lock->front = lock->back = NULL;
}

void lock_close(pool_lock *lock) { pthread_mutex_destroy(&lock->mutex); }

static void pause_shortly(void) {
    for (int i = 0; i < PAUSES; i++) {
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
        __builtin_ia32_pause();
#else
        atomic_signal_fence(memory_order_seq_cst); /* keeps the loop */
#endif
    }
}

static bool looks_free(pool_lock *lock) { return !atomic_load_explicit(&lock->taken, memory_order_relaxed); }

static bool take_soon(pool_lock *lock) {
    for (int i = 0; i < LOOKS && !lock_is_reserved(lock); i++) {
        pause_shortly();
        if (looks_free(lock) && !lock_is_reserved(lock) && lock_take(lock)) return true;
    }
    return false;
}

/* ---- The queue ---- */

static void come_to_front(pool_lock *lock, lock_waiter *self) {
    pthread_cond_init(&self->turn, NULL);
    pthread_mutex_lock(&lock->mutex);
    if (lock->back)
        lock->back->next = self;
    else
        lock->front = self;
    lock->back = self;
    while (lock->front != self) pthread_cond_wait(&self->turn, &lock->mutex);
    pthread_mutex_unlock(&lock->mutex);
}

static void leave_front(pool_lock *lock, lock_waiter *self) {
    pthread_mutex_lock(&lock->mutex);
    lock->front = self->next;
    if (self->next)
        pthread_cond_signal(&self->next->turn);
    else
        lock->back = NULL;
    pthread_mutex_unlock(&lock->mutex);
    pthread_cond_destroy(&self->turn);
}

static int64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void nap(long ns) { nanosleep(&(struct timespec){.tv_nsec = ns}, NULL); }

/* Does nobody come and go? A lock in use all the time looks free often, but not each time. */
static bool is_idle(pool_lock *lock) {
    for (int i = 0; i < IDLE_LOOKS; i++) {
        if (!looks_free(lock)) return false;
        pause_shortly();
    }
    return true;
}

/* The front's wait: a slice for the one before it, which it naps away, then nobody else gets in. */
static void take_as_front(pool_lock *lock) {
    int64_t end = nanoseconds() + LOCK_SLICE_NS, left = LOCK_SLICE_NS;
    for (long ns = NAP_NS; left > 0; ns = ns < NAP_MOST ? ns * 2 : ns, left = end - nanoseconds()) {
        if (is_idle(lock) && lock_take(lock)) return;
        nap(ns < left ? ns : (long)left);
    }
    atomic_store_explicit(&lock->reserved, 1, memory_order_relaxed);
    for (int i = 0; !looks_free(lock) || !lock_take(lock); i++) {
        pause_shortly();
        if (i >= FRONT_LOOKS) nap(1); /* its holder does not run, or does something long */
    }
    atomic_store_explicit(&lock->reserved, 0, memory_order_relaxed);
}

void lock_wait(pool_lock *lock) {
    if (take_soon(lock)) return;
    lock_waiter self = {.next = NULL};
    come_to_front(lock, &self);
    take_as_front(lock);
    leave_front(lock, &self);
}
