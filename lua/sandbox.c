/* SPDX-License-Identifier: MIT */
/* The libraries of a bounded state: see sandbox.h. */
#include "sandbox.h"

#include <lauxlib.h>
#include <lualib.h>

#include "budget.h"
#include "chunk.h"
#include "module.h"

/* ---- In place of the basic library's ---- */

/*
 * setmetatable(table, metatable): finalizers run with hooks off, where no budget
 * holds. Lua finalizes only what has __gc in its metatable when that is set.
 */
static int set_metatable(lua_State *L) {
    if (lua_type(L, 2) == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) return luaL_argerror(L, 2, "__gc: this state has no finalizers");
        lua_pop(L, 1);
    }
    return guarded_original(L);
}

/* Puts `guard` before the function `name` of the table on top. */
static void guard_field(lua_State *L, const char *name, lua_CFunction guard) {
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, guard, 1);
    lua_setfield(L, -2, name);
}

static void open_base(lua_State *L, bool finalizers) {
    static const char *const removed[] = {"dofile", "loadfile"};
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, removed[i]);
    }
    lua_pushcfunction(L, chunk_load_function);
    lua_setfield(L, -2, "load");
    if (!finalizers) guard_field(L, "setmetatable", set_metatable);
    lua_pop(L, 1);
}

/* ---- A part of os ---- */

static int open_clocks(lua_State *L) {
    static const char *const kept[] = {"clock", "date", "difftime", "time"};
    luaopen_os(L);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        lua_getfield(L, -2, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    return 1;
}

/* ---- heapwright in the state ---- */

/* require(name) of states without `package`: what is loaded already, and heapwright's own modules. */
static int require_own(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, 2, name) != LUA_TNIL) return 1;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    if (lua_getfield(L, -1, name) == LUA_TNIL)
        return luaL_error(L, "module '%s' not found: this state has heapwright's own alone", name);
    lua_pushvalue(L, 1);
    lua_pushliteral(L, ":preload:");
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1)) lua_pushboolean(L, true);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

/* As an opener: `require` finds it, what it takes is taken when it is required. */
static int open_heapwright(lua_State *L) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_heapwright);
    lua_setfield(L, -2, "heapwright");
    if (lua_getglobal(L, "require") == LUA_TNIL) {
        lua_pushcfunction(L, require_own);
        lua_setglobal(L, "require");
    }
    return 0;
}

/* ---- All of them ---- */

static const luaL_Reg always[] = {
    {LUA_COLIBNAME, luaopen_coroutine}, {LUA_MATHLIBNAME, luaopen_math}, {LUA_STRLIBNAME, luaopen_string},
    {LUA_TABLIBNAME, luaopen_table},    {LUA_UTF8LIBNAME, luaopen_utf8},
};

/* `package` comes before heapwright, which then leaves `require` as it is. */
static const luaL_Reg on_demand[] = {
    {LUA_IOLIBNAME, luaopen_io},        {LUA_OSLIBNAME, luaopen_os},     {LUA_DBLIBNAME, luaopen_debug},
    {LUA_LOADLIBNAME, luaopen_package}, {"heapwright", open_heapwright},
};

enum { ON_DEMAND = sizeof on_demand / sizeof *on_demand };

const char *sandbox_library(size_t i) { return i < ON_DEMAND ? on_demand[i].name : NULL; }

library_set sandbox_heapwright(void) { return 1U << (ON_DEMAND - 1); }

static void open_library(lua_State *L, const luaL_Reg *library) {
    if (library->func == open_heapwright) {
        open_heapwright(L);
        lua_settop(L, 0);
        return;
    }
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
}

void sandbox_open(lua_State *L, library_set libraries, bool finalizers) {
    open_base(L, finalizers);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) open_library(L, &always[i]);
    luaL_requiref(L, LUA_OSLIBNAME, open_clocks, 1);
    lua_settop(L, 0);
    if (budget_of(L)->watched) {
        guarded_open(L);
        patterns_open(L);
    }
    for (size_t i = 0; i < ON_DEMAND; i++) {
        if (!(libraries >> i & 1)) continue;
        if (on_demand[i].func == luaopen_os) { /* the whole in place of the part */
            luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
            lua_pushnil(L);
            lua_setfield(L, -2, LUA_OSLIBNAME);
            lua_pop(L, 1);
        }
        open_library(L, &on_demand[i]);
    }
}
