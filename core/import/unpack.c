/* SPDX-License-Identifier: MIT */
/*
 * Packed files: see unpack.h. Memory: two buffers of 64 KiB and what the packing's own
 * window takes (gzip 32 KiB; zstd 128 MiB, xz 1 GiB at most: libarchive's limits),
 * however large the file becomes. O(bytes).
 */
#include "unpack.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    const hpw_unpacker *by;
    uint8_t bytes[6]; /* with which it begins */
    size_t length;
} packings[] = {
    {"gzip", &hpw_unpack_gzip, {0x1f, 0x8b}, 2},
    {"xz", &hpw_unpack_archive, {0xfd, '7', 'z', 'X', 'Z', 0}, 6},
    {"zstd", &hpw_unpack_archive, {0x28, 0xb5, 0x2f, 0xfd}, 4},
    {"zip", &hpw_unpack_archive, {'P', 'K', 3, 4}, 4},
};

enum { PACKINGS = sizeof packings / sizeof *packings };

const char *hpw_packing_of(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < PACKINGS; i++)
        if (n >= packings[i].length && !memcmp(bytes, packings[i].bytes, packings[i].length))
            return packings[i].name;
    return NULL;
}

int64_t hpw_unpack_feed(hpw_unpacking *u) {
    int64_t got = (int64_t)u->taken;
    u->taken = 0;
    if (!got) do
            got = read(u->fd, u->in, sizeof u->in);
        while (got < 0 && errno == EINTR);
    if (got > 0) u->consumed += (uint64_t)got;
    return got;
}

int hpw_unpack_refuse(const hpw_unpacking *u, hpw_error code, const char *why, hpw_trace_error *error) {
    int line = (int)strcspn(why, "\n"); /* libraries may say more than one */
    hpw_trace_fail(error, code, "%s: can't be unpacked by %s, up to byte %llu of it: %.*s", u->path,
                   u->packing, (unsigned long long)u->consumed, line, why);
    return -1;
}

int hpw_unpack_refuse_library(const hpw_unpacking *u, const char *why, hpw_trace_error *error) {
    hpw_trace_fail(error, HPW_IO, "%s: is packed by %s; to unpack it takes %s: %s", u->path, u->packing,
                   u->by->name, why);
    return -1;
}

static int begin(hpw_unpacking *u, hpw_trace_error *error) {
    if (!u->by->library) return hpw_unpack_refuse_library(u, "this build was made without its header", error);
    u->state = calloc(1, u->by->state_size);
    if (!u->state) return hpw_unpack_refuse(u, HPW_NO_MEMORY, "no memory", error);
    u->library = dlopen(u->by->library, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (!u->library) return hpw_unpack_refuse_library(u, dlerror(), error);
    return u->by->open(u, error);
}

hpw_unpacking *hpw_unpack_open(int fd, const char *path, const char *packing, const uint8_t *taken, size_t n,
                               hpw_trace_error *error) {
    hpw_unpacking *u = calloc(1, sizeof *u);
    if (!u) {
        hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to unpack it", path);
        return NULL;
    }
    u->fd = fd;
    u->path = path;
    u->packing = packing;
    for (size_t i = 0; i < PACKINGS; i++)
        if (packings[i].name == packing) u->by = packings[i].by;
    u->taken = n;
    memcpy(u->in, taken, n);
    if (begin(u, error) == 1) return u;
    hpw_unpack_close(u);
    return NULL;
}

int64_t hpw_unpack_read(hpw_unpacking *u, void *to, size_t n, hpw_trace_error *error) {
    if (u->ended) return 0;
    int64_t got = u->by->read(u, to, n, error);
    u->ended = got <= 0;
    return got;
}

uint64_t hpw_unpack_consumed(const hpw_unpacking *u) { return u->consumed; }

void hpw_unpack_close(hpw_unpacking *u) {
    if (!u) return;
    if (u->state && u->library) u->by->close(u);
    if (u->library) dlclose(u->library);
    free(u->state);
    free(u);
}
