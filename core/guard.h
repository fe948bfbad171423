/* SPDX-License-Identifier: MIT */
/*
 * What a pool with guard full knows beside its block map: the quarantine of freed
 * blocks, which bytes were written, and who allocated and freed each block. All of
 * it lies in the metadata.
 *
 *   queue    a ring of the blocks in quarantine, oldest first
 *   held     a bit a granule: a freed block that is held back begins here. In the
 *            map it is live, so that no policy hands it out; whoever answers users
 *            asks pool_is_held. One that is held and not in the queue was written to
 *            while it was, and is lost until reset
 *   written  a bit a byte: written since its block was granted
 *   records  one a granule: of the newest block that began there
 *
 * Memory: 24.25 bytes and 1 bit a byte for each granule (16.25 where pointers have 32 bits), 4 for each
 * granule of the quarantine.
 */
#ifndef HPW_GUARD_H
#define HPW_GUARD_H

#include "pool.h"

/* Where the function that says it returns to. */
#if defined(__GNUC__)
#define CALLER ((uintptr_t)__builtin_return_address(0))
#else
#define CALLER ((uintptr_t)0)
#endif

/*
 * The shortest public functions jump to a call of the pool's, and that one returns to where they do; so they
 * need not ask whether the pool has guards. Where a compiler makes a call of it, they ask.
 */
#ifdef __has_feature
#define GUARD_HAS_FEATURE(name) __has_feature(name)
#else
#define GUARD_HAS_FEATURE(name) 0
#endif
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||               \
    GUARD_HAS_FEATURE(address_sanitizer) || GUARD_HAS_FEATURE(thread_sanitizer) ||                           \
    GUARD_HAS_FEATURE(undefined_behavior_sanitizer)
#define ASKS_GUARDS(pool) ((pool)->guards)
#else
#define ASKS_GUARDS(pool) ((void)(pool), false)
#endif

typedef struct guard_record {
    uintptr_t allocated_site, freed_site;
    uint32_t allocated_thread, freed_thread;
} guard_record;

typedef struct pool_guards {
    uint64_t red_zone, quarantine; /* bytes, as configured */
    uint64_t queued;               /* granted bytes of the blocks in the queue */
    uint64_t held;                 /* and of all that are held */
    granule_t held_count;          /* how many */
    granule_t first, count, room;  /* of the ring */
    uintptr_t caller;              /* the return address of the public call that is being made; 0: none */
    granule_t damaged;             /* the block that was found written to in this call; NO_GRANULE: none */
    granule_t *queue;
    uint8_t *written;
    guard_record *records;
} pool_guards;

/* ---- Layout ---- */

/* Bytes for a valid config; a multiple of 16, 0 without guard full. */
size_t guard_size(const hpw_config *config);

/* Lays them out in `memory`, zeroed, and makes them the pool's. */
void guard_open(hpw_pool *pool, void *memory, const hpw_config *config);

/* The pool's own calls, and what the public ones do around them. */
extern const pool_calls guard_calls, guard_outer_calls;

/* ---- Public calls on a guarded pool; `caller` is where they return to ---- */

hpw_error guard_allocate(hpw_pool *pool, uint64_t size, uint64_t alignment, uint64_t *address,
                         uintptr_t caller, hpw_report *report);
hpw_error guard_resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved, uintptr_t caller,
                       hpw_report *report);

hpw_error guard_release(hpw_pool *pool, uint64_t address, uintptr_t caller, hpw_report *report);
hpw_error guard_release_sized(hpw_pool *pool, uint64_t address, uint64_t size, uintptr_t caller);

/* By pointer: all bytes count as written. NULL: refused; of guard_realloc, the block is as it was. */
void *guard_malloc(hpw_pool *pool, uint64_t size, uint64_t alignment, uintptr_t caller);
void *guard_realloc(hpw_pool *pool, void *block, uint64_t size, uintptr_t caller);

/* ---- Blocks, with the lock held ---- */

/* The block at `at` was granted to whoever calls. */
void guard_note_allocated(hpw_pool *pool, granule_t at);

/*
 * A block of `size` bytes is about to go into the quarantine: may all leave that have to? If not, *report
 * says which was written to; it is out of the queue, and nothing else changed.
 */
hpw_error guard_expect(hpw_pool *pool, uint64_t size, hpw_report *report);

/* The live block, whose first `requested` bytes were the user's, goes there, after guard_expect. */
void guard_hold(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested);

/* Reports guards->damaged. */
hpw_error guard_report_damaged(const hpw_pool *pool, hpw_report *report);

/* Lets all out. False: there were none, or one was written to: guards->damaged. */
bool guard_empty(hpw_pool *pool);

/* Nothing is held any more; the map is about to be made anew. */
void guard_forget(hpw_pool *pool);

/* What is wrong with the held blocks, and their counts, and *bad, or *byte too; NULL: nothing. */
const char *guard_check(const hpw_pool *pool, granule_t *bad, uint64_t *byte);

/* Who allocated and freed the newest block that began at `at`. */
hpw_origin guard_origin(const hpw_pool *pool, granule_t at);

/* ---- Written bytes ---- */

void guard_set_written(pool_guards *g, uint64_t address, uint64_t n, bool written);

/* The first byte of [address, address + n) that was not; address + n: all were. */
uint64_t guard_first_unwritten(const pool_guards *g, uint64_t address, uint64_t n);

/* What is known of n bytes at `from` is known of those at `to`; they may overlap. */
void guard_copy_written(pool_guards *g, uint64_t to, uint64_t from, uint64_t n);

/* A block had `was` bytes at `from` and has `size` at `to` now. */
void guard_move_written(pool_guards *g, uint64_t to, uint64_t from, uint64_t was, uint64_t size);

#endif
