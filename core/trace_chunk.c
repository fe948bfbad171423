/* SPDX-License-Identifier: MIT */
/* The headers and the checksum of binary traces: see trace_chunk.h. O(bytes). */
#include "trace_chunk.h"

#include <string.h>

#include "little_endian.h"

static const uint32_t chunk_magic = 0x4b435748; /* "HWCK" */

uint64_t hpw_checksum(const uint8_t *bytes, size_t n) {
    const uint64_t odd = 0x9e3779b97f4a7c15u; /* 2^64 / the golden ratio */
    uint64_t sum = odd ^ n;
    for (; n >= 8; bytes += 8, n -= 8) {
        sum = (sum ^ get64(bytes)) * odd;
        sum ^= sum >> 29;
    }
    uint8_t rest[8] = {0};
    if (n) memcpy(rest, bytes, n);
    sum = (sum ^ get64(rest)) * odd;
    return sum ^ sum >> 32;
}

static uint32_t fold(uint64_t sum) { return (uint32_t)(sum ^ sum >> 32); }

void hpw_header_encode(const hpw_file_header *header, uint8_t to[HPW_HEADER_SIZE]) {
    memset(to, 0, HPW_HEADER_SIZE);
    memcpy(to, HPW_TRACE_MAGIC, 8);
    put32(to + 8, header->version);
    put32(to + 12, header->mode);
    put64(to + 16, header->origin);
    put32(to + 24, header->pid);
    memcpy(to + 28, header->program, HPW_PROGRAM_LONGEST);
    put32(to + 60, fold(hpw_checksum(to, 60)));
}

bool hpw_header_decode(const uint8_t from[HPW_HEADER_SIZE], hpw_file_header *header) {
    *header = (hpw_file_header){.version = get32(from + 8),
                                .mode = get32(from + 12),
                                .origin = get64(from + 16),
                                .pid = get32(from + 24)};
    memcpy(header->program, from + 28, HPW_PROGRAM_LONGEST);
    return get32(from + 60) == fold(hpw_checksum(from, 60));
}

/* The header's own checksum, its field taken as zero. */
static uint32_t chunk_check(const uint8_t *header) {
    uint8_t copy[HPW_CHUNK_HEADER];
    memcpy(copy, header, sizeof copy);
    put32(copy + 36, 0);
    return fold(hpw_checksum(copy, sizeof copy));
}

void hpw_chunk_encode(const hpw_chunk *chunk, uint8_t to[HPW_CHUNK_HEADER]) {
    put32(to, chunk_magic);
    put32(to + 4, chunk->length);
    put32(to + 8, chunk->count);
    put32(to + 12, chunk->thread);
    put64(to + 16, chunk->first);
    put64(to + 24, chunk->time);
    put32(to + 32, chunk->flags);
    put64(to + 40, chunk->payload_check);
    put32(to + 36, chunk_check(to));
}

hpw_chunk_fault hpw_chunk_decode(const uint8_t from[HPW_CHUNK_HEADER], hpw_chunk *chunk) {
    *chunk = (hpw_chunk){.length = get32(from + 4),
                         .count = get32(from + 8),
                         .thread = get32(from + 12),
                         .flags = get32(from + 32),
                         .first = get64(from + 16),
                         .time = get64(from + 24),
                         .payload_check = get64(from + 40)};
    if (get32(from) != chunk_magic) return HPW_CHUNK_MAGIC;
    if (get32(from + 36) != chunk_check(from)) return HPW_CHUNK_CHECK;
    bool mark = chunk->flags == HPW_CHUNK_END || chunk->flags == HPW_CHUNK_STOPPED;
    bool sound = mark ? !chunk->count && !chunk->length : !chunk->flags && chunk->count > 0;
    /* Any record is at least two bytes. */
    if (!sound || chunk->length > HPW_CHUNK_LONGEST || chunk->count > chunk->length / 2)
        return HPW_CHUNK_LENGTHS;
    return HPW_CHUNK_SOUND;
}
