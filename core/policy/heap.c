/* SPDX-License-Identifier: MIT */
/* The heap of free blocks by address: see heap.h for how it works and its bounds. */
#include "heap.h"

enum { WIDEST = 8, DEEPEST = 32 };

static uint32_t hash_of(granule_t at) { return at * UINT32_C(0x9E3779B1); }

/* Bits of the hash that a level's branch takes. */
static unsigned branch_bits(const free_index *index, granule_t size) {
    uint64_t bytes = (uint64_t)size << index->shift;
    return bytes >= 32 ? 3 : bytes >= 16 ? 2 : 1;
}

/* A link's place: the root, or in a node. */
typedef unsigned char *place;

HOT granule_t get(const unsigned char *p) {
    granule_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

HOT void put(place p, granule_t at) { memcpy(p, &at, sizeof at); }

HOT place node_of(links of, granule_t at) { return of.bytes + ((size_t)at << of.shift); }

/* The branch under a node for what is left of a hash. */
HOT place branch(place node, uint32_t hash, unsigned bits) {
    return node + 4 * (size_t)(hash >> (32 - bits));
}

/* `bits` is a constant wherever these two are used. */
HOT void insert(free_index *index, granule_t *root, granule_t at, unsigned bits) {
    const links of = links_of(index);
    place here = (place)root;
    uint32_t hash = hash_of(at);
    unsigned consumed = 0;
    for (granule_t there; (there = get(here)) != NO_GRANULE; consumed += bits) {
        place node = node_of(of, there);
        if (at < there) { /* it belongs here, the other one goes on down */
            memcpy(node_of(of, at), node, sizeof at << bits);
            put(here, at);
            node = node_of(of, at);
            at = there;
            hash = hash_of(at) << consumed;
        }
        here = branch(node, hash, bits);
        hash <<= bits;
    }
    put(here, at);
    memset(node_of(of, at), 0xFF, sizeof at << bits); /* NO_GRANULE each */
    index->steps += consumed / bits;
}

HOT bool remove_one(free_index *index, granule_t *root, granule_t at, unsigned bits) {
    const links of = links_of(index);
    place here = (place)root;
    uint32_t hash = hash_of(at);
    unsigned steps = 0;
    granule_t below[WIDEST], under[WIDEST];
    for (granule_t there; (there = get(here)) != at; hash <<= bits, steps++)
        here = branch(node_of(of, there), hash, bits);
    memcpy(below, node_of(of, at), sizeof at << bits);
    for (;; steps++) { /* NO_GRANULE is above every address, so the least child is one that is there */
        unsigned least = 0;
        for (unsigned i = 1; i < 1U << bits; i++) least = below[i] < below[least] ? i : least;
        granule_t child = below[least];
        put(here, child);
        if (child == NO_GRANULE) break;
        place node = node_of(of, child);
        memcpy(under, node, sizeof at << bits);
        memcpy(node, below, sizeof at << bits);
        memcpy(below, under, sizeof at << bits);
        here = node + 4 * (size_t)least;
    }
    index->steps += steps;
    return *root == NO_GRANULE;
}

void heap_insert(free_index *index, granule_t *root, granule_t at, granule_t size) {
    unsigned bits = branch_bits(index, size);
    if (bits == 3)
        insert(index, root, at, 3);
    else if (bits == 2)
        insert(index, root, at, 2);
    else
        insert(index, root, at, 1);
}

bool heap_remove(free_index *index, granule_t *root, granule_t at, granule_t size) {
    unsigned bits = branch_bits(index, size);
    if (bits == 3) return remove_one(index, root, at, 3);
    if (bits == 2) return remove_one(index, root, at, 2);
    return remove_one(index, root, at, 1);
}

/* ---- Validation: see index_validates ---- */

/* The first `count` bits of a block's hash; and the branch for its next ones. */
static uint64_t hash_prefix(granule_t at, unsigned count) {
    return count ? (uint64_t)hash_of(at) << 32 >> (64 - count) : 0;
}

static unsigned branch_of(granule_t at, unsigned told, unsigned bits) {
    return (unsigned)(hash_prefix(at, told + bits) & ((1U << bits) - 1));
}

static bool refuse(free_index *index, granule_t at) {
    return index_break(
        index, at, "a free block was overwritten: a link in it leads to what is not below it in its heap");
}

/* What all nodes of a heap have in common. */
typedef struct shape {
    granule_t size;
    unsigned bits;
} shape;

/*
 * Is `child` what the branch with this number under `parent` may have? `told`: bits of their hashes that
 * lead to the parent. Two blocks never share all 32 of them, so what is that deep is refused.
 */
static bool follows(free_index *index, shape of, granule_t parent, unsigned told, unsigned number,
                    granule_t child) {
    bool sound = child > parent && index_has_free(index, child) &&
                 blocks_size(&index->map, child) == of.size &&
                 hash_prefix(child, told + of.bits) == (hash_prefix(parent, told) << of.bits | number);
    return sound || refuse(index, parent);
}

bool heap_may_insert(free_index *index, granule_t root, granule_t at, granule_t size) {
    shape of = {size, branch_bits(index, size)};
    granule_t moving = at;
    unsigned told = 0;
    for (granule_t there = root, child; there != NO_GRANULE; there = child, told += of.bits) {
        if (moving < there) moving = there; /* the greater one goes on down */
        unsigned number = branch_of(moving, told, of.bits);
        child = link_get(index, there, number);
        if (child == NO_GRANULE) break;
        if (child == at) return refuse(index, there); /* which is in no heap yet */
        if (!follows(index, of, there, told, number, child)) return false;
    }
    return true;
}

bool heap_may_remove(free_index *index, granule_t root, granule_t at, granule_t size) {
    shape of = {size, branch_bits(index, size)};
    granule_t there = root, child;
    unsigned told = 0;
    if (root == NO_GRANULE) return refuse(index, at); /* whatever led to it was lost */
    for (; there != at; there = child, told += of.bits) {
        unsigned number = branch_of(at, told, of.bits);
        child = link_get(index, there, number);
        if (child > at) return refuse(index, there);
        if (!follows(index, of, there, told, number, child)) return false;
    }
    for (;; there = child, told += of.bits) { /* the least child of each is promoted */
        unsigned least = 0;
        child = NO_GRANULE;
        for (unsigned i = 0; i < 1U << of.bits; i++) {
            granule_t other = link_get(index, there, i);
            if (other < child) child = other, least = i;
        }
        if (child == NO_GRANULE) return true;
        if (!follows(index, of, there, told, least, child)) return false;
    }
}

/* ---- Aligned search ---- */

/* `validates` is a constant, so that who does not is not slowed: buddy looks here for every block. */
HOT granule_t find(free_index *index, granule_t root, shape of, const request *want, granule_t *at,
                   bool validates) {
    granule_t stack[DEEPEST * (WIDEST - 1) + 1], found = NO_GRANULE;
    uint8_t told[DEEPEST * (WIDEST - 1) + 1]; /* the bits that lead there */
    unsigned depth = 0;
    if (validates) told[0] = 0;
    if (root != NO_GRANULE) stack[depth++] = root;
    while (depth) {
        granule_t block = stack[--depth];
        unsigned bits = validates ? told[depth] : 0;
        index->steps++;
        if (block > found) continue;
        granule_t inside = place_in(want, block, of.size);
        if (inside != NO_GRANULE) { /* all below it are higher */
            found = block;
            *at = inside;
            continue;
        }
        for (unsigned i = 1U << of.bits; i-- > 0;) {
            granule_t child = link_get(index, block, i);
            if (child == NO_GRANULE) continue;
            if (validates && !follows(index, of, block, bits, i, child)) return NO_GRANULE;
            if (validates) told[depth] = (uint8_t)(bits + of.bits);
            stack[depth++] = child;
        }
    }
    return found;
}

APART granule_t find_validated(free_index *index, granule_t root, granule_t size, const request *want,
                               granule_t *at) {
    return find(index, root, (shape){size, branch_bits(index, size)}, want, at, true);
}

granule_t heap_find(free_index *index, granule_t root, granule_t size, const request *want, granule_t *at) {
    if (index_validates(index)) return find_validated(index, root, size, want, at);
    return find(index, root, (shape){size, branch_bits(index, size)}, want, at, false);
}

/* ---- Check ---- */

typedef struct walk {
    const free_index *index;
    bool (*belongs)(const free_index *, granule_t at, uint32_t bin);
    uint32_t bin;
    granule_t size;
    unsigned bits;
    size_t count;
    granule_t *at;
    const char *wrong;
} walk;

/* The subtree at `at`, whose members' hashes begin with `told` bits of `prefix`, all above `least`. */
static void visit(walk *w, granule_t at, unsigned told, uint64_t prefix, granule_t least) {
    if (at == NO_GRANULE || w->wrong) return;
    *w->at = at;
    if (at >= w->index->map.count || !blocks_is_free(&w->index->map, at))
        w->wrong = "a heap holds what is not a free block";
    else if (++w->count > w->index->map.count || told > 32 + w->bits)
        w->wrong = "a heap has a cycle";
    else if (least != NO_GRANULE && at <= least)
        w->wrong = "a block in a heap comes after one that it should precede";
    else if (told && ((uint64_t)hash_of(at) << 32) >> (64 - told) != prefix)
        w->wrong = "a block in a heap lies in the wrong subtree";
    else if (blocks_size(&w->index->map, at) != w->size || !w->belongs(w->index, at, w->bin))
        w->wrong = "a free block lies in the wrong heap";
    if (w->wrong) return;
    for (unsigned i = 0; i < 1U << w->bits; i++)
        visit(w, link_get(w->index, at, i), told + w->bits, prefix << w->bits | i, at);
}

const char *heap_check(const free_index *index, granule_t root, granule_t size,
                       bool (*belongs)(const free_index *, granule_t at, uint32_t bin), uint32_t bin,
                       size_t *count, granule_t *at) {
    walk w = {.index = index, .belongs = belongs, .bin = bin, .size = size, .count = *count, .at = at};
    w.bits = branch_bits(index, size);
    visit(&w, root, 0, 0, NO_GRANULE);
    *count = w.count;
    return w.wrong;
}
