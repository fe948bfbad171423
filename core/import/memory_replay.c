/* SPDX-License-Identifier: MIT */
/*
 * What Android's malloc debug records (record_allocs) and its memory_replay plays:
 *
 *      TID: malloc ADDRESS SIZE             TID: free ADDRESS
 *      TID: calloc ADDRESS N SIZE           TID: realloc NEW OLD SIZE
 *      TID: memalign ADDRESS ALIGNMENT SIZE TID: thread_done 0x0
 *
 * Newer versions write two more numbers, the nanoseconds at which the call began
 * and ended (thread_done has the latter alone): the first becomes the event's
 * time, counted from that of the first event. Addresses are hexadecimal with 0x,
 * the rest decimal. O(bytes).
 */
#include "import.h"

enum { MOST = 5 }; /* numbers of a line */

typedef struct memory_replay {
    bool timed;
    uint64_t origin, last; /* of the times */
} memory_replay;

typedef struct call {
    const char *name;
    unsigned wants; /* numbers, without times */
    int (*tell)(hpw_trace *trace, const uint64_t *n, hpw_trace_event *event);
} call;

static int tell_malloc(hpw_trace *trace, const uint64_t *n, hpw_trace_event *event) {
    return hpw_request_alloc(trace, n[0], n[1], 0, event);
}

static int tell_calloc(hpw_trace *trace, const uint64_t *n, hpw_trace_event *event) {
    return hpw_request_alloc(trace, n[0], hpw_request_product(n[1], n[2]), 0, event);
}

static int tell_memalign(hpw_trace *trace, const uint64_t *n, hpw_trace_event *event) {
    return hpw_request_alloc(trace, n[0], n[2], n[1], event);
}

static int tell_realloc(hpw_trace *trace, const uint64_t *n, hpw_trace_event *event) {
    return hpw_request_resize(trace, n[1], n[0], n[2], event);
}

static int tell_free(hpw_trace *trace, const uint64_t *n, hpw_trace_event *event) {
    return hpw_request_free(trace, n[0], event);
}

static int tell_nothing(hpw_trace *trace, const uint64_t *n, hpw_trace_event *event) {
    (void)trace, (void)n, (void)event;
    return 0;
}

static const call calls[] = {
    {"malloc", 2, tell_malloc},   {"free", 1, tell_free},         {"calloc", 3, tell_calloc},
    {"realloc", 3, tell_realloc}, {"memalign", 3, tell_memalign}, {"thread_done", 1, tell_nothing},
};

static const call *find(hpw_field name) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (hpw_field_is(name, calls[i].name)) return &calls[i];
    return NULL;
}

/* `TID:` */
static bool take_thread(hpw_line *line, uint64_t *thread) {
    hpw_field f = hpw_line_field(line);
    if (!f.length || f.start[f.length - 1] != ':') return false;
    return hpw_field_decimal((hpw_field){f.start, f.length - 1}, UINT32_MAX, thread);
}

/* The numbers of a line: how many, MOST + 1 where there is one too much or none. */
static unsigned take_numbers(hpw_line *line, uint64_t n[MOST]) {
    unsigned count = 0;
    for (hpw_field f = hpw_line_field(line); f.length; f = hpw_line_field(line))
        if (count == MOST || !hpw_field_number(f, &n[count++])) return MOST + 1;
    return count;
}

/* Are they as many as a call has, with times or without? */
static bool suffices(const call *c, unsigned count) {
    if (c->tell == tell_nothing && count == c->wants + 1) return true;
    return count == c->wants || count == c->wants + 2;
}

static bool recognise(hpw_line line, hpw_line text, uint64_t number) {
    (void)text;
    uint64_t thread, n[MOST];
    if (number != 1 || !take_thread(&line, &thread)) return false;
    const call *c = find(hpw_line_field(&line));
    return c && suffices(c, take_numbers(&line, n));
}

/* Time and thread of the events to come. Times are the call's beginning, and never go back. */
static void stamp(hpw_trace *trace, uint64_t thread, bool timed, uint64_t time) {
    memory_replay *m = trace->import;
    hpw_trace_event *stamp = &trace->addresses.stamp;
    stamp->has_thread = true;
    stamp->thread = (uint32_t)thread;
    stamp->has_time = timed;
    stamp->time = 0;
    if (!timed) return;
    if (!m->timed) m->origin = time;
    m->timed = true;
    uint64_t since = time > m->origin ? time - m->origin : 0;
    if (since > m->last && since <= INT64_MAX) m->last = since;
    stamp->time = m->last;
}

static int read_line(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    hpw_line rest = *line;
    uint64_t thread, n[MOST];
    if (!hpw_line_field(&rest).length) return 0;
    if (!take_thread(line, &thread))
        return hpw_line_refuse_whole(trace, "does not begin with a thread, as in \"202: malloc 0xb4 16\"");
    hpw_field name = hpw_line_field(line);
    const call *c = find(name);
    if (!c && trace->notes.no_line_end) return 0;
    if (!c)
        return hpw_field_refuse(trace, name,
                                "is no call: malloc, free, calloc, realloc, memalign, thread_done");
    unsigned count = take_numbers(line, n);
    if (!suffices(c, count)) return hpw_line_refuse_whole(trace, "has not the numbers that its call has");
    stamp(trace, thread, count == c->wants + 2, n[c->wants < MOST ? c->wants : 0]);
    return c->tell(trace, n, event);
}

const hpw_importer hpw_import_memory_replay = {
    .format = HPW_TRACE_MEMORY_REPLAY,
    .name = "memory_replay",
    .loses = "times, in dumps of older versions",
    .recognise = recognise,
    .state_size = sizeof(memory_replay),
    .line = read_line,
};
