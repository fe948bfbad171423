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
#include "trace_lines.h"

/* The next field of the line, up to a comment; its length is 0 at the end. */
static hpw_field take(hpw_line *line) {
    hpw_field f = hpw_line_field(line);
    if (f.length && *f.start == '#') {
        line->next = line->end;
        f.length = 0;
    }
    return f;
}

static int take_id(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    hpw_field f = take(line);
    if (!f.length) return hpw_line_refuse(trace, "the id is missing");
    if (!hpw_field_decimal(f, UINT64_MAX, &event->id))
        return hpw_field_refuse(trace, f, "is no id: 0 to 2^64 - 1");
    return 1;
}

static int take_size(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    hpw_field f = take(line);
    if (!f.length) return hpw_line_refuse(trace, "the size is missing");
    if (!hpw_field_decimal(f, INT64_MAX, &event->size))
        return hpw_field_refuse(trace, f, "is no size: 0 to 2^63 - 1");
    return 1;
}

static int take_alignment(hpw_trace *trace, hpw_field f, hpw_trace_event *event) {
    if (!hpw_field_decimal(f, INT64_MAX, &event->alignment) || !event->alignment ||
        (event->alignment & (event->alignment - 1)))
        return hpw_field_refuse(trace, f, "is no alignment: a power of two below 2^63");
    return 1;
}

static int take_time(hpw_trace *trace, hpw_field f, hpw_trace_event *event) {
    hpw_field digits = {f.start + 1, f.length - 1};
    if (event->has_time || !hpw_field_decimal(digits, INT64_MAX, &event->time))
        return hpw_field_refuse(trace, f,
                                event->has_time ? "is a second time" : "is no time: @ and nanoseconds");
    event->has_time = true;
    return 1;
}

static int take_thread(hpw_trace *trace, hpw_field f, hpw_trace_event *event) {
    hpw_field digits = {f.start + 1, f.length - 1};
    uint64_t thread = 0;
    if (event->has_thread || !hpw_field_decimal(digits, UINT32_MAX, &thread))
        return hpw_field_refuse(
            trace, f, event->has_thread ? "is a second thread" : "is no thread: % and 0 to 2^32 - 1");
    event->has_thread = true;
    event->thread = (uint32_t)thread;
    return 1;
}

/* What may follow id and size. */
static int take_rest(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    bool may_align = event->kind == HPW_TRACE_ALLOC;
    for (hpw_field f = take(line); f.length; f = take(line)) {
        int taken;
        if (*f.start == '@')
            taken = take_time(trace, f, event);
        else if (*f.start == '%')
            taken = take_thread(trace, f, event);
        else if (may_align && !event->has_time && !event->has_thread)
            taken = take_alignment(trace, f, event);
        else
            taken = hpw_field_refuse(trace, f, "is too much for this line");
        if (taken < 0) return -1;
        may_align = false;
    }
    return 1;
}

/* 1 and the event, 0 for an empty line or a comment, -1. */
static int parse(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    *event = (hpw_trace_event){0};
    hpw_field f = take(line);
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
        return hpw_field_refuse(trace, f, "is no event: a, f or r");
    }
    if (take_id(trace, line, event) < 0) return -1;
    if (event->kind != HPW_TRACE_FREE && take_size(trace, line, event) < 0) return -1;
    return take_rest(trace, line, event);
}

int hpw_text_next(hpw_trace *trace, hpw_trace_event *event) {
    for (;;) {
        hpw_line line;
        int got = hpw_line_read(trace, HPW_LINE_LONGEST, &line);
        if (got <= 0) return got;
        got = parse(trace, &line, event);
        if (got) return got;
    }
}
