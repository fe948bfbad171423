/* SPDX-License-Identifier: MIT */
/*
 * Traces as they would have been (what_if.h): small ones event by event, the figures of
 * programs, every refusal, and a system without memory at each of its requests (--wrap).
 */
#include <stdlib.h>
#include <string.h>

#include "failing_memory.h"
#include "replay.h"
#include "trace_files.h"

/* ---- A system that has no memory, at will ---- */

/* ---- Reading ---- */

static const char TRACE[] = "a 1 100 %1\n"  /* 1 */
                            "a 2 7 64 %2\n" /* 2 */
                            "r 1 300 %2\n"  /* 3 */
                            "a 3 0 %1\n"    /* 4 */
                            "f 2 %1\n"      /* 5 */
                            "a 4 50 %3\n"   /* 6 */
                            "f 1 %3\n"      /* 7 */
                            "a 5 1000 %2\n" /* 8 */
                            "f 4 %1\n"      /* 9 */
                            "r 3 20 %1\n";  /* 10 */

static const char *trace_path(void) {
    const char *path = in_folder("trace.txt");
    put_file(path, TRACE, sizeof TRACE - 1);
    return path;
}

/* The events as text, without threads; or the error's message behind its path. */
static const char *read_as(hpw_what_if what) {
    static char text[1024];
    const char *path = trace_path();
    size_t used = 0;
    hpw_trace_error error = {0};
    hpw_trace_event event;
    hpw_trace *trace = hpw_trace_open(path, &error);
    hpw_what_if_reader *reader = hpw_what_if_open(trace, path, &what, &error);
    int more = -1;
    text[0] = '\0';
    while (reader && (more = hpw_what_if_next(reader, &event, &error)) == 1)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%c %llu %llu@%llu/%llu", used ? ", " : "",
                             "afr"[event.kind], (unsigned long long)event.id, (unsigned long long)event.size,
                             (unsigned long long)event.alignment, (unsigned long long)event.slot);
    if (more < 0) snprintf(text, sizeof text, "%s", error.message + strlen(path) + 2);
    if (reader) CHECK_EQ(hpw_what_if_next(reader, &event, NULL), more); /* it stays so */
    hpw_what_if_close(reader);
    hpw_trace_close(trace);
    return text;
}

static void reads(hpw_what_if what, const char *expected) {
    const char *got = read_as(what);
    if (!CHECK(!strcmp(got, expected))) printf("  got      %s\n  expected %s\n", got, expected);
}

static void sizes_change(void) {
    reads((hpw_what_if){0}, "a 1 100@0/0, a 2 7@64/1, r 1 300@0/0, a 3 0@0/2, f 2 7@0/1, a 4 50@0/1, "
                            "f 1 300@0/0, a 5 1000@0/0, f 4 50@0/1, r 3 20@0/2");
    reads((hpw_what_if){.header = 16, .to = 5},
          "a 1 116@0/0, a 2 23@64/1, r 1 316@0/0, a 3 16@0/2, f 2 23@0/1");
    reads((hpw_what_if){.scale = 1, .scale_by = 2, .to = 5}, /* rounded up */
          "a 1 50@0/0, a 2 4@64/1, r 1 150@0/0, a 3 0@0/2, f 2 4@0/1");
    reads((hpw_what_if){.scale = 2, .scale_by = 1, .header = 8, .to = 2}, "a 1 208@0/0, a 2 22@64/1");
    reads((hpw_what_if){.alignment = 32, .to = 3}, "a 1 100@32/0, a 2 7@64/1, r 1 300@0/0");
    reads((hpw_what_if){.alignment = 128, .to = 2}, "a 1 100@128/0, a 2 7@128/1");
}

/* Slots are dense, whatever is left out. */
static void blocks_are_selected(void) {
    static const uint32_t one[] = {1}, two[] = {2}, others[] = {3, 2};
    reads((hpw_what_if){.threads = one, .thread_count = 1},
          "a 1 100@0/0, r 1 300@0/0, a 3 0@0/1, f 1 300@0/0, r 3 20@0/1");
    reads((hpw_what_if){.threads = two, .thread_count = 1}, "a 2 7@64/0, f 2 7@0/0, a 5 1000@0/0");
    reads((hpw_what_if){.threads = others, .thread_count = 2},
          "a 2 7@64/0, f 2 7@0/0, a 4 50@0/0, a 5 1000@0/1, f 4 50@0/0");
}

/* What is live before comes first, oldest first, in the size that it has there. */
static void windows_are_cut(void) {
    static const uint32_t two[] = {2}, three[] = {3};
    reads((hpw_what_if){.from = 1, .to = 10}, read_as((hpw_what_if){0}));
    reads((hpw_what_if){.from = 5, .to = 7},
          "a 1 300@0/0, a 2 7@64/1, a 3 0@0/2, f 2 7@0/1, a 4 50@0/1, f 1 300@0/0");
    reads((hpw_what_if){.from = 10}, "a 3 0@0/0, a 5 1000@0/1, r 3 20@0/0");
    reads((hpw_what_if){.from = 9, .to = 9}, "a 3 0@0/0, a 4 50@0/1, a 5 1000@0/2, f 4 50@0/1");
    reads((hpw_what_if){.from = 4, .to = 8, .threads = two, .thread_count = 1, .header = 1},
          "a 2 8@64/0, f 2 8@0/0, a 5 1001@0/0");
    reads((hpw_what_if){.from = 8, .threads = three, .thread_count = 1}, "a 4 50@0/0, f 4 50@0/0");
}

static void nonsense_is_refused(void) {
    static const uint32_t none[] = {1, 7}, three[] = {3};
    reads((hpw_what_if){.from = 11}, "there is no event 11 for a window's edge: it has 10");
    reads((hpw_what_if){.from = 3, .to = 4000}, "there is no event 4000 for a window's edge: it has 10");
    reads((hpw_what_if){.threads = none, .thread_count = 2},
          "no thread 7 allocates in it; those that do: 1, 2, 3");
    reads((hpw_what_if){.threads = three, .thread_count = 1, .to = 5}, "nothing is left of its 10 events");
    reads((hpw_what_if){.scale = 1000000000000, .scale_by = 1, .header = ((uint64_t)1 << 62) - 1, .from = 8},
          "a 3 4611686018427387903@0/0, a 4 4611736018427387903@0/1, a 5 4612686018427387903@0/2, "
          "f 4 4611736018427387903@0/1, r 3 4611706018427387903@0/0");
    const char *invalid = "a what-if that no trace can be read by";
    reads((hpw_what_if){.alignment = 48}, invalid);
    reads((hpw_what_if){.alignment = (uint64_t)1 << 63}, invalid);
    reads((hpw_what_if){.from = 5, .to = 4}, invalid);
    reads((hpw_what_if){.scale = 0, .scale_by = 1}, invalid);
    reads((hpw_what_if){.scale = 1, .scale_by = 1000001}, invalid);
    reads((hpw_what_if){.header = (uint64_t)1 << 62}, invalid);
    reads((hpw_what_if){.thread_count = 1}, invalid);
}

static void sizes_too_large_are_refused(void) {
    const char *path = in_folder("large.txt");
    static const char text[] = "a 1 9223372036854775800\nr 1 5\nr 1 9223372036854775806\n";
    put_file(path, text, sizeof text - 1);
    hpw_trace_error error = {0};
    static const hpw_what_if cases[] = {
        {.header = 8}, {.scale = 2, .scale_by = 1}, {.scale = 1000001, .scale_by = 1000000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(!hpw_program_load_as(path, &cases[i], &error));
        CHECK_EQ(error.code, HPW_INVALID_ARGUMENT);
        CHECK(strstr(error.message,
                     "large.txt: event 1: 9223372036854775800 bytes, scaled and with a header, "
                     "are more than 2^63 - 1"));
    }
    CHECK(
        !hpw_program_load_as(path, &(hpw_what_if){.header = 7}, &error)); /* 2^63 - 1, rounded to granules */
    hpw_program *half = hpw_program_load_as(path, &(hpw_what_if){.scale = 1, .scale_by = 2}, &error);
    if (CHECK(half != NULL)) CHECK_EQ(hpw_program_summary(half)->peak_in_use, 4611686018427387903);
    hpw_program_free(half);
    static const char plain[] = "a 1 5\n";
    put_file(path, plain, sizeof plain - 1);
    CHECK(!hpw_program_load_as(path, &(hpw_what_if){.threads = (const uint32_t[]){0}, .thread_count = 1},
                               &error));
    CHECK(strstr(error.message, "no thread 0 allocates in it: it does not tell threads"));
}

/* ---- Programs ---- */

static void figures_are_of_the_changed_trace(void) {
    hpw_trace_error error;
    hpw_what_if what = {.granule = 64, .header = 16, .from = 3, .to = 8};
    hpw_program *program = hpw_program_load_as(trace_path(), &what, &error);
    if (!CHECK(program != NULL)) return;
    /* a 1 116, a 2 23, r 1 316, a 3 16, f 2, a 4 66, f 1, a 5 1016 */
    const hpw_trace_summary *s = hpw_program_summary(program);
    CHECK_EQ(s->events, 8);
    CHECK_EQ(s->allocations, 5);
    CHECK_EQ(s->peak_in_use, 16 + 66 + 1016);
    CHECK_EQ(s->lower_bound, 64 + 128 + 1024);
    CHECK_EQ(hpw_program_lower_bound(program, 8), 16 + 72 + 1016);
    uint64_t counts[101];
    CHECK(hpw_program_sizes_at_peak(program, 100, counts));
    for (uint64_t size = 0; size <= 100; size++) CHECK_EQ(counts[size], size == 16 || size == 66);
    hpw_answer answer;
    hpw_question question = {.policy = "first-fit", .smallest = true};
    CHECK_EQ(hpw_ask(program, &question, NULL, &answer), HPW_OK);
    CHECK_EQ(answer.smallest_pool % 64, 0); /* the program's granule */
    CHECK_EQ(answer.metadata, hpw_metadata_size(&(hpw_config){.policy = "first-fit",
                                                              .capacity = answer.smallest_pool,
                                                              .granule = 64,
                                                              .single_threaded = true}));
    question = (hpw_question){.policy = "slab", .classes = {1024}, .capacity = 1 << 20};
    CHECK_EQ(hpw_ask(program, &question, NULL, &answer), HPW_OK);
    CHECK_EQ(answer.peak_granted, 3 * 1024); /* each block is a slot of 1024 */
    question.classes[0] = 1000;
    CHECK_EQ(hpw_ask(program, &question, NULL, &answer), HPW_INVALID_ARGUMENT);
    hpw_program_free(program);
}

/* However early memory ends: no program, the code, nothing leaked. */
static void memory_ends(void) {
    static const uint32_t two[] = {2, 1};
    hpw_what_if what = {.from = 5, .threads = two, .thread_count = 2};
    const char *path = trace_path();
    hpw_trace_error error;
    unsigned long at = 1;
    for (; at < 1000; at++) {
        requests = 0;
        fail_at = at;
        memset(&error, 0, sizeof error);
        hpw_program *program = hpw_program_load_as(path, &what, &error);
        bool reached = requests >= at;
        fail_at = 0;
        if (!reached) CHECK(program != NULL);
        hpw_program_free(program);
        if (!reached) break;
        if (!program) CHECK_EQ(error.code, HPW_NO_MEMORY);
    }
    CHECK(at > 8 && at < 1000);
}

int main(void) {
    if (!begin_files()) return 2;
    sizes_change();
    blocks_are_selected();
    windows_are_cut();
    nonsense_is_refused();
    sizes_too_large_are_refused();
    figures_are_of_the_changed_trace();
    memory_ends();
    end_files();
    return CHECK_DONE();
}
