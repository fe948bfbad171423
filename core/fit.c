/* SPDX-License-Identifier: MIT */
/*
 * The smallest pool in which a trace runs without failure.
 *
 *   1. A monotone policy (first fit by address, bump): the high water of the
 *      unbounded run. In that capacity every choice is the same; in a smaller
 *      one the first event that passed it has no place and fails. But for one
 *      thing: a resize that has no place to grow may move to a hole, or slide
 *      backwards. The run notes which capacities such events passed: only these
 *      are in doubt.
 *   2. Otherwise: from the lower bound up in growing strides to a capacity that
 *      fits, then bisection to a granule. That finds an edge: P fits and P
 *      less a granule does not.
 *   3. Next fit and worst fit (and good fit, slab, buddy, and best fit as far
 *      as anybody has proved) are not monotone: a smaller pool may fit where
 *      this edge's lower side fails. So the capacities from the lower bound to
 *      the edge are probed: all of them where that is affordable, else a grid;
 *      a probe that fits becomes the upper end of a new bisection, and the
 *      search goes on below.
 *
 * Each run stops at its first failure. What a search may spend is counted in
 * operations, not in seconds, so that its result is the same on every machine.
 */
#include <string.h>

#include "pool.h"
#include "replay_run.h"

enum { PROBES = 16 };
static const uint64_t AFFORDABLE = 10000000; /* operations that probing one policy may take */

typedef struct search {
    const hpw_program *program;
    const hpw_question *question;
    const atomic_bool *stop;
    uint64_t granule;
    uint64_t runs, reversals;
    replay_arena arena;
    hpw_error error;
} search;

/* In granules. */
static bool fits(search *s, uint64_t capacity) {
    replay run;
    bool found = false;
    if (s->error) return false;
    s->error = replay_open(s->program, s->question, capacity * s->granule, &s->arena, &run);
    if (s->error) return false;
    s->runs++;
    s->error = replay_fits(&run, s->stop, &found);
    replay_close(&run);
    return found && !s->error;
}

/* The edge between `least`, which fails, and `most`, which fits. */
static uint64_t bisect(search *s, uint64_t least, uint64_t most) {
    while (most - least > 1 && !s->error) {
        uint64_t middle = least + (most - least) / 2;
        if (fits(s, middle))
            most = middle;
        else
            least = middle;
    }
    return most;
}

/* A capacity that fits, and *fails one below it that does not; 0 where none does. */
static uint64_t climb(search *s, uint64_t least, uint64_t *fails) {
    uint64_t most = hpw_max_capacity((uint32_t)s->granule) / s->granule;
    uint64_t stride = least / 256 + 1;
    *fails = least ? least - 1 : 0;
    for (uint64_t tried = least; !s->error; tried += stride, stride *= 2) {
        if (tried > most) tried = most;
        if (fits(s, tried)) return tried;
        *fails = tried;
        if (tried == most) return 0;
    }
    return 0;
}

/* Probes [least, most): the greatest capacity of them that fits; 0: none did. *all: each was run. */
static uint64_t probe(search *s, uint64_t least, uint64_t most, bool *all) {
    uint64_t affordable = AFFORDABLE / (s->program->count + 1), width = most - least;
    uint64_t probes = affordable > PROBES ? affordable : PROBES;
    if (probes > width) probes = width;
    *all = probes == width;
    for (uint64_t i = probes; i-- > 0 && !s->error;) {
        uint64_t capacity = *all ? least + i : least + width * i / probes;
        if (fits(s, capacity)) return capacity;
    }
    return 0;
}

/* An edge at or above `least`: it fits, a granule less does not. 0: nothing fits. */
static uint64_t find_edge(search *s, uint64_t least) {
    uint64_t fails, found = climb(s, least, &fails);
    return found > least && !s->error ? bisect(s, fails, found) : found;
}

/* The smallest down to `least`, where `found` fits and what lies from `most` up to it does not. */
static uint64_t search_down(search *s, uint64_t least, uint64_t most, uint64_t found, bool *exact) {
    *exact = false;
    for (uint64_t lower; !s->error && most > least; most = found) {
        lower = probe(s, least, most, exact);
        if (!lower) return found;
        s->reversals++;
        found = bisect(s, least - 1, lower); /* below `least` nothing fits */
    }
    *exact = true; /* the lower bound itself */
    return found;
}

bool replay_is_monotone(const hpw_question *question) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        if (!strcmp(info->name, question->policy))
            return info->monotone && question->order == HPW_ORDER_ADDRESS;
    return false;
}

hpw_error replay_search(const hpw_program *program, const hpw_question *question, const replay_doubt *doubt,
                        const atomic_bool *stop, hpw_answer *answer) {
    search s = {.program = program, .question = question, .stop = stop, .granule = question->granule};
    uint64_t least = hpw_program_lower_bound(program, question->granule) / s.granule, found;
    if (!least) least = 1;
    bool small_aligns =
        program->largest_align <= MAPPED_ALIGN; /* larger ones want a pool at least as large */
    if (replay_is_monotone(question) && small_aligns && !question->capacity && !answer->failures) {
        found = answer->high_water / s.granule;
        if (doubt->from < doubt->to && doubt->from / s.granule > least) least = doubt->from / s.granule;
        found = search_down(&s, least, doubt->to / s.granule, found, &answer->smallest_exact);
    } else {
        found = find_edge(&s, least);
        if (found && !s.error) found = search_down(&s, least, found, found, &answer->smallest_exact);
    }
    replay_arena_free(&s.arena);
    if (s.error) return s.error;
    answer->has_smallest = found > 0;
    answer->smallest_pool = found * s.granule;
    answer->reversals = s.reversals;
    answer->runs = s.runs;
    return HPW_OK;
}
