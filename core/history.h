/* SPDX-License-Identifier: MIT */
/*
 * A program's history under a policy: what lies where, from when to when.
 *
 * One replay tells a *rectangle* for each block: an address range over a range of
 * events. A block that is resized is one rectangle before and one after (not
 * where neither its place nor its sizes change). Rectangles are told when they end,
 * and those that live to the end after the last event, in the order of their slots:
 * whoever draws bins them as they come, and nothing is kept here but what is live.
 *
 * Live rectangles never overlap: what was freed or moved by an event ends with it, and
 * what the event places begins with it. At every event the requested sizes of those
 * that hold it add up to the pool's bytes in use.
 *
 * Events are numbered from 1, as in replays. Time: O(events), the samples' search of the
 * largest free block included: it may look at as many blocks as there were events, and a million
 * more; samples that would take more go without. Memory: 56 bytes a slot, and the replay's own.
 *
 * Private to the library; needs an operating system.
 */
#ifndef HPW_HISTORY_H
#define HPW_HISTORY_H

#include "replay.h"

typedef struct hpw_rectangle {
    uint64_t address, granted, requested; /* bytes */
    uint64_t block;      /* the number of the event that allocated it: its rectangles share it */
    uint64_t born, died; /* events: from `born` on, before `died`; what lives to the end: one past the last */
    bool freed;          /* by event `died`: else it was resized or moved by it, or lives to the end */
    bool has_thread;
    uint16_t thread; /* that made event `born`: in the order in which they appear, from 0, mod 2^16 */
} hpw_rectangle;

/* A request that the pool refused. */
typedef struct hpw_refusal {
    uint64_t event, size;
    bool resize;
} hpw_refusal;

/* The pool after an event. An unbounded pool ends at its high water. */
typedef struct hpw_sample {
    uint64_t event;
    uint64_t in_use, granted, high_water; /* bytes; high water: so far */
    uint64_t free;                        /* bytes in free blocks, up to the pool's end */
    uint64_t largest_free;                /* of one block of them; not where has_largest is false */
    uint64_t live_blocks;
    uint64_t failures; /* so far */
    bool has_largest;
} hpw_sample;

/* Who is told; functions that are NULL are not. One that returns false ends the history. */
typedef struct hpw_history_sink {
    void *ud;
    size_t points; /* samples: at most so many, evenly apart, the last after the last event */
    bool (*rectangle)(void *ud, const hpw_rectangle *rectangle);
    bool (*refusal)(void *ud, const hpw_refusal *refusal);
    bool (*sample)(void *ud, const hpw_sample *sample);
} hpw_history_sink;

/*
 * Replays once. The question's policy, order, seed, granule, classes, capacity and
 * chooser count. The answer is hpw_ask's without a search or time. Any number of
 * threads may do so at once. HPW_OK, or as hpw_ask; HPW_LIMIT: the sink ended it, or `stop`.
 */
hpw_error hpw_history(const hpw_program *program, const hpw_question *question, const hpw_history_sink *sink,
                      const atomic_bool *stop, hpw_answer *answer);

#endif
