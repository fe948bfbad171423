/* SPDX-License-Identifier: MIT */
/*
 * A history as a timeline: an object of Chrome's trace-event format, which Perfetto opens.
 *
 *   - Counters ("C") for the curves: bytes in use, granted, free, the largest free block.
 *   - An asynchronous slice ("b", "e") for each block's rectangle, named by its size, with
 *     address, sizes and events as arguments. Of more than MOST_SLICES those with the
 *     most bytes times events.
 *   - An instant ("i") for each failure, MOST_INSTANTS at most; a counter has all of them.
 *
 * The format counts microseconds. Where each event has a time and none goes back, those
 * are the trace's; else an event is a microsecond. `otherData` says which, and what was
 * left out. A file is bounded by the three limits, whatever the trace's length.
 *
 * Format: "Trace Event Format", Duca and Sinclair, Google, 2016.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "history_export.h"

enum { MOST_SLICES = 50000, MOST_INSTANTS = 10000 };

typedef struct timeline {
    unsigned least; /* share of a slice */
    uint64_t slices, instants;
} timeline;

static void put_time(const exporter *e, uint64_t event) {
    uint64_t time = 0, count = hpw_program_summary(e->program)->events;
    bool past = event > count;
    if (!e->exported->by_time || !hpw_program_time(e->program, past ? count : event, &time)) {
        fprintf(e->file, "%" PRIu64, event);
        return;
    }
    time += past; /* one past the last event: a nanosecond, so that nothing takes none */
    fprintf(e->file, "%" PRIu64 ".%03" PRIu64, time / 1000, time % 1000);
}

static bool begin(exporter *e) {
    timeline *t = e->state = calloc(1, sizeof *t);
    if (!t) return false;
    t->least = export_threshold(&e->survey, MOST_SLICES);
    fputs("{\"traceEvents\":[\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"",
          e->file);
    export_json(e->file, e->what->title);
    fputs(" under ", e->file);
    export_json(e->file, e->what->policy);
    fputs("\"}}", e->file);
    return true;
}

static void put_end_of_slice(const exporter *e, const hpw_rectangle *r, char phase, uint64_t id) {
    fprintf(e->file,
            ",\n{\"name\":\"%" PRIu64 " bytes\",\"cat\":\"block\",\"ph\":\"%c\",\"id\":\"%" PRIu64
            "\",\"pid\":1,\"tid\":%u,\"ts\":",
            r->granted, phase, id, r->thread + 1U);
    put_time(e, phase == 'b' ? r->born : r->died);
}

static bool put_rectangle(void *ud, const hpw_rectangle *r) {
    exporter *e = ud;
    timeline *t = e->state;
    e->exported->rectangles++;
    if (export_share(r) < t->least || t->slices == MOST_SLICES) return true;
    uint64_t id = ++t->slices;
    put_end_of_slice(e, r, 'b', id);
    fprintf(e->file,
            ",\"args\":{\"address\":\"0x%" PRIx64 "\",\"granted\":%" PRIu64 ",\"requested\":%" PRIu64
            ",\"block\":%" PRIu64 ",\"born\":%" PRIu64 ",\"died\":%" PRIu64,
            r->address, r->granted, r->requested, r->block, r->born, r->died);
    if (r->has_thread) fprintf(e->file, ",\"thread\":%u", r->thread);
    fputs("}}", e->file);
    put_end_of_slice(e, r, 'e', id);
    fputc('}', e->file);
    return !ferror(e->file);
}

static bool put_refusal(void *ud, const hpw_refusal *r) {
    exporter *e = ud;
    timeline *t = e->state;
    if (t->instants == MOST_INSTANTS) return true;
    t->instants++;
    fputs(",\n{\"name\":\"failure\",\"cat\":\"failure\",\"ph\":\"i\",\"s\":\"p\",\"pid\":1,\"tid\":1,\"ts\":",
          e->file);
    put_time(e, r->event);
    fprintf(e->file, ",\"args\":{\"event\":%" PRIu64 ",\"size\":%" PRIu64 ",\"resize\":%s}}", r->event,
            r->size, r->resize ? "true" : "false");
    return !ferror(e->file);
}

static void put_counter(const exporter *e, const hpw_sample *s, const char *name, uint64_t value) {
    fprintf(e->file, ",\n{\"name\":\"%s\",\"ph\":\"C\",\"pid\":1,\"ts\":", name);
    put_time(e, s->event);
    fprintf(e->file, ",\"args\":{\"value\":%" PRIu64 "}}", value);
}

static bool put_sample(void *ud, const hpw_sample *s) {
    const exporter *e = ud;
    put_counter(e, s, "in use (bytes)", s->in_use);
    put_counter(e, s, "granted (bytes)", s->granted);
    put_counter(e, s, "high water (bytes)", s->high_water);
    put_counter(e, s, "free (bytes)", s->free);
    if (s->has_largest) put_counter(e, s, "largest free block (bytes)", s->largest_free);
    put_counter(e, s, "failures", s->failures);
    return !ferror(e->file);
}

static void end(exporter *e) {
    const timeline *t = e->state;
    e->exported->drawn = t->slices;
    fputs("\n],\n\"displayTimeUnit\":\"ns\",\n\"otherData\":{\"source\":\"", e->file);
    export_json(e->file, e->what->title);
    fputs("\",\"policy\":\"", e->file);
    export_json(e->file, e->what->policy);
    fprintf(e->file, "\",\"time\":\"%s\",\"capacity\":\"",
            e->exported->by_time ? "nanoseconds of the trace" : "events: one is a microsecond");
    if (e->question->capacity)
        fprintf(e->file, "%" PRIu64, e->question->capacity);
    else
        fputs("unbounded", e->file);
    fprintf(e->file,
            "\",\"rectangles\":\"%" PRIu64 "\",\"slices\":\"%" PRIu64 "\",\"failures\":\"%" PRIu64
            "\",\"failures_marked\":\"%" PRIu64 "\"}}\n",
            e->exported->rectangles, t->slices, e->exported->answer.failures, t->instants);
}

const export_writer export_perfetto = {
    .name = "perfetto",
    .surveys = true,
    .begin = begin,
    .end = end,
    .sink = {.rectangle = put_rectangle, .refusal = put_refusal, .sample = put_sample},
};
