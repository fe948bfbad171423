/* SPDX-License-Identifier: MIT */
/*
 * The slabs of an account: taken from the pool when a bin has no free slot left,
 * cut into slots bit by bit, kept for a while when they are empty, given back.
 * These are the moments at which an account meets the pool and its lock; a slab
 * has 15 slots and more, so they are rare.
 */
#include "account.h"

#include <string.h>

/* 1 KiB for slots to 64 bytes, 2 KiB to 128 ... 16 KiB to 1 KiB: 15 slots and more. */
#define MASK(n) ((n) <= 8 ? 0x3ff : (n) <= 16 ? 0x7ff : (n) <= 32 ? 0xfff : (n) <= 64 ? 0x1fff : 0x3fff)
#define CLASS(n) ((n) <= 32 ? (n) : (n) <= 64 ? 32 + ((n)-31) / 2 : 48 + ((n)-57) / 8)
#define EIGHT(of, n) of(n), of(n + 1), of(n + 2), of(n + 3), of(n + 4), of(n + 5), of(n + 6), of(n + 7)
#define ALL(of)                                                                                              \
    {                                                                                                        \
        EIGHT(of, 0), EIGHT(of, 8), EIGHT(of, 16), EIGHT(of, 24), EIGHT(of, 32), EIGHT(of, 40),              \
            EIGHT(of, 48), EIGHT(of, 56), EIGHT(of, 64), EIGHT(of, 72), EIGHT(of, 80), EIGHT(of, 88),        \
            EIGHT(of, 96), EIGHT(of, 104), EIGHT(of, 112), EIGHT(of, 120), of(128)                           \
    }

const unsigned char account_classes[] = ALL(CLASS);
const uint16_t account_slab_masks[] = ALL(MASK);

static uint64_t slab_bytes(const slab *s) {
    return (uint64_t)account_slab_masks[class_bytes(s->class) / 8] + 1;
}

/* 0 ... SLAB_SIZES - 1 */
static unsigned slab_size(uint64_t bytes) { return bits_lowest(bytes) - SLAB_MIN; }

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

static slab *take_slab(hpw_account *account, uint64_t bytes) {
    slab **kept = &account->kept[slab_size(bytes)], *s = *kept;
    if (s) {
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
        for (slab *s = account->kept[size], *next; s; s = next) {
            next = s->next;
            chunks_give(account, s, (uint64_t)1 << (size + SLAB_MIN));
            any = true;
        }
        account->kept[size] = NULL;
    }
    account->kept_bytes = 0;
    shared_set(&account->squeezed, 0);
    return any;
}

/* An eighth of what the account has, two slabs of the smallest size at least. */
static bool is_worth_keeping(hpw_account *account, uint64_t bytes) {
    if (shared_get(&account->squeezed)) slabs_give_back(account);
    uint64_t most = account->granted / 8;
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
    s = take_slab(account, (uint64_t)account_slab_masks[class_bytes(class) / 8] + 1);
    if (!s) return NULL;
    *s = (slab){.of = s->of, .fresh = SLOTS_AT / 8, .class = (uint8_t) class, .kind = (uint8_t)kind};
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
        chunks_give(account, s, slab_bytes(s));
        return;
    }
    slab **kept = &account->kept[slab_size(slab_bytes(s))];
    s->next = *kept;
    *kept = s;
    account->kept_bytes += slab_bytes(s);
}
