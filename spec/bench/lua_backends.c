/* SPDX-License-Identifier: MIT */
/* The backends of the bench of Lua programs: see lua_backends.h. */
#include "lua_backends.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void *allocate_foreign(void *ud, void *block, size_t osize, size_t nsize) {
    const lua_foreign *functions = ud;
    (void)osize;
    if (nsize) return functions->resize(block, nsize);
    functions->release(block);
    return NULL;
}

/* What luaL_newstate gives to a state. */
static void *allocate_plain(void *ud, void *block, size_t osize, size_t nsize) {
    (void)ud, (void)osize;
    if (nsize) return realloc(block, nsize);
    free(block);
    return NULL;
}

static void *allocate_counted(void *ud, void *block, size_t osize, size_t nsize) {
    lua_count *counted = ud;
    void *granted = counted->next(counted->ud, block, osize, nsize);
    if (nsize && !granted) return NULL;
    counted->in_use += nsize - (block ? osize : 0);
    if (counted->in_use > counted->peak) counted->peak = counted->in_use;
    return granted;
}

static const struct {
    const char *name, *library, *resize, *release;
} others[] = {
    {"mimalloc", "libmimalloc.so.2", "mi_realloc", "mi_free"},
    {"jemalloc", "libjemalloc.so.2", "realloc", "free"},
    {"tcmalloc", "libtcmalloc_minimal.so.4", "tc_realloc", "tc_free"},
};

static size_t add_foreign(lua_backend *list, size_t count) {
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        void *library = dlopen(others[i].library, RTLD_NOW | RTLD_LOCAL);
        if (!library) continue;
        void *resize = dlsym(library, others[i].resize), *release = dlsym(library, others[i].release);
        if (!resize || !release) continue;
        lua_backend *added = &list[count++];
        *added = (lua_backend){.name = others[i].name};
        memcpy(&added->functions.resize, &resize, sizeof resize);
        memcpy(&added->functions.release, &release, sizeof release);
    }
    return count;
}

size_t lua_backends_list(lua_backend *list) {
    static const struct {
        const char *name;
        hpw_config config;
    } pools[] = {{"heapwright", {.capacity = LUA_POOL_CAPACITY}},
                 {"heapwright/small-pages", {.capacity = LUA_POOL_CAPACITY, .small_pages = true}},
                 {"heapwright/nolock", {.capacity = LUA_POOL_CAPACITY, .single_threaded = true}}};
    size_t count = 0;
    list[count++] = (lua_backend){.name = "glibc", .functions = {realloc, free}};
    count = add_foreign(list, count);
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        list[count++] = (lua_backend){.name = pools[i].name, .is_pool = true, .config = pools[i].config};
    return count;
}

static bool open_pool(lua_backend *b) {
    b->pool = hpw_open(&b->config, NULL);
    b->account = b->pool ? hpw_open_account(b->pool, NULL, NULL) : NULL;
    b->allocate = hpw_lua_alloc;
    b->ud = b->account;
    return b->account != NULL;
}

bool lua_backend_open(lua_backend *b) {
    b->allocate = b->functions.release == free ? allocate_plain : allocate_foreign;
    b->ud = &b->functions;
    if (b->is_pool && !open_pool(b)) return false;
    if (!b->counts) return true;
    b->counted = (lua_count){.next = b->allocate, .ud = b->ud};
    b->allocate = allocate_counted;
    b->ud = &b->counted;
    return true;
}

bool lua_backend_close(lua_backend *b, hpw_stats *left) {
    *left = (hpw_stats){0};
    if (!b->is_pool) return true;
    bool closed = hpw_close_account(b->account) == HPW_OK;
    hpw_get_stats(b->pool, left);
    return closed && left->live_blocks == 0;
}
