/* SPDX-License-Identifier: MIT */
/*
 * A pool for which the system has no address space is refused, and leaves nothing
 * behind: as often as one likes, and a smaller one still opens.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "heapwright.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false /* those that want terabytes of addresses themselves */
#endif

static const uint64_t MIB = 1 << 20;

/* Bytes of addresses that this process has mapped. */
static uint64_t mapped(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!CHECK(file && fscanf(file, "%lu", &pages) == 1)) return 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int main(void) {
    struct rlimit before, limit;
    hpw_error error;
    if (SANITIZED) return CHECK_DONE();
    CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = mapped() + 64 * MIB; /* of a pool of 256 MiB room for the metadata, some 6 MiB */
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    uint64_t least = mapped();
    for (int i = 0; i < 100; i++) {
        CHECK(!hpw_open(&(hpw_config){.capacity = 256 * MIB}, &error));
        CHECK_EQ(error, HPW_NO_MEMORY);
    }
    CHECK_EQ(mapped(), least);
    for (int i = 0; i < 100; i++) {
        hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 8 * MIB}, &error);
        if (!CHECK(pool)) break;
        CHECK(hpw_malloc(pool, 100));
        hpw_close(pool);
    }
    CHECK_EQ(mapped(), least);
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    return CHECK_DONE();
}
