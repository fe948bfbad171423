/* SPDX-License-Identifier: MIT */
/*
 * What the files of the trace reader share; trace.c is the way in.
 *
 *      trace.c         opens, tells formats apart, keeps the rules of ids, warns
 *      trace_input.c   bytes from a file or pipe
 *      trace_text.c    lines
 *      trace_binary.c  the file's header; chunks keyed by id
 *      trace_order.c   chunks keyed by address: into one order, and to ids
 *      trace_live.c    live blocks, slots
 *      trace_chunk.c   the binary layout
 */
#ifndef HPW_TRACE_READER_H
#define HPW_TRACE_READER_H

#include "trace.h"
#include "trace_chunk.h"
#include "trace_live.h"

/* A file read forwards. buffer[begin ... end) is read and not yet used. */
typedef struct hpw_input {
    int fd;
    char *path;
    uint64_t size;   /* of a regular file; else 0 */
    bool seekable;   /* a regular file */
    uint64_t offset; /* in the file, of buffer[begin] */
    size_t begin, end;
    uint8_t buffer[1 << 16];
} hpw_input;

/* False and *error, nothing left open. */
bool hpw_input_open(hpw_input *input, const char *path, hpw_trace_error *error);
void hpw_input_close(hpw_input *input);

/* Reads more behind buffer[end), which must not be full from 0: 1, 0 at the end, -1 and *error. */
int hpw_input_more(hpw_input *input, hpw_trace_error *error);

/* Takes n bytes: how many there were, fewer only at the end; -1 and *error. */
int64_t hpw_input_take(hpw_input *input, void *to, size_t n, hpw_trace_error *error);

/* The same at any place of a seekable file. */
int64_t hpw_input_at(const hpw_input *input, uint64_t offset, void *to, size_t n, hpw_trace_error *error);

/* What was met that is no error; hpw_trace_warning puts it into words. */
typedef struct hpw_trace_notes {
    bool cut;        /* the file ends inside a chunk or without a mark */
    uint64_t cut_at; /* where its last whole chunk ends */
    bool stopped;    /* the recording stopped of itself */
    uint64_t stop_errno;
    uint64_t missing;         /* numbers that no record has */
    uint64_t unknown_frees;   /* of addresses never seen allocated */
    uint64_t unknown_resizes; /* the same */
    uint64_t reused;          /* addresses given out again, the free unseen */
    bool no_line_end;         /* of the last line */
} hpw_trace_notes;

struct hpw_trace_merge; /* trace_order.c */

/* Records decoded before they are due. */
enum { HPW_AHEAD = 16 };
typedef struct hpw_ahead {
    hpw_trace_event events[HPW_AHEAD];
    unsigned next, count; /* events[next ... count) are to be handed out */
    const char *fault;    /* what is wrong with the record behind them; NULL: nothing is known to be */
} hpw_ahead;

struct hpw_trace {
    hpw_input input;
    hpw_trace_format format;
    hpw_file_header header; /* binary */
    hpw_trace_notes notes;
    hpw_live_table live; /* by id; of a recorder's trace by address */
    hpw_slots slots;
    uint64_t events; /* handed out, the one in `ahead` too */

    uint64_t line; /* text: of the line last read */

    uint8_t *payload; /* binary by id: the chunk at hand */
    const uint8_t *next, *payload_end;
    uint64_t chunk_at; /* its offset */
    uint32_t chunk_left;
    hpw_trace_event last; /* what deltas start from: id, time and thread */
    hpw_ahead records;
    bool closed;          /* the last chunk was an end mark */

    struct hpw_trace_merge *merge; /* binary by address */

    bool has_ahead; /* hpw_trace_open reads the first event */
    hpw_trace_event ahead;
    int state; /* 1 more, 0 at the end, -1 failed */
    hpw_trace_error error;
    char warning[512];
};

/* Each: 1 and *event, 0 at the end, -1 and trace->error. */
int hpw_text_next(hpw_trace *trace, hpw_trace_event *event);
int hpw_ids_next(hpw_trace *trace, hpw_trace_event *event);
int hpw_merge_next(hpw_trace *trace, hpw_trace_event *event);

/* Reads the file's header: 1, 0 where there is less than one, -1 and trace->error. */
int hpw_binary_open(hpw_trace *trace);

/* Reads all chunk headers: false and trace->error. */
bool hpw_merge_open(hpw_trace *trace);
void hpw_merge_close(struct hpw_trace_merge *merge);

/* Bytes of the chunks that were used up. */
uint64_t hpw_merge_done(const struct hpw_trace_merge *merge);

/* Says in trace->error what is wrong with the chunk at `at`. Returns -1. */
int hpw_chunk_refuse(hpw_trace *trace, uint64_t at, const char *what);

/* The words for a fault of a chunk's header. */
const char *hpw_chunk_fault_words(hpw_chunk_fault fault);

int hpw_trace_no_memory(hpw_trace *trace);

#endif
