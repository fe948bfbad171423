/* SPDX-License-Identifier: MIT */
/* Heaps of threads: slots that others free, pages that change hands. See slots_shared.h. */
#include "slots_shared.h"

#define LIST_END (NO_PAGE - 1)

static size_t pages_of(granule_t capacity) { return (size_t)capacity / PAGE + 1; }

size_t slots_shared_bytes(granule_t capacity) {
    size_t pages = pages_of(capacity);
    return pages * PAGE_WORDS * sizeof(uint64_t) + (pages * (sizeof(uint32_t) + 1) + 7) / 8 * 8;
}

void slots_shared_open(const free_index *index, slots *s, void *memory) {
    size_t pages = pages_of(index->capacity);
    s->freed = memory;
    s->next_returned = (uint32_t *)(s->freed + pages * PAGE_WORDS);
    s->owners = (uint8_t *)(s->next_returned + pages);
    for (size_t page = 0; page < pages; page++) s->next_returned[page] = NO_PAGE;
}

/* ---- Returning ---- */

/*
 * A page is on its heap's list from the moment that its `next_returned` is no
 * longer NO_PAGE until the owner has made it so again, before it looks at the
 * page's words: a bit set afterwards finds it NO_PAGE and lists the page anew.
 */
bool slots_return(slots *s, slots_heap *owner, granule_t at) {
    uint32_t page = at / PAGE, none = NO_PAGE;
    uint64_t bit = (uint64_t)1 << (at % WORD_BITS);
    if (atomic_fetch_or(shared_word(&s->freed[at / WORD_BITS]), bit) & bit) return false;
    _Atomic uint32_t *next = shared_number(&s->next_returned[page]), *first = shared_number(&owner->returned);
    if (!atomic_compare_exchange_strong(next, &none, LIST_END)) return true;
    uint32_t head = atomic_load_explicit(first, memory_order_relaxed);
    do atomic_store_explicit(next, head == NO_PAGE ? LIST_END : head, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(first, &head, page, memory_order_release,
                                                  memory_order_relaxed));
    return true;
}

/* ---- Collecting ---- */

static void make_free(const blocks *map, slots *s, slots_heap *h, size_t word, uint64_t freed) {
    uint64_t live = word_load(&map->live[word]);
    freed &= live; /* what its own thread freed at the same time was free already */
    word_store(&map->mark[word], word_load(&map->mark[word]) | freed);
    word_store(&map->live[word], live & ~freed);
    if (map->freed) word_store(&map->freed[word], word_load(&map->freed[word]) | freed);
    for (; freed; freed &= freed - 1) slots_push(s, h, (granule_t)(word * WORD_BITS) + bits_lowest(freed));
}

static void collect_page(const blocks *map, slots *s, slots_heap *h, uint32_t page) {
    size_t word = (size_t)page * PAGE_WORDS;
    bool was_empty = slots_page_is_empty(map, page * PAGE);
    for (unsigned i = 0; i < PAGE_WORDS; i++, word++) {
        if (!atomic_load(shared_word(&s->freed[word]))) continue; /* after the list was opened */
        make_free(map, s, h, word, atomic_exchange(shared_word(&s->freed[word]), 0));
    }
    if (!was_empty && slots_page_is_empty(map, page * PAGE)) slots_emptied(h, page * PAGE);
    h->steps += PAGE_WORDS;
}

bool slots_collect(const blocks *map, slots *s, slots_heap *h) {
    _Atomic uint32_t *returned = shared_number(&h->returned);
    while (h->kept_count <= h->most_kept) {
        if (h->pending >= LIST_END) {
            if (atomic_load_explicit(returned, memory_order_relaxed) == NO_PAGE) return true;
            h->pending = atomic_exchange_explicit(returned, NO_PAGE, memory_order_acquire);
        }
        uint32_t page = h->pending;
        h->pending = atomic_exchange(shared_number(&s->next_returned[page]), NO_PAGE);
        collect_page(map, s, h, page);
    }
    return false;
}

/* ---- Pages that change hands ---- */

static uint16_t count_live(const blocks *map, uint32_t page) {
    uint16_t count = 0;
    for (size_t i = 0; i < PAGE_WORDS; i++)
        for (uint64_t live = map->live[(size_t)page * PAGE_WORDS + i]; live; live &= live - 1) count++;
    return count;
}

void slots_adopt(const blocks *map, slots *s, slots_heap *to, slots_heap *from, unsigned kind) {
    slots_drop_all(s, from, kind);
    while (from->line[kind] != NO_PAGE) {
        uint32_t page = from->line[kind];
        slots_unlink_page(s, from, page);
        slots_link_page(s, to, page);
        s->pages[page].live = to->number ? 0 : count_live(map, page);
        atomic_store_explicit(shared_byte(&s->owners[page]), (uint8_t)to->number, memory_order_relaxed);
    }
}
