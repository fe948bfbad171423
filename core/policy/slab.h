/* SPDX-License-Identifier: MIT */
/* Slab's state, for its policy and its calls. */
#ifndef HPW_SLAB_H
#define HPW_SLAB_H

#include "bins.h"
#include "slots.h"

typedef struct slab {
    bins *large;
    granule_t high; /* the highest end of a live block ever */
    slots pages;
    slots_heap heap;     /* the pool's: number 0 */
    slots_heap *threads; /* of threads: numbers 1 ... thread_count */
    uint32_t thread_count;
    slots_heap *current; /* whose slots are chosen from, and whose new pages are */
    slots_heap *surplus; /* in which a page became empty last */
} slab;

HOT slots_heap *slab_heap(slab *state, uint32_t number) {
    return number ? &state->threads[number - 1] : &state->heap;
}

#endif
