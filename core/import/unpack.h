/* SPDX-License-Identifier: MIT */
/*
 * Packed files, unpacked as they are read:
 *
 *      unpack.c          which packing? the file's bytes, and what all have in common
 *      unpack_gzip.c     gzip, by zlib
 *      unpack_archive.c  xz, zstd and zip, by libarchive
 *
 * The libraries are loaded when the first packed trace is opened: libarchive brings a
 * dozen more along, which nobody else shall load or need, neither the command's every
 * start nor a host that embeds the core. Only their headers are needed to build; where
 * these or the libraries are not there, packed traces are refused, in words.
 */
#ifndef HPW_IMPORT_UNPACK_H
#define HPW_IMPORT_UNPACK_H

#include "../trace_reader.h"

typedef struct hpw_unpacking hpw_unpacking;

/* "gzip" and the like, NULL where the bytes do not begin as one of them. */
const char *hpw_packing_of(const uint8_t *bytes, size_t n);

/*
 * Unpacks what `taken` and then `fd` have; fd stays the caller's, `path` too, for
 * messages. NULL and *error: HPW_CORRUPTED, HPW_IO where there is no library for it,
 * HPW_NO_MEMORY.
 */
hpw_unpacking *hpw_unpack_open(int fd, const char *path, const char *packing, const uint8_t *taken, size_t n,
                               hpw_trace_error *error);

/* The next bytes: how many, 0 at the end, -1 and *error. */
int64_t hpw_unpack_read(hpw_unpacking *unpacking, void *to, size_t n, hpw_trace_error *error);

/* Bytes of the file that were read. */
uint64_t hpw_unpack_consumed(const hpw_unpacking *unpacking);

/* NULL is fine. */
void hpw_unpack_close(hpw_unpacking *unpacking);

/* ---- For the files behind it ------------------------------------------------------ */

typedef struct hpw_unpacker {
    const char *library; /* its file's name, such as libz.so.1; NULL: this build has not got its header */
    const char *name;    /* for messages */
    size_t state_size;

    /* Each: 1, or -1 and *error. `close` is called after a failed `open` too. */
    int (*open)(hpw_unpacking *u, hpw_trace_error *error);
    int64_t (*read)(hpw_unpacking *u, void *to, size_t n, hpw_trace_error *error); /* see hpw_unpack_read */
    void (*close)(hpw_unpacking *u);
} hpw_unpacker;

extern const hpw_unpacker hpw_unpack_gzip, hpw_unpack_archive;

struct hpw_unpacking {
    const hpw_unpacker *by;
    void *library; /* as dlopen gave it */
    void *state;
    int fd;
    const char *path, *packing;
    uint64_t consumed;
    size_t taken; /* of `in`, before the file's own bytes */
    bool ended;   /* or failed */
    uint8_t in[1 << 16];
};

/* Reads more of the file to u->in: how many bytes, 0 at its end, -1 and errno. */
int64_t hpw_unpack_feed(hpw_unpacking *u);

/* Says in *error that it can't be unpacked, and why. -1. */
int hpw_unpack_refuse(const hpw_unpacking *u, hpw_error code, const char *why, hpw_trace_error *error);

/* Says in *error that the library is not one that can be used. -1. */
int hpw_unpack_refuse_library(const hpw_unpacking *u, const char *why, hpw_trace_error *error);

#endif
