/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: any bytes at all, read as a trace of any format, packed or not.
 * Beyond not crashing: what the reader hands out keeps trace.h's promises, what it
 * refuses it refuses in one line, and what it accepts survives a copy in either of
 * our formats, and with its peak one in every other that can be written.
 *
 *      sh .cmake/fuzz.sh trace 180
 *
 * Checksums hide what is behind them from a fuzzer, so the second byte of an
 * input that begins with 'B' asks for them to be put right first.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace.h"
#include "trace_chunk.h"

enum { MOST = 1 << 16 };

static char path[64];

static void put(const uint8_t *bytes, size_t n) {
    static int fd = -1;
    if (fd < 0) fd = memfd_create("trace", 0);
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, bytes, n, 0) != (ssize_t)n) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
}

/* A binary trace from fuzzed payloads: mode, then for each chunk thread, count, length, first, bytes. */
static size_t compose(const uint8_t *from, size_t n, uint8_t *to) {
    hpw_header_encode(&(hpw_file_header){.version = 1, .mode = n ? from[0] & 1u : 0}, to);
    size_t used = HPW_HEADER_SIZE, at = 1;
    while (at + 4 <= n && used + 512 < MOST) {
        hpw_chunk chunk = {.thread = from[at], .count = from[at + 1], .first = from[at + 3]};
        size_t length = from[at + 2];
        at += 4;
        if (length > n - at) length = n - at;
        chunk.length = (uint32_t)length;
        if (!length) chunk.flags = chunk.thread & 3u;
        chunk.payload_check = hpw_checksum(from + at, length);
        hpw_chunk_encode(&chunk, to + used);
        memcpy(to + used + HPW_CHUNK_HEADER, from + at, length);
        used += HPW_CHUNK_HEADER + length;
        at += length;
    }
    return used;
}

/* What a trace is, whatever its format. */
typedef struct gist {
    uint64_t sum;  /* over its events */
    uint64_t peak; /* of live bytes */
    bool large;    /* too large to be summed up */
} gist;

/* Reads all. */
static int read_all(gist *g) {
    hpw_trace_error error;
    hpw_trace *trace = hpw_trace_open(path, &error);
    *g = (gist){0};
    if (!trace) {
        if (!error.code || !*error.message || strchr(error.message, '\n')) abort();
        return -1;
    }
    hpw_trace_event event;
    int got;
    uint64_t live = 0, most = 0, bytes = 0;
    while ((got = hpw_trace_next(trace, &event, &error)) == 1) {
        if (event.kind == HPW_TRACE_ALLOC) live++;
        if (live > most) most = live;
        if (!live || event.slot >= most || event.size > INT64_MAX) abort();
        if (event.alignment & (event.alignment - 1)) abort();
        if (event.kind == HPW_TRACE_FREE) live--;
        bytes += event.kind == HPW_TRACE_FREE ? 0 - event.size : event.size - event.previous;
        if (bytes > g->peak) g->peak = bytes;
        if (bytes > INT64_MAX) g->large = true;
        uint64_t word = event.id * 31 + event.size * 7 + event.time * 3 + event.thread + event.alignment +
                        event.slot * 5 + (uint64_t)event.kind;
        g->sum = (g->sum ^ word) * 0x9e3779b97f4a7c15u;
    }
    if (got < 0 && (!error.code || !*error.message || strchr(error.message, '\n'))) abort();
    const char *warning = hpw_trace_warning(trace);
    if (warning && !*warning) abort();
    if (!hpw_trace_format_name(hpw_trace_format_of(trace))) abort();
    hpw_trace_close(trace);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static uint8_t composed[MOST + 1024];
    if (n > 1 && n < MOST / 2 && bytes[0] == 'B')
        put(composed, compose(bytes + 1, n - 1, composed));
    else
        put(bytes, n);
    gist whole, copied;
    if (read_all(&whole) != 0) return 0;
    char copy[sizeof path], source[sizeof path];
    snprintf(copy, sizeof copy, "/dev/shm/heapwright-fuzz-%ld", (long)getpid());
    memcpy(source, path, sizeof path);
    for (int format = 0; format < HPW_TRACE_WRITABLE; format++) {
        hpw_trace_error error;
        if (!hpw_trace_convert(source, copy, (hpw_trace_format)format, NULL, &error)) abort();
        memcpy(path, copy, sizeof path);
        if (read_all(&copied) != 0) abort();
        bool ours = format == HPW_TRACE_TEXT || format == HPW_TRACE_BINARY;
        if (ours && copied.sum != whole.sum) abort();
        if (!whole.large && copied.peak != whole.peak) abort();
        memcpy(path, source, sizeof path);
    }
    unlink(copy);
    return 0;
}
