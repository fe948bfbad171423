/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked lists of free blocks whose ends are kept outside of the blocks,
 * so that the most frequent work touches the least memory: the newest block is
 * put in front, the first one is taken away and a block in the middle unlinked
 * by writing to its neighbours alone. A *stack* keeps its first block
 * (NO_GRANULE: it is empty); a *queue* its last one too, and takes new blocks
 * there. Links: next (NO_GRANULE: none) and previous (anything, in the first
 * block). Everything O(1), 8 bytes a block.
 */
#ifndef HPW_QUEUE_H
#define HPW_QUEUE_H

#include "../policy.h"

enum { QUEUE_NEXT, QUEUE_PREVIOUS };

typedef struct queue {
    granule_t first, last; /* last: anything, where the queue is empty */
} queue;

HOT void stack_push(links of, granule_t *first, granule_t at) {
    granule_t next = *first;
    link_put(of, at, QUEUE_NEXT, next);
    if (next != NO_GRANULE) link_put(of, next, QUEUE_PREVIOUS, at);
    *first = at;
}

/* Takes the first away; true where it was the only one. */
HOT bool stack_pop(links of, granule_t *first) {
    *first = link_at(of, *first, QUEUE_NEXT);
    return *first == NO_GRANULE;
}

/* True where `at` was the only one. */
HOT bool stack_unlink(links of, granule_t *first, granule_t at) {
    if (*first == at) return stack_pop(of, first);
    granule_t next = link_at(of, at, QUEUE_NEXT), previous = link_at(of, at, QUEUE_PREVIOUS);
    link_put(of, previous, QUEUE_NEXT, next);
    if (next != NO_GRANULE) link_put(of, next, QUEUE_PREVIOUS, previous);
    return false;
}

HOT void queue_append(links of, queue *q, granule_t at) {
    link_put(of, at, QUEUE_NEXT, NO_GRANULE);
    if (q->first == NO_GRANULE) {
        q->first = at;
    } else {
        link_put(of, q->last, QUEUE_NEXT, at);
        link_put(of, at, QUEUE_PREVIOUS, q->last);
    }
    q->last = at;
}

/* True where `at` was the only one. */
HOT bool queue_unlink(links of, queue *q, granule_t at) {
    if (q->first == at) return stack_pop(of, &q->first);
    granule_t next = link_at(of, at, QUEUE_NEXT), previous = link_at(of, at, QUEUE_PREVIOUS);
    link_put(of, previous, QUEUE_NEXT, next);
    if (next == NO_GRANULE)
        q->last = previous;
    else
        link_put(of, next, QUEUE_PREVIOUS, previous);
    return false;
}

/* ---- Validation: see index_validates ---- */

/* Does a free block lie in the list of this number? As the policy tells lists apart. */
typedef bool queue_belongs(const free_index *index, granule_t at, uint32_t list);

#define QUEUE_BROKEN                                                                                         \
    "a free block was overwritten: its links in a list and those of its neighbours there disagree"

/* Is `next`, which `at` says comes after it in the list that begins with `first`, the block after it? */
static inline bool queue_follows(free_index *index, granule_t first, granule_t at, granule_t next,
                                 queue_belongs *belongs, uint32_t list) {
    bool sound = next != first && index_has_free(index, next) && belongs(index, next, list) &&
                 link_get(index, next, QUEUE_PREVIOUS) == at;
    return sound || index_break(index, at, QUEUE_BROKEN);
}

/*
 * The next after `at`; NO_GRANULE also where the index breaks. Each block but the first knows which one it
 * comes after, so no walk passes one twice.
 */
static inline granule_t queue_next(free_index *index, granule_t first, granule_t at, queue_belongs *belongs,
                                   uint32_t list) {
    granule_t next = link_get(index, at, QUEUE_NEXT);
    if (next == NO_GRANULE || !index_validates(index)) return next;
    return queue_follows(index, first, at, next, belongs, list) ? next : NO_GRANULE;
}

/* May `at` be unlinked, from a queue that ends with *last or, NULL, from a stack? */
static inline bool queue_may_unlink(free_index *index, granule_t first, const granule_t *last, granule_t at,
                                    queue_belongs *belongs, uint32_t list) {
    granule_t next = link_get(index, at, QUEUE_NEXT), previous = link_get(index, at, QUEUE_PREVIOUS);
    if (first == NO_GRANULE || (last && (next == NO_GRANULE) != (at == *last)))
        return index_break(index, at, QUEUE_BROKEN);
    if (next != NO_GRANULE && !queue_follows(index, first, at, next, belongs, list)) return false;
    bool sound =
        at == first || (previous != at && index_has_free(index, previous) && belongs(index, previous, list) &&
                        link_get(index, previous, QUEUE_NEXT) == at);
    return sound || index_break(index, at, QUEUE_BROKEN);
}

/* The next after `at`; NO_GRANULE after the last. */
HOT granule_t queue_after(const free_index *index, granule_t at) { return link_get(index, at, QUEUE_NEXT); }

/*
 * Counts the members, each a free block for which `belongs` holds; *last: the last of them. NULL, or what
 * is wrong and *at.
 */
static inline const char *queue_check(const free_index *index, granule_t first, queue_belongs *belongs,
                                      uint32_t bin, size_t *count, granule_t *last, granule_t *at) {
    for (granule_t here = first; here != NO_GRANULE; here = queue_after(index, here)) {
        *at = here;
        if (here >= index->map.count || !blocks_is_free(&index->map, here))
            return "a list holds what is not a free block";
        if (!belongs(index, here, bin)) return "a free block lies in the wrong list";
        if (here != first && link_get(index, here, QUEUE_PREVIOUS) != *last)
            return "a list's links back and forth disagree";
        if (++*count > index->map.count) return "a list has a cycle";
        *last = here;
    }
    return NULL;
}

#endif
