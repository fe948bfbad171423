/* SPDX-License-Identifier: MIT */
/*
 * A recorder's trace: chunks keyed by address, one thread a chunk, its records
 * numbered by the recorded process's counter. This file brings them into that
 * one order and turns addresses into ids.
 *
 *  1. The first pass reads the chunks' headers alone and notes *runs*:
 *     neighbouring chunks of one thread. A thread's runs are a list.
 *  2. Every thread has a cursor: the number of its next record. The cursors are
 *     a binary heap by that number (Williams 1964; Knuth 5.4.1, k-way merging).
 *  3. The top cursor's record is decoded and handed out; the chunk is read when
 *     its first record is due, and let go with its last, so the chunks in
 *     memory are those that overlap here, at most one a thread.
 *  4. Records are events of addresses, which trace_addresses.c turns into ids.
 *
 * Numbers that no record has were lost with a killed thread: counted.
 *
 * O(log threads) a record; memory as trace.h says.
 */
#include "trace_reader.h"

#include <stdlib.h>

/* Neighbouring chunks of one thread. */
typedef struct run {
    uint64_t offset, end;
    uint64_t first; /* the number of its first record */
    uint32_t next;  /* of the same thread; NO_RUN */
} run;

#define NO_RUN UINT32_MAX

typedef struct source {
    uint32_t thread;
    uint32_t run, last_run;
    uint64_t offset;  /* of the chunk at hand or the next one */
    uint64_t first;   /* the next record's number: the heap's key */
    uint8_t *payload; /* NULL until its first record is due */
    const uint8_t *next, *end;
    uint32_t left;
    uint64_t number, time, address; /* what deltas start from */
} source;

/* A decoded record. */
typedef struct record {
    unsigned kind;
    uint64_t number, begin, address, size, alignment;
} record;

struct hpw_trace_merge {
    run *runs;
    uint32_t run_count, run_room;
    source *sources;
    uint32_t source_count, source_room;
    uint32_t *heap;
    uint32_t heap_count;
    hpw_live_table threads; /* number -> index of the source, while opening */
    uint8_t *spare;         /* a payload's buffer let go */
    uint64_t expected;      /* the next number */
    uint64_t done;          /* bytes of chunks used up */
    uint64_t time;          /* of the last event: times never go back */
};

typedef struct hpw_trace_merge merge;

/* ---- The first pass ---------------------------------------------------------- */

/* Room for one more of `size` bytes each in an array that doubles. */
static bool more_room(void **array, uint32_t count, uint32_t *room, size_t size) {
    if (count < *room) return true;
    uint32_t larger = *room ? *room * 2 : 16;
    if (larger <= *room || larger > SIZE_MAX / size) return false;
    void *grown = realloc(*array, larger * size);
    if (!grown) return false;
    *array = grown;
    *room = larger;
    return true;
}

/* The source of a thread, made where it is new; NULL without memory. */
static source *source_of(merge *m, uint32_t thread) {
    hpw_live *known = hpw_live_find(&m->threads, thread);
    if (known) return &m->sources[known->slot];
    if (!more_room((void **)&m->sources, m->source_count, &m->source_room, sizeof *m->sources)) return NULL;
    if (!hpw_live_add(&m->threads, &(hpw_live){.key = thread, .slot = m->source_count})) return NULL;
    source *s = &m->sources[m->source_count++];
    *s = (source){.thread = thread, .run = NO_RUN, .last_run = NO_RUN};
    return s;
}

/* Notes a chunk with records. */
static int note_chunk(hpw_trace *trace, uint64_t at, const hpw_chunk *chunk) {
    merge *m = trace->merge;
    source *s = source_of(m, chunk->thread);
    if (!s) return hpw_trace_no_memory(trace);
    if (s->last_run != NO_RUN && chunk->first <= s->number)
        return hpw_chunk_refuse(trace, at, "its thread's records go back");
    s->number = chunk->first;
    uint64_t end = at + HPW_CHUNK_HEADER + chunk->length;
    if (s->last_run != NO_RUN && m->runs[s->last_run].end == at) {
        m->runs[s->last_run].end = end;
        return 1;
    }
    if (m->run_count == NO_RUN - 1 ||
        !more_room((void **)&m->runs, m->run_count, &m->run_room, sizeof *m->runs))
        return hpw_trace_no_memory(trace);
    uint32_t index = m->run_count++;
    m->runs[index] = (run){.offset = at, .end = end, .first = chunk->first, .next = NO_RUN};
    if (s->last_run == NO_RUN)
        s->run = index;
    else
        m->runs[s->last_run].next = index;
    s->last_run = index;
    return 1;
}

/* Reads the header at `at`: 1, 0 where the file is cut off there, -1. */
static int read_header(hpw_trace *trace, uint64_t at, hpw_chunk *chunk) {
    uint8_t bytes[HPW_CHUNK_HEADER];
    int64_t got = hpw_input_at(&trace->input, at, bytes, sizeof bytes, &trace->error);
    if (got < 0) return -1;
    if (got < HPW_CHUNK_HEADER) return 0;
    hpw_chunk_fault fault = hpw_chunk_decode(bytes, chunk);
    if (fault) return hpw_chunk_refuse(trace, at, hpw_chunk_fault_words(fault));
    return 1;
}

static int read_headers(hpw_trace *trace) {
    uint64_t at = HPW_HEADER_SIZE;
    bool closed = false;
    for (;;) {
        hpw_chunk chunk;
        int got = read_header(trace, at, &chunk);
        if (got < 0) return -1;
        uint64_t end = got ? at + HPW_CHUNK_HEADER + chunk.length : at;
        if (!got || end > trace->input.size) {
            trace->notes.cut = !closed || at < trace->input.size;
            trace->notes.cut_at = at;
            return 1;
        }
        closed = chunk.flags == HPW_CHUNK_END;
        trace->notes.stopped = chunk.flags == HPW_CHUNK_STOPPED;
        if (trace->notes.stopped) trace->notes.stop_errno = chunk.first;
        if (chunk.count && note_chunk(trace, at, &chunk) < 0) return -1;
        at = end;
    }
}

/* ---- The heap of cursors ------------------------------------------------------ */

static uint64_t key(const merge *m, uint32_t place) { return m->sources[m->heap[place]].first; }

/* Moves what stands at `place` down to where its key belongs. */
static void sift(merge *m, uint32_t place) {
    uint32_t moved = m->heap[place];
    uint64_t number = m->sources[moved].first;
    for (;;) {
        uint32_t child = place * 2 + 1;
        if (child >= m->heap_count) break;
        if (child + 1 < m->heap_count && key(m, child + 1) < key(m, child)) child++;
        if (number <= key(m, child)) break;
        m->heap[place] = m->heap[child];
        place = child;
    }
    m->heap[place] = moved;
}

bool hpw_merge_open(hpw_trace *trace) {
    merge *m = trace->merge = calloc(1, sizeof *m);
    if (!m) return hpw_trace_no_memory(trace) == 1;
    if (read_headers(trace) < 0) return false;
    hpw_live_free(&m->threads);
    if (!m->source_count) return true;
    m->heap = malloc(m->source_count * sizeof *m->heap);
    if (!m->heap) return hpw_trace_no_memory(trace) == 1;
    for (uint32_t i = 0; i < m->source_count; i++) {
        source *s = &m->sources[i];
        s->offset = m->runs[s->run].offset;
        s->first = m->runs[s->run].first;
        m->heap[m->heap_count++] = i;
    }
    for (uint32_t i = m->heap_count / 2; i-- > 0;) sift(m, i);
    return true;
}

void hpw_merge_close(merge *m) {
    if (!m) return;
    for (uint32_t i = 0; i < m->source_count; i++) free(m->sources[i].payload);
    free(m->sources);
    free(m->runs);
    free(m->heap);
    free(m->spare);
    hpw_live_free(&m->threads);
    free(m);
}

uint64_t hpw_merge_done(const merge *m) { return m->done; }

/* ---- Decoding ------------------------------------------------------------------ */

/* Reads the chunk at s->offset, whose header the first pass has seen. */
static int load(hpw_trace *trace, source *s) {
    merge *m = trace->merge;
    hpw_chunk chunk;
    int got = read_header(trace, s->offset, &chunk);
    if (got < 0) return -1;
    if (!got || chunk.thread != s->thread || chunk.first != s->first)
        return hpw_chunk_refuse(trace, s->offset, "the file changed while it was read");
    uint8_t *payload = m->spare ? m->spare : malloc(HPW_CHUNK_LONGEST);
    m->spare = NULL;
    if (!payload) return hpw_trace_no_memory(trace);
    s->payload = payload;
    int64_t have =
        hpw_input_at(&trace->input, s->offset + HPW_CHUNK_HEADER, payload, chunk.length, &trace->error);
    if (have < 0) return -1;
    if (have < (int64_t)chunk.length || hpw_checksum(payload, chunk.length) != chunk.payload_check)
        return hpw_chunk_refuse(trace, s->offset, "its checksum is wrong");
    s->next = payload;
    s->end = payload + chunk.length;
    s->left = chunk.count;
    s->time = chunk.time;
    s->address = 0;
    s->number = chunk.first - 1;
    return 1;
}

/* Puts the cursor on the chunk after the one that is used up: 1, 0 at the thread's end, -1. */
static int advance(hpw_trace *trace, source *s) {
    merge *m = trace->merge;
    uint64_t length = HPW_CHUNK_HEADER + (uint64_t)(s->end - s->payload);
    uint64_t at = s->offset + length;
    m->done += length;
    free(m->spare);
    m->spare = s->payload;
    s->payload = NULL;
    if (at < m->runs[s->run].end) {
        hpw_chunk chunk;
        int got = read_header(trace, at, &chunk);
        if (got < 0) return -1;
        if (!got) return hpw_chunk_refuse(trace, at, "the file changed while it was read");
        s->first = chunk.first;
    } else {
        s->run = m->runs[s->run].next;
        if (s->run == NO_RUN) return 0;
        at = m->runs[s->run].offset;
        s->first = m->runs[s->run].first;
    }
    s->offset = at;
    if (s->first <= s->number) return hpw_chunk_refuse(trace, at, "its thread's records go back");
    return 1;
}

/* The fields that only some kinds have. */
static bool decode_rest(source *s, uint8_t head, record *r) {
    uint64_t n;
    r->size = r->alignment = 0;
    r->begin = r->number;
    if (r->kind == HPW_RECORD_ALLOC || r->kind == HPW_RECORD_END)
        if (!hpw_get_varint(&s->next, s->end, &r->size) || r->size > INT64_MAX) return false;
    if (r->kind == HPW_RECORD_END || r->kind == HPW_RECORD_FAILED) {
        if (!hpw_get_varint(&s->next, s->end, &n) || n > r->number) return false;
        r->begin -= n;
    }
    if (head & HPW_RECORD_ALIGNED) {
        if (r->kind != HPW_RECORD_ALLOC || s->next == s->end || *s->next > 62) return false;
        r->alignment = (uint64_t)1 << *s->next++;
    }
    return true;
}

/* Decodes the record at hand. */
static bool decode(source *s, record *r) {
    uint64_t n;
    if (s->next == s->end) return false;
    uint8_t head = *s->next++;
    r->kind = head & HPW_RECORD_KIND;
    const uint8_t known = HPW_RECORD_KIND | HPW_RECORD_ALIGNED | HPW_RECORD_SIXTEENTH;
    if (head & ~known || r->kind > HPW_RECORD_FAILED || !hpw_get_varint(&s->next, s->end, &n)) return false;
    r->number = s->number += n + 1;
    if (!hpw_get_varint(&s->next, s->end, &n)) return false;
    s->time += hpw_unzigzag(n);
    if (s->time > INT64_MAX || !hpw_get_varint(&s->next, s->end, &n)) return false;
    uint64_t delta = hpw_unzigzag(n);
    s->address += head & HPW_RECORD_SIXTEENTH ? delta * 16 : delta;
    r->address = s->address;
    return decode_rest(s, head, r);
}

/* The number of the next record of a chunk at hand, without taking it. */
static bool peek(source *s) {
    const uint8_t *next = s->next + 1;
    uint64_t n;
    if (s->next == s->end || !hpw_get_varint(&next, s->end, &n)) return false;
    s->first = s->number + n + 1;
    return s->first > s->number;
}

/* The next record in the order of all threads: 1, 0 at the end, -1. */
static int next_record(hpw_trace *trace, record *r) {
    merge *m = trace->merge;
    if (!m->heap_count) return 0;
    source *s = &m->sources[m->heap[0]];
    if (!s->payload && load(trace, s) < 0) return -1;
    uint64_t due = s->first;
    if (!decode(s, r) || r->number != due)
        return hpw_chunk_refuse(trace, s->offset, "a record makes no sense");
    if (due < m->expected) return hpw_chunk_refuse(trace, s->offset, "two records have one number");
    trace->notes.missing += due - m->expected;
    m->expected = due + 1;
    if (s->time > m->time) m->time = s->time;
    trace->addresses.stamp =
        (hpw_trace_event){.has_time = true, .has_thread = true, .thread = s->thread, .time = m->time};
    if (--s->left) {
        if (!peek(s)) return hpw_chunk_refuse(trace, s->offset, "a record makes no sense");
    } else {
        if (s->next != s->end)
            return hpw_chunk_refuse(trace, s->offset, "bytes are left after its last record");
        int got = advance(trace, s);
        if (got < 0) return -1;
        if (!got) m->heap[0] = m->heap[--m->heap_count];
    }
    if (m->heap_count) sift(m, 0);
    return 1;
}

int hpw_merge_next(hpw_trace *trace, hpw_trace_event *event) {
    for (;;) {
        record r = {0};
        int got = next_record(trace, &r);
        if (got <= 0) return got;
        switch (r.kind) {
        case HPW_RECORD_ALLOC:
            got = hpw_address_alloc(trace, r.address, r.size, r.alignment, event);
            break;
        case HPW_RECORD_FREE:
            got = hpw_address_free(trace, r.address, event);
            break;
        case HPW_RECORD_BEGIN:
            got = hpw_address_begin(trace, r.address, r.number);
            break;
        case HPW_RECORD_END:
            got = hpw_address_end(trace, r.begin, r.address, r.size, event);
            break;
        default:
            got = hpw_address_stay(trace, r.begin, r.address, event);
            break;
        }
        if (got) return got;
    }
}
