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
    uint16_t thread;    /* its number in the order in which they appear, mod 2^16; 0 where not given */
} operation;

struct hpw_program {
    operation *operations;
    size_t count;
    size_t slots;
    uint32_t granule; /* of the what-if, 0: 16 */
    uint32_t threads; /* that the events name, 2^16 at most; 0: they name none */
    uint64_t largest_align;
    size_t peak_operation; /* operations up to the peak moment */
    uint64_t *times;       /* of each operation, nanoseconds; NULL: not kept, see hpw_program_load_timed */
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

/*
 * The parts of a whole run, for replay_stream.c. A stretch of the operations,
 * failures counted; watched: as the search of a monotone policy's smallest pool wants it.
 */
void replay_stretch(replay *run, const operation *operations, size_t count, bool watched, hpw_answer *answer,
                    replay_doubt *doubt);

/* Fragmentation at this moment; an unbounded pool ends at its high water. O(blocks). */
void replay_measure_fragmentation(hpw_pool *pool, bool unbounded, hpw_answer *answer);

/* The moments of a whole run at which its pool is looked at: the peak, and each eighth of the operations. */
typedef struct replay_moments {
    const replay *run;
    bool unbounded;
    size_t next; /* of the eighths */
    size_t end;  /* operations up to it */
} replay_moments;

/* Begins with those eighths, of a trace of few operations, before which there is none. */
void replay_begin_moments(replay_moments *m, const replay *run, bool unbounded, hpw_answer *answer);
void replay_note_moment(replay_moments *m, size_t done, hpw_answer *answer);

/* After `done` operations. */
static inline void replay_pass_moment(replay_moments *m, size_t done, hpw_answer *answer) {
    if (done == m->end || done == m->run->program->peak_operation) replay_note_moment(m, done, answer);
}

/* What the pool says of itself after so many operations. HPW_CORRUPTED: it failed its check. */
hpw_error replay_conclude(replay *run, uint64_t capacity, uint64_t operations, hpw_answer *answer);

/*
 * How large a pool is unbounded: the sum of what all requests may take, from
 * replay_room_least on (a page for every class). Adding is false where it is
 * the largest capacity that there is.
 */
static inline uint64_t replay_room_least(uint32_t granule) { return (uint64_t)granule << 16; }
bool replay_room_add(uint64_t *room, uint32_t granule, uint64_t size, unsigned align_bits);
uint64_t replay_room_capacity(uint64_t room, uint32_t granule);

/* The same for a compiled trace. O(events). */
uint64_t replay_unbounded(const hpw_program *program, const hpw_question *question);

/* Is the high water of an unbounded run the smallest pool, where no resize is in doubt? */
bool replay_is_monotone(const hpw_question *question);

/* Fills in the answer's smallest pool; the figures of the whole run are there already. */
hpw_error replay_search(const hpw_program *program, const hpw_question *question, const replay_doubt *doubt,
                        const atomic_bool *stop, hpw_answer *answer);

#endif
