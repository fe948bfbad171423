/* SPDX-License-Identifier: MIT */
/*
 * Traces: recorded sequences of allocation events, read and written one event
 * at a time. Private to the library (the command, the module and replay.c).
 *
 * Two formats of our own, told apart by content and never by name:
 *  - text, one event a line: `a ID SIZE [ALIGN]`, `f ID`, `r ID SIZE`, then
 *    optionally `@NANOSECONDS` and `%THREAD`; `#` begins a comment;
 *  - binary (.hwt), chunks of varints with lengths and checksums, laid out in
 *    trace_chunk.h. Its events are keyed by id (what this writer writes) or by
 *    address and sequence number (what the recorder writes); the reader brings
 *    the latter into one order, see trace_order.c. Callers see no difference.
 * Those of other programs are in import/, a file each, told by content too. All may
 * be packed by gzip, xz or zstd, or be the one file of a zip.
 *
 * What a reader hands out is consistent: every id is allocated before it is
 * freed or resized, is live at most once at a time, and sizes are below 2^63.
 * Whatever says otherwise is an error that names file and place.
 *
 * Memory: 32 bytes a live block and its slot, one chunk for each thread whose
 * chunks overlap at this point, and 32 bytes for each run of neighbouring
 * chunks of one thread; of a MiniMalloc table all of it. Cost of an event: O(1)
 * expected, and O(log threads) in a recorder's trace.
 *
 * A reader or writer belongs to one thread at a time. Nothing here is global.
 */
#ifndef HPW_TRACE_H
#define HPW_TRACE_H

#include "heapwright.h"

typedef enum hpw_trace_kind { HPW_TRACE_ALLOC, HPW_TRACE_FREE, HPW_TRACE_RESIZE } hpw_trace_kind;

typedef enum hpw_trace_format {
    HPW_TRACE_TEXT, /* ours, as the next */
    HPW_TRACE_BINARY,
    HPW_TRACE_REP, /* the CS:APP malloc lab's */
    HPW_TRACE_MINIMALLOC,
    HPW_TRACE_WRITABLE, /* the formats above can be written */
    HPW_TRACE_MTRACE = HPW_TRACE_WRITABLE,
    HPW_TRACE_MEMORY_REPLAY, /* Android's */
    HPW_TRACE_VALGRIND,
    HPW_TRACE_LTRACE,
    HPW_TRACE_HEAPTRACK,
    HPW_TRACE_FORMATS /* how many there are */
} hpw_trace_format;

/* The name of a format, "text" and the like; NULL for no format. */
const char *hpw_trace_format_name(hpw_trace_format format);

/* What a format does not tell of a program, in words; NULL nothing. */
const char *hpw_trace_format_loses(hpw_trace_format format);

typedef struct hpw_trace_event {
    hpw_trace_kind kind;
    bool has_time;
    bool has_thread;
    uint32_t thread;    /* 0 where not given */
    uint64_t id;        /* unique among the live blocks; a resize keeps it */
    uint64_t size;      /* requested bytes, < 2^63; of a free: those the block had */
    uint64_t previous;  /* of a resize: the size before. A writer ignores it */
    uint64_t alignment; /* of an alloc: as asked for, a power of two; 0 the usual one */
    uint64_t time;      /* nanoseconds from the trace's start, < 2^63; 0 where not given */
    uint64_t slot;      /* dense: 0 ... most blocks ever live at once - 1, unique among the
                           live blocks, reused when freed: the index of a replayer's array.
                           A writer ignores it */
} hpw_trace_event;

/* Why a call failed. */
typedef struct hpw_trace_error {
    hpw_error code;    /* HPW_IO, HPW_CORRUPTED, HPW_NO_MEMORY or HPW_INVALID_ARGUMENT */
    char message[512]; /* one line: file, line or byte, what is wrong */
} hpw_trace_error;

typedef struct hpw_trace hpw_trace;
typedef struct hpw_trace_writer hpw_trace_writer;

/* ---- Reading ---------------------------------------------------------------- */

/*
 * Opens a trace and reads as far as its first event. NULL, with *error set, if
 *  - HPW_IO: the file can't be opened or read, or is no regular file or pipe;
 *  - HPW_CORRUPTED: it is empty, holds no event, is of a newer version, or what
 *    stands before its first event (in a recorder's trace: any chunk's header)
 *    is malformed; it is known to be of a kind that can't be replayed;
 *  - HPW_NO_MEMORY.
 * A recorder's trace that is packed or comes through a pipe becomes a temporary file
 * without a name first: HPW_IO where the disk has no room for it. `path` is copied.
 */
hpw_trace *hpw_trace_open(const char *path, hpw_trace_error *error);

/*
 * The next event: 1 and *event; 0 at the end; -1 and *error, after which it
 * stays -1. `error` may be NULL: hpw_trace_failure has it too.
 */
int hpw_trace_next(hpw_trace *trace, hpw_trace_event *event, hpw_trace_error *error);

/* The error that hpw_trace_next met, NULL where it met none. Lives as long as the trace. */
const hpw_trace_error *hpw_trace_failure(const hpw_trace *trace);

/*
 * What is to be known of a trace that was read without error, in one line, NULL
 * where nothing is: that it is cut off and where, that the recording stopped,
 * how many events are missing, how many frees were of unknown blocks. Whole
 * only once hpw_trace_next has returned 0. Lives as long as the trace.
 */
const char *hpw_trace_warning(hpw_trace *trace);

hpw_trace_format hpw_trace_format_of(const hpw_trace *trace);

/* The program that a recorder's trace is of, "" where unknown. Lives as long as the trace. */
const char *hpw_trace_program(const hpw_trace *trace);

/* What it is packed by, "gzip" and the like; "" for nothing. Lives as long as the program. */
const char *hpw_trace_packing(const hpw_trace *trace);

/* How far the reader is, 0 ... 1, for progress lines. */
double hpw_trace_progress(const hpw_trace *trace);

/* Closes it. NULL is fine. */
void hpw_trace_close(hpw_trace *trace);

/* ---- Scanning --------------------------------------------------------------- */

typedef struct hpw_trace_summary {
    hpw_trace_format format;
    uint64_t events; /* allocations + frees + resizes */
    uint64_t allocations;
    uint64_t frees;
    uint64_t resizes;
    uint64_t threads;     /* distinct thread numbers; 0 where the trace gives none */
    uint64_t peak_in_use; /* the most bytes ever live */
    uint64_t lower_bound; /* the same with every block rounded up to 16, size 0 to 16 too */
    uint64_t peak_blocks; /* the most blocks ever live: slots are below it */
    uint64_t live_blocks; /* never freed */
    uint64_t live_bytes;
    uint64_t largest;  /* the largest request */
    uint64_t duration; /* nanoseconds from the first to the last event; 0 where not given */
    char program[32];  /* see hpw_trace_program */
    char packing[8];   /* see hpw_trace_packing */
    char warning[512]; /* see hpw_trace_warning; "" for none */
} hpw_trace_summary;

/*
 * Adds an event to a sum of the live bytes, each block rounded up to 16. False
 * where it passes 2^63 - 1, as a hostile trace's may: no sum of sizes wraps up
 * to there.
 */
bool hpw_trace_sum(uint64_t *sum, const hpw_trace_event *event);

/* Says in *error that the trace's event `number`, from 1, passed that sum. */
void hpw_trace_refuse_sum(hpw_trace_error *error, const char *path, uint64_t number);

/*
 * Reads a whole trace. False and *error where hpw_trace_open or hpw_trace_next
 * fail; HPW_CORRUPTED where more than 2^63 - 1 bytes live at once.
 */
bool hpw_trace_scan(const char *path, hpw_trace_summary *summary, hpw_trace_error *error);

/* ---- Writing ---------------------------------------------------------------- */

/*
 * Creates (or overwrites) a trace. NULL and *error: HPW_IO, HPW_NO_MEMORY,
 * HPW_INVALID_ARGUMENT (no format below HPW_TRACE_WRITABLE). Binary traces are keyed
 * by id. A .rep's events wait in a temporary file until they are counted.
 */
hpw_trace_writer *hpw_trace_create(const char *path, hpw_trace_format format, hpw_trace_error *error);

/*
 * Writes one event. False where this or an earlier write failed: the first
 * failure is remembered for hpw_trace_finish. Ids are not checked, but for .rep and
 * MiniMalloc: an event of an id that is not live fails, HPW_INVALID_ARGUMENT.
 */
bool hpw_trace_put(hpw_trace_writer *writer, const hpw_trace_event *event);

/*
 * The same, and in a text trace a comment of at most 16 bytes behind the event,
 * which readers skip; NULL: none. Binary traces carry no comments.
 */
bool hpw_trace_put_noted(hpw_trace_writer *writer, const hpw_trace_event *event, const char *note);

/*
 * As hpw_sink: writes a pool's event, addresses turned into ids (1, 2, 3 ... in
 * order of allocation). Failures are not written. A block of an address that
 * is still live counts as freed first; frees of unknown addresses (allocated
 * before the recording) are left out, resizes of unknown ones are allocations.
 * `writer` is an hpw_trace_writer. Allocates from the system, never from a pool.
 */
void hpw_trace_sink(void *writer, const hpw_event *event);

/*
 * Writes what is left, syncs nothing, closes, frees the writer. False and
 * *error for the first thing that ever went wrong (HPW_IO with the system's
 * words, HPW_NO_MEMORY); the file then ends somewhere and is not closed properly.
 */
bool hpw_trace_finish(hpw_trace_writer *writer, hpw_trace_error *error);

/* The same, and in words what the format could not hold of the events; "" for nothing. NULL is fine. */
bool hpw_trace_finish_telling(hpw_trace_writer *writer, char lost[512], hpw_trace_error *error);

/*
 * Rewrites a trace in a format, in one pass; `to` appears whole or not at all.
 * False and *error as reading and writing fail. *warning of 512 bytes (may be
 * NULL) receives the source's warning and what the format can't hold, "" for neither.
 */
bool hpw_trace_convert(const char *from, const char *to, hpw_trace_format format, char *warning,
                       hpw_trace_error *error);

/*
 * Where the copy at `to` grows, for callers that may be ended meanwhile: a name
 * beside it, or, where `to` is no regular file (a pipe, a link, /dev/stdout),
 * its own. NULL without memory; to be freed.
 */
char *hpw_trace_part_name(const char *to);

/* Sets *error to a code and a formatted line; NULL is fine. For the files behind this header. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void hpw_trace_fail(hpw_trace_error *error, hpw_error code, const char *format, ...);

#endif
