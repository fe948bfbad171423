/* SPDX-License-Identifier: MIT */
/*
 * A pool from the inside, for the files that make it up: open.c makes it,
 * pool.c allocates, resizes and frees, access.c reads and writes, stats.c
 * counts and walks, check.c verifies, event.c tells, backing.c brings bytes.
 */
#ifndef HPW_POOL_H
#define HPW_POOL_H

#include "inject.h"
#include "policy.h"
#ifndef HPW_FREESTANDING
#include "lock.h"
#endif

/* What every call enters and leaves. */
typedef enum pool_locking {
    LOCKING_NONE,   /* single-threaded */
    LOCKING_OWN,    /* pool->lock */
    LOCKING_CACHED, /* and threads with caches stopped: caches.h */
    LOCKING_HOST    /* the host's functions */
} pool_locking;

/*
 * What a pool counts: hpw_get_stats makes statistics of it. What need not be
 * counted is not: an allocation is 2 steps (choose, removed) and a free 1 (added)
 * before anything is visited beyond, and the free blocks are all blocks less the
 * live ones. What has a peak is kept as the peak and the room below it, so that
 * counting one more is a subtraction whose sign says whether there is a new peak.
 */
typedef struct tally {
    int64_t in_use_room, granted_room; /* bytes below the peaks */
    uint64_t allocations, frees;
    uint64_t peak_in_use, peak_granted; /* bytes */
    uint64_t reallocations, failures;
    uint64_t steps_max; /* of operations that took more than these */
    granule_t high_water;
    granule_t blocks; /* live and free */
} tally;

HOT uint64_t tally_in_use(const tally *t) { return t->peak_in_use - (uint64_t)t->in_use_room; }
HOT uint64_t tally_granted(const tally *t) { return t->peak_granted - (uint64_t)t->granted_room; }

enum { ALLOCATION_STEPS = 2, FREE_STEPS = 1 };

struct hpw_pool {
    pool_calls outer; /* what the public calls do: enter, inner, leave */
    pool_calls inner; /* the policy's, the lock held: see pool_choose_way */
    free_index index; /* the block map, and what the policy sees of it */
    tally counts;
    const policy *policy;
    hpw_host host;
    pool_locking locking;
#ifndef HPW_FREESTANDING
    pool_lock *lock;            /* in the metadata */
    struct pool_caches *caches; /* NULL: none */
#endif
    struct pool_guards *guards;   /* of guard full, see guard.h; NULL: none */
    struct hpw_account *accounts; /* those open in it */
    uint64_t *claims; /* a bit a cell: a claimed block larger than a cell starts in it, see claim.h */
    hpw_sink *sink;
    void *sink_ud;
    uint64_t site;
    uint64_t events;
    uint64_t *held;         /* a bit a granule: see guard.h. NULL without guards */
    uint64_t red_zone;      /* bytes that every block is granted beyond its size: of guard full */
    uint64_t largest_align; /* bytes; the largest alignment ever asked for, 0 none beyond the usual */
    uint64_t most_align;    /* bytes; more is aligned by chance alone, so never granted; 0: no such limit */
    granule_t capacity;     /* granules that it opened with: it never shrinks below */
    granule_t max_capacity; /* granules that it may grow to */
    granule_t growth_step;
    granule_t plain; /* of the granules below it accesses need the map alone: all, or with guards none */
    uint32_t skew;   /* granules that the pool's start lies past a multiple of any alignment asked */
    hpw_guard guard;
    bool claiming;      /* the call is one of claim.h: the block has no red zone, its owner has all of it, and
                           the host knows no site */
    bool small_pages;   /* as it was opened: for its image */
    size_t state_bytes; /* the policy's, and of those the caches': at their end */
    size_t caches_bytes;
    uint32_t cache_count;

    /* What the backing wants: bytes given back; the end of the pool. NULL: nothing to do. */
    void (*discard)(hpw_pool *pool, uint64_t from, uint64_t to);
    void (*close)(hpw_pool *pool);
    void *mapping, *metadata_mapping;
    size_t mapping_size, metadata_size;

    injection injection; /* the plan by which requests fail, see inject.h */
};

/* Where the policy's state lies, index.state: right behind the pool, so that who knows the pool reads no
 * pointer. */
HOT void *pool_state(const hpw_pool *pool) { return (unsigned char *)pool + (sizeof *pool + 15) / 16 * 16; }

enum { PLAIN_SHIFT = 4, PLAIN_MASK = (1 << PLAIN_SHIFT) - 1 };

/*
 * Sets `outer` and `inner`: the policy's short way where it has one for a pool
 * like this (granules of 16, no sink, no growth), else its general one; while
 * requests fail by plan, that behind the plan. To be called again where the sink
 * or the plan changes.
 */
void pool_choose_way(hpw_pool *pool);

/* ---- Units ---- */

HOT uint64_t pool_bytes(const hpw_pool *pool, granule_t granules) {
    return (uint64_t)granules << pool->index.shift;
}

HOT granule_t pool_granule(const hpw_pool *pool, uint64_t address) {
    return (granule_t)(address >> pool->index.shift);
}

/* Of a pointer into the pool. */
HOT granule_t pool_granule_of(const hpw_pool *pool, const void *block) {
    return pool_granule(pool, (uint64_t)((const unsigned char *)block - pool->index.bytes));
}

HOT bool pool_holds(const hpw_pool *pool, uint64_t address) {
    return address < pool_bytes(pool, pool->index.map.count);
}

/* ---- The lock ---- */

#ifndef HPW_FREESTANDING
void caches_enter(hpw_pool *pool);
void caches_leave(hpw_pool *pool);
void caches_note_broken(hpw_pool *pool);
#endif

HOT void pool_enter(const hpw_pool *pool) {
    if (pool->locking == LOCKING_NONE) return;
#ifndef HPW_FREESTANDING
    if (pool->locking == LOCKING_OWN) {
        lock_enter(pool->lock);
        return;
    }
    if (pool->locking == LOCKING_CACHED) {
        caches_enter((hpw_pool *)pool); /* whose counts come together there */
        return;
    }
#endif
    pool->host.lock(pool->host.ud);
}

HOT void pool_leave(const hpw_pool *pool) {
    if (pool->locking == LOCKING_NONE) return;
#ifndef HPW_FREESTANDING
    if (pool->locking == LOCKING_OWN) {
        lock_leave(pool->lock);
        return;
    }
    if (pool->locking == LOCKING_CACHED) {
        caches_leave((hpw_pool *)pool);
        return;
    }
#endif
    pool->host.unlock(pool->host.ud);
}

/* ---- Requested sizes ---- */

/*
 * The slack of a live block is its granted size less its requested one. No
 * slack: the map says so. Else the block's last byte is the slack, 1 ... 254;
 * or 255, and the 8 bytes before it are the slack.
 */
enum { SLACK_LONG = 255 };

/* False where the record contradicts the block's size. */
HOT bool pool_requested(const hpw_pool *pool, granule_t at, granule_t size, uint64_t *requested) {
    uint64_t granted = pool_bytes(pool, size), slack;
    *requested = granted;
    if (!blocks_has_slack(&pool->index.map, at)) return true;
    const unsigned char *end = pool->index.bytes + pool_bytes(pool, at) + granted;
    slack = end[-1];
    if (slack == SLACK_LONG) {
        if (granted < 1 + sizeof slack) return false;
        memcpy(&slack, end - 1 - sizeof slack, sizeof slack);
        if (slack < SLACK_LONG) return false;
    }
    if (slack == 0 || slack > granted) return false;
    *requested = granted - slack;
    return true;
}

/* Does a freed block that is held back begin here? To users it is free, though it is live in the map. */
HOT bool pool_is_held(const hpw_pool *pool, granule_t at) {
    return pool->guards && blocks_bit(pool->held, at);
}

/*
 * Claimed blocks of more than POOL_CELL granules are in a bitmap, a bit for so
 * many granules: of two blocks that large at most one starts there. See claim.h.
 */
enum { POOL_CELL = 64 };

HOT bool pool_large_claimed(const hpw_pool *pool, granule_t at, granule_t size) {
    return size > POOL_CELL && blocks_bit(pool->claims, at / POOL_CELL);
}

/* Is what a record leaves of the slack a canary? */
HOT bool pool_has_canaries(const hpw_pool *pool) { return pool->index.map.freed; }

/* Fills the canary of a live block: canary.c. */
void canary_write(const hpw_pool *pool, granule_t at, granule_t size, uint64_t slack);

/* Notes the slack of a live block in it, if it has any. */
HOT void pool_note_slack(const hpw_pool *pool, granule_t at, granule_t size, uint64_t slack) {
    if (!slack) return;
    unsigned char *end = pool->index.bytes + pool_bytes(pool, at + size);
    if (!MOSTLY(!pool_has_canaries(pool))) canary_write(pool, at, size, slack);
    if (slack < SLACK_LONG) {
        end[-1] = (unsigned char)slack;
    } else {
        end[-1] = SLACK_LONG;
        memcpy(end - 1 - sizeof slack, &slack, sizeof slack);
    }
}

uint64_t canary_damage(const hpw_pool *pool, granule_t at, granule_t size, uint64_t requested);

/* The first byte of a live block's canary that was overwritten; UINT64_MAX: none, or it has no canary. */
HOT uint64_t pool_damage(const hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    return MOSTLY(!pool_has_canaries(pool)) ? UINT64_MAX : canary_damage(pool, at, size, requested);
}

#define POOL_OVERRUN "the bytes behind the block were overwritten"

/* Is the live block claimed? See claim.h. */
#define POOL_CLAIMED ((uint64_t)1 << 63)
bool pool_claimed(const hpw_pool *pool, granule_t at, granule_t size, uint64_t *requested);

/* Fills a report where there is one; returns the error. */
hpw_error pool_report(hpw_report *report, hpw_error error, uint64_t address, uint64_t size, const char *what);

/* As pool_report, with the block around `address` where it lies in the pool. The lock is held. */
hpw_error pool_report_at(const hpw_pool *pool, hpw_report *report, hpw_error error, uint64_t address,
                         uint64_t size, const char *what);

/* What an address is that is no live block's start, or whose block's record is wrong. The lock is held. */
hpw_error pool_diagnose(const hpw_pool *pool, uint64_t address, hpw_report *report);

/* Is `address` the start of a live block whose record is sound? If not, see pool_diagnose. The lock is held.
 */
HOT bool pool_find_live(const hpw_pool *pool, uint64_t address, granule_t *at, granule_t *size,
                        uint64_t *requested) {
    uint64_t granule = address >> pool->index.shift;
    *at = (granule_t)granule;
    if (granule >= pool->index.map.count || granule << pool->index.shift != address ||
        !blocks_is_live(&pool->index.map, *at))
        return false;
    *size = blocks_size(&pool->index.map, *at);
    return !pool_large_claimed(pool, *at, *size) && pool_requested(pool, *at, *size, requested);
}

/* The same where the pool may have guards: and it is not held back. */
HOT bool pool_find_user(const hpw_pool *pool, uint64_t address, granule_t *at, granule_t *size,
                        uint64_t *requested) {
    return pool_find_live(pool, address, at, size, requested) && !pool_is_held(pool, *at);
}

/* A growing pool: grows until `want` fits, or stays as it was; gives its free end back, all but a step. */
placement pool_grow_for(hpw_pool *pool, const request *want);
void pool_trim(hpw_pool *pool);

/*
 * The index was found broken, see free_index: from now on the pool's two calls, resize and trim refuse, until
 * hpw_reset, which tells here that it is whole again. The lock is held.
 */
void pool_note_broken(hpw_pool *pool);

/* Reports it: where the bad link lay. */
hpw_error pool_report_broken(const hpw_pool *pool, hpw_report *report);

/* Makes the pool end at `end`, above where it does and at most max_capacity: what is new is free. */
void pool_extend(hpw_pool *pool, granule_t end);

/* What is granted for a request of `size`: with guard full the red zone too. */
uint64_t pool_guarded_size(const hpw_pool *pool, uint64_t size);

/* What hpw_reset does, the lock held and no account open. */
void pool_reset(hpw_pool *pool);

/* In granules, the alignment that the live block at `at` keeps when it moves. */
granule_t pool_kept_align(const hpw_pool *pool, granule_t at);

/* In bytes, whether or not the index is broken; counts no steps. */
uint64_t pool_largest_free(const hpw_pool *pool);

/* What a policy of the host's keeps; NULL: the policy is built in. */
static inline host_policy *pool_host_policy(const hpw_pool *pool) {
    return pool->policy->by_host ? pool->index.state : NULL;
}

/* Did the host's policy fail in the request at hand? Then nothing else is tried for it. */
static inline bool pool_policy_failed(const hpw_pool *pool) {
    const host_policy *host = pool_host_policy(pool);
    return host && host->failure.error;
}

/* Counts and tells a request that nothing holds. */
void pool_refuse(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t alignment);

/* The same, unless a block that was written to in quarantine is what the call answers. */
void pool_refuse_request(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t alignment);

/* Reports it. */
hpw_error pool_report_refused(const hpw_pool *pool, hpw_report *report, uint64_t address, uint64_t size);

void pool_emit_alloc(hpw_pool *pool, granule_t at, uint64_t size, uint64_t alignment);

/* Opens the policy in its zeroed state. */
void pool_open_policy(hpw_pool *pool);

/* A pool just laid out: all of its capacity is free. */
void pool_fill(hpw_pool *pool);

/* The host's site, or the one that was set; 0: neither is known. */
uint64_t pool_site(const hpw_pool *pool);

/* Tells an event to the sink; the lock is held. */
void pool_emit(hpw_pool *pool, hpw_event event);

/* What every mapped pool is aligned to at least, in bytes: no page in use is larger. */
enum { MAPPED_ALIGN = 64 * 1024 };

#ifndef HPW_FREESTANDING
/* Fills in what the pool's host did not bring; the lock goes to `storage`, of system_host_size bytes. */
size_t system_host_size(uint32_t caches);
void system_host_open(hpw_pool *pool, void *storage, const hpw_config *config);
void system_host_close(hpw_pool *pool);
#endif

/*
 * What hpw_aligned_alloc and hpw_resize do, the lock held; but this alignment is none that blocks keep when
 * they move. 0, or a granule at most: the usual one.
 */
void *pool_allocate_aligned(hpw_pool *pool, uint64_t size, uint64_t alignment);
hpw_error pool_resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved, hpw_report *report);

/* The same as a caller's request, of which a plan may refuse any; and the alignment, of more than a granule,
 * is one that blocks keep. */
void *pool_allocate_over_aligned(hpw_pool *pool, uint64_t size, uint64_t alignment);
hpw_error pool_resize_asking(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved,
                             hpw_report *report);

/* The calls that do for any such pool. */
const pool_calls *pool_general(const hpw_pool *pool);

/* Lays the pool out in `memory` (metadata) and `bytes`; the config is valid. */
hpw_pool *pool_lay_out(void *memory, unsigned char *bytes, const hpw_config *config);

/* The config with its zeros filled in; what is wrong with it, or HPW_OK. */
hpw_error pool_config(hpw_config *config);

/* Metadata bytes for a config that pool_config has accepted. */
size_t pool_metadata_size(const hpw_config *config);

#endif
