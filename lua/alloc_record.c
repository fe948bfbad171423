/* SPDX-License-Identifier: MIT */
/*
 * A lua_Alloc that writes down what it hands on: see alloc_record.h. Live blocks
 * are kept in the traces' own table, by pointer, with their kind in its slot.
 */
#include "alloc_record.h"

#include <stdlib.h>
#include <time.h>

#include "trace_live.h"

struct hpw_alloc_record {
    lua_Alloc next;
    void *next_ud;
    hpw_trace_writer *writer; /* NULL: ended */
    unsigned kinds;
    uint64_t origin; /* nanoseconds: the time of the first event, which becomes 0 */
    uint64_t ids;
    bool lost; /* a live block could not be noted: the trace would lie from there on */
    hpw_live_table live;
    hpw_alloc_figures figures;
};

/*
 * Lua's tags of what it allocates: the manual lists the types; 9 and 10 are those
 * that Lua's own objects have beyond them.
 */
hpw_lua_kind hpw_lua_kind_of(size_t osize) {
    switch (osize) {
    case LUA_TSTRING:
        return HPW_LUA_STRING;
    case LUA_TTABLE:
        return HPW_LUA_TABLE;
    case LUA_TFUNCTION:
        return HPW_LUA_FUNCTION;
    case LUA_TUSERDATA:
        return HPW_LUA_USERDATA;
    case LUA_TTHREAD:
        return HPW_LUA_THREAD;
    case LUA_NUMTYPES:
        return HPW_LUA_UPVALUE;
    case LUA_NUMTYPES + 1:
        return HPW_LUA_PROTOTYPE;
    default:
        return HPW_LUA_OTHER;
    }
}

hpw_alloc_record *hpw_alloc_record_begin(const hpw_alloc_record_config *config, hpw_trace_error *error) {
    hpw_alloc_record *record = calloc(1, sizeof *record);
    if (!record) {
        hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to record", config->path);
        return NULL;
    }
    record->next = config->next;
    record->next_ud = config->next_ud;
    record->kinds = config->kinds ? config->kinds : ~0U;
    record->writer = hpw_trace_create(config->path, config->format, error);
    if (record->writer) return record;
    free(record);
    return NULL;
}

/* ---- Events ------------------------------------------------------------------------ */

/* An event of now. */
static hpw_trace_event event_of(hpw_alloc_record *record, hpw_trace_kind kind, uint64_t id, uint64_t size) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    if (!record->figures.events++) record->origin = time;
    return (hpw_trace_event){
        .kind = kind, .id = id, .size = size, .has_time = true, .time = time - record->origin};
}

/* Counts `grown` bytes more of a kind (modulo 2^64: fewer), and what peaks by it. */
static void count(hpw_alloc_record *record, hpw_lua_kind kind, uint64_t grown) {
    hpw_alloc_figures *all = &record->figures;
    hpw_kind_record *one = &all->kinds[kind];
    all->in_use += grown;
    one->in_use += grown;
    if (all->in_use > all->peak_in_use) all->peak_in_use = all->in_use;
    if (one->in_use > one->peak_in_use) one->peak_in_use = one->in_use;
}

static void record_alloc(hpw_alloc_record *record, const void *block, hpw_lua_kind kind, uint64_t size) {
    if (!(record->kinds & 1U << kind)) return;
    hpw_live live = {.key = (uintptr_t)block, .id = ++record->ids, .size = size, .slot = kind};
    if (!hpw_live_add(&record->live, &live)) {
        record->lost = true;
        return;
    }
    hpw_trace_event event = event_of(record, HPW_TRACE_ALLOC, live.id, size);
    hpw_trace_put_noted(record->writer, &event, hpw_lua_kind_name(kind));
    record->figures.allocations++;
    record->figures.kinds[kind].allocations++;
    record->figures.kinds[kind].blocks++;
    record->figures.kinds[kind].bytes += size;
    count(record, kind, size);
}

static void record_free(hpw_alloc_record *record, const void *block) {
    hpw_live *live = hpw_live_find(&record->live, (uintptr_t)block);
    if (!live) return;
    hpw_trace_event event = event_of(record, HPW_TRACE_FREE, live->id, live->size);
    hpw_trace_put(record->writer, &event);
    record->figures.frees++;
    record->figures.kinds[live->slot].blocks--;
    count(record, (hpw_lua_kind)live->slot, 0 - live->size);
    hpw_live_remove(&record->live, live);
}

/* What Lua resizes are its arrays, stacks and buffers: of an unknown block the kind is "other". */
static void record_resize(hpw_alloc_record *record, uintptr_t from, const void *to, uint64_t size) {
    hpw_live *found = hpw_live_find(&record->live, from);
    if (!found) {
        record_alloc(record, to, HPW_LUA_OTHER, size);
        return;
    }
    hpw_lua_kind kind = (hpw_lua_kind)found->slot;
    uint64_t before = found->size;
    hpw_live moved = *found;
    moved.key = (uintptr_t)to;
    moved.size = size;
    hpw_live_remove(&record->live, found);
    if (!hpw_live_add(&record->live, &moved)) record->lost = true; /* where one left there is room */
    hpw_trace_event event = event_of(record, HPW_TRACE_RESIZE, moved.id, size);
    hpw_trace_put(record->writer, &event);
    record->figures.resizes++;
    if (size > before) record->figures.kinds[kind].bytes += size - before;
    count(record, kind, size - before);
}

void *hpw_alloc_record_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    hpw_alloc_record *record = ud;
    uintptr_t from = (uintptr_t)ptr;
    void *block = record->next(record->next_ud, ptr, osize, nsize);
    if (!record->writer || record->lost) return block;
    if (!nsize) {
        if (from) record_free(record, (const void *)from);
    } else if (block) {
        if (from)
            record_resize(record, from, block, nsize);
        else
            record_alloc(record, block, hpw_lua_kind_of(osize), nsize);
    }
    return block;
}

/* ---- The end ------------------------------------------------------------------------- */

bool hpw_alloc_record_end(hpw_alloc_record *record, hpw_trace_error *error) {
    if (!record->writer) return true;
    hpw_trace_writer *writer = record->writer;
    record->writer = NULL;
    hpw_live_free(&record->live);
    bool written = hpw_trace_finish(writer, error);
    if (!written || !record->lost) return written;
    hpw_trace_fail(error, HPW_NO_MEMORY, "no memory for the live blocks: the trace ends early");
    return false;
}

const hpw_alloc_figures *hpw_alloc_record_figures(const hpw_alloc_record *record) { return &record->figures; }

lua_Alloc hpw_alloc_record_next(const hpw_alloc_record *record, void **ud) {
    *ud = record->next_ud;
    return record->next;
}

void hpw_alloc_record_free(hpw_alloc_record *record) {
    if (!record) return;
    hpw_alloc_record_end(record, NULL);
    free(record);
}
