/* SPDX-License-Identifier: MIT */
/*
 * Lines of a text and the fields in them, for every format that is one: read
 * through the trace's input, one line in memory, never copied. A field ends at a
 * space or a tab; lines may end in CR LF. O(bytes).
 */
#ifndef HPW_TRACE_LINES_H
#define HPW_TRACE_LINES_H

#include <string.h>

#include "trace_reader.h"

/* A line and how far it is read. Valid until the next one is read. */
typedef struct hpw_line {
    const char *next, *end;
} hpw_line;

typedef struct hpw_field {
    const char *start;
    size_t length;
} hpw_field;

enum {
    HPW_LINE_LONGEST = 4096,         /* of our own text: what is no trace is refused within its first 4 KiB */
    HPW_FOREIGN_LINE_LONGEST = 32768 /* of other formats: they hold paths and names of functions */
};

/* As hpw_line_read, for a line that is not whole in the input's buffer, or is to be refused. */
int hpw_line_read_slowly(hpw_trace *trace, size_t longest, hpw_line *line);

/*
 * The next line without its end: 1, 0 at the end of the file, -1. A line longer
 * than `longest` is refused, and so is a NUL byte.
 */
static inline int hpw_line_read(hpw_trace *trace, size_t longest, hpw_line *line) {
    hpw_input *input = &trace->input;
    const char *start = (const char *)input->buffer + input->begin;
    const char *end = memchr(start, '\n', input->end - input->begin);
    size_t length = end ? (size_t)(end - start) : 0;
    if (!end || length > longest || memchr(start, '\0', length))
        return hpw_line_read_slowly(trace, longest, line);
    trace->line++;
    input->begin += length + 1;
    input->offset += length + 1;
    if (length && end[-1] == '\r') end--;
    *line = (hpw_line){.next = start, .end = end};
    return 1;
}

/*
 * The same between lines of other origin (a program's own output): what is too
 * long is cut there, any byte may occur.
 */
int hpw_line_read_any(hpw_trace *trace, hpw_line *line);

/* Say in trace->error what is wrong with the line at hand, the field shown as far as it can be. -1. */
int hpw_line_refuse(hpw_trace *trace, const char *what);
int hpw_field_refuse(hpw_trace *trace, hpw_field f, const char *what);

/*
 * A line that is no event of its format: refused, but where it is the last and has
 * no line end, as of a program that was killed: then 0, and the warning tells it.
 */
int hpw_line_refuse_whole(hpw_trace *trace, const char *what);

/* The next field of the line; its length is 0 at the end. */
static inline hpw_field hpw_line_field(hpw_line *line) {
    while (line->next < line->end && (*line->next == ' ' || *line->next == '\t')) line->next++;
    hpw_field f = {.start = line->next};
    while (line->next < line->end && *line->next != ' ' && *line->next != '\t') line->next++;
    f.length = (size_t)(line->next - f.start);
    return f;
}

static inline bool hpw_field_is(hpw_field f, const char *word) {
    return f.length == strlen(word) && !memcmp(f.start, word, f.length);
}

/* False for what is no decimal number or above `most`. */
static inline bool hpw_field_decimal(hpw_field f, uint64_t most, uint64_t *n) {
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

/* False for what is no hexadecimal number (without 0x) of at most 64 bits. */
static inline bool hpw_field_hexadecimal(hpw_field f, uint64_t *n) {
    uint64_t value = 0;
    for (size_t i = 0; i < f.length; i++) {
        unsigned char c = (unsigned char)f.start[i], digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned char)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (unsigned char)((c | 0x20) - 'a' + 10);
        else
            return false;
        if (value >> 60) return false;
        value = value << 4 | digit;
    }
    *n = value;
    return f.length > 0;
}

/* As C's %p and %i print: 0x and hexadecimal, decimal, (nil), nil or NULL. */
static inline bool hpw_field_number(hpw_field f, uint64_t *n) {
    *n = 0;
    if (hpw_field_is(f, "(nil)") || hpw_field_is(f, "nil") || hpw_field_is(f, "NULL")) return true;
    if (f.length > 2 && f.start[0] == '0' && (f.start[1] | 0x20) == 'x')
        return hpw_field_hexadecimal((hpw_field){f.start + 2, f.length - 2}, n);
    return hpw_field_decimal(f, UINT64_MAX, n);
}

#endif
