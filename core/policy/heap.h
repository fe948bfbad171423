/* SPDX-License-Identifier: MIT */
/*
 * Free blocks of one kind, lowest address first: a heap on the address whose
 * branches are told by the bits of a hash of the address.
 *
 *   1. A node's address is below all addresses under it, so the root is the
 *      lowest. Its two subtrees differ in one bit of their members' hashes, the
 *      top one at the root, the next one a level below, and so on.
 *   2. Insertion walks down by the hash's bits; where the address that comes is
 *      below the one that is there, they change places and the other walks on.
 *   3. Removal finds the block by its hash, and promotes the lower of the two
 *      children, and so on down.
 *
 * The hash is a bijection, so no two members share all 32 bits: depth is at most
 * 32, and log2 of the count expected, whatever pattern the addresses have. The
 * shape depends on the members alone. A node is 8 bytes in the free block.
 */
#ifndef HPW_HEAP_H
#define HPW_HEAP_H

#include "../policy.h"

enum { HEAP_LEFT, HEAP_RIGHT, HEAP_DEPTH = 33 };

static inline uint32_t heap_hash(granule_t at) { return at * UINT32_C(0x9E3779B1); }

/* The link to a subtree: the root, or a side of a node. */
typedef struct heap_place {
    granule_t parent; /* NO_GRANULE: the root */
    unsigned side;
} heap_place;

static inline granule_t heap_get(const free_index *index, const granule_t *root, heap_place p) {
    return p.parent == NO_GRANULE ? *root : link_get(index, p.parent, p.side);
}

static inline void heap_put(const free_index *index, granule_t *root, heap_place p, granule_t at) {
    if (p.parent == NO_GRANULE)
        *root = at;
    else
        link_set(index, p.parent, p.side, at);
}

static inline void heap_insert(free_index *index, granule_t *root, granule_t at) {
    heap_place here = {NO_GRANULE, 0};
    uint32_t hash = heap_hash(at);
    unsigned depth = 0;
    for (granule_t there; (there = heap_get(index, root, here)) != NO_GRANULE; depth++) {
        index->steps++;
        if (at < there) { /* it belongs here, the other one goes on down */
            link_set(index, at, HEAP_LEFT, link_get(index, there, HEAP_LEFT));
            link_set(index, at, HEAP_RIGHT, link_get(index, there, HEAP_RIGHT));
            heap_put(index, root, here, at);
            here.parent = at;
            at = there;
            hash = heap_hash(at);
        } else {
            here.parent = there;
        }
        here.side = hash << depth >> 31;
    }
    heap_put(index, root, here, at);
    link_set(index, at, HEAP_LEFT, NO_GRANULE);
    link_set(index, at, HEAP_RIGHT, NO_GRANULE);
}

static inline void heap_remove(free_index *index, granule_t *root, granule_t at) {
    heap_place here = {NO_GRANULE, 0};
    uint32_t hash = heap_hash(at);
    for (granule_t there; (there = heap_get(index, root, here)) != at; hash <<= 1) {
        index->steps++;
        here.parent = there;
        here.side = hash >> 31;
    }
    granule_t left = link_get(index, at, HEAP_LEFT), right = link_get(index, at, HEAP_RIGHT);
    for (;;) { /* NO_GRANULE is above every address, so the lesser child is one that is there */
        granule_t child = left < right ? left : right;
        index->steps++;
        heap_put(index, root, here, child);
        if (child == NO_GRANULE) return;
        here = (heap_place){child, left < right ? HEAP_LEFT : HEAP_RIGHT};
        granule_t below_left = link_get(index, child, HEAP_LEFT),
                  below_right = link_get(index, child, HEAP_RIGHT);
        link_set(index, child, HEAP_LEFT, left);
        link_set(index, child, HEAP_RIGHT, right);
        left = below_left;
        right = below_right;
    }
}

/*
 * The lowest member that holds an aligned place for `want`; NO_GRANULE: none
 * does. Visits the members below the answer, and their children.
 */
static inline granule_t heap_find(free_index *index, granule_t root, const request *want, granule_t *at) {
    granule_t stack[HEAP_DEPTH], found = NO_GRANULE;
    unsigned depth = 0;
    if (root != NO_GRANULE) stack[depth++] = root;
    while (depth) {
        granule_t block = stack[--depth];
        index->steps++;
        if (block > found) continue;
        granule_t place = place_in(want, block, blocks_size(&index->map, block));
        if (place != NO_GRANULE) { /* all below it are higher */
            found = block;
            *at = place;
            continue;
        }
        granule_t left = link_get(index, block, HEAP_LEFT), right = link_get(index, block, HEAP_RIGHT);
        if (right != NO_GRANULE) stack[depth++] = right;
        if (left != NO_GRANULE) stack[depth++] = left;
    }
    return found;
}

/*
 * Counts the members, each a free block for which `belongs` holds, and verifies
 * their order and branches. NULL, or what is wrong and *at.
 */
const char *heap_check(const free_index *index, granule_t root,
                       bool (*belongs)(const free_index *, granule_t at, uint32_t bin), uint32_t bin,
                       size_t *count, granule_t *at);

#endif
