/* SPDX-License-Identifier: MIT */
/*
 * Parts of programs: what a try leaves, and what it changes where it fails or
 * where the system has no memory for it: nothing. The linker leads malloc and
 * calloc through here (--wrap). That a part fails and gets no smaller is asked in
 * spec/minimize_command_spec.lua.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "failing_memory.h"
#include "part.h"

static hpw_program *load(const char *text) {
    char path[64];
    hpw_trace_error error;
    snprintf(path, sizeof path, "/tmp/heapwright-part-%ld.txt", (long)getpid());
    FILE *file = fopen(path, "w");
    if (!file) exit(2);
    fputs(text, file);
    fclose(file);
    hpw_program *program = hpw_program_load(path, &error);
    remove(path);
    if (!program) exit(2);
    return program;
}

/* The part as a text, to be compared. */
static const char *text_of(const hpw_part *part) {
    static char text[1024];
    size_t used = 0;
    text[0] = '\0';
    for (uint64_t i = 0; i < hpw_part_count(part).events; i++) {
        hpw_trace_event event = hpw_part_event(part, i);
        used += (size_t)snprintf(text + used, sizeof text - used, "%c%llu:%llu/%llu ", "afr"[event.kind],
                                 (unsigned long long)event.id,
                                 event.kind == HPW_TRACE_FREE ? 0ULL : (unsigned long long)event.size,
                                 (unsigned long long)event.alignment);
    }
    return text;
}

/* Two blocks of 32 that go, with a hole between them; 64 are nowhere in 96 bytes. Slots are used again. */
static const char *const holes =
    "a 1 10\nf 1\na 2 32\na 3 32 32\na 4 32\nr 3 20\nf 2\nf 4\na 5 64\na 6 1\nf 6\n";

static const hpw_question in_96 = {.policy = "first-fit", .capacity = 96};

static void test_open(void) {
    hpw_error error;
    hpw_program *program = load(holes);
    hpw_question question = in_96;
    hpw_part *part = hpw_part_open(program, &question, &error);
    hpw_program_free(program); /* it is not needed any more */
    if (!part) exit(2);
    CHECK(!strcmp(text_of(part), "a1:10/0 f1:0/0 a2:32/0 a3:32/32 a4:32/0 r3:20/0 f2:0/0 f4:0/0 a5:64/0 "));
    hpw_part_counts counts = hpw_part_count(part);
    CHECK_EQ(counts.blocks, 5);
    CHECK_EQ(counts.events, 9);
    CHECK_EQ(counts.changes, 4);
    CHECK_EQ(counts.sizes, 6);
    CHECK(hpw_part_is_fragmented(part));
    CHECK_EQ(hpw_part_size(part, 5), 64);
    CHECK_EQ(hpw_part_size(part, 6), 0);
    hpw_part_close(part);
    hpw_part_close(NULL);
}

static void test_refused_open(void) {
    hpw_error error;
    hpw_program *program = load(holes);
    CHECK(!hpw_part_open(program, &(hpw_question){.policy = "first-fit"}, &error));
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
    CHECK(!hpw_part_open(program, &(hpw_question){.policy = "none", .capacity = 96}, &error));
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
    CHECK(!hpw_part_open(program, &(hpw_question){.policy = "buddy", .capacity = 4096}, &error));
    CHECK_EQ(error, HPW_LIMIT);
    hpw_program_free(program);
}

static void test_tries(void) {
    hpw_error error;
    bool fails;
    hpw_program *program = load(holes);
    hpw_part *part = hpw_part_open(program, &in_96, &error);
    hpw_program_free(program);
    if (!part) exit(2);
    CHECK_EQ(hpw_part_drop_blocks(part, 2, 2, &fails), HPW_OK); /* without the one between */
    CHECK(!fails);
    CHECK_EQ(hpw_part_count(part).blocks, 5);
    CHECK_EQ(hpw_part_drop_blocks(part, 4, 9, &fails), HPW_OK); /* without the one that is refused */
    CHECK(!fails);
    CHECK_EQ(hpw_part_drop_blocks(part, 0, 0, &fails), HPW_OK);
    CHECK(fails);
    CHECK(!strcmp(text_of(part), "a1:32/0 a2:32/32 a3:32/0 r2:20/0 f1:0/0 f3:0/0 a4:64/0 "));
    /* Without the frees it fails too, but for want of room: that is another failure. */
    CHECK_EQ(hpw_part_drop_changes(part, 1, 2, &fails), HPW_OK);
    CHECK(!fails);
    CHECK_EQ(hpw_part_drop_freed(part, UINT64_MAX, &fails), HPW_OK);
    CHECK_EQ(hpw_part_count(part).blocks, fails ? 2 : 4);
    CHECK_EQ(hpw_part_drop_smaller(part, 1000, &fails), HPW_OK);
    CHECK(!fails);
    uint64_t last = hpw_part_count(part).sizes - 1;
    CHECK_EQ(hpw_part_set_size(part, last, 1, &fails), HPW_OK);
    CHECK(!fails);
    CHECK_EQ(hpw_part_size(part, last), 64);
    CHECK_EQ(hpw_part_set_size(part, last + 1, 1, &fails), HPW_OK); /* there is none */
    CHECK(!fails);
    hpw_part_close(part);
}

static void test_no_memory(void) {
    hpw_error error;
    hpw_program *program = load(holes);
    unsigned long number = 0;
    hpw_part *part;
    do {
        fail_from(++number, false);
        part = hpw_part_open(program, &in_96, &error);
        CHECK(part || error == HPW_NO_MEMORY);
    } while (!part && number < 100);
    CHECK(number > 6 && number < 100);
    fail_from(0, false);
    hpw_program_free(program);
    char before[1024];
    strcpy(before, text_of(part));
    for (number = 1;; number++) {
        bool fails = true;
        fail_from(number, false);
        error = hpw_part_drop_blocks(part, 0, 0, &fails);
        fail_from(0, false);
        if (!error) break;
        CHECK_EQ(error, HPW_NO_MEMORY);
        CHECK(!fails);
        CHECK(!strcmp(text_of(part), before));
    }
    CHECK(number > 1);
    CHECK_EQ(hpw_part_count(part).blocks, 4);
    hpw_part_close(part);
}

int main(void) {
    test_open();
    test_refused_open();
    test_tries();
    test_no_memory();
    return CHECK_DONE();
}
