/* SPDX-License-Identifier: MIT */
/*
 * First fit and best fit as packings: the pieces in the order of time, or the
 * other way round, each into a gap between those that live then.
 *
 *   1. The gaps lie in a treap by address whose nodes know the largest gap below
 *      them, so that the lowest gap that fits is found on one path; for best
 *      fit in a second one, by size and address. (Aragon and Seidel, 1989; the
 *      priorities are a hash of a counter, so that runs are alike.) Both hold
 *      gaps, not granules: the memory does not grow with the sizes.
 *   2. Above the highest piece there is one gap up to MOST_HEIGHT.
 *
 * Backwards, what dies last is placed first: a program that frees most of what it
 * has at once is often packed tighter so. O(n log k), k gaps.
 */
#include <stdlib.h>

#include "packing_pieces.h"

enum { NIL = 0, BY_ADDRESS = 0, BY_GAP_SIZE = 1 };

typedef struct gap {
    uint64_t at, size;
    uint64_t largest; /* of the gaps below this node of the treap by address */
    uint32_t child[2][2];
    uint32_t priority;
} gap;

typedef struct gaps {
    gap *all;
    uint32_t root[2];
    uint32_t unused; /* a list through child[0][0] */
    uint32_t made, room;
    unsigned trees; /* 1: by address alone */
} gaps;

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static void renew(gaps *g, unsigned tree, uint32_t node) {
    if (tree != BY_ADDRESS) return;
    gap *n = &g->all[node];
    n->largest = larger(n->size, larger(g->all[n->child[0][0]].largest, g->all[n->child[0][1]].largest));
}

static bool less(const gaps *g, unsigned tree, uint32_t a, uint32_t b) {
    const gap *left = &g->all[a], *right = &g->all[b];
    if (tree == BY_GAP_SIZE && left->size != right->size) return left->size < right->size;
    return left->at < right->at;
}

/* All of `root` that is less than `node` into *low, the rest into *high. */
static void split(gaps *g, unsigned tree, uint32_t root, uint32_t node, uint32_t *low, uint32_t *high) {
    if (root == NIL) {
        *low = *high = NIL;
        return;
    }
    uint32_t *child = g->all[root].child[tree];
    if (less(g, tree, root, node)) {
        split(g, tree, child[1], node, &child[1], high);
        *low = root;
    } else {
        split(g, tree, child[0], node, low, &child[0]);
        *high = root;
    }
    renew(g, tree, root);
}

static uint32_t merge(gaps *g, unsigned tree, uint32_t low, uint32_t high) {
    if (low == NIL || high == NIL) return low == NIL ? high : low;
    uint32_t root = g->all[low].priority > g->all[high].priority ? low : high;
    uint32_t *child = g->all[root].child[tree];
    if (root == low)
        child[1] = merge(g, tree, child[1], high);
    else
        child[0] = merge(g, tree, low, child[0]);
    renew(g, tree, root);
    return root;
}

static uint32_t insert(gaps *g, unsigned tree, uint32_t root, uint32_t node) {
    gap *n = &g->all[node];
    if (root == NIL || n->priority > g->all[root].priority) {
        split(g, tree, root, node, &n->child[tree][0], &n->child[tree][1]);
        root = node;
    } else {
        uint32_t *child = &g->all[root].child[tree][less(g, tree, root, node)];
        *child = insert(g, tree, *child, node);
    }
    renew(g, tree, root);
    return root;
}

static uint32_t erase(gaps *g, unsigned tree, uint32_t root, uint32_t node) {
    uint32_t *child = g->all[root].child[tree];
    if (root == node) return merge(g, tree, child[0], child[1]);
    uint32_t *side = &child[less(g, tree, root, node)];
    *side = erase(g, tree, *side, node);
    renew(g, tree, root);
    return root;
}

/* ---- Gaps ---- */

static uint32_t hash(uint32_t n) {
    uint64_t x = n * 0x9E3779B97F4A7C15U;
    return (uint32_t)((x ^ x >> 29) * 0xBF58476D1CE4E5B9U >> 32);
}

/* There is room: there are at most one more gaps than pieces that live, and one that is being made. */
static void add_gap(gaps *g, uint64_t at, uint64_t size) {
    uint32_t node = g->unused;
    if (node == NIL)
        node = ++g->made;
    else
        g->unused = g->all[node].child[0][0];
    g->all[node] = (gap){.at = at, .size = size, .largest = size, .priority = hash(node)};
    for (unsigned tree = 0; tree < g->trees; tree++) g->root[tree] = insert(g, tree, g->root[tree], node);
}

static gap take_gap(gaps *g, uint32_t node) {
    gap taken = g->all[node];
    for (unsigned tree = 0; tree < g->trees; tree++) g->root[tree] = erase(g, tree, g->root[tree], node);
    g->all[node].child[0][0] = g->unused;
    g->unused = node;
    return taken;
}

/* The gap at the greatest address below `at`; NIL: none. */
static uint32_t gap_below(const gaps *g, uint64_t at) {
    uint32_t found = NIL;
    for (uint32_t node = g->root[BY_ADDRESS]; node != NIL;) {
        bool right = g->all[node].at < at;
        if (right) found = node;
        node = g->all[node].child[BY_ADDRESS][right];
    }
    return found;
}

static uint32_t gap_at(const gaps *g, uint64_t at) {
    uint32_t node = g->root[BY_ADDRESS];
    while (node != NIL && g->all[node].at != at) node = g->all[node].child[BY_ADDRESS][g->all[node].at < at];
    return node;
}

static bool holds(const gap *own, const rectangle *want) {
    uint64_t pad = align_up(own->at, want->align) - own->at;
    return pad < own->size && own->size - pad >= want->size;
}

/* The lowest gap that holds the piece. Gaps that are large enough but for the alignment are passed by. */
static uint32_t find_first(const gaps *g, uint32_t node, const rectangle *want) {
    if (node == NIL || g->all[node].largest < want->size) return NIL;
    const uint32_t *child = g->all[node].child[BY_ADDRESS];
    uint32_t found = find_first(g, child[0], want);
    if (found != NIL) return found;
    return holds(&g->all[node], want) ? node : find_first(g, child[1], want);
}

/* The smallest gap that holds the piece, the lowest among equals. */
static uint32_t find_best(const gaps *g, uint32_t node, const rectangle *want) {
    if (node == NIL) return NIL;
    const uint32_t *child = g->all[node].child[BY_GAP_SIZE];
    if (g->all[node].size < want->size) return find_best(g, child[1], want);
    uint32_t found = find_best(g, child[0], want);
    if (found != NIL) return found;
    return holds(&g->all[node], want) ? node : find_best(g, child[1], want);
}

static bool place(gaps *g, bool best, const rectangle *want, uint64_t *at) {
    uint32_t found =
        best ? find_best(g, g->root[BY_GAP_SIZE], want) : find_first(g, g->root[BY_ADDRESS], want);
    if (found == NIL) return false;
    gap from = take_gap(g, found);
    *at = align_up(from.at, want->align);
    if (*at > from.at) add_gap(g, from.at, *at - from.at);
    uint64_t rest = from.at + from.size - (*at + want->size);
    if (rest) add_gap(g, *at + want->size, rest);
    return true;
}

static void release(gaps *g, uint64_t at, uint64_t size) {
    uint32_t below = gap_below(g, at), above = gap_at(g, at + size);
    if (above != NIL) size += take_gap(g, above).size;
    if (below != NIL && g->all[below].at + g->all[below].size == at) {
        gap joined = take_gap(g, below);
        at = joined.at;
        size += joined.size;
    }
    add_gap(g, at, size);
}

/* ---- The sweep ---- */

/* The pieces by the section in which they begin, or end: order[first[s]] ... are those of section s. */
typedef struct by_section {
    uint32_t *order, *first;
} by_section;

static bool sort(const pieces *p, bool by_end, by_section *out) {
    out->order = malloc((p->count + 1) * sizeof *out->order);
    out->first = calloc((size_t)p->sections + 3, sizeof *out->first);
    if (!out->order || !out->first) return false;
    uint32_t *after = out->first + 2;
    for (size_t i = 0; i < p->count; i++) after[by_end ? p->all[i].end : p->all[i].begin]++;
    for (uint32_t s = 0; s < p->sections; s++) after[s + 1] += after[s];
    uint32_t *next = out->first + 1;
    for (size_t i = 0; i < p->count; i++)
        out->order[next[by_end ? p->all[i].end : p->all[i].begin]++] = (uint32_t)i;
    return true;
}

/* As many as ever live at once. */
static uint32_t most_live(const pieces *p, const by_section *begins, const by_section *ends) {
    uint32_t most = 0;
    for (uint32_t s = 0; s < p->sections; s++) {
        uint32_t live = begins->first[s + 1] - ends->first[s + 1];
        if (live > most) most = live;
    }
    return most;
}

static bool place_all(const pieces *p, const by_section *set, uint32_t section, sweep_way way, gaps *g,
                      layout *out) {
    uint32_t from = set->first[section], to = set->first[section + 1];
    for (uint32_t k = 0; k < to - from; k++) {
        uint32_t i = set->order[way.backwards ? to - 1 - k : from + k];
        if (!place(g, way.best, &p->all[i], &out->at[i])) return false;
        out->height = larger(out->height, out->at[i] + p->all[i].size);
    }
    return true;
}

static void release_all(const pieces *p, const by_section *set, uint32_t section, gaps *g,
                        const layout *out) {
    for (uint32_t k = set->first[section]; k < set->first[section + 1]; k++)
        release(g, out->at[set->order[k]], p->all[set->order[k]].size);
}

static hpw_error sweep(const pieces *p, sweep_way way, const by_section *begins, const by_section *ends,
                       gaps *g, const atomic_bool *stop, layout *out) {
    const uint32_t last = p->sections;
    out->height = 0;
    add_gap(g, 0, MOST_HEIGHT);
    for (uint32_t k = 0; k < last; k++) {
        if (k % 1024 == 0 && stop && *stop) return HPW_LIMIT;
        uint32_t section = way.backwards ? last - 1 - k : k;
        release_all(p, way.backwards ? begins : ends, way.backwards ? section + 1 : section, g, out);
        if (place_all(p, way.backwards ? ends : begins, way.backwards ? section + 1 : section, way, g, out))
            continue;
        out->height = NO_HEIGHT;
        break;
    }
    return HPW_OK;
}

hpw_error hpw_pack_sweep(const pieces *p, sweep_way way, const atomic_bool *stop, layout *out) {
    by_section begins = {0}, ends = {0};
    gaps g = {.trees = way.best ? 2 : 1};
    hpw_error error = HPW_NO_MEMORY;
    if (sort(p, false, &begins) && sort(p, true, &ends)) {
        g.room = most_live(p, &begins, &ends) + 4;
        g.all = calloc(g.room, sizeof *g.all);
        if (g.all) error = sweep(p, way, &begins, &ends, &g, stop, out);
    }
    free(g.all);
    free(begins.order);
    free(begins.first);
    free(ends.order);
    free(ends.first);
    return error;
}
