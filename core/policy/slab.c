/* SPDX-License-Identifier: MIT */
/*
 * Slab: small requests take slots of the next larger kind, from pages that are
 * cut out of the pool as runs; everything else goes to best fit.
 *
 *   1. A request of at most 64 granules takes the newest free slot of its kind
 *      (slots.h). Where there is none, best fit (bins.h) gives a page, which is
 *      cut into slots at once.
 *   2. Larger or over-aligned requests, and small ones when no page is to be
 *      had, go to best fit.
 *   3. Pages that became empty are kept, 64 or an eighth of the pool at most,
 *      and given back when a request finds nothing else, or at hpw_trim.
 *
 * Free slots do not join. Bound: O(1) for a slot but where a magazine is empty
 * or full, which happens once in half a magazine; a request that finds nothing
 * gives up all kept pages first; the rest is best fit's.
 */
#include "slab.h"

static size_t state_size(granule_t capacity, hpw_order order) {
    (void)order;
    return sizeof(slab) + slots_bytes(capacity) + slots_heap_bytes(capacity) + bins_bytes(capacity, false);
}

static void open(free_index *index) {
    slab *state = index->state;
    unsigned char *next = (unsigned char *)(state + 1);
    state->high = 0;
    slots_open(index, &state->pages, next);
    next += slots_bytes(index->capacity);
    slots_heap_open(index, &state->heap, next);
    next += slots_heap_bytes(index->capacity);
    state->large = (bins *)next;
    bins_open(index, state->large, false, false);
}

HOT bool in_page(const free_index *index, granule_t at) {
    return slots_kind_at(&((slab *)index->state)->pages, at) != 0;
}

/* ---- Requests ---- */

static granule_t round_up(const free_index *index, granule_t size) {
    if (size > LARGEST_SLOT) return size;
    granule_t slot = slots_size[slots_kind[size]];
    return slot <= index->map.count ? slot : size; /* a pool that small has no pages either */
}

static bool takes_slot(const request *want) { return want->size <= LARGEST_SLOT && want->align == 1; }

HOT placement choose(free_index *index, const request *want) {
    slab *state = index->state;
    if (!takes_slot(want)) return bins_choose_smallest(index, state->large, want);
    granule_t slot = slots_find(index, &state->pages, &state->heap, slots_kind[want->size], state->high);
    return slot == NO_GRANULE ? placement_none() : (placement){slot, want->size, slot};
}

static placement choose_last(free_index *index, const request *want) {
    return takes_slot(want) ? bins_choose_smallest(index, ((slab *)index->state)->large, want)
                            : placement_none();
}

static void placed(free_index *index, granule_t at, granule_t size, bool in_place) {
    slab *state = index->state;
    (void)in_place;
    if (at + size > state->high) state->high = at + size;
}

static bool may_resize(free_index *index, granule_t at, granule_t old_size, granule_t size) {
    granule_t next = at + old_size;
    if (in_page(index, at)) return false;
    if (size < old_size) return true;
    /* Only into one free block: the next but one may be a slot. */
    return next < index->map.count && !in_page(index, next) &&
           size - old_size <= blocks_size(&index->map, next);
}

/* ---- Free blocks ---- */

HOT void added(free_index *index, granule_t at, granule_t size) {
    slab *state = index->state;
    if (!in_page(index, at)) {
        bins_add(index, state->large, HPW_ORDER_ADDRESS, at, size);
        return;
    }
    slots_put(index, &state->pages, &state->heap, at);
    if (slots_page_is_empty(&index->map, at)) slots_emptied(&state->heap, at);
}

HOT void removed(free_index *index, granule_t at, granule_t size) {
    slab *state = index->state;
    unsigned kind = slots_kind_at(&state->pages, at);
    if (!kind) {
        bins_remove(index, state->large, HPW_ORDER_ADDRESS, at, size);
        return;
    }
    slots_take(&state->heap.magazines[kind]); /* which `choose` left on top */
    if (slots_page_is_empty(&index->map, at)) slots_revived(&state->heap, at);
}

static granule_t largest(free_index *index) {
    granule_t large = bins_largest(index, ((slab *)index->state)->large);
    return large >= PAGE ? large : blocks_largest_free(&index->map); /* what a page leaves may be larger */
}

/* ---- Pages ---- */

static bool wants_run(free_index *index, const request *want, slot_run *wanted) {
    slab *state = index->state;
    if (!takes_slot(want)) return false;
    wanted->place = bins_choose_smallest(index, state->large, &(request){.size = PAGE, .align = PAGE});
    wanted->size = PAGE;
    wanted->slot = want->size;
    return wanted->place.block != NO_GRANULE;
}

static void run_added(free_index *index, const slot_run *made) {
    slab *state = index->state;
    slots_add_page(&state->pages, &state->heap, made->place.at, slots_kind[made->slot]);
}

/* A pool that may grow or shrink keeps none: they could lie at its end. */
HOT bool returns_run(free_index *index, bool all, slot_run *returned) {
    slab *state = index->state;
    uint32_t keep = all || index->grows ? 0 : state->heap.most_kept;
    granule_t at = slots_give_up(index, &state->pages, &state->heap, keep);
    returned->place = (placement){at, PAGE, at};
    returned->size = PAGE;
    return at != NO_GRANULE;
}

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    const slab *state = index->state;
    size_t count = 0;
    const char *wrong = bins_check(index, state->large, &count, at);
    if (!wrong) wrong = slots_check(index, &state->pages, &state->heap, &count, at);
    return wrong || count == free_blocks ? wrong : "bins and pages do not hold every free block";
}

extern const policy policy_slab;
#define POLICY policy_slab
#include "../operations_of_policy.h"
#include "../slot_calls.h"

const policy policy_slab = {
    .info =
        {
            .name = "slab",
            .chooses = "the newest free slot of the size's kind; large sizes: best fit",
            .index = "a magazine a kind, pages; best fit's for pages and large sizes",
            .bound = "O(1) for slots, amortised; best fit's for the rest",
            .source = "Bonwick, USENIX 1994; Bonwick and Adams, USENIX 2001",
        },
    .general = GENERAL_CALLS,
    .calls = {{allocate_slot, release_slot}},
    .remembering = {allocate_remembering, release_remembering},
    .state_size = state_size,
    .open = open,
    .round = round_up,
    .choose = choose,
    .choose_last = choose_last,
    .in_run = in_page,
    .may_resize = may_resize,
    .placed = placed,
    .added = added,
    .removed = removed,
    .wants_run = wants_run,
    .run_added = run_added,
    .returns_run = returns_run,
    .largest = largest,
    .check = check,
};
