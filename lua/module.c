/* SPDX-License-Identifier: MIT */
/*
 * `require "heapwright"`: registers the parts in C and the embedded Lua files
 * with package.preload, then runs the embedded heapwright/init.lua, whose table
 * is the module. Nothing outside of this one shared object is needed.
 *
 * `heapwright.scenario` and `heapwright.sweep` go through C, since a script that
 * ends in `return heapwright.scenario { ... }` makes a tail call: Lua forgets the
 * line that called a Lua function so, but not that which called a C function.
 */
#include "module.h"

#include <lauxlib.h>

#include "embed.h"

static const luaL_Reg parts[] = {
    {"heapwright.pool", luaopen_heapwright_pool},
    {"heapwright.traces", luaopen_heapwright_traces},
    {"heapwright.replay", luaopen_heapwright_replay},
    {"heapwright.states", luaopen_heapwright_states},
    {NULL, NULL},
};

/* scenario(fields), sweep(fields): upvalue 1 is define(fields, place), place "FILE:LINE: " of the caller. */
static int define(lua_State *L) {
    lua_settop(L, 1);
    luaL_where(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

int luaopen_heapwright(lua_State *L) {
    lua_settop(L, 2); /* the name and where the module was found, from `require` */
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (const luaL_Reg *part = parts; part->name != NULL; part++) {
        if (lua_getfield(L, -1, part->name) == LUA_TNIL) {
            lua_pushcfunction(L, part->func);
            lua_setfield(L, -3, part->name);
        }
        lua_settop(L, 3);
    }
    lua_pop(L, 1);
    hpw_embed_preload(L, hpw_embedded_library);
    hpw_embed_load(L, hpw_embedded_library, "heapwright");
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    static const char *const definitions[] = {"scenario", "sweep", NULL};
    for (const char *const *name = definitions; *name; name++) {
        lua_getfield(L, -1, *name);
        lua_pushcclosure(L, define, 1);
        lua_setfield(L, -2, *name);
    }
    return 1;
}

/* Opens the module, which registers its Lua files, and runs the one that `require` wants: its name, and from
 * where. */
static int open_file(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    luaL_requiref(L, "heapwright", luaopen_heapwright, 0);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_getfield(L, -1, name);
    lua_insert(L, 1);
    lua_settop(L, 3);
    lua_call(L, 2, 1);
    return 1;
}

int luaopen_heapwright_property(lua_State *L) { return open_file(L); }

int luaopen_heapwright_assertions(lua_State *L) { return open_file(L); }
