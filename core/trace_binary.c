/* SPDX-License-Identifier: MIT */
/*
 * The header of a binary trace, and the reading of chunks keyed by id, in the
 * file's order: read a chunk's header, check it, read the payload, check it,
 * decode record by record. One chunk in memory. O(bytes).
 */
#include "trace_reader.h"

#include <stdlib.h>

int hpw_chunk_refuse(hpw_trace *trace, uint64_t at, const char *what) {
    hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s: the chunk at byte %llu is corrupt: %s",
                   trace->input.path, (unsigned long long)at, what);
    return -1;
}

const char *hpw_chunk_fault_words(hpw_chunk_fault fault) {
    switch (fault) {
    case HPW_CHUNK_MAGIC:
        return "it does not begin as a chunk does";
    case HPW_CHUNK_CHECK:
        return "its header's checksum is wrong";
    case HPW_CHUNK_LENGTHS:
        return "its lengths contradict each other";
    case HPW_CHUNK_SOUND:
        break;
    }
    return "nothing";
}

int hpw_binary_open(hpw_trace *trace) {
    uint8_t bytes[HPW_HEADER_SIZE];
    int64_t got = hpw_input_take(&trace->input, bytes, sizeof bytes, &trace->error);
    if (got < 0) return -1;
    trace->notes.cut = true; /* until an end mark is seen */
    if (got < HPW_HEADER_SIZE) return 0;
    trace->notes.cut_at = HPW_HEADER_SIZE;
    bool sound = hpw_header_decode(bytes, &trace->header);
    if (trace->header.version > HPW_TRACE_VERSION) {
        hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s: version %lu, this heapwright reads up to %d",
                       trace->input.path, (unsigned long)trace->header.version, (int)HPW_TRACE_VERSION);
        return -1;
    }
    if (!sound || !trace->header.version || trace->header.mode > HPW_MODE_ADDRESSES) {
        hpw_trace_fail(&trace->error, HPW_CORRUPTED, "%s: the header in bytes 0 to 63 is corrupt: %s",
                       trace->input.path, sound ? "version or mode is unknown" : "its checksum is wrong");
        return -1;
    }
    return 1;
}

/* A mark or a chunk's payload becomes the one at hand: 1, 0 where the file is cut off, -1. */
static int read_payload(hpw_trace *trace, const hpw_chunk *chunk) {
    if (chunk->first != trace->events && chunk->flags != HPW_CHUNK_STOPPED)
        return hpw_chunk_refuse(trace, trace->chunk_at, "its first event is not the next one");
    trace->closed = chunk->flags == HPW_CHUNK_END;
    trace->notes.stopped = chunk->flags == HPW_CHUNK_STOPPED;
    if (trace->notes.stopped) trace->notes.stop_errno = chunk->first;
    if (!trace->payload) trace->payload = malloc(HPW_CHUNK_LONGEST);
    if (!trace->payload) return hpw_trace_no_memory(trace);
    int64_t got = hpw_input_take(&trace->input, trace->payload, chunk->length, &trace->error);
    if (got < 0) return -1;
    if (got < (int64_t)chunk->length) return 0;
    if (hpw_checksum(trace->payload, chunk->length) != chunk->payload_check)
        return hpw_chunk_refuse(trace, trace->chunk_at, "its checksum is wrong");
    trace->next = trace->payload;
    trace->payload_end = trace->payload + chunk->length;
    trace->chunk_left = chunk->count;
    trace->last = (hpw_trace_event){.time = chunk->time, .thread = chunk->thread};
    trace->notes.cut_at = trace->input.offset;
    return 1;
}

/* 1, 0 at the end of the file, -1. */
static int read_chunk(hpw_trace *trace) {
    uint8_t bytes[HPW_CHUNK_HEADER];
    trace->chunk_at = trace->input.offset;
    int64_t got = hpw_input_take(&trace->input, bytes, sizeof bytes, &trace->error);
    if (got < 0) return -1;
    if (got < HPW_CHUNK_HEADER) {
        trace->notes.cut = got > 0 || !trace->closed;
        return 0;
    }
    hpw_chunk chunk;
    hpw_chunk_fault fault = hpw_chunk_decode(bytes, &chunk);
    if (fault) return hpw_chunk_refuse(trace, trace->chunk_at, hpw_chunk_fault_words(fault));
    return read_payload(trace, &chunk);
}

static bool decode_fields(hpw_trace *trace, uint8_t head, hpw_trace_event *event) {
    const uint8_t *end = trace->payload_end;
    uint64_t n;
    if (!hpw_get_varint(&trace->next, end, &n)) return false;
    event->id = trace->last.id + hpw_unzigzag(n);
    event->time = trace->last.time;
    event->thread = trace->last.thread;
    event->has_time = head & HPW_RECORD_TIMED;
    event->has_thread = head & (HPW_RECORD_THREAD | HPW_RECORD_SAME_THREAD);
    if (event->has_time) {
        if (!hpw_get_varint(&trace->next, end, &n)) return false;
        event->time += hpw_unzigzag(n);
        if (event->time > INT64_MAX) return false;
    }
    if (head & HPW_RECORD_THREAD) {
        if (!hpw_get_varint(&trace->next, end, &n) || n > UINT32_MAX) return false;
        event->thread = (uint32_t)n;
    }
    if (event->kind == HPW_TRACE_FREE) return true;
    return hpw_get_varint(&trace->next, end, &event->size) && event->size <= INT64_MAX;
}

static bool decode(hpw_trace *trace, hpw_trace_event *event) {
    *event = (hpw_trace_event){0};
    if (trace->next == trace->payload_end) return false;
    uint8_t head = *trace->next++;
    switch (head & HPW_RECORD_KIND) {
    case HPW_RECORD_ALLOC:
        event->kind = HPW_TRACE_ALLOC;
        break;
    case HPW_RECORD_FREE:
        event->kind = HPW_TRACE_FREE;
        break;
    case HPW_RECORD_RESIZE:
        event->kind = HPW_TRACE_RESIZE;
        break;
    default:
        return false;
    }
    const uint8_t threads = HPW_RECORD_THREAD | HPW_RECORD_SAME_THREAD;
    if (head & HPW_RECORD_SIXTEENTH || (head & threads) == threads) return false;
    if (!decode_fields(trace, head, event)) return false;
    if (head & HPW_RECORD_ALIGNED) {
        if (event->kind != HPW_TRACE_ALLOC || trace->next == trace->payload_end || *trace->next > 62)
            return false;
        event->alignment = (uint64_t)1 << *trace->next++;
    }
    trace->last.id = event->id;
    trace->last.time = event->time;
    trace->last.thread = event->thread;
    if (!event->has_time) event->time = 0;
    if (!event->has_thread) event->thread = 0;
    return true;
}

/*
 * Decodes the next records of the chunk at hand, and has the table's entries of
 * their ids brought near: a look-up in a table larger than the caches costs more
 * than everything else here. What is wrong with a record is kept until it is due.
 */
static void decode_ahead(hpw_trace *trace) {
    hpw_ahead *ahead = &trace->records;
    ahead->next = ahead->count = 0;
    while (ahead->count < HPW_AHEAD && trace->chunk_left && !ahead->fault) {
        hpw_trace_event *event = &ahead->events[ahead->count];
        if (!decode(trace, event)) {
            ahead->fault = "a record makes no sense";
        } else if (!--trace->chunk_left && trace->next != trace->payload_end) {
            ahead->fault = "bytes are left after its last record";
        } else {
            hpw_live_prefetch(&trace->live, event->id);
            ahead->count++;
        }
    }
}

int hpw_ids_next(hpw_trace *trace, hpw_trace_event *event) {
    hpw_ahead *ahead = &trace->records;
    if (ahead->next == ahead->count) {
        while (!trace->chunk_left && !ahead->fault) {
            int got = read_chunk(trace);
            if (got <= 0) return got;
        }
        decode_ahead(trace);
        if (!ahead->count) return hpw_chunk_refuse(trace, trace->chunk_at, ahead->fault);
    }
    *event = ahead->events[ahead->next++];
    return 1;
}
