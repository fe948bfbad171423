/* SPDX-License-Identifier: MIT */
/*
 * The Lua module heapwright.traces: trace files, and the recording of programs.
 *
 *      traces.info(path)      --> { format =, packing =, loses =, events =, allocations =,
 *                                   frees =, resizes =, threads =, peak_in_use =,
 *                                   lower_bound =, peak_blocks =, live_at_end =,
 *                                   live_bytes =, largest =, duration =, program =,
 *                                   warning = }; what is not known is nil
 *      traces.open(path)      --> a reader:
 *          reader:next()      --> kind, id, size, alignment, thread, time; nil at the end
 *          for kind, id, ... in reader:events() do ... end     raises what :next() returns
 *          reader:warning()   --> what is to be known of it, once at the end; nil for nothing
 *          reader:close()
 *      traces.convert(from, to, format)                        --> true, warning
 *                             "text", "binary", "rep" or "minimalloc"
 *      traces.generate { path =, events =, live =, ... }     --> true; see generate.h
 *      traces.record { output = path, argv = { ... }, library = path }
 *          --> { status =, warning =, traces = { { file =, program =, events =, peak =, warning = } } }
 *
 * Expected failures are nil, message, code: "io", "corrupted", "invalid_argument",
 * "no_memory". Kinds are "alloc", "free", "resize"; an id above 2^63 - 1 is negative.
 * A file or a recording is held by a userdata that is made before it is opened.
 */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "binding.h"
#include "fields.h"
#include "generate.h"
#include "module.h"
#include "record.h"
#include "trace.h"

#define READER_TYPE "heapwright.trace_reader"
#define RECORDING_TYPE "heapwright.recording"

typedef struct reader {
    hpw_trace *trace; /* NULL: closed */
} reader;

static int fail(lua_State *L, const hpw_trace_error *error) {
    lua_pushnil(L);
    lua_pushstring(L, error->message);
    lua_pushstring(L, hpw_error_name(error->code));
    return 3;
}

/* Sets a field of the table on top. */
/* The same, unless it is empty. */
static void set_text(lua_State *L, const char *name, const char *text) {
    if (!*text) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

/* ---- Whole traces ---------------------------------------------------------------------- */

/* A path whole: one that a zero byte would cut raises. */
static const char *check_path(lua_State *L, int arg) {
    luaL_checkstring(L, arg);
    return path_at(L, arg, arg);
}

static int info(lua_State *L) {
    const char *path = check_path(L, 1);
    hpw_trace_summary s;
    hpw_trace_error error;
    if (!hpw_trace_scan(path, &s, &error)) return fail(L, &error);
    lua_createtable(L, 0, 17);
    set_text(L, "format", hpw_trace_format_name(s.format));
    set_text(L, "packing", s.packing);
    const char *loses = hpw_trace_format_loses(s.format);
    if (loses) set_text(L, "loses", loses);
    set_count(L, "events", s.events);
    set_count(L, "allocations", s.allocations);
    set_count(L, "frees", s.frees);
    set_count(L, "resizes", s.resizes);
    set_count(L, "threads", s.threads);
    set_count(L, "peak_in_use", s.peak_in_use);
    set_count(L, "lower_bound", s.lower_bound);
    set_count(L, "peak_blocks", s.peak_blocks);
    set_count(L, "live_at_end", s.live_blocks);
    set_count(L, "live_bytes", s.live_bytes);
    set_count(L, "largest", s.largest);
    if (s.duration) set_count(L, "duration", s.duration);
    set_text(L, "program", s.program);
    set_text(L, "warning", s.warning);
    return 1;
}

/* The format that is named at an argument. */
static hpw_trace_format check_format(lua_State *L, int arg) {
    const char *names[HPW_TRACE_WRITABLE + 1] = {NULL};
    for (int f = 0; f < HPW_TRACE_WRITABLE; f++) names[f] = hpw_trace_format_name((hpw_trace_format)f);
    return (hpw_trace_format)luaL_checkoption(L, arg, NULL, names);
}

static int convert(lua_State *L) {
    const char *from = check_path(L, 1), *to = check_path(L, 2);
    hpw_trace_format format = check_format(L, 3);
    hpw_trace_error error;
    char warning[512];
    if (!hpw_trace_convert(from, to, format, warning, &error)) return fail(L, &error);
    lua_pushboolean(L, true);
    if (*warning)
        lua_pushstring(L, warning);
    else
        lua_pushnil(L);
    return 2;
}

/* ---- Readers ------------------------------------------------------------------------------ */

static hpw_trace *check_reader(lua_State *L) {
    reader *self = luaL_checkudata(L, 1, READER_TYPE);
    luaL_argcheck(L, self->trace, 1, "the reader is closed");
    return self->trace;
}

static int open_reader(lua_State *L) {
    const char *path = check_path(L, 1);
    reader *self = lua_newuserdatauv(L, sizeof *self, 0);
    self->trace = NULL;
    luaL_setmetatable(L, READER_TYPE);
    hpw_trace_error error;
    self->trace = hpw_trace_open(path, &error);
    return self->trace ? 1 : fail(L, &error);
}

static int close_reader(lua_State *L) {
    reader *self = luaL_checkudata(L, 1, READER_TYPE);
    hpw_trace_close(self->trace);
    self->trace = NULL;
    return 0;
}

static void push_known(lua_State *L, bool known, uint64_t n) {
    if (known)
        lua_pushinteger(L, (lua_Integer)n);
    else
        lua_pushnil(L);
}

static int push_event(lua_State *L, const hpw_trace_event *event) {
    static const char *const kinds[] = {
        [HPW_TRACE_ALLOC] = "alloc", [HPW_TRACE_FREE] = "free", [HPW_TRACE_RESIZE] = "resize"};
    lua_pushstring(L, kinds[event->kind]);
    lua_pushinteger(L, (lua_Integer)event->id);
    lua_pushinteger(L, (lua_Integer)event->size);
    push_known(L, event->alignment != 0, event->alignment);
    push_known(L, event->has_thread, event->thread);
    push_known(L, event->has_time, event->time);
    return 6;
}

static int next_event(lua_State *L) {
    hpw_trace *trace = check_reader(L);
    hpw_trace_event event;
    hpw_trace_error error;
    switch (hpw_trace_next(trace, &event, &error)) {
    case 1:
        return push_event(L, &event);
    case 0:
        lua_pushnil(L);
        return 1;
    default:
        return fail(L, &error);
    }
}

/* One step of `for`: an error must not look like the end. */
static int iterate(lua_State *L) {
    int results = next_event(L);
    if (results == 3) {
        luaL_where(L, 1);
        lua_pushvalue(L, -3);
        lua_concat(L, 2);
        return lua_error(L);
    }
    return results;
}

static int events(lua_State *L) {
    check_reader(L);
    lua_pushcfunction(L, iterate);
    lua_pushvalue(L, 1);
    return 2;
}

static int warning(lua_State *L) {
    lua_pushstring(L, hpw_trace_warning(check_reader(L))); /* NULL pushes nil */
    return 1;
}

/* ---- Recording ------------------------------------------------------------------------------ */

static int free_recording(lua_State *L) {
    hpw_recording_free(luaL_checkudata(L, 1, RECORDING_TYPE));
    return 0;
}

/* Raises for a key of the options at 1 that is none. */
static void check_options(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        if (strcmp(key, "output") != 0 && strcmp(key, "argv") != 0 && strcmp(key, "library") != 0)
            luaL_error(L, "record: unknown option '%s'", key);
    }
}

/* An option that is a string; it stays on the stack. */
static const char *take_path(lua_State *L, const char *name) {
    if (lua_getfield(L, 1, name) != LUA_TSTRING)
        luaL_error(L, "record: option '%s' is no string but %s", name, luaL_typename(L, -1));
    return lua_tostring(L, -1);
}

/* The option argv as exec wants it; array and strings stay on the stack. */
static char **take_argv(lua_State *L) {
    if (lua_getfield(L, 1, "argv") != LUA_TTABLE)
        luaL_error(L, "record: option 'argv' is no table but %s", luaL_typename(L, -1));
    int list = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);
    if (n < 1 || n > 1 << 20) luaL_error(L, "record: option 'argv' names no program");
    char **argv = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *argv, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        if (lua_rawgeti(L, list, i) != LUA_TSTRING)
            luaL_error(L, "record: argv[%d] is no string but %s", (int)i, luaL_typename(L, -1));
        argv[i - 1] = (char *)(uintptr_t)lua_tostring(L, -1); /* exec writes to none of them */
        lua_pop(L, 1);                                        /* the table keeps it */
    }
    argv[n] = NULL;
    return argv;
}

static int push_recording(lua_State *L, const hpw_recording *recording) {
    lua_createtable(L, 0, 3);
    set_count(L, "status", (uint64_t)recording->status);
    set_text(L, "warning", recording->warning);
    lua_newtable(L);
    for (size_t i = 0; i < recording->count; i++) {
        const hpw_recorded *trace = &recording->traces[i];
        lua_createtable(L, 0, 5);
        set_text(L, "file", trace->file);
        lua_pushstring(L, trace->program);
        lua_setfield(L, -2, "program");
        set_count(L, "events", trace->events);
        set_count(L, "peak", trace->peak);
        set_text(L, "warning", trace->warning);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "traces");
    return 1;
}

static int record(lua_State *L) {
    check_options(L);
    const char *output = take_path(L, "output"), *library = take_path(L, "library");
    char **argv = take_argv(L);
    hpw_recording *recording = lua_newuserdatauv(L, sizeof *recording, 0);
    *recording = (hpw_recording){0};
    luaL_setmetatable(L, RECORDING_TYPE);
    hpw_trace_error error;
    if (!hpw_record_run(argv, output, library, recording, &error)) return fail(L, &error);
    return push_recording(L, recording);
}

/* ---- The module ------------------------------------------------------------------------------- */

static void make_types(lua_State *L) {
    static const luaL_Reg methods[] = {{"next", next_event},
                                       {"events", events},
                                       {"warning", warning},
                                       {"close", close_reader},
                                       {NULL, NULL}};
    static const luaL_Reg reader_meta[] = {{"__gc", close_reader}, {"__close", close_reader}, {NULL, NULL}};
    static const luaL_Reg recording_meta[] = {{"__gc", free_recording}, {NULL, NULL}};
    if (luaL_newmetatable(L, READER_TYPE)) {
        luaL_setfuncs(L, reader_meta, 0);
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
    }
    if (luaL_newmetatable(L, RECORDING_TYPE)) {
        luaL_setfuncs(L, recording_meta, 0);
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
    }
    lua_pop(L, 2);
}

int luaopen_heapwright_traces(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"info", info},     {"open", open_reader},         {"convert", convert},
        {"record", record}, {"generate", traces_generate}, {NULL, NULL}};
    make_types(L);
    luaL_newlib(L, functions);
    return 1;
}
