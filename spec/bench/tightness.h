/* SPDX-License-Identifier: MIT */
/*
 * Tightness: the peak of live bytes over the smallest pool in which a workload's
 * tight list runs, and all of its metadata. With granules of 16 beside the time
 * (measure_tightness), and of each policy and order with others (run_tightness):
 * small granules round less, large ones have less metadata.
 */
#ifndef HPW_BENCH_TIGHTNESS_H
#define HPW_BENCH_TIGHTNESS_H

#include "rounds.h"

/* Of each backend that is a pool. */
void measure_tightness(backend *list, size_t count, const workload *w, row *rows);

/* Prints it by granule, or the JSON array's rows. */
void run_tightness(const backend *list, size_t count, bool json);

#endif
