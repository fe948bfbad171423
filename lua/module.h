/* SPDX-License-Identifier: MIT */
/*
 * The openers of the Lua module's parts. With a checkout's lua/ on LUA_PATH,
 * `require "heapwright.pool"` finds them by name in heapwright.so; otherwise
 * luaopen_heapwright registers them.
 */
#ifndef HPW_MODULE_H
#define HPW_MODULE_H

#include <lua.h>

#if defined(__GNUC__)
#define HPW_LUA_API __attribute__((visibility("default")))
#else
#define HPW_LUA_APIHPW_LUA_API                                                                               \
    int luaopen_heapwright_property(lua_State *L); /* module.c: written in Lua, for specs, */
HPW_LUA_API int luaopen_heapwright_assertions(lua_State *L); /* which may require them first */

#endif

HPW_LUA_API int luaopen_heapwright(lua_State *L);            /* module.c: the whole */
HPW_LUA_API int luaopen_heapwright_pool(lua_State *L);       /* binding.c: pools */
HPW_LUA_API int luaopen_heapwright_traces(lua_State *L);     /* traces.c: trace files, the recorder */
HPW_LUA_API int luaopen_heapwright_replay(lua_State *L);     /* replay.c: replay, comparison, fit */
HPW_LUA_API int luaopen_heapwright_states(lua_State *L);     /* state.c: bounded states, threads */
HPW_LUA_API int luaopen_heapwright_property(lua_State *L);   /* module.c: written in Lua, for specs, */
HPW_LUA_API int luaopen_heapwright_assertions(lua_State *L); /* which may require them first */

#endif
