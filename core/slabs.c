/* SPDX-License-Identifier: MIT */
/*
 * The slabs of an account: taken from the pool when a bin has no free slot left,
 * cut into slots bit by bit, kept for a while when they are empty, given back.
 * These are the moments at which an account meets the pool and its lock; a slab
 * has 14 slots and more, in smaller accounts 6 and 3, so they are rare.
 */
#include "account.h"

#include <string.h>

#define CLASS(n) ((n) <= 32 ? (n) : (n) <= 64 ? 32 + ((n)-31) / 2 : 48 + ((n)-57) / 8)
#define EIGHT(n)                                                                                             \
    CLASS(n), CLASS((n) + 1), CLASS((n) + 2), CLASS((n) + 3), CLASS((n) + 4), CLASS((n) + 5),                \
        CLASS((n) + 6), CLASS((n) + 7)

const unsigned char account_classes[] = {
    EIGHT(0),  EIGHT(8),  EIGHT(16), EIGHT(24), EIGHT(32),  EIGHT(40),  EIGHT(48),  EIGHT(56),  EIGHT(64),
    EIGHT(72), EIGHT(80), EIGHT(88), EIGHT(96), EIGHT(104), EIGHT(112), EIGHT(120), CLASS(128),
};

/* ---- How large ---- */

/*
 * A slab with few slots taken is what an account wastes, one a class and kind; so
 * one that can't become large has small slabs, and no slots of sizes that it has
 * few blocks of.
 */
typedef struct scale {
    uint64_t most;     /* for accounts of so many bytes at most */
    size_t slot_max;   /* bytes */
    uint64_t slab_min; /* bytes; a granule where that is more, so that a link tells one slab from another */
    unsigned slots;    /* a slab is at least as large as so many want */
    bool chunks;       /* slabs lie in chunks */
    size_t colours;    /* see slab_at */
} scale;

static const scale scales[] = {
    {.most = 256 << 10, .slot_max = 128, .slab_min = 512, .slots = 4},
    {.most = 4 << 20, .slot_max = 512, .slab_min = 1024, .slots = 7, .chunks = true},
    {.most = UINT64_MAX,
     .slot_max = SMALL_MAX,
     .slab_min = 4096,
     .slots = 15,
     .chunks = true,
     .colours = 0x3c0},
};

static const scale *scale_of(uint64_t most) {
    const scale *s = scales;
    while (s->most < most) s++;
    return s;
}

size_t slabs_account_bytes(uint64_t most) {
    size_t bins = (size_t)class_of(scale_of(most)->slot_max) + 1;
    return sizeof(hpw_account) + bins * sizeof(slab *[HPW_LUA_KINDS]);
}

void slabs_open(hpw_account *account, uint64_t most) {
    const scale *s = scale_of(most);
    uint64_t granule = pool_bytes(account->pool, 1), least = s->slab_min < granule ? granule : s->slab_min;
    account->slot_max = s->slot_max;
    account->small_max = s->slot_max;
    account->colours = granule <= 64 ? s->colours : 0; /* a record is linked by its granule */
    account->unit = s->chunks ? least : 0;
    for (unsigned size = 0; size < SLAB_SIZES; size++) account->kept[size] = NO_GRANULE;
    for (unsigned class = 0; class <= class_of(s->slot_max); class ++)
        for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++) account->bins[class][kind] = &account->full;
    for (size_t eighths = 0; eighths <= s->slot_max / 8; eighths++) {
        uint64_t bytes = least, wanted = (uint64_t)s->slots * class_bytes(account_classes[eighths]);
        while (bytes < wanted) bytes *= 2;
        account->masks[eighths] = (uint16_t)(bytes - 1);
    }
}

/* 0 ... SLAB_SIZES - 1 */
static unsigned slab_size(uint64_t bytes) { return bits_lowest(bytes) - SLAB_MIN; }

/* ---- In its bin ---- */

static slab **bin_of(hpw_account *account, const slab *s) { return &account->bins[s->class][s->kind]; }

static link link_of_first(const hpw_account *account, const slab *first) {
    return first == &account->full ? NO_GRANULE : link_to(account, first);
}

static void list(hpw_account *account, slab *s) {
    slab **bin = bin_of(account, s), *first = *bin;
    s->next = link_of_first(account, first);
    s->previous = NO_GRANULE;
    s->wakes_at = 0;
    first->previous = link_to(account, s); /* nobody asks that of `full` */
    *bin = s;
}

static void unlist(hpw_account *account, slab *s) {
    slab *next = s->next == NO_GRANULE ? &account->full : linked(account, s->next);
    next->previous = s->previous;
    if (s->previous == NO_GRANULE)
        *bin_of(account, s) = next;
    else
        ((slab *)linked(account, s->previous))->next = s->next;
}

/* ---- Slots ---- */

enum { CUT_AT_ONCE = 32 };

static unsigned char *start_of(const hpw_account *account, const slab *s) {
    return (unsigned char *)s - ((uintptr_t)s & (slab_bytes(account, s->class) - 1));
}

/* Bytes of a slab; where it may be claimed by a record, those before that. */
static size_t end_of(const hpw_account *account, const slab *s) {
    uint64_t bytes = slab_bytes(account, s->class);
    return (size_t)(bytes > pool_bytes(account->pool, POOL_CELL) ? bytes : bytes - SLAB_END);
}

/* Makes free slots of what was not cut yet; false where nothing is left. */
static bool cut(const hpw_account *account, slab *s) {
    unsigned char *start = start_of(account, s);
    size_t bytes = class_bytes(s->class), from = (size_t)s->fresh * 8,
           record = (size_t)((unsigned char *)s - start);
    if (from <= record && record - from < bytes) from = record + sizeof(slab);
    size_t count = ((from < record ? record : end_of(account, s)) - from) / bytes;
    if (!count) return false;
    if (count > CUT_AT_ONCE) count = CUT_AT_ONCE;
    unsigned char *at = start + from;
    s->free = at;
    s->fresh = (uint16_t)((from + count * bytes) / 8);
    for (; count > 1; count--, at += bytes) {
        void *next = at + bytes;
        memcpy(at, &next, sizeof next);
    }
    memset(at, 0, sizeof s->free);
    return true;
}

/* ---- From and to the pool ---- */

static slab *take_slab(hpw_account *account, uint64_t bytes) {
    link *kept = &account->kept[slab_size(bytes)];
    slab *s = NULL;
    if (*kept != NO_GRANULE) {
        s = linked(account, *kept);
        *kept = s->next;
        account->kept_bytes -= bytes;
        return s;
    }
    do {
        s = chunks_take(account, bytes);
    } while (!s && slabs_give_back(account));
    return s;
}

bool slabs_give_back(hpw_account *account) {
    bool any = false;
    for (unsigned size = 0; size < SLAB_SIZES; size++) {
        for (link each = account->kept[size], next; each != NO_GRANULE; each = next) {
            slab *s = linked(account, each);
            next = s->next;
            chunks_give(account, s, (uint64_t)1 << (size + SLAB_MIN));
            any = true;
        }
        account->kept[size] = NO_GRANULE;
    }
    account->kept_bytes = 0;
    shared_set(&account->squeezed, 0);
    return any;
}

/* A sixteenth of what the account has, and two of the smallest slabs at least. */
static bool is_worth_keeping(hpw_account *account, uint64_t bytes) {
    if (shared_get(&account->squeezed)) slabs_give_back(account);
    uint64_t most = account->granted / 16;
    if (most < 2 * slab_bytes(account, 1)) most = 2 * slab_bytes(account, 1);
    return account->kept_bytes + bytes <= most;
}

/* ---- The two events ---- */

slab *slabs_fill(hpw_account *account, unsigned kind, unsigned class) {
    slab *s;
    while ((s = account->bins[class][kind]) != &account->full) {
        if (s->free || cut(account, s)) return s;
        unlist(account, s);
        s->wakes_at = (uint16_t)(s->used - 1);
    }
    s = take_slab(account, slab_bytes(account, class));
    if (!s) return NULL;
    *s = (slab){.of = s->of, .class = (uint8_t) class, .kind = (uint8_t)kind};
    list(account, s);
    cut(account, s);
    return s;
}

void slabs_wake(hpw_account *account, slab *s) {
    if (s->used) {
        list(account, s);
        return;
    }
    unlist(account, s);
    account_fell(account);
    if (!is_worth_keeping(account, slab_bytes(account, s->class))) {
        chunks_give(account, s, slab_bytes(account, s->class));
        return;
    }
    link *kept = &account->kept[slab_size(slab_bytes(account, s->class))];
    s->next = *kept;
    *kept = link_to(account, s);
    account->kept_bytes += slab_bytes(account, s->class);
}
