/* SPDX-License-Identifier: MIT */
/*
 * The command's dealings with the operating system: where it lies, terminals,
 * temporary files that are gone whichever way the command ends, and a standard
 * output that no script can write to while a JSON object is being made.
 *
 * Temporary files are listed in a static table, since the signal handler has to
 * find them; that and the handler are of the process, not of a Lua state.
 */
#include "host.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "live.h"
#include "trace.h"

enum { TEMPORARIES = 256, EXIT_BROKEN = 1, EXIT_BAD_INPUT = 2 };

static char temporaries[TEMPORARIES][PATH_MAX];
static volatile sig_atomic_t temporary_count;
static pid_t owner; /* a forked child must not remove its parent's files */

static void remove_temporaries(void) {
    if (getpid() != owner) return;
    for (int i = 0; i < temporary_count; i++) unlink(temporaries[i]);
    temporary_count = 0;
}

/* Only async-signal-safe calls: the process ends here, whatever it was doing. */
static void end_on_signal(int signal) {
    static const char erase[] = "\r\033[K";
    if (isatty(STDERR_FILENO) && write(STDERR_FILENO, erase, sizeof erase - 1) < 0) _exit(128 + signal);
    hpw_live_end();
    remove_temporaries();
    _exit(128 + signal);
}

void hpw_host_handle_signals(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    owner = getpid();
    atexit(remove_temporaries);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action = {.sa_handler = end_on_signal}, before;
        sigemptyset(&action.sa_mask);
        /* Ignored by whoever started us (nohup)? Then it stays so. */
        bool ignored = sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN;
        if (!ignored || signals[i] == SIGPIPE) sigaction(signals[i], &action, NULL);
    }
}

int hpw_host_complain(const char *message) {
    fprintf(stderr, "heapwright: %s\n", message ? message : "an error without a message");
    return EXIT_BROKEN;
}

int hpw_host_flush(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "heapwright: standard output: %s\n", strerror(errno));
    return code == EXIT_SUCCESS ? EXIT_BAD_INPUT : code;
}

static int fail(lua_State *L, const char *what) {
    const char *reason = strerror(errno);
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", what, reason);
    lua_pushliteral(L, "io");
    return 3;
}

/* executable() -> the path of this program, links resolved */
static int host_executable(lua_State *L) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    if (length < 0) return fail(L, "/proc/self/exe");
    lua_pushlstring(L, path, (size_t)length);
    return 1;
}

/* Of the standard streams in their order. */
static int file_of(int stream) { return stream == STDOUT_FILENO ? hpw_live_output() : stream; }

/* is_terminal("stdout" or "stderr") */
static int host_is_terminal(lua_State *L) {
    static const char *const names[] = {"stdin", "stdout", "stderr", NULL};
    lua_pushboolean(L, isatty(file_of(luaL_checkoption(L, 1, NULL, names))));
    return 1;
}

/* terminal_size("stdout" or "stderr") -> columns, lines; nil where no terminal tells */
static int host_terminal_size(lua_State *L) {
    static const char *const names[] = {"stdin", "stdout", "stderr", NULL};
    struct winsize size;
    if (ioctl(file_of(luaL_checkoption(L, 1, NULL, names)), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 0;
    lua_pushinteger(L, size.ws_col);
    if (size.ws_row == 0) return 1;
    lua_pushinteger(L, size.ws_row);
    return 2;
}

/* kind(path) -> "file", "directory" or "other"; nil, message where there is nothing to read */
static int host_kind(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    struct stat status;
    if (stat(path, &status) != 0) return fail(L, path);
    if (S_ISDIR(status.st_mode))
        lua_pushliteral(L, "directory");
    else if (access(path, R_OK) != 0)
        return fail(L, path);
    else if (S_ISREG(status.st_mode))
        lua_pushliteral(L, "file");
    else
        lua_pushliteral(L, "other");
    return 1;
}

/* temporary(suffix) -> path of a new empty file, removed when the command ends */
static int host_temporary(lua_State *L) {
    const char *suffix = luaL_optstring(L, 1, "");
    const char *folder = getenv("TMPDIR");
    if (folder == NULL || *folder == '\0') folder = "/tmp";
    if (temporary_count == TEMPORARIES) return luaL_error(L, "more than %d temporary files", TEMPORARIES);
    char *path = temporaries[temporary_count];
    int length = snprintf(path, PATH_MAX, "%s/heapwright-XXXXXX%s", folder, suffix);
    if (length < 0 || length >= PATH_MAX) return luaL_error(L, "TMPDIR is too long");
    int file = mkstemps(path, (int)strlen(suffix));
    if (file < 0) return fail(L, folder);
    close(file);
    temporary_count++;
    lua_pushstring(L, path);
    return 1;
}

/* converts_to(path): should the command end while a trace is converted to it, no part is left */
static int host_converts_to(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    char *part = hpw_trace_part_name(path);
    bool separate = part != NULL && strcmp(part, path) != 0 && strlen(part) < PATH_MAX;
    if (separate && temporary_count < TEMPORARIES) {
        strcpy(temporaries[temporary_count], part);
        temporary_count++;
    }
    free(part);
    return 0;
}

/* cores() -> how many this process may use at once */
static int host_cores(lua_State *L) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    lua_pushinteger(L, cores > 0 ? cores : 1);
    return 1;
}

/* now() -> seconds of a clock that only goes forwards */
static int host_now(lua_State *L) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

/* flush() -> true where all that was ever written to standard output arrived; nil, message */
static int host_flush(lua_State *L) {
    if (fflush(stdout) != 0 || ferror(stdout)) return fail(L, "standard output");
    lua_pushboolean(L, true);
    return 1;
}

static int close_stream(lua_State *L) {
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    return luaL_fileresult(L, fclose(stream->f) == 0, NULL);
}

/*
 * reserve_output() -> a file that is standard output. From here on whatever
 * else writes there (print, io.stdout, child processes) writes to standard error.
 */
static int host_reserve_output(lua_State *L) {
    luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    stream->closef = NULL; /* a closed handle until all went well */
    luaL_setmetatable(L, LUA_FILEHANDLE);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    if (kept < 0) return fail(L, "standard output");
    stream->f = fdopen(kept, "w");
    if (stream->f == NULL || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        close(kept);
        return fail(L, "standard output");
    }
    stream->closef = close_stream;
    return 1;
}

int luaopen_heapwright_host(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"executable", host_executable},
        {"is_terminal", host_is_terminal},
        {"terminal_size", host_terminal_size},
        {"kind", host_kind},
        {"temporary", host_temporary},
        {"converts_to", host_converts_to},
        {"cores", host_cores},
        {"now", host_now},
        {"flush", host_flush},
        {"reserve_output", host_reserve_output},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
