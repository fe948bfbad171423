/* SPDX-License-Identifier: MIT */
/*
 * The recorder's file. HEAPWRIGHT_TRACE names the main program's; every other
 * process of its tree writes to FILE.N-NAME, N counting from 1 over the whole
 * tree, NAME the program's. N is what a byte appended to FILE.count makes the
 * count's length: unique without a lock, whoever else does the same. Whoever
 * started the recording removes it.
 *
 *  - Which process is the main one? That whose number HEAPWRIGHT_TRACE_MAIN
 *    holds, unset: whoever comes first; but never a fork's child, and only where
 *    FILE does not exist, so that it is never overwritten.
 *  - The descriptor is moved to a high number and closed on exec. A program that
 *    closes every descriptor, and may have opened its own file under this
 *    number since, is met by comparing device and inode before each write, and
 *    by opening the trace again by name.
 *  - A program that has used up every descriptor leaves none to open the trace
 *    with. Then a process that shares this one's memory, but has a copy of its
 *    descriptors, closes one there and writes.
 *  - A chunk is one write with O_APPEND. What a full disk takes only in part is
 *    cut off again, a mark with the errno is tried, and the recording stops:
 *    the program goes on as if nothing had happened, SIGXFSZ included.
 *
 * Nothing here allocates. Called with the process's lock held and all signals
 * blocked.
 */
#define _GNU_SOURCE
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NAME_LONGEST = 64, SUFFIX_LONGEST = NAME_LONGEST + 24, HIGH_DESCRIPTOR = 1000 };

/* A fork's child needs these where its process was wiped. */
static char trace_name[PATH_LONGEST]; /* FILE, absolute */
static int parent_fd = -1;
static dev_t parent_device;
static ino_t parent_inode;

/* ---- Names --------------------------------------------------------------------------- */

/* Takes FILE from the environment, once. False: not there, or too long. */
static bool find_trace_name(void) {
    if (trace_name[0]) return true;
    const char *given = getenv("HEAPWRIGHT_TRACE");
    if (!given || !*given) return false;
    size_t used = 0;
    if (*given != '/') {
        if (!getcwd(trace_name, sizeof trace_name - 1)) return false;
        used = strlen(trace_name);
        trace_name[used++] = '/';
    }
    size_t n = strlen(given);
    if (used + n + SUFFIX_LONGEST >= sizeof trace_name) {
        trace_name[0] = '\0';
        return false;
    }
    memcpy(trace_name + used, given, n + 1);
    return true;
}

/* Appends the decimal digits of n. Returns what follows. */
static char *put_number(char *to, uint64_t n) {
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + n % 10);
    while (n /= 10);
    while (count) *to++ = digits[--count];
    return to;
}

/* Appends the program's name with nothing in it that a shell would mind. */
static char *put_program(char *to) {
    const char *name = program_invocation_short_name;
    if (!name || !*name) name = "unknown";
    for (int i = 0; name[i] && i < NAME_LONGEST; i++) {
        char c = name[i];
        bool plain =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("._+-", c);
        *to++ = plain ? c : '_';
    }
    return to;
}

/* The next number of the process tree. */
static uint64_t count_child(void) {
    char path[PATH_LONGEST];
    size_t n = strlen(trace_name);
    memcpy(path, trace_name, n);
    memcpy(path + n, ".count", sizeof ".count");
    uint64_t number = (uint64_t)getpid(); /* where there is no room for a byte */
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) return number;
    if (write(fd, "+", 1) == 1) {
        off_t end = lseek(fd, 0, SEEK_CUR);
        if (end > 0) number = (uint64_t)end;
    }
    close(fd);
    return number;
}

/* ---- The descriptor --------------------------------------------------------------------- */

/* Out of the way of programs that expect low numbers. */
static int move_high(int fd) {
    struct rlimit limit;
    int high = HIGH_DESCRIPTOR;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)high + 24)
        high = limit.rlim_cur > 32 ? (int)limit.rlim_cur - 24 : 3;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, high);
    if (moved < 0) return fd;
    close(fd);
    return moved;
}

static bool is_trace(int fd, struct stat *status) {
    return fd > 0 && fstat(fd, status) == 0 && status->st_dev == hpw_process->device &&
           status->st_ino == hpw_process->inode;
}

/* A descriptor of the trace, -1 where there is none any more. */
static int descriptor(struct stat *status) {
    process *p = hpw_process;
    if (is_trace(p->fd, status)) return p->fd;
    int fd = open(p->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) return -1;
    if (!is_trace(fd, status)) {
        close(fd);
        return -1;
    }
    return parent_fd = p->fd = move_high(fd);
}

void hpw_file_disown(void) {
    struct stat status;
    if (parent_fd > 0 && fstat(parent_fd, &status) == 0 && status.st_dev == parent_device &&
        status.st_ino == parent_inode)
        close(parent_fd);
    parent_fd = -1;
}

/* ---- Writing ------------------------------------------------------------------------------ */

/* Whole, or errno. */
static int write_whole(int fd, const uint8_t *bytes, size_t n) {
    while (n) {
        /* Not write(): that is a point of cancellation. */
        long wrote = syscall(SYS_write, fd, bytes, n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return wrote < 0 ? errno : EIO;
        bytes += wrote;
        n -= (size_t)wrote;
    }
    return 0;
}

/* Takes back the SIGXFSZ that a write over the limit of the file's size has raised. */
static void forget_size_signal(void) {
    sigset_t size;
    sigemptyset(&size);
    sigaddset(&size, SIGXFSZ);
    struct timespec none = {0};
    sigtimedwait(&size, NULL, &none);
}

/* Leaves the trace at its last whole chunk, with a mark if there is room for one. */
static void stop(int fd, off_t whole, int why) {
    if (why == EFBIG) forget_size_signal();
    atomic_store(&hpw_process->file, FILE_STOPPED);
    if (ftruncate(fd, whole) || !whole) return; /* not even a header: an empty file says it */
    uint8_t mark[HPW_CHUNK_HEADER];
    hpw_chunk_encode(&(hpw_chunk){.flags = HPW_CHUNK_STOPPED,
                                  .first = (uint64_t)why,
                                  .payload_check = hpw_checksum(NULL, 0)},
                     mark);
    int failed = write_whole(fd, mark, sizeof mark);
    if (failed == EFBIG) forget_size_signal();
    if (failed && ftruncate(fd, whole)) return;
}

/* Whole chunks to the trace, which was so long. */
static void append(int fd, off_t length, const uint8_t *bytes, size_t n) {
    int failed = write_whole(fd, bytes, n);
    if (failed) stop(fd, length, failed);
}

/* ---- With no descriptor left ------------------------------------------------------------- */

typedef struct writing {
    const uint8_t *bytes;
    size_t n;
    bool done;
} writing;

/* In a process with descriptors of its own. Only calls of the system from here. */
static int write_errand(void *ud) {
    writing *w = ud;
    struct stat status;
    close(STDOUT_FILENO); /* any will do: it is a copy */
    int fd = open(hpw_process->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    w->done = is_trace(fd, &status);
    if (w->done) append(fd, status.st_size, w->bytes, w->n);
    return 0;
}

/* Runs it there while this thread waits; the program is told of no child. */
static void send(int (*errand)(void *), void *ud) {
    static _Alignas(16) unsigned char stack[1 << 15];
    int pid = clone(errand, stack + sizeof stack, CLONE_VM | CLONE_VFORK, ud);
    while (pid > 0 && syscall(SYS_wait4, pid, NULL, __WCLONE, NULL) < 0 && errno == EINTR) continue;
}

static bool write_elsewhere(const uint8_t *bytes, size_t n) {
    writing w = {.bytes = bytes, .n = n};
    send(write_errand, &w);
    return w.done;
}

void hpw_file_write(const uint8_t *bytes, size_t n) {
    struct stat status;
    int fd = descriptor(&status);
    if (fd >= 0)
        append(fd, status.st_size, bytes, n);
    else if (errno != EMFILE || !write_elsewhere(bytes, n))
        atomic_store(&hpw_process->file, FILE_STOPPED);
}

/* ---- Creating ------------------------------------------------------------------------------- */

static int create(const char *path) {
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
}

/* The main program's FILE; -1 where this is not it. */
static int create_main(void) {
    const char *pid = getenv("HEAPWRIGHT_TRACE_MAIN");
    if (hpw_process->child || (pid && *pid && atol(pid) != (long)hpw_process->pid)) return -1;
    memcpy(hpw_process->path, trace_name, strlen(trace_name) + 1);
    return create(hpw_process->path);
}

/* FILE.N-NAME. */
static int create_child(void) {
    int fd = -1;
    /* A count that was begun anew may lead to a name that is taken. */
    for (int tries = 0; fd < 0 && tries < 1000; tries++) {
        size_t n = strlen(trace_name);
        char *to = hpw_process->path;
        memcpy(to, trace_name, n);
        to += n;
        *to++ = '.';
        to = put_number(to, count_child());
        *to++ = '-';
        to = put_program(to);
        *to = '\0';
        fd = create(hpw_process->path);
        if (fd < 0 && errno != EEXIST) break;
    }
    return fd;
}

static void write_header(void) {
    process *p = hpw_process;
    hpw_file_header header = {.version = HPW_TRACE_VERSION,
                              .mode = HPW_MODE_ADDRESSES,
                              .origin = p->origin,
                              .pid = (uint32_t)p->pid};
    char name[NAME_LONGEST + 1];
    *put_program(name) = '\0';
    size_t n = strlen(name);
    memcpy(header.program, name, n < HPW_PROGRAM_LONGEST ? n : HPW_PROGRAM_LONGEST);
    uint8_t bytes[HPW_HEADER_SIZE];
    hpw_header_encode(&header, bytes);
    hpw_file_write(bytes, sizeof bytes);
}

static int create_trace(void) {
    int fd = create_main();
    return fd >= 0 ? fd : create_child();
}

/* By what the trace is known again. */
static bool remember(int fd) {
    struct stat status;
    if (fstat(fd, &status)) return false;
    hpw_process->device = parent_device = status.st_dev;
    hpw_process->inode = parent_inode = status.st_ino;
    return true;
}

/* As write_errand. */
static int create_errand(void *ud) {
    bool *created = ud;
    close(STDOUT_FILENO);
    int fd = create_trace();
    *created = fd >= 0 && remember(fd);
    return 0;
}

void hpw_file_open(void) {
    process *p = hpw_process;
    if (!environ || !program_invocation_short_name) return; /* the C library has yet to start */
    atomic_store(&p->file, FILE_OFF);
    if (!find_trace_name()) return;
    bool created = false;
    int fd = create_trace();
    if (fd >= 0)
        created = remember(p->fd = parent_fd = move_high(fd));
    else if (errno == EMFILE)
        send(create_errand, &created);
    if (!created) return;
    atomic_store(&p->file, FILE_OPEN);
    write_header();
}
