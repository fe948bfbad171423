/* SPDX-License-Identifier: MIT */
/*
 * The streamed replay beside the compiled one: made-up traces of several
 * batches, every policy and order, bounded and unbounded, files and pipes.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "replay_stream.h"
#include "trace_generate.h"

/* Under sanitizers the pools and their mappings take long. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

enum { MOST_LANES = 64, FILE_ROUNDS = SLOW ? 3 : 12, PIPE_ROUNDS = SLOW ? 2 : 4 };

static char path[64], fifo[64];

static void generate(uint64_t seed, double resizes, hpw_trace_format format) {
    uint64_t sizes[64];
    for (size_t i = 0; i < 64; i++) sizes[i] = (seed * 2654435761U + i * i * 40503U) % (16U << (i % 11));
    hpw_trace_plan plan = {.events = 20000 + seed * 777,
                           .live = 50 + seed * 30,
                           .sizes = sizes,
                           .size_count = 64,
                           .seed = seed,
                           .resizes = resizes};
    hpw_trace_error error;
    if (!CHECK(hpw_trace_generate(&plan, path, format, &error))) exit(2);
}

/* A lane for each policy in each order that it takes. */
static size_t make_lanes(hpw_lane *lanes, const hpw_question *common) {
    size_t count = 0;
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        for (hpw_order order = 0; order < HPW_ORDER_COUNT; order++) {
            if (order && (!info->takes_order || common->granule == 8)) continue;
            lanes[count] = (hpw_lane){.question = *common};
            lanes[count].question.policy = info->name;
            lanes[count++].question.order = order;
        }
    return count;
}

static bool same(const hpw_lane *lane, const hpw_answer *answer, bool steps_too) {
    const hpw_answer *a = &lane->answer, *b = answer;
    const unsigned long before = check_failures;
    CHECK_EQ(a->capacity, b->capacity);
    CHECK_EQ(a->failures, b->failures);
    CHECK_EQ(a->peak_in_use, b->peak_in_use);
    CHECK_EQ(a->peak_granted, b->peak_granted);
    CHECK_EQ(a->high_water, b->high_water);
    CHECK(a->internal_fragmentation == b->internal_fragmentation);
    if (lane->has_external) CHECK(a->external_fragmentation == b->external_fragmentation);
    if (steps_too) CHECK_EQ(a->steps_max, b->steps_max);
    if (steps_too) CHECK(a->steps_mean == b->steps_mean);
    if (a->has_smallest && CHECK(b->has_smallest)) {
        CHECK(a->smallest_pool >= b->smallest_pool);
        if (a->smallest_exact) CHECK_EQ(a->smallest_pool, b->smallest_pool);
    }
    return check_failures == before;
}

/* What the compiled replay says to each lane's question is what the lane says. */
static void compare(const hpw_stream *stream, const char *file, bool steps_too) {
    hpw_trace_error error;
    hpw_program *program = hpw_program_load(file, &error);
    if (!CHECK(program)) exit(2);
    const hpw_trace_summary *a = &stream->summary, *b = hpw_program_summary(program);
    CHECK_EQ(a->events, b->events);
    CHECK_EQ(a->allocations, b->allocations);
    CHECK_EQ(a->frees, b->frees);
    CHECK_EQ(a->resizes, b->resizes);
    CHECK_EQ(a->peak_in_use, b->peak_in_use);
    CHECK_EQ(a->lower_bound, b->lower_bound);
    CHECK_EQ(a->peak_blocks, b->peak_blocks);
    CHECK_EQ(a->largest, b->largest);
    CHECK_EQ(stream->lower_bound, hpw_program_lower_bound(program, stream->lanes[0].question.granule));
    for (size_t i = 0; i < stream->count; i++) {
        const hpw_lane *lane = &stream->lanes[i];
        hpw_answer answer;
        CHECK_EQ(lane->error, HPW_OK);
        CHECK_EQ(hpw_ask(program, &lane->question, NULL, &answer), HPW_OK);
        CHECK(lane->seconds > 0);
        if (!same(lane, &answer, steps_too))
            printf("%s order %d, capacity %llu\n", lane->question.policy, (int)lane->question.order,
                   (unsigned long long)lane->question.capacity);
    }
    hpw_program_free(program);
}

static void file_round(uint64_t seed) {
    static const uint32_t granules[] = {0, 8, 32, 64};
    hpw_lane lanes[MOST_LANES];
    hpw_trace_error error;
    generate(seed, seed % 2 ? 0.1 : 0.0, seed % 4 < 2 ? HPW_TRACE_BINARY : HPW_TRACE_TEXT);
    hpw_question common = {.granule = granules[seed / 2 % 4], .capacity = seed % 3 ? 0 : 40000};
    common.smallest = !common.capacity && seed % 4 == 0;
    hpw_stream stream = {.path = path, .lanes = lanes, .threads = (unsigned)(seed % 4)};
    stream.count = make_lanes(lanes, &common);
    if (!CHECK_EQ(hpw_stream_replay(&stream, &error), HPW_OK)) printf("%s\n", error.message);
    CHECK(!stream.one_pass);
    CHECK(stream.figures_seconds > 0 && stream.seconds > 0);
    CHECK_EQ(stream.done, 1000000);
    for (size_t i = 0; i < stream.count; i++) CHECK(lanes[i].has_external);
    for (size_t i = 0; i < stream.count; i++)
        if (common.smallest && !strcmp(lanes[i].question.policy, "bump"))
            CHECK(lanes[i].answer.has_smallest && lanes[i].answer.smallest_exact);
    compare(&stream, path, true);
}

/* Writes the file into the pipe. */
static void *pour(void *ud) {
    (void)ud;
    FILE *from = fopen(path, "rb"), *to = fopen(fifo, "wb");
    if (!from || !to) exit(2);
    char buffer[65536];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, from)) > 0;) fwrite(buffer, 1, n, to);
    fclose(from);
    fclose(to);
    return NULL;
}

/* Replays the trace at `path` from a pipe. */
static void from_pipe(hpw_stream *stream) {
    pthread_t writer;
    hpw_trace_error error;
    stream->path = fifo;
    if (pthread_create(&writer, NULL, pour, NULL)) exit(2);
    if (!CHECK_EQ(hpw_stream_replay(stream, &error), HPW_OK)) printf("%s\n", error.message);
    pthread_join(writer, NULL);
    CHECK(stream->one_pass);
}

static void pipe_round(uint64_t seed) {
    hpw_lane lanes[MOST_LANES];
    generate(seed, 0.1, HPW_TRACE_BINARY);
    hpw_stream stream = {.lanes = lanes, .threads = 2};
    const hpw_question common = {.capacity = seed % 2 ? 30000 : 0};
    size_t all = make_lanes(lanes, &common);
    for (size_t i = 0; i < all; i++) /* by chance, in a larger pool, is elsewhere */
        if (common.capacity || lanes[i].question.order != HPW_ORDER_RANDOM) lanes[stream.count++] = lanes[i];
    from_pipe(&stream);
    for (size_t i = 0; i < stream.count; i++) CHECK(lanes[i].has_external);
    compare(&stream, path, seed % 2);
}

/* Where ever new peaks would cost a walk of many blocks each, it is not told rather than wrong. */
static void a_rising_pipe_leaves_fragmentation_out(void) {
    hpw_lane lanes[1] = {{.question = {.policy = "best-fit"}}};
    const uint64_t size = 24;
    hpw_trace_plan plan = {.events = 200000, .live = 200000, .sizes = &size, .size_count = 1};
    hpw_trace_error error;
    CHECK(hpw_trace_generate(&plan, path, HPW_TRACE_BINARY, &error));
    hpw_stream stream = {.lanes = lanes, .count = 1};
    from_pipe(&stream);
    CHECK(!lanes[0].has_external);
    CHECK(lanes[0].answer.internal_fragmentation == 0.25);
}

static void figures_alone(void) {
    hpw_trace_error error;
    generate(3, 0.2, HPW_TRACE_BINARY);
    hpw_stream stream = {.path = path};
    hpw_trace_summary scanned;
    CHECK_EQ(hpw_stream_replay(&stream, &error), HPW_OK);
    CHECK(hpw_trace_scan(path, &scanned, &error));
    CHECK_EQ(stream.summary.events, scanned.events);
    CHECK_EQ(stream.summary.lower_bound, scanned.lower_bound);
    CHECK_EQ(stream.summary.peak_blocks, scanned.peak_blocks);
    CHECK_EQ(stream.summary.live_blocks, scanned.live_blocks);
    CHECK_EQ(stream.summary.live_bytes, scanned.live_bytes);
    CHECK_EQ(stream.done, 1000000);
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/heapwright-stream-%ld", (long)getpid());
    snprintf(fifo, sizeof fifo, "/tmp/heapwright-stream-%ld.fifo", (long)getpid());
    if (mkfifo(fifo, 0600)) return 2;
    for (uint64_t seed = 0; seed < FILE_ROUNDS; seed++) file_round(seed);
    for (uint64_t seed = 0; seed < PIPE_ROUNDS; seed++) pipe_round(seed);
    if (!SLOW) a_rising_pipe_leaves_fragmentation_out();
    figures_alone();
    unlink(path);
    unlink(fifo);
    return CHECK_DONE();
}
