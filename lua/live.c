/* SPDX-License-Identifier: MIT */
/*
 * A picture on the terminal that is drawn over and over while a script runs.
 *
 *      live.begin() -> true            standard output is held back, the cursor hidden
 *      live.holds() -> boolean         was anything written there since?
 *      live.let_through()              what was, to the terminal
 *      live.draw(text) -> true         to the terminal past what is held: one write, if it takes it whole
 *      live.done()                     lets the rest through, shows the cursor
 *      live.every(count, f)            f is called every so many instructions; every(0) ends that
 *
 * Functions that fail return nil and a message. While a picture is live, file 1 is one
 * in memory: so print, io.write and child processes can't write into the picture, and
 * nothing of theirs is lost when a signal ends the command, but for what stdio had not yet
 * written. What is held takes as much memory as is written between two frames.
 *
 * The state is of the process, as standard output is; a forked child leaves it alone.
 */
#define _GNU_SOURCE
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char hide[] = "\033[?25l",
                  show[] = "\033[0m\033[?25h"; /* colours end: a frame may have been cut */
static const char every_key;                   /* in the registry: what every() calls */
static volatile sig_atomic_t terminal = -1;    /* while a picture is live: where it is drawn */
static pid_t owner;

int hpw_live_output(void) { return terminal >= 0 ? terminal : STDOUT_FILENO; }

static bool write_all(int file, const char *text, size_t left) {
    while (left > 0) {
        ssize_t written = write(file, text, left);
        if (written < 0 && errno != EINTR) return false;
        if (written < 0) continue;
        text += written;
        left -= (size_t)written;
    }
    return true;
}

/* Copies what is held, and forgets it. */
static bool copy_held(int to) {
    char part[4096];
    off_t at = 0;
    for (ssize_t size; (size = pread(STDOUT_FILENO, part, sizeof part, at)) > 0; at += size)
        if (!write_all(to, part, (size_t)size)) return false;
    return ftruncate(STDOUT_FILENO, 0) == 0 && lseek(STDOUT_FILENO, 0, SEEK_SET) == 0;
}

void hpw_live_end(void) {
    int to = terminal;
    if (to < 0 || getpid() != owner) return;
    terminal = -1;
    copy_held(to);
    write_all(to, show, sizeof show - 1);
    dup2(to, STDOUT_FILENO);
    close(to);
}

static int fail(lua_State *L) {
    lua_pushnil(L);
    lua_pushfstring(L, "standard output: %s", strerror(errno));
    return 2;
}

static int live_begin(lua_State *L) {
    static bool ends_at_exit;
    if (terminal >= 0) return luaL_error(L, "a picture is live");
    if (fflush(stdout) != 0 || (!ends_at_exit && atexit(hpw_live_end) != 0)) return fail(L);
    ends_at_exit = true;
    owner = getpid();
    int to = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0), held = memfd_create("standard output", MFD_CLOEXEC);
    bool began = to >= 0 && held >= 0 && dup2(held, STDOUT_FILENO) >= 0;
    if (held >= 0) close(held);
    if (!began) {
        int status = fail(L);
        if (to >= 0) close(to);
        return status;
    }
    terminal = to;
    write_all(to, hide, sizeof hide - 1);
    lua_pushboolean(L, true);
    return 1;
}

static int live_holds(lua_State *L) {
    struct stat status;
    fflush(stdout);
    lua_pushboolean(L, terminal >= 0 && fstat(STDOUT_FILENO, &status) == 0 && status.st_size > 0);
    return 1;
}

static int live_let_through(lua_State *L) {
    (void)L;
    fflush(stdout);
    if (terminal >= 0) copy_held(terminal);
    return 0;
}

static int live_draw(lua_State *L) {
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    if (!write_all(hpw_live_output(), text, size)) return fail(L);
    lua_pushboolean(L, true);
    return 1;
}

static int live_done(lua_State *L) {
    (void)L;
    fflush(stdout);
    hpw_live_end();
    return 0;
}

/* Coroutines that are made from now on inherit the hook. */
static void call_every(lua_State *L, lua_Debug *event) {
    (void)event;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &every_key) == LUA_TFUNCTION)
        lua_call(L, 0, 0);
    else
        lua_pop(L, 1);
}

static int live_every(lua_State *L) {
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_argcheck(L, count >= 0 && count <= INT_MAX, 1, "a count of instructions expected");
    lua_settop(L, 2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &every_key);
    lua_sethook(L, count > 0 ? call_every : NULL, count > 0 ? LUA_MASKCOUNT : 0, (int)count);
    return 0;
}

int luaopen_heapwright_live(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"begin", live_begin}, {"holds", live_holds}, {"let_through", live_let_through},
        {"draw", live_draw},   {"done", live_done},   {"every", live_every},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
