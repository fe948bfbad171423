/* SPDX-License-Identifier: MIT */
/* What a hosted pool takes from POSIX where its host brings nothing: a mutex, a clock, thread numbers. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "pool.h"

size_t system_host_size(void) { return sizeof(pthread_mutex_t); }

static void lock(void *ud) { pthread_mutex_lock(ud); }
static void unlock(void *ud) { pthread_mutex_unlock(ud); }

static uint64_t now(void *ud) {
    struct timespec time;
    (void)ud;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* 1, 2, 3 ... in the order in which threads first ask. */
static uint32_t thread(void *ud) {
    static atomic_uint_least32_t last;
    static _Thread_local uint32_t own;
    (void)ud;
    if (!own) own = (uint32_t)atomic_fetch_add(&last, 1) + 1;
    return own;
}

void system_host_open(hpw_pool *pool, void *storage, bool locked) {
    hpw_host *host = &pool->host;
    if (!host->now) host->now = now;
    if (!host->thread) host->thread = thread;
    if (!locked || host->lock) return;
    pthread_mutex_init(storage, NULL);
    host->lock = lock;
    host->unlock = unlock;
    pool->lock_ud = storage;
}

void system_host_close(hpw_pool *pool) {
    if (pool->host.lock == lock) pthread_mutex_destroy(pool->lock_ud);
}
