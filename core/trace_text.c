/* SPDX-License-Identifier: MIT */
/*
 * Text traces, one event a line:
 *
 *      a ID SIZE [ALIGN] [@NANOSECONDS] [%THREAD]
 *      f ID              [@NANOSECONDS] [%THREAD]
 *      r ID SIZE         [@NANOSECONDS] [%THREAD]
 *
 * Numbers are decimal; blanks are spaces and tabs; `#` where a field could
 * begin makes the rest a comment; lines may end in CR LF; empty ones are
 * skipped. A line is at most 4096 bytes, so that what is no trace is refused
 * within its first 4 KiB. O(bytes), one buffer.
 */
#include "trace_reader.h"

#include <string.h>

enum { LINE_LONGEST = 4096 };

/* A line and how far it is read. */
typedef struct cursor {
    const char *next, *end;
} cursor;

typedef struct field {
    const char *start;
    size_t length;
} field;

static int refuse(hpw_trace *trace, const char *what) {
    hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s:%llu: %s", trace->input.path,
                   (unsigned long long)trace->line, what);
    return -1;
}

/* Says what is wrong with a field, with the field shown as far as it can be. */
static int refuse_field(hpw_trace *trace, field f, const char *what) {
    char shown[33];
    size_t n = f.length < sizeof shown - 1 ? f.length : sizeof shown - 1;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)f.start[i];
        shown[i] = (char)(c < 0x20 || c > 0x7e ? '?' : c);
    }
    shown[n] = '\0';
    hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s:%llu: \"%s%s\" %s", trace->input.path,
                   (unsigned long long)trace->line, shown, n < f.length ? "..." : "", what);
    return -1;
}

/* The next field of the line; its length is 0 at the end. */
static field take(cursor *line) {
    while (line->next < line->end && (*line->next == ' ' || *line->next == '\t')) line->next++;
    field f = {.start = line->next};
    if (line->next < line->end && *line->next == '#') line->next = line->end;
    if (line->next == line->end) return f;
    while (line->next < line->end && *line->next != ' ' && *line->next != '\t') line->next++;
    f.length = (size_t)(line->next - f.start);
    return f;
}

/* False for what is no decimal number or above `most`. */
static bool number(field f, uint64_t most, uint64_t *n) {
    uint64_t value = 0;
    for (size_t i = 0; i < f.length; i++) {
        if (f.start[i] < '0' || f.start[i] > '9') return false;
        uint64_t digit = (uint64_t)(f.start[i] - '0');
        if (value > (most - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *n = value;
    return f.length > 0;
}

static int take_id(hpw_trace *trace, cursor *line, hpw_trace_event *event) {
    field f = take(line);
    if (!f.length) return refuse(trace, "the id is missing");
    if (!number(f, UINT64_MAX, &event->id)) return refuse_field(trace, f, "is no id: 0 to 2^64 - 1");
    return 1;
}

static int take_size(hpw_trace *trace, cursor *line, hpw_trace_event *event) {
    field f = take(line);
    if (!f.length) return refuse(trace, "the size is missing");
    if (!number(f, INT64_MAX, &event->size)) return refuse_field(trace, f, "is no size: 0 to 2^63 - 1");
    return 1;
}

static int take_alignment(hpw_trace *trace, field f, hpw_trace_event *event) {
    if (!number(f, INT64_MAX, &event->alignment) || !event->alignment ||
        (event->alignment & (event->alignment - 1)))
        return refuse_field(trace, f, "is no alignment: a power of two below 2^63");
    return 1;
}

static int take_time(hpw_trace *trace, field f, hpw_trace_event *event) {
    field digits = {f.start + 1, f.length - 1};
    if (event->has_time || !number(digits, INT64_MAX, &event->time))
        return refuse_field(trace, f, event->has_time ? "is a second time" : "is no time: @ and nanoseconds");
    event->has_time = true;
    return 1;
}

static int take_thread(hpw_trace *trace, field f, hpw_trace_event *event) {
    field digits = {f.start + 1, f.length - 1};
    uint64_t thread = 0;
    if (event->has_thread || !number(digits, UINT32_MAX, &thread))
        return refuse_field(trace, f,
                            event->has_thread ? "is a second thread" : "is no thread: % and 0 to 2^32 - 1");
    event->has_thread = true;
    event->thread = (uint32_t)thread;
    return 1;
}

/* What may follow id and size. */
static int take_rest(hpw_trace *trace, cursor *line, hpw_trace_event *event) {
    bool may_align = event->kind == HPW_TRACE_ALLOC;
    for (field f = take(line); f.length; f = take(line)) {
        int taken;
        if (*f.start == '@')
            taken = take_time(trace, f, event);
        else if (*f.start == '%')
            taken = take_thread(trace, f, event);
        else if (may_align && !event->has_time && !event->has_thread)
            taken = take_alignment(trace, f, event);
        else
            taken = refuse_field(trace, f, "is too much for this line");
        if (taken < 0) return -1;
        may_align = false;
    }
    return 1;
}

/* 1 and the event, 0 for an empty line or a comment, -1. */
static int parse(hpw_trace *trace, cursor *line, hpw_trace_event *event) {
    *event = (hpw_trace_event){0};
    field f = take(line);
    if (!f.length) return 0;
    switch (f.length == 1 ? *f.start : '\0') {
    case 'a':
        event->kind = HPW_TRACE_ALLOC;
        break;
    case 'f':
        event->kind = HPW_TRACE_FREE;
        break;
    case 'r':
        event->kind = HPW_TRACE_RESIZE;
        break;
    default:
        return refuse_field(trace, f, "is no event: a, f or r");
    }
    if (take_id(trace, line, event) < 0) return -1;
    if (event->kind != HPW_TRACE_FREE && take_size(trace, line, event) < 0) return -1;
    return take_rest(trace, line, event);
}

/* The next line without its end: 1, 0 at the end of the file, -1. */
static int read_line(hpw_trace *trace, cursor *line) {
    hpw_input *input = &trace->input;
    trace->line++;
    size_t length = 0;
    const uint8_t *end = NULL;
    for (;;) {
        const uint8_t *start = input->buffer + input->begin;
        size_t have = input->end - input->begin;
        end = have > length ? memchr(start + length, '\n', have - length) : NULL;
        length = end ? (size_t)(end - start) : have;
        if (end || length > LINE_LONGEST) break;
        int more = hpw_input_more(input, &trace->error);
        if (more < 0) return -1;
        if (!more) break;
    }
    const char *start = (const char *)input->buffer + input->begin;
    size_t checked = length < LINE_LONGEST ? length : LINE_LONGEST;
    if (checked && memchr(start, '\0', checked)) return refuse(trace, "holds a NUL byte: this is no text");
    if (length > LINE_LONGEST) return refuse(trace, "the line is longer than 4096 bytes");
    if (!end && !length) return 0;
    if (!end) trace->notes.no_line_end = true;
    size_t used = length + (end != NULL);
    input->begin += used;
    input->offset += used;
    if (length && start[length - 1] == '\r') length--;
    *line = (cursor){.next = start, .end = start + length};
    return 1;
}

int hpw_text_next(hpw_trace *trace, hpw_trace_event *event) {
    for (;;) {
        cursor line;
        int got = read_line(trace, &line);
        if (got <= 0) return got;
        got = parse(trace, &line, event);
        if (got) return got;
    }
}
