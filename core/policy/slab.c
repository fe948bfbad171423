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
 * Not monotone: whether there is room for a page decides where a small request goes. A trace of four
 * allocations fits in 572 granules and fails in 768: spec/c/reversal_thread_test.c.
 *
 * Free slots do not join. Bound: O(1) for a slot but where a magazine is empty
 * or full, which happens once in a lot of slots; a request that finds nothing
 * gives up all kept pages first; the rest is best fit's.
 */
#include "slab.h"
#ifndef HPW_FREESTANDING
#include "slots_shared.h"
#endif

static size_t state_size(granule_t capacity, hpw_order order) {
    (void)order;
    return sizeof(slab) + slots_bytes(capacity) + slots_heap_bytes(capacity, 0) + bins_bytes(capacity, false);
}

static void open(free_index *index) {
    slab *state = index->state;
    unsigned char *next = (unsigned char *)(state + 1);
    state->high = 0;
    slots_open(index, &state->pages, next);
    next += slots_bytes(index->capacity);
    slots_heap_open(index, &state->heap, next, 0);
    state->current = state->surplus = &state->heap;
    next += slots_heap_bytes(index->capacity, 0);
    state->large = (bins *)next;
    bins_open(index, state->large, false, false);
}

/* The heap of the page around `at`. */
HOT slots_heap *heap_at(slab *state, granule_t at) {
    return state->thread_count ? slab_heap(state, state->pages.owners[at / PAGE]) : &state->heap;
}

/* What a heap visited counts as visited by the index. */
HOT void count_steps(free_index *index, slots_heap *h) {
    index->steps += h->steps;
    h->steps = 0;
}

HOT bool in_page(const free_index *index, granule_t at) {
    return slots_kind_at(&((slab *)index->state)->pages, at) != 0;
}

/* ---- Requests ---- */

static granule_t round_up(const free_index *index, granule_t size) {
    if (size > LARGEST_SLOT) return size;
    granule_t slot = slots_size[slots_kind[size]];
    return slot <= index->capacity ? slot : size; /* a pool that small has no pages either */
}

static bool takes_slot(const request *want) { return want->size <= LARGEST_SLOT && want->align == 1; }

HOT granule_t find_slot(free_index *index, granule_t size) {
    slab *state = index->state;
    slots_heap *h = state->current;
    granule_t slot = slots_find(&index->map, &state->pages, h, slots_kind[size], state->high);
    count_steps(index, h);
    return slot;
}

HOT placement choose(free_index *index, const request *want) {
    slab *state = index->state;
    if (!takes_slot(want)) return bins_choose_smallest(index, state->large, want);
    granule_t slot = find_slot(index, want->size);
    return slot == NO_GRANULE ? placement_none() : (placement){slot, want->size, slot};
}

/* Another heap's free slots, while its thread does not run; then best fit. */
static placement choose_last(free_index *index, const request *want) {
    slab *state = index->state;
    if (!takes_slot(want)) return placement_none();
#ifndef HPW_FREESTANDING
    for (uint32_t i = 0; i < state->thread_count; i++) {
        slots_adopt(&index->map, &state->pages, state->current, &state->threads[i], slots_kind[want->size]);
        granule_t slot = find_slot(index, want->size);
        if (slot != NO_GRANULE) return (placement){slot, want->size, slot};
    }
#endif
    return bins_choose_smallest(index, state->large, want);
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
    slots_heap *h = heap_at(state, at);
    slots_put(&index->map, &state->pages, h, at);
    state->surplus = h;
    count_steps(index, h);
}

HOT void removed(free_index *index, granule_t at, granule_t size) {
    slab *state = index->state;
    unsigned kind = slots_kind_at(&state->pages, at);
    if (!kind) {
        bins_remove(index, state->large, HPW_ORDER_ADDRESS, at, size);
        return;
    }
    slots_take(&index->map, &state->pages, heap_at(state, at), kind); /* which `choose` left on top */
}

static bool may_add(free_index *index, granule_t at, granule_t size) {
    return in_page(index, at) || bins_may_add(index, ((slab *)index->state)->large, at, size);
}

static bool may_remove(free_index *index, granule_t at, granule_t size) {
    return in_page(index, at) || bins_may_remove(index, ((slab *)index->state)->large, at, size);
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

static bool wants_slot(free_index *index, granule_t at, granule_t size, slot_run *wanted) {
    slab *state = index->state;
    *wanted = (slot_run){.size = 0};
    if (in_page(index, at)) {
        slots_heap *h = heap_at(state, at);
        bool free = slots_bring_up(&index->map, &state->pages, h, at, size);
        count_steps(index, h);
        return free;
    }
    granule_t offset = at % PAGE;
    if (size > LARGEST_SLOT || !slots_is_at(slots_kind[size], offset, size)) return false;
    *wanted = (slot_run){.place = {NO_GRANULE, 0, at - offset}, .size = PAGE, .slot = size};
    return true;
}

static void run_added(free_index *index, const slot_run *made) {
    slab *state = index->state;
    if (state->thread_count) state->pages.owners[made->place.at / PAGE] = (uint8_t)state->current->number;
    slots_add_page(&state->pages, state->current, made->place.at, slots_kind[made->slot]);
}

HOT granule_t give_up_page(free_index *index, slots_heap *h, bool all) {
    slab *state = index->state;
    granule_t at = slots_give_up(&state->pages, h, all || index->grows ? 0 : h->most_kept);
    count_steps(index, h);
    if (at != NO_GRANULE && state->thread_count) state->pages.owners[at / PAGE] = 0;
    return at;
}

/* A pool that may grow or shrink keeps none: they could lie at its end. */
HOT bool returns_run(free_index *index, bool all, slot_run *returned) {
    slab *state = index->state;
    granule_t at = give_up_page(index, state->surplus, all);
    for (uint32_t number = 0; at == NO_GRANULE && all && number <= state->thread_count; number++)
        at = give_up_page(index, slab_heap(state, number), true);
    *returned = (slot_run){.place = {at, PAGE, at}, .size = PAGE};
    return at != NO_GRANULE;
}

#ifndef HPW_FREESTANDING
/* ---- Caches of threads: their heaps ---- */

static size_t heaps_bytes(granule_t capacity, uint32_t count) {
    return slots_shared_bytes(capacity) + count * (sizeof(slots_heap) + slots_heap_bytes(capacity, 1));
}

static void heaps_open(free_index *index, void *memory, uint32_t count) {
    slab *state = index->state;
    unsigned char *next = memory;
    state->thread_count = count;
    slots_shared_open(index, &state->pages, next);
    next += slots_shared_bytes(index->capacity);
    state->threads = (slots_heap *)next;
    next += count * sizeof(slots_heap);
    for (uint32_t i = 0; i < count; i++, next += slots_heap_bytes(index->capacity, 1))
        slots_heap_open(index, &state->threads[i], next, i + 1);
}

static void *heap_of(free_index *index, uint32_t number) { return slab_heap(index->state, number); }

static bool heap_sees(free_index *index, uint32_t number, granule_t at) {
    const slots *s = &((slab *)index->state)->pages;
    uint32_t owner = slots_owner_at(s, at);
    uint64_t *freed = s->freed + (size_t)(at / PAGE) * PAGE_WORDS, returned = 0;
    if (!owner || owner != number) return !owner;
    for (unsigned i = 0; i < PAGE_WORDS; i++) returned |= word_load(&freed[i]);
    return !returned;
}

static bool heap_collect(free_index *index, uint32_t number) {
    slab *state = index->state;
    slots_heap *h = slab_heap(state, number);
    bool done = slots_collect(&index->map, &state->pages, h);
    count_steps(index, h);
    state->surplus = h;
    return done;
}

static const policy_caches heaps = {
    .bytes = heaps_bytes, .open = heaps_open, .heap = heap_of, .sees = heap_sees, .collect = heap_collect};
#endif

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    slab *state = index->state;
    size_t count = 0;
    const char *wrong = bins_check(index, state->large, &count, at);
    for (uint32_t number = 0; !wrong && number <= state->thread_count; number++)
        wrong = slots_check(index, &state->pages, slab_heap(state, number), &count, at);
    return wrong || count == free_blocks ? wrong : "bins and pages do not hold every free block";
}

extern const policy policy_slab;
#define POLICY policy_slab
#include "../operations_of_policy.h"
#include "../slot_calls.h"
#ifndef HPW_FREESTANDING
#include "../cached_calls.h"
#endif

const policy policy_slab = {
    .info =
        {
            .name = "slab",
            .chooses = "the newest free slot of the size's kind; large sizes: best fit",
            .index = "a magazine a kind, pages; best fit's for pages and large sizes",
            .bound = "O(1) for slots, at most 280 steps; best fit's for the rest",
            .source = "Bonwick, USENIX 1994; Bonwick and Adams, USENIX 2001",
#ifndef HPW_FREESTANDING
            .takes_caches = true,
#endif
        },
    .general = GENERAL_CALLS,
    .validating = VALIDATING_CALLS,
    .calls = {{allocate_slot, release_slot, release_sized_slot, free_slot}},
    .remembering = {allocate_remembering, release_remembering, release_sized_remembering, free_remembering},
#ifndef HPW_FREESTANDING
    .caches = &heaps,
    .cached = {allocate_cached, release_cached, release_sized_cached, free_cached},
#endif
    .state_size = state_size,
    .open = open,
    .round = round_up,
    .choose = choose,
    .choose_last = choose_last,
    .in_run = in_page,
    .may_add = may_add,
    .may_remove = may_remove,
    .may_resize = may_resize,
    .placed = placed,
    .added = added,
    .removed = removed,
    .wants_run = wants_run,
    .wants_slot = wants_slot,
    .run_added = run_added,
    .returns_run = returns_run,
    .largest = largest,
    .check = check,
};
