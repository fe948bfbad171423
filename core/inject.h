/* SPDX-License-Identifier: MIT */
/*
 * Failures by plan (hpw_inject): what a pool knows of its plan, and where its
 * requests ask.
 *
 *   1. A request is what a caller asks for more bytes with: an allocation, a resize
 *      to a larger size, each of the two by a Lua state, the opening of an account.
 *      What the pool or an account does to serve one is none: an account's slabs and
 *      blocks are taken with the plan left out (claim.c).
 *   2. Each asks inject_refuses before anything is looked for. So a refused one has
 *      changed nothing, and is counted and told as one that nothing holds.
 *   3. Without a plan nobody asks: allocations go their way, which pool_choose_way
 *      changes; caches of threads rest as for a sink; and accounts have their line
 *      at 0, above which a request goes the long way. Resizes, aligned allocations
 *      and an account's long way look at a flag.
 *
 * That a program is run again and again with its n-th request failing is how
 * SQLite tests itself («How SQLite Is Tested», 3.1), for one failure and for all
 * from there on. Numbers at random: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
 * O(1) a request.
 */
#ifndef HPW_INJECT_H
#define HPW_INJECT_H

#include "heapwright.h"

typedef struct injection {
    hpw_injection plan;
    uint64_t requests; /* of those that the plan counts, since it is on */
    uint64_t injected; /* and of those, refused */
    uint64_t ever;     /* refused by whatever plan */
    uint64_t random;
    uint64_t below; /* of 53 random bits: refused below this */
    bool on;
#ifdef HPW_FREESTANDING
    uint64_t latest; /* see inject_latest */
#endif
} injection;

/*
 * Is this request one that the plan refuses? Counts it; and where it is refused,
 * counts and tells the failure: `address` 0, or the block that was to grow. The
 * lock is held. Without a plan false, and nothing is counted.
 */
bool inject_refuses(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t alignment);

/* An allocation that asks the plan first: pool->inner.allocate while there is one. */
void *inject_allocate(hpw_pool *pool, uint64_t size);

/* An allocation that does not, with or without one. The lock is held. */
void *inject_pass(hpw_pool *pool, uint64_t size);

/* A resize while there is a plan; the lock is held. */
hpw_error inject_resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved, hpw_report *report);

/*
 * The number of the request that the calling thread's latest refusal was, in whatever
 * pool; 0: not by plan. Each refusal notes its own.
 */
uint64_t inject_latest(const hpw_pool *pool);
void inject_note_latest(hpw_pool *pool, uint64_t number);

#endif
