/* SPDX-License-Identifier: MIT */
/*
 * The slabs of an account: taken from the pool when a bin has no free slot left,
 * cut into slots bit by bit, kept for a while when they are empty, given back.
 * These are the moments at which an account meets the pool and its lock; a slab
 * has 15 slots and more, so they are rare.
 */
#include "account.h"

#include <string.h>

/* 1 KiB for slots to 64 bytes, 2 KiB to 128 ... 16 KiB to 1 KiB. */
#define SHIFT_OF(bytes)                                                                                      \
    ((bytes) <= 64 ? 10 : (bytes) <= 128 ? 11 : (bytes) <= 256 ? 12 : (bytes) <= 512 ? 13 : 14)
#define FINE(n) SHIFT_OF((n)*8)
#define FINE8(n)                                                                                             \
    FINE(n), FINE(n + 1), FINE(n + 2), FINE(n + 3), FINE(n + 4), FINE(n + 5), FINE(n + 6), FINE(n + 7)

const unsigned char account_slab_shift[CLASSES] = {
    FINE8(0), FINE8(8), FINE8(16), FINE8(24), FINE8(32), FINE8(40), FINE8(48), FINE8(56), FINE(64),
    14,       14,       14,        14,        14,        14,        14,        14,
};

static uint64_t slab_bytes(const slab *s) { return (uint64_t)1 << account_slab_shift[s->class]; }

/* ---- In its bin ---- */

static slab **bin_of(hpw_account *account, const slab *s) { return &account->bins[s->kind][s->class]; }

static void list(hpw_account *account, slab *s) {
    slab **bin = bin_of(account, s), *first = *bin;
    s->next = first;
    s->previous = NULL;
    s->wakes_at = 0;
    if (first != &account->full) first->previous = s;
    *bin = s;
}

static void unlist(hpw_account *account, slab *s) {
    if (s->next != &account->full) s->next->previous = s->previous;
    *(s->previous ? &s->previous->next : bin_of(account, s)) = s->next;
}

/* ---- Slots ---- */

enum { CUT_AT_ONCE = 32, SLOTS_AT = (sizeof(slab) + 7) / 8 * 8 };

/* Makes free slots of what was not cut yet; false where nothing is left. */
static bool cut(slab *s) {
    unsigned bytes = class_bytes(s->class);
    unsigned char *at = (unsigned char *)s + (size_t)s->fresh * 8, *end = (unsigned char *)s + slab_bytes(s);
    size_t count = (size_t)(end - at) / bytes;
    if (!count) return false;
    if (count > CUT_AT_ONCE) count = CUT_AT_ONCE;
    s->free = at;
    s->fresh = (uint16_t)(s->fresh + count * bytes / 8);
    for (; count > 1; count--, at += bytes) {
        void *next = at + bytes;
        memcpy(at, &next, sizeof next);
    }
    memset(at, 0, sizeof s->free);
    return true;
}

/* ---- From and to the pool ---- */

static slab *take_slab(hpw_account *account, unsigned shift) {
    slab **kept = &account->kept[shift - SLAB_MIN], *s = *kept;
    uint64_t bytes = (uint64_t)1 << shift;
    if (s) {
        *kept = s->next;
        account->kept_bytes -= bytes;
        return s;
    }
    do {
        s = pool_allocate_slab(account->pool, bytes);
    } while (!s && slabs_give_back(account));
    if (s) account_took(account, hpw_usable_size(account->pool, s));
    return s;
}

static void give_slab(hpw_account *account, slab *s) {
    counter_take(&account->granted, hpw_usable_size(account->pool, s));
    hpw_free(account->pool, s);
}

bool slabs_give_back(hpw_account *account) {
    bool any = false;
    for (unsigned size = 0; size < SLAB_SIZES; size++) {
        for (slab *s = account->kept[size], *next; s; s = next) {
            next = s->next;
            give_slab(account, s);
            any = true;
        }
        account->kept[size] = NULL;
    }
    account->kept_bytes = 0;
    counter_set(&account->squeezed, 0);
    return any;
}

/* An eighth of what the account has, two slabs of the smallest size at least. */
static bool is_worth_keeping(hpw_account *account, uint64_t bytes) {
    if (counter_get(&account->squeezed)) slabs_give_back(account);
    uint64_t most = counter_get(&account->granted) / 8;
    if (most < 2048) most = 2048;
    return account->kept_bytes + bytes <= most;
}

/* ---- The two events ---- */

slab *slabs_fill(hpw_account *account, unsigned kind, unsigned class) {
    slab *s;
    while ((s = account->bins[kind][class]) != &account->full) {
        if (s->free || cut(s)) return s;
        unlist(account, s);
        s->wakes_at = (uint16_t)(s->used - 1);
    }
    s = take_slab(account, account_slab_shift[class]);
    if (!s) return NULL;
    *s = (slab){.fresh = SLOTS_AT / 8, .class = (uint8_t) class, .kind = (uint8_t)kind};
    list(account, s);
    cut(s);
    return s;
}

void slabs_wake(hpw_account *account, slab *s) {
    if (s->used) {
        list(account, s);
        return;
    }
    unlist(account, s);
    if (!is_worth_keeping(account, slab_bytes(s))) {
        give_slab(account, s);
        return;
    }
    slab **kept = &account->kept[account_slab_shift[s->class] - SLAB_MIN];
    s->next = *kept;
    *kept = s;
    account->kept_bytes += slab_bytes(s);
}
