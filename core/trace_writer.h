/* SPDX-License-Identifier: MIT */
/*
 * What the files of the trace writer share; trace_write.c is the way in, and writes
 * our two formats.
 *
 *      trace_write_rep.c         CS:APP's .rep
 *      trace_write_minimalloc.c  MiniMalloc's tables
 */
#ifndef HPW_TRACE_WRITER_H
#define HPW_TRACE_WRITER_H

#include "trace.h"
#include "trace_chunk.h"
#include "trace_live.h"

enum { HPW_WRITE_BUFFER = 1 << 16, HPW_WRITE_LINE = 128 };

/* What a format can't hold of the events that were put. */
typedef struct hpw_lost {
    uint64_t alignments, times, threads;
    uint64_t resizes;      /* that became a free and an allocation */
    uint64_t zero_resizes; /* to 0 bytes, that became frees */
    uint64_t unfreed;      /* blocks that end with the trace */
} hpw_lost;

struct hpw_trace_writer {
    int fd;
    int target; /* what `fd` is copied to in the end, behind a header; -1: fd is all */
    char *path;
    hpw_trace_format format;
    const struct hpw_exporter *exporter;
    uint64_t events;      /* put */
    uint64_t first;       /* binary: the number of the chunk's first event */
    uint32_t count;       /* binary: events of the chunk */
    hpw_trace_event last; /* binary: what deltas start from */
    uint64_t origin;      /* the time of a pool's first event, which becomes 0 */
    uint64_t ids;         /* given to a pool's blocks */
    hpw_live_table live;  /* a pool's live blocks, by address */

    hpw_live_table blocks; /* other formats: live blocks by id; `id` is what was written, */
    uint64_t names;        /* numbered from 0; `slot` when it begins */
    uint64_t in_use, most_in_use;
    hpw_lost lost;

    hpw_trace_error error;
    size_t used; /* of the buffer; binary: of its part behind the chunk's header */
    uint8_t buffer[HPW_CHUNK_HEADER + HPW_WRITE_BUFFER];
};

/* Each is false where a write failed, which writer->error remembers. */
typedef struct hpw_exporter {
    size_t longest; /* bytes that one event may take of the buffer */
    bool (*start)(hpw_trace_writer *writer);
    bool (*put)(hpw_trace_writer *writer, const hpw_trace_event *event, const char *note);
    bool (*flush)(hpw_trace_writer *writer);  /* writes what the buffer holds */
    bool (*finish)(hpw_trace_writer *writer); /* what stands behind the last event; NULL: nothing */
} hpw_exporter;

extern const hpw_exporter hpw_export_rep, hpw_export_minimalloc;

/* Remembers a failure, the first alone. False. */
bool hpw_write_fail(hpw_trace_writer *writer, hpw_error code, const char *why);

bool hpw_write_all(hpw_trace_writer *writer, const void *from, size_t n);

/* Writes what the buffer holds, as it is. */
bool hpw_write_flush(hpw_trace_writer *writer);

/* The block of an event's id, which must be live; NULL and a failure. */
hpw_live *hpw_write_block(hpw_trace_writer *writer, const hpw_trace_event *event);

/* A new block for an allocation, named by the next number. False without memory. */
bool hpw_write_new_block(hpw_trace_writer *writer, const hpw_trace_event *event, hpw_live *block);

/* What neither .rep nor a table of buffers holds. */
void hpw_write_lose(hpw_trace_writer *writer, const hpw_trace_event *event);

#endif
