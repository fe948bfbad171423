/* SPDX-License-Identifier: MIT */
/*
 * The cheapest method that a C module can give a userdata: it takes an integer,
 * checks nothing and returns nothing. calls.lua counts in calls of it. Its table
 * is found as any userdata's is: __index of the metatable, then the name.
 */
#include <lauxlib.h>
#include <lua.h>

static int method_call(lua_State *L) {
    (void)lua_tointeger(L, 2);
    return 0;
}

__attribute__((visibility("default"))) int luaopen_heapwright_empty_method(lua_State *L) {
    lua_newuserdatauv(L, 1, 0);
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, method_call);
    lua_setfield(L, -2, "call");
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 1;
}
