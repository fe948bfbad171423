/* SPDX-License-Identifier: MIT */
/*
 * heapwright-bench: time, worst case and tightness of every policy beside what
 * people would take instead.
 *
 *      heapwright-bench [--workload W1,W1x2] [--backend slab,mimalloc] [--rounds 7]
 *                       [--trace FILE] [--growth] [--json] [--help]
 *
 * Backends take turns, round by round, in one process; a figure is the median
 * of the rounds, its spread (most - least) / median. An operation is one call.
 * What a round is, rounds.h says; of two threads (W1x2, W1x2r), pairs.h. The
 * worst operation is the worst of the calls, each the least of five passes, the
 * clock's own cost taken off. Tightness: the peak of live bytes over the smallest pool in which
 * the workload runs, all metadata counted. W5 bounds the pools only: the other
 * projects' allocators are not told of a limit. The last table counts steps an
 * operation at 10^2 ... 10^6 free blocks: growth.h; with --growth it is all.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "growth.h"
#include "pairs.h"
#include "rounds.h"
#include "workload.h"

enum { LARGEST_DECADE = 6 };

typedef struct options {
    const char *workloads, *backends, *trace;
    int rounds;
    bool growth, json, help;
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

/* ---- What is printed ---- */

static void print_json(const char *name, const backend *b, const row *r, bool first) {
    printf("%s\n  {\"workload\": \"%s\", \"backend\": \"%s\", \"ns_per_op\": %.2f", first ? "" : ",", name,
           b->name, r->ns_per_op);
    if (r->one_by_one)
        printf(", \"p999_ns\": %llu, \"max_ns\": %llu", (unsigned long long)r->p999_ns,
               (unsigned long long)r->max_ns);
    printf(", \"failures\": %llu", (unsigned long long)r->failures);
    if (r->tightness > 0) printf(", \"tightness\": %.4f", r->tightness);
    if (r->speed_up > 0) printf(", \"speed_up\": %.3f", r->speed_up);
    printf(", \"spread\": %.3f}", r->spread);
}

static void print_cell(int width, int digits, double figure, bool measured) {
    if (measured)
        printf(" %*.*f", width, digits, figure);
    else
        printf(" %*s", width, "-");
}

static void print_table(const char *name, const workload *w, const backend *list, const row *rows,
                        size_t count) {
    printf("\n%s: %zu calls, peak %.2f MiB\n", name, w->count - w->from, (double)w->peak / 1048576);
    printf("%-24s %8s %7s %8s %9s %8s %9s %8s\n", "backend", "ns/call", "spread", "p99.9", "worst", "failed",
           "tightness", "speed-up");
    for (size_t i = 0; i < count; i++) {
        const row *r = &rows[i];
        if (!r->timed) continue;
        printf("%-24s %8.1f %6.0f%%", list[i].name, r->ns_per_op, r->spread * 100);
        print_cell(8, 0, (double)r->p999_ns, r->one_by_one);
        print_cell(9, 0, (double)r->max_ns, r->one_by_one);
        printf(" %8llu", (unsigned long long)r->failures);
        print_cell(9, 3, r->tightness, r->tightness > 0);
        print_cell(8, 2, r->speed_up, r->speed_up > 0);
        putchar('\n');
    }
    fflush(stdout);
}

static void print_rows(const options *o, const char *name, const workload *w, const backend *list,
                       const row *rows, size_t count, bool *first) {
    if (!o->json) print_table(name, w, list, rows, count);
    for (size_t i = 0; i < count && o->json; i++) {
        if (!rows[i].timed) continue;
        print_json(name, &list[i], &rows[i], *first);
        *first = false;
    }
}

/* ---- Workloads ---- */

/* One thread; the figures stay in `ns`, by backend, where it is not NULL. */
static void run_single(const options *o, backend *list, size_t count, const workload *w,
                       const workload *tight, double *ns, bool *first) {
    row *rows = calloc(MAX_BACKENDS, sizeof *rows);
    if (!rows) exit(2);
    measure_rounds(list, count, w, o->rounds, rows);
    if (tight) measure_tightness(list, count, tight, rows);
    for (size_t i = 0; i < count && ns; i++) ns[i] = rows[i].ns_per_op;
    print_rows(o, w->name, w, list, rows, count, first);
    free(rows);
}

/* Two threads; `ns`: what one thread took, 0 where that was not measured. */
static void run_pair(const options *o, backend *list, size_t count, size_t number, const double *ns,
                     bool *first) {
    workload w;
    row *rows = calloc(MAX_BACKENDS, sizeof *rows);
    if (!rows || !workload_make(pairs[number].of, false, &w)) exit(2);
    measure_pairs(list, count, &w, pairs[number].hand_over, o->rounds, rows);
    for (size_t i = 0; i < count; i++)
        if (rows[i].timed && ns[i] > 0) rows[i].speed_up = ns[i] / rows[i].ns_per_op;
    print_rows(o, pairs[number].name, &w, list, rows, count, first);
    workload_free(&w);
    free(rows);
}

/* False: the trace can't be read. */
static bool run_workloads(const options *o, backend *list, size_t count) {
    double single[MAX_BACKENDS] = {0}; /* W1's figures, for the speed-up */
    bool first = true;
    const char *name;
    workload w, tight;
    for (size_t i = 0; (name = workload_name(i)); i++) {
        if ((o->trace && !o->workloads) || !named(o->workloads, name)) continue;
        if (!workload_make(name, false, &w) || !workload_make(name, true, &tight)) exit(2);
        run_single(o, list, count, &w, &tight, strcmp(name, pairs[0].of) ? NULL : single, &first);
        workload_free(&w);
        workload_free(&tight);
    }
    for (size_t i = 0; i < PAIRS; i++)
        if (!(o->trace && !o->workloads) && named(o->workloads, pairs[i].name))
            run_pair(o, list, count, i, single, &first);
    if (!o->trace) return true;
    if (!workload_load(o->trace, &w)) return false;
    run_single(o, list, count, &w, NULL, NULL, &first);
    workload_free(&w);
    return true;
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
        if (!list[i].is_pool || !c->single_threaded) continue;
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
    fputs("usage: heapwright-bench [--workload W1,W1x2,...] [--backend NAME,...] [--trace FILE]\n"
          "                        [--rounds N] [--growth] [--json] [--help]\n"
          "Times heapwright's policies beside other allocators: see spec/bench/bench.c.\n"
          "A pair's speed-up (W1x2, W1x2r) needs W1 in the same run. Rounds: 7 to 99.\n",
          to);
    return status;
}

static bool read_options(int argc, char **argv, options *o) {
    static const struct option known[] = {
        {"workload", 1, 0, 'w'}, {"backend", 1, 0, 'b'}, {"trace", 1, 0, 't'}, {"rounds", 1, 0, 'r'},
        {"growth", 0, 0, 'g'},   {"json", 0, 0, 'j'},    {"help", 0, 0, 'h'},  {NULL, 0, 0, 0}};
    *o = (options){.rounds = 7};
    for (int found; (found = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (found == 'w') o->workloads = optarg;
        if (found == 'b') o->backends = optarg;
        if (found == 't') o->trace = optarg;
        if (found == 'r') o->rounds = atoi(optarg);
        if (found == 'g') o->growth = true;
        if (found == 'j') o->json = true;
        if (found == 'h') o->help = true;
        if (found == '?') return false;
    }
    return optind == argc && o->rounds >= 7 && o->rounds <= MAX_ROUNDS;
}

int main(int argc, char **argv) {
    options o;
    static backend all[MAX_BACKENDS];
    backend list[MAX_BACKENDS];
    ask_for_static_tls(argv);
    if (!read_options(argc, argv, &o)) return usage(stderr, 2);
    if (o.help) return usage(stdout, 0);
    size_t count = 0;
    known_count = backend_list(all);
    known_backends = all;
    if (!all_known("backend", o.backends, any_backend) || !all_known("workload", o.workloads, any_workload))
        return 2;
    for (size_t i = 0; i < known_count; i++)
        if (named(o.backends, all[i].name)) list[count++] = all[i];
    bool timing = !o.growth, growing = o.growth || !(o.workloads || o.trace);
    if (o.json) printf("{");
    if (timing && o.json) printf("\"rows\": [");
    if (timing && !run_workloads(&o, list, count)) return 2;
    if (timing && o.json) printf("\n]");
    if (growing && o.json) printf("%s\"growth\": [", timing ? ", " : "");
    if (growing) run_growth(&o, list, count);
    if (o.json) printf("%s}\n", growing ? "\n]" : "");
    return 0;
}
