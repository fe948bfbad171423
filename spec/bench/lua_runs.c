/* SPDX-License-Identifier: MIT */
/* Running one Lua program: see lua_runs.h. */
#define _GNU_SOURCE
#include "lua_runs.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lualib.h>

/* clang-format off */
static const lua_program programs[] = {
    {"binary_trees", true, "6"},
    {"planner", true, "1"},
    {"loop_finder", true, "1"},
    {"json_encode", true, "1"},
    {"json_decode", true, "1"},
    {"storage", true, "1"},
    {"collisions", true, "1"},
    {"string_buffers", true, "2"},
    {"closures", true, "1"},
    {"life", true, "2"},
    {"arrays", true, "1"},
    {"substrings", true, "500"},
    {"parser", true, "1"},
    {"cache", true, "9000"},
    {"pipelines", true, "1"},
    {"nbody", false, "100"},
    {"spectral_norm", false, "10"},
    {"fannkuch", false, "5"},
    {"mandelbrot", false, "20"},
    {"sieve", false, "1"},
};
/* clang-format on */

const lua_program *lua_program_at(size_t index) {
    return index < sizeof programs / sizeof *programs ? &programs[index] : NULL;
}

/* ---- In the child ---- */

/* What is run, protected: a message, or the checksum. */
typedef struct job {
    const lua_runner *how;
    const lua_program *program;
    lua_run *out;
} job;

static int run_protected(lua_State *L) {
    job *j = lua_touserdata(L, 1);
    char path[4096];
    luaL_openlibs(L);
    snprintf(path, sizeof path, "%s/%s.lua", j->how->folder, j->program->name);
    if (luaL_loadfile(L, path)) return lua_error(L);
    if (j->how->small) lua_pushstring(L, j->program->small);
    lua_call(L, j->how->small, 1);
    snprintf(j->out->checksum, sizeof j->out->checksum, "%s", luaL_tolstring(L, -1, NULL));
    return 0;
}

static void run_state(lua_State *L, job *j) {
    lua_pushcfunction(L, run_protected);
    lua_pushlightuserdata(L, j);
    if (lua_pcall(L, 1, 0, 0)) {
        const char *message = lua_tostring(L, -1);
        snprintf(j->out->error, sizeof j->out->error, "%s", message ? message : "an error that is no text");
    }
    lua_close(L);
}

static double cpu_seconds(void) {
    struct timespec time; /* user and system, as getrusage has them, but to the nanosecond */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint64_t page_faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_minflt;
}

static void run_here(job *j, lua_backend *b) {
    lua_run *out = j->out;
    double begin = cpu_seconds();
    uint64_t faults = page_faults();
    lua_State *L = lua_backend_open(b) ? lua_newstate(b->allocate, b->ud) : NULL;
    if (!L) {
        snprintf(out->error, sizeof out->error, "no memory for a state on %s", b->name);
        return;
    }
    run_state(L, j);
    bool empty = lua_backend_close(b, &out->pool);
    out->seconds = cpu_seconds() - begin;
    out->page_faults = page_faults() - faults;
    out->peak = b->counts ? b->counted.peak : 0;
    if (!empty && !*out->error)
        snprintf(out->error, sizeof out->error, "%s: %llu bytes in %llu blocks left after lua_close", b->name,
                 (unsigned long long)out->pool.in_use, (unsigned long long)out->pool.live_blocks);
}

/* ---- In the bench ---- */

static bool read_whole(int from, void *to, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t some = read(from, (char *)to + done, size - done);
        if (some <= 0) return false;
        done += (size_t)some;
    }
    return true;
}

/* A run's record fits into a pipe at once, so that the child can end without the bench. */
static void run_child(int to, job *j, const lua_backend *backend) {
    lua_backend own = *backend;
    run_here(j, &own);
    ssize_t wrote = write(to, j->out, sizeof *j->out);
    _exit(wrote != (ssize_t)sizeof *j->out);
}

bool lua_run_program(const lua_runner *how, const lua_program *program, const lua_backend *backend,
                     lua_run *out) {
    int ends[2], status = 0;
    job j = {how, program, out};
    *out = (lua_run){.error = "no pipe for it"};
    if (pipe(ends)) return false;
    *out->error = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) run_child(ends[1], &j, backend);
    close(ends[1]);
    bool whole = child > 0 && read_whole(ends[0], out, sizeof *out);
    close(ends[0]);
    if (child > 0) waitpid(child, &status, 0);
    if (child < 0)
        snprintf(out->error, sizeof out->error, "no process for it");
    else if (!whole && WIFSIGNALED(status))
        snprintf(out->error, sizeof out->error, "its process was ended by signal %d", WTERMSIG(status));
    else if (!whole)
        snprintf(out->error, sizeof out->error, "its process ended early, status %d", WEXITSTATUS(status));
    return !*out->error;
}
