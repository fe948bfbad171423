/* SPDX-License-Identifier: MIT */
/* Measuring two threads: see pairs.h. */
#define _GNU_SOURCE
#include "pairs.h"

#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/*
 * A round is longer than one thread's: a pool's own lock is handed on after
 * milliseconds (core/lock.h). What is done in its first LEAD_NS is not counted:
 * by then the lines of the others' turns are gone.
 */
enum { PAIR_NS = 30000000, LEAD_NS = 5000000 };

/* Blocks are handed over by the BATCH, or the ring's own lines would be most of what is measured. */
enum { BATCH = 64, RING = 16 };

typedef struct batch {
    size_t count;
    void *blocks[BATCH];
} batch;

/* One writer, one reader; empty where read == written. */
typedef struct ring {
    alignas(64) _Atomic size_t written;
    alignas(64) _Atomic size_t read;
    alignas(64) void *batches[RING][BATCH];
} ring;

typedef struct pair pair;

/* A cache line's start each: both threads write their own all the time. */
typedef struct side {
    alignas(64) pair *both;
    unsigned char **blocks;
    ring *in, *out; /* NULL: frees its own */
    batch given, taken;
    size_t place, calls;
    uint64_t begin, end, failures;
    pthread_t thread;
    int core;
} side;

struct pair {
    const backend *b;
    const workload *w;
    pthread_barrier_t gate;  /* both threads and the one that measures */
    pthread_barrier_t start; /* both threads */
    bool over;
    ring rings[2];
    side sides[2];
};

/* Hands over a full batch; false: there is no room for it. */
static bool hand(ring *to, batch *from) {
    size_t at = atomic_load_explicit(&to->written, memory_order_relaxed);
    if (at - atomic_load_explicit(&to->read, memory_order_acquire) == RING) return false;
    memcpy(to->batches[at % RING], from->blocks, sizeof from->blocks);
    atomic_store_explicit(&to->written, at + 1, memory_order_release);
    from->count = 0;
    return true;
}

/* Fills an empty batch; false: there is none for it. */
static bool take(ring *from, batch *to) {
    size_t at = atomic_load_explicit(&from->read, memory_order_relaxed);
    if (at == atomic_load_explicit(&from->written, memory_order_acquire)) return false;
    memcpy(to->blocks, from->batches[at % RING], sizeof to->blocks);
    atomic_store_explicit(&from->read, at + 1, memory_order_release);
    to->count = BATCH;
    return true;
}

/* Frees what the other thread handed over in this one's stead. */
static void exchange(side *s, void *block) {
    const backend *b = s->both->b;
    if (s->given.count < BATCH || hand(s->out, &s->given))
        s->given.blocks[s->given.count++] = block;
    else
        b->release(b->state, block);
    if (s->taken.count || take(s->in, &s->taken)) b->release(b->state, s->taken.blocks[--s->taken.count]);
}

static void step(side *s, const call *c) {
    void *block = s->blocks[c->slot];
    if (!s->out || c->size != CALL_FREE || !block) {
        s->failures += perform(s->both->b, s->blocks, c);
        return;
    }
    s->blocks[c->slot] = NULL;
    exchange(s, block);
}

static void play_slice(side *s) {
    const workload *w = s->both->w;
    uint64_t now = nanoseconds(), lead = now + LEAD_NS, end = lead + PAIR_NS;
    s->begin = 0;
    for (s->calls = 0; now < end || !s->calls; now = nanoseconds()) {
        size_t left = w->count - s->place, next = left < SLICE_CALLS ? left : SLICE_CALLS;
        for (const call *c = w->calls + s->place, *to = c + next; c < to; c++) step(s, c);
        s->place = next < left ? s->place + next : w->from; /* every slot is full here, as it was there */
        if (!s->begin && now >= lead) s->begin = now;
        if (s->begin) s->calls += next;
    }
    s->end = now;
}

static void *side_main(void *argument) {
    side *s = argument;
    pair *p = s->both;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)s->core, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set); /* where the system allows it */
    for (size_t i = 0; i < p->w->from; i++) s->failures += perform(p->b, s->blocks, &p->w->calls[i]);
    s->place = p->w->from;
    for (;;) {
        pthread_barrier_wait(&p->gate);
        if (p->over) break;
        pthread_barrier_wait(&p->start);
        play_slice(s);
        pthread_barrier_wait(&p->gate);
    }
    while (s->in && (s->taken.count || take(s->in, &s->taken)))
        p->b->release(p->b->state, s->taken.blocks[--s->taken.count]);
    while (s->given.count) p->b->release(p->b->state, s->given.blocks[--s->given.count]);
    for (size_t i = 0; i < p->w->slots; i++)
        if (s->blocks[i]) p->b->release(p->b->state, s->blocks[i]);
    return NULL;
}

/* The first two cores that this process may run on; the same one twice where there is only one. */
static void find_cores(int cores[2]) {
    cpu_set_t set;
    int found = 0;
    cores[0] = cores[1] = 0;
    if (sched_getaffinity(0, sizeof set, &set)) return;
    for (int core = 0; core < CPU_SETSIZE && found < 2; core++)
        if (CPU_ISSET((size_t)core, &set)) cores[found++] = core;
    if (found == 1) cores[1] = cores[0];
}

static pair *start_pair(const backend *b, const workload *w, bool hand_over) {
    pair *p = aligned_alloc(64, sizeof *p);
    int cores[2];
    if (!p) exit(2);
    memset(p, 0, sizeof *p);
    p->b = b;
    p->w = w;
    find_cores(cores);
    if (pthread_barrier_init(&p->gate, NULL, 3) || pthread_barrier_init(&p->start, NULL, 2)) exit(2);
    for (int i = 0; i < 2; i++) {
        side *s = &p->sides[i];
        *s = (side){.both = p, .core = cores[i], .blocks = calloc(w->slots, sizeof(unsigned char *))};
        if (hand_over) {
            s->in = &p->rings[i];
            s->out = &p->rings[1 - i];
        }
        if (!s->blocks || pthread_create(&s->thread, NULL, side_main, s)) exit(2);
    }
    return p;
}

/* ns a call: the wall time of both over the calls of both. */
static double play_round(pair *p) {
    pthread_barrier_wait(&p->gate);
    pthread_barrier_wait(&p->gate);
    const side *a = &p->sides[0], *b = &p->sides[1];
    uint64_t begin = a->begin < b->begin ? a->begin : b->begin, end = a->end > b->end ? a->end : b->end;
    return (double)(end - begin) / (double)(a->calls + b->calls);
}

static uint64_t end_pair(pair *p) {
    p->over = true;
    pthread_barrier_wait(&p->gate);
    for (int i = 0; i < 2; i++) {
        pthread_join(p->sides[i].thread, NULL);
        free(p->sides[i].blocks);
    }
    uint64_t failures = p->sides[0].failures + p->sides[1].failures;
    pthread_barrier_destroy(&p->gate);
    pthread_barrier_destroy(&p->start);
    free(p);
    return failures;
}

bool pairs_take(const backend *b) {
    return !b->is_pool || (!b->config.single_threaded && strcmp(b->config.policy, "bump"));
}

void measure_pairs(backend *list, size_t count, const workload *w, bool hand_over, int rounds, row *rows) {
    pair **pairs = calloc(count, sizeof(pair *));
    if (!pairs) exit(2);
    for (size_t i = 0; i < count; i++) {
        rows[i].timed = pairs_take(&list[i]) && backend_open(&list[i], w->capacity);
        if (rows[i].timed) pairs[i] = start_pair(&list[i], w, hand_over);
    }
    for (int round = -1; round < rounds; round++) /* the first one warms up */
        for (size_t i = 0; i < count; i++) {
            if (!rows[i].timed) continue;
            double ns = play_round(pairs[i]);
            if (round >= 0) rows[i].ns[round] = ns;
        }
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].timed) continue;
        row_summarise(&rows[i], rounds);
        rows[i].failures = end_pair(pairs[i]);
        backend_close(&list[i]);
    }
    free(pairs);
}
