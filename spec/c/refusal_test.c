/* SPDX-License-Identifier: MIT */
/*
 * What a Lua script is told of a pool that refuses further work, since a C library
 * wrote to memory that was freed; and that it can go on after a reset.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <string.h>

#include "binding.h"
#include "check.h"

/* overwrite(pool, address, text): as the C library does it. */
static int overwrite(lua_State *L) {
    const lua_pool *self = lua_touserdata(L, 1);
    size_t length;
    const char *text = luaL_checklstring(L, 3, &length);
    memcpy(hpw_pointer(self->pool, (uint64_t)luaL_checkinteger(L, 2)), text, length);
    return 0;
}

static int push_pool(lua_State *L) { return pool_push(L, lua_touserdata(L, 1)); }

static const char script[] =
    "local held = {}\n"
    "for i = 1, 6 do held[i] = assert(mem:alloc(16)) end\n"
    "for i = 1, 5, 2 do assert(mem:free(held[i])) end\n"
    "local before = mem:stats()\n"
    "overwrite(mem, held[3], '\\xff\\xff\\0\\0')\n"
    "local what = 'at 0x20 a free block was overwritten: its links in a list and those of its neighbours '\n"
    "             .. 'there disagree; the pool refuses further work until reset'\n"
    "local function refused(start, ok, message, code)\n"
    "  assert(ok == nil and code == 'corrupted', code)\n"
    "  assert(message == start .. ': ' .. what, message)\n"
    "end\n"
    "assert(mem:alloc(16) == held[5])\n" /* whose link is sound */
    "refused('no block of 16 bytes', mem:alloc(16))\n"
    "refused('no block of 100 bytes', mem:alloc(100))\n"
    "refused('no block of 1 byte', mem:malloc(1))\n"
    "refused('no block of 6 bytes', mem:calloc(2, 3))\n"
    "refused('no block of 8 bytes', mem:aligned_alloc(64, 8))\n"
    "refused('realloc', mem:realloc(held[2], 17))\n"
    "refused('free', mem:free(held[2]))\n"
    "refused('trim', mem:trim())\n"
    "local ok, message, code = mem:check()\n"
    "assert(ok == nil and code == 'corrupted' and message:find('at 0x20: a free block was overwritten', 1, "
    "true))\n"
    "assert(mem:write(held[2], 'still here') and mem:read(held[2], 10) == 'still here')\n"
    "assert(mem:owner(held[2] + 3) == held[2] and mem:size(held[2]) == 16)\n"
    "local after = mem:stats()\n"
    "assert(after.failures == before.failures and after.largest_free == before.largest_free)\n"
    "assert(mem:reset() and mem:check() and mem:alloc(100) == 0)\n";

int main(void) {
    hpw_config config = {.capacity = 1 << 16, .order = HPW_ORDER_LIFO, .guard = HPW_GUARD_CHECK};
    hpw_error error;
    pool_share *share = share_open(&config, hpw_policy_at(0), &error);
    lua_State *L = luaL_newstate();
    if (!share || !L) return 2;
    luaL_openlibs(L);
    lua_register(L, "overwrite", overwrite);
    lua_pushcfunction(L, push_pool);
    lua_pushlightuserdata(L, share);
    CHECK_EQ(lua_pcall(L, 1, 1, 0), LUA_OK);
    lua_setglobal(L, "mem");
    if (!CHECK(luaL_dostring(L, script) == LUA_OK)) printf("%s\n", luaL_tolstring(L, -1, NULL));
    lua_close(L);
    share_release(share);
    return CHECK_DONE();
}
