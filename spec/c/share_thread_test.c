/* SPDX-License-Identifier: MIT */
/*
 * One pool under the Lua states of several threads: each has a handle of its own,
 * the pool lives until the last is let go, and is recorded by one at a time. Run
 * under ThreadSanitizer too.
 */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "binding.h"
#include "check.h"

enum { THREADS = 4, ROUNDS = 300 };

static const hpw_config plain = {.capacity = 1 << 20, .guard = HPW_GUARD_CHECK};

static pool_share *open_share(const hpw_config *config) {
    hpw_error error = HPW_OK;
    pool_share *share = share_open(config, hpw_policy_at(0), &error);
    CHECK(share != NULL);
    CHECK_EQ(error, HPW_OK);
    return share;
}

/* Is there memory at `bytes`? Only while no other thread maps any. */
static bool is_mapped(void *bytes) {
    uintptr_t page = (uintptr_t)bytes & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
    return msync((void *)page, 1, MS_ASYNC) == 0 || errno != ENOMEM;
}

/* ---- States ---- */

static int push_pool(lua_State *L) { return pool_push(L, lua_touserdata(L, 1)); }

/* A new state whose global `mem` is a handle of the pool. */
static lua_State *open_state(pool_share *share) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_pushcfunction(L, push_pool);
    lua_pushlightuserdata(L, share);
    CHECK_EQ(lua_pcall(L, 1, 1, 0), LUA_OK);
    lua_setglobal(L, "mem");
    return L;
}

static bool run(lua_State *L, const char *text) {
    bool well = luaL_dostring(L, text) == LUA_OK;
    if (!well) printf("%s\n", luaL_tolstring(L, -1, NULL));
    lua_settop(L, 0);
    return well;
}

/* ---- One thread, several states ---- */

static void states_see_one_pool(void) {
    pool_share *share = open_share(&plain);
    lua_State *one = open_state(share), *two = open_state(share);
    CHECK(run(one, "a = mem:malloc(100); assert(a == 0); assert(mem:write(a, 'from one'))"));
    CHECK(run(two, "assert(mem:read(0, 8) == 'from one'); b = mem:malloc(16)"));
    CHECK(run(one, "assert(mem:stats().live_blocks == 2); assert(mem:free(112)); assert(mem:check())"));
    CHECK(run(two, "local _, _, code = mem:free(b); assert(code == 'double_free')"));
    CHECK(run(two, "assert(mem:policy() == 'best-fit'); assert(mem:usable_size(0) == 112)"));
    lua_close(one);
    lua_close(two);
    share_release(share);
}

static void the_last_holder_closes(void) {
    pool_share *share = open_share(&plain);
    void *bytes = hpw_pointer(share_pool(share), 0);
    lua_State *one = open_state(share), *two = open_state(share), *three = open_state(share);
    share_release(share);
    CHECK(run(one, "assert(mem:close()); assert(mem:close())")); /* one handle, once */
    CHECK(run(one, "local well, message = pcall(mem.alloc, mem, 1); assert(message:find 'closed')"));
    CHECK(run(one, "assert(tostring(mem) == 'heapwright pool (best-fit, closed)')"));
    CHECK(run(two, "assert(mem:malloc(10)); do local other <close> = mem end"));
    CHECK(run(two, "assert(not pcall(mem.alloc, mem, 1)); mem = nil; collectgarbage()"));
    CHECK(is_mapped(bytes));
    CHECK(run(three, "assert(mem:stats().live_blocks == 1)"));
    lua_close(one);
    lua_close(two);
    CHECK(is_mapped(bytes));
    CHECK(run(three, "mem = nil; collectgarbage()"));
    CHECK(!is_mapped(bytes));
    lua_close(three);
}

static void two_handles_in_one_state(void) {
    pool_share *share = open_share(&plain);
    lua_State *L = open_state(share);
    lua_pushcfunction(L, push_pool);
    lua_pushlightuserdata(L, share);
    lua_call(L, 1, 1);
    lua_setglobal(L, "other");
    share_release(share);
    CHECK(run(L,
              "assert(mem ~= other); mem:close(); a = other:malloc(9); assert(not pcall(mem.free, mem, a))"));
    CHECK(run(L, "assert(other:free(a)); other:close()"));
    lua_close(L);
}

static void knows_whether_it_is_locked(void) {
    hpw_config alone = plain;
    alone.single_threaded = true;
    pool_share *locked = open_share(&plain), *unlocked = open_share(&alone);
    CHECK(share_is_locked(locked));
    CHECK(!share_is_locked(unlocked));
    share_release(locked);
    share_release(unlocked);
    hpw_config wrong = {.policy = "none such"};
    hpw_error error = HPW_OK;
    CHECK(!share_open(&wrong, NULL, &error));
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
}

/* ---- Short of memory ---- */

/* A lua_Alloc that refuses what comes after `left` more requests; negative: none. */
static void *allocate_some(void *ud, void *block, size_t old, size_t size) {
    long *left = ud;
    if (!size) {
        free(block);
        return NULL;
    }
    if ((!block || size > old) && *left == 0) return NULL;
    if ((!block || size > old) && *left > 0) --*left;
    return realloc(block, size);
}

static void holds_nothing_where_there_is_no_memory(void) {
    bool pushed = false;
    long refused = 0;
    for (long after = 0; !pushed; after++) {
        long left = -1;
        lua_State *L = lua_newstate(allocate_some, &left);
        luaL_openlibs(L);
        pool_share *share = open_share(&plain);
        void *bytes = hpw_pointer(share_pool(share), 0);
        lua_pushcfunction(L, push_pool);
        lua_pushlightuserdata(L, share);
        left = after;
        int status = lua_pcall(L, 1, 1, 0);
        left = -1;
        pushed = status == LUA_OK;
        if (!pushed) {
            CHECK_EQ(status, LUA_ERRMEM);
            refused++;
            lua_settop(L, 0);
            lua_pushcfunction(L, push_pool); /* what was left undone is no hindrance */
            lua_pushlightuserdata(L, share);
            CHECK_EQ(lua_pcall(L, 1, 1, 0), LUA_OK);
        }
        lua_setglobal(L, "mem");
        share_release(share);
        CHECK(run(L, "assert(mem:pack(mem:malloc(8), 'i4', 1)); assert(mem:unpack(0, 'i4') == 1)"));
        CHECK(run(L, "assert(mem:stats() and tostring(mem):find 'in use' and not getmetatable(mem))"));
        CHECK(is_mapped(bytes));
        lua_close(L);
        CHECK(!is_mapped(bytes)); /* so the failed attempt holds nothing */
    }
    CHECK(refused > 10);
}

static void wants_the_string_library(void) {
    lua_State *L = luaL_newstate();
    pool_share *share = open_share(&plain);
    void *bytes = hpw_pointer(share_pool(share), 0);
    for (int i = 0; i < 2; i++) {
        lua_pushcfunction(L, push_pool);
        lua_pushlightuserdata(L, share);
        CHECK_EQ(lua_pcall(L, 1, 1, 0), LUA_ERRRUN);
        CHECK(strstr(lua_tostring(L, -1), "open the string library first") != NULL);
        lua_settop(L, 0);
    }
    share_release(share);
    CHECK(!is_mapped(bytes));
    lua_close(L);
}

/* ---- Several threads ---- */

typedef struct worker {
    pool_share *share; /* one hold is this worker's */
    const char *text;
    pthread_t thread;
    long long number;
    bool well;
} worker;

static void *work(void *ud) {
    worker *w = ud;
    lua_State *L = open_state(w->share);
    share_release(w->share);
    lua_pushinteger(L, w->number);
    lua_setglobal(L, "number");
    w->well = run(L, w->text);
    lua_close(L);
    return NULL;
}

static void start(worker *w, pool_share *share, int number, const char *text) {
    *w = (worker){.share = share_hold(share), .text = text, .number = number};
    CHECK_EQ(pthread_create(&w->thread, NULL, work, w), 0);
}

static void join(worker *workers, int count) {
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        CHECK(workers[i].well);
    }
}

static const char allocate_and_free[] = /* and leaves what it holds last */
    "local held, text = {}, ('%d'):format(number):rep(40)\n"
    "for i = 1, 3000 do\n"
    "  local slot = i * 7919 % 31 + 1\n"
    "  if held[slot] then\n"
    "    assert(mem:read(held[slot], 40) == text)\n"
    "    assert(mem:free(held[slot]))\n"
    "  end\n"
    "  held[slot] = assert(mem:malloc(40 + i % 50))\n"
    "  assert(mem:write(held[slot], text))\n"
    "  if i % 100 == 0 then held[slot] = assert(mem:realloc(held[slot], 400)) end\n"
    "end\n"
    "if number % 2 == 0 then assert(mem:close()) end\n";

static void threads_share(const hpw_config *config) {
    worker workers[THREADS];
    hpw_error error;
    const hpw_policy_info *policy = hpw_policy_at(0);
    for (size_t i = 0; config->policy && (policy = hpw_policy_at(i)) && strcmp(policy->name, config->policy);)
        i++;
    pool_share *share = share_open(config, policy, &error);
    void *bytes = hpw_pointer(share_pool(share), 0);
    lua_State *L = open_state(share);
    for (int i = 0; i < THREADS; i++) start(&workers[i], share, i, allocate_and_free);
    share_release(share);
    CHECK(run(L, "for _ = 1, 100 do mem:stats() end assert(mem:close())")); /* in the midst of it */
    for (int i = 0; i < THREADS; i++) join(&workers[i], 1);
    CHECK(!is_mapped(bytes));
    lua_close(L);
}

/* ---- Recording ---- */

static const char name[] = "share_thread_test.trace";

static void one_recording_for_all_handles(void) {
    pool_share *share = open_share(&plain);
    lua_State *one = open_state(share), *two = open_state(share);
    hpw_trace_summary summary;
    hpw_trace_error error;
    CHECK(run(one, "mem:malloc(7); assert(mem:record 'share_thread_test.trace')"));
    CHECK(run(two,
              "local _, message, code = mem:record 'another'; assert(code == 'invalid_argument', message)\n"
              "assert(message == 'record: the pool is being recorded already', message)"));
    CHECK(access("another", F_OK) != 0);
    CHECK(run(two, "mem:malloc(70)"));
    CHECK(run(one, "mem:close()")); /* which began it, but is not the last */
    CHECK(run(two, "mem:malloc(700); local _, events = mem:record(); assert(events == 3, events)"));
    CHECK(hpw_trace_scan(name, &summary, &error));
    CHECK_EQ(summary.live_bytes, 777);
    CHECK(run(two, "assert(select(2, mem:record()) == 0); assert(mem:record 'share_thread_test.trace')"));
    share_release(share);
    CHECK(run(two, "mem:malloc(1); assert(mem:close())")); /* the last */
    CHECK(hpw_trace_scan(name, &summary, &error));
    CHECK_EQ(summary.live_bytes, 778);
    lua_close(one);
    lua_close(two);
    unlink(name);
}

static void the_last_holder_tells_of_a_trace_that_is_not_whole(void) {
    pool_share *share = open_share(&plain);
    lua_State *one = open_state(share), *two = open_state(share);
    struct rlimit before, least = {.rlim_cur = 1024};
    share_release(share);
    getrlimit(RLIMIT_FSIZE, &before);
    least.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &least);
    CHECK(run(one, "assert(mem:record 'share_thread_test.trace')"));
    CHECK(run(one, "for _ = 1, 9000 do mem:malloc(1) end assert(mem:close())"));
    CHECK(run(two, "local _, message, code = mem:close(); assert(code == 'io', message)"));
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK(run(two, "assert(mem:close())"));
    lua_close(one);
    lua_close(two);
    unlink(name);
}

/* A lock that goes to who came first, so that threads meet between any two calls. */
static struct { atomic_uint next, serving; } tickets;

static void take_turn(void *ud) {
    (void)ud;
    unsigned own = atomic_fetch_add(&tickets.next, 1);
    while (atomic_load(&tickets.serving) != own) sched_yield();
}

static void leave_turn(void *ud) {
    (void)ud;
    atomic_fetch_add(&tickets.serving, 1);
}

/* A recording that begins while others allocate and free misses nothing of what they do. */
static void records_from_the_midst(const hpw_config *config) {
    worker workers[THREADS];
    pool_share *share = open_share(config);
    for (int i = 0; i < THREADS; i++) start(&workers[i], share, i, allocate_and_free);
    hpw_trace_error error;
    hpw_trace_summary summary;
    hpw_stats stats = {0};
    uint64_t events = 0;
    while (stats.allocations < (uint64_t)THREADS * 100) hpw_get_stats(share_pool(share), &stats);
    CHECK(share_begin_recording(share, name, &error));
    join(workers, THREADS);
    CHECK(share_end_recording(share, &events, &error));
    hpw_get_stats(share_pool(share), &stats);
    CHECK(hpw_trace_scan(name, &summary, &error));
    CHECK_EQ(summary.live_bytes, stats.in_use);
    CHECK_EQ(summary.live_blocks, stats.live_blocks);
    CHECK_EQ(summary.events, events);
    CHECK_EQ(strlen(summary.warning), 0);
    share_release(share);
    unlink(name);
}

static atomic_ulong begun, refused;

static void *begin_and_end(void *ud) {
    pool_share *share = ud;
    char own[64];
    snprintf(own, sizeof own, "%s.%lx", name, (unsigned long)pthread_self());
    for (int i = 0; i < ROUNDS; i++) {
        hpw_trace_error error;
        hpw_trace_summary summary;
        uint64_t events = 0, address = 0;
        if (!share_begin_recording(share, own, &error)) {
            CHECK_EQ(error.code, HPW_INVALID_ARGUMENT);
            atomic_fetch_add(&refused, 1);
        } else {
            atomic_fetch_add(&begun, 1);
            CHECK_EQ(hpw_allocate(share_pool(share), 32, 0, &address, NULL), HPW_OK);
            CHECK(share_end_recording(share, &events, &error)); /* another may have ended it */
            CHECK_EQ(hpw_release(share_pool(share), address, NULL), HPW_OK);
            if (!hpw_trace_scan(own, &summary, &error)) CHECK(strstr(error.message, "no event") != NULL);
        }
        if (i % 5 == 0) CHECK(share_end_recording(share, &events, &error));
    }
    unlink(own);
    share_release(share);
    return NULL;
}

static void threads_begin_and_end_recordings(void) {
    pthread_t threads[THREADS];
    pool_share *share = open_share(&plain);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, begin_and_end, share_hold(share)), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK(begun > 0);
    CHECK_EQ(begun + refused, THREADS * ROUNDS);
    share_release(share);
}

int main(void) {
    hpw_config fair = plain;
    fair.host = (hpw_host){.lock = take_turn, .unlock = leave_turn};
    hpw_config cached = {.policy = "slab", .capacity = 1 << 20, .thread_caches = THREADS};
    const char *folder = getenv("HEAPWRIGHT_BUILD"); /* where the traces go */
    if (folder && chdir(folder) != 0) return 1;
    states_see_one_pool();
    the_last_holder_closes();
    two_handles_in_one_state();
    knows_whether_it_is_locked();
    holds_nothing_where_there_is_no_memory();
    wants_the_string_library();
    one_recording_for_all_handles();
    the_last_holder_tells_of_a_trace_that_is_not_whole();
    for (int i = 0; i < 5; i++) {
        threads_share(&plain);
        threads_share(&cached);
        records_from_the_midst(&plain);
        records_from_the_midst(&cached);
        records_from_the_midst(&fair);
    }
    threads_begin_and_end_recordings();
    return CHECK_DONE();
}
