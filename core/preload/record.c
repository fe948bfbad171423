/* SPDX-License-Identifier: MIT */
/*
 * libheapwright-record.so: loaded by LD_PRELOAD, it records every allocation of
 * a program into the trace that HEAPWRIGHT_TRACE names, and changes nothing
 * else: the blocks come from the program's own allocator.
 *
 * This file is the family of malloc. Each function calls the one behind it
 * (dlsym, RTLD_NEXT) and records what it did. Order: a free is numbered before
 * the block can be given out again, an allocation after it was given out; a
 * realloc is two records, one before and one after, for the old address may be
 * another thread's before it returns. realloc(p, 0) is a free. Blocks that fail
 * are no events. malloc_usable_size is passed through.
 *
 * dlsym may allocate, and the loader does before dlsym can be called: such
 * blocks come from an arena in this library, are recorded like any other, and
 * are never given back.
 *
 * Cost: some 17 ns an event, and 7.5 bytes of the trace. As spec/bench/record_bench.c
 * prints it (2 cores, gcc 12 -O2, glibc 2.36, trace on disk), nanoseconds of a
 * free and an allocation together, alone, recorded and their ratio:
 *
 *      one block from the thread's cache and back     6.2    40.4   6.5
 *      100,000 live blocks, a random one replaced    84.9   154.5   1.8
 *      the same, the block filled                   108.8   180.6   1.7
 *      the same, the block resized                  190.2   279.6   1.5
 *      two threads, 100,000 live blocks each        182.5   348.6   1.9
 *
 * (the last four 1.5 to 2.2 from run to run).
 */
#define _GNU_SOURCE
#include "recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* The functions behind. All pointers are set before `malloc` is. */
static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*memalign)(size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    size_t (*malloc_usable_size)(void *);
} behind;

/* ---- Before dlsym ----------------------------------------------------------------------- */

enum { ARENA = 1 << 16, ARENA_HEAD = 16 };

static struct {
    _Alignas(16) unsigned char bytes[ARENA]; /* blocks, each behind 16 bytes with its size */
    _Atomic size_t used;
    atomic_bool resolving;
} arena;

static bool in_arena(const void *block) {
    uintptr_t at = (uintptr_t)block, start = (uintptr_t)arena.bytes;
    return at >= start && at < start + ARENA;
}

static size_t arena_size(const void *block) {
    size_t size;
    memcpy(&size, (const unsigned char *)block - ARENA_HEAD, sizeof size);
    return size;
}

/* Zeroed, since nothing is ever used twice. */
static void *arena_alloc(size_t size, size_t alignment) {
    if (alignment < ARENA_HEAD) alignment = ARENA_HEAD;
    if (size > ARENA || alignment > ARENA) return NULL;
    size_t room = ARENA_HEAD + alignment + ((size + 15) & ~(size_t)15);
    size_t at = atomic_fetch_add(&arena.used, room);
    if (at > ARENA || room > ARENA - at) return NULL;
    uintptr_t block = (uintptr_t)arena.bytes + at + ARENA_HEAD;
    block = (block + alignment - 1) & ~(uintptr_t)(alignment - 1);
    memcpy((unsigned char *)block - ARENA_HEAD, &size, sizeof size);
    return (void *)block;
}

/* False while this goes on further up the stack. */
static bool __attribute__((noinline)) resolve(void) {
    if (atomic_exchange(&arena.resolving, true)) return false;
    static const struct {
        const char *name;
        void *to;
    } functions[] = {
        {"calloc", &behind.calloc},
        {"realloc", &behind.realloc},
        {"free", &behind.free},
        {"posix_memalign", &behind.posix_memalign},
        {"aligned_alloc", &behind.aligned_alloc},
        {"memalign", &behind.memalign},
        {"valloc", &behind.valloc},
        {"pvalloc", &behind.pvalloc},
        {"malloc_usable_size", &behind.malloc_usable_size},
        {"malloc", &behind.malloc},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(RTLD_NEXT, functions[i].name);
        memcpy(functions[i].to, &function, sizeof function);
    }
    atomic_store(&arena.resolving, false);
    return behind.malloc != NULL;
}

/* Can the functions behind be called? */
static inline bool resolved(void) { return !unlikely(!behind.malloc) || resolve(); }

/* ---- Records ------------------------------------------------------------------------------ */

static inline void *allocated(void *block, size_t size, size_t alignment) {
    if (block) hpw_record(HPW_RECORD_ALLOC, block, size, alignment);
    return block;
}

/* What the C library takes an alignment for that is no power of two: the next one. */
static size_t power_of_two(size_t alignment) {
    size_t power = 1;
    while (power < alignment && power <= SIZE_MAX / 2) power *= 2;
    return power;
}

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* ---- The family ------------------------------------------------------------------------------ */

EXPORT void *malloc(size_t size) {
    return allocated(resolved() ? behind.malloc(size) : arena_alloc(size, 0), size, 0);
}

EXPORT void *calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return no_memory();
    return allocated(resolved() ? behind.calloc(count, size) : arena_alloc(bytes, 0), bytes, 0);
}

EXPORT void free(void *block) {
    if (!block) return;
    hpw_record(HPW_RECORD_FREE, block, 0, 0);
    if (unlikely(in_arena(block))) return;
    if (resolved()) behind.free(block);
}

/* A block of the arena moves to the heap, or within the arena while there is no heap. */
static void *leave_arena(void *block, size_t size) {
    void *moved = resolved() ? behind.malloc(size) : arena_alloc(size, 0);
    size_t had = arena_size(block);
    if (moved) memcpy(moved, block, had < size ? had : size);
    return moved;
}

EXPORT void *realloc(void *block, size_t size) {
    if (!block) return malloc(size);
    bool ours = in_arena(block);
    if (!ours && !resolved()) return no_memory();
    if (!size) {
        hpw_record(HPW_RECORD_FREE, block, 0, 0);
        return ours ? NULL : allocated(behind.realloc(block, 0), 0, 0);
    }
    uint64_t began = hpw_record(HPW_RECORD_BEGIN, block, 0, 0);
    void *moved = ours ? leave_arena(block, size) : behind.realloc(block, size);
    if (began == NO_NUMBER) return moved;
    if (moved)
        hpw_record(HPW_RECORD_END, moved, size, began);
    else
        hpw_record(HPW_RECORD_FAILED, block, 0, began);
    return moved;
}

EXPORT void *reallocarray(void *block, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return no_memory();
    return realloc(block, bytes);
}

EXPORT int posix_memalign(void **to, size_t alignment, size_t size) {
    if (!resolved()) {
        *to = allocated(arena_alloc(size, alignment), size, alignment);
        return *to ? 0 : ENOMEM;
    }
    int failed = behind.posix_memalign(to, alignment, size);
    if (!failed) allocated(*to, size, alignment);
    return failed;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    void *block = resolved() ? behind.aligned_alloc(alignment, size) : arena_alloc(size, alignment);
    return allocated(block, size, power_of_two(alignment));
}

EXPORT void *memalign(size_t alignment, size_t size) {
    void *block = resolved() ? behind.memalign(alignment, size) : arena_alloc(size, alignment);
    return allocated(block, size, power_of_two(alignment));
}

EXPORT void *valloc(size_t size) {
    if (!resolved() || !behind.valloc) return no_memory();
    return allocated(behind.valloc(size), size, (size_t)sysconf(_SC_PAGESIZE));
}

EXPORT void *pvalloc(size_t size) {
    if (!resolved() || !behind.pvalloc) return no_memory();
    return allocated(behind.pvalloc(size), size, (size_t)sysconf(_SC_PAGESIZE));
}

EXPORT size_t malloc_usable_size(void *block) {
    if (!block) return 0;
    if (in_arena(block)) return arena_size(block);
    return resolved() ? behind.malloc_usable_size(block) : 0;
}
