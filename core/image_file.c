/* SPDX-License-Identifier: MIT */
/*
 * Images in files. Saving writes a new file beside the old one, under its name with
 * the process's and a running number behind it, brings it to the disk, gives it the old
 * one's name, and brings the folder to the disk: at every moment there is one whole image
 * under the name (Pillai et al., OSDI 2014, on what file systems promise). Loading verifies the whole
 * file through a buffer of 64 KiB before it opens a pool. O(bytes).
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

/* ---- A file ---- */

enum { BUFFER = 64 * 1024 };

typedef struct image_file {
    int fd;
    int failed;      /* errno of the first failure, 0 none */
    size_t used, at; /* of the buffer: filled; read so far */
    unsigned char buffer[BUFFER];
} image_file;

static bool write_all(image_file *file, const unsigned char *bytes, size_t n) {
    while (n) {
        ssize_t wrote = write(file->fd, bytes, n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) {
            file->failed = errno;
            return false;
        }
        bytes += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

static bool flush(image_file *file) {
    size_t n = file->used;
    file->used = 0;
    return write_all(file, file->buffer, n);
}

static bool put(void *ud, const void *bytes, size_t n) {
    image_file *file = ud;
    if (n > BUFFER - file->used && !flush(file)) return false;
    if (n >= BUFFER) return write_all(file, bytes, n);
    memcpy(file->buffer + file->used, bytes, n);
    file->used += n;
    return true;
}

/* As many as there are. */
static size_t read_all(image_file *file, unsigned char *to, size_t n) {
    size_t got = 0;
    while (got < n) {
        ssize_t part = read(file->fd, to + got, n - got);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) file->failed = errno;
        if (part <= 0) break;
        got += (size_t)part;
    }
    return got;
}

static size_t get(void *ud, void *bytes, size_t n) {
    image_file *file = ud;
    unsigned char *to = bytes;
    size_t got = 0;
    while (got < n) {
        if (file->at == file->used) {
            file->at = 0;
            file->used = read_all(file, file->buffer, BUFFER);
            if (!file->used) break;
        }
        size_t part = file->used - file->at < n - got ? file->used - file->at : n - got;
        memcpy(to + got, file->buffer + file->at, part);
        file->at += part;
        got += part;
    }
    return got;
}

/* ---- Messages ---- */

/* Puts the path in front; what the system said takes the place of what followed from it. */
static hpw_error fail(hpw_image_error *error, const char *path, const hpw_image_error *why, int system) {
    hpw_error code = system == ENOMEM ? HPW_NO_MEMORY : system ? HPW_IO : why->code;
    if (!error) return code;
    const char *text = system ? strerror(system) : why->message;
    size_t room = sizeof error->message - strlen(text) - 3, length = strlen(path);
    const char *shown = length > room ? path + (length - room) : path; /* its end tells it from others */
    return image_fail(error, code, why->offset, "%s: %s", shown, text);
}

static hpw_error fail_system(hpw_image_error *error, const char *path) {
    return fail(error, path, &(hpw_image_error){.code = HPW_IO}, errno);
}

/* ---- Saving ---- */

static bool write_image(hpw_pool *pool, image_file *file, hpw_image_error *why) {
    if (hpw_save_to(pool, put, file, why)) return false;
    if (flush(file)) return true;
    why->code = HPW_IO;
    return false;
}

/* Brings the folder of `path` to the disk, so that the new name is there after a crash. */
static bool sync_folder(char *path) {
    char *slash = strrchr(path, '/');
    if (slash) slash[slash == path] = '\0';
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool well = fsync(fd) == 0 || errno == EINVAL; /* some file systems have no such thing */
    int failed = errno;
    close(fd);
    errno = failed;
    return well;
}

/* A new file beside `path`, whose name goes to `name`. */
static int open_beside(const char *path, char *name, size_t room) {
    static atomic_uint last;
    for (;;) {
        snprintf(name, room, "%s.%ld.%u", path, (long)getpid(), atomic_fetch_add(&last, 1));
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
}

/* The finished file under `name` becomes `path`, with the old one's permissions. */
static bool take_name(int fd, const char *name, const char *path, const struct stat *old) {
    if (old && fchmod(fd, old->st_mode & 07777)) return false;
    if (fsync(fd) || rename(name, path)) return false;
    return true;
}

static hpw_error save_beside(hpw_pool *pool, const char *path, const struct stat *old, image_file *file,
                             hpw_image_error *error) {
    size_t room = strlen(path) + 48;
    hpw_image_error why = {.code = HPW_OK};
    char *name = malloc(room);
    if (!name) return fail(error, path, &why, ENOMEM);
    file->fd = open_beside(path, name, room);
    if (file->fd < 0) {
        free(name);
        return fail_system(error, path);
    }
    bool written = write_image(pool, file, &why);
    if (written && !take_name(file->fd, name, path, old)) {
        file->failed = errno;
        written = false;
    }
    close(file->fd);
    hpw_error wrong = HPW_OK;
    if (!written) {
        unlink(name);
        wrong = fail(error, path, &why, file->failed);
    } else {
        strcpy(name, path);
        if (!sync_folder(name)) wrong = fail_system(error, path);
    }
    free(name);
    return wrong;
}

static hpw_error save_into(hpw_pool *pool, const char *path, image_file *file, hpw_image_error *error) {
    hpw_image_error why = {.code = HPW_OK};
    file->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (file->fd < 0) return fail_system(error, path);
    bool written = write_image(pool, file, &why);
    close(file->fd);
    return written ? HPW_OK : fail(error, path, &why, file->failed);
}

/* A symbolic link keeps what it is: the file that it leads to is replaced. */
static hpw_error save_file(hpw_pool *pool, const char *path, image_file *file, hpw_image_error *error) {
    struct stat old;
    if (stat(path, &old))
        return errno == ENOENT ? save_beside(pool, path, NULL, file, error) : fail_system(error, path);
    if (!S_ISREG(old.st_mode)) return save_into(pool, path, file, error);
    char *real = realpath(path, NULL);
    if (!real) return fail_system(error, path);
    hpw_error wrong = save_beside(pool, real, &old, file, error);
    free(real);
    return wrong;
}

hpw_error hpw_save(hpw_pool *pool, const char *path, hpw_image_error *error) {
    image_file *file = calloc(1, sizeof *file);
    if (!file) return fail(error, path, &(hpw_image_error){.code = HPW_NO_MEMORY}, ENOMEM);
    hpw_error wrong = save_file(pool, path, file, error);
    free(file);
    return wrong;
}

/* ---- Loading ---- */

/* Opens a regular file, which has a size; NULL with *wrong and *error: it can't be read. */
static image_file *open_image(const char *path, uint64_t *size, hpw_error *wrong, hpw_image_error *error) {
    struct stat status = {0};
    image_file *file = calloc(1, sizeof *file);
    if (!file) {
        *wrong = fail(error, path, &(hpw_image_error){.code = HPW_NO_MEMORY}, ENOMEM);
        return NULL;
    }
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file->fd >= 0 && fstat(file->fd, &status) == 0 && S_ISREG(status.st_mode)) {
        *size = (uint64_t)status.st_size;
        return file;
    }
    if (file->fd >= 0 && !S_ISREG(status.st_mode))
        *wrong = fail(error, path, &(hpw_image_error){.code = HPW_IO, .message = "not a regular file"}, 0);
    else
        *wrong = fail_system(error, path);
    if (file->fd >= 0) close(file->fd);
    free(file);
    return NULL;
}

static void close_image(image_file *file) {
    close(file->fd);
    free(file);
}

/* Every block of it, read and thrown away. */
static hpw_error verify_blocks(image_reader *reader, unsigned char *bytes) {
    for (uint64_t i = 0; i < reader->image.blocks; i++) {
        image_block block;
        hpw_error error = image_next(reader, &block);
        if (error) return error;
        for (uint64_t left = block.requested; left && !error;) {
            size_t n = left < IMAGE_PIECE ? (size_t)left : IMAGE_PIECE;
            error = image_piece(reader, bytes, n);
            left -= n;
        }
        if (error) return error;
    }
    return image_finish(reader);
}

static hpw_error verify(image_file *file, uint64_t size, hpw_image *image, hpw_image_error *why) {
    image_reader reader = {.get = get, .ud = file, .error = why};
    hpw_error error = image_begin(&reader);
    if (error) return error;
    *image = reader.image;
    if (reader.image.size != size)
        return image_fail(why, HPW_CORRUPTED, size, "a file of %u bytes, its header says %u", size,
                          reader.image.size);
    unsigned char *bytes = malloc(IMAGE_PIECE);
    if (!bytes) return image_fail(why, HPW_NO_MEMORY, 0, "no memory to read it");
    error = verify_blocks(&reader, bytes);
    free(bytes);
    return error;
}

hpw_error hpw_examine(const char *path, hpw_image *image, hpw_image_error *error) {
    uint64_t size = 0;
    hpw_error wrong = HPW_OK;
    hpw_image_error why = {.code = HPW_OK};
    image_file *file = open_image(path, &size, &wrong, error);
    if (!file) return wrong;
    wrong = verify(file, size, image, &why);
    if (wrong) wrong = fail(error, path, &why, file->failed);
    close_image(file);
    return wrong;
}

static hpw_pool *restore_file(const char *path, image_file *file, const hpw_config *config,
                              hpw_image_error *error) {
    hpw_image_error why = {.code = HPW_OK};
    hpw_pool *pool = hpw_open(config, &why.code);
    if (!pool) {
        image_fail(&why, why.code, 0, "a pool of %u bytes can't be opened: %s", config->capacity,
                   hpw_error_name(why.code));
        fail(error, path, &why, 0);
        return NULL;
    }
    file->at = file->used = 0;
    bool well = lseek(file->fd, 0, SEEK_SET) == 0;
    if (!well) file->failed = errno;
    if (well && !hpw_restore(pool, get, file, &why)) return pool;
    fail(error, path, &why, file->failed);
    hpw_close(pool);
    return NULL;
}

hpw_pool *hpw_open_image(const char *path, const hpw_config *config, hpw_image_error *error) {
    hpw_image image;
    uint64_t size = 0;
    hpw_error wrong;
    hpw_image_error why = {.code = HPW_OK};
    image_file *file = open_image(path, &size, &wrong, error);
    if (!file) return NULL;
    hpw_pool *pool = NULL;
    if (verify(file, size, &image, &why)) {
        fail(error, path, &why, file->failed);
    } else if (!config && image.chosen[0]) {
        image_fail(&why, HPW_INVALID_ARGUMENT, 0, "its policy '%s' is a host's, which has to bring it",
                   image.chosen);
        fail(error, path, &why, 0);
    } else
        pool = restore_file(path, file, config ? config : &image.config, error);
    close_image(file);
    return pool;
}
