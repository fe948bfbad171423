/* SPDX-License-Identifier: MIT */
/* Every function of malloc's family, a known number of times; nothing else allocates. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

int main(void) {
    static void *blocks[1000];
    for (int i = 0; i < 1000; i++) blocks[i] = malloc((size_t)i); /* 1000 allocations, one of size 0 */
    for (int i = 0; i < 1000; i += 2) free(blocks[i]);            /* 500 frees */
    free(NULL);
    void *zeroed = calloc(10, 100);          /* 1 */
    zeroed = realloc(zeroed, 5000);          /* 1 resize */
    zeroed = reallocarray(zeroed, 100, 100); /* 1 resize */
    void *fresh = realloc(NULL, 77);         /* 1 */
    volatile size_t huge = PTRDIFF_MAX;
    if (realloc(fresh, huge)) return 1; /* fails: no event */
    if (malloc(huge) || calloc(huge, 16)) return 1;
    if (reallocarray(fresh, huge, 16) || errno != ENOMEM) return 1;
    if (realloc(fresh, 0)) return 1; /* 1 free */
    void *aligned[5];
    if (posix_memalign(&aligned[0], 4096, 10)) return 1; /* 5 */
    aligned[1] = aligned_alloc(64, 128);
    aligned[2] = memalign(256, 11);
    aligned[3] = valloc(12);
    aligned[4] = pvalloc(13);
    for (int i = 0; i < 5; i++) {
        if ((uintptr_t)aligned[i] % 64 || malloc_usable_size(aligned[i]) < 10) return 1;
        free(aligned[i]); /* 5 frees */
    }
    return 42;
}
