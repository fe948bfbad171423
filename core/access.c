/* SPDX-License-Identifier: MIT */
/*
 * Checked access by address, interior addresses included: find the block around
 * the address, hold the range against its requested size, then move the bytes,
 * all under the lock where another thread may come. Words are changed in one step
 * besides, for C programs that have the pointer. Also the look-ups of the same
 * kind: owner, size, address.
 */
#include <stdatomic.h>

#include "guard.h"
#ifndef HPW_FREESTANDING
#include "caches.h"
#endif

/* ---- Who else ---- */

/* What was entered: nothing, where nobody else may be in the pool; the lock alone; the pool. */
typedef enum entered { ENTERED_NOTHING, ENTERED_LOCK, ENTERED_POOL } entered;

/* May another thread be in the pool while this one is? */
HOT bool may_be_met(const hpw_pool *pool) {
#ifndef HPW_FREESTANDING
    if (pool->locking == LOCKING_OWN || pool->locking == LOCKING_CACHED) return !LOCK_ALONE;
#endif
    return pool->locking != LOCKING_NONE;
}

/*
 * For calls that only look at the block map and move bytes: where there is nobody
 * to be met, no lock is taken, and no cache of a thread is brought to rest.
 */
HOT entered enter(const hpw_pool *pool) {
    if (!may_be_met(pool)) return ENTERED_NOTHING;
    pool_enter(pool);
    return ENTERED_POOL;
}

/* The same for the block around one address: no cache is brought to rest where it is not another thread's. */
HOT entered enter_at(const hpw_pool *pool, uint64_t address) {
    (void)address;
    if (!may_be_met(pool)) return ENTERED_NOTHING;
#ifndef HPW_FREESTANDING
    if (pool->locking == LOCKING_CACHED && caches_look((hpw_pool *)pool, address)) return ENTERED_LOCK;
#endif
    pool_enter(pool);
    return ENTERED_POOL;
}

HOT void leave(const hpw_pool *pool, entered what) {
    if (what == ENTERED_NOTHING) return;
#ifndef HPW_FREESTANDING
    if (what == ENTERED_LOCK) {
        lock_leave(pool->lock);
        return;
    }
#endif
    pool_leave(pool);
}

/* ---- Pointers ---- */

uint64_t hpw_address(const hpw_pool *pool, const void *pointer) {
    uintptr_t offset = (uintptr_t)pointer - (uintptr_t)pool->index.bytes;
    return offset < pool_bytes(pool, pool->max_capacity) ? offset : UINT64_MAX;
}

void *hpw_pointer(const hpw_pool *pool, uint64_t address) {
    entered met = enter(pool);
    bool holds = pool_holds(pool, address);
    leave(pool, met);
    return holds ? pool->index.bytes + address : NULL;
}

/* ---- Finding ---- */

/* What is done with the bytes that are reached, which guards ask. */
typedef enum access { READS, WRITES, COPIES } access;

/* The live block around `address`, or what there is else; the lock is held. */
static hpw_error find_owner(const hpw_pool *pool, uint64_t address, uint64_t n, uint64_t *start,
                            uint64_t *requested, hpw_report *report) {
    if (!pool_holds(pool, address))
        return pool_report_at(pool, report, HPW_OUT_OF_BOUNDS, address, n,
                              "the address lies outside of the pool");
    granule_t at = blocks_owner(&pool->index.map, pool_granule(pool, address));
    if (!blocks_is_live(&pool->index.map, at) || pool_is_held(pool, at))
        return pool_report_at(pool, report, HPW_UNALLOCATED, address, n, "the address lies in a free block");
    *start = pool_bytes(pool, at);
    granule_t size = blocks_size(&pool->index.map, at);
    if (pool_claimed(pool, at, size, requested))
        return pool_report_at(pool, report, HPW_UNALLOCATED, address, n,
                              "the address lies in a Lua state's block");
    if (!pool_requested(pool, at, size, requested))
        return pool_report_at(pool, report, HPW_CORRUPTED, address, n,
                              "the block's size record was overwritten");
    return HPW_OK;
}

/* What guards say of an access to bytes of a live block. */
static hpw_error note_access(const hpw_pool *pool, uint64_t address, uint64_t n, access how,
                             hpw_report *report) {
    if (how == COPIES) return HPW_OK; /* whose knowledge is copied */
    if (how == WRITES) {
        guard_set_written(pool->guards, address, n, true);
        return HPW_OK;
    }
    uint64_t first = guard_first_unwritten(pool->guards, address, n);
    if (first == address + n) return HPW_OK;
    return pool_report_at(pool, report, HPW_UNINITIALISED, first, n, "the byte was never written");
}

/* The bytes of [address, address + n), where they lie in one live block: by find_owner. */
APART hpw_error reach_far(const hpw_pool *pool, uint64_t address, uint64_t n, access how,
                          unsigned char **bytes, hpw_report *report) {
    uint64_t start, requested;
    hpw_error error = find_owner(pool, address, n, &start, &requested, report);
    if (error) return error;
    uint64_t offset = address - start;
    if (offset > requested || n > requested - offset)
        return pool_report_at(pool, report, HPW_OUT_OF_BOUNDS, address, n,
                              "the range runs past the block's end");
    *bytes = pool->index.bytes + address;
    return pool->guards ? note_access(pool, address, n, how, report) : HPW_OK;
}

/*
 * The same. Mostly the block starts in the address's own word of the map, which
 * then tells all of it; whatever else there is, reach_far finds and reports, and
 * with guards everything.
 */
HOT hpw_error reach(const hpw_pool *pool, uint64_t address, uint64_t n, access how, unsigned char **bytes,
                    hpw_report *report) {
    if (address >= pool_bytes(pool, pool->plain)) return reach_far(pool, address, n, how, bytes, report);
    const blocks *map = &pool->index.map;
    granule_t granule = pool_granule(pool, address);
    uint64_t upto = blocks_starts(map, granule / WORD_BITS) << (WORD_BITS - 1 - granule % WORD_BITS);
    if (!upto) return reach_far(pool, address, n, how, bytes, report);
    granule_t at = granule - (WORD_BITS - 1 - bits_highest(upto));
    uint64_t offset = address - pool_bytes(pool, at), requested;
    granule_t size = blocks_size(map, at);
    if (!blocks_is_live(map, at) || pool_large_claimed(pool, at, size) ||
        !pool_requested(pool, at, size, &requested) || offset > requested || n > requested - offset)
        return reach_far(pool, address, n, how, bytes, report);
    *bytes = pool->index.bytes + address;
    return HPW_OK;
}

/* ---- Bytes ---- */

/* memcpy; a few bytes as two halves that may overlap, which is cheaper than the call. */
HOT void copy_bytes(unsigned char *to, const unsigned char *from, size_t n) {
    unsigned char first[16], last[16];
    if (n >= 8 && n <= 16) {
        memcpy(first, from, 8);
        memcpy(last, from + n - 8, 8);
        memcpy(to, first, 8);
        memcpy(to + n - 8, last, 8);
    } else if (n > 16 && n <= 32) {
        memcpy(first, from, 16);
        memcpy(last, from + n - 16, 16);
        memcpy(to, first, 16);
        memcpy(to + n - 16, last, 16);
    } else if (n) {
        memcpy(to, from, n);
    }
}

hpw_error hpw_read(hpw_pool *pool, uint64_t address, void *to, size_t n, hpw_report *report) {
    unsigned char *bytes;
    entered met = enter_at(pool, address);
    hpw_error error = reach(pool, address, n, READS, &bytes, report);
    if (!error) copy_bytes(to, bytes, n);
    leave(pool, met);
    return error;
}

hpw_error hpw_write(hpw_pool *pool, uint64_t address, const void *from, size_t n, hpw_report *report) {
    unsigned char *bytes;
    entered met = enter_at(pool, address);
    hpw_error error = reach(pool, address, n, WRITES, &bytes, report);
    if (!error) copy_bytes(bytes, from, n);
    leave(pool, met);
    return error;
}

hpw_error hpw_view(hpw_pool *pool, uint64_t address, uint64_t n, const void **bytes, hpw_report *report) {
    unsigned char *found = NULL;
    hpw_error error = may_be_met(pool) ? HPW_OK : reach(pool, address, n, READS, &found, report);
    *bytes = found;
    return error;
}

hpw_error hpw_fill(hpw_pool *pool, uint64_t address, int byte, uint64_t n, hpw_report *report) {
    unsigned char *bytes;
    entered met = enter_at(pool, address);
    hpw_error error = reach(pool, address, n, WRITES, &bytes, report);
    if (!error && n) memset(bytes, byte, (size_t)n);
    leave(pool, met);
    return error;
}

hpw_error hpw_copy(hpw_pool *pool, uint64_t to, uint64_t from, uint64_t n, hpw_report *report) {
    unsigned char *target, *source;
    entered met = enter(pool);
    hpw_error error = reach(pool, from, n, COPIES, &source, report);
    if (!error) error = reach(pool, to, n, COPIES, &target, report);
    if (!error && n) memmove(target, source, (size_t)n);
    if (!error && pool->guards) guard_copy_written(pool->guards, to, from, n);
    leave(pool, met);
    return error;
}

hpw_error hpw_compare(hpw_pool *pool, uint64_t a, uint64_t b, uint64_t n, int *order, hpw_report *report) {
    unsigned char *left, *right;
    entered met = enter(pool);
    hpw_error error = reach(pool, a, n, READS, &left, report);
    if (!error) error = reach(pool, b, n, READS, &right, report);
    if (!error) {
        int sign = n ? memcmp(left, right, (size_t)n) : 0;
        *order = (sign > 0) - (sign < 0);
    }
    leave(pool, met);
    return error;
}

hpw_error hpw_note_written(hpw_pool *pool, uint64_t address, uint64_t n, hpw_report *report) {
    unsigned char *bytes;
    entered met = enter_at(pool, address);
    hpw_error error = reach(pool, address, n, WRITES, &bytes, report);
    leave(pool, met);
    return error;
}

/* ---- Words ---- */

/*
 * Atomic in themselves only where that takes no library: the lock, under which all
 * of these calls are, keeps them apart already.
 */
#if ATOMIC_LLONG_LOCK_FREE == 2 && !defined(HPW_PORTABLE_BITS)
typedef _Atomic uint64_t shared_word;

HOT uint64_t word_get(shared_word *at) { return atomic_load(at); }
HOT void word_set(shared_word *at, uint64_t value) { atomic_store(at, value); }
HOT uint64_t word_add(shared_word *at, uint64_t addend) { return atomic_fetch_add(at, addend); }
HOT bool word_exchange(shared_word *at, uint64_t *expected, uint64_t desired) {
    return atomic_compare_exchange_strong(at, expected, desired);
}
#else
typedef uint64_t shared_word;

HOT uint64_t word_get(const shared_word *at) { return *at; }
HOT void word_set(shared_word *at, uint64_t value) { *at = value; }
HOT uint64_t word_add(shared_word *at, uint64_t addend) {
    *at += addend;
    return *at - addend;
}
HOT bool word_exchange(shared_word *at, uint64_t *expected, uint64_t desired) {
    bool equal = *at == *expected;
    *expected = *at;
    if (equal) *at = desired;
    return equal;
}
#endif

enum { WORD_BYTES = 8 };
_Static_assert(sizeof(shared_word) == WORD_BYTES, "a word is its bytes and nothing else");

/* The word at `address`, entered and aligned: granules have 8 bytes at least, and the pool begins at one. */
HOT hpw_error reach_word(const hpw_pool *pool, uint64_t address, access how, shared_word **at,
                         hpw_report *report) {
    unsigned char *bytes;
    *at = NULL;
    if (address % WORD_BYTES)
        return pool_report_at(pool, report, HPW_INVALID_ARGUMENT, address, WORD_BYTES, "not aligned to 8");
    hpw_error error = reach(pool, address, WORD_BYTES, how, &bytes, report);
    if (!error) *at = (shared_word *)(void *)bytes;
    return error;
}

hpw_error hpw_load(hpw_pool *pool, uint64_t address, uint64_t *value, hpw_report *report) {
    shared_word *at;
    entered met = enter_at(pool, address);
    hpw_error error = reach_word(pool, address, READS, &at, report);
    if (!error) *value = word_get(at);
    leave(pool, met);
    return error;
}

hpw_error hpw_store(hpw_pool *pool, uint64_t address, uint64_t value, hpw_report *report) {
    shared_word *at;
    entered met = enter_at(pool, address);
    hpw_error error = reach_word(pool, address, WRITES, &at, report);
    if (!error) word_set(at, value);
    leave(pool, met);
    return error;
}

hpw_error hpw_fetch_add(hpw_pool *pool, uint64_t address, uint64_t addend, uint64_t *before,
                        hpw_report *report) {
    shared_word *at;
    entered met = enter_at(pool, address);
    hpw_error error = reach_word(pool, address, READS, &at, report);
    uint64_t found = error ? 0 : word_add(at, addend);
    leave(pool, met);
    if (!error && before) *before = found;
    return error;
}

hpw_error hpw_compare_exchange(hpw_pool *pool, uint64_t address, uint64_t *expected, uint64_t desired,
                               bool *exchanged, hpw_report *report) {
    shared_word *at;
    entered met = enter_at(pool, address);
    hpw_error error = reach_word(pool, address, READS, &at, report);
    bool equal = !error && word_exchange(at, expected, desired);
    leave(pool, met);
    if (!error && exchanged) *exchanged = equal;
    return error;
}

/* ---- Look-ups ---- */

hpw_error hpw_owner(hpw_pool *pool, uint64_t address, uint64_t *start, uint64_t *requested,
                    hpw_report *report) {
    uint64_t found_start, found_requested;
    entered met = enter_at(pool, address);
    hpw_error error = find_owner(pool, address, 0, &found_start, &found_requested, report);
    leave(pool, met);
    if (error) return error;
    if (start) *start = found_start;
    if (requested) *requested = found_requested;
    return HPW_OK;
}

hpw_error hpw_size(hpw_pool *pool, uint64_t address, uint64_t *requested, uint64_t *granted,
                   hpw_report *report) {
    granule_t at, size = 0;
    uint64_t found = 0;
    entered met = enter_at(pool, address);
    bool live = pool_find_user(pool, address, &at, &size, &found);
    hpw_error error = live ? HPW_OK : pool_diagnose(pool, address, report);
    leave(pool, met);
    if (error) return error;
    if (requested) *requested = found;
    if (granted) *granted = pool_bytes(pool, size);
    return HPW_OK;
}

size_t hpw_usable_size(const hpw_pool *pool, const void *block) {
    granule_t at, size;
    uint64_t requested;
    entered met = enter_at(pool, hpw_address(pool, block));
    bool live = pool_find_user(pool, hpw_address(pool, block), &at, &size, &requested);
    leave(pool, met);
    return live ? (size_t)pool_bytes(pool, size) : 0;
}
