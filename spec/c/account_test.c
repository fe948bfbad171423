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

typedef struct held {
    unsigned char *block;
    size_t size;
    unsigned kind;
    unsigned char mark;
} held;

typedef struct state {
    hpw_account *account;
    held blocks[MOST];
    size_t count;
    uint64_t in_use, peak, by_kind[HPW_LUA_KINDS], blocks_by_kind[HPW_LUA_KINDS];
} state;

static uint64_t seed;

static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static size_t draw_size(void) {
    size_t top = (size_t)1 << draw(14);
    return 1 + (size_t)draw(top);
}

static void check_bytes(const held *h) {
    for (size_t i = 0; i < h->size; i++)
        if (h->block[i] != h->mark) CHECK(h->block[i] == h->mark);
}

static void note(state *s, const held *h, bool comes) {
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
    held h = {.size = draw_size(), .kind = (unsigned)draw(HPW_LUA_KINDS), .mark = (unsigned char)draw(256)};
    h.block = hpw_lua_alloc(s->account, NULL, tags[h.kind], h.size);
    if (!h.block) return false;
    CHECK((uintptr_t)h.block % 8 == 0);
    memset(h.block, h.mark, h.size);
    s->blocks[s->count++] = h;
    note(s, &h, true);
    return true;
}

static void release(state *s, size_t i) {
    held *h = &s->blocks[i];
    check_bytes(h);
    CHECK(hpw_lua_alloc(s->account, h->block, h->size, 0) == NULL);
    note(s, h, false);
    *h = s->blocks[--s->count];
}

static void resize(state *s, size_t i) {
    held *h = &s->blocks[i], before = *h;
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

int main(void) {
    for (size_t i = 0; hpw_policy_at(i); i++) {
        const char *name = hpw_policy_at(i)->name;
        if (strcmp(name, "bump") == 0) continue;
        seed = 88172645463325252U + i;
        run(&(hpw_config){.policy = name, .capacity = 8 << 20}, 1, 60000);
        run(&(hpw_config){.policy = name, .capacity = 400 << 10}, 2, 60000);
        run(&(hpw_config){.policy = name, .capacity = 1 << 20}, 2, 100000);
        run(&(hpw_config){.policy = name, .capacity = 64 << 10}, 3, 60000);
        run(&(hpw_config){.policy = name, .capacity = 200 << 10, .granule = 8, .guard = HPW_GUARD_CHECK}, 2,
            60000);
    }
    return CHECK_DONE();
}
