/* SPDX-License-Identifier: MIT */
/* Free blocks by size, exactly: see bins.h for how it works and its bounds. */
#include "bins.h"

#include "list.h"

static granule_t bins_exact(granule_t capacity) {
    granule_t exact = capacity / WORD_BITS / WORD_BITS * WORD_BITS;
    if (exact < WORD_BITS) return WORD_BITS;
    return exact > MAX_BIN_WORDS * WORD_BITS ? MAX_BIN_WORDS * WORD_BITS : exact;
}

size_t bins_bytes(granule_t capacity) {
    return (sizeof(bins) + bins_exact(capacity) * sizeof(granule_t) + 7) / 8 * 8;
}

void bins_open(const free_index *index, bins *b, bool largest_first) {
    b->exact = bins_exact(index->capacity);
    b->largest_first = largest_first;
    b->in_bin = trie_order_of(index->capacity, false, false, HPW_ORDER_ADDRESS, false);
    b->above = trie_order_of(index->capacity, true, largest_first, index->order, false);
    b->large.root = NO_GRANULE;
    for (granule_t size = 0; size < b->exact; size++) b->heads[size] = NO_GRANULE;
}

/* ---- One bin ---- */

static void bin_add(free_index *index, bins *b, granule_t size, granule_t at) {
    granule_t *head = &b->heads[size];
    if (index->order == HPW_ORDER_FIFO) {
        list_append(index, head, at);
    } else if (index->order == HPW_ORDER_LIFO) {
        list_prepend(index, head, at);
    } else {
        trie set = {*head};
        trie_insert(index, &b->in_bin, &set, at, 0);
        *head = set.root;
    }
}

static void bin_remove(free_index *index, bins *b, granule_t size, granule_t at) {
    granule_t *head = &b->heads[size];
    if (index->order != HPW_ORDER_ADDRESS) {
        list_unlink(index, head, at);
        return;
    }
    trie set = {*head};
    trie_remove(index, &b->in_bin, &set, at);
    *head = set.root;
}

static granule_t bin_after(free_index *index, const bins *b, granule_t size, granule_t at) {
    if (index->order != HPW_ORDER_ADDRESS) return list_after(index, b->heads[size], at);
    return trie_seek(index, &b->in_bin, &(trie){b->heads[size]}, (uint64_t)at + 1, 0);
}

/* ---- All of them ---- */

void bins_add(free_index *index, bins *b, granule_t at, granule_t size) {
    index->steps++;
    if (size < b->exact) {
        bin_add(index, b, size, at);
        b->bitmap[size / WORD_BITS] |= (uint64_t)1 << (size % WORD_BITS);
        b->summary |= (uint64_t)1 << (size / WORD_BITS);
        return;
    }
    if (b->stamp == UINT32_MAX) b->stamp = trie_restamp(index, &b->above, &b->large);
    trie_insert(index, &b->above, &b->large, at, b->stamp);
    if (index->order != HPW_ORDER_ADDRESS) b->stamp++;
}

void bins_remove(free_index *index, bins *b, granule_t at, granule_t size) {
    index->steps++;
    if (size >= b->exact) {
        trie_remove(index, &b->above, &b->large, at);
        return;
    }
    bin_remove(index, b, size, at);
    if (b->heads[size] != NO_GRANULE) return;
    uint64_t *word = &b->bitmap[size / WORD_BITS];
    *word &= ~((uint64_t)1 << (size % WORD_BITS));
    if (!*word) b->summary &= ~((uint64_t)1 << (size / WORD_BITS));
}

/* The smallest size >= `size` that has blocks in a bin; `exact` where none has. */
static granule_t size_up(free_index *index, const bins *b, granule_t size) {
    if (size >= b->exact) return b->exact;
    index->steps++;
    unsigned word = size / WORD_BITS;
    uint64_t found = b->bitmap[word] >> (size % WORD_BITS);
    if (found) return size + bits_lowest(found);
    uint64_t above = b->summary >> word >> 1;
    if (!above) return b->exact;
    index->steps++;
    word += bits_lowest(above) + 1;
    return word * WORD_BITS + bits_lowest(b->bitmap[word]);
}

/* The largest size < `size` that has blocks in a bin; 0 where none has. */
static granule_t size_down(free_index *index, const bins *b, granule_t size) {
    if (size == 0) return 0;
    index->steps++;
    unsigned word = --size / WORD_BITS;
    uint64_t found = b->bitmap[word] << (WORD_BITS - 1 - size % WORD_BITS);
    if (found) return size - (WORD_BITS - 1 - bits_highest(found));
    uint64_t below = b->summary & bits_below(word);
    if (!below) return 0;
    index->steps++;
    word = bits_highest(below);
    return word * WORD_BITS + bits_highest(b->bitmap[word]);
}

/* The first block in the order; then the one after `at`. NO_GRANULE: no more. */
static granule_t first_block(free_index *index, const bins *b, granule_t size) {
    granule_t found;
    if (b->largest_first) {
        if (b->large.root != NO_GRANULE) return b->large.root;
        found = size_down(index, b, b->exact);
        return found ? b->heads[found] : NO_GRANULE;
    }
    found = size_up(index, b, size);
    if (found < b->exact) return b->heads[found];
    return trie_seek(index, &b->above, &b->large, trie_size_key(index, &b->above, size), 0);
}

static granule_t block_after(free_index *index, const bins *b, granule_t at) {
    granule_t size = blocks_size(index->map, at), found;
    if (size >= b->exact) {
        at = trie_seek(index, &b->above, &b->large, trie_key(index, &b->above, at) + 1, 0);
        if (at != NO_GRANULE || !b->largest_first) return at;
        size = b->exact;
    } else if ((at = bin_after(index, b, size, at)) != NO_GRANULE) {
        return at;
    }
    if (b->largest_first) {
        found = size_down(index, b, size);
        return found ? b->heads[found] : NO_GRANULE;
    }
    found = size_up(index, b, size + 1);
    return found < b->exact ? b->heads[found] : b->large.root;
}

placement bins_choose(free_index *index, const bins *b, const request *want) {
    granule_t block = first_block(index, b, want->size);
    for (; block != NO_GRANULE; block = block_after(index, b, block)) {
        index->steps++;
        granule_t size = blocks_size(index->map, block);
        if (size < want->size) break; /* descending: the rest is smaller still */
        granule_t at = place_in(want, block, size);
        if (at != NO_GRANULE) return (placement){block, at};
    }
    return placement_none();
}

granule_t bins_largest(free_index *index, const bins *b) {
    if (b->large.root == NO_GRANULE) return size_down(index, b, b->exact);
    return blocks_size(index->map, b->largest_first ? b->large.root : trie_last(index, &b->large));
}

/* ---- Check ---- */

static bool has_size(const free_index *index, granule_t at, uint32_t size) {
    return blocks_size(index->map, at) == size;
}

static const char *check_bin(free_index *index, const bins *b, granule_t size, size_t *count, granule_t *at) {
    const char *wrong;
    size_t before = *count;
    if (index->order != HPW_ORDER_ADDRESS)
        return list_check(index, b->heads[size], has_size, size, count, at);
    trie set = {b->heads[size]};
    if ((wrong = trie_check(index, &b->in_bin, &set, count, at))) return wrong;
    for (granule_t here = set.root; here != NO_GRANULE; here = bin_after(index, b, size, here)) {
        *at = here;
        if (!has_size(index, here, size)) return "a free block lies in the bin of another size";
        if (++before > *count) return "a bin does not yield its blocks in order";
    }
    return before == *count ? NULL : "a bin does not yield all of its blocks in order";
}

const char *bins_check(free_index *index, const bins *b, size_t *count, granule_t *at) {
    for (granule_t size = 0; size < b->exact; size++) {
        *at = b->heads[size] == NO_GRANULE ? 0 : b->heads[size];
        bool told = b->bitmap[size / WORD_BITS] >> (size % WORD_BITS) & 1;
        bool summed = b->summary >> (size / WORD_BITS) & 1;
        if (told != (b->heads[size] != NO_GRANULE)) return "the bitmap of the bins disagrees with a bin";
        if (told && !summed) return "the summary of the bins disagrees with their bitmap";
        const char *wrong = check_bin(index, b, size, count, at);
        if (wrong) return wrong;
    }
    for (unsigned word = 0; word < b->exact / WORD_BITS; word++)
        if ((b->summary >> word & 1) != (b->bitmap[word] != 0))
            return *at = 0, "the summary of the bins disagrees with their bitmap";
    const char *wrong = trie_check(index, &b->above, &b->large, count, at);
    if (wrong || b->large.root == NO_GRANULE) return wrong;
    granule_t small = b->largest_first ? trie_last(index, &b->large) : b->large.root;
    *at = small;
    return blocks_size(index->map, small) >= b->exact ? NULL : "a small free block lies among the large ones";
}
