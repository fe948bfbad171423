/* SPDX-License-Identifier: MIT */
/*
 * A replay that streams: a trace of any length, under several policies at once,
 * in memory that grows with what is live and not with the events.
 *
 *   1. A first pass over the file takes the trace's figures: the sums, the lower
 *      bound, the peak moment, how large an unbounded pool has to be.
 *   2. In a second pass the calling thread decodes events into batches of 16
 *      bytes an event; worker threads run each batch in each policy's pool. A
 *      policy gets its batches in order; which worker runs it does not matter.
 *      RING batches are under way at most: then the reader waits.
 *
 * What it answers equals hpw_ask's, to the last bit, but for what would take
 * more passes: the smallest pool is told where one run proves it (a monotone
 * policy and no resize in doubt), times of single operations never.
 *
 * A pipe can be read once only. Its figures are taken in the same pass, the
 * unbounded pool is 2^31 granules (32 GiB of 16), so that steps may differ (and
 * placements of order random, which draws from all of the pool); and external fragmentation is measured at
 * each new peak as long as that costs no more than the replay itself; else it is not told.
 *
 * Memory: 32 bytes a live block in the reader, 8 for each policy, the batches
 * (RING * BATCH * 16 bytes), and the pools. Of a pool the pages that free blocks
 * cover are given back as it grows, so policies that wander (next and worst fit
 * in an unbounded pool, bump) keep what is live, and 2.2 % of the bytes that
 * they passed: their block map.
 *
 * Private to the library; needs an operating system.
 */
#ifndef HPW_REPLAY_STREAM_H
#define HPW_REPLAY_STREAM_H

#include "replay.h"

/* One policy's question and what came of it. */
typedef struct hpw_lane {
    hpw_question question; /* `timed` is not looked at */
    hpw_answer answer;
    hpw_error error;   /* as hpw_ask's, HPW_LIMIT where another lane failed first */
    bool has_external; /* external fragmentation was measured: always, but of a pipe */
    double seconds;    /* of a processor, that its operations took */
} hpw_lane;

/* Zeroed, but for what is the caller's. */
typedef struct hpw_stream {
    const char *path;        /* the caller's, as are those up to `stop` */
    hpw_lane *lanes;         /* `count` of them, all of one granule */
    size_t count;            /* 0: the figures alone */
    unsigned threads;        /* workers, beside the calling thread; 0: one */
    const atomic_bool *stop; /* looked at now and then: true ends it early. May be NULL */

    atomic_uint done; /* millionths, for progress lines: any thread may look */

    hpw_trace_summary summary;
    uint64_t lower_bound;   /* for the lanes' granule */
    bool one_pass;          /* it was a pipe */
    double figures_seconds; /* of a processor: the pass that only reads; a pipe has none */
    double seconds;         /* of the clock, all of it */
} hpw_stream;

/*
 * HPW_OK: read to its end; each lane has its answer, or its own error. Else the
 * lanes hold nothing and *error the line: HPW_IO, HPW_CORRUPTED as
 * hpw_trace_open and hpw_trace_next, or the file changed between the passes;
 * HPW_NO_MEMORY: no memory, no thread; HPW_LIMIT: stopped;
 * HPW_INVALID_ARGUMENT: lanes of different granules.
 */
hpw_error hpw_stream_replay(hpw_stream *stream, hpw_trace_error *error);

#endif
