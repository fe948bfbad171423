/* SPDX-License-Identifier: MIT */
/*
 * xz, zstd, and zip files with one file in them, by libarchive: one library for all,
 * which is what reads archives in bsdtar, CMake and pacman. Only the packing that was
 * recognised is allowed: nothing else is to be guessed from hostile bytes.
 */
#include "unpack.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#ifdef HPW_LIBARCHIVE /* its file's name, such as libarchive.so.13 */

#include <archive.h>
#include <archive_entry.h>

/* The functions that are called, under their own names. */
typedef struct unarchiver {
    struct archive *archive;
    __typeof__(archive_read_new) *archive_read_new;
    __typeof__(archive_read_free) *archive_read_free;
    __typeof__(archive_read_support_filter_xz) *archive_read_support_filter_xz;
    __typeof__(archive_read_support_filter_zstd) *archive_read_support_filter_zstd;
    __typeof__(archive_read_support_format_raw) *archive_read_support_format_raw;
    __typeof__(archive_read_support_format_zip_streamable) *archive_read_support_format_zip_streamable;
    __typeof__(archive_read_open) *archive_read_open;
    __typeof__(archive_read_next_header) *archive_read_next_header;
    __typeof__(archive_read_data) *archive_read_data;
    __typeof__(archive_error_string) *archive_error_string;
    __typeof__(archive_errno) *archive_errno;
    __typeof__(archive_set_error) *archive_set_error;
    __typeof__(archive_entry_filetype) *archive_entry_filetype;
} unarchiver;

static const struct {
    const char *name;
    size_t at; /* in an unarchiver */
} functions[] = {
    {"archive_read_new", offsetof(unarchiver, archive_read_new)},
    {"archive_read_free", offsetof(unarchiver, archive_read_free)},
    {"archive_read_support_filter_xz", offsetof(unarchiver, archive_read_support_filter_xz)},
    {"archive_read_support_filter_zstd", offsetof(unarchiver, archive_read_support_filter_zstd)},
    {"archive_read_support_format_raw", offsetof(unarchiver, archive_read_support_format_raw)},
    {"archive_read_support_format_zip_streamable",
     offsetof(unarchiver, archive_read_support_format_zip_streamable)},
    {"archive_read_open", offsetof(unarchiver, archive_read_open)},
    {"archive_read_next_header", offsetof(unarchiver, archive_read_next_header)},
    {"archive_read_data", offsetof(unarchiver, archive_read_data)},
    {"archive_error_string", offsetof(unarchiver, archive_error_string)},
    {"archive_errno", offsetof(unarchiver, archive_errno)},
    {"archive_set_error", offsetof(unarchiver, archive_set_error)},
    {"archive_entry_filetype", offsetof(unarchiver, archive_entry_filetype)},
};

/* False where the library has not got all of them. */
static bool look_up(unarchiver *a, void *library) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(library, functions[i].name);
        if (!function) return false;
        memcpy((char *)a + functions[i].at, &function, sizeof function);
    }
    return true;
}

/* libarchive asks for more of the file. */
static la_ssize_t feed(struct archive *archive, void *self, const void **bytes) {
    hpw_unpacking *u = self;
    const unarchiver *a = u->state;
    int64_t got = hpw_unpack_feed(u);
    *bytes = u->in;
    if (got < 0) a->archive_set_error(archive, EIO, "%s", strerror(errno));
    return (la_ssize_t)got;
}

/* In libarchive's words. */
static int refuse(hpw_unpacking *u, hpw_trace_error *error) {
    const unarchiver *a = u->state;
    const char *words = a->archive_error_string(a->archive);
    int code = a->archive_errno(a->archive);
    hpw_error kind = code == ENOMEM ? HPW_NO_MEMORY : code == EIO ? HPW_IO : HPW_CORRUPTED;
    return hpw_unpack_refuse(u, kind, words ? words : "it is damaged", error);
}

static bool set_up(unarchiver *a, const char *packing) {
    a->archive = a->archive_read_new();
    if (!a->archive) return false;
    if (!strcmp(packing, "zip"))
        return a->archive_read_support_format_zip_streamable(a->archive) == ARCHIVE_OK;
    int filter = !strcmp(packing, "xz") ? a->archive_read_support_filter_xz(a->archive)
                                        : a->archive_read_support_filter_zstd(a->archive);
    return filter == ARCHIVE_OK && a->archive_read_support_format_raw(a->archive) == ARCHIVE_OK;
}

/* The next file in it: 1, 0 where there is none, -1 and *error. */
static int next_file(hpw_unpacking *u, hpw_trace_error *error) {
    const unarchiver *a = u->state;
    struct archive_entry *entry;
    for (;;) {
        int got = a->archive_read_next_header(a->archive, &entry);
        if (got == ARCHIVE_EOF) return 0;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return refuse(u, error);
        if (a->archive_entry_filetype(entry) != AE_IFDIR) return 1;
    }
}

static int open_archive(hpw_unpacking *u, hpw_trace_error *error) {
    unarchiver *a = u->state;
    if (!look_up(a, u->library)) return hpw_unpack_refuse_library(u, "this one is too old", error);
    if (!set_up(a, u->packing)) return hpw_unpack_refuse_library(u, "this one can't do it", error);
    if (a->archive_read_open(a->archive, u, NULL, feed, NULL) != ARCHIVE_OK) return refuse(u, error);
    int got = next_file(u, error);
    u->ended = !got;
    return got < 0 ? -1 : 1;
}

static int64_t read_archive(hpw_unpacking *u, void *to, size_t n, hpw_trace_error *error) {
    const unarchiver *a = u->state;
    la_ssize_t got = a->archive_read_data(a->archive, to, n);
    if (got > 0) return (int64_t)got;
    if (got < 0) return refuse(u, error);
    int more = next_file(u, error);
    if (more <= 0) return more;
    hpw_trace_fail(error, HPW_CORRUPTED, "%s: holds more than one file: unpack the trace first", u->path);
    return -1;
}

static void close_archive(hpw_unpacking *u) {
    const unarchiver *a = u->state;
    if (a->archive) a->archive_read_free(a->archive);
}

const hpw_unpacker hpw_unpack_archive = {.library = HPW_LIBARCHIVE,
                                         .name = "libarchive",
                                         .state_size = sizeof(unarchiver),
                                         .open = open_archive,
                                         .read = read_archive,
                                         .close = close_archive};

#else

const hpw_unpacker hpw_unpack_archive = {.name = "libarchive"};

#endif
