/* SPDX-License-Identifier: MIT */
/*
 * gzip, by zlib: libarchive's reader of it does not compare the checksum, and takes a
 * damaged file for one that is shorter. Members one after the other are one file, as
 * gzip has it; anything else behind a member is refused.
 */
#include "unpack.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#ifdef HPW_LIBZ /* its file's name, such as libz.so.1 */

#include <zlib.h>

typedef struct gzip {
    __typeof__(inflateInit2_) *init;
    __typeof__(inflate) *inflate;
    __typeof__(inflateReset) *reset;
    __typeof__(inflateEnd) *end;
    z_stream stream;
    bool begun, between; /* members */
} gzip;

enum { GZIP_ONLY = 16 + MAX_WBITS };

static int open_gzip(hpw_unpacking *u, hpw_trace_error *error) {
    gzip *g = u->state;
    *(void **)&g->init = dlsym(u->library, "inflateInit2_");
    *(void **)&g->inflate = dlsym(u->library, "inflate");
    *(void **)&g->reset = dlsym(u->library, "inflateReset");
    *(void **)&g->end = dlsym(u->library, "inflateEnd");
    if (!g->init || !g->inflate || !g->reset || !g->end)
        return hpw_unpack_refuse_library(u, "this one is too old", error);
    int code = g->init(&g->stream, GZIP_ONLY, ZLIB_VERSION, (int)sizeof g->stream);
    if (code == Z_MEM_ERROR) return hpw_unpack_refuse(u, HPW_NO_MEMORY, "no memory", error);
    if (code != Z_OK) return hpw_unpack_refuse_library(u, "this one is of another version", error);
    g->begun = true;
    return 1;
}

/* More of the file: 1, 0 at its end, -1. */
static int feed(hpw_unpacking *u, hpw_trace_error *error) {
    gzip *g = u->state;
    int64_t got = hpw_unpack_feed(u);
    if (got < 0) return hpw_unpack_refuse(u, HPW_IO, strerror(errno), error);
    g->stream.next_in = u->in;
    g->stream.avail_in = (uInt)got;
    return got > 0;
}

static int refuse(const hpw_unpacking *u, int code, hpw_trace_error *error) {
    const gzip *g = u->state;
    if (code == Z_MEM_ERROR) return hpw_unpack_refuse(u, HPW_NO_MEMORY, "no memory", error);
    return hpw_unpack_refuse(u, HPW_CORRUPTED, g->stream.msg ? g->stream.msg : "it is damaged", error);
}

static int64_t read_gzip(hpw_unpacking *u, void *to, size_t n, hpw_trace_error *error) {
    gzip *g = u->state;
    g->stream.next_out = to;
    g->stream.avail_out = (uInt)n;
    while (g->stream.avail_out == n) {
        if (!g->stream.avail_in) {
            int got = feed(u, error);
            if (got < 0 || (!got && g->between)) return got;
            if (!got) return hpw_unpack_refuse(u, HPW_CORRUPTED, "it is cut off", error);
        }
        if (g->between && g->reset(&g->stream) != Z_OK) return refuse(u, Z_DATA_ERROR, error);
        g->between = false;
        int code = g->inflate(&g->stream, Z_NO_FLUSH);
        g->between = code == Z_STREAM_END;
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return refuse(u, code, error);
    }
    return (int64_t)(n - g->stream.avail_out);
}

static void close_gzip(hpw_unpacking *u) {
    gzip *g = u->state;
    if (g->begun) g->end(&g->stream);
}

const hpw_unpacker hpw_unpack_gzip = {.library = HPW_LIBZ,
                                      .name = "zlib",
                                      .state_size = sizeof(gzip),
                                      .open = open_gzip,
                                      .read = read_gzip,
                                      .close = close_gzip};

#else

const hpw_unpacker hpw_unpack_gzip = {.name = "zlib"};

#endif
