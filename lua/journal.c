/* SPDX-License-Identifier: MIT */
/*
 * Files that only grow, for what must outlive whoever writes it (module
 * heapwright.journal, of the command alone):
 *
 *      local file = assert(journal.open(path))        -- locked: one process at a time
 *      local file = assert(journal.open(path, true))  -- to read; it has to be there
 *      file:size()  file:read(offset, count)  file:append(text)  file:cut(size)
 *      file:sync()  file:close()
 *      journal.checksum(text)  journal.checksum_of(path)   --> 16 hexadecimal digits
 *
 * What goes wrong is answered, nil, message, code. A text is appended by one
 * write, a next one only where the disk took a part of it; where it takes no more,
 * that is cut off again, so that the file is as it was. Written is not synced: what is written outlives a
 * killed process, what is synced a machine that dies.
 *
 * The lock is a record lock: forked children don't have it, and it goes with the
 * process, however that ends. It would go as well with any other descriptor of
 * this file that the process closes, so nothing else may open it.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace_chunk.h"

#define JOURNAL_TYPE "heapwright.journal"

enum { PIECE = 1 << 16, SUM_BYTES = 8, SUM_DIGITS = 17 };

typedef struct growing {
    int fd; /* -1: closed */
    off_t size;
    char *path;
} growing;

static int fail(lua_State *L, const char *path, const char *why) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, why);
    lua_pushliteral(L, "io");
    return 3;
}

static growing *check_file(lua_State *L) {
    growing *self = luaL_checkudata(L, 1, JOURNAL_TYPE);
    luaL_argcheck(L, self->fd >= 0, 1, "the journal is closed");
    return self;
}

static int close_file(lua_State *L) {
    growing *self = luaL_checkudata(L, 1, JOURNAL_TYPE);
    if (self->fd >= 0) close(self->fd);
    free(self->path);
    self->fd = -1;
    self->path = NULL;
    return 0;
}

/* ---- Opening ------------------------------------------------------------------ */

/* Who has the file's lock: 0 nobody, since this process has it from here on; -1 an error in errno. */
static pid_t lock(int fd) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &whole) == 0) return 0;
    if (errno != EACCES && errno != EAGAIN) return -1;
    if (fcntl(fd, F_GETLK, &whole) != 0) return -1;
    if (whole.l_type == F_UNLCK) return lock(fd); /* it has gone meanwhile */
    return whole.l_pid > 0 ? whole.l_pid : 1;     /* of another machine: not known here */
}

static int open_file(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    bool reads = lua_toboolean(L, 2);
    struct stat status;
    growing *self = lua_newuserdatauv(L, sizeof *self, 0);
    *self = (growing){.fd = -1};
    luaL_setmetatable(L, JOURNAL_TYPE);
    self->path = strdup(path);
    if (!self->path) return luaL_error(L, "no memory for a path");
    self->fd = open(path, (reads ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (self->fd < 0 || fstat(self->fd, &status) != 0) return fail(L, path, strerror(errno));
    if (!S_ISREG(status.st_mode)) return fail(L, path, "is no regular file");
    pid_t holder = reads ? 0 : lock(self->fd);
    if (holder < 0) return fail(L, path, strerror(errno));
    if (holder > 0) {
        lua_pushfstring(L, "another sweep writes it, process %d", (int)holder);
        return fail(L, path, lua_tostring(L, -1));
    }
    if (fstat(self->fd, &status) != 0)
        return fail(L, path, strerror(errno)); /* it may have grown meanwhile */
    self->size = status.st_size;
    return 1;
}

/* ---- Reading and writing ------------------------------------------------------ */

static int file_size(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)check_file(L)->size);
    return 1;
}

/* read(offset, count): at most so many bytes from there on; "" at the end */
static int file_read(lua_State *L) {
    growing *self = check_file(L);
    lua_Integer offset = luaL_checkinteger(L, 2), count = luaL_checkinteger(L, 3);
    luaL_argcheck(L, offset >= 0, 2, "negative");
    luaL_argcheck(L, count >= 0, 3, "negative");
    if (offset > self->size) offset = self->size;
    if (count > self->size - offset) count = self->size - offset;
    luaL_Buffer buffer;
    char *to = luaL_buffinitsize(L, &buffer, (size_t)count);
    ssize_t got;
    do got = pread(self->fd, to, (size_t)count, (off_t)offset);
    while (got < 0 && errno == EINTR);
    if (got < 0) return fail(L, self->path, strerror(errno));
    luaL_pushresultsize(&buffer, (size_t)got);
    return 1;
}

/* append(text) -> the offset at which it begins */
static int file_append(lua_State *L) {
    growing *self = check_file(L);
    size_t length;
    const char *text = luaL_checklstring(L, 2, &length);
    for (size_t done = 0; done < length;) {
        ssize_t put = pwrite(self->fd, text + done, length - done, self->size + (off_t)done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            int why = errno;
            if (done && ftruncate(self->fd, self->size) != 0) why = errno;
            return fail(L, self->path, strerror(why));
        }
        done += (size_t)put;
    }
    lua_pushinteger(L, (lua_Integer)self->size);
    self->size += (off_t)length;
    return 1;
}

static int file_cut(lua_State *L) {
    growing *self = check_file(L);
    lua_Integer size = luaL_checkinteger(L, 2);
    luaL_argcheck(L, size >= 0 && size <= self->size, 2, "longer than the journal");
    if (ftruncate(self->fd, (off_t)size) != 0) return fail(L, self->path, strerror(errno));
    self->size = (off_t)size;
    lua_pushboolean(L, true);
    return 1;
}

static int file_sync(lua_State *L) {
    growing *self = check_file(L);
    if (fdatasync(self->fd) != 0) return fail(L, self->path, strerror(errno));
    lua_pushboolean(L, true);
    return 1;
}

/* ---- Checksums ---------------------------------------------------------------- */

static int push_sum(lua_State *L, uint64_t sum) {
    char digits[SUM_DIGITS];
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)sum);
    lua_pushstring(L, digits);
    return 1;
}

static int checksum(lua_State *L) {
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    return push_sum(L, hpw_checksum((const uint8_t *)text, length));
}

/* Of a file of any length: of each piece, the sum so far before it. */
static int checksum_of(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    uint8_t piece[SUM_BYTES + PIECE];
    uint64_t sum = 0;
    size_t got;
    FILE *file = fopen(path, "rbe");
    if (!file) return fail(L, path, strerror(errno));
    while ((got = fread(piece + SUM_BYTES, 1, PIECE, file)) > 0) {
        memcpy(piece, &sum, SUM_BYTES);
        sum = hpw_checksum(piece, SUM_BYTES + got);
    }
    int why = ferror(file) ? errno : 0;
    fclose(file);
    return why ? fail(L, path, strerror(why)) : push_sum(L, sum);
}

int luaopen_heapwright_journal(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"size", file_size},  {"read", file_read},     {"append", file_append},
        {"cut", file_cut},    {"sync", file_sync},     {"close", close_file},
        {"__gc", close_file}, {"__close", close_file}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"open", open_file}, {"checksum", checksum}, {"checksum_of", checksum_of}, {NULL, NULL}};
    if (luaL_newmetatable(L, JOURNAL_TYPE)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
