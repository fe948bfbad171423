/* SPDX-License-Identifier: MIT */
/*
 * Allocation, resizing and freeing: ask the policy, edit the block map, count,
 * tell. The only file that changes the map once a pool is open.
 *
 *   take     [ ------------- block ------------- ]
 *         => [ before ][ ------ live ------ ][ after ]
 *   give     [ free ][ ------ live ------ ][ free ]
 *         => [ --------------- free -------------- ]
 *
 * Every public operation: enter; validate; find (the policy's work); commit
 * (the map's, which cannot fail); count; emit; leave.
 */
#include "pool.h"

/* ---- Free ranges ---- */

static void add_free(hpw_pool *pool, granule_t at, granule_t size) {
    blocks_set_free(&pool->map, at, size);
    pool->counts.free_blocks++;
    pool->policy->added(&pool->index, at, size);
}

static void remove_free(hpw_pool *pool, granule_t at, granule_t size) {
    pool->counts.free_blocks--;
    pool->policy->removed(&pool->index, at, size);
}

static bool may_join(hpw_pool *pool, granule_t left, granule_t right, granule_t right_size) {
    const policy *p = pool->policy;
    return !p->may_join || p->may_join(&pool->index, left, right, right_size);
}

/*
 * A range *in hand* is in no index and marked live, so that no policy counts it
 * and no neighbour joins it before its turn.
 */
static void hold(hpw_pool *pool, granule_t at, granule_t size) { blocks_set_live(&pool->map, at, size, false); }

/* Makes [at, at + size), in hand, one free block with whatever free neighbours it may join. */
static void join_and_add(hpw_pool *pool, granule_t at, granule_t size) {
    blocks *map = &pool->map;
    for (bool again = true; again;) {
        again = false;
        granule_t next = at + size;
        if (!blocks_is_live(map, next)) {
            granule_t next_size = blocks_size(map, next);
            if (may_join(pool, at, next, next_size)) {
                remove_free(pool, next, next_size);
                blocks_erase(map, next);
                size += next_size;
                hold(pool, at, size);
                again = true;
            }
        }
        if (at == 0) continue;
        granule_t previous = blocks_previous(map, at);
        if (blocks_is_live(map, previous) || !may_join(pool, previous, at, size)) continue;
        remove_free(pool, previous, at - previous);
        blocks_erase(map, at);
        size += at - previous;
        at = previous;
        hold(pool, at, size);
        again = true;
    }
    add_free(pool, at, size);
}

/* [at, at + size), in hand, becomes free blocks in the policy's pieces, joined where they may be. */
static void add_pieces(hpw_pool *pool, granule_t at, granule_t size) {
    const policy *p = pool->policy;
    while (size) {
        granule_t part = p->piece ? p->piece(&pool->index, at, size) : size;
        hold(pool, at, part);
        if (part < size) hold(pool, at + part, size - part);
        join_and_add(pool, at, part);
        at += part;
        size -= part;
    }
}

/* The same for what is left of a free block that was cut: only special policies have joins there. */
static void add_rest(hpw_pool *pool, granule_t at, granule_t size) {
    const policy *p = pool->policy;
    if (p->piece || p->may_join)
        add_pieces(pool, at, size);
    else
        add_free(pool, at, size);
}

static void set_end(hpw_pool *pool, granule_t end) {
    blocks_set_end(&pool->map, end);
    pool->counts.capacity = pool_bytes(pool, end);
}

void pool_fill(hpw_pool *pool) {
    granule_t count = pool->capacity;
    hold(pool, 0, count);
    set_end(pool, count);
    add_pieces(pool, 0, count);
    pool->index.steps = 0;
}

/* ---- Growing and shrinking ---- */

/* The last block, where it is free; NO_GRANULE where it is live. */
static granule_t free_tail(const hpw_pool *pool) {
    granule_t last = blocks_previous(&pool->map, pool->map.count);
    return blocks_is_live(&pool->map, last) ? NO_GRANULE : last;
}

static void extend(hpw_pool *pool, granule_t end) {
    granule_t from = pool->map.count;
    set_end(pool, end);
    hold(pool, from, end - from);
    add_pieces(pool, from, end - from);
}

static void shrink(hpw_pool *pool, granule_t end) {
    for (granule_t old = pool->map.count; pool->map.count > end;) {
        granule_t tail = free_tail(pool), size = pool->map.count - tail;
        remove_free(pool, tail, size);
        if (tail >= end) {
            blocks_erase(&pool->map, tail);
            set_end(pool, tail);
        } else {
            hold(pool, tail, end - tail);
            set_end(pool, end);
            add_pieces(pool, tail, end - tail);
        }
        if (pool->map.count <= end && pool->discard)
            pool->discard(pool, pool_bytes(pool, pool->map.count), pool_bytes(pool, old));
    }
}

/* A pool that grew gives its free end back, all but a step of it. */
static void trim(hpw_pool *pool) {
    if (pool->map.count <= pool->capacity) return;
    granule_t tail = free_tail(pool), step = pool->growth_step;
    if (tail == NO_GRANULE || pool->map.count - tail < 2 * step) return;
    granule_t end = (tail + step - 1) / step * step + step;
    if (end < pool->capacity) end = pool->capacity;
    if (end < pool->map.count) shrink(pool, end);
}

/* Grows until `want` fits; as the pool was where it never does. */
static placement grow_for(hpw_pool *pool, const request *want) {
    granule_t old = pool->map.count, step = pool->growth_step, tail = free_tail(pool);
    granule_t from = tail == NO_GRANULE ? old : tail;
    placement found = placement_none();
    if (place_in(want, from, pool->max_capacity - from) == NO_GRANULE) return found;
    for (uint64_t end = from; pool->map.count < pool->max_capacity && found.block == NO_GRANULE;) {
        end += (uint64_t)want->align - 1 + want->size;
        if (end <= pool->map.count) end = (uint64_t)pool->map.count + 1;
        end = (end + step - 1) / step * step;
        if (end > pool->max_capacity) end = pool->max_capacity;
        extend(pool, (granule_t)end);
        found = pool->policy->choose(&pool->index, want);
    }
    if (found.block == NO_GRANULE) shrink(pool, old);
    return found;
}

/* ---- Live blocks ---- */

/* Marks [at, at + size) live and notes its requested size. */
static void set_live(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    uint64_t granted = pool_bytes(pool, size), slack = granted - requested;
    blocks_set_live(&pool->map, at, size, slack != 0);
    if (!slack) return;
    unsigned char *end = pool->index.bytes + pool_bytes(pool, at) + granted;
    if (slack < SLACK_LONG) {
        end[-1] = (unsigned char)slack;
    } else {
        end[-1] = SLACK_LONG;
        memcpy(end - 1 - sizeof slack, &slack, sizeof slack);
    }
}

static void count_live(hpw_pool *pool, granule_t at, granule_t size, uint64_t requested) {
    hpw_stats *counts = &pool->counts;
    uint64_t end = pool_bytes(pool, at + size);
    counts->in_use += requested;
    counts->granted += pool_bytes(pool, size);
    if (counts->in_use > counts->peak_in_use) counts->peak_in_use = counts->in_use;
    if (counts->granted > counts->peak_granted) counts->peak_granted = counts->granted;
    if (end > counts->high_water) counts->high_water = end;
}

static void count_gone(hpw_pool *pool, granule_t size, uint64_t requested) {
    pool->counts.in_use -= requested;
    pool->counts.granted -= pool_bytes(pool, size);
}

static void count_steps(hpw_pool *pool) {
    uint64_t steps = pool->index.steps;
    pool->index.steps = 0;
    pool->counts.steps += steps;
    if (steps > pool->counts.steps_max) pool->counts.steps_max = steps;
}

/* Granules for `size` bytes, as the policy grants them; NO_GRANULE where no pool holds them. */
static granule_t granules_for(const hpw_pool *pool, uint64_t size) {
    uint64_t granules = (size >> pool->index.shift) + ((size & (pool_bytes(pool, 1) - 1)) != 0);
    if (granules == 0) granules = 1;
    if (granules > pool->max_capacity) return NO_GRANULE;
    const policy *p = pool->policy;
    return p->round ? p->round(&pool->index, (granule_t)granules) : (granule_t)granules;
}

/* A place for `want`, and the pool grown for it where it can. */
static placement find(hpw_pool *pool, const request *want) {
    if (want->size > pool->max_capacity) return placement_none();
    placement found = pool->policy->choose(&pool->index, want);
    if (found.block != NO_GRANULE || pool->map.count == pool->max_capacity) return found;
    return grow_for(pool, want);
}

/* Cuts [at, at + size) out of the free block that holds it and makes it live. */
static void take(hpw_pool *pool, placement place, granule_t size, uint64_t requested) {
    granule_t whole = blocks_size(&pool->map, place.block);
    granule_t before = place.at - place.block, after = whole - before - size;
    remove_free(pool, place.block, whole);
    if (pool->policy->placed) pool->policy->placed(&pool->index, place.at, size, false);
    if (after) hold(pool, place.at + size, after);
    set_live(pool, place.at, size, requested);
    if (before) {
        hold(pool, place.block, before);
        add_rest(pool, place.block, before);
    }
    if (after) add_rest(pool, place.at + size, after);
}

static void give(hpw_pool *pool, granule_t at, granule_t size) {
    if (pool->policy->freed) pool->policy->freed(&pool->index, at, size);
    hold(pool, at, size);
    join_and_add(pool, at, size);
    if (!pool->policy->keeps_freed) trim(pool);
}

static request want(const hpw_pool *pool, granule_t size, granule_t align) {
    return (request){.size = size, .align = align, .skew = pool->skew & (align - 1)};
}

/* ---- Allocate ---- */

/* The lock is held; align in granules. */
static hpw_error allocate(hpw_pool *pool, uint64_t size, uint64_t alignment, granule_t *at, hpw_report *report) {
    uint64_t usual = pool_bytes(pool, 1);
    if (alignment & (alignment - 1))
        return pool_report(report, HPW_INVALID_ARGUMENT, alignment, size, "the alignment is not a power of two");
    granule_t granules = granules_for(pool, size);
    placement place = placement_none();
    if (granules != NO_GRANULE && alignment >> pool->index.shift <= (uint64_t)1 << 31) {
        granule_t align = alignment > usual ? (granule_t)(alignment >> pool->index.shift) : 1;
        request wanted = want(pool, granules, align);
        place = find(pool, &wanted);
    }
    if (place.block == NO_GRANULE) {
        count_steps(pool);
        pool->counts.failures++;
        pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FAILURE, .size = size, .alignment = alignment});
        return pool_report(report, HPW_NO_MEMORY, 0, size, "no free block holds the request");
    }
    take(pool, place, granules, size);
    count_steps(pool);
    count_live(pool, place.at, granules, size);
    if (alignment > usual && alignment > pool->largest_align) pool->largest_align = alignment;
    blocks_note_freed(&pool->map, place.at, alignment > usual); /* of a live block: over-aligned */
    pool->counts.live_blocks++;
    pool->counts.allocations++;
    *at = place.at;
    pool_emit(pool, (hpw_event){.kind = HPW_EVENT_ALLOC,
                                .address = pool_bytes(pool, place.at),
                                .size = size,
                                .alignment = alignment > usual ? alignment : 0});
    return HPW_OK;
}

hpw_error hpw_allocate(hpw_pool *pool, uint64_t size, uint64_t alignment, uint64_t *address, hpw_report *report) {
    granule_t at = 0;
    pool_enter(pool);
    hpw_error error = allocate(pool, size, alignment, &at, report);
    pool_leave(pool);
    if (!error) *address = pool_bytes(pool, at);
    return error;
}

void *hpw_malloc(hpw_pool *pool, size_t size) { return hpw_aligned_alloc(pool, 1, size); }

void *hpw_aligned_alloc(hpw_pool *pool, size_t alignment, size_t size) {
    uint64_t address;
    if (!alignment || hpw_allocate(pool, size, alignment, &address, NULL)) return NULL;
    return pool->index.bytes + address;
}

void *hpw_calloc(hpw_pool *pool, size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) {
        pool_enter(pool);
        pool->counts.failures++;
        pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FAILURE, .size = UINT64_MAX});
        pool_leave(pool);
        return NULL;
    }
    void *block = hpw_malloc(pool, count * size);
    return block ? memset(block, 0, count * size) : NULL;
}

/* ---- Free ---- */

hpw_error pool_find_live(const hpw_pool *pool, uint64_t address, granule_t *at, granule_t *size, uint64_t *requested,
                         hpw_report *report) {
    if (!pool_holds(pool, address))
        return pool_report(report, HPW_INVALID_FREE, address, 0, "the address lies outside of the pool");
    *at = pool_granule(pool, address);
    const blocks *map = &pool->map;
    if (address == pool_bytes(pool, *at)) {
        if (blocks_is_live(map, *at)) {
            *size = blocks_size(map, *at);
            if (pool_requested(pool, *at, *size, requested)) return HPW_OK;
            return pool_report_at(pool, report, HPW_CORRUPTED, address, 0, "the block's size record was overwritten");
        }
        bool freed = map->freed ? blocks_bit(map->freed, *at) : !blocks_is_live(map, blocks_owner(map, *at));
        if (freed) return pool_report_at(pool, report, HPW_DOUBLE_FREE, address, 0, "the block was freed before");
    }
    return pool_report_at(pool, report, HPW_INVALID_FREE, address, 0, "no live block starts here");
}

static hpw_error release(hpw_pool *pool, uint64_t address, const uint64_t *expected, hpw_report *report) {
    granule_t at, size;
    uint64_t requested;
    hpw_error error = pool_find_live(pool, address, &at, &size, &requested, report);
    if (error) return error;
    if (expected && *expected != requested)
        return pool_report_at(pool, report, HPW_INVALID_ARGUMENT, address, *expected, "the block has another size");
    count_gone(pool, size, requested);
    blocks_note_freed(&pool->map, at, true);
    give(pool, at, size);
    count_steps(pool);
    pool->counts.live_blocks--;
    pool->counts.frees++;
    pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FREE, .address = address, .size = requested});
    return HPW_OK;
}

hpw_error hpw_release(hpw_pool *pool, uint64_t address, hpw_report *report) {
    pool_enter(pool);
    hpw_error error = release(pool, address, NULL, report);
    pool_leave(pool);
    return error;
}

hpw_error hpw_free(hpw_pool *pool, void *block) {
    return block ? hpw_release(pool, hpw_address(pool, block), NULL) : HPW_OK;
}

hpw_error hpw_free_sized(hpw_pool *pool, void *block, size_t size) {
    if (!block) return HPW_OK;
    uint64_t expected = size;
    pool_enter(pool);
    hpw_error error = release(pool, hpw_address(pool, block), &expected, NULL);
    pool_leave(pool);
    return error;
}

/* ---- Resize ---- */

/* A block being resized: where it is and what it should become. */
typedef struct resizing {
    granule_t at, size;
    uint64_t requested; /* now */
    granule_t new_size;
    uint64_t new_requested;
    granule_t align; /* to keep when it moves */
} resizing;

/* In granules, the alignment that the block at `at` keeps. */
static granule_t kept_align(const hpw_pool *pool, granule_t at) {
    if (pool->map.freed ? !blocks_bit(pool->map.freed, at) : !pool->largest_align) return 1;
    granule_t natural = (at + pool->skew) & (0U - (at + pool->skew));
    granule_t largest = (granule_t)(pool->largest_align >> pool->index.shift);
    return natural == 0 || natural > largest ? largest : natural;
}

static bool may_resize(hpw_pool *pool, const resizing *r) {
    const policy *p = pool->policy;
    return !p->may_resize || p->may_resize(&pool->index, r->at, r->size, r->new_size);
}

static void resized_in_place(hpw_pool *pool, const resizing *r) {
    if (pool->policy->placed) pool->policy->placed(&pool->index, r->at, r->new_size, true);
}

/* Smaller, or just as large: always where it lies. */
static bool resize_down(hpw_pool *pool, resizing *r) {
    if (r->new_size > r->size) return false;
    if (r->new_size < r->size && !may_resize(pool, r)) r->new_size = r->size;
    granule_t rest = r->size - r->new_size;
    set_live(pool, r->at, r->new_size, r->new_requested);
    if (!rest) return true;
    resized_in_place(pool, r);
    hold(pool, r->at + r->new_size, rest);
    add_pieces(pool, r->at + r->new_size, rest);
    return true;
}

/* Into the free blocks after it. */
static bool resize_forwards(hpw_pool *pool, const resizing *r) {
    blocks *map = &pool->map;
    granule_t end = r->at + r->size, needed = r->at + r->new_size;
    if (r->new_size > map->count - r->at || !may_resize(pool, r)) return false;
    granule_t reach = end;
    while (reach < needed && !blocks_is_live(map, reach)) reach += blocks_size(map, reach);
    if (reach < needed) return false;
    for (granule_t next = end, size; next < needed; next += size) {
        size = blocks_size(map, next);
        remove_free(pool, next, size);
        blocks_erase(map, next);
        hold(pool, r->at, next + size - r->at); /* between two calls of the policy the map is whole */
    }
    if (reach > needed) hold(pool, needed, reach - needed);
    set_live(pool, r->at, r->new_size, r->new_requested);
    resized_in_place(pool, r);
    if (reach > needed) add_rest(pool, needed, reach - needed);
    return true;
}

static void keep_bytes(hpw_pool *pool, granule_t to, const resizing *r) {
    uint64_t kept = r->requested < r->new_requested ? r->requested : r->new_requested;
    unsigned char *bytes = pool->index.bytes;
    memmove(bytes + pool_bytes(pool, to), bytes + pool_bytes(pool, r->at), (size_t)kept);
}

/* Into the free block before it, and the one after it; for policies that join all neighbours. */
static bool resize_backwards(hpw_pool *pool, resizing *r) {
    blocks *map = &pool->map;
    if (pool->policy->piece || pool->policy->may_join || r->at == 0) return false;
    granule_t previous = blocks_previous(map, r->at), end = r->at + r->size;
    if (blocks_is_live(map, previous)) return false;
    granule_t next_size = blocks_is_live(map, end) ? 0 : blocks_size(map, end);
    request wanted = want(pool, r->new_size, r->align);
    granule_t to = place_in(&wanted, previous, end + next_size - previous);
    if (to == NO_GRANULE || to >= r->at) return false;
    if (next_size) {
        remove_free(pool, end, next_size);
        blocks_erase(map, end);
        hold(pool, r->at, r->size + next_size);
        end += next_size;
    }
    remove_free(pool, previous, r->at - previous);
    keep_bytes(pool, to, r);
    blocks_erase(map, r->at);
    granule_t live_end = to + r->new_size;
    if (to > previous) hold(pool, previous, to - previous);
    if (end > live_end) hold(pool, live_end, end - live_end);
    set_live(pool, to, r->new_size, r->new_requested);
    if (to > previous) add_free(pool, previous, to - previous);
    if (end > live_end) add_free(pool, live_end, end - live_end);
    r->at = to;
    return true;
}

/* To where the policy places it. */
static bool resize_by_moving(hpw_pool *pool, resizing *r) {
    request wanted = want(pool, r->new_size, r->align);
    placement place = find(pool, &wanted);
    if (place.block == NO_GRANULE) return false;
    take(pool, place, r->new_size, r->new_requested);
    keep_bytes(pool, place.at, r);
    give(pool, r->at, r->size);
    r->at = place.at;
    return true;
}

enum { LARGE_BLOCK = 64 * 1024 };

static bool resize_somehow(hpw_pool *pool, resizing *r) {
    if (resize_down(pool, r) || resize_forwards(pool, r)) return true;
    bool large = r->requested >= LARGE_BLOCK;
    if (large && resize_backwards(pool, r)) return true;
    return resize_by_moving(pool, r) || (!large && resize_backwards(pool, r));
}

static hpw_error resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved, hpw_report *report) {
    resizing r = {.new_requested = size};
    hpw_error error = pool_find_live(pool, address, &r.at, &r.size, &r.requested, report);
    if (error) return error;
    granule_t old_at = r.at, old_size = r.size;
    bool over_aligned = pool->map.freed && blocks_bit(pool->map.freed, r.at);
    r.align = kept_align(pool, r.at);
    r.new_size = granules_for(pool, size);
    if (r.new_size == NO_GRANULE || !resize_somehow(pool, &r)) {
        count_steps(pool);
        pool->counts.failures++;
        pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FAILURE, .address = address, .previous = address, .size = size});
        return pool_report_at(pool, report, HPW_NO_MEMORY, address, size, "no free block holds the request");
    }
    count_gone(pool, old_size, r.requested);
    count_live(pool, r.at, r.new_size, size);
    if (r.at != old_at) {
        blocks_note_freed(&pool->map, old_at, true);
        blocks_note_freed(&pool->map, r.at, over_aligned);
    }
    if (!pool->policy->keeps_freed) trim(pool);
    count_steps(pool);
    pool->counts.reallocations++;
    *moved = pool_bytes(pool, r.at);
    pool_emit(pool, (hpw_event){.kind = HPW_EVENT_RESIZE, .address = *moved, .previous = address, .size = size});
    return HPW_OK;
}

hpw_error hpw_resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved, hpw_report *report) {
    pool_enter(pool);
    hpw_error error = resize(pool, address, size, moved, report);
    pool_leave(pool);
    return error;
}

void *hpw_realloc(hpw_pool *pool, void *block, size_t size) {
    uint64_t moved;
    if (!block) return hpw_malloc(pool, size);
    return hpw_resize(pool, hpw_address(pool, block), size, &moved, NULL) ? NULL : pool->index.bytes + moved;
}

/* ---- Reset ---- */

void hpw_reset(hpw_pool *pool) {
    pool_enter(pool);
    blocks *map = &pool->map;
    for (granule_t at = 0; at < map->count; at += blocks_size(map, at)) {
        if (!blocks_is_live(map, at)) continue;
        granule_t size = blocks_size(map, at);
        uint64_t requested = 0;
        blocks_note_freed(map, at, true);
        pool_requested(pool, at, size, &requested);
        pool->counts.frees++;
        pool_emit(pool, (hpw_event){.kind = HPW_EVENT_FREE, .address = pool_bytes(pool, at), .size = requested});
    }
    granule_t count = map->count;
    pool->largest_align = 0;
    pool->counts.in_use = pool->counts.granted = pool->counts.live_blocks = pool->counts.free_blocks = 0;
    blocks_clear(map);
    memset(pool->index.state, 0, pool->state_bytes);
    pool->policy->open(&pool->index);
    hold(pool, 0, count);
    set_end(pool, count);
    add_pieces(pool, 0, count);
    trim(pool);
    pool->index.steps = 0;
    pool_leave(pool);
}
