/* SPDX-License-Identifier: MIT */
/* Small free blocks by size and address: layout, aligned search, check. See small.h. */
#include "small.h"

enum { MANY_GRANULES = 1 << 22 };

granule_t small_sizes(granule_t capacity) { return capacity < MANY_GRANULES ? SMALL_LEAST : SMALL_MOST; }

static size_t words_of(size_t bits) { return (bits + WORD_BITS - 1) / WORD_BITS; }

void small_open(small *s, granule_t capacity, void *bits) {
    size_t words = blocks_words(capacity);
    *s = (small){.bits = bits};
    do {
        words = words_of(words);
        s->offset[s->levels++] = s->stride;
        s->stride += words;
    } while (words > 1 || s->levels < 2);
    for (granule_t size = 0; size < SMALL_MOST; size++) s->lowest[size] = NO_WORD;
}

size_t small_bytes(granule_t capacity) {
    small s;
    small_open(&s, capacity, NULL);
    return small_sizes(capacity) * s.stride * sizeof(uint64_t);
}

/* The lowest word of the map that has the size, or NO_WORD. */
static uint32_t lowest_word(const small *s, const uint64_t *bits) {
    size_t word = 0;
    if (!bits[s->offset[s->levels - 1]]) return NO_WORD;
    for (unsigned level = s->levels; level-- > 0;)
        word = word * WORD_BITS + bits_lowest(bits[s->offset[level] + word]);
    return (uint32_t)word;
}

uint32_t small_clear_above(free_index *index, const small *s, uint64_t *bits, size_t word) {
    bool empty = true;
    for (unsigned level = 2; level < s->levels && empty; level++) {
        uint64_t *w = &bits[s->offset[level] + word / WORD_BITS];
        *w &= ~((uint64_t)1 << (word % WORD_BITS));
        empty = !*w;
        word /= WORD_BITS;
        index->steps++;
    }
    index->steps += s->levels;
    return lowest_word(s, bits);
}

/* The first word from `word` on that has the size; or past the last one. */
static size_t next_word(free_index *index, const uint64_t *bits, size_t word, size_t words) {
    for (; word < words; index->steps++) {
        uint64_t rest = bits[word / WORD_BITS] >> (word % WORD_BITS);
        if (rest) return word + bits_lowest(rest);
        word = (word / WORD_BITS + 1) * WORD_BITS;
    }
    return words;
}

granule_t small_find(free_index *index, const small *s, granule_t size, const request *want, granule_t *at) {
    const uint64_t *bits = s->bits + size * s->stride;
    const blocks *map = &index->map;
    size_t words = blocks_words(map->count);
    for (size_t word = 0; (word = next_word(index, bits, word, words)) < words; word++) {
        uint64_t free = map->mark[word] & ~map->live[word];
        for (; free; free &= free - 1) {
            granule_t block = (granule_t)(word * WORD_BITS + bits_lowest(free));
            index->steps++;
            if (blocks_size(map, block) == size && (*at = place_in(want, block, size)) != NO_GRANULE)
                return block;
        }
    }
    return NO_GRANULE;
}

const char *small_check(const free_index *index, const small *s, granule_t size, size_t *count,
                        granule_t *at) {
    const uint64_t *bits = s->bits + size * s->stride;
    size_t words = blocks_words(index->capacity);
    for (size_t word = 0; word < words; word++) {
        uint64_t free =
            word < blocks_words(index->map.count) ? index->map.mark[word] & ~index->map.live[word] : 0;
        size_t before = *count;
        *at = (granule_t)(word * WORD_BITS);
        for (; free; free &= free - 1) *count += blocks_size(&index->map, *at + bits_lowest(free)) == size;
        if ((*count > before) != (bits[word / WORD_BITS] >> (word % WORD_BITS) & 1))
            return "a bitmap of small blocks disagrees with the block map";
    }
    if (s->lowest[size] != lowest_word(s, bits))
        return *at = 0, "the lowest word of a size of small blocks is not the lowest";
    for (unsigned level = 1; level < s->levels; level++) {
        words = words_of(words);
        for (size_t word = 0; word < words; word++)
            if ((bits[s->offset[level - 1] + word] != 0) !=
                (bits[s->offset[level] + word / WORD_BITS] >> (word % WORD_BITS) & 1))
                return *at = 0, "a summary of small blocks disagrees with its bitmap";
    }
    return NULL;
}
