/* SPDX-License-Identifier: MIT */
/* Packed files: see unpack.c. */
#ifndef HPW_IMPORT_UNPACK_H
#define HPW_IMPORT_UNPACK_H

#include "../trace_reader.h"

typedef struct hpw_unpacking hpw_unpacking;

/* "gzip" and the like, NULL where the bytes do not begin as one of them. */
const char *hpw_packing_of(const uint8_t *bytes, size_t n);

/*
 * Unpacks what `taken` and then `fd` have; fd stays the caller's, `path` too, for
 * messages. NULL and *error: HPW_CORRUPTED, HPW_IO where there is no libarchive,
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

#endif
