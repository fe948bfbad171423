/* SPDX-License-Identifier: MIT */
/*
 * What the files of the trace reader share; trace.c is the way in.
 *
 *      trace.c         opens, tells formats apart, keeps the rules of ids, warns
 *      trace_input.c   bytes from a file or pipe, unpacked by import/unpack.c
 *      trace_lines.c   lines and fields of any text
 *      trace_text.c    our own text
 *      import/         other formats, one file each, and the table of them
 *      trace_binary.c  the file's header; chunks keyed by id
 *      trace_order.c   chunks keyed by address: into one order
 *      trace_addresses.c  addresses to ids, for these and for other formats
 *      trace_live.c    live blocks, slots
 *      trace_chunk.c   the binary layout
 */
#ifndef HPW_TRACE_READER_H
#define HPW_TRACE_READER_H

#include "trace.h"
#include "trace_chunk.h"
#include "trace_live.h"

struct hpw_unpacking; /* import/unpack.c */
struct hpw_importer;  /* import/import.h */

/* A file read forwards. buffer[begin ... end) is read and not yet used. */
typedef struct hpw_input {
    int fd;
    char *path;
    uint64_t size;                   /* of a regular file; else 0, and of what is unpacked */
    bool seekable;                   /* a regular file that is not packed */
    uint64_t offset;                 /* in the file, or in what is unpacked of it, of buffer[begin] */
    struct hpw_unpacking *unpacking; /* NULL: the file's bytes are the trace's */
    const char *packing;             /* "gzip" ...; NULL */
    uint64_t packed_size;            /* of the regular file that is unpacked; else 0 */
    size_t begin, end;
    uint8_t buffer[1 << 16];
} hpw_input;

/* False and *error, nothing left open. */
bool hpw_input_open(hpw_input *input, const char *path, hpw_trace_error *error);
void hpw_input_close(hpw_input *input);

/*
 * Is the file packed? Then what follows is unpacked as it is read: 1; 0 where it
 * is not; -1 and *error. To be asked before anything was taken.
 */
int hpw_input_unpack(hpw_input *input, hpw_trace_error *error);

/*
 * What comes as a stream becomes a file without a name, in which can be sought: `n`
 * bytes that were taken already, and all that follow. False and *error.
 */
bool hpw_input_spool(hpw_input *input, const void *taken, size_t n, hpw_trace_error *error);

/* How much of the file was read, 0 ... 1; 0 where that is not known. */
double hpw_input_progress(const hpw_input *input);

/* An empty file without a name, for reading and writing, where TMPDIR says; -1 and *error naming `path`. */
int hpw_temporary_file(const char *path, hpw_trace_error *error);

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
    /* Of other formats: */
    uint64_t failed;         /* requests that the program saw fail */
    uint64_t odd_alignments; /* no power of two */
    uint64_t torn;           /* calls without a result, or with one that is no address */
    uint64_t unseen;         /* allocations whose address is not told */
    uint64_t others;         /* lines of other processes */
    uint64_t writes;         /* lines that write into blocks */
    uint64_t columns;        /* columns of a table that are not needed */
    bool has_promise;        /* a header announces so many operations, and there are others */
    uint64_t promised;
    uint64_t counted;
} hpw_trace_notes;

/* Addresses to ids: trace_addresses.c. */
typedef struct hpw_addresses {
    hpw_live_table moving; /* resizes that have begun */
    uint64_t ids;
    bool has_second;
    hpw_trace_event second; /* of what is two events */
    hpw_trace_event stamp;  /* time and thread of the events to come */
} hpw_addresses;

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

    bool by_id; /* of our own formats, and not a recorder's */
    hpw_addresses addresses;

    uint64_t line;     /* texts: of the line last read */
    bool line_is_long; /* its rest is to be passed over */

    const struct hpw_importer *importer; /* of another format than ours */
    void *import;                        /* its state */

    uint8_t *payload; /* binary by id: the chunk at hand */
    const uint8_t *next, *payload_end;
    uint64_t chunk_at; /* its offset */
    uint32_t chunk_left;
    hpw_trace_event last; /* what deltas start from: id, time and thread */
    hpw_ahead records;
    bool closed; /* the last chunk was an end mark */

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

/* Reads an event of another format. */
int hpw_import_next(hpw_trace *trace, hpw_trace_event *event);

/* Which format are the bytes of? 1 and trace->importer, NULL for our text; -1. */
int hpw_import_recognise(hpw_trace *trace);
void hpw_import_close(hpw_trace *trace);

/*
 * Holds an event keyed by id to the rules, and fills in what it leaves open: 1,
 * -1 where an id is unknown or live already.
 */
int hpw_id_check(hpw_trace *trace, hpw_trace_event *event);

/*
 * Events of addresses: 1 and *event, 0 where there is none, -1. A call may leave a
 * second event in trace->addresses, which is handed out before the next call.
 */
int hpw_address_alloc(hpw_trace *trace, uint64_t address, uint64_t size, uint64_t alignment,
                      hpw_trace_event *event);
int hpw_address_free(hpw_trace *trace, uint64_t address, hpw_trace_event *event);

/* A resize begins, under a number; it ends with a new address, or with the old one where it failed. */
int hpw_address_begin(hpw_trace *trace, uint64_t address, uint64_t number);
int hpw_address_end(hpw_trace *trace, uint64_t number, uint64_t address, uint64_t size,
                    hpw_trace_event *event);
int hpw_address_stay(hpw_trace *trace, uint64_t number, uint64_t address, hpw_trace_event *event);

/* Both at once; the number is not for others. */
#define HPW_RESIZE_AT_ONCE UINT64_MAX
int hpw_address_resize(hpw_trace *trace, uint64_t from, uint64_t to, uint64_t size, hpw_trace_event *event);

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
