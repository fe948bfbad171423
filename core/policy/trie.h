/* SPDX-License-Identifier: MIT */
/*
 * An ordered set of free blocks: a binary radix tree in which each node holds
 * the least key of its subtree (a priority search tree on one key; the digital
 * search tree of Knuth 6.3 with a heap order put on it).
 *
 *   1. Below a node at depth d all keys share their top d bits; the children
 *      are told apart by the next bit.
 *   2. A node's key is less than all keys below it. So the least of a subtree
 *      is its root, and keys below the left child are less than those below the
 *      right one.
 *   3. Insertion walks down by the key's bits; where the key that comes is less
 *      than the one that is there, they change places and the other walks on.
 *   4. Removal promotes the left child where there is one, else the right one,
 *      and so on down.
 *
 * The shape depends on the keys alone, not on the order in which they came: no
 * balance to keep, no random priorities. Depth is at most the bits of a key
 * (64), and about log2 of the count for keys that spread. Every operation
 * visits one path: O(log n) expected, `bits` worst.
 *
 * A node lies in the free block: left, right, and, where the order wants them,
 * the time stamp and the largest block below: 8 bytes, or 16.
 */
#ifndef HPW_TRIE_H
#define HPW_TRIE_H

#include "../policy.h"

/* What the keys are: size in the upper part or not; address, time or rank in the lower part. */
typedef struct trie_order {
    bool by_size;       /* else by the lower part alone */
    bool largest_first; /* sizes descend */
    hpw_order tie;      /* the lower part: address; a 32-bit time stamp, rising or falling; or rank */
    bool timed;         /* by time: the nodes keep their time of entry */
    uint32_t flip;      /* all bits where times are to fall */
    bool keeps_largest; /* each node knows the largest block below it */
    granule_t least;    /* no member is smaller */
    unsigned tie_bits;  /* of the lower part */
    unsigned bits;      /* of the whole key, 1 ... 64 */
    uint64_t rank_key;  /* of HPW_ORDER_RANDOM: which bijection of addresses the ranks are */
} trie_order;

/* A set; all zero but root = NO_GRANULE is empty. */
typedef struct trie {
    granule_t root;
} trie;

/* An order for pools of at most `capacity` granules. */
trie_order trie_order_of(granule_t capacity, bool by_size, bool largest_first, hpw_order tie,
                         bool keeps_largest);

/*
 * For may_add and may_remove: walks the same path, and looks whether each link on it leads to a free block
 * with a key that belongs there, and a note of the largest below a node is what its children's say. Keys rise
 * on every path, so it ends. trie_seek, trie_last and trie_largest do it by themselves.
 */
bool trie_may_insert(free_index *index, const trie_order *order, const trie *set, granule_t at,
                     uint32_t stamp);
bool trie_may_remove(free_index *index, const trie_order *order, const trie *set, granule_t at);

/* Instead, where stamps have run through all of their values: the whole set is looked at. */
bool trie_may_restamp(free_index *index, const trie_order *order, const trie *set);

/* `stamp` is the time of a block's entry; unused in orders that are not by time. */
void trie_insert(free_index *index, const trie_order *order, trie *set, granule_t at, uint32_t stamp);
void trie_remove(free_index *index, const trie_order *order, trie *set, granule_t at);

/* The key of a member, and the least key that a block of `size` granules can have. */
uint64_t trie_key(const free_index *index, const trie_order *order, granule_t at);
uint64_t trie_size_key(const free_index *index, const trie_order *order, granule_t size);

/*
 * The member with the least key >= `key`, NO_GRANULE where there is none; with
 * keeps_largest, the first such one of at least `size` granules.
 */
granule_t trie_seek(free_index *index, const trie_order *order, const trie *set, uint64_t key,
                    granule_t size);

/* The member with the greatest key, NO_GRANULE where the set is empty or the index breaks. */
granule_t trie_last(free_index *index, const trie_order *order, const trie *set);

/* With keeps_largest: the size of the largest member, 0 where the set is empty. */
granule_t trie_largest(free_index *index, const trie_order *order, const trie *set);

/*
 * Gives the members new time stamps 0, 1, 2 ... in their order and returns the
 * next free one: what a stamp that has run through all of its values asks for.
 */
uint32_t trie_restamp(free_index *index, const trie_order *order, trie *set);

/* Counts the members and checks their order; NULL, or what is wrong and *at. */
const char *trie_check(free_index *index, const trie_order *order, const trie *set, size_t *count,
                       granule_t *at);

#endif
