/* SPDX-License-Identifier: MIT */
/*
 * Threads: see thread.h. Holders are the handle in Lua and the thread while it
 * runs; the last frees it. Only the handle's holder joins or detaches the POSIX
 * thread. Everything that both touch is under the mutex, but the flag that cancels.
 */
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct thread {
    atomic_int holders;
    pthread_mutex_t mutex;
    pthread_cond_t has_ended;
    bool started, joined; /* the handle's alone */
    bool ended;
    pthread_t id;
    thread_work work;
    child child; /* the thread's alone from its start to its end */
    values results;
    failure failure;
    bool well;
    thread_group *group;
    thread *next, **link; /* among the group's running ones */
};

struct thread_group {
    pthread_mutex_t mutex;
    pthread_cond_t has_changed;
    thread *running;
};

/* ---- Conditions by the clock that only goes forwards ---- */

static void open_condition(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* ---- Groups ---- */

thread_group *thread_group_new(void) {
    thread_group *group = calloc(1, sizeof *group);
    if (!group) return NULL;
    pthread_mutex_init(&group->mutex, NULL);
    open_condition(&group->has_changed);
    return group;
}

static void join_group(thread_group *group, thread *t) {
    pthread_mutex_lock(&group->mutex);
    t->group = group;
    t->next = group->running;
    t->link = &group->running;
    if (t->next) t->next->link = &t->next;
    group->running = t;
    pthread_mutex_unlock(&group->mutex);
}

/* The group may be gone right after. */
static void leave_group(thread *t) {
    thread_group *group = t->group;
    pthread_mutex_lock(&group->mutex);
    *t->link = t->next;
    if (t->next) t->next->link = t->link;
    pthread_cond_broadcast(&group->has_changed);
    pthread_mutex_unlock(&group->mutex);
}

void thread_group_end(thread_group *group) {
    if (!group) return;
    pthread_mutex_lock(&group->mutex);
    for (thread *t = group->running; t; t = t->next) atomic_store(&t->child.budget.cancelled, true);
    while (group->running) pthread_cond_wait(&group->has_changed, &group->mutex);
    pthread_mutex_unlock(&group->mutex);
    pthread_cond_destroy(&group->has_changed);
    pthread_mutex_destroy(&group->mutex);
    free(group);
}

/* ---- Holders ---- */

thread *thread_new(void) {
    thread *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    atomic_init(&t->holders, 1);
    pthread_mutex_init(&t->mutex, NULL);
    open_condition(&t->has_ended);
    return t;
}

static void let_go(thread *t) {
    if (atomic_fetch_sub_explicit(&t->holders, 1, memory_order_acq_rel) > 1) return;
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

void thread_release(thread *t) {
    if (!t) return;
    if (t->started && !t->joined) {
        if (has_ended(t))
            pthread_join(t->id, NULL); /* it has some instructions to go */
        else
            pthread_detach(t->id);
    }
    let_go(t);
}

thread *thread_hold(thread *t) {
    atomic_fetch_add_explicit(&t->holders, 1, memory_order_relaxed);
    return t;
}

thread_work *thread_get_work(thread *t) { return &t->work; }

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
    pthread_cond_broadcast(&t->has_ended);
    pthread_mutex_unlock(&t->mutex);
    leave_group(t);
    let_go(t);
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
    if (!child_open(&t->child, options, why)) return false;
    atomic_fetch_add_explicit(&t->holders, 1, memory_order_relaxed);
    join_group(group, t);
    int error = create(t);
    if (!error) {
        t->started = true;
        return true;
    }
    leave_group(t);
    let_go(t);
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
    if (ended && t->started && !t->joined) {
        pthread_join(t->id, NULL);
        t->joined = true;
    }
    return ended;
}

bool thread_get_outcome(const thread *t, const values **results, const failure **why) {
    *results = &t->results;
    *why = &t->failure;
    return t->well;
}
