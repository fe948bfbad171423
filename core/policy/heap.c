/* SPDX-License-Identifier: MIT */
/* The check of the heap of free blocks by address: see heap.h. */
#include "heap.h"

typedef struct walk {
    const free_index *index;
    bool (*belongs)(const free_index *, granule_t at, uint32_t bin);
    uint32_t bin;
    size_t count;
    granule_t *at;
    const char *wrong;
} walk;

/* The subtree at `at`, whose members' hashes begin with `depth` bits of `prefix`, all above `least`. */
static void visit(walk *w, granule_t at, unsigned depth, uint32_t prefix, granule_t least) {
    if (at == NO_GRANULE || w->wrong) return;
    *w->at = at;
    if (at >= w->index->map.count || !blocks_is_free(&w->index->map, at))
        w->wrong = "a heap holds what is not a free block";
    else if (++w->count > w->index->map.count || depth > 32)
        w->wrong = "a heap has a cycle";
    else if (least != NO_GRANULE && at <= least)
        w->wrong = "a block in a heap comes after one that it should precede";
    else if (depth && heap_hash(at) >> (32 - depth) != prefix)
        w->wrong = "a block in a heap lies in the wrong subtree";
    else if (!w->belongs(w->index, at, w->bin))
        w->wrong = "a free block lies in the wrong heap";
    if (w->wrong) return;
    visit(w, link_get(w->index, at, HEAP_LEFT), depth + 1, prefix << 1, at);
    visit(w, link_get(w->index, at, HEAP_RIGHT), depth + 1, prefix << 1 | 1, at);
}

const char *heap_check(const free_index *index, granule_t root,
                       bool (*belongs)(const free_index *, granule_t at, uint32_t bin), uint32_t bin,
                       size_t *count, granule_t *at) {
    walk w = {.index = index, .belongs = belongs, .bin = bin, .count = *count, .at = at};
    visit(&w, root, 0, 0, NO_GRANULE);
    *count = w.count;
    return w.wrong;
}
