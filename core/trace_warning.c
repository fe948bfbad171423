/* SPDX-License-Identifier: MIT */
/* What a reader met that is no error, in one line of words: trace.h, hpw_trace_warning. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "trace_reader.h"

typedef unsigned long long number;

/* Appends a formatted clause to the warning. */
__attribute__((format(printf, 2, 3))) static void add(hpw_trace *trace, const char *format, ...) {
    size_t used = strlen(trace->warning), room = sizeof trace->warning;
    if (used && used + 3 < room) used += (size_t)snprintf(trace->warning + used, room - used, "; ");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(trace->warning + used, room - used, format, arguments);
    va_end(arguments);
}

/* What is only counted: how many, then these words. */
static const struct {
    size_t at; /* in hpw_trace_notes */
    const char *words;
} counted[] = {
    {offsetof(hpw_trace_notes, missing), "records are missing"},
    {offsetof(hpw_trace_notes, unknown_frees), "frees are left out: their blocks were not recorded"},
    {offsetof(hpw_trace_notes, unknown_resizes),
     "resizes count as allocations: their blocks were not recorded"},
    {offsetof(hpw_trace_notes, reused),
     "blocks count as freed when their address was given out again: their frees were not recorded"},
    {offsetof(hpw_trace_notes, failed), "requests are left out: they failed"},
    {offsetof(hpw_trace_notes, unseen), "allocations are left out: their addresses are not told"},
    {offsetof(hpw_trace_notes, torn),
     "calls are left out: their lines are torn or their results no addresses"},
    {offsetof(hpw_trace_notes, others), "lines are left out: other processes wrote them"},
    {offsetof(hpw_trace_notes, odd_alignments), "alignments are left out: they are no powers of two"},
    {offsetof(hpw_trace_notes, writes), "writes into blocks are left out"},
    {offsetof(hpw_trace_notes, columns), "columns are left out"},
};

const char *hpw_trace_warning(hpw_trace *trace) {
    const hpw_trace_notes *notes = &trace->notes;
    trace->warning[0] = '\0';
    if (notes->stopped)
        add(trace, "the recording stopped at byte %llu, after %llu events: %s", (number)notes->cut_at,
            (number)trace->events, strerror((int)notes->stop_errno));
    else if (notes->cut && trace->state == 0)
        add(trace,
            "cut off at byte %llu of %llu, after %llu events: the program ended without closing the trace",
            (number)notes->cut_at, (number)(trace->input.size ? trace->input.size : trace->input.offset),
            (number)trace->events);
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        uint64_t n;
        memcpy(&n, (const char *)notes + counted[i].at, sizeof n);
        if (n) add(trace, "%llu %s", (number)n, counted[i].words);
    }
    if (notes->has_promise)
        add(trace, "its header says %llu operations, it holds %llu", (number)notes->promised,
            (number)notes->counted);
    if (notes->no_line_end && trace->state == 0)
        add(trace, "the last line, %llu, has no line end: it may be cut off", (number)(trace->line - 1));
    return trace->warning[0] ? trace->warning : NULL;
}
