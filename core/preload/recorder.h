/* SPDX-License-Identifier: MIT */
/*
 * What the files of the recorder (libheapwright-record.so) share.
 *
 *      record.c          the functions of malloc's family that programs call
 *      record_buffer.c   threads' buffers; records in, chunks out
 *      record_file.c     the trace's file: its name, its chunks, a full disk
 *      record_process.c  start, fork, exec, exit
 *
 * All that changes lies in two kinds of mapping, never on a heap: one *process*
 * and one *buffer* a thread. The kernel wipes both in a fork's child
 * (MADV_WIPEONFORK), so a child finds zeros and starts a trace of its own,
 * whatever the parent's threads were doing. A vfork's child shares its parent's
 * memory, and what it allocates does come from the parent's heap: it goes on
 * recording into the parent's trace.
 */
#ifndef HPW_RECORDER_H
#define HPW_RECORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../trace_chunk.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

enum {
    RECORDS = 2048,  /* a buffer holds; a killed thread loses fewer than these */
    TIME_EVERY = 16, /* records from one look at the clock to the next; a power of two */
    PATH_LONGEST = 4096
};

/* No record: what hpw_record returns where nothing is recorded. */
#define NO_NUMBER UINT64_MAX

/* A record as it waits in a buffer. */
typedef struct record {
    uint64_t number_kind; /* number * 8 + HPW_RECORD_... */
    uint64_t address;
    uint64_t size;
    uint64_t extra; /* alignment; of an end the number of its begin */
    uint64_t time;  /* nanoseconds since the start; 0: interpolated between those that have one */
} record;

/*
 * One thread's records. records[flushed ... head) wait. Only the thread itself
 * moves `head` up; `flushed` and resets belong to the holder of process->lock.
 * A signal handler that interrupts its own thread inside the recorder finds
 * `busy` set and takes `deeper`, a buffer and thread number of its own.
 */
typedef struct buffer {
    uint32_t ready; /* 1; 0 in a fork's child */
    volatile uint32_t busy;
    _Atomic uint32_t head;
    _Atomic uint32_t limit; /* flush when head reaches it */
    uint32_t flushed;
    uint32_t thread;
    _Atomic uint32_t owned;
    uint64_t last_time; /* of the newest record written */
    struct buffer *deeper;
    struct buffer *next; /* of all buffers; they are never unmapped */
    record records[RECORDS];
} buffer;

/* What becomes of records. */
enum { FILE_NONE, FILE_OPEN, FILE_STOPPED, FILE_OFF };

typedef struct process {
    _Atomic uint32_t started; /* 0 none, 1 at it, 2 done */
    _Atomic uint64_t number;  /* of the next record */
    _Atomic uint32_t threads; /* numbers given */
    _Atomic(struct buffer *) buffers;
    _Atomic uint32_t lock;    /* file and flushes; held with all signals blocked */
    _Atomic uint32_t file;    /* FILE_... */
    _Atomic uint32_t closing; /* every record is written at once, with an end mark */
    uint32_t generation;      /* counts forks, to tell a thread's old number from a new one */
    pid_t pid;
    bool child; /* by fork */
    int fd;
    dev_t device; /* of the trace, by which its descriptor is known again */
    ino_t inode;
    uint64_t origin; /* the clock at time 0 */
    char path[PATH_LONGEST];
    uint8_t chunk[HPW_CHUNK_HEADER + RECORDS * HPW_RECORD_LONGEST + HPW_CHUNK_HEADER];
} process;

/* The process, NULL before the first record. Its address never changes. */
extern process *hpw_process;

/* ---- record_process.c --------------------------------------------------------- */

/* Starts recording in a new process or a fork's child. False: no memory. */
bool hpw_process_start(void);

/* Nanoseconds of the monotonic clock. */
uint64_t hpw_clock(void);

/* A mapping of zeros that a fork's child finds zeroed; NULL without memory. */
void *hpw_map(size_t size);

/* ---- record_buffer.c ------------------------------------------------------------- */

/* Records an event and returns its number. Async-signal-safe. Keeps errno. */
uint64_t hpw_record(unsigned kind, const void *address, size_t size, uint64_t extra);

/* Writes what all threads' buffers hold, and an end mark; from then on records are written at once. */
void hpw_record_close(void);

/* Back from there: an exec that failed. */
void hpw_record_reopen(void);

/* From here on threads tell when they end. */
void hpw_record_watch_threads(void);

/* ---- record_file.c ----------------------------------------------------------------- */

/* Creates the trace if the time has come: the C library has started. The lock is held. */
void hpw_file_open(void);

/* Appends whole chunks, or nothing and the recording stops. The lock is held. */
void hpw_file_write(const uint8_t *bytes, size_t n);

/* Closes a parent's trace in a fork's child. */
void hpw_file_disown(void);

#endif
