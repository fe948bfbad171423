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
    slots_heap heap;
} slab;

#endif
