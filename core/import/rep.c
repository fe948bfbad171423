/* SPDX-License-Identifier: MIT */
/*
 * Traces of the CS:APP malloc lab (.rep), as its handouts and their descendants
 * write them:
 *
 *      up to four numbers, a line each: suggested heap size (or weight), ids,
 *      operations, weight (or heap size); both orders have ids second
 *      a ID SIZE     malloc
 *      r ID SIZE     realloc; of an id that is not live it allocates, as of NULL;
 *                    to size 0 it frees, and a later `f` of the id frees nothing
 *      f ID          free; -1 is NULL
 *      w ID ...      a write into the block: left out, counted
 *
 * An `a` of a live id and an `f` of an unknown one are errors. Where the header
 * announces more or fewer operations than there are, the warning tells it.
 * O(bytes); 32 bytes a live block, and one that was resized to 0 and not freed.
 */
#include "import.h"

enum { HEADER_MOST = 4, OPERATIONS = 2 };

typedef struct rep {
    uint64_t header[HEADER_MOST];
    unsigned numbers; /* of the header */
    bool begun;       /* behind it */
    uint64_t operations;
    hpw_live_table nothing; /* ids that were resized to 0 */
} rep;

/* One number or more and nothing else in the line. */
static bool is_header(hpw_line line) {
    unsigned numbers = 0;
    uint64_t n;
    for (hpw_field f = hpw_line_field(&line); f.length; f = hpw_line_field(&line), numbers++)
        if (!hpw_field_decimal(f, UINT64_MAX, &n)) return false;
    return numbers >= 1 && numbers <= HEADER_MOST;
}

/* Does a line of a, f, r or w begin at `text`, behind blank lines? */
static bool is_operation(hpw_line text) {
    while (text.next < text.end && memchr(" \t\r\n", *text.next, 4)) text.next++;
    if (text.next == text.end || !memchr("afrw", *text.next, 4)) return false;
    return text.next + 1 == text.end || memchr(" \t\r\n", text.next[1], 4);
}

/* Without a header: what our text has not. */
static bool is_foreign(hpw_line line) {
    hpw_field kind = hpw_line_field(&line), id = hpw_line_field(&line);
    uint64_t n;
    if (hpw_field_is(kind, "w")) return hpw_field_decimal(id, UINT64_MAX, &n);
    return hpw_field_is(kind, "f") && hpw_field_is(id, "-1");
}

/* Cuts a line off `text`. */
static hpw_line cut_line(hpw_line *text) {
    const char *end = memchr(text->next, '\n', (size_t)(text->end - text->next));
    hpw_line line = {.next = text->next, .end = end ? end : text->end};
    text->next = end ? end + 1 : text->end;
    if (line.end > line.next && line.end[-1] == '\r') line.end--;
    return line;
}

/* Numbers, then an operation, or nothing, or a number too much. */
static bool recognise(hpw_line line, hpw_line text, uint64_t number) {
    if (number != 1) return false;
    if (!is_header(line)) return is_foreign(line);
    unsigned lines = 0;
    for (hpw_line rest = text; text.next < text.end && is_header(cut_line(&rest)); text = rest)
        if (++lines > HEADER_MOST) return true;
    return text.next == text.end || is_operation(text);
}

static int take_header(hpw_trace *trace, rep *r, hpw_field first, hpw_line *line) {
    for (hpw_field f = first; f.length; f = hpw_line_field(line)) {
        if (r->numbers == HEADER_MOST) return hpw_field_refuse(trace, f, "is a fifth number of the header");
        if (!hpw_field_decimal(f, UINT64_MAX, &r->header[r->numbers]))
            return hpw_field_refuse(trace, f, "is no number of the header");
        r->numbers++;
    }
    return 0;
}

static int take_id(hpw_trace *trace, hpw_line *line, uint64_t *id) {
    hpw_field f = hpw_line_field(line);
    if (!f.length) return hpw_line_refuse(trace, "the id is missing");
    if (!hpw_field_decimal(f, UINT64_MAX, id)) return hpw_field_refuse(trace, f, "is no id: 0 to 2^64 - 1");
    return 1;
}

/* The size, and nothing behind it. */
static int take_size(hpw_trace *trace, hpw_line *line, uint64_t *size) {
    hpw_field f = hpw_line_field(line);
    if (!f.length) return hpw_line_refuse(trace, "the size is missing");
    if (!hpw_field_decimal(f, INT64_MAX, size))
        return hpw_field_refuse(trace, f, "is no size: 0 to 2^63 - 1");
    f = hpw_line_field(line);
    return f.length ? hpw_field_refuse(trace, f, "is too much for this line") : 1;
}

/* Forgets that an id was resized to 0. Was it? */
static bool forget(rep *r, uint64_t id) {
    hpw_live *entry = hpw_live_find(&r->nothing, id);
    if (entry) hpw_live_remove(&r->nothing, entry);
    return entry != NULL;
}

static int allocate(hpw_trace *trace, uint64_t id, uint64_t size, hpw_trace_event *event) {
    forget(trace->import, id);
    *event = (hpw_trace_event){.kind = HPW_TRACE_ALLOC, .id = id, .size = size};
    return hpw_id_check(trace, event);
}

static int resize(hpw_trace *trace, uint64_t id, uint64_t size, hpw_trace_event *event) {
    if (!hpw_live_find(&trace->live, id)) return allocate(trace, id, size, event);
    *event = (hpw_trace_event){.kind = size ? HPW_TRACE_RESIZE : HPW_TRACE_FREE, .id = id, .size = size};
    rep *r = trace->import;
    if (!size && !hpw_live_add(&r->nothing, &(hpw_live){.key = id})) return hpw_trace_no_memory(trace);
    return hpw_id_check(trace, event);
}

static int release(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    hpw_field f = hpw_line_field(line);
    uint64_t id = 0;
    bool none = hpw_field_is(f, "-1");
    if (!f.length) return hpw_line_refuse(trace, "the id is missing");
    if (!none && !hpw_field_decimal(f, UINT64_MAX, &id))
        return hpw_field_refuse(trace, f, "is no id: 0 to 2^64 - 1, or -1 for none");
    f = hpw_line_field(line);
    if (f.length) return hpw_field_refuse(trace, f, "is too much for this line");
    if (none || forget(trace->import, id)) return 0;
    *event = (hpw_trace_event){.kind = HPW_TRACE_FREE, .id = id};
    return hpw_id_check(trace, event);
}

static int operate(hpw_trace *trace, char kind, hpw_line *line, hpw_trace_event *event) {
    uint64_t id = 0, size = 0;
    if (kind == 'f') return release(trace, line, event);
    if (take_id(trace, line, &id) < 0) return -1;
    if (kind == 'w') {
        trace->notes.writes++;
        return 0;
    }
    if (take_size(trace, line, &size) < 0) return -1;
    return kind == 'a' ? allocate(trace, id, size, event) : resize(trace, id, size, event);
}

static int read_line(hpw_trace *trace, hpw_line *line, hpw_trace_event *event) {
    rep *r = trace->import;
    hpw_field first = hpw_line_field(line);
    if (!first.length || *first.start == '#') return 0;
    if (!r->begun && *first.start >= '0' && *first.start <= '9') return take_header(trace, r, first, line);
    if (first.length != 1 || !memchr("afrw", *first.start, 4))
        return hpw_field_refuse(trace, first, "is no operation: a, f, r or w");
    r->begun = true;
    r->operations++;
    return operate(trace, *first.start, line, event);
}

static int next(hpw_trace *trace, hpw_trace_event *event) {
    rep *r = trace->import;
    for (;;) {
        hpw_line line;
        int got = hpw_line_read(trace, HPW_LINE_LONGEST, &line);
        if (got < 0) return -1;
        if (!got) break;
        got = read_line(trace, &line, event);
        if (got) return got;
    }
    bool lies = r->numbers == HEADER_MOST && r->header[OPERATIONS] != r->operations;
    trace->notes.has_promise = lies;
    trace->notes.promised = lies ? r->header[OPERATIONS] : 0;
    trace->notes.counted = r->operations;
    return 0;
}

static void forget_all(void *state) { hpw_live_free(&((rep *)state)->nothing); }

const hpw_importer hpw_import_rep = {
    .format = HPW_TRACE_REP,
    .name = "rep",
    .loses = "alignments, threads, times",
    .recognise = recognise,
    .state_size = sizeof(rep),
    .next = next,
    .close = forget_all,
};
