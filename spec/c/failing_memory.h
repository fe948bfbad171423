/* SPDX-License-Identifier: MIT */
/*
 * Memory that fails by number: the linker leads a test's malloc, calloc and realloc,
 * the library's too, through here (--wrap, see .cmake/tests.cmake). For one file of a
 * program alone, and one thread.
 */
#ifndef HPW_FAILING_MEMORY_H
#define HPW_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

static unsigned long requests, fail_at; /* fail_at 0: never */
static bool fail_on;                    /* and at every later request */

static bool refused(void) {
    requests++;
    return fail_at && (requests == fail_at || (fail_on && requests > fail_at));
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_malloc(size_t size) { return refused() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return refused() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *block, size_t size) { return refused() ? NULL : __real_realloc(block, size); }

/* Counts from here on; the request of that number fails, and `on` all after it; 0: none. */
static inline void fail_from(unsigned long number, bool on) {
    requests = 0;
    fail_at = number;
    fail_on = on;
}

#endif
