/* SPDX-License-Identifier: MIT */
/*
 * What was measured: a row a backend for each workload, kept till the end, so
 * that ratios are made of the same figures that the tables show.
 */
#ifndef HPW_BENCH_RESULTS_H
#define HPW_BENCH_RESULTS_H

#include "rounds.h"

enum { MAX_RESULTS = 24 };

typedef struct result {
    const char *workload;
    size_t calls;       /* timed; of a list that is replayed again and again, its length */
    uint64_t peak;      /* live bytes at most */
    size_t tight_calls; /* of the list in which tightness was measured, 0: it was not */
    row *rows;          /* by backend */
} result;

typedef struct results {
    const backend *list;
    size_t count, done;
    result all[MAX_RESULTS];
} results;

/* A result to be filled in, its rows untimed. Exits where there is no memory. */
result *results_add(results *r, const char *name);

/* The timed row of a backend on a workload, or NULL. */
const row *results_find(const results *r, const char *on, const char *name);

void results_free(results *r);

/* ---- How they are printed ---- */

void results_print_table(const results *r, const result *one);

/* The rows' JSON array. */
void results_print_json(const results *r);

/* A figure of a table, or a dash. */
void print_cell(int width, int digits, double figure, bool measured);

#endif
