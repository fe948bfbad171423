/* SPDX-License-Identifier: MIT */
/*
 * The shortest way of slab's two calls: a slot from its kind's magazine, and
 * back. The pool must be of granules of 16, without sink and without growth;
 * whatever is unusual – a magazine that is empty or full, a size that is no
 * slot's, an address that is no live slot's, a size record that a plain request
 * does not leave – goes the general way (operations_of_policy.h) from its
 * beginning, nothing changed. Nothing here is called and comes back, so no
 * register is saved.
 *
 * Included after operations_of_policy.h in slab's file, which has `slab`.
 */

/* A word of the block map, of a page that only this thread writes: see slots_shared.h. */
HOT uint64_t get_word(uint64_t *word, bool shared) {
#ifndef HPW_FREESTANDING
    if (shared) return word_load(word);
#endif
    (void)shared;
    return *word;
}

HOT void set_word(uint64_t *word, uint64_t value, bool shared) {
#ifndef HPW_FREESTANDING
    if (shared) {
        word_store(word, value);
        return;
    }
#endif
    (void)shared;
    *word = value;
}

/* How a call is compiled: what the pool is like. */
typedef struct slot_way {
    bool remembers; /* frees */
    bool shared;    /* between threads with heaps of their own */
} slot_way;

/* ---- Allocate ---- */

/* The kind of slot for `size` bytes; 0: none. */
HOT unsigned kind_for(uint64_t size) {
    uint64_t granules = (size + PLAIN_MASK) >> PLAIN_SHIFT;
    return granules <= LARGEST_SLOT ? slots_kind[granules] : 0;
}

/* Takes the magazine's top slot, in whose word `live` slots are live. */
HOT void *occupy_top(const free_index *index, magazine *m, uint64_t size, uint64_t live, slot_way way) {
    const blocks *map = &index->map;
    granule_t at = slots_take(m);
    size_t word = at / WORD_BITS;
    uint64_t bit = (uint64_t)1 << (at % WORD_BITS), slack = m->bytes - size;
    set_word(&map->live[word], live | bit, way.shared);
    if (!MOSTLY(slack)) set_word(&map->mark[word], get_word(&map->mark[word], way.shared) ^ bit, way.shared);
    if (way.remembers)
        set_word(&map->freed[word], get_word(&map->freed[word], way.shared) & ~bit, way.shared);
    unsigned char *block = index->bytes + ((uint64_t)at << PLAIN_SHIFT);
    block[m->bytes - 1] = (unsigned char)slack; /* where there is none, it is nobody's yet */
    return block;
}

HOT uint64_t live_at_top(const blocks *map, const magazine *m, bool shared) {
    return get_word(&map->live[m->slots[m->count - 1] / WORD_BITS], shared);
}

/* The page of the top slot may be empty. */
APART void *take_slot_anywhere(hpw_pool *pool, uint64_t size, magazine *m, bool remembers) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    granule_t at = m->slots[m->count - 1];
    if (slots_page_is_empty(map, at)) slots_revived(&state->heap, at);
    slot_way way = {remembers, false};
    void *block = occupy_top(&pool->index, m, size, live_at_top(map, m, false), way);
    pool->counts.allocations++;
    count_sizes(pool, m->bytes, size);
    return block;
}

/* All slots in a magazine were in use before, so the high-water mark stays. */
HOT void *take_slot(hpw_pool *pool, uint64_t size, bool remembers) {
    slab *state = pool->index.state;
    magazine *m = &state->heap.magazines[kind_for(size)];
    KEEP(m);
    if (!MOSTLY(m->count)) return allocate(pool, size);
    uint64_t live = live_at_top(&pool->index.map, m, false);
    if (!MOSTLY(live)) return take_slot_anywhere(pool, size, m, remembers);
    void *block = occupy_top(&pool->index, m, size, live, (slot_way){remembers, false});
    pool->counts.allocations++;
    count_sizes(pool, m->bytes, size);
    return block;
}

/* ---- Release ---- */

/* A slot that is being freed: where it is, and what is left of it by its size record. */
typedef struct freeing {
    granule_t at;
    size_t word;
    uint64_t bit;
    uint32_t slack;
} freeing;

/* False: it is none that is live with a usual record, as far as kind `m` goes. */
HOT bool is_live_slot(const free_index *index, uint64_t address, const magazine *m, freeing *f, bool shared) {
    const blocks *map = &index->map;
    f->slack = 0;
    if (MOSTLY(get_word(&map->mark[f->word], shared) & f->bit)) {
        f->slack = index->bytes[address + m->bytes - 1];
        if (f->slack - 1 >= m->most_slack) return false;
    }
    return get_word(&map->live[f->word], shared) & f->bit;
}

/* Where an address would be a slot; false: in no pool's. An address that is no granule's is far off. */
HOT bool locate(const blocks *map, uint64_t address, freeing *f) {
    uint64_t granule = address >> PLAIN_SHIFT | address << (WORD_BITS - PLAIN_SHIFT);
    f->at = (granule_t)granule;
    f->word = f->at / WORD_BITS;
    f->bit = (uint64_t)1 << (f->at % WORD_BITS);
    return granule < map->count;
}

/* Puts it on the magazine. False: its word has no live slot any more. */
HOT bool vacate_slot(const blocks *map, magazine *m, const freeing *f, slot_way way) {
    m->slots[m->count++] = f->at;
    set_word(&map->mark[f->word], get_word(&map->mark[f->word], way.shared) | f->bit, way.shared);
    if (way.remembers)
        set_word(&map->freed[f->word], get_word(&map->freed[f->word], way.shared) | f->bit, way.shared);
    uint64_t live = get_word(&map->live[f->word], way.shared) ^ f->bit;
    set_word(&map->live[f->word], live, way.shared);
    return live != 0;
}

/* A page that has no live slot any more may be one too many: then it becomes a free block. */
APART hpw_error word_emptied(hpw_pool *pool, granule_t at) {
    slab *state = pool->index.state;
    if (!slots_page_is_empty(&pool->index.map, at)) return HPW_OK;
    slots_emptied(&state->heap, at);
    if (state->heap.kept_count <= state->heap.most_kept) return HPW_OK;
    work w = begin_work(pool);
    give_runs_back(pool, &w, false);
    end_work(pool, &w, 0);
    return HPW_OK;
}

/* What is not for the short way. */
HOT hpw_error release_long(hpw_pool *pool, uint64_t address, const uint64_t *expected, hpw_report *report) {
    return expected ? release_sized(pool, address, *expected) : release(pool, address, report);
}

/* `expected`: the size that it must have been requested with, NULL: any. */
HOT hpw_error put_slot(hpw_pool *pool, uint64_t address, const uint64_t *expected, hpw_report *report,
                       bool remembers) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    freeing f;
    if (!locate(map, address, &f)) return release_long(pool, address, expected, report);
    magazine *m = &state->heap.magazines[slots_kind_at(&state->pages, f.at)];
    KEEP(m);
    if (m->count == m->room || !is_live_slot(&pool->index, address, m, &f, false) ||
        (expected && m->bytes - f.slack != *expected))
        return release_long(pool, address, expected, report);
    pool->counts.frees++;
    pool->counts.granted_room += m->bytes;
    pool->counts.in_use_room += m->bytes - f.slack;
    return vacate_slot(map, m, &f, (slot_way){remembers, false}) ? HPW_OK : word_emptied(pool, f.at);
}

/* ---- As the policy names them ---- */

static void *allocate_slot(hpw_pool *pool, uint64_t size) { return take_slot(pool, size, false); }
static void *allocate_remembering(hpw_pool *pool, uint64_t size) { return take_slot(pool, size, true); }
static hpw_error release_slot(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return put_slot(pool, address, NULL, report, false);
}
static hpw_error release_remembering(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return put_slot(pool, address, NULL, report, true);
}
static hpw_error release_sized_slot(hpw_pool *pool, uint64_t address, uint64_t size) {
    return put_slot(pool, address, &size, NULL, false);
}
static hpw_error release_sized_remembering(hpw_pool *pool, uint64_t address, uint64_t size) {
    return put_slot(pool, address, &size, NULL, true);
}
