/* SPDX-License-Identifier: MIT */
/*
 * A circular doubly linked list of free blocks, its links in the blocks: a head
 * (NO_GRANULE: empty), the tail before it. Everything O(1), 8 bytes a block.
 */
#ifndef HPW_LIST_H
#define HPW_LIST_H

#include "../policy.h"

enum { LIST_NEXT, LIST_PREVIOUS };

HOT void list_append(const free_index *index, granule_t *head, granule_t at) {
    const links of = links_of(index);
    granule_t first = *head;
    if (first == NO_GRANULE) {
        *head = at;
        link_put(of, at, LIST_NEXT, at);
        link_put(of, at, LIST_PREVIOUS, at);
        return;
    }
    granule_t last = link_at(of, first, LIST_PREVIOUS);
    link_put(of, at, LIST_NEXT, first);
    link_put(of, at, LIST_PREVIOUS, last);
    link_put(of, last, LIST_NEXT, at);
    link_put(of, first, LIST_PREVIOUS, at);
}

HOT void list_prepend(const free_index *index, granule_t *head, granule_t at) {
    list_append(index, head, at);
    *head = at;
}

/* True where `at` was the last one. */
HOT bool list_unlink(const free_index *index, granule_t *head, granule_t at) {
    const links of = links_of(index);
    granule_t next = link_at(of, at, LIST_NEXT);
    if (next == at) {
        *head = NO_GRANULE;
        return true;
    }
    granule_t previous = link_at(of, at, LIST_PREVIOUS);
    if (*head == at) *head = next;
    link_put(of, previous, LIST_NEXT, next);
    link_put(of, next, LIST_PREVIOUS, previous);
    return false;
}

/* The next after `at`; NO_GRANULE after the last. */
HOT granule_t list_after(const free_index *index, granule_t head, granule_t at) {
    granule_t next = link_get(index, at, LIST_NEXT);
    return next == head ? NO_GRANULE : next;
}

/* Counts the members, each a free block for which `belongs` holds; NULL, or what is wrong and *at. */
static inline const char *list_check(const free_index *index, granule_t head,
                                     bool (*belongs)(const free_index *, granule_t at, uint32_t bin),
                                     uint32_t bin, size_t *count, granule_t *at) {
    for (granule_t here = head; here != NO_GRANULE; here = list_after(index, head, here)) {
        *at = here;
        if (here >= index->map.count || !blocks_is_free(&index->map, here))
            return "a list holds what is not a free block";
        if (!belongs(index, here, bin)) return "a free block lies in the wrong list";
        granule_t next = link_get(index, here, LIST_NEXT);
        if (next >= index->map.count || link_get(index, next, LIST_PREVIOUS) != here)
            return "a list's links back and forth disagree";
        if (++*count > index->map.count) return "a list has a cycle";
    }
    return NULL;
}

#endif
