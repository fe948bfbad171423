/* SPDX-License-Identifier: MIT */
/*
 * The layout of a binary trace (.hwt), shared by the reader, the writer and the
 * recorder. All numbers little-endian; no allocation, no state, no system call.
 *
 *      file   = header chunk*
 *      header = magic[8] version:4 mode:4 origin:8 pid:4 program[32] check:4     (64 bytes)
 *      chunk  = magic:4 length:4 count:4 thread:4 first:8 time:8 flags:4
 *               check:4 payload_check:8 payload[length]                          (48 bytes + length)
 *
 * `first` is the number of the chunk's first record, `time` what its time
 * deltas start from. A chunk with records has no flags. HPW_CHUNK_END marks the
 * end of a trace that was closed: it is whole if its last chunk says so (a
 * program may go on after it thought that it ended; what follows ends in a mark
 * again). HPW_CHUNK_STOPPED marks where a recording gave up, `first` the errno.
 *
 * Records are a head byte and varints (7 bits a byte, low first; signed ones
 * zigzag). Mode HPW_MODE_IDS, numbered by their place in the file:
 *
 *      head: kind (HPW_RECORD_ALLOC, _FREE, _RESIZE) | flags
 *      signed id - previous id [signed time - previous time] [thread]
 *      alloc: size [log2 alignment]     resize: size
 *
 * Mode HPW_MODE_ADDRESSES, one thread a chunk, numbered by the process's
 * counter, ascending within a thread. Of two records of one address the one
 * that happened first has the lower number:
 *
 *      head: kind (HPW_RECORD_ALLOC, _FREE, _BEGIN, _END, _FAILED) | flags
 *      number - previous number - 1, signed time - previous time,
 *      signed (address - previous address) [/ 16]
 *      alloc: size [log2 alignment]     end: size, number - begin's number
 *      failed: number - begin's number
 *
 * A resize is two records: _BEGIN, when the old address may be given to another
 * thread, and _END with the new address (or _FAILED with the old one).
 *
 * The checksum is not a CRC: one that is fast enough for the recorder needs 8 KiB
 * of tables. It multiplies and folds 8 bytes at a time; every step is one to
 * one in what it takes in, so a change within 8 aligned bytes of a payload is
 * always seen, any other with probability 1 - 2^-64 (header: 1 - 2^-32).
 */
#ifndef HPW_TRACE_CHUNK_H
#define HPW_TRACE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HPW_TRACE_MAGIC "\211HWT\r\n\032\n"

/* The newest version of this layout, which this library reads and writes. */
enum { HPW_TRACE_VERSION = 1 };

enum {
    HPW_HEADER_SIZE = 64,
    HPW_CHUNK_HEADER = 48,
    HPW_CHUNK_LONGEST = 1 << 20, /* bytes of a payload; a reader refuses more */
    HPW_RECORD_LONGEST = 64,     /* bytes of a record, rounded up */
    HPW_PROGRAM_LONGEST = 31     /* bytes of the program's name */
};

enum { HPW_MODE_IDS, HPW_MODE_ADDRESSES };

enum { HPW_CHUNK_END = 1, HPW_CHUNK_STOPPED = 2 };

enum {
    HPW_RECORD_ALLOC,
    HPW_RECORD_FREE,
    HPW_RECORD_RESIZE,                    /* of ids */
    HPW_RECORD_BEGIN = HPW_RECORD_RESIZE, /* of addresses, and those below */
    HPW_RECORD_END,
    HPW_RECORD_FAILED,
    HPW_RECORD_KIND = 0x07
};

enum {
    HPW_RECORD_ALIGNED = 0x08,
    HPW_RECORD_TIMED = 0x10,       /* of ids */
    HPW_RECORD_THREAD = 0x20,      /* of ids: the thread's number follows */
    HPW_RECORD_SAME_THREAD = 0x40, /* of ids: it is the previous record's */
    HPW_RECORD_SIXTEENTH = 0x80    /* of addresses: the delta is divided by 16 */
};

typedef struct hpw_file_header {
    uint32_t version;
    uint32_t mode;
    uint64_t origin; /* what CLOCK_MONOTONIC showed at time 0; 0 unknown */
    uint32_t pid;    /* 0 unknown */
    char program[HPW_PROGRAM_LONGEST + 1];
} hpw_file_header;

typedef struct hpw_chunk {
    uint32_t length;
    uint32_t count;
    uint32_t thread;
    uint32_t flags;
    uint64_t first;
    uint64_t time;
    uint64_t payload_check;
} hpw_chunk;

typedef enum hpw_chunk_fault {
    HPW_CHUNK_SOUND,
    HPW_CHUNK_MAGIC,  /* does not begin as a chunk does */
    HPW_CHUNK_CHECK,  /* checksum */
    HPW_CHUNK_LENGTHS /* lengths or flags that contradict each other */
} hpw_chunk_fault;

uint64_t hpw_checksum(const uint8_t *bytes, size_t n);

void hpw_header_encode(const hpw_file_header *header, uint8_t to[HPW_HEADER_SIZE]);

/* False where the checksum is wrong. The version is set in any case. */
bool hpw_header_decode(const uint8_t from[HPW_HEADER_SIZE], hpw_file_header *header);

/* Encodes a header; payload_check is the caller's. */
void hpw_chunk_encode(const hpw_chunk *chunk, uint8_t to[HPW_CHUNK_HEADER]);
hpw_chunk_fault hpw_chunk_decode(const uint8_t from[HPW_CHUNK_HEADER], hpw_chunk *chunk);

/* At least 10 bytes of room. Returns what follows. */
static inline uint8_t *hpw_put_varint(uint8_t *to, uint64_t n) {
    while (n >= 0x80) {
        *to++ = (uint8_t)(n | 0x80);
        n >>= 7;
    }
    *to++ = (uint8_t)n;
    return to;
}

/* Differences wrap, so that any two numbers have one. */
static inline uint64_t hpw_zigzag(uint64_t difference) {
    return (difference << 1) ^ (0 - (difference >> 63));
}

static inline uint64_t hpw_unzigzag(uint64_t n) { return (n >> 1) ^ (0 - (n & 1)); }

/* False where the bytes end first or more than 64 bits are given. Moves *from behind. */
static inline bool hpw_get_varint(const uint8_t **from, const uint8_t *end, uint64_t *n) {
    uint64_t value = 0;
    for (unsigned shift = 0; *from < end && shift < 64; shift += 7) {
        uint8_t byte = *(*from)++;
        if (shift == 63 && byte > 1) return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *n = value;
            return true;
        }
    }
    return false;
}

#endif
