/* SPDX-License-Identifier: MIT */
/*
 * The Lua module heapwright.replay: a trace loaded once, asked often.
 *
 *      local program = assert(replay.load("trace.hwt" [, name]))
 *      program:source()    --> { name, events, allocations, peak_in_use, lower_bound, warning }
 *      program:measure { policies = { { policy = "best-fit", order = "address", seed = nil } },
 *                        capacity = nil, granule = nil, smallest = true, time = false,
 *                        threads = nil, progress = function(done, total) end }
 *                          --> { { policy =, ... }, ... } in the order of the question
 *      program:part { policy = "best-fit", capacity = 65536 }    --> see part.c
 *
 * The policies are measured in parallel, by at most as many threads as the
 * machine has cores. Lua runs on the calling thread alone: `progress` is called
 * there, some ten times a second; an error in it stops the measurement.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "binding.h"
#include "fields.h"
#include "module.h"
#include "programs.h"
#include "replay.h"

#define PROGRAM_TYPE "heapwright.program"

enum { MAX_QUESTIONS = 256, MAX_THREADS = 64, PROGRESS_EVERY_NS = 100000000 };

static const char *const orders[HPW_ORDER_COUNT] = {"address", "fifo", "lifo", "random"};

typedef struct loaded {
    hpw_program *program;
    char *name;
    bool measured; /* threads are at it: it can't be closed */
} loaded;

static loaded *check_program(lua_State *L) {
    loaded *self = luaL_checkudata(L, 1, PROGRAM_TYPE);
    luaL_argcheck(L, self->program, 1, "the program is closed");
    return self;
}

const hpw_program *programs_check(lua_State *L) { return check_program(L)->program; }

static int fail(lua_State *L, const char *message, hpw_error code) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, hpw_error_name(code));
    return 3;
}

static int load(lua_State *L) {
    luaL_checkstring(L, 1);
    const char *path = path_at(L, 1, 1);
    const char *name = luaL_optstring(L, 2, path);
    hpw_trace_error error = {0};
    loaded *self = lua_newuserdatauv(L, sizeof *self, 0);
    *self = (loaded){0};
    luaL_setmetatable(L, PROGRAM_TYPE);
    self->program = hpw_program_load(path, &error);
    if (!self->program) return fail(L, error.message, error.code);
    self->name = strdup(name);
    return self->name ? 1 : fail(L, "no memory for the trace's name", HPW_NO_MEMORY);
}

static int close_program(lua_State *L) {
    loaded *self = luaL_checkudata(L, 1, PROGRAM_TYPE);
    luaL_argcheck(L, !self->measured, 1, "the program is being measured");
    hpw_program_free(self->program);
    free(self->name);
    *self = (loaded){0};
    return 0;
}

static int source(lua_State *L) {
    lua_pushstring(L, check_program(L)->name);
    /* A copy: a finalizer may close the program while the table is made. */
    hpw_trace_summary s = *hpw_program_summary(check_program(L)->program);
    lua_createtable(L, 0, 8);
    lua_insert(L, -2);
    lua_setfield(L, -2, "name");
    set_count(L, "events", s.events);
    set_count(L, "allocations", s.allocations);
    set_count(L, "peak_in_use", s.peak_in_use);
    set_count(L, "lower_bound", s.lower_bound);
    if (s.program[0]) set_string(L, "program", s.program);
    if (s.warning[0]) set_string(L, "warning", s.warning);
    return 1;
}

/* ---- Measuring ---- */

typedef struct task {
    hpw_question question;
    hpw_answer answer;
    hpw_error error;
    uint64_t bound; /* the lower bound with that granule */
} task;

/* What the threads share. Lies in a userdata, so that an error frees it, after they have ended. */
typedef struct measuring {
    const hpw_program *program;
    size_t count, threads;
    atomic_bool stop;
    atomic_size_t next;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t done; /* under the lock */
    pthread_t thread[MAX_THREADS];
    task tasks[];
} measuring;

static void *work(void *ud) {
    measuring *m = ud;
    for (size_t i; !m->stop && (i = atomic_fetch_add(&m->next, 1)) < m->count;) {
        m->tasks[i].error = hpw_ask(m->program, &m->tasks[i].question, &m->stop, &m->tasks[i].answer);
        pthread_mutex_lock(&m->lock);
        m->done++;
        pthread_cond_signal(&m->changed);
        pthread_mutex_unlock(&m->lock);
    }
    return NULL;
}

static bool start(measuring *m, size_t threads) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    while (m->threads < threads && !pthread_create(&m->thread[m->threads], NULL, work, m)) m->threads++;
    return m->threads > 0;
}

static void finish(measuring *m) {
    for (size_t i = 0; i < m->threads; i++) pthread_join(m->thread[i], NULL);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
}

/* Waits until all is done, telling the function on the stack's top of it; its status. */
static int await(lua_State *L, measuring *m, bool tells) {
    int status = LUA_OK;
    for (size_t done = 0; done < m->count && status == LUA_OK;) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += PROGRESS_EVERY_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_mutex_lock(&m->lock);
        if (m->done == done) pthread_cond_timedwait(&m->changed, &m->lock, &until);
        done = m->done;
        pthread_mutex_unlock(&m->lock);
        if (!tells) continue;
        lua_pushvalue(L, -1);
        lua_pushinteger(L, (lua_Integer)done);
        lua_pushinteger(L, (lua_Integer)m->count);
        status = lua_pcall(L, 2, 0, 0);
    }
    return status;
}

static void push_answer(lua_State *L, const task *t) {
    const hpw_answer *a = &t->answer;
    lua_createtable(L, 0, 20);
    set_string(L, "policy", t->question.policy);
    set_string(L, "order", orders[t->question.order]);
    if (a->capacity) set_count(L, "capacity", a->capacity);
    set_count(L, "failures", a->failures);
    set_count(L, "peak_in_use", a->peak_in_use);
    set_count(L, "peak_granted", a->peak_granted);
    set_count(L, "high_water", a->high_water);
    set_number(L, "external_fragmentation", a->external_fragmentation);
    set_number(L, "internal_fragmentation", a->internal_fragmentation);
    if (a->has_smallest) {
        set_count(L, "smallest_pool", a->smallest_pool);
        if (t->bound) set_number(L, "overhead", (double)a->smallest_pool / (double)t->bound - 1.0);
        lua_pushboolean(L, a->smallest_exact);
        lua_setfield(L, -2, "smallest_exact");
        set_count(L, "reversals", a->reversals);
        set_count(L, "runs", a->runs);
    }
    set_count(L, "steps_max", a->steps_max);
    set_number(L, "steps_mean", a->steps_mean);
    if (!a->has_time) return;
    set_count(L, "ns_p50", a->ns_p50);
    set_count(L, "ns_p999", a->ns_p999);
    set_count(L, "ns_max", a->ns_max);
    set_number(L, "ops_per_second", a->ops_per_second);
}

/* A named whole number of the table at `index`, 0 where absent. */
static uint64_t number_field(lua_State *L, int index, const char *key) {
    lua_getfield(L, index, key);
    int whole = 1;
    lua_Integer value = lua_isnil(L, -1) ? 0 : lua_tointegerx(L, -1, &whole);
    if (!whole || value < 0) luaL_error(L, "%s must be a whole number, not negative", key);
    lua_pop(L, 1);
    return (uint64_t)value;
}

static bool flag_field(lua_State *L, int index, const char *key) {
    lua_getfield(L, index, key);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* The {policy =, order =, seed =} on the stack's top. The name points into the policies' own table. */
static void read_policy(lua_State *L, hpw_question *question) {
    if (!lua_istable(L, -1)) luaL_error(L, "policies must hold tables with a policy and an order");
    lua_getfield(L, -1, "policy");
    const char *name = luaL_checkstring(L, -1);
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)) && strcmp(info->name, name); i++) continue;
    if (!info) luaL_error(L, "unknown policy '%s'", name);
    lua_getfield(L, -2, "order");
    const char *order = luaL_optstring(L, -1, "address");
    for (size_t i = 0; i < HPW_ORDER_COUNT; i++)
        if (!strcmp(orders[i], order)) question->order = (hpw_order)i;
    if (strcmp(orders[question->order], order)) luaL_error(L, "unknown order '%s'", order);
    if (question->order && !info->takes_order) luaL_error(L, "%s takes no order", info->name);
    question->policy = info->name;
    lua_getfield(L, -3, "seed");
    if (question->order == HPW_ORDER_RANDOM) question->seed = (uint64_t)luaL_optinteger(L, -1, 0);
    lua_pop(L, 3);
}

/* The core has 32 bits for it. */
static uint32_t granule_field(lua_State *L, int index) {
    uint64_t granule = number_field(L, index, "granule");
    if (granule > UINT32_MAX) luaL_error(L, "granule: %I bytes are too many", (LUAI_UACINT)granule);
    return (uint32_t)granule;
}

hpw_question programs_question(lua_State *L, int index) {
    hpw_question question = {.capacity = number_field(L, index, "capacity"),
                             .granule = granule_field(L, index)};
    lua_pushvalue(L, index);
    read_policy(L, &question);
    lua_pop(L, 1);
    return question;
}

static measuring *read_questions(lua_State *L) {
    hpw_question common = {
        .capacity = number_field(L, 2, "capacity"),
        .granule = granule_field(L, 2),
        .smallest = flag_field(L, 2, "smallest"),
        .timed = flag_field(L, 2, "time"),
    };
    lua_getfield(L, 2, "policies");
    luaL_checktype(L, -1, LUA_TTABLE);
    size_t count = lua_rawlen(L, -1);
    if (count > MAX_QUESTIONS) luaL_error(L, "%d policies at most, not %d", MAX_QUESTIONS, (int)count);
    measuring *m = lua_newuserdatauv(L, sizeof *m + count * sizeof(task), 0);
    memset(m, 0, sizeof *m + count * sizeof(task));
    lua_insert(L, -2);
    m->count = count;
    for (size_t i = 0; i < count; i++) {
        m->tasks[i].question = common;
        lua_geti(L, -1, (lua_Integer)i + 1);
        read_policy(L, &m->tasks[i].question);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return m;
}

static size_t threads_for(lua_State *L, size_t tasks) {
    uint64_t asked = number_field(L, 2, "threads");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t threads = asked ? (size_t)asked : cores > 0 ? (size_t)cores : 1;
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    return threads < tasks ? threads : tasks;
}

/*
 * Asks all questions on so many threads, and awaits the answers. Nothing may close the
 * program meanwhile, by `progress` or by a finalizer; nothing here raises.
 */
static int ask_all(lua_State *L, loaded *self, measuring *m, size_t threads, bool tells) {
    m->program = self->program;
    self->measured = true;
    int status = start(m, threads) ? await(L, m, tells) : LUA_ERRMEM;
    if (status != LUA_OK) m->stop = true;
    finish(m);
    for (size_t i = 0; i < m->count; i++)
        m->tasks[i].bound = hpw_program_lower_bound(m->program, m->tasks[i].question.granule);
    self->measured = false;
    return status;
}

static int measure(lua_State *L) {
    check_program(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    measuring *m = read_questions(L);
    size_t threads = threads_for(L, m->count);
    lua_getfield(L, 2, "progress");
    bool tells = !lua_isnil(L, -1);
    if (tells) luaL_checktype(L, -1, LUA_TFUNCTION);
    luaL_checkstack(L, 8, NULL);
    loaded *self =
        check_program(L); /* again: to read the table may have run what closed it, or measured it */
    luaL_argcheck(L, !self->measured, 1, "the program is being measured");
    int status = m->count ? ask_all(L, self, m, threads, tells) : LUA_OK;
    if (m->count && !m->threads) return fail(L, "the system gives no thread", HPW_NO_MEMORY);
    if (status != LUA_OK) return lua_error(L);
    for (size_t i = 0; i < m->count; i++) {
        if (!m->tasks[i].error) continue;
        lua_pushnil(L);
        lua_pushfstring(L, "%s: the replay failed: %s", m->tasks[i].question.policy,
                        hpw_error_name(m->tasks[i].error));
        lua_pushstring(L, hpw_error_name(m->tasks[i].error));
        return 3;
    }
    lua_createtable(L, (int)m->count, 0);
    for (size_t i = 0; i < m->count; i++) {
        push_answer(L, &m->tasks[i]);
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

int luaopen_heapwright_replay(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"source", source},
        {"measure", measure},
        {"part", programs_part},
        {"close", close_program},
        {"__gc", close_program},
        {"__close", close_program},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {{"load", load}, {NULL, NULL}};
    if (luaL_newmetatable(L, PROGRAM_TYPE)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_pop(L, 1);
    programs_open_parts(L);
    luaL_newlib(L, functions);
    return 1;
}
