/* SPDX-License-Identifier: MIT */
/*
 * Threads: see thread.h. Holders are the handles in Lua and, from its start until it
 * is joined, the group; the last frees it. Both belong to the Lua state that started
 * it, so only what the thread itself writes at its end is under the mutex, and only
 * the flag that cancels is atomic.
 */
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct thread {
    int holders;
    thread_group *group; /* NULL: not started, or joined */
    thread *next;
    pthread_t id;
    thread_work work;
    child child; /* the thread's alone from its start to its end */
    pthread_mutex_t mutex;
    pthread_cond_t has_ended;
    bool ended;
    bool abandoned; /* nobody will ask for the results */
    values results;
    failure failure;
    bool well;
};

struct thread_group {
    thread *first; /* of those that were started and are not joined */
};

/* ---- Conditions by the clock that only goes forwards ---- */

static void open_condition(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* ---- Holders ---- */

thread *thread_new(void) {
    thread *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->holders = 1;
    pthread_mutex_init(&t->mutex, NULL);
    open_condition(&t->has_ended);
    return t;
}

static void let_go(thread *t) {
    if (--t->holders > 0) return;
    values_free(&t->work.arguments);
    values_free(&t->results);
    if (t->work.pool) share_release(t->work.pool);
    free(t->work.text);
    pthread_cond_destroy(&t->has_ended);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

static bool has_ended(thread *t) {
    pthread_mutex_lock(&t->mutex);
    bool ended = t->ended;
    pthread_mutex_unlock(&t->mutex);
    return ended;
}

thread *thread_hold(thread *t) {
    t->holders++;
    return t;
}

thread_work *thread_get_work(thread *t) { return &t->work; }

/* ---- Groups ---- */

thread_group *thread_group_new(void) { return calloc(1, sizeof(thread_group)); }

static void enter(thread_group *group, thread *t) {
    t->group = group;
    t->next = group->first;
    group->first = t;
    t->holders++;
}

/* Waits until nothing of the thread at *link runs any more: its code may be unloaded then. It may be gone
 * right after, and is no longer in the group. */
static void join_at(thread **link) {
    thread *t = *link;
    pthread_join(t->id, NULL);
    *link = t->next;
    t->group = NULL;
    let_go(t);
}

static void join(thread *t) {
    thread **link = &t->group->first;
    while (*link != t) link = &(*link)->next;
    join_at(link);
}

/* Joins those that have ended. */
static void reap(thread_group *group) {
    for (thread **link = &group->first; *link;)
        if (has_ended(*link))
            join_at(link);
        else
            link = &(*link)->next;
}

void thread_group_end(thread_group *group) {
    if (!group) return;
    for (thread *t = group->first; t; t = t->next) atomic_store(&t->child.budget.cancelled, true);
    while (group->first) join_at(&group->first);
    free(group);
}

void thread_release(thread *t) {
    if (!t) return;
    if (t->group && t->holders == 2) {
        pthread_mutex_lock(&t->mutex);
        bool ended = t->ended;
        t->abandoned = true;
        pthread_mutex_unlock(&t->mutex);
        if (ended) join(t); /* it has some instructions to go */
    }
    let_go(t);
}

/* ---- The thread ---- */

static void *run(void *ud) {
    thread *t = ud;
    task work = {.kind = t->work.kind,
                 .text = t->work.text,
                 .length = t->work.length,
                 .pool = t->work.pool,
                 .arguments = &t->work.arguments,
                 .results = &t->results};
    bool well = child_perform(&t->child, &work);
    child_close(&t->child);
    if (t->work.pool) share_release(t->work.pool); /* no longer held by who has ended, joined or not */
    t->work.pool = NULL;
    pthread_mutex_lock(&t->mutex);
    t->well = well;
    t->failure = work.failure;
    t->ended = true;
    if (t->abandoned) values_free(&t->results); /* pools among them are held no longer */
    pthread_cond_broadcast(&t->has_ended);
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

/* Signals are for the host's own threads. */
static int create(thread *t) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&t->id, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

bool thread_start(thread *t, thread_group *group, const child_options *options, failure *why) {
    reap(group);
    if (!child_open(&t->child, options, why)) return false;
    int error = create(t);
    if (!error) {
        enter(group, t);
        return true;
    }
    child_close(&t->child);
    why->code = HPW_IO;
    snprintf(why->message, sizeof why->message, "the system starts no thread: error %d%s", error,
             error == EAGAIN ? ", it has not what one more needs" : "");
    return false;
}

bool thread_cancel(thread *t) {
    atomic_store(&t->child.budget.cancelled, true);
    return !has_ended(t);
}

thread_status thread_get_status(thread *t) {
    if (!has_ended(t)) return THREAD_RUNNING;
    if (t->well) return THREAD_FINISHED;
    return t->child.budget.end == CANCELLED ? THREAD_CANCELLED : THREAD_FAILED;
}

bool thread_wait(thread *t, uint64_t nanoseconds) {
    struct timespec until;
    int error = 0;
    uint64_t now = budget_now();
    uint64_t end = nanoseconds < UINT64_MAX / 4 ? now + nanoseconds : now + UINT64_MAX / 4;
    until.tv_sec = (time_t)(end / 1000000000);
    until.tv_nsec = (long)(end % 1000000000);
    pthread_mutex_lock(&t->mutex);
    while (!t->ended && error != ETIMEDOUT) error = pthread_cond_timedwait(&t->has_ended, &t->mutex, &until);
    bool ended = t->ended;
    pthread_mutex_unlock(&t->mutex);
    if (ended && t->group) join(t);
    return ended;
}

bool thread_get_outcome(const thread *t, const values **results, const failure **why) {
    *results = &t->results;
    *why = &t->failure;
    return t->well;
}
