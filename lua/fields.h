/* SPDX-License-Identifier: MIT */
/* The fields of a table that lies on top of Lua's stack. */
#ifndef HPW_FIELDS_H
#define HPW_FIELDS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "heapwright.h"

static inline void set_count(lua_State *L, const char *name, uint64_t count) {
    lua_pushinteger(L, (lua_Integer)count);
    lua_setfield(L, -2, name);
}

static inline void set_number(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static inline void set_string(lua_State *L, const char *name, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static inline void set_flag(lua_State *L, const char *name, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

/* What an account counts, but for its kinds; no limit is no field. */
void set_account_counts(lua_State *L, const hpw_account_stats *stats);

#endif
