/* SPDX-License-Identifier: MIT */
/*
 * Time, worst operation and tightness of backends on one workload, by one thread.
 *
 * A round is a slice: a backend goes on in the list of calls where it stopped a
 * round ago, until SLICE_NS have passed, after some calls that are not timed. At
 * the list's end its blocks are freed and the workload is filled anew, neither of
 * which is timed. A one-shot workload's round is the whole list. Times are those
 * of the thread on its core, not the wall's.
 */
#ifndef HPW_BENCH_ROUNDS_H
#define HPW_BENCH_ROUNDS_H

#include "backend.h"
#include "workload.h"

enum { MAX_ROUNDS = 99, SLICE_NS = 8000000, SLICE_CALLS = 4096, LEAD_SLICES = 8 };

typedef struct row {
    double ns[MAX_ROUNDS]; /* a call, by round; sorted in the end */
    double ns_per_op, spread;
    double tightness;         /* 0: not measured */
    double speed_up;          /* of two threads over one; 0: not measured */
    double events_per_second; /* of a replay; 0: it is none */
    uint64_t p999_ns, max_ns, failures, faults;
    bool timed;
    bool one_by_one; /* calls were timed one by one: p999_ns and max_ns are set */
    bool has_faults; /* page faults of a pass were counted */
} row;

uint64_t nanoseconds(void);

/* Of this thread on a core: what others do on the machine is not in it. */
uint64_t cpu_nanoseconds(void);

/* Makes one call; 1 where it failed. */
static inline uint64_t perform(const backend *b, unsigned char **blocks, const call *c) {
    unsigned char **block = &blocks[c->slot];
    if (c->size == CALL_FREE) {
        if (*block) b->release(b->state, *block);
        *block = NULL;
        return 0;
    }
    *block = b->allocate(b->state, c->size);
    if (!*block) return 1;
    **block = 1;
    return 0;
}

/* Makes the calls in turn; how many failed. */
static inline uint64_t perform_all(const backend *b, unsigned char **blocks, const call *from,
                                   const call *to) {
    uint64_t failures = 0;
    for (; from < to; from++) failures += perform(b, blocks, from);
    return failures;
}

/* Median and spread of the rounds' figures. */
void row_summarise(row *r, int rounds);

/* Times every backend, in turns. */
void measure_rounds(backend *list, size_t count, const workload *w, int rounds, row *rows);

#endif
