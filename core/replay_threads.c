/* SPDX-License-Identifier: MIT */
/*
 * A trace's threads on real threads: see replay_threads.h for what is kept and
 * why it ends.
 *
 *   1. Prepare: the program's operations are dealt to the threads, each with the
 *      cell of its block. Whoever follows another thread's event on the block
 *      gets an *edge*: that thread, and how many operations it has to have done.
 *   2. Run: all threads start at once; an operation with an edge waits for that
 *      thread's count, one that an edge leads to stores its own.
 *   3. Check: the pool's invariants, and that it holds what the cells hold.
 *
 * O(events) to prepare; an operation is the pool's own call.
 */
#define _GNU_SOURCE
#include "replay_threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pool.h"
#include "replay_run.h"

enum { WAITS = 1, ANNOUNCED = 2 };                 /* what an operation's `thread` says, once dealt */
enum { CELL_RUN = 8, ROUNDS = 3, LINE = 64 };      /* cells of one thread lie together: a cache line */
enum { SPINS = 64, YIELDS = 256, NAP_NS = 50000 }; /* how a wait goes on, the longer it takes */
static const uint64_t CHECKED_CAPACITY = (uint64_t)1 << 32;
#define NO_CELL UINT32_MAX

/* What an operation waits for. */
typedef struct edge {
    uint64_t until; /* operations that the other thread has to have done */
    uint32_t thread;
} edge;

/* One thread's part. */
typedef struct part {
    operation *operations;
    size_t count;
    edge *edges;
    size_t edge_count, edge_room;
    uint32_t free_cell;         /* the newest that this thread freed; NO_CELL */
    uint32_t run_next, run_end; /* cells never used, its own */
} part;

/* What all runs of one program on so many threads share; a run changes only `cells`. */
typedef struct plan {
    const hpw_program *program;
    uint32_t threads;
    operation *operations;
    part *parts;
    void **cells;
    uint32_t cell_count;
    uint32_t *next_free; /* of each free cell, while preparing */
    uint64_t dependencies;
    uint64_t live_blocks, live_bytes; /* that the trace leaves */
} plan;

/* ---- Preparing ---- */

/* The block in a slot of the program. */
typedef struct holder {
    uint64_t position, size;
    uint32_t thread, cell;
} holder;

static uint32_t take_cell(plan *p, part *own) {
    uint32_t cell = own->free_cell;
    if (cell != NO_CELL) {
        own->free_cell = p->next_free[cell];
        return cell;
    }
    if (own->run_next == own->run_end) {
        own->run_next = p->cell_count;
        own->run_end = p->cell_count += CELL_RUN;
    }
    return own->run_next++;
}

static bool add_edge(plan *p, part *own, uint64_t position, const holder *block) {
    if (own->edge_count == own->edge_room) {
        size_t room = own->edge_room ? own->edge_room * 2 : 64;
        edge *edges = realloc(own->edges, room * sizeof *edges);
        if (!edges) return false;
        own->edges = edges;
        own->edge_room = room;
    }
    own->edges[own->edge_count++] = (edge){.until = block->position + 1, .thread = block->thread};
    own->operations[position].thread |= WAITS;
    p->parts[block->thread].operations[block->position].thread |= ANNOUNCED;
    p->dependencies++;
    return true;
}

/* Deals one operation to its thread. */
static bool deal(plan *p, const operation *op, holder *block) {
    uint32_t thread = op->thread % p->threads;
    part *own = &p->parts[thread];
    uint64_t position = own->count++;
    own->operations[position] = *op;
    own->operations[position].thread = 0;
    if (op->kind == HPW_TRACE_ALLOC)
        block->cell = take_cell(p, own);
    else if (block->thread != thread && !add_edge(p, own, position, block))
        return false;
    own->operations[position].slot = block->cell;
    if (op->kind == HPW_TRACE_FREE) {
        p->next_free[block->cell] = own->free_cell;
        own->free_cell = block->cell;
    }
    p->live_blocks += (uint64_t)(op->kind == HPW_TRACE_ALLOC) - (op->kind == HPW_TRACE_FREE);
    p->live_bytes +=
        (op->kind == HPW_TRACE_FREE ? 0 : op->size) - (op->kind == HPW_TRACE_ALLOC ? 0 : block->size);
    *block = (holder){.position = position, .size = op->size, .thread = thread, .cell = block->cell};
    return true;
}

/* Gives each thread its place in the one array of operations. */
static void lay_out(plan *p) {
    for (size_t i = 0; i < p->program->count; i++)
        p->parts[p->program->operations[i].thread % p->threads].count++;
    operation *next = p->operations;
    for (uint32_t t = 0; t < p->threads; t++) {
        p->parts[t].operations = next;
        p->parts[t].free_cell = NO_CELL;
        next += p->parts[t].count;
        p->parts[t].count = 0;
    }
}

static void close_plan(plan *p) {
    for (uint32_t t = 0; p->parts && t < p->threads; t++) free(p->parts[t].edges);
    free(p->parts);
    free(p->operations);
    free(p->cells);
    free(p->next_free);
    *p = (plan){0};
}

static hpw_error open_plan(const hpw_program *program, uint32_t threads, plan *p) {
    *p = (plan){.program = program, .threads = threads};
    uint64_t most = program->summary.allocations + (uint64_t)threads * CELL_RUN;
    holder *blocks_of = most < NO_CELL ? calloc(program->slots + 1, sizeof *blocks_of) : NULL;
    p->operations = malloc((program->count + 1) * sizeof *p->operations);
    p->parts = calloc(threads, sizeof *p->parts);
    p->cells = calloc((size_t)most, sizeof *p->cells);
    p->next_free = malloc((size_t)most * sizeof *p->next_free);
    bool well = blocks_of && p->operations && p->parts && p->cells && p->next_free;
    if (well) lay_out(p);
    for (size_t i = 0; i < program->count && well; i++)
        well = deal(p, &program->operations[i], &blocks_of[program->operations[i].slot]);
    free(blocks_of);
    free(p->next_free);
    p->next_free = NULL;
    if (!well) close_plan(p);
    return well ? HPW_OK : HPW_NO_MEMORY;
}

/* ---- Running ---- */

/* How far a thread is, on a cache line of its own. */
typedef struct progress {
    _Alignas(LINE) atomic_uint_fast64_t done;
} progress;

typedef struct crew crew;

typedef struct worker {
    crew *of;
    uint32_t number;
    uint64_t failures, waits;
    pthread_t thread;
} worker;

struct crew {
    const plan *plan;
    hpw_pool *pool;
    const atomic_bool *stop;
    atomic_bool given_up;
    progress *progress;
    worker *workers;
    uint32_t started;
    pthread_mutex_t lock; /* the start: none runs before all are there */
    pthread_cond_t gate;
    bool open;
};

static bool is_over(const crew *c) { return c->given_up || (c->stop && *c->stop); }

/* Waits until that thread has done so much. False: nothing more is to be done. */
static bool await(crew *c, worker *w, const edge *e) {
    atomic_uint_fast64_t *done = &c->progress[e->thread].done;
    if (atomic_load_explicit(done, memory_order_acquire) >= e->until) return true;
    w->waits++;
    for (uint64_t tries = 0; atomic_load_explicit(done, memory_order_acquire) < e->until; tries++) {
        if (tries < SPINS) continue;
        if (is_over(c)) return false;
        if (tries < YIELDS)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
    return true;
}

/* False where the pool refused it. A block that was refused has no address in its cell. */
static bool perform(hpw_pool *pool, void **cell, const operation *op) {
    if (op->kind == HPW_TRACE_FREE) {
        hpw_free(pool, *cell);
        *cell = NULL;
        return true;
    }
    if (op->kind == HPW_TRACE_RESIZE) {
        void *moved = hpw_realloc(pool, *cell, op->size);
        if (moved) *cell = moved;
        return moved;
    }
    *cell = op->align_bits ? hpw_aligned_alloc(pool, (size_t)1 << op->align_bits, op->size)
                           : hpw_malloc(pool, op->size);
    return *cell;
}

enum { STOP_EVERY = 65536 };

static void run_part(worker *w) {
    crew *c = w->of;
    const part *own = &c->plan->parts[w->number];
    const edge *next = own->edges;
    for (size_t i = 0; i < own->count; i++) {
        const operation *op = &own->operations[i];
        if (i % STOP_EVERY == 0 && is_over(c)) return;
        if (op->thread & WAITS && !await(c, w, next++)) return;
        if (!perform(c->pool, &c->plan->cells[op->slot], op)) w->failures++;
        if (op->thread & ANNOUNCED)
            atomic_store_explicit(&c->progress[w->number].done, i + 1, memory_order_release);
    }
}

static void *work(void *ud) {
    worker *w = ud;
    crew *c = w->of;
    pthread_mutex_lock(&c->lock);
    while (!c->open) pthread_cond_wait(&c->gate, &c->lock);
    pthread_mutex_unlock(&c->lock);
    run_part(w);
    return NULL;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Starts all threads, lets them go together, waits for all: *seconds is from the one to the other. */
static hpw_error run_crew(crew *c, double *seconds) {
    uint32_t threads = c->plan->threads;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->gate, NULL);
    for (; c->started < threads; c->started++) {
        worker *w = &c->workers[c->started];
        *w = (worker){.of = c, .number = c->started};
        if (pthread_create(&w->thread, NULL, work, w)) break;
    }
    bool complete = c->started == threads;
    c->given_up = !complete;
    pthread_mutex_lock(&c->lock);
    c->open = true;
    double began = now();
    pthread_cond_broadcast(&c->gate);
    pthread_mutex_unlock(&c->lock);
    for (uint32_t i = 0; i < c->started; i++) pthread_join(c->workers[i].thread, NULL);
    *seconds = now() - began;
    pthread_cond_destroy(&c->gate);
    pthread_mutex_destroy(&c->lock);
    if (!complete) return HPW_NO_MEMORY;
    return is_over(c) ? HPW_LIMIT : HPW_OK;
}

/* Does the pool hold what the cells hold, and that is what the trace leaves? */
static bool holds(const plan *p, const hpw_stats *stats, uint64_t failures) {
    uint64_t held = 0;
    for (uint32_t i = 0; i < p->cell_count; i++) held += p->cells[i] != NULL;
    if (stats->live_blocks != held) return false;
    return failures || (stats->live_blocks == p->live_blocks && stats->in_use == p->live_bytes);
}

static hpw_error conclude(const crew *c, double seconds, hpw_contention *answer) {
    const plan *p = c->plan;
    hpw_stats stats;
    hpw_get_stats(c->pool, &stats);
    for (uint32_t i = 0; i < p->threads; i++) {
        answer->failures += c->workers[i].failures;
        answer->waits += c->workers[i].waits;
    }
    answer->threads = p->threads;
    answer->dependencies = p->dependencies;
    answer->peak_in_use = stats.peak_in_use;
    answer->peak_granted = stats.peak_granted;
    answer->high_water = stats.high_water;
    answer->live_blocks = stats.live_blocks;
    answer->ops_per_second = seconds > 0 ? (double)p->program->count / seconds : 0.0;
    if (!holds(p, &stats, answer->failures)) return HPW_CORRUPTED;
    return stats.capacity <= CHECKED_CAPACITY ? hpw_check(c->pool, NULL) : HPW_OK;
}

/* One run in a new pool. */
static hpw_error run_once(const plan *p, const hpw_config *config, const atomic_bool *stop,
                          hpw_contention *answer) {
    hpw_error error = HPW_OK;
    double seconds = 0;
    crew c = {.plan = p, .stop = stop, .pool = hpw_open(config, &error)};
    if (!c.pool) return error;
    memset(p->cells, 0, p->cell_count * sizeof *p->cells);
    c.workers = calloc(p->threads, sizeof *c.workers);
    c.progress = aligned_alloc(LINE, p->threads * sizeof *c.progress);
    for (uint32_t i = 0; i < p->threads && c.progress; i++) atomic_init(&c.progress[i].done, 0);
    error = c.workers && c.progress ? run_crew(&c, &seconds) : HPW_NO_MEMORY;
    *answer = (hpw_contention){0};
    if (!error) error = conclude(&c, seconds, answer);
    free(c.workers);
    free(c.progress);
    hpw_close(c.pool);
    return error;
}

/* The fastest of some runs on so many threads. */
static hpw_error run_on(const hpw_program *program, uint32_t threads, const hpw_config *config,
                        const atomic_bool *stop, hpw_contention *best) {
    plan p;
    hpw_error error = open_plan(program, threads, &p);
    *best = (hpw_contention){0};
    for (int round = 0; round < ROUNDS && !error; round++) {
        hpw_contention answer;
        error = run_once(&p, config, stop, &answer);
        if (!error && answer.ops_per_second >= best->ops_per_second) *best = answer;
    }
    close_plan(&p);
    return error;
}

/* ---- Asking ---- */

uint32_t hpw_program_threads(const hpw_program *program) { return program->threads; }

hpw_error hpw_contend(const hpw_program *program, const hpw_contention_question *question,
                      const atomic_bool *stop, hpw_contention *answer) {
    uint32_t threads = question->threads ? question->threads : program->threads;
    if (!program->threads) return HPW_INVALID_ARGUMENT;
    if (threads > program->threads) threads = program->threads;
    if (threads > HPW_MOST_REPLAY_THREADS) threads = HPW_MOST_REPLAY_THREADS;
    hpw_question pool = question->pool;
    if (!pool.granule) pool.granule = program->granule ? program->granule : 16;
    if (pool.granule & (pool.granule - 1)) return HPW_INVALID_ARGUMENT;
    hpw_config config = {
        .policy = pool.policy,
        .order = pool.order,
        .seed = pool.seed,
        .granule = pool.granule,
        .capacity = pool.capacity ? pool.capacity : replay_unbounded(program, &pool),
        .thread_caches = question->caches ? threads : 0,
    };
    hpw_contention alone;
    hpw_error error = run_on(program, threads, &config, stop, answer);
    if (!error) error = run_on(program, 1, &config, stop, &alone);
    if (error) return error;
    answer->recorded_threads = program->threads;
    answer->ops_per_second_alone = alone.ops_per_second;
    return HPW_OK;
}
