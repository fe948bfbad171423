/* SPDX-License-Identifier: MIT */
/*
 * The function stream of heapwright.replay: a trace of any length, replayed as it is read.
 *
 *      replay.stream { path =, name = path, policies = { { policy =, order =, seed = } },
 *                      capacity = nil, granule = nil, smallest = false, threads = nil,
 *                      progress = function(done, total) end }
 *          --> { source = { name, events, ... }, results = { ... }, passes = 2, seconds =,
 *                read_seconds = }, or nil, message, code
 *
 * Results are those of program:measure, without what would take more passes: no
 * times of single operations, the smallest pool where one run proves it, external
 * fragmentation of a pipe where it was measured. `ops_per_second` is by the processor's time, in
 * memory that is touched for the first time. The replay has threads of its own; Lua runs on
 * the calling one alone.
 */
#define _GNU_SOURCE
#include <lauxlib.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "binding.h"
#include "fields.h"
#include "programs.h"
#include "replay_stream.h"

enum { MOST_LANES = 256, MOST_THREADS = 64, PROGRESS_EVERY_NS = 100000000 };

/* Lies in a userdata, so that an error frees it, after the thread has ended. */
typedef struct streaming {
    hpw_stream stream;
    hpw_trace_error error;
    hpw_error result;
    atomic_bool stop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended; /* under the lock */
    hpw_lane lanes[];
} streaming;

static void *work(void *ud) {
    streaming *s = ud;
    s->result = hpw_stream_replay(&s->stream, &s->error);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Waits a tenth of a second, or until it has ended: true. */
static bool wait_a_while(streaming *s) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PROGRESS_EVERY_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&s->lock);
    if (!s->ended) pthread_cond_timedwait(&s->changed, &s->lock, &until);
    bool ended = s->ended;
    pthread_mutex_unlock(&s->lock);
    return ended;
}

/* Tells the function on the stack's top how far it is; its status. */
static int tell(lua_State *L, streaming *s) {
    lua_pushvalue(L, -1);
    lua_pushinteger(L, (lua_Integer)s->stream.done);
    lua_pushinteger(L, 1000000);
    return lua_pcall(L, 2, 0, 0);
}

/* Replays, and tells the function on the stack's top of it; its status. Nothing here raises. */
static int replay_all(lua_State *L, streaming *s, bool tells) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int status = LUA_OK;
    if (pthread_create(&s->thread, NULL, work, s)) {
        s->result = HPW_NO_MEMORY;
        strcpy(s->error.message, "the system gives no thread");
    } else {
        while (status == LUA_OK && !wait_a_while(s))
            if (tells) status = tell(L, s);
        if (status != LUA_OK) s->stop = true;
        pthread_join(s->thread, NULL);
    }
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    return status;
}

static unsigned threads_field(lua_State *L) {
    lua_getfield(L, 1, "threads");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    lua_Integer threads = luaL_optinteger(L, -1, cores > 0 ? cores : 1);
    if (threads < 1) luaL_error(L, "threads must be 1 at least");
    lua_pop(L, 1);
    return threads < MOST_THREADS ? (unsigned)threads : MOST_THREADS;
}

/* The questions of the table at 1, in a userdata on the stack's top. */
static streaming *read_lanes(lua_State *L) {
    hpw_question common = programs_common(L, 1);
    lua_getfield(L, 1, "policies");
    luaL_checktype(L, -1, LUA_TTABLE);
    size_t count = lua_rawlen(L, -1);
    if (!count || count > MOST_LANES) luaL_error(L, "1 to %d policies, not %d", MOST_LANES, (int)count);
    streaming *s = lua_newuserdatauv(L, sizeof *s + count * sizeof(hpw_lane), 0);
    memset(s, 0, sizeof *s + count * sizeof(hpw_lane));
    lua_insert(L, -2);
    for (size_t i = 0; i < count; i++) {
        s->lanes[i].question = common;
        lua_geti(L, -1, (lua_Integer)i + 1);
        programs_policy(L, &s->lanes[i].question);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    s->stream.lanes = s->lanes;
    s->stream.count = count;
    s->stream.threads = threads_field(L);
    s->stream.stop = &s->stop;
    return s;
}

static int fail(lua_State *L, const char *message, hpw_error code) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, hpw_error_name(code));
    return 3;
}

/* What a lane of this stream has not measured is absent. */
static void push_lane(lua_State *L, const hpw_stream *stream, const hpw_lane *lane) {
    programs_push_answer(L, &lane->question, &lane->answer, stream->lower_bound);
    if (lane->seconds > 0) set_number(L, "ops_per_second", (double)stream->summary.events / lane->seconds);
    if (lane->has_external) return;
    lua_pushnil(L);
    lua_setfield(L, -2, "external_fragmentation");
}

static int push_all(lua_State *L, const hpw_stream *stream, const char *name) {
    lua_createtable(L, 0, 5);
    programs_push_source(L, name, &stream->summary);
    lua_setfield(L, -2, "source");
    lua_createtable(L, (int)stream->count, 0);
    for (size_t i = 0; i < stream->count; i++) {
        push_lane(L, stream, &stream->lanes[i]);
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "results");
    set_count(L, "passes", stream->one_pass ? 1 : 2);
    set_number(L, "seconds", stream->seconds);
    if (!stream->one_pass) set_number(L, "read_seconds", stream->figures_seconds);
    return 1;
}

int programs_stream(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getfield(L, 1, "path") != LUA_TSTRING) luaL_error(L, "path must be a string");
    const char *path = path_at(L, 2, 1);
    lua_getfield(L, 1, "name");
    const char *name = luaL_optstring(L, 3, path);
    streaming *s = read_lanes(L);
    s->stream.path = path;
    lua_getfield(L, 1, "progress");
    bool tells = !lua_isnil(L, -1);
    if (tells) luaL_checktype(L, -1, LUA_TFUNCTION);
    luaL_checkstack(L, 8, NULL);
    if (replay_all(L, s, tells) != LUA_OK) return lua_error(L);
    if (s->result) return fail(L, s->error.message, s->result);
    for (size_t i = 0; i < s->stream.count; i++) {
        hpw_error error = s->lanes[i].error;
        if (!error || error == HPW_LIMIT) continue; /* that one is another's fault */
        lua_pushfstring(L, "%s: the replay failed: %s", s->lanes[i].question.policy, hpw_error_name(error));
        return fail(L, lua_tostring(L, -1), error);
    }
    return push_all(L, &s->stream, name);
}
