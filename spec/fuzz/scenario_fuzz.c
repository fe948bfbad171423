/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: the scenario of operations. The input is what a Lua script
 * does with the module: every function and method, on pools, states, threads and
 * traces, open and closed ones, with right arguments and with hostile ones:
 * addresses out of the blue, numbers at every bound, text for numbers, objects of
 * another type, tables whose metamethods close the pool that is asked. Memory for
 * Lua itself runs out where the input says so.
 *
 * What the input means, and what must hold, is in scenario_fuzz.lua; here is what
 * it is called by: one Lua state, made once, whose allocator can be told to fail.
 *
 *      sh .cmake/fuzz.sh scenario 60
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <string.h>
#include <unistd.h>

#include "embed.h"
#include "input.h"
#include "module.h"

/* ---- The allocator ---- */

enum { NEVER = -1 };

static long left = NEVER; /* allocations until one fails, and all that follow */

static void *allocate(void *ud, void *block, size_t old_size, size_t size) {
    (void)ud, (void)old_size;
    if (size == 0) {
        free(block);
        return NULL;
    }
    bool grows = !block || size > old_size;
    if (grows && left == 0) return NULL;
    if (grows && left > 0) left--;
    return realloc(block, size);
}

/* attempt(n, f, ...): as pcall(f, ...), with no memory after n allocations; n < 0: with memory. */
static int attempt(lua_State *L) {
    lua_Integer allocations = luaL_checkinteger(L, 1);
    luaL_checkstack(L, 40, NULL);
    left = allocations < 0 ? NEVER : (long)allocations;
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    left = NEVER;
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* ---- The driver ---- */

/* Files that a call writes lie in a folder of their own, which is also where it looks for them. */
static char folder[] = "/tmp/heapwright-fuzz-XXXXXX";

static void remove_folder(void) {
    static const char *const names[] = {"a.hwt", "b.txt", "c"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(names[i]);
    if (chdir("/") == 0) rmdir(folder);
}

static int open_driver(lua_State *L) {
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_heapwright);
    lua_setfield(L, -2, "heapwright");
    lua_pop(L, 1);
    hpw_embed_preload(L, hpw_embedded_library);
    if (luaL_loadfile(L, HPW_FUZZ_DRIVER)) return lua_error(L);
    lua_pushcfunction(L, attempt);
    lua_pushboolean(L, is_told());
    lua_call(L, 2, 1);
    return 1;
}

static lua_State *driver(void) {
    static lua_State *L;
    if (L) return L;
    L = lua_newstate(allocate, NULL);
    DEMAND(L && mkdtemp(folder));
    lua_pushcfunction(L, open_driver);
    if (lua_pcall(L, 0, 1, 0)) fprintf(stderr, "%s\n", lua_tostring(L, -1));
    DEMAND(lua_isfunction(L, -1) && chdir(folder) == 0);
    atexit(remove_folder);
    return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    lua_State *L = driver();
    lua_pushvalue(L, 1);
    lua_pushlstring(L, (const char *)bytes, n);
    int status = lua_pcall(L, 1, 0, 0);
    left = NEVER;
    if (status) {
        fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
        abort();
    }
    lua_settop(L, 1);
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT); /* what finalizers left */
    return 0;
}
