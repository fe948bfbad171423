/* SPDX-License-Identifier: MIT */
/*
 * One replay that tells what lies where: see history.h.
 *
 * What an operation granted is read off the pool's counts: the bytes granted after it
 * less those before it. So a rectangle costs no look into the block map.
 */
#include "history.h"

#include <stdlib.h>

#include "pool.h"
#include "replay_run.h"

enum { STOP_EVERY = 65536, FREE_LOOKS = 1 << 20 };

typedef struct telling {
    const hpw_program *program;
    const hpw_history_sink *sink;
    replay run;
    hpw_rectangle *live; /* by slot; born 0: none */
    bool unbounded;
    uint64_t samples, next_sample; /* how many, and the event of the next one; 0: no more */
    uint64_t sampled;              /* how many were */
    uint64_t looked;               /* at blocks, for the largest free one */
    hpw_answer *answer;
} telling;

static bool tell(const telling *t, hpw_rectangle *ended, uint64_t died, bool freed) {
    hpw_rectangle whole = *ended;
    ended->born = 0;
    whole.died = died;
    whole.freed = freed;
    return !t->sink->rectangle || t->sink->rectangle(t->sink->ud, &whole);
}

/* What begins with an operation that was done, where `old` stood before it (born 0: nothing). */
static hpw_rectangle begin(const telling *t, const operation *op, const hpw_rectangle *old, uint64_t number,
                           uint64_t grown) {
    return (hpw_rectangle){
        .address = t->run.addresses[op->slot],
        .granted = (old->born ? old->granted : 0) + grown, /* mod 2^64: it may have shrunk */
        .requested = op->size,
        .block = old->born ? old->block : number,
        .born = number,
        .has_thread = t->program->threads > 0,
        .thread = op->thread,
    };
}

static bool is_same(const hpw_rectangle *a, const hpw_rectangle *b) {
    return a->born && a->address == b->address && a->granted == b->granted && a->requested == b->requested;
}

static bool perform(telling *t, const operation *op, uint64_t number) {
    hpw_pool *pool = t->run.pool;
    hpw_rectangle *slot = &t->live[op->slot];
    uint64_t granted = tally_granted(&pool->counts), failures = t->answer->failures;
    replay_stretch(&t->run, op, 1, false, t->answer, NULL);
    if (t->answer->failures != failures) {
        hpw_refusal refusal = {.event = number, .size = op->size, .resize = op->kind == HPW_TRACE_RESIZE};
        return !t->sink->refusal || t->sink->refusal(t->sink->ud, &refusal);
    }
    if (op->kind == HPW_TRACE_FREE) return !slot->born || tell(t, slot, number, true);
    hpw_rectangle now = begin(t, op, slot, number, tally_granted(&pool->counts) - granted);
    if (is_same(slot, &now)) return true;
    if (slot->born && !tell(t, slot, number, false)) return false;
    *slot = now;
    return true;
}

/* ---- Samples ---- */

/* The largest free block below `end`. O(blocks). */
static uint64_t largest_below(hpw_pool *pool, uint64_t end) {
    uint64_t cursor = 0, largest = 0;
    for (hpw_block block; hpw_next_block(pool, &cursor, &block) && block.address < end;) {
        uint64_t size = block.address + block.size > end ? end - block.address : block.size;
        if (!block.live && size > largest) largest = size;
    }
    return largest;
}

static bool sample(telling *t, uint64_t event) {
    hpw_pool *pool = t->run.pool;
    const tally *counts = &pool->counts;
    uint64_t capacity = pool_bytes(pool, pool->index.map.count);
    hpw_sample s = {
        .event = event,
        .in_use = tally_in_use(counts),
        .granted = tally_granted(counts),
        .high_water = pool_bytes(pool, counts->high_water),
        .live_blocks = counts->allocations - counts->frees,
        .failures = t->answer->failures,
    };
    uint64_t end = t->unbounded ? s.high_water : capacity;
    s.free = end - s.granted;
    s.has_largest = t->looked + counts->blocks <= event + FREE_LOOKS;
    if (s.has_largest) {
        t->looked += counts->blocks;
        s.largest_free = largest_below(pool, end);
    }
    return t->sink->sample(t->sink->ud, &s);
}

static void plan_sample(telling *t) {
    uint64_t count = t->program->count;
    t->next_sample = 0;
    if (t->sampled == t->samples) return;
    uint64_t k = ++t->sampled;
    /* k * count / samples, which itself may not fit */
    t->next_sample = count / t->samples * k + count % t->samples * k / t->samples;
}

/* ---- The whole ---- */

static bool tell_live(telling *t) {
    for (size_t i = 0; i < t->program->slots; i++)
        if (t->live[i].born && !tell(t, &t->live[i], t->program->count + 1, false)) return false;
    return true;
}

static hpw_error run(telling *t, const atomic_bool *stop) {
    const hpw_program *program = t->program;
    replay_moments moments;
    replay_begin_moments(&moments, &t->run, t->unbounded, t->answer);
    for (size_t i = 0; i < program->count; i++) {
        if (i % STOP_EVERY == 0 && stop && *stop) return HPW_LIMIT;
        if (!perform(t, &program->operations[i], i + 1)) return HPW_LIMIT;
        replay_pass_moment(&moments, i + 1, t->answer);
        if (i + 1 != t->next_sample) continue;
        if (!sample(t, i + 1)) return HPW_LIMIT;
        plan_sample(t);
    }
    if (stop && *stop) return HPW_LIMIT; /* also where a policy in Lua raised at the last event */
    return tell_live(t) ? HPW_OK : HPW_LIMIT;
}

hpw_error hpw_history(const hpw_program *program, const hpw_question *question, const hpw_history_sink *sink,
                      const atomic_bool *stop, hpw_answer *answer) {
    hpw_question full = *question;
    if (!full.granule) full.granule = program->granule ? program->granule : 16;
    if (full.granule & (full.granule - 1)) return HPW_INVALID_ARGUMENT;
    *answer = (hpw_answer){.capacity = question->capacity};
    uint64_t capacity = full.capacity ? full.capacity : replay_unbounded(program, &full);
    telling t = {.program = program, .sink = sink, .unbounded = !full.capacity, .answer = answer};
    t.samples = !sink->sample ? 0 : sink->points < program->count ? sink->points : program->count;
    plan_sample(&t);
    t.live = calloc(program->slots + 1, sizeof *t.live);
    hpw_error error = t.live ? replay_open(program, &full, capacity, NULL, &t.run) : HPW_NO_MEMORY;
    if (!error) {
        error = run(&t, stop);
        if (!error) error = replay_conclude(&t.run, capacity, program->count, answer);
        replay_close(&t.run);
    }
    free(t.live);
    return error;
}
