/* SPDX-License-Identifier: MIT */
/* The block map's layout, its summary levels, its searches and its check: see blocks.h. */
#include "blocks.h"

#include <string.h>

/* Words of summary level `level` over a map of `words`. */
static size_t level_words(size_t words, unsigned level) {
    for (unsigned i = 0; i <= level; i++) words = (words + WORD_BITS - 1) / WORD_BITS;
    return words;
}

size_t blocks_bytes(granule_t granules, bool remembers_frees) {
    size_t words = blocks_words(granules);
    size_t bytes = words * (remembers_frees ? 3 : 2) * sizeof(uint64_t);
    for (unsigned level = 0; level < SUMMARY_LEVELS; level++)
        bytes += level_words(words, level) * sizeof(uint64_t);
    return bytes + (words * sizeof(uint32_t) + 7) / 8 * 8;
}

void blocks_init(blocks *map, void *memory, granule_t granules, bool remembers_frees) {
    size_t words = blocks_words(granules);
    uint64_t *next = memory;
    map->live = next;
    map->mark = next += words;
    next += words;
    map->freed = remembers_frees ? next : NULL;
    if (remembers_frees) next += words;
    for (unsigned level = 0; level < SUMMARY_LEVELS; level++) {
        map->summary[level] = next;
        next += level_words(words, level);
    }
    map->span = (uint32_t *)next;
    map->words = words;
    map->count = 0;
}

void blocks_clear(blocks *map) {
    memset(map->live, 0, map->words * sizeof *map->live);
    memset(map->mark, 0, map->words * sizeof *map->mark);
    for (unsigned level = 0; level < SUMMARY_LEVELS; level++)
        memset(map->summary[level], 0, level_words(map->words, level) * sizeof(uint64_t));
    map->count = 0;
}

void blocks_summary_set(blocks *map, size_t word) {
    for (unsigned level = 0; level < SUMMARY_LEVELS; level++) {
        uint64_t *summary = &map->summary[level][word / WORD_BITS];
        bool was_empty = !*summary;
        *summary |= (uint64_t)1 << (word % WORD_BITS);
        if (!was_empty) return;
        word /= WORD_BITS;
    }
}

void blocks_summary_clear(blocks *map, size_t word) {
    for (unsigned level = 0; level < SUMMARY_LEVELS; level++) {
        uint64_t *summary = &map->summary[level][word / WORD_BITS];
        *summary &= ~((uint64_t)1 << (word % WORD_BITS));
        if (*summary) return;
        word /= WORD_BITS;
    }
}

/* The last word before `word` in which a block starts; one must. */
static size_t start_word_before(const blocks *map, size_t word) {
    for (unsigned level = 0;; level++) {
        const uint64_t *summary = map->summary[level];
        uint64_t before = summary[word / WORD_BITS] & bits_below(word % WORD_BITS);
        if (before) {
            word = word / WORD_BITS * WORD_BITS + bits_highest(before);
            while (level-- > 0) word = word * WORD_BITS + bits_highest(map->summary[level][word]);
            return word;
        }
        word /= WORD_BITS;
    }
}

granule_t blocks_owner(const blocks *map, granule_t at) {
    size_t word = at / WORD_BITS;
    uint64_t upto = blocks_starts(map, word) << (WORD_BITS - 1 - at % WORD_BITS);
    if (upto) return at - (WORD_BITS - 1 - bits_highest(upto));
    word = start_word_before(map, word);
    return (granule_t)(word * WORD_BITS + bits_highest(blocks_starts(map, word)));
}

granule_t blocks_next_start(const blocks *map, granule_t at) {
    if (at >= map->count) return map->count;
    if (blocks_is_start(map, at)) return at;
    granule_t owner = blocks_owner(map, at);
    return owner + blocks_size(map, owner);
}

granule_t blocks_largest_free(const blocks *map) {
    granule_t most = 0;
    for (granule_t at = 0, size; at < map->count; at += size) {
        size = blocks_size(map, at);
        if (size > most && !blocks_is_live(map, at)) most = size;
    }
    return most;
}

granule_t blocks_set_slots(blocks *map, granule_t at, granule_t size, granule_t slot) {
    granule_t end = at + size, next = at;
    for (size_t word = at / WORD_BITS; word < end / WORD_BITS; word++) {
        uint64_t starts = 0;
        for (; next / WORD_BITS == word; next += slot) starts |= (uint64_t)1 << (next % WORD_BITS);
        granule_t last = next - slot;
        blocks_begin(map, word);
        map->live[word] = 0;
        map->mark[word] = starts;
        blocks_span(map, last, next <= end ? slot : end - last);
    }
    return (size + slot - 1) / slot;
}

granule_t blocks_clear_range(blocks *map, granule_t at, granule_t size) {
    granule_t count = 0;
    for (size_t word = at / WORD_BITS; word < ((size_t)at + size) / WORD_BITS; word++) {
        for (uint64_t starts = blocks_starts(map, word); starts; starts &= starts - 1) count++;
        map->live[word] = map->mark[word] = 0;
        blocks_summary_clear(map, word);
    }
    return count;
}

void blocks_set_end(blocks *map, granule_t count) {
    if (map->count) blocks_erase(map, map->count);
    map->count = count;
    size_t word = count / WORD_BITS;
    if (!blocks_starts(map, word)) blocks_summary_set(map, word);
    map->live[word] |= (uint64_t)1 << (count % WORD_BITS);
}

/* ---- Check ---- */

static bool check_summaries(const blocks *map, size_t words, granule_t *at, const char **what) {
    for (unsigned level = 0; level < SUMMARY_LEVELS; level++) {
        for (size_t word = 0; word < words; word++) {
            uint64_t below = level ? map->summary[level - 1][word] : blocks_starts(map, word);
            bool told = map->summary[level][word / WORD_BITS] >> (word % WORD_BITS) & 1;
            if (told == (below != 0)) continue;
            uint64_t granule = word;
            for (unsigned i = 0; i <= level; i++) granule *= WORD_BITS;
            *at = (granule_t)granule;
            *what = "a summary level disagrees with the block map";
            return false;
        }
        words = (words + WORD_BITS - 1) / WORD_BITS;
    }
    return true;
}

/* The bits alone, no span: where the first start after `at` lies. */
static granule_t start_after(const blocks *map, granule_t at) {
    size_t word = at / WORD_BITS, words = blocks_words(map->count);
    uint64_t starts = blocks_starts(map, word) >> (at % WORD_BITS) >> 1;
    if (starts) return at + bits_lowest(starts) + 1;
    while (++word < words) {
        starts = blocks_starts(map, word);
        if (starts) return (granule_t)(word * WORD_BITS + bits_lowest(starts));
    }
    return NO_GRANULE;
}

bool blocks_check(const blocks *map, granule_t capacity, granule_t *at, const char **what) {
    *at = 0;
    if (!blocks_is_start(map, 0)) return *what = "no block starts at address 0", false;
    for (granule_t start = 0; start < map->count;) {
        *at = start;
        granule_t next = start_after(map, start);
        if (next == NO_GRANULE || next > map->count)
            return *what = "a block runs past the end of the pool", false;
        if (blocks_size(map, start) != next - start)
            return *what = "a block's noted size is not the distance to the next block", false;
        if (blocks_previous(map, next) != start)
            return *what = "a block's successor does not find it as its predecessor", false;
        start = next;
    }
    *at = map->count;
    if (!blocks_is_live(map, map->count)) return *what = "the end of the pool is not marked", false;
    size_t words = blocks_words(capacity);
    uint64_t past = blocks_starts(map, map->count / WORD_BITS) >> (map->count % WORD_BITS) >> 1;
    for (size_t word = map->count / WORD_BITS + 1; word < words && !past; word++)
        past = blocks_starts(map, word);
    if (past) return *what = "a block starts past the end of the pool", false;
    return check_summaries(map, words, at, what);
}
