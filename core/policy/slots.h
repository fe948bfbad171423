/* SPDX-License-Identifier: MIT */
/*
 * Slots: small blocks of one size side by side in pages, and where the free ones
 * are. Slab chooses from it.
 *
 *   1. Sizes to 64 granules are rounded up to a *kind*: by the pool's classes, see
 *      slot_classes.h. A *page* is 256 granules at a
 *      multiple of 256, cut into slots of one kind; where the size does not
 *      divide 256, a free block that nobody takes is left at its end.
 *   2. A kind has a *magazine*: a stack of free slots, from whatever pages they
 *      are. A request takes its top; a free puts the slot on it.
 *   3. What does not lie in the magazine is found through the *line* of its kind:
 *      pages that may have free slots outside of it. Of a full magazine the
 *      oldest slots go there, a *lot* of them; an empty one gets a lot from the
 *      line's first pages, lowest slots first.
 *   4. A page without a live slot is *empty*. Some are kept, as they are; one
 *      more leaves its magazine and its line and is a free block again.
 *
 * The block map alone says which slots are free, so nothing lies in the slots
 * and nothing in the pool's bytes is trusted; magazine and line only find them.
 * Bonwick, «The slab allocator», USENIX 1994, and Bonwick and Adams, «Magazines
 * and vmem», USENIX 2001. Bounds: 1 step with a magazine that is neither full
 * nor empty, which is all but one in a lot; else a lot's slots and pages, and
 * where a page is given up its magazine's slots.
 *
 * Memory: 12 bytes a page, and magazines of 4 to 240 slots (of threads: to 64), a
 * slot in each for 16 pages of the pool: 0.3 to 0.5 % of a pool.
 *
 * Invariants of a kind: full - room <= top <= full; each slot in its magazine is
 * free, of a page of this kind, and there once; each free slot lies in the
 * magazine or its page in the line; the `live` of a page of heap 0 is how many of
 * its slots the map has as live; the kept pages are those without any.
 */
#ifndef HPW_SLOTS_H
#define HPW_SLOTS_H

#include "slot_classes.h"

enum {
    PAGE = 256,
    PAGE_WORDS = PAGE / (int)WORD_BITS,
    LEAST_ROOM = 4,
    MOST_ROOM = 240,       /* of the pool's own magazines */
    MOST_THREAD_ROOM = 64, /* of a thread's */
    LOT = 32,              /* half a smaller magazine */
    MOST_KEPT = 64,
    LARGEST_SLACK = 254 /* that a size record of one byte tells */
};

#define NO_PAGE UINT32_MAX

/* A page's place in its line, a circular list. */
typedef struct page_link {
    uint32_t next; /* NO_PAGE: in none */
    uint32_t previous;
} page_link;

/*
 * Magazines, lines and kept pages: of the pool, or of one thread. Each page is of one heap.
 *
 * Below a magazine's oldest slot lies the granule at the pool's end, where there never is a page: so
 * «is no slot of its page live?», asked of the newest slot's page_state, is answered yes of an empty
 * magazine.
 */
typedef struct slots_heap {
    const uint8_t *kind_of_bytes; /* of `classes` */

    /* Of each kind; kind 0, which is none, has a magazine that is both full and empty. */
    granule_t *top[KINDS];      /* where the next slot goes; below it is the newest one */
    granule_t *full[KINDS];     /* the top of a full magazine */
    uint32_t bytes[KINDS];      /* granted with a slot */
    uint32_t most_slack[KINDS]; /* of them, with a request of this kind that kind_of_bytes knows */
    uint32_t line[KINDS];       /* its first page, or NO_PAGE */

    const slot_classes *classes;
    uint32_t room;  /* of each magazine */
    uint32_t *kept; /* the empty pages, the one emptied last at the end */
    uint32_t kept_count, most_kept;
    granule_t high; /* the highest end of a slot that lay in a magazine */
    uint64_t steps; /* visited, and not yet counted by the index */
    uint32_t number;

    /* Of a thread's: see slots_shared.h. */
    uint32_t returned;       /* atomic: the first page with slots that others freed, or NO_PAGE */
    uint32_t pending;        /* pages taken from there and not yet looked at */
    unsigned char apart[64]; /* from the next thread's, which is at work in its own cache lines */
} slots_heap;

/* Of each page, and of what is none. */
typedef struct page_state {
    uint16_t live; /* slots; of a page of heap 0. Threads do not write what others have in their caches */
    uint8_t kind;  /* 0: it is no page */
} page_state;

typedef struct slots {
    page_state *pages;
    page_link *links;

    /* With heaps of threads, else NULL: of each page. */
    uint8_t *owners;         /* the number of its heap */
    uint32_t *next_returned; /* atomic: after it in its heap's list; NO_PAGE: it is in none */
    uint64_t *freed;         /* atomic, PAGE_WORDS each: slots that others freed */
} slots;

/* Bytes of states and links of pages, and of the magazines of heap number `number`; each a multiple of 8. */
size_t slots_bytes(granule_t capacity);
size_t slots_heap_bytes(granule_t capacity, uint32_t number);

/* Lays out in `memory`, zeroed. */
void slots_open(const free_index *index, slots *s, void *memory);
void slots_heap_open(const free_index *index, slots_heap *h, void *memory, uint32_t number);

/* The kind of the page around `at`; 0: it is no page. */
HOT unsigned slots_kind_at(const slots *s, granule_t at) { return s->pages[at / PAGE].kind; }

/* The words of the map for the page around `at`: is none of its slots live? */
HOT bool slots_page_is_empty(const blocks *map, granule_t at) {
    const uint64_t *live = map->live + (size_t)(at / PAGE) * PAGE_WORDS;
    return !(live[0] | live[1] | live[2] | live[3]);
}

/*
 * A free slot of the kind, which stays in the magazine's top until it is taken;
 * NO_GRANULE where no page has one. Slots that reach above `high` are fetched
 * one by one, so that of those in a magazine all but the top one were in use
 * before.
 */
granule_t slots_find(const blocks *map, slots *s, slots_heap *h, unsigned kind, granule_t high);

/* The slots in the magazine of a kind: the oldest one, and how many. */
HOT granule_t *slots_bottom(const slots_heap *h, unsigned kind) { return h->full[kind] - h->room; }
HOT uint32_t slots_held(const slots_heap *h, unsigned kind) {
    return (uint32_t)(h->top[kind] - slots_bottom(h, kind));
}

/* The magazine's newest slot is about to be live. */
void slots_take(const blocks *map, slots *s, slots_heap *h, unsigned kind);

/* The slot at `at` is free now. */
void slots_put(const blocks *map, slots *s, slots_heap *h, granule_t at);

/* Puts the slot on its magazine, no more. */
void slots_push(slots *s, slots_heap *h, granule_t at);

/* Is there a slot of `size` granules, `offset` into a page of this kind? */
HOT bool slots_is_at(const slots_heap *h, unsigned kind, granule_t offset, granule_t size) {
    return h->classes->size[kind] == size && offset % size == 0 && offset < PAGE / size * size;
}

/*
 * The free slot of `size` at `at`, in a page, is its magazine's newest from now on; false, and nothing
 * changed, where there is no such slot or it is live.
 */
bool slots_bring_up(const blocks *map, slots *s, slots_heap *h, granule_t at, granule_t size);

/* Puts all of the kind's magazine into its line. */
void slots_drop_all(slots *s, slots_heap *h, unsigned kind);

/* After the page around `at` became empty; and after a slot of an empty one was taken. */
void slots_emptied(slots_heap *h, granule_t at);
void slots_revived(slots_heap *h, granule_t at);

/* The page that begins at `at` has been cut into free slots of the kind. */
void slots_add_page(slots *s, slots_heap *h, granule_t at, unsigned kind);

/*
 * Gives up the page emptied last, where more than `keep` are kept: it is no
 * page from now on. Where it begins; NO_GRANULE: no more are kept.
 */
granule_t slots_give_up(slots *s, slots_heap *h, uint32_t keep);

/* Puts the page into its kind's line where it is not there, and takes it out where it is. */
void slots_link_page(slots *s, slots_heap *h, uint32_t page);
void slots_unlink_page(slots *s, slots_heap *h, uint32_t page);

/* Counts the free blocks in the heap's pages; NULL, or what is wrong and *at. */
const char *slots_check(const free_index *index, const slots *s, const slots_heap *h, size_t *count,
                        granule_t *at);

#endif
