/* SPDX-License-Identifier: MIT */
/*
 * What the bench of Lua programs compares, each as a lua_Alloc: the C library's
 * realloc and free, as luaL_newstate takes them; those of other projects, where
 * their packages are installed, loaded at run time and called in the same way;
 * and an account in a pool of heapwright's, in huge pages or small ones, locked
 * as by default or not.
 */
#ifndef HPW_LUA_BENCH_BACKENDS_H
#define HPW_LUA_BENCH_BACKENDS_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#include "heapwright.h"

/* Another project's pair of functions. */
typedef struct lua_foreign {
    void *(*resize)(void *block, size_t size);
    void (*release)(void *block);
} lua_foreign;

/* What a state asks for, counted before it is passed on. */
typedef struct lua_count {
    uint64_t in_use, peak;
    lua_Alloc next;
    void *ud;
} lua_count;

typedef struct lua_backend {
    const char *name;
    bool is_pool, counts;
    lua_foreign functions; /* where it is none */
    hpw_config config;     /* of a pool */
    lua_count counted;     /* of one that counts, while open and after; these as well */
    hpw_pool *pool;
    hpw_account *account;
    lua_Alloc allocate; /* while open: for lua_newstate */
    void *ud;
} lua_backend;

enum { MAX_LUA_BACKENDS = 8 };
#define LUA_POOL_CAPACITY ((uint64_t)1 << 30) /* address space: memory is committed as it is touched */

/* All that there are on this machine, glibc first; how many. */
size_t lua_backends_list(lua_backend *list);

/* Makes it ready for a state; false where it can't be. */
bool lua_backend_open(lua_backend *b);

/* After lua_close: false, with what is left in *left, where the state's account or the pool is not empty. */
bool lua_backend_close(lua_backend *b, hpw_stats *left);

#endif
