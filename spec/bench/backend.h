/* SPDX-License-Identifier: MIT */
/*
 * What the bench compares: every policy of heapwright in each order, locked and
 * not, by the names POLICY[/ORDER][/nolock[/check|/full]] (the guard: off but where
 * it is named) and POLICY/cached; the allocators of other projects,
 * where their packages are installed, loaded at run time; and `null`, which
 * hands out one address: the loop alone.
 */
#ifndef HPW_BENCH_BACKEND_H
#define HPW_BENCH_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heapwright.h"

typedef struct backend {
    char name[48];
    bool is_pool;
    hpw_config config; /* of a pool */
    hpw_pool *pool;    /* while open */
    void *(*allocate)(void *state, size_t size);
    void (*release)(void *state, void *block);
    void *state;
} backend;

enum { MAX_BACKENDS = 64 };

/* All that there are on this machine; how many. */
size_t backend_list(backend *list);

/* Two pools that place the same calls at the same addresses: locked or not makes no difference. */
bool backend_places_alike(const backend *a, const backend *b);

/* Makes it ready for a workload; false where it can't be. */
bool backend_open(backend *b, uint64_t capacity);
void backend_close(backend *b);

/*
 * Writes to each page of the open pools, so that no page fault is timed, where
 * they take no more than half of the memory that the system has to give.
 */
void backend_touch(backend *list, size_t count);

#endif
