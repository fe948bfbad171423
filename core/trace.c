/* SPDX-License-Identifier: MIT */
/*
 * The way into the trace reader: opens a file, tells its format by its first
 * bytes, holds events keyed by id to the rules (no id unknown, none live
 * twice), and puts into words what was found. See trace.h for the bounds.
 */
#include "trace_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hpw_trace_fail(hpw_trace_error *error, hpw_error code, const char *format, ...) {
    if (!error) return;
    error->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
}

int hpw_trace_no_memory(hpw_trace *trace) {
    hpw_trace_fail(&trace->error, HPW_NO_MEMORY, "%s: no memory for its %llu live blocks", trace->input.path,
                   (unsigned long long)trace->live.count);
    return -1;
}

/* Says that an event keyed by id breaks a rule. */
static int refuse_id(hpw_trace *trace, const hpw_trace_event *event, const char *what) {
    char place[64];
    if (trace->format == HPW_TRACE_TEXT)
        snprintf(place, sizeof place, ":%llu", (unsigned long long)trace->line);
    else
        snprintf(place, sizeof place, ": event %llu, in the chunk at byte %llu",
                 (unsigned long long)trace->events + 1, (unsigned long long)trace->chunk_at);
    static const char *const kinds[] = {"alloc", "free", "resize"};
    hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s%s: %s of id %llu, which %s", trace->input.path, place,
                   kinds[event->kind], (unsigned long long)event->id, what);
    return -1;
}

/* Keeps the table of live ids and fills in what the event leaves open. */
static int check_id(hpw_trace *trace, hpw_trace_event *event) {
    hpw_live *block = hpw_live_find(&trace->live, event->id);
    if (event->kind == HPW_TRACE_ALLOC) {
        if (block) return refuse_id(trace, event, "is live");
        hpw_live fresh = {.key = event->id, .id = event->id, .size = event->size};
        if (!hpw_slot_take(&trace->slots, &fresh.slot) || !hpw_live_add(&trace->live, &fresh))
            return hpw_trace_no_memory(trace);
        event->slot = fresh.slot;
        return 1;
    }
    if (!block) return refuse_id(trace, event, "is not live: never allocated, or freed before");
    event->slot = block->slot;
    if (event->kind == HPW_TRACE_FREE) {
        event->size = block->size;
        hpw_slot_return(&trace->slots, block->slot);
        hpw_live_remove(&trace->live, block);
    } else {
        event->previous = block->size;
        block->size = event->size;
    }
    return 1;
}

/* The next event from the file. */
static int read_event(hpw_trace *trace, hpw_trace_event *event) {
    int got;
    if (trace->format == HPW_TRACE_TEXT)
        got = hpw_text_next(trace, event);
    else if (trace->merge)
        got = hpw_merge_next(trace, event);
    else
        got = hpw_ids_next(trace, event);
    if (got == 1 && !trace->merge) got = check_id(trace, event);
    if (got == 1) trace->events++;
    return got;
}

/* Binary or text? Both begin after this. */
static int open_format(hpw_trace *trace) {
    hpw_input *input = &trace->input;
    const size_t magic = sizeof HPW_TRACE_MAGIC - 1;
    while (input->end < magic) {
        int more = hpw_input_more(input, &trace->error);
        if (more < 0) return -1;
        if (!more) break;
    }
    size_t have = input->end < magic ? input->end : magic;
    if (!have) return 0;
    if (memcmp(input->buffer, HPW_TRACE_MAGIC, have) != 0) return 1;
    trace->format = HPW_TRACE_BINARY;
    int got = hpw_binary_open(trace);
    if (got == 1 && trace->header.mode == HPW_MODE_ADDRESSES) return hpw_merge_open(trace) ? 1 : -1;
    return got;
}

/* A trace without an event is refused, with the reason. */
static int refuse_empty(hpw_trace *trace) {
    const char *path = trace->input.path;
    if (trace->input.offset == 0 && trace->format == HPW_TRACE_TEXT)
        hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s: is empty, not a trace", path);
    else if (trace->notes.cut)
        hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s: holds no event: cut off at byte %llu of %llu", path,
                       (unsigned long long)trace->notes.cut_at, (unsigned long long)trace->input.size);
    else
        hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s: holds no event", path);
    return -1;
}

hpw_trace *hpw_trace_open(const char *path, hpw_trace_error *error) {
    hpw_trace *trace = calloc(1, sizeof *trace);
    if (!trace) {
        hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to read it", path);
        return NULL;
    }
    if (!hpw_input_open(&trace->input, path, error)) {
        free(trace);
        return NULL;
    }
    trace->state = open_format(trace);
    if (trace->state == 1) trace->state = read_event(trace, &trace->ahead);
    if (trace->state == 0) trace->state = refuse_empty(trace);
    if (trace->state < 0) {
        if (error) *error = trace->error;
        hpw_trace_close(trace);
        return NULL;
    }
    trace->has_ahead = true;
    return trace;
}

int hpw_trace_next(hpw_trace *trace, hpw_trace_event *event, hpw_trace_error *error) {
    if (trace->has_ahead) {
        trace->has_ahead = false;
        *event = trace->ahead;
        return 1;
    }
    if (trace->state == 1) trace->state = read_event(trace, event);
    if (trace->state < 0 && error) *error = trace->error;
    return trace->state;
}

const hpw_trace_error *hpw_trace_failure(const hpw_trace *trace) {
    return trace->state < 0 ? &trace->error : NULL;
}

/* Appends a formatted clause to the warning. */
__attribute__((format(printf, 2, 3))) static void add(hpw_trace *trace, const char *format, ...) {
    size_t used = strlen(trace->warning), room = sizeof trace->warning;
    if (used && used + 3 < room) used += (size_t)snprintf(trace->warning + used, room - used, "; ");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(trace->warning + used, room - used, format, arguments);
    va_end(arguments);
}

const char *hpw_trace_warning(hpw_trace *trace) {
    const hpw_trace_notes *notes = &trace->notes;
    typedef unsigned long long number;
    trace->warning[0] = '\0';
    if (notes->stopped)
        add(trace, "the recording stopped at byte %llu, after %llu events: %s", (number)notes->cut_at,
            (number)trace->events, strerror((int)notes->stop_errno));
    else if (notes->cut && trace->state == 0)
        add(trace,
            "cut off at byte %llu of %llu, after %llu events: the program ended without closing the trace",
            (number)notes->cut_at, (number)(trace->input.size ? trace->input.size : trace->input.offset),
            (number)trace->events);
    if (notes->missing) add(trace, "%llu records are missing", (number)notes->missing);
    if (notes->unknown_frees)
        add(trace, "%llu frees are left out: their blocks were not recorded", (number)notes->unknown_frees);
    if (notes->unknown_resizes)
        add(trace, "%llu resizes count as allocations: their blocks were not recorded",
            (number)notes->unknown_resizes);
    if (notes->reused)
        add(trace,
            "%llu blocks count as freed when their address was given out again: their frees were not "
            "recorded",
            (number)notes->reused);
    if (notes->no_line_end && trace->state == 0)
        add(trace, "the last line, %llu, has no line end: it may be cut off", (number)(trace->line - 1));
    return trace->warning[0] ? trace->warning : NULL;
}

hpw_trace_format hpw_trace_format_of(const hpw_trace *trace) { return trace->format; }

const char *hpw_trace_program(const hpw_trace *trace) { return trace->header.program; }

double hpw_trace_progress(const hpw_trace *trace) {
    if (trace->state == 0) return 1.0;
    if (!trace->input.size) return 0.0;
    uint64_t done = trace->merge ? hpw_merge_done(trace->merge) : trace->input.offset;
    return (double)done / (double)trace->input.size;
}

void hpw_trace_close(hpw_trace *trace) {
    if (!trace) return;
    hpw_merge_close(trace->merge);
    hpw_live_free(&trace->live);
    hpw_slots_free(&trace->slots);
    hpw_input_close(&trace->input);
    free(trace->payload);
    free(trace);
}
