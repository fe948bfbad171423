/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: pools under Lua states. The input is a configuration and then
 * calls of hpw_lua_alloc on up to three accounts of one pool, among them those
 * that a state makes when memory is out (shrinking, which can't fail), limits and
 * headroom that change, blocks of the pool's own beside them, and attempts at the
 * accounts' blocks by their addresses, which must be refused.
 *
 * Every byte is compared, every count kept a second time, every refusal must be
 * counted and have a reason, and when all is closed the pool is as it was.
 *
 *      sh .cmake/fuzz.sh account 60
 */
#include <string.h>

#include "config_input.h"

enum { ACCOUNTS = 3, MOST_BLOCKS = 400, MOST_RAW = 200, MOST_CALLS = 800, MOST_BYTES = 6 << 20 };

typedef struct lua_block {
    unsigned char *at;
    size_t size;
    unsigned kind;
    unsigned char mark;
} lua_block;

typedef struct state {
    hpw_account *account;
    lua_block blocks[MOST_BLOCKS];
    unsigned count;
    uint64_t in_use, peak, limit, reallocations;
    uint64_t of_kind[HPW_LUA_KINDS], blocks_of_kind[HPW_LUA_KINDS];
} state;

typedef struct trial {
    input in;
    hpw_config config;
    int locked;
    hpw_pool *pool;
    unsigned char *buffer;
    state states[ACCOUNTS];
    lua_block raw[MOST_RAW]; /* the pool's own */
    unsigned raw_count;
} trial;

static trial now; /* too large for a stack */

/* ---- Bytes ---- */

UNCOUNTED static void write_bytes(lua_block *block, unsigned char mark) {
    block->mark = mark;
    for (size_t i = 0; i < block->size; i++) block->at[i] = (unsigned char)(mark + i * 7);
}

UNCOUNTED static bool has_bytes(const unsigned char *at, size_t n, unsigned char mark) {
    for (size_t i = 0; i < n; i++)
        if (at[i] != (unsigned char)(mark + i * 7)) return false;
    return true;
}

static void see_bytes(const lua_block *block) { DEMAND(has_bytes(block->at, block->size, block->mark)); }

/* ---- Numbers ---- */

/* Sizes around the bounds: of slots, of claims, of granules, of what it is now. */
static size_t draw_size(trial *t, size_t current) {
    static const size_t bounds[] = {8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384, 65536};
    uint8_t kind = take_byte(&t->in);
    size_t size = take_byte(&t->in);
    if (kind < 64) return size ? size : 1;
    if (kind < 128)
        return bounds[kind % 12] + size % 48 - (size % 48 < bounds[kind % 12] ? size % 48 / 2 : 0);
    if (kind < 160) return (size_t)t->config.granule * (1 + size % 80) - kind % 3;
    if (kind < 192) return current ? current + kind % 3 - (current > 1) : 1;
    if (kind < 224) return 1 + current * size / 256;
    if (kind < 250) return 1 + (size << (kind - 224) % 12);
    return SIZE_MAX - size;
}

/* ---- One state ---- */

static hpw_account_stats stats_of(const state *s) {
    hpw_account_stats stats;
    hpw_get_account_stats(s->account, &stats);
    return stats;
}

static void count(state *s, const lua_block *block, bool in) {
    if (in) {
        s->in_use += block->size;
        s->of_kind[block->kind] += block->size;
        s->blocks_of_kind[block->kind]++;
        if (s->in_use > s->peak) s->peak = s->in_use;
    } else {
        s->in_use -= block->size;
        s->of_kind[block->kind] -= block->size;
        s->blocks_of_kind[block->kind]--;
    }
}

/* It said no: for one reason, which is true where it can be known. */
static void see_refusal(const state *s, const hpw_account_stats *before, size_t more) {
    hpw_account_stats after = stats_of(s);
    uint64_t limit = after.over_limit - before->over_limit, pool = after.over_pool - before->over_pool;
    DEMAND(limit + pool + after.over_headroom - before->over_headroom == 1);
    if (limit) DEMAND(s->in_use + more > s->limit || s->in_use + more < more);
}

static void grant(trial *t, state *s, size_t size) {
    static const size_t tags[HPW_LUA_KINDS] = {0, 4, 5, 6, 7, 8, 9, 10};
    if (s->count == MOST_BLOCKS) return;
    uint8_t kind = take_byte(&t->in);
    lua_block block = {.size = size, .kind = kind % HPW_LUA_KINDS};
    hpw_account_stats before = stats_of(s);
    block.at = hpw_lua_alloc(s->account, NULL, tags[block.kind], size);
    TELL("grant %zu: %p\n", size, (void *)block.at);
    if (!block.at) {
        see_refusal(s, &before, size);
        return;
    }
    DEMAND((uintptr_t)block.at % 8 == 0 && s->in_use + size <= s->limit);
    write_bytes(&block, kind);
    count(s, &block, true);
    s->blocks[s->count++] = block;
}

static void give(state *s, unsigned i) {
    see_bytes(&s->blocks[i]);
    TELL("give %p, %zu\n", (void *)s->blocks[i].at, s->blocks[i].size);
    DEMAND(!hpw_lua_alloc(s->account, s->blocks[i].at, s->blocks[i].size, 0));
    count(s, &s->blocks[i], false);
    s->blocks[i] = s->blocks[--s->count];
}

static void resize(state *s, unsigned i, size_t size) {
    lua_block *block = &s->blocks[i], old = *block;
    hpw_account_stats before = stats_of(s);
    see_bytes(block);
    unsigned char *moved = hpw_lua_alloc(s->account, old.at, old.size, size);
    TELL("resize %p, %zu to %zu: %p\n", (void *)old.at, old.size, size, (void *)moved);
    if (!moved) {
        DEMAND(size > old.size); /* shrinking can't fail */
        see_refusal(s, &before, size - old.size);
        see_bytes(&old);
        return;
    }
    DEMAND(size <= old.size || s->in_use - old.size + size <= s->limit);
    DEMAND(has_bytes(moved, size < old.size ? size : old.size, old.mark));
    count(s, &old, false);
    *block = (lua_block){.at = moved, .size = size, .kind = old.kind};
    count(s, block, true);
    write_bytes(block, old.mark);
    s->reallocations++;
}

static void open_state(trial *t, state *s) {
    hpw_account_config config = {0};
    uint8_t kind = take_byte(&t->in);
    if (kind & 1) config.limit = kind & 2 ? take_bytes(&t->in, 2) : take_bytes(&t->in, 3);
    if (kind & 4) config.headroom = kind & 8 ? take_any(&t->in) : take_bytes(&t->in, 2);
    memset(s, 0, sizeof *s);
    hpw_error error = HPW_OK;
    s->account = hpw_open_account(t->pool, &config, &error);
    DEMAND(s->account ? error == HPW_OK : error == HPW_NO_MEMORY);
    s->limit = config.limit ? config.limit : HPW_NO_LIMIT;
    TELL("account %p, limit %llu\n", (void *)s->account, (unsigned long long)s->limit);
}

static void close_state(state *s, bool drains) {
    if (!s->account) return;
    if (s->count) DEMAND(hpw_close_account(s->account) == HPW_INVALID_ARGUMENT);
    if (s->count && !drains) return;
    while (s->count) give(s, s->count / 2);
    DEMAND(hpw_close_account(s->account) == HPW_OK);
    s->account = NULL;
}

/* ---- The pool beside them ---- */

static bool take_raw(trial *t, size_t size) {
    if (t->raw_count == MOST_RAW) return false;
    lua_block block = {.at = hpw_malloc(t->pool, size), .size = size};
    if (!block.at) return false;
    write_bytes(&block, (unsigned char)t->raw_count);
    t->raw[t->raw_count++] = block;
    return true;
}

static void give_raw(trial *t, unsigned i) {
    see_bytes(&t->raw[i]);
    DEMAND(hpw_free(t->pool, t->raw[i].at) == HPW_OK);
    t->raw[i] = t->raw[--t->raw_count];
}

/* Takes what the pool has, in blocks that are smaller and smaller, so that nothing is left for the states. */
static void take_all(trial *t) {
    for (size_t size = (size_t)t->config.capacity; size >= t->config.granule; size /= 2)
        while (t->raw_count < MOST_RAW - 20 && take_raw(t, size)) {
        }
}

/* Whatever comes by address to a state's block is refused, and changes nothing. */
static void attack(trial *t, const state *s) {
    if (!s->count) return;
    const lua_block *block = &s->blocks[take_byte(&t->in) % s->count];
    uint64_t address =
        hpw_address(t->pool, block->at) + (take_byte(&t->in) & 1 ? take_byte(&t->in) % block->size : 0);
    if (take_byte(&t->in) % 4 == 0) address = hpw_address(t->pool, s->account) + take_byte(&t->in);
    void *pointer = hpw_pointer(t->pool, address);
    uint64_t moved = 0;
    unsigned char byte = 0;
    hpw_report report = {0};
    hpw_error error = hpw_release(t->pool, address, &report);
    DEMAND(error == HPW_INVALID_FREE || error == HPW_DOUBLE_FREE);
    DEMAND(!report.in_live_block || report.claimed);
    DEMAND(hpw_free(t->pool, pointer) == error && hpw_free_sized(t->pool, pointer, block->size));
    DEMAND(hpw_resize(t->pool, address, 10, &moved, NULL) && !hpw_realloc(t->pool, pointer, 99));
    DEMAND(!hpw_usable_size(t->pool, pointer));
    DEMAND(hpw_read(t->pool, address, &byte, 1, NULL) && hpw_write(t->pool, address, &byte, 1, NULL));
    DEMAND(hpw_fill(t->pool, address, 1, 1, NULL) && hpw_owner(t->pool, address, NULL, NULL, NULL));
    DEMAND(hpw_reset(t->pool) == HPW_INVALID_ARGUMENT);
    see_bytes(block);
}

/* ---- Counts ---- */

static uint64_t see_state(const state *s) {
    uint64_t blocks = 0;
    if (!s->account) return 0;
    hpw_account_stats stats = stats_of(s);
    DEMAND(stats.in_use == s->in_use && stats.peak_in_use == s->peak && stats.limit == s->limit);
    DEMAND(stats.granted >= stats.in_use && stats.peak_granted >= stats.granted);
    DEMAND(stats.reallocations == s->reallocations);
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++) {
        DEMAND(stats.kinds[kind].in_use == s->of_kind[kind]);
        DEMAND(stats.kinds[kind].blocks == s->blocks_of_kind[kind]);
        blocks += stats.kinds[kind].blocks;
    }
    DEMAND(blocks == s->count && stats.allocations - stats.frees == s->count);
    for (unsigned i = 0; i < s->count; i++) see_bytes(&s->blocks[i]);
    return stats.granted;
}

/* What the accounts and the raw blocks have is what the pool granted. */
static void see_all(trial *t) {
    uint64_t sum = 0;
    hpw_stats stats;
    hpw_report report = {0};
    for (unsigned i = 0; i < ACCOUNTS; i++) sum += see_state(&t->states[i]);
    for (unsigned i = 0; i < t->raw_count; i++) {
        uint64_t requested = 0, granted = 0;
        DEMAND(!hpw_size(t->pool, hpw_address(t->pool, t->raw[i].at), &requested, &granted, NULL));
        DEMAND(requested == t->raw[i].size);
        see_bytes(&t->raw[i]);
        sum += granted;
    }
    hpw_get_stats(t->pool, &stats);
#ifdef HPW_NONE
    sum += stats.quarantined;
#endif
    DEMAND(stats.granted == sum);
    if (hpw_check(t->pool, &report))
        fprintf(stderr, "%s at %llu\n", report.what, (unsigned long long)report.address);
    DEMAND(report.error == HPW_OK);
}

/* ---- Calls ---- */

static void set_limit(trial *t, state *s) {
    uint8_t kind = take_byte(&t->in);
    s->limit = kind & 1 ? HPW_NO_LIMIT : kind & 2 ? s->in_use + take_bytes(&t->in, 2) : take_bytes(&t->in, 3);
    hpw_set_limit(s->account, s->limit);
}

/* Shrinks many blocks while the pool is full: misfits. */
static void shrink_all(trial *t, state *s) {
    take_all(t);
    for (unsigned i = 0; i < 40 && s->count; i++) {
        unsigned block = take_byte(&t->in) % s->count;
        size_t size = draw_size(t, s->blocks[block].size);
        if (size < s->blocks[block].size) resize(s, block, size);
    }
}

static void call_state(trial *t, state *s, uint8_t verb) {
    size_t current = s->count ? s->blocks[verb % s->count].size : 0;
    if (verb < 80 || !s->count)
        grant(t, s, draw_size(t, current));
    else if (verb < 128)
        give(s, take_byte(&t->in) % s->count);
    else if (verb < 192)
        resize(s, verb % s->count, draw_size(t, current));
    else if (verb < 196)
        set_limit(t, s);
    else if (verb < 200)
        hpw_set_headroom(s->account, verb & 1 ? take_bytes(&t->in, 2) : take_any(&t->in));
    else if (verb < 204)
        hpw_account_pressure(s->account);
    else if (verb < 208)
        shrink_all(t, s);
    else if (verb < 216)
        attack(t, s);
    else if (verb < 220)
        for (unsigned i = 0, size = take_byte(&t->in) + 1U; i < 50; i++) grant(t, s, size);
    else
        for (unsigned i = 0; i < 30 && s->count; i++) give(s, s->count / 3);
}

static void call_pool(trial *t, state *s, uint8_t verb) {
    switch (verb % 8) {
    case 0:
        take_all(t);
        break;
    case 1:
        while (t->raw_count) give_raw(t, t->raw_count - 1);
        break;
    case 2:
        hpw_trim(t->pool);
        break;
    case 3:
        see_all(t);
        break;
    case 4:
        close_state(s, take_byte(&t->in) & 1);
        break;
    case 5:
        if (!s->account) open_state(t, s);
        break;
    case 6:
        take_raw(t, (size_t)take_bytes(&t->in, 2));
        break;
    default:
        if (t->raw_count) give_raw(t, take_byte(&t->in) % t->raw_count);
        break;
    }
}

/* ---- All of it ---- */

static void open_pool(trial *t) {
    static const uint32_t capacities[] = {3000,   9000,   20000,   65536,   200000,
                                          262144, 266240, 1 << 20, 4 << 20, 5 << 20};
    uint8_t kind = take_byte(&t->in);
    bool mapped = kind & 1;
    hpw_error error;
    t->config.capacity = capacities[take_byte(&t->in) % 10] + take_bytes(&t->in, 2) % 5000;
    if (t->config.capacity < t->config.granule) t->config.capacity = t->config.granule;
    if (kind & 2) t->config.max_capacity = t->config.capacity + take_bytes(&t->in, 3) % MOST_BYTES;
    mend_config(&t->config, mapped);
    if (mapped) {
        t->pool = hpw_open(&t->config, &error);
    } else {
        size_t need = hpw_metadata_size(&t->config) + (size_t)t->config.capacity, off = kind / 4 % 32;
        t->buffer = malloc(need + off);
        t->pool = hpw_open_in(t->buffer + off, need, &t->config, &error);
    }
    DEMAND(t->pool);
    tell_config(&t->config, mapped ? "mapped" : "in a buffer");
    for (unsigned i = 0; i < ACCOUNTS; i++) open_state(t, &t->states[i]);
}

/* All gone: the pool is as it was, and of use. */
static void close_all(trial *t) {
    hpw_stats stats;
    uint64_t address;
    see_all(t);
    while (t->raw_count) give_raw(t, t->raw_count - 1);
    for (unsigned i = 0; i < ACCOUNTS; i++) close_state(&t->states[i], true);
    hpw_trim(t->pool);
    hpw_get_stats(t->pool, &stats);
#ifdef HPW_NONE
    stats.granted -= stats.quarantined;
#endif
    DEMAND(!stats.live_blocks && !stats.in_use && !stats.granted);
    DEMAND(hpw_check(t->pool, NULL) == HPW_OK && hpw_reset(t->pool) == HPW_OK);
    DEMAND(hpw_allocate(t->pool, 0, 0, &address, NULL) == HPW_OK &&
           hpw_release(t->pool, address, NULL) == HPW_OK);
    hpw_close(t->pool);
    free(t->buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    trial *t = &now;
    memset(t, 0, sizeof *t);
    t->in = (input){bytes, n};
    draw_config(&t->in, &t->config, &t->locked);
    open_pool(t);
    for (unsigned calls = 0; t->in.left && calls < MOST_CALLS; calls++) {
        state *s = &t->states[take_byte(&t->in) % ACCOUNTS];
        uint8_t verb = take_byte(&t->in);
        if (verb >= 224)
            call_pool(t, s, verb);
        else if (s->account)
            call_state(t, s, verb);
        DEMAND(t->locked == 0);
    }
    close_all(t);
    return 0;
}
