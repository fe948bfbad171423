/* SPDX-License-Identifier: MIT */
/*
 * Binary traces that are not as they should be: the recorder's records merged,
 * with some lost or contradictory; a trace of either kind cut off at every byte
 * and with every bit flipped.
 */
#define _GNU_SOURCE
#include <errno.h>

#include "trace_chunk.h"
#include "trace_files.h"

/* ---- Binary, by address ---------------------------------------------------------------------- */

/* A recorder's trace under construction. */
typedef struct maker {
    uint8_t bytes[4096];
    size_t used;
    uint8_t payload[1024];
    uint8_t *end;
    uint32_t count;
    uint64_t first, number, address;
} maker;

static void make_header(maker *m) {
    *m = (maker){.used = HPW_HEADER_SIZE};
    m->end = m->payload;
    hpw_header_encode(
        &(hpw_file_header){.version = 1, .mode = HPW_MODE_ADDRESSES, .pid = 7, .program = "made"}, m->bytes);
}

static void make(maker *m, unsigned kind, uint64_t number, uint64_t address, uint64_t size, uint64_t begin) {
    if (!m->count) {
        m->first = number;
        m->number = number - 1;
        m->address = 0;
    }
    *m->end++ = (uint8_t)kind;
    m->end = hpw_put_varint(m->end, number - m->number - 1);
    m->end = hpw_put_varint(m->end, hpw_zigzag(10));
    m->end = hpw_put_varint(m->end, hpw_zigzag(address - m->address));
    if (kind == HPW_RECORD_ALLOC || kind == HPW_RECORD_END) m->end = hpw_put_varint(m->end, size);
    if (kind >= HPW_RECORD_END) m->end = hpw_put_varint(m->end, number - begin);
    m->number = number;
    m->address = address;
    m->count++;
}

static void make_chunk(maker *m, uint32_t thread) {
    hpw_chunk chunk = {.length = (uint32_t)(m->end - m->payload),
                       .count = m->count,
                       .thread = thread,
                       .first = m->first,
                       .time = m->first * 100};
    chunk.payload_check = hpw_checksum(m->payload, chunk.length);
    hpw_chunk_encode(&chunk, m->bytes + m->used);
    memcpy(m->bytes + m->used + HPW_CHUNK_HEADER, m->payload, chunk.length);
    m->used += HPW_CHUNK_HEADER + chunk.length;
    m->end = m->payload;
    m->count = 0;
}

static void make_mark(maker *m, uint32_t flags, uint64_t first) {
    hpw_chunk mark = {.flags = flags, .first = first, .payload_check = hpw_checksum(NULL, 0)};
    hpw_chunk_encode(&mark, m->bytes + m->used);
    m->used += HPW_CHUNK_HEADER;
}

static void read_made(const maker *m, reading *r) {
    const char *path = in_folder("made.hwt");
    put_file(path, m->bytes, m->used);
    read_trace(path, r);
}

enum { A = 0x1000, B = 0x2000 };

/*
 * Thread 1 allocates A and B, resizes A to B's old place after thread 2 has
 * freed B, while thread 2 is given A.
 */
static void make_threads(maker *m) {
    make_header(m);
    make(m, HPW_RECORD_ALLOC, 0, A, 100, 0);
    make(m, HPW_RECORD_ALLOC, 1, B, 50, 0);
    make_chunk(m, 1);
    make(m, HPW_RECORD_FREE, 2, B, 0, 0);
    make(m, HPW_RECORD_ALLOC, 4, A, 8, 0);
    make_chunk(m, 2);
    make(m, HPW_RECORD_BEGIN, 3, A, 0, 0);
    make(m, HPW_RECORD_END, 5, B, 200, 3);
    make(m, HPW_RECORD_BEGIN, 6, B, 0, 0);
    make(m, HPW_RECORD_FAILED, 7, B, 0, 6);
    make(m, HPW_RECORD_FREE, 8, B, 0, 0);
    make_chunk(m, 1);
    make_mark(m, HPW_CHUNK_END, 9);
}

static void test_merge(void) {
    static maker m;
    static reading r;
    make_threads(&m);
    read_made(&m, &r);
    CHECK_EQ(r.ended, 0);
    CHECK(!r.warned);
    CHECK_EQ(r.count, 6);
    static const struct {
        hpw_trace_kind kind;
        uint64_t id, size, previous;
        uint32_t thread;
    } expected[] = {
        {HPW_TRACE_ALLOC, 1, 100, 0, 1}, {HPW_TRACE_ALLOC, 2, 50, 0, 1},     {HPW_TRACE_FREE, 2, 50, 0, 2},
        {HPW_TRACE_ALLOC, 3, 8, 0, 2},   {HPW_TRACE_RESIZE, 1, 200, 100, 1}, {HPW_TRACE_FREE, 1, 200, 0, 1},
    };
    for (size_t i = 0; i < r.count && i < 6; i++) {
        const hpw_trace_event *e = &r.events[i];
        CHECK(e->kind == expected[i].kind && e->id == expected[i].id && e->size == expected[i].size &&
              e->previous == expected[i].previous && e->thread == expected[i].thread);
        CHECK(e->has_time && (!i || e->time >= r.events[i - 1].time));
    }
    CHECK(r.events[4].slot == r.events[0].slot && r.events[3].slot == r.events[1].slot);
}

/* What was lost or never seen is made up for, and said. */
static void test_lost(void) {
    static maker m;
    static reading r;
    make_header(&m);
    make(&m, HPW_RECORD_FREE, 0, 0x99, 0, 0); /* never seen */
    make(&m, HPW_RECORD_ALLOC, 1, A, 10, 0);
    make(&m, HPW_RECORD_ALLOC, 5, A, 20, 0); /* 2 to 4 are lost, a free of A among them */
    make(&m, HPW_RECORD_BEGIN, 6, B, 0, 0);  /* never seen */
    make(&m, HPW_RECORD_END, 7, B, 30, 6);
    make_chunk(&m, 1);
    read_made(&m, &r);
    CHECK_EQ(r.ended, 0);
    CHECK_EQ(r.count, 4);
    CHECK(r.events[1].kind == HPW_TRACE_FREE && r.events[1].id == 1 && r.events[2].id == 2);
    CHECK(r.events[3].kind == HPW_TRACE_ALLOC && r.events[3].size == 30);
    CHECK(strstr(r.warning, "after 4 events: the program ended without closing the trace"));
    CHECK(strstr(r.warning, "3 records are missing"));
    CHECK(strstr(r.warning, "1 frees are left out"));
    CHECK(strstr(r.warning, "1 resizes count as allocations"));
    CHECK(strstr(r.warning, "1 blocks count as freed"));
    make_mark(&m, HPW_CHUNK_STOPPED, ENOSPC);
    read_made(&m, &r);
    CHECK(r.ended == 0 && strstr(r.warning, "the recording stopped at byte") &&
          strstr(r.warning, strerror(ENOSPC)));
}

static void test_contradictions(void) {
    static maker m;
    static reading r;
    make_header(&m);
    make(&m, HPW_RECORD_ALLOC, 5, A, 10, 0);
    make_chunk(&m, 1);
    make(&m, HPW_RECORD_ALLOC, 4, B, 10, 0);
    make_chunk(&m, 1);
    read_made(&m, &r);
    CHECK(r.ended < 0 && strstr(r.error.message, "its thread's records go back"));
    make_header(&m);
    make(&m, HPW_RECORD_ALLOC, 5, A, 10, 0);
    make_chunk(&m, 1);
    make(&m, HPW_RECORD_ALLOC, 5, B, 10, 0);
    make_chunk(&m, 2);
    read_made(&m, &r);
    CHECK(r.ended < 0 && strstr(r.error.message, "two records have one number"));
    make_header(&m);
    make_mark(&m, HPW_CHUNK_END, 0);
    read_made(&m, &r);
    CHECK(r.ended < 0 && strstr(r.error.message, "holds no event"));
    hpw_header_encode(&(hpw_file_header){.version = 7}, m.bytes);
    read_made(&m, &r);
    CHECK(r.ended < 0 && strstr(r.error.message, "version 7, this heapwright reads up to 1"));
}

/* ---- Cut and flipped --------------------------------------------------------------------------- */

static const char sample[] = "a 1 100 64 @5 %3\na 2 0 %4\na 18446744073709551615 9223372036854775807\n"
                             "r 1 300 @7\nf 2 @9 %4294967295\nf 18446744073709551615\na 2 7 1\n";

static void damage(const char *name, const uint8_t *whole, size_t n) {
    static reading good, r;
    static uint8_t copy[4096];
    const char *path = in_folder(name);
    put_file(path, whole, n);
    read_trace(path, &good);
    CHECK(good.ended == 0 && !good.warned && good.count > 0);
    size_t bad = 0;
    for (size_t cut = 0; cut < n; cut++) {
        put_file(path, whole, cut);
        read_trace(path, &r);
        /* All that stands in whole chunks, and a warning; or an error where there is nothing. */
        bad += r.ended < 0 ? r.count > 0 : !r.warned || !strstr(r.warning, "cut off at byte") || !r.count;
        /* Of several threads the order of what is left may differ. */
        if (strcmp(name, "ids.hwt") == 0) bad += !is_prefix(&r, &good);
    }
    CHECK_EQ(bad, 0);
    for (size_t bit = 0; bit < n * 8; bit++) {
        memcpy(copy, whole, n);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        put_file(path, copy, n);
        read_trace(path, &r);
        bad += r.ended == 0 && !r.warned && !same(&r, &good);
    }
    CHECK_EQ(bad, 0);
}

/* The sample with a changed header of its only chunk and `more` bytes after its last record, all checksums
 * right. */
static void read_changed(const uint8_t *whole, size_t n, uint64_t first, size_t more, reading *r) {
    static uint8_t copy[4096 + 16];
    hpw_chunk chunk;
    uint8_t *payload = copy + HPW_HEADER_SIZE + HPW_CHUNK_HEADER;
    memset(copy, 0, sizeof copy);
    CHECK_EQ(hpw_chunk_decode(whole + HPW_HEADER_SIZE, &chunk), HPW_CHUNK_SOUND);
    size_t upto = (size_t)(payload - copy) + chunk.length;
    memcpy(copy, whole, upto);
    memcpy(copy + upto + more, whole + upto, n - upto);
    chunk.length += (uint32_t)more;
    chunk.first = first;
    chunk.payload_check = hpw_checksum(payload, chunk.length);
    hpw_chunk_encode(&chunk, copy + HPW_HEADER_SIZE);
    put_file(in_folder("changed.hwt"), copy, n + more);
    read_trace(in_folder("changed.hwt"), r);
}

/* A chunk that is missing is missed, and what no record explains is told. */
static void test_chunks(const uint8_t *whole, size_t n) {
    static reading r;
    read_changed(whole, n, 0, 0, &r);
    CHECK(r.ended == 0 && !r.warned && r.count == 7);
    read_changed(whole, n, 3, 0, &r);
    CHECK(r.ended < 0 && r.count == 0 && strstr(r.error.message, "its first event is not the next one"));
    for (size_t more = 1; more <= 16; more += 5) {
        read_changed(whole, n, 0, more, &r);
        CHECK(r.ended < 0 && strstr(r.error.message, "bytes are left after its last record"));
    }
}

static void test_damage(void) {
    static maker m;
    static uint8_t bytes[4096];
    make_threads(&m);
    damage("addresses.hwt", m.bytes, m.used);
    hpw_trace_error error = {0};
    put_file(in_folder("sample.txt"), sample, sizeof sample - 1);
    CHECK(
        hpw_trace_convert(in_folder("sample.txt"), in_folder("sample.hwt"), HPW_TRACE_BINARY, NULL, &error));
    FILE *file = fopen(in_folder("sample.hwt"), "rb");
    size_t n = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file) fclose(file);
    CHECK(n > HPW_HEADER_SIZE && n < sizeof bytes);
    damage("ids.hwt", bytes, n);
    test_chunks(bytes, n);
}

int main(void) {
    if (!begin_files()) return 2;
    test_merge();
    test_lost();
    test_contradictions();
    test_damage();
    end_files();
    return CHECK_DONE();
}
