/* SPDX-License-Identifier: MIT */
/*
 * The command `heapwright`: a host that carries Lua, the module and the command
 * line's own Lua files in itself and hands over to lua/heapwright/cli.lua.
 *
 * Exit codes: 0 well, 1 an expectation or an invariant broke, 2 wrong usage or
 * bad input (also output that could not be written), 128 + n ended by signal n.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "bounded.h"
#include "embed.h"
#include "host.h"
#include "journal.h"
#include "live.h"
#include "module.h"
#include "script.h"
#include "workers.h"

/* Runs the command line; the arguments are argc and argv. Returns the exit code. */
static int protected_main(lua_State *L) {
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    luaL_checkversion(L);
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_heapwright);
    lua_setfield(L, -2, "heapwright");
    lua_pushcfunction(L, luaopen_heapwright_host);
    lua_setfield(L, -2, "heapwright.host");
    lua_pushcfunction(L, luaopen_heapwright_bounded);
    lua_setfield(L, -2, "heapwright.bounded");
    lua_pushcfunction(L, luaopen_heapwright_journal);
    lua_setfield(L, -2, "heapwright.journal");
    lua_pushcfunction(L, luaopen_heapwright_live);
    lua_setfield(L, -2, "heapwright.live");
    lua_pushcfunction(L, luaopen_heapwright_workers);
    lua_setfield(L, -2, "heapwright.workers");
    lua_pop(L, 1);
    hpw_embed_preload(L, hpw_embedded_library);
    hpw_embed_preload(L, hpw_embedded_command);

    lua_getglobal(L, "require");
    lua_pushliteral(L, "heapwright");
    lua_call(L, 1, 0); /* registers the module's parts in C */
    lua_getglobal(L, "require");
    lua_pushliteral(L, "heapwright.cli");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_createtable(L, argc, 1);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_call(L, 1, 1);
    return 1;
}

int main(int argc, char **argv) {
    hpw_host_handle_signals();
    lua_State *L = luaL_newstate();
    if (L == NULL) return hpw_host_complain("not enough memory");
    lua_pushcfunction(L, hpw_script_traceback);
    lua_pushcfunction(L, protected_main);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    int code;
    if (lua_pcall(L, 2, 1, 1) != LUA_OK)
        code = hpw_host_complain(lua_tostring(L, -1));
    else
        code = (int)lua_tointeger(L, -1);
    lua_close(L);
    return hpw_host_flush(code);
}
