/* SPDX-License-Identifier: MIT */
/*
 * The bench's workloads: arrays of calls on slots, generated in advance from a
 * seed, so that the timed loop only replays. Sizes are log-uniform.
 *
 *   W1  small churn    10,000 live blocks of 16 ... 256 B, each step replaces one
 *   W2  mixed          10,000 live blocks of 16 B ... 64 KiB, likewise
 *   W3  stack          1,000 allocations of 16 ... 256 B, freed in reverse, again and again
 *   W4  queue          10,000 blocks of 16 ... 256 B in flight, the oldest freed
 *   W5  near full      16 ... 4,096 B fill a pool of 16 MiB to 90 %, then replaces; bounded
 *   W6  holes          200,000 blocks of 16 ... 1,024 B, every second freed, then 200,000 more
 */
#ifndef HPW_BENCH_WORKLOAD_H
#define HPW_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_FREE UINT32_MAX

typedef struct call {
    uint32_t slot;
    uint32_t size; /* CALL_FREE: frees the slot's block */
} call;

typedef struct workload {
    const char *name;
    call *calls;
    size_t count;
    size_t from; /* the calls before it only fill; they are not timed */
    size_t slots;
    uint64_t capacity; /* of a bounded pool for it */
    uint64_t peak;     /* live bytes at most */
    bool bounded;      /* the pools' capacity is part of the workload; other allocators have no bound */
    bool one_shot;     /* a round is the whole list */
} workload;

/* The names, NULL past the last. */
const char *workload_name(size_t number);

/* Smaller ones for where the whole is not wanted. */
typedef enum workload_part {
    WORKLOAD_WHOLE,
    WORKLOAD_TIGHT, /* in which tightness is measured */
    WORKLOAD_HALF   /* W1 with half of its live blocks: a thread's, where two share a pool */
} workload_part;

/* A workload by name. False: no such name, or no memory. */
bool workload_make(const char *name, workload_part part, workload *made);

/* One from a recorded trace; resizes are a free and an allocation. False: it can't be read. */
bool workload_load(const char *path, workload *made);

void workload_free(workload *made);

#endif
