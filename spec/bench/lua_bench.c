/* SPDX-License-Identifier: MIT */
/*
 * heapwright-lua-bench: Lua programs with a pool as their state's allocator,
 * beside the allocators that a host would take instead.
 *
 *      heapwright-lua-bench [--program NAME,...] [--backend NAME,...] [--rounds 7]
 *                           [--times] [--memory] [--small] [--json] [--programs FOLDER] [--help]
 *
 * Each round runs each program once with each backend, in turns that begin with
 * another backend each time, and run backwards every second time; a run is a process of its own (lua_runs.h).
 * A figure is the median over the rounds of the ratio to glibc's time in the same round. All backends must
 * give the same checksum. For memory, each program runs once more, in a pool, while what it asks for is
 * counted: that gives the footprint (lua_report.h); and so does a state with the standard libraries and a
 * small script. --times and --memory each leave the other out. Programs are the files in spec/bench/lua;
 * --small runs them with a small argument: what is then timed is the start of a state. Status 0; 1 where a
 * program failed or checksums differ; 2 for a wrong call. A goal that is missed is shown, and is no failure:
 * times are a machine's.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lua_report.h"

#ifndef HPW_LUA_PROGRAMS /* where the build found them */
#define HPW_LUA_PROGRAMS "spec/bench/lua"
#endif

typedef struct options {
    const char *programs, *backends;
    int rounds;
    bool times, memory, json, help;
    lua_runner how;
} options;

/* The small state: what many a host has thousands of. */
static const lua_program small_state = {"small_state", false, NULL};

/* ---- Names ---- */

static bool is_item(const char *at, const char *name) {
    size_t length = strcspn(at, ",");
    return strlen(name) == length && !strncmp(at, name, length);
}

static const char *next_item(const char *at) {
    const char *comma = strchr(at, ',');
    return comma ? comma + 1 : NULL;
}

/* Whether `name` is in the comma-separated list; all are in none. */
static bool named(const char *list, const char *name) {
    const char *at = list;
    while (at && !is_item(at, name)) at = next_item(at);
    return !list || at;
}

static const lua_backend *known_backends; /* for backend_at */
static size_t known_count;

static const char *backend_at(size_t i) { return i < known_count ? known_backends[i].name : NULL; }
static const char *program_at(size_t i) { return lua_program_at(i) ? lua_program_at(i)->name : NULL; }

/* Complains of the first name in the list that is not known, with those that are. */
static bool all_known(const char *what, const char *list, const char *(*known)(size_t)) {
    for (const char *at = list; at; at = next_item(at)) {
        size_t i = 0;
        while (known(i) && !is_item(at, known(i))) i++;
        if (known(i)) continue;
        fprintf(stderr, "heapwright-lua-bench: no such %s: %.*s; known:", what, (int)strcspn(at, ","), at);
        for (i = 0; known(i); i++) fprintf(stderr, " %s", known(i));
        fputc('\n', stderr);
        return false;
    }
    return true;
}

/* ---- Measuring ---- */

static bool run(const options *o, const lua_program *program, const lua_backend *b, lua_run *out) {
    if (lua_run_program(&o->how, program, b, out)) return true;
    fprintf(stderr, "heapwright-lua-bench: %s with %s: %s\n", program->name, b->name, out->error);
    return false;
}

static bool agrees(lua_times *one, const lua_backend *b, const lua_run *with) {
    if (!*one->checksum) memcpy(one->checksum, with->checksum, sizeof one->checksum);
    if (!strcmp(one->checksum, with->checksum)) return true;
    fprintf(stderr, "heapwright-lua-bench: %s with %s returned %s, before %s\n", one->program->name, b->name,
            with->checksum, one->checksum);
    return false;
}

static bool time_program(const options *o, lua_report *r, const lua_program *program) {
    lua_times *one = &r->times[r->time_count++];
    one->program = program;
    for (int round = 0; round < o->rounds; round++)
        for (size_t turn = 0; turn < r->backend_count; turn++) {
            size_t at = (turn + (size_t)round) % r->backend_count;
            if (round % 2) at = r->backend_count - 1 - at;
            lua_run with;
            if (!run(o, program, &r->backends[at], &with) || !agrees(one, &r->backends[at], &with))
                return false;
            one->seconds[at][round] = with.seconds;
            one->page_faults[at] = with.page_faults;
        }
    return true;
}

/* The high water is that of a pool with room to spare; the metadata that of one without. */
static bool weigh_program(const options *o, lua_report *r, const lua_program *program, uint64_t capacity) {
    lua_backend pool = {.name = "heapwright", .is_pool = true, .counts = true};
    lua_run with;
    pool.config = (hpw_config){.capacity = capacity, .small_pages = true};
    if (!run(o, program, &pool, &with)) return false;
    lua_memory *m = &r->memory[r->memory_count++];
    *m = (lua_memory){.name = program->name,
                      .peak = with.peak,
                      .high_water = with.pool.high_water,
                      .metadata = hpw_metadata_size(&(hpw_config){.capacity = with.pool.high_water}),
                      .small = program == &small_state};
    m->footprint = (double)(m->high_water + m->metadata) / (double)m->peak;
    return true;
}

static bool measure(const options *o, lua_report *r) {
    enum { SMALL_POOL = 128 * 1024 };
    bool fine = true;
    const lua_program *program;
    for (size_t i = 0; (program = lua_program_at(i)); i++) {
        if (!named(o->programs, program->name)) continue;
        if (o->times) fine &= time_program(o, r, program);
        if (o->memory) fine &= weigh_program(o, r, program, LUA_POOL_CAPACITY);
    }
    if (o->memory && !o->programs) fine &= weigh_program(o, r, &small_state, SMALL_POOL);
    return fine;
}

/* ---- The command line ---- */

/*
 * Some of the allocators want more thread-local storage than the C library
 * keeps for libraries loaded late: starts the program again with more of it.
 */
static void ask_for_static_tls(char **argv) {
    if (getenv("GLIBC_TUNABLES")) return;
    setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536", 1);
    execv("/proc/self/exe", argv);
}

static int usage(FILE *to, int status) {
    fputs("usage: heapwright-lua-bench [--program NAME,...] [--backend NAME,...]\n"
          "                            [--rounds N] [--times] [--memory] [--small]\n"
          "                            [--programs FOLDER] [--json] [--help]\n"
          "Runs Lua programs with a pool as their allocator, beside other allocators, and\n"
          "prints CPU time as ratios to glibc's, how much pool each program needs, and the\n"
          "goals: see spec/bench/lua_bench.c. 0: all ran, 1: a program failed, 2: usage.\n"
          "  --rounds N         1 to 99; 7 unless said\n"
          "  --times            only how long they take\n"
          "  --memory           only how much pool they need\n"
          "  --small            each with a small argument: does everything work?\n"
          "  --programs FOLDER  where NAME.lua is looked for\n",
          to);
    return status;
}

/* 0, which is refused, where it is no number or too large a one. */
static int read_rounds(const char *text) {
    char *end;
    long rounds = strtol(text, &end, 10);
    return *end || rounds > MAX_LUA_ROUNDS ? 0 : (int)rounds;
}

static bool read_options(int argc, char **argv, options *o) {
    static const struct option known[] = {
        {"program", 1, 0, 'p'},  {"backend", 1, 0, 'b'}, {"rounds", 1, 0, 'r'}, {"times", 0, 0, 't'},
        {"memory", 0, 0, 'm'},   {"small", 0, 0, 's'},   {"json", 0, 0, 'j'},   {"help", 0, 0, 'h'},
        {"programs", 1, 0, 'P'}, {NULL, 0, 0, 0}};
    *o = (options){.rounds = 7, .how.folder = HPW_LUA_PROGRAMS};
    for (int found; (found = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (found == 'p') o->programs = optarg;
        if (found == 'b') o->backends = optarg;
        if (found == 'r') o->rounds = read_rounds(optarg);
        if (found == 'P') o->how.folder = optarg;
        if (found == 't') o->times = true;
        if (found == 'm') o->memory = true;
        if (found == 's') o->how.small = true;
        if (found == 'j') o->json = true;
        if (found == 'h') o->help = true;
        if (found == '?') return false;
    }
    if (!o->times && !o->memory) o->times = o->memory = true;
    return optind == argc && o->rounds >= 1 && o->rounds <= MAX_LUA_ROUNDS;
}

int main(int argc, char **argv) {
    static lua_backend all[MAX_LUA_BACKENDS], chosen[MAX_LUA_BACKENDS];
    static lua_times times[MAX_LUA_PROGRAMS];
    static lua_memory memory[MAX_LUA_PROGRAMS + 1];
    options o;
    ask_for_static_tls(argv);
    if (!read_options(argc, argv, &o)) return usage(stderr, 2);
    if (o.help) return usage(stdout, 0);
    known_count = lua_backends_list(all);
    known_backends = all;
    if (!all_known("backend", o.backends, backend_at) || !all_known("program", o.programs, program_at))
        return 2;
    lua_report r = {.backends = chosen, .rounds = o.times ? o.rounds : 0, .times = times, .memory = memory};
    for (size_t i = 0; i < known_count; i++) /* glibc always: it is what the others are compared with */
        if (i == 0 || named(o.backends, all[i].name)) chosen[r.backend_count++] = all[i];
    if (!measure(&o, &r)) return 1;
    if (o.json)
        lua_report_print_json(&r);
    else
        lua_report_print(&r);
    return 0;
}
