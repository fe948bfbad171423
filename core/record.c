/* SPDX-License-Identifier: MIT */
/*
 * Runs a program under the recorder: see record.h.
 *
 *  1. All that can be refused is refused before anything is touched.
 *  2. The environment is built before the fork, since a fork's child may not
 *     allocate; only its own process number is filled in by the child.
 *  3. What exec answers comes back through a pipe that a successful exec closes.
 *  4. Signals are waited for, not handled: no state outside of the call.
 *  5. The folder is searched for FILE.N-NAME, and every trace is read once.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "record.h"

#include "record_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static bool refuse(hpw_trace_error *error, hpw_error code, const char *what, const char *why) {
    hpw_trace_fail(error, code, "%s: %s", what, why);
    return false;
}

static bool no_memory(hpw_trace_error *error) {
    hpw_trace_fail(error, HPW_NO_MEMORY, "no memory to start a recording");
    return false;
}

/* ---- Before the fork --------------------------------------------------------------------- */

/* The absolute name of a file that may not exist yet; NULL and *error. */
static char *absolute(const char *file, hpw_trace_error *error) {
    const char *slash = strrchr(file, '/');
    const char *base = slash ? slash + 1 : file;
    char *folder = slash == file ? strdup("/") : slash ? strndup(file, (size_t)(slash - file)) : strdup(".");
    char *real = folder ? realpath(folder, NULL) : NULL;
    char *whole = NULL;
    if (!real) {
        refuse(error, HPW_IO, file, strerror(errno));
    } else if (!*base || asprintf(&whole, "%s/%s", strcmp(real, "/") ? real : "", base) < 0) {
        whole = NULL;
        refuse(error, HPW_INVALID_ARGUMENT, file, "names no file");
    }
    free(folder);
    free(real);
    return whole;
}

/* Can the program be found as exec will look for it? */
static bool is_runnable(const char *program) {
    if (strchr(program, '/')) return access(program, X_OK) == 0;
    const char *path = getenv("PATH");
    if (!path) path = "/bin:/usr/bin";
    while (*program) {
        size_t n = strcspn(path, ":");
        char *name = NULL;
        if (asprintf(&name, "%.*s%s%s", (int)n, path, n ? "/" : "./", program) < 0) return true;
        struct stat status;
        bool found = access(name, X_OK) == 0 && stat(name, &status) == 0 && S_ISREG(status.st_mode);
        free(name);
        if (found) return true;
        if (!path[n]) break;
        path += n + 1;
    }
    errno = ENOENT;
    return false;
}

static bool check_library(const char *library, hpw_trace_error *error) {
    if (access(library, R_OK)) return refuse(error, HPW_IO, library, strerror(errno));
    if (strpbrk(library, " \t\n:"))
        return refuse(error, HPW_INVALID_ARGUMENT, library,
                      "LD_PRELOAD can't name a path with a blank or a colon");
    return true;
}

/* Could FILE be written? Leaves it as it was. */
static bool check_file(const char *file, hpw_trace_error *error) {
    struct stat status;
    bool exists = lstat(file, &status) == 0;
    if (exists && !S_ISREG(status.st_mode))
        return refuse(error, HPW_INVALID_ARGUMENT, file, "exists and is no regular file");
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return refuse(error, HPW_IO, file, strerror(errno));
    close(fd);
    if (!exists) unlink(file);
    return true;
}

/* ---- The environment ------------------------------------------------------------------------ */

enum { OURS = 3 };

typedef struct environment {
    char **variables;
    char *ours[OURS]; /* LD_PRELOAD, HEAPWRIGHT_TRACE, HEAPWRIGHT_TRACE_MAIN */
} environment;

static void environment_free(environment *e) {
    for (int i = 0; i < OURS; i++) free(e->ours[i]);
    free(e->variables);
}

static bool is_ours(const char *variable) {
    static const char *const names[OURS] = {"LD_PRELOAD=", "HEAPWRIGHT_TRACE=", "HEAPWRIGHT_TRACE_MAIN="};
    for (int i = 0; i < OURS; i++)
        if (!strncmp(variable, names[i], strlen(names[i]))) return true;
    return false;
}

static bool environment_make(environment *e, const char *file, const char *library) {
    const char *loaded = getenv("LD_PRELOAD");
    bool more = loaded && *loaded;
    if (asprintf(&e->ours[0], "LD_PRELOAD=%s%s%s", library, more ? ":" : "", more ? loaded : "") < 0)
        e->ours[0] = NULL;
    if (asprintf(&e->ours[1], "HEAPWRIGHT_TRACE=%s", file) < 0) e->ours[1] = NULL;
    if (asprintf(&e->ours[2], "HEAPWRIGHT_TRACE_MAIN=%020d", 0) < 0) e->ours[2] = NULL;
    size_t n = 0, kept = 0;
    while (environ && environ[n]) n++;
    e->variables = malloc((n + OURS + 1) * sizeof *e->variables);
    if (!e->ours[0] || !e->ours[1] || !e->ours[2] || !e->variables) return false;
    for (size_t i = 0; i < n; i++)
        if (!is_ours(environ[i])) e->variables[kept++] = environ[i];
    for (int i = 0; i < OURS; i++) e->variables[kept++] = e->ours[i];
    e->variables[kept] = NULL;
    return true;
}

/* In the child: its number into the zeros at the variable's end. */
static void put_pid(char *variable) {
    char *digit = variable + strlen(variable);
    for (long pid = (long)getpid(); pid; pid /= 10) *--digit = (char)('0' + pid % 10);
}

/* ---- Running ------------------------------------------------------------------------------------ */

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void signals_of_run(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) sigaddset(set, forwarded[i]);
}

/* Waits for the child; its wait status. */
static int wait_for(pid_t child, const sigset_t *awaited) {
    int status = 0;
    for (;;) {
        pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child || (ended < 0 && errno != EINTR)) return status;
        siginfo_t info;
        /* A second thread may swallow the SIGCHLD: look again now and then. */
        int number = sigtimedwait(awaited, &info, &(struct timespec){.tv_nsec = 50000000});
        /* What the terminal sends, it sends to the child as well. */
        if (number > 0 && number != SIGCHLD && info.si_code <= 0) kill(child, number);
    }
}

static _Noreturn void run_child(char *const argv[], environment *e, int answer, const sigset_t *before) {
    sigprocmask(SIG_SETMASK, before, NULL);
    put_pid(e->ours[2]);
    execvpe(argv[0], argv, e->variables);
    int why = errno;
    ssize_t wrote = write(answer, &why, sizeof why);
    _exit(wrote == sizeof why ? 127 : 126);
}

/* Forks and execs: the child, or -1 with the errno of what failed. */
static pid_t start(char *const argv[], environment *e, const sigset_t *before) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return -1;
    pid_t child = fork();
    if (child == 0) run_child(argv, e, ends[1], before);
    int failed = child < 0 ? errno : 0, why = 0;
    close(ends[1]);
    if (child > 0) {
        ssize_t got;
        do got = read(ends[0], &why, sizeof why);
        while (got < 0 && errno == EINTR);
        if (got == sizeof why) {
            failed = why;
            waitpid(child, NULL, 0);
        }
    }
    close(ends[0]);
    errno = failed;
    return failed ? -1 : child;
}

/* Runs it to its end. False and *error. */
static bool run(char *const argv[], environment *e, int *status, hpw_trace_error *error) {
    sigset_t awaited, before;
    signals_of_run(&awaited);
    struct sigaction usual = {.sa_handler = SIG_DFL}, old;
    sigaction(SIGCHLD, &usual, &old); /* ignored, it would take the exit status away */
    pthread_sigmask(SIG_BLOCK, &awaited, &before);
    pid_t child = start(argv, e, &before);
    if (child < 0) refuse(error, HPW_IO, argv[0], strerror(errno));
    int ended = child < 0 ? 0 : wait_for(child, &awaited);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sigaction(SIGCHLD, &old, NULL);
    *status = WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
    return child > 0;
}

/* With every name made absolute and checked. */
static bool record(char *const argv[], const char *file, const char *library, hpw_recording *recording,
                   hpw_trace_error *error) {
    environment e = {0};
    bool well = environment_make(&e, file, library) || no_memory(error);
    if (well) {
        hpw_record_remove(file);
        well = run(argv, &e, &recording->status, error);
        if (well) well = hpw_record_list(file, recording) || no_memory(error);
    }
    environment_free(&e);
    return well;
}

bool hpw_record_run(char *const argv[], const char *file, const char *library, hpw_recording *recording,
                    hpw_trace_error *error) {
    *recording = (hpw_recording){0};
    if (!argv[0]) return refuse(error, HPW_INVALID_ARGUMENT, file, "no program to record");
    char *absolute_file = absolute(file, error);
    char *absolute_library = absolute_file ? absolute(library, error) : NULL;
    bool well = absolute_file && absolute_library && check_library(absolute_library, error);
    if (well && !is_runnable(argv[0])) well = refuse(error, HPW_IO, argv[0], strerror(errno));
    well = well && check_file(absolute_file, error) &&
           record(argv, absolute_file, absolute_library, recording, error);
    free(absolute_file);
    free(absolute_library);
    if (!well) hpw_recording_free(recording);
    return well;
}
