/* SPDX-License-Identifier: MIT */
/*
 * A program's method contend: its threads on real threads, in one shared pool.
 *
 *      program:contend { policy = "slab", order = nil, seed = nil, capacity = nil, granule = nil,
 *                        threads = nil, caches = false }
 *          --> { policy, threads, recorded_threads, dependencies, waits, failures, peak_in_use,
 *                peak_granted, high_water, ops_per_second, ops_per_second_alone, scaling },
 *              or nil, message, code
 *
 * See core/replay_threads.h. It takes as long as six replays; Lua waits.
 */
#include <lauxlib.h>

#include "fields.h"
#include "programs.h"
#include "replay_threads.h"

static int fail(lua_State *L, const char *what, hpw_error code) {
    lua_pushnil(L);
    lua_pushstring(L, what);
    lua_pushstring(L, hpw_error_name(code));
    return 3;
}

static const char *words_of(hpw_error error) {
    switch (error) {
    case HPW_NO_MEMORY:
        return "the system has no memory or no thread for it";
    case HPW_CORRUPTED:
        return "the pool does not hold what the trace leaves, or failed its check";
    default:
        return "the policy takes no such pool";
    }
}

static uint32_t threads_field(lua_State *L) {
    lua_getfield(L, 2, "threads");
    lua_Integer threads = luaL_optinteger(L, -1, 0);
    if (threads < 0) luaL_error(L, "threads must not be negative");
    lua_pop(L, 1);
    return threads < HPW_MOST_REPLAY_THREADS ? (uint32_t)threads : HPW_MOST_REPLAY_THREADS;
}

static hpw_contention_question read(lua_State *L) {
    hpw_contention_question question = {.pool = programs_common(L, 2), .threads = threads_field(L)};
    lua_pushvalue(L, 2);
    programs_policy(L, &question.pool);
    lua_pop(L, 1);
    lua_getfield(L, 2, "caches");
    question.caches = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return question;
}

static int push(lua_State *L, const char *policy, const hpw_contention *a) {
    lua_createtable(L, 0, 12);
    set_string(L, "policy", policy);
    set_count(L, "threads", a->threads);
    set_count(L, "recorded_threads", a->recorded_threads);
    set_count(L, "dependencies", a->dependencies);
    set_count(L, "waits", a->waits);
    set_count(L, "failures", a->failures);
    set_count(L, "peak_in_use", a->peak_in_use);
    set_count(L, "peak_granted", a->peak_granted);
    set_count(L, "high_water", a->high_water);
    set_number(L, "ops_per_second", a->ops_per_second);
    set_number(L, "ops_per_second_alone", a->ops_per_second_alone);
    if (a->ops_per_second_alone > 0) set_number(L, "scaling", a->ops_per_second / a->ops_per_second_alone);
    return 1;
}

int programs_contend(lua_State *L) {
    programs_check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    hpw_contention_question question = read(L);
    const hpw_program *program = programs_check(L); /* again: to read the table may have closed it */
    if (!hpw_program_threads(program)) return fail(L, "the trace names no threads", HPW_INVALID_ARGUMENT);
    hpw_contention answer;
    hpw_error error = hpw_contend(program, &question, NULL, &answer);
    return error ? fail(L, words_of(error), error) : push(L, question.pool.policy, &answer);
}
