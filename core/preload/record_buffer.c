/* SPDX-License-Identifier: MIT */
/*
 * Threads' buffers: an event becomes a record in the calling thread's buffer,
 * a full buffer becomes a chunk of the file.
 *
 *  1. A record takes the process's next number, which orders all threads'
 *     records. The caller sees to it that a free takes its number before the
 *     block can be given out again, and an allocation after it was.
 *  2. It goes to the thread's own buffer without a lock. `head` is published
 *     after the record, so that another thread may write out what is there.
 *  3. A full buffer is encoded into varints and written with one write(2), under
 *     the process's lock and with all signals blocked: so no handler ever runs
 *     while the lock is held, and none can wait for itself.
 *  4. A thread's end flushes and returns its buffer for the next thread. What
 *     the thread still frees after that borrows a buffer for each event.
 *
 * Looking at the clock costs 26 ns, three times a record, so every 16th record
 * of a buffer (and the last of a chunk) has its time, the others are
 * interpolated between these.
 *
 * O(1) an event; 80 KiB a thread, 130 KiB a process. A number that was given to
 * a record which never reached the file is missed by the reader: nothing is
 * dropped silently.
 */
#define _GNU_SOURCE
#include "recorder.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define KNOWS_SINGLE_THREADED 1
#endif
#endif

/* This thread's; initial-exec, since any other model may allocate on first use. */
#define THREAD_LOCAL static _Thread_local __attribute__((tls_model("initial-exec")))

THREAD_LOCAL buffer *own;
THREAD_LOCAL uint32_t own_number;     /* thread number, of own_generation */
THREAD_LOCAL uint32_t own_generation; /* + 1; 0 none */
THREAD_LOCAL bool ended;              /* the thread is past its key's destructor */

static pthread_key_t key;
static atomic_bool key_made;

/* ---- The lock --------------------------------------------------------------------- */

static void block_signals(sigset_t *before) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

static void lock(sigset_t *before) {
    block_signals(before);
    uint32_t unheld = 0;
    while (!atomic_compare_exchange_weak_explicit(&hpw_process->lock, &unheld, 1, memory_order_acquire,
                                                  memory_order_relaxed)) {
        unheld = 0;
        sched_yield();
    }
}

static void unlock(const sigset_t *before) {
    atomic_store_explicit(&hpw_process->lock, 0, memory_order_release);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ---- Buffers ------------------------------------------------------------------------ */

static uint32_t limit_now(void) {
    if (atomic_load(&hpw_process->closing)) return 1;
    return atomic_load(&hpw_process->file) == FILE_NONE ? 1 : RECORDS;
}

/* A returned buffer, or a new one; its thread number is the caller's to set. */
static buffer *take_buffer(void) {
    buffer *b = atomic_load(&hpw_process->buffers);
    for (; b; b = b->next) {
        uint32_t owned = 0;
        if (atomic_compare_exchange_strong(&b->owned, &owned, 1)) break;
    }
    if (!b) {
        b = hpw_map(sizeof *b);
        if (!b) return NULL;
        atomic_store(&b->owned, 1);
        b->ready = 1;
        b->next = atomic_load(&hpw_process->buffers);
        while (!atomic_compare_exchange_weak(&hpw_process->buffers, &b->next, b)) continue;
    }
    atomic_store(&b->limit, limit_now());
    return b;
}

static uint32_t new_thread_number(void) { return atomic_fetch_add(&hpw_process->threads, 1) + 1; }

/* The buffer of this thread, with the number that the thread has. All signals are blocked. */
static buffer *take_own(void) {
    if (own && own->ready) return own; /* a handler came first */
    if (!hpw_process_start() || atomic_load(&hpw_process->file) >= FILE_STOPPED) return NULL;
    buffer *b = take_buffer();
    if (!b) return NULL;
    if (own_generation != hpw_process->generation + 1) {
        own_generation = hpw_process->generation + 1;
        own_number = new_thread_number();
    }
    b->thread = own_number;
    own = b; /* first, since what follows may allocate */
    if (!ended && atomic_load(&key_made)) pthread_setspecific(key, b);
    return b;
}

/* As take_own. Two buffers of one number must never wait at once: no handler may come between. */
static buffer *__attribute__((noinline)) attach(void) {
    int saved = errno;
    sigset_t before;
    block_signals(&before);
    buffer *b = take_own();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return b;
}

/* The buffer for a handler that interrupted `b`'s owner inside the recorder. */
static buffer *deeper(buffer *b) {
    int saved = errno;
    if (!b->deeper) {
        buffer *fresh = take_buffer();
        if (fresh) fresh->thread = new_thread_number();
        b->deeper = fresh;
    }
    errno = saved;
    return b->deeper;
}

/* ---- Records to a chunk ---------------------------------------------------------------- */

/* Gives times to the records that have none: evenly between those that do. */
static void interpolate(buffer *b, uint32_t from, uint32_t to) {
    uint64_t time = b->last_time;
    if (!b->records[to - 1].time) b->records[to - 1].time = hpw_clock() - hpw_process->origin;
    for (uint32_t i = from; i < to;) {
        uint32_t known = i;
        while (!b->records[known].time) known++;
        if (b->records[known].time < time) b->records[known].time = time;
        uint64_t step = (b->records[known].time - time) / (known - i + 1);
        for (; i < known; i++) b->records[i].time = time += step;
        time = b->records[i++].time;
    }
    b->last_time = time;
}

static uint8_t log2_of(uint64_t power) { return (uint8_t)(63 - __builtin_clzll(power)); }

/* Encodes records as trace_chunk.h says. Returns what follows. */
static uint8_t *encode(const buffer *b, uint32_t from, uint32_t to, uint64_t time, uint8_t *out) {
    uint64_t number = (b->records[from].number_kind >> 3) - 1, address = 0;
    for (uint32_t i = from; i < to; i++) {
        const record *r = &b->records[i];
        unsigned kind = r->number_kind & HPW_RECORD_KIND;
        uint64_t this = r->number_kind >> 3, delta = r->address - address;
        bool sixteenth = !(delta & 15), aligned = kind == HPW_RECORD_ALLOC && r->extra;
        *out++ =
            (uint8_t)(kind | (sixteenth ? HPW_RECORD_SIXTEENTH : 0u) | (aligned ? HPW_RECORD_ALIGNED : 0u));
        out = hpw_put_varint(out, this - number - 1);
        out = hpw_put_varint(out, hpw_zigzag(r->time - time));
        out = hpw_put_varint(out, hpw_zigzag(sixteenth ? (uint64_t)((int64_t)delta >> 4) : delta));
        if (kind == HPW_RECORD_ALLOC || kind == HPW_RECORD_END) out = hpw_put_varint(out, r->size);
        if (kind >= HPW_RECORD_END) out = hpw_put_varint(out, this - r->extra);
        if (aligned) *out++ = log2_of(r->extra);
        number = this;
        time = r->time;
        address = r->address;
    }
    return out;
}

static size_t encode_mark(uint8_t *out, uint64_t records) {
    hpw_chunk mark = {.flags = HPW_CHUNK_END, .first = records, .payload_check = hpw_checksum(NULL, 0)};
    hpw_chunk_encode(&mark, out);
    return HPW_CHUNK_HEADER;
}

/* Writes what waits in a buffer. The lock is held. `mark`: and an end mark. */
static void write_buffer(buffer *b, bool mark) {
    process *p = hpw_process;
    uint32_t from = b->flushed, to = atomic_load_explicit(&b->head, memory_order_acquire);
    if (atomic_load(&p->file) == FILE_OPEN && from < to) {
        uint64_t time = b->last_time;
        interpolate(b, from, to);
        uint8_t *payload = p->chunk + HPW_CHUNK_HEADER, *end = encode(b, from, to, time, payload);
        hpw_chunk chunk = {.length = (uint32_t)(end - payload),
                           .count = to - from,
                           .thread = b->thread,
                           .first = b->records[from].number_kind >> 3,
                           .time = time};
        chunk.payload_check = hpw_checksum(payload, chunk.length);
        hpw_chunk_encode(&chunk, p->chunk);
        if (mark) end += encode_mark(end, atomic_load(&p->number));
        hpw_file_write(p->chunk, (size_t)(end - p->chunk));
    }
    b->flushed = to;
}

/* By the owner, when `head` has reached `limit`. Keeps errno. */
static void __attribute__((noinline)) flush(buffer *b, unsigned kind) {
    int saved = errno;
    sigset_t before;
    lock(&before);
    bool allocates = kind == HPW_RECORD_ALLOC || kind == HPW_RECORD_END;
    if (allocates && atomic_load(&hpw_process->file) == FILE_NONE) hpw_file_open();
    bool closing = atomic_load(&hpw_process->closing);
    uint32_t head = atomic_load(&b->head);
    /* A trace begins with its first allocation: until then records wait, frees of unknown blocks. */
    if (closing || head == RECORDS) {
        write_buffer(b, closing);
        b->flushed = 0;
        atomic_store(&b->head, 0);
        head = 0;
    }
    uint32_t limit = limit_now();
    atomic_store(&b->limit, limit > head ? limit : head + 1);
    unlock(&before);
    errno = saved;
}

/* ---- Events to records --------------------------------------------------------------- */

/*
 * The next number. One thread alone needs no locked instruction, only one that
 * no signal handler can divide.
 */
static inline uint64_t take_number(void) {
#if defined(__x86_64__) && defined(KNOWS_SINGLE_THREADED)
    if (__libc_single_threaded) {
        uint64_t number = 1;
        __asm__ volatile("xaddq %0, %1" : "+r"(number), "+m"(hpw_process->number) : : "memory", "cc");
        return number;
    }
#endif
    return atomic_fetch_add_explicit(&hpw_process->number, 1, memory_order_acq_rel);
}

/* Writes out a thread's buffers. */
static void give_back(buffer *b) {
    for (; b; b = b->deeper) {
        sigset_t before;
        lock(&before);
        write_buffer(b, atomic_load(&hpw_process->closing));
        b->flushed = 0;
        atomic_store(&b->head, 0);
        unlock(&before);
    }
}

/* Lets go of this thread's buffers, those of its handlers too. */
static void release_own(void) {
    int saved = errno;
    sigset_t before;
    block_signals(&before); /* a handler would take a second buffer of this number */
    buffer *b = own;
    own = NULL;
    if (b && b->ready) give_back(b);
    while (b && b->ready) {
        buffer *next = b->deeper;
        b->deeper = NULL;
        b->busy = 0;
        atomic_store_explicit(&b->owned, 0, memory_order_release);
        b = next;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
}

static void append(buffer *b, uint64_t number_kind, const void *address, size_t size, uint64_t extra) {
    uint32_t head = atomic_load_explicit(&b->head, memory_order_relaxed);
    record *r = &b->records[head];
    *r = (record){.number_kind = number_kind, .address = (uintptr_t)address, .size = size, .extra = extra};
    if (unlikely(!(head & (TIME_EVERY - 1)))) r->time = hpw_clock() - hpw_process->origin;
    atomic_store_explicit(&b->head, head + 1, memory_order_release);
}

/* Into a buffer that is this thread's. */
static inline uint64_t record_in(buffer *b, unsigned kind, const void *address, size_t size, uint64_t extra) {
    b->busy = 1;
    atomic_signal_fence(memory_order_seq_cst);
    uint64_t number = take_number();
    append(b, number << 3 | kind, address, size, extra);
    if (unlikely(atomic_load_explicit(&b->head, memory_order_relaxed) >=
                 atomic_load_explicit(&b->limit, memory_order_relaxed)))
        flush(b, kind);
    atomic_signal_fence(memory_order_seq_cst);
    b->busy = 0;
    return number;
}

/* After the thread's end: in a buffer that is borrowed for this record alone. */
static uint64_t __attribute__((noinline))
record_late(unsigned kind, const void *address, size_t size, uint64_t extra) {
    int saved = errno;
    sigset_t before;
    block_signals(&before);
    buffer *b = take_own();
    uint64_t number = b ? record_in(b, kind, address, size, extra) : NO_NUMBER;
    release_own();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return number;
}

uint64_t hpw_record(unsigned kind, const void *address, size_t size, uint64_t extra) {
    buffer *b = own;
    if (unlikely(!b || !b->ready)) {
        if (ended) return record_late(kind, address, size, extra);
        b = attach();
    }
    while (b && unlikely(b->busy)) b = deeper(b);
    return unlikely(!b) ? NO_NUMBER : record_in(b, kind, address, size, extra);
}

/* ---- Ends ------------------------------------------------------------------------------ */

/* pthread's key destructor. */
static void thread_ended(void *attached) {
    (void)attached;
    ended = true;
    release_own();
}

void hpw_record_watch_threads(void) {
    if (atomic_load(&key_made) || pthread_key_create(&key, thread_ended)) return;
    atomic_store(&key_made, true);
}

void hpw_record_close(void) {
    process *p = hpw_process;
    int saved = errno;
    sigset_t before;
    lock(&before);
    atomic_store(&p->closing, 1);
    for (buffer *b = atomic_load(&p->buffers); b; b = b->next) {
        write_buffer(b, false);
        atomic_store(&b->limit, 1);
    }
    if (atomic_load(&p->file) == FILE_OPEN)
        hpw_file_write(p->chunk, encode_mark(p->chunk, atomic_load(&p->number)));
    unlock(&before);
    errno = saved;
}

void hpw_record_reopen(void) {
    /* Buffers find the new limit with their next flush. */
    atomic_store(&hpw_process->closing, 0);
}
