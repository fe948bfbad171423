/* SPDX-License-Identifier: MIT */
/*
 * What `valgrind --trace-malloc=yes` writes to its log or to standard error, between
 * its other lines and the program's own:
 *
 *      --PID-- malloc(24) = 0x4A43040
 *      --PID-- realloc(0x4A43040,100) = 0x4A43100
 *      --PID-- memalign(al 64, size 200) = 0x4A43240
 *      --PID-- free(0x4A430A0)
 *      --PID-- realloc(0x4A431B0,0)free(0x4A431B0)
 *
 * The first process is read; lines of others (children) are counted. A call without
 * a result is counted: threads may tear lines, and newer versions do not print what
 * posix_memalign returns. O(bytes).
 */
#include "import.h"

typedef struct valgrind {
    bool known;
    uint64_t pid;
} valgrind;

/* `--PID-- ` at line->next, which moves behind it. */
static bool take_prefix(hpw_line *line, uint64_t *pid) {
    const char *next = line->next, *end = line->end;
    if (end - next < 6 || next[0] != '-' || next[1] != '-') return false;
    const char *digits = next + 2;
    for (next = digits; next < end && *next >= '0' && *next <= '9';) next++;
    hpw_field f = {.start = digits, .length = (size_t)(next - digits)};
    if (!hpw_field_decimal(f, UINT32_MAX, pid)) return false;
    if (end - next < 3 || memcmp(next, "-- ", 3) != 0) return false;
    line->next = next + 3;
    return true;
}

/* Anywhere in the line: the program may have written something before it. */
static bool find_prefix(hpw_line *line, uint64_t *pid) {
    hpw_line rest = *line;
    while ((rest.next = memchr(rest.next, '-', (size_t)(rest.end - rest.next))) != NULL) {
        if (take_prefix(&rest, pid)) {
            *line = rest;
            return true;
        }
        rest.next++;
    }
    return false;
}

static bool recognise(hpw_line line, hpw_line text, uint64_t number) {
    (void)text, (void)number;
    uint64_t pid, result;
    hpw_call call;
    if (!take_prefix(&line, &pid) || !hpw_call_take(&line, &call) || !call.sound) return false;
    return call.kind == HPW_CALL_FREE || call.kind == HPW_CALL_UNSEEN || hpw_call_result(&line, &result);
}

/* A call, and those that begin before it has returned. */
static int read_calls(hpw_trace *trace, hpw_line *line, hpw_call *call, hpw_trace_event *event) {
    for (hpw_call inner;; *call = inner) {
        uint64_t result = 0;
        bool needs = call->kind == HPW_CALL_ALLOC || call->kind == HPW_CALL_RESIZE;
        if (call->sound && (!needs || hpw_call_result(line, &result)))
            return hpw_call_tell(trace, call, result, event);
        bool frees = call->kind == HPW_CALL_RESIZE && call->sound && !call->size;
        bool goes_on = hpw_call_take(line, &inner);
        if (!frees || !goes_on) trace->notes.torn++;
        if (!goes_on) return 0;
    }
}

static int read_line(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    valgrind *v = trace->import;
    uint64_t pid;
    hpw_call call;
    if (!find_prefix(line, &pid) || !hpw_call_take(line, &call)) return 0;
    if (!v->known) v->pid = pid;
    v->known = true;
    if (v->pid == pid) return read_calls(trace, line, &call, event);
    trace->notes.others++;
    return 0;
}

const hpw_importer hpw_import_valgrind = {
    .format = HPW_TRACE_VALGRIND,
    .name = "valgrind",
    .loses = "threads, times, other processes than the first",
    .recognise = recognise,
    .state_size = sizeof(valgrind),
    .line = read_line,
    .any_lines = true,
};
