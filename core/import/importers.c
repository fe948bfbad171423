/* SPDX-License-Identifier: MIT */
/*
 * The table of other formats, and how a file's is told by its content:
 *
 *  1. Where the first line that is neither empty nor a comment is one of our text,
 *     the file is our text.
 *  2. Else as much is read ahead as the buffer holds, 64 KiB, and each line is shown
 *     to each format in turn. The first that knows one has the file. Most know the
 *     file's first line alone; tools that write between a program's own output know
 *     theirs anywhere in it.
 *  3. What nobody knows counts as our text, whose reader then says what is wrong
 *     with its first line.
 */
#include "import.h"

#include <stdlib.h>

static const hpw_importer *const importers[] = {
    &hpw_import_rep,       &hpw_import_mtrace,     &hpw_import_memory_replay,
    &hpw_import_heaptrack, &hpw_import_minimalloc, &hpw_import_dhat,
    &hpw_import_massif,    &hpw_import_valgrind,   &hpw_import_ltrace,
};

enum { IMPORTERS = sizeof importers / sizeof *importers };

const hpw_importer *hpw_importer_of(hpw_trace_format format) {
    for (size_t i = 0; i < IMPORTERS; i++)
        if (importers[i]->format == format && !importers[i]->refuses) return importers[i];
    return NULL;
}

const char *hpw_trace_format_name(hpw_trace_format format) {
    if (format == HPW_TRACE_TEXT) return "text";
    if (format == HPW_TRACE_BINARY) return "binary";
    const hpw_importer *importer = hpw_importer_of(format);
    return importer ? importer->name : NULL;
}

const char *hpw_trace_format_loses(hpw_trace_format format) {
    const hpw_importer *importer = hpw_importer_of(format);
    return importer ? importer->loses : NULL;
}

/* Cuts the first line off `text`. False where there is none, or its end is not known yet. */
static bool cut_line(hpw_line *text, bool whole, hpw_line *line) {
    size_t n = (size_t)(text->end - text->next);
    const char *end = n ? memchr(text->next, '\n', n) : NULL;
    if (!n || (!end && !whole)) return false;
    *line = (hpw_line){.next = text->next, .end = end ? end : text->end};
    text->next = end ? end + 1 : text->end;
    if (line->end > line->next && line->end[-1] == '\r') line->end--;
    return true;
}

/* Neither empty nor a comment? */
static bool says_something(hpw_line line) {
    hpw_field first = hpw_line_field(&line);
    return first.length && *first.start != '#';
}

/* An event of our text, as far as its first two fields tell? */
static bool is_ours(hpw_line line) {
    hpw_field kind = hpw_line_field(&line), id = hpw_line_field(&line);
    uint64_t n;
    return kind.length == 1 && strchr("afr", *kind.start) && hpw_field_decimal(id, UINT64_MAX, &n);
}

static hpw_line ahead(const hpw_input *input) {
    const char *bytes = (const char *)input->buffer;
    return (hpw_line){.next = bytes + input->begin, .end = bytes + input->end};
}

/* Finds the first line that says something: 1, 0 where there is none, -1. */
static int first_line(hpw_trace *trace, hpw_line *line) {
    hpw_input *input = &trace->input;
    for (bool whole = false;;) {
        for (hpw_line text = ahead(input); cut_line(&text, whole, line);)
            if (says_something(*line)) return 1;
        if (whole || input->end - input->begin == sizeof input->buffer) return 0;
        int more = hpw_input_more(input, &trace->error);
        if (more < 0) return -1;
        whole = !more;
    }
}

/* Shows each line that was read ahead to each format. */
static const hpw_importer *show(hpw_line text) {
    hpw_line line, from;
    uint64_t number = 0;
    for (from = text; cut_line(&text, true, &line); from = text) {
        if (!says_something(line)) continue;
        number++;
        for (size_t i = 0; i < IMPORTERS; i++)
            if (importers[i]->recognise(line, from, number)) return importers[i];
    }
    return NULL;
}

static int refuse_format(hpw_trace *trace, const hpw_importer *importer) {
    hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s: %s", trace->input.path, importer->refuses);
    return -1;
}

int hpw_import_recognise(hpw_trace *trace) {
    hpw_input *input = &trace->input;
    hpw_line line;
    int got = first_line(trace, &line);
    if (got < 0) return -1;
    if (!got || is_ours(line)) return 1;
    while (input->end - input->begin < sizeof input->buffer &&
           (got = hpw_input_more(input, &trace->error)) > 0)
        continue;
    if (got < 0) return -1;
    const hpw_importer *importer = show(ahead(input));
    if (!importer) return 1;
    if (importer->refuses) return refuse_format(trace, importer);
    trace->importer = importer;
    trace->format = importer->format;
    if (!importer->state_size) return 1;
    trace->import = calloc(1, importer->state_size);
    return trace->import ? 1 : hpw_trace_no_memory(trace);
}

int hpw_import_next(hpw_trace *trace, hpw_trace_event *event) {
    const hpw_importer *importer = trace->importer;
    if (importer->next) return importer->next(trace, event);
    for (;;) {
        hpw_line line;
        int got = importer->any_lines ? hpw_line_read_any(trace, &line)
                                      : hpw_line_read(trace, HPW_FOREIGN_LINE_LONGEST, &line);
        if (got <= 0) return got;
        got = importer->line(trace, &line, event);
        if (got) return got;
    }
}

void hpw_import_close(hpw_trace *trace) {
    if (trace->import && trace->importer->close) trace->importer->close(trace->import);
    free(trace->import);
}
