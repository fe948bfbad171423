/* SPDX-License-Identifier: MIT */
/* Free blocks by address under a heap of maxima: see tallest.h for how it works and its bound. */
#include "tallest.h"

static size_t parents(size_t nodes) { return (nodes + TALLEST_FAN - 1) / TALLEST_FAN; }

size_t tallest_bytes(granule_t capacity) {
    size_t nodes = blocks_words(capacity), all = nodes;
    while (nodes > 1) all += nodes = parents(nodes);
    return (sizeof(tallest) + all * sizeof(granule_t) + 7) / 8 * 8;
}

void tallest_open(const free_index *index, tallest *t) {
    granule_t *next = (granule_t *)(t + 1);
    size_t nodes = blocks_words(index->capacity);
    for (t->levels = 0;; nodes = parents(nodes)) {
        t->level[t->levels] = next;
        t->width[t->levels++] = nodes;
        next += nodes;
        if (nodes == 1) return;
    }
}

static uint64_t free_starts(const free_index *index, size_t word) {
    return index->map.mark[word] & ~index->map.live[word];
}

static granule_t largest_child(free_index *index, const tallest *t, unsigned level, size_t node) {
    granule_t largest = 0;
    size_t end = (node + 1) * TALLEST_FAN < t->width[level] ? (node + 1) * TALLEST_FAN : t->width[level];
    for (size_t child = node * TALLEST_FAN; child < end; child++)
        if (t->level[level][child] > largest) largest = t->level[level][child];
    index->steps += end - node * TALLEST_FAN;
    return largest;
}

static granule_t largest_start(free_index *index, size_t word, uint64_t starts) {
    granule_t largest = 0;
    for (; starts; starts &= starts - 1, index->steps++) {
        granule_t size = blocks_size(&index->map, (granule_t)(word * WORD_BITS + bits_lowest(starts)));
        if (size > largest) largest = size;
    }
    return largest;
}

void tallest_add(free_index *index, tallest *t, granule_t at, granule_t size) {
    size_t node = at / WORD_BITS;
    for (unsigned level = 0; level < t->levels; level++, node /= TALLEST_FAN) {
        index->steps++;
        if (t->level[level][node] >= size) return;
        t->level[level][node] = size;
    }
}

void tallest_remove(free_index *index, tallest *t, granule_t at, granule_t size) {
    size_t node = at / WORD_BITS;
    index->steps++;
    if (t->level[0][node] != size) return;
    uint64_t others = free_starts(index, node) & ~((uint64_t)1 << (at % WORD_BITS));
    granule_t largest = largest_start(index, node, others);
    for (unsigned level = 0;; level++) {
        t->level[level][node] = largest;
        if (level + 1 == t->levels) return;
        node /= TALLEST_FAN;
        index->steps++;
        if (largest == size || t->level[level + 1][node] != size) return;
        largest = largest_child(index, t, level, node);
    }
}

/* The first start in the word, of those in `starts`, that is large enough; or NO_GRANULE. */
static granule_t first_in_word(free_index *index, size_t word, uint64_t starts, granule_t size) {
    for (; starts; starts &= starts - 1) {
        index->steps++;
        granule_t at = (granule_t)(word * WORD_BITS + bits_lowest(starts));
        if (blocks_size(&index->map, at) >= size) return at;
    }
    return NO_GRANULE;
}

/* The first node in [node, end) of the level that is large enough; `end` where none is. */
static size_t first_node(free_index *index, const tallest *t, unsigned level, size_t node, size_t end,
                         granule_t size) {
    for (; node < end; node++) {
        index->steps++;
        if (t->level[level][node] >= size) break;
    }
    return node;
}

granule_t tallest_seek(free_index *index, const tallest *t, granule_t from, granule_t size) {
    if (from >= index->map.count || tallest_largest(t) < size) return NO_GRANULE;
    size_t node = from / WORD_BITS;
    if (t->level[0][node] >= size) {
        uint64_t starts = free_starts(index, node) >> (from % WORD_BITS) << (from % WORD_BITS);
        granule_t at = first_in_word(index, node, starts, size);
        if (at != NO_GRANULE) return at;
    }
    for (unsigned level = 0; level + 1 < t->levels; level++, node /= TALLEST_FAN) {
        size_t end = (node / TALLEST_FAN + 1) * TALLEST_FAN;
        if (end > t->width[level]) end = t->width[level];
        size_t found = first_node(index, t, level, node + 1, end, size);
        if (found == end) continue;
        while (level-- > 0) found = first_node(index, t, level, found * TALLEST_FAN, t->width[level], size);
        return first_in_word(index, found, free_starts(index, found), size);
    }
    return NO_GRANULE;
}

placement tallest_choose(free_index *index, const tallest *t, granule_t from, const request *want) {
    for (granule_t block; (block = tallest_seek(index, t, from, want->size)) != NO_GRANULE;
         from = block + 1) {
        placement found = placement_in(want, block, blocks_size(&index->map, block));
        if (found.block != NO_GRANULE) return found;
    }
    return placement_none();
}

const char *tallest_check(free_index *index, const tallest *t, size_t *count, granule_t *at) {
    for (size_t word = 0; word < t->width[0]; word++) {
        *at = (granule_t)(word * WORD_BITS);
        uint64_t starts = word < blocks_words(index->map.count) ? free_starts(index, word) : 0;
        if (t->level[0][word] != largest_start(index, word, starts))
            return "a word's note of its largest free block is wrong";
        for (; starts; starts &= starts - 1) ++*count;
    }
    for (unsigned level = 0; level + 1 < t->levels; level++)
        for (size_t node = 0; node < t->width[level + 1]; node++)
            if (t->level[level + 1][node] != largest_child(index, t, level, node))
                return *at = 0, "a note of the largest free block below is wrong";
    return NULL;
}
