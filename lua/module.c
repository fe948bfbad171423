/* SPDX-License-Identifier: MIT */
/*
 * `require "heapwright"`: registers the parts in C and the embedded Lua files
 * with package.preload, then runs the embedded heapwright/init.lua, whose table
 * is the module. Nothing outside of this one shared object is needed.
 */
#include "module.h"

#include <lauxlib.h>

#include "embed.h"

static const luaL_Reg parts[] = {
    {"heapwright.pool", luaopen_heapwright_pool},
    {"heapwright.traces", luaopen_heapwright_traces},
    {"heapwright.replay", luaopen_heapwright_replay},
    {NULL, NULL},
};

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
    return 1;
}
