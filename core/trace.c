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
    if (trace->line)
        snprintf(place, sizeof place, ":%llu", (unsigned long long)trace->line);
    else
        snprintf(place, sizeof place, ": event %llu, in the chunk at byte %llu",
                 (unsigned long long)trace->events + 1, (unsigned long long)trace->chunk_at);
    static const char *const kinds[] = {"alloc", "free", "resize"};
    hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s%s: %s of id %llu, which %s", trace->input.path, place,
                   kinds[event->kind], (unsigned long long)event->id, what);
    return -1;
}

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

int hpw_id_check(hpw_trace *trace, hpw_trace_event *event) { return check_id(trace, event); }

/* The next event of a recorder's trace or of another format. */
static int read_other(hpw_trace *trace, hpw_trace_event *event) {
    if (!trace->addresses.has_second)
        return trace->merge ? hpw_merge_next(trace, event) : hpw_import_next(trace, event);
    trace->addresses.has_second = false;
    *event = trace->addresses.second;
    return 1;
}

/* The next event from the file. */
static int read_event(hpw_trace *trace, hpw_trace_event *event) {
    int got;
    if (trace->by_id) {
        got = trace->format == HPW_TRACE_TEXT ? hpw_text_next(trace, event) : hpw_ids_next(trace, event);
        if (got == 1) got = check_id(trace, event);
    } else {
        got = read_other(trace, event);
    }
    if (got == 1) trace->events++;
    return got;
}

/* Reads so many of the first bytes, fewer only at the end of the file. False and trace->error. */
static bool look_ahead(hpw_trace *trace, size_t n) {
    hpw_input *input = &trace->input;
    while (input->end < n) {
        int more = hpw_input_more(input, &trace->error);
        if (more < 0) return false;
        if (!more) break;
    }
    return true;
}

/* A binary trace: its header, and a recorder's chunks, which lie where they please: no stream will do. */
static int open_binary(hpw_trace *trace) {
    trace->format = HPW_TRACE_BINARY;
    int got = hpw_binary_open(trace);
    if (got != 1 || trace->header.mode != HPW_MODE_ADDRESSES) return got;
    uint8_t header[HPW_HEADER_SIZE];
    hpw_header_encode(&trace->header, header);
    if (!trace->input.seekable && !hpw_input_spool(&trace->input, header, sizeof header, &trace->error))
        return -1;
    return hpw_merge_open(trace) ? 1 : -1;
}

/* Packed? Binary, text, or another format? */
static int open_format(hpw_trace *trace) {
    hpw_input *input = &trace->input;
    const size_t magic = sizeof HPW_TRACE_MAGIC - 1;
    if (!look_ahead(trace, magic)) return -1;
    int packed = hpw_input_unpack(input, &trace->error);
    if (packed < 0 || (packed && !look_ahead(trace, magic))) return -1;
    size_t have = input->end < magic ? input->end : magic;
    if (!have) return 0;
    if (memcmp(input->buffer, HPW_TRACE_MAGIC, have) == 0) return open_binary(trace);
    return hpw_import_recognise(trace);
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
    trace->by_id = !trace->merge && !trace->importer;
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

hpw_trace_format hpw_trace_format_of(const hpw_trace *trace) { return trace->format; }

const char *hpw_trace_program(const hpw_trace *trace) { return trace->header.program; }

const char *hpw_trace_packing(const hpw_trace *trace) {
    return trace->input.packing ? trace->input.packing : "";
}

double hpw_trace_progress(const hpw_trace *trace) {
    if (trace->state == 0) return 1.0;
    if (!trace->merge) return hpw_input_progress(&trace->input);
    return trace->input.size ? (double)hpw_merge_done(trace->merge) / (double)trace->input.size : 0.0;
}

void hpw_trace_close(hpw_trace *trace) {
    if (!trace) return;
    hpw_merge_close(trace->merge);
    hpw_import_close(trace);
    hpw_live_free(&trace->live);
    hpw_live_free(&trace->addresses.moving);
    hpw_slots_free(&trace->slots);
    hpw_input_close(&trace->input);
    free(trace->payload);
    free(trace);
}
