/* SPDX-License-Identifier: MIT */
/*
 * Traces made up: a steady churn as long as is asked for, written as it is made.
 *
 * The first `live` events allocate. From then on a block chosen by chance is
 * freed (or resized), and the event after a free allocates its successor: so
 * `live` blocks, or one less, are live to the end, and a block's life is
 * exponential, of `live` frees in the mean. Sizes are drawn from a list, each
 * entry as likely as the other: what distribution they follow is the caller's.
 *
 * With threads each event is one of theirs by chance; a free is made by the
 * thread that allocated, but for a share `passed` of them.
 *
 * The generator is xoshiro256** (Blackman and Vigna 2018), filled by splitmix64
 * from the seed: the same plan gives the same file, on every machine.
 */
#ifndef HPW_TRACE_GENERATE_H
#define HPW_TRACE_GENERATE_H

#include "trace.h"

typedef struct hpw_trace_plan {
    uint64_t events;       /* at least 1 */
    uint64_t live;         /* 1 ... 2^32 - 2 */
    const uint64_t *sizes; /* the caller's, each below 2^63 */
    size_t size_count;     /* 1 ... 2^32 - 1 */
    uint64_t seed;
    double resizes;   /* 0 ... 1: the share of resizes among frees and resizes */
    uint32_t threads; /* 0: the events name none; else 1 ... 65535 */
    double passed;    /* 0 ... 1: the share of frees that another thread makes */
} hpw_trace_plan;

/*
 * Writes such a trace; `to` appears whole or not at all, see
 * hpw_trace_part_name. False and *error: HPW_INVALID_ARGUMENT (a field out of
 * its range, no such format), HPW_IO, HPW_NO_MEMORY. Cost: O(events); 4 bytes a
 * live block.
 */
bool hpw_trace_generate(const hpw_trace_plan *plan, const char *to, hpw_trace_format format,
                        hpw_trace_error *error);

#endif
