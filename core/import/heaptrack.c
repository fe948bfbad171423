/* SPDX-License-Identifier: MIT */
/*
 * What `heaptrack --raw` records, lines of a letter and hexadecimal numbers
 * without 0x:
 *
 *      v VERSION FORMAT          the first line
 *      X PROGRAM ARGUMENTS ...
 *      + SIZE PLACE ADDRESS      an allocation; a resize is a free and one of these
 *      - ADDRESS                 a free
 *      c MILLISECONDS            since the start: the time of the events that follow
 *
 * Others (x I m t R S A) are about places in the program and the system, and
 * skipped. What plain `heaptrack` writes begins alike, but its frees tell the kind
 * of block, not which: it has lines of s, i and a, and is refused there. O(bytes).
 */
#include "import.h"

typedef struct heaptrack {
    uint64_t time; /* nanoseconds */
} heaptrack;

static bool recognise(hpw_line line, hpw_line text, uint64_t number) {
    (void)text;
    uint64_t n;
    if (number != 1 || !hpw_field_is(hpw_line_field(&line), "v")) return false;
    if (!hpw_field_hexadecimal(hpw_line_field(&line), &n)) return false;
    hpw_field f = hpw_line_field(&line);
    return (!f.length || hpw_field_hexadecimal(f, &n)) && !hpw_line_field(&line).length;
}

/* The program's name, without its folder. */
static void name_program(hpw_trace *trace, hpw_line *line) {
    hpw_field f = hpw_line_field(line);
    for (size_t i = f.length; i-- > 0;)
        if (f.start[i] == '/') {
            f = (hpw_field){.start = f.start + i + 1, .length = f.length - i - 1};
            break;
        }
    size_t n = f.length < HPW_PROGRAM_LONGEST ? f.length : HPW_PROGRAM_LONGEST;
    char *name = trace->header.program;
    for (size_t i = 0; i < n; i++)
        name[i] = (char)(f.start[i] < 0x20 || f.start[i] > 0x7e ? '?' : f.start[i]);
    name[n] = '\0';
}

/* So many hexadecimal numbers, and nothing else. */
static bool take(hpw_line *line, uint64_t *n, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (!hpw_field_hexadecimal(hpw_line_field(line), &n[i])) return false;
    return !hpw_line_field(line).length;
}

static int refuse(hpw_trace *trace) {
    return hpw_line_refuse_whole(trace, "is no line of heaptrack's: a letter and hexadecimal numbers");
}

static int refuse_interpreted(hpw_trace *trace) {
    return hpw_line_refuse(trace,
                           "is of heaptrack's interpreted output, which does not tell which block is freed: "
                           "record with `heaptrack --raw`");
}

static int keep_time(hpw_trace *trace, hpw_line *line) {
    heaptrack *h = trace->import;
    uint64_t milliseconds, most = INT64_MAX / 1000000;
    if (!take(line, &milliseconds, 1) || milliseconds > most) return refuse(trace);
    if (milliseconds * 1000000 > h->time) h->time = milliseconds * 1000000;
    return 0;
}

static int read_line(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    const heaptrack *h = trace->import;
    hpw_field f = hpw_line_field(line);
    uint64_t n[3];
    if (!f.length) return 0;
    trace->addresses.stamp = (hpw_trace_event){.has_time = true, .time = h->time};
    switch (f.length == 1 ? *f.start : '\0') {
    case '+':
        return take(line, n, 3) ? hpw_request_alloc(trace, n[2], n[0], 0, event) : refuse(trace);
    case '-':
        return take(line, n, 1) ? hpw_request_free(trace, n[0], event) : refuse(trace);
    case 'c':
        return keep_time(trace, line);
    case 'X':
        name_program(trace, line);
        return 0;
    case 's':
    case 'i':
    case 'a':
        return refuse_interpreted(trace);
    default:
        return f.length == 1 && memchr("vxImtRSA#", *f.start, 9) ? 0 : refuse(trace);
    }
}

const hpw_importer hpw_import_heaptrack = {
    .format = HPW_TRACE_HEAPTRACK,
    .name = "heaptrack",
    .loses = "alignments, threads, which allocations are resizes; times are to 10 ms",
    .recognise = recognise,
    .state_size = sizeof(heaptrack),
    .line = read_line,
    .any_lines = true,
};
