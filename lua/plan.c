/* SPDX-License-Identifier: MIT */
/*
 * pool:inject: the plan by which requests fail, as a table. Everything in it is read
 * and judged before the pool hears of it, so what raises has changed nothing.
 */
#include "binding.h"

#include <string.h>

/* A field of the table: the value is on the stack's top. */
typedef struct field {
    const char *name;
    void (*read)(lua_State *L, hpw_injection *plan, const char *name);
} field;

enum { PLAN = 2 }; /* the argument */

static void refuse(lua_State *L, const char *name, const char *expected) {
    const char *got = luaL_tolstring(L, -1, NULL);
    luaL_argerror(L, PLAN, lua_pushfstring(L, "%s: %s expected, got %s", name, expected, got));
}

/* 1, 2, 3 ... */
static uint64_t read_number(lua_State *L, const char *name) {
    int is_integer;
    lua_Integer n = lua_tointegerx(L, -1, &is_integer);
    if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || n < 1) refuse(L, name, "an integer from 1 on");
    return (uint64_t)n;
}

static void read_after(lua_State *L, hpw_injection *plan, const char *name) {
    plan->after = read_number(L, name);
}
static void read_every(lua_State *L, hpw_injection *plan, const char *name) {
    plan->every = read_number(L, name);
}
static void read_probability(lua_State *L, hpw_injection *plan, const char *name) {
    lua_Number p = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(p > 0 && p <= 1))
        refuse(L, name, "a number above 0 and at most 1");
    plan->probability = p;
}
static void read_seed(lua_State *L, hpw_injection *plan, const char *name) {
    int is_integer;
    lua_Integer seed = lua_tointegerx(L, -1, &is_integer);
    if (lua_type(L, -1) != LUA_TNUMBER || !is_integer) refuse(L, name, "an integer");
    plan->seed = (uint64_t)seed;
}
static void read_size_at_least(lua_State *L, hpw_injection *plan, const char *name) {
    plan->size_at_least = options_size(L, -1, PLAN, name);
    if (!plan->size_at_least) refuse(L, name, "a size from 1 on");
}
static void read_persistent(lua_State *L, hpw_injection *plan, const char *name) {
    if (!lua_isboolean(L, -1)) refuse(L, name, "a boolean");
    plan->persistent = lua_toboolean(L, -1);
}

static const field fields[] = {
    {"after", read_after}, {"persistent", read_persistent},
    {"every", read_every}, {"probability", read_probability},
    {"seed", read_seed},   {"size_at_least", read_size_at_least},
};

static const char *field_name(size_t number) {
    return number < sizeof fields / sizeof *fields ? fields[number].name : NULL;
}

/* One field: its name at -2, its value at -1. Returns its number. */
static size_t read_field(lua_State *L, hpw_injection *plan) {
    size_t length = 0;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &length) : NULL;
    for (size_t i = 0; name && i < sizeof fields / sizeof *fields; i++) {
        if (strlen(fields[i].name) != length || memcmp(fields[i].name, name, length) != 0) continue;
        fields[i].read(L, plan, name);
        return i;
    }
    name = luaL_tolstring(L, -2, NULL);
    luaL_argerror(
        L, PLAN,
        lua_pushfstring(L, "unknown field '%s' (known: %s)", name, options_push_names(L, field_name)));
    return 0;
}

/* What the fields say of each other. */
static void check_together(lua_State *L, const hpw_injection *plan, bool has_seed) {
    int ways = (plan->after != 0) + (plan->every != 0) + (plan->probability > 0);
    luaL_argcheck(L, ways < 2, PLAN, "after, every and probability: one of them at most");
    luaL_argcheck(L, ways || plan->size_at_least, PLAN,
                  "no request fails: after, every, probability or size_at_least wanted");
    luaL_argcheck(L, !plan->persistent || plan->after, PLAN, "persistent: goes with after alone");
    luaL_argcheck(L, !has_seed || plan->probability > 0, PLAN, "seed: goes with probability alone");
}

static void read_plan(lua_State *L, hpw_injection *plan) {
    bool has_seed = false;
    memset(plan, 0, sizeof *plan);
    luaL_checktype(L, PLAN, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, PLAN); lua_settop(L, -2))
        has_seed = fields[read_field(L, plan)].read == read_seed || has_seed;
    check_together(L, plan, has_seed);
}

/* true, requests, injected, place */
static int end_plan(lua_State *L, lua_pool *self) {
    uint64_t requests = 0, injected = 0;
    if (hpw_get_injected(self->pool, NULL, NULL)) {
        hpw_inject(self->pool, NULL); /* first: the plan may count until then */
        hpw_get_injected(self->pool, &requests, &injected);
    }
    lua_pushboolean(L, true);
    push_bytes(L, requests);
    push_bytes(L, injected);
    if (injected && *self->injected_at)
        lua_pushstring(L, self->injected_at);
    else
        lua_pushnil(L);
    self->injected_at[0] = '\0';
    return 4;
}

/* inject(plan), inject() */
static int method_inject(lua_State *L) {
    lua_pool *self = pool_self(L);
    if (lua_isnoneornil(L, PLAN) || (lua_isboolean(L, PLAN) && !lua_toboolean(L, PLAN)))
        return end_plan(L, self);
    hpw_injection plan;
    read_plan(L, &plan);
    self = pool_self(L); /* making a message may have collected garbage, and closed it */
    hpw_inject(self->pool, &plan);
    self->injected_at[0] = '\0';
    lua_pushboolean(L, true);
    return 1;
}

const luaL_Reg plan_methods[] = {{"inject", method_inject}, {NULL, NULL}};
