/* SPDX-License-Identifier: MIT */
/*
 * Where a trace's bytes come from: a regular file or a pipe, as it is or unpacked,
 * through one buffer of 64 KiB, whatever the file's size. O(bytes).
 */
#define _FILE_OFFSET_BITS 64
#include "trace_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import/unpack.h"

static bool refuse(int fd, hpw_trace_error *error, const char *path, const char *why) {
    if (fd >= 0) close(fd);
    hpw_trace_fail(error, HPW_IO, "%s: %s", path, why);
    return false;
}

bool hpw_input_open(hpw_input *input, const char *path, hpw_trace_error *error) {
    input->fd = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return refuse(fd, error, path, strerror(errno));
    struct stat status;
    if (fstat(fd, &status)) return refuse(fd, error, path, strerror(errno));
    if (S_ISDIR(status.st_mode)) return refuse(fd, error, path, "is a folder, not a trace");
    input->seekable = S_ISREG(status.st_mode);
    if (!input->seekable && !S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode) &&
        !S_ISCHR(status.st_mode))
        return refuse(fd, error, path, "is neither a file nor a pipe");
    input->path = strdup(path);
    if (!input->path) {
        close(fd);
        hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to read it", path);
        return false;
    }
    input->fd = fd;
    input->size = input->seekable ? (uint64_t)status.st_size : 0;
    return true;
}

void hpw_input_close(hpw_input *input) {
    hpw_unpack_close(input->unpacking);
    if (input->fd >= 0) close(input->fd);
    free(input->path);
}

int hpw_input_unpack(hpw_input *input, hpw_trace_error *error) {
    const char *packing = hpw_packing_of(input->buffer + input->begin, input->end - input->begin);
    if (!packing) return 0;
    input->unpacking = hpw_unpack_open(input->fd, input->path, packing, input->buffer, input->end, error);
    if (!input->unpacking) return -1;
    input->packing = packing;
    input->end = 0;
    input->packed_size = input->size;
    input->size = 0;
    input->seekable = false;
    return 1;
}

double hpw_input_progress(const hpw_input *input) {
    uint64_t size = input->unpacking ? input->packed_size : input->size;
    uint64_t done = input->unpacking ? hpw_unpack_consumed(input->unpacking) : input->offset;
    return size ? (double)done / (double)size : 0.0;
}

static int64_t read_some(const hpw_input *input, void *to, size_t n, hpw_trace_error *error) {
    if (input->unpacking) return hpw_unpack_read(input->unpacking, to, n, error);
    ssize_t got;
    do got = read(input->fd, to, n);
    while (got < 0 && errno == EINTR);
    if (got < 0) hpw_trace_fail(error, HPW_IO, "%s: %s", input->path, strerror(errno));
    return got;
}

int hpw_input_more(hpw_input *input, hpw_trace_error *error) {
    if (input->begin) {
        memmove(input->buffer, input->buffer + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->begin = 0;
    }
    int64_t got = read_some(input, input->buffer + input->end, sizeof input->buffer - input->end, error);
    if (got <= 0) return (int)got;
    input->end += (size_t)got;
    return 1;
}

int64_t hpw_input_take(hpw_input *input, void *to, size_t n, hpw_trace_error *error) {
    uint8_t *next = to;
    size_t left = n;
    while (left) {
        size_t here = input->end - input->begin;
        if (here > left) here = left;
        memcpy(next, input->buffer + input->begin, here);
        input->begin += here;
        input->offset += here;
        next += here;
        left -= here;
        if (!left) break;
        int more = hpw_input_more(input, error);
        if (more < 0) return -1;
        if (!more) break;
    }
    return (int64_t)(n - left);
}

int64_t hpw_input_at(const hpw_input *input, uint64_t offset, void *to, size_t n, hpw_trace_error *error) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(input->fd, (uint8_t *)to + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            hpw_trace_fail(error, HPW_IO, "%s: %s at byte %llu", input->path, strerror(errno),
                           (unsigned long long)offset + done);
            return -1;
        }
        if (!got) break;
        done += (size_t)got;
    }
    return (int64_t)done;
}
