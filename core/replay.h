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
#include "what_if.h"

typedef struct hpw_program hpw_program;

/* How far a search is: of the runs that it has planned so far. */
typedef struct hpw_progress {
    atomic_size_t done, total;
} hpw_progress;

/* What is asked of one policy. */
typedef struct hpw_question {
    const char *policy;
    hpw_order order;
    uint64_t seed;                      /* of order random; else 0 */
    uint32_t granule;                   /* 0: that of the program's what-if, or 16 */
    uint32_t classes[HPW_MOST_CLASSES]; /* bytes, of a policy that takes them; all 0: the usual ones */
    uint64_t capacity;                  /* 0: unbounded */
    bool smallest;                      /* search the smallest pool */
    bool timed;                         /* measure nanoseconds an operation */
    hpw_chooser chooser; /* zeroed: `policy` is built in; else the host's own: each run of it is made by the
                            calling thread, one after the other */
    bool exhaustive;     /* the smallest pool: run every capacity that is in question, whatever it takes */
    bool reversals;      /* the smallest pool: run larger ones, too, to see which of them fail */
    hpw_crew *crew;      /* whose task this is and whose idle threads help; NULL: the calling thread alone */
    hpw_progress *progress; /* NULL: nobody asks */
    bool small_pages;       /* see hpw_config: less memory, a little slower */
} hpw_question;

/* Of the capacities that were run: `fits` does, those from `fails_from` to `fails_to` do not. */
typedef struct hpw_reversal {
    uint64_t fits, fails_from, fails_to;
} hpw_reversal;

enum { HPW_REVERSALS = 8, HPW_MOMENTS = 8, HPW_MOST_THREADS = 64 };

typedef struct hpw_answer {
    uint64_t capacity; /* as asked; 0 unbounded */
    uint64_t failures; /* requests refused */
    uint64_t peak_in_use;
    uint64_t peak_granted;
    uint64_t high_water;
    double external_fragmentation;   /* at the peak moment; unbounded: below the high water so far */
    double internal_fragmentation;   /* at the peak moment */
    bool has_moments;                /* of a compiled trace */
    uint64_t in_use_at[HPW_MOMENTS]; /* after each eighth of the events, in bytes */
    uint64_t steps_max;
    double steps_mean;

    uint64_t metadata; /* of the smallest pool; else the one asked for, or one as large as the high water */

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

/* The same of the trace as it would have been; NULL: as it is. Also NULL as hpw_what_if_open and _next say.
 */
hpw_program *hpw_program_load_as(const char *path, const hpw_what_if *what, hpw_trace_error *error);

/* The same with the events' times, 8 bytes an event more, where each event has one. */
hpw_program *hpw_program_load_timed(const char *path, const hpw_what_if *what, hpw_trace_error *error);
void hpw_program_free(hpw_program *program);

/* The nanoseconds of event `number`, from 1. False: they are not kept, or there is no such event. */
bool hpw_program_time(const hpw_program *program, uint64_t number, uint64_t *nanoseconds);

/* The trace's figures, as it would have been; `lower_bound` is that of the what-if's granule, or 16. */
const hpw_trace_summary *hpw_program_summary(const hpw_program *program);

/*
 * The lower bound for a granule (0: the what-if's, or 16): the peak of live bytes, rounded block by
 * block. O(events).
 */
uint64_t hpw_program_lower_bound(const hpw_program *program, uint32_t granule);

/* How many blocks of each size of 0 ... most bytes are live at the peak moment: counts[size]. False: no
 * memory. */
bool hpw_program_sizes_at_peak(const hpw_program *program, uint64_t most, uint64_t counts[]);

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
