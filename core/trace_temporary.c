/* SPDX-License-Identifier: MIT */
/*
 * Files without a name, gone with their last descriptor: for a recorder's trace that
 * is packed or comes through a pipe, since its chunks lie where they please, and for what must be written
 * behind a header that is known last. They lie in TMPDIR, or in /tmp.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "import/unpack.h"

static int refuse(const char *path, const char *folder, hpw_trace_error *error) {
    hpw_trace_fail(error, HPW_IO, "%s: no temporary file in %s: %s", path, folder, strerror(errno));
    return -1;
}

int hpw_temporary_file(const char *path, hpw_trace_error *error) {
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder) folder = "/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR) return refuse(path, folder, error);
    char name[4096];
    if (snprintf(name, sizeof name, "%s/heapwright-XXXXXX", folder) >= (int)sizeof name)
        errno = ENAMETOOLONG;
    else if ((fd = mkostemp(name, O_CLOEXEC)) >= 0)
        unlink(name);
    return fd >= 0 ? fd : refuse(path, folder, error);
}

static bool write_all(int fd, const uint8_t *from, size_t n, const char *path, hpw_trace_error *error) {
    while (n) {
        ssize_t wrote = write(fd, from, n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) {
            hpw_trace_fail(error, HPW_IO, "%s: its copy in a temporary file: %s", path, strerror(errno));
            return false;
        }
        from += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

bool hpw_input_spool(hpw_input *input, const void *taken, size_t n, hpw_trace_error *error) {
    int fd = hpw_temporary_file(input->path, error);
    if (fd < 0) return false;
    uint64_t size = n;
    bool well = write_all(fd, taken, n, input->path, error);
    while (well) {
        size_t have = input->end - input->begin;
        well = write_all(fd, input->buffer + input->begin, have, input->path, error);
        size += have;
        input->begin = input->end = 0;
        int more = well ? hpw_input_more(input, error) : -1;
        if (!more) break;
        well = more > 0;
    }
    if (!well) {
        close(fd);
        return false;
    }
    close(input->fd);
    hpw_unpack_close(input->unpacking);
    input->unpacking = NULL;
    input->fd = fd;
    input->size = size;
    input->seekable = true;
    return true;
}
