/* SPDX-License-Identifier: MIT */
/*
 * Histories: the rectangles of random traces under every policy, held against a pool that is
 * asked event by event what lies where; that they never overlap; the files made of them,
 * also with the system's memory failing: it is linked with --wrap for each call.
 */
#include "history.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "history_export.h"
#include "pool.h"
#include "replay_run.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

static long memory_left = -1; /* calls that still succeed; -1: all do */

static bool fails(void) {
    if (memory_left > 0) memory_left--;
    return memory_left == 0;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *block, size_t size) { return fails() ? NULL : __real_realloc(block, size); }

static uint64_t state = 88172645463325252U;

static uint64_t below(uint64_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

enum { LIVE = 24, MOST = 4096 };

static char path[64];

static const char *trace_of(const char *text) {
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file)) exit(2);
    return path;
}

/* Writes a random trace: allocations, resizes, frees, some aligned; ids are never used again. */
static const char *random_trace(unsigned events) {
    unsigned ids[LIVE] = {0}, next = 1;
    FILE *file = fopen(path, "w");
    if (!file) exit(2);
    for (unsigned i = 0; i < events; i++) {
        size_t slot = below(LIVE);
        unsigned size = (unsigned)below((uint64_t)1 << below(10)), by = (unsigned)below(8);
        if (!ids[slot] && by == 0)
            fprintf(file, "a %u %u %u %%%u\n", ids[slot] = next++, size, 1U << below(8), by);
        else if (!ids[slot])
            fprintf(file, "a %u %u %%%u\n", ids[slot] = next++, size, by);
        else if (by < 3)
            fprintf(file, "r %u %u %%%u\n", ids[slot], size, by);
        else {
            fprintf(file, "f %u %%%u\n", ids[slot], by);
            ids[slot] = 0;
        }
    }
    fclose(file);
    return path;
}

/* ---- What is told ---- */

typedef struct told {
    hpw_rectangle rectangles[MOST];
    hpw_refusal refusals[MOST];
    hpw_sample samples[MOST];
    size_t count, refused, sampled, most; /* `most`: rectangles after which it ends */
} told;

static bool take_rectangle(void *ud, const hpw_rectangle *r) {
    told *t = ud;
    if (t->count < MOST) t->rectangles[t->count] = *r;
    return ++t->count != t->most;
}

static bool take_refusal(void *ud, const hpw_refusal *r) {
    told *t = ud;
    if (t->refused < MOST) t->refusals[t->refused] = *r;
    t->refused++;
    return true;
}

static bool take_sample(void *ud, const hpw_sample *s) {
    told *t = ud;
    if (t->sampled < MOST) t->samples[t->sampled] = *s;
    t->sampled++;
    return true;
}

static const hpw_history_sink all = {
    .points = MOST, .rectangle = take_rectangle, .refusal = take_refusal, .sample = take_sample};

static told *history(const hpw_program *program, const hpw_question *question, hpw_answer *answer) {
    told *t = calloc(1, sizeof *t);
    hpw_history_sink sink = all;
    sink.ud = t;
    if (!t || !CHECK_EQ(hpw_history(program, question, &sink, NULL, answer), HPW_OK)) exit(2);
    CHECK(t->count < MOST && t->refused < MOST);
    return t;
}

static bool holds(const hpw_rectangle *r, uint64_t event) { return r->born <= event && event < r->died; }

/* The rectangle that begins there at that event; NULL: there is none. */
static const hpw_rectangle *find(const told *t, uint64_t event, uint64_t address) {
    for (size_t i = 0; i < t->count; i++)
        if (holds(&t->rectangles[i], event) && t->rectangles[i].address == address) return &t->rectangles[i];
    return NULL;
}

/* Do the pool's live blocks and the rectangles of that event agree, one by one? */
static void agree(const told *t, hpw_pool *pool, uint64_t event) {
    size_t rectangles = 0, live = 0;
    uint64_t in_use = 0, granted = 0, cursor = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (!holds(&t->rectangles[i], event)) continue;
        rectangles++;
        in_use += t->rectangles[i].requested;
        granted += t->rectangles[i].granted;
    }
    for (hpw_block block; hpw_next_block(pool, &cursor, &block);) {
        if (!block.live) continue;
        const hpw_rectangle *r = find(t, event, block.address);
        live++;
        if (!CHECK(r != NULL)) continue;
        CHECK_EQ(r->granted, block.size);
        CHECK_EQ(r->requested, block.requested);
    }
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    CHECK_EQ(rectangles, live);
    CHECK_EQ(in_use, stats.in_use);
    CHECK_EQ(granted, stats.granted);
    const hpw_sample *s = &t->samples[event - 1];
    CHECK_EQ(s->event, event);
    CHECK_EQ(s->in_use, stats.in_use);
    CHECK_EQ(s->granted, stats.granted);
    CHECK_EQ(s->high_water, stats.high_water);
    CHECK_EQ(s->live_blocks, stats.live_blocks);
    CHECK_EQ(s->failures, stats.failures);
}

static void never_overlap(const told *t) {
    for (size_t i = 0; i < t->count; i++) {
        const hpw_rectangle *a = &t->rectangles[i];
        CHECK(a->born >= 1 && a->born < a->died && a->block <= a->born && a->granted >= a->requested);
        for (size_t j = 0; j < i; j++) {
            const hpw_rectangle *b = &t->rectangles[j];
            bool together = a->born < b->died && b->born < a->died;
            CHECK(!together || a->address + a->granted <= b->address ||
                  b->address + b->granted <= a->address);
        }
    }
}

/* A sample's largest free block, in a bounded pool whose policy has such a thing. */
static void free_agrees(const told *t, hpw_pool *pool, uint64_t event, uint64_t capacity) {
    const hpw_sample *s = &t->samples[event - 1];
    uint64_t cursor = 0, largest = 0, end = capacity ? capacity : s->high_water;
    for (hpw_block block; hpw_next_block(pool, &cursor, &block);) {
        if (block.live || block.address >= end) continue;
        uint64_t size = block.address + block.size < end ? block.size : end - block.address;
        if (size > largest) largest = size;
    }
    CHECK(s->has_largest);
    CHECK_EQ(s->largest_free, largest);
    CHECK_EQ(s->free, end - s->granted);
}

/* All but what a search and a clock tell. */
static void same_answers(const hpw_answer *a, const hpw_answer *b) {
    CHECK_EQ(a->capacity, b->capacity);
    CHECK_EQ(a->failures, b->failures);
    CHECK_EQ(a->peak_in_use, b->peak_in_use);
    CHECK_EQ(a->peak_granted, b->peak_granted);
    CHECK_EQ(a->high_water, b->high_water);
    CHECK_EQ(a->steps_max, b->steps_max);
    CHECK(a->steps_mean >= b->steps_mean && a->steps_mean <= b->steps_mean);
    CHECK(a->external_fragmentation >= b->external_fragmentation &&
          a->external_fragmentation <= b->external_fragmentation);
    CHECK(a->internal_fragmentation >= b->internal_fragmentation &&
          a->internal_fragmentation <= b->internal_fragmentation);
    for (size_t i = 0; i < HPW_MOMENTS; i++) CHECK_EQ(a->in_use_at[i], b->in_use_at[i]);
}

static void one_policy(const hpw_program *program, const hpw_question *question) {
    hpw_answer answer, asked;
    told *t = history(program, question, &answer);
    CHECK_EQ(hpw_ask(program, question, NULL, &asked), HPW_OK);
    same_answers(&answer, &asked);
    CHECK_EQ(t->refused, asked.failures);
    CHECK_EQ(t->sampled, program->count);
    never_overlap(t);
    replay run;
    hpw_question full = *question;
    full.granule = question->granule ? question->granule : 16;
    uint64_t capacity = question->capacity ? question->capacity : replay_unbounded(program, &full);
    if (!CHECK_EQ(replay_open(program, &full, capacity, NULL, &run), HPW_OK)) exit(2);
    hpw_answer counted = {0};
    size_t refused = 0;
    for (size_t i = 0; i < program->count; i++) {
        uint64_t failures = counted.failures;
        replay_stretch(&run, &program->operations[i], 1, false, &counted, NULL);
        if (counted.failures != failures && CHECK(refused < t->refused)) {
            CHECK_EQ(t->refusals[refused].event, i + 1);
            CHECK_EQ(t->refusals[refused].size, program->operations[i].size);
            refused++;
        }
        agree(t, run.pool, i + 1);
        free_agrees(t, run.pool, i + 1, question->capacity);
    }
    replay_close(&run);
    free(t);
}

static void every_policy(unsigned round) {
    hpw_trace_error error;
    const hpw_policy_info *info;
    hpw_program *program = hpw_program_load(random_trace(250), &error);
    if (!CHECK(program != NULL)) exit(2);
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
        hpw_question question = {.policy = info->name, .granule = round % 3 ? 16 : 32};
        one_policy(program, &question);
        question.capacity = 1024 + 512 * (round % 4);
        one_policy(program, &question);
    }
    hpw_program_free(program);
}

/* ---- Single cases ---- */

static void resizes_end_a_rectangle(void) {
    hpw_trace_error error;
    hpw_answer answer;
    hpw_program *program = hpw_program_load_timed(
        trace_of("a 1 16 @5\na 2 16 @6\nr 1 40 @7\nr 1 40 @9\nf 2 @9\n"), NULL, &error);
    told *t = history(program, &(hpw_question){.policy = "first-fit"}, &answer);
    CHECK_EQ(t->count, 3);
    const hpw_rectangle *old = &t->rectangles[0], *second = &t->rectangles[1], *now = &t->rectangles[2];
    CHECK(old->address == 0 && old->born == 1 && old->died == 3 && !old->freed && old->block == 1);
    CHECK(second->address == 16 && second->born == 2 && second->died == 5 && second->freed);
    CHECK(now->address == 32 && now->born == 3 && now->died == 6 && !now->freed && now->block == 1);
    CHECK(now->granted == 48 && now->requested == 40 && !now->has_thread);
    uint64_t time = 0;
    CHECK(hpw_program_time(program, 4, &time) && time == 9);
    CHECK(!hpw_program_time(program, 6, &time) && !hpw_program_time(program, 0, &time));
    hpw_program_free(program);
    free(t);
    program = hpw_program_load_timed(trace_of("a 1 16 @5\na 2 16\na 3 16 @9\n"), NULL, &error);
    CHECK(!hpw_program_time(program, 1, &time)); /* one has none */
    hpw_program_free(program);
    program = hpw_program_load(trace_of("a 1 16 @5\n"), &error);
    CHECK(!hpw_program_time(program, 1, &time));
    hpw_program_free(program);
}

static void samples_are_even(void) {
    hpw_trace_error error;
    hpw_answer answer;
    hpw_program *program = hpw_program_load(random_trace(250), &error);
    told *t = calloc(1, sizeof *t);
    if (!t) exit(2);
    hpw_history_sink sink = all;
    sink.ud = t;
    sink.points = 7;
    CHECK_EQ(hpw_history(program, &(hpw_question){.policy = "buddy"}, &sink, NULL, &answer), HPW_OK);
    CHECK_EQ(t->sampled, 7);
    for (size_t i = 0; i < t->sampled; i++) CHECK_EQ(t->samples[i].event, (i + 1) * program->count / 7);
    *t = (told){.most = 1};
    CHECK_EQ(hpw_history(program, &(hpw_question){.policy = "buddy"}, &sink, NULL, &answer), HPW_LIMIT);
    CHECK_EQ(t->count, 1);
    const atomic_bool stop = true;
    CHECK_EQ(hpw_history(program, &(hpw_question){.policy = "buddy"}, &sink, &stop, &answer), HPW_LIMIT);
    CHECK_EQ(hpw_history(program, &(hpw_question){.policy = "none"}, &sink, NULL, &answer),
             HPW_INVALID_ARGUMENT);
    hpw_question odd = {.policy = "buddy", .granule = 24};
    CHECK_EQ(hpw_history(program, &odd, &sink, NULL, &answer), HPW_INVALID_ARGUMENT);
    hpw_program_free(program);
    free(t);
}

/* ---- Files ---- */

static bool is_there(const char *name) { return access(name, F_OK) == 0; }

static void files_are_whole(void) {
    char to[80];
    snprintf(to, sizeof to, "%s.out", path);
    hpw_trace_error error;
    hpw_exported exported;
    hpw_program *program = hpw_program_load(random_trace(250), &error);
    hpw_question question = {.policy = "best-fit", .capacity = 1024};
    for (hpw_export_format format = 0; format < HPW_EXPORT_FORMATS; format++) {
        hpw_export what = {.path = to, .format = format, .title = "t", .policy = "best-fit", .points = 9};
        CHECK(hpw_history_export(program, &question, &what, NULL, &exported, &error));
        CHECK(is_there(to));
        unlink(to);
        const atomic_bool stop = true;
        CHECK(!hpw_history_export(program, &question, &what, &stop, &exported, &error));
        CHECK_EQ(error.code, HPW_LIMIT);
        CHECK(!is_there(to));
        what.path = "/no/such/folder/file";
        CHECK(!hpw_history_export(program, &question, &what, NULL, &exported, &error));
        CHECK_EQ(error.code, HPW_IO);
    }
    CHECK(hpw_export_format_name(HPW_EXPORT_FORMATS) == NULL);
    hpw_program_free(program);
}

/* Loads with times and writes a file while so many calls for memory succeed. */
static hpw_error write_one(hpw_export_format format, const char *to, long calls) {
    hpw_trace_error error = {0};
    hpw_exported exported;
    hpw_export what = {.path = to, .format = format, .title = "t", .policy = "best-fit", .points = 9};
    memory_left = calls;
    hpw_program *program = hpw_program_load_timed(path, NULL, &error);
    bool well = program && hpw_history_export(program, &(hpw_question){.policy = "best-fit"}, &what, NULL,
                                              &exported, &error);
    memory_left = -1;
    hpw_program_free(program);
    CHECK_EQ(is_there(to), well);
    unlink(to);
    return well ? HPW_OK : error.code;
}

static void memory_fails(void) {
    char to[80];
    snprintf(to, sizeof to, "%s.out", path);
    trace_of("a 1 100 @1\na 2 50 @2\nf 1 @3\n");
    for (hpw_export_format format = 0; format < HPW_EXPORT_FORMATS; format++) {
        long calls = 1;
        for (hpw_error result = HPW_NO_MEMORY; result && calls < 1000; calls++) {
            result = write_one(format, to, calls);
            if (result) CHECK_EQ(result, HPW_NO_MEMORY);
        }
        CHECK(calls > 8 && calls < 1000);
    }
}

/* The least share leaves no more than was asked for, and as many as the steps allow. */
static void shares_are_in_order(void) {
    hpw_rectangle small = {.granted = 16, .born = 1, .died = 2},
                  large = {.granted = 16, .born = 1, .died = 3};
    CHECK(export_share(&small) < export_share(&large));
    unsigned before = 0;
    for (uint64_t lived = 1; lived < 1000; lived++) {
        hpw_rectangle r = {.granted = 4096, .born = 1, .died = 1 + lived};
        CHECK(export_share(&r) >= before);
        before = export_share(&r);
    }
    hpw_rectangle most = {.granted = UINT64_MAX / 2, .born = 1, .died = UINT64_MAX / 2};
    CHECK_EQ(export_share(&most), EXPORT_SHARES - 1);
    export_survey survey = {.shares = {[3] = 10, [5] = 4, [9] = 2}};
    CHECK_EQ(export_threshold(&survey, 16), 0);
    CHECK_EQ(export_threshold(&survey, 15), 4);
    CHECK_EQ(export_threshold(&survey, 6), 4);
    CHECK_EQ(export_threshold(&survey, 5), 6);
    CHECK_EQ(export_threshold(&survey, 1), 10);
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/heapwright-history-%ld.txt", (long)getpid());
    for (unsigned round = 0; round < 12; round++) every_policy(round);
    resizes_end_a_rectangle();
    samples_are_even();
    files_are_whole();
    memory_fails();
    shares_are_in_order();
    unlink(path);
    return CHECK_DONE();
}
