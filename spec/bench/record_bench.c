/* SPDX-License-Identifier: MIT */
/*
 * What recording costs: programs that do nothing but allocate, with and without
 * libheapwright-record.so.
 *
 *      cc -O2 -pthread spec/bench/record_bench.c -o /tmp/record_bench
 *      /tmp/record_bench build/libheapwright-record.so /tmp/record_bench.hwt
 *
 * Prints, for each case, the nanoseconds a free and an allocation take together
 * (the best of five runs each) and their ratio. The cases: `pair`, the worst
 * there can be, one block from the allocator's thread cache and back; `churn`,
 * 100,000 live blocks of 16 to 512 bytes, a random one replaced; `touch`, the
 * same where the block is filled; `resize`, a random one of these resized; and
 * `churn` by two threads.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIVE = 100000, STEPS = 2000000, ROUNDS = 5 };

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static void pair(void) {
    for (int i = 0; i < STEPS; i++) {
        void *volatile block = malloc(64);
        free(block);
    }
}

static void churn_with(uint64_t seed, int touch, int resize) {
    static _Thread_local void *live[LIVE];
    for (int i = 0; i < STEPS; i++) {
        uint64_t random = next_random(&seed);
        size_t at = random % LIVE, size = 16 + (random >> 32) % 497;
        if (resize) {
            live[at] = realloc(live[at], size);
        } else {
            free(live[at]);
            live[at] = malloc(size);
        }
        if (touch && live[at]) memset(live[at], 1, size);
    }
}

static void *churn_thread(void *seed) {
    churn_with((uintptr_t)seed, 0, 0);
    return NULL;
}

static void churn(void) { churn_with(88172645463325252u, 0, 0); }
static void touch(void) { churn_with(88172645463325252u, 1, 0); }
static void resize(void) { churn_with(88172645463325252u, 0, 1); }

static void threads(void) {
    pthread_t second;
    pthread_create(&second, NULL, churn_thread, (void *)(uintptr_t)362436069);
    churn();
    pthread_join(second, NULL);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {{"pair", pair}, {"churn", churn}, {"touch", touch}, {"resize", resize}, {"threads", threads}};

/* Nanoseconds a step of one run in a process of its own; `library` NULL: not recorded. */
static double measure(const char *self, const char *name, const char *library, const char *trace) {
    int ends[2];
    double ns = 0;
    if (pipe(ends)) exit(2);
    unlink(trace);
    if (fork() == 0) {
        dup2(ends[1], 1);
        if (library) {
            setenv("LD_PRELOAD", library, 1);
            setenv("HEAPWRIGHT_TRACE", trace, 1);
        }
        execl(self, self, name, (char *)NULL);
        _exit(2);
    }
    close(ends[1]);
    if (read(ends[0], &ns, sizeof ns) != sizeof ns) exit(2);
    close(ends[0]);
    wait(NULL);
    return ns;
}

static int run_case(const char *name) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, name) != 0) continue;
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        cases[i].run();
        clock_gettime(CLOCK_MONOTONIC, &to);
        double ns = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / STEPS;
        return write(1, &ns, sizeof ns) != sizeof ns;
    }
    return 2;
}

int main(int argc, char **argv) {
    if (argc == 2) return run_case(argv[1]);
    if (argc != 3) return 2;
    printf("%-8s %10s %10s %6s\n", "case", "ns alone", "recorded", "ratio");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double alone = 1e9, recorded = 1e9;
        for (int round = 0; round < ROUNDS; round++) {
            double a = measure(argv[0], cases[i].name, NULL, argv[2]);
            double r = measure(argv[0], cases[i].name, argv[1], argv[2]);
            if (a < alone) alone = a;
            if (r < recorded) recorded = r;
        }
        printf("%-8s %10.1f %10.1f %6.2f\n", cases[i].name, alone, recorded, recorded / alone);
    }
    unlink(argv[2]);
    return 0;
}
