/* SPDX-License-Identifier: MIT */
/*
 * A pool as lua_Alloc: what a state would do, at random, against a model that
 * knows every block's size, kind and bytes; with limits, headroom, pools that are
 * full, several accounts in one pool.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

/* ---- A model ---- */

enum { MOST = 4000 };

typedef struct model_block {
    unsigned char *block;
    size_t size;
    unsigned kind;
    unsigned char mark;
} model_block;

typedef struct state {
    hpw_account *account;
    model_block blocks[MOST];
    size_t count;
    uint64_t in_use, peak, by_kind[HPW_LUA_KINDS], blocks_by_kind[HPW_LUA_KINDS];
} state;

static uint64_t seed;

static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return below > 1 ? seed % below : 0;
}

static size_t draw_size(void) {
    size_t top = (size_t)1 << draw(14);
    return 1 + (size_t)draw(top);
}

static void check_bytes(const model_block *h) {
    for (size_t i = 0; i < h->size; i++)
        if (h->block[i] != h->mark) CHECK(h->block[i] == h->mark);
}

static void note(state *s, const model_block *h, bool comes) {
    if (comes) {
        s->in_use += h->size, s->by_kind[h->kind] += h->size, s->blocks_by_kind[h->kind]++;
        if (s->in_use > s->peak) s->peak = s->in_use;
    } else {
        s->in_use -= h->size, s->by_kind[h->kind] -= h->size, s->blocks_by_kind[h->kind]--;
    }
}

/* The tag that Lua gives with an object of this kind. */
static const size_t tags[HPW_LUA_KINDS] = {0, 4, 5, 6, 7, 8, 9, 10};

static bool grant(state *s) {
    if (s->count == MOST) return false;
    model_block h = {
        .size = draw_size(), .kind = (unsigned)draw(HPW_LUA_KINDS), .mark = (unsigned char)draw(256)};
    h.block = hpw_lua_alloc(s->account, NULL, tags[h.kind], h.size);
    if (!h.block) return false;
    CHECK((uintptr_t)h.block % 8 == 0);
    memset(h.block, h.mark, h.size);
    s->blocks[s->count++] = h;
    note(s, &h, true);
    return true;
}

static void release(state *s, size_t i) {
    model_block *h = &s->blocks[i];
    check_bytes(h);
    CHECK(hpw_lua_alloc(s->account, h->block, h->size, 0) == NULL);
    note(s, h, false);
    *h = s->blocks[--s->count];
}

static void resize(state *s, size_t i) {
    model_block *h = &s->blocks[i], before = *h;
    size_t size = draw(3) ? draw_size() : 1 + draw(h->size + 16);
    check_bytes(h);
    unsigned char *moved = hpw_lua_alloc(s->account, h->block, h->size, size);
    if (!moved) {
        CHECK(size > h->size); /* shrinking never fails */
        check_bytes(h);
        return;
    }
    h->block = moved;
    h->size = size < before.size ? size : before.size;
    check_bytes(h);
    h->size = size;
    note(s, &before, false);
    note(s, h, true);
    memset(h->block, h->mark, h->size);
}

static void check_stats(state *s) {
    hpw_account_stats stats;
    hpw_get_account_stats(s->account, &stats);
    CHECK_EQ(stats.in_use, s->in_use);
    CHECK_EQ(stats.peak_in_use, s->peak);
    CHECK(stats.granted >= stats.in_use && stats.peak_granted >= stats.granted);
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++) {
        CHECK_EQ(stats.kinds[kind].in_use, s->by_kind[kind]);
        CHECK_EQ(stats.kinds[kind].blocks, s->blocks_by_kind[kind]);
    }
    CHECK_EQ(stats.allocations - stats.frees, s->count);
}

static void step(state *s) {
    uint64_t what = draw(10);
    if (what < 5 || !s->count)
        grant(s);
    else if (what < 8)
        release(s, draw(s->count));
    else
        resize(s, draw(s->count));
}

static state states[3];

/* A run over some accounts in one pool; at the end the pool is as it was. */
static void run(const hpw_config *config, unsigned accounts, unsigned steps) {
    hpw_pool *pool = hpw_open(config, NULL);
    hpw_report report;
    for (unsigned i = 0; i < accounts; i++) {
        memset(&states[i], 0, sizeof states[i]);
        states[i].account = hpw_open_account(pool, NULL, NULL);
        CHECK(states[i].account);
    }
    for (unsigned i = 0; i < steps; i++) {
        state *s = &states[draw(accounts)];
        step(s);
        if (i % 1000 == 0) check_stats(s), CHECK_EQ(hpw_check(pool, &report), HPW_OK);
        if (i % 20000 == 19999)
            while (s->count) release(s, s->count - 1);
    }
    uint64_t granted = 0;
    hpw_stats stats;
    for (unsigned i = 0; i < accounts; i++) {
        hpw_account_stats own;
        hpw_get_account_stats(states[i].account, &own);
        granted += own.granted;
    }
    hpw_get_stats(pool, &stats);
    CHECK_EQ(stats.granted, granted);
    for (unsigned i = 0; i < accounts; i++) {
        if (states[i].count) CHECK_EQ(hpw_close_account(states[i].account), HPW_INVALID_ARGUMENT);
        while (states[i].count) release(&states[i], draw(states[i].count));
        check_stats(&states[i]);
        CHECK_EQ(hpw_close_account(states[i].account), HPW_OK);
    }
    hpw_get_stats(pool, &stats);
    CHECK_EQ(stats.live_blocks, 0);
    CHECK_EQ(hpw_check(pool, &report), HPW_OK);
    hpw_close(pool);
}

/* ---- Limits ---- */

static hpw_account_stats stats_of(const hpw_account *account) {
    hpw_account_stats stats;
    hpw_get_account_stats(account, &stats);
    return stats;
}

/* To the byte, for every kind, small and large, on any limit. */
static void limits(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 8 << 20}, NULL);
    static const uint64_t some[] = {1, 7, 8, 100, 4987, 65536, 300000, 5000000};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        size_t limit = (size_t)some[i];
        hpw_account *account = hpw_open_account(pool, &(hpw_account_config){.limit = limit}, NULL);
        CHECK(!hpw_lua_alloc(account, NULL, 0, limit + 1));
        CHECK(!hpw_lua_alloc(account, NULL, 4, SIZE_MAX));
        CHECK_EQ(stats_of(account).over_limit, 2);
        void *block = hpw_lua_alloc(account, NULL, 4, limit);
        CHECK(block && !hpw_lua_alloc(account, NULL, 0, 1));
        CHECK(
            !hpw_lua_alloc(account, NULL, 0, SIZE_MAX)); /* with what is in use more than there are numbers */
        CHECK(stats_of(account).over_limit == 4 && stats_of(account).over_pool == 0);
        CHECK(!hpw_lua_alloc(account, block, limit, limit + 1));
        hpw_set_limit(account, HPW_NO_LIMIT);
        block = hpw_lua_alloc(account, block, limit, limit + 1);
        CHECK(block);
        hpw_set_limit(account, limit / 2); /* below what is in use: what shrinks goes on */
        CHECK(!hpw_lua_alloc(account, NULL, 5, 1));
        block = hpw_lua_alloc(account, block, limit + 1, limit);
        CHECK(block && stats_of(account).in_use == limit && stats_of(account).limit == limit / 2);
        CHECK_EQ(hpw_close_account(account), HPW_INVALID_ARGUMENT);
        hpw_lua_alloc(account, block, limit, 0);
        hpw_set_limit(account, limit);
        CHECK(block = hpw_lua_alloc(account, NULL, 4, limit)); /* all at once, before anything was near it */
        hpw_lua_alloc(account, block, limit, 0);
        CHECK_EQ(hpw_close_account(account), HPW_OK);
    }
    hpw_close(pool);

    hpw_error error;
    pool = hpw_open(&(hpw_config){.capacity = 64}, NULL);
    CHECK(!hpw_open_account(pool, NULL, &error) && error == HPW_NO_MEMORY);
    CHECK_EQ(hpw_close_account(NULL), HPW_OK);
    hpw_close(pool);
}

/* An object is sent back once, then granted; the next asking comes an eighth later; what is not an object
 * never asks. */
static void headroom(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 8 << 20}, NULL);
    hpw_account *account =
        hpw_open_account(pool, &(hpw_account_config){.limit = 100000, .headroom = 8000}, NULL);
    void *array = hpw_lua_alloc(account, NULL, 0, 91900), *held[100];
    CHECK(array);
    CHECK(held[0] = hpw_lua_alloc(account, NULL, 4, 100)); /* 92,000: as full as it may be */
    CHECK(!hpw_lua_alloc(account, NULL, 4, 100));
    CHECK(held[1] = hpw_lua_alloc(account, NULL, 4, 100)); /* nothing was collected; granted all the same */
    unsigned refused = 0, count = 2;
    while (stats_of(account).in_use + 100 <= 100000) {
        held[count] = hpw_lua_alloc(account, NULL, 5, 100);
        if (held[count])
            count++;
        else
            refused++;
    }
    CHECK_EQ(refused, 7);
    CHECK_EQ(stats_of(account).over_headroom, 8);
    CHECK_EQ(stats_of(account).over_limit, 0);
    CHECK(!hpw_lua_alloc(account, NULL, 0, 1) && stats_of(account).over_limit == 1);
    for (unsigned i = count; i-- > 0;) hpw_lua_alloc(account, held[i], 100, 0);
    /* A collection that frees enough: asked for once more at the same place. */
    CHECK(held[0] = hpw_lua_alloc(account, NULL, 6, 100));
    CHECK(!hpw_lua_alloc(account, NULL, 6, 200));
    hpw_lua_alloc(account, held[0], 100, 0);
    CHECK(held[0] = hpw_lua_alloc(account, NULL, 6, 100));
    CHECK(!hpw_lua_alloc(account, NULL, 6, 200));
    CHECK(held[1] = hpw_lua_alloc(account, NULL, 6, 200));
    CHECK(held[2] = hpw_lua_alloc(account, NULL, 0, 2000)); /* a buffer is not sent back */
    hpw_set_headroom(account, 0);
    CHECK(held[3] = hpw_lua_alloc(account, NULL, 7, 5000));
    hpw_lua_alloc(account, held[3], 5000, 0);
    hpw_lua_alloc(account, held[2], 2000, 0);
    hpw_lua_alloc(account, held[1], 200, 0);
    hpw_lua_alloc(account, held[0], 100, 0);
    hpw_lua_alloc(account, array, 91900, 0);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    hpw_close(pool);
}

/* Headroom that is set below what is in use asks at once. Pins: it did not before in_use fell below it. */
static void headroom_set_later(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 8 << 20}, NULL);
    hpw_account *account = hpw_open_account(pool, &(hpw_account_config){.limit = 100000}, NULL);
    void *array = hpw_lua_alloc(account, NULL, 0, 50000), *object = hpw_lua_alloc(account, NULL, 4, 100);
    for (unsigned headroom = 60000; headroom <= 120000; headroom += 30000) {
        hpw_set_headroom(account, headroom);
        hpw_lua_alloc(account, object, 100, 0);
        CHECK(!hpw_lua_alloc(account, NULL, 4, 100));
        CHECK(object = hpw_lua_alloc(account, NULL, 4, 100));
    }
    CHECK(stats_of(account).over_headroom == 3 && stats_of(account).over_limit == 0);
    hpw_lua_alloc(account, object, 100, 0);
    hpw_lua_alloc(account, array, 50000, 0);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    hpw_close(pool);
}

/* A refusal of one account is told to all; what another keeps empty comes back at its next event. */
static void pressure(void) {
    enum { COUNT = 2000 };
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 1 << 20}, NULL);
    hpw_account *a = hpw_open_account(pool, NULL, NULL), *b = hpw_open_account(pool, NULL, NULL);
    static void *held[COUNT];
    for (unsigned i = 0; i < COUNT; i++) CHECK(held[i] = hpw_lua_alloc(a, NULL, 5, 100));
    for (unsigned i = 1; i < COUNT; i++) hpw_lua_alloc(a, held[i], 100, 0);
    CHECK(!hpw_account_pressure(a) && !hpw_account_pressure(b));
    CHECK(!hpw_lua_alloc(b, NULL, 0, 1 << 20));
    CHECK_EQ(stats_of(b).over_pool, 1);
    CHECK(stats_of(a).pressure && hpw_account_pressure(a) && !hpw_account_pressure(a));
    CHECK(hpw_account_pressure(b) && !hpw_account_pressure(b));
    void *other = hpw_lua_alloc(a, NULL, 4, 50);
    hpw_lua_alloc(a, other, 50, 0);
    CHECK(stats_of(a).granted < 16000);
    hpw_lua_alloc(a, held[0], 100, 0);
    CHECK_EQ(hpw_close_account(a), HPW_OK);
    CHECK_EQ(hpw_close_account(b), HPW_OK);
    hpw_close(pool);
}

/* Of the slabs that fall empty few are kept, and as many again after a refusal of another account took them.
 */
static void keeps_few(void) {
    enum { COUNT = 8000, CAPACITY = 4 << 20 };
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = CAPACITY}, NULL);
    hpw_account *a = hpw_open_account(pool, NULL, NULL), *b = hpw_open_account(pool, NULL, NULL);
    static void *held[COUNT];
    uint64_t kept[3];
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < COUNT; i++) CHECK(held[i] = hpw_lua_alloc(a, NULL, 5, 100));
        uint64_t most = stats_of(a).granted;
        for (unsigned i = 0; i < COUNT; i++) hpw_lua_alloc(a, held[i], 100, 0);
        kept[round] = stats_of(a).granted;
        CHECK(kept[round] < most / 8);
        CHECK(!hpw_lua_alloc(b, NULL, 0, CAPACITY));
        hpw_lua_alloc(a, hpw_lua_alloc(a, NULL, 5, 100), 100, 0);
    }
    CHECK(kept[1] >= kept[0] && kept[2] >= kept[0]);
    CHECK_EQ(hpw_close_account(a), HPW_OK);
    CHECK_EQ(hpw_close_account(b), HPW_OK);
    hpw_close(pool);
}

/* What an account keeps is given up before a request is refused: all of the pool is one block in the end. */
static void reclaims(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 16 << 20}, NULL);
    hpw_account *account = hpw_open_account(pool, NULL, NULL);
    static void *held[50000];
    unsigned count = 0;
    while ((held[count] = hpw_lua_alloc(account, NULL, 4 + count % 7, 16 + count % 600))) count++;
    for (unsigned i = 0; i < count; i++) hpw_lua_alloc(account, held[i], 16 + i % 600, 0);
    CHECK(stats_of(account).granted > 500000);
    size_t most = (16 << 20) - 32 * 1024;
    void *block = hpw_lua_alloc(account, NULL, 0, most);
    CHECK(block);
    CHECK(hpw_lua_alloc(account, block, most, 8)); /* shrinks into a slot */
    CHECK(hpw_lua_alloc(account, NULL, 0, most));
    hpw_close(pool);
}

/* ---- Shrinking without memory ---- */

/* Nothing is left in the pool. */
static void exhaust(hpw_pool *pool) {
    for (size_t size = 4 << 20; size; size /= 2)
        while (hpw_malloc(pool, size)) continue;
}

/* The block is held against `size` bytes of its mark, and resized in a pool that is full. */
static unsigned char *shrink(hpw_account *account, unsigned char *block, size_t old_size, size_t size) {
    block = hpw_lua_alloc(account, block, old_size, size);
    if (CHECK(block)) check_bytes(&(model_block){.block = block, .size = size, .mark = 0xA5});
    return block;
}

/*
 * From and to every size around that of the largest slot. Pins: where the bitmap of claims told of the
 * block, a misfit's link lay on its last bytes; a block that was asked to keep its size was refused that, or
 * became a misfit larger than a slot.
 */
static void shrinks_when_full(uint32_t granule, size_t slot_max, unsigned tag) {
    hpw_config config = {.capacity = slot_max == 1024 ? 6 << 20 : 1 << 20, .granule = granule};
    for (size_t from = slot_max + 1; from < slot_max + 44; from += 3) {
        for (size_t to = slot_max - 17; to <= from; to++) {
            hpw_pool *pool = hpw_open(&config, NULL);
            hpw_account *account = hpw_open_account(pool, NULL, NULL);
            unsigned char *block = hpw_lua_alloc(account, NULL, tag, from);
            memset(block, 0xA5, from);
            unsigned char *other = hpw_lua_alloc(account, NULL, tag, from); /* a second link */
            exhaust(pool);
            other = hpw_lua_alloc(account, other, from, slot_max);
            block = shrink(account, block, from, to);
            block = shrink(account, block, to, to);
            block = shrink(account, block, to, to - 1);
            CHECK_EQ(stats_of(account).in_use, slot_max + to - 1);
            hpw_lua_alloc(account, block, to - 1, 0);
            hpw_lua_alloc(account, other, slot_max, 0);
            CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
            CHECK_EQ(hpw_close_account(account), HPW_OK);
            hpw_close(pool);
        }
    }
}

/* ---- What an account has is nobody else's ---- */

static void refuse(hpw_pool *pool, uint64_t address, uint64_t size) {
    hpw_report report;
    uint64_t moved;
    char byte = 0;
    CHECK(hpw_release(pool, address, &report) == HPW_INVALID_FREE && report.claimed);
    CHECK_EQ(hpw_free(pool, hpw_pointer(pool, address)), HPW_INVALID_FREE);
    CHECK_EQ(hpw_free_sized(pool, hpw_pointer(pool, address), (size_t)size), HPW_INVALID_FREE);
    CHECK_EQ(hpw_resize(pool, address, 10, &moved, NULL), HPW_INVALID_FREE);
    CHECK_EQ(hpw_size(pool, address, NULL, NULL, NULL), HPW_INVALID_FREE);
    CHECK_EQ(hpw_usable_size(pool, hpw_pointer(pool, address)), 0);
    CHECK(hpw_read(pool, address, &byte, 1, &report) == HPW_UNALLOCATED && report.claimed);
    CHECK_EQ(hpw_write(pool, address, &byte, 1, NULL), HPW_UNALLOCATED);
    CHECK_EQ(hpw_write(pool, address + size / 2, &byte, 1, NULL), HPW_UNALLOCATED);
    CHECK_EQ(hpw_fill(pool, address + size - 1, 0, 1, NULL), HPW_UNALLOCATED);
    CHECK_EQ(hpw_owner(pool, address, NULL, NULL, NULL), HPW_UNALLOCATED);
}

static uint64_t pool_unit(uint32_t granule) { return granule ? granule : 16; }

static void claims(const char *policy, hpw_guard guard, uint32_t granule) {
    hpw_config config = {.policy = policy, .capacity = 8 << 20, .guard = guard, .granule = granule};
    hpw_pool *pool = hpw_open(&config, NULL);
    uint64_t cursor = 0, own;
    CHECK_EQ(hpw_allocate(pool, 3000, 0, &own, NULL), HPW_OK);
    hpw_account *account = hpw_open_account(pool, NULL, NULL);
    static void *held[600];
    for (size_t i = 0; i < 600; i++) held[i] = hpw_lua_alloc(account, NULL, i % 11, 8 + i * 17);
    hpw_stats before, after;
    hpw_get_stats(pool, &before);
    unsigned claimed = 0;
    for (hpw_block block; hpw_next_block(pool, &cursor, &block);) {
        if (!block.live || block.address == own) continue;
        refuse(pool, block.address, block.size);
        if (block.size > pool_unit(granule))
            refuse(pool, block.address + pool_unit(granule), block.size - pool_unit(granule));
        claimed++;
    }
    CHECK(claimed > 300);
    CHECK_EQ(hpw_reset(pool), HPW_INVALID_ARGUMENT);
    CHECK_EQ(hpw_write(pool, own, "x", 1, NULL), HPW_OK);
    CHECK_EQ(hpw_release(pool, own, NULL), HPW_OK);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_get_stats(pool, &after);
    CHECK_EQ(after.live_blocks, before.live_blocks - 1);
    for (size_t i = 0; i < 600; i++) hpw_lua_alloc(account, held[i], 8 + i * 17, 0);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    CHECK_EQ(hpw_reset(pool), HPW_OK);
    CHECK_EQ(hpw_allocate(pool, 3000, 0, &own, NULL), HPW_OK); /* no claim is left behind */
    CHECK_EQ(hpw_release(pool, own, NULL), HPW_OK);
    hpw_close(pool);
}

typedef struct heard {
    uint64_t blocks, bytes;
} heard;

static void hear(void *ud, const hpw_event *e) {
    heard *h = ud;
    if (e->kind == HPW_EVENT_ALLOC) h->blocks++, h->bytes += e->size;
    if (e->kind == HPW_EVENT_FREE) h->blocks--, h->bytes -= e->size;
}

/* Pins: a sink was told of a claimed block as larger than it was said to be when it was freed. */
static void told_of_live_blocks(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 1 << 20}, NULL);
    hpw_account *account = hpw_open_account(pool, NULL, NULL);
    void *string = hpw_lua_alloc(account, NULL, 4, 3000), *array = hpw_lua_alloc(account, NULL, 0, 3000);
    void *slot = hpw_lua_alloc(account, NULL, 5, 56);
    heard h = {0};
    hpw_stats stats;
    hpw_set_sink_with_live(pool, hear, &h);
    hpw_get_stats(pool, &stats);
    CHECK_EQ(h.blocks, stats.live_blocks);
    CHECK_EQ(h.bytes, stats.in_use);
    hpw_lua_alloc(account, string, 3000, 0);
    hpw_lua_alloc(account, array, 3000, 0);
    hpw_lua_alloc(account, slot, 56, 0);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    CHECK(h.blocks == 0 && h.bytes == 0);
    hpw_close(pool);
}

/* What is no kind is "other"; names. */
static void kinds(void) {
    hpw_pool *pool = hpw_open(NULL, NULL);
    hpw_account *account = hpw_open_account(pool, NULL, NULL);
    static const size_t others[] = {0, 1, 2, 3, 11, 12, 1000, SIZE_MAX};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        void *block = hpw_lua_alloc(account, NULL, others[i], 24);
        CHECK_EQ(stats_of(account).kinds[HPW_LUA_OTHER].in_use, 24);
        hpw_lua_alloc(account, block, 24, 0);
    }
    CHECK(hpw_lua_alloc(account, NULL, 0, 0) == NULL);
    CHECK_EQ(stats_of(account).allocations, stats_of(account).frees);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    hpw_close(pool);
    static const char *const names[] = {"other",    "string", "table",   "function",
                                        "userdata", "thread", "upvalue", "prototype"};
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++)
        CHECK(strcmp(hpw_lua_kind_name((hpw_lua_kind)kind), names[kind]) == 0);
    CHECK(strcmp(hpw_lua_kind_name(HPW_LUA_KINDS), "unknown") == 0);
}

int main(void) {
    limits();
    headroom();
    headroom_set_later();
    pressure();
    keeps_few();
    reclaims();
    kinds();
    told_of_live_blocks();
    static const struct {
        uint32_t granule;
        size_t slot_max;
    } shrinking[] = {{8, 512}, {8, 1024}, {16, 512}, {16, 1024}, {64, 1024}};
    for (size_t i = 0; i < sizeof shrinking / sizeof *shrinking; i++)
        for (unsigned tag = 0; tag <= 4; tag += 4)
            shrinks_when_full(shrinking[i].granule, shrinking[i].slot_max, tag);
    seed = 88172645463325252U;
    /* Pins: slabs smaller than a granule were taken for one another. */
    run(&(hpw_config){.capacity = 4 << 20, .granule = 2048}, 2, 20000);
    run(&(hpw_config){.capacity = 4 << 20, .granule = 4096}, 2, 20000);
    for (size_t i = 0; hpw_policy_at(i); i++) {
        const char *name = hpw_policy_at(i)->name;
        if (strcmp(name, "bump") == 0) continue;
        seed = 88172645463325252U + i;
        claims(name, HPW_GUARD_OFF, 0);
        claims(name, HPW_GUARD_CHECK, 0);
        claims(name, HPW_GUARD_OFF, 8);
        claims(name, HPW_GUARD_OFF, 64);
        run(&(hpw_config){.policy = name, .capacity = 8 << 20}, 1, 60000);
        run(&(hpw_config){.policy = name, .capacity = 400 << 10}, 2, 60000);
        run(&(hpw_config){.policy = name, .capacity = 1 << 20}, 2, 100000);
        run(&(hpw_config){.policy = name, .capacity = 64 << 10}, 3, 60000);
        run(&(hpw_config){.policy = name, .capacity = 200 << 10, .granule = 8, .guard = HPW_GUARD_CHECK}, 2,
            60000);
    }
    return CHECK_DONE();
}
