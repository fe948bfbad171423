/* SPDX-License-Identifier: MIT */
/* What the tests of traces share: a folder of their own, and a whole trace read into an array. */
#ifndef HPW_TRACE_FILES_H
#define HPW_TRACE_FILES_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "trace.h"

enum { PATH = 256, EVENTS = 256 };

static char folder[PATH / 2];

/* The name of a file in the test's folder; two at a time. */
static inline const char *in_folder(const char *name) {
    static char paths[2][PATH];
    static int turn;
    turn = !turn;
    snprintf(paths[turn], PATH, "%s/%s", folder, name);
    return paths[turn];
}

static inline void put_file(const char *path, const void *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, n, file) == n && !fclose(file));
}

/* What reading a trace to its end gave. */
typedef struct reading {
    int ended; /* 0 at the end, -1 failed */
    size_t count;
    hpw_trace_event events[EVENTS];
    bool warned;
    char warning[512];
    hpw_trace_error error;
} reading;

static inline void read_trace(const char *path, reading *r) {
    memset(r, 0, sizeof *r);
    r->ended = -1;
    hpw_trace *trace = hpw_trace_open(path, &r->error);
    if (!trace) return;
    hpw_trace_event event;
    while ((r->ended = hpw_trace_next(trace, &event, &r->error)) == 1)
        if (r->count < EVENTS) r->events[r->count++] = event;
    const char *warning = hpw_trace_warning(trace);
    r->warned = warning != NULL;
    if (warning) snprintf(r->warning, sizeof r->warning, "%s", warning);
    CHECK((hpw_trace_failure(trace) != NULL) == (r->ended < 0));
    CHECK_EQ(hpw_trace_next(trace, &event, NULL), r->ended); /* it stays so */
    hpw_trace_close(trace);
}

static inline bool same_event(const hpw_trace_event *a, const hpw_trace_event *b) {
    return a->kind == b->kind && a->id == b->id && a->size == b->size && a->previous == b->previous &&
           a->alignment == b->alignment && a->has_time == b->has_time && a->time == b->time &&
           a->has_thread == b->has_thread && a->thread == b->thread && a->slot == b->slot;
}

/* Are the events of `a` the first of those of `b`? */
static inline bool is_prefix(const reading *a, const reading *b) {
    if (a->count > b->count) return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_event(&a->events[i], &b->events[i])) return false;
    return true;
}

static inline bool same(const reading *a, const reading *b) {
    return a->count == b->count && is_prefix(a, b);
}

/* Makes the folder. */
static inline bool begin_files(void) {
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/heapwright-trace-XXXXXX", temporary ? temporary : "/tmp");
    return mkdtemp(folder) != NULL;
}

/* Removes it. */
static inline void end_files(void) {
    char command[PATH + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
}

#endif
