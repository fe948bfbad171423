/* SPDX-License-Identifier: MIT */
/* The table of block objects: see movables.h. */
#include "movables.h"

#include <string.h>

void movables_open(movables *all, hpw_pool *pool, bool locked) {
    *all = (movables){.pool = pool, .locked = locked};
    atomic_init(&all->count, 0);
    pthread_mutex_init(&all->mutex, NULL);
}

void movables_close(movables *all) {
    hpw_live_free(&all->table);
    pthread_mutex_destroy(&all->mutex);
}

void movables_enter(movables *all) {
    if (all->locked) pthread_mutex_lock(&all->mutex);
}

void movables_leave(movables *all) {
    if (all->locked) pthread_mutex_unlock(&all->mutex);
}

/* ---- The table ---- */

static bool enlist(movables *all, movable *m) {
    hpw_live entry = {.key = m->address, .id = (uintptr_t)m, .size = m->size};
    if (!hpw_live_add(&all->table, &entry)) return false;
    atomic_fetch_add_explicit(&all->count, 1, memory_order_relaxed);
    return true;
}

static void delist(movables *all, uint64_t address) {
    hpw_live_remove(&all->table, hpw_live_find(&all->table, address));
    atomic_fetch_sub_explicit(&all->count, 1, memory_order_relaxed);
}

/* Where there was an entry before there is room for one. */
static void move(movables *all, movable *m, uint64_t to) {
    if (m->address == to) return;
    delist(all, m->address);
    m->address = to;
    enlist(all, m);
}

bool movables_find(movables *all, uint64_t address) {
    movables_enter(all);
    bool found = hpw_live_find(&all->table, address) != NULL;
    movables_leave(all);
    return found;
}

/* ---- One block ---- */

static hpw_error add(movables *all, movable *m, uint64_t size, uint64_t alignment, hpw_report *report) {
    hpw_error error = hpw_allocate(all->pool, size, alignment, &m->address, report);
    if (error) return error;
    m->size = size;
    if (!enlist(all, m)) {
        hpw_release(all->pool, m->address, NULL);
        *report = (hpw_report){.error = HPW_NO_MEMORY, .size = size, .what = "no memory for a block object"};
        return HPW_NO_MEMORY;
    }
    m->state = MOVABLE_LIVE;
    return hpw_fill(all->pool, m->address, 0, size, report);
}

hpw_error movables_add(movables *all, movable *m, uint64_t size, uint64_t alignment, hpw_report *report) {
    memset(report, 0, sizeof *report);
    movables_enter(all);
    hpw_error error = add(all, m, size, alignment, report);
    movables_leave(all);
    return error;
}

static hpw_error resize(movables *all, movable *m, uint64_t size, hpw_report *report) {
    uint64_t moved, old = m->size;
    if (m->state != MOVABLE_LIVE) return HPW_UNALLOCATED;
    hpw_error error = hpw_resize(all->pool, m->address, size, &moved, report);
    if (error) return error;
    m->size = size;
    move(all, m, moved);
    return size > old ? hpw_fill(all->pool, moved + old, 0, size - old, report) : HPW_OK;
}

hpw_error movables_resize(movables *all, movable *m, uint64_t size, hpw_report *report) {
    memset(report, 0, sizeof *report);
    movables_enter(all);
    hpw_error error = resize(all, m, size, report);
    movables_leave(all);
    return error;
}

static void forget(movables *all, movable *m) {
    delist(all, m->address);
    m->state = MOVABLE_FREED;
}

hpw_error movables_give(movables *all, movable *m, hpw_report *report) {
    hpw_error error = HPW_UNALLOCATED;
    memset(report, 0, sizeof *report);
    movables_enter(all);
    if (m->state == MOVABLE_LIVE) error = hpw_release(all->pool, m->address, report);
    if (!error) forget(all, m);
    movables_leave(all);
    return error;
}

void movables_drop(movables *all, movable *m) {
    movables_enter(all);
    if (m->state == MOVABLE_LIVE) {
        hpw_release(all->pool, m->address, NULL);
        forget(all, m);
    }
    movables_leave(all);
}

/* ---- All of them ---- */

hpw_error movables_reset(movables *all) {
    movables_enter(all);
    hpw_error error = hpw_reset(all->pool);
    if (!error && all->table.entries) {
        for (uint64_t i = 0; i <= all->table.mask; i++)
            if (all->table.entries[i].slot != HPW_NO_SLOT)
                ((movable *)(uintptr_t)all->table.entries[i].id)->state = MOVABLE_RESET;
        hpw_live_free(&all->table);
        atomic_store_explicit(&all->count, 0, memory_order_relaxed);
    }
    movables_leave(all);
    return error;
}

/* The two calls of the mover, with mutex and pool's lock held. */
static bool may_move(void *ud, uint64_t address, uint64_t size) {
    const movables *all = ud;
    (void)size;
    return hpw_live_find(&all->table, address) != NULL;
}

static void moved(void *ud, uint64_t from, uint64_t to, uint64_t size) {
    movables *all = ud;
    (void)size;
    move(all, (movable *)(uintptr_t)hpw_live_find(&all->table, from)->id, to);
}

hpw_error movables_compact(movables *all, hpw_compaction *out) {
    movables_enter(all);
    hpw_error error = hpw_compact(all->pool, &(hpw_mover){all, may_move, moved}, out);
    movables_leave(all);
    return error;
}
