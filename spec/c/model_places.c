/* SPDX-License-Identifier: MIT */
/* The model's blocks, and where requests go: see model.h. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

/* ---- Blocks ---- */

uint32_t model_holding(const model *m, uint32_t at) {
    uint32_t block = 0;
    while (block + m->cells[block].size <= at) block += m->cells[block].size;
    return block;
}

uint32_t model_before(const model *m, uint32_t at) { return at ? model_holding(m, at - 1) : NOWHERE; }

bool model_is_free(const model *m, uint32_t at) {
    return at < m->capacity && !m->cells[model_holding(m, at)].live;
}

uint32_t model_erase(model *m, uint32_t at) {
    model_cell *cell = &m->cells[at];
    uint32_t size = cell->size;
    *cell = (model_cell){.freed = cell->freed};
    return size;
}

/* May the free blocks [left, right) and [right, right + size) be one? */
static bool may_join(const model *m, uint32_t left, uint32_t right) {
    uint32_t size = m->cells[left].size;
    if (m->cells[left].live || m->cells[right].live) return false;
    if (m->policy == BUMP) return right != m->next;
    if (m->policy == BUDDY) return m->cells[right].size == size && left % (2 * size) == 0;
    return true;
}

/* Free block `at`, not yet known to the policy, joins its neighbours and becomes known. */
static void join(model *m, uint32_t at) {
    for (;;) {
        uint32_t after = at + m->cells[at].size, before = model_before(m, at);
        if (after < m->capacity && may_join(m, at, after)) {
            m->cells[at].size += model_erase(m, after);
        } else if (before != NOWHERE && may_join(m, before, at)) {
            m->cells[before].size += model_erase(m, at);
            at = before;
        } else {
            break;
        }
    }
    m->cells[at].time = ++m->clock;
}

/* How much of the free range [at, at + size) is one block: all of it, or the largest buddy. */
static uint32_t piece(const model *m, uint32_t at, uint32_t size) {
    uint32_t part = 1;
    if (m->policy != BUDDY) return size;
    while (part <= size / 2 && at % (2 * part) == 0) part *= 2;
    return part;
}

void model_enter(model *m, uint32_t at, uint32_t size) {
    while (size) {
        uint32_t part = piece(m, at, size);
        m->cells[at].size = part;
        m->cells[at].live = false;
        if (part < size) { /* what is still to come is nobody's neighbour yet */
            m->cells[at + part].size = size - part;
            m->cells[at + part].live = true;
        }
        join(m, at);
        if (part < size) model_erase(m, at + part);
        at += part;
        size -= part;
    }
}

/* ---- Choosing ---- */

uint32_t model_place_in(const model *m, uint32_t start, uint32_t size, model_want want) {
    uint64_t end = (uint64_t)start + size, at = start;
    bool buddy = m->policy == BUDDY; /* which begins at a multiple of its size */
    if (buddy)
        at = (at + want.size - 1) / want.size * want.size;
    else
        at += (0U - (start + m->skew)) & (want.align - 1);
    for (; at + want.size <= end; at += want.size)
        if (((uint32_t)at + m->skew) % want.align == 0) return (uint32_t)at;
    return NOWHERE;
}

/* ---- Order random, as core/policy/randomised.c states it ---- */

/* The n-th 64 bits of the seed: SplitMix64. */
static uint64_t bits_of(const model *m, uint64_t n) {
    uint64_t bits = m->seed + (n + 1) * 0x9e3779b97f4a7c15;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    return bits ^ bits >> 31;
}

/* What the placement to come draws. */
static uint64_t drawn(const model *m) { return bits_of(m, m->placements + 1); }

/* How far the block's rank lies ahead of the rank that is drawn, on the circle of all ranks. */
static uint32_t ahead(const model *m, uint32_t at) {
    uint64_t key = bits_of(m, 0);
    uint32_t rank = at ^ (uint32_t)key;
    rank = (rank ^ rank >> 16) * 0x85ebca6b ^ (uint32_t)(key >> 32);
    rank = (rank ^ rank >> 13) * 0xc2b2ae35;
    rank ^= rank >> 16;
    return rank - (uint32_t)(drawn(m) >> 32);
}

/* In an empty pool, one of the places from the lowest one, `at`, on. */
static uint32_t place_by_chance(const model *m, uint32_t at, model_want want) {
    uint64_t places = (uint64_t)((m->capacity - want.size - at) / want.align) + 1;
    return at + (uint32_t)((drawn(m) & UINT32_MAX) * places >> 32) * want.align;
}

/* Of two free blocks, is `a` the one that the order of ties names? */
static bool earlier(const model *m, uint32_t a, uint32_t b) {
    if (m->order == HPW_ORDER_FIFO) return m->cells[a].time < m->cells[b].time;
    if (m->order == HPW_ORDER_LIFO) return m->cells[a].time > m->cells[b].time;
    if (m->order == HPW_ORDER_RANDOM) return ahead(m, a) < ahead(m, b);
    return a < b;
}

/* Is free block `a` to be taken rather than `b`? Both hold the request. */
static bool better(const model *m, uint32_t a, uint32_t b) {
    uint32_t size_a = m->cells[a].size, size_b = m->cells[b].size;
    switch (m->policy) {
    case NEXT_FIT:
        if ((a >= m->rover) != (b >= m->rover)) return a >= m->rover;
        return a < b;
    case BEST_FIT:
    case BUDDY:
    case SLAB:
        return size_a != size_b ? size_a < size_b : earlier(m, a, b);
    case WORST_FIT:
        return size_a != size_b ? size_a > size_b : earlier(m, a, b);
    default:
        return earlier(m, a, b);
    }
}

static uint32_t choose_best(const model *m, model_want want, uint32_t *at) {
    uint32_t best = NOWHERE;
    for (uint32_t block = 0; block < m->capacity; block += m->cells[block].size) {
        if (m->cells[block].live) continue;
        uint32_t place = model_place_in(m, block, m->cells[block].size, want);
        if (place == NOWHERE || (best != NOWHERE && !better(m, block, best))) continue;
        best = block;
        *at = place;
    }
    if (best == 0 && m->order == HPW_ORDER_RANDOM && m->cells[best].size == m->capacity)
        *at = place_by_chance(m, *at, want);
    return best;
}

static uint32_t choose_next(const model *m, model_want want, uint32_t *at) {
    if (m->next >= m->capacity) return NOWHERE;
    *at = model_place_in(m, m->next, m->capacity - m->next, want);
    return *at == NOWHERE ? NOWHERE : m->next;
}

/* ---- Good fit: bins of sizes that differ by less than 1/64, the newest block of a bin first ---- */

enum { EXACT_BINS = 64, PEEK = 8 };

static uint64_t bin_of(uint64_t size) {
    unsigned halvings = 0;
    while (size >> halvings >= (uint64_t)2 * EXACT_BINS) halvings++;
    return (uint64_t)halvings * EXACT_BINS + (size >> halvings);
}

/* The first bin all of whose blocks hold `size`. */
static uint64_t sure_bin(uint64_t size) {
    uint64_t bin = bin_of(size);
    return size == 0 || bin_of(size - 1) != bin ? bin : bin + 1;
}

/* The first bin from `bin` on that has a block; UINT64_MAX: none. */
static uint64_t bin_from(const model *m, uint64_t bin) {
    uint64_t found = UINT64_MAX;
    for (uint32_t block = 0; block < m->capacity; block += m->cells[block].size) {
        uint64_t its = bin_of(m->cells[block].size);
        if (!m->cells[block].live && its >= bin && its < found) found = its;
    }
    return found;
}

/* The newest block of the bin that is older than `time`; NOWHERE. */
static uint32_t newest(const model *m, uint64_t bin, uint64_t time) {
    uint32_t found = NOWHERE;
    for (uint32_t block = 0; block < m->capacity; block += m->cells[block].size) {
        const model_cell *cell = &m->cells[block];
        if (cell->live || bin_of(cell->size) != bin || cell->time >= time) continue;
        if (found == NOWHERE || cell->time > m->cells[found].time) found = block;
    }
    return found;
}

/* The first of the PEEK newest blocks of the bin that holds the request. */
static uint32_t peek(const model *m, uint64_t bin, model_want want, uint32_t *at) {
    uint64_t time = UINT64_MAX;
    for (unsigned i = 0; i < PEEK; i++) {
        uint32_t block = newest(m, bin, time);
        if (block == NOWHERE) break;
        *at = model_place_in(m, block, m->cells[block].size, want);
        if (*at != NOWHERE) return block;
        time = m->cells[block].time;
    }
    return NOWHERE;
}

static uint32_t choose_good(const model *m, model_want want, uint32_t *at) {
    uint64_t sure = bin_from(m, sure_bin((uint64_t)want.size + want.align - 1));
    if (sure != UINT64_MAX) return peek(m, sure, want, at);
    uint32_t found = want.align > 1 ? peek(m, bin_from(m, sure_bin(want.size)), want, at) : NOWHERE;
    return found != NOWHERE ? found : peek(m, bin_of(want.size), want, at);
}

/* What the pool answered, where it may be so. */
static uint32_t choose_told(const model *m, model_want want, uint32_t *at) {
    uint64_t place = m->answer.address >> m->shift;
    if (m->answer.error || place >= m->capacity) return NOWHERE;
    uint32_t block = model_holding(m, (uint32_t)place);
    *at = (uint32_t)place;
    if (m->cells[block].live || place + want.size > (uint64_t)block + m->cells[block].size) return NOWHERE;
    return (*at + m->skew) % want.align ? NOWHERE : block;
}

uint32_t model_choose(const model *m, model_want want, uint32_t *at) {
    if (m->told) return choose_told(m, want, at);
    if (m->policy == BUMP) return choose_next(m, want, at);
    if (m->policy == GOOD_FIT) return choose_good(m, want, at);
    return choose_best(m, want, at);
}

/* ---- Placing ---- */

void model_cut(model *m, uint32_t whole, uint32_t at, uint32_t size) {
    uint32_t all = model_erase(m, whole), before = at - whole, after = all - before - size;
    if (at + size > m->next) m->next = at + size;
    m->cells[at] = (model_cell){.size = size, .live = true};
    if (after)
        m->cells[at + size] = (model_cell){.size = after, .live = true, .freed = m->cells[at + size].freed};
    model_enter(m, whole, before);
    if (after) model_erase(m, at + size);
    model_enter(m, at + size, after);
}

/* Granules of a step in which a pool grows and shrinks: 64 KiB, 256 granules at least. */
static uint32_t step_of(const model *m) {
    uint32_t step = (1U << 16) >> m->shift;
    return step < 256 ? 256 : step;
}

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

static void extend(model *m, uint64_t end) {
    uint32_t from = m->capacity;
    m->capacity = (uint32_t)end;
    model_enter(m, from, m->capacity - from);
}

/* Where what is free at the end begins: several buddies may be. */
static uint32_t free_end(const model *m) {
    uint32_t end = m->capacity;
    while (end && !m->cells[model_before(m, end)].live) end = model_before(m, end);
    return end;
}

/* Grows by as many steps as the request needs; as it was where it does not find a place then either. */
static uint32_t grow(model *m, model_want want, uint32_t *at) {
    uint32_t from = free_end(m), found = NOWHERE;
    if (m->capacity == m->most || model_place_in(m, from, m->most - from, want) == NOWHERE) return NOWHERE;
    size_t bytes = model_bytes(m);
    model *before = malloc(bytes);
    if (!before) abort();
    memcpy(before, m, bytes);
    for (uint64_t end = from; m->capacity < m->most && found == NOWHERE;) {
        end += (uint64_t)want.align - 1 + want.size;
        if (end <= m->capacity) end = (uint64_t)m->capacity + 1;
        end = round_up(end, step_of(m));
        extend(m, end > m->most ? m->most : end);
        found = model_choose(m, want, at);
    }
    if (found == NOWHERE) memcpy(m, before, bytes);
    free(before);
    return found;
}

uint32_t model_place(model *m, model_want want) {
    uint32_t at = NOWHERE, block = want.size > m->most ? NOWHERE : model_choose(m, want, &at);
    if (block == NOWHERE && !m->told && want.size <= m->most) block = grow(m, want, &at);
    if (block == NOWHERE) return NOWHERE;
    m->rover = at + want.size;
    m->placements++;
    model_cut(m, block, at, want.size);
    return at;
}

void model_shrink(model *m) {
    uint32_t tail = free_end(m), step = step_of(m);
    if (m->told) return;
    uint64_t end = round_up(tail, step) + step;
    if (end < m->opened) end = m->opened;
    if (m->capacity - tail < 2 * step || end >= m->capacity) return;
    while (m->capacity > end) {
        uint32_t last = model_before(m, m->capacity);
        model_erase(m, last);
        m->capacity = last;
    }
    extend(m, end);
}

/* ---- Falling out of use ---- */

/* A live block is free. */
static void set_free(model *m, uint32_t at) {
    m->cells[at].freed = true;
    model_enter(m, at, model_erase(m, at));
    if (m->policy != BUMP) model_shrink(m);
}

static uint64_t quarantined_bytes(const model *m, uint32_t *oldest) {
    uint64_t bytes = 0;
    *oldest = NOWHERE;
    for (uint32_t at = 0; at < m->capacity; at += m->cells[at].size) {
        if (!m->cells[at].quarantined) continue;
        bytes += (uint64_t)m->cells[at].size << m->shift;
        if (*oldest == NOWHERE || m->cells[at].time < m->cells[*oldest].time) *oldest = at;
    }
    return bytes;
}

bool model_let_out(model *m, uint64_t most) {
    uint32_t oldest;
    bool any = false;
    for (; quarantined_bytes(m, &oldest) > most; any = true) {
        m->counts.granted -= (uint64_t)m->cells[oldest].size << m->shift;
        set_free(m, oldest);
    }
    return any;
}

void model_retire(model *m, uint32_t at) {
    if (!m->full) {
        m->counts.granted -= (uint64_t)m->cells[at].size << m->shift;
        set_free(m, at);
        return;
    }
    m->cells[at].freed = m->cells[at].quarantined = true;
    m->cells[at].time = ++m->clock;
    model_let_out(m, m->quarantine);
}
