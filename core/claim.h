/* SPDX-License-Identifier: MIT */
/*
 * Claimed blocks: blocks of a pool that answer to their owner alone. A Lua state's
 * memory may lie in the same pool as blocks that a script frees and writes by
 * address; an address of a claimed block is refused there like any other that is
 * not the script's.
 *
 * A large one without a tag is in the pool's bitmap of claims, see POOL_CELL, and
 * has what it asked for to itself. Any other has CLAIM_END bytes more, where the
 * record of its slack is made one that no other block can have: the long one with its
 * highest bit set, and the owner's tag below it. Who looks for a live block finds
 * that the record is wrong, and only then asks whether it is claimed; and only of
 * large blocks, whether its bit is set: blocks of everybody else pay next to nothing.
 *
 *      [ size bytes of the owner's | tag, slack | 255 ]
 *
 * No plan of failures (inject.h) refuses any: the owner asks it beforehand. All of
 * these take the pool's lock, once; `*granted` is the sum of what the pool granted
 * to an owner, and changes with it.
 */
#ifndef HPW_CLAIM_H
#define HPW_CLAIM_H

#include "pool.h"

/* Where there is a record: that, and a byte more where the size would come out as whole granules. */
enum { CLAIM_END = 9, CLAIM_BYTES = CLAIM_END + 1 };

/* `size` bytes at a multiple of `alignment`, a power of two; a tag of 0 ... 127. NULL: there is no room. */
void *claim_take(hpw_pool *pool, uint64_t size, uint64_t alignment, unsigned tag, uint64_t *granted);

/*
 * It has `size` bytes now, perhaps elsewhere; NULL, and it is as it was. Never NULL where size + CLAIM_BYTES
 * is no more than it had.
 */
void *claim_resize(hpw_pool *pool, void *block, uint64_t size, uint64_t *granted);

void claim_give(hpw_pool *pool, void *block, uint64_t *granted);

typedef struct claim {
    uint64_t owned; /* the owner's, as many as asked for at least */
    unsigned tag;
} claim;

claim claim_of(const hpw_pool *pool, const void *block);

#endif
