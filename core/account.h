/* SPDX-License-Identifier: MIT */
/*
 * An account from the inside: lua_alloc.c grants and takes back, account.c opens,
 * closes, limits and counts, slabs.c fills bins with slabs, which chunks.c takes
 * from the pool.
 *
 * Sizes to SMALL_MAX, in smaller accounts to less, are *slots*. A slab is 512 bytes to
 * 16 KiB of the pool, a granule at least, aligned to its size, cut into slots of one
 * class and used for one kind of object, so that the kind of a slot is known without a
 * record of its own. A class fixes the slab's size; so a slot's slab is its address
 * with some bits cleared, by `osize` alone.
 *
 *      [ slot | slot | slab: free, used ... | slot | slot | ... | not yet cut ]
 *
 * A class and kind has a bin: the slabs with a free slot. Slabs with no live slot
 * go to `kept`, by size, whatever they were used for; what is kept beyond a share
 * of the account is given back, and all of it before a request is refused. A small
 * account's slabs are blocks of the pool, a larger one's lie in chunks, so that
 * most slabs are taken and given back without the pool.
 *
 * Larger sizes are blocks of the pool, the kind being their tag. All that an account
 * has of the pool is claimed, see claim.h: nobody frees or writes it by its address.
 *
 * Shrinking can't fail, yet a block that shrinks into another class wants a slot
 * there. Where there is no memory for one, the block stays and is a *misfit*: its
 * `osize` no longer tells its class. Misfits are in a list, which lies in the
 * bytes that the shrinking freed; while there is one, every block that goes is
 * looked up there first.
 *
 *   in_use  = sum of kinds[].in_use           <= limit, but after a limit was lowered
 *   granted = slabs, chunks, large blocks and the account itself
 */
#ifndef HPW_ACCOUNT_H
#define HPW_ACCOUNT_H

#ifndef HPW_FREESTANDING
#include <stdatomic.h>
#endif

#include "claim.h"

enum {
    SMALL_MAX = 1024, /* bytes of the largest slot */
    SLAB_MIN = 9,     /* the smallest slab's size, as a power of two */
    COLOUR_SHIFT = 6, /* 12, of a slab of 4 KiB, less 6, of a line of 64 bytes */
    SLAB_END = 16,    /* bytes at the end of a slab that are no slot's: the claim's record may lie there */
    SLAB_SIZES = 6    /* 512 bytes, 1, 2, 4, 8, 16 KiB */
};

/* What other threads may write: in one order that all of them agree on. */
#ifdef HPW_FREESTANDING
typedef uint64_t shared;
HOT uint64_t shared_get(const shared *s) { return *s; }
HOT uint64_t shared_look(const shared *s) { return *s; }
HOT void shared_set(shared *s, uint64_t value) { *s = value; }
HOT uint64_t shared_swap(shared *s, uint64_t value) {
    uint64_t was = *s;
    *s = value;
    return was;
}
#else
typedef _Atomic uint64_t shared;
HOT uint64_t shared_get(const shared *s) { return atomic_load_explicit(s, memory_order_relaxed); }
HOT uint64_t shared_look(const shared *s) { return atomic_load(s); }
HOT void shared_set(shared *s, uint64_t value) { atomic_store(s, value); }
HOT uint64_t shared_swap(shared *s, uint64_t value) { return atomic_exchange(s, value); }
#endif

typedef struct chunk chunk;

/* What lies in the pool, by the number of its granule; NO_GRANULE: nothing. */
typedef granule_t link;

typedef struct slab {
    void *free;          /* slots given back, newest first; each holds the next */
    link next, previous; /* in the bin, where it has a free slot; of kept ones `next` */
    link of;             /* the chunk; nothing where it is a block of the pool */
    uint16_t used;       /* live slots */
    uint16_t wakes_at;   /* `used` at which giving back a slot is an event: it was full; it is empty */
    uint16_t fresh;      /* from the slab's start to what was not cut yet, in 8 bytes */
    uint8_t class, kind;
} slab;

typedef struct account_kind {
    uint64_t in_use; /* bytes */
    uint64_t allocations, frees;
} account_kind;

struct hpw_account {
    uint64_t in_use, peak_in_use;
    shared line;      /* of in_use: above it a request goes the long way */
    size_t slot_max;  /* bytes of the largest slot of this account */
    size_t colours;   /* see slab_at */
    size_t small_max; /* what is larger is released the long way: slot_max; 0 while there are misfits */
    account_kind kinds[HPW_LUA_KINDS];
    uint16_t masks[SMALL_MAX / 8 + 1]; /* by (size + 7) / 8: the bits that an address has within its slab */
    slab full;

    hpw_pool *pool;
    uint64_t misfits; /* a link to the first misfit; 0: none. See lua_alloc.c */
    shared limit, headroom;
    shared pressure;  /* 1: see hpw_account_pressure */
    shared planned;   /* 1: requests fail by plan, see inject.h; `line` is 0 then */
    shared squeezed;  /* 1: what is kept has to go back to the pool, another account was refused */
    uint64_t soft;    /* the limit less the headroom */
    uint64_t asks_at; /* above this in_use, an object is sent back for a collection: `soft` or more */
    bool asked;       /* the last object was */
    uint64_t granted, peak_granted;
    uint64_t reallocations, over_limit, over_pool, over_headroom, injected;
    uint64_t kept_bytes;
    link kept[SLAB_SIZES];
    uint64_t unit;                /* bytes that chunks are made of; 0: no chunks */
    chunk *chunks;                /* those with a free unit */
    hpw_account *next, *previous; /* of the pool's accounts, under its lock */

    /* As many as slot_max wants. Never NULL: `full` where there is no slab with a free slot. */
    slab *bins[][HPW_LUA_KINDS];
};

/* By (size + 7) / 8: 1 ... 32 by 8 bytes to 256, to 48 by 16 to 512, to 56 by 64 to 1 KiB. */
extern const unsigned char account_classes[SMALL_MAX / 8 + 1];

HOT unsigned class_of(size_t size) { return account_classes[(size + 7) / 8]; }

HOT unsigned class_bytes(unsigned class) {
    return class <= 32 ? class * 8 : class <= 48 ? 256 + (class - 32) * 16 : 512 + (class - 48) * 64;
}

HOT void *linked(const hpw_account *account, link to) {
    return account->pool->index.bytes + pool_bytes(account->pool, to);
}

HOT link link_to(const hpw_account *account, const void *block) {
    return pool_granule_of(account->pool, block);
}

/*
 * The record of the slab at `start`, a multiple of the slab's size. Not at its start: all of
 * them would lie in the same few sets of a cache, and drive each other out. The address's
 * own bits, from the unit's on, say in which of its first lines it lies; slots are around it.
 */
HOT slab *slab_at(const hpw_account *account, uintptr_t start) {
    return (slab *)(start + (start >> COLOUR_SHIFT & account->colours));
}

HOT slab *slab_of(const hpw_account *account, const void *slot, size_t size) {
    return slab_at(account, (uintptr_t)slot & ~(uintptr_t)account->masks[(size + 7) / 8]);
}

/* Of a class's slabs. */
HOT uint64_t slab_bytes(const hpw_account *account, unsigned class) {
    return (uint64_t)account->masks[class_bytes(class) / 8] + 1;
}

/* ---- account.c ---- */

/* May `more` bytes be in use, for an object or for an array? Counts a refusal. */
bool account_may_have(hpw_account *account, uint64_t more, bool object);

/* Does the plan, where there is one, refuse a request of `size` bytes? Counts and tells it as the pool's. */
bool account_asks_plan(hpw_account *account, uint64_t size);
HOT bool account_fails(hpw_account *account, uint64_t size) {
    return shared_get(&account->planned) && account_asks_plan(account, size);
}

/* There is a plan now, or none any more. The pool is entered, by any thread. */
void account_note_plan(hpw_account *account, bool planned);

/* The pool did not hold it: counts that, and tells the pool's other accounts. */
void account_refused(hpw_account *account);

/* Something large was given back: the headroom may be whole again. */
HOT void account_fell(hpw_account *account) {
    if (account->asks_at != account->soft && account->in_use < account->soft) shared_set(&account->line, 0);
}

/* `granted` may have a new peak. */
void account_grew(hpw_account *account);

/* ---- slabs.c ---- */

/* How large slots and slabs are, by what the account may come to: `most` bytes. Before anything else. */
void slabs_open(hpw_account *account, uint64_t most);

/* Of the account, with its bins. */
size_t slabs_account_bytes(uint64_t most);

/* A slab with a free slot for the bin, now its first; NULL where the pool holds none. */
slab *slabs_fill(hpw_account *account, unsigned kind, unsigned class);

/* A slot of the slab was given back and `used` is where it wakes: it was full, or is empty now. */
void slabs_wake(hpw_account *account, slab *s);

/* ---- chunks.c ---- */

/* A slab of so many bytes, from a chunk or the pool, with `of` set; NULL where there is none. */
slab *chunks_take(hpw_account *account, uint64_t bytes);

void chunks_give(hpw_account *account, slab *s, uint64_t bytes);

/* ---- slabs.c, again ---- */

/* Gives all kept slabs back to the pool; false where there were none. */
bool slabs_give_back(hpw_account *account);

#endif
