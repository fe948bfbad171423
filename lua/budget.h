/* SPDX-License-Identifier: MIT */
/*
 * What a call into a bounded state may spend: VM instructions and time. Also how
 * another thread ends it.
 *
 * Instructions are drawn in instalments: 1,000 for the call, 100 for each coroutine
 * when it is made, and so on whenever one is used up, which is what a count hook
 * tells. None runs that was not drawn, so a budget is never passed, not by one; what
 * a coroutine had left when it was dropped is spent all the same. At each instalment
 * (of coroutines: about every tenth) the clock is looked at, and the cancelling.
 *
 * Once a budget has ended, each further instruction of the state raises, whatever
 * catches it, until the call has returned.
 */
#ifndef HPW_BUDGET_H
#define HPW_BUDGET_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BUDGET_NONE UINT64_MAX

typedef enum budget_end { GOES_ON, OUT_OF_INSTRUCTIONS, OUT_OF_TIME, CANCELLED } budget_end;

typedef struct budget {
    lua_State *main;       /* the state's main thread */
    uint64_t instructions; /* a call's; BUDGET_NONE */
    uint64_t time;         /* a call's, in nanoseconds; BUDGET_NONE */
    bool watched;          /* is there a hook: one of the two, or it may be cancelled */
    uint64_t left, drawn;  /* of this call's instructions */
    uint64_t unseen;       /* drawn since the clock was looked at */
    uint64_t began, ended; /* this call, by the monotonic clock */
    budget_end end;
    char place[LUA_IDSIZE + 16]; /* where it ended: "script.lua:12: ", or empty */
    atomic_bool cancelled;       /* set by any thread, never reset */
} budget;

/* A state's budget lies in the extra space of its threads, which Lua copies to coroutines. */
static inline budget *budget_of(lua_State *L) { return *(budget **)lua_getextraspace(L); }
static inline void budget_set(lua_State *L, budget *b) { *(budget **)lua_getextraspace(L) = b; }

/* The same of any Lua state: NULL where it is no bounded one, or none watches it. */
budget *budget_in(lua_State *L);

/* Makes the budget that of a new state, whose main thread L is. Raises without memory. */
void budget_register(lua_State *L);

/* Nanoseconds of a clock that only goes forwards. */
uint64_t budget_now(void);

/* A call begins, or has ended, outside of it. Neither raises. */
void budget_begin(budget *b);
void budget_finish(budget *b);

/* A new coroutine, by whoever made it, draws its first instalment; raises in L where there is none. */
void budget_adopt(lua_State *L, lua_State *coroutine);

/* A C function is about to take so many steps: they count as instructions, and the clock is looked at. */
void budget_charge(lua_State *L, uint64_t steps);

/* The same, whatever has been counted since: looks at the clock, and raises where the budget ends. */
void budget_look(lua_State *L);

/* Raises where the budget has ended. */
void budget_check(lua_State *L);

#endif
