/* SPDX-License-Identifier: MIT */
/* What recorded programs do with addresses, as C's functions mean it: see import.h. O(1) expected. */
#include "import.h"

static int refuse_size(hpw_trace *trace) {
    return hpw_line_refuse(trace, "the size is above 2^63 - 1, and the request did not fail");
}

int hpw_request_alloc(hpw_trace *trace, uint64_t address, uint64_t size, uint64_t alignment,
                      hpw_trace_event *event) {
    if (!address) {
        trace->notes.failed++;
        return 0;
    }
    if (size > INT64_MAX) return refuse_size(trace);
    if (alignment & (alignment - 1) || alignment > INT64_MAX) {
        trace->notes.odd_alignments++;
        alignment = 0;
    }
    return hpw_address_alloc(trace, address, size, alignment, event);
}

int hpw_request_free(hpw_trace *trace, uint64_t address, hpw_trace_event *event) {
    return address ? hpw_address_free(trace, address, event) : 0;
}

int hpw_request_resize(hpw_trace *trace, uint64_t from, uint64_t to, uint64_t size, hpw_trace_event *event) {
    if (!from) return hpw_request_alloc(trace, to, size, 0, event);
    if (!to && !size) return hpw_address_free(trace, from, event);
    if (!to) {
        trace->notes.failed++;
        return 0;
    }
    if (size > INT64_MAX) return refuse_size(trace);
    return hpw_address_resize(trace, from, to, size, event);
}
