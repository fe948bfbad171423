/* SPDX-License-Identifier: MIT */
/* What states (state.c) and threads (spawn.c) have in common towards their Lua host. */
#ifndef HPW_STATES_H
#define HPW_STATES_H

#include <lauxlib.h>
#include <lua.h>

#include "child.h"

/* Pushes nil, the message or the error's value, and the code or nil; returns 3. */
int states_push_failure(lua_State *L, const failure *why, const values *results);

/* Makes a userdata's type known by its name, once, and whole. */
void states_new_type(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *index);

/* spawn(pool or nil, source, ...) */
int module_spawn(lua_State *L);

/* The type of threads, and what ends them with this Lua state. */
void spawn_open(lua_State *L);

#endif
