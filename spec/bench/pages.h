/* SPDX-License-Identifier: MIT */
/*
 * What huge pages do: large pools on them and on small ones
 * (hpw_config.small_pages), in turns.
 *
 * `W2` and `W6` go on in pools whose pages were touched before, which shows what
 * address translation costs; `W6/fresh` is a pool opened anew for each pass,
 * which has to touch them, and counts page faults. Of the unlocked policies:
 * the other allocators can't be opened anew.
 */
#ifndef HPW_BENCH_PAGES_H
#define HPW_BENCH_PAGES_H

#include "results.h"

/* Adds the workloads W2, W6 and W6/fresh with "/huge-pages" and "/small-pages" behind. */
void measure_pages(results *r, int rounds);

/* Both side by side. */
void print_pages(const results *r);

#endif
