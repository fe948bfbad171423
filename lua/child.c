/* SPDX-License-Identifier: MIT */
/*
 * Bounded Lua states: see child.h. All that a state does happens under one
 * lua_pcall with a handler that turns what was raised into text with a traceback,
 * or, of a table that can be copied, into the copy.
 *
 * Out of memory is what Lua says it is (LUA_ERRMEM), or its message raised once
 * more by the script, after the account refused something in this very task.
 */
#include "child.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "binding.h"
#include "chunk.h"

/* A task on its way. */
typedef struct job {
    task *task;
    bool plain;      /* the error's text needs no traceback: the script did not run yet */
    bool memory;     /* the error is a lack of memory */
    bool copied;     /* the error's value lies in the results already */
    uint64_t before; /* requests refused before */
} job;

static child *child_of(lua_State *L) { return (child *)budget_of(L); }

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static bool
fail(failure *why, hpw_error code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    why->code = code;
    vsnprintf(why->message, sizeof why->message, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- Opening ---- */

/* The account's function, which notes the first request refused: it says how much was missing. */
static void *allocate_noting(void *ud, void *block, size_t old, size_t size) {
    child *c = ud;
    void *granted = hpw_lua_alloc(c->account, block, old, size);
    if (!granted && size && !c->asked) {
        hpw_account_stats stats;
        hpw_get_account_stats(c->account, &stats);
        c->asked = size - (block && size > old ? old : 0);
        c->had = stats.in_use;
    }
    return granted;
}

static int open_libraries(lua_State *L) {
    const child_options *options = lua_touserdata(L, 1);
    lua_settop(L, 0);
    budget_register(L);
    sandbox_open(L, options->libraries, options->finalizers);
    return 0;
}

static bool open_pool(child *c, const child_options *o, failure *why) {
    hpw_error error;
    if (o->pool) {
        c->share = share_hold(o->pool);
        return true;
    }
    c->share = share_open(&o->config, o->policy, &error);
    if (c->share) return true;
    uint64_t capacity = o->config.capacity, most = hpw_max_capacity(o->config.granule);
    if (capacity > most)
        return fail(why, HPW_NO_MEMORY,
                    "a pool of %" PRIu64 " bytes for the state: with granules of %lu, %" PRIu64
                    " are the most",
                    capacity, (unsigned long)o->config.granule, most);
    return fail(why, error, "a pool of %" PRIu64 " bytes for the state: %s", capacity,
                error == HPW_INVALID_ARGUMENT ? "its options contradict each other"
                                              : "the system does not give that many");
}

/* What was missing when the state did not open. */
static bool explain_opening(const child *c, const child_options *o, failure *why) {
    hpw_account_stats stats;
    hpw_get_account_stats(c->account, &stats);
    if (stats.over_limit)
        return fail(why, HPW_LIMIT,
                    "a limit of %" PRIu64 " bytes is too little for a state: with %" PRIu64
                    " in use it asked for %" PRIu64 " more",
                    o->limit, c->had, c->asked);
    if (stats.injected)
        return fail(why, HPW_NO_MEMORY,
                    "no state was opened: injected: with %" PRIu64 " bytes in use it asked for %" PRIu64
                    " more and was refused by plan",
                    c->had, c->asked);
    hpw_stats pool;
    hpw_get_stats(share_pool(c->share), &pool);
    return fail(why, HPW_NO_MEMORY,
                "the pool holds no state: with %" PRIu64 " in use it asked for %" PRIu64
                " more, the largest of the pool's %" PRIu64 " free bytes was %" PRIu64,
                c->had, c->asked, pool.free, pool.largest_free);
}

static void set_budget(child *c, const child_options *o) {
    budget *b = &c->budget;
    b->main = c->L;
    b->instructions = o->instructions;
    b->time = o->time;
    b->watched = o->cancellable || o->instructions != BUDGET_NONE || o->time != BUDGET_NONE;
    budget_set(c->L, b);
}

static bool open_state(child *c, const child_options *o, failure *why) {
    hpw_error error;
    hpw_account_config config = {.limit = o->limit ? o->limit : 1};
    c->account = hpw_open_account(share_pool(c->share), &config, &error);
    if (!c->account)
        return fail(why, error, "%s",
                    hpw_refused_by_plan(share_pool(c->share))
                        ? "injected: the state's account was refused by plan"
                        : "the pool has no room for a state's account");
    share_add_state(c->share);
    c->L = lua_newstate(allocate_noting, c);
    if (!c->L) return explain_opening(c, o, why);
    hpw_set_headroom(c->account, o->headroom); /* not before: a state in the making collects nothing */
    set_budget(c, o);
    lua_pushcfunction(c->L, open_libraries);
    lua_pushlightuserdata(c->L, (void *)(uintptr_t)o);
    int status = lua_pcall(c->L, 1, 0, 0);
    if (status == LUA_ERRMEM) return explain_opening(c, o, why);
    if (status != LUA_OK)
        return fail(why, HPW_OK, "opening the libraries: %s",
                    lua_isstring(c->L, -1) ? lua_tostring(c->L, -1) : "an error without a text");
    lua_setallocf(c->L, hpw_lua_alloc, c->account);
    hpw_set_headroom(c->account, o->headroom); /* a state can't collect before it is whole */
    return true;
}

bool child_open(child *c, const child_options *options, failure *why) {
    memset(c, 0, sizeof *c);
    atomic_init(&c->budget.cancelled, false);
    if (!open_pool(c, options, why)) return false;
    if (open_state(c, options, why)) return true;
    child_close(c);
    return false;
}

bool child_close(child *c) {
    if (c->L) lua_close(c->L);
    c->L = NULL;
    if (c->account) {
        if (hpw_close_account(c->account) != HPW_OK) return false;
        c->account = NULL;
        share_remove_state(c->share);
    }
    if (c->share) share_release(c->share);
    c->share = NULL;
    return true;
}

/* ---- What was raised ---- */

static uint64_t refused(const child *c) {
    hpw_account_stats stats;
    hpw_get_account_stats(c->account, &stats);
    return stats.over_limit + stats.over_pool;
}

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* The text at index 1, to its end even behind a zero byte, with a traceback. */
static int with_traceback(lua_State *L) {
    lua_settop(L, 1);
    lua_tostring(L, 1);
    lua_pushliteral(L, "\n");
    luaL_traceback(L, L, NULL, 1);
    lua_concat(L, 3);
    return 1;
}

/* A value that is no text: its __tostring's, or what it is and why it can't be copied. */
static void describe(lua_State *L, const char *reason) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) {
        lua_replace(L, 1);
        return;
    }
    lua_pushfstring(L, "(error object is a %s value%s%s)", luaL_typename(L, 1), *reason ? "; " : "", reason);
    lua_replace(L, 1);
}

/* The message handler. It may be called again, for errors of __close functions. */
static int handle(lua_State *L) {
    child *c = child_of(L);
    job *j = c->job;
    values *results = j->task->results;
    j->copied = false;
    values_empty(results);
    if (j->plain || c->budget.end) return 1;
    if (lua_isstring(L, 1)) {
        j->memory = ends_in(lua_tostring(L, 1), "not enough memory") && refused(c) > j->before;
        return j->memory ? 1 : with_traceback(L);
    }
    if (lua_istable(L, 1)) {
        j->copied = values_encode(results, L, 1, 1, "error", 1);
        if (j->copied) return 1;
    }
    describe(L, results->message);
    return with_traceback(L);
}

static bool fail_memory_of(const child *c, failure *why) {
    hpw_account_stats stats;
    hpw_stats pool;
    hpw_get_account_stats(c->account, &stats);
    hpw_get_stats(share_pool(c->share), &pool);
    char limit[64] = "", injected[80] = "";
    if (stats.limit != HPW_NO_LIMIT) snprintf(limit, sizeof limit, " of a limit of %" PRIu64, stats.limit);
    if (stats.injected)
        snprintf(injected, sizeof injected, "; injected: %" PRIu64 " of its requests were refused by plan",
                 stats.injected);
    return fail(why, HPW_LIMIT,
                "not enough memory: the state has %" PRIu64 " bytes in use%s, %" PRIu64
                " at most so far; its pool has %" PRIu64 " free, %" PRIu64 " in one piece%s",
                stats.in_use, limit, stats.peak_in_use, pool.free, pool.largest_free, injected);
}

static bool fail_budget_of(const child *c, failure *why) {
    const budget *b = &c->budget;
    switch (b->end) {
    case OUT_OF_INSTRUCTIONS:
        return fail(why, HPW_LIMIT, "%sout of instructions: all %" PRIu64 " are spent", b->place,
                    b->instructions);
    case OUT_OF_TIME:
        return fail(why, HPW_LIMIT, "%sout of time: %.3f of %.3f seconds", b->place,
                    (double)(b->ended - b->began) / 1e9, (double)b->time / 1e9);
    default:
        return fail(why, HPW_OK, "%scancelled after %.3f seconds", b->place,
                    (double)(b->ended - b->began) / 1e9);
    }
}

/* The error on top of the child's stack, as a value of the results. */
static bool fail_raised(child *c, const job *j, failure *why) {
    values *results = j->task->results;
    why->message[0] = '\0';
    if (j->copied) return false;
    values_empty(results);
    if (values_encode(results, c->L, lua_gettop(c->L), 1, "error", 1)) return false;
    return fail(why, results->error == HPW_NO_MEMORY ? HPW_NO_MEMORY : HPW_OK, "%s", results->message);
}

/* ---- Tasks ---- */

/* Pushes the chunk; raises what is wrong with it, without a traceback. */
static void load_chunk(lua_State *L, job *j) {
    const task *t = j->task;
    int status = LUA_OK;
    j->plain = true;
    switch (t->kind) {
    case TASK_FILE:
        status = chunk_load_file(L, t->text);
        break;
    case TASK_TEXT:
        status = chunk_load_text(L, t->text, t->length, t->text);
        break;
    default:
        status = luaL_loadbufferx(L, t->text, t->length, "=function", "b");
    }
    if (status == LUA_ERRFILE) j->task->failure.code = HPW_IO;
    j->memory = status == LUA_ERRMEM;
    if (status != LUA_OK) lua_error(L);
    j->plain = false;
}

/* Pushes what a name with dots names, from the globals on; nil where there is nothing. */
static void push_named(lua_State *L, const char *name) {
    lua_pushglobaltable(L);
    for (size_t length; lua_istable(L, -1); name += length + 1) {
        length = strcspn(name, ".");
        lua_pushlstring(L, name, length);
        lua_gettable(L, -2);
        lua_remove(L, -2);
        if (!name[length]) return;
    }
    lua_pushnil(L);
    lua_replace(L, -2);
}

static void push_function(lua_State *L, job *j) {
    if (j->task->kind != TASK_CALL) {
        load_chunk(L, j);
        return;
    }
    push_named(L, j->task->text);
    if (lua_isfunction(L, -1) || luaL_getmetafield(L, -1, "__call") != LUA_TNIL) {
        lua_settop(L, 1);
        return;
    }
    j->plain = true;
    luaL_error(L, "no function '%s': it is a %s value", j->task->text, luaL_typename(L, -1));
}

/* Under lua_pcall, with an empty stack but for its one argument. */
static int perform(lua_State *L) {
    job *j = lua_touserdata(L, 1);
    task *t = j->task;
    lua_settop(L, 0);
    if (t->kind == TASK_SET) {
        lua_pushglobaltable(L);
        lua_pushlstring(L, t->text, t->length);
        values_decode(L, t->arguments);
        lua_rawset(L, 1);
        return 0;
    }
    push_function(L, j);
    int given = t->pool ? pool_push(L, t->pool) : 0;
    lua_call(L, given + values_decode(L, t->arguments), LUA_MULTRET);
    values_empty(t->results); /* of what an error put there that load caught */
    if (!values_encode(t->results, L, 1, lua_gettop(L), "result", 1)) {
        t->failure.code = t->results->error == HPW_NO_MEMORY ? HPW_NO_MEMORY : HPW_OK;
        j->plain = true;
        luaL_error(L, "%s", t->results->message);
    }
    return 0;
}

/* Did it go well? Else why not: the budget first, since what it raised may look like anything. */
static bool conclude(child *c, const job *j, int status) {
    failure *why = &j->task->failure;
    if (c->budget.end && j->task->kind != TASK_SET) return fail_budget_of(c, why);
    if (status == LUA_OK) return true;
    if (status == LUA_ERRMEM || j->memory) return fail_memory_of(c, why);
    return fail_raised(c, j, why);
}

bool child_perform(child *c, task *t) {
    lua_State *L = c->L;
    bool runs = t->kind != TASK_SET; /* no script runs where a global is set: no budget */
    job j = {.task = t, .before = refused(c)};
    t->failure = (failure){.code = HPW_OK};
    c->busy = true;
    c->job = &j;
    lua_settop(L, 0);
    lua_pushcfunction(L, handle);
    lua_pushcfunction(L, perform);
    lua_pushlightuserdata(L, &j);
    if (runs) budget_begin(&c->budget);
    int status = lua_pcall(L, 1, 0, 1);
    if (runs) budget_finish(&c->budget);
    bool well = conclude(c, &j, status);
    lua_settop(L, 0);
    c->job = NULL;
    c->busy = false;
    return well;
}
