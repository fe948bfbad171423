/* SPDX-License-Identifier: MIT */
/* Lines of a text: see trace_lines.h. */
#include "trace_lines.h"

#include <stdio.h>

int hpw_line_refuse(hpw_trace *trace, const char *what) {
    hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s:%llu: %s", trace->input.path,
                   (unsigned long long)trace->line, what);
    return -1;
}

int hpw_field_refuse(hpw_trace *trace, hpw_field f, const char *what) {
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

int hpw_line_refuse_whole(hpw_trace *trace, const char *what) {
    return trace->notes.no_line_end ? 0 : hpw_line_refuse(trace, what);
}

/*
 * Finds the next line's end, at most `longest` bytes away: *length is that of the
 * line, longer than `longest` where it goes on. 1 where the end is there, 0 where
 * it isn't, -1.
 */
static int find_end(hpw_trace *trace, size_t longest, size_t *length) {
    hpw_input *input = &trace->input;
    *length = 0;
    for (;;) {
        const uint8_t *start = input->buffer + input->begin;
        size_t have = input->end - input->begin;
        const uint8_t *end = have > *length ? memchr(start + *length, '\n', have - *length) : NULL;
        *length = end ? (size_t)(end - start) : have;
        if (end || *length > longest) return end != NULL;
        int more = hpw_input_more(input, &trace->error);
        if (more < 0) return -1;
        if (!more) return 0;
    }
}

/* The line of `length` bytes becomes *line; `ended`: its line end follows. */
static void take(hpw_trace *trace, size_t length, bool ended, hpw_line *line) {
    hpw_input *input = &trace->input;
    const char *start = (const char *)input->buffer + input->begin;
    input->begin += length + ended;
    input->offset += length + ended;
    if (length && start[length - 1] == '\r') length--;
    *line = (hpw_line){.next = start, .end = start + length};
}

int hpw_line_read_slowly(hpw_trace *trace, size_t longest, hpw_line *line) {
    trace->line++;
    size_t length;
    int ended = find_end(trace, longest, &length);
    if (ended < 0) return -1;
    const char *start = (const char *)trace->input.buffer + trace->input.begin;
    size_t checked = length < longest ? length : longest;
    if (checked && memchr(start, '\0', checked))
        return hpw_line_refuse(trace, "holds a NUL byte: this is no text");
    if (length > longest) {
        char words[64];
        snprintf(words, sizeof words, "the line is longer than %zu bytes", longest);
        return hpw_line_refuse(trace, words);
    }
    if (!ended && !length) return 0;
    if (!ended) trace->notes.no_line_end = true;
    take(trace, length, ended, line);
    return 1;
}

/* Passes over what is left of a line that is too long: 1, -1. */
static int skip_rest(hpw_trace *trace) {
    hpw_input *input = &trace->input;
    for (;;) {
        const uint8_t *start = input->buffer + input->begin;
        size_t have = input->end - input->begin;
        const uint8_t *end = have ? memchr(start, '\n', have) : NULL;
        size_t used = end ? (size_t)(end - start) + 1 : have;
        input->begin += used;
        input->offset += used;
        if (end) return 1;
        int more = hpw_input_more(input, &trace->error);
        if (more <= 0) return more < 0 ? -1 : 1;
    }
}

int hpw_line_read_any(hpw_trace *trace, hpw_line *line) {
    if (trace->line_is_long && skip_rest(trace) < 0) return -1;
    trace->line_is_long = false;
    trace->line++;
    size_t length;
    int ended = find_end(trace, HPW_FOREIGN_LINE_LONGEST, &length);
    if (ended < 0) return -1;
    if (!ended && !length) return 0;
    trace->line_is_long = length > HPW_FOREIGN_LINE_LONGEST;
    if (trace->line_is_long) {
        take(trace, HPW_FOREIGN_LINE_LONGEST, false, line);
    } else {
        if (!ended) trace->notes.no_line_end = true;
        take(trace, length, ended, line);
    }
    return 1;
}
