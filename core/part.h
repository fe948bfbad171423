/* SPDX-License-Identifier: MIT */
/*
 * A part of a program that still fails: what is left of a recording when blocks
 * that its failure does not need are taken out, one try after the other.
 * Private to the library.
 *
 * A *block* here is an allocation with its resizes and its free. A part *fails*
 * where a request is refused in the pool that is asked about; what comes behind
 * the first refused request is not in the part. Who decides which blocks to try
 * is the caller (delta debugging: lua/heapwright/property/shrink.lua).
 *
 * Blocks are numbered from 0 by birth, lesser ones from 0 in order too: they
 * are numbered anew whenever something was taken out.
 *
 * Memory: 40 bytes an event up to the first refused request, and a replay. Cost
 * of a try: one pass over the part and one replay of it, which ends at the first
 * refused request. A part belongs to one thread at a time.
 */
#ifndef HPW_PART_H
#define HPW_PART_H

#include "replay.h"

typedef struct hpw_part hpw_part;

typedef struct hpw_part_counts {
    uint64_t blocks;
    uint64_t events;
    uint64_t changes; /* of these, frees and resizes */
    uint64_t sizes;   /* of these, allocations and resizes */
} hpw_part_counts;

/*
 * The program up to the first request that `question` (its policy, order, seed,
 * granule, and capacity, which may not be 0) refuses; it may be freed then. NULL
 * and *error: HPW_LIMIT, nothing is refused; HPW_NO_MEMORY, and what hpw_ask says
 * of such a question.
 */
hpw_part *hpw_part_open(const hpw_program *program, const hpw_question *question, hpw_error *error);
void hpw_part_close(hpw_part *part);

hpw_part_counts hpw_part_count(const hpw_part *part);

/*
 * Is it for want of a hole that the part's last request is refused: would all
 * that is live then, each block rounded to granules, go into the pool? Where it
 * is so of the whole program, whatever is tried must fail so as well. To leave
 * out blocks can't change this, to leave out frees can: without them any trace
 * fills a pool.
 */
bool hpw_part_is_fragmented(const hpw_part *part);

/*
 * Each tries the part without something. Where it still fails, that is the part
 * from now on, up to its first refused request, and *fails is true. HPW_OK, or
 * HPW_NO_MEMORY, after which the part is as it was.
 */
hpw_error hpw_part_drop_blocks(hpw_part *part, uint64_t first, uint64_t last, bool *fails);
/* The blocks that are freed by its first so many events; those that never have so many bytes. */
hpw_error hpw_part_drop_freed(hpw_part *part, uint64_t events, bool *fails);
hpw_error hpw_part_drop_smaller(hpw_part *part, uint64_t size, bool *fails);
/* The frees and resizes with these numbers: blocks live on, or keep their size. */
hpw_error hpw_part_drop_changes(hpw_part *part, uint64_t first, uint64_t last, bool *fails);
/* The allocation or resize with this number asks for so many bytes instead. */
hpw_error hpw_part_set_size(hpw_part *part, uint64_t number, uint64_t size, bool *fails);

/* The size that the allocation or resize with this number asks for. O(events). */
uint64_t hpw_part_size(const hpw_part *part, uint64_t number);

/* Event `i` of the part, from 0: kind, id (the block's number + 1), size (of a free: the block's), alignment.
 */
hpw_trace_event hpw_part_event(const hpw_part *part, uint64_t i);

#endif
