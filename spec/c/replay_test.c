/* SPDX-License-Identifier: MIT */
/*
 * Replay and the search of the smallest pool: random short traces, every
 * policy, held against pools of each capacity run one by one here.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "replay.h"
#include "replay_run.h"

static uint64_t state = 88172645463325252U;

static uint64_t below(uint64_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

enum { LIVE = 40 };

/* Writes a random trace and returns its path. */
static const char *random_trace(unsigned events, bool resizes, bool aligned) {
    static char path[64];
    bool live[LIVE] = {false};
    uint64_t ids[LIVE] = {0}, next = 1;
    snprintf(path, sizeof path, "/tmp/heapwright-replay-%ld.txt", (long)getpid());
    FILE *file = fopen(path, "w");
    if (!file) exit(2);
    for (unsigned i = 0; i < events; i++) {
        size_t slot = below(LIVE);
        unsigned long long size = below((uint64_t)1 << below(10));
        if (!live[slot]) {
            ids[slot] = next++;
            if (aligned && below(4) == 0)
                fprintf(file, "a %llu %llu %u\n", (unsigned long long)ids[slot], size, 1U << below(9));
            else
                fprintf(file, "a %llu %llu\n", (unsigned long long)ids[slot], size);
            live[slot] = true;
        } else if (resizes && below(3) == 0) {
            fprintf(file, "r %llu %llu\n", (unsigned long long)ids[slot], size);
        } else {
            fprintf(file, "f %llu\n", (unsigned long long)ids[slot]);
            live[slot] = false;
        }
    }
    fclose(file);
    return path;
}

/* The least capacity that fits, every one tried. */
static uint64_t brute_force(const hpw_program *program, const hpw_question *question, uint64_t least) {
    for (uint64_t capacity = 16;; capacity += 16) {
        replay run;
        bool fits = false;
        if (replay_open(program, question, capacity, NULL, &run)) exit(2);
        replay_fits(&run, NULL, &fits);
        replay_close(&run);
        if (!fits) continue;
        CHECK(capacity >= least);
        return capacity;
    }
}

static void smallest_pools(bool resizes, bool aligned, bool monotone_alone) {
    hpw_trace_error error;
    const hpw_policy_info *info;
    hpw_program *program = hpw_program_load(random_trace(200, resizes, aligned), &error);
    if (!CHECK(program != NULL)) exit(2);
    uint64_t least = hpw_program_lower_bound(program, 16);
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        for (hpw_order order = 0; order < HPW_ORDER_COUNT; order++) {
            if (order && !info->takes_order) continue;
            if (monotone_alone && (order || !info->monotone)) continue;
            hpw_question question = {.policy = info->name, .order = order, .granule = 16, .smallest = true};
            hpw_answer answer;
            CHECK_EQ(hpw_ask(program, &question, NULL, &answer), HPW_OK);
            CHECK_EQ(answer.failures, 0);
            CHECK(answer.has_smallest);
            CHECK(answer.smallest_exact);
            CHECK(answer.smallest_pool >= least);
            if (!CHECK_EQ(answer.smallest_pool, brute_force(program, &question, least)))
                printf("%s order %d, resizes %d, aligned %d\n", info->name, (int)order, resizes, aligned);
            CHECK_EQ(answer.peak_in_use, hpw_program_summary(program)->peak_in_use);
        }
    hpw_program_free(program);
}

/* A resize that grows past the high water, and in a smaller pool moves to a hole instead. */
static void resizes_may_escape(void) {
    const char *path = random_trace(1, false, false);
    FILE *file = fopen(path, "w");
    if (!CHECK(file && fputs("a 1 100\nr 1 300\na 3 0\nf 1\nr 3 20\n", file) > 0 && !fclose(file))) return;
    hpw_trace_error error;
    hpw_answer answer;
    hpw_program *program = hpw_program_load(path, &error);
    CHECK_EQ(hpw_ask(program, &(hpw_question){.policy = "first-fit", .smallest = true}, NULL, &answer),
             HPW_OK);
    CHECK_EQ(answer.high_water, 336);
    CHECK_EQ(answer.smallest_pool, 320);
    CHECK(answer.smallest_exact);
    hpw_program_free(program);
}

/* Without a capacity nothing fails, however much is live at once. */
static void unbounded_pools(void) {
    enum { BLOCKS = 200, SIZE = 40000 };
    hpw_trace_error error;
    const hpw_policy_info *info;
    const char *path = random_trace(1, false, false);
    FILE *file = fopen(path, "w");
    if (!file) exit(2);
    for (unsigned i = 1; i <= BLOCKS; i++) fprintf(file, "a %u %u\n", i, SIZE);
    fclose(file);
    hpw_program *program = hpw_program_load(path, &error);
    if (!CHECK(program != NULL)) exit(2);
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
        hpw_answer answer;
        CHECK_EQ(hpw_ask(program, &(hpw_question){.policy = info->name}, NULL, &answer), HPW_OK);
        CHECK_EQ(answer.failures, 0);
        CHECK_EQ(answer.peak_in_use, BLOCKS * SIZE);
        CHECK(answer.high_water >= (uint64_t)BLOCKS * SIZE);
        CHECK(answer.has_moments);
        for (uint64_t m = 0; m < HPW_MOMENTS; m++)
            CHECK_EQ(answer.in_use_at[m], BLOCKS / HPW_MOMENTS * (m + 1) * SIZE);
    }
    hpw_program_free(program);
}

/* What is in use after each eighth of the events, also where there are fewer than eight. */
static void moments_of_short_traces(void) {
    static const struct {
        const char *events;
        uint64_t in_use[HPW_MOMENTS];
    } cases[] = {
        {"a 1 70\n", {0, 0, 0, 0, 0, 0, 0, 70}},
        {"a 1 70\na 2 30\nf 1\n", {0, 0, 70, 70, 70, 100, 100, 30}},
        {"a 1 5000\na 2 30\nf 1\n", {0, 0, 0, 0, 0, 30, 30, 30}}, /* refused */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hpw_trace_error error;
        hpw_answer answer;
        const char *path = random_trace(1, false, false);
        FILE *file = fopen(path, "w");
        if (!file) exit(2);
        fputs(cases[i].events, file);
        fclose(file);
        hpw_program *program = hpw_program_load(path, &error);
        if (!CHECK(program != NULL)) exit(2);
        hpw_question question = {.policy = "first-fit", .capacity = 4096};
        CHECK_EQ(hpw_ask(program, &question, NULL, &answer), HPW_OK);
        for (size_t m = 0; m < HPW_MOMENTS; m++) CHECK_EQ(answer.in_use_at[m], cases[i].in_use[m]);
        hpw_program_free(program);
    }
}

static void failures_are_counted(void) {
    hpw_trace_error error;
    hpw_answer answer;
    hpw_program *program = hpw_program_load(random_trace(300, true, false), &error);
    hpw_question question = {.policy = "best-fit", .capacity = 512, .timed = true};
    CHECK_EQ(hpw_ask(program, &question, NULL, &answer), HPW_OK);
    CHECK(answer.failures > 0);
    CHECK(answer.high_water <= 512);
    CHECK(answer.has_time && answer.ops_per_second > 0 && answer.ns_max >= answer.ns_p50);
    question.policy = "no-such-fit";
    CHECK_EQ(hpw_ask(program, &question, NULL, &answer), HPW_INVALID_ARGUMENT);
    question = (hpw_question){.policy = "best-fit", .granule = 24};
    CHECK_EQ(hpw_ask(program, &question, NULL, &answer), HPW_INVALID_ARGUMENT);
    const atomic_bool stop = true;
    question.granule = 16;
    CHECK_EQ(hpw_ask(program, &question, &stop, &answer), HPW_LIMIT);
    hpw_program_free(program);
    CHECK(hpw_program_load("/no/such/trace", &error) == NULL);
    CHECK_EQ(error.code, HPW_IO);
}

int main(void) {
    for (unsigned round = 0; round < 24; round++) smallest_pools(round & 1, round & 2, false);
    /* A resize that escapes past an edge is rare: what is then in doubt has to be searched. */
    for (unsigned round = 0; round < 150; round++) smallest_pools(true, round & 1, true);
    resizes_may_escape();
    unbounded_pools();
    moments_of_short_traces();
    failures_are_counted();
    unlink(random_trace(1, false, false));
    return CHECK_DONE();
}
