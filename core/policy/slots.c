/* SPDX-License-Identifier: MIT */
/* Slots in pages: magazines, lines, kept pages, the check. See slots.h. */
#include "slots.h"

#ifndef HPW_FREESTANDING
#include <assert.h>
#else
#define assert(condition) ((void)0)
#endif

/* ---- Layout ---- */

static size_t pages_of(granule_t capacity) { return (size_t)capacity / PAGE + 1; }

static size_t round8(size_t size) { return (size + 7) / 8 * 8; }

static uint32_t clamp(granule_t n, uint32_t least, uint32_t most) {
    return n < least ? least : n > most ? most : n;
}

static uint32_t room_for(granule_t capacity) { return clamp(capacity / PAGE / 16, LEAST_ROOM, MOST_ROOM); }

static uint32_t kept_for(granule_t capacity) { return clamp(capacity / PAGE / 8, 0, MOST_KEPT); }

size_t slots_bytes(granule_t capacity) {
    return pages_of(capacity) * sizeof(page_link) + round8(pages_of(capacity));
}

/* A page more than are kept is there for a moment. */
size_t slots_heap_bytes(granule_t capacity) {
    return round8(((KINDS - 1) * room_for(capacity) + kept_for(capacity) + 1) * sizeof(granule_t));
}

void slots_open(const free_index *index, slots *s, void *memory) {
    size_t pages = pages_of(index->capacity);
    s->links = memory;
    s->kinds = (uint8_t *)(s->links + pages);
    for (size_t page = 0; page < pages; page++) s->links[page].next = NO_PAGE;
}

void slots_heap_open(const free_index *index, slots_heap *h, void *memory, uint32_t number) {
    granule_t *next = memory;
    uint32_t room = room_for(index->capacity);
    for (unsigned kind = 1; kind < KINDS; kind++, next += room) {
        granule_t least = slots_size[kind - 1], size = slots_size[kind];
        h->magazines[kind] = (magazine){.slots = next,
                                        .room = room,
                                        .bytes = (uint32_t)size << index->shift,
                                        .most_slack = ((size - least) << index->shift) - 1,
                                        .line = NO_PAGE};
    }
    h->magazines[0] = (magazine){.bytes = 1, .line = NO_PAGE}; /* looked at before it is known to be none */
    h->kept = next;
    h->kept_count = 0;
    h->most_kept = kept_for(index->capacity);
    h->number = number;
    h->returned = h->pending = NO_PAGE;
}

/* ---- Lines ---- */

void slots_link_page(slots *s, magazine *m, uint32_t page) {
    page_link *link = &s->links[page];
    if (link->next != NO_PAGE) return; /* it is there */
    if (m->line == NO_PAGE) {
        link->next = link->previous = page;
    } else {
        link->next = m->line;
        link->previous = s->links[m->line].previous;
        s->links[link->previous].next = page;
        s->links[m->line].previous = page;
    }
    m->line = page;
}

void slots_unlink_page(slots *s, magazine *m, uint32_t page) {
    page_link *link = &s->links[page];
    if (link->next == NO_PAGE) return;
    if (m->line == page) m->line = link->next == page ? NO_PAGE : link->next;
    s->links[link->previous].next = link->next;
    s->links[link->next].previous = link->previous;
    link->next = NO_PAGE;
}

void slots_add_page(slots *s, slots_heap *h, granule_t at, unsigned kind) {
    s->kinds[at / PAGE] = (uint8_t)kind;
    slots_link_page(s, &h->magazines[kind], at / PAGE);
    slots_emptied(h, at);
}

/* ---- The magazine ---- */

/*
 * Fetches free slots of the page, lowest first, to m's end: `most` in all, and
 * of those that reach above `high` one, where it is the first. True where the
 * page has no more.
 */
static bool fetch(const blocks *map, slots_heap *h, magazine *m, granule_t size, uint32_t most,
                  granule_t high) {
    granule_t begin = m->line * PAGE, end = begin + PAGE / size * size; /* what lies behind is no slot */
    for (size_t word = begin / WORD_BITS; word < begin / WORD_BITS + PAGE_WORDS; word++) {
        h->steps++;
        for (uint64_t free = map->mark[word] & ~map->live[word]; free; free &= free - 1) {
            granule_t at = (granule_t)(word * WORD_BITS) + bits_lowest(free);
            if (at >= end) break;
            if (m->count == most || (at + size > high && m->count)) return false;
            m->slots[m->count++] = at;
            if (at + size > h->high) h->high = at + size;
            if (at + size > high) most = m->count;
        }
    }
    return true;
}

static void reverse(granule_t *list, uint32_t count) {
    for (uint32_t i = 0; i < count / 2; i++) {
        granule_t other = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = other;
    }
}

granule_t slots_find(const blocks *map, slots *s, slots_heap *h, unsigned kind, granule_t high) {
    magazine *m = &h->magazines[kind];
    if (m->count) return m->slots[m->count - 1];
    uint32_t half = m->room / 2;
    while (m->line != NO_PAGE && m->count < half) {
        if (!fetch(map, h, m, slots_size[kind], half, high)) break;
        slots_unlink_page(s, m, m->line);
    }
    reverse(m->slots, m->count);
    return m->count ? m->slots[m->count - 1] : NO_GRANULE;
}

static void drop(slots *s, slots_heap *h, magazine *m, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) slots_link_page(s, m, m->slots[i] / PAGE);
    m->count -= count;
    memmove(m->slots, m->slots + count, m->count * sizeof *m->slots);
    h->steps += count;
}

void slots_drop_half(slots *s, slots_heap *h, unsigned kind) {
    drop(s, h, &h->magazines[kind], h->magazines[kind].count / 2);
}

void slots_drop_all(slots *s, slots_heap *h, unsigned kind) {
    drop(s, h, &h->magazines[kind], h->magazines[kind].count);
}

void slots_put(slots *s, slots_heap *h, granule_t at) {
    unsigned kind = slots_kind_at(s, at);
    magazine *m = &h->magazines[kind];
    if (m->count == m->room) slots_drop_half(s, h, kind);
    m->slots[m->count++] = at;
}

/* ---- Kept pages ---- */

void slots_emptied(slots_heap *h, granule_t at) {
    assert(h->kept_count <= h->most_kept); /* there is room for one more */
    h->kept[h->kept_count++] = at / PAGE;
}

void slots_revived(slots_heap *h, granule_t at) {
    uint32_t i = h->kept_count;
    while (h->kept[--i] != at / PAGE) {
    }
    h->kept_count--;
    memmove(h->kept + i, h->kept + i + 1, (h->kept_count - i) * sizeof *h->kept);
}

granule_t slots_give_up(slots *s, slots_heap *h, uint32_t keep) {
    if (h->kept_count <= keep) return NO_GRANULE;
    uint32_t page = h->kept[--h->kept_count], left = 0;
    magazine *m = &h->magazines[s->kinds[page]];
    for (uint32_t i = 0; i < m->count; i++)
        if (m->slots[i] / PAGE != page) m->slots[left++] = m->slots[i];
    h->steps += m->count + PAGE_WORDS;
    m->count = left;
    slots_unlink_page(s, m, page);
    s->kinds[page] = 0;
    return page * PAGE;
}

/* ---- Check ---- */

static const char *check_magazine(const free_index *index, const slots *s, const magazine *m, unsigned kind,
                                  granule_t *at) {
    for (uint32_t i = 0; i < m->count; i++) {
        granule_t slot = *at = m->slots[i];
        if (slot >= index->map.count || slots_kind_at(s, slot) != kind || !blocks_is_free(&index->map, slot))
            return "a magazine holds what is not a free slot of its kind";
        for (uint32_t j = 0; j < i; j++)
            if (m->slots[j] == slot) return "a magazine holds a slot twice";
    }
    uint32_t page = m->line, pages = (uint32_t)pages_of(index->capacity), seen = 0;
    while (page != NO_PAGE) {
        *at = page * PAGE;
        if (page >= pages || s->kinds[page] != kind || seen++ == pages || s->links[page].next >= pages ||
            s->links[s->links[page].next].previous != page)
            return "a line of pages is broken";
        page = s->links[page].next == m->line ? NO_PAGE : s->links[page].next;
    }
    return NULL;
}

static bool in_magazine(const magazine *m, granule_t at) {
    uint32_t i = 0;
    while (i < m->count && m->slots[i] != at) i++;
    return i < m->count;
}

static bool is_kept(const slots_heap *h, uint32_t page) {
    uint32_t i = 0;
    while (i < h->kept_count && h->kept[i] != page) i++;
    return i < h->kept_count;
}

static const char *check_page(const free_index *index, const slots *s, const slots_heap *h, uint32_t page,
                              size_t *count, granule_t *at) {
    const blocks *map = &index->map;
    const magazine *m = &h->magazines[s->kinds[page]];
    granule_t begin = page * PAGE, size = slots_size[s->kinds[page]], end = begin + PAGE / size * size;
    *at = begin;
    if (begin + PAGE > map->count) return "a page lies past the pool's end";
    for (granule_t block = begin; block < begin + PAGE; block += size) {
        bool slot = block < end, live = blocks_is_live(map, block);
        *at = block;
        if (!blocks_is_start(map, block) || blocks_size(map, block) != (slot ? size : begin + PAGE - end))
            return "a page is not cut into slots of its kind";
        if (!slot && live) return "what is left at a page's end is live";
        *count += !live;
        if (slot && !live && s->links[page].next == NO_PAGE && !in_magazine(m, block))
            return "a free slot is neither in its magazine nor its page in its line";
    }
    *at = begin;
    return slots_page_is_empty(map, begin) == is_kept(h, page) ? NULL
                                                               : "the kept pages are not the empty ones";
}

const char *slots_check(const free_index *index, const slots *s, const slots_heap *h, size_t *count,
                        granule_t *at) {
    const char *wrong = NULL;
    for (unsigned kind = 1; kind < KINDS && !wrong; kind++)
        wrong = check_magazine(index, s, &h->magazines[kind], kind, at);
    uint32_t pages = (uint32_t)pages_of(index->capacity);
    for (uint32_t page = 0; page < pages && !wrong; page++)
        if (s->owners && !s->kinds[page] && s->owners[page]) wrong = "what is no page has an owner";
    for (uint32_t page = 0; page < pages && !wrong; page++)
        if (s->kinds[page] && (s->owners ? s->owners[page] : 0) == h->number)
            wrong = check_page(index, s, h, page, count, at);
    return wrong;
}
