/* SPDX-License-Identifier: MIT */
/* Traces made up, for Lua: reads the plan, and has the core write the file. */
#include "generate.h"

#include <lauxlib.h>
#include <string.h>

#include "binding.h"
#include "trace_generate.h"

static const char *const known[] = {"path", "format",  "events",  "live",   "sizes",
                                    "seed", "resizes", "threads", "passed", NULL};

/* Raises for a key of the plan at 1 that is none. */
static void check_keys(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) i++;
        if (!known[i]) luaL_error(L, "generate: unknown field '%s'", key);
    }
}

/* A whole number of least ... most; `otherwise` where it is absent. */
static uint64_t whole(lua_State *L, const char *name, lua_Integer otherwise, lua_Integer least,
                      lua_Integer most) {
    int is_whole = 1;
    lua_Integer value = lua_getfield(L, 1, name) == LUA_TNIL ? otherwise : lua_tointegerx(L, -1, &is_whole);
    if (!is_whole || value < least || value > most)
        luaL_error(L, "generate: %s must be a whole number of %I ... %I", name, (LUAI_UACINT)least,
                   (LUAI_UACINT)most);
    lua_pop(L, 1);
    return (uint64_t)value;
}

static double share(lua_State *L, const char *name) {
    int is_number = 1;
    double value = lua_getfield(L, 1, name) == LUA_TNIL ? 0.0 : lua_tonumberx(L, -1, &is_number);
    if (!is_number || !(value >= 0.0 && value <= 1.0))
        luaL_error(L, "generate: %s must be a number of 0 ... 1", name);
    lua_pop(L, 1);
    return value;
}

/* The list of sizes; the userdata that holds it stays on the stack. */
static void take_sizes(lua_State *L, hpw_trace_plan *plan) {
    if (lua_getfield(L, 1, "sizes") != LUA_TTABLE) luaL_error(L, "generate: sizes must be a list");
    lua_Unsigned count = lua_rawlen(L, -1);
    if (!count || count > UINT32_MAX) luaL_error(L, "generate: sizes must be 1 ... 4294967295 in number");
    uint64_t *sizes = lua_newuserdatauv(L, (size_t)count * sizeof *sizes, 0);
    for (lua_Unsigned i = 0; i < count; i++) {
        int is_whole = 0;
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        lua_Integer size = lua_tointegerx(L, -1, &is_whole);
        if (!is_whole || size < 0)
            luaL_error(L, "generate: size %I is no whole number, or negative", (LUAI_UACINT)i + 1);
        sizes[i] = (uint64_t)size;
        lua_pop(L, 1);
    }
    plan->sizes = sizes;
    plan->size_count = (size_t)count;
}

static hpw_trace_format take_format(lua_State *L) {
    if (lua_getfield(L, 1, "format") == LUA_TNIL) return HPW_TRACE_BINARY;
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
    bool binary = !strcmp(name, "binary");
    if (!binary && strcmp(name, "text") != 0) luaL_error(L, "generate: format must be binary or text");
    return binary ? HPW_TRACE_BINARY : HPW_TRACE_TEXT;
}

int traces_generate(lua_State *L) {
    check_keys(L);
    hpw_trace_format format = take_format(L);
    hpw_trace_plan plan = {
        .events = whole(L, "events", 0, 1, LUA_MAXINTEGER),
        .live = whole(L, "live", 10000, 1, UINT32_MAX - 1),
        .seed = whole(L, "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER),
        .resizes = share(L, "resizes"),
        .threads = (uint32_t)whole(L, "threads", 0, 0, UINT16_MAX),
        .passed = share(L, "passed"),
    };
    take_sizes(L, &plan);
    if (lua_getfield(L, 1, "path") != LUA_TSTRING) luaL_error(L, "generate: path must be a string");
    const char *path = path_at(L, -1, 1);
    hpw_trace_error error;
    if (!hpw_trace_generate(&plan, path, format, &error)) {
        lua_pushnil(L);
        lua_pushstring(L, error.message);
        lua_pushstring(L, hpw_error_name(error.code));
        return 3;
    }
    lua_pushboolean(L, true);
    return 1;
}
