/* SPDX-License-Identifier: MIT */
/*
 * Replay: what a recorded program would have cost under a policy.
 *
 * A trace is compiled once into a *program*, an array of operations on slots,
 * and then run as often as questions are asked: 16 bytes an event, one thread,
 * the recorded order. Private to the library; needs an operating system.
 *
 * Words: an *unbounded* pool is one so large that its free end is never the
 * smallest block that fits. The *peak moment* is the first event after which
 * the trace's live requested bytes are at their most.
 */
#ifndef HPW_REPLAY_H
#define HPW_REPLAY_H

#include <stdatomic.h>

#include "crew.h"
#include "trace.h"

typedef struct hpw_program hpw_program;

/* How far a search is: of the runs that it has planned so far. */
typedef struct hpw_progress {
    atomic_size_t done, total;
} hpw_progress;

/* What is asked of one policy. */
typedef struct hpw_question {
    const char *policy;
    hpw_order order;
    uint64_t seed;     /* of order random; else 0 */
    uint32_t granule;  /* 0: 16 */
    uint64_t capacity; /* 0: unbounded */
    bool smallest;     /* search the smallest pool */
    bool timed;        /* measure nanoseconds an operation */
    bool exhaustive;   /* the smallest pool: run every capacity that is in question, whatever it takes */
    bool reversals;    /* the smallest pool: run larger ones, too, to see which of them fail */
    hpw_crew *crew;    /* whose task this is and whose idle threads help; NULL: the calling thread alone */
    hpw_progress *progress; /* NULL: nobody asks */
} hpw_question;

/* Of the capacities that were run: `fits` does, those from `fails_from` to `fails_to` do not. */
typedef struct hpw_reversal {
    uint64_t fits, fails_from, fails_to;
} hpw_reversal;

enum { HPW_REVERSALS = 8, HPW_MOST_THREADS = 64 };

typedef struct hpw_answer {
    uint64_t capacity; /* as asked; 0 unbounded */
    uint64_t failures; /* requests refused */
    uint64_t peak_in_use;
    uint64_t peak_granted;
    uint64_t high_water;
    double external_fragmentation; /* at the peak moment; unbounded: below the high water so far */
    double internal_fragmentation; /* at the peak moment */
    uint64_t steps_max;
    double steps_mean;

    bool has_smallest;
    uint64_t smallest_pool;               /* it fits: it was run */
    bool smallest_exact;                  /* and no smaller one does: proved, or every one was run */
    uint64_t reversals;                   /* stretches of capacities found that fail above one that fits */
    hpw_reversal reversal[HPW_REVERSALS]; /* the lowest of them */
    uint64_t runs;                        /* replays that the search took */

    bool has_time;
    uint64_t ns_p50, ns_p999, ns_max; /* of single operations, the clock's own cost taken off */
    double ops_per_second;            /* of a run without the clock, in memory touched before */
} hpw_answer;

/* Loads and compiles a trace. NULL and *error as hpw_trace_open and hpw_trace_next, or HPW_NO_MEMORY. */
hpw_program *hpw_program_load(const char *path, hpw_trace_error *error);
void hpw_program_free(hpw_program *program);

/* The trace's figures; `lower_bound` and the rest are those of a granule of 16. */
const hpw_trace_summary *hpw_program_summary(const hpw_program *program);

/* The lower bound for a granule (0: 16): the peak of live bytes, rounded block by block. O(events). */
uint64_t hpw_program_lower_bound(const hpw_program *program, uint32_t granule);

/*
 * Answers a question. Any number of threads may ask one program at once.
 * `*stop`, where given, is looked at now and then: true ends it early.
 * HPW_OK; HPW_INVALID_ARGUMENT: no such policy, order, granule, capacity;
 * HPW_NO_MEMORY: the system has no room; HPW_LIMIT: stopped; HPW_CORRUPTED:
 * the pool failed its check after a run (a bug, told rather than hidden).
 *
 * The smallest pool: fit.c says how it is searched, and for which policies it is
 * proved. Elsewhere a bisection alone would be unsound: between the lower bound and
 * the least capacity found every one is run where the trace is short, they are few,
 * or `exhaustive` is set; else a grid of them. The answer says whether it is exact,
 * and does not depend on the crew.
 */
hpw_error hpw_ask(const hpw_program *program, const hpw_question *question, const atomic_bool *stop,
                  hpw_answer *answer);

#endif
