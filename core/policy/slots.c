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

static uint32_t room_for(granule_t capacity, uint32_t number) {
    return clamp(capacity / PAGE / 16, LEAST_ROOM, number ? MOST_THREAD_ROOM : MOST_ROOM);
}

static uint32_t kept_for(granule_t capacity) { return clamp(capacity / PAGE / 8, 0, MOST_KEPT); }

size_t slots_bytes(granule_t capacity) {
    return round8(pages_of(capacity) * sizeof(page_state)) + pages_of(capacity) * sizeof(page_link);
}

/* A page more than are kept is there for a moment. */
size_t slots_heap_bytes(granule_t capacity, uint32_t number) {
    return round8(((KINDS - 1) * (room_for(capacity, number) + 1) + kept_for(capacity) + 1) *
                  sizeof(granule_t));
}

void slots_open(const free_index *index, slots *s, void *memory) {
    size_t pages = pages_of(index->capacity);
    s->pages = memory;
    s->links = (page_link *)((unsigned char *)memory + round8(pages * sizeof(page_state)));
    for (size_t page = 0; page < pages; page++) s->links[page].next = NO_PAGE;
}

void slots_heap_open(const free_index *index, slots_heap *h, void *memory, uint32_t number) {
    granule_t *next = memory;
    h->classes = slot_classes_of(index);
    h->kind_of_bytes = h->classes->kind_of_bytes;
    h->room = room_for(index->capacity, number);
    for (unsigned kind = 1; kind < KINDS; kind++, next += h->room) {
        granule_t least = h->classes->size[kind - 1], size = h->classes->size[kind];
        uint32_t most_slack = size ? ((size - least) << index->shift) - 1 : 0;
        *next++ = index->capacity; /* below the oldest slot */
        h->top[kind] = next;
        h->full[kind] = next + h->room;
        h->bytes[kind] = (uint32_t)size << index->shift;
        h->most_slack[kind] = most_slack < LARGEST_SLACK ? most_slack : LARGEST_SLACK;
        h->line[kind] = NO_PAGE;
    }
    h->top[0] = h->full[0] = h->top[1];
    h->bytes[0] = 1; /* looked at before it is known to be none */
    h->kept = next;
    h->kept_count = 0;
    h->most_kept = kept_for(index->capacity);
    h->number = number;
    h->returned = h->pending = NO_PAGE;
}

/* ---- Lines ---- */

void slots_link_page(slots *s, slots_heap *h, uint32_t page) {
    page_link *link = &s->links[page];
    uint32_t *line = &h->line[s->pages[page].kind];
    if (link->next != NO_PAGE) return; /* it is there */
    if (*line == NO_PAGE) {
        link->next = link->previous = page;
    } else {
        link->next = *line;
        link->previous = s->links[*line].previous;
        s->links[link->previous].next = page;
        s->links[*line].previous = page;
    }
    *line = page;
}

void slots_unlink_page(slots *s, slots_heap *h, uint32_t page) {
    page_link *link = &s->links[page];
    uint32_t *line = &h->line[s->pages[page].kind];
    if (link->next == NO_PAGE) return;
    if (*line == page) *line = link->next == page ? NO_PAGE : link->next;
    s->links[link->previous].next = link->next;
    s->links[link->next].previous = link->previous;
    link->next = NO_PAGE;
}

void slots_add_page(slots *s, slots_heap *h, granule_t at, unsigned kind) {
    s->pages[at / PAGE] = (page_state){.live = 0, .kind = (uint8_t)kind};
    slots_link_page(s, h, at / PAGE);
    slots_emptied(h, at);
}

/* ---- The magazine ---- */

/* How many slots come to a magazine at once, or leave it. */
static uint32_t lot(const slots_heap *h) { return h->room / 2 < LOT ? h->room / 2 : LOT; }

/*
 * Fetches free slots of the page that begins at `begin`, lowest first, to the
 * magazine's end: up to `most`, and of those that reach above `high` one, where
 * it is the first. True where the page has no more.
 */
static bool fetch(const blocks *map, slots_heap *h, unsigned kind, granule_t begin, granule_t *most,
                  granule_t high) {
    granule_t size = h->classes->size[kind],
              end = begin + PAGE / size * size; /* what lies behind is no slot */
    granule_t *first = slots_bottom(h, kind), *next = h->top[kind];
    bool more = false;
    for (size_t word = begin / WORD_BITS; word < begin / WORD_BITS + PAGE_WORDS && !more; word++) {
        h->steps++;
        for (uint64_t free = map->mark[word] & ~map->live[word]; free; free &= free - 1) {
            granule_t at = (granule_t)(word * WORD_BITS) + bits_lowest(free);
            if (at >= end) break;
            more = next == most || (at + size > high && next != first);
            if (more) break;
            *next++ = at;
            if (at + size > h->high) h->high = at + size;
            if (at + size > high) most = next;
        }
    }
    h->top[kind] = next;
    return !more;
}

static void reverse(granule_t *first, granule_t *end) {
    for (; first + 1 < end; first++) {
        granule_t other = *first;
        *first = *--end;
        *end = other;
    }
}

granule_t slots_find(const blocks *map, slots *s, slots_heap *h, unsigned kind, granule_t high) {
    granule_t *bottom = slots_bottom(h, kind), *most = bottom + lot(h);
    if (h->top[kind] != bottom) return h->top[kind][-1];
    while (h->line[kind] != NO_PAGE && h->top[kind] < most) {
        if (!fetch(map, h, kind, h->line[kind] * PAGE, most, high)) break;
        slots_unlink_page(s, h, h->line[kind]);
    }
    reverse(bottom, h->top[kind]);
    return h->top[kind] != bottom ? h->top[kind][-1] : NO_GRANULE;
}

static void drop(slots *s, slots_heap *h, unsigned kind, uint32_t count) {
    granule_t *bottom = slots_bottom(h, kind);
    for (uint32_t i = 0; i < count; i++) slots_link_page(s, h, bottom[i] / PAGE);
    h->top[kind] -= count;
    memmove(bottom, bottom + count, slots_held(h, kind) * sizeof *bottom);
    h->steps += count;
}

void slots_drop_all(slots *s, slots_heap *h, unsigned kind) { drop(s, h, kind, slots_held(h, kind)); }

void slots_take(const blocks *map, slots *s, slots_heap *h, unsigned kind) {
    granule_t at = *--h->top[kind];
    if (slots_page_is_empty(map, at)) slots_revived(h, at);
    if (!h->number) s->pages[at / PAGE].live++;
}

void slots_put(const blocks *map, slots *s, slots_heap *h, granule_t at) {
    slots_push(s, h, at);
    if (!h->number) s->pages[at / PAGE].live--;
    if (slots_page_is_empty(map, at)) slots_emptied(h, at);
}

void slots_push(slots *s, slots_heap *h, granule_t at) {
    unsigned kind = slots_kind_at(s, at);
    if (h->top[kind] == h->full[kind]) drop(s, h, kind, lot(h));
    *h->top[kind]++ = at;
}

bool slots_bring_up(const blocks *map, slots *s, slots_heap *h, granule_t at, granule_t size) {
    unsigned kind = slots_kind_at(s, at);
    if (!slots_is_at(h, kind, at % PAGE, size) || !blocks_is_free(map, at)) return false;
    granule_t *place = slots_bottom(h, kind);
    h->steps += slots_held(h, kind);
    while (place < h->top[kind] && *place != at) place++;
    if (place == h->top[kind]) {
        slots_push(s, h, at); /* its page stays in the line: its other slots may be free */
        return true;
    }
    *place = h->top[kind][-1];
    h->top[kind][-1] = at;
    return true;
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
    uint32_t page = h->kept[--h->kept_count], held;
    unsigned kind = s->pages[page].kind;
    granule_t *left = slots_bottom(h, kind);
    held = slots_held(h, kind);
    for (granule_t *slot = left; slot < h->top[kind]; slot++)
        if (*slot / PAGE != page) *left++ = *slot;
    h->steps += held + PAGE_WORDS;
    h->top[kind] = left;
    slots_unlink_page(s, h, page);
    s->pages[page].kind = 0;
    return page * PAGE;
}

/* ---- Check ---- */

static const char *check_magazine(const free_index *index, const slots *s, const slots_heap *h, unsigned kind,
                                  granule_t *at) {
    const granule_t *bottom = slots_bottom(h, kind);
    for (const granule_t *place = bottom; place < h->top[kind]; place++) {
        granule_t slot = *at = *place;
        if (slot >= index->map.count || slots_kind_at(s, slot) != kind || !blocks_is_free(&index->map, slot))
            return "a magazine holds what is not a free slot of its kind";
        for (const granule_t *other = bottom; other < place; other++)
            if (*other == slot) return "a magazine holds a slot twice";
    }
    uint32_t page = h->line[kind], pages = (uint32_t)pages_of(index->capacity), seen = 0;
    while (page != NO_PAGE) {
        *at = page * PAGE;
        if (page >= pages || s->pages[page].kind != kind || seen++ == pages || s->links[page].next >= pages ||
            s->links[s->links[page].next].previous != page)
            return "a line of pages is broken";
        page = s->links[page].next == h->line[kind] ? NO_PAGE : s->links[page].next;
    }
    return NULL;
}

static bool in_magazine(const slots_heap *h, unsigned kind, granule_t at) {
    const granule_t *place = slots_bottom(h, kind);
    while (place < h->top[kind] && *place != at) place++;
    return place < h->top[kind];
}

static bool is_kept(const slots_heap *h, uint32_t page) {
    uint32_t i = 0;
    while (i < h->kept_count && h->kept[i] != page) i++;
    return i < h->kept_count;
}

static const char *check_page(const free_index *index, const slots *s, const slots_heap *h, uint32_t page,
                              size_t *count, granule_t *at) {
    const blocks *map = &index->map;
    unsigned kind = s->pages[page].kind;
    uint32_t live_slots = 0;
    granule_t begin = page * PAGE, size = h->classes->size[kind], end = begin + PAGE / size * size;
    *at = begin;
    if (begin + PAGE > map->count) return "a page lies past the pool's end";
    for (granule_t block = begin; block < begin + PAGE; block += size) {
        bool slot = block < end, live = blocks_is_live(map, block);
        *at = block;
        if (!blocks_is_start(map, block) || blocks_size(map, block) != (slot ? size : begin + PAGE - end))
            return "a page is not cut into slots of its kind";
        if (!slot && live) return "what is left at a page's end is live";
        *count += !live;
        live_slots += live;
        if (slot && !live && s->links[page].next == NO_PAGE && !in_magazine(h, kind, block))
            return "a free slot is neither in its magazine nor its page in its line";
    }
    *at = begin;
    if (!h->number && s->pages[page].live != live_slots) return "a page's count of live slots is wrong";
    return !live_slots == is_kept(h, page) ? NULL : "the kept pages are not the empty ones";
}

const char *slots_check(const free_index *index, const slots *s, const slots_heap *h, size_t *count,
                        granule_t *at) {
    const char *wrong = NULL;
    for (unsigned kind = 1; kind < KINDS && !wrong; kind++) wrong = check_magazine(index, s, h, kind, at);
    uint32_t pages = (uint32_t)pages_of(index->capacity);
    for (uint32_t page = 0; page < pages && !wrong; page++)
        if (s->owners && !s->pages[page].kind && s->owners[page]) wrong = "what is no page has an owner";
    for (uint32_t page = 0; page < pages && !wrong; page++)
        if (s->pages[page].kind && (s->owners ? s->owners[page] : 0) == h->number)
            wrong = check_page(index, s, h, page, count, at);
    return wrong;
}
