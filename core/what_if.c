/* SPDX-License-Identifier: MIT */
/* Traces as they would have been: see what_if.h. */
#include "what_if.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_TOLD = 8 };
static const uint64_t LARGEST = INT64_MAX; /* size of a trace's block */
static const uint64_t MOST_SCALE = 1000000000000, MOST_BY = 1000000, MOST_HEADER = (uint64_t)1 << 62;

/* The block in a slot of the trace's. */
typedef struct known_block {
    uint64_t id, size, alignment;
    uint64_t birth;  /* number of the event that allocated it */
    uint32_t thread; /* that did */
    uint32_t slot;   /* what callers get, once it is told to them */
    bool live, kept, has_thread;
} known_block;

struct hpw_what_if_reader {
    hpw_trace *trace;
    const char *path;
    hpw_what_if what;
    uint64_t number; /* events read */
    uint64_t told;   /* events given */
    bool selects;    /* some events are dropped */
    int ended;       /* 1: not yet */
    hpw_trace_error failure;

    /* Where it selects. */
    known_block *blocks;  /* by the trace's slots */
    uint32_t *free_slots; /* callers' slots below `slots` that nobody has */
    size_t room, slots, free_count;
    bool *found; /* of each of the threads asked for: it allocates */
    uint32_t told_threads[THREADS_TOLD];
    size_t thread_count; /* told_threads; one more: there are others */

    /* At the window's start. */
    known_block **carried;
    size_t carried_count, next_carried;
    hpw_trace_event held; /* the window's first event */
    bool holds;
};

/* ---- Opening ---- */

static bool is_valid(const hpw_what_if *what) {
    bool power = !(what->alignment & (what->alignment - 1)) && what->alignment <= LARGEST;
    bool scaled = !what->scale_by || (what->scale && what->scale <= MOST_SCALE && what->scale_by <= MOST_BY);
    bool window = !what->to || what->from <= what->to;
    return power && scaled && window && what->header < MOST_HEADER && (!what->thread_count || what->threads);
}

hpw_what_if_reader *hpw_what_if_open(hpw_trace *trace, const char *path, const hpw_what_if *what,
                                     hpw_trace_error *error) {
    static const hpw_what_if as_it_is;
    if (!what) what = &as_it_is;
    if (!is_valid(what)) {
        hpw_trace_fail(error, HPW_INVALID_ARGUMENT, "%s: a what-if that no trace can be read by", path);
        return NULL;
    }
    hpw_what_if_reader *reader = calloc(1, sizeof *reader);
    bool *found = reader ? calloc(what->thread_count + 1, sizeof *found) : NULL;
    if (!found) {
        free(reader);
        hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to read it", path);
        return NULL;
    }
    reader->trace = trace;
    reader->path = path;
    reader->what = *what;
    reader->found = found;
    reader->ended = 1;
    reader->selects = what->thread_count || what->from > 1 || what->to;
    return reader;
}

void hpw_what_if_close(hpw_what_if_reader *reader) {
    if (!reader) return;
    free(reader->found);
    free(reader->blocks);
    free(reader->free_slots);
    free(reader->carried);
    free(reader);
}

/* ---- Sizes ---- */

/* False: it passes 2^63 - 1. */
static bool transform(const hpw_what_if *what, uint64_t *size) {
    uint64_t scaled = *size;
    if (what->scale_by) { /* a rest below 10^6, by 10^12 at most, is below 2^63 */
        uint64_t whole = scaled / what->scale_by, rest = scaled % what->scale_by * what->scale;
        uint64_t part = (rest + what->scale_by - 1) / what->scale_by;
        if (whole > (LARGEST - part) / what->scale) return false;
        scaled = whole * what->scale + part;
    }
    if (scaled > LARGEST - what->header) return false;
    *size = scaled + what->header;
    return true;
}

static int stop(hpw_what_if_reader *reader, hpw_trace_error *error) {
    if (error) *error = reader->failure;
    return reader->ended = -1;
}

/* Gives the event as it would have been. */
static int tell(hpw_what_if_reader *reader, hpw_trace_event *event, hpw_trace_error *error) {
    uint64_t size = event->size;
    if (!transform(&reader->what, &event->size) ||
        (event->kind == HPW_TRACE_RESIZE && !transform(&reader->what, &event->previous))) {
        hpw_trace_fail(&reader->failure, HPW_INVALID_ARGUMENT,
                       "%s: event %llu: %llu bytes, scaled and with a header, are more than 2^63 - 1",
                       reader->path, (unsigned long long)reader->number, (unsigned long long)size);
        return stop(reader, error);
    }
    if (event->kind == HPW_TRACE_ALLOC && event->alignment < reader->what.alignment)
        event->alignment = reader->what.alignment;
    reader->told++;
    return 1;
}

/* ---- Which blocks ---- */

static bool make_room(hpw_what_if_reader *reader, uint64_t slot) {
    if (slot < reader->room) return true;
    size_t room = reader->room ? reader->room * 2 : 1024;
    while (room <= slot && room < SIZE_MAX / 4 / sizeof(known_block)) room *= 2;
    known_block *blocks = room > slot ? realloc(reader->blocks, room * sizeof *blocks) : NULL;
    if (blocks) reader->blocks = blocks;
    uint32_t *slots = blocks ? realloc(reader->free_slots, room * sizeof *slots) : NULL;
    if (!slots) {
        hpw_trace_fail(&reader->failure, HPW_NO_MEMORY, "%s: event %llu: no memory to read it", reader->path,
                       (unsigned long long)reader->number);
        return false;
    }
    reader->free_slots = slots;
    memset(blocks + reader->room, 0, (room - reader->room) * sizeof *blocks);
    reader->room = room;
    return true;
}

/* Is this one of the threads asked for? Notes that it allocates. */
static bool wants_thread(hpw_what_if_reader *reader, const hpw_trace_event *event) {
    bool wanted = !reader->what.thread_count;
    if (!event->has_thread) return wanted;
    for (size_t i = 0; i < reader->what.thread_count; i++)
        if (reader->what.threads[i] == event->thread) wanted = reader->found[i] = true;
    size_t i = 0;
    while (i < reader->thread_count && i < THREADS_TOLD && reader->told_threads[i] != event->thread) i++;
    if (i < THREADS_TOLD && i == reader->thread_count)
        reader->told_threads[reader->thread_count++] = event->thread;
    if (i == THREADS_TOLD) reader->thread_count = THREADS_TOLD + 1;
    return wanted;
}

/* The block after the event. NULL: no memory. */
static known_block *follow(hpw_what_if_reader *reader, const hpw_trace_event *event) {
    if (!make_room(reader, event->slot)) return NULL;
    known_block *block = &reader->blocks[event->slot];
    if (event->kind == HPW_TRACE_ALLOC)
        *block = (known_block){.id = event->id,
                               .alignment = event->alignment,
                               .birth = reader->number,
                               .thread = event->thread,
                               .has_thread = event->has_thread,
                               .kept = wants_thread(reader, event)};
    block->live = event->kind != HPW_TRACE_FREE;
    block->size = event->size;
    return block;
}

/* Gives the event with a slot of the callers' own: dense among the blocks that are kept. */
static int tell_slot(hpw_what_if_reader *reader, known_block *block, hpw_trace_event *event,
                     hpw_trace_error *error) {
    if (event->kind == HPW_TRACE_ALLOC)
        block->slot =
            reader->free_count ? reader->free_slots[--reader->free_count] : (uint32_t)reader->slots++;
    if (event->kind == HPW_TRACE_FREE) reader->free_slots[reader->free_count++] = block->slot;
    event->slot = block->slot;
    return tell(reader, event, error);
}

/* ---- The window's start ---- */

static int by_birth(const void *a, const void *b) {
    const known_block *const *x = a, *const *y = b;
    return (*x)->birth < (*y)->birth ? -1 : (*x)->birth > (*y)->birth;
}

/* Gathers what is live before the event, which waits until that is told. */
static bool carry(hpw_what_if_reader *reader, const hpw_trace_event *event) {
    size_t count = 0;
    for (size_t i = 0; i < reader->room; i++) count += reader->blocks[i].live && reader->blocks[i].kept;
    reader->carried = malloc((count + 1) * sizeof *reader->carried);
    if (!reader->carried || !make_room(reader, event->slot)) {
        hpw_trace_fail(&reader->failure, HPW_NO_MEMORY, "%s: event %llu: no memory for what is live",
                       reader->path, (unsigned long long)reader->number);
        return false;
    }
    for (size_t i = 0; i < reader->room; i++) {
        known_block *block = &reader->blocks[i];
        if (block->live && block->kept) reader->carried[reader->carried_count++] = block;
    }
    qsort(reader->carried, count, sizeof *reader->carried, by_birth);
    reader->held = *event;
    reader->holds = true;
    return true;
}

static int tell_carried(hpw_what_if_reader *reader, hpw_trace_event *event, hpw_trace_error *error) {
    known_block *block = reader->carried[reader->next_carried++];
    *event = (hpw_trace_event){.kind = HPW_TRACE_ALLOC,
                               .has_thread = block->has_thread,
                               .thread = block->thread,
                               .id = block->id,
                               .size = block->size,
                               .alignment = block->alignment};
    return tell_slot(reader, block, event, error);
}

/* ---- The end ---- */

static void tell_threads(const hpw_what_if_reader *reader, char *text, size_t room) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < reader->thread_count && i < THREADS_TOLD; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%u", i ? ", " : "", reader->told_threads[i]);
    if (reader->thread_count > THREADS_TOLD) snprintf(text + used, room - used, " and more");
}

/* The trace is read whole: is there what was asked for? */
static int finish(hpw_what_if_reader *reader, hpw_trace_error *error) {
    const hpw_what_if *what = &reader->what;
    uint64_t edge = what->from > reader->number ? what->from : what->to;
    char threads[THREADS_TOLD * 12 + 12];
    tell_threads(reader, threads, sizeof threads);
    reader->ended = 0;
    if (edge > reader->number) {
        hpw_trace_fail(&reader->failure, HPW_INVALID_ARGUMENT,
                       "%s: there is no event %llu for a window's edge: it has %llu", reader->path,
                       (unsigned long long)edge, (unsigned long long)reader->number);
        return stop(reader, error);
    }
    for (size_t i = 0; i < what->thread_count; i++) {
        if (reader->found[i]) continue;
        hpw_trace_fail(&reader->failure, HPW_INVALID_ARGUMENT,
                       threads[0] ? "%s: no thread %u allocates in it; those that do: %s"
                                  : "%s: no thread %u allocates in it: it does not tell threads%s",
                       reader->path, what->threads[i], threads);
        return stop(reader, error);
    }
    if (reader->told || !reader->selects) return 0;
    hpw_trace_fail(&reader->failure, HPW_INVALID_ARGUMENT, "%s: nothing is left of its %llu events",
                   reader->path, (unsigned long long)reader->number);
    return stop(reader, error);
}

/* ---- Reading ---- */

static bool in_window(const hpw_what_if_reader *reader) {
    const hpw_what_if *what = &reader->what;
    return reader->number >= what->from && (!what->to || reader->number <= what->to);
}

/* One event: 1 it is to be told, 0 dropped, -1 failed. */
static int select_event(hpw_what_if_reader *reader, hpw_trace_event *event, known_block **block) {
    *block = follow(reader, event);
    if (!*block) return -1;
    return (*block)->kept && in_window(reader);
}

/* The next event of the trace: 1, or 0 or -1 at its end, when all is said. */
static int take(hpw_what_if_reader *reader, hpw_trace_event *event, hpw_trace_error *error) {
    if (reader->holds) {
        *event = reader->held;
        reader->holds = false;
        return 1;
    }
    int more = hpw_trace_next(reader->trace, event, &reader->failure);
    if (more < 0) return stop(reader, error);
    if (!more) return finish(reader, error);
    reader->number++;
    return 1;
}

int hpw_what_if_next(hpw_what_if_reader *reader, hpw_trace_event *event, hpw_trace_error *error) {
    if (reader->ended < 0) return stop(reader, error);
    while (reader->ended) {
        if (reader->next_carried < reader->carried_count) return tell_carried(reader, event, error);
        int more = take(reader, event, error);
        if (more <= 0) return more;
        if (!reader->selects) return tell(reader, event, error);
        if (reader->number == reader->what.from && !reader->carried) {
            if (!carry(reader, event)) return stop(reader, error);
            continue;
        }
        known_block *block;
        int wanted = select_event(reader, event, &block);
        if (wanted < 0) return stop(reader, error);
        if (wanted) return tell_slot(reader, block, event, error);
    }
    return 0;
}
