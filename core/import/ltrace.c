/* SPDX-License-Identifier: MIT */
/*
 * What ltrace prints of the allocating functions, e.g. `ltrace -f -o FILE -e
 * malloc+calloc+realloc+free+memalign+aligned_alloc PROGRAM`, between the program's
 * own lines:
 *
 *      [[pid N] or N] [TIME] [[0xIP]] [OBJECT->]malloc(24)  = 0x56436dd632a0
 *      ... OBJECT->free(0x56436dd632c0)                     = <void>
 *      ... OBJECT->malloc(24 <unfinished ...>
 *      ... <... malloc resumed> )                           = 0x56436dd632a0
 *
 * The pid becomes the event's thread. A free happens when it begins, an allocation
 * when it returns, a resize gives its old address away when it begins. What a thread
 * calls while one of its calls is unfinished is how that one works (operator new
 * calls malloc), and left out. Results below 4096 are no addresses: counted. O(bytes).
 */
#include "import.h"

enum { PENDING_MOST = 256, NESTED_MOST = 64, FIRST_ADDRESS = 4096 };

typedef struct pending {
    uint64_t pid;
    hpw_call call;
    uint64_t number; /* of a resize's beginning */
    unsigned nested; /* calls since */
    unsigned depth;  /* those of them that have not returned */
} pending;

typedef struct ltrace {
    pending pending[PENDING_MOST]; /* the newest last */
    unsigned count;
    uint64_t numbers;
} ltrace;

typedef struct entry {
    bool has_pid, resumed;
    uint64_t pid;
    hpw_call call; /* unless resumed */
} entry;

static bool is_time(hpw_field f) {
    for (size_t i = 0; i < f.length; i++)
        if (!memchr("0123456789.:", f.start[i], 12)) return false;
    return f.length > 0;
}

/* What may stand before the call. False where the line is no call. */
static bool take_prefix(hpw_line *line, entry *e) {
    for (;;) {
        hpw_line rest = *line;
        hpw_field f = hpw_line_field(&rest);
        if (!f.length) return false;
        line->next = f.start;
        if (hpw_field_is(f, "[pid")) {
            f = hpw_line_field(&rest);
            if (!f.length || f.start[--f.length] != ']') return false;
            e->has_pid = hpw_field_decimal(f, UINT32_MAX, &e->pid);
            if (!e->has_pid) return false;
        } else if (!e->has_pid && hpw_field_decimal(f, UINT32_MAX, &e->pid)) {
            e->has_pid = true;
        } else if (!is_time(f) && !(f.length > 3 && !memcmp(f.start, "[0x", 3))) {
            return true;
        }
        *line = rest;
    }
}

/* Passes over `OBJECT->`. */
static void skip_object(hpw_line *line) {
    for (const char *next = line->next; next + 1 < line->end && *next != '(' && *next != ' '; next++)
        if (next[0] == '-' && next[1] == '>') {
            line->next = next + 2;
            return;
        }
}

/* `<... NAME resumed> )` */
static bool take_resumed(hpw_line *line, hpw_field *name) {
    hpw_line rest = *line;
    if (!hpw_field_is(hpw_line_field(&rest), "<...")) return false;
    *name = hpw_line_field(&rest);
    hpw_field word = hpw_line_field(&rest);
    if (!hpw_field_is(word, "resumed>") || !hpw_call_known(*name)) return false;
    const char *end = memchr(rest.next, ')', (size_t)(rest.end - rest.next));
    if (end) rest.next = end + 1;
    *line = rest;
    return true;
}

static bool is_unfinished(hpw_line line) {
    static const char words[] = "<unfinished";
    return (size_t)(line.end - line.next) >= sizeof words - 1 && !memcmp(line.next, words, sizeof words - 1);
}

/* Reads up to behind the call. False for a line that is none. */
static bool take_entry(hpw_line *line, entry *e) {
    hpw_field name;
    *e = (entry){0};
    if (!take_prefix(line, e)) return false;
    e->resumed = take_resumed(line, &name);
    if (e->resumed) return true;
    skip_object(line);
    return hpw_call_take(line, &e->call);
}

static bool recognise(hpw_line line, hpw_line text, uint64_t number) {
    (void)text, (void)number;
    entry e;
    if (!take_entry(&line, &e)) return false;
    return e.resumed || is_unfinished(line) || hpw_field_is(hpw_line_field(&line), "=");
}

/* A thread's call that has not returned yet: its newest one. */
static pending *find(ltrace *l, uint64_t pid) {
    for (unsigned i = l->count; i-- > 0;)
        if (l->pending[i].pid == pid) return &l->pending[i];
    return NULL;
}

static pending remove_pending(ltrace *l, pending *p) {
    pending removed = *p;
    l->count--;
    memmove(p, p + 1, (size_t)(&l->pending[l->count] - p) * sizeof *p);
    return removed;
}

/* A call has begun: its free, and the place of what is resized, are free from here on. */
static int begin(hpw_trace *trace, const entry *e, hpw_trace_event *event) {
    ltrace *l = trace->import;
    if (l->count == PENDING_MOST) {
        trace->notes.torn++;
        remove_pending(l, &l->pending[0]);
    }
    pending *p = &l->pending[l->count++];
    *p = (pending){.pid = e->pid, .call = e->call, .number = ++l->numbers};
    if (p->call.kind == HPW_CALL_RESIZE && p->call.address && !p->call.size) p->call.kind = HPW_CALL_FREE;
    if (p->call.kind == HPW_CALL_FREE) return hpw_request_free(trace, p->call.address, event);
    if (p->call.kind == HPW_CALL_RESIZE && p->call.address)
        return hpw_address_begin(trace, p->call.address, p->number);
    return 0;
}

static int end_resize(hpw_trace *trace, const pending *p, uint64_t result, hpw_trace_event *event) {
    if (!result) {
        trace->notes.failed++;
        return hpw_address_stay(trace, p->number, p->call.address, event);
    }
    if (p->call.size > INT64_MAX) return hpw_request_alloc(trace, result, p->call.size, 0, event);
    return hpw_address_end(trace, p->number, result, p->call.size, event);
}

static bool take_result(hpw_line *line, uint64_t *result) {
    return hpw_call_result(line, result) && (!*result || *result >= FIRST_ADDRESS);
}

static int torn(hpw_trace *trace) {
    trace->notes.torn++;
    return 0;
}

/* A call returns that had begun in an earlier line. */
static int resume(hpw_trace *trace, uint64_t pid, hpw_line *line, hpw_trace_event *event) {
    ltrace *l = trace->import;
    pending *found = find(l, pid);
    if (!found) return torn(trace);
    if (found->depth) {
        found->depth--;
        return 0;
    }
    pending p = remove_pending(l, found);
    uint64_t result;
    if (p.call.kind == HPW_CALL_FREE) return 0;
    if (p.call.kind == HPW_CALL_UNSEEN) return hpw_call_tell(trace, &p.call, 0, event);
    bool moves = p.call.kind == HPW_CALL_RESIZE && p.call.address;
    if (take_result(line, &result))
        return moves ? end_resize(trace, &p, result, event) : hpw_call_tell(trace, &p.call, result, event);
    trace->notes.torn++;
    return moves ? hpw_address_stay(trace, p.number, p.call.address, event) : 0;
}

/* Is the call a part of an unfinished one of the same thread? One that never returns counts as torn. */
static bool is_nested(hpw_trace *trace, uint64_t pid, bool unfinished) {
    ltrace *l = trace->import;
    pending *outer = find(l, pid);
    if (!outer) return false;
    if (unfinished) outer->depth++;
    if (++outer->nested <= NESTED_MOST) return true;
    trace->notes.torn++;
    remove_pending(l, outer);
    return false;
}

static int read_line(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    entry e;
    uint64_t result = 0;
    if (!take_entry(line, &e)) return 0;
    trace->addresses.stamp = (hpw_trace_event){.has_thread = e.has_pid, .thread = (uint32_t)e.pid};
    if (e.resumed) return resume(trace, e.pid, line, event);
    if (!e.call.sound) return torn(trace);
    bool unfinished = is_unfinished(*line);
    if (is_nested(trace, e.pid, unfinished)) return 0;
    if (unfinished) return begin(trace, &e, event);
    if (!hpw_field_is(hpw_line_field(&(hpw_line){line->next, line->end}), "=")) return torn(trace);
    bool needs = e.call.kind == HPW_CALL_ALLOC || e.call.kind == HPW_CALL_RESIZE;
    if (needs && !take_result(line, &result)) return torn(trace);
    return hpw_call_tell(trace, &e.call, result, event);
}

const hpw_importer hpw_import_ltrace = {
    .format = HPW_TRACE_LTRACE,
    .name = "ltrace",
    .loses = "times, addresses of posix_memalign, what libraries allocate; which pids are processes",
    .recognise = recognise,
    .state_size = sizeof(ltrace),
    .line = read_line,
    .any_lines = true,
};
