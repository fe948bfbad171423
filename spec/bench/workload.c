/* SPDX-License-Identifier: MIT */
/* How the bench's workloads are made: see workload.h. */
#include "workload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

typedef struct maker {
    workload *made;
    size_t room;
    uint64_t state;
    uint64_t live;
    uint32_t *sizes; /* by slot, 0 empty */
    bool half;       /* the live blocks */
    bool failed;
} maker;

static uint64_t next_random(maker *m) { /* SplitMix64 */
    uint64_t z = m->state += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

static uint64_t below(maker *m, uint64_t n) {
    return (uint64_t)((double)(next_random(m) >> 11) * 0x1p-53 * (double)n);
}

static uint32_t log_uniform(maker *m, uint32_t least, uint32_t most) {
    double u = (double)(next_random(m) >> 11) * 0x1p-53;
    return (uint32_t)(least * pow((double)most / least, u));
}

static void put(maker *m, size_t slot, uint32_t size) {
    workload *w = m->made;
    if (m->failed) return;
    if (w->count == m->room) {
        m->room = m->room ? m->room * 2 : 1 << 16;
        call *grown = realloc(w->calls, m->room * sizeof *grown);
        if (!grown) {
            m->failed = true;
            return;
        }
        w->calls = grown;
    }
    w->calls[w->count++] = (call){(uint32_t)slot, size};
    if (size == CALL_FREE) {
        m->live -= m->sizes[slot];
        m->sizes[slot] = 0;
        return;
    }
    m->live += size;
    m->sizes[slot] = size;
    if (m->live > w->peak) w->peak = m->live;
}

static void replace(maker *m, size_t slot, uint32_t size) {
    if (m->sizes[slot]) put(m, slot, CALL_FREE);
    put(m, slot, size);
}

static void churn(maker *m, size_t live, size_t steps, uint32_t least, uint32_t most) {
    for (size_t i = 0; i < live; i++) put(m, i, log_uniform(m, least, most));
    m->made->from = m->made->count;
    for (size_t i = 0; i < steps; i++) replace(m, below(m, live), log_uniform(m, least, most));
}

static void make_w1(maker *m, bool tight) {
    churn(m, m->half ? 5000 : 10000, tight ? 100000 : 1000000, 16, 256);
}
static void make_w2(maker *m, bool tight) {
    churn(m, tight ? 2000 : 10000, tight ? 100000 : 500000, 16, 65536);
}

static void make_w3(maker *m, bool tight) {
    for (int burst = 0; burst < (tight ? 20 : 1000); burst++) {
        for (size_t i = 0; i < 1000; i++) put(m, i, log_uniform(m, 16, 256));
        for (size_t i = 1000; i-- > 0;) put(m, i, CALL_FREE);
    }
}

static void make_w4(maker *m, bool tight) {
    for (size_t i = 0; i < 10000; i++) put(m, i, log_uniform(m, 16, 256));
    m->made->from = m->made->count;
    for (size_t i = 0; i < (tight ? 100000 : 1000000); i++) replace(m, i % 10000, log_uniform(m, 16, 256));
}

static void make_w5(maker *m, bool tight) {
    size_t slots = 0;
    m->made->capacity = 16 << 20;
    m->made->bounded = true;
    while (m->live < (uint64_t)(16 << 20) * 9 / 10 - 4096) put(m, slots++, log_uniform(m, 16, 4096));
    m->made->from = m->made->count;
    for (size_t i = 0; i < (tight ? 100000 : 500000); i++) {
        size_t slot = below(m, slots);
        put(m, slot, CALL_FREE);
        uint32_t size = log_uniform(m, 16, 4096);
        uint64_t room = (uint64_t)(16 << 20) * 9 / 10 - m->live; /* never above 90 % */
        put(m, slot, size < room ? size : room < 16 ? 16 : (uint32_t)room);
    }
}

static void make_w6(maker *m, bool tight) {
    size_t live = tight ? 20000 : 200000;
    m->made->one_shot = true;
    for (size_t i = 0; i < live; i++) put(m, i, log_uniform(m, 16, 1024));
    for (size_t i = 0; i < live; i += 2) put(m, i, CALL_FREE);
    for (size_t i = 0; i < live; i++) put(m, live + i, log_uniform(m, 16, 1024));
}

/* Of pools that have much room: 38 times what is live, or 2 to 3 times. */
enum { SMALL_POOL = 32 << 20, LARGE_POOL = 256 << 20 };

static const struct {
    const char *name;
    void (*make)(maker *, bool tight);
    size_t slots;
    uint64_t capacity;
} makers[] = {
    {"W1", make_w1, 10000, SMALL_POOL},  {"W2", make_w2, 10000, LARGE_POOL},
    {"W3", make_w3, 1000, SMALL_POOL},   {"W4", make_w4, 10000, SMALL_POOL},
    {"W5", make_w5, 200000, SMALL_POOL}, {"W6", make_w6, 400000, LARGE_POOL / 2},
};

const char *workload_name(size_t number) {
    return number < sizeof makers / sizeof *makers ? makers[number].name : NULL;
}

bool workload_make(const char *name, workload_part part, workload *made) {
    const char *known;
    *made = (workload){.name = NULL};
    for (size_t i = 0; (known = workload_name(i)); i++) {
        if (strcmp(known, name)) continue;
        *made = (workload){.name = known, .slots = makers[i].slots, .capacity = makers[i].capacity};
        maker m = {.made = made, .state = 20261122, .sizes = calloc(makers[i].slots, sizeof(uint32_t))};
        m.half = part == WORKLOAD_HALF;
        if (m.sizes) makers[i].make(&m, part == WORKLOAD_TIGHT);
        bool ok = m.sizes && !m.failed;
        free(m.sizes);
        return ok;
    }
    return false;
}

bool workload_load(const char *path, workload *made) {
    hpw_trace_error error;
    hpw_trace_summary summary;
    hpw_trace_event event;
    *made = (workload){.name = "trace", .capacity = (uint64_t)1 << 30};
    hpw_trace *trace = hpw_trace_scan(path, &summary, &error) ? hpw_trace_open(path, &error) : NULL;
    if (!trace) {
        fprintf(stderr, "%s\n", error.message);
        return false;
    }
    made->slots = (size_t)summary.peak_blocks + 1;
    maker m = {.made = made, .sizes = calloc(made->slots, sizeof(uint32_t))};
    m.failed = !m.sizes;
    while (!m.failed && hpw_trace_next(trace, &event, &error) > 0) {
        if (event.kind == HPW_TRACE_FREE)
            put(&m, event.slot, CALL_FREE);
        else if (event.kind == HPW_TRACE_ALLOC || m.sizes[event.slot])
            replace(&m, event.slot, event.size ? (uint32_t)event.size : 1);
    }
    hpw_trace_close(trace);
    free(m.sizes);
    return !m.failed;
}

void workload_free(workload *made) { free(made->calls); }
