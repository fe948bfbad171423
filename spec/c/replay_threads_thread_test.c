/* SPDX-License-Identifier: MIT */
/*
 * Traces replayed on threads: made-up traces with blocks that pass from thread
 * to thread, every policy; the pool holds afterwards what the trace leaves.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "replay_threads.h"
#include "trace_generate.h"

static char path[64];

static hpw_program *load(void) {
    hpw_trace_error error;
    hpw_program *program = hpw_program_load(path, &error);
    if (!CHECK(program)) exit(2);
    return program;
}

static hpw_program *generated(uint64_t events, uint32_t threads, double passed) {
    static const uint64_t sizes[] = {0, 1, 16, 24, 100, 200, 700, 5000};
    hpw_trace_plan plan = {.events = events,
                           .live = 200,
                           .sizes = sizes,
                           .size_count = sizeof sizes / sizeof *sizes,
                           .seed = threads,
                           .resizes = 0.2,
                           .threads = threads,
                           .passed = passed};
    hpw_trace_error error;
    if (!CHECK(hpw_trace_generate(&plan, path, HPW_TRACE_BINARY, &error))) exit(2);
    return load();
}

static hpw_program *written(const char *text) {
    FILE *file = fopen(path, "w");
    if (!file) exit(2);
    fputs(text, file);
    fclose(file);
    return load();
}

/* Events whose block's event before them is another thread's, as `threads` threads make them. */
static uint64_t count_dependencies(uint32_t threads) {
    hpw_trace_error error;
    hpw_trace *trace = hpw_trace_open(path, &error);
    hpw_trace_event event;
    uint64_t found = 0;
    uint32_t last[4096] = {0}, numbers[256] = {0}, seen = 0;
    while (trace && hpw_trace_next(trace, &event, &error) == 1) {
        if (!numbers[event.thread]) numbers[event.thread] = ++seen;
        uint32_t thread = (numbers[event.thread] - 1) % threads;
        if (event.kind != HPW_TRACE_ALLOC) found += last[event.slot] != thread;
        last[event.slot] = thread;
    }
    hpw_trace_close(trace);
    return found;
}

static void ask(const hpw_program *program, hpw_contention_question question) {
    hpw_contention answer;
    if (!CHECK_EQ(hpw_contend(program, &question, NULL, &answer), HPW_OK)) {
        printf("%s, %u threads, caches %d\n", question.pool.policy, question.threads, question.caches);
        return;
    }
    uint32_t most = answer.recorded_threads < 64 ? answer.recorded_threads : 64;
    CHECK_EQ(answer.recorded_threads, hpw_program_threads(program));
    CHECK_EQ(answer.threads, question.threads ? question.threads : most);
    CHECK_EQ(answer.dependencies, count_dependencies(answer.threads));
    CHECK(answer.waits <= answer.dependencies);
    CHECK(answer.ops_per_second > 0 && answer.ops_per_second_alone > 0);
    if (question.pool.capacity) {
        CHECK(answer.failures > 0);
        CHECK(answer.high_water <= question.pool.capacity);
    } else {
        CHECK_EQ(answer.failures, 0);
    }
}

static void every_policy(void) {
    hpw_program *program = generated(20000, 5, 0.3);
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
        ask(program, (hpw_contention_question){.pool = {.policy = info->name}});
        ask(program, (hpw_contention_question){.pool = {.policy = info->name, .capacity = 30000}});
        ask(program, (hpw_contention_question){.pool = {.policy = info->name}, .threads = 2});
        if (!info->takes_caches) continue;
        ask(program, (hpw_contention_question){.pool = {.policy = info->name}, .caches = true});
        ask(program, (hpw_contention_question){
                         .pool = {.policy = info->name, .capacity = 30000}, .caches = true, .threads = 3});
    }
    hpw_program_free(program);
}

static void many_threads_are_folded(void) {
    hpw_program *program = generated(30000, 70, 0.5);
    CHECK_EQ(hpw_program_threads(program), 70);
    ask(program, (hpw_contention_question){.pool = {.policy = "best-fit"}});
    ask(program, (hpw_contention_question){.pool = {.policy = "slab"}, .caches = true});
    ask(program, (hpw_contention_question){.pool = {.policy = "best-fit"}, .threads = 1});
    hpw_program_free(program);
}

/* Each block passes through three threads, whose events wait for each other all the time. */
static void a_chain(void) {
    FILE *file = fopen(path, "w");
    if (!file) exit(2);
    for (int i = 0; i < 5000; i++) fprintf(file, "a %d 64 %%1\nr %d 640 %%2\nf %d %%3\n", i, i, i);
    fclose(file);
    hpw_program *program = load();
    hpw_contention answer;
    hpw_contention_question question = {.pool = {.policy = "first-fit"}};
    CHECK_EQ(hpw_contend(program, &question, NULL, &answer), HPW_OK);
    CHECK_EQ(answer.dependencies, 10000);
    CHECK_EQ(answer.live_blocks, 0);
    CHECK_EQ(answer.failures, 0);
    hpw_program_free(program);
}

/* A slot that another thread's later block takes is no order between them: only the block's own events are.
 */
static void slots_are_no_order(void) {
    hpw_program *program = written("a 1 100 %1\nf 1 %1\na 2 100 %2\nf 2 %2\na 1 100 %1\nf 1 %1\n");
    hpw_contention answer;
    hpw_contention_question question = {.pool = {.policy = "best-fit"}};
    CHECK_EQ(hpw_contend(program, &question, NULL, &answer), HPW_OK);
    CHECK_EQ(answer.dependencies, 0);
    CHECK_EQ(answer.threads, 2);
    hpw_program_free(program);
}

static void *stop_soon(void *ud) {
    nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    *(atomic_bool *)ud = true;
    return NULL;
}

static void what_is_refused(void) {
    hpw_contention answer;
    hpw_contention_question question = {.pool = {.policy = "best-fit"}};
    hpw_program *program = written("a 1 100\nf 1\n");
    CHECK_EQ(hpw_program_threads(program), 0);
    CHECK_EQ(hpw_contend(program, &question, NULL, &answer), HPW_INVALID_ARGUMENT);
    hpw_program_free(program);
    program = generated(2000000, 3, 0.2);
    question.caches = true;
    CHECK_EQ(hpw_contend(program, &question, NULL, &answer), HPW_INVALID_ARGUMENT);
    question.caches = false;
    question.pool.policy = "no-fit";
    CHECK_EQ(hpw_contend(program, &question, NULL, &answer), HPW_INVALID_ARGUMENT);
    question.pool = (hpw_question){.policy = "best-fit", .granule = 24};
    CHECK_EQ(hpw_contend(program, &question, NULL, &answer), HPW_INVALID_ARGUMENT);
    question.pool.granule = 0;
    atomic_bool stop = true;
    CHECK_EQ(hpw_contend(program, &question, &stop, &answer), HPW_LIMIT);
    stop = false;
    pthread_t stopper;
    if (pthread_create(&stopper, NULL, stop_soon, &stop)) exit(2);
    CHECK_EQ(hpw_contend(program, &question, &stop, &answer), HPW_LIMIT);
    pthread_join(stopper, NULL);
    hpw_program_free(program);
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/heapwright-threads-%ld", (long)getpid());
    every_policy();
    many_threads_are_folded();
    a_chain();
    slots_are_no_order();
    what_is_refused();
    unlink(path);
    return CHECK_DONE();
}
