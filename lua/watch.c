/* SPDX-License-Identifier: MIT */
/*
 * heapwright.watch: records what this Lua state allocates while a function runs.
 *
 *      watch([where,] f, ...)  --> figures, true, what f returned
 *                              --> figures, false, what f raised
 *                              --> nil, message, code: "io", "no_memory", "invalid_argument"
 *
 * `where` is the trace's path (binary where it ends in .hwt, else text) or a table
 * { path = ..., kinds = { "table", ... } }. Without a path the trace goes to a file
 * without a name, and figures.program is what heapwright.replay.load makes of it.
 *
 * The state's allocator is wrapped while f runs and is its own again before
 * anything else happens: f runs under lua_pcall, which also is why it can't yield
 * across. Whoever ends the state from inside (os.exit with close) has the trace
 * finished by the finalizer of `watching`.
 */
#include <stdio.h>
#include <string.h>

#include "alloc_record.h"
#include "binding.h"
#include "fields.h"
#include "module.h"
#include "watch.h"

#define WATCHING_TYPE "heapwright.watching"

/* A userdata, made before what it owns. */
typedef struct watching {
    hpw_alloc_record *record; /* NULL: none, or ended by the finalizer */
    FILE *nameless;           /* where no path was given; NULL else */
} watching;

/* ---- Where to, and what ---------------------------------------------------------- */

static unsigned kind_bit(lua_State *L, int arg, const char *name) {
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++)
        if (strcmp(name, hpw_lua_kind_name((hpw_lua_kind)kind)) == 0) return 1U << kind;
    lua_pushliteral(L, "");
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++) {
        lua_pushfstring(L, "%s%s", kind ? ", " : "", hpw_lua_kind_name((hpw_lua_kind)kind));
        lua_concat(L, 2);
    }
    const char *known = lua_tostring(L, -1);
    luaL_argerror(L, arg, lua_pushfstring(L, "kinds: unknown kind '%s'; known: %s", name, known));
    return 0;
}

/* The list of kinds on the stack's top as bits. */
static unsigned read_kinds(lua_State *L, int arg) {
    if (!lua_istable(L, -1))
        luaL_argerror(L, arg, lua_pushfstring(L, "kinds: a list expected, got %s", luaL_typename(L, -1)));
    unsigned bits = 0;
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
            luaL_argerror(L, arg, lua_pushfstring(L, "kinds: names expected, got %s", luaL_typename(L, -1)));
        bits |= kind_bit(L, arg, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    if (!bits) luaL_argerror(L, arg, "kinds: at least one expected");
    return bits;
}

/* One option: its key below its value on the stack's top. */
static void read_option(lua_State *L, int arg, hpw_alloc_record_config *config) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
    if (strcmp(key, "kinds") == 0) {
        config->kinds = read_kinds(L, arg);
    } else if (strcmp(key, "path") == 0) {
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_argerror(L, arg, lua_pushfstring(L, "path: string expected, got %s", luaL_typename(L, -1)));
        config->path = path_at(L, -1, arg); /* the table keeps it */
    } else {
        luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'; known: kinds, path", key));
    }
}

/* Reads argument 1 where it is not yet the function; the function's index. */
static int read_where(lua_State *L, hpw_alloc_record_config *config) {
    if (lua_type(L, 1) == LUA_TSTRING) {
        config->path = path_at(L, 1, 1);
    } else if (lua_type(L, 1) == LUA_TTABLE) {
        for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) read_option(L, 1, config);
    } else {
        luaL_argexpected(L, lua_isfunction(L, 1), 1, "function, path or table");
        return 1;
    }
    luaL_checktype(L, 2, LUA_TFUNCTION);
    return 2;
}

/* ---- Beginning and ending ---------------------------------------------------------- */

/* Gives the state its own allocator back. */
static void restore(lua_State *L, const watching *self) {
    void *ud;
    if (lua_getallocf(L, &ud) != hpw_alloc_record_alloc || ud != self->record) return;
    lua_Alloc next = hpw_alloc_record_next(self->record, &ud);
    lua_setallocf(L, next, ud);
}

static void release(watching *self) {
    hpw_alloc_record_free(self->record);
    if (self->nameless) fclose(self->nameless);
    *self = (watching){0};
}

/* __gc: what is left where f ended the state, or where there was no memory for the figures */
static int meta_gc(lua_State *L) {
    watching *self = luaL_checkudata(L, 1, WATCHING_TYPE);
    restore(L, self);
    release(self);
    return 0;
}

static watching *push_watching(lua_State *L) {
    watching *self = lua_newuserdatauv(L, sizeof *self, 0);
    *self = (watching){0};
    if (luaL_newmetatable(L, WATCHING_TYPE)) {
        lua_pushcfunction(L, meta_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    return self;
}

enum { FD_PATH = 32 };

/* The name by which a file without one can be opened again. */
static const char *nameless_path(watching *self, char path[FD_PATH]) {
    self->nameless = tmpfile();
    if (!self->nameless) return NULL;
    snprintf(path, FD_PATH, "/dev/fd/%d", fileno(self->nameless));
    return path;
}

static bool begin(lua_State *L, watching *self, hpw_alloc_record_config *config, hpw_trace_error *error) {
    if (!config->path) {
        hpw_trace_fail(error, HPW_IO, "watch: the system gives no temporary file");
        return false;
    }
    size_t length = strlen(config->path);
    bool binary = self->nameless || (length >= 4 && strcmp(config->path + length - 4, ".hwt") == 0);
    config->format = binary ? HPW_TRACE_BINARY : HPW_TRACE_TEXT;
    self->record = hpw_alloc_record_begin(config, error);
    if (!self->record) return false;
    lua_setallocf(L, hpw_alloc_record_alloc, self->record);
    return true;
}

/* Sets `program` of the figures on the stack's top. Raises without memory; false: nil, message, code pushed.
 */
static bool set_program(lua_State *L, const char *path) {
    lua_pushcfunction(L, luaopen_heapwright_replay);
    lua_call(L, 0, 1);
    lua_getfield(L, -1, "load");
    lua_pushstring(L, path);
    lua_pushliteral(L, "watch");
    lua_call(L, 2, 3);
    if (lua_isnil(L, -3)) return false;
    lua_pop(L, 2);
    lua_setfield(L, -3, "program");
    lua_pop(L, 1);
    return true;
}

/* ---- Figures ------------------------------------------------------------------------- */

static void push_kind(lua_State *L, const hpw_kind_record *kind) {
    lua_createtable(L, 0, 5);
    set_count(L, "allocations", kind->allocations);
    set_count(L, "bytes", kind->bytes);
    set_count(L, "peak_in_use", kind->peak_in_use);
    set_count(L, "live_at_end", kind->blocks);
    set_count(L, "live_bytes", kind->in_use);
}

void hpw_push_alloc_figures(lua_State *L, const hpw_alloc_figures *figures, unsigned kinds) {
    uint64_t blocks = 0;
    lua_createtable(L, 0, 10);
    lua_createtable(L, 0, HPW_LUA_KINDS);
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++) {
        if (kinds && !(kinds & 1U << kind)) continue;
        push_kind(L, &figures->kinds[kind]);
        lua_setfield(L, -2, hpw_lua_kind_name((hpw_lua_kind)kind));
        blocks += figures->kinds[kind].blocks;
    }
    lua_setfield(L, -2, "kinds");
    set_count(L, "events", figures->events);
    set_count(L, "allocations", figures->allocations);
    set_count(L, "frees", figures->frees);
    set_count(L, "resizes", figures->resizes);
    set_count(L, "peak_in_use", figures->peak_in_use);
    set_count(L, "live_at_end", blocks);
    set_count(L, "live_bytes", figures->in_use);
}

/* ---- watch -------------------------------------------------------------------------- */

/* Puts the figures, and whether f returned, below what it returned or raised, which begins at `base`. */
static int finish(lua_State *L, watching *self, const hpw_alloc_record_config *config, int base,
                  bool returned) {
    hpw_trace_error error;
    if (!hpw_alloc_record_end(self->record, &error)) return fail_with(L, error.code, "%s", error.message);
    luaL_checkstack(L, LUA_MINSTACK, "watch: too many results");
    const hpw_alloc_figures *figures = hpw_alloc_record_figures(self->record);
    hpw_push_alloc_figures(L, figures, config->kinds);
    if (!self->nameless) {
        lua_pushstring(L, config->path);
        lua_setfield(L, -2, "path");
    } else if (figures->events && !set_program(L, config->path)) {
        return 3;
    }
    release(self);
    lua_insert(L, base);
    lua_pushboolean(L, returned);
    lua_insert(L, base + 1);
    return lua_gettop(L) - base + 1;
}

int module_watch(lua_State *L) {
    hpw_alloc_record_config config = {0};
    hpw_trace_error error;
    char path[FD_PATH];
    int function = read_where(L, &config), arguments = lua_gettop(L) - function;
    watching *self = push_watching(L);
    lua_insert(L, function); /* below the function; `where`, which holds the path, stays as well */
    config.next = lua_getallocf(L, &config.next_ud);
    if (config.next == hpw_alloc_record_alloc)
        return fail_with(L, HPW_INVALID_ARGUMENT,
                         "watch: the allocations of this state are being recorded already");
    if (!config.path) config.path = nameless_path(self, path);
    if (!begin(L, self, &config, &error)) return fail_with(L, error.code, "%s", error.message);
    int status = lua_pcall(L, arguments, LUA_MULTRET, 0);
    restore(L, self);
    if (!self->record) return luaL_error(L, "watch: the recording's own finalizer was called");
    return finish(L, self, &config, function + 1, status == LUA_OK);
}
