/* SPDX-License-Identifier: MIT */
/*
 * An account from the inside: lua_alloc.c grants and takes back, account.c opens,
 * closes, limits and counts, slabs.c takes slabs from the pool and gives them back.
 *
 * Sizes to SMALL_MAX are *slots*. A slab is 1 to 16 KiB of the pool, aligned to its
 * size, cut into slots of one class and used for one kind of object, so that the
 * kind of a slot is known without a record of its own. A class fixes the slab's
 * size; so a slot's slab is its address with some bits cleared, by `osize` alone.
 *
 *      [ slab: free, used ... | slot | slot | slot | ... | not yet cut ]
 *
 * A class and kind has a bin: the slabs with a free slot. Slabs with no live slot
 * go to `kept`, by size, whatever they were used for; what is kept beyond a share
 * of the account goes back to the pool, and all of it before a request is refused.
 *
 * Larger sizes are blocks of the pool. Where the kind is another than "other",
 * one byte more than asked for is, and the kind lies in the last one: the pool
 * knows each block's exact size, so it also knows whether there is such a byte.
 *
 * Shrinking can't fail, yet a block that shrinks into another class wants a slot
 * there. Where there is no memory for one, the block stays and is a *misfit*: its
 * `osize` no longer tells its class. Misfits are in a list, which lies in the
 * bytes that the shrinking freed; while there is one, every block that goes is
 * looked up there first.
 *
 *   in_use  = sum of kinds[].in_use           <= limit, but after a limit was lowered
 *   granted = slabs + kept + large + the account itself
 */
#ifndef HPW_ACCOUNT_H
#define HPW_ACCOUNT_H

#ifndef HPW_FREESTANDING
#include <stdatomic.h>
#endif

#include "pool.h"

enum {
    SMALL_MAX = 1024,                                         /* bytes of the largest slot */
    FINE_MAX = 512,                                           /* classes by 8 to here, by 64 from here on */
    CLASSES = FINE_MAX / 8 + (SMALL_MAX - FINE_MAX) / 64 + 1, /* 0 is of no size */
    SLAB_MIN = 10,  /* the smallest slab's size, as a power of two */
    SLAB_SIZES = 5, /* 1, 2, 4, 8, 16 KiB */
    SLAB_SLOTS = 16 /* a slab is as large as so many slots want, within that range */
};

/* Read by any thread, written by the account's. */
#ifdef HPW_FREESTANDING
typedef uint64_t counter;
HOT uint64_t counter_get(const counter *c) { return *c; }
HOT void counter_set(counter *c, uint64_t value) { *c = value; }
HOT uint64_t counter_look(const counter *c) { return *c; }
HOT void counter_put(counter *c, uint64_t value) { *c = value; }
HOT uint64_t counter_swap(counter *c, uint64_t value) {
    uint64_t was = *c;
    *c = value;
    return was;
}
#else
typedef _Atomic uint64_t counter;
HOT uint64_t counter_get(const counter *c) { return atomic_load_explicit(c, memory_order_relaxed); }
HOT void counter_set(counter *c, uint64_t value) { atomic_store_explicit(c, value, memory_order_relaxed); }
/* The same in one order that all threads agree on: for what is written by others. */
HOT uint64_t counter_look(const counter *c) { return atomic_load(c); }
HOT void counter_put(counter *c, uint64_t value) { atomic_store(c, value); }
HOT uint64_t counter_swap(counter *c, uint64_t value) { return atomic_exchange(c, value); }
#endif
HOT void counter_add(counter *c, uint64_t n) { counter_set(c, counter_get(c) + n); }
HOT void counter_take(counter *c, uint64_t n) { counter_set(c, counter_get(c) - n); }

typedef struct slab {
    void *free;                   /* slots given back, newest first; each holds the next */
    struct slab *next, *previous; /* in the bin, where it has a free slot; of kept ones `next` */
    uint16_t used;                /* live slots */
    uint16_t wakes_at; /* `used` at which giving back a slot is an event: it was full; it is empty */
    uint16_t fresh;    /* bytes from the slab's start to what was not cut yet, in 8s */
    uint8_t class, kind;
} slab;

typedef struct account_kind {
    counter in_use, blocks;
} account_kind;

struct hpw_account {
    hpw_pool *pool;
    counter in_use, peak_in_use;
    counter line; /* of in_use: above it a request goes the long way */
    counter allocations, reallocations;
    account_kind kinds[HPW_LUA_KINDS];
    uint64_t misfits; /* a link to the first misfit; 0: none. See lua_alloc.c */

    counter limit, headroom;
    counter granted, peak_granted;
    counter over_limit, over_pool, over_headroom;
    counter pressure; /* 1: see hpw_account_pressure */
    counter squeezed; /* 1: what is kept has to go back to the pool, another account was refused */
    uint64_t asks_at; /* above this in_use, an object is sent back for a collection */
    bool asked;       /* the last object was */
    uint64_t kept_bytes;
    slab *kept[SLAB_SIZES];
    hpw_account *next, *previous;       /* of the pool's accounts, under its lock */
    slab *bins[HPW_LUA_KINDS][CLASSES]; /* never NULL: `full` where there is no slab with a free slot */
    slab full;
};

HOT unsigned class_of(size_t size) {
    return (unsigned)(size <= FINE_MAX ? (size + 7) / 8 : FINE_MAX / 8 + (size - FINE_MAX + 63) / 64);
}

HOT unsigned class_bytes(unsigned class) {
    return class <= FINE_MAX / 8 ? class * 8 : FINE_MAX + (class - FINE_MAX / 8) * 64;
}

/* The size of a class's slabs, as a power of two. */
extern const unsigned char account_slab_shift[CLASSES];

HOT slab *slab_of(const void *slot, unsigned class) {
    return (slab *)((uintptr_t)slot & ~(((uintptr_t)1 << account_slab_shift[class]) - 1));
}

/* ---- account.c ---- */

/* May `more` bytes be in use, for an object or for an array? Counts a refusal. */
bool account_may_have(hpw_account *account, uint64_t more, bool object);

/* The pool did not hold it: counts that, and tells the pool's other accounts. */
void account_refused(hpw_account *account);

/* The pool granted `bytes`. */
void account_took(hpw_account *account, uint64_t bytes);

/* ---- slabs.c ---- */

/* A slab with a free slot for the bin, now its first; NULL where the pool holds none. */
slab *slabs_fill(hpw_account *account, unsigned kind, unsigned class);

/* A slot of the slab was given back and `used` is where it wakes: it was full, or is empty now. */
void slabs_wake(hpw_account *account, slab *s);

/* Gives all kept slabs back to the pool; false where there were none. */
bool slabs_give_back(hpw_account *account);

#endif
