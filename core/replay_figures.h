/* SPDX-License-Identifier: MIT */
/*
 * What a replay has to know of a whole trace, from one pass over its events:
 * the summary, the lower bound for a granule, the peak moment, how large an
 * unbounded pool has to be. The same as replay.c takes from a compiled trace.
 * O(1) an event, no memory.
 */
#ifndef HPW_REPLAY_FIGURES_H
#define HPW_REPLAY_FIGURES_H

#include "replay_run.h"

typedef struct replay_figures {
    hpw_trace_summary summary;
    uint32_t granule;
    uint64_t in_use;
    uint64_t rounded_sum; /* of live blocks rounded up to 16, which may not pass 2^63 - 1 */
    uint64_t rounded;     /* of live blocks rounded up to granules */
    uint64_t lower_bound; /* the most that `rounded` ever was */
    uint64_t slots;
    uint64_t largest_align;
    uint64_t peak_operation; /* operations up to the peak moment */
    uint64_t room;           /* see replay_room_add */
    bool room_full;
} replay_figures;

void replay_figures_begin(replay_figures *figures, uint32_t granule);

/* Adds the next event. False where more than 2^63 - 1 bytes live at once. */
bool replay_figures_note(replay_figures *figures, const hpw_trace_event *event);

/* After the last event: what the reader says of the whole. */
void replay_figures_end(replay_figures *figures, hpw_trace *trace);

uint64_t replay_figures_unbounded(const replay_figures *figures);

#endif
