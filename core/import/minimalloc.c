/* SPDX-License-Identifier: MIT */
/*
 * MiniMalloc's tables of buffers (CSV): a header with the columns' names, then a row
 * a buffer, which lives from `lower` to just before `upper`:
 *
 *      id,lower,upper,size
 *      b1,0,3,4
 *
 * The order of the columns is the header's. As MiniMalloc itself: `buffer` and
 * `buffer_id` are `id`, `begin` and `start` are `lower`, `end` is `upper` - 1, an
 * empty line ends the table. `alignment` is read, other columns are counted.
 *
 *  1. All rows are read. Ids have to differ: they are sorted and neighbours compared.
 *  2. Each row is two ends. They are sorted by time, frees before allocations at the
 *     same time, then by row, and handed out in that order.
 *
 * Where all ids are numbers they become the events' ids, else the rows' numbers
 * from 0 do. O(rows log rows); 96 bytes a row and its id: no stream, since a table
 * has no order.
 */
#include "import.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS_MOST = 64 };

typedef enum column { ID, LOWER, UPPER, END, SIZE, ALIGNMENT, OTHER } column;

typedef struct buffer {
    int64_t lower, upper;
    uint64_t size, alignment;
    uint64_t line;
    size_t id; /* where its text begins */
} buffer;

/* One end of a buffer's life. */
typedef struct end {
    int64_t time;
    size_t row;
    bool starts;
} end;

typedef struct minimalloc {
    bool read;
    column columns[COLUMNS_MOST];
    unsigned column_count;
    buffer *buffers;
    size_t count, room;
    char *ids; /* each ends in a NUL byte */
    size_t ids_used, ids_room;
    bool numeric; /* all ids are */
    end *ends;
    size_t next, end_count;
} minimalloc;

/* The next cell of a row, without blanks around it. False at the end. */
static bool take_cell(hpw_line *line, hpw_field *cell) {
    if (!line->next) return false;
    const char *comma = memchr(line->next, ',', (size_t)(line->end - line->next));
    const char *start = line->next, *stop = comma ? comma : line->end;
    line->next = comma ? comma + 1 : NULL;
    while (start < stop && (*start == ' ' || *start == '\t')) start++;
    while (stop > start && (stop[-1] == ' ' || stop[-1] == '\t')) stop--;
    *cell = (hpw_field){.start = start, .length = (size_t)(stop - start)};
    return true;
}

static column column_of(hpw_field name) {
    static const struct {
        const char *name;
        column column;
    } known[] = {
        {"id", ID},       {"buffer", ID}, {"buffer_id", ID}, {"lower", LOWER},         {"begin", LOWER},
        {"start", LOWER}, {"end", END},   {"upper", UPPER},  {"alignment", ALIGNMENT}, {"size", SIZE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (hpw_field_is(name, known[i].name)) return known[i].column;
    return OTHER;
}

/* Which columns are named, as bits. */
static unsigned columns_in(hpw_line line) {
    unsigned seen = 0;
    hpw_field cell;
    while (take_cell(&line, &cell)) seen |= 1u << column_of(cell);
    return seen;
}

static bool recognise(hpw_line line, hpw_line text, uint64_t number) {
    (void)text;
    unsigned seen = columns_in(line), needed = 1u << LOWER | 1u << SIZE;
    return number == 1 && (seen & needed) == needed && seen & (1u << UPPER | 1u << END);
}

static int take_header(hpw_trace *trace, hpw_line line) {
    minimalloc *m = trace->import;
    unsigned seen = 0;
    hpw_field cell;
    for (m->column_count = 0; take_cell(&line, &cell); m->column_count++) {
        if (m->column_count == COLUMNS_MOST) return hpw_line_refuse(trace, "has more than 64 columns");
        column c = m->columns[m->column_count] = column_of(cell);
        if (c == OTHER) trace->notes.columns++;
        if (c != OTHER && seen & 1u << c) return hpw_field_refuse(trace, cell, "is a column twice");
        seen |= 1u << c;
    }
    if ((seen & 1u << UPPER) && (seen & 1u << END)) return hpw_line_refuse(trace, "has both upper and end");
    if (!(seen & 1u << ID)) return hpw_line_refuse(trace, "has no column id");
    return 1;
}

/* A decimal number with or without a minus. */
static bool take_time(hpw_field f, int64_t *time) {
    bool minus = f.length && *f.start == '-';
    uint64_t n;
    if (!hpw_field_decimal((hpw_field){f.start + minus, f.length - minus}, INT64_MAX, &n)) return false;
    *time = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

/* Keeps an id's text. */
static bool keep_id(minimalloc *m, hpw_field cell, buffer *b) {
    if (m->ids_room - m->ids_used <= cell.length) {
        size_t room = (m->ids_room + cell.length) * 2 + 1024;
        char *ids = realloc(m->ids, room);
        if (!ids) return false;
        m->ids = ids;
        m->ids_room = room;
    }
    b->id = m->ids_used;
    memcpy(m->ids + m->ids_used, cell.start, cell.length);
    m->ids_used += cell.length;
    m->ids[m->ids_used++] = '\0';
    uint64_t n;
    bool padded = cell.length > 1 && *cell.start == '0';
    if (padded || !hpw_field_decimal(cell, UINT64_MAX, &n)) m->numeric = false;
    return true;
}

static int take_value(hpw_trace *trace, column c, hpw_field cell, buffer *b) {
    minimalloc *m = trace->import;
    switch (c) {
    case ID:
        if (!cell.length) return hpw_line_refuse(trace, "the id is missing");
        return keep_id(m, cell, b) ? 1 : hpw_trace_no_memory(trace);
    case LOWER:
        return take_time(cell, &b->lower) ? 1 : hpw_field_refuse(trace, cell, "is no time");
    case UPPER:
    case END:
        if (!take_time(cell, &b->upper) || (c == END && b->upper == INT64_MAX))
            return hpw_field_refuse(trace, cell, "is no time");
        b->upper += c == END;
        return 1;
    case SIZE:
        return hpw_field_decimal(cell, INT64_MAX, &b->size)
                   ? 1
                   : hpw_field_refuse(trace, cell, "is no size: 0 to 2^63 - 1");
    case ALIGNMENT:
        if (!hpw_field_decimal(cell, INT64_MAX, &b->alignment))
            return hpw_field_refuse(trace, cell, "is no alignment");
        if (b->alignment & (b->alignment - 1)) trace->notes.odd_alignments++;
        if (b->alignment == 1 || b->alignment & (b->alignment - 1)) b->alignment = 0;
        return 1;
    case OTHER:
        break;
    }
    return 1;
}

static int take_row(hpw_trace *trace, hpw_line line) {
    minimalloc *m = trace->import;
    if (m->count == m->room) {
        size_t room = m->room ? m->room * 2 : 256;
        buffer *buffers =
            room > SIZE_MAX / sizeof *buffers ? NULL : realloc(m->buffers, room * sizeof *buffers);
        if (!buffers) return hpw_trace_no_memory(trace);
        m->buffers = buffers;
        m->room = room;
    }
    buffer *b = &m->buffers[m->count];
    *b = (buffer){.line = trace->line};
    hpw_field cell;
    unsigned cells = 0;
    for (; take_cell(&line, &cell); cells++) {
        if (cells == m->column_count) return hpw_field_refuse(trace, cell, "is too much for this row");
        if (take_value(trace, m->columns[cells], cell, b) < 0) return -1;
    }
    if (cells < m->column_count) return hpw_line_refuse(trace, "has fewer cells than the header has columns");
    if (b->upper <= b->lower) return hpw_line_refuse(trace, "its buffer ends before it begins");
    m->count++;
    return 1;
}

static int read_rows(hpw_trace *trace) {
    minimalloc *m = trace->import;
    m->numeric = true;
    for (;;) {
        hpw_line line;
        int got = hpw_line_read(trace, HPW_FOREIGN_LINE_LONGEST, &line);
        if (got <= 0) return got;
        hpw_line rest = line;
        hpw_field first = hpw_line_field(&rest);
        if (!first.length && m->count) return 0;
        if (!first.length || (*first.start == '#' && !m->count)) continue;
        got = m->column_count ? take_row(trace, line) : take_header(trace, line);
        if (got < 0) return -1;
    }
}

/* An id and its row, for sorting. */
typedef struct named {
    const char *id;
    size_t row;
} named;

static int by_id(const void *a, const void *b) {
    const named *left = a, *right = b;
    int order = strcmp(left->id, right->id);
    return order ? order : (left->row > right->row) - (left->row < right->row);
}

static int refuse_twins(hpw_trace *trace, const named *n, const buffer *buffers) {
    trace->line = buffers[n[1].row].line;
    char words[64];
    snprintf(words, sizeof words, "is the id of line %llu too", (unsigned long long)buffers[n[0].row].line);
    return hpw_field_refuse(trace, (hpw_field){.start = n->id, .length = strlen(n->id)}, words);
}

static int check_ids(hpw_trace *trace) {
    minimalloc *m = trace->import;
    named *names = malloc((m->count + 1) * sizeof *names);
    if (!names) return hpw_trace_no_memory(trace);
    for (size_t i = 0; i < m->count; i++) names[i] = (named){.id = m->ids + m->buffers[i].id, .row = i};
    qsort(names, m->count, sizeof *names, by_id);
    int well = 1;
    for (size_t i = 1; i < m->count && well == 1; i++)
        if (!strcmp(names[i - 1].id, names[i].id)) well = refuse_twins(trace, &names[i - 1], m->buffers);
    free(names);
    return well;
}

static int by_time(const void *a, const void *b) {
    const end *left = a, *right = b;
    if (left->time != right->time) return left->time < right->time ? -1 : 1;
    if (left->starts != right->starts) return left->starts ? 1 : -1;
    return (left->row > right->row) - (left->row < right->row);
}

static int sort_ends(hpw_trace *trace) {
    minimalloc *m = trace->import;
    m->ends = m->count > SIZE_MAX / 4 / sizeof *m->ends ? NULL : malloc((2 * m->count + 1) * sizeof *m->ends);
    if (!m->ends) return hpw_trace_no_memory(trace);
    for (size_t i = 0; i < m->count; i++) {
        m->ends[2 * i] = (end){.time = m->buffers[i].lower, .row = i, .starts = true};
        m->ends[2 * i + 1] = (end){.time = m->buffers[i].upper, .row = i};
    }
    m->end_count = 2 * m->count;
    qsort(m->ends, m->end_count, sizeof *m->ends, by_time);
    return 1;
}

static uint64_t id_of(const minimalloc *m, size_t row) {
    const char *text = m->ids + m->buffers[row].id;
    uint64_t n = row;
    if (m->numeric) hpw_field_decimal((hpw_field){.start = text, .length = strlen(text)}, UINT64_MAX, &n);
    return n;
}

static int next(hpw_trace *trace, hpw_trace_event *event) {
    minimalloc *m = trace->import;
    if (!m->read) {
        m->read = true;
        if (read_rows(trace) < 0 || check_ids(trace) < 0 || sort_ends(trace) < 0) return -1;
    }
    if (m->next == m->end_count) return 0;
    const end *e = &m->ends[m->next++];
    const buffer *b = &m->buffers[e->row];
    trace->line = b->line;
    *event = (hpw_trace_event){.kind = e->starts ? HPW_TRACE_ALLOC : HPW_TRACE_FREE, .id = id_of(m, e->row)};
    if (e->starts) {
        event->size = b->size;
        event->alignment = b->alignment;
    }
    return hpw_id_check(trace, event);
}

static void forget(void *state) {
    minimalloc *m = state;
    free(m->buffers);
    free(m->ids);
    free(m->ends);
}

const hpw_importer hpw_import_minimalloc = {
    .format = HPW_TRACE_MINIMALLOC,
    .name = "minimalloc",
    .loses = "threads, resizes; its times are steps and give the order alone",
    .recognise = recognise,
    .state_size = sizeof(minimalloc),
    .next = next,
    .close = forget,
};
