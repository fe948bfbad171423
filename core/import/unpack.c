/* SPDX-License-Identifier: MIT */
/*
 * Files packed by gzip, xz or zstd, and zip files with one file in them, unpacked
 * as they are read, by libarchive: one library for all, which is what reads archives
 * in bsdtar, CMake and pacman, and is held against hostile files.
 *
 * It is loaded when the first packed trace is opened, since it brings a dozen more
 * libraries along, which nobody else shall load or need: neither the command's every
 * start nor a host that embeds the core. Its header alone is needed to build; where
 * that or the library is not there, packed traces are refused, in words.
 *
 * Memory: two buffers of 64 KiB and what the packing's own window takes (zstd 128 MiB,
 * xz 1 GiB at most: libarchive's limits), however large the file becomes. O(bytes).
 */
#include "unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    uint8_t bytes[6];
    size_t length;
} packings[] = {
    {"gzip", {0x1f, 0x8b}, 2},
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6},
    {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4},
    {"zip", {'P', 'K', 3, 4}, 4},
};

const char *hpw_packing_of(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < sizeof packings / sizeof *packings; i++)
        if (n >= packings[i].length && !memcmp(bytes, packings[i].bytes, packings[i].length))
            return packings[i].name;
    return NULL;
}

#ifdef HPW_LIBARCHIVE /* its file name, such as libarchive.so.13 */

#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>

/* The functions of libarchive that are called, in the order in which they are looked up. */
#define FUNCTIONS(each)                                                                                      \
    each(archive_read_new) each(archive_read_free) each(archive_read_support_filter_gzip)                    \
        each(archive_read_support_filter_xz) each(archive_read_support_filter_zstd)                          \
            each(archive_read_support_format_raw) each(archive_read_support_format_zip_streamable)           \
                each(archive_read_open) each(archive_read_next_header) each(archive_read_data)               \
                    each(archive_error_string) each(archive_errno) each(archive_set_error)                   \
                        each(archive_entry_filetype)
#define DECLARE(name) __typeof__(name) *name;

struct hpw_unpacking {
    void *library;
    struct library {
        FUNCTIONS(DECLARE)
    } call;
    struct archive *archive;
    int fd;
    const char *path, *packing;
    uint64_t consumed;
    size_t taken; /* of `in`, before the file's own bytes */
    bool ended;
    uint8_t in[1 << 16];
};

/* False where it has not got all of them. */
static bool look_up(hpw_unpacking *u) {
    u->library = dlopen(HPW_LIBARCHIVE, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (!u->library) return false;
#define LOOK_UP(name)                                                                                        \
    *(void **)&u->call.name = dlsym(u->library, #name);                                                      \
    if (!u->call.name) return false;
    FUNCTIONS(LOOK_UP)
    return true;
}

/* libarchive asks for more of the file. */
static la_ssize_t feed(struct archive *archive, void *self, const void **bytes) {
    hpw_unpacking *u = self;
    *bytes = u->in;
    size_t taken = u->taken;
    u->taken = 0;
    u->consumed += taken;
    if (taken) return (la_ssize_t)taken;
    ssize_t got;
    do got = read(u->fd, u->in, sizeof u->in);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        u->call.archive_set_error(archive, errno, "%s", strerror(errno));
    else
        u->consumed += (uint64_t)got;
    return got;
}

/* Says in *error what libarchive says. */
static void fail(hpw_unpacking *u, hpw_trace_error *error) {
    const char *words = u->call.archive_error_string(u->archive);
    int code = u->call.archive_errno(u->archive);
    hpw_error kind = code == ENOMEM ? HPW_NO_MEMORY : code == EIO ? HPW_IO : HPW_CORRUPTED;
    hpw_trace_fail(error, kind, "%s: can't be unpacked by %s, up to byte %llu of it: %s", u->path, u->packing,
                   (unsigned long long)u->consumed, words ? words : "it is damaged");
}

/* Only the packing that was recognised: nothing else is to be guessed from hostile bytes. */
static bool set_up(hpw_unpacking *u) {
    struct library *call = &u->call;
    u->archive = call->archive_read_new();
    if (!u->archive) return false;
    int format = !strcmp(u->packing, "zip") ? call->archive_read_support_format_zip_streamable(u->archive)
                                            : call->archive_read_support_format_raw(u->archive);
    int filter = ARCHIVE_OK;
    if (!strcmp(u->packing, "gzip")) filter = call->archive_read_support_filter_gzip(u->archive);
    if (!strcmp(u->packing, "xz")) filter = call->archive_read_support_filter_xz(u->archive);
    if (!strcmp(u->packing, "zstd")) filter = call->archive_read_support_filter_zstd(u->archive);
    return format == ARCHIVE_OK && filter == ARCHIVE_OK;
}

/* The next file in it: 1, 0 where there is none, -1 and *error. */
static int next_file(hpw_unpacking *u, hpw_trace_error *error) {
    struct archive_entry *entry;
    int got = u->call.archive_read_next_header(u->archive, &entry);
    if (got == ARCHIVE_EOF) return 0;
    if (got != ARCHIVE_OK && got != ARCHIVE_WARN) {
        fail(u, error);
        return -1;
    }
    return u->call.archive_entry_filetype(entry) == AE_IFDIR ? next_file(u, error) : 1;
}

static bool begin(hpw_unpacking *u, hpw_trace_error *error) {
    if (!look_up(u)) {
        hpw_trace_fail(error, HPW_IO, "%s: is packed by %s; to unpack it takes libarchive: %s", u->path,
                       u->packing, u->library ? "this one is too old" : dlerror());
        return false;
    }
    if (!set_up(u)) {
        hpw_trace_fail(error, HPW_IO, "%s: this libarchive can't unpack %s", u->path, u->packing);
        return false;
    }
    if (u->call.archive_read_open(u->archive, u, NULL, feed, NULL) != ARCHIVE_OK) {
        fail(u, error);
        return false;
    }
    int got = next_file(u, error);
    u->ended = !got;
    return got >= 0;
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
    u->taken = n;
    memcpy(u->in, taken, n);
    if (begin(u, error)) return u;
    hpw_unpack_close(u);
    return NULL;
}

/* The file is at its end: was it the only one? */
static int64_t finish(hpw_unpacking *u, hpw_trace_error *error) {
    u->ended = true;
    int more = next_file(u, error);
    if (more <= 0) return more;
    hpw_trace_fail(error, HPW_CORRUPTED, "%s: holds more than one file: unpack the trace first", u->path);
    return -1;
}

int64_t hpw_unpack_read(hpw_unpacking *u, void *to, size_t n, hpw_trace_error *error) {
    if (u->ended) return 0;
    la_ssize_t got = u->call.archive_read_data(u->archive, to, n);
    if (got > 0) return (int64_t)got;
    if (!got) return finish(u, error);
    fail(u, error);
    u->ended = true;
    return -1;
}

uint64_t hpw_unpack_consumed(const hpw_unpacking *u) { return u->consumed; }

void hpw_unpack_close(hpw_unpacking *u) {
    if (!u) return;
    if (u->archive) u->call.archive_read_free(u->archive);
    if (u->library) dlclose(u->library);
    free(u);
}

#else /* built without it */

hpw_unpacking *hpw_unpack_open(int fd, const char *path, const char *packing, const uint8_t *taken, size_t n,
                               hpw_trace_error *error) {
    (void)fd, (void)taken, (void)n;
    hpw_trace_fail(error, HPW_IO,
                   "%s: is packed by %s, and this build can't unpack: it was made without "
                   "libarchive's header",
                   path, packing);
    return NULL;
}

int64_t hpw_unpack_read(hpw_unpacking *unpacking, void *to, size_t n, hpw_trace_error *error) {
    (void)unpacking, (void)to, (void)n, (void)error;
    return 0;
}

uint64_t hpw_unpack_consumed(const hpw_unpacking *unpacking) {
    (void)unpacking;
    return 0;
}

void hpw_unpack_close(hpw_unpacking *unpacking) { (void)unpacking; }

#endif
