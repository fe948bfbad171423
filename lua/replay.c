/* SPDX-License-Identifier: MIT */
/*
 * The Lua module heapwright.replay: a trace loaded once, asked often.
 *
 *      local program = assert(replay.load("trace.hwt" [, name [, what_if [, times]]]))   -- see what_if.c
 *      program:source()    --> { name, events, allocations, peak_in_use, lower_bound, warning }
 *      program:sizes_at_peak(most)    --> { [size] = blocks }, of at most so many bytes, live at the peak
 *      program:measure { policies = { { policy = "best-fit", order = "address", seed = nil,
 *                                       granule = nil, classes = nil } },   -- bytes; else:
 *                        capacity = nil, granule = nil, classes = nil, smallest = true, time = false,
 *                        exhaustive = false, reversals = false,
 *                        threads = nil, progress = function(done, total) end }
 *                          --> { { policy =, ... }, ... } in the order of the question
 *      program:part { policy = "best-fit", capacity = 65536 }    --> see part.c
 *      program:pack { ... }                                      --> see packing.c
 *      program:contend { policy = "slab", ... }                  --> see contend.c
 *      program:write_history { path = "map.svg", ... }           --> see history.c
 *      replay.stream { path = "trace.hwt", ... }                 --> see stream.c
 *
 * The policies are measured in parallel, by as many threads as the machine has
 * cores, or as `threads` says; those that are idle help with the capacities of a
 * search. The figures, but for time, do not depend on them. Lua runs on the calling
 * thread alone: `progress` is called there, some ten times a second; an error in it
 * stops the measurement. Policies in Lua are measured there as well, one after the
 * other, beside the others' threads; what one raises ends it all.
 */
#define _GNU_SOURCE
#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "binding.h"
#include "fields.h"
#include "module.h"
#include "programs.h"
#include "replay.h"
#include "what_if_fields.h"

#define PROGRAM_TYPE "heapwright.program"

enum { MAX_QUESTIONS = 256, PROGRESS_EVERY_NS = 100000000 };

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
const char *programs_name(lua_State *L) { return check_program(L)->name; }

const hpw_program *programs_hold(lua_State *L) {
    loaded *self = check_program(L);
    luaL_argcheck(L, !self->measured, 1, "the program is being measured");
    self->measured = true;
    return self->program;
}

void programs_release(lua_State *L) { ((loaded *)lua_touserdata(L, 1))->measured = false; }

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
    what_if_threads threads;
    hpw_what_if what = what_if_read(L, 3, &threads); /* before anything takes its place */
    bool times = lua_toboolean(L, 4);
    hpw_trace_error error = {0};
    loaded *self = lua_newuserdatauv(L, sizeof *self, 0);
    *self = (loaded){0};
    luaL_setmetatable(L, PROGRAM_TYPE);
    self->program =
        times ? hpw_program_load_timed(path, &what, &error) : hpw_program_load_as(path, &what, &error);
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

static int sizes_at_peak(lua_State *L) {
    enum { MOST = HPW_LARGEST_CLASS * 4096 };
    lua_Integer most = luaL_checkinteger(L, 2);
    luaL_argcheck(L, most >= 0 && most <= MOST, 2, "bytes of a size class");
    uint64_t *counts = lua_newuserdatauv(L, ((size_t)most + 1) * sizeof *counts, 0);
    if (!hpw_program_sizes_at_peak(check_program(L)->program, (uint64_t)most, counts))
        return fail(L, "no memory for the sizes", HPW_NO_MEMORY);
    lua_newtable(L);
    for (lua_Integer size = 0; size <= most; size++) {
        if (!counts[size]) continue;
        lua_pushinteger(L, (lua_Integer)counts[size]);
        lua_rawseti(L, -2, size);
    }
    return 1;
}

/* ---- Measuring ---- */

typedef struct task {
    hpw_question question;
    hpw_answer answer;
    hpw_error error;
    uint64_t bound; /* the lower bound with that granule */
    hpw_progress progress;
    atomic_bool answered;
    chooser *chooser; /* of a policy in Lua, else NULL: kept by the list of them */
} task;

/* What the threads share. Lies in a userdata, so that an error frees it, after they have ended. */
typedef struct measuring {
    const hpw_program *program;
    size_t count, scripted; /* tasks, those of policies in Lua */
    atomic_bool stop;
    hpw_crew *crew;
    hpw_batch batch;
    task tasks[];
} measuring;

static void ask(void *ud, size_t number) {
    measuring *m = ud;
    task *t = &m->tasks[number];
    if (t->chooser) return;
    t->error = m->stop ? HPW_LIMIT : hpw_ask(m->program, &t->question, &m->stop, &t->answer);
    t->answered = true;
}

/* How many of the questions are answered, those that are being searched in part. */
static double count_done(const measuring *m) {
    double done = 0;
    for (size_t i = 0; i < m->count; i++) {
        const task *t = &m->tasks[i];
        done += t->answered ? 1 : (double)t->progress.done / (double)(t->progress.total + 1);
    }
    return done;
}

/* Tells the function on the stack's top how many are done; its status. */
static int tell(lua_State *L, const measuring *m, double done) {
    lua_pushvalue(L, -1);
    lua_pushnumber(L, done);
    lua_pushinteger(L, (lua_Integer)m->count);
    return lua_pcall(L, 2, 0, 0);
}

/* Waits until all is done, telling the function on the stack's top of it; its status. */
static int await(lua_State *L, measuring *m, bool tells) {
    int status = LUA_OK;
    for (bool done = false; !done && status == LUA_OK;) {
        done = hpw_crew_await(m->crew, &m->batch, PROGRESS_EVERY_NS);
        if (tells) status = tell(L, m, done ? (double)m->count : count_done(m));
    }
    return status;
}

/* Those of policies in Lua, on the calling thread; its status. What a policy raised its chooser keeps. */
static int work_scripted(lua_State *L, measuring *m, bool tells) {
    int status = LUA_OK;
    for (size_t i = 0; i < m->count && status == LUA_OK; i++) {
        task *t = &m->tasks[i];
        if (!t->chooser) continue;
        chooser_enter(L, t->chooser);
        t->error = hpw_ask(m->program, &t->question, &t->chooser->failed, &t->answer);
        if (t->chooser->failed) return LUA_ERRRUN;
        t->answered = true;
        if (tells) status = tell(L, m, count_done(m));
    }
    return status;
}

static void push_reversals(lua_State *L, const hpw_answer *a) {
    uint64_t count = a->reversals < HPW_REVERSALS ? a->reversals : HPW_REVERSALS;
    lua_createtable(L, (int)count, 0);
    for (uint64_t i = 0; i < count; i++) {
        lua_createtable(L, 0, 3);
        set_count(L, "fits", a->reversal[i].fits);
        set_count(L, "fails_from", a->reversal[i].fails_from);
        set_count(L, "fails_to", a->reversal[i].fails_to);
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "reversals");
    set_count(L, "reversal_count", a->reversals);
}

/* The bytes in use after each eighth of the events. */
static void push_moments(lua_State *L, const hpw_answer *a) {
    lua_createtable(L, HPW_MOMENTS, 0);
    for (int i = 0; i < HPW_MOMENTS; i++) {
        lua_pushinteger(L, (lua_Integer)a->in_use_at[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "in_use_over_time");
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
    if (a->has_moments) push_moments(L, a);
    if (a->has_smallest) {
        set_count(L, "smallest_pool", a->smallest_pool);
        if (t->bound) set_number(L, "overhead", (double)a->smallest_pool / (double)t->bound - 1.0);
        lua_pushboolean(L, a->smallest_exact);
        lua_setfield(L, -2, "smallest_exact");
        push_reversals(L, a);
        set_count(L, "runs", a->runs);
    }
    if (a->metadata) set_count(L, "metadata", a->metadata);
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

/* The core has 32 bits for it. */
static uint32_t granule_field(lua_State *L, int index) {
    uint64_t granule = number_field(L, index, "granule");
    if (granule > UINT32_MAX) luaL_error(L, "granule: %I bytes are too many", (LUAI_UACINT)granule);
    return (uint32_t)granule;
}

/* The sizes of the field `classes`, in bytes; absent: as they are. */
static void classes_field(lua_State *L, int index, uint32_t classes[HPW_MOST_CLASSES]) {
    lua_getfield(L, index, "classes");
    if (!lua_isnil(L, -1)) {
        hpw_config config = {0};
        options_read_classes(L, 2, "classes", &config);
        memcpy(classes, config.classes, sizeof config.classes);
    }
    lua_pop(L, 1);
}

/* The policy of that name, one in Lua with a chooser of its own, which the list at `list` keeps. */
static const hpw_policy_info *find_policy(lua_State *L, const char *name, int list, task *t) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)) && strcmp(info->name, name); i++) continue;
    if (info) return info;
    info = chooser_find(L, name);
    if (!info) luaL_error(L, "unknown policy '%s'", name);
    t->chooser = chooser_push(L, -1);
    t->question.chooser = chooser_functions(t->chooser);
    lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
    lua_pop(L, 1);
    return info;
}

/* The {policy =, order =, seed =, granule =, classes =} on the stack's top. The name points into the
 * policies' own table. */
static void read_policy(lua_State *L, int list, task *t, const uint32_t classes[HPW_MOST_CLASSES]) {
    hpw_question *question = &t->question;
    if (!lua_istable(L, -1)) luaL_error(L, "policies must hold tables with a policy and an order");
    lua_getfield(L, -1, "policy");
    const hpw_policy_info *info = find_policy(L, luaL_checkstring(L, -1), list, t);
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
    uint32_t granule = granule_field(L, lua_gettop(L));
    if (granule) question->granule = granule;
    if (!info->takes_classes) return;
    memcpy(question->classes, classes, sizeof question->classes);
    classes_field(L, lua_gettop(L), question->classes);
}

hpw_question programs_question(lua_State *L, int index, chooser **scripted) {
    uint32_t classes[HPW_MOST_CLASSES] = {0};
    task t = {.question = programs_common(L, index)};
    classes_field(L, index, classes);
    lua_newtable(L);
    lua_pushvalue(L, index);
    read_policy(L, lua_gettop(L) - 1, &t, classes);
    lua_pop(L, 1);
    *scripted = t.chooser;
    return t.question;
}

hpw_question programs_common(lua_State *L, int index) {
    hpw_question question = {.capacity = number_field(L, index, "capacity"),
                             .granule = granule_field(L, index),
                             .smallest = flag_field(L, index, "smallest")};
    return question;
}

void programs_policy(lua_State *L, hpw_question *question) {
    static const uint32_t usual[HPW_MOST_CLASSES];
    task t = {.question = *question};
    int top = lua_gettop(L);
    lua_newtable(L);
    lua_pushvalue(L, top);
    read_policy(L, top + 1, &t, usual);
    if (t.chooser)
        luaL_error(L, "%s is a function of this Lua state: it is not for other threads", t.question.policy);
    lua_settop(L, top);
    *question = t.question;
}

void programs_push_answer(lua_State *L, const hpw_question *question, const hpw_answer *answer,
                          uint64_t bound) {
    const task t = {.question = *question, .answer = *answer, .bound = bound};
    push_answer(L, &t);
}

void programs_push_source(lua_State *L, const char *name, const hpw_trace_summary *s) {
    lua_createtable(L, 0, 8);
    set_string(L, "name", name);
    set_count(L, "events", s->events);
    set_count(L, "allocations", s->allocations);
    set_count(L, "peak_in_use", s->peak_in_use);
    set_count(L, "lower_bound", s->lower_bound);
    if (s->program[0]) set_string(L, "program", s->program);
    if (s->warning[0]) set_string(L, "warning", s->warning);
}

static measuring *read_questions(lua_State *L) {
    hpw_question common = {
        .capacity = number_field(L, 2, "capacity"),
        .granule = granule_field(L, 2),
        .smallest = flag_field(L, 2, "smallest"),
        .timed = flag_field(L, 2, "time"),
        .exhaustive = flag_field(L, 2, "exhaustive"),
        .reversals = flag_field(L, 2, "reversals"),
    };
    uint32_t classes[HPW_MOST_CLASSES] = {0};
    classes_field(L, 2, classes);
    lua_getfield(L, 2, "policies");
    luaL_checktype(L, -1, LUA_TTABLE);
    size_t count = lua_rawlen(L, -1);
    if (count > MAX_QUESTIONS) luaL_error(L, "%d policies at most, not %d", MAX_QUESTIONS, (int)count);
    measuring *m = lua_newuserdatauv(L, sizeof *m + count * sizeof(task), 1);
    memset(m, 0, sizeof *m + count * sizeof(task));
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_pushvalue(L, list);
    lua_setiuservalue(L, list - 1, 1);
    lua_pushvalue(L, list - 2);
    m->count = count;
    for (size_t i = 0; i < count; i++) {
        m->tasks[i].question = common;
        lua_geti(L, -1, (lua_Integer)i + 1);
        read_policy(L, list, &m->tasks[i], classes);
        lua_pop(L, 1);
        m->scripted += m->tasks[i].chooser != NULL;
    }
    lua_settop(L, list - 1);
    return m;
}

static size_t threads_for(lua_State *L) {
    uint64_t asked = number_field(L, 2, "threads");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t threads = asked ? (size_t)asked : cores > 0 ? (size_t)cores : 1;
    return threads > HPW_MOST_THREADS ? HPW_MOST_THREADS : threads;
}

/*
 * Asks all questions on so many threads, and awaits the answers. Nothing may close the
 * program meanwhile, by `progress` or by a finalizer; nothing here raises.
 */
static int ask_all(lua_State *L, loaded *self, measuring *m, size_t threads, bool tells) {
    m->program = self->program;
    self->measured = true;
    bool shared = m->count > m->scripted;
    m->batch = (hpw_batch){.task = ask, .ud = m, .count = m->count};
    if (shared) m->crew = hpw_crew_open(threads);
    for (size_t i = 0; i < m->count; i++) {
        if (!m->tasks[i].chooser) m->tasks[i].question.crew = m->crew;
        m->tasks[i].question.progress = &m->tasks[i].progress;
    }
    if (m->crew) hpw_crew_begin(m->crew, &m->batch);
    int status = shared && !m->crew ? LUA_ERRMEM : work_scripted(L, m, tells);
    if (status == LUA_OK && shared) status = await(L, m, tells);
    if (status != LUA_OK) m->stop = true;
    if (m->crew) hpw_crew_close(m->crew);
    for (size_t i = 0; i < m->count; i++)
        m->tasks[i].bound = hpw_program_lower_bound(m->program, m->tasks[i].question.granule);
    self->measured = false;
    return status;
}

static int measure(lua_State *L) {
    check_program(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    measuring *m = read_questions(L);
    size_t threads = threads_for(L);
    lua_getfield(L, 2, "progress");
    bool tells = !lua_isnil(L, -1);
    if (tells) luaL_checktype(L, -1, LUA_TFUNCTION);
    luaL_checkstack(L, 8, NULL);
    loaded *self =
        check_program(L); /* again: to read the table may have run what closed it, or measured it */
    luaL_argcheck(L, !self->measured, 1, "the program is being measured");
    int status = m->count ? ask_all(L, self, m, threads, tells) : LUA_OK;
    if (m->count > m->scripted && !m->crew) return fail(L, "the system gives no thread", HPW_NO_MEMORY);
    for (size_t i = 0; i < m->count; i++)
        if (m->tasks[i].chooser && chooser_push_error(L, m->tasks[i].chooser))
            return fail(L, lua_tostring(L, -1), HPW_INVALID_ARGUMENT);
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
        {"sizes_at_peak", sizes_at_peak},
        {"part", programs_part},
        {"pack", programs_pack},
        {"contend", programs_contend},
        {"write_history", programs_write_history},
        {"close", close_program},
        {"__gc", close_program},
        {"__close", close_program},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {{"load", load}, {"stream", programs_stream}, {NULL, NULL}};
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
