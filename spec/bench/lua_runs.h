/* SPDX-License-Identifier: MIT */
/*
 * One run of one Lua program with one allocator, in a process of its own: a fork
 * of the bench, so that every run finds the same address space, the same heaps,
 * unused, and pages that nobody touched. What is timed is the process's CPU
 * time, the system's part included, from before the pool or state is opened
 * until after lua_close; what ends with the process (the pool's mapping, the
 * other allocators' heaps) is not. Lua mixes the address of its state and the
 * second of the day into the hashes of strings, so that two runs differ a little
 * in their collisions, and in when a table that loses and gains keys is rehashed:
 * rounds, not runs, are compared.
 */
#ifndef HPW_LUA_BENCH_RUNS_H
#define HPW_LUA_BENCH_RUNS_H

#include "lua_backends.h"

typedef struct lua_program {
    const char *name;  /* spec/bench/lua/NAME.lua */
    bool heavy;        /* it allocates all the time; else next to nothing */
    const char *small; /* its argument where only its working is looked at */
} lua_program;

/* The index-th program, 0 ...; NULL past the last. */
const lua_program *lua_program_at(size_t index);

typedef struct lua_run {
    char error[256];      /* why it failed, "" where it did not */
    char checksum[64];    /* what the program returned, as text */
    double seconds;       /* CPU time */
    uint64_t page_faults; /* minor ones */
    uint64_t peak;        /* of a backend that counts: requested bytes in use at most */
    hpw_stats pool;       /* of a pool, after the account was closed */
} lua_run;

typedef struct lua_runner {
    const char *folder; /* where the programs are */
    bool small;         /* with their small argument, else with none: their own default */
} lua_runner;

/* False, with why in out->error, where the program could not be run or left memory in use. */
bool lua_run_program(const lua_runner *how, const lua_program *program, const lua_backend *backend,
                     lua_run *out);

#endif
