/* SPDX-License-Identifier: MIT */
/*
 * The options of bounded states. Those of heapwright.new describe a pool of the
 * state's own; they are handed on to its reader in a table of their own.
 *
 * Such a pool is twice as large as the limit and 64 KiB, so that the limit, which
 * counts what Lua asked for, is what ends a script under every policy, and not what
 * is lost between blocks. Memory is committed only where it is touched; who wants a
 * hard bound on that as well gives a capacity.
 */
#include "state_options.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "binding.h"

enum { DEFAULT_LIMIT = 8 << 20, SLACK = 64 << 10 };

typedef struct reading {
    int arg;
    child_options *options;
    bool has_limit, has_pool;
} reading;

static int wrong(lua_State *L, const reading *r, const char *name, const char *expected) {
    return luaL_argerror(L, r->arg,
                         lua_pushfstring(L, "%s: %s expected, got %s", name, expected, luaL_typename(L, -1)));
}

/* Where a number is expected, but not any: tells which it was. */
static void wrong_number(lua_State *L, const reading *r, const char *name, const char *expected) {
    if (lua_type(L, -1) != LUA_TNUMBER) wrong(L, r, name, expected);
    luaL_argerror(L, r->arg,
                  lua_pushfstring(L, "%s: %s expected, got %s", name, expected, luaL_tolstring(L, -1, NULL)));
}

/* ---- Each takes the value at the stack's top ---- */

static void read_limit(lua_State *L, reading *r, const char *name) {
    r->options->limit = options_size(L, -1, r->arg, name);
    r->has_limit = true;
}

static void read_headroom(lua_State *L, reading *r, const char *name) {
    r->options->headroom = options_size(L, -1, r->arg, name);
}

static void read_instructions(lua_State *L, reading *r, const char *name) {
    int is_integer;
    lua_Integer count = lua_tointegerx(L, -1, &is_integer);
    if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || count < 0)
        wrong_number(L, r, name, "a number of instructions");
    r->options->instructions = (uint64_t)count;
}

static void read_seconds(lua_State *L, reading *r, const char *name) {
    lua_Number seconds = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(seconds >= 0)) wrong_number(L, r, name, "a number of seconds");
    r->options->time = seconds < 9e9 ? (uint64_t)(seconds * 1e9) : BUDGET_NONE;
}

static void read_finalizers(lua_State *L, reading *r, const char *name) {
    if (!lua_isboolean(L, -1)) wrong(L, r, name, "boolean");
    r->options->finalizers = lua_toboolean(L, -1);
}

/* The library named on top, as a set of one. */
static library_set read_library(lua_State *L, const reading *r, const char *name) {
    const char *known;
    if (lua_type(L, -1) != LUA_TSTRING) wrong(L, r, name, "names of libraries");
    const char *wanted = lua_tostring(L, -1);
    for (size_t i = 0; (known = sandbox_library(i)) != NULL; i++)
        if (strcmp(known, wanted) == 0) return 1U << i;
    luaL_argerror(L, r->arg,
                  lua_pushfstring(L, "%s: unknown '%s' (known: %s)", name, wanted,
                                  options_push_names(L, sandbox_library)));
    return 0;
}

static void read_libs(lua_State *L, reading *r, const char *name) {
    if (!lua_istable(L, -1)) wrong(L, r, name, "table");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) { /* a list: { io = true } would open nothing */
        if (!lua_isinteger(L, -2))
            luaL_argerror(L, r->arg,
                          lua_pushfstring(L, "%s: a list of names expected, got the key '%s'", name,
                                          luaL_tolstring(L, -2, NULL)));
        r->options->libraries |= read_library(L, r, name);
    }
}

/* Only that it is a pool: it is taken at the very end, after the last call that may collect garbage. */
static void read_pool(lua_State *L, reading *r, const char *name) {
    const lua_pool *pool = luaL_testudata(L, -1, POOL_TYPE);
    if (!pool) wrong(L, r, name, "a pool");
    if (!pool->share) luaL_argerror(L, r->arg, lua_pushfstring(L, "%s is closed", name));
    if (pool->chooser) chooser_refuse_sharing(L, r->arg, pool->policy);
    r->has_pool = true;
}

typedef struct option {
    const char *name;
    void (*read)(lua_State *L, reading *r, const char *name);
} option;

static const option options[] = {
    {"limit", read_limit},     {"headroom", read_headroom},     {"instructions", read_instructions},
    {"seconds", read_seconds}, {"finalizers", read_finalizers}, {"libs", read_libs},
    {"pool", read_pool},
};

static const char *name_at(size_t i) { return i < sizeof options / sizeof *options ? options[i].name : NULL; }

/* ---- The table ---- */

static bool is_listed(const char *name, const char *const *list) {
    for (; *list; list++)
        if (strcmp(*list, name) == 0) return true;
    return false;
}

static bool is_of_pool(const char *name) {
    const char *known;
    for (size_t i = 0; (known = options_name(i)) != NULL; i++)
        if (strcmp(known, name) == 0) return true;
    return false;
}

/* One field: its name at -2, its value at -1. Those of a pool go to the table at `of_pool`. */
static void read_field(lua_State *L, reading *r, const char *const *others, int of_pool) {
    if (lua_type(L, -2) != LUA_TSTRING) {
        if (*others) return;
        luaL_argerror(L, r->arg, lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -2, NULL)));
    }
    const char *name = lua_tostring(L, -2);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(options[i].name, name) != 0) continue;
        options[i].read(L, r, name);
        return;
    }
    if (is_listed(name, others)) return;
    if (!is_of_pool(name))
        luaL_argerror(L, r->arg,
                      lua_pushfstring(L, "unknown option '%s' (known: %s, %s)", name,
                                      options_push_names(L, name_at), options_push_names(L, options_name)));
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, of_pool);
}

static bool has_field(lua_State *L, int table, const char *name) {
    lua_pushstring(L, name);
    bool has = lua_rawget(L, table) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

/* The pool of its own, from the fields in the table at `fields`, which stands at the argument's place
 * meanwhile. */
static void read_own_pool(lua_State *L, const reading *r, int fields) {
    child_options *o = r->options;
    lua_pushvalue(L, r->arg);
    lua_pushvalue(L, fields);
    lua_replace(L, r->arg);
    int top = lua_gettop(L);
    o->policy = options_read(L, r->arg, &o->config);
    if (o->config.chooser.choose)
        luaL_argerror(L, r->arg,
                      lua_pushfstring(L, "policy: %s is a function of Lua, a state lives in built-in ones",
                                      o->policy->name));
    lua_settop(L, top);
    lua_replace(L, r->arg);
    if (!has_field(L, fields, "guard")) o->config.guard = HPW_GUARD_OFF;
    if (!has_field(L, fields, "small_pages")) o->config.small_pages = true;
    if (!has_field(L, fields, "thread_safe")) o->config.single_threaded = !o->config.thread_caches;
    if (has_field(L, fields, "capacity")) return;
    if (!r->has_limit) o->limit = DEFAULT_LIMIT;
    o->config.capacity = o->limit < UINT64_MAX / 4 ? 2 * o->limit + SLACK : UINT64_MAX / 2;
    if (o->config.max_capacity) luaL_argerror(L, r->arg, "max_capacity: of a pool whose capacity is given");
}

static void take_pool(lua_State *L, reading *r) {
    lua_pushliteral(L, "pool");
    lua_rawget(L, r->arg);
    const lua_pool *pool = luaL_testudata(L, -1, POOL_TYPE);
    if (!pool || !pool->share) luaL_argerror(L, r->arg, "pool is closed");
    r->options->pool = pool->share;
    lua_pop(L, 1);
}

void state_options_read(lua_State *L, int arg, const char *const *others, child_options *o) {
    reading r = {.arg = arg, .options = o};
    int top = lua_gettop(L), fields = top + 1;
    *o = (child_options){.limit = HPW_NO_LIMIT, .instructions = BUDGET_NONE, .time = BUDGET_NONE};
    luaL_checkstack(L, LUA_MINSTACK, "options");
    lua_newtable(L);
    if (!lua_isnoneornil(L, arg)) {
        luaL_checktype(L, arg, LUA_TTABLE);
        for (lua_pushnil(L); lua_next(L, arg); lua_settop(L, fields + 1)) read_field(L, &r, others, fields);
    }
    if (r.has_pool) {
        lua_pushnil(L);
        if (lua_next(L, fields))
            luaL_argerror(
                L, arg,
                lua_pushfstring(L, "%s is for a pool of its own, and a pool was given", lua_tostring(L, -2)));
        take_pool(L, &r);
    } else {
        read_own_pool(L, &r, fields);
    }
    lua_settop(L, top);
}
