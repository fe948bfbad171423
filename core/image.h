/* SPDX-License-Identifier: MIT */
/*
 * The layout of an image of a pool, and what its writer and its readers share. All
 * numbers little-endian; no allocation, no system call.
 *
 *      image  = header block*
 *      header = magic[8] version:4 granule:4 policy[16] order:4 guard:4 flags:4 thread_caches:4
 *               capacity:8 max_capacity:8 now:8 largest_align:8 blocks:8 in_use:8 size:8
 *               red_zone:8 quarantine:8 seed:8 check:8                           (136 bytes)
 *      block  = address:8 granted:8 requested:8 flags:4 check:4 piece*           (32 bytes + pieces)
 *      piece  = bytes[64 KiB, or what is left of the block's requested ones] check:8
 *
 * Blocks come in address order. `now` is the capacity when it was saved, `size` that of the
 * image, so a reader knows from the first 136 bytes whether a file is whole. The checksum is that of binary
 * traces (trace_chunk.h): a change within 8 aligned bytes is always seen, any other with probability 1 -
 * 2^-64, of a block's first 32 bytes 1 - 2^-32. It keeps out accidents; an image is believed no further than
 * a pool's own calls could go.
 */
#ifndef HPW_IMAGE_H
#define HPW_IMAGE_H

#include "pool.h"

#define IMAGE_MAGIC "\211HWI\r\n\032\n"

enum { IMAGE_VERSION = 1, IMAGE_HEADER = 136, IMAGE_BLOCK = 32, IMAGE_CHECK = 8, IMAGE_PIECE = 64 * 1024 };

enum {
    IMAGE_SINGLE_THREADED = 1, /* flags of the header */
    IMAGE_SMALL_PAGES = 2,
    IMAGE_CHOSEN = 4,        /* by a policy of the host's, which the name is of */
    IMAGE_IN_SLOT = 1,       /* of a block: it lay in a run's slot */
    IMAGE_OVER_ALIGNED = 2,  /* it was asked for with an alignment */
    IMAGE_ALIGN_SHIFT = 8,   /* from this bit on: log2 of the alignment that it keeps, in bytes; 0: none */
    IMAGE_LARGEST_ALIGN = 63 /* that number's most */
};

typedef struct image_block {
    uint64_t address, granted, requested; /* bytes */
    uint32_t flags;
} image_block;

/* Bytes that a block of so many requested ones takes in an image; those are below 2^62. */
static inline uint64_t image_block_size(uint64_t requested) {
    uint64_t pieces = (requested + IMAGE_PIECE - 1) / IMAGE_PIECE;
    return IMAGE_BLOCK + requested + pieces * IMAGE_CHECK;
}

/* The image's largest_align goes with it. */
void image_encode(const hpw_image *image, uint64_t largest_align, uint8_t to[IMAGE_HEADER]);
void image_block_encode(const image_block *block, uint8_t to[IMAGE_BLOCK]);

/* An image that is being read: bytes, and where in it. */
typedef struct image_reader {
    hpw_get *get;
    void *ud;
    uint64_t offset; /* of the next byte */
    uint64_t largest_align;
    hpw_image image;
    uint64_t in_use; /* of the blocks read so far */
    uint64_t end;    /* of the last one: bytes of the pool */
    hpw_image_error *error;
} image_reader;

/* Reads the header and verifies it. */
hpw_error image_begin(image_reader *reader);

/* Reads the next block's first 32 bytes and verifies them; its pieces are next. */
hpw_error image_next(image_reader *reader, image_block *block);

/* Reads a piece's n bytes and verifies them. */
hpw_error image_piece(image_reader *reader, void *bytes, size_t n);

/* After the last block: is that all? */
hpw_error image_finish(image_reader *reader);

/*
 * Fills *error, where there is one, and returns `code`. In `format`, %u stands for a uint64_t
 * argument in decimal, %x in hexadecimal, %s for a string; all arguments are of these two types.
 */
hpw_error image_fail(hpw_image_error *error, hpw_error code, uint64_t offset, const char *format, ...);

#endif
