/* SPDX-License-Identifier: MIT */
/* Free blocks by address: layout, aligned search, check. See tallest.h for how it works and its bound. */
#include "tallest.h"

static size_t words_of(granule_t capacity) { return ((size_t)capacity + WORD_BITS - 1) / WORD_BITS; }
static size_t runs_of(granule_t capacity) { return ((size_t)capacity + RUN - 1) / RUN; }

/* The heaps begin at a cache line, as far as the pool's state does. */
size_t tallest_bytes(granule_t capacity) {
    return (sizeof(tallest) + 7) / 8 * 8 + MAXIMA_LINE + maxima_bytes(words_of(capacity), false) +
           maxima_bytes(runs_of(capacity), true);
}

void tallest_open(const free_index *index, tallest *t) {
    uint8_t *memory = (uint8_t *)(t + 1);
    memory += (0U - (uintptr_t)memory) % MAXIMA_LINE;
    memory = maxima_open(&t->words, memory, words_of(index->capacity), false);
    maxima_open(&t->runs, memory, runs_of(index->capacity), true);
    t->tail = NO_GRANULE;
}

placement tallest_choose(free_index *index, const tallest *t, granule_t from, const request *want) {
    for (granule_t block; (block = tallest_seek(index, t, from, want->size)) != NO_GRANULE;
         from = block + 1) {
        placement found = placement_in(want, block, blocks_size(&index->map, block));
        if (found.block != NO_GRANULE) return found;
    }
    return placement_none();
}

/* Where the largest holds no place, each larger than the best so far that does takes its place in turn. */
placement tallest_choose_largest(free_index *index, const tallest *t, const request *want) {
    granule_t most = tallest_largest(index, t);
    if (most < want->size) return placement_none();
    placement best = placement_in(want, tallest_first_largest(index, t), most);
    if (best.block != NO_GRANULE) return best;
    granule_t size = want->size;
    for (granule_t from = 0, block; (block = tallest_seek(index, t, from, size)) != NO_GRANULE;
         from = block + 1) {
        placement found = placement_in(want, block, blocks_size(&index->map, block));
        if (found.block == NO_GRANULE) continue;
        best = found;
        size = found.size + 1;
    }
    return best;
}

/* ---- Check ---- */

static granule_t largest_of_run(const free_index *index, const tallest *t, size_t run) {
    granule_t largest = 0;
    for (size_t word = run * RUN_WORDS; word < (run + 1) * RUN_WORDS; word++) {
        if (word >= words_of(index->map.count)) break;
        granule_t size = tallest_in_word(index, word, tallest_starts(index, t, word));
        if (size > largest) largest = size;
    }
    return largest < LARGE ? 0 : largest;
}

static granule_t free_tail(const free_index *index) {
    granule_t last = index->map.count ? blocks_previous(&index->map, index->map.count) : 0;
    return index->map.count && blocks_is_free(&index->map, last) ? last : NO_GRANULE;
}

const char *tallest_check(free_index *index, const tallest *t, size_t *count, granule_t *at) {
    *at = t->tail;
    if (t->tail != free_tail(index)) return "the note of the free block that ends the pool is wrong";
    *count += t->tail != NO_GRANULE;
    for (size_t word = 0; word < words_of(index->capacity); word++) {
        *at = (granule_t)(word * WORD_BITS);
        uint64_t starts = word < words_of(index->map.count) ? tallest_starts(index, t, word) : 0;
        if (maxima_get(&t->words, false, 0, word) != tallest_byte(tallest_in_word(index, word, starts)))
            return "a word's note of its largest free block is wrong";
        for (; starts; starts &= starts - 1) ++*count;
    }
    for (size_t run = 0; run < runs_of(index->capacity); run++) {
        *at = (granule_t)(run * RUN);
        if (maxima_get(&t->runs, true, 0, run) != largest_of_run(index, t, run))
            return "a run's note of its large free block is wrong";
    }
    *at = 0;
    bool sound = maxima_check(&t->words, words_of(index->capacity), false) &&
                 maxima_check(&t->runs, runs_of(index->capacity), true);
    return sound ? NULL : "a note of the largest free block below is wrong";
}
