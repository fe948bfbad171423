/* SPDX-License-Identifier: MIT */
/* Heaps of maxima: layout and check. See maxima.h for how they work and their bounds. */
#include "maxima.h"

#ifdef MAXIMA_SSE2
#define EIGHT UINT8_MAX, UINT8_MAX, UINT8_MAX, UINT8_MAX, UINT8_MAX, UINT8_MAX, UINT8_MAX, UINT8_MAX
#define ONES EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT
const uint8_t maxima_narrow_hole[3 * MAXIMA_LINE] = {ONES, 0, ONES};
const uint8_t maxima_wide_hole[3 * MAXIMA_LINE] = {ONES, 0, 0, 0, 0, ONES};
#endif

static size_t parents(size_t nodes, bool wide) {
    return (nodes + ((size_t)1 << maxima_bits(wide)) - 1) >> maxima_bits(wide);
}

/* Each level is filled up with zeros to whole groups; the root has one for itself. */
size_t maxima_bytes(size_t count, bool wide) {
    size_t groups = parents(count, wide);
    while (count > 1) groups += parents(count = parents(count, wide), wide);
    return groups * MAXIMA_LINE;
}

void *maxima_open(maxima *m, void *memory, size_t count, bool wide) {
    uint8_t *next = memory;
    for (m->levels = 0;; count = parents(count, wide)) {
        m->level[m->levels++] = next;
        next += parents(count, wide) * MAXIMA_LINE;
        if (count == 1) return next;
    }
}

bool maxima_check(const maxima *m, size_t count, bool wide) {
    for (unsigned level = 0; level + 1 < m->levels; level++) {
        count = parents(count, wide);
        for (size_t node = 0; node < count; node++) {
            if (maxima_get(m, wide, level + 1, node) !=
                maxima_largest(m, wide, level, node, 1U << maxima_bits(wide)))
                return false;
        }
    }
    return true;
}
