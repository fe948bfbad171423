/* SPDX-License-Identifier: MIT */
/*
 * Resizing. A block becomes smaller where it lies; larger into the free block behind
 * it, or before it, or where the policy places it. The first of these ways that leads
 * somewhere is taken; a large block tries to slide before it moves, since its bytes
 * cost more than the search. A resize that fails has changed nothing: where the index
 * turns out to be broken on the way, the map is put back.
 */
#define POLICY (*pool->policy)
#include "guard.h"
#include "operations.h"

/* A block being resized: where it is and what it should become. */
typedef struct resizing {
    granule_t at, size;
    uint64_t requested; /* now */
    granule_t new_size;
    uint64_t new_requested;
    granule_t align; /* to keep when it moves */
    bool held;       /* its old place is in quarantine */
} resizing;

/* In granules, the alignment that the block at `at` keeps. */
granule_t pool_kept_align(const hpw_pool *pool, granule_t at) {
    if (pool->index.map.freed ? !blocks_bit(pool->index.map.freed, at) : !pool->largest_align) return 1;
    granule_t natural = (at + pool->skew) & (0U - (at + pool->skew));
    granule_t largest = (granule_t)(pool->largest_align >> pool->index.shift);
    return natural == 0 || natural > largest ? largest : natural;
}

static bool may_resize(hpw_pool *pool, const resizing *r) {
    return !POLICY.may_resize || POLICY.may_resize(&pool->index, r->at, r->size, r->new_size);
}

static void resized_in_place(hpw_pool *pool, const resizing *r) {
    if (pool->policy->placed) pool->policy->placed(&pool->index, r->at, r->new_size, true);
}

/* The index broke: the map shows the block as it was, and what is free from there to `to`. */
static bool undo(hpw_pool *pool, work *w, const resizing *r, granule_t from, granule_t to) {
    uint64_t slack = pool_bytes(pool, r->size) - r->requested;
    show_again(pool, from, to, r->at, r->size, slack != 0);
    pool_note_slack(pool, r->at, r->size, slack);
    w->blocks = 0;
    return false;
}

/* Smaller, or just as large: always where it lies. */
static bool resize_down(hpw_pool *pool, work *w, resizing *r) {
    if (r->new_size > r->size) return false;
    if (r->new_size < r->size && !may_resize(pool, r)) r->new_size = r->size;
    if (is_broken(pool, w)) return false;
    granule_t end = r->at + r->new_size, rest = r->size - r->new_size;
    uint64_t slack = pool_bytes(pool, r->new_size) - r->new_requested;
    blocks_set_live(&pool->index.map, r->at, r->new_size, slack != 0);
    if (rest) {
        resized_in_place(pool, r);
        hold(pool, end, rest);
        add_pieces(pool, w, end, rest);
        if (is_broken(pool, w)) return undo(pool, w, r, r->at, end + blocks_size(&pool->index.map, end));
    }
    pool_note_slack(pool, r->at, r->new_size, slack); /* where its own bytes were, until now */
    return true;
}

/* Into the free blocks after it. */
static bool resize_forwards(hpw_pool *pool, work *w, const resizing *r) {
    blocks *map = &pool->index.map;
    granule_t end = r->at + r->size, needed = r->at + r->new_size;
    if (r->new_size > map->count - r->at || !may_resize(pool, r)) return false;
    granule_t reach = end;
    while (reach < needed && !blocks_is_live(map, reach)) reach += blocks_size(map, reach);
    if (reach < needed) return false;
    for (granule_t next = end, size; next < needed; next += size) {
        size = blocks_size(map, next);
        if (!index_remove(pool, w, next, size)) return undo(pool, w, r, r->at, next);
        blocks_erase(map, next);
        hold(pool, r->at, next + size - r->at); /* between two calls of the policy the map is whole */
    }
    if (reach > needed) hold(pool, needed, reach - needed);
    set_live(pool, r->at, r->new_size, r->new_requested);
    resized_in_place(pool, r);
    if (reach > needed) add_rest(pool, w, needed, reach - needed);
    return is_broken(pool, w) ? undo(pool, w, r, r->at, reach) : true;
}

/* The bytes that are kept go where the block is to be, or was. */
static void move_bytes(hpw_pool *pool, granule_t to, granule_t from, const resizing *r) {
    uint64_t kept = r->requested < r->new_requested ? r->requested : r->new_requested;
    unsigned char *bytes = pool->index.bytes;
    memmove(bytes + pool_bytes(pool, to), bytes + pool_bytes(pool, from), (size_t)kept);
}

/* Into the free block before it, and the one after it; for policies that join all neighbours. */
static bool resize_backwards(hpw_pool *pool, work *w, resizing *r) {
    blocks *map = &pool->index.map;
    const policy *p = pool->policy;
    if (p->piece || p->may_join || p->in_run || r->at == 0) return false;
    granule_t previous = blocks_previous(map, r->at), end = r->at + r->size;
    if (blocks_is_live(map, previous)) return false;
    granule_t next_size = blocks_is_live(map, end) ? 0 : blocks_size(map, end);
    request wanted = {.size = r->new_size, .align = r->align, .skew = pool->skew & (r->align - 1)};
    granule_t to = place_in(&wanted, previous, end + next_size - previous);
    if (to == NO_GRANULE || to >= r->at) return false;
    if (next_size) {
        if (!index_remove(pool, w, end, next_size)) return false;
        blocks_erase(map, end);
        hold(pool, r->at, r->size + next_size);
        end += next_size;
    }
    if (!index_remove(pool, w, previous, r->at - previous)) return undo(pool, w, r, r->at, end);
    move_bytes(pool, to, r->at, r);
    blocks_erase(map, r->at);
    granule_t live_end = to + r->new_size;
    if (to > previous) hold(pool, previous, to - previous);
    if (end > live_end) hold(pool, live_end, end - live_end);
    set_live(pool, to, r->new_size, r->new_requested);
    if (to > previous) add_free(pool, w, previous, to - previous);
    if (end > live_end) add_free(pool, w, live_end, end - live_end);
    if (is_broken(pool, w)) { /* it grew: all of its bytes are there */
        move_bytes(pool, r->at, to, r);
        return undo(pool, w, r, previous, end);
    }
    r->at = to;
    return true;
}

/* To where the policy places it. */
static bool resize_by_moving(hpw_pool *pool, work *w, resizing *r) {
    request wanted = {.size = r->new_size, .align = r->align, .skew = pool->skew & (r->align - 1)};
    placement place = find(pool, w, &wanted);
    int count = w->blocks;
    if (place.block == NO_GRANULE || !take(pool, w, place, r->new_size, r->new_requested)) return false;
    move_bytes(pool, place.at, r->at, r);
    r->held = pool->guards;
    if (r->held) {
        w->blocks++; /* it stays one, beside the new one */
        guard_hold(pool, r->at, r->size, r->requested);
    } else if (!give(pool, w, r->at, r->size)) {
        take_back(pool, place);
        w->blocks = count;
        return false;
    }
    r->at = place.at;
    return true;
}

enum { LARGE_BLOCK = 64 * 1024 };

static bool resize_here(hpw_pool *pool, work *w, resizing *r) {
    bool large = r->requested >= LARGE_BLOCK;
    if (resize_down(pool, w, r)) return true;
    if (!is_broken(pool, w) && resize_forwards(pool, w, r)) return true;
    if (!is_broken(pool, w) && large && resize_backwards(pool, w, r)) return true;
    if (!is_broken(pool, w) && resize_by_moving(pool, w, r)) return true;
    return !is_broken(pool, w) && !pool_policy_failed(pool) && !large && resize_backwards(pool, w, r);
}

static bool resize_somehow(hpw_pool *pool, work *w, resizing *r) {
    if (r->new_size == NO_GRANULE) return false;
    return resize_here(pool, w, r) || (pool->guards && !is_broken(pool, w) && !pool_policy_failed(pool) &&
                                       guard_empty(pool) && resize_here(pool, w, r));
}

/* What guards know of a block that was resized. */
static void note_resized(hpw_pool *pool, const resizing *r, granule_t old_at, uint64_t old_requested) {
    guard_note_allocated(pool, r->at);
    guard_move_written(pool->guards, pool_bytes(pool, r->at), pool_bytes(pool, old_at), old_requested,
                       r->new_requested);
}

/* Why the block may not be resized: its canary, or another one's poison; HPW_OK: it may. */
static hpw_error refuse_damaged(hpw_pool *pool, const resizing *r, hpw_report *report) {
    uint64_t damaged = pool_damage(pool, r->at, r->size, r->requested);
    if (damaged != UINT64_MAX) return pool_report_at(pool, report, HPW_CORRUPTED, damaged, 0, POOL_OVERRUN);
    if (!pool->guards) return HPW_OK;
    pool->guards->damaged = NO_GRANULE;
    return guard_expect(pool, pool_bytes(pool, r->size), report);
}

hpw_error pool_resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved, hpw_report *report) {
    resizing r = {.new_requested = size};
    work w = begin_work(pool);
    if (is_broken(pool, &w)) return pool_report_broken(pool, report);
    if (!pool_find_user(pool, address, &r.at, &r.size, &r.requested))
        return pool_diagnose(pool, address, report);
    hpw_error damaged = refuse_damaged(pool, &r, report);
    if (damaged) return damaged;
    granule_t old_at = r.at, old_size = r.size;
    bool over_aligned = pool->index.map.freed && blocks_bit(pool->index.map.freed, r.at);
    r.align = pool_kept_align(pool, r.at);
    r.new_size = granules_for(pool, pool_guarded_size(pool, size));
    if (!resize_somehow(pool, &w, &r)) {
        end_work(pool, &w, 0);
        if (is_broken(pool, &w)) {
            pool_note_broken(pool);
            return pool_report_broken(pool, report);
        }
        pool_refuse_request(pool, address, size, 0);
        return pool_report_refused(pool, report, address, size);
    }
    count_gone(pool, r.held ? 0 : old_size, r.requested);
    count_live(pool, r.at, r.new_size, size);
    if (pool->guards) note_resized(pool, &r, old_at, r.requested);
    if (r.at != old_at) {
        blocks_note_freed(&pool->index.map, old_at, true);
        blocks_note_freed(&pool->index.map, r.at, over_aligned);
    }
    if (!pool->policy->keeps_freed && pool->index.map.count > pool->capacity) pool_trim(pool);
    end_work(pool, &w, 0);
    if (is_broken(pool, &w)) pool_note_broken(pool); /* where what it made possible was done */
    pool->counts.reallocations++;
    *moved = pool_bytes(pool, r.at);
    if (pool->sink)
        pool_emit(pool, (hpw_event){
                            .kind = HPW_EVENT_RESIZE, .address = *moved, .previous = address, .size = size});
    return HPW_OK;
}

hpw_error pool_resize_asking(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved,
                             hpw_report *report) {
    return pool->injection.on ? inject_resize(pool, address, size, moved, report)
                              : pool_resize(pool, address, size, moved, report);
}

hpw_error hpw_resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved, hpw_report *report) {
    if (pool->guards) return guard_resize(pool, address, size, moved, CALLER, report);
    pool_enter(pool);
    hpw_error error = pool_resize_asking(pool, address, size, moved, report);
    pool_leave(pool);
    return error;
}

void *hpw_realloc(hpw_pool *pool, void *block, size_t size) {
    uint64_t moved;
    if (pool->guards)
        return block ? guard_realloc(pool, block, size, CALLER) : guard_malloc(pool, size, 0, CALLER);
    if (!block) return hpw_malloc(pool, size);
    return hpw_resize(pool, hpw_address(pool, block), size, &moved, NULL) ? NULL : pool->index.bytes + moved;
}
