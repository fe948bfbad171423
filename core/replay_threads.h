/* SPDX-License-Identifier: MIT */
/*
 * A replay on threads: what a trace's threads would do to one shared pool.
 *
 * Each recorded thread becomes a POSIX thread that makes the recorded thread's
 * calls in their order, as fast as it can. Between threads only that order is
 * kept which the calls need: an event of a block waits until the block's event
 * before it, if another thread makes that, is done. Times are not kept.
 *
 * More recorded threads than wanted: number i of them, in the order in which
 * they first appear, is done by thread i mod `threads`, which takes the events
 * of all of its own in their recorded order.
 *
 * Why it ends. The recorded order is a linear extension of everything that is
 * waited for: of each thread's own order, and of each block's. So the event that
 * comes first in it, of those not yet done, waits for none that is not done, and
 * all that its thread has before it is done: it can always be made.
 *
 * Waiting costs nothing where nobody waits: the pass that prepares it marks the
 * events that wait, and those that are waited for, which alone are announced by
 * a store. A block has a cell that holds its address; a freed block's cell goes
 * to the blocks of the thread that freed it, so that no order comes from cells.
 *
 * Placement, peaks and waits differ from run to run: threads run ahead of each
 * other, so more may be live than was when it was recorded, and a pool in which
 * the trace fits may be too small here.
 *
 * Memory: 16 bytes an event, 12 an allocation, 16 an event that waits, beside the program.
 */
#ifndef HPW_REPLAY_THREADS_H
#define HPW_REPLAY_THREADS_H

#include "replay.h"

enum { HPW_MOST_REPLAY_THREADS = 64 };

typedef struct hpw_contention_question {
    hpw_question pool; /* policy, order, seed, granule, capacity; the rest is not looked at */
    uint32_t threads;  /* 0: as many as were recorded; HPW_MOST_REPLAY_THREADS at most in any case */
    bool caches;       /* the pool has a cache for each thread: policies that take them */
} hpw_contention_question;

typedef struct hpw_contention {
    uint32_t recorded_threads;
    uint32_t threads;      /* that made the calls */
    uint64_t dependencies; /* events that follow another thread's on the same block */
    uint64_t waits;        /* those that found it not done yet */
    uint64_t failures;     /* requests refused */
    uint64_t peak_in_use, peak_granted, high_water;
    uint64_t live_blocks; /* at the end */
    double ops_per_second;
    double ops_per_second_alone; /* one thread, the recorded order, the same pool */
} hpw_contention;

/*
 * Replays thrice on threads, and thrice alone; answers with the fastest run of each.
 * HPW_OK; HPW_INVALID_ARGUMENT: as hpw_ask, the trace names no threads, or the
 * policy takes no caches; HPW_NO_MEMORY: no memory, or no thread; HPW_LIMIT:
 * stopped; HPW_CORRUPTED: the pool failed its check afterwards, or does not hold
 * just the blocks that the trace leaves (a bug, told rather than hidden).
 */
hpw_error hpw_contend(const hpw_program *program, const hpw_contention_question *question,
                      const atomic_bool *stop, hpw_contention *answer);

/* Threads that the trace names; 0: it names none. */
uint32_t hpw_program_threads(const hpw_program *program);

#endif
