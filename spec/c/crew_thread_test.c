/* SPDX-License-Identifier: MIT */
/* A crew does each task once, also those of batches within tasks, with any number of threads. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "crew.h"

/* ---- Threads that the system does not give ---- */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *ud);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *ud);

static int given = -1; /* -1: as many as are asked for */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *ud) {
    if (given == 0) return EAGAIN;
    if (given > 0) given--;
    return __real_pthread_create(thread, attr, run, ud);
}

/* ---- Work ---- */

enum { OUTER = 40, INNER = 50 };

typedef struct work {
    hpw_crew *crew;
    atomic_int begun[OUTER][INNER];
    atomic_int whole;
} work;

typedef struct inner {
    work *all;
    size_t outer;
} inner;

static void small(void *ud, size_t number) {
    inner *in = ud;
    atomic_fetch_add(&in->all->begun[in->outer][number], 1);
}

/* All of its own batch is done when the share returns. */
static void large(void *ud, size_t number) {
    work *all = ud;
    inner in = {all, number};
    hpw_batch batch = {.task = small, .ud = &in, .count = number % 7 ? INNER : 0};
    hpw_crew_share(all->crew, &batch);
    for (size_t i = 0; i < batch.count; i++) CHECK_EQ(atomic_load(&all->begun[number][i]), 1);
    atomic_fetch_add(&all->whole, 1);
}

static void each_task_once(size_t threads) {
    work *all = calloc(1, sizeof *all);
    if (!CHECK(all != NULL)) return;
    all->crew = hpw_crew_open(threads);
    if (!CHECK(all->crew != NULL)) exit(2);
    hpw_batch batch = {.task = large, .ud = all, .count = OUTER};
    hpw_crew_begin(all->crew, &batch);
    while (!hpw_crew_await(all->crew, &batch, 1000000)) continue;
    CHECK_EQ(atomic_load(&all->whole), OUTER);
    hpw_crew_close(all->crew);
    free(all);
}

static void alone(void) {
    work *all = calloc(1, sizeof *all);
    if (!CHECK(all != NULL)) return;
    hpw_batch batch = {.task = large, .ud = all, .count = OUTER};
    hpw_crew_share(NULL, &batch);
    CHECK_EQ(atomic_load(&all->whole), OUTER);
    free(all);
}

/* A crew that is closed early begins nothing new; an empty batch is done at once. */
static void an_early_end(void) {
    work *all = calloc(1, sizeof *all);
    hpw_crew *crew = hpw_crew_open(3);
    if (!CHECK(all && crew)) exit(2);
    hpw_batch none = {.task = large, .ud = all}, batch = {.task = large, .ud = all, .count = OUTER};
    hpw_crew_begin(crew, &none);
    CHECK(hpw_crew_await(crew, &none, 0));
    all->crew = crew;
    hpw_crew_begin(crew, &batch);
    hpw_crew_close(crew);
    CHECK(atomic_load(&all->whole) <= OUTER);
    free(all);
}

/* Fewer threads do the same; none at all is told. */
static void few_threads(void) {
    given = 2;
    each_task_once(5);
    given = 0;
    CHECK(hpw_crew_open(5) == NULL);
    given = -1;
}

int main(void) {
    for (size_t threads = 1; threads <= 6; threads++) each_task_once(threads);
    alone();
    an_early_end();
    few_threads();
    return CHECK_DONE();
}
