/* SPDX-License-Identifier: MIT */
/*
 * The recorder on programs of known behaviour (programs/, compiled here with $CC
 * or cc): what their traces must hold, event by event where that is known.
 * Run from the source folder; HEAPWRIGHT_BUILD names the folder of the recorder.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "record.h"

enum { PATH = 512 };

static char folder[PATH / 2], library[PATH], trace[PATH];

static const char *program(const char *name) {
    static char path[PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static bool compile(const char *name, const char *options) {
    char command[PATH * 3];
    const char *compiler = getenv("CC");
    snprintf(command, sizeof command, "%s -O0 -fno-builtin -w -pthread %s -o '%s' spec/c/programs/%s.c",
             compiler && *compiler ? compiler : "cc", options, program(name), name);
    return CHECK(system(command) == 0);
}

static uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t took; /* ns, the recording that was the last one */

/* Records `name argument`. */
static hpw_recording record(const char *name, const char *argument) {
    hpw_recording recording = {.status = -1};
    hpw_trace_error error = {0};
    char path[PATH];
    snprintf(path, sizeof path, "%s", program(name));
    char *argv[] = {path, (char *)(uintptr_t)argument, NULL};
    uint64_t began = nanoseconds();
    if (!CHECK(hpw_record_run(argv, trace, library, &recording, &error))) printf("  %s\n", error.message);
    took = nanoseconds() - began;
    return recording;
}

/* What a trace holds of the blocks of some sizes. */
typedef struct tally {
    uint64_t allocations, frees, resizes, others; /* others: allocations of other sizes */
    uint64_t latest;                              /* ns: the time of the last event */
    bool read;                                    /* to its end */
    char warning[512];
} tally;

static tally count(const char *file, uint64_t least, uint64_t most) {
    tally t = {0};
    hpw_trace_error error;
    hpw_trace *reader = hpw_trace_open(file, &error);
    if (!reader) printf("  %s\n", error.message);
    hpw_trace_event event;
    while (reader && (t.read = true, hpw_trace_next(reader, &event, &error)) == 1) {
        bool ours = event.size >= least && event.size <= most;
        if (event.kind == HPW_TRACE_ALLOC) ours ? t.allocations++ : t.others++;
        if (event.kind == HPW_TRACE_FREE) t.frees += ours;
        if (event.kind == HPW_TRACE_RESIZE) t.resizes += ours;
        t.latest = event.time;
    }
    if (reader && hpw_trace_failure(reader)) {
        printf("  %s\n", hpw_trace_failure(reader)->message);
        t.read = false;
    }
    const char *warning = reader ? hpw_trace_warning(reader) : error.message;
    if (warning) snprintf(t.warning, sizeof t.warning, "%s", warning);
    hpw_trace_close(reader);
    return t;
}

static void test_family(void) {
    hpw_recording r = record("family", NULL);
    CHECK_EQ(r.status, 42);
    CHECK_EQ(r.count, 1);
    tally t = count(trace, 0, UINT64_MAX);
    CHECK(t.read && !*t.warning);
    CHECK_EQ(t.allocations, 1007);
    CHECK_EQ(t.frees, 506);
    CHECK_EQ(t.resizes, 2);
    CHECK(r.count && r.traces[0].events == 1515 && !strcmp(r.traces[0].program, "family"));
    CHECK(r.count && !strcmp(r.traces[0].file, trace) && r.traces[0].peak == (uint64_t)999 * 500);
    CHECK_EQ(count(trace, 10, 10).allocations, 2); /* posix_memalign's and one of the thousand */
    CHECK_EQ(count(trace, 10000, 10000).resizes, 1);
    hpw_recording_free(&r);
}

static void test_threads(void) {
    hpw_recording r = record("threads", NULL);
    CHECK_EQ(r.status, 0);
    tally t = count(trace, 1000, 1999);
    CHECK(t.read && !*t.warning);
    /* Of 8 * 5000 reallocs those of NULL are allocations. */
    CHECK_EQ(t.allocations + t.resizes, 8 * (20000 + 5000 + 1));
    CHECK_EQ(t.frees, t.allocations);
    CHECK(t.latest > 0 && t.latest <= took); /* what was timed lies in the time that it took */
    hpw_recording_free(&r);
    r = record("short_threads", NULL);
    CHECK_EQ(r.status, 0);
    t = count(trace, 3000, 3000);
    CHECK(t.read && !*t.warning);
    CHECK_EQ(t.allocations, 1000);
    CHECK_EQ(t.frees, 1000);
    hpw_recording_free(&r);
}

static void test_children(void) {
    hpw_recording r = record("children", NULL);
    static const struct {
        uint64_t size, blocks;
    } expected[] = {{100, 3}, {200, 5}, {300, 7}, {300, 7}, {300, 7}, {400, 2}};
    CHECK_EQ(r.status, 7);
    CHECK_EQ(r.count, 6);
    for (size_t i = 0; i < r.count && i < 6; i++) {
        tally t = count(r.traces[i].file, expected[i].size, expected[i].size);
        CHECK(t.read && !*t.warning);
        CHECK_EQ(t.allocations, expected[i].blocks);
        CHECK_EQ(t.others, 0);
        CHECK_EQ(r.traces[i].child, i);
    }
    char name[PATH + 32];
    snprintf(name, sizeof name, "%s.5-children", trace);
    CHECK(r.count == 6 && !strcmp(r.traces[5].file, name));
    snprintf(name, sizeof name, "%s.count", trace);
    CHECK(access(name, F_OK) != 0);
    hpw_recording_free(&r);
    /* The next recording takes the old traces away. */
    r = record("family", NULL);
    CHECK_EQ(r.count, 1);
    snprintf(name, sizeof name, "%s.5-children", trace);
    CHECK(access(name, F_OK) != 0);
    hpw_recording_free(&r);
    r = record("nothing", NULL);
    CHECK(r.status == 6 && r.count == 0 && strstr(r.warning, "allocated nothing"));
    CHECK(access(trace, F_OK) != 0);
    hpw_recording_free(&r);
}

static void test_forking_threads(void) {
    hpw_recording r = record("forking_threads", NULL);
    CHECK_EQ(r.status, 0);
    CHECK_EQ(r.count, 51);
    CHECK(!*count(trace, 0, 0).warning);
    for (size_t i = 1; i < r.count; i++) {
        tally t = count(r.traces[i].file, 600, 600);
        if (!CHECK(t.read && t.allocations == 10 && !t.others && !strstr(t.warning, "missing"))) break;
    }
    hpw_recording_free(&r);
}

static void test_ends(void) {
    static const struct {
        const char *how;
        int status;
        const char *sizes; /* last digits of the blocks of 101 ... 106 bytes */
    } ends[] = {{"return", 0, "1235"}, {"exit", 1, "1235"},      {"_exit", 2, "12"},
                {"_Exit", 3, "12"},    {"quick_exit", 4, "124"}, {"abort", 128 + SIGABRT, "12"},
                {"handler", 5, "126"}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        hpw_recording r = record("ends", ends[i].how);
        bool well = CHECK_EQ(r.status, ends[i].status);
        for (uint64_t digit = 1; digit <= 6; digit++) {
            tally t = count(trace, 100 + digit, 100 + digit);
            bool expected = strchr(ends[i].sizes, (int)('0' + digit)) != NULL;
            well &= CHECK_EQ(t.allocations, expected);
            well &= CHECK(t.read && !*t.warning);
        }
        if (!well) printf("  ended by %s\n", ends[i].how);
        hpw_recording_free(&r);
    }
}

static void test_killed(void) {
    hpw_recording r = record("killed", NULL);
    CHECK_EQ(r.status, 128 + SIGKILL);
    tally t = count(trace, 32, 32);
    CHECK(t.read && strstr(t.warning, "cut off at byte"));
    CHECK(t.allocations > 100000 - 2048 && t.allocations <= 100000);
    hpw_recording_free(&r);
}

static void test_handlers(void) {
    setenv("LD_PRELOAD", program("safe_malloc"), 1); /* for the recorded program alone */
    hpw_recording r = record("handlers", NULL);
    unsetenv("LD_PRELOAD");
    tally main = count(trace, 50, 50), handler = count(trace, 60, 60);
    CHECK(main.read && !*main.warning);
    CHECK_EQ(main.allocations, 300000);
    CHECK_EQ(main.frees, 300000);
    CHECK(r.status >= 64 && handler.allocations % 20 == 0);
    CHECK_EQ(handler.allocations / 20 % 64 + 64, r.status);
    CHECK_EQ(handler.frees, handler.allocations);
    hpw_recording_free(&r);
}

static void test_hostile_surroundings(void) {
    hpw_recording r = record("full_disk", NULL);
    CHECK_EQ(r.status, 9);
    tally t = count(trace, 24, 24);
    CHECK(t.read && strstr(t.warning, "the recording stopped at byte") && strstr(t.warning, strerror(EFBIG)));
    CHECK(t.allocations > 2000 && t.allocations < 200000);
    hpw_recording_free(&r);
    char own[PATH];
    snprintf(own, sizeof own, "%s", program("own_file"));
    r = record("closed", own);
    CHECK_EQ(r.status, 11);
    t = count(trace, 40, 40);
    CHECK(t.read && !*t.warning);
    CHECK_EQ(t.allocations, 50000);
    hpw_recording_free(&r);
    r = record("closed", "full");
    CHECK_EQ(r.status, 12);
    t = count(trace, 41, 41);
    CHECK(t.read && !*t.warning);
    CHECK_EQ(t.allocations, 50000);
    CHECK(CHECK_EQ(r.count, 2) && count(r.traces[1].file, 42, 42).allocations == 1);
    hpw_recording_free(&r);
}

static void refused(char *const argv[], const char *file, const char *with, hpw_error code,
                    const char *says) {
    hpw_recording r;
    hpw_trace_error error = {0};
    CHECK(!hpw_record_run(argv, file, with, &r, &error));
    CHECK_EQ(error.code, code);
    if (!CHECK(strstr(error.message, says) != NULL)) printf("  it said: %s\n", error.message);
    CHECK(access(trace, F_OK) != 0);
}

static void test_refused(void) {
    char family[PATH], text[PATH], missing[PATH];
    snprintf(family, sizeof family, "%s", program("family"));
    snprintf(missing, sizeof missing, "%s", program("no/such/folder/trace"));
    snprintf(text, sizeof text, "%s", program("broken"));
    FILE *broken = fopen(text, "w");
    CHECK(broken && fputs("#!/no/such/interpreter\n", broken) > 0 && !fclose(broken) && !chmod(text, 0700));
    char *const known[] = {family, NULL}, *const none[] = {NULL};
    char *const unknown[] = {(char *)(uintptr_t) "no-such-program-anywhere", NULL}, *const bad[] = {text,
                                                                                                    NULL};
    unlink(trace);
    refused(none, trace, library, HPW_INVALID_ARGUMENT, "no program");
    refused(unknown, trace, library, HPW_IO, strerror(ENOENT));
    refused(bad, trace, library, HPW_IO, strerror(ENOENT)); /* only exec can tell */
    refused(known, trace, program("none.so"), HPW_IO, strerror(ENOENT));
    refused(known, missing, library, HPW_IO, strerror(ENOENT));
    refused(known, folder, library, HPW_INVALID_ARGUMENT, "no regular file");
}

/* A signal that another process sends goes on to the program. */
static void test_forwarded(void) {
    pid_t pid = fork();
    if (pid == 0) {
        hpw_recording r;
        hpw_trace_error error;
        char *argv[] = {(char *)(uintptr_t) "sleep", (char *)(uintptr_t) "20", NULL};
        if (!hpw_record_run(argv, trace, library, &r, &error)) _exit(1);
        _exit(r.status == 128 + SIGTERM ? 77 : 2);
    }
    usleep(300000);
    kill(pid, SIGTERM);
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 77);
}

int main(void) {
    const char *build = getenv("HEAPWRIGHT_BUILD"), *temporary = getenv("TMPDIR");
    snprintf(library, sizeof library, "%s/libheapwright-record.so", build ? build : "build");
    snprintf(folder, sizeof folder, "%s/heapwright-record-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) return 2;
    snprintf(trace, sizeof trace, "%s/trace.hwt", folder);
    static const char *const programs[] = {"family",          "threads", "short_threads", "children",
                                           "forking_threads", "killed",  "ends",          "handlers",
                                           "full_disk",       "closed",  "nothing"};
    bool ready = compile("safe_malloc", "-shared -fPIC");
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) ready &= compile(programs[i], "");
    if (ready) {
        test_family();
        test_threads();
        test_children();
        test_forking_threads();
        test_ends();
        test_killed();
        for (int i = 0; i < 5; i++) test_handlers();
        test_hostile_surroundings();
        test_refused();
        test_forwarded();
    }
    char command[PATH];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
    return CHECK_DONE();
}
