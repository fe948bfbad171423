/* SPDX-License-Identifier: MIT */
/*
 * heapwright-bench: time, worst case and tightness of every policy beside what
 * people would take instead.
 *
 *      heapwright-bench [--workload W1,W1x2] [--backend slab,mimalloc] [--rounds 7]
 *                       [--trace FILE] [--replay FILE] [--pages] [--growth] [--tightness]
 *                       [--ratios] [--json] [--help]
 *
 * Backends take turns, round by round, in one process; a figure is the median
 * of the rounds, its spread (most - least) / median. An operation is one call.
 * What a round is, rounds.h says; of two threads (W1x2, W1x2r), pairs.h. The
 * worst operation is the worst of the calls, each the least of five passes, the
 * clock's own cost taken off. Tightness: the peak of live bytes over the smallest pool in which
 * the workload runs, all metadata counted. W5 bounds the pools only: the other
 * projects' allocators are not told of a limit.
 *
 * --trace takes a recorded trace's calls as one more workload; --replay asks how
 * fast it is replayed (replays.h); --pages shows what huge pages do (pages.h);
 * --growth counts steps an operation at 10^2 ... 10^6 free blocks (growth.h);
 * --tightness shows it with other granules (tightness.h).
 * Each of these alone is all that is done; none of them, and no workload named:
 * all but the traces. --ratios measures what the goals are about, where nothing
 * else says what, and prints how far they are met instead of the tables.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "growth.h"
#include "pages.h"
#include "pairs.h"
#include "ratios.h"
#include "replays.h"
#include "results.h"
#include "rounds.h"
#include "tightness.h"
#include "workload.h"

enum { LARGEST_DECADE = 6 };

typedef struct options {
    const char *workloads, *backends, *trace, *replay;
    int rounds;
    bool pages, growth, tightness, ratios, json, help;
} options;

/* Two threads on a workload of one. */
static const struct {
    const char *name, *of;
    bool hand_over;
} pairs[] = {{"W1x2", "W1", false}, {"W1x2r", "W1", true}};

enum { PAIRS = sizeof pairs / sizeof *pairs };

/* ---- Names ---- */

/* Whether `name` is in the comma-separated list; all are in none. */
static bool named(const char *list, const char *name) {
    if (!list) return true;
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, name, length) && (at[length] == ',' || !at[length])) return true;
    return false;
}

static const char *any_workload(size_t number) {
    size_t single = 0;
    while (workload_name(single)) single++;
    if (number < single) return workload_name(number);
    return number - single < PAIRS ? pairs[number - single].name : NULL;
}

static const backend *known_backends; /* for any_backend */
static size_t known_count;

static const char *any_backend(size_t number) {
    return number < known_count ? known_backends[number].name : NULL;
}

/* Complains of the first name in the list that is not known, with those that are. */
static bool all_known(const char *what, const char *list, const char *(*known)(size_t)) {
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        size_t length = strcspn(at, ",");
        const char *name;
        bool found = false;
        for (size_t i = 0; (name = known(i)) && !found; i++)
            found = strlen(name) == length && !strncmp(at, name, length);
        if (found) continue;
        fprintf(stderr, "heapwright-bench: no such %s: %.*s; known:", what, (int)length, at);
        for (size_t i = 0; (name = known(i)); i++) fprintf(stderr, " %s", name);
        fputc('\n', stderr);
        return false;
    }
    return true;
}

/* ---- Workloads ---- */

/* Is it to be measured: named, or none is named and nothing else asked for? */
static bool wanted(const options *o, const char *name) {
    if (o->workloads) return named(o->workloads, name);
    if (o->ratios) return ratios_want_workload(name);
    return !(o->trace || o->replay || o->pages || o->growth || o->tightness);
}

/* A result is whole: its table, where tables are printed. */
static void conclude(const options *o, const results *r, const result *one) {
    if (!o->json && !o->ratios) results_print_table(r, one);
}

static void describe(result *to, const workload *w) {
    to->calls = w->count - w->from;
    to->peak = w->peak;
}

static void run_single(const options *o, results *r, backend *list, const workload *w,
                       const workload *tight) {
    result *one = results_add(r, w->name);
    describe(one, w);
    measure_rounds(list, r->count, w, o->rounds, one->rows);
    if (tight) measure_tightness(list, r->count, tight, one->rows);
    if (tight) one->tight_calls = tight->count;
    conclude(o, r, one);
}

/* The speed-up is over the same run's figures of one thread, where it has any. */
static void run_pair(const options *o, results *r, backend *list, size_t number) {
    workload w;
    if (!workload_make(pairs[number].of, WORKLOAD_HALF, &w)) exit(2);
    result *one = results_add(r, pairs[number].name);
    describe(one, &w);
    measure_pairs(list, r->count, &w, pairs[number].hand_over, o->rounds, one->rows);
    for (size_t i = 0; i < r->count; i++) {
        const row *single = results_find(r, pairs[number].of, list[i].name);
        if (one->rows[i].timed && single) one->rows[i].speed_up = single->ns_per_op / one->rows[i].ns_per_op;
    }
    conclude(o, r, one);
    workload_free(&w);
}

/* What was recorded; false: it can't be read. */
static bool run_traces(const options *o, results *r, backend *list) {
    workload w;
    if (o->trace) {
        if (!workload_load(o->trace, &w)) return false;
        run_single(o, r, list, &w, NULL);
        workload_free(&w);
    }
    if (!o->replay) return true;
    result *one = results_add(r, "replay");
    if (!measure_replays(list, r->count, o->replay, o->rounds, one->rows, &w)) return false;
    describe(one, &w);
    conclude(o, r, one);
    return true;
}

static bool run_workloads(const options *o, results *r, backend *list) {
    const char *name;
    workload w, tight;
    for (size_t i = 0; (name = workload_name(i)); i++) {
        if (!wanted(o, name)) continue;
        if (!workload_make(name, WORKLOAD_WHOLE, &w) || !workload_make(name, WORKLOAD_TIGHT, &tight)) exit(2);
        run_single(o, r, list, &w, &tight);
        workload_free(&w);
        workload_free(&tight);
    }
    for (size_t i = 0; i < PAIRS; i++)
        if (wanted(o, pairs[i].name)) run_pair(o, r, list, i);
    return run_traces(o, r, list);
}

/* ---- Growth ---- */

/* Every policy and order once, sizes from many bins. */
static void run_growth(const options *o, const backend *list, size_t count) {
    bool first = true;
    if (!o->json) {
        printf("\nsteps an operation, mean / worst, by free blocks\n%-16s", "policy");
        for (int decade = 2; decade <= LARGEST_DECADE; decade++) printf("         10^%d", decade);
        putchar('\n');
    }
    for (size_t i = 0; i < count; i++) {
        const hpw_config *c = &list[i].config;
        if (!list[i].is_pool || !c->single_threaded || c->guard != HPW_GUARD_OFF) continue;
        int length = (int)(strlen(list[i].name) - strlen("/nolock"));
        if (!o->json) printf("%-16.*s", length, list[i].name);
        size_t holes = 10;
        for (int decade = 2; decade <= LARGEST_DECADE; decade++) {
            growth g = growth_measure(c->policy, c->order, GROWTH_SMALL, holes *= 10);
            if (o->json)
                printf("%s\n  {\"backend\": \"%.*s\", \"free_blocks\": %zu, \"steps_mean\": %.2f, "
                       "\"steps_max\": %llu}",
                       first ? "" : ",", length, list[i].name, holes, g.steps_mean,
                       (unsigned long long)g.steps_max);
            else
                printf(" %6.1f /%4llu", g.steps_mean, (unsigned long long)g.steps_max);
            first = false;
        }
        if (!o->json) putchar('\n');
    }
}

/* ---- The command line ---- */

/*
 * Some of the allocators want more thread-local storage than the C library
 * keeps for libraries loaded late: starts the program again with more of it.
 */
static void ask_for_static_tls(char **argv) {
    if (getenv("GLIBC_TUNABLES")) return;
    setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536", 1);
    execv("/proc/self/exe", argv);
}

static int usage(FILE *to, int status) {
    fputs("usage: heapwright-bench [--workload W1,W1x2,...] [--backend NAME,...]\n"
          "                        [--rounds N] [--trace FILE] [--replay FILE] [--pages]\n"
          "                        [--growth] [--tightness] [--ratios] [--json] [--help]\n"
          "Times heapwright's policies beside other allocators: see spec/bench/bench.c.\n"
          "A pair's speed-up (W1x2, W1x2r) needs W1 in the same run. Rounds: 7 to 99.\n",
          to);
    return status;
}

static bool read_options(int argc, char **argv, options *o) {
    static const struct option known[] = {
        {"workload", 1, 0, 'w'},  {"backend", 1, 0, 'b'}, {"rounds", 1, 0, 'r'}, {"trace", 1, 0, 't'},
        {"tightness", 0, 0, 'i'}, {"replay", 1, 0, 'R'},  {"pages", 0, 0, 'p'},  {"growth", 0, 0, 'g'},
        {"ratios", 0, 0, 'q'},    {"json", 0, 0, 'j'},    {"help", 0, 0, 'h'},   {NULL, 0, 0, 0}};
    *o = (options){.rounds = 7};
    for (int found; (found = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (found == 'w') o->workloads = optarg;
        if (found == 'b') o->backends = optarg;
        if (found == 't') o->trace = optarg;
        if (found == 'r') o->rounds = atoi(optarg);
        if (found == 'R') o->replay = optarg;
        if (found == 'p') o->pages = true;
        if (found == 'g') o->growth = true;
        if (found == 'i') o->tightness = true;
        if (found == 'q') o->ratios = true;
        if (found == 'j') o->json = true;
        if (found == 'h') o->help = true;
        if (found == '?') return false;
    }
    return optind == argc && o->rounds >= 7 && o->rounds <= MAX_ROUNDS;
}

/* Everything but the growth; false: a trace can't be read. */
static bool run_timed(const options *o, results *r, backend *list, bool nothing_named) {
    if (!run_workloads(o, r, list)) return false;
    if (o->pages || nothing_named) {
        measure_pages(r, o->rounds);
        if (!o->json && !o->ratios) print_pages(r);
    }
    if (o->ratios && !o->json) ratios_print_table(r);
    if (!o->json) return true;
    printf("{\"rows\": ");
    results_print_json(r);
    if (o->ratios) printf(", \"ratios\": ");
    if (o->ratios) ratios_print_json(r);
    return true;
}

int main(int argc, char **argv) {
    options o;
    static backend all[MAX_BACKENDS], list[MAX_BACKENDS];
    ask_for_static_tls(argv);
    if (!read_options(argc, argv, &o)) return usage(stderr, 2);
    if (o.help) return usage(stdout, 0);
    results r = {.list = list};
    known_count = backend_list(all);
    known_backends = all;
    if (!all_known("backend", o.backends, any_backend) || !all_known("workload", o.workloads, any_workload))
        return 2;
    for (size_t i = 0; i < known_count; i++)
        if (o.backends || !o.ratios ? named(o.backends, all[i].name) : ratios_want_backend(all[i].name))
            list[r.count++] = all[i];
    bool nothing_named =
        !(o.workloads || o.trace || o.replay || o.pages || o.growth || o.tightness || o.ratios);
    if (!run_timed(&o, &r, list, nothing_named)) return 2;
    if (o.json && (o.growth || nothing_named)) printf(", \"growth\": [");
    if (o.growth || nothing_named) run_growth(&o, list, r.count);
    if (o.json && (o.growth || nothing_named)) printf("\n]");
    if (o.json && (o.tightness || nothing_named)) printf(", \"tightness\": [");
    if (o.tightness || nothing_named) run_tightness(list, r.count, o.json);
    if (o.json) printf("%s}\n", o.tightness || nothing_named ? "\n]" : "");
    results_free(&r);
    return 0;
}
