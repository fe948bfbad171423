/* SPDX-License-Identifier: MIT */
/* A trace compiled into operations on slots, and run against a pool: see replay.h. */
#define _GNU_SOURCE
#include "replay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "pool.h"
#include "replay_run.h"
#include "trace_live.h"

#define NOWHERE UINT64_MAX /* the slot's block was refused, or there is none */

/* ---- Compiling ---- */

typedef struct building {
    hpw_program *program;
    size_t room;
    uint64_t in_use;
    uint64_t rounded;       /* the same, each block rounded up to 16 */
    hpw_live_table threads; /* recorded numbers -> ours, as slots */
    uint32_t named, thread; /* the number last met, and ours */
    bool has_thread;
    bool timed; /* times are kept, as long as each event has one */
} building;

/* Our number of the event's thread. False: no memory. */
static bool number_thread(building *b, const hpw_trace_event *event, uint16_t *number) {
    hpw_program *program = b->program;
    if (event->has_thread && (!b->has_thread || event->thread != b->named)) {
        hpw_live *known = hpw_live_find(&b->threads, event->thread);
        hpw_live fresh = {.key = event->thread, .slot = b->threads.count};
        if (!known && !hpw_live_add(&b->threads, &fresh)) return false;
        b->has_thread = true;
        b->named = event->thread;
        b->thread = (uint32_t)(known ? known->slot : fresh.slot);
        program->threads = b->threads.count < 1 << 16 ? (uint32_t)b->threads.count : 1 << 16;
    }
    *number = event->has_thread ? (uint16_t)b->thread : 0;
    return true;
}

static bool grow(building *b) {
    hpw_program *program = b->program;
    size_t room = b->room ? b->room * 2 : 4096;
    if (room > SIZE_MAX / sizeof(operation)) return false;
    operation *grown = realloc(program->operations, room * sizeof *grown);
    if (!grown) return false;
    program->operations = grown;
    uint64_t *times = b->timed ? realloc(program->times, room * sizeof *times) : NULL;
    if (b->timed && !times) return false;
    program->times = times;
    b->room = room;
    return true;
}

/* Times are of use where every event has one. */
static void note_time(building *b, const hpw_trace_event *event) {
    if (!b->timed) return;
    b->timed = event->has_time;
    if (b->timed) {
        b->program->times[b->program->count] = event->time;
    } else {
        free(b->program->times);
        b->program->times = NULL;
    }
}

static bool append(building *b, const hpw_trace_event *event) {
    hpw_program *program = b->program;
    uint16_t thread;
    if (!number_thread(b, event, &thread)) return false;
    if (program->count == b->room && !grow(b)) return false;
    note_time(b, event);
    program->operations[program->count++] = (operation){
        .size = event->size,
        .slot = (uint32_t)event->slot,
        .kind = (uint8_t)event->kind,
        .align_bits = event->alignment ? (uint8_t)bits_highest(event->alignment) : 0,
        .thread = thread,
    };
    if (event->alignment > program->largest_align) program->largest_align = event->alignment;
    if (event->slot >= program->slots) program->slots = (size_t)event->slot + 1;
    return true;
}

/* Sums up what the reader's scan would have told, in the same pass. */
static void note(building *b, const hpw_trace_event *event) {
    hpw_trace_summary *s = &b->program->summary;
    s->events++;
    if (event->kind == HPW_TRACE_ALLOC) {
        s->allocations++;
        b->in_use += event->size;
    } else if (event->kind == HPW_TRACE_FREE) {
        s->frees++;
        b->in_use -= event->size;
    } else {
        s->resizes++;
        b->in_use += event->size - event->previous;
    }
    if (event->kind != HPW_TRACE_FREE && event->size > s->largest) s->largest = event->size;
    if (b->in_use > s->peak_in_use) {
        s->peak_in_use = b->in_use;
        b->program->peak_operation = b->program->count;
    }
}

static hpw_error build(building *b, const char *path, hpw_trace *trace, hpw_what_if_reader *reader,
                       hpw_trace_error *error) {
    hpw_trace_event event;
    int more;
    while ((more = hpw_what_if_next(reader, &event, error)) > 0) {
        if (!hpw_trace_sum(&b->rounded, &event)) {
            hpw_trace_refuse_sum(error, path, b->program->count + 1);
            return HPW_CORRUPTED;
        }
        if (event.slot >= UINT32_MAX || !append(b, &event)) {
            hpw_trace_fail(error, HPW_NO_MEMORY, "%s: event %llu: no memory to load it", path,
                           (unsigned long long)b->program->count + 1);
            return HPW_NO_MEMORY;
        }
        note(b, &event);
    }
    if (more < 0) return HPW_CORRUPTED; /* or whatever *error says */
    hpw_trace_summary *s = &b->program->summary;
    const char *warning = hpw_trace_warning(trace);
    if (warning) strncpy(s->warning, warning, sizeof s->warning - 1);
    strncpy(s->program, hpw_trace_program(trace), sizeof s->program - 1);
    strncpy(s->packing, hpw_trace_packing(trace), sizeof s->packing - 1);
    s->format = hpw_trace_format_of(trace);
    s->peak_blocks = b->program->slots;
    s->lower_bound = hpw_program_lower_bound(b->program, 0);
    if (s->lower_bound || !b->program->count) return HPW_OK;
    hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory for its lower bound", path);
    return HPW_NO_MEMORY;
}

hpw_program *hpw_program_load(const char *path, hpw_trace_error *error) {
    return hpw_program_load_as(path, NULL, error);
}

static hpw_program *load(const char *path, const hpw_what_if *what, bool timed, hpw_trace_error *error) {
    hpw_trace *trace = hpw_trace_open(path, error);
    if (!trace) return NULL;
    hpw_what_if_reader *reader = hpw_what_if_open(trace, path, what, error);
    building b = {.program = reader ? calloc(1, sizeof *b.program) : NULL, .timed = timed};
    if (b.program) b.program->granule = what ? what->granule : 0;
    if (!b.program) {
        if (reader) hpw_trace_fail(error, HPW_NO_MEMORY, "%s: no memory to load it", path);
    } else if (build(&b, path, trace, reader, error)) {
        hpw_program_free(b.program);
        b.program = NULL;
    }
    hpw_what_if_close(reader);
    hpw_live_free(&b.threads);
    hpw_trace_close(trace);
    return b.program;
}

hpw_program *hpw_program_load_as(const char *path, const hpw_what_if *what, hpw_trace_error *error) {
    return load(path, what, false, error);
}

hpw_program *hpw_program_load_timed(const char *path, const hpw_what_if *what, hpw_trace_error *error) {
    return load(path, what, true, error);
}

bool hpw_program_time(const hpw_program *program, uint64_t number, uint64_t *time) {
    if (!program->times || !number || number > program->count) return false;
    *time = program->times[number - 1];
    return true;
}

void hpw_program_free(hpw_program *program) {
    if (!program) return;
    free(program->times);
    free(program->operations);
    free(program);
}

const hpw_trace_summary *hpw_program_summary(const hpw_program *program) { return &program->summary; }

uint64_t hpw_program_lower_bound(const hpw_program *program, uint32_t granule) {
    if (!granule) granule = program->granule ? program->granule : 16;
    uint64_t *sizes = calloc(program->slots + 1, sizeof *sizes), now = 0, peak = 0;
    if (!sizes) return 0;
    for (size_t i = 0; i < program->count; i++) {
        const operation *op = &program->operations[i];
        uint64_t rounded = op->kind == HPW_TRACE_FREE ? 0 : (op->size + granule - 1) / granule * granule;
        if (!rounded && op->kind != HPW_TRACE_FREE) rounded = granule;
        now += rounded - sizes[op->slot];
        sizes[op->slot] = rounded;
        if (now > peak) peak = now;
    }
    free(sizes);
    return peak;
}

bool hpw_program_sizes_at_peak(const hpw_program *program, uint64_t most, uint64_t counts[]) {
    uint64_t *sizes = malloc((program->slots + 1) * sizeof *sizes);
    if (!sizes) return false;
    for (size_t i = 0; i <= program->slots; i++) sizes[i] = NOWHERE;
    memset(counts, 0, (most + 1) * sizeof *counts);
    for (size_t i = 0; i < program->peak_operation; i++) {
        const operation *op = &program->operations[i];
        sizes[op->slot] = op->kind == HPW_TRACE_FREE ? NOWHERE : op->size;
    }
    for (size_t i = 0; i < program->slots; i++)
        if (sizes[i] <= most) counts[sizes[i]]++;
    free(sizes);
    return true;
}

/* ---- Running ---- */

static uint64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

enum { STOP_EVERY = 65536 };
static const uint64_t CHECKED_CAPACITY = (uint64_t)1 << 32; /* above, the check costs seconds and a GiB */

/* One operation that is neither a free nor a usual allocation. */
static bool perform_rare(hpw_pool *pool, uint64_t *address, const operation *op) {
    if (op->kind == HPW_TRACE_RESIZE && *address != NOWHERE)
        return !hpw_resize(pool, *address, op->size, address, NULL);
    uint64_t alignment = op->align_bits ? (uint64_t)1 << op->align_bits : 0;
    if (!hpw_allocate(pool, op->size, alignment, address, NULL)) return true;
    *address = NOWHERE;
    return false;
}

/*
 * One operation; false where the pool refused it. A replay's pool has no lock,
 * so the two common ones are the policy's own calls, as in hpw_malloc and
 * hpw_free.
 */
HOT bool perform(hpw_pool *pool, uint64_t *addresses, const operation *op) {
    uint64_t *address = &addresses[op->slot];
    if (op->kind == HPW_TRACE_FREE) {
        if (*address != NOWHERE) pool->inner.release(pool, *address, NULL);
        return true;
    }
    if (op->kind != HPW_TRACE_ALLOC || op->align_bits) return perform_rare(pool, address, op);
    const unsigned char *block = pool->inner.allocate(pool, op->size);
    *address = block ? (uint64_t)(block - pool->index.bytes) : NOWHERE;
    return block;
}

void replay_measure_fragmentation(hpw_pool *pool, bool unbounded, hpw_answer *answer) {
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    uint64_t end = unbounded ? stats.high_water : stats.capacity, cursor = 0;
    stats.largest_free = 0;
    stats.free = end - stats.granted;
    for (hpw_block block; hpw_next_block(pool, &cursor, &block);) {
        if (block.live || block.address >= end) continue;
        uint64_t size = block.address + block.size > end ? end - block.address : block.size;
        if (size > stats.largest_free) stats.largest_free = size;
    }
    answer->external_fragmentation = hpw_external_fragmentation(&stats);
    answer->internal_fragmentation = hpw_internal_fragmentation(&stats);
}

/* ---- Arenas ---- */

static void arena_fit(replay_arena *arena, size_t size) {
    if (size <= arena->size) return;
    replay_arena_free(arena);
    size += size / 2;
    arena->memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena->memory == MAP_FAILED) {
        arena->memory = NULL;
        return;
    }
    arena->size = size;
    if (size >= ARENA_ALIGN) madvise(arena->memory, size, MADV_HUGEPAGE); /* as of any pool so large */
}

void replay_arena_free(replay_arena *arena) {
    if (arena->memory) munmap(arena->memory, arena->size);
    *arena = (replay_arena){NULL, 0};
}

/* In the arena the pool's bytes begin at a multiple of ARENA_ALIGN, as in a mapping of their own. */
static hpw_pool *open_in_arena(replay_arena *arena, const hpw_config *config) {
    size_t metadata = hpw_metadata_size(config), capacity = (size_t)config->capacity;
    if (!metadata || config->capacity > SIZE_MAX / 4) return NULL;
    arena_fit(arena, metadata + ARENA_ALIGN + capacity);
    if (!arena->memory) return NULL;
    metadata &= ~(size_t)15; /* less the slack for unaligned buffers */
    uintptr_t begin = (uintptr_t)arena->memory + metadata;
    size_t before = (ARENA_ALIGN - begin % ARENA_ALIGN) % ARENA_ALIGN;
    return hpw_open_in(arena->memory + before, metadata + capacity, config, NULL);
}

static hpw_config config_of(const hpw_question *question, uint64_t capacity) {
    hpw_config config = {
        .policy = question->policy,
        .order = question->order,
        .seed = question->seed,
        .granule = question->granule,
        .capacity = capacity,
        .single_threaded = true,
        .chooser = question->chooser,
        .small_pages = question->small_pages,
    };
    memcpy(config.classes, question->classes, sizeof config.classes);
    return config;
}

hpw_error replay_open(const hpw_program *program, const hpw_question *question, uint64_t capacity,
                      replay_arena *arena, replay *run) {
    hpw_error error;
    hpw_config config = config_of(question, capacity);
    *run = (replay){.program = program};
    if (arena && program->largest_align <= MAPPED_ALIGN) run->pool = open_in_arena(arena, &config);
    if (!run->pool) run->pool = hpw_open(&config, &error);
    if (!run->pool) return error;
    run->addresses = malloc((program->slots + 1) * sizeof *run->addresses);
    if (run->addresses) return HPW_OK;
    replay_close(run);
    return HPW_NO_MEMORY;
}

void replay_close(replay *run) {
    free(run->addresses);
    hpw_close(run->pool);
    run->pool = NULL;
    run->addresses = NULL;
}

hpw_error replay_until_refused(replay *run, const atomic_bool *stop, size_t *at) {
    const hpw_program *program = run->program;
    size_t i = 0;
    for (; i < program->count; i++) {
        if (i % STOP_EVERY == 0 && stop && *stop) return HPW_LIMIT;
        if (!perform(run->pool, run->addresses, &program->operations[i])) break;
    }
    *at = i;
    return HPW_OK;
}

hpw_error replay_fits(replay *run, const atomic_bool *stop, bool *fits) {
    size_t at = 0;
    hpw_error error = replay_until_refused(run, stop, &at);
    *fits = !error && at == run->program->count;
    return error;
}

/*
 * Could this resize, where the pool ended below what it takes here, still find
 * room: by sliding backwards, or by moving to a hole? Then a smaller pool may
 * survive it: what fit.c has to know of first fit.
 */
static bool may_escape(hpw_pool *pool, uint64_t address, uint64_t size) {
    if (address == NOWHERE || pool->policy->keeps_freed) return false;
    granule_t at = pool_granule(pool, address);
    if (at && !blocks_is_live(&pool->index.map, blocks_previous(&pool->index.map, at))) return true;
    uint64_t steps = pool->index.steps, granule = pool_bytes(pool, 1);
    request want = {.size = (granule_t)((size + granule - 1) / granule), .align = 1};
    if (!want.size) want.size = 1;
    placement hole = pool->policy->choose(&pool->index, &want);
    pool->index.steps = steps;
    return hole.block != NO_GRANULE && hole.block + hole.size != pool->index.map.count;
}

static uint64_t high_water(const hpw_pool *pool) { return pool_bytes(pool, pool->counts.high_water); }

/* One operation of a whole run, and the capacities that it leaves in doubt. */
static void perform_watched(replay *run, const operation *op, bool watched, hpw_answer *answer,
                            replay_doubt *doubt) {
    uint64_t before = high_water(run->pool);
    bool escapes =
        watched && op->kind == HPW_TRACE_RESIZE && may_escape(run->pool, run->addresses[op->slot], op->size);
    if (!perform(run->pool, run->addresses, op)) answer->failures++;
    if (!escapes || high_water(run->pool) == before) return;
    if (before < doubt->from) doubt->from = before;
    doubt->to = high_water(run->pool);
}

void replay_stretch(replay *run, const operation *operations, size_t count, bool watched, hpw_answer *answer,
                    replay_doubt *doubt) {
    if (watched)
        for (size_t i = 0; i < count; i++) perform_watched(run, &operations[i], true, answer, doubt);
    else
        for (size_t i = 0; i < count; i++)
            if (!perform(run->pool, run->addresses, &operations[i])) answer->failures++;
}

hpw_error replay_conclude(replay *run, uint64_t capacity, uint64_t operations, hpw_answer *answer) {
    hpw_stats stats;
    hpw_get_stats(run->pool, &stats);
    hpw_error error = capacity <= CHECKED_CAPACITY ? hpw_check(run->pool, NULL) : HPW_OK;
    answer->peak_in_use = stats.peak_in_use;
    answer->peak_granted = stats.peak_granted;
    answer->high_water = stats.high_water;
    answer->steps_max = stats.steps_max;
    answer->steps_mean = operations ? (double)stats.steps / (double)operations : 0.0;
    return error;
}

/* How many operations there are up to that moment. */
static size_t moment_end(size_t count, size_t moment) {
    return moment < HPW_MOMENTS ? count * (moment + 1) / HPW_MOMENTS : SIZE_MAX;
}

void replay_begin_moments(replay_moments *m, const replay *run, bool unbounded, hpw_answer *answer) {
    size_t count = run->program->count;
    *m = (replay_moments){.run = run, .unbounded = unbounded};
    while (moment_end(count, m->next) == 0) m->next++;
    m->end = moment_end(count, m->next);
    answer->has_moments = true;
}

void replay_note_moment(replay_moments *m, size_t done, hpw_answer *answer) {
    const replay *run = m->run;
    if (done == run->program->peak_operation) replay_measure_fragmentation(run->pool, m->unbounded, answer);
    for (; done == m->end; m->end = moment_end(run->program->count, ++m->next))
        answer->in_use_at[m->next] = tally_in_use(&run->pool->counts);
}

/* The whole trace, failures and all, and what the pool says of itself. */
static hpw_error run_whole(const hpw_program *program, const hpw_question *question, uint64_t capacity,
                           const atomic_bool *stop, hpw_answer *answer, replay_doubt *doubt) {
    replay run;
    hpw_error error = replay_open(program, question, capacity, NULL, &run);
    if (error) return error;
    bool watched = run.pool->policy->info.monotone && question->smallest;
    replay_moments moments;
    replay_begin_moments(&moments, &run, !question->capacity, answer);
    for (size_t i = 0; i < program->count && !error; i++) {
        if (i % STOP_EVERY == 0 && stop && *stop) error = HPW_LIMIT;
        perform_watched(&run, &program->operations[i], watched, answer, doubt);
        replay_pass_moment(&moments, i + 1, answer);
    }
    if (!error) error = replay_conclude(&run, capacity, program->count, answer);
    replay_close(&run);
    return error;
}

/* ---- Timing ---- */

static int by_value(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* What two readings of the clock cost: the least seen. */
static uint64_t clock_cost(void) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 1000; i++) {
        uint64_t begin = nanoseconds(), cost = nanoseconds() - begin;
        if (cost < least) least = cost;
    }
    return least;
}

static void time_operations(replay *run, uint32_t *samples) {
    const hpw_program *program = run->program;
    uint64_t cost = clock_cost();
    for (size_t i = 0; i < program->count; i++) {
        uint64_t begin = nanoseconds();
        perform(run->pool, run->addresses, &program->operations[i]);
        uint64_t took = nanoseconds() - begin;
        took = took > cost ? took - cost : 0;
        samples[i] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    }
}

static double run_untimed(replay *run) {
    const hpw_program *program = run->program;
    uint64_t begin = nanoseconds();
    for (size_t i = 0; i < program->count; i++) perform(run->pool, run->addresses, &program->operations[i]);
    uint64_t took = nanoseconds() - begin;
    return took ? (double)program->count * 1e9 / (double)took : 0.0;
}

/* The second run uses the memory that the first one has touched: page faults are the system's. */
static hpw_error measure_time(const hpw_program *program, const hpw_question *question, uint64_t capacity,
                              hpw_answer *answer) {
    uint32_t *samples = malloc((program->count + 1) * sizeof *samples);
    replay_arena arena = {NULL, 0};
    replay run;
    hpw_error error = samples ? replay_open(program, question, capacity, &arena, &run) : HPW_NO_MEMORY;
    if (!error) {
        time_operations(&run, samples);
        replay_close(&run);
        error = replay_open(program, question, capacity, &arena, &run);
    }
    if (!error) {
        answer->ops_per_second = run_untimed(&run);
        replay_close(&run);
        qsort(samples, program->count, sizeof *samples, by_value);
        size_t last = program->count ? program->count - 1 : 0;
        answer->has_time = program->count > 0;
        answer->ns_p50 = samples[last / 2];
        answer->ns_p999 = samples[(size_t)((double)last * 0.999)];
        answer->ns_max = samples[last];
    }
    replay_arena_free(&arena);
    free(samples);
    return error;
}

/* ---- Asking ---- */

/* The class of a request's size, where the pool has its own and one that large; else the size. */
static uint64_t slot_size(const hpw_question *question, uint64_t size) {
    for (size_t i = 0; i < HPW_MOST_CLASSES && question->classes[i]; i++)
        if (question->classes[i] >= size) return question->classes[i];
    return size;
}

bool replay_room_add(uint64_t *room, uint32_t granule, uint64_t size, unsigned align_bits) {
    uint64_t most = hpw_max_capacity(granule), alignment = (uint64_t)1 << align_bits;
    if (size >= most || alignment >= most || *room >= most) return false;
    *room += 2 * (size + granule) + alignment; /* a buddy may take twice the size */
    return true;
}

uint64_t replay_room_capacity(uint64_t room, uint32_t granule) {
    uint64_t most = hpw_max_capacity(granule);
    uint64_t power = (uint64_t)granule << bits_width(2 * room / granule); /* whole for buddies too */
    return power < most ? power : most;
}

/* A capacity in which the free end is larger than all else together. */
uint64_t replay_unbounded(const hpw_program *program, const hpw_question *question) {
    uint32_t granule = question->granule;
    uint64_t room = replay_room_least(granule);
    for (size_t i = 0; i < program->count; i++) {
        const operation *op = &program->operations[i];
        if (op->kind == HPW_TRACE_FREE) continue;
        if (!replay_room_add(&room, granule, slot_size(question, op->size), op->align_bits))
            return hpw_max_capacity(granule);
    }
    return replay_room_capacity(room, granule);
}

hpw_error hpw_ask(const hpw_program *program, const hpw_question *question, const atomic_bool *stop,
                  hpw_answer *answer) {
    hpw_question full = *question;
    if (!full.granule) full.granule = program->granule ? program->granule : 16;
    if (full.granule & (full.granule - 1)) return HPW_INVALID_ARGUMENT;
    *answer = (hpw_answer){.capacity = question->capacity};
    uint64_t capacity = full.capacity ? full.capacity : replay_unbounded(program, &full);
    replay_doubt doubt = {.from = UINT64_MAX};
    hpw_error error = run_whole(program, &full, capacity, stop, answer, &doubt);
    if (!error && full.smallest) error = replay_search(program, &full, &doubt, stop, answer);
    if (error) return error;
    uint64_t told = full.capacity ? full.capacity : answer->high_water;
    hpw_config config = config_of(&full, answer->has_smallest ? answer->smallest_pool : told);
    answer->metadata = hpw_metadata_size(&config);
    if (!full.timed) return HPW_OK;
    return measure_time(program, &full, answer->has_smallest ? answer->smallest_pool : capacity, answer);
}
