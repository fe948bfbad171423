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
 * A policy with runs is asked for one where it chooses nothing (see wants_run),
 * and for those that it no longer needs after each release.
 * At `removed` the map still shows the block, free; before the next call it no
 * longer does. At `added` the map shows the block already. The free blocks
 * between the calls are exactly those added and not removed since `open`.
 *
 * A policy keeps its state in `index->state` (state_size bytes, zeroed before
 * open) and, of a free block, in the block's own bytes through link_get and
 * link_set: at least granule bytes each. It never touches a live block's bytes.
 * Whoever has a pointer can write there too; see may_add.
 */
#ifndef HPW_POLICY_H
#define HPW_POLICY_H

#include <string.h>

#include "blocks.h"

typedef struct slot_classes slot_classes; /* policy/slot_classes.h */

/* What a policy sees of its pool. */
typedef struct free_index {
    blocks map;           /* pool.c's: a policy reads it */
    unsigned char *bytes; /* the pool's */
    unsigned shift;       /* granule = 1 << shift bytes */
    hpw_order order;
    granule_t capacity; /* the most granules that the pool can have */
    bool grows;         /* it has fewer now and then */
    void *state;        /* the policy's own */
    uint64_t steps;     /* nodes and words visited: a policy adds what a call visits beyond the first */

    /*
     * In a pool that validates links: the first one found that can't be, as a sentence on the free
     * block at `broken_at` that held it. NULL: none was. Once it is set the index is *broken*: what
     * it holds is not what the map shows, and no slot but `open` and `check` is called.
     */
    const char *broken;
    granule_t broken_at;

    uint64_t seed; /* of HPW_ORDER_RANDOM */

    const slot_classes *classes; /* of slots, that the pool was opened with; NULL: the usual ones */
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

/* A part of a free block that becomes free blocks of `slot` granules which do not join: see wants_run. */
typedef struct slot_run {
    placement place; /* at a word's start */
    granule_t size;  /* whole words */
    granule_t slot;  /* a word at most */
} slot_run;

typedef struct pool_calls {
    void *(*allocate)(hpw_pool *pool, uint64_t size);
    hpw_error (*release)(hpw_pool *pool, uint64_t address, hpw_report *report);
    hpw_error (*release_sized)(hpw_pool *pool, uint64_t address, uint64_t size);
    hpw_error (*free)(hpw_pool *pool, void *block);
} pool_calls;

/*
 * A policy for pools with caches of threads: thread number n = 1 ... has a heap
 * of its own in the policy, which it uses without the pool's lock (see caches.h).
 */
typedef struct policy_caches {
    /* Bytes for `count` of them; a multiple of 8. */
    size_t (*bytes)(granule_t granules, uint32_t count);

    /* Lays them out in `memory`, zeroed, after the policy's own `open`. */
    void (*open)(free_index *index, void *memory, uint32_t count);

    /* Thread n's heap: it stays where it is. */
    void *(*heap)(free_index *index, uint32_t n);

    /*
     * Is the block around granule `at` what the map says that it is, and no other
     * thread's to change? Asked with the lock alone, by thread n; 0: one without a heap.
     */
    bool (*sees)(free_index *index, uint32_t n, granule_t at);

    /*
     * What others freed of thread n's blocks is free from now on, as the map says
     * it; the thread does not run, or is the one that calls. False: returns_run has
     * to be asked first, then this again.
     */
    bool (*collect)(free_index *index, uint32_t n);
} policy_caches;

/* Why a policy of the host's failed in a request: see chosen.c. HPW_OK: it did not. */
typedef struct policy_failure {
    hpw_error error;
    uint64_t address;
    const char *what; /* a static sentence */
} policy_failure;

/* What a policy of the host's keeps at the beginning of its state: set before `open`, and past a reset. */
typedef struct host_policy {
    hpw_chooser chooser;
    policy_failure failure; /* in the latest round or choose: then nothing else is tried for the request */
    policy_failure refused; /* the one that the latest refused request was refused for */
    char name[HPW_POLICY_NAME + 1];
} host_policy;

#define POLICY_CHOSEN "chosen" /* its name where the host gives it none */

typedef struct policy {
    hpw_policy_info info;

    /*
     * The pool's own two calls, compiled for this policy, with the lock held.
     * allocate: the pointer, NULL for a request refused (and counted and told);
     * release: as hpw_release; release_sized: as hpw_free_sized, NULL of a short way:
     * the general one; free: as hpw_free, NULL: by `release`. `general`, by
     * operations_of_policy.h, does for any pool that validates no links in free blocks,
     * `validating` for those that do, of a policy with links there; the short ways for
     * pools of granules of 16 without sink and growth: `calls` in each order where frees are
     * not remembered, `remembering` where they are. NULL: it has none.
     */
    pool_calls general;
    pool_calls validating;
    pool_calls calls[HPW_ORDER_COUNT];
    pool_calls remembering;

    /* The same policy in HPW_ORDER_RANDOM, which is compiled apart so that no other order asks. NULL: it
     * takes none. */
    const struct policy *at_random;

    /* For pools with caches of threads, whose calls `cached` are, made without the lock. NULL: it takes none.
     */
    const policy_caches *caches;
    pool_calls cached;

    /* What `choose` answers may lie anywhere in a free block; else at its lowest aligned place. */
    bool places_anywhere;

    /* What is freed stays unused until reset, so a free end is not given back before. */
    bool keeps_freed;

    /* A function of the host's chooses: the state begins with a host_policy. */
    bool by_host;

    /* The least granule, in bytes, that orders other than address take; 0: any. */
    uint32_t least_ordered_granule;

    /* Bytes of state for a pool of at most `granules`; a multiple of 8. */
    size_t (*state_size)(granule_t granules, hpw_order order);

    /* Prepares the zeroed state. No free block is known yet. */
    void (*open)(free_index *index);

    /* Granules to grant for a request of `size`; NO_GRANULE: more than can ever be. NULL: `size`. */
    granule_t (*round)(const free_index *index, granule_t size);

    /*
     * Chooses. Must not change which blocks are known; may note what `removed` will want. What it
     * chooses is placed.
     */
    placement (*choose)(free_index *index, const request *want);

    /* Chooses where neither choose nor wants_run had anything. NULL: nothing. */
    placement (*choose_last)(free_index *index, const request *want);

    /*
     * Runs: a policy may have a part of a free block cut into slots, free blocks of
     * one size that never join, and have them given back. NULL, all and in_run: it has none.
     * wants_run: which run would hold `want`, after `choose` did not; false: none.
     * run_added: the block is removed, the map shows the slots, and behind them what
     * is left of the run, a free block that is never told of. The slots are known
     * from now on; `added` is told of what the block has around the run.
     * returns_run: a run none of whose slots is live, `all`: whatever it could still
     * be kept for; false: none. It is forgotten, and added as one free block.
     */
    bool (*wants_run)(free_index *index, const request *want, slot_run *wanted);
    void (*run_added)(free_index *index, const slot_run *made);
    bool (*returns_run)(free_index *index, bool all, slot_run *returned);

    /*
     * May a block of `size` lie in a slot at `at`, where it is told to lie? Where that slot
     * is free already, wanted->size is 0, and it is the one that `removed` takes next; else
     * *wanted is the run that has to be there first, but for the free block around it, which
     * is the caller's to find; then it asks again. NULL: there are no runs.
     */
    bool (*wants_slot)(free_index *index, granule_t at, granule_t size, slot_run *wanted);

    /*
     * Of the free range [at, at + size): how many granules, from `at` on, make one
     * free block. Called again for what is left. NULL: all of it.
     */
    granule_t (*piece)(free_index *index, granule_t at, granule_t size);

    /* May the free neighbours [left, right) and [right, right + right_size) be one block? NULL: yes. */
    bool (*may_join)(free_index *index, granule_t left, granule_t right, granule_t right_size);

    /* Does granule `at` lie in a run? Then nothing joins its block. NULL: there are no runs. */
    bool (*in_run)(const free_index *index, granule_t at);

    /* May the live block at `at` become `size` granules where it lies? NULL: yes. */
    bool (*may_resize)(free_index *index, granule_t at, granule_t old_size, granule_t size);

    /*
     * For pools that validate what lies in free blocks (index_validates), asked before `added` and
     * `removed`: are the links that they would follow links to free blocks that belong there, which
     * link back where that is so, and do they end? Changes nothing; false: the index is broken
     * (index_break), and they are not called. NULL, both: they follow none. `choose`, `choose_last`,
     * `wants_run`, `may_resize` and `largest` look themselves, and answer nothing where it breaks.
     */
    bool (*may_add)(free_index *index, granule_t at, granule_t size);
    bool (*may_remove)(free_index *index, granule_t at, granule_t size);

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

/* The one by which a host's function chooses: in no table. */
extern const policy policy_chosen;

/* The one that places in this order; NULL: it does not take it. */
const policy *policy_in_order(const policy *named, hpw_order order);

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

/*
 * Are links in free blocks validated when they are followed? In pools that are guarded: a C program
 * may have written to memory that it freed, so a link may be anything.
 */
HOT bool index_validates(const free_index *index) { return index->map.freed != NULL; }

/* Is `at`, which may be anything, the start of a free block? */
HOT bool index_has_free(const free_index *index, granule_t at) {
    return at < index->map.count && blocks_is_free(&index->map, at);
}

/* The free block at `at` holds what can't be: see free_index. The first one found stays noted. */
static inline bool index_break(free_index *index, granule_t at, const char *what) {
    if (!index->broken) {
        index->broken = what;
        index->broken_at = at;
    }
    return false;
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
