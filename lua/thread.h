/* SPDX-License-Identifier: MIT */
/*
 * A bounded state on a POSIX thread of its own, apart from the Lua state that
 * started it. The thread performs one task, closes its state, keeps the results and
 * ends. Who holds the thread may let go of it at any time: what it needs lives as
 * long as it runs.
 *
 * A group is what one Lua state started: it can end them all and wait. A group, its
 * threads' holders and who calls these functions belong to that state.
 */
#ifndef HPW_THREAD_H
#define HPW_THREAD_H

#include <stdbool.h>

#include "child.h"

typedef struct thread thread;
typedef struct thread_group thread_group;

typedef enum thread_status { THREAD_RUNNING, THREAD_FINISHED, THREAD_FAILED, THREAD_CANCELLED } thread_status;

/* What it is to do; owned by the thread, to be filled before it starts. */
typedef struct thread_work {
    task_kind kind; /* of a file, a text or a dumped function */
    char *text;     /* malloc'd, ends in a zero byte */
    size_t length;
    pool_share *pool; /* held; the first argument; NULL: none */
    values arguments;
} thread_work;

/* A thread that has not started, with one holder, the caller. NULL without memory. */
thread *thread_new(void);

/* One holder more of a thread that was waited for until it ended; returns it. */
thread *thread_hold(thread *t);

/* One holder less. A thread that runs goes on; its group joins it then. */
void thread_release(thread *t);

thread_work *thread_get_work(thread *t);

/* Opens its state, and starts it in the group. False and *why: as child_open; HPW_IO, the system starts none.
 */
bool thread_start(thread *t, thread_group *group, const child_options *options, failure *why);

/* Asks it to end at its next instruction. False: it had ended before. */
bool thread_cancel(thread *t);

thread_status thread_get_status(thread *t);

/* Waits for its end, at most so many nanoseconds (UINT64_MAX: for ever). False: it runs still. */
bool thread_wait(thread *t, uint64_t nanoseconds);

/* Of one that has ended: did its task go well? Results, or why not. They stay the thread's. */
bool thread_get_outcome(const thread *t, const values **results, const failure **why);

/* An empty group. NULL without memory. */
thread_group *thread_group_new(void);

/* Cancels all of its threads, waits until nothing of them runs, and frees it. */
void thread_group_end(thread_group *group);

#endif
