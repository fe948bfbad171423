/* SPDX-License-Identifier: MIT */
/* Slab's state, for its policy and its calls. */
#ifndef HPW_SLAB_H
#define HPW_SLAB_H

#include "bins.h"
#include "slots.h"

typedef struct slab {
    slots_heap heap; /* the pool's: number 0 */
    bins *large;
    granule_t high; /* the highest end of a live block ever */
    slots pages;
    slots_heap *threads; /* of threads: numbers 1 ... thread_count */
    uint32_t thread_count;
    slots_heap *current; /* whose slots are chosen from, and whose new pages are */
    slots_heap *surplus; /* to which a slot was freed last: it may keep a page too many */
} slab;

/* The states of the pages lie right behind, so that there is no pointer to be read. */
HOT page_state *slab_page(slab *state, uint64_t at) { return (page_state *)(state + 1) + at / PAGE; }

HOT slots_heap *slab_heap(slab *state, uint32_t number) {
    return number ? &state->threads[number - 1] : &state->heap;
}

#endif
