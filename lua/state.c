/* SPDX-License-Identifier: MIT */
/*
 * `heapwright.states`: bounded Lua states for Lua, and threads (spawn.c). A state
 * is a child (child.c) in a userdata; each method is: check, copy in, perform, copy
 * out. Values come and go as copies (values.c); while they are copied no script of
 * either state runs, so that none sees a half of it.
 *
 * Misuse of a type raises at the caller. What a script has to expect is nil, message
 * and a code: "limit" where it ran out of memory, instructions or time, "io" where a
 * file can't be read, none where the script itself raised or does not compile.
 */
#include <lauxlib.h>
#include <string.h>

#include "binding.h"
#include "child.h"
#include "fields.h"
#include "module.h"
#include "state_options.h"
#include "states.h"

#define STATE_TYPE "heapwright.state"

static child *self_at(lua_State *L) { return luaL_checkudata(L, 1, STATE_TYPE); }

/*
 * Argument 1 as an open state. Busy is one whose own task brought us here, which
 * only a C library that both states share could do.
 */
static child *check_self(lua_State *L) {
    child *self = self_at(L);
    if (!self->L) luaL_argerror(L, 1, "state is closed");
    if (self->busy) luaL_argerror(L, 1, "state is running");
    return self;
}

int states_push_failure(lua_State *L, const failure *why, const values *results) {
    lua_pushnil(L);
    if (why->message[0])
        lua_pushstring(L, why->message);
    else
        values_decode(L, results);
    if (why->code == HPW_OK)
        lua_pushnil(L);
    else
        lua_pushstring(L, hpw_error_name(why->code));
    return 3;
}

/* ---- Life cycle ---- */

/* state([options]) */
static int module_state(lua_State *L) {
    static const char *const none[] = {NULL};
    child_options options;
    failure why;
    lua_settop(L, 1);
    child *self = lua_newuserdatauv(L, sizeof *self, 1); /* for its exchange */
    memset(self, 0, sizeof *self);
    luaL_setmetatable(L, STATE_TYPE);
    state_options_read(L, 1, none, &options);
    if (child_open(self, &options, &why)) return 1;
    return states_push_failure(L, &why, NULL);
}

/* close(): true; again: nothing to do */
static int method_close(lua_State *L) {
    child *self = self_at(L);
    if (self->busy) luaL_argerror(L, 1, "state is running");
    if (!child_close(self))
        return fail_with(L, HPW_CORRUPTED,
                         "close: a C library kept memory of the state, whose pool stays open");
    lua_pushboolean(L, true);
    return 1;
}

/* __gc and __close */
static int meta_close(lua_State *L) {
    child *self = self_at(L);
    if (!self->busy) child_close(self);
    return 0;
}

static int meta_tostring(lua_State *L) {
    const child *self = self_at(L);
    if (!self->L) {
        lua_pushliteral(L, "heapwright state (closed)");
        return 1;
    }
    hpw_account_stats stats;
    hpw_get_account_stats(self->account, &stats);
    if (stats.limit == HPW_NO_LIMIT)
        lua_pushfstring(L, "heapwright state (%I bytes in use)", (LUAI_UACINT)stats.in_use);
    else
        lua_pushfstring(L, "heapwright state (%I of %I bytes in use)", (LUAI_UACINT)stats.in_use,
                        (LUAI_UACINT)stats.limit);
    return 1;
}

/* ---- Tasks ---- */

/*
 * Pushes what values cross in: a userdata, so that whoever raises leaves it to the
 * collector. The state keeps one for its next call; it is taken out while it is used,
 * since what is pushed may run a finalizer that uses the state.
 */
static exchange *take_exchange(lua_State *L) {
    if (lua_getiuservalue(L, 1, 1) != LUA_TUSERDATA) {
        lua_pop(L, 1);
        return values_push(L);
    }
    lua_pushnil(L);
    lua_setiuservalue(L, 1, 1);
    return lua_touserdata(L, -1);
}

static void put_exchange(lua_State *L, int index, exchange *both) {
    values_empty(&both->arguments);
    values_empty(&both->results);
    lua_pushvalue(L, index);
    lua_setiuservalue(L, 1, 1);
}

/* Performs the task with the values from stack index 3 on as its arguments. */
static int perform(lua_State *L, child *self, task *t) {
    int count = lua_gettop(L) - 2, index = count + 3;
    exchange *both = take_exchange(L);
    t->arguments = &both->arguments;
    t->results = &both->results;
    if (!values_encode(&both->arguments, L, 3, count, "value", 1))
        luaL_error(L, "%s", both->arguments.message);
    if (!self->L) luaL_argerror(L, 1, "state is closed"); /* by a finalizer, just now */
    int given = child_perform(self, t) ? values_decode(L, t->results)
                                       : states_push_failure(L, &t->failure, t->results);
    put_exchange(L, index, both);
    return given;
}

/* A text without zero bytes, as file and function names are. */
static const char *check_name(lua_State *L, int arg) {
    size_t length;
    const char *name = luaL_checklstring(L, arg, &length);
    luaL_argcheck(L, strlen(name) == length, arg, "a name with a zero byte");
    return name;
}

/* run(path, ...) */
static int method_run(lua_State *L) {
    child *self = check_self(L);
    return perform(L, self, &(task){.kind = TASK_FILE, .text = check_name(L, 2)});
}

/* eval(code, ...) */
static int method_eval(lua_State *L) {
    child *self = check_self(L);
    task t = {.kind = TASK_TEXT};
    t.text = luaL_checklstring(L, 2, &t.length);
    return perform(L, self, &t);
}

/* call(name, ...) */
static int method_call(lua_State *L) {
    child *self = check_self(L);
    return perform(L, self, &(task){.kind = TASK_CALL, .text = check_name(L, 2)});
}

/* set(name, value) */
static int method_set(lua_State *L) {
    child *self = check_self(L);
    task t = {.kind = TASK_SET};
    t.text = luaL_checklstring(L, 2, &t.length);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    int given = perform(L, self, &t);
    if (given) return given;
    lua_pushboolean(L, true);
    return 1;
}

/* collect(): a full collection, which is what pressure asks for; the bytes in use after it */
static int method_collect(lua_State *L) {
    child *self = check_self(L);
    hpw_account_stats stats;
    lua_gc(self->L, LUA_GCCOLLECT);
    hpw_account_pressure(self->account); /* done */
    hpw_get_account_stats(self->account, &stats);
    push_bytes(L, stats.in_use);
    return 1;
}

/* limit(): bytes, nil where there is none; limit(bytes or nil) sets or lifts it */
static int method_limit(lua_State *L) {
    child *self = check_self(L);
    if (!lua_isnone(L, 2)) {
        uint64_t bytes = lua_isnil(L, 2) ? HPW_NO_LIMIT : options_size(L, 2, 2, NULL);
        hpw_set_limit(self->account, bytes);
        lua_pushboolean(L, true);
        return 1;
    }
    hpw_account_stats stats;
    hpw_get_account_stats(self->account, &stats);
    if (stats.limit == HPW_NO_LIMIT)
        lua_pushnil(L);
    else
        push_bytes(L, stats.limit);
    return 1;
}

/* ---- Statistics ---- */

static void push_kinds(lua_State *L, const hpw_account_stats *stats) {
    lua_createtable(L, 0, HPW_LUA_KINDS);
    for (int kind = 0; kind < HPW_LUA_KINDS; kind++) {
        lua_createtable(L, 0, 2);
        set_count(L, "in_use", stats->kinds[kind].in_use);
        set_count(L, "blocks", stats->kinds[kind].blocks);
        lua_setfield(L, -2, hpw_lua_kind_name((hpw_lua_kind)kind));
    }
}

/* stats(): a fresh table */
static int method_stats(lua_State *L) {
    child *self = check_self(L);
    const budget *b = &self->budget;
    hpw_account_stats stats;
    hpw_get_account_stats(self->account, &stats);
    lua_createtable(L, 0, 18);
    set_account_counts(L, &stats);
    set_flag(L, "pressure", stats.pressure);
    push_kinds(L, &stats);
    lua_setfield(L, -2, "kinds");
    if (b->watched) set_count(L, "instructions", b->drawn);
    set_number(L, "seconds", (double)(b->ended - b->began) / 1e9);
    return 1;
}

/* ---- The module ---- */

static const luaL_Reg methods[] = {
    {"run", method_run},         {"eval", method_eval},   {"call", method_call},
    {"set", method_set},         {"stats", method_stats}, {"limit", method_limit},
    {"collect", method_collect}, {"close", method_close}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", meta_close},
    {"__close", meta_close},
    {"__tostring", meta_tostring},
    {NULL, NULL},
};

void states_new_type(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *index) {
    if (luaL_getmetatable(L, name) == LUA_TNIL) {
        lua_newtable(L);
        luaL_setfuncs(L, meta, 0);
        lua_newtable(L);
        luaL_setfuncs(L, index, 0);
        lua_setfield(L, -2, "__index");
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
        lua_pushstring(L, name);
        lua_setfield(L, -2, "__name");
        lua_setfield(L, LUA_REGISTRYINDEX, name);
    }
    lua_pop(L, 1);
}

int luaopen_heapwright_states(lua_State *L) {
    states_new_type(L, STATE_TYPE, metamethods, methods);
    spawn_open(L);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, module_state);
    lua_setfield(L, -2, "state");
    lua_pushcfunction(L, module_spawn);
    lua_setfield(L, -2, "spawn");
    return 1;
}
