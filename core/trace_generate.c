/* SPDX-License-Identifier: MIT */
/* Traces made up from a plan: see trace_generate.h. O(1) an event. */
#include "trace_generate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t MOST_LIVE = UINT32_MAX - 1;

typedef struct generator {
    const hpw_trace_plan *plan;
    hpw_trace_writer *writer;
    uint64_t state[4];
    uint64_t resizes, passed; /* the shares, in 2^-63 */
    uint64_t filled;          /* blocks that were allocated a first time */
    uint64_t hole;            /* the block that is not live; `live`: all are */
    uint32_t *owners;         /* who allocated each block; NULL without threads */
} generator;

/* ---- Chance ---- */

static uint64_t splitmix(uint64_t *seed) {
    uint64_t n = *seed += 0x9e3779b97f4a7c15u;
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
    n = (n ^ n >> 27) * 0x94d049bb133111ebu;
    return n ^ n >> 31;
}

static uint64_t rotate(uint64_t n, unsigned by) { return n << by | n >> (64 - by); }

static uint64_t draw(generator *g) {
    uint64_t *s = g->state, result = rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

/* 0 ... n - 1, n below 2^32: the high half of a product (Lemire 2019), whose bias is below 2^-32. */
static uint64_t below(generator *g, uint64_t n) { return (draw(g) >> 32) * n >> 32; }

static bool happens(generator *g, uint64_t share) { return share && draw(g) >> 1 < share; }

static uint64_t share_of(double share) { return (uint64_t)(share * 0x1p63); }

/* ---- Events ---- */

/* The thread of an event on `block`; one that frees what it did not allocate is another. */
static uint32_t thread_of(generator *g, hpw_trace_kind kind, uint64_t block) {
    uint32_t threads = g->plan->threads;
    if (kind == HPW_TRACE_ALLOC) return g->owners[block] = (uint32_t)below(g, threads);
    uint32_t owner = g->owners[block];
    if (kind != HPW_TRACE_FREE || threads < 2 || !happens(g, g->passed)) return owner;
    return (owner + 1 + (uint32_t)below(g, threads - 1)) % threads;
}

static bool put(generator *g, hpw_trace_kind kind, uint64_t block) {
    const hpw_trace_plan *plan = g->plan;
    hpw_trace_event event = {.kind = kind, .id = block + 1};
    if (kind != HPW_TRACE_FREE) event.size = plan->sizes[below(g, plan->size_count)];
    if (g->owners) {
        event.has_thread = true;
        event.thread = thread_of(g, kind, block) + 1;
    }
    return hpw_trace_put(g->writer, &event);
}

static bool step(generator *g) {
    uint64_t live = g->plan->live, block = g->hole;
    if (g->filled < live) return put(g, HPW_TRACE_ALLOC, g->filled++);
    if (block < live) {
        g->hole = live;
        return put(g, HPW_TRACE_ALLOC, block);
    }
    block = below(g, live);
    if (happens(g, g->resizes)) return put(g, HPW_TRACE_RESIZE, block);
    g->hole = block;
    return put(g, HPW_TRACE_FREE, block);
}

/* ---- The file ---- */

static const char *fault_of(const hpw_trace_plan *plan) {
    if (!plan->events) return "a trace has one event at least";
    if (!plan->live || plan->live > MOST_LIVE) return "live blocks are 1 to 4294967294";
    if (!plan->size_count || plan->size_count > UINT32_MAX) return "sizes are 1 to 4294967295 in number";
    for (size_t i = 0; i < plan->size_count; i++)
        if (plan->sizes[i] > INT64_MAX) return "a size is above 2^63 - 1";
    if (plan->threads > UINT16_MAX) return "threads are 65535 at most";
    if (!(plan->resizes >= 0 && plan->resizes <= 1) || !(plan->passed >= 0 && plan->passed <= 1))
        return "a share is 0 to 1";
    return NULL;
}

/* Writes all events to `name`; the writer is gone afterwards. */
static bool write_events(generator *g, const char *name, hpw_trace_format format, hpw_trace_error *error) {
    g->writer = hpw_trace_create(name, format, error);
    if (!g->writer) return false;
    for (uint64_t i = 0; i < g->plan->events; i++)
        if (!step(g)) break;
    return hpw_trace_finish(g->writer, error);
}

static bool write_file(generator *g, const char *to, hpw_trace_format format, hpw_trace_error *error) {
    char *name = hpw_trace_part_name(to);
    if (!name) {
        hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to write it", to);
        return false;
    }
    bool separate = strcmp(name, to) != 0, well = write_events(g, name, format, error);
    if (well && separate && rename(name, to)) {
        hpw_trace_fail(error, HPW_IO, "%s: %s", to, strerror(errno));
        well = false;
    }
    if (!well && separate) unlink(name);
    free(name);
    return well;
}

bool hpw_trace_generate(const hpw_trace_plan *plan, const char *to, hpw_trace_format format,
                        hpw_trace_error *error) {
    const char *fault = fault_of(plan);
    if (fault) {
        hpw_trace_fail(error, HPW_INVALID_ARGUMENT, "%s: %s", to, fault);
        return false;
    }
    generator g = {.plan = plan, .hole = plan->live};
    uint64_t seed = plan->seed;
    for (unsigned i = 0; i < 4; i++) g.state[i] = splitmix(&seed);
    g.resizes = share_of(plan->resizes);
    g.passed = share_of(plan->passed);
    if (plan->threads) {
        uint64_t blocks = plan->live < plan->events ? plan->live : plan->events;
        g.owners = malloc((size_t)blocks * sizeof *g.owners);
        if (!g.owners) {
            hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory for %llu live blocks", to,
                           (unsigned long long)blocks);
            return false;
        }
    }
    bool well = write_file(&g, to, format, error);
    free(g.owners);
    return well;
}
