/* SPDX-License-Identifier: MIT */
/*
 * Placement policies in Lua: heapwright.policy(name, { choose = f, ... }).
 *
 * A definition is a userdata with the functions, in the state's registry under its name.
 * A pool with such a policy has a chooser of its own, a userdata that keeps the definition,
 * the view that `choose` is given (free_view.c) and the policy's table of state for this pool.
 *
 * The core asks in the middle of an operation, so
 *   - f is called under lua_pcall: no error of Lua's passes through the core. What it
 *     raised is kept, the request fails, and the method raises it again (chooser_raise)
 *     once the core has returned;
 *   - the pool has no lock, and is its own state's alone: it is neither given to
 *     threads nor lived in by other states;
 *   - while f runs the pool's methods that change it raise; those that ask work. What
 *     finalizers would free meanwhile is freed by the next call (block.c).
 */
#ifndef HPW_CHOOSER_H
#define HPW_CHOOSER_H

#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>

#include "heapwright.h"

typedef struct chooser {
    const hpw_policy_info *info;  /* in the definition, which it keeps */
    lua_State *L;                 /* whose call is being made */
    pthread_t thread;             /* and on which thread */
    const hpw_free_blocks *shown; /* to `choose`, while it runs; else NULL */
    uint64_t asked;               /* how often: of which call a walk is */
    bool choosing;                /* a function of the policy runs */
    bool fresh;                   /* the pool is new or was reset: so is its state */
    bool rounds;                  /* the policy has `round` */
    bool own_words;               /* the error kept is a text of ours, without a position */
    const char *reason;           /* why Lua could not be called; NULL: it was, and raised what is kept */
    bool orphans;                 /* block objects were collected while it chose */
    atomic_bool failed;           /* an error is kept: nothing is asked until chooser_enter */
} chooser;

/* policy(name, definition or nil) */
int module_policy(lua_State *L);

/* The registered policy of that name, whose definition it pushes; NULL: none, and nothing is pushed. */
const hpw_policy_info *chooser_find(lua_State *L, const char *name);

/* The same by number, 1 ..., in the order in which they were registered. */
const hpw_policy_info *chooser_at(lua_State *L, lua_Integer number);

/* Pushes a chooser by the definition at `index`. It lives as long as Lua keeps it: so anchor it. */
chooser *chooser_push(lua_State *L, int index);

/* The core's functions of a chooser; of NULL: none that may be called, but a config that has them says by
 * that whose its policy is. */
hpw_chooser chooser_functions(chooser *self);

/* The call that is made by L may ask from now on. Raises where the policy is choosing. */
void chooser_enter(lua_State *L, chooser *self);

/* Raises where the policy is choosing. */
void chooser_rest(lua_State *L, const chooser *self);

/* Did the policy fail since then? Raises what it raised, or returns 0. */
int chooser_raise(lua_State *L, chooser *self);

/* The same as a text on the stack, with the policy's name in front; false: it did not. */
bool chooser_push_error(lua_State *L, chooser *self);

/* Raises, for argument `arg`, that such a pool is one state's own. */
int chooser_refuse_sharing(lua_State *L, int arg, const hpw_policy_info *info);

/* ---- free_view.c ---- */

/* Pushes the view that the chooser at `index` shows. */
void free_view_push(lua_State *L, int index);

/* "my-fit chose 0x40 for 112 bytes: ...": what is wrong with a choice, as core reports it. */
void free_view_push_fault(lua_State *L, const chooser *self, uint64_t size, uint64_t alignment,
                          const hpw_report *report);

#endif
