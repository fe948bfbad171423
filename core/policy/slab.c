/* SPDX-License-Identifier: MIT */
/*
 * Slab: size classes in pages carved from the pool. Bonwick, «The slab
 * allocator», USENIX 1994; classes as in most allocators since.
 *
 *   1. Sizes to 64 granules are rounded up to a class: 1 ... 8 granules one by
 *      one, then four classes to each power of two.
 *   2. A page is 256 granules at a multiple of 256. Those of a class that have
 *      a free slot are listed, newest first; a request takes the head's slot.
 *   3. Where there is none, best fit (bins.h) gives an aligned page. It is not
 *      cut at once: its rest is one free block at the end of its list, from
 *      which slots are cut as they are asked for.
 *   4. When a page's last slot is freed it dissolves: all of it joins into one
 *      free block and goes back to best fit.
 *   5. Larger or over-aligned requests, and small ones when no page is to be
 *      had, go to best fit.
 *
 * Free slots of a page that is in use do not join. Bound: O(1) for a slot; a
 * page that dissolves joins its at most 256 slots, so O(1) amortised; the rest
 * is best fit's. Memory: 20 bytes a page, 0.49 % with granules of 16.
 */
#include "bins.h"
#include "list.h"

enum { PAGE = 256, LARGEST_CLASS = 64, CLASSES = LARGEST_CLASS + 1 /* named by their size */ };

#define NO_PAGE UINT32_MAX

typedef struct page {
    granule_t slots;         /* its free slots, and its uncut rest at the end */
    uint32_t next, previous; /* in its class's list of pages with slots */
    uint16_t size;           /* of its slots; 0: no page of ours */
    uint16_t used;           /* live slots */
} page;

typedef struct slab {
    bins *large;
    uint32_t with_slots[CLASSES]; /* head of the circular list, by slot size */
    uint32_t carving;             /* the page that `choose` wants cut, or NO_PAGE */
    uint32_t dissolving;          /* the page whose last slot was freed, or NO_PAGE */
    uint16_t carving_size;
    page pages[];
} slab;

static size_t slab_bytes(granule_t capacity) {
    return (sizeof(slab) + ((size_t)capacity / PAGE + 1) * sizeof(page) + 7) / 8 * 8;
}

static size_t state_size(granule_t capacity, hpw_order order) {
    (void)order;
    return slab_bytes(capacity) + bins_bytes(capacity, false);
}

static void open(free_index *index) {
    slab *state = index->state;
    state->large = (bins *)((char *)index->state + slab_bytes(index->capacity));
    state->carving = state->dissolving = NO_PAGE;
    for (unsigned size = 0; size < CLASSES; size++) state->with_slots[size] = NO_PAGE;
    bins_open(index, state->large, false, false);
}

/* The page around `at` that is cut into slots; NULL where best fit rules. */
static page *page_of(const free_index *index, granule_t at) {
    page *p = &((slab *)index->state)->pages[at / PAGE];
    return p->size ? p : NULL;
}

/* ---- The lists of pages with free slots ---- */

static void link_page(slab *state, uint32_t number) {
    page *p = &state->pages[number];
    uint32_t *head = &state->with_slots[p->size];
    if (*head == NO_PAGE) {
        p->next = p->previous = number;
    } else {
        p->next = *head;
        p->previous = state->pages[*head].previous;
        state->pages[p->previous].next = number;
        state->pages[*head].previous = number;
    }
    *head = number;
}

static void unlink_page(slab *state, uint32_t number) {
    page *p = &state->pages[number];
    uint32_t *head = &state->with_slots[p->size];
    if (*head == number) *head = p->next == number ? NO_PAGE : p->next;
    state->pages[p->previous].next = p->next;
    state->pages[p->next].previous = p->previous;
}

/* ---- The policy ---- */

static granule_t round_up(const free_index *index, granule_t size) {
    if (size <= 8 || size > LARGEST_CLASS) return size;
    granule_t step = (granule_t)1 << (bits_highest(size - 1) - 2);
    granule_t class = (size + step - 1) / step * step;
    return class <= index->map.count ? class : size; /* a pool that small has no pages either */
}

HOT placement choose(free_index *index, const request *want) {
    slab *state = index->state;
    state->carving = NO_PAGE;
    if (want->size > LARGEST_CLASS || want->align > 1) return bins_choose_smallest(index, state->large, want);
    uint32_t number = state->with_slots[want->size];
    if (number != NO_PAGE) {
        granule_t slot = state->pages[number].slots;
        return (placement){slot, blocks_size(&index->map, slot), slot};
    }
    placement found = bins_choose_smallest(index, state->large, &(request){.size = PAGE, .align = PAGE});
    if (found.block == NO_GRANULE) return bins_choose_smallest(index, state->large, want);
    state->carving = found.at / PAGE;
    state->carving_size = (uint16_t)want->size;
    return found;
}

static void placed(free_index *index, granule_t at, granule_t size, bool in_place) {
    (void)size;
    slab *state = index->state;
    if (in_place) return;
    if (state->carving != NO_PAGE) {
        state->pages[state->carving] = (page){.slots = NO_GRANULE, .size = state->carving_size};
        state->carving = NO_PAGE;
    }
    page *p = page_of(index, at);
    if (p) p->used++;
}

static granule_t piece(free_index *index, granule_t at, granule_t size) {
    if (!page_of(index, at)) return size;
    granule_t rest = PAGE - at % PAGE;
    return size < rest ? size : rest;
}

static void freed(free_index *index, granule_t at, granule_t size) {
    (void)size;
    slab *state = index->state;
    page *p = page_of(index, at);
    if (!p || --p->used) return;
    state->dissolving = at / PAGE;
    if (p->slots != NO_GRANULE) unlink_page(state, at / PAGE);
}

static bool joins(const free_index *index, granule_t at) {
    return !page_of(index, at) || at / PAGE == ((slab *)index->state)->dissolving;
}

static bool may_join(free_index *index, granule_t left, granule_t right, granule_t right_size) {
    (void)right_size;
    return joins(index, left) && joins(index, right);
}

static bool may_resize(free_index *index, granule_t at, granule_t old_size, granule_t size) {
    granule_t next = at + old_size;
    if (page_of(index, at)) return false;
    if (size < old_size) return true;
    /* Only into one free block: the next but one may be a slot. */
    return next < index->map.count && !page_of(index, next) &&
           size - old_size <= blocks_size(&index->map, next);
}

HOT void added(free_index *index, granule_t at, granule_t size) {
    slab *state = index->state;
    if (state->dissolving != NO_PAGE) {
        state->pages[state->dissolving].size = 0;
        state->dissolving = NO_PAGE;
    }
    page *p = page_of(index, at);
    if (!p) {
        bins_add(index, state->large, HPW_ORDER_ADDRESS, at, size);
        return;
    }
    if (size < p->size) return; /* the page's end, too small for a slot */
    if (p->slots == NO_GRANULE) link_page(state, at / PAGE);
    if (size == p->size)
        list_prepend(index, &p->slots, at);
    else
        list_append(index, &p->slots, at);
}

HOT void removed(free_index *index, granule_t at, granule_t size) {
    slab *state = index->state;
    page *p = page_of(index, at);
    if (!p) {
        bins_remove(index, state->large, HPW_ORDER_ADDRESS, at, size);
        return;
    }
    if (at / PAGE == state->dissolving) return; /* its list goes as a whole */
    list_unlink(index, &p->slots, at);
    if (p->slots == NO_GRANULE) unlink_page(state, at / PAGE);
}

static granule_t largest(free_index *index) {
    granule_t large = bins_largest(index, ((slab *)index->state)->large);
    return large >= PAGE ? large : blocks_largest_free(&index->map); /* a page's rest may be larger */
}

/* ---- Check ---- */

static bool in_page(const free_index *index, granule_t at, uint32_t number) {
    (void)index;
    return at / PAGE == number;
}

static const char *check_page(free_index *index, uint32_t number, size_t *count, granule_t *at) {
    const slab *state = index->state;
    const page *p = &state->pages[number];
    granule_t begin = number * PAGE;
    unsigned used = 0;
    size_t large_enough = 0, listed = 0;
    *at = begin;
    if (!blocks_is_start(&index->map, begin)) return "no block starts where a page does";
    for (granule_t block = begin, size; block < begin + PAGE; block += size) {
        *at = block;
        size = blocks_size(&index->map, block);
        if (block + size > begin + PAGE) return "a block reaches out of its page";
        if (blocks_is_live(&index->map, block)) {
            used++;
        } else {
            ++*count;
            large_enough += size >= p->size;
        }
    }
    *at = begin;
    if (used != p->used) return "a page's count of used slots is wrong";
    const char *wrong = list_check(index, p->slots, in_page, number, &listed, at);
    if (wrong) return wrong;
    if (listed != large_enough) return "a page's list does not hold all of its free slots";
    if (listed && state->pages[p->next].previous != number) return "the list of pages with slots is broken";
    return NULL;
}

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    const slab *state = index->state;
    size_t count = 0;
    const char *wrong = bins_check(index, state->large, &count, at);
    for (uint32_t number = 0; !wrong && number <= (index->map.count - 1) / PAGE; number++)
        if (state->pages[number].size) wrong = check_page(index, number, &count, at);
    return wrong || count == free_blocks ? wrong : "bins and pages do not hold every free block";
}

extern const policy policy_slab;
#define POLICY policy_slab
#include "../operations_of_policy.h"

const policy policy_slab = {
    .info =
        {
            .name = "slab",
            .chooses = "a free slot of the size's class; large sizes: best fit",
            .index = "a free list a page; best fit's for pages and large sizes",
            .bound = "O(1) for slots, amortised; best fit's for the rest",
            .source = "Bonwick, USENIX 1994",
        },
    .calls = GENERAL_CALLS,
    .state_size = state_size,
    .open = open,
    .round = round_up,
    .choose = choose,
    .piece = piece,
    .may_join = may_join,
    .may_resize = may_resize,
    .placed = placed,
    .freed = freed,
    .added = added,
    .removed = removed,
    .largest = largest,
    .check = check,
};
