/* SPDX-License-Identifier: MIT */
/*
 * Bump: the next bytes. A pointer moves up; what is freed stays unused until
 * the pool is reset. The pool's end, from the pointer on, is the one free block
 * that is ever chosen; freed blocks join among themselves, never with it.
 * Bound: O(1), one step. No index.
 *
 * Monotone: the addresses do not depend on the capacity at all, so a trace fits where
 * the pointer's last value does, and nowhere below.
 */
#include "../policy.h"

typedef struct pointer {
    granule_t next;
    granule_t unused; /* a state is a multiple of 8 */
} pointer;

static size_t state_size(granule_t capacity, hpw_order order) {
    (void)capacity, (void)order;
    return sizeof(pointer);
}

static void open(free_index *index) { ((pointer *)index->state)->next = 0; }

static granule_t rest(const free_index *index) { return index->map.count - ((pointer *)index->state)->next; }

HOT placement choose(free_index *index, const request *want) {
    granule_t next = ((pointer *)index->state)->next;
    return rest(index) ? placement_in(want, next, rest(index)) : placement_none();
}

static bool may_join(free_index *index, granule_t left, granule_t right, granule_t right_size) {
    (void)left, (void)right_size;
    return right != ((pointer *)index->state)->next;
}

static bool may_resize(free_index *index, granule_t at, granule_t old_size, granule_t size) {
    return size < old_size || at + old_size == ((pointer *)index->state)->next;
}

static void placed(free_index *index, granule_t at, granule_t size, bool in_place) {
    (void)in_place;
    pointer *state = index->state;
    if (at + size > state->next) state->next = at + size;
}

HOT void added(free_index *index, granule_t at, granule_t size) { (void)index, (void)at, (void)size; }
HOT void removed(free_index *index, granule_t at, granule_t size) { (void)index, (void)at, (void)size; }

static granule_t largest(free_index *index) { return blocks_largest_free(&index->map); }

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    (void)free_blocks;
    *at = ((pointer *)index->state)->next;
    if (*at > index->map.count) return "the pointer is past the pool's end";
    if (!rest(index)) return NULL;
    if (!blocks_is_free(&index->map, *at) || blocks_size(&index->map, *at) != rest(index))
        return "what lies past the pointer is not one free block";
    return NULL;
}

extern const policy policy_bump;
#define POLICY policy_bump
#include "../operations_of_policy.h"

const policy policy_bump = {
    .info =
        {
            .name = "bump",
            .chooses = "the next bytes; freed at once with reset",
            .index = "none",
            .bound = "O(1), 3 steps, a resize 6",
            .source = "folklore",
            .monotone = true,
        },
    .keeps_freed = true,
    .general = GENERAL_CALLS,
    .state_size = state_size,
    .open = open,
    .choose = choose,
    .may_join = may_join,
    .may_resize = may_resize,
    .placed = placed,
    .added = added,
    .removed = removed,
    .largest = largest,
    .check = check,
};
