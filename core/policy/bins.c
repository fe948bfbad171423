/* SPDX-License-Identifier: MIT */
/* Free blocks by size, exactly: layout, the large ones, the check. See bins.h. */
#include "bins.h"

enum { GRANULES_A_BIN = 512 }; /* heads take 1/20 of the block map then, or less */

static granule_t bins_exact(granule_t capacity) {
    granule_t exact = capacity / GRANULES_A_BIN / WORD_BITS * WORD_BITS;
    if (exact < WORD_BITS) return WORD_BITS;
    return exact > MAX_BIN_WORDS * WORD_BITS ? MAX_BIN_WORDS * WORD_BITS : exact;
}

/* Where they end in the state. By time, where there are no bitmaps, a bin has two ends. */
static size_t heads_end(granule_t capacity, bool bitmaps) {
    size_t heads = (size_t)bins_exact(capacity) * (bitmaps ? 1 : 2);
    return (sizeof(bins) + heads * sizeof(granule_t) + 7) / 8 * 8;
}

size_t bins_bytes(granule_t capacity, bool bitmaps) {
    return heads_end(capacity, bitmaps) + (bitmaps ? small_bytes(capacity) : 0);
}

void bins_open(const free_index *index, bins *b, bool largest_first, bool bitmaps) {
    b->exact = bins_exact(index->capacity);
    b->largest_first = largest_first;
    b->above = trie_order_of(index->capacity, true, largest_first, index->order, false);
    b->above.least = b->exact;
    b->large.root = b->held = NO_GRANULE;
    b->smallest = bitmaps ? small_sizes(index->capacity) : 0;
    if (bitmaps)
        small_open(&b->bitmaps, index->capacity, (unsigned char *)b + heads_end(index->capacity, true));
    for (granule_t size = 0; size < b->exact; size++) *bins_head(b, index->order, size) = NO_GRANULE;
}

/* ---- The large ones ---- */

/* Stamps have run through all of their values: the large blocks get new ones, all in the trie. */
static void restamp(free_index *index, bins *b) {
    if (b->held != NO_GRANULE) trie_insert(index, &b->above, &b->large, b->held, b->held_stamp);
    b->held = NO_GRANULE;
    b->stamp = trie_restamp(index, &b->above, &b->large);
}

void bins_file_large(free_index *index, bins *b, granule_t at, granule_t size) {
    if (b->stamp == UINT32_MAX) restamp(index, b);
    granule_t filed = at;
    uint32_t stamp = b->stamp;
    if (b->held == NO_GRANULE || size > blocks_size(&index->map, b->held)) {
        filed = b->held;
        stamp = b->held_stamp;
        b->held = at;
        b->held_stamp = b->stamp;
    }
    if (filed != NO_GRANULE) trie_insert(index, &b->above, &b->large, filed, stamp);
    b->stamp += index->order != HPW_ORDER_ADDRESS;
}

void bins_unfile_large(free_index *index, bins *b, granule_t at) {
    trie_remove(index, &b->above, &b->large, at);
}

/* ---- Validation: see may_add ---- */

/* A block of a bin's size. */
static bool has_size(const free_index *index, granule_t at, uint32_t size) {
    return blocks_size(&index->map, at) == size;
}

/* As bins_file_large does it. */
static bool may_file(free_index *index, const bins *b, granule_t at, granule_t size) {
    if (b->stamp == UINT32_MAX) return trie_may_restamp(index, &b->above, &b->large);
    if (b->held == NO_GRANULE) return true;
    bool at_goes = size <= blocks_size(&index->map, b->held);
    return trie_may_insert(index, &b->above, &b->large, at_goes ? at : b->held,
                           at_goes ? b->stamp : b->held_stamp);
}

bool bins_may_add(free_index *index, const bins *b, granule_t at, granule_t size) {
    if (size >= b->exact) return may_file(index, b, at, size);
    if (index->order != HPW_ORDER_ADDRESS || bins_has_bitmap(b, size))
        return true; /* writes to the list's end */
    return heap_may_insert(index, b->heads[size], at, size);
}

bool bins_may_remove(free_index *index, const bins *b, granule_t at, granule_t size) {
    if (size >= b->exact) return b->held == at || trie_may_remove(index, &b->above, &b->large, at);
    if (index->order == HPW_ORDER_ADDRESS)
        return bins_has_bitmap(b, size) || heap_may_remove(index, b->heads[size], at, size);
    const granule_t *ends = &b->heads[(size_t)size * 2];
    return queue_may_unlink(index, ends[0], index->order == HPW_ORDER_FIFO ? &ends[1] : NULL, at, has_size,
                            size);
}

placement bins_choose_timed(free_index *index, const bins *b, granule_t size, const request *want) {
    granule_t first = b->heads[(size_t)size * 2], at;
    for (granule_t block = first; block != NO_GRANULE;
         block = queue_next(index, first, block, has_size, size)) {
        index->steps++;
        if ((at = place_in(want, block, size)) != NO_GRANULE) return (placement){block, size, at};
    }
    return placement_none();
}

/* ---- The large ones: search ---- */

static uint64_t key_of_held(const free_index *index, const bins *b) {
    uint32_t tie = b->held;
    if (index->order == HPW_ORDER_FIFO) tie = b->held_stamp;
    if (index->order == HPW_ORDER_LIFO) tie = ~b->held_stamp;
    return trie_size_key(index, &b->above, blocks_size(&index->map, b->held)) | tie;
}

/* The large block with the least key >= *key, which it becomes; NO_GRANULE: there is none. */
static granule_t seek(free_index *index, const bins *b, uint64_t *key) {
    granule_t filed = NO_GRANULE;
    uint64_t least = *key;
    if (b->large.root != NO_GRANULE) filed = trie_seek(index, &b->above, &b->large, least, 0);
    if (filed != NO_GRANULE) *key = trie_key(index, &b->above, filed);
    if (b->held == NO_GRANULE) return filed;
    uint64_t held = key_of_held(index, b);
    if (held < least || (filed != NO_GRANULE && *key < held)) return filed;
    *key = held;
    return b->held;
}

placement bins_choose_large(free_index *index, const bins *b, const request *want) {
    uint64_t key = b->largest_first ? 0 : trie_size_key(index, &b->above, want->size);
    for (;; key++) {
        granule_t block = seek(index, b, &key);
        if (block == NO_GRANULE) return placement_none();
        index->steps++;
        granule_t size = blocks_size(&index->map, block);
        if (size < want->size) return placement_none(); /* descending: the rest is smaller still */
        placement found = placement_in(want, block, size);
        if (found.block != NO_GRANULE) return found;
    }
}

/* ---- Check ---- */

/* The held one is a block like those in the trie; none of them is small. */
static const char *check_large(free_index *index, const bins *b, size_t *count, granule_t *at) {
    if (b->held != NO_GRANULE) {
        *at = b->held;
        if (b->held >= index->map.count || !blocks_is_free(&index->map, b->held))
            return "the large block held apart is not a free block";
        if (blocks_size(&index->map, b->held) < b->exact) return "the large block held apart is small";
        ++*count;
    }
    if (b->large.root == NO_GRANULE) return NULL;
    granule_t least = b->largest_first ? trie_last(index, &b->above, &b->large) : b->large.root;
    *at = least;
    return blocks_size(&index->map, least) >= b->exact ? NULL
                                                       : "a small free block lies among the large ones";
}

/* A bin that is a heap or a list. */
static const char *check_bin(free_index *index, const bins *b, granule_t size, size_t *count, granule_t *at) {
    if (index->order == HPW_ORDER_ADDRESS)
        return heap_check(index, b->heads[size], size, has_size, size, count, at);
    granule_t first = b->heads[(size_t)size * 2], last = first;
    const char *wrong = queue_check(index, first, has_size, size, count, &last, at);
    if (wrong || index->order == HPW_ORDER_LIFO || first == NO_GRANULE) return wrong;
    *at = last;
    return last == b->heads[(size_t)size * 2 + 1] ? NULL : "a queue's last block is not its last";
}

const char *bins_check(free_index *index, const bins *b, size_t *count, granule_t *at) {
    for (granule_t size = 0; size < b->exact; size++) {
        bool told = b->bitmap[size / WORD_BITS] >> (size % WORD_BITS) & 1;
        size_t before = *count;
        *at = 0;
        const char *wrong = size >= b->smallest ? check_bin(index, b, size, count, at)
                            : size              ? small_check(index, &b->bitmaps, size, count, at)
                                                : NULL;
        if (wrong) return wrong;
        if (told != (*count != before)) return "the bitmap of the bins disagrees with a bin";
    }
    for (unsigned word = 0; word < b->exact / WORD_BITS; word++)
        if ((b->summary >> word & 1) != (b->bitmap[word] != 0))
            return *at = 0, "the summary of the bins disagrees with their bitmap";
    const char *wrong = trie_check(index, &b->above, &b->large, count, at);
    return wrong ? wrong : check_large(index, b, count, at);
}
