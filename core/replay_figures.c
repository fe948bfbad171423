/* SPDX-License-Identifier: MIT */
/* A trace's figures, event by event: see replay_figures.h. */
#include "replay_figures.h"

#include <string.h>

#include "bits.h"

void replay_figures_begin(replay_figures *f, uint32_t granule) {
    *f = (replay_figures){.granule = granule, .room = replay_room_least(granule)};
}

static uint64_t round_up(uint64_t size, uint64_t granule) {
    return size ? (size + granule - 1) & ~(granule - 1) : granule;
}

/* What all kinds of events but frees change. */
static void note_request(replay_figures *f, const hpw_trace_event *event) {
    unsigned align_bits = event->alignment ? (unsigned)bits_highest(event->alignment) : 0;
    f->rounded += round_up(event->size, f->granule);
    if (f->rounded > f->lower_bound) f->lower_bound = f->rounded;
    if (event->size > f->summary.largest) f->summary.largest = event->size;
    if (event->alignment > f->largest_align) f->largest_align = event->alignment;
    if (event->slot >= f->slots) f->slots = event->slot + 1;
    if (!f->room_full) f->room_full = !replay_room_add(&f->room, f->granule, event->size, align_bits);
}

bool replay_figures_note(replay_figures *f, const hpw_trace_event *event) {
    hpw_trace_summary *s = &f->summary;
    if (!hpw_trace_sum(&f->rounded_sum, event)) return false;
    s->events++;
    if (f->rounded_sum > s->lower_bound) s->lower_bound = f->rounded_sum;
    switch (event->kind) {
    case HPW_TRACE_FREE:
        s->frees++;
        f->in_use -= event->size;
        f->rounded -= round_up(event->size, f->granule);
        return true;
    case HPW_TRACE_ALLOC:
        s->allocations++;
        f->in_use += event->size;
        break;
    case HPW_TRACE_RESIZE:
        s->resizes++;
        f->in_use += event->size - event->previous;
        f->rounded -= round_up(event->previous, f->granule);
        break;
    }
    note_request(f, event);
    if (f->in_use > s->peak_in_use) {
        s->peak_in_use = f->in_use;
        f->peak_operation = s->events;
    }
    return true;
}

void replay_figures_end(replay_figures *f, hpw_trace *trace) {
    hpw_trace_summary *s = &f->summary;
    const char *warning = hpw_trace_warning(trace);
    if (warning) strncpy(s->warning, warning, sizeof s->warning - 1);
    strncpy(s->program, hpw_trace_program(trace), sizeof s->program - 1);
    s->format = hpw_trace_format_of(trace);
    s->peak_blocks = f->slots;
    s->live_blocks = s->allocations - s->frees;
    s->live_bytes = f->in_use;
}

uint64_t replay_figures_unbounded(const replay_figures *f) {
    return f->room_full ? hpw_max_capacity(f->granule) : replay_room_capacity(f->room, f->granule);
}
