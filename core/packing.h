/* SPDX-License-Identifier: MIT */
/*
 * Offline packing: where a trace's blocks would lie if all of it were known
 * before the first allocation. Its pool is what every policy is held against
 * that has to decide as the events come.
 *
 * The problem is dynamic storage allocation (Garey and Johnson, SR2): each block
 * is a rectangle, its lifetime fixed, its address free; no two may overlap; the
 * highest end is to be as low as possible. It is NP-hard. The peak of the live
 * bytes is a bound from below that is often, not always, reached.
 *
 * Words: a *piece* is what has one address: a block from its allocation to the
 * event that frees it, or that resizes it to another number of granules, where
 * its next piece begins. A resize may therefore move a block, and over itself,
 * as every policy here may. Every run of any policy is such a packing: so the
 * optimum is at or below all of their smallest pools. What is never freed
 * lives to the trace's end. Sizes are rounded up to granules, at least one;
 * addresses are multiples of the granule and of the alignment asked for.
 *
 * Private to the library; needs an operating system.
 */
#ifndef HPW_PACKING_H
#define HPW_PACKING_H

#include "replay.h"

/* One piece, in bytes and events: live after event `begin`, until event `end` begins. */
typedef struct hpw_piece {
    uint64_t begin, end; /* events counted from 0; end = all events: never freed */
    uint64_t size;       /* granted: rounded up to granules */
    uint64_t address;
    uint64_t alignment; /* asked for; 1: none */
} hpw_piece;

typedef struct hpw_packing {
    uint64_t pool;        /* bytes: the highest end of a piece */
    uint64_t lower_bound; /* no packing is smaller: the peak of live bytes, or what a search ruled out */
    bool proved;          /* pool == lower_bound: it is the optimum */
    uint64_t nodes;       /* that the search visited */
    const char *method;   /* how the packing was found; static */
    size_t count;
    hpw_piece *pieces; /* in the order of `begin` */
} hpw_packing;

typedef struct hpw_packing_question {
    uint32_t granule; /* 0: 16 */
    uint64_t nodes;   /* that the search for the optimum may visit; 0: HPW_PACKING_NODES */
    bool heuristic;   /* no search at all */
} hpw_packing_question;

enum { HPW_PACKING_NODES = 300000 };

/*
 * Packs a program's pieces. Any number of threads may pack one program at once;
 * `*stop`, where given, ends it early. The result is the same on every machine
 * and in every run: what a search may spend is counted, never timed. It has been
 * held against hpw_packing_check.
 *
 * HPW_OK, and *out is the caller's until hpw_packing_free; else *out is empty:
 * HPW_INVALID_ARGUMENT: the granule is no power of two; HPW_NO_MEMORY; HPW_LIMIT:
 * stopped, or every packing tried ends past 2^63 - 1; HPW_CORRUPTED: the check
 * failed (a bug, told rather than hidden).
 * Memory: some 100 bytes an event, whatever the sizes. Cost: O(n log n) for the
 * sweeps, and what packing.c says of the others.
 */
hpw_error hpw_pack(const hpw_program *program, const hpw_packing_question *question, const atomic_bool *stop,
                   hpw_packing *out);
void hpw_packing_free(hpw_packing *packing);

/*
 * Whether no two pieces overlap in time and space, all end within the pool, keep
 * their alignment, and are exactly those of the program: computed from the
 * program's events alone, by other means than the packing. O(n log n).
 * HPW_OK; HPW_CORRUPTED, and *at is the first piece that is wrong; HPW_NO_MEMORY.
 */
hpw_error hpw_packing_check(const hpw_program *program, uint32_t granule, const hpw_packing *packing,
                            size_t *at);

#endif
