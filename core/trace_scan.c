/* SPDX-License-Identifier: MIT */
/*
 * What can be said of a whole trace after one pass, and the copying of one
 * into another format. O(events), memory as the reader's.
 */
#include "trace.h"
#include "trace_live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct scan {
    hpw_trace_summary *summary;
    hpw_live_table threads; /* numbers seen */
    bool has_thread;
    uint32_t thread;  /* the last one, which is in the table */
    uint64_t rounded; /* live bytes, each block rounded up to 16 */
    uint64_t first_time, last_time;
    bool timed;
} scan;

static uint64_t round_up(uint64_t size) { return size ? (size + 15) & ~(uint64_t)15 : 16; }

bool hpw_trace_sum(uint64_t *sum, const hpw_trace_event *event) {
    if (event->kind == HPW_TRACE_RESIZE) *sum -= round_up(event->previous);
    if (event->kind == HPW_TRACE_FREE) {
        *sum -= round_up(event->size);
        return true;
    }
    bool fits = round_up(event->size) <= (uint64_t)INT64_MAX - *sum;
    if (fits) *sum += round_up(event->size);
    return fits;
}

void hpw_trace_refuse_sum(hpw_trace_error *error, const char *path, uint64_t number) {
    hpw_trace_fail(error, HPW_CORRUPTED, "%s: event %llu: more than 2^63 - 1 bytes live at once", path,
                   (unsigned long long)number);
}

/* Counts a thread that was not seen before. False without memory. */
static bool note_thread(scan *s, const hpw_trace_event *event) {
    if (!event->has_thread || (s->has_thread && event->thread == s->thread)) return true;
    s->has_thread = true;
    s->thread = event->thread;
    if (hpw_live_find(&s->threads, event->thread)) return true;
    return hpw_live_add(&s->threads, &(hpw_live){.key = event->thread});
}

static void note_time(scan *s, const hpw_trace_event *event) {
    if (!event->has_time) return;
    if (!s->timed) s->first_time = s->last_time = event->time;
    s->timed = true;
    if (event->time > s->last_time) s->last_time = event->time;
}

static void note_size(scan *s, const hpw_trace_event *event) {
    hpw_trace_summary *sum = s->summary;
    switch (event->kind) {
    case HPW_TRACE_ALLOC:
        sum->allocations++;
        sum->live_blocks++;
        sum->live_bytes += event->size;
        break;
    case HPW_TRACE_FREE:
        sum->frees++;
        sum->live_blocks--;
        sum->live_bytes -= event->size;
        break;
    case HPW_TRACE_RESIZE:
        sum->resizes++;
        sum->live_bytes += event->size - event->previous;
        break;
    }
    if (event->kind != HPW_TRACE_FREE && event->size > sum->largest) sum->largest = event->size;
    if (sum->live_bytes > sum->peak_in_use) sum->peak_in_use = sum->live_bytes;
    if (sum->live_blocks > sum->peak_blocks) sum->peak_blocks = sum->live_blocks;
    if (s->rounded > sum->lower_bound) sum->lower_bound = s->rounded;
}

static bool scan_events(scan *s, hpw_trace *trace, const char *path, hpw_trace_error *error) {
    hpw_trace_event event;
    int got;
    while ((got = hpw_trace_next(trace, &event, error)) == 1) {
        if (!hpw_trace_sum(&s->rounded, &event)) {
            hpw_trace_refuse_sum(error, path, s->summary->events + 1);
            return false;
        }
        if (!note_thread(s, &event)) {
            hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to count its threads", path);
            return false;
        }
        note_time(s, &event);
        note_size(s, &event);
        s->summary->events++;
    }
    return got == 0;
}

bool hpw_trace_scan(const char *path, hpw_trace_summary *summary, hpw_trace_error *error) {
    hpw_trace *trace = hpw_trace_open(path, error);
    if (!trace) return false;
    *summary = (hpw_trace_summary){.format = hpw_trace_format_of(trace)};
    snprintf(summary->program, sizeof summary->program, "%s", hpw_trace_program(trace));
    snprintf(summary->packing, sizeof summary->packing, "%s", hpw_trace_packing(trace));
    scan s = {.summary = summary};
    bool well = scan_events(&s, trace, path, error);
    if (well) {
        const char *warning = hpw_trace_warning(trace);
        snprintf(summary->warning, sizeof summary->warning, "%s", warning ? warning : "");
        summary->threads = s.threads.count;
        summary->duration = s.last_time - s.first_time;
    }
    hpw_live_free(&s.threads);
    hpw_trace_close(trace);
    return well;
}

/* ---- Converting -------------------------------------------------------------------- */

char *hpw_trace_part_name(const char *path) {
    struct stat status;
    bool replace = lstat(path, &status) != 0 || S_ISREG(status.st_mode);
    size_t n = strlen(path) + 32;
    char *name = malloc(n);
    if (!name) return NULL;
    if (replace)
        snprintf(name, n, "%s.part%ld", path, (long)getpid());
    else
        snprintf(name, n, "%s", path);
    return name;
}

static bool copy(hpw_trace *trace, hpw_trace_writer *writer, char lost[512], hpw_trace_error *error) {
    hpw_trace_event event;
    int got;
    while ((got = hpw_trace_next(trace, &event, error)) == 1)
        if (!hpw_trace_put(writer, &event)) break;
    /* Of two errors the reader's came first. */
    bool finished = hpw_trace_finish_telling(writer, lost, got < 0 ? NULL : error);
    return finished && got == 0;
}

/* Nobody knows the name under which the copy grows: what failed is `to`. */
static void name_target(hpw_trace_error *error, const char *name, const char *to) {
    char rest[sizeof error->message];
    size_t n = strlen(name);
    if (strncmp(error->message, name, n) != 0) return;
    memcpy(rest, error->message + n, strlen(error->message) - n + 1);
    snprintf(error->message, sizeof error->message, "%s%s", to, rest);
}

/* Copies into `name`, then gives it the name `to`. */
static bool convert_by(hpw_trace *trace, const char *name, const char *to, hpw_trace_format format,
                       char lost[512], hpw_trace_error *error) {
    hpw_trace_writer *writer = hpw_trace_create(name, format, error);
    bool separate = strcmp(name, to) != 0;
    bool well = writer && copy(trace, writer, lost, error);
    if (well && separate && rename(name, to)) {
        hpw_trace_fail(error, HPW_IO, "%s: %s", to, strerror(errno));
        well = false;
    }
    if (!well && separate) unlink(name);
    if (!well && separate && error) name_target(error, name, to);
    return well;
}

/* Appends a clause to a line of 512 bytes, as far as it has room; NULL and "" are none. */
static void append(char line[512], const char *clause) {
    if (!clause || !*clause) return;
    if (*line) strncat(line, "; ", 511 - strlen(line));
    strncat(line, clause, 511 - strlen(line));
}

bool hpw_trace_convert(const char *from, const char *to, hpw_trace_format format, char *warning,
                       hpw_trace_error *error) {
    hpw_trace *trace = hpw_trace_open(from, error);
    if (!trace) return false;
    char *name = hpw_trace_part_name(to);
    if (!name) hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to write it", to);
    char lost[512] = "";
    bool well = name && convert_by(trace, name, to, format, lost, error);
    if (well && warning) {
        warning[0] = '\0';
        append(warning, hpw_trace_warning(trace));
        append(warning, lost);
    }
    free(name);
    hpw_trace_close(trace);
    return well;
}
