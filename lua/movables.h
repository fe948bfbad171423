/* SPDX-License-Identifier: MIT */
/*
 * The block objects of one pool: blocks of which an object of Lua alone knows the address,
 * so that compacting the pool may move them.
 *
 * All of them are in one table by address, under a mutex, whichever state on whichever
 * thread they belong to: any thread may compact or reset the pool, and then it changes
 * what the others' objects know. An object takes the mutex for each access, so that
 * its block stays where it is meanwhile. The mutex comes before the pool's lock, never after;
 * Lua is never called with it held. Pools that are not thread_safe go without.
 *
 * A script that frees or resizes by address could free an object's block under it, so
 * those calls ask here first; where there is no block object that is the reading of one count.
 * O(1) expected; the table takes 32 to 64 bytes of the system's memory a block.
 */
#ifndef HPW_MOVABLES_H
#define HPW_MOVABLES_H

#include <pthread.h>
#include <stdatomic.h>

#include "heapwright.h"
#include "trace_live.h"

typedef enum movable_state { MOVABLE_FREED, MOVABLE_LIVE, MOVABLE_RESET } movable_state;

/* One object's block. All but the links changes under the mutex only. */
typedef struct movable {
    uint64_t address, size; /* bytes */
    movable_state state;
    struct movable *next, *previous; /* of the same handle: its own state's */
    bool orphan;                     /* its object was collected while the pool could not free it */
} movable;

typedef struct movables {
    hpw_pool *pool;
    bool locked;
    pthread_mutex_t mutex;
    atomic_size_t count;
    hpw_live_table table; /* by address; the id is the movable's own address */
} movables;

void movables_open(movables *all, hpw_pool *pool, bool locked);

/* The pool is gone already. Objects that are left know nothing of it any more. */
void movables_close(movables *all);

/* Between these, blocks stay where they are. */
void movables_enter(movables *all);
void movables_leave(movables *all);

/*
 * Each takes the mutex itself. add: `m` becomes a zeroed block of `size` bytes; resize: it has so many from
 * now on, what is new is zero; give: it is freed. HPW_NO_MEMORY, of the pool or, with report->what, of the
 * system; HPW_UNALLOCATED where it is not live; else as hpw_allocate, hpw_resize and hpw_release.
 */
hpw_error movables_add(movables *all, movable *m, uint64_t size, uint64_t alignment, hpw_report *report);
hpw_error movables_resize(movables *all, movable *m, uint64_t size, hpw_report *report);
hpw_error movables_give(movables *all, movable *m, hpw_report *report);

/* Gives it where it is live, and forgets it at any rate: a block that can't be freed, as it is damaged,
 * stays. */
void movables_drop(movables *all, movable *m);

/* hpw_reset, hpw_compact. */
hpw_error movables_reset(movables *all);
hpw_error movables_compact(movables *all, hpw_compaction *out);

/* Does an object's block begin at `address`? And where there is an object at all. */
bool movables_find(movables *all, uint64_t address);

static inline bool movables_has(movables *all, uint64_t address) {
    return atomic_load_explicit(&all->count, memory_order_relaxed) && movables_find(all, address);
}

#endif
