/* SPDX-License-Identifier: MIT */
/*
 * Processes that work for the command (module heapwright.workers, of the command
 * alone), so that what crashes or is killed takes one piece of work with it:
 *
 *      local crew = workers.crew(4, function(task) return answer end)
 *      crew:start(1)              -- forks: worker 1 is this process as it is now
 *      crew:send(1, "17")         -- a line: it calls the function with it
 *      crew:await(0.1)            --> 1, "answer"; 1, nil, "killed by signal 9";
 *                                     nothing where nothing came in that time
 *      crew:close()               -- kills them and waits for them
 *
 * A worker talks by a socket of its own, in lines. It ends when its socket does,
 * and with its parent, however that ends (prctl). Its standard output is standard
 * error, since the parent's may be a JSON object. It leaves by _exit: nothing
 * that the parent is to remove or flush is done twice.
 *
 * The process must have one thread when it forks.
 */
#define _GNU_SOURCE
#include "workers.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CREW_TYPE "heapwright.crew"

enum { MOST_WORKERS = 256, PIECE = 4096, LONGEST_LINE = 1 << 20 };

/* What was read of a line that is not whole yet. */
typedef struct line {
    char *text;
    size_t length, room;
} line;

typedef struct worker {
    pid_t process; /* 0: none */
    int socket;
    line line;
} worker;

typedef struct crew {
    int count;
    worker workers[];
} crew;

static crew *check_crew(lua_State *L) { return luaL_checkudata(L, 1, CREW_TYPE); }

static worker *check_worker(lua_State *L) {
    crew *self = check_crew(L);
    lua_Integer number = luaL_checkinteger(L, 2);
    luaL_argcheck(L, number >= 1 && number <= self->count, 2, "no such worker");
    return &self->workers[number - 1];
}

static bool append(line *to, const char *from, size_t n) {
    if (to->length + n > LONGEST_LINE) return false;
    if (to->length + n > to->room) {
        size_t room = (to->length + n) * 2;
        char *grown = realloc(to->text, room);
        if (!grown) return false;
        to->text = grown;
        to->room = room;
    }
    memcpy(to->text + to->length, from, n);
    to->length += n;
    return true;
}

/* Reads what is there. 1 where a line ends now, 0 where none does yet, -1 at the end. */
static int read_line(int socket, line *to) {
    char piece[PIECE];
    ssize_t got;
    do got = recv(socket, piece, sizeof piece, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0 || !append(to, piece, (size_t)got)) return -1;
    return to->text[to->length - 1] == '\n';
}

static bool write_all(int socket, const char *text, size_t n) {
    while (n > 0) {
        ssize_t put = send(socket, text, n, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        text += put;
        n -= (size_t)put;
    }
    return true;
}

/* ---- The worker's side -------------------------------------------------------- */

/* Answers line after line by the crew's function, which lies on the stack's top. Never returns. */
static void work(lua_State *L, int socket) {
    line task = {NULL, 0, 0};
    for (;;) {
        int got;
        task.length = 0;
        while ((got = read_line(socket, &task)) == 0) continue;
        if (got < 0) _exit(0); /* the parent has no more to do */
        lua_pushvalue(L, -1);
        lua_pushlstring(L, task.text, task.length - 1);
        if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
            fprintf(stderr, "heapwright: %s\n", lua_tostring(L, -1));
            _exit(1);
        }
        lua_pushliteral(L, "\n");
        lua_concat(L, 2);
        size_t length;
        const char *answer = lua_tolstring(L, -1, &length);
        if (!write_all(socket, answer, length)) _exit(0);
        lua_pop(L, 1);
    }
}

static void become_worker(lua_State *L, crew *self, int socket, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0); /* it ended before that */
    for (int i = 0; i < self->count; i++)
        if (self->workers[i].process) close(self->workers[i].socket);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    lua_getiuservalue(L, 1, 1);
    work(L, socket);
}

/* ---- The parent's side -------------------------------------------------------- */

/* start(i) -> true; nil, message */
static int crew_start(lua_State *L) {
    crew *self = check_crew(L);
    worker *one = check_worker(L);
    int pair[2];
    luaL_argcheck(L, !one->process, 2, "this worker runs");
    fflush(NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return luaL_fileresult(L, 0, "a worker");
    pid_t parent = getpid(), process = fork();
    if (process == 0) {
        close(pair[0]);
        become_worker(L, self, pair[1], parent);
    }
    int why = errno;
    close(pair[1]);
    if (process < 0) {
        close(pair[0]);
        errno = why;
        return luaL_fileresult(L, 0, "a worker");
    }
    one->process = process;
    one->socket = pair[0];
    one->line.length = 0;
    lua_pushboolean(L, true);
    return 1;
}

/* send(i, line) -> false where it has ended, which await will tell */
static int crew_send(lua_State *L) {
    const worker *one = check_worker(L);
    size_t length;
    luaL_argcheck(L, one->process, 2, "this worker does not run");
    luaL_checklstring(L, 3, &length);
    lua_pushvalue(L, 3);
    lua_pushliteral(L, "\n");
    lua_concat(L, 2);
    lua_pushboolean(L, write_all(one->socket, lua_tostring(L, -1), length + 1));
    return 1;
}

/* Lets go of a worker: it is killed, if it lives. Its status. */
static int reap(worker *one) {
    int status = 0;
    close(one->socket);
    kill(one->process, SIGKILL);
    while (waitpid(one->process, &status, 0) < 0 && errno == EINTR) continue;
    one->process = 0;
    return status;
}

static void push_reason(lua_State *L, int status) {
    if (WIFSIGNALED(status))
        lua_pushfstring(L, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        lua_pushfstring(L, "its process ended with exit code %d", WEXITSTATUS(status));
}

/* What has come from a worker: its number and a line, or nil and how it ended; nothing where it is not whole.
 */
static int receive(lua_State *L, crew *self, int i) {
    worker *one = &self->workers[i];
    int got = read_line(one->socket, &one->line);
    if (got == 0) return 0;
    lua_pushinteger(L, i + 1);
    if (got > 0) {
        lua_pushlstring(L, one->line.text, one->line.length - 1);
        one->line.length = 0;
        return 2;
    }
    lua_pushnil(L);
    push_reason(L, reap(one));
    return 3;
}

static int crew_await(lua_State *L) {
    crew *self = check_crew(L);
    int wait = (int)(luaL_checknumber(L, 2) * 1000), count = 0, of[MOST_WORKERS];
    struct pollfd polled[MOST_WORKERS];
    for (int i = 0; i < self->count; i++) {
        if (!self->workers[i].process) continue;
        polled[count] = (struct pollfd){.fd = self->workers[i].socket, .events = POLLIN};
        of[count++] = i;
    }
    if (poll(polled, (nfds_t)count, wait) <= 0) return 0;
    for (int i = 0; i < count; i++)
        if (polled[i].revents) return receive(L, self, of[i]);
    return 0;
}

/* process(i) -> its id, nil where it does not run */
static int crew_process(lua_State *L) {
    const worker *one = check_worker(L);
    if (!one->process) return 0;
    lua_pushinteger(L, one->process);
    return 1;
}

static int crew_close(lua_State *L) {
    crew *self = check_crew(L);
    for (int i = 0; i < self->count; i++) {
        if (self->workers[i].process) reap(&self->workers[i]);
        free(self->workers[i].line.text);
        self->workers[i].line = (line){NULL, 0, 0};
    }
    return 0;
}

/* crew(count, f) */
static int new_crew(lua_State *L) {
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_argcheck(L, count >= 1 && count <= MOST_WORKERS, 1, "1 to 256 workers");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    size_t size = sizeof(crew) + (size_t)count * sizeof(worker);
    crew *self = lua_newuserdatauv(L, size, 1);
    memset(self, 0, size);
    self->count = (int)count;
    luaL_setmetatable(L, CREW_TYPE);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

/* cores() -> of this machine, as many as this process may use (a batch system gives it some of them) */
static int cores(lua_State *L) {
    cpu_set_t may;
    long count =
        sched_getaffinity(0, sizeof may, &may) == 0 ? CPU_COUNT(&may) : sysconf(_SC_NPROCESSORS_ONLN);
    lua_pushinteger(L, count < 1 ? 1 : count > MOST_WORKERS ? MOST_WORKERS : (lua_Integer)count);
    return 1;
}

int luaopen_heapwright_workers(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"start", crew_start}, {"send", crew_send},  {"await", crew_await},   {"process", crew_process},
        {"close", crew_close}, {"__gc", crew_close}, {"__close", crew_close}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {{"crew", new_crew}, {"cores", cores}, {NULL, NULL}};
    if (luaL_newmetatable(L, CREW_TYPE)) {
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
