/* SPDX-License-Identifier: MIT */
/*
 * The shortest way of slab's two calls: a slot from its kind's magazine, and
 * back. The pool must be of granules of 16, without sink and without growth;
 * whatever is unusual – a magazine that is empty or full, a size that is no slot's, an address that is no
 * live slot's, a size record that a plain request does not leave – goes the general way
 * (operations_of_policy.h) from its beginning, nothing changed.
 *
 * Included after operations_of_policy.h in slab's file, which has `slab`.
 */

static void *take_from_empty_word(hpw_pool *pool, uint64_t size, bool remembers, granule_t at);

/*
 * No slot in a magazine was never in use, so the high-water mark stays.
 * `in_page`: its page is known to have live slots.
 */
HOT void *take_slot(hpw_pool *pool, uint64_t size, bool remembers, bool in_page) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    uint64_t granules = (size + PLAIN_MASK) >> PLAIN_SHIFT;
    if (granules > LARGEST_SLOT) return allocate(pool, size);
    magazine *m = &state->heap.magazines[slots_kind[granules]];
    uint32_t count = m->count;
    if (!count) return allocate(pool, size);
    granule_t at = m->slots[count - 1];
    size_t word = at / WORD_BITS;
    uint64_t live = map->live[word], bit = (uint64_t)1 << (at % WORD_BITS);
    if (!live && !in_page) return take_from_empty_word(pool, size, remembers, at);
    m->count = count - 1;
    map->live[word] = live | bit;
    if (remembers) map->freed[word] &= ~bit;
    uint64_t slack = m->bytes - size;
    map->mark[word] ^= slack ? 0 : bit;
    unsigned char *block = pool->index.bytes + ((uint64_t)at << PLAIN_SHIFT);
    block[m->bytes - 1] = (unsigned char)slack; /* where there is none, it is nobody's yet */
    pool->counts.allocations++;
    count_sizes(pool, m->bytes, size);
    return block;
}

APART void *take_from_empty_word(hpw_pool *pool, uint64_t size, bool remembers, granule_t at) {
    slab *state = pool->index.state;
    if (slots_page_is_empty(&pool->index.map, at)) slots_revived(&state->heap, at);
    return remembers ? take_slot(pool, size, true, true) : take_slot(pool, size, false, true);
}

/* A page that has no live slot any more may be one too many: then it becomes a free block. */
APART hpw_error page_emptied(hpw_pool *pool) {
    work w = begin_work(pool);
    give_runs_back(pool, &w, false);
    end_work(pool, &w, 0);
    return HPW_OK;
}

APART hpw_error word_emptied(hpw_pool *pool, granule_t at) {
    slab *state = pool->index.state;
    if (!slots_page_is_empty(&pool->index.map, at)) return HPW_OK;
    slots_emptied(&state->heap, at);
    return state->heap.kept_count > state->heap.most_kept ? page_emptied(pool) : HPW_OK;
}

/* Little is kept from one line to the next: the fewer registers, the less is saved and restored. */
HOT hpw_error put_slot(hpw_pool *pool, uint64_t address, hpw_report *report, bool remembers) {
    slab *state = pool->index.state;
    const blocks *map = &pool->index.map;
    uint64_t granule =
        address >> PLAIN_SHIFT | address << (WORD_BITS - PLAIN_SHIFT); /* far off where unaligned */
    if (granule >= map->count) return release(pool, address, report);
    granule_t at = (granule_t)granule;
    size_t word = at / WORD_BITS;
    uint64_t bit = (uint64_t)1 << (at % WORD_BITS);
    magazine *m = &state->heap.magazines[slots_kind_at(&state->pages, at)];
    uint32_t has_slack = (map->mark[word] & bit) != 0;
    uint32_t slack = pool->index.bytes[address + m->bytes - 1] & (0U - has_slack);
    if (slack - has_slack >= m->most_slack || m->count == m->room || !(map->live[word] & bit))
        return release(pool, address, report);
    m->slots[m->count++] = at;
    pool->counts.frees++;
    pool->counts.granted_room += m->bytes;
    pool->counts.in_use_room += m->bytes - slack;
    if (remembers) map->freed[word] |= bit;
    map->mark[word] |= bit;
    return (map->live[word] ^= bit) ? HPW_OK : word_emptied(pool, at);
}

static void *allocate_slot(hpw_pool *pool, uint64_t size) { return take_slot(pool, size, false, false); }
static void *allocate_remembering(hpw_pool *pool, uint64_t size) {
    return take_slot(pool, size, true, false);
}
static hpw_error release_slot(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return put_slot(pool, address, report, false);
}
static hpw_error release_remembering(hpw_pool *pool, uint64_t address, hpw_report *report) {
    return put_slot(pool, address, report, true);
}
