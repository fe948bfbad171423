/* SPDX-License-Identifier: MIT */
/*
 * Writes the CS:APP malloc lab's traces (.rep): four numbers, the suggested heap size
 * (here the most bytes ever live), how many ids and operations there are, the weight
 * (1); then a, r and f as import/rep.c reads them. Ids are 0, 1, 2 ... as blocks are
 * allocated, since drivers use them as indices.
 *
 * The numbers are known last, so the operations wait in a temporary file. O(events),
 * 32 bytes a live block.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trace_reader.h"
#include "trace_writer.h"

typedef unsigned long long number;

static bool start(hpw_trace_writer *writer) {
    int fd = hpw_temporary_file(writer->path, &writer->error);
    if (fd < 0) return false;
    writer->target = writer->fd;
    writer->fd = fd;
    return true;
}

static bool put_line(hpw_trace_writer *writer, const hpw_trace_event *event, uint64_t name) {
    char *to = (char *)writer->buffer + writer->used;
    int n = event->kind == HPW_TRACE_FREE
                ? snprintf(to, HPW_WRITE_LINE, "f %llu\n", (number)name)
                : snprintf(to, HPW_WRITE_LINE, "%c %llu %llu\n", event->kind == HPW_TRACE_ALLOC ? 'a' : 'r',
                           (number)name, (number)event->size);
    writer->used += (size_t)n;
    return true;
}

static bool put(hpw_trace_writer *writer, const hpw_trace_event *event, const char *note) {
    (void)note;
    hpw_write_lose(writer, event);
    if (event->kind == HPW_TRACE_ALLOC) {
        hpw_live block;
        return hpw_write_new_block(writer, event, &block) && put_line(writer, event, block.id);
    }
    hpw_live *block = hpw_write_block(writer, event);
    if (!block) return false;
    uint64_t name = block->id;
    writer->in_use -= block->size;
    block->size = event->size;
    if (event->kind == HPW_TRACE_FREE) {
        hpw_live_remove(&writer->blocks, block);
    } else {
        writer->in_use += event->size;
        if (!event->size) writer->lost.zero_resizes++;
    }
    if (writer->in_use > writer->most_in_use) writer->most_in_use = writer->in_use;
    return put_line(writer, event, name);
}

/* The header, and the operations behind it. */
static bool finish(hpw_trace_writer *writer) {
    int operations = writer->fd;
    writer->fd = writer->target;
    writer->target = operations; /* closed with the writer */
    char header[128];
    int n = snprintf(header, sizeof header, "%llu\n%llu\n%llu\n1\n", (number)writer->most_in_use,
                     (number)writer->names, (number)writer->events);
    if (!hpw_write_all(writer, header, (size_t)n)) return false;
    off_t at = 0;
    for (;;) {
        ssize_t got = pread(operations, writer->buffer, HPW_WRITE_BUFFER, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return hpw_write_fail(writer, HPW_IO, strerror(errno));
        if (!got) return true;
        if (!hpw_write_all(writer, writer->buffer, (size_t)got)) return false;
        at += got;
    }
}

const hpw_exporter hpw_export_rep = {
    .longest = HPW_WRITE_LINE, .start = start, .put = put, .flush = hpw_write_flush, .finish = finish};
