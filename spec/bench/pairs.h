/* SPDX-License-Identifier: MIT */
/*
 * Two threads on one shared pool: each replays a workload on slots of its own,
 * with half of the live blocks that one thread has in it, so that the pool holds
 * as many as there.
 *
 * A backend keeps its two threads through all rounds; between rounds they
 * sleep. In a round both start at a barrier and stop when some 30 ms have passed;
 * its figure is the wall time over the calls of both, so that it wants a machine
 * with two idle cores. Handed over, a block that one thread frees goes to the
 * other, in batches through a bounded ring, and for each one that it hands over
 * it frees one that it was handed; where the ring is full it frees the block
 * itself.
 */
#ifndef HPW_BENCH_PAIRS_H
#define HPW_BENCH_PAIRS_H

#include "rounds.h"

/* Whether two threads may share it, and run for ever: not unlocked pools, and not bump. */
bool pairs_take(const backend *b);

/* Times every backend that pairs take; the rest stay untimed. */
void measure_pairs(backend *list, size_t count, const workload *w, bool hand_over, int rounds, row *rows);

#endif
