/* SPDX-License-Identifier: MIT */
/*
 * The Lua module heapwright.bounded, for the command alone: runs a script in a state
 * of its own, inside a pool.
 *
 *      bounded.run {
 *        arguments = { [0] = "heapwright", "lua", ... }, script = 2,   -- its name's index there
 *        limit = nil, policy = nil, order = nil,    -- bytes; nil: the machine's
 *        stats = false, record = nil,               -- a trace's path
 *        failed = function(message, refusal) end,   -- the script ended with an error
 *        ended = function(outcome) end,             -- returns the exit code
 *      } --> what `ended` returned
 *
 * outcome = { status =, account = { limit =, in_use =, peak_in_use =, granted =, ... },
 *   pool = { capacity =, high_water =, granted = },
 *   kinds = { { kind =, in_use =, blocks =, at_peak =, allocated = } },
 *   lines = { { line =, in_use =, blocks =, peak_in_use =, allocated = } }, lost =,
 *   record = figures, or problem = message }.
 * refusal, nil or the last request for memory that was refused: { what = "limit" or
 *   "pool", bound =, size =, in_use =, granted = }.
 *
 * The state's allocator is a chain: hpw_lua_alloc, behind a note of what was refused,
 * behind hpw_consumers (stats) or hpw_alloc_record (record). os.exit in the script
 * calls `ended` too, and then ends the process, from inside the script's own call.
 */
#include "bounded.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc_record.h"
#include "consumers.h"
#include "fields.h"
#include "heapwright.h"
#include "host.h"
#include "script.h"
#include "watch.h"

#define RUN_TYPE "heapwright.bounded"

enum { LINES = 10, BYTES_AT_FIRST = 256 << 10, LEAST_UNLIMITED = 64 << 20 };

/* What was last refused. */
typedef struct refusal {
    bool any, by_limit;
    uint64_t size, in_use, granted;
} refusal;

/* A userdata of the command's state, made before what it owns. */
typedef struct bounded {
    lua_State *host;  /* the command's; `failed`, `ended` and options on its stack */
    lua_State *state; /* the script's; NULL: not yet, or closed */
    hpw_pool *pool;
    hpw_account *account;
    hpw_consumers *consumers; /* NULL: no stats */
    hpw_alloc_record *record; /* NULL: not recorded */
    uint64_t over_limit;      /* refusals by the limit that were noted */
    refusal refusal;
    hpw_script script;
} bounded;

enum { OPTIONS = 1, SELF = 2, FAILED = 3, ENDED = 4 }; /* places on the command's stack */

/* ---- The allocator ---------------------------------------------------------------------- */

static void note_refusal(bounded *self, uint64_t size) {
    hpw_account_stats stats;
    hpw_get_account_stats(self->account, &stats);
    self->refusal = (refusal){.any = true,
                              .by_limit = stats.over_limit > self->over_limit,
                              .size = size,
                              .in_use = stats.in_use,
                              .granted = stats.granted};
    self->over_limit = stats.over_limit;
}

static void *grant(void *ud, void *ptr, size_t osize, size_t nsize) {
    bounded *self = ud;
    void *block = hpw_lua_alloc(self->account, ptr, osize, nsize);
    if (!block && nsize) note_refusal(self, nsize);
    return block;
}

/* ---- Options ------------------------------------------------------------------------------- */

/* A whole number of the options, 0 where absent. */
static uint64_t number_option(lua_State *L, const char *name) {
    lua_getfield(L, OPTIONS, name);
    lua_Integer n = luaL_optinteger(L, -1, 0);
    lua_pop(L, 1);
    return n > 0 ? (uint64_t)n : 0;
}

/* A text of the options, NULL where absent; the table keeps it. */
static const char *text_option(lua_State *L, const char *name) {
    lua_getfield(L, OPTIONS, name);
    const char *text = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1);
    return text;
}

static bool flag_option(lua_State *L, const char *name) {
    lua_getfield(L, OPTIONS, name);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* The arguments as main had them; the array stays on the stack. */
static void read_arguments(lua_State *L, hpw_script *script) {
    lua_getfield(L, OPTIONS, "arguments");
    luaL_checktype(L, -1, LUA_TTABLE);
    int table = lua_gettop(L);
    script->argc = (int)lua_rawlen(L, table) + 1;
    script->script = (int)number_option(L, "script");
    if (script->script < 1 || script->script >= script->argc) luaL_error(L, "no argument %d", script->script);
    script->argv = lua_newuserdatauv(L, ((size_t)script->argc + 1) * sizeof *script->argv, 0);
    for (int i = 0; i < script->argc; i++) {
        lua_rawgeti(L, table, i);
        script->argv[i] = (char *)(uintptr_t)luaL_checkstring(L, -1); /* nobody writes to them */
        lua_pop(L, 1);                                                /* the table keeps it */
    }
    script->argv[script->argc] = NULL;
}

static hpw_order order_option(lua_State *L) {
    static const char *const names[HPW_ORDER_COUNT] = {"address", "fifo", "lifo", "random"};
    const char *order = text_option(L, "order");
    int found = HPW_ORDER_ADDRESS;
    for (int i = 0; order && i < HPW_ORDER_COUNT; i++)
        if (strcmp(order, names[i]) == 0) found = i;
    return (hpw_order)found;
}

/* ---- Opening and closing ------------------------------------------------------------------- */

static int fail(lua_State *L, const char *message) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    return 2;
}

/* The machine's memory, which a script without a limit may fill. */
static uint64_t machine_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : (uint64_t)1 << 30;
}

/*
 * What the pool may grow to. Under a limit, which counts what the script asked for,
 * twice that and 1 MiB: buddies round up to twice, and the rest is left to holes.
 */
static uint64_t most_bytes(uint64_t limit) {
    uint64_t most = limit ? limit : machine_bytes(), highest = hpw_max_capacity(0);
    if (limit) most = most > highest / 2 ? highest : most * 2 + (1 << 20);
    return most < highest ? most : highest;
}

/* NULL, or what is wrong. Without a limit, a system that reserves less addresses gets asked for less. */
static const char *open_account(lua_State *L, bounded *self) {
    uint64_t limit = number_option(L, "limit");
    hpw_config config = {.policy = text_option(L, "policy"),
                         .order = order_option(L),
                         .capacity = BYTES_AT_FIRST,
                         .max_capacity = most_bytes(limit),
                         .single_threaded = true};
    hpw_error error;
    self->pool = hpw_open(&config, &error);
    while (!self->pool && !limit && config.max_capacity > LEAST_UNLIMITED) {
        config.max_capacity /= 2;
        self->pool = hpw_open(&config, &error);
    }
    if (!self->pool)
        return lua_pushfstring(L, "a pool that grows to %I bytes: the system does not give that many",
                               (LUAI_UACINT)config.max_capacity);
    self->account = hpw_open_account(self->pool, &(hpw_account_config){.limit = limit}, &error);
    return self->account ? NULL : "the pool has no room for the account";
}

/* What stands before `grant`: NULL, or what is wrong, in the error or a word. */
static const char *open_chain(lua_State *L, bounded *self, hpw_trace_error *error) {
    const char *path = text_option(L, "record");
    if (path) {
        size_t length = strlen(path);
        bool binary = length >= 4 && strcmp(path + length - 4, ".hwt") == 0;
        self->record = hpw_alloc_record_begin(
            &(hpw_alloc_record_config){
                .path = path,
                .format = binary ? HPW_TRACE_BINARY : HPW_TRACE_TEXT,
                .next = grant,
                .next_ud = self,
            },
            error);
        if (!self->record) return error->message;
    } else if (flag_option(L, "stats")) {
        self->consumers = hpw_consumers_new(grant, self);
        if (!self->consumers) return "no memory for the statistics";
    }
    return NULL;
}

static lua_State *new_state(bounded *self) {
    if (self->record) return lua_newstate(hpw_alloc_record_alloc, self->record);
    if (!self->consumers) return lua_newstate(grant, self);
    hpw_consumers_label(self->consumers, "(the state itself)");
    lua_State *state = lua_newstate(hpw_consumers_alloc, self->consumers);
    if (state) hpw_consumers_attach(self->consumers, state);
    return state;
}

static void close_state(bounded *self) {
    if (self->state) lua_close(self->state);
    self->state = NULL;
}

/* Closes what is still open, in the order in which it leans on each other. */
static int meta_gc(lua_State *L) {
    bounded *self = luaL_checkudata(L, 1, RUN_TYPE);
    close_state(self);
    hpw_alloc_record_free(self->record);
    hpw_consumers_free(self->consumers);
    hpw_close_account(self->account);
    hpw_close(self->pool);
    self->record = NULL;
    self->consumers = NULL;
    self->account = NULL;
    self->pool = NULL;
    return 0;
}

/* ---- The outcome, on the command's stack ------------------------------------------------- */

static void set_account(lua_State *L, const bounded *self) {
    hpw_account_stats stats;
    hpw_get_account_stats(self->account, &stats);
    lua_createtable(L, 0, 12);
    set_account_counts(L, &stats);
    lua_setfield(L, -2, "account");
}

static void set_pool(lua_State *L, const bounded *self) {
    hpw_stats stats;
    hpw_get_stats(self->pool, &stats);
    lua_createtable(L, 0, 4);
    set_count(L, "capacity", stats.capacity);
    set_count(L, "high_water", stats.high_water);
    set_count(L, "granted", stats.granted);
    lua_setfield(L, -2, "pool");
}

static void set_kinds(lua_State *L, const bounded *self) {
    const hpw_kind_use *kinds = hpw_consumers_kinds(self->consumers);
    lua_createtable(L, HPW_LUA_KINDS, 0);
    for (int kind = 0; kind < HPW_LUA_KINDS; kind++) {
        lua_createtable(L, 0, 5);
        lua_pushstring(L, hpw_lua_kind_name((hpw_lua_kind)kind));
        lua_setfield(L, -2, "kind");
        set_count(L, "in_use", kinds[kind].in_use);
        set_count(L, "blocks", kinds[kind].blocks);
        set_count(L, "at_peak", kinds[kind].at_peak);
        set_count(L, "allocated", kinds[kind].allocated);
        lua_rawseti(L, -2, kind + 1);
    }
    lua_setfield(L, -2, "kinds");
}

static void set_lines(lua_State *L, const bounded *self) {
    hpw_consumer largest[LINES];
    size_t count = hpw_consumers_largest(self->consumers, largest, LINES);
    lua_createtable(L, LINES, 0);
    for (size_t i = 0; i < count; i++) {
        lua_createtable(L, 0, 5);
        if (largest[i].line)
            lua_pushfstring(L, "%s:%d", largest[i].source, largest[i].line);
        else
            lua_pushstring(L, largest[i].source);
        lua_setfield(L, -2, "line");
        set_count(L, "in_use", largest[i].in_use);
        set_count(L, "blocks", largest[i].blocks);
        set_count(L, "peak_in_use", largest[i].peak_in_use);
        set_count(L, "allocated", largest[i].allocated);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "lines");
}

/* Pushes what is known before the state is closed. */
static void push_outcome(lua_State *L, const bounded *self, int status) {
    lua_createtable(L, 0, 8);
    set_count(L, "status", (uint64_t)status);
    set_account(L, self);
    set_pool(L, self);
    if (!self->consumers) return;
    set_count(L, "lost", hpw_consumers_lost(self->consumers));
    set_kinds(L, self);
    set_lines(L, self);
}

/* Ends the recording, and adds it to the outcome on the stack's top. */
static void set_record(lua_State *L, bounded *self) {
    hpw_trace_error error;
    if (!self->record) return;
    if (hpw_alloc_record_end(self->record, &error)) {
        hpw_push_alloc_figures(L, hpw_alloc_record_figures(self->record), 0);
        lua_setfield(L, -2, "record");
    } else {
        lua_pushstring(L, error.message);
        lua_setfield(L, -2, "problem");
    }
}

/* ---- How a script ends ------------------------------------------------------------------------ */

static void push_refusal(lua_State *L, const bounded *self) {
    const refusal *last = &self->refusal;
    hpw_account_stats account;
    hpw_stats pool;
    hpw_get_account_stats(self->account, &account);
    hpw_get_stats(self->pool, &pool);
    lua_createtable(L, 0, 5);
    lua_pushstring(L, last->by_limit ? "limit" : "pool");
    lua_setfield(L, -2, "what");
    set_count(L, "bound", last->by_limit ? account.limit : pool.capacity);
    set_count(L, "size", last->size);
    set_count(L, "in_use", last->in_use);
    set_count(L, "granted", last->granted);
}

/* Tells the command of an error, whose message is on top of the script's stack, if it has one. */
static void tell_failure(lua_State *L, const bounded *self) {
    size_t length = 0;
    const char *message = self->state ? lua_tolstring(self->state, -1, &length) : NULL;
    lua_pushvalue(L, FAILED);
    if (message)
        lua_pushlstring(L, message, length);
    else /* Lua's own words, of a state that could not even be made */
        lua_pushstring(L, self->state ? "(error object without a message)" : "not enough memory");
    if (self->refusal.any)
        push_refusal(L, self);
    else
        lua_pushnil(L);
    lua_call(L, 2, 0);
}

/* As os.exit: exit([code [, close]]); upvalue 1 is the bounded. */
static int exit_script(lua_State *L) {
    bounded *self = lua_touserdata(L, lua_upvalueindex(1));
    int status = EXIT_SUCCESS;
    if (lua_isboolean(L, 1))
        status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
    else
        status = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
    bool close = lua_toboolean(L, 2);
    lua_State *host = self->host;
    /* From here on only the command's state is used; it stands in a call to run, below this one. */
    lua_pushvalue(host, ENDED);
    push_outcome(host, self, status);
    if (close) close_state(self);
    set_record(host, self);
    if (lua_pcall(host, 1, 1, 0) == LUA_OK)
        status = (int)lua_tointeger(host, -1);
    else
        status = hpw_host_complain(lua_tostring(host, -1));
    exit(hpw_host_flush(status));
}

/* run(options) */
static int run(lua_State *L) {
    lua_settop(L, OPTIONS);
    luaL_checktype(L, OPTIONS, LUA_TTABLE);
    bounded *self = lua_newuserdatauv(L, sizeof *self, 0);
    *self = (bounded){.host = L};
    luaL_setmetatable(L, RUN_TYPE);
    lua_getfield(L, OPTIONS, "failed");
    lua_getfield(L, OPTIONS, "ended");
    luaL_checkstack(L, 2 * LUA_MINSTACK, NULL); /* os.exit can't ask for room */
    read_arguments(L, &self->script);

    hpw_trace_error error;
    const char *problem = open_account(L, self);
    if (!problem) problem = open_chain(L, self, &error);
    if (problem) return fail(L, problem);

    self->script.exit = exit_script;
    self->script.exit_ud = self;
    self->script.consumers = self->consumers;
    self->state = new_state(self);
    int status = self->state ? hpw_script_run(self->state, &self->script) : LUA_ERRMEM;
    if (status != LUA_OK) tell_failure(L, self);
    lua_pushvalue(L, ENDED);
    push_outcome(L, self, status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE);
    close_state(self);
    set_record(L, self);
    lua_call(L, 1, 1);
    return 1;
}

int luaopen_heapwright_bounded(lua_State *L) {
    static const luaL_Reg functions[] = {{"run", run}, {NULL, NULL}};
    if (luaL_newmetatable(L, RUN_TYPE)) {
        lua_pushcfunction(L, meta_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
