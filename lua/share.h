/* SPDX-License-Identifier: MIT */
/*
 * What all holders of one pool have in common: the pool itself, and its
 * recording. Holders are the userdata of any number of Lua states, on any number
 * of threads, the accounts of states that live in the pool, and threads on their
 * way to one. The last to let go closes the pool.
 *
 * Every function may be called by any thread that has a hold of its own on the
 * share for as long as the call takes. None calls Lua.
 */
#ifndef HPW_SHARE_H
#define HPW_SHARE_H

#include "heapwright.h"
#include "movables.h"
#include "sites.h"
#include "trace.h"

typedef struct pool_share pool_share;

/*
 * Opens a pool with one holder, the caller. NULL and *error as hpw_open, and
 * HPW_NO_MEMORY where the system has none for the share.
 */
pool_share *share_open(const hpw_config *config, const hpw_policy_info *policy, hpw_error *error);

/* The same with the pool of an image: NULL and *error as hpw_open_image. */
pool_share *share_load(const char *path, const hpw_config *config, const hpw_policy_info *policy,
                       hpw_image_error *error);

/* One more holder; returns the share. */
pool_share *share_hold(pool_share *share);

/*
 * One holder less. The last one ends the recording and closes the pool: no block
 * of it may be in use any more, an account in it must be closed before.
 */
void share_release(pool_share *share);

/* The same; false with *error where that ended a recording whose trace could not be written whole. */
bool share_release_telling(pool_share *share, hpw_trace_error *error);

hpw_pool *share_pool(const pool_share *share);
const hpw_policy_info *share_policy(const pool_share *share);

/* Its block objects, whoever's they are. */
movables *share_movables(pool_share *share);

/* May several threads use the pool? Not where it was opened with thread_safe = false. */
bool share_is_locked(const pool_share *share);

/* How many hold the pool just now. */
size_t share_holders(const pool_share *share);

/* Where its blocks were allocated and freed: of a pool with guard full; NULL: it keeps none. */
sites *share_sites(const pool_share *share);

/* One more, or one less, Lua state lives in the pool: its blocks are not to be reset. */
void share_add_state(pool_share *share);
void share_remove_state(pool_share *share);
size_t share_states(const pool_share *share);

/*
 * Begins to record the pool's events, whoever makes them; the blocks that are
 * live already come first. False and *error: HPW_INVALID_ARGUMENT where it is
 * being recorded already, by whichever holder; else as hpw_trace_create.
 */
bool share_begin_recording(pool_share *share, const char *path, hpw_trace_error *error);

/*
 * Ends the recording, whichever holder began it; none is nothing to do, and 0
 * events. False with *error where the trace could not be written whole.
 */
bool share_end_recording(pool_share *share, uint64_t *events, hpw_trace_error *error);

#endif
