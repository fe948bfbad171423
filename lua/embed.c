/* SPDX-License-Identifier: MIT */
/* Lua sources inside of the binaries: see embed.h. */
#include "embed.h"

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

static void load(lua_State *L, const hpw_embedded *module) {
    if (luaL_loadbufferx(L, (const char *)module->source, module->size, module->chunk, "t") != LUA_OK)
        lua_error(L);
}

/* The loader of one module: upvalue 1 is its row. Called with the name and ":preload:". */
static int run_embedded(lua_State *L) {
    const hpw_embedded *module = lua_touserdata(L, lua_upvalueindex(1));
    lua_settop(L, 2);
    load(L, module);
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

void hpw_embed_preload(lua_State *L, const hpw_embedded *table) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (const hpw_embedded *module = table; module->name != NULL; module++) {
        if (lua_getfield(L, -1, module->name) == LUA_TNIL) {
            lua_pushlightuserdata(L, (void *)(size_t)module);
            lua_pushcclosure(L, run_embedded, 1);
            lua_setfield(L, -3, module->name);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void hpw_embed_load(lua_State *L, const hpw_embedded *table, const char *name) {
    for (const hpw_embedded *module = table; module->name != NULL; module++) {
        if (strcmp(module->name, name) == 0) {
            load(L, module);
            return;
        }
    }
    luaL_error(L, "module '%s' is not embedded", name);
}
