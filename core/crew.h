/* SPDX-License-Identifier: MIT */
/*
 * A crew: threads that share out numbered tasks. A task may itself share out a
 * batch of tasks; whoever is idle helps with it. What is done in which order is
 * left open, so a result must not depend on it: tasks write to places of their
 * own, and whoever awaits the batch puts them together by number.
 * Private to the library; needs POSIX threads.
 */
#ifndef HPW_CREW_H
#define HPW_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hpw_crew hpw_crew;

typedef struct hpw_batch {
    void (*task)(void *ud, size_t number);
    void *ud;
    size_t count;
    /* The crew's own: zero. */
    size_t begun, done;
    struct hpw_batch *next;
} hpw_batch;

/* At most so many threads, as many as the system gives; NULL: none, or no memory. */
hpw_crew *hpw_crew_open(size_t threads);

/* Ends the threads once each has done what it is at. What no thread has begun stays undone. */
void hpw_crew_close(hpw_crew *crew);

/* Hands a batch to the crew's threads. It must stay where it is until it is done or the crew is closed. */
void hpw_crew_begin(hpw_crew *crew, hpw_batch *batch);

/* Waits so many nanoseconds at most; true: all of the batch is done. From outside of the crew. */
bool hpw_crew_await(hpw_crew *crew, hpw_batch *batch, uint64_t nanoseconds);

/* Does a batch within a task: this thread and those that are idle. NULL: this thread alone, by number. */
void hpw_crew_share(hpw_crew *crew, hpw_batch *batch);

#endif
