/* SPDX-License-Identifier: MIT */
/*
 * heapwright-bench: time, worst case and tightness of every policy beside what
 * people would take instead.
 *
 *      heapwright-bench [--workload W1,W2] [--backend slab,mimalloc] [--rounds 7]
 *                       [--trace FILE] [--json]
 *
 * Backends take turns, round by round, in one process; a figure is the median
 * of the rounds, its spread (most - least) / median. An operation is one call.
 * The worst operation is the least of five passes' worst, the clock's own cost
 * taken off. Tightness: the peak of live bytes over the smallest pool in which
 * the workload runs, all metadata counted.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "workload.h"

enum { MAX_ROUNDS = 99, WORST_PASSES = 5, WORST_CALLS = 300000 };

typedef struct row {
    double ns[MAX_ROUNDS];
    double ns_per_op, spread, tightness;
    uint64_t p999_ns, max_ns, failures;
    bool timed;
} row;

static uint64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- The loops ---- */

static inline uint64_t perform(const backend *b, unsigned char **blocks, const call *c) {
    unsigned char **block = &blocks[c->slot];
    if (c->size == CALL_FREE) {
        if (*block) b->release(b->state, *block);
        *block = NULL;
        return 0;
    }
    *block = b->allocate(b->state, c->size);
    if (!*block) return 1;
    **block = 1;
    return 0;
}

static uint64_t perform_all(const backend *b, unsigned char **blocks, const call *from, const call *to) {
    uint64_t failures = 0;
    for (; from < to; from++) failures += perform(b, blocks, from);
    return failures;
}

static void free_all(const backend *b, unsigned char **blocks, const workload *w) {
    for (size_t i = 0; i < w->slots; i++)
        if (blocks[i]) b->release(b->state, blocks[i]);
    memset(blocks, 0, w->slots * sizeof *blocks);
}

/* ns a call, of the calls that are timed. */
static double run_once(backend *b, unsigned char **blocks, const workload *w, uint64_t *failures) {
    uint64_t failed = perform_all(b, blocks, w->calls, w->calls + w->from);
    uint64_t begin = nanoseconds();
    failed += perform_all(b, blocks, w->calls + w->from, w->calls + w->count);
    uint64_t took = nanoseconds() - begin;
    free_all(b, blocks, w);
    *failures = failed;
    return (double)took / (double)(w->count - w->from);
}

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static int by_time(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* Every call by itself, against the clock's own cost. */
static void find_worst(backend *b, unsigned char **blocks, const workload *w, row *r) {
    size_t count = w->count - w->from < WORST_CALLS ? w->count - w->from : WORST_CALLS;
    uint32_t *samples = malloc(count * sizeof *samples);
    if (!samples) return;
    uint64_t cost = UINT64_MAX;
    for (int i = 0; i < 1000; i++) {
        uint64_t begin = nanoseconds(), one = nanoseconds() - begin;
        if (one < cost) cost = one;
    }
    r->max_ns = r->p999_ns = UINT64_MAX;
    for (int pass = 0; pass < WORST_PASSES; pass++) {
        perform_all(b, blocks, w->calls, w->calls + w->from);
        for (size_t i = 0; i < count; i++) {
            uint64_t begin = nanoseconds();
            perform(b, blocks, &w->calls[w->from + i]);
            uint64_t took = nanoseconds() - begin;
            samples[i] = (uint32_t)(took > cost ? took - cost : 0);
        }
        free_all(b, blocks, w);
        qsort(samples, count, sizeof *samples, by_time);
        if (samples[count - 1] < r->max_ns) r->max_ns = samples[count - 1];
        uint64_t p999 = samples[(size_t)((double)(count - 1) * 0.999)];
        if (p999 < r->p999_ns) r->p999_ns = p999;
    }
    free(samples);
}

/* ---- Tightness ---- */

static bool fits(backend *b, unsigned char **blocks, const workload *w, uint64_t capacity, uint64_t *whole) {
    hpw_stats stats;
    if (!backend_open(b, capacity)) return false;
    memset(blocks, 0, w->slots * sizeof *blocks);
    bool fitted = true;
    for (size_t i = 0; i < w->count && fitted; i++) fitted = !perform(b, blocks, &w->calls[i]);
    hpw_get_stats(b->pool, &stats);
    *whole = stats.capacity + stats.metadata;
    backend_close(b);
    return fitted;
}

/* By bisection to a granule: an upper bound of what a full search would find. */
static double find_tightness(backend *b, unsigned char **blocks, const workload *w) {
    uint64_t least = w->peak / 16, most = w->peak / 8, whole, best = 0;
    while (!fits(b, blocks, w, most * 16, &whole)) most *= 2;
    for (best = whole; most - least > 1;) {
        uint64_t middle = least + (most - least) / 2;
        if (fits(b, blocks, w, middle * 16, &whole)) {
            most = middle;
            best = whole;
        } else {
            least = middle;
        }
    }
    return (double)w->peak / (double)best;
}

/* ---- A workload ---- */

static bool named(const char *list, const char *name) {
    if (!list) return true;
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, name, length) && (at[length] == ',' || !at[length])) return true;
    return false;
}

static void measure(backend *list, size_t count, const workload *w, int rounds, row *rows) {
    unsigned char **blocks = calloc(w->slots, sizeof *blocks);
    if (!blocks) exit(2);
    for (size_t i = 0; i < count; i++) rows[i].timed = backend_open(&list[i], w->capacity);
    for (int round = -1; round < rounds; round++) /* the first one warms up */
        for (size_t i = 0; i < count; i++) {
            if (!rows[i].timed) continue;
            double ns = run_once(&list[i], blocks, w, &rows[i].failures);
            if (round >= 0) rows[i].ns[round] = ns;
        }
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].timed) continue;
        qsort(rows[i].ns, (size_t)rounds, sizeof *rows[i].ns, by_value);
        rows[i].ns_per_op = rows[i].ns[rounds / 2];
        rows[i].spread = (rows[i].ns[rounds - 1] - rows[i].ns[0]) / rows[i].ns_per_op;
        find_worst(&list[i], blocks, w, &rows[i]);
        backend_close(&list[i]);
    }
    free(blocks);
}

/* Locked and unlocked pools place alike: each is searched once. */
static void measure_tightness(backend *list, size_t count, const workload *w, row *rows) {
    unsigned char **blocks = calloc(w->slots, sizeof *blocks);
    for (size_t i = 0; i < count && blocks; i++) {
        if (!list[i].is_pool || !strcmp(list[i].config.policy, "bump")) continue;
        const backend *before = i ? &list[i - 1] : NULL;
        bool same = before && before->is_pool && !strcmp(before->config.policy, list[i].config.policy) &&
                    before->config.order == list[i].config.order;
        rows[i].tightness = same ? rows[i - 1].tightness : find_tightness(&list[i], blocks, w);
    }
    free(blocks);
}

/* ---- What is printed ---- */

static void print_json(const char *name, const backend *b, const row *r, bool first) {
    printf("%s\n  {\"workload\": \"%s\", \"backend\": \"%s\", \"ns_per_op\": %.2f, \"p999_ns\": %llu, "
           "\"max_ns\": %llu, \"failures\": %llu",
           first ? "" : ",", name, b->name, r->ns_per_op, (unsigned long long)r->p999_ns,
           (unsigned long long)r->max_ns, (unsigned long long)r->failures);
    if (r->tightness > 0) printf(", \"tightness\": %.4f", r->tightness);
    printf(", \"spread\": %.3f}", r->spread);
}

static void print_table(const workload *w, const backend *list, const row *rows, size_t count) {
    printf("\n%s: %zu calls, peak %.2f MiB\n", w->name, w->count - w->from, (double)w->peak / 1048576);
    printf("%-24s %8s %7s %8s %9s %8s %9s\n", "backend", "ns/call", "spread", "p99.9", "worst", "failed",
           "tightness");
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].timed) continue;
        printf("%-24s %8.1f %6.0f%% %8llu %9llu %8llu", list[i].name, rows[i].ns_per_op, rows[i].spread * 100,
               (unsigned long long)rows[i].p999_ns, (unsigned long long)rows[i].max_ns,
               (unsigned long long)rows[i].failures);
        if (rows[i].tightness > 0)
            printf(" %9.3f\n", rows[i].tightness);
        else
            printf(" %9s\n", "-");
    }
    fflush(stdout);
}

typedef struct options {
    const char *workloads, *backends, *trace;
    int rounds;
    bool json;
} options;

static void run(const options *o, backend *list, size_t count, const workload *w, const workload *tight,
                bool *first) {
    row *rows = calloc(count, sizeof *rows);
    if (!rows) exit(2);
    measure(list, count, w, o->rounds, rows);
    if (tight) measure_tightness(list, count, tight, rows);
    if (!o->json) print_table(w, list, rows, count);
    for (size_t i = 0; i < count && o->json; i++) {
        if (!rows[i].timed) continue;
        print_json(w->name, &list[i], &rows[i], *first);
        *first = false;
    }
    free(rows);
}

/*
 * Some of the allocators want more thread-local storage than the C library
 * keeps for libraries loaded late: starts the program again with more of it.
 */
static void ask_for_static_tls(char **argv) {
    if (getenv("GLIBC_TUNABLES")) return;
    setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536", 1);
    execv("/proc/self/exe", argv);
}

static int usage(void) {
    fputs("usage: heapwright-bench [--workload W1,W2,...] [--backend NAME,...] [--trace FILE]\n"
          "                        [--rounds N] [--json]\n"
          "Times heapwright's policies beside other allocators: see spec/bench/bench.c.\n",
          stderr);
    return 2;
}

static bool read_options(int argc, char **argv, options *o) {
    static const struct option known[] = {{"workload", 1, 0, 'w'}, {"backend", 1, 0, 'b'},
                                          {"trace", 1, 0, 't'},    {"rounds", 1, 0, 'r'},
                                          {"json", 0, 0, 'j'},     {NULL, 0, 0, 0}};
    *o = (options){.rounds = 7};
    for (int found; (found = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (found == 'w') o->workloads = optarg;
        if (found == 'b') o->backends = optarg;
        if (found == 't') o->trace = optarg;
        if (found == 'r') o->rounds = atoi(optarg);
        if (found == 'j') o->json = true;
        if (found == '?') return false;
    }
    return optind == argc && o->rounds > 0 && o->rounds <= MAX_ROUNDS;
}

int main(int argc, char **argv) {
    options o;
    backend all[MAX_BACKENDS], list[MAX_BACKENDS];
    ask_for_static_tls(argv);
    if (!read_options(argc, argv, &o)) return usage();
    size_t count = 0, known = backend_list(all);
    for (size_t i = 0; i < known; i++)
        if (named(o.backends, all[i].name)) list[count++] = all[i];
    if (!count) return fprintf(stderr, "heapwright-bench: no such backend: %s\n", o.backends), usage();
    bool first = true, any = false;
    if (o.json) printf("{\"rows\": [");
    const char *name;
    for (size_t i = 0; (name = workload_name(i)); i++) {
        workload w, tight;
        if ((o.trace && !o.workloads) || !named(o.workloads, name)) continue;
        any = true;
        if (!workload_make(name, false, &w) || !workload_make(name, true, &tight)) return 2;
        run(&o, list, count, &w, &tight, &first);
        workload_free(&w);
        workload_free(&tight);
    }
    if (o.trace) {
        workload w;
        any = true;
        if (!workload_load(o.trace, &w)) return 2;
        run(&o, list, count, &w, NULL, &first);
        workload_free(&w);
    }
    if (o.json) printf("\n]}\n");
    if (!any) return fprintf(stderr, "heapwright-bench: no such workload: %s\n", o.workloads), usage();
    return 0;
}
