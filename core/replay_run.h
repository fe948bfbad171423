/* SPDX-License-Identifier: MIT */
/* A replay from the inside: shared by replay.c, which runs it, and fit.c, which searches with it. */
#ifndef HPW_REPLAY_RUN_H
#define HPW_REPLAY_RUN_H

#include "replay.h"

/* One event, compiled. */
typedef struct operation {
    uint64_t size;
    uint32_t slot;
    uint8_t kind;       /* hpw_trace_kind */
    uint8_t align_bits; /* log2 of the alignment asked for, 0 the usual one */
} operation;

struct hpw_program {
    operation *operations;
    size_t count;
    size_t slots;
    uint64_t largest_align;
    size_t peak_operation; /* operations up to the peak moment */
    hpw_trace_summary summary;
};

/* A pool and where each slot's block lies in it. */
typedef struct replay {
    const hpw_program *program;
    hpw_pool *pool;
    uint64_t *addresses;
} replay;

/*
 * Memory that one run after another may use: pages once touched stay, so that a
 * search does not pay their faults at each capacity. Zeroed: empty.
 */
typedef struct replay_arena {
    unsigned char *memory;
    size_t size;
} replay_arena;

enum { ARENA_ALIGN = 2 * 1024 * 1024 };

/* `arena` may be NULL: a mapping of the run's own. */
hpw_error replay_open(const hpw_program *program, const hpw_question *question, uint64_t capacity,
                      replay_arena *arena, replay *run);
void replay_arena_free(replay_arena *arena);
void replay_close(replay *run);

/* Runs until the pool refuses something: *at is which operation, or their count. HPW_OK, or HPW_LIMIT. */
hpw_error replay_until_refused(replay *run, const atomic_bool *stop, size_t *at);

/* The same: was nothing refused? */
hpw_error replay_fits(replay *run, const atomic_bool *stop, bool *fits);

/*
 * Capacities below the high water in which a run of a monotone policy may differ
 * from the unbounded one without failing: those that a resize passed which might
 * have slid backwards or moved to a hole instead. Empty: from > to.
 */
typedef struct replay_doubt {
    uint64_t from, to;
} replay_doubt;

/* Fills in the answer's smallest pool; the figures of the whole run are there already. */
hpw_error replay_search(const hpw_program *program, const hpw_question *question, const replay_doubt *doubt,
                        const atomic_bool *stop, hpw_answer *answer);

#endif
