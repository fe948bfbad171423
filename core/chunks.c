/* SPDX-License-Identifier: MIT */
/*
 * Where an account's slabs come from. While the account is small, each slab is a
 * block of the pool; later they lie in chunks, which are blocks of 16 and 64 KiB
 * made of units of 1 KiB. A chunk's free units are bits of a word, so that a free
 * run of 2^k units at a multiple of 2^k is found by k steps of shifting and masking:
 *
 *      free  1110 1111 0011    free & free >> 1    at even places    the lowest
 *
 * A chunk with no unit in use goes back to the pool; slabs.c keeps what is to be
 * kept. At most LOOKS chunks are looked at before the pool is asked for another.
 */
#include "account.h"

enum {
    UNIT = 1 << SLAB_MIN,
    LOOKS = 8,
    CHUNKS_FROM = 64 * 1024,    /* an account of so many bytes has chunks, of 16 KiB */
    LARGE_CHUNKS_FROM = 1 << 20 /* of 64 KiB */
};

struct chunk {
    uint64_t free; /* a bit a unit */
    uint64_t all;  /* what `free` is when the chunk is empty */
    unsigned char *bytes;
    chunk *next, *previous; /* of those with a free unit */
};

/* ---- The list of chunks with a free unit ---- */

static void list(hpw_account *account, chunk *c) {
    c->next = account->chunks;
    c->previous = NULL;
    if (c->next) c->next->previous = c;
    account->chunks = c;
}

static void unlist(hpw_account *account, chunk *c) {
    if (c->next) c->next->previous = c->previous;
    *(c->previous ? &c->previous->next : &account->chunks) = c->next;
}

/* ---- From and to the pool ---- */

static uint64_t granted(const hpw_account *account, uint64_t bytes) {
    uint64_t granule = pool_bytes(account->pool, 1);
    return bytes > granule ? bytes : granule;
}

static void *take_block(hpw_account *account, uint64_t bytes, uint64_t alignment) {
    void *block = pool_allocate_slab(account->pool, bytes, alignment);
    if (block) account_took(account, granted(account, bytes));
    return block;
}

static void give_block(hpw_account *account, void *block, uint64_t bytes) {
    account->granted -= granted(account, bytes);
    hpw_free(account->pool, block);
}

static uint64_t chunk_bytes(const chunk *c) { return ((uint64_t)bits_highest(c->all) + 1) * UNIT; }

static chunk *open_chunk(hpw_account *account, uint64_t bytes) {
    chunk *c = hpw_malloc(account->pool, sizeof *c);
    if (!c) return NULL;
    unsigned char *block = take_block(account, bytes, bytes < 16 * UNIT ? bytes : 16 * UNIT);
    if (!block) {
        hpw_free(account->pool, c);
        return NULL;
    }
    account_took(account, hpw_usable_size(account->pool, c));
    c->all = UINT64_MAX >> (64 - bytes / UNIT);
    c->free = c->all;
    c->bytes = block;
    list(account, c);
    return c;
}

static void close_chunk(hpw_account *account, chunk *c) {
    unlist(account, c);
    give_block(account, c->bytes, chunk_bytes(c));
    account->granted -= hpw_usable_size(account->pool, c);
    hpw_free(account->pool, c);
}

/* ---- Runs of units ---- */

/* The first free run of so many units, a power of two, at a multiple of it, as bits; 0: there is none. */
static uint64_t find_run(const chunk *c, unsigned units) {
    uint64_t runs = c->free;
    for (unsigned k = 1; k < units; k *= 2) runs &= runs >> k;
    uint64_t places = UINT64_MAX / bits_below(units); /* 0101... for 2, 0001 0001... for 4 */
    runs &= places;
    return runs ? bits_below(units) << bits_lowest(runs) : 0;
}

static slab *take_run(hpw_account *account, chunk *c, uint64_t run) {
    c->free &= ~run;
    if (!c->free) unlist(account, c);
    slab *s = (slab *)(void *)(c->bytes + (size_t)bits_lowest(run) * UNIT);
    s->of = c;
    return s;
}

static slab *take_from_chunks(hpw_account *account, unsigned units) {
    unsigned looks = 0;
    for (chunk *c = account->chunks; c && looks < LOOKS; c = c->next, looks++) {
        uint64_t run = find_run(c, units);
        if (run) return take_run(account, c, run);
    }
    return NULL;
}

/* ---- Slabs ---- */

slab *chunks_take(hpw_account *account, uint64_t bytes) {
    unsigned units = (unsigned)(bytes / UNIT);
    slab *s = take_from_chunks(account, units);
    if (s) return s;
    uint64_t most = account->granted < CHUNKS_FROM ? 0 : account->granted < LARGE_CHUNKS_FROM ? 16 : 64;
    for (; most > units; most /= 4) {
        chunk *c = open_chunk(account, most * UNIT);
        if (c) return take_run(account, c, find_run(c, units));
    }
    s = take_block(account, bytes, bytes);
    if (s) s->of = NULL;
    return s;
}

void chunks_give(hpw_account *account, slab *s, uint64_t bytes) {
    chunk *c = s->of;
    if (!c) {
        give_block(account, s, bytes);
        return;
    }
    if (!c->free) list(account, c);
    c->free |= bits_below((unsigned)(bytes / UNIT)) << (((unsigned char *)s - c->bytes) / UNIT);
    if (c->free == c->all) close_chunk(account, c);
}
