/* SPDX-License-Identifier: MIT */
/* Free blocks by size, exactly: layout, the large ones, the check. See bins.h. */
#include "bins.h"

static granule_t bins_exact(granule_t capacity) {
    granule_t exact = capacity / WORD_BITS / WORD_BITS * WORD_BITS;
    if (exact < WORD_BITS) return WORD_BITS;
    return exact > MAX_BIN_WORDS * WORD_BITS ? MAX_BIN_WORDS * WORD_BITS : exact;
}

static size_t heads_end(granule_t capacity) {
    return (sizeof(bins) + bins_exact(capacity) * sizeof(granule_t) + 7) / 8 * 8;
}

size_t bins_bytes(granule_t capacity, bool bitmaps) {
    return heads_end(capacity) + (bitmaps ? small_bytes(capacity) : 0);
}

void bins_open(const free_index *index, bins *b, bool largest_first, bool bitmaps) {
    b->exact = bins_exact(index->capacity);
    b->largest_first = largest_first;
    b->above = trie_order_of(index->capacity, true, largest_first, index->order, false);
    b->large.root = NO_GRANULE;
    b->smallest = bitmaps ? SMALL : 0;
    if (bitmaps) small_open(&b->bitmaps, index->capacity, (unsigned char *)b + heads_end(index->capacity));
    for (granule_t size = 0; size < b->exact; size++) b->heads[size] = NO_GRANULE;
}

/* ---- The large ones ---- */

void bins_add_large(free_index *index, bins *b, granule_t at) {
    if (b->stamp == UINT32_MAX) b->stamp = trie_restamp(index, &b->above, &b->large);
    trie_insert(index, &b->above, &b->large, at, b->stamp);
    if (index->order != HPW_ORDER_ADDRESS) b->stamp++;
}

void bins_remove_large(free_index *index, bins *b, granule_t at) {
    trie_remove(index, &b->above, &b->large, at);
}

placement bins_choose_large(free_index *index, const bins *b, const request *want) {
    uint64_t key = b->largest_first ? 0 : trie_size_key(index, &b->above, want->size);
    for (;;) {
        granule_t block = trie_seek(index, &b->above, &b->large, key, 0);
        if (block == NO_GRANULE) return placement_none();
        index->steps++;
        granule_t size = blocks_size(&index->map, block);
        if (size < want->size) return placement_none(); /* descending: the rest is smaller still */
        placement found = placement_in(want, block, size);
        if (found.block != NO_GRANULE) return found;
        key = trie_key(index, &b->above, block) + 1;
    }
}

/* ---- Check ---- */

static bool has_size(const free_index *index, granule_t at, uint32_t size) {
    return blocks_size(&index->map, at) == size;
}

const char *bins_check(free_index *index, const bins *b, size_t *count, granule_t *at) {
    for (granule_t size = 0; size < b->exact; size++) {
        granule_t head = b->heads[size];
        bool told = b->bitmap[size / WORD_BITS] >> (size % WORD_BITS) & 1;
        if (size < b->smallest) {
            size_t before = *count;
            const char *wrong = size ? small_check(index, &b->bitmaps, size, count, at) : NULL;
            if (wrong) return wrong;
            if (told != (*count != before)) return "the bitmap of the bins disagrees with a bin";
            continue;
        }
        *at = head == NO_GRANULE ? 0 : head;
        if (told != (head != NO_GRANULE)) return "the bitmap of the bins disagrees with a bin";
        const char *wrong = index->order == HPW_ORDER_ADDRESS
                                ? heap_check(index, head, size, has_size, size, count, at)
                                : list_check(index, head, has_size, size, count, at);
        if (wrong) return wrong;
    }
    for (unsigned word = 0; word < b->exact / WORD_BITS; word++)
        if ((b->summary >> word & 1) != (b->bitmap[word] != 0))
            return *at = 0, "the summary of the bins disagrees with their bitmap";
    const char *wrong = trie_check(index, &b->above, &b->large, count, at);
    if (wrong || b->large.root == NO_GRANULE) return wrong;
    granule_t least = b->largest_first ? trie_last(index, &b->large) : b->large.root;
    *at = least;
    return blocks_size(&index->map, least) >= b->exact ? NULL
                                                       : "a small free block lies among the large ones";
}
