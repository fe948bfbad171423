/* SPDX-License-Identifier: MIT */
/*
 * The harness of the C tests: counts checks, prints each that fails with its
 * place, and goes on, or with CHECK_STOPS in the environment ends there. A test program
 * ends with `return CHECK_DONE();`.
 */
#ifndef HPW_CHECK_H
#define HPW_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_ulong check_count; /* tests have threads */
static atomic_ulong check_failures;

static inline void check_failed(void) {
    check_failures++;
    fflush(stdout);
    if (getenv("CHECK_STOPS")) _Exit(1);
}

static inline bool check_note(bool ok, const char *file, int line, const char *what) {
    check_count++;
    if (!ok) {
        printf("%s:%d: failed: %s\n", file, line, what);
        check_failed();
    }
    return ok;
}

static inline bool check_equal(int64_t a, int64_t b, const char *file, int line, const char *what) {
    check_count++;
    if (a != b) {
        printf("%s:%d: failed: %s: %lld and %lld\n", file, line, what, (long long)a, (long long)b);
        check_failed();
    }
    return a == b;
}

static inline int check_done(const char *file) {
    printf("%s: %lu checks, %lu failed\n", file, check_count, check_failures);
    return check_failures != 0;
}

/* Each is true where the check held. */
#define CHECK(expr) check_note((expr) ? true : false, __FILE__, __LINE__, #expr)
#define CHECK_EQ(a, b) check_equal((int64_t)(a), (int64_t)(b), __FILE__, __LINE__, #a " equals " #b)
#define CHECK_DONE() check_done(__FILE__)

#endif
