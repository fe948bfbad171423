/* SPDX-License-Identifier: MIT */
/*
 * Threads for Lua: heapwright.spawn and the handles that it gives. A thread is a
 * bounded state (child.c) on a POSIX thread (thread.c), made with the options of
 * heapwright.state; heapwright itself is always among its libraries.
 *
 * A handle that is collected lets its thread go on; `<close>` cancels and waits. A
 * Lua state that closes cancels all that it started, and waits for them: an object
 * that was made before any handle is finalized after all of them.
 */
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "binding.h"
#include "state_options.h"
#include "states.h"
#include "thread.h"

#define THREAD_TYPE "heapwright.thread"

static const char group_key; /* of the registry: the group's userdata */

/* The userdata. */
typedef struct handle {
    thread *thread; /* NULL: it never started */
} handle;

/* ---- The group of a Lua state ---- */

static int end_group(lua_State *L) {
    thread_group **group = lua_touserdata(L, 1);
    thread_group_end(*group);
    *group = NULL;
    return 0;
}

/* Its group, made when it is wanted for the first time; raises without memory. */
static thread_group *group_of(lua_State *L) {
    thread_group **group;
    int top = lua_gettop(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &group_key) == LUA_TNIL) {
        group = lua_newuserdatauv(L, sizeof *group, 0);
        *group = NULL;
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, end_group);
        lua_setfield(L, -2, "__gc");
        lua_setmetatable(L, -2);
        *group = thread_group_new();
        if (!*group) luaL_error(L, "no memory for threads");
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &group_key);
    }
    group = lua_touserdata(L, -1);
    if (!*group) luaL_error(L, "this Lua state is closing: it starts no thread");
    lua_settop(L, top);
    return *group;
}

/* ---- What it is to do ---- */

static void set_text(lua_State *L, thread_work *work, task_kind kind, const char *text, size_t length) {
    work->kind = kind;
    work->length = length;
    work->text = malloc(length + 1);
    if (!work->text) {
        luaL_error(L, "no memory for a copy of %I bytes of code", (LUAI_UACINT)length);
        return;
    }
    memcpy(work->text, text, length);
    work->text[length] = '\0';
}

/* A lua_Writer that appends to the work's text. */
static int append(lua_State *L, const void *piece, size_t size, void *ud) {
    thread_work *work = ud;
    (void)L;
    char *longer = realloc(work->text, work->length + size + 1);
    if (!longer) return 1;
    if (size) memcpy(longer + work->length, piece, size);
    work->text = longer;
    work->length += size;
    return 0;
}

/* The function on top goes as code: what it closes over stays behind, so it may close over globals only. */
static void set_function(lua_State *L, thread_work *work, int arg) {
    const char *name;
    int function = lua_gettop(L);
    if (lua_iscfunction(L, function)) luaL_argerror(L, arg, "a C function can't go to another state");
    for (int i = 1; (name = lua_getupvalue(L, function, i)) != NULL; i++) {
        lua_pop(L, 1);
        if (i == 1 && strcmp(name, "_ENV") == 0) continue;
        luaL_argerror(
            L, arg, lua_pushfstring(L, "the function uses the local variable '%s' from outside of it", name));
    }
    work->kind = TASK_DUMP;
    if (lua_dump(L, append, work, 0)) luaL_error(L, "no memory for a copy of the function");
}

/* The source on top: a text, a function, or of a table's `file` a path. */
static void set_source(lua_State *L, thread_work *work, int arg, bool is_file) {
    size_t length;
    int top = lua_gettop(L);
    if (lua_isfunction(L, top)) {
        set_function(L, work, arg);
    } else if (lua_type(L, top) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, top, &length);
        if (is_file && strlen(text) < length) luaL_argerror(L, arg, "file: a name with a zero byte");
        set_text(L, work, is_file ? TASK_FILE : TASK_TEXT, text, length);
    } else {
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "a text, a function or a file's name expected, got %s",
                                      luaL_typename(L, top)));
    }
}

/* Argument 2: a text or function, or a table with one of these at 1, or with `file`, and with options. */
static void read_source(lua_State *L, thread_work *work) {
    if (lua_type(L, 2) != LUA_TTABLE) {
        lua_pushvalue(L, 2);
        set_source(L, work, 2, false);
        lua_pop(L, 1);
        return;
    }
    lua_pushliteral(L, "file");
    bool is_file = lua_rawget(L, 2) != LUA_TNIL;
    if (lua_rawgeti(L, 2, 1) == LUA_TNIL)
        lua_pop(L, 1);
    else if (is_file)
        luaL_argerror(L, 2, "code and a file as well");
    if (is_file && lua_isfunction(L, -1)) luaL_argerror(L, 2, "file: a name expected, got function");
    set_source(L, work, 2, is_file);
    lua_settop(L, 3);
}

/* A pool that several threads may use; NULL where the value is nil. */
static pool_share *pool_at(lua_State *L, int arg) {
    if (lua_isnoneornil(L, arg)) return NULL;
    const lua_pool *pool = luaL_testudata(L, arg, POOL_TYPE);
    if (!pool)
        luaL_argerror(L, arg, lua_pushfstring(L, "a pool or nil expected, got %s", luaL_typename(L, arg)));
    if (!pool->share) luaL_argerror(L, arg, "pool is closed");
    if (pool->chooser) chooser_refuse_sharing(L, arg, pool->policy);
    if (!share_is_locked(pool->share)) luaL_argerror(L, arg, "pool is not thread_safe");
    return pool->share;
}

/* Is the thread to be cancelled some day? Yes, unless a table says else: its hook costs time. */
static bool read_cancellable(lua_State *L) {
    lua_pushliteral(L, "cancellable");
    int type = lua_rawget(L, 2);
    bool cancellable = type == LUA_TNIL || lua_toboolean(L, -1);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        luaL_argerror(L, 2,
                      lua_pushfstring(L, "cancellable: boolean expected, got %s", luaL_typename(L, -1)));
    lua_pop(L, 1);
    return cancellable;
}

static void read_options(lua_State *L, child_options *options) {
    static const char *const others[] = {"file", "cancellable", NULL};
    bool cancellable = lua_type(L, 2) != LUA_TTABLE || read_cancellable(L);
    if (lua_type(L, 2) != LUA_TTABLE) {
        lua_pushnil(L);
        lua_replace(L, 2);
    }
    state_options_read(L, 2, others, options);
    if (options->pool && !share_is_locked(options->pool)) luaL_argerror(L, 2, "pool is not thread_safe");
    options->libraries |= sandbox_heapwright();
    options->cancellable = cancellable;
}

/* Pushes a handle of no thread yet. */
static handle *push_handle(lua_State *L) {
    handle *self = lua_newuserdatauv(L, sizeof *self, 0);
    self->thread = NULL;
    luaL_setmetatable(L, THREAD_TYPE);
    return self;
}

/*
 * spawn(pool or nil, source, ...). What may collect garbage, and so run a finalizer
 * that closes a pool, comes before the pools are looked at for the last time.
 */
int module_spawn(lua_State *L) {
    child_options options;
    failure why;
    luaL_checkany(L, 2);
    int count = lua_gettop(L) - 2;
    thread_group *group = group_of(L);
    handle *self = push_handle(L);
    lua_insert(L, 3);
    self->thread = thread_new();
    if (!self->thread) return luaL_error(L, "no memory for a thread");
    thread_work *work = thread_get_work(self->thread);
    if (!values_encode(&work->arguments, L, 4, count, "value", 1))
        return luaL_error(L, "%s", work->arguments.message);
    lua_settop(L, 3);
    pool_at(L, 1);
    read_source(L, work);
    read_options(L, &options);
    pool_share *pool = pool_at(L, 1);
    if (pool) work->pool = share_hold(pool);
    if (thread_start(self->thread, group, &options, &why)) return 1;
    thread_release(self->thread);
    self->thread = NULL;
    return states_push_failure(L, &why, NULL);
}

/* ---- Handles ---- */

static thread *check_self(lua_State *L) {
    handle *self = luaL_checkudata(L, 1, THREAD_TYPE);
    if (!self->thread) luaL_argerror(L, 1, "thread is closed");
    return self->thread;
}

/* How long join waits at a time where it runs in a bounded state, which may be ended meanwhile. */
#define SLICE ((uint64_t)20000000)

/* Waits so long; raises where the budget of the state that waits ends. */
static bool wait(lua_State *L, thread *t, uint64_t nanoseconds) {
    uint64_t began = budget_now();
    if (!budget_in(L)) return thread_wait(t, nanoseconds);
    for (;;) {
        uint64_t passed = budget_now() - began, left = nanoseconds > passed ? nanoseconds - passed : 0;
        if (thread_wait(t, left < SLICE ? left : SLICE)) return true;
        budget_charge(L, 1);
        if (left <= SLICE) return false;
    }
}

/* join([seconds]): the results, again each time; nil, message, code */
static int method_join(lua_State *L) {
    check_self(L);
    lua_Number seconds = luaL_optnumber(L, 2, (lua_Number)HUGE_VAL);
    luaL_argcheck(L, seconds >= 0, 2, "negative");
    const values *results;
    const failure *why;
    handle *held = push_handle(L); /* while results are copied a finalizer may let go of the other */
    thread *t = check_self(L); /* again: a number made of a text may have collected garbage, and closed it */
    if (!wait(L, t, seconds < 9e9 ? (uint64_t)(seconds * 1e9) : UINT64_MAX))
        return fail_with(L, HPW_LIMIT, "still running after %g seconds", (double)seconds);
    held->thread = thread_hold(t);
    if (thread_get_outcome(t, &results, &why)) return values_decode(L, results);
    return states_push_failure(L, why, results);
}

/* cancel(): true; false where it had ended before */
static int method_cancel(lua_State *L) {
    lua_pushboolean(L, thread_cancel(check_self(L)));
    return 1;
}

static const char *const status_names[] = {
    [THREAD_RUNNING] = "running",
    [THREAD_FINISHED] = "finished",
    [THREAD_FAILED] = "failed",
    [THREAD_CANCELLED] = "cancelled",
};

static int method_status(lua_State *L) {
    lua_pushstring(L, status_names[thread_get_status(check_self(L))]);
    return 1;
}

static int meta_tostring(lua_State *L) {
    const handle *self = luaL_checkudata(L, 1, THREAD_TYPE);
    lua_pushfstring(L, "heapwright thread (%s)",
                    self->thread ? status_names[thread_get_status(self->thread)] : "closed");
    return 1;
}

/* __close: cancels, waits, lets go */
static int meta_close(lua_State *L) {
    handle *self = luaL_checkudata(L, 1, THREAD_TYPE);
    if (!self->thread) return 0;
    thread_cancel(self->thread);
    thread_wait(self->thread, UINT64_MAX);
    thread_release(self->thread);
    self->thread = NULL;
    return 0;
}

/* __gc: lets go */
static int meta_gc(lua_State *L) {
    handle *self = luaL_checkudata(L, 1, THREAD_TYPE);
    thread_release(self->thread);
    self->thread = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    {"join", method_join},
    {"cancel", method_cancel},
    {"status", method_status},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", meta_gc},
    {"__close", meta_close},
    {"__tostring", meta_tostring},
    {NULL, NULL},
};

void spawn_open(lua_State *L) { states_new_type(L, THREAD_TYPE, metamethods, methods); }
