/* SPDX-License-Identifier: MIT */
/*
 * Small worlds: every sequence of operations, up to a length, on pools of 1 to 8
 * granules, under every policy, order, granule and guard level, against the model
 * (model.h): the same answers, addresses, blocks and counts after each operation,
 * hpw_check, and the bytes of all live blocks.
 *
 *   1. An operation grants a block of 1, 2 or 3 granules, two sizes of which leave
 *      slack, or frees any live block; and, in shorter sequences, resizes any live
 *      block to any of the three.
 *   2. The sequences are walked depth first, and nothing is ever replayed: a pool
 *      in the caller's buffer is nothing but that buffer, so a copy of its bytes,
 *      put back, is the pool as it was.
 *   3. Worlds differ in the way as well: granules of 16 take the policy's short
 *      calls, those of 8, and of 16 with a sink, the general ones.
 *
 * What a few operations on a few granules can't do wrong, the fuzzers look for.
 * Bound: the number of sequences, which is printed.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"
#include "model.h"

#ifdef __SANITIZE_ADDRESS__
enum { DEPTH = 6, DEPTH_WITH_RESIZE = 4 }; /* for ten times the time */
#else
enum { DEPTH = 7, DEPTH_WITH_RESIZE = 5 };
#endif
enum { GRANULES = 8, MOST_BYTES = 64 * 1024, SIZES = 3, MOST_FAULTS = 5 };

typedef struct held_block {
    uint64_t address, size;
    unsigned char mark;
} held_block;

typedef enum verb { ALLOCATE, FREE, RESIZE } verb;

typedef struct operation {
    verb verb;
    unsigned block; /* of those held */
    uint64_t size;
} operation;

/* What is put back before the next operation: the pool, the model, what is held. */
typedef struct moment {
    unsigned char bytes[MOST_BYTES];
    unsigned char model[8 * 1024];
    held_block held[DEPTH];
    unsigned count;
} moment;

typedef struct world {
    hpw_config config;
    bool sinks;
    bool resizes;
    unsigned depth;
    uint64_t sizes[SIZES];
    unsigned char *buffer;
    size_t bytes;
    hpw_pool *pool;
    model *model;
    held_block held[DEPTH];
    unsigned count;
    operation path[DEPTH];
} world;

static moment moments[DEPTH];
static uint64_t sequences, worlds, faults;

/* ---- Telling ---- */

static void tell(const world *w, unsigned length, const char *what, uint64_t got, uint64_t wanted) {
    printf("%s, order %d, guard %d, %u granules of %u%s: %s is %llu, the model says %llu, after",
           w->config.policy, (int)w->config.order, (int)w->config.guard,
           (unsigned)(w->config.capacity / w->config.granule), w->config.granule,
           w->sinks ? " with a sink" : "", what, (unsigned long long)got, (unsigned long long)wanted);
    for (unsigned i = 0; i < length; i++) {
        const operation *op = &w->path[i];
        if (op->verb == ALLOCATE) printf(" allocate(%llu)", (unsigned long long)op->size);
        if (op->verb == FREE) printf(" free(#%u)", op->block);
        if (op->verb == RESIZE) printf(" resize(#%u, %llu)", op->block, (unsigned long long)op->size);
    }
    printf("\n");
}

/* True where they are the same. */
static bool same(const world *w, unsigned length, const char *what, uint64_t got, uint64_t wanted) {
    if (got == wanted) return true;
    if (faults++ < MOST_FAULTS) tell(w, length, what, got, wanted);
    return false;
}

/* ---- Comparing ---- */

static bool same_stats(const world *w, unsigned length) {
    static const struct {
        const char *name;
        size_t at;
    } fields[] = {
        {"capacity", offsetof(hpw_stats, capacity)},
        {"in_use", offsetof(hpw_stats, in_use)},
        {"granted", offsetof(hpw_stats, granted)},
        {"live_blocks", offsetof(hpw_stats, live_blocks)},
        {"free_blocks", offsetof(hpw_stats, free_blocks)},
        {"free", offsetof(hpw_stats, free)},
        {"largest_free", offsetof(hpw_stats, largest_free)},
        {"peak_in_use", offsetof(hpw_stats, peak_in_use)},
        {"peak_granted", offsetof(hpw_stats, peak_granted)},
        {"high_water", offsetof(hpw_stats, high_water)},
        {"allocations", offsetof(hpw_stats, allocations)},
        {"frees", offsetof(hpw_stats, frees)},
        {"reallocations", offsetof(hpw_stats, reallocations)},
        {"failures", offsetof(hpw_stats, failures)},
#ifdef HPW_NONE
        {"quarantined", offsetof(hpw_stats, quarantined)},
#endif
    };
    hpw_stats got, wanted;
    hpw_get_stats(w->pool, &got);
    model_stats(w->model, &wanted);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        uint64_t a, b;
        memcpy(&a, (const char *)&got + fields[i].at, sizeof a);
        memcpy(&b, (const char *)&wanted + fields[i].at, sizeof b);
        if (!same(w, length, fields[i].name, a, b)) return false;
    }
    return true;
}

static bool same_blocks(const world *w, unsigned length) {
    uint64_t cursor = 0, expected = 0;
    hpw_block got, wanted;
    while (model_next_block(w->model, &expected, &wanted)) {
        if (!same(w, length, "there is another block", hpw_next_block(w->pool, &cursor, &got), true) ||
            !same(w, length, "a block's address", got.address, wanted.address) ||
            !same(w, length, "a block's size", got.size, wanted.size) ||
            !same(w, length, "a block's life", got.live, wanted.live) ||
            !same(w, length, "a block's requested size", got.requested, wanted.requested))
            return false;
    }
    return same(w, length, "there is another block", hpw_next_block(w->pool, &cursor, &got), false);
}

/* What each granule's address is to free, realloc and size, and to owner. */
static bool same_addresses(const world *w, unsigned length) {
    for (uint64_t address = 0; address <= w->config.capacity; address += w->config.granule) {
        uint64_t a = 0, b = 0, c = 0, d = 0;
        hpw_error got = hpw_size(w->pool, address, &a, &b, NULL),
                  wanted = model_size(w->model, address, &c, &d);
        if (!same(w, length, "what size answers", got, wanted) || !same(w, length, "the granted size", b, d))
            return false;
        got = hpw_owner(w->pool, address, &a, &b, NULL);
        wanted = model_owner(w->model, address, &c, &d);
        if (!same(w, length, "what owner answers", got, wanted) || !same(w, length, "a block's start", a, c))
            return false;
    }
    return true;
}

static bool holds(const world *w, const held_block *block, uint64_t bytes) {
    const unsigned char *at = hpw_pointer(w->pool, block->address);
    for (uint64_t i = 0; i < bytes; i++)
        if (at[i] != block->mark) return false;
    return true;
}

static bool same_bytes(const world *w, unsigned length) {
    for (unsigned i = 0; i < w->count; i++)
        if (!same(w, length, "a block holds its bytes", holds(w, &w->held[i], w->held[i].size), true))
            return false;
    return true;
}

static bool sound(const world *w, unsigned length) {
    hpw_report report = {0};
    if (hpw_check(w->pool, &report) && faults < MOST_FAULTS)
        printf("%s at %llu\n", report.what, (unsigned long long)report.address);
    return same(w, length, "hpw_check", report.error, HPW_OK);
}

/* ---- One operation ---- */

static void hold(world *w, unsigned i, uint64_t address, uint64_t size, unsigned char mark) {
    w->held[i] = (held_block){.address = address, .size = size, .mark = mark};
    memset(hpw_pointer(w->pool, address), mark, size);
}

static bool allocate(world *w, unsigned length, uint64_t size) {
    uint64_t got = 0, wanted = 0;
    hpw_error error = hpw_allocate(w->pool, size, 0, &got, NULL);
    if (!same(w, length, "what allocate answers", error, model_allocate(w->model, size, 0, &wanted)) ||
        !same(w, length, "the address", got, wanted))
        return false;
    if (!error) hold(w, w->count++, got, size, (unsigned char)(length * 31 + 7));
    return true;
}

static bool release(world *w, unsigned length, unsigned i) {
    uint64_t address = w->held[i].address;
    w->held[i] = w->held[--w->count];
    return same(w, length, "what free answers", hpw_release(w->pool, address, NULL),
                model_release(w->model, address));
}

static bool resize(world *w, unsigned length, unsigned i, uint64_t size) {
    held_block *block = &w->held[i];
    uint64_t got = 0, wanted = 0;
    hpw_error error = hpw_resize(w->pool, block->address, size, &got, NULL);
    if (!same(w, length, "what resize answers", error,
              model_resize(w->model, block->address, size, &wanted)) ||
        !same(w, length, "the new address", got, wanted))
        return false;
    if (error) return true;
    block->address = got;
    if (!same(w, length, "resize keeps the bytes", holds(w, block, size < block->size ? size : block->size),
              true))
        return false;
    hold(w, i, got, size, block->mark);
    return true;
}

static bool run(world *w, unsigned length, operation op) {
    if (op.verb == ALLOCATE && !allocate(w, length, op.size)) return false;
    if (op.verb == FREE && !release(w, length, op.block)) return false;
    if (op.verb == RESIZE && !resize(w, length, op.block, op.size)) return false;
    return same_stats(w, length) && same_blocks(w, length) && same_addresses(w, length) &&
           same_bytes(w, length) && sound(w, length);
}

/* ---- Every sequence ---- */

static void keep(const world *w, moment *m) {
    memcpy(m->bytes, w->buffer, w->bytes);
    memcpy(m->model, w->model, model_bytes(w->model));
    memcpy(m->held, w->held, sizeof m->held);
    m->count = w->count;
}

static void put_back(world *w, const moment *m) {
    memcpy(w->buffer, m->bytes, w->bytes);
    memcpy(w->model, m->model, model_bytes(w->model));
    memcpy(w->held, m->held, sizeof m->held);
    w->count = m->count;
}

static void walk(world *w, unsigned length);

static void step(world *w, unsigned length, operation op) {
    w->path[length] = op;
    sequences++;
    if (run(w, length + 1, op) && length + 1 < w->depth) walk(w, length + 1);
    put_back(w, &moments[length]);
}

/* All that can come after `length` operations. */
static void walk(world *w, unsigned length) {
    keep(w, &moments[length]);
    unsigned count = w->count;
    for (unsigned i = 0; i < SIZES; i++) step(w, length, (operation){.verb = ALLOCATE, .size = w->sizes[i]});
    for (unsigned block = 0; block < count; block++) {
        step(w, length, (operation){.verb = FREE, .block = block});
        for (unsigned i = 0; i < SIZES && w->resizes; i++)
            step(w, length, (operation){.verb = RESIZE, .block = block, .size = w->sizes[i]});
    }
}

/* ---- Every world ---- */

static void ignore(void *ud, const hpw_event *event) { (void)ud, (void)event; }

static bool open_world(world *w) {
    static unsigned char buffer[MOST_BYTES];
    hpw_error error;
    w->bytes = hpw_metadata_size(&w->config) + (size_t)w->config.capacity;
    w->buffer = buffer;
    if (!CHECK(w->bytes <= sizeof buffer)) return false;
    memset(buffer, 0, sizeof buffer);
    w->pool = hpw_open_in(buffer, w->bytes, &w->config, &error);
    if (!CHECK(w->pool != NULL)) return false;
    w->model = model_open(&w->config, hpw_pointer(w->pool, 0), false);
    w->count = 0;
    if (w->sinks) hpw_set_sink(w->pool, ignore, NULL);
    return CHECK(!w->model->told) && CHECK(model_bytes(w->model) <= sizeof moments->model);
}

static void explore(world w, bool resizes, unsigned depth) {
    w.resizes = resizes;
    w.depth = depth;
    if (open_world(&w)) walk(&w, 0);
    hpw_close(w.pool);
    free(w.model);
    worlds++;
}

/* 1 granule and 2, with slack in them; 3 without. In guard full, a red zone more. */
static void explore_granules(hpw_config config) {
    bool usual = config.granule == 16 && config.guard == HPW_GUARD_CHECK;
    for (uint64_t granules = 1; granules <= GRANULES; granules++) {
        config.capacity = granules * config.granule;
        if (config.order == HPW_ORDER_RANDOM) config.seed = granules;
        world w = {.config = config,
                   .sizes = {config.granule - 7, config.granule + 3, 3 * (uint64_t)config.granule}};
        explore(w, false, DEPTH);
        explore(w, true, usual ? DEPTH_WITH_RESIZE + 1 : DEPTH_WITH_RESIZE);
        w.sinks = true;
        if (config.granule == 16) explore(w, true, DEPTH_WITH_RESIZE);
    }
}

static void explore_guards(hpw_config config) {
    for (int guard = HPW_GUARD_OFF; guard <= HPW_GUARD_CHECK; guard++) {
        config.guard = (hpw_guard)guard;
        explore_granules(config);
    }
#ifdef HPW_NONE
    config.guard = HPW_GUARD_FULL;
    explore_granules(config);
    config.red_zone = config.quarantine = HPW_NONE;
    explore_granules(config);
    config.quarantine = 4 * (uint64_t)config.granule;
    explore_granules(config);
#endif
}

int main(void) {
    for (size_t i = 0; hpw_policy_at(i); i++) {
        const hpw_policy_info *info = hpw_policy_at(i);
        for (int order = HPW_ORDER_ADDRESS; order < (info->takes_order ? HPW_ORDER_COUNT : 1); order++) {
            hpw_config config = {.policy = info->name, .order = (hpw_order)order, .single_threaded = true};
            config.granule = 16;
            explore_guards(config);
            config.granule = 8; /* which first fit by time does not take */
            if (hpw_metadata_size(&(hpw_config){
                    .policy = info->name, .order = (hpw_order)order, .granule = 8, .capacity = 8}))
                explore_guards(config);
        }
    }
    printf("%llu sequences in %llu worlds\n", (unsigned long long)sequences, (unsigned long long)worlds);
    CHECK_EQ(faults, 0);
    CHECK(sequences > 1000000);
    return CHECK_DONE();
}
