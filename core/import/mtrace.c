/* SPDX-License-Identifier: MIT */
/*
 * What glibc's mtrace(3) writes to MALLOC_TRACE, an event a line:
 *
 *      = Start, = End
 *      [@ PLACE] + ADDRESS SIZE      an allocation; (nil) where it failed
 *      [@ PLACE] - ADDRESS           a free
 *      [@ PLACE] < ADDRESS           a resize begins ...
 *      [@ PLACE] > ADDRESS SIZE      ... and ends, in the next line
 *      [@ PLACE] ! ADDRESS SIZE      a resize that failed
 *
 * Numbers are hexadecimal with 0x, but a 0. A place is a path, a function and an
 * address in any characters, so a line is read from its end. O(bytes).
 */
#include "import.h"

typedef struct mtrace {
    bool moving; /* a resize has begun, of this address */
    uint64_t from;
} mtrace;

static bool recognise(hpw_line line, hpw_line text, uint64_t number) {
    (void)text;
    hpw_field f = hpw_line_field(&line), g = hpw_line_field(&line);
    return number == 1 && hpw_field_is(f, "=") && hpw_field_is(g, "Start");
}

/* The last three fields of a line, the last one first; those that are not there have length 0. */
static void last_fields(const hpw_line *line, hpw_field fields[3]) {
    const char *end = line->end;
    for (int i = 0; i < 3; i++) {
        while (end > line->next && (end[-1] == ' ' || end[-1] == '\t')) end--;
        const char *start = end;
        while (start > line->next && start[-1] != ' ' && start[-1] != '\t') start--;
        fields[i] = (hpw_field){.start = start, .length = (size_t)(end - start)};
        end = start;
    }
}

static bool is_sign(hpw_field f, const char *signs) { return f.length == 1 && strchr(signs, *f.start); }

static int refuse(hpw_trace *trace) {
    return hpw_line_refuse_whole(trace, "is no event of mtrace: + - < > or ! and an address");
}

static int resized(hpw_trace *trace, uint64_t to, uint64_t size, hpw_trace_event *event) {
    mtrace *m = trace->import;
    uint64_t from = m->from;
    if (!m->moving) trace->notes.unknown_resizes++;
    if (!m->moving) from = 0;
    m->moving = false;
    return hpw_request_resize(trace, from, to, size, event);
}

static int sized(hpw_trace *trace, char sign, uint64_t address, uint64_t size, hpw_trace_event *event) {
    if (sign == '+') return hpw_request_alloc(trace, address, size, 0, event);
    if (sign == '>') return resized(trace, address, size, event);
    trace->notes.failed++;
    return 0;
}

static int read_line(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    mtrace *m = trace->import;
    hpw_field f[3];
    uint64_t address, size;
    last_fields(line, f);
    if (!f[0].length) return 0;
    if (is_sign(f[1], "=") && (hpw_field_is(f[0], "Start") || hpw_field_is(f[0], "End"))) return 0;
    if (is_sign(f[2], "+>!")) {
        if (!hpw_field_number(f[1], &address) || !hpw_field_number(f[0], &size)) return refuse(trace);
        return sized(trace, *f[2].start, address, size, event);
    }
    if (!is_sign(f[1], "-<") || !hpw_field_number(f[0], &address)) return refuse(trace);
    if (*f[1].start == '-') return hpw_request_free(trace, address, event);
    if (m->moving) trace->notes.torn++;
    m->moving = true;
    m->from = address;
    return 0;
}

const hpw_importer hpw_import_mtrace = {
    .format = HPW_TRACE_MTRACE,
    .name = "mtrace",
    .loses = "alignments, threads, times",
    .recognise = recognise,
    .state_size = sizeof(mtrace),
    .line = read_line,
};
