/* SPDX-License-Identifier: MIT */
/*
 * What if: a trace as it would have been with a header on each block, larger or
 * smaller sizes, more alignment, one thread's blocks alone, or a part of it.
 *
 * Stands between the reader and whoever reads. Each event is dropped or changed
 * in these steps:
 *
 *   1. `threads`: a block is kept if one of them allocated it. Its frees and resizes
 *      are then kept, whoever made them.
 *   2. `from`, `to`: events outside of the window are dropped. What is live before
 *      event `from` is allocated first, oldest block first, in the size that it has
 *      there, so that the window's own events find what they found.
 *   3. size = ceiling(size * scale) + header, the alignment is `alignment` at least.
 *
 * O(1) an event, and O(n log n) for the n blocks that are live at the window's
 * start. Memory: 40 bytes for each slot, where a window or threads are asked for.
 */
#ifndef HPW_WHAT_IF_H
#define HPW_WHAT_IF_H

#include "trace.h"

/* Zeroed: the trace as it is. */
typedef struct hpw_what_if {
    uint32_t granule;         /* for the lower bound; 0: 16 */
    uint64_t header;          /* bytes, below 2^62 */
    uint64_t alignment;       /* a power of two; 0, 1: as the trace says */
    uint64_t scale, scale_by; /* the factor scale / scale_by; scale_by 0: 1. At most 10^12 and 10^6 */
    const uint32_t *threads;  /* numbers as in the trace; the caller's, until hpw_what_if_close */
    size_t thread_count;      /* 0: all */
    uint64_t from, to;        /* numbers of events, from 1, both included; 0: the first, the last */
} hpw_what_if;

typedef struct hpw_what_if_reader hpw_what_if_reader;

/*
 * Reads `trace`, which stays the caller's, as `what` says, which is copied; NULL: as it is. `path`
 * is for messages, and the caller's. NULL and *error: HPW_NO_MEMORY, HPW_INVALID_ARGUMENT: a
 * field is not what it may be.
 */
hpw_what_if_reader *hpw_what_if_open(hpw_trace *trace, const char *path, const hpw_what_if *what,
                                     hpw_trace_error *error);

/*
 * As hpw_trace_next. Also -1 with HPW_INVALID_ARGUMENT: a size passes 2^63 - 1; at the trace's
 * end, that the window begins or ends behind it, that a thread allocates nothing in it, that nothing is
 * left.
 */
int hpw_what_if_next(hpw_what_if_reader *reader, hpw_trace_event *event, hpw_trace_error *error);

/* NULL is fine. */
void hpw_what_if_close(hpw_what_if_reader *reader);

#endif
