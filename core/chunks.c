/* SPDX-License-Identifier: MIT */
/*
 * Where an account's slabs come from. While the account is small, each slab is a
 * block of the pool; later they lie in chunks, which are blocks of 4 and then of 16
 * units, a unit being the smallest slab. A chunk's free units are bits of a word,
 * so that a free run of 2^k units at a multiple of 2^k is found by k steps of
 * shifting and masking:
 *
 *      free  0011 1111 0111    free & free >> 1    at even places    the lowest
 *
 * A chunk with no unit in use goes back to the pool; slabs.c keeps what is to be
 * kept. At most LOOKS chunks are looked at before the pool is asked for another.
 */
#include "account.h"

enum {
    LOOKS = 8,
    CHUNK = 4, /* units; of an account of CHUNKS_FROM units and more */
    CHUNKS_FROM = 16,
    LARGE_CHUNK = 16, /* units; of one of LARGE_CHUNKS_FROM units and more */
    LARGE_CHUNKS_FROM = 4096,
    SLAB_MAX = 1 << (SLAB_MIN + SLAB_SIZES - 1)
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

/* Of `bytes`, those that a claim's record does not take, so that a power of two is granted, not a granule
 * more. */
static uint64_t owned(const hpw_account *account, uint64_t bytes) {
    return bytes > pool_bytes(account->pool, POOL_CELL) ? bytes : bytes - SLAB_END;
}

static void *take_block(hpw_account *account, uint64_t bytes, uint64_t alignment) {
    void *block = claim_take(account->pool, bytes, alignment, 0, &account->granted);
    account_grew(account);
    return block;
}

static void give_block(hpw_account *account, void *block) {
    claim_give(account->pool, block, &account->granted);
}

static chunk *open_chunk(hpw_account *account, unsigned units) {
    uint64_t bytes = units * account->unit;
    chunk *c = take_block(account, sizeof *c, 1);
    if (!c) return NULL;
    unsigned char *block = take_block(account, owned(account, bytes), bytes < SLAB_MAX ? bytes : SLAB_MAX);
    if (!block) {
        give_block(account, c);
        return NULL;
    }
    c->all = bits_below(units);
    c->free = c->all;
    c->bytes = block;
    list(account, c);
    return c;
}

static void close_chunk(hpw_account *account, chunk *c) {
    unlist(account, c);
    give_block(account, c->bytes);
    give_block(account, c);
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
    slab *s = slab_at(account, (uintptr_t)(c->bytes + bits_lowest(run) * account->unit));
    s->of = link_to(account, c);
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

/* How many units a new chunk has; 0: a slab is to be a block of the pool. */
static unsigned chunk_units(const hpw_account *account) {
    if (account->granted < CHUNKS_FROM * account->unit) return 0;
    return account->granted < LARGE_CHUNKS_FROM * account->unit ? CHUNK : LARGE_CHUNK;
}

static slab *take_in_chunk(hpw_account *account, uint64_t bytes) {
    unsigned units = (unsigned)(bytes / account->unit);
    slab *s = take_from_chunks(account, units);
    for (unsigned most = chunk_units(account); !s && most > units; most /= 4) {
        chunk *c = open_chunk(account, most);
        if (c) s = take_run(account, c, find_run(c, units));
    }
    return s;
}

slab *chunks_take(hpw_account *account, uint64_t bytes) {
    slab *s = account->unit ? take_in_chunk(account, bytes) : NULL;
    if (s) return s;
    void *block = take_block(account, owned(account, bytes), bytes);
    if (!block) return NULL;
    s = slab_at(account, (uintptr_t)block);
    s->of = NO_GRANULE;
    return s;
}

void chunks_give(hpw_account *account, slab *s, uint64_t bytes) {
    if (s->of == NO_GRANULE) {
        give_block(account, (unsigned char *)s - ((uintptr_t)s & (bytes - 1)));
        return;
    }
    chunk *c = linked(account, s->of);
    if (!c->free) list(account, c);
    uint64_t at = (uint64_t)((unsigned char *)s - c->bytes) / account->unit;
    c->free |= bits_below((unsigned)(bytes / account->unit)) << at;
    if (c->free == c->all) close_chunk(account, c);
}
