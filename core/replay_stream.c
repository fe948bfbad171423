/* SPDX-License-Identifier: MIT */
/*
 * A replay that streams, from the reader to the policies' pools: see
 * replay_stream.h for what it answers.
 *
 * Batches lie in a ring; number n is in ring[n % RING]. The reader fills batch
 * `filled` while it is less than RING ahead of the slowest lane. A worker takes
 * the lane that is furthest behind, of those that nobody is at and that have a
 * batch to run, runs that one batch, and looks again: some thousand times a
 * second, so one lock for all of it is cheap. A lane that has run all batches of
 * a trace that has ended is concluded by a worker too.
 *
 * Bound: O(events * policies) operations, O(live blocks) memory.
 */
#define _GNU_SOURCE
#include "replay_stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "pool.h"
#include "replay_figures.h"
#include "replay_run.h"

enum { RING = 8, BATCH = 8192, MOST_WORKERS = 64, PAGE = 4096, TWO_PAGES = 2 * PAGE };

static const uint64_t SWEEP_STRIDE = 64 << 20; /* bytes that the high water grows by between sweeps */
static const uint64_t SWEPT_LEAST = 64 << 10;  /* smaller free blocks keep their pages */

typedef struct batch {
    uint64_t first; /* operations before it */
    size_t count;
    size_t peak; /* measure fragmentation after so many of its operations; 0: not in it */
    uint64_t slots;
    operation operations[BATCH];
} batch;

/* What a lane has beside its question and answer. */
typedef struct course {
    replay run;
    size_t room; /* addresses that there is room for */
    replay_doubt doubt;
    bool watched, busy, concluded;
    uint64_t done;     /* batches */
    uint64_t capacity; /* of its pool */
    uint64_t swept;    /* the high water at the last sweep */
    uint64_t credit;   /* blocks that measuring may walk, of a pipe */
} course;

typedef struct streaming {
    hpw_stream *stream;
    hpw_trace_error *error;
    replay_figures figures;
    hpw_program shape; /* what replay_open asks of a program */
    course *courses;
    batch *ring;
    pthread_t workers[MOST_WORKERS];
    unsigned worker_count;

    pthread_mutex_t lock; /* over all that follows, and `busy`, `done`, `concluded` */
    pthread_cond_t work;  /* a batch is there, or all have been */
    pthread_cond_t room;  /* a lane has run one */
    uint64_t filled;
    bool ended;  /* no further batch comes */
    bool failed; /* nothing is to be done any more */
} streaming;

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool is_stopped(const streaming *s) { return s->stream->stop && *s->stream->stop; }

/* ---- Reading ---- */

/* The next event, checked as a compiled replay does: 1, 0 at the end, -1 and the error. */
static int next_event(streaming *s, hpw_trace *trace, replay_figures *figures, hpw_trace_event *event) {
    int got = hpw_trace_next(trace, event, s->error);
    if (got <= 0) return got;
    const char *path = s->stream->path;
    if (event->slot >= UINT32_MAX) {
        hpw_trace_fail(s->error, HPW_NO_MEMORY, "%s: event %llu: more than 2^32 - 1 live blocks", path,
                       (unsigned long long)figures->summary.events + 1);
        return -1;
    }
    if (replay_figures_note(figures, event)) return 1;
    hpw_trace_refuse_sum(s->error, path, figures->summary.events + 1);
    return -1;
}

static hpw_error code_of(const streaming *s) { return s->error->code ? s->error->code : HPW_CORRUPTED; }

static hpw_error stopped(const streaming *s) {
    hpw_trace_fail(s->error, HPW_LIMIT, "%s: stopped", s->stream->path);
    return HPW_LIMIT;
}

static void tell(streaming *s, hpw_trace *trace, double from, double share) {
    atomic_store_explicit(&s->stream->done, (unsigned)((from + share * hpw_trace_progress(trace)) * 1e6),
                          memory_order_relaxed);
}

/* The first pass. */
static hpw_error take_figures(streaming *s, uint32_t granule) {
    double began = seconds(CLOCK_THREAD_CPUTIME_ID);
    hpw_trace *trace = hpw_trace_open(s->stream->path, s->error);
    if (!trace) return code_of(s);
    hpw_trace_event event;
    int got;
    hpw_error error = HPW_OK;
    replay_figures_begin(&s->figures, granule);
    while (!error && (got = next_event(s, trace, &s->figures, &event)) != 0) {
        if (got < 0) error = code_of(s);
        if (s->figures.summary.events % BATCH) continue;
        if (is_stopped(s)) error = stopped(s);
        tell(s, trace, 0.0, s->stream->count ? 0.2 : 1.0);
    }
    if (!error) replay_figures_end(&s->figures, trace);
    hpw_trace_close(trace);
    s->stream->figures_seconds = seconds(CLOCK_THREAD_CPUTIME_ID) - began;
    return error;
}

/* Decodes into a batch: 1, 0 where the trace ended before its first event, -1 and the error. */
static int fill(streaming *s, hpw_trace *trace, replay_figures *figures, batch *b) {
    hpw_trace_event event;
    int got = 1;
    b->first = figures->summary.events;
    b->count = 0;
    while (b->count < BATCH && (got = next_event(s, trace, figures, &event)) == 1)
        b->operations[b->count++] = (operation){
            .size = event.size,
            .slot = (uint32_t)event.slot,
            .kind = (uint8_t)event.kind,
            .align_bits = event.alignment ? (uint8_t)bits_highest(event.alignment) : 0,
        };
    if (got < 0) return -1;
    b->slots = figures->slots;
    /* Of a file the moment is known; of a pipe the last new peak of each batch may be it. */
    uint64_t peak = s->stream->one_pass ? figures->peak_operation : s->figures.peak_operation;
    b->peak = peak > b->first && peak <= b->first + b->count ? (size_t)(peak - b->first) : 0;
    return b->count > 0;
}

/* ---- Lanes ---- */

/* Gives back the pages that large free blocks cover: whoever gets them writes before it reads. */
static void sweep(course *c) {
    hpw_pool *pool = c->run.pool;
    uint64_t high = pool_bytes(pool, pool->counts.high_water), cursor = 0;
    uintptr_t base = (uintptr_t)pool->index.bytes;
    c->swept = high;
    for (hpw_block block; hpw_next_block(pool, &cursor, &block) && block.address < high;) {
        if (block.live || block.size < SWEPT_LEAST) continue;
        uint64_t end = block.address + block.size < high ? block.address + block.size : high;
        /* Its first granule holds its place in the index. */
        uintptr_t from = (base + block.address + TWO_PAGES - 1) & ~(uintptr_t)(PAGE - 1);
        uintptr_t to = (base + end) & ~(uintptr_t)(PAGE - 1);
        if (to > from) madvise((void *)from, to - from, MADV_DONTNEED);
    }
}

static bool grow_addresses(course *c, uint64_t slots) {
    if (slots <= c->room) return true;
    size_t room = c->room * 2 > slots ? c->room * 2 : (size_t)slots;
    uint64_t *grown = realloc(c->run.addresses, room * sizeof *grown);
    if (!grown) return false;
    c->run.addresses = grown;
    c->room = room;
    return true;
}

/* Fragmentation at what is, or may turn out to be, the peak moment. */
static void measure(streaming *s, hpw_lane *lane, course *c) {
    hpw_stats stats;
    hpw_get_stats(c->run.pool, &stats);
    lane->answer.internal_fragmentation = hpw_internal_fragmentation(&stats);
    uint64_t walked = stats.live_blocks + stats.free_blocks;
    lane->has_external = !s->stream->one_pass || walked <= c->credit;
    if (!lane->has_external) return;
    c->credit -= s->stream->one_pass ? walked : 0;
    replay_measure_fragmentation(c->run.pool, !lane->question.capacity, &lane->answer);
}

static void run_batch(streaming *s, hpw_lane *lane, course *c, const batch *b) {
    double began = seconds(CLOCK_THREAD_CPUTIME_ID);
    if (!grow_addresses(c, b->slots)) {
        lane->error = HPW_NO_MEMORY;
        return;
    }
    c->credit += b->count;
    replay_stretch(&c->run, b->operations, b->peak, c->watched, &lane->answer, &c->doubt);
    if (b->peak) measure(s, lane, c);
    replay_stretch(&c->run, b->operations + b->peak, b->count - b->peak, c->watched, &lane->answer,
                   &c->doubt);
    const hpw_pool *pool = c->run.pool;
    if (pool_bytes(pool, pool->counts.high_water) > c->swept + SWEEP_STRIDE + pool->counts.peak_granted)
        sweep(c);
    lane->seconds += seconds(CLOCK_THREAD_CPUTIME_ID) - began;
}

/* The smallest pool, where this one run proves it; see fit.c, of which this is the first step. */
static void prove_smallest(streaming *s, hpw_lane *lane, const course *c) {
    hpw_answer *answer = &lane->answer;
    uint64_t granule = s->figures.granule, least = s->stream->lower_bound / granule;
    if (!c->watched || answer->failures || s->figures.largest_align > MAPPED_ALIGN) return;
    if (c->doubt.from < c->doubt.to && c->doubt.from / granule > least) least = c->doubt.from / granule;
    answer->has_smallest = true;
    answer->smallest_pool = answer->high_water;
    answer->smallest_exact = c->doubt.to / granule <= least;
}

static void conclude(streaming *s, hpw_lane *lane, course *c) {
    lane->error = replay_conclude(&c->run, c->capacity, s->figures.summary.events, &lane->answer);
    if (!lane->error) prove_smallest(s, lane, c);
    replay_close(&c->run);
}

static hpw_error open_lane(streaming *s, hpw_lane *lane, course *c) {
    hpw_question question = lane->question;
    question.granule = s->figures.granule;
    question.small_pages = true; /* huge ones would be what a small trace needs most memory for */
    uint64_t unbounded =
        s->stream->one_pass ? (uint64_t)question.granule << 31 : replay_figures_unbounded(&s->figures);
    lane->answer = (hpw_answer){.capacity = question.capacity};
    c->capacity = question.capacity ? question.capacity : unbounded;
    c->room = s->shape.slots + 1;
    c->doubt = (replay_doubt){.from = UINT64_MAX};
    c->watched = question.smallest && !question.capacity && replay_is_monotone(&question);
    return replay_open(&s->shape, &question, c->capacity, NULL, &c->run);
}

/* ---- Workers ---- */

/* The lane to go on with, which is the caller's then: of those with work the one furthest behind. */
static size_t claim(streaming *s) {
    size_t count = s->stream->count, found = count;
    for (size_t i = 0; i < count && !s->failed; i++) {
        const course *c = &s->courses[i];
        bool has_work = c->done < s->filled || (s->ended && !c->concluded);
        if (c->busy || !has_work) continue;
        if (found == count || c->done < s->courses[found].done) found = i;
    }
    if (found < count) s->courses[found].busy = true;
    return found;
}

static bool all_done(const streaming *s) {
    for (size_t i = 0; i < s->stream->count; i++)
        if (!s->courses[i].concluded) return s->failed;
    return true;
}

/* One batch, or the conclusion; without the lock, which the caller has before and after. */
static void advance(streaming *s, size_t i) {
    hpw_lane *lane = &s->stream->lanes[i];
    course *c = &s->courses[i];
    bool concludes = c->done == s->filled;
    pthread_mutex_unlock(&s->lock);
    if (concludes)
        conclude(s, lane, c);
    else
        run_batch(s, lane, c, &s->ring[c->done % RING]);
    pthread_mutex_lock(&s->lock);
    c->busy = false;
    c->concluded = concludes;
    c->done += !concludes;
    s->failed |= lane->error != HPW_OK;
    pthread_cond_signal(&s->room);
    pthread_cond_broadcast(&s->work);
}

static void *serve(void *ud) {
    streaming *s = ud;
    pthread_mutex_lock(&s->lock);
    while (!all_done(s)) {
        size_t i = claim(s);
        if (i < s->stream->count)
            advance(s, i);
        else
            pthread_cond_wait(&s->work, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- The second pass ---- */

/* Waits until batch `filled` may be written; its place, NULL where there is nothing more to be done. */
static batch *await_room(streaming *s) {
    pthread_mutex_lock(&s->lock);
    for (;;) {
        uint64_t slowest = s->filled;
        for (size_t i = 0; i < s->stream->count; i++)
            if (s->courses[i].done < slowest) slowest = s->courses[i].done;
        if (s->failed || s->filled - slowest < RING) break;
        pthread_cond_wait(&s->room, &s->lock);
    }
    batch *free_batch = s->failed ? NULL : &s->ring[s->filled % RING];
    pthread_mutex_unlock(&s->lock);
    return free_batch;
}

/* Tells the workers of one more batch; or of the end, which the figures are there for; or of a failure. */
static void announce(streaming *s, bool more, bool failed) {
    pthread_mutex_lock(&s->lock);
    s->filled += more;
    s->ended = !more;
    s->failed |= failed;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
}

/* Of a file: the events are those that the first pass saw. */
static hpw_error check_figures(const streaming *s, const replay_figures *again) {
    if (again->summary.events == s->figures.summary.events && again->slots == s->figures.slots &&
        again->room == s->figures.room && again->peak_operation == s->figures.peak_operation)
        return HPW_OK;
    hpw_trace_fail(s->error, HPW_CORRUPTED,
                   "%s: the file changed while it was read: %llu events, then %llu, or other sizes",
                   s->stream->path, (unsigned long long)s->figures.summary.events,
                   (unsigned long long)again->summary.events);
    return HPW_CORRUPTED;
}

static hpw_error read_batches(streaming *s, hpw_trace *trace, replay_figures *figures) {
    double from = s->stream->one_pass ? 0.0 : 0.2;
    int got = 1;
    for (batch *b; got == 1 && (b = await_room(s));) {
        if (is_stopped(s)) return stopped(s);
        got = fill(s, trace, figures, b);
        if (got == 1) announce(s, true, false);
        tell(s, trace, from, 1.0 - from);
    }
    if (got < 0) return code_of(s);
    if (got == 1) return HPW_OK; /* a lane failed: it has the error */
    if (!s->stream->one_pass) return check_figures(s, figures);
    s->figures = *figures;
    replay_figures_end(&s->figures, trace);
    s->stream->lower_bound = s->figures.lower_bound;
    return HPW_OK;
}

static hpw_error feed(streaming *s) {
    hpw_trace *trace = hpw_trace_open(s->stream->path, s->error);
    if (!trace) return code_of(s);
    replay_figures figures;
    replay_figures_begin(&figures, s->figures.granule);
    hpw_error error = read_batches(s, trace, &figures);
    hpw_trace_close(trace);
    return error;
}

static hpw_error no_memory(const streaming *s, const char *what) {
    hpw_trace_fail(s->error, HPW_NO_MEMORY, "%s: %s", s->stream->path, what);
    return HPW_NO_MEMORY;
}

static hpw_error start_workers(streaming *s) {
    unsigned wanted = s->stream->threads ? s->stream->threads : 1;
    if (wanted > s->stream->count) wanted = (unsigned)s->stream->count;
    if (wanted > MOST_WORKERS) wanted = MOST_WORKERS;
    while (s->worker_count < wanted && !pthread_create(&s->workers[s->worker_count], NULL, serve, s))
        s->worker_count++;
    return s->worker_count ? HPW_OK : no_memory(s, "the system gives no thread to replay it");
}

/* Everything is open: reads, and waits for the workers. */
static hpw_error run_lanes(streaming *s) {
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->room, NULL);
    hpw_error error = start_workers(s);
    if (!error) error = feed(s);
    announce(s, false, error != HPW_OK);
    for (unsigned i = 0; i < s->worker_count; i++) pthread_join(s->workers[i], NULL);
    pthread_cond_destroy(&s->room);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    return error;
}

static hpw_error replay_lanes(streaming *s) {
    size_t count = s->stream->count;
    s->shape = (hpw_program){.slots = (size_t)s->figures.slots, .largest_align = s->figures.largest_align};
    s->courses = calloc(count, sizeof *s->courses);
    s->ring = malloc(RING * sizeof *s->ring);
    hpw_error error = s->courses && s->ring ? HPW_OK : no_memory(s, "no memory to replay it");
    for (size_t i = 0; i < count && !error && !s->failed; i++) {
        s->stream->lanes[i].error = open_lane(s, &s->stream->lanes[i], &s->courses[i]);
        s->failed = s->stream->lanes[i].error != HPW_OK;
    }
    if (!error && !s->failed) error = run_lanes(s);
    for (size_t i = 0; i < count && s->courses; i++) {
        if (s->courses[i].run.pool) replay_close(&s->courses[i].run);
        if (!s->courses[i].concluded && !s->stream->lanes[i].error) s->stream->lanes[i].error = HPW_LIMIT;
    }
    free(s->ring);
    free(s->courses);
    return error;
}

/* A pipe gives its bytes once. */
static bool is_pipe(const char *path) {
    struct stat status;
    return !stat(path, &status) && !S_ISREG(status.st_mode);
}

hpw_error hpw_stream_replay(hpw_stream *stream, hpw_trace_error *error) {
    double began = seconds(CLOCK_MONOTONIC);
    hpw_trace_error unseen;
    streaming s = {.stream = stream, .error = error ? error : &unseen};
    *s.error = (hpw_trace_error){0};
    uint32_t granule =
        stream->count && stream->lanes[0].question.granule ? stream->lanes[0].question.granule : 16;
    for (size_t i = 0; i < stream->count; i++) {
        uint32_t other = stream->lanes[i].question.granule ? stream->lanes[i].question.granule : 16;
        if (other != granule || granule & (granule - 1)) {
            hpw_trace_fail(s.error, HPW_INVALID_ARGUMENT, "%s: granules of %lu and %lu bytes", stream->path,
                           (unsigned long)granule, (unsigned long)other);
            return HPW_INVALID_ARGUMENT;
        }
    }
    stream->one_pass = is_pipe(stream->path);
    replay_figures_begin(&s.figures, granule);
    hpw_error result = stream->one_pass && stream->count ? HPW_OK : take_figures(&s, granule);
    stream->lower_bound = s.figures.lower_bound;
    if (!result && stream->count) result = replay_lanes(&s);
    stream->summary = s.figures.summary;
    if (!result) stream->done = 1000000;
    stream->seconds = seconds(CLOCK_MONOTONIC) - began;
    return result;
}
