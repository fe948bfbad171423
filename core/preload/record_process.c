/* SPDX-License-Identifier: MIT */
/*
 * The life of a recorded process: its start, its forks, and its ends, each of
 * which must leave nothing behind in the buffers.
 *
 *      exit, return from main   this library's destructor
 *      quick_exit               a handler registered before any other, so run last
 *      _exit, _Exit, abort      wrapped
 *      exec...                  wrapped; an exec that fails goes on recording
 *
 * After one of these every record is written at once, since nobody can tell
 * what is the last (destructors of other libraries free as well).
 * posix_spawn, system and popen need nothing: their children start with their
 * own recorder, by the environment that they inherit. A vfork's child is known
 * by a process number that is not the recorded one and leaves the buffers of
 * its parent alone.
 */
#define _GNU_SOURCE
#include "recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

process *hpw_process;

static uint32_t generations; /* of forks; not wiped, unlike the process */
static bool kernel_wipes = true;

uint64_t hpw_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void *hpw_map(size_t size) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return NULL;
#ifdef MADV_WIPEONFORK
    if (madvise(at, size, MADV_WIPEONFORK) == 0) return at;
#endif
    kernel_wipes = false;
    return at;
}

bool hpw_process_start(void) {
    if (!hpw_process) {
        process *mapped = hpw_map(sizeof *mapped);
        if (!mapped) return false;
        hpw_process = mapped; /* before any second thread: the loader allocates first */
    }
    process *p = hpw_process;
    uint32_t none = 0;
    if (!atomic_compare_exchange_strong(&p->started, &none, 1)) {
        while (atomic_load(&p->started) != 2) sched_yield();
        return true;
    }
    p->generation = generations++;
    p->child = p->generation > 0;
    p->pid = getpid();
    p->origin = hpw_clock() - 1; /* so that no time is 0 */
    if (p->child) hpw_file_disown();
    atomic_store(&p->started, 2);
    return true;
}

/* Without the kernel's help: a fork's child starts anew. */
static void forked(void) {
    if (kernel_wipes || !hpw_process) return;
    for (buffer *b = atomic_load(&hpw_process->buffers); b; b = b->next) b->ready = 0;
    memset(hpw_process, 0, sizeof *hpw_process);
}

/* Is this the process whose records lie here? A vfork's child is not. */
static bool records_here(void) {
    return hpw_process && atomic_load(&hpw_process->started) == 2 && hpw_process->pid == getpid();
}

static void close_record(void) {
    if (records_here()) hpw_record_close();
}

__attribute__((constructor)) static void begin(void) {
    if (!hpw_process_start()) return;
    pthread_atfork(NULL, NULL, forked);
    at_quick_exit(close_record);
    hpw_record_watch_threads();
}

__attribute__((destructor)) static void end(void) { close_record(); }

/* ---- Ends that run no destructor ------------------------------------------------------- */

/* The function behind this one, of the given type. */
#define BEHIND(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

EXPORT void _exit(int status) {
    close_record();
    BEHIND(_exit)(status);
    __builtin_unreachable();
}

EXPORT void _Exit(int status) {
    close_record();
    BEHIND(_Exit)(status);
    __builtin_unreachable();
}

EXPORT void abort(void) {
    close_record();
    BEHIND(abort)();
    __builtin_unreachable();
}

/* ---- exec --------------------------------------------------------------------------------- */

/* What an exec returned with, if it returned: the recording goes on. */
static int failed_exec(int result) {
    int saved = errno;
    if (records_here()) hpw_record_reopen();
    errno = saved;
    return result;
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[]) {
    close_record();
    return failed_exec(BEHIND(execve)(path, argv, envp));
}

EXPORT int execv(const char *path, char *const argv[]) {
    close_record();
    return failed_exec(BEHIND(execv)(path, argv));
}

EXPORT int execvp(const char *file, char *const argv[]) {
    close_record();
    return failed_exec(BEHIND(execvp)(file, argv));
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) {
    close_record();
    return failed_exec(BEHIND(execvpe)(file, argv, envp));
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) {
    close_record();
    return failed_exec(BEHIND(fexecve)(fd, argv, envp));
}

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags) {
    close_record();
    return failed_exec(BEHIND(execveat)(fd, path, argv, envp, flags));
}
#endif

/* How many arguments follow `first`, the NULL not among them. */
static size_t count_arguments(const char *first, va_list arguments) {
    size_t n = 0;
    for (const char *at = first; at; at = va_arg(arguments, const char *)) n++;
    return n;
}

/* Fills argv[n + 1] with them; the environment, if wanted, is what follows. */
static void take_arguments(char **argv, const char *first, va_list arguments) {
    size_t n = 0;
    for (const char *at = first; at; at = va_arg(arguments, const char *)) argv[n++] = (char *)(uintptr_t)at;
    argv[n] = NULL;
}

EXPORT int execl(const char *path, const char *first, ...) {
    va_list arguments;
    va_start(arguments, first);
    size_t n = count_arguments(first, arguments);
    va_end(arguments);
    char *argv[n + 1];
    va_start(arguments, first);
    take_arguments(argv, first, arguments);
    va_end(arguments);
    return execv(path, argv);
}

EXPORT int execlp(const char *file, const char *first, ...) {
    va_list arguments;
    va_start(arguments, first);
    size_t n = count_arguments(first, arguments);
    va_end(arguments);
    char *argv[n + 1];
    va_start(arguments, first);
    take_arguments(argv, first, arguments);
    va_end(arguments);
    return execvp(file, argv);
}

EXPORT int execle(const char *path, const char *first, ...) {
    va_list arguments;
    va_start(arguments, first);
    size_t n = count_arguments(first, arguments);
    va_end(arguments);
    char *argv[n + 1];
    va_start(arguments, first);
    take_arguments(argv, first, arguments);
    char *const *envp = va_arg(arguments, char *const *);
    va_end(arguments);
    return execve(path, argv, envp);
}
