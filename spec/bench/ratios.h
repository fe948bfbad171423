/* SPDX-License-Identifier: MIT */
/*
 * The goals that the bench holds the pools to, as ratios of rows measured in
 * the same run. A goal whose backends or workloads were not measured is shown
 * as such.
 */
#ifndef HPW_BENCH_RATIOS_H
#define HPW_BENCH_RATIOS_H

#include "results.h"

/* Whether some goal wants this backend, or this workload. */
bool ratios_want_backend(const char *name);
bool ratios_want_workload(const char *name);

/* A table in Markdown. */
void ratios_print_table(const results *r);

/* An array of {"workload", "backend", "figure", "against", "value", "goal", "met"}. */
void ratios_print_json(const results *r);

#endif
