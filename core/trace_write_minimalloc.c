/* SPDX-License-Identifier: MIT */
/*
 * Writes MiniMalloc's tables: id,lower,upper,size, a row for each block, written when
 * it ends. Times are the events' numbers from 0. A resize is a buffer that ends and
 * one that begins; what is never freed ends with the trace. Ids are 0, 1, 2 ... as
 * buffers begin. O(events), at the end O(live blocks log live blocks); 32 bytes a
 * live block.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace_writer.h"

typedef unsigned long long number;

static bool start(hpw_trace_writer *writer) {
    static const char header[] = "id,lower,upper,size\n";
    return hpw_write_all(writer, header, sizeof header - 1);
}

static bool put_row(hpw_trace_writer *writer, const hpw_live *block, uint64_t upper) {
    if (writer->used + HPW_WRITE_LINE > HPW_WRITE_BUFFER && !hpw_write_flush(writer)) return false;
    writer->used +=
        (size_t)snprintf((char *)writer->buffer + writer->used, HPW_WRITE_LINE, "%llu,%llu,%llu,%llu\n",
                         (number)block->id, (number)block->slot, (number)upper, (number)block->size);
    return true;
}

static bool put(hpw_trace_writer *writer, const hpw_trace_event *event, const char *note) {
    (void)note;
    hpw_live fresh;
    hpw_write_lose(writer, event);
    if (event->kind == HPW_TRACE_ALLOC) return hpw_write_new_block(writer, event, &fresh);
    hpw_live *block = hpw_write_block(writer, event);
    if (!block || !put_row(writer, block, writer->events)) return false;
    hpw_live_remove(&writer->blocks, block);
    if (event->kind == HPW_TRACE_FREE) return true;
    writer->lost.resizes++;
    return hpw_write_new_block(writer, event, &fresh);
}

static int by_name(const void *a, const void *b) {
    const hpw_live *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

/* The rows of what was never freed, in the order of their ids. */
static bool finish(hpw_trace_writer *writer) {
    size_t count = (size_t)writer->blocks.count, used = 0;
    hpw_live *left = malloc((count + 1) * sizeof *left);
    if (!left) return hpw_write_fail(writer, HPW_NO_MEMORY, "no memory for the live blocks");
    for (uint64_t i = 0; count && i <= writer->blocks.mask; i++)
        if (writer->blocks.entries[i].slot != HPW_NO_SLOT) left[used++] = writer->blocks.entries[i];
    qsort(left, used, sizeof *left, by_name);
    bool well = true;
    for (size_t i = 0; i < used && well; i++) well = put_row(writer, &left[i], writer->events);
    free(left);
    writer->lost.unfreed = count;
    return well && hpw_write_flush(writer);
}

const hpw_exporter hpw_export_minimalloc = {
    .longest = HPW_WRITE_LINE, .start = start, .put = put, .flush = hpw_write_flush, .finish = finish};
