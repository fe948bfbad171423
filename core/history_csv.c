/* SPDX-License-Identifier: MIT */
/*
 * A history as tables, RFC 4180: a line of names, then a line for each rectangle, in the
 * order in which they end, or for each sample. What the trace does not tell is empty.
 * Events count from 1; `died` of what lives to the end is one past the last.
 */
#include <inttypes.h>

#include "heapwright.h"
#include "history_export.h"

static void put_time(const exporter *e, uint64_t event) {
    uint64_t time;
    if (hpw_program_time(e->program, event, &time))
        fprintf(e->file, "%" PRIu64 ",", time);
    else
        fputc(',', e->file);
}

static bool begin_rectangles(exporter *e) {
    fputs("block,address,granted,requested,born,died,born_ns,died_ns,thread,end\r\n", e->file);
    return true;
}

static bool put_rectangle(void *ud, const hpw_rectangle *r) {
    exporter *e = ud;
    e->exported->rectangles++;
    e->exported->drawn++;
    fprintf(e->file, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", r->block,
            r->address, r->granted, r->requested, r->born, r->died);
    put_time(e, r->born);
    put_time(e, r->died);
    if (r->has_thread) fprintf(e->file, "%" PRIu16, r->thread);
    bool lives = r->died > hpw_program_summary(e->program)->events;
    fprintf(e->file, ",%s\r\n", r->freed ? "freed" : lives ? "live" : "resized");
    return !ferror(e->file);
}

static bool begin_curves(exporter *e) {
    fputs(
        "event,ns,in_use,granted,high_water,free,largest_free,internal_fragmentation,external_fragmentation,"
        "live_blocks,failures\r\n",
        e->file);
    return true;
}

static bool put_sample(void *ud, const hpw_sample *s) {
    exporter *e = ud;
    fprintf(e->file, "%" PRIu64 ",", s->event);
    put_time(e, s->event);
    fprintf(e->file, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", s->in_use, s->granted, s->high_water,
            s->free);
    hpw_stats stats = {
        .in_use = s->in_use, .granted = s->granted, .free = s->free, .largest_free = s->largest_free};
    if (s->has_largest)
        fprintf(e->file, "%" PRIu64 ",%.6f,%.6f,", s->largest_free, hpw_internal_fragmentation(&stats),
                hpw_external_fragmentation(&stats));
    else
        fprintf(e->file, ",%.6f,,", hpw_internal_fragmentation(&stats));
    fprintf(e->file, "%" PRIu64 ",%" PRIu64 "\r\n", s->live_blocks, s->failures);
    return !ferror(e->file);
}

static void end(exporter *e) { (void)e; }

const export_writer export_csv = {
    .name = "csv",
    .begin = begin_rectangles,
    .end = end,
    .sink = {.rectangle = put_rectangle},
};

const export_writer export_curves = {
    .name = "curves",
    .begin = begin_curves,
    .end = end,
    .sink = {.sample = put_sample},
};
