/* SPDX-License-Identifier: MIT */
/*
 * Packing from the inside: the pieces in granules and sections, which the
 * heuristics and the search share.
 *
 * Time is cut into *sections*: a section ends where an allocation follows a
 * free. Two pieces are live at one moment if and only if they share a section,
 * since all that lives at some moment is live at the last allocation of its
 * section too. So sections are the maximal sets of what lives at once, and most
 * traces have several times fewer of them than events.
 */
#ifndef HPW_PACKING_PIECES_H
#define HPW_PACKING_PIECES_H

#include "packing.h"

/* In granules; live in the sections [begin, end). */
typedef struct rectangle {
    uint64_t size;
    uint64_t align; /* a power of two */
    uint32_t begin, end;
} rectangle;

typedef struct pieces {
    rectangle *all; /* in the order of allocation */
    size_t count;
    uint32_t sections;
    uint64_t peak; /* granules */
} pieces;

/* Addresses for all pieces, in granules, and where the highest one ends. */
typedef struct layout {
    uint64_t *at;
    uint64_t height; /* NO_HEIGHT: this way of packing found none */
} layout;

#define NO_HEIGHT UINT64_MAX

/* Nothing may end above this: 2^63 - 1 bytes at granule 1, and sums of two can't wrap. */
#define MOST_HEIGHT ((uint64_t)INT64_MAX)

static inline uint64_t align_up(uint64_t at, uint64_t align) { return (at + align - 1) & ~(align - 1); }

/*
 * All fill in layout->at and layout->height. HPW_OK also where the height is
 * NO_HEIGHT; HPW_NO_MEMORY, HPW_LIMIT (stopped).
 */

/* packing_sweep.c: first or best fit in the order of time, or backwards in time. O(n log k), k live at once.
 */
typedef struct sweep_way {
    bool best;
    bool backwards;
} sweep_way;
hpw_error hpw_pack_sweep(const pieces *p, sweep_way way, const atomic_bool *stop, layout *out);

/* packing_skyline.c: the lowest gap of the skyline takes the piece that is the greatest by `by`. */
typedef enum greatest { BY_LIFETIME, BY_AREA, BY_SIZE, GREATEST_COUNT } greatest;
hpw_error hpw_pack_skyline(const pieces *p, greatest by, const atomic_bool *stop, layout *out);

/*
 * packing_search.c: branch and bound. Betters `best` (a layout that is there
 * already) and *bound, the greatest height known to be necessary, until they
 * meet or `nodes` have been visited; *nodes is then how many were.
 */
hpw_error hpw_pack_search(const pieces *p, const atomic_bool *stop, layout *best, uint64_t *bound,
                          uint64_t *nodes);

#endif
