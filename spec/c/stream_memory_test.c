/* SPDX-License-Identifier: MIT */
/*
 * Memory of what streams, by the most that a process of its own ever had: a
 * trace four times as long, of as many live blocks, takes no more.
 */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "replay_stream.h"
#include "trace_generate.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { MIB = 1 << 20, MILLION = 1000000 };

static char path[64], copy[64];

static void generate(uint64_t events) {
    static const uint64_t sizes[] = {16, 48, 80, 112, 200, 304};
    hpw_trace_plan plan = {
        .events = events, .live = 1000, .sizes = sizes, .size_count = 6, .resizes = 0.1, .threads = 3};
    hpw_trace_error error;
    if (!hpw_trace_generate(&plan, path, HPW_TRACE_BINARY, &error)) exit(2);
}

static bool scan(const char *unused) {
    (void)unused;
    hpw_trace_summary summary;
    return hpw_trace_scan(path, &summary, NULL);
}

static bool convert(const char *unused) {
    (void)unused;
    return hpw_trace_convert(path, copy, HPW_TRACE_TEXT, NULL, NULL);
}

static bool stream(const char *policy) {
    hpw_lane lane = {.question = {.policy = policy, .smallest = true}};
    hpw_stream all = {.path = path, .lanes = &lane, .count = 1};
    return !hpw_stream_replay(&all, NULL) && !lane.error;
}

/* The most bytes that a process of its own had while it did this. */
static int64_t most_memory(bool (*what)(const char *), const char *policy) {
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) exit(2);
    if (!child) _exit(what(policy) ? 0 : 1);
    int status;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) != child) exit(2);
    CHECK_EQ(status, 0);
    return (int64_t)usage.ru_maxrss * 1024;
}

/* What it has with `events`, of which a compiled replay would have 16 bytes each. */
static void measure(uint64_t events, int64_t *most) {
    const hpw_policy_info *info;
    generate(events);
    *most++ = most_memory(scan, NULL);
    *most++ = most_memory(convert, NULL);
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) *most++ = most_memory(stream, info->name);
}

/* Bytes that a policy passes in an unbounded pool: its high water. */
static int64_t passed(const char *policy) {
    hpw_lane lane = {.question = {.policy = policy}};
    hpw_stream all = {.path = path, .lanes = &lane, .count = 1};
    if (hpw_stream_replay(&all, NULL) || lane.error) exit(2);
    return (int64_t)lane.answer.high_water;
}

int main(void) {
    const hpw_policy_info *info;
    int64_t small[32], large[32];
    snprintf(path, sizeof path, "/tmp/heapwright-memory-%ld.hwt", (long)getpid());
    snprintf(copy, sizeof copy, "/tmp/heapwright-memory-%ld.txt", (long)getpid());
    if (SANITIZED) {
        puts("left out: a sanitizer's memory is another");
        return 0;
    }
    measure(MILLION, small);
    measure(4LL * MILLION, large);
    for (size_t i = 0; i < 2; i++)
        if (!CHECK(large[i] < small[i] + MIB)) printf("reading and converting: %lld\n", (long long)large[i]);
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
        int64_t wandered = passed(info->name);
        /* Slab opens with 8 bytes for each page of the capacity, which grows with the sum of all requests. */
        int64_t more = info->takes_caches ? 4LL * MIB : MIB;
        /* One that wanders: what it passes between two sweeps, and the map of all that it passed. */
        if (wandered > MIB) more = (wandered < 72LL * MIB ? wandered : 72LL * MIB) + wandered / 32;
        if (!CHECK(large[2 + i] < small[2 + i] + more) || wandered > MIB)
            printf("%s: %lld KiB with 1 M events, %lld KiB with 4 M, %lld KiB passed\n", info->name,
                   (long long)small[2 + i] / 1024, (long long)large[2 + i] / 1024,
                   (long long)wandered / 1024);
    }
    unlink(path);
    unlink(copy);
    return CHECK_DONE();
}
