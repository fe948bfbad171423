/* SPDX-License-Identifier: MIT */
/* Measuring huge and small pages: see pages.h. */
#include "pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct {
    const char *of, *huge, *small;
    bool fresh;
} passes[] = {
    {"W2", "W2/huge-pages", "W2/small-pages", false},
    {"W6", "W6/huge-pages", "W6/small-pages", false},
    {"W6", "W6/fresh/huge-pages", "W6/fresh/small-pages", true},
};

enum { PASSES = sizeof passes / sizeof *passes };

static uint64_t page_faults(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : (uint64_t)usage.ru_minflt;
}

/* The whole list in a pool opened anew: ns a call. */
static double play_fresh(backend *b, unsigned char **blocks, const workload *w, row *r) {
    memset(blocks, 0, w->slots * sizeof *blocks);
    if (!backend_open(b, w->capacity)) exit(2);
    uint64_t faults = page_faults(), begin = cpu_nanoseconds();
    r->failures = perform_all(b, blocks, w->calls, w->calls + w->count);
    uint64_t took = cpu_nanoseconds() - begin;
    r->faults = page_faults() - faults;
    r->has_faults = true;
    backend_close(b);
    return (double)took / (double)w->count;
}

static void measure_fresh(backend *list, size_t count, const workload *w, int rounds, row *rows) {
    unsigned char **blocks = calloc(w->slots, sizeof *blocks);
    if (!blocks) exit(2);
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++) rows[i].ns[round] = play_fresh(&list[i], blocks, w, &rows[i]);
    for (size_t i = 0; i < count; i++) {
        row_summarise(&rows[i], rounds);
        rows[i].timed = true;
    }
    free(blocks);
}

/* The backends of a pass, each once with huge pages and once with small ones; how many. */
static size_t both_pages(const results *r, backend *list, size_t *from) {
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        const hpw_config *c = &r->list[i].config;
        bool taken = r->list[i].is_pool && c->single_threaded && !c->order && !c->guard;
        for (int small = 0; small < 2 && taken; small++) {
            from[count] = i;
            list[count] = r->list[i];
            list[count++].config.small_pages = small;
        }
    }
    return count;
}

static void measure_pass(results *r, size_t number, backend *list, const size_t *from, size_t count,
                         int rounds) {
    workload w;
    row *rows = calloc(count + 1, sizeof *rows);
    if (!rows || !workload_make(passes[number].of, WORKLOAD_WHOLE, &w)) exit(2);
    if (passes[number].fresh)
        measure_fresh(list, count, &w, rounds, rows);
    else
        measure_rounds(list, count, &w, rounds, rows);
    result *huge = results_add(r, passes[number].huge), *small = results_add(r, passes[number].small);
    for (size_t i = 0; i < count; i++) (i % 2 ? small : huge)->rows[from[i]] = rows[i];
    huge->calls = small->calls = passes[number].fresh ? w.count : w.count - w.from;
    huge->peak = small->peak = w.peak;
    workload_free(&w);
    free(rows);
}

void measure_pages(results *r, int rounds) {
    static backend list[2 * MAX_BACKENDS];
    size_t from[2 * MAX_BACKENDS], count = both_pages(r, list, from);
    for (size_t i = 0; i < PASSES; i++) measure_pass(r, i, list, from, count, rounds);
}

void print_pages(const results *r) {
    printf("\nns a call on huge pages and on small ones, and page faults in a fresh pool\n");
    printf("%-12s %-24s %8s %8s %6s %8s %8s\n", "workload", "backend", "huge", "small", "ratio", "faults",
           "small's");
    for (size_t i = 0; i < PASSES; i++)
        for (size_t j = 0; j < r->count; j++) {
            const char *name = r->list[j].name;
            const row *huge = results_find(r, passes[i].huge, name);
            const row *small = results_find(r, passes[i].small, name);
            if (!huge || !small) continue;
            printf("%-12s %-24s %8.1f %8.1f %6.2f", passes[i].fresh ? "W6/fresh" : passes[i].of, name,
                   huge->ns_per_op, small->ns_per_op, huge->ns_per_op / small->ns_per_op);
            print_cell(8, 0, (double)huge->faults, huge->has_faults);
            print_cell(8, 0, (double)small->faults, small->has_faults);
            putchar('\n');
        }
    fflush(stdout);
}
