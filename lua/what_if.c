/* SPDX-License-Identifier: MIT */
/* The table of a what-if: see what_if_fields.h. */
#include "what_if_fields.h"

#include <lauxlib.h>

/* A whole number of the table at `index` that is not above `most`; 0 where absent. */
static uint64_t whole(lua_State *L, int index, const char *key, uint64_t most) {
    lua_getfield(L, index, key);
    int is_integer = 1;
    lua_Integer value = lua_isnil(L, -1) ? 0 : lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || value < 0 || (uint64_t)value > most)
        luaL_error(L, "what_if: %s must be a whole number from 0 to %I", key, (LUAI_UACINT)most);
    lua_pop(L, 1);
    return (uint64_t)value;
}

static uint64_t item(lua_State *L, const char *key, lua_Integer i, uint64_t most) {
    lua_geti(L, -1, i);
    int is_integer;
    lua_Integer value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || value < 0 || (uint64_t)value > most)
        luaL_error(L, "what_if: %s must hold whole numbers from 0 to %I", key, (LUAI_UACINT)most);
    lua_pop(L, 1);
    return (uint64_t)value;
}

/* The list of that name on the stack's top, or nil, and how long it is. */
static size_t list(lua_State *L, int index, const char *key, size_t most) {
    lua_getfield(L, index, key);
    if (lua_isnil(L, -1)) return 0;
    if (!lua_istable(L, -1)) luaL_error(L, "what_if: %s must be a list", key);
    size_t count = lua_rawlen(L, -1);
    if (count > most) luaL_error(L, "what_if: %s has %d items, %d at most", key, (int)count, (int)most);
    return count;
}

hpw_what_if what_if_read(lua_State *L, int index, what_if_threads *threads) {
    hpw_what_if what = {0};
    if (lua_isnoneornil(L, index)) return what;
    luaL_checktype(L, index, LUA_TTABLE);
    what.granule = (uint32_t)whole(L, index, "granule", 4096);
    what.header = whole(L, index, "header", INT64_MAX);
    what.alignment = whole(L, index, "align", INT64_MAX);
    what.from = whole(L, index, "from", INT64_MAX);
    what.to = whole(L, index, "to", INT64_MAX);
    if (list(L, index, "scale", 2) == 2) {
        what.scale = item(L, "scale", 1, INT64_MAX);
        what.scale_by = item(L, "scale", 2, INT64_MAX);
    }
    lua_pop(L, 1);
    what.thread_count = list(L, index, "threads", WHAT_IF_THREADS);
    for (size_t i = 0; i < what.thread_count; i++)
        threads->numbers[i] = (uint32_t)item(L, "threads", (lua_Integer)i + 1, UINT32_MAX);
    what.threads = threads->numbers;
    lua_pop(L, 1);
    return what;
}
