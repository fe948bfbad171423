/* SPDX-License-Identifier: MIT */
/* The bench's backends: see backend.h. */
#include "backend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *null_allocate(void *state, size_t size) {
    static _Thread_local char byte; /* two threads would fight for one */
    (void)state, (void)size;
    return &byte;
}
static void null_release(void *state, void *block) { (void)state, (void)block; }

static void *glibc_allocate(void *state, size_t size) {
    (void)state;
    return malloc(size);
}
static void glibc_release(void *state, void *block) {
    (void)state;
    free(block);
}

/* Another project's pair of functions, called through one table as all others are. */
typedef struct foreign {
    void *(*allocate)(size_t size);
    void (*release)(void *block);
} foreign;

static void *foreign_allocate(void *state, size_t size) { return ((foreign *)state)->allocate(size); }
static void foreign_release(void *state, void *block) { ((foreign *)state)->release(block); }

static void *pool_allocate(void *state, size_t size) { return hpw_malloc(state, size); }
static void pool_release(void *state, void *block) { hpw_free(state, block); }

static const struct {
    const char *name, *library, *allocate, *release;
} others[] = {
    {"mimalloc", "libmimalloc.so.2", "mi_malloc", "mi_free"},
    {"jemalloc", "libjemalloc.so.2", "malloc", "free"},
    {"tcmalloc", "libtcmalloc_minimal.so.4", "tc_malloc", "tc_free"},
};

static size_t add_foreign(backend *list, size_t count) {
    static foreign found[sizeof others / sizeof *others];
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        void *library = dlopen(others[i].library, RTLD_NOW | RTLD_LOCAL);
        if (!library) continue;
        void *allocate = dlsym(library, others[i].allocate), *release = dlsym(library, others[i].release);
        if (!allocate || !release) continue;
        memcpy(&found[i].allocate, &allocate, sizeof allocate);
        memcpy(&found[i].release, &release, sizeof release);
        list[count] = (backend){.allocate = foreign_allocate, .release = foreign_release, .state = &found[i]};
        snprintf(list[count++].name, sizeof list->name, "%s", others[i].name);
    }
    return count;
}

/* A pool of this configuration, where there is such a one. */
static size_t add_pool(backend *list, size_t count, hpw_config config, const char *kind) {
    static const char *const orders[HPW_ORDER_COUNT] = {"", "/fifo", "/lifo", "/random"};
    config.capacity = 1 << 20;
    if (count == MAX_BACKENDS || !hpw_metadata_size(&config)) return count;
    list[count] =
        (backend){.is_pool = true, .config = config, .allocate = pool_allocate, .release = pool_release};
    snprintf(list[count].name, sizeof list->name, "%s%s%s", config.policy, orders[config.order], kind);
    return count + 1;
}

/* What guards cost, without a lock. */
static size_t add_guarded(backend *list, size_t count, hpw_config config) {
    config.guard = HPW_GUARD_CHECK;
    count = add_pool(list, count, config, "/nolock/check");
    config.guard = HPW_GUARD_FULL;
    return add_pool(list, count, config, "/nolock/full");
}

enum { THREAD_CACHES = 8 };

size_t backend_list(backend *list) {
    const hpw_policy_info *info;
    size_t count = 0;
    list[count++] = (backend){.name = "null", .allocate = null_allocate, .release = null_release};
    list[count++] = (backend){.name = "glibc", .allocate = glibc_allocate, .release = glibc_release};
    count = add_foreign(list, count);
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        for (hpw_order order = 0; order < HPW_ORDER_COUNT; order++) {
            hpw_config config = {.policy = info->name, .order = order};
            count = add_pool(list, count, config, "");
            config.single_threaded = true;
            count = add_pool(list, count, config, "/nolock");
            if (order == HPW_ORDER_ADDRESS) count = add_guarded(list, count, config);
            config = (hpw_config){.policy = info->name, .order = order, .thread_caches = THREAD_CACHES};
            count = add_pool(list, count, config, "/cached");
        }
    return count;
}

bool backend_places_alike(const backend *a, const backend *b) {
    return a->is_pool && b->is_pool && !strcmp(a->config.policy, b->config.policy) &&
           a->config.order == b->config.order && a->config.thread_caches == b->config.thread_caches &&
           (a->config.guard == HPW_GUARD_FULL) == (b->config.guard == HPW_GUARD_FULL);
}

bool backend_open(backend *b, uint64_t capacity) {
    if (!b->is_pool) return true;
    b->config.capacity = capacity;
    b->pool = hpw_open(&b->config, NULL);
    b->state = b->pool;
    return b->pool != NULL;
}

/* What is written is what was read: a free block's own bytes may lie there. */
static void touch(hpw_pool *pool, uint64_t capacity) {
    volatile unsigned char *bytes = hpw_pointer(pool, 0);
    for (uint64_t at = 0; at < capacity; at += 4096) bytes[at] = bytes[at];
}

void backend_touch(backend *list, size_t count) {
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) all += list[i].pool ? list[i].config.capacity : 0;
    if (all > (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2) return;
    for (size_t i = 0; i < count; i++)
        if (list[i].pool) touch(list[i].pool, list[i].config.capacity);
}

void backend_close(backend *b) {
    if (b->is_pool) hpw_close(b->pool);
    b->pool = NULL;
}
