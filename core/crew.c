/* SPDX-License-Identifier: MIT */
/*
 * Threads and a list of batches under one lock: see crew.h. The list is in the
 * order of arrival; a thread takes the next task of the first batch that has one,
 * so that whole tasks are begun before others are helped with. Tasks are meant to
 * take microseconds at least: each costs two locks.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct hpw_crew {
    pthread_mutex_t lock;
    pthread_cond_t more; /* a batch has come, or the end */
    pthread_cond_t less; /* a batch is done */
    hpw_batch *batches;  /* that have tasks nobody has begun */
    bool ends;
    size_t threads;
    pthread_t thread[];
};

/* Under the lock. */
static void remove_batch(hpw_crew *crew, const hpw_batch *batch) {
    hpw_batch **link = &crew->batches;
    while (*link && *link != batch) link = &(*link)->next;
    if (*link) *link = batch->next;
}

/* Does one task of the batch, which has one. The lock is held before and after, not meanwhile. */
static void do_one(hpw_crew *crew, hpw_batch *batch) {
    size_t number = batch->begun++;
    if (batch->begun == batch->count) remove_batch(crew, batch);
    pthread_mutex_unlock(&crew->lock);
    batch->task(batch->ud, number);
    pthread_mutex_lock(&crew->lock);
    if (++batch->done == batch->count) pthread_cond_broadcast(&crew->less);
}

static void *work(void *ud) {
    hpw_crew *crew = ud;
    pthread_mutex_lock(&crew->lock);
    while (!crew->ends) {
        if (crew->batches)
            do_one(crew, crew->batches);
        else
            pthread_cond_wait(&crew->more, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static void open_conditions(hpw_crew *crew) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->more, NULL);
    pthread_cond_init(&crew->less, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

hpw_crew *hpw_crew_open(size_t threads) {
    hpw_crew *crew = calloc(1, sizeof *crew + threads * sizeof *crew->thread);
    if (!crew) return NULL;
    open_conditions(crew);
    while (crew->threads < threads && !pthread_create(&crew->thread[crew->threads], NULL, work, crew))
        crew->threads++;
    if (crew->threads) return crew;
    hpw_crew_close(crew);
    return NULL;
}

void hpw_crew_close(hpw_crew *crew) {
    pthread_mutex_lock(&crew->lock);
    crew->ends = true;
    pthread_cond_broadcast(&crew->more);
    pthread_mutex_unlock(&crew->lock);
    for (size_t i = 0; i < crew->threads; i++) pthread_join(crew->thread[i], NULL);
    pthread_cond_destroy(&crew->more);
    pthread_cond_destroy(&crew->less);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

/* Under the lock. */
static void append(hpw_crew *crew, hpw_batch *batch) {
    batch->begun = batch->done = 0;
    batch->next = NULL;
    if (!batch->count) return;
    hpw_batch **link = &crew->batches;
    while (*link) link = &(*link)->next;
    *link = batch;
    pthread_cond_broadcast(&crew->more);
}

void hpw_crew_begin(hpw_crew *crew, hpw_batch *batch) {
    pthread_mutex_lock(&crew->lock);
    append(crew, batch);
    pthread_mutex_unlock(&crew->lock);
}

bool hpw_crew_await(hpw_crew *crew, hpw_batch *batch, uint64_t nanoseconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    nanoseconds += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    pthread_mutex_lock(&crew->lock);
    if (batch->done < batch->count) pthread_cond_timedwait(&crew->less, &crew->lock, &until);
    bool done = batch->done == batch->count;
    pthread_mutex_unlock(&crew->lock);
    return done;
}

void hpw_crew_share(hpw_crew *crew, hpw_batch *batch) {
    if (!crew) {
        for (size_t i = 0; i < batch->count; i++) batch->task(batch->ud, i);
        return;
    }
    pthread_mutex_lock(&crew->lock);
    append(crew, batch);
    while (batch->begun < batch->count) do_one(crew, batch);
    while (batch->done < batch->count) pthread_cond_wait(&crew->less, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}
