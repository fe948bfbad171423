/* SPDX-License-Identifier: MIT */
/* Keeping and printing what was measured: see results.h. */
#include "results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

result *results_add(results *r, const char *name) {
    if (r->done == MAX_RESULTS) exit(2);
    result *added = &r->all[r->done++];
    *added = (result){.workload = name, .rows = calloc(MAX_BACKENDS, sizeof(row))};
    if (!added->rows) {
        fputs("heapwright-bench: no memory\n", stderr);
        exit(2);
    }
    return added;
}

const row *results_find(const results *r, const char *on, const char *name) {
    for (size_t i = 0; i < r->done; i++)
        for (size_t j = 0; j < r->count && !strcmp(r->all[i].workload, on); j++)
            if (!strcmp(r->list[j].name, name)) return r->all[i].rows[j].timed ? &r->all[i].rows[j] : NULL;
    return NULL;
}

void results_free(results *r) {
    while (r->done) free(r->all[--r->done].rows);
}

/* ---- Tables ---- */

void print_cell(int width, int digits, double figure, bool measured) {
    if (measured)
        printf(" %*.*f", width, digits, figure);
    else
        printf(" %*s", width, "-");
}

/* The last two columns are those that the workload has something for. */
void results_print_table(const results *r, const result *one) {
    printf("\n%s: %zu calls, peak %.2f MiB", one->workload, one->calls, (double)one->peak / 1048576);
    if (one->tight_calls) printf("; tightness: granules of 16, %zu calls", one->tight_calls);
    printf("\n%-24s %8s %7s %8s %9s %8s %9s %8s %9s\n", "backend", "ns/call", "spread", "p99.9", "worst",
           "failed", "tightness", "speed-up", "Mevents/s");
    for (size_t i = 0; i < r->count; i++) {
        const row *at = &one->rows[i];
        if (!at->timed) continue;
        printf("%-24s %8.1f %6.0f%%", r->list[i].name, at->ns_per_op, at->spread * 100);
        print_cell(8, 0, (double)at->p999_ns, at->one_by_one);
        print_cell(9, 0, (double)at->max_ns, at->one_by_one);
        printf(" %8llu", (unsigned long long)at->failures);
        print_cell(9, 3, at->tightness, at->tightness > 0);
        print_cell(8, 2, at->speed_up, at->speed_up > 0);
        print_cell(9, 1, at->events_per_second / 1e6, at->events_per_second > 0);
        putchar('\n');
    }
    fflush(stdout);
}

/* ---- JSON ---- */

static void print_row(const char *on, const char *name, const row *r) {
    printf("\n  {\"workload\": \"%s\", \"backend\": \"%s\", \"ns_per_op\": %.2f", on, name, r->ns_per_op);
    if (r->one_by_one)
        printf(", \"p999_ns\": %llu, \"max_ns\": %llu", (unsigned long long)r->p999_ns,
               (unsigned long long)r->max_ns);
    printf(", \"failures\": %llu", (unsigned long long)r->failures);
    if (r->tightness > 0) printf(", \"tightness\": %.4f", r->tightness);
    if (r->speed_up > 0) printf(", \"speed_up\": %.3f", r->speed_up);
    if (r->events_per_second > 0) printf(", \"events_per_second\": %.0f", r->events_per_second);
    if (r->has_faults) printf(", \"page_faults\": %llu", (unsigned long long)r->faults);
    printf(", \"spread\": %.3f}", r->spread);
}

void results_print_json(const results *r) {
    const char *comma = "";
    printf("[");
    for (size_t i = 0; i < r->done; i++)
        for (size_t j = 0; j < r->count; j++) {
            if (!r->all[i].rows[j].timed) continue;
            printf("%s", comma);
            print_row(r->all[i].workload, r->list[j].name, &r->all[i].rows[j]);
            comma = ",";
        }
    printf("\n]");
}
