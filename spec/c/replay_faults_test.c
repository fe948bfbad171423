/* SPDX-License-Identifier: MIT */
/*
 * Streamed and parallel replays whose memory and threads fail, one after the
 * other, and whose file changes while it is read. The calls that fail are this
 * test's: it is linked with --wrap for each.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "replay_stream.h"
#include "replay_threads.h"
#include "trace_generate.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *argument);
hpw_trace *__real_hpw_trace_open(const char *path, hpw_trace_error *error);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *argument);
hpw_trace *__wrap_hpw_trace_open(const char *path, hpw_trace_error *error);

static atomic_long memory_left = -1, threads_left = -1; /* calls that still succeed; -1: all do */
static const char *second_path;                         /* what the second opening opens */
static int openings;

static bool fails(atomic_long *left) {
    long now = *left;
    while (now > 0 && !atomic_compare_exchange_weak(left, &now, now - 1)) continue;
    return now == 0;
}

void *__wrap_malloc(size_t size) { return fails(&memory_left) ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) {
    return fails(&memory_left) ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *block, size_t size) {
    return fails(&memory_left) ? NULL : __real_realloc(block, size);
}
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return fails(&memory_left) ? NULL : __real_aligned_alloc(alignment, size);
}
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *argument) {
    return fails(&threads_left) ? 11 : __real_pthread_create(thread, attributes, start, argument);
}
hpw_trace *__wrap_hpw_trace_open(const char *path, hpw_trace_error *error) {
    return __real_hpw_trace_open(++openings == 2 && second_path ? second_path : path, error);
}

static char path[64], other[64];

static void generate(const char *to, uint64_t seed) {
    const uint64_t sizes[] = {16, 500, 40};
    hpw_trace_plan plan = {.events = 40000,
                           .live = 900,
                           .sizes = sizes,
                           .size_count = 3,
                           .seed = seed,
                           .resizes = 0.1,
                           .threads = 4,
                           .passed = 0.3};
    hpw_trace_error error;
    if (!CHECK(hpw_trace_generate(&plan, to, HPW_TRACE_BINARY, &error))) exit(2);
}

/* A stream of two policies; its lanes' error where only a lane failed. */
static hpw_error stream(hpw_trace_error *error) {
    hpw_lane lanes[2] = {{.question = {.policy = "best-fit"}}, {.question = {.policy = "slab"}}};
    hpw_stream all = {.path = path, .lanes = lanes, .count = 2, .threads = 2};
    openings = 0;
    hpw_error result = hpw_stream_replay(&all, error);
    if (result) return result;
    for (size_t i = 0; i < 2; i++)
        if (lanes[i].error && lanes[i].error != HPW_LIMIT) return lanes[i].error;
    CHECK_EQ(lanes[0].error, HPW_OK);
    CHECK_EQ(lanes[1].error, HPW_OK);
    return HPW_OK;
}

static void memory_of_a_stream(void) {
    hpw_trace_error error = {0};
    long calls = 0;
    for (hpw_error result = HPW_NO_MEMORY; result; calls++) {
        memory_left = calls;
        result = stream(&error);
        memory_left = -1;
        if (result && !CHECK_EQ(result, HPW_NO_MEMORY)) printf("call %ld: %s\n", calls, error.message);
        if (calls > 1000) break;
    }
    CHECK(calls > 10 && calls < 1000);
}

static void threads_of_a_stream(void) {
    hpw_trace_error error = {0};
    threads_left = 0;
    CHECK_EQ(stream(&error), HPW_NO_MEMORY);
    CHECK(strstr(error.message, "gives no thread"));
    threads_left = 1; /* one is enough */
    CHECK_EQ(stream(&error), HPW_OK);
    threads_left = -1;
}

static void a_file_that_changes(void) {
    hpw_trace_error error = {0};
    second_path = other;
    CHECK_EQ(stream(&error), HPW_CORRUPTED);
    if (!CHECK(strstr(error.message, "changed while it was read"))) printf("%s\n", error.message);
    second_path = "/no/such/file";
    CHECK_EQ(stream(&error), HPW_IO);
    second_path = NULL;
    CHECK_EQ(stream(&error), HPW_OK);
}

static hpw_error contend(const hpw_program *program) {
    hpw_contention_question question = {.pool = {.policy = "slab"}, .caches = true};
    hpw_contention answer;
    return hpw_contend(program, &question, NULL, &answer);
}

static void memory_and_threads_of_a_crew(void) {
    hpw_trace_error error;
    hpw_program *program = hpw_program_load(path, &error);
    long calls = 0;
    for (hpw_error result = HPW_NO_MEMORY; result; calls++) {
        memory_left = calls;
        result = contend(program);
        memory_left = -1;
        if (result) CHECK_EQ(result, HPW_NO_MEMORY);
        if (calls > 1000) break;
    }
    CHECK(calls > 10 && calls < 1000);
    for (long threads = 0; threads < 4; threads++) {
        threads_left = threads;
        CHECK_EQ(contend(program), HPW_NO_MEMORY);
    }
    threads_left = -1;
    CHECK_EQ(contend(program), HPW_OK);
    hpw_program_free(program);
}

static void stopping_a_stream(void) {
    hpw_trace_error error = {0};
    const atomic_bool stop = true;
    hpw_lane lane = {.question = {.policy = "best-fit"}};
    hpw_stream all = {.path = path, .lanes = &lane, .count = 1, .stop = &stop};
    CHECK_EQ(hpw_stream_replay(&all, &error), HPW_LIMIT);
    CHECK(strstr(error.message, "stopped"));
    all.stop = NULL;
    lane.question.policy = "no-fit";
    CHECK_EQ(hpw_stream_replay(&all, &error), HPW_OK);
    CHECK_EQ(lane.error, HPW_INVALID_ARGUMENT);
    hpw_lane lanes[2] = {{.question = {.policy = "slab"}}, {.question = {.policy = "slab", .granule = 32}}};
    all.lanes = lanes;
    all.count = 2;
    CHECK_EQ(hpw_stream_replay(&all, &error), HPW_INVALID_ARGUMENT);
}

/* A file that ends inside a chunk is replayed up to it; one that is broken there is an error, with the byte.
 */
static void a_file_that_ends(void) {
    hpw_trace_error error = {0};
    hpw_lane lane = {.question = {.policy = "best-fit"}};
    hpw_stream all = {.path = other, .lanes = &lane, .count = 1};
    CHECK_EQ(truncate(other, 100000), 0);
    CHECK_EQ(hpw_stream_replay(&all, &error), HPW_OK);
    CHECK(strstr(all.summary.warning, "cut off at byte "));
    CHECK(all.summary.events > 10000 && all.summary.events < 40000);
    FILE *file = fopen(other, "r+b");
    if (!file) exit(2);
    fseek(file, 30000, SEEK_SET);
    fputc('!', file);
    fclose(file);
    CHECK_EQ(hpw_stream_replay(&all, &error), HPW_CORRUPTED);
    CHECK(strstr(error.message, "the chunk at byte "));
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/heapwright-faults-%ld.hwt", (long)getpid());
    snprintf(other, sizeof other, "/tmp/heapwright-faults-%ld.other.hwt", (long)getpid());
    generate(path, 1);
    generate(other, 2);
    memory_of_a_stream();
    threads_of_a_stream();
    a_file_that_changes();
    memory_and_threads_of_a_crew();
    stopping_a_stream();
    a_file_that_ends();
    unlink(path);
    unlink(other);
    return CHECK_DONE();
}
