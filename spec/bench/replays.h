/* SPDX-License-Identifier: MIT */
/*
 * How fast a trace is replayed under each policy: events a second of the loop
 * that `heapwright fit` runs, on a trace already loaded.
 *
 * A round is the whole trace in a pool opened anew, of the least power of two of
 * bytes in which the policy fits it. As in a search, the runs share memory that
 * was touched before: page faults are not in the figure, nor is opening the
 * pool. Replays take no lock: the rows are those of the unlocked policies.
 */
#ifndef HPW_BENCH_REPLAYS_H
#define HPW_BENCH_REPLAYS_H

#include "rounds.h"

/* False: the trace can't be read, which it says on standard error. `*w` gets its name and figures, no calls.
 */
bool measure_replays(backend *list, size_t count, const char *path, int rounds, row *rows, workload *w);

#endif
