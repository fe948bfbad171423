/* SPDX-License-Identifier: MIT */
/* The smallest pool of a workload: see tightness.h. */
#include "tightness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The smallest pool ---- */

static bool fits(backend *b, unsigned char **blocks, const workload *w, uint64_t capacity, uint64_t *whole) {
    hpw_stats stats;
    if (!backend_open(b, capacity)) return false;
    memset(blocks, 0, w->slots * sizeof *blocks);
    bool fitted = true;
    for (size_t i = 0; i < w->count && fitted; i++) fitted = !perform(b, blocks, &w->calls[i]);
    hpw_get_stats(b->pool, &stats);
    *whole = stats.capacity + stats.metadata;
    backend_close(b);
    return fitted;
}

/*
 * From just above the peak upwards, the excess doubled each time, then by
 * bisection: runs that fail end early, so most of the search is cheap. An upper
 * bound of what a full search would find.
 */
static double find_tightness(backend *b, unsigned char **blocks, const workload *w) {
    uint64_t excess = w->peak / 64, least = w->peak, most = w->peak + excess, best;
    while (!fits(b, blocks, w, most, &best)) {
        least = most;
        excess *= 2;
        most = w->peak + excess;
    }
    while (most - least > most / 2048) {
        uint64_t middle = least + (most - least) / 2, whole;
        if (fits(b, blocks, w, middle, &whole)) {
            most = middle;
            best = whole;
        } else {
            least = middle;
        }
    }
    return (double)w->peak / (double)best;
}

/* Those that place alike are searched once. Bump frees nothing, so it has no figure. */
void measure_tightness(backend *list, size_t count, const workload *w, row *rows) {
    unsigned char **blocks = calloc(w->slots, sizeof *blocks);
    if (!blocks) exit(2);
    for (size_t i = 0; i < count; i++) {
        if (!list[i].is_pool || !strcmp(list[i].config.policy, "bump")) continue;
        bool same = i && backend_places_alike(&list[i - 1], &list[i]);
        rows[i].tightness = same ? rows[i - 1].tightness : find_tightness(&list[i], blocks, w);
    }
    free(blocks);
}

/* ---- By granule ---- */

static const uint32_t granules[] = {8, 16, 32, 64};

enum { GRANULES = sizeof granules / sizeof *granules };

static void print_one(const workload *w, backend *b, int length, bool json, bool *first) {
    unsigned char **blocks = calloc(w->slots, sizeof *blocks);
    if (!blocks) exit(2);
    if (!json) printf("%-4s %-16.*s", w->name, length, b->name);
    for (int i = 0; i < GRANULES; i++) {
        b->config.granule = granules[i];
        double tightness = find_tightness(b, blocks, w);
        if (json)
            printf(
                "%s\n  {\"workload\": \"%s\", \"backend\": \"%.*s\", \"granule\": %u, \"tightness\": %.4f}",
                *first ? "" : ",", w->name, length, b->name, granules[i], tightness);
        else
            printf(" %6.3f", tightness);
        *first = false;
    }
    if (!json) putchar('\n');
    fflush(stdout);
    free(blocks);
}

void run_tightness(const backend *list, size_t count, bool json) {
    static const char *const names[] = {"W1", "W2"};
    bool first = true;
    if (!json) {
        printf("\npeak over the smallest pool and its metadata, by granule\n%-21s", "");
        for (int i = 0; i < GRANULES; i++) printf(" %6u", granules[i]);
        putchar('\n');
    }
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        workload w;
        if (!workload_make(names[n], WORKLOAD_TIGHT, &w)) exit(2);
        for (size_t i = 0; i < count; i++) {
            backend b = list[i];
            if (!b.is_pool || !b.config.single_threaded || b.config.guard || !strcmp(b.config.policy, "bump"))
                continue;
            if (b.config.order != HPW_ORDER_ADDRESS && !strcmp(b.config.policy, "first-fit"))
                continue; /* no granule of 8 */
            print_one(&w, &b, (int)(strlen(b.name) - strlen("/nolock")), json, &first);
        }
        workload_free(&w);
    }
}
