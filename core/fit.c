/* SPDX-License-Identifier: MIT */
/*
 * The smallest pool in which a trace runs without failure.
 *
 *   1. A monotone policy (first fit by address, bump: the proofs are in their
 *      files): the high water of the unbounded run. In that capacity every choice
 *      is the same; in a smaller one the first event that passed it has no place
 *      and fails. But for one thing: a resize that has no place to grow may move
 *      to a hole, or slide backwards. The run notes which capacities such events
 *      passed: only these are in doubt, and they are run.
 *   2. Otherwise: from the lower bound up in growing strides to a capacity that
 *      fits, then bisection to a granule. That finds an edge: P fits and P
 *      less a granule does not.
 *   3. No other policy is monotone; for each of them spec/c/reversal_thread_test.c keeps
 *      a trace that fits in a pool and fails in a larger one. So a smaller pool
 *      may fit where this edge's lower side fails. The capacities from the lower
 *      bound to the edge are run: all of them where that is affordable, or asked
 *      for, and then the least that fits is exact; else a grid, and below its
 *      lowest that fits a bisection, an edge and a grid again.
 *   4. Larger pools than the smallest may fail, too: where reversals are asked
 *      for, half as much above it is run the same way.
 *
 * Each run stops at its first failure. What a search may spend is counted in
 * operations, not in seconds, and what is run does not depend on the number of
 * threads: the result is the same on every machine.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "replay_run.h"

enum { PROBES = 16, ABOVE = 2, GRANULES_A_STEP = 32 };
static const uint64_t AFFORDABLE = 10000000; /* operations that the runs of one grid may take */

/* A capacity in granules that was run. */
typedef struct probe {
    uint64_t capacity;
    hpw_error error;
    bool fits;
} probe;

/* Memory that runs at a time use, one each; a run takes one and gives it back. */
typedef struct arenas {
    pthread_mutex_t lock;
    replay_arena unused[HPW_MOST_THREADS];
    size_t count;
} arenas;

typedef struct search {
    const hpw_program *program;
    const hpw_question *question;
    const atomic_bool *stop;
    uint64_t granule;
    probe *probes; /* all that were run, in their order */
    size_t count, room;
    probe *batch; /* those that are being run */
    arenas arenas;
    hpw_error error;
} search;

static replay_arena take_arena(arenas *a) {
    pthread_mutex_lock(&a->lock);
    replay_arena arena = a->count ? a->unused[--a->count] : (replay_arena){NULL, 0};
    pthread_mutex_unlock(&a->lock);
    return arena;
}

static void give_arena(arenas *a, replay_arena arena) {
    pthread_mutex_lock(&a->lock);
    bool kept = a->count < HPW_MOST_THREADS;
    if (kept) a->unused[a->count++] = arena;
    pthread_mutex_unlock(&a->lock);
    if (!kept) replay_arena_free(&arena);
}

/* The task of a batch: one capacity. */
static void run_one(void *ud, size_t number) {
    search *s = ud;
    probe *tried = &s->batch[number];
    replay_arena arena = take_arena(&s->arenas);
    replay run;
    tried->error = s->stop && *s->stop ? HPW_LIMIT : HPW_OK;
    if (!tried->error)
        tried->error = replay_open(s->program, s->question, tried->capacity * s->granule, &arena, &run);
    if (!tried->error) {
        tried->error = replay_fits(&run, s->stop, &tried->fits);
        replay_close(&run);
    }
    give_arena(&s->arenas, arena);
    if (s->question->progress) atomic_fetch_add(&s->question->progress->done, 1);
}

/* Room for so many more probes, which the caller fills in. NULL: no memory, or an error before. */
static probe *extend(search *s, size_t more) {
    if (s->error) return NULL;
    if (s->count + more > s->room) {
        size_t room = s->count + more + s->room;
        probe *grown = realloc(s->probes, room * sizeof *grown);
        if (!grown) {
            s->error = HPW_NO_MEMORY;
            return NULL;
        }
        s->probes = grown;
        s->room = room;
    }
    memset(s->probes + s->count, 0, more * sizeof *s->probes);
    return s->probes + s->count;
}

/* Runs the probes that extend() gave room for. */
static void run_batch(search *s, size_t count) {
    hpw_batch batch = {.task = run_one, .ud = s, .count = count};
    s->batch = s->probes + s->count;
    if (s->question->progress) atomic_fetch_add(&s->question->progress->total, count);
    hpw_crew_share(s->question->crew, &batch);
    for (size_t i = 0; i < count && !s->error; i++) s->error = s->batch[i].error;
    s->count += count;
}

static bool fits(search *s, uint64_t capacity) {
    probe *one = extend(s, 1);
    if (!one) return false;
    one->capacity = capacity;
    run_batch(s, 1);
    return !s->error && s->probes[s->count - 1].fits;
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

/* An edge at or above `least`: it fits, a granule less does not. 0: nothing fits. */
static uint64_t find_edge(search *s, uint64_t least) {
    uint64_t fails, found = climb(s, least, &fails);
    return found > least && !s->error ? bisect(s, fails, found) : found;
}

/* Runs capacities of [from, to): all, or a grid. *all: each was run. The probes are the last `count`. */
static size_t scan(search *s, uint64_t from, uint64_t to, bool exhaustive, bool *all) {
    /* A run costs its operations, and the clearing of what the pool knows of its granules. */
    uint64_t affordable = AFFORDABLE / (s->program->count + 1 + to / GRANULES_A_STEP), width = to - from;
    uint64_t count = affordable > PROBES ? affordable : PROBES;
    if (count > width || exhaustive) count = width;
    *all = count == width;
    probe *probes = extend(s, count);
    if (!probes) return 0;
    for (uint64_t i = 0; i < count; i++)
        probes[i].capacity = *all ? from + i : from + (uint64_t)((double)width * (double)i / (double)count);
    run_batch(s, count);
    return count;
}

/* The smallest down to `least`, where `found` fits and what lies from `most` up to it does not. */
static uint64_t search_down(search *s, uint64_t least, uint64_t most, uint64_t found, bool *exact) {
    *exact = most <= least; /* below `least` nothing fits */
    while (!s->error && most > least) {
        size_t count = scan(s, least, most, s->question->exhaustive, exact), i = 0;
        const probe *probes = s->probes + s->count - count;
        while (i < count && !probes[i].fits) i++;
        if (i == count || s->error) return found;
        uint64_t fails = i ? probes[i - 1].capacity : least - 1;
        found = most = *exact || !i ? probes[i].capacity : bisect(s, fails, probes[i].capacity);
        if (*exact) return found;
        *exact = most == least;
    }
    return found;
}

/* ---- Reversals ---- */

static int by_capacity(const void *a, const void *b) {
    uint64_t left = ((const probe *)a)->capacity, right = ((const probe *)b)->capacity;
    return (left > right) - (left < right);
}

/* Each stretch of capacities above one that fits that were run and failed. */
static void note_reversals(search *s, hpw_answer *answer) {
    if (s->count) qsort(s->probes, s->count, sizeof *s->probes, by_capacity);
    uint64_t fit = 0;
    bool fails = false;
    for (size_t i = 0; i < s->count; i++) {
        uint64_t capacity = s->probes[i].capacity * s->granule;
        if (s->probes[i].fits) {
            fit = capacity;
            fails = false;
            continue;
        }
        if (!fit) continue;
        if (!fails) answer->reversals++;
        fails = true;
        if (answer->reversals > HPW_REVERSALS) continue;
        hpw_reversal *last = &answer->reversal[answer->reversals - 1];
        if (last->fits != fit) *last = (hpw_reversal){.fits = fit, .fails_from = capacity};
        last->fails_to = capacity;
    }
}

/* ---- The search ---- */

static bool is_monotone(const hpw_question *question) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        if (!strcmp(info->name, question->policy))
            return info->monotone && question->order == HPW_ORDER_ADDRESS;
    return false;
}

static uint64_t search_all(search *s, const replay_doubt *doubt, hpw_answer *answer) {
    uint64_t least = hpw_program_lower_bound(s->program, (uint32_t)s->granule) / s->granule, found;
    if (!least) least = 1;
    bool small_aligns =
        s->program->largest_align <= MAPPED_ALIGN; /* larger ones want a pool at least as large */
    if (is_monotone(s->question) && small_aligns && !s->question->capacity && !answer->failures) {
        found = answer->high_water / s->granule;
        if (doubt->from < doubt->to && doubt->from / s->granule > least) least = doubt->from / s->granule;
        return search_down(s, least, doubt->to / s->granule, found, &answer->smallest_exact);
    }
    bool all;
    uint64_t most = hpw_max_capacity((uint32_t)s->granule) / s->granule;
    if (least > most) return 0; /* no pool can be so large */
    found = find_edge(s, least);
    if (found && !s->error) found = search_down(s, least, found, found, &answer->smallest_exact);
    if (!found || s->error || !s->question->reversals) return found;
    uint64_t above = found + found / ABOVE + PROBES;
    scan(s, found + 1, above < most ? above : most, false, &all);
    return found;
}

hpw_error replay_search(const hpw_program *program, const hpw_question *question, const replay_doubt *doubt,
                        const atomic_bool *stop, hpw_answer *answer) {
    search s = {.program = program, .question = question, .stop = stop, .granule = question->granule};
    pthread_mutex_init(&s.arenas.lock, NULL);
    uint64_t found = search_all(&s, doubt, answer);
    while (s.arenas.count) replay_arena_free(&s.arenas.unused[--s.arenas.count]);
    pthread_mutex_destroy(&s.arenas.lock);
    if (!s.error) {
        answer->has_smallest = found > 0;
        answer->smallest_pool = found * s.granule;
        answer->runs = s.count;
        note_reversals(&s, answer);
    }
    free(s.probes);
    return s.error;
}
