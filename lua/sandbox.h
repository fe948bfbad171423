/* SPDX-License-Identifier: MIT */
/*
 * What a bounded state's scripts find: libraries that keep to the state.
 *
 * Always: the basic functions without dofile and loadfile; load, for text only;
 * setmetatable, which refuses __gc unless finalizers are allowed; coroutine, math,
 * string, table, utf8; of os only clock, date, difftime and time. Others are opened
 * whole where they are asked for, and trusted.
 *
 * Where a budget is watched (budget.h), some functions are guarded: guarded.c.
 */
#ifndef HPW_SANDBOX_H
#define HPW_SANDBOX_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* A set of the libraries that may be asked for: bit i is the i-th of sandbox_library. */
typedef unsigned library_set;

/* The name of the i-th library that may be asked for, NULL past the last. */
const char *sandbox_library(size_t i);

/* "heapwright" as a set: what makes `require "heapwright"` work in the state. */
library_set sandbox_heapwright(void);

/* Opens them in a new state; its budget is set. Raises without memory. */
void sandbox_open(lua_State *L, library_set libraries, bool finalizers);

/* The function that a guard stands before, its upvalue 1, called in the guard's own frame. */
static inline int guarded_original(lua_State *L) { return lua_tocfunction(L, lua_upvalueindex(1))(L); }

/* guarded.c: replaces what the libraries opened so far have by what keeps to the budget. */
void guarded_open(lua_State *L);

/* patterns.c: likewise string.find, match, gmatch and gsub. */
void patterns_open(lua_State *L);

#endif
