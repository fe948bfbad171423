/* SPDX-License-Identifier: MIT */
/*
 * What the bench of Lua programs found, and the goals it is held to: CPU time as
 * a ratio to glibc's in the same round, the median of the rounds, and as the
 * ratio of the least times of all rounds, which tells how far the median is a busy
 * machine's; geometric means over the programs that allocate all the time and over those that don't;
 * and of memory, the footprint.
 */
#ifndef HPW_LUA_BENCH_REPORT_H
#define HPW_LUA_BENCH_REPORT_H

#include "lua_runs.h"

enum { MAX_LUA_PROGRAMS = 32, MAX_LUA_ROUNDS = 99 };

/* One program with each backend. */
typedef struct lua_times {
    const lua_program *program;
    char checksum[64];
    double seconds[MAX_LUA_BACKENDS][MAX_LUA_ROUNDS];
    uint64_t page_faults[MAX_LUA_BACKENDS];
} lua_times;

/*
 * One program's memory. The footprint is what a pool has to have for it, as the
 * fraction of what the state had in use at its peak as it asked for it: the
 * pool's high water and all metadata of a pool that is no larger than that.
 */
typedef struct lua_memory {
    const char *name;
    uint64_t peak;       /* requested bytes */
    uint64_t high_water; /* of the pool, the account's own included */
    uint64_t metadata;
    double footprint;
    bool small; /* the state of a few dozen kilobytes */
} lua_memory;

typedef struct lua_report {
    const lua_backend *backends;
    size_t backend_count;
    int rounds; /* 0: no times were taken */
    lua_times *times;
    size_t time_count;
    lua_memory *memory;
    size_t memory_count;
} lua_report;

void lua_report_print(const lua_report *r);
void lua_report_print_json(const lua_report *r);

#endif
