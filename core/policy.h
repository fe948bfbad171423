/* SPDX-License-Identifier: MIT */
/*
 * The plug of a placement policy: one struct of functions, one file under
 * policy/, one line in policies.c. A policy only chooses; pool.c changes the
 * block map and tells the policy which free blocks come and go.
 *
 * Order of calls. A placement is
 *      round, choose, removed(block), placed(at), added(each free piece left);
 * a release is
 *      freed, removed(each neighbour that joins), added(the joined block);
 * but see replaced.
 * At `removed` the map still shows the block, free; before the next call it no
 * longer does. At `added` the map shows the block already. The free blocks
 * between the calls are exactly those added and not removed since `open`.
 *
 * A policy keeps its state in `index->state` (state_size bytes, zeroed before
 * open) and, of a free block, in the block's own bytes through link_get and
 * link_set: at least granule bytes each. It never touches a live block's bytes.
 */
#ifndef HPW_POLICY_H
#define HPW_POLICY_H

#include <string.h>

#include "blocks.h"

/* What a policy sees of its pool. */
typedef struct free_index {
    blocks map;           /* pool.c's: a policy reads it */
    unsigned char *bytes; /* the pool's */
    unsigned shift;       /* granule = 1 << shift bytes */
    hpw_order order;
    granule_t capacity; /* the most granules that the pool can have */
    void *state;        /* the policy's own */
    uint64_t steps;     /* nodes and words visited: a policy adds what a call visits beyond the first */
} free_index;

/* A request: `size` granules at a granule `at` with (at + skew) % align == 0; align a power of two. */
typedef struct request {
    granule_t size;
    granule_t align;
    granule_t skew;
} request;

/* The answer: the free block to cut, its size, and where in it the request goes. */
typedef struct placement {
    granule_t block; /* NO_GRANULE: none fits */
    granule_t size;
    granule_t at;
} placement;

typedef struct pool_calls {
    void *(*allocate)(hpw_pool *pool, uint64_t size);
    hpw_error (*release)(hpw_pool *pool, uint64_t address, hpw_report *report);
} pool_calls;

typedef struct policy {
    hpw_policy_info info;

    /*
     * The pool's own two calls in each order, compiled for this policy by
     * operations_of_policy.h, with the lock held. allocate: the pointer, NULL for
     * a request refused (and counted and told); release: as hpw_release.
     */
    pool_calls calls[HPW_ORDER_COUNT];

    /* What is freed stays unused until reset, so a free end is not given back before. */
    bool keeps_freed;

    /* The least granule, in bytes, that orders by time take; 0: any. */
    uint32_t least_timed_granule;

    /* Bytes of state for a pool of at most `granules`; a multiple of 8. */
    size_t (*state_size)(granule_t granules, hpw_order order);

    /* Prepares the zeroed state. No free block is known yet. */
    void (*open)(free_index *index);

    /* Granules to grant for a request of `size`; NO_GRANULE: more than can ever be. NULL: `size`. */
    granule_t (*round)(const free_index *index, granule_t size);

    /* Chooses. Must not change which blocks are known; may note what `removed` will want. */
    placement (*choose)(free_index *index, const request *want);

    /*
     * Of the free range [at, at + size): how many granules, from `at` on, make one
     * free block. Called again for what is left. NULL: all of it.
     */
    granule_t (*piece)(free_index *index, granule_t at, granule_t size);

    /* May the free neighbours [left, right) and [right, right + right_size) be one block? NULL: yes. */
    bool (*may_join)(free_index *index, granule_t left, granule_t right, granule_t right_size);

    /* May the live block at `at` become `size` granules where it lies? NULL: yes. */
    bool (*may_resize)(free_index *index, granule_t at, granule_t old_size, granule_t size);

    /* A block lies at [at, at + size) now; in_place: it did before, and grew or shrank. May be NULL. */
    void (*placed)(free_index *index, granule_t at, granule_t size, bool in_place);

    /* The live block at [at, at + size) is about to be free; then come removed and added. May be NULL. */
    void (*freed)(free_index *index, granule_t at, granule_t size);

    void (*added)(free_index *index, granule_t at, granule_t size);
    void (*removed)(free_index *index, granule_t at, granule_t size);

    /*
     * In address order, in the place of removed(was) and added(at): the one free block
     * becomes the other, what a cut left of it or what it is with what joined it. The
     * map shows the new one. NULL: the two calls.
     */
    void (*replaced)(free_index *index, granule_t was, granule_t was_size, granule_t at, granule_t size);

    /* The size of the largest free block, 0 where there is none. */
    granule_t (*largest)(free_index *index);

    /*
     * Verifies that the index holds exactly the `free_blocks` free blocks of the
     * map, each where the policy's order wants it. NULL, or what is wrong and *at.
     */
    const char *(*check)(free_index *index, size_t free_blocks, granule_t *at);
} policy;

/* The table from name to policy; NULL past its end, or where no policy has this name. */
const policy *policy_at(size_t number);
const policy *policy_named(const char *name);

/* ---- What policies share ---- */

/* Where the links of free blocks lie: a copy, so that writing a link doesn't make it be read again. */
typedef struct links {
    unsigned char *bytes;
    unsigned shift;
} links;

HOT links links_of(const free_index *index) { return (links){index->bytes, index->shift}; }

/* The i-th 32-bit link kept in the bytes of the free block at `at`. */
HOT uint32_t link_at(links of, granule_t at, unsigned i) {
    uint32_t value;
    memcpy(&value, of.bytes + ((size_t)at << of.shift) + i * sizeof value, sizeof value);
    return value;
}

HOT void link_put(links of, granule_t at, unsigned i, uint32_t value) {
    memcpy(of.bytes + ((size_t)at << of.shift) + i * sizeof value, &value, sizeof value);
}

HOT uint32_t link_get(const free_index *index, granule_t at, unsigned i) {
    return link_at(links_of(index), at, i);
}

HOT void link_set(const free_index *index, granule_t at, unsigned i, uint32_t value) {
    link_put(links_of(index), at, i, value);
}

/* The lowest place for `want` in the free block [start, start + size); NO_GRANULE: it has none. */
HOT granule_t place_in(const request *want, granule_t start, granule_t size) {
    granule_t before = (0U - (start + want->skew)) & (want->align - 1);
    return (uint64_t)before + want->size <= size ? start + before : NO_GRANULE;
}

HOT placement placement_none(void) { return (placement){NO_GRANULE, 0, NO_GRANULE}; }

/* `want` in the free block [start, start + size), where it holds a place for it. */
HOT placement placement_in(const request *want, granule_t start, granule_t size) {
    granule_t at = place_in(want, start, size);
    return at == NO_GRANULE ? placement_none() : (placement){start, size, at};
}

#endif
