/* SPDX-License-Identifier: MIT */
/*
 * Other formats than ours, for readers of traces. Each is one file with one
 * hpw_importer, named in importers.c; adding one is a file and a line there, and
 * a name in trace.h's hpw_trace_format.
 *
 *      importers.c    the table; which format are the bytes of?
 *      calls.c        lines such as `malloc(24) = 0x4a43040`, of valgrind and ltrace
 *      requests.c     what recorded programs do with addresses, told as C's functions do
 *      unpack.c       gzip, xz, zstd, zip
 */
#ifndef HPW_IMPORT_H
#define HPW_IMPORT_H

#include "../trace_lines.h"

typedef struct hpw_importer {
    hpw_trace_format format;
    const char *name;  /* in `trace info` and in options */
    const char *loses; /* what the format does not tell of a program; NULL nothing */

    /*
     * Is this line, the number-th from 1 that is not empty, of the format? `text` is
     * the line and all that was read ahead behind it.
     */
    bool (*recognise)(hpw_line line, hpw_line text, uint64_t number);

    const char *refuses; /* not NULL: it can't be replayed, in these words */
    size_t state_size;   /* of trace->import, zeroed; 0 for none */

    /* 1 and *event; 0 at the end; -1 and trace->error. */
    int (*next)(hpw_trace *trace, hpw_trace_event *event);

    /*
     * Or, for most: what a line means: 1 and *event, 0 where it is no event; -1 and
     * trace->error.
     */
    int (*line)(hpw_trace *trace, hpw_line *line, hpw_trace_event *event);
    bool any_lines; /* between lines of other origin: hpw_line_read_any */

    void (*close)(void *state); /* what the state holds; NULL: nothing */
} hpw_importer;

extern const hpw_importer hpw_import_rep, hpw_import_mtrace, hpw_import_memory_replay, hpw_import_valgrind,
    hpw_import_ltrace, hpw_import_heaptrack, hpw_import_minimalloc, hpw_import_dhat, hpw_import_massif;

/* The importer of a format, NULL for our own two. */
const hpw_importer *hpw_importer_of(hpw_trace_format format);

/*
 * What a recorded program asked for, by address, as C's functions: 1 and *event, 0
 * where nothing happened or could be used (counted), -1 and trace->error. Address 0
 * is none: an allocation that returns it failed, a free of it does nothing, a
 * resize of it allocates, a resize to size 0 that returns it frees.
 */
int hpw_request_alloc(hpw_trace *trace, uint64_t address, uint64_t size, uint64_t alignment,
                      hpw_trace_event *event);
int hpw_request_free(hpw_trace *trace, uint64_t address, hpw_trace_event *event);
int hpw_request_resize(hpw_trace *trace, uint64_t from, uint64_t to, uint64_t size, hpw_trace_event *event);

/* ---- Lines of calls: calls.c ---------------------------------------------------- */

typedef enum hpw_call_kind {
    HPW_CALL_ALLOC,
    HPW_CALL_RESIZE,
    HPW_CALL_FREE,
    HPW_CALL_UNSEEN /* an allocation whose result is no address */
} hpw_call_kind;

typedef struct hpw_call {
    hpw_call_kind kind;
    bool sound;    /* all arguments that are needed are there */
    uint64_t size; /* UINT64_MAX: larger */
    uint64_t alignment;
    uint64_t address; /* of a resize or a free */
} hpw_call;

/*
 * Reads `NAME(ARGUMENTS)` at line->next, which moves behind it: of a function that
 * allocates, resizes or frees, in C or C++ (mangled). False for anything else, and
 * nothing moves.
 */
bool hpw_call_take(hpw_line *line, hpw_call *call);

/* Is NAME the name of such a function? */
bool hpw_call_known(hpw_field name);

/* Reads ` = ADDRESS`. False for anything else, and nothing moves. */
bool hpw_call_result(hpw_line *line, uint64_t *result);

/* What a call that has returned did, as hpw_request_alloc and the like. */
int hpw_call_tell(hpw_trace *trace, const hpw_call *call, uint64_t result, hpw_trace_event *event);

/* The size of n elements, UINT64_MAX where it is larger. */
static inline uint64_t hpw_request_product(uint64_t n, uint64_t size) {
    return size && n > UINT64_MAX / size ? UINT64_MAX : n * size;
}

#endif
