/* SPDX-License-Identifier: MIT */
/*
 * Free blocks of one size, lowest address first: a heap on the address whose
 * branches are told by the bits of a hash of the address.
 *
 *   1. A node's address is below all addresses under it, so the root is the
 *      lowest. Its subtrees differ in the top bits of their members' hashes, at
 *      the root; in the next ones a level below; and so on.
 *   2. Insertion walks down by the hash's bits; where the address that comes is
 *      below the one that is there, they change places and the other walks on.
 *   3. Removal finds the block by its hash, and promotes the lowest of its
 *      children, and so on down.
 *
 * The hash is a bijection, so no two members share all 32 bits: depth is at most
 * 32 / branch bits, and the logarithm of the count expected, whatever pattern the
 * addresses have. The shape depends on the members alone. A node is the block's
 * first bytes: 8 links where it has 32 of them (3 bits a level), 4 links in
 * blocks of 16, 2 in blocks of 8; a wide node is as near as a narrow one, and
 * what a step waits for is memory.
 */
#ifndef HPW_HEAP_H
#define HPW_HEAP_H

#include "../policy.h"

/* `size` is that of all members, in granules. */
void heap_insert(free_index *index, granule_t *root, granule_t at, granule_t size);

/* True where `at` was the last one. */
bool heap_remove(free_index *index, granule_t *root, granule_t at, granule_t size);

/*
 * For may_add and may_remove: walks the same path, and looks whether each link on it leads to a free block of
 * this size, of an address and a hash that belong there. Addresses rise on every path, so it ends.
 */
bool heap_may_insert(free_index *index, granule_t root, granule_t at, granule_t size);
bool heap_may_remove(free_index *index, granule_t root, granule_t at, granule_t size);

/*
 * The lowest member that holds an aligned place for `want`; NO_GRANULE: none
 * does, or the index breaks. Visits the members below the answer, and their children.
 */
granule_t heap_find(free_index *index, granule_t root, granule_t size, const request *want, granule_t *at);

/*
 * Counts the members, each a free block of `size` granules for which `belongs`
 * holds, and verifies their order and branches. NULL, or what is wrong and *at.
 */
const char *heap_check(const free_index *index, granule_t root, granule_t size,
                       bool (*belongs)(const free_index *, granule_t at, uint32_t bin), uint32_t bin,
                       size_t *count, granule_t *at);

#endif
