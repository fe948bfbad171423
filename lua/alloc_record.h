/* SPDX-License-Identifier: MIT */
/*
 * Records what a Lua state asks its allocator for, as a trace and by kind. The
 * record is itself a lua_Alloc that stands before the state's own:
 *
 *      hpw_alloc_record *record = hpw_alloc_record_begin(&config, &error);
 *      lua_setallocf(L, hpw_alloc_record_alloc, record);
 *      ...
 *      lua_setallocf(L, config.next, config.next_ud);
 *      hpw_alloc_record_end(record, &error);     the trace is whole; the figures stay
 *      hpw_alloc_record_free(record);
 *
 * Only what is granted is recorded. Blocks that were live before the record began
 * are unknown to it: their frees are left out, and resizing one is an allocation.
 * Kinds are Lua's own (hpw_lua_kind): a text trace names them in a comment behind
 * each allocation. A block keeps its kind when it is resized.
 *
 * Memory comes from the system, never from the state: 32 bytes a live block. One
 * record serves one state, on the state's thread. O(1) an event.
 */
#ifndef HPW_ALLOC_RECORD_H
#define HPW_ALLOC_RECORD_H

#include <lua.h>

#include "heapwright.h"
#include "trace.h"

typedef struct hpw_alloc_record hpw_alloc_record;

typedef struct hpw_alloc_record_config {
    const char *path;        /* the trace; copied */
    hpw_trace_format format; /* zero: text */
    unsigned kinds;          /* bit 1 << kind for each kind to record; zero: every kind */
    lua_Alloc next;          /* who grants */
    void *next_ud;           /* his */
} hpw_alloc_record_config;

/* Bytes are requested bytes, of the recorded kinds alone. */
typedef struct hpw_kind_record {
    uint64_t allocations; /* blocks granted, resizes of unknown blocks among them */
    uint64_t bytes;       /* granted in all: by allocations, and by resizes that grow */
    uint64_t in_use, peak_in_use;
    uint64_t blocks; /* live now */
} hpw_kind_record;

typedef struct hpw_alloc_figures {
    uint64_t events, allocations, frees, resizes;
    uint64_t in_use, peak_in_use; /* of all recorded kinds together */
    hpw_kind_record kinds[HPW_LUA_KINDS];
} hpw_alloc_figures;

/* NULL and *error as hpw_trace_create fails, or HPW_NO_MEMORY. */
hpw_alloc_record *hpw_alloc_record_begin(const hpw_alloc_record_config *config, hpw_trace_error *error);

/* The lua_Alloc; its ud is the record. */
void *hpw_alloc_record_alloc(void *record, void *ptr, size_t osize, size_t nsize);

/*
 * Finishes the trace; until it is freed the record still grants, without recording.
 * False and *error where the trace could not be written whole. Again: true, nothing.
 */
bool hpw_alloc_record_end(hpw_alloc_record *record, hpw_trace_error *error);

/* As of now; after the end, as of then. Valid until the record is freed. */
const hpw_alloc_figures *hpw_alloc_record_figures(const hpw_alloc_record *record);

/* Who grants behind the record. */
lua_Alloc hpw_alloc_record_next(const hpw_alloc_record *record, void **ud);

/* Ends it where that was not done. NULL is fine. */
void hpw_alloc_record_free(hpw_alloc_record *record);

/* What lua_Alloc's `osize` says of a new block. */
hpw_lua_kind hpw_lua_kind_of(size_t osize);

#endif
