/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: the C interface. The input is a configuration (every policy,
 * order, granule and guard; mapped, growing, in a caller's buffer; locks, caches
 * of threads, a sink) and then calls, right ones and wrong ones: blocks that are
 * held, and any address and any size at all.
 *
 * Each call's answer and its address are held against the model of spec/c (told,
 * where the policy is not known address by address), every byte that was written
 * against a copy of it, and now and then all blocks, all counts and hpw_check.
 *
 *      sh .cmake/fuzz.sh pool 60
 */
#include <sanitizer/asan_interface.h>
#include <string.h>

#include "../c/model.h"
#include "config_input.h"

enum { MOST_HELD = 512, MOST_BYTES = 1 << 20, MOST_GRANULES = 4096, MOST_CALLS = 600 };

/* Buffers lie in an arena that is aligned more than is asked for mostly, so that a run can be repeated. */
enum { ARENA = 2 << 20, EDGE = 64 };
static _Alignas(1 << 20) unsigned char arena[ARENA];

/* What is known of a byte of the pool; and the byte. */
enum { UNWRITTEN, UNKNOWN, KNOWN };
static unsigned char copy[8 << 20], state[8 << 20];

typedef struct trial {
    input in;
    hpw_config config;
    hpw_pool *pool;
    model *model;
    uint64_t most; /* bytes that the pool may have */
    uint64_t held[MOST_HELD];
    unsigned count;
    int locked;
    int64_t told_live; /* by the sink */
    bool sinks;
} trial;

/* ---- Configuration ---- */

static void sink(void *ud, const hpw_event *event) {
    trial *t = ud;
    if (event->kind == HPW_EVENT_ALLOC) t->told_live++;
    if (event->kind == HPW_EVENT_FREE) t->told_live--;
}

static void draw_capacity(trial *t) {
    uint32_t granule = t->config.granule ? t->config.granule : 16;
    uint64_t most = MOST_BYTES / granule < MOST_GRANULES ? MOST_BYTES / granule : MOST_GRANULES;
    uint64_t granules = 1 + take_below(&t->in, 64);
    if (take_byte(&t->in) & 1) granules += take_bytes(&t->in, 2) % most;
    if (granules > most) granules = most;
    t->config.capacity = granules * granule + take_byte(&t->in) % granule;
    if (take_byte(&t->in) % 4 == 0)
        t->config.max_capacity = t->config.capacity + (uint64_t)take_below(&t->in, 5) * 256 * granule;
}

/* As it came: no crash, and an answer why not. */
static void open_unmended(const hpw_config *config) {
    hpw_error error = HPW_OK;
    hpw_pool *pool = hpw_open(config, &error);
    DEMAND((pool != NULL) == (error == HPW_OK));
    hpw_close(pool);
}

/* In the arena, with nothing to be touched before and behind. */
static hpw_pool *open_in_arena(const hpw_config *config, size_t off, hpw_error *error) {
    size_t need = hpw_metadata_size(config) + (size_t)config->capacity;
    DEMAND(hpw_metadata_size(config) && EDGE + off + need + EDGE <= sizeof arena);
    unsigned char *buffer = arena + EDGE + off;
    ASAN_UNPOISON_MEMORY_REGION(arena, sizeof arena);
    ASAN_POISON_MEMORY_REGION(arena, EDGE + off);
    ASAN_POISON_MEMORY_REGION(buffer + need, EDGE);
    DEMAND(!hpw_open_in(buffer, need / 2, config, error) || *error == HPW_OK);
    return hpw_open_in(buffer, need, config, error);
}

static void open_pool(trial *t) {
    uint8_t where = take_byte(&t->in);
    bool mapped = where & 1;
    hpw_error error = HPW_OK;
    if (where >= 192) open_unmended(&t->config);
    mend_config(&t->config, mapped);
    t->pool = mapped ? hpw_open(&t->config, &error) : open_in_arena(&t->config, where / 2 % 32, &error);
    DEMAND(t->pool && error == HPW_OK);
    t->model = model_open(&t->config, hpw_pointer(t->pool, 0), mapped);
    tell_config(&t->config, mapped ? "mapped" : "in a buffer");
    t->most = (uint64_t)t->model->most << t->model->shift;
    DEMAND(t->most <= sizeof copy);
    t->sinks = take_byte(&t->in) & 1;
    if (t->sinks) hpw_set_sink(t->pool, sink, t);
}

/* ---- Numbers ---- */

static uint64_t draw_size(trial *t) {
    uint8_t kind = take_byte(&t->in);
    uint64_t granule = (uint64_t)1 << t->model->shift;
    if (kind < 96) return kind;
    if (kind < 160) return (kind - 95) * granule;
    if (kind < 192) return take_bytes(&t->in, 2);
    if (kind < 224) return t->most / (kind - 191) - (kind & 1);
    if (kind < 248) return (uint64_t)(1 + take_byte(&t->in)) * 64 * granule / 16 - (kind & 1);
    return take_any(&t->in);
}

static uint64_t draw_alignment(trial *t) {
    uint8_t kind = take_byte(&t->in);
    return kind < 16 ? take_any(&t->in) : (uint64_t)1 << kind % 20;
}

static uint64_t held_block(trial *t) { return t->count ? t->held[take_byte(&t->in) % t->count] : 0; }

/* A block's, one inside of it or near its end, a granule's, any. */
static uint64_t draw_address(trial *t) {
    uint8_t kind = take_byte(&t->in);
    if (kind < 64) return held_block(t);
    if (kind < 128) return held_block(t) + (kind - 64);
    if (kind < 192) return (uint64_t)take_below(&t->in, t->model->most + 2) << t->model->shift;
    if (kind < 240) return t->most - 64 + take_byte(&t->in);
    return take_any(&t->in);
}

/* ---- The bytes ---- */

UNCOUNTED static bool is_as_written(const unsigned char *bytes, uint64_t address, uint64_t size) {
    for (uint64_t i = 0; i < size; i++)
        if (state[address + i] == KNOWN && bytes[i] != copy[address + i]) return false;
    return true;
}

/* The block of `size` bytes at `address` is as it was written. */
static void see_bytes(const trial *t, uint64_t address, uint64_t size) {
    const unsigned char *bytes = hpw_pointer(t->pool, address);
    for (uint64_t i = 0; i < size; i++) DEMAND(state[address + i] != KNOWN || bytes[i] == copy[address + i]);
}

static void see_all_bytes(const trial *t) {
    for (unsigned i = 0; i < t->count; i++) {
        uint64_t size = 0, granted = 0;
        DEMAND(!model_size(t->model, t->held[i], &size, &granted));
        see_bytes(t, t->held[i], size);
    }
}

static void know(uint64_t address, const void *bytes, uint64_t n) {
    memcpy(copy + address, bytes, n);
    memset(state + address, KNOWN, n);
}

/* Bytes that have just been granted; `bytes` of a pointer call count as written. */
static void begin_bytes(trial *t, uint64_t address, uint64_t from, uint64_t size, bool by_pointer) {
    if (size <= from) return;
    memset(state + address + from, by_pointer ? UNKNOWN : UNWRITTEN, size - from);
    uint8_t mark = take_byte(&t->in);
    if (mark & 1) return;
    DEMAND(hpw_fill(t->pool, address + from, mark, size - from, NULL) == HPW_OK);
    memset(copy + address + from, mark, size - from);
    memset(state + address + from, KNOWN, size - from);
}

static bool is_full(const trial *t) { return t->model->full; }

/* May [address, address + n) be read, of which model_reach says yes? */
static hpw_error read_of(const trial *t, uint64_t address, uint64_t n) {
    (void)is_full;
#ifdef HPW_NONE
    for (uint64_t i = 0; i < n && is_full(t); i++)
        if (state[address + i] == UNWRITTEN) return HPW_UNINITIALISED;
#endif
    (void)t, (void)address, (void)n;
    return HPW_OK;
}

static hpw_error may_read(const trial *t, uint64_t address, uint64_t n) {
    hpw_error error = model_reach(t->model, address, n);
    return error ? error : read_of(t, address, n);
}

/* ---- Allocate and free ---- */

/* A told pool has grown, before the model is asked; or shrunk, after. */
static void follow_capacity(trial *t, bool shrunk) {
    hpw_stats now;
    if (!t->model->told) return;
    hpw_get_stats(t->pool, &now);
    bool larger = now.capacity >> t->model->shift > t->model->capacity;
    if (larger != shrunk) model_set_capacity(t->model, now.capacity);
}

static void tell(trial *t, hpw_error error, uint64_t address) {
    follow_capacity(t, false);
    t->model->answer = (model_answer){.error = error, .address = address};
    if (!error) DEMAND(!hpw_size(t->pool, address, NULL, &t->model->answer.granted, NULL));
}

/* Held against the model; true where a block was granted. */
static bool granted(trial *t, hpw_error error, uint64_t address, uint64_t size, uint64_t alignment) {
    uint64_t wanted = 0;
    tell(t, error, address);
    hpw_error answer = model_allocate(t->model, size, alignment, &wanted);
    TELL("allocate(%llu, %llu): %s %llu; the model: %s %llu\n", (unsigned long long)size,
         (unsigned long long)alignment, hpw_error_name(error), (unsigned long long)address,
         hpw_error_name(answer), (unsigned long long)wanted);
    DEMAND(error == answer);
    if (error) return false;
    DEMAND(address == wanted);
    DEMAND(t->count < MOST_HELD);
    t->held[t->count++] = address;
    return true;
}

/* Nothing is allocated where too much is held already. */
static bool is_laden(const trial *t) { return t->count == MOST_HELD; }

static void call_allocate(trial *t) {
    uint64_t size = draw_size(t), alignment = take_byte(&t->in) & 1 ? draw_alignment(t) : 0, address = 0;
    if (is_laden(t)) return;
    hpw_error error = hpw_allocate(t->pool, size, alignment, &address, NULL);
    if (granted(t, error, address, size, alignment)) begin_bytes(t, address, 0, size, false);
}

static hpw_error address_of(const trial *t, const void *block, uint64_t *address) {
    *address = block ? hpw_address(t->pool, block) : 0;
    return block ? HPW_OK : HPW_NO_MEMORY;
}

static void call_malloc(trial *t) {
    uint64_t size = draw_size(t), address;
    if (is_laden(t)) return;
    hpw_error error = address_of(t, hpw_malloc(t->pool, (size_t)size), &address);
    if (granted(t, error, address, size, 0)) begin_bytes(t, address, 0, size, true);
}

static void call_calloc(trial *t) {
    uint64_t size = draw_size(t), count = take_byte(&t->in) & 1 ? take_below(&t->in, 8) : take_any(&t->in),
             address;
    if (is_laden(t)) return;
    hpw_error error = address_of(t, hpw_calloc(t->pool, (size_t)count, (size_t)size), &address);
    if (size && count > SIZE_MAX / size) {
        DEMAND(error);
        model_refuse(t->model);
        return;
    }
    if (!granted(t, error, address, count * size, 0)) return;
    memset(copy + address, 0, count * size);
    memset(state + address, KNOWN, count * size);
    see_bytes(t, address, count * size);
}

static void call_aligned_alloc(trial *t) {
    uint64_t size = draw_size(t), alignment = draw_alignment(t), address;
    if (is_laden(t)) return;
    hpw_error error = address_of(t, hpw_aligned_alloc(t->pool, (size_t)alignment, (size_t)size), &address);
    if (!alignment || (alignment & (alignment - 1))) {
        DEMAND(error);
        return;
    }
    if (!granted(t, error, address, size, alignment)) return;
    DEMAND(((uintptr_t)hpw_pointer(t->pool, 0) + address) % alignment == 0);
    begin_bytes(t, address, 0, size, true);
}

static void let_go(trial *t, uint64_t address) {
    unsigned i = 0;
    while (i < t->count && t->held[i] != address) i++;
    DEMAND(i < t->count);
    t->held[i] = t->held[--t->count];
}

static void released(trial *t, hpw_error error, hpw_error wanted, uint64_t address) {
    TELL("release(%llu): %s; the model: %s\n", (unsigned long long)address, hpw_error_name(error),
         hpw_error_name(wanted));
    DEMAND(error == wanted);
    if (!error) let_go(t, address);
}

static void *pointer_to(const trial *t, uint64_t address) {
    return (void *)((uintptr_t)hpw_pointer(t->pool, 0) + (uintptr_t)address);
}

/* Before a block goes: its bytes are there still. */
static void see_block(const trial *t, uint64_t address) {
    uint64_t size = 0, granted_size = 0;
    if (!model_size(t->model, address, &size, &granted_size)) see_bytes(t, address, size);
}

static void call_release(trial *t) {
    uint64_t address = take_byte(&t->in) & 3 ? held_block(t) : draw_address(t);
    see_block(t, address);
    hpw_report report = {0};
    hpw_error error = hpw_release(t->pool, address, &report);
    DEMAND(!error || (report.error == error && report.address == address && report.what));
    released(t, error, model_release(t->model, address), address);
}

static void call_free(trial *t) {
    uint64_t address = take_byte(&t->in) & 3 ? held_block(t) : draw_address(t);
    if (!pointer_to(t, address)) {
        DEMAND(hpw_free(t->pool, NULL) == HPW_OK);
        return;
    }
    released(t, hpw_free(t->pool, pointer_to(t, address)), model_release(t->model, address), address);
}

static void call_free_sized(trial *t) {
    uint64_t address = take_byte(&t->in) & 3 ? held_block(t) : draw_address(t), size = 0, granted_size;
    bool known = !model_size(t->model, address, &size, &granted_size);
    if (!known || take_byte(&t->in) % 4 == 0) size = draw_size(t);
    if (!pointer_to(t, address)) return;
    released(t, hpw_free_sized(t->pool, pointer_to(t, address), (size_t)size),
             model_release_sized(t->model, address, size), address);
}

/* ---- Resize ---- */

static void resized(trial *t, hpw_error error, uint64_t address, uint64_t moved, uint64_t size,
                    bool by_pointer) {
    uint64_t wanted = 0, old = 0, old_granted = 0;
    bool was_live = !model_size(t->model, address, &old, &old_granted);
    tell(t, error, moved);
    hpw_error answer = model_resize(t->model, address, size, &wanted);
    TELL("resize(%llu, %llu): %s %llu; the model: %s %llu\n", (unsigned long long)address,
         (unsigned long long)size, hpw_error_name(error), (unsigned long long)moved, hpw_error_name(answer),
         (unsigned long long)wanted);
    DEMAND(error == (by_pointer && answer ? HPW_NO_MEMORY : answer));
    if (error) {
        if (was_live) see_bytes(t, address, old);
        return;
    }
    DEMAND(moved == wanted);
    uint64_t kept = old < size ? old : size;
    memmove(copy + moved, copy + address, kept);
    memmove(state + moved, state + address, kept);
    for (uint64_t i = 0; i < kept && by_pointer; i++) /* of such a block all counts as written */
        if (state[moved + i] == UNWRITTEN) state[moved + i] = UNKNOWN;
    see_bytes(t, moved, kept);
    let_go(t, address);
    t->held[t->count++] = moved;
    begin_bytes(t, moved, kept, size, by_pointer);
}

static void call_resize(trial *t) {
    uint64_t address = take_byte(&t->in) & 3 ? held_block(t) : draw_address(t), size = draw_size(t),
             moved = 0;
    hpw_error error = hpw_resize(t->pool, address, size, &moved, NULL);
    resized(t, error, address, moved, size, false);
}

static void call_realloc(trial *t) {
    uint64_t address = take_byte(&t->in) & 3 ? held_block(t) : draw_address(t), size = draw_size(t), moved;
    if (!pointer_to(t, address)) return;
    hpw_error error = address_of(t, hpw_realloc(t->pool, pointer_to(t, address), (size_t)size), &moved);
    resized(t, error, address, moved, size, true);
}

/* ---- Access ---- */

static uint64_t draw_length(trial *t) {
    uint8_t kind = take_byte(&t->in);
    return kind < 200 ? kind % 70 : kind < 250 ? take_bytes(&t->in, 2) : take_any(&t->in);
}

static void call_read(trial *t) {
    static unsigned char bytes[MOST_BYTES * 3];
    uint64_t address = draw_address(t), n = draw_length(t);
    hpw_error error = hpw_read(t->pool, address, bytes, (size_t)n, NULL);
    DEMAND(error == may_read(t, address, n));
    if (!error) DEMAND(is_as_written(bytes, address, n));
}

static void call_write(trial *t) {
    static unsigned char bytes[MOST_BYTES * 3];
    uint64_t address = draw_address(t), n = draw_length(t);
    hpw_error wanted = model_reach(t->model, address, n);
    if (!wanted) memset(bytes, take_byte(&t->in), n);
    DEMAND(hpw_write(t->pool, address, bytes, (size_t)n, NULL) == wanted);
    if (!wanted) know(address, bytes, n);
}

static void call_fill(trial *t) {
    uint64_t address = draw_address(t), n = draw_length(t);
    uint8_t byte = take_byte(&t->in);
    hpw_error wanted = model_reach(t->model, address, n);
    DEMAND(hpw_fill(t->pool, address, byte, n, NULL) == wanted);
    if (wanted) return;
    memset(copy + address, byte, n);
    memset(state + address, KNOWN, n);
}

/* Of two ranges either may be wrong; which of two faults is told is not the model's to say. */
static void call_copy(trial *t) {
    uint64_t to = draw_address(t), from = draw_address(t), n = draw_length(t);
    hpw_error error = hpw_copy(t->pool, to, from, n, NULL);
    hpw_error wrong_to = model_reach(t->model, to, n), wrong_from = model_reach(t->model, from, n);
    DEMAND(error == wrong_to || error == wrong_from);
    DEMAND(!error == (!wrong_to && !wrong_from));
    if (error) return;
    memmove(copy + to, copy + from, n);
    memmove(state + to, state + from, n);
    see_bytes(t, to, n);
}

UNCOUNTED static bool all_known(uint64_t address, uint64_t n) {
    for (uint64_t i = 0; i < n; i++)
        if (state[address + i] != KNOWN) return false;
    return true;
}

static void call_compare(trial *t) {
    uint64_t a = draw_address(t), b = draw_address(t), n = draw_length(t);
    int order = 99;
    hpw_error error = hpw_compare(t->pool, a, b, n, &order, NULL);
    hpw_error wrong_a = may_read(t, a, n), wrong_b = may_read(t, b, n);
    DEMAND(error == wrong_a || error == wrong_b);
    DEMAND(!error == (!wrong_a && !wrong_b));
    if (error || !all_known(a, n) || !all_known(b, n)) return;
    int wanted = n ? memcmp(copy + a, copy + b, n) : 0;
    DEMAND(order == (wanted > 0) - (wanted < 0));
}

/* Load, store, add or exchange. */
static void call_word(trial *t) {
    uint64_t address = draw_address(t), value = take_any(&t->in), got = 0, was = 0;
    uint8_t verb = take_byte(&t->in) % 4;
    if (take_byte(&t->in) & 3) address &= ~(uint64_t)7;
    hpw_error wanted = verb == 1 ? model_reach(t->model, address, 8) : may_read(t, address, 8), error;
    bool exchanged = false, known = !wanted && all_known(address, 8);
    if (address % 8) wanted = HPW_INVALID_ARGUMENT;
    if (!wanted) memcpy(&was, copy + address, 8);
    got = was;
    if (verb == 0) error = hpw_load(t->pool, address, &got, NULL);
    if (verb == 1) error = hpw_store(t->pool, address, value, NULL);
    if (verb == 2) error = hpw_fetch_add(t->pool, address, value, &got, NULL);
    if (verb == 3) error = hpw_compare_exchange(t->pool, address, &got, value, &exchanged, NULL);
    DEMAND(error == wanted);
    if (error) return;
    if (verb != 1 && known) DEMAND(got == was);
    if (verb == 3 && known) DEMAND(exchanged);
    if (verb == 1 || (verb && known) || (verb == 3 && exchanged)) {
        uint64_t now = verb == 2 ? was + value : value;
        know(address, &now, 8);
    } else if (verb) {
        memset(state + address, UNKNOWN, 8); /* a word is written whole */
    }
}

/* ---- Questions ---- */

static void call_ask(trial *t) {
    uint64_t address = draw_address(t), a = 0, b = 0, c = 0, d = 0;
    DEMAND(hpw_size(t->pool, address, &a, &b, NULL) == model_size(t->model, address, &c, &d));
    DEMAND(a == c && b == d);
    if (pointer_to(t, address)) DEMAND(hpw_usable_size(t->pool, pointer_to(t, address)) == d);
    a = b = c = d = 0;
    DEMAND(hpw_owner(t->pool, address, &a, &b, NULL) == model_owner(t->model, address, &c, &d));
    DEMAND(a == c && b == d);
    DEMAND((hpw_pointer(t->pool, address) != NULL) ==
           (address < (uint64_t)t->model->capacity << t->model->shift));
}

static void same_stats(trial *t) {
    hpw_stats got, wanted;
    hpw_get_stats(t->pool, &got);
    model_stats(t->model, &wanted);
    DEMAND(got.capacity == wanted.capacity);
    DEMAND(got.in_use == wanted.in_use);
    DEMAND(got.granted == wanted.granted);
    DEMAND(got.live_blocks == wanted.live_blocks);
    DEMAND(got.free == wanted.free);
    DEMAND(got.allocations == wanted.allocations);
    DEMAND(got.frees == wanted.frees);
    DEMAND(got.reallocations == wanted.reallocations);
    DEMAND(got.failures == wanted.failures);
#ifdef HPW_NONE
    DEMAND(got.quarantined == wanted.quarantined);
#endif
    if (t->sinks) DEMAND(t->told_live == (int64_t)got.live_blocks);
    if (t->config.thread_caches) return; /* peaks are of the moments when a cache met the pool */
    DEMAND(got.peak_in_use == wanted.peak_in_use);
    DEMAND(got.peak_granted == wanted.peak_granted);
    DEMAND(got.high_water == wanted.high_water);
    if (t->model->told) return;
    DEMAND(got.free_blocks == wanted.free_blocks);
    DEMAND(got.largest_free == wanted.largest_free);
}

/* The next block that is worth comparing: of a told pool a live one. */
static bool next_of(const trial *t, bool of_model, uint64_t *cursor, hpw_block *block) {
    bool any;
    do any = of_model ? model_next_block(t->model, cursor, block) : hpw_next_block(t->pool, cursor, block);
    while (any && t->model->told && !block->live);
    return any;
}

static void same_blocks(const trial *t) {
    uint64_t cursor = 0, expected = 0;
    hpw_block got, wanted;
    while (next_of(t, true, &expected, &wanted)) {
        DEMAND(next_of(t, false, &cursor, &got));
        DEMAND(got.address == wanted.address && got.size == wanted.size);
        DEMAND(got.live == wanted.live && got.requested == wanted.requested);
    }
    DEMAND(!next_of(t, false, &cursor, &got));
}

static void see_all(trial *t) {
    hpw_report report = {0};
    same_stats(t);
    same_blocks(t);
    if (hpw_check(t->pool, &report))
        fprintf(stderr, "%s at %llu\n", report.what, (unsigned long long)report.address);
    DEMAND(report.error == HPW_OK);
    see_all_bytes(t);
}

/* ---- The pool as a whole ---- */

static void call_reset(trial *t) {
    if (take_byte(&t->in) & 3) return;
    DEMAND(hpw_reset(t->pool) == HPW_OK);
    model_reset(t->model);
    t->count = 0;
}

static void call_trim(trial *t) {
    hpw_trim(t->pool);
    model_trim(t->model);
}

/* ---- All of it ---- */

static void call(trial *t) {
    static void (*const calls[])(trial *) = {
        call_allocate, call_allocate,      call_malloc,  call_malloc,  call_malloc,
        call_calloc,   call_aligned_alloc, call_release, call_release, call_free,
        call_free,     call_free_sized,    call_resize,  call_resize,  call_realloc,
        call_read,     call_write,         call_fill,    call_copy,    call_compare,
        call_word,     call_ask,           see_all,      call_reset,   call_trim,
    };
    calls[take_byte(&t->in) % (sizeof calls / sizeof *calls)](t);
    follow_capacity(t, true);
    if (t->model->wrong) fprintf(stderr, "%s\n", t->model->wrong);
    DEMAND(!t->model->wrong);
    DEMAND(t->locked == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    trial t = {.in = {bytes, n}};
    draw_config(&t.in, &t.config, &t.locked);
    draw_capacity(&t);
    open_pool(&t);
    for (unsigned calls = 0; t.in.left && calls < MOST_CALLS; calls++) {
        call(&t);
        if (calls % 16 == 0 && t.model->capacity < 300) see_all(&t);
    }
    see_all(&t);
    while (t.count) {
        uint64_t address = t.held[0];
        released(&t, hpw_release(t.pool, address, NULL), model_release(t.model, address), address);
        follow_capacity(&t, true);
    }
    see_all(&t);
    hpw_close(t.pool);
    free(t.model);
    return 0;
}
