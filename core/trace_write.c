/* SPDX-License-Identifier: MIT */
/*
 * Writes traces, text or binary keyed by id, through a buffer of 64 KiB; other
 * formats in files of their own, see trace_writer.h.
 *
 *  - Text: a line an event, as trace_text.c reads it.
 *  - Binary: records gather in the buffer and leave as one chunk when the next
 *    might not fit; finishing writes the rest and an end mark.
 *  - The first failure is remembered, later events are dropped, and finishing
 *    reports it.
 *
 * A pool's events come by address; a table of live addresses turns them into
 * ids. Bytes and table come from the system: never from a pool, and no event
 * makes another. O(1) an event; 32 bytes a live block for a pool's events.
 */
#define _FILE_OFFSET_BITS 64
#include "trace_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTE_LONGEST = 16 };

bool hpw_write_fail(hpw_trace_writer *writer, hpw_error code, const char *why) {
    if (!writer->error.code) hpw_trace_fail(&writer->error, code, "%s: %s", writer->path, why);
    return false;
}

bool hpw_write_all(hpw_trace_writer *writer, const void *from, size_t n) {
    const uint8_t *next = from;
    while (n) {
        ssize_t wrote = write(writer->fd, next, n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return hpw_write_fail(writer, HPW_IO, strerror(errno));
        next += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

bool hpw_write_flush(hpw_trace_writer *writer) {
    size_t n = writer->used;
    writer->used = 0;
    return hpw_write_all(writer, writer->buffer, n);
}

/* Makes a chunk of what the buffer holds. */
static bool flush_binary(hpw_trace_writer *writer) {
    size_t n = writer->used;
    if (!n) return true;
    writer->used = 0;
    hpw_chunk chunk = {.length = (uint32_t)n, .count = writer->count, .first = writer->first};
    chunk.payload_check = hpw_checksum(writer->buffer + HPW_CHUNK_HEADER, n);
    hpw_chunk_encode(&chunk, writer->buffer);
    writer->first += writer->count;
    writer->count = 0;
    writer->last = (hpw_trace_event){0};
    return hpw_write_all(writer, writer->buffer, HPW_CHUNK_HEADER + n);
}

static bool start_text(hpw_trace_writer *writer) {
    static const char title[] =
        "# heapwright trace: a ID SIZE [ALIGN], f ID, r ID SIZE; @nanoseconds %thread\n";
    return hpw_write_all(writer, title, sizeof title - 1);
}

static bool start_binary(hpw_trace_writer *writer) {
    uint8_t bytes[HPW_HEADER_SIZE];
    hpw_header_encode(&(hpw_file_header){.version = HPW_TRACE_VERSION, .mode = HPW_MODE_IDS}, bytes);
    return hpw_write_all(writer, bytes, sizeof bytes);
}

static void destroy(hpw_trace_writer *writer) {
    if (writer->fd >= 0) close(writer->fd);
    if (writer->target >= 0) close(writer->target);
    hpw_live_free(&writer->live);
    hpw_live_free(&writer->blocks);
    free(writer->path);
    free(writer);
}

/* Standard output is written to where it stands: opening it by name would begin it anew. */
static int open_output(const char *path) {
    if (!strcmp(path, "/dev/stdout")) return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
}

static bool put_text(hpw_trace_writer *writer, const hpw_trace_event *event, const char *note) {
    typedef unsigned long long number;
    char *to = (char *)writer->buffer + writer->used;
    size_t n = 0;
    static const char kinds[] = {[HPW_TRACE_ALLOC] = 'a', [HPW_TRACE_FREE] = 'f', [HPW_TRACE_RESIZE] = 'r'};
    n += (size_t)snprintf(to, HPW_WRITE_LINE, "%c %llu", kinds[event->kind], (number)event->id);
    if (event->kind != HPW_TRACE_FREE)
        n += (size_t)snprintf(to + n, HPW_WRITE_LINE - n, " %llu", (number)event->size);
    if (event->kind == HPW_TRACE_ALLOC && event->alignment)
        n += (size_t)snprintf(to + n, HPW_WRITE_LINE - n, " %llu", (number)event->alignment);
    if (event->has_time) n += (size_t)snprintf(to + n, HPW_WRITE_LINE - n, " @%llu", (number)event->time);
    if (event->has_thread)
        n += (size_t)snprintf(to + n, HPW_WRITE_LINE - n, " %%%lu", (unsigned long)event->thread);
    if (note) n += (size_t)snprintf(to + n, HPW_WRITE_LINE - n, " # %.*s", NOTE_LONGEST, note);
    to[n++] = '\n';
    writer->used += n;
    return true;
}

static uint8_t log2_of(uint64_t power) {
    uint8_t n = 0;
    while (power >>= 1) n++;
    return n;
}

static bool put_binary(hpw_trace_writer *writer, const hpw_trace_event *event, const char *note) {
    (void)note;
    static const uint8_t kinds[] = {[HPW_TRACE_ALLOC] = HPW_RECORD_ALLOC,
                                    [HPW_TRACE_FREE] = HPW_RECORD_FREE,
                                    [HPW_TRACE_RESIZE] = HPW_RECORD_RESIZE};
    bool sized = event->kind != HPW_TRACE_FREE;
    bool aligned = event->kind == HPW_TRACE_ALLOC && event->alignment;
    bool same = event->has_thread && event->thread == writer->last.thread;
    uint8_t *head = writer->buffer + HPW_CHUNK_HEADER + writer->used, *to = head + 1;
    *head = kinds[event->kind];
    if (aligned) *head |= HPW_RECORD_ALIGNED;
    if (event->has_time) *head |= HPW_RECORD_TIMED;
    if (event->has_thread) *head |= same ? HPW_RECORD_SAME_THREAD : HPW_RECORD_THREAD;
    to = hpw_put_varint(to, hpw_zigzag(event->id - writer->last.id));
    if (event->has_time) to = hpw_put_varint(to, hpw_zigzag(event->time - writer->last.time));
    if (event->has_thread && !same) to = hpw_put_varint(to, event->thread);
    if (sized) to = hpw_put_varint(to, event->size);
    if (aligned) *to++ = log2_of(event->alignment);
    writer->last.id = event->id;
    if (event->has_time) writer->last.time = event->time;
    if (event->has_thread) writer->last.thread = event->thread;
    writer->used += (size_t)(to - head);
    writer->count++;
    return true;
}

static const hpw_exporter text = {
    .longest = HPW_WRITE_LINE, .start = start_text, .put = put_text, .flush = hpw_write_flush};

static bool put_end_mark(hpw_trace_writer *writer) {
    uint8_t mark[HPW_CHUNK_HEADER];
    hpw_chunk_encode(
        &(hpw_chunk){.flags = HPW_CHUNK_END, .first = writer->events, .payload_check = hpw_checksum(NULL, 0)},
        mark);
    return hpw_write_all(writer, mark, sizeof mark);
}

static const hpw_exporter binary = {.longest = HPW_RECORD_LONGEST,
                                    .start = start_binary,
                                    .put = put_binary,
                                    .flush = flush_binary,
                                    .finish = put_end_mark};

static const hpw_exporter *const exporters[HPW_TRACE_WRITABLE] = {[HPW_TRACE_TEXT] = &text,
                                                                  [HPW_TRACE_BINARY] = &binary,
                                                                  [HPW_TRACE_REP] = &hpw_export_rep,
                                                                  [HPW_TRACE_MINIMALLOC] =
                                                                      &hpw_export_minimalloc};

hpw_trace_writer *hpw_trace_create(const char *path, hpw_trace_format format, hpw_trace_error *error) {
    if ((unsigned)format >= HPW_TRACE_WRITABLE) {
        hpw_trace_fail(error, HPW_INVALID_ARGUMENT, "%s: no trace format %d that can be written", path,
                       (int)format);
        return NULL;
    }
    hpw_trace_writer *writer = calloc(1, sizeof *writer);
    if (writer) writer->path = strdup(path);
    if (!writer || !writer->path) {
        free(writer);
        hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to write it", path);
        return NULL;
    }
    writer->format = format;
    writer->exporter = exporters[format];
    writer->target = -1;
    writer->fd = open_output(path);
    if (writer->fd < 0) hpw_write_fail(writer, HPW_IO, strerror(errno));
    if (writer->fd >= 0 && writer->exporter->start(writer)) return writer;
    if (error) *error = writer->error;
    destroy(writer);
    return NULL;
}

bool hpw_trace_put_noted(hpw_trace_writer *writer, const hpw_trace_event *event, const char *note) {
    if (writer->error.code) return false;
    const hpw_exporter *exporter = writer->exporter;
    if (writer->used + exporter->longest > HPW_WRITE_BUFFER && !exporter->flush(writer)) return false;
    if (!exporter->put(writer, event, note)) return false;
    writer->events++;
    return true;
}

bool hpw_trace_put(hpw_trace_writer *writer, const hpw_trace_event *event) {
    return hpw_trace_put_noted(writer, event, NULL);
}

/* ---- A pool's events -------------------------------------------------------------- */

/* The trace's event for a pool's, as far as both say the same. */
static hpw_trace_event translate(hpw_trace_writer *writer, const hpw_event *event) {
    if (!writer->events) writer->origin = event->time;
    return (hpw_trace_event){.has_time = true,
                             .has_thread = true,
                             .thread = event->thread,
                             .time = event->time > writer->origin ? event->time - writer->origin : 0};
}

static void sink_free(hpw_trace_writer *writer, hpw_trace_event event, uint64_t address) {
    hpw_live *block = hpw_live_find(&writer->live, address);
    if (!block) return;
    event.kind = HPW_TRACE_FREE;
    event.id = block->id;
    hpw_live_remove(&writer->live, block);
    hpw_trace_put(writer, &event);
}

static void sink_alloc(hpw_trace_writer *writer, hpw_trace_event event, const hpw_event *from) {
    sink_free(writer, event, from->address); /* still live? Then its free was not told. */
    hpw_live block = {.key = from->address, .id = ++writer->ids};
    if (!hpw_live_add(&writer->live, &block)) {
        hpw_write_fail(writer, HPW_NO_MEMORY, "no memory for the live blocks");
        return;
    }
    event.kind = HPW_TRACE_ALLOC;
    event.id = block.id;
    event.size = from->size;
    event.alignment = from->alignment;
    hpw_trace_put(writer, &event);
}

static void sink_resize(hpw_trace_writer *writer, hpw_trace_event event, const hpw_event *from) {
    hpw_live *block = hpw_live_find(&writer->live, from->previous);
    if (!block) {
        sink_alloc(writer, event, from);
        return;
    }
    hpw_live moved = *block;
    if (from->address != from->previous) {
        hpw_live_remove(&writer->live, block);
        sink_free(writer, event, from->address);
        moved.key = from->address;
        if (!hpw_live_add(&writer->live, &moved)) {
            hpw_write_fail(writer, HPW_NO_MEMORY, "no memory for the live blocks");
            return;
        }
    }
    event.kind = HPW_TRACE_RESIZE;
    event.id = moved.id;
    event.size = from->size;
    hpw_trace_put(writer, &event);
}

void hpw_trace_sink(void *ud, const hpw_event *event) {
    hpw_trace_writer *writer = ud;
    if (writer->error.code) return;
    hpw_trace_event translated = translate(writer, event);
    switch (event->kind) {
    case HPW_EVENT_ALLOC:
        sink_alloc(writer, translated, event);
        break;
    case HPW_EVENT_FREE:
        sink_free(writer, translated, event->address);
        break;
    case HPW_EVENT_RESIZE:
        sink_resize(writer, translated, event);
        break;
    case HPW_EVENT_FAILURE:
        break;
    }
}

/* ---- Blocks by id, for formats that name them anew ---------------------------------- */

hpw_live *hpw_write_block(hpw_trace_writer *writer, const hpw_trace_event *event) {
    hpw_live *block = hpw_live_find(&writer->blocks, event->id);
    char words[64];
    snprintf(words, sizeof words, "event %llu: id %llu is not live", (unsigned long long)writer->events + 1,
             (unsigned long long)event->id);
    if (!block) hpw_write_fail(writer, HPW_INVALID_ARGUMENT, words);
    return block;
}

bool hpw_write_new_block(hpw_trace_writer *writer, const hpw_trace_event *event, hpw_live *block) {
    *block = (hpw_live){.key = event->id, .id = writer->names++, .size = event->size, .slot = writer->events};
    writer->in_use += event->size;
    if (writer->in_use > writer->most_in_use) writer->most_in_use = writer->in_use;
    if (hpw_live_add(&writer->blocks, block)) return true;
    return hpw_write_fail(writer, HPW_NO_MEMORY, "no memory for the live blocks");
}

void hpw_write_lose(hpw_trace_writer *writer, const hpw_trace_event *event) {
    writer->lost.alignments += event->kind == HPW_TRACE_ALLOC && event->alignment;
    writer->lost.times += event->has_time;
    writer->lost.threads += event->has_thread;
}

/* Appends how many of something there are, where there are. */
static void add(char words[512], uint64_t n, const char *what) {
    size_t used = strlen(words);
    if (n) snprintf(words + used, 512 - used, "%s%llu %s", used ? ", " : "", (unsigned long long)n, what);
}

static void tell_lost(const hpw_trace_writer *writer, char words[512]) {
    const hpw_lost *lost = &writer->lost;
    words[0] = '\0';
    add(words, lost->alignments, "alignments are left out");
    add(words, lost->times, "times are left out");
    add(words, lost->threads, "threads are left out");
    add(words, lost->zero_resizes, "resizes to 0 bytes are frees");
    add(words, lost->resizes, "resizes are a buffer that ends and one that begins");
    add(words, lost->unfreed, "blocks that are never freed end with the trace");
}

/* ---- The end ----------------------------------------------------------------------- */

static bool close_file(hpw_trace_writer *writer) {
    int fd = writer->fd;
    writer->fd = -1;
    if (close(fd) && errno != EINTR) return hpw_write_fail(writer, HPW_IO, strerror(errno));
    return true;
}

bool hpw_trace_finish_telling(hpw_trace_writer *writer, char lost[512], hpw_trace_error *error) {
    const hpw_exporter *exporter = writer->exporter;
    if (!writer->error.code && exporter->flush(writer) && exporter->finish) exporter->finish(writer);
    if (lost) tell_lost(writer, lost);
    close_file(writer);
    bool well = !writer->error.code;
    if (!well && error) *error = writer->error;
    destroy(writer);
    return well;
}

bool hpw_trace_finish(hpw_trace_writer *writer, hpw_trace_error *error) {
    return hpw_trace_finish_telling(writer, NULL, error);
}
