/* SPDX-License-Identifier: MIT */
/*
 * Traces of other programs where the system has no memory: each request that a
 * reader or a writer makes is refused in turn, once alone and once with all that
 * follow. It then says so, or does without; nothing leaks, no event is false. The
 * linker leads malloc, calloc and realloc through here (--wrap).
 */
#include "failing_memory.h"
#include "trace_files.h"

static const struct {
    hpw_trace_format format;
    const char *text;
} samples[] = {
    {HPW_TRACE_REP, "9\n2\n6\n1\na 0 16\na 1 24\nr 0 40\nr 1 0\nf 1\nf 0\n"},
    {HPW_TRACE_MTRACE, "= Start\n+ 0x10 0x20\n< 0x10\n> 0x30 0x40\n+ 0x50 0x1\n+ 0x50 0x2\n- 0x30\n"},
    {HPW_TRACE_MEMORY_REPLAY,
     "1: malloc 0x10 5\n1: realloc 0x20 0x10 6\n2: memalign 0x30 64 7\n2: free 0x20\n"},
    {HPW_TRACE_VALGRIND, "--1-- malloc(4) = 0x10\n--1-- realloc(0x10,5) = 0x20\n--1-- free(0x20)\n"},
    {HPW_TRACE_LTRACE, "1 malloc(4) = 0x1010\n1 realloc(0x1010, 5 <unfinished ...>\n"
                       "2 malloc(3) = 0x1010\n1 <... realloc resumed> ) = 0x1020\n1 free(0x1020) = <void>\n"},
    {HPW_TRACE_HEAPTRACK, "v 10400 3\n+ 10 1 aa0\n+ 20 1 bb0\n- aa0\n"},
    {HPW_TRACE_MINIMALLOC, "id,lower,upper,size\na,0,5,6\nb,1,2,3\nc,2,9,4\n"},
};

enum { SAMPLES = sizeof samples / sizeof *samples };

/* Reads a sample with a request refused. Did it come to that request? */
static bool read_short(const char *path, const reading *whole, unsigned long number, bool on) {
    static reading r;
    fail_from(number, on);
    read_trace(path, &r);
    bool reached = requests >= number;
    fail_from(0, false);
    if (r.ended < 0) CHECK(r.error.code == HPW_NO_MEMORY && strstr(r.error.message, path));
    CHECK(is_prefix(&r, whole));
    CHECK(reached ? r.ended < 0 : r.ended == 0);
    return reached;
}

static void test_reading(void) {
    for (size_t i = 0; i < SAMPLES; i++) {
        static reading whole;
        const char *path = in_folder("sample");
        put_file(path, samples[i].text, strlen(samples[i].text));
        read_trace(path, &whole);
        CHECK(whole.ended == 0 && whole.count >= 3);
        unsigned long number = 1;
        while (read_short(path, &whole, number, false)) number++;
        CHECK(number > 3);
        for (number = 1; read_short(path, &whole, number, true);) number++;
    }
}

/* Converts with a request refused. Did it come to that request? */
static bool convert_short(const char *from, const char *to, hpw_trace_format format, unsigned long number) {
    hpw_trace_error error = {0};
    fail_from(number, false);
    bool well = hpw_trace_convert(from, to, format, NULL, &error);
    bool reached = requests >= number;
    fail_from(0, false);
    CHECK_EQ(well, !reached);
    CHECK(well || (error.code == HPW_NO_MEMORY && error.message[0]));
    CHECK_EQ(access(to, F_OK) == 0, well);
    return reached;
}

static void test_writing(void) {
    char from[PATH], to[PATH];
    snprintf(from, sizeof from, "%s/sample", folder);
    snprintf(to, sizeof to, "%s/written", folder);
    for (size_t i = 0; i < SAMPLES; i++) {
        put_file(from, samples[i].text, strlen(samples[i].text));
        for (int format = 0; format < HPW_TRACE_WRITABLE; format++) {
            unsigned long number = 1;
            unlink(to);
            while (convert_short(from, to, (hpw_trace_format)format, number)) number++;
            CHECK(number > 5);
        }
    }
}

/* What a caller may get wrong. */
static void test_misuse(void) {
    hpw_trace_error error = {0};
    const char *path = in_folder("misuse");
    CHECK(!hpw_trace_create(path, HPW_TRACE_MTRACE, &error) && error.code == HPW_INVALID_ARGUMENT);
    CHECK(!hpw_trace_create(path, HPW_TRACE_FORMATS, &error) && error.code == HPW_INVALID_ARGUMENT);
    for (int format = HPW_TRACE_REP; format <= HPW_TRACE_MINIMALLOC; format++) {
        hpw_trace_writer *writer = hpw_trace_create(path, (hpw_trace_format)format, &error);
        CHECK(writer && hpw_trace_put(writer, &(hpw_trace_event){.id = 1, .size = 5}));
        CHECK(!hpw_trace_put(writer, &(hpw_trace_event){.kind = HPW_TRACE_FREE, .id = 2}));
        CHECK(!hpw_trace_put(writer, &(hpw_trace_event){.kind = HPW_TRACE_FREE, .id = 1}));
        CHECK(!hpw_trace_finish(writer, &error) && error.code == HPW_INVALID_ARGUMENT);
        CHECK(strstr(error.message, "event 2: id 2 is not live") != NULL);
    }
    for (int format = 0; format < HPW_TRACE_FORMATS; format++)
        CHECK(hpw_trace_format_name((hpw_trace_format)format) != NULL);
    CHECK(!hpw_trace_format_name(HPW_TRACE_FORMATS));
    CHECK(!hpw_trace_format_loses(HPW_TRACE_TEXT) && hpw_trace_format_loses(HPW_TRACE_REP));
}

int main(void) {
    if (!CHECK(begin_files())) return CHECK_DONE();
    test_reading();
    test_writing();
    test_misuse();
    end_files();
    return CHECK_DONE();
}
