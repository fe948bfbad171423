/* SPDX-License-Identifier: MIT */
/* What a hosted pool takes from POSIX where its host brings nothing: a lock, a clock, thread numbers. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <time.h>

#include "caches.h"

size_t system_host_size(uint32_t caches) { return sizeof(pool_lock) + caches_bytes(caches); }

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

void system_host_open(hpw_pool *pool, void *storage, const hpw_config *config) {
    hpw_host *host = &pool->host;
    if (!host->now) host->now = now;
    if (!host->thread) host->thread = thread;
    if (config->single_threaded || config->host.lock) return;
    pool->lock = storage;
    lock_open(pool->lock);
    pool->locking = LOCKING_OWN;
    if (config->thread_caches) caches_open(pool, pool->lock + 1, config->thread_caches);
}

void system_host_close(hpw_pool *pool) {
    if (pool->caches) caches_close(pool);
    if (pool->lock) lock_close(pool->lock);
}
