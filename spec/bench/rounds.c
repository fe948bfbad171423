/* SPDX-License-Identifier: MIT */
/* Measuring by one thread: see rounds.h. */
#include "rounds.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORST_PASSES = 5, WORST_CALLS = 100000 };

/* A backend, its blocks, and its place in the list of calls. */
typedef struct player {
    backend *b;
    unsigned char **blocks;
    size_t place;
} player;

static uint64_t read_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t nanoseconds(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t cpu_nanoseconds(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

static void free_all(const backend *b, unsigned char **blocks, const workload *w) {
    for (size_t i = 0; i < w->slots; i++)
        if (blocks[i]) b->release(b->state, blocks[i]);
    memset(blocks, 0, w->slots * sizeof *blocks);
}

/* ---- Rounds ---- */

static void begin_anew(player *p, const workload *w) {
    free_all(p->b, p->blocks, w);
    perform_all(p->b, p->blocks, w->calls, w->calls + w->from);
    p->place = w->from;
}

/* One round: ns a call. Its first slices bring the backend's lines back after the others' turns. */
static double play(player *p, const workload *w) {
    uint64_t spent = 0;
    size_t calls = 0;
    for (int lead = w->one_shot ? 0 : LEAD_SLICES; calls == 0 || (!w->one_shot && spent < SLICE_NS);) {
        if (p->place == w->count) begin_anew(p, w);
        size_t left = w->count - p->place, next = w->one_shot || left < SLICE_CALLS ? left : SLICE_CALLS;
        const call *from = w->calls + p->place;
        uint64_t begin = cpu_nanoseconds();
        perform_all(p->b, p->blocks, from, from + next);
        p->place += next;
        if (lead-- > 0) continue;
        spent += cpu_nanoseconds() - begin;
        calls += next;
    }
    return (double)spent / (double)calls;
}

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

void row_summarise(row *r, int rounds) {
    qsort(r->ns, (size_t)rounds, sizeof *r->ns, by_value);
    r->ns_per_op = r->ns[rounds / 2];
    r->spread = (r->ns[rounds - 1] - r->ns[0]) / r->ns_per_op;
}

/* ---- The worst operation, and failures ---- */

static int by_time(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static uint64_t cost_of_clock(void) {
    uint64_t cost = UINT64_MAX;
    for (int i = 0; i < 1000; i++) {
        uint64_t begin = nanoseconds(), one = nanoseconds() - begin;
        if (one < cost) cost = one;
    }
    return cost;
}

/*
 * Every call by itself, the clock's own cost taken off: the first WORST_CALLS
 * of the list, each the least of five passes, so that what the system does in
 * between is not charged to it. Failures are those of the first pass, which
 * goes on to the list's end where the pool is bounded.
 */
static void find_worst(player *p, const workload *w, row *r) {
    size_t timed = w->count - w->from, count = timed < WORST_CALLS ? timed : WORST_CALLS;
    uint32_t *samples = malloc(count * sizeof *samples);
    if (!samples) exit(2);
    memset(samples, 0xFF, count * sizeof *samples);
    uint64_t cost = cost_of_clock();
    for (int pass = 0; pass < WORST_PASSES; pass++) {
        free_all(p->b, p->blocks, w);
        uint64_t failures = perform_all(p->b, p->blocks, w->calls, w->calls + w->from);
        for (size_t i = 0; i < count; i++) {
            uint64_t begin = nanoseconds();
            failures += perform(p->b, p->blocks, &w->calls[w->from + i]);
            uint64_t took = nanoseconds() - begin;
            uint32_t net = (uint32_t)(took > cost ? took - cost : 0);
            if (net < samples[i]) samples[i] = net;
        }
        if (pass) continue;
        if (w->bounded)
            failures += perform_all(p->b, p->blocks, w->calls + w->from + count, w->calls + w->count);
        r->failures = failures;
    }
    qsort(samples, count, sizeof *samples, by_time);
    r->max_ns = samples[count - 1];
    r->p999_ns = samples[(size_t)((double)(count - 1) * 0.999)];
    r->one_by_one = true;
    free(samples);
    free_all(p->b, p->blocks, w);
}

void measure_rounds(backend *list, size_t count, const workload *w, int rounds, row *rows) {
    player *players = calloc(count, sizeof *players);
    if (!players) exit(2);
    for (size_t i = 0; i < count; i++) {
        players[i] = (player){.b = &list[i], .blocks = calloc(w->slots, sizeof(unsigned char *))};
        if (!players[i].blocks) exit(2);
        players[i].place = w->count; /* the first round fills */
        rows[i].timed = backend_open(&list[i], w->capacity);
    }
    backend_touch(list, count);
    for (int round = -1; round < rounds; round++) /* the first one warms up */
        for (size_t i = 0; i < count; i++) {
            if (!rows[i].timed) continue;
            double ns = play(&players[i], w);
            if (round >= 0) rows[i].ns[round] = ns;
        }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].timed) {
            row_summarise(&rows[i], rounds);
            find_worst(&players[i], w, &rows[i]);
            backend_close(&list[i]);
        }
        free(players[i].blocks);
    }
    free(players);
}
