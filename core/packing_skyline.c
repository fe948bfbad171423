/* SPDX-License-Identifier: MIT */
/*
 * Packing from the ground up: over the time axis lies a skyline, the height up to
 * which each section is taken.
 *
 *   1. The lowest stretch of the skyline, the earliest among equals, takes the
 *      piece that is the greatest of those that live within it and nowhere else:
 *      the longest-lived, or the largest in bytes × time, or in bytes.
 *   2. Where no piece lives within it, it is raised to its lower neighbour.
 *
 * This is best fit on a skyline, as strip packing knows it (Burke, Kendall and
 * Whitwell, Operations Research 52, 2004), turned by 90° and with one coordinate
 * given; on lifetimes of tensors: Sekiyama, Imamichi, Imai and Raymond, 2018.
 *
 * Which piece that is, a k-d tree over (begin, end) knows (Bentley, CACM 18,
 * 1975): each node keeps the greatest piece of it that is not placed yet, and
 * the box of those. Every step places a piece or merges two stretches, so there
 * are O(n) of them; a query takes O(√n) at worst and much less where the greatest
 * piece is soon found; a heap knows the lowest stretch in O(log n).
 */
#include <stdlib.h>

#include "packing_pieces.h"

/* ---- What is not placed yet ---- */

typedef struct box {
    uint32_t least_begin, most_begin, least_end, most_end; /* of the pieces that are left */
    uint32_t rank;                                         /* the greatest of them; 0: none is left */
} box;

typedef struct left_over {
    const pieces *p;
    uint32_t *order;  /* of the tree's leaves */
    uint32_t *leaf;   /* of a piece */
    uint32_t *rank;   /* of a piece: 1 is the least */
    uint32_t *ranked; /* the piece of a rank */
    box *boxes;       /* node i's children are 2i and 2i + 1; the root is 1 */
} left_over;

static uint64_t coordinate(const left_over *l, bool by_end, uint32_t index) {
    const rectangle *own = &l->p->all[index];
    return (uint64_t)(by_end ? own->end : own->begin) << 32 | index;
}

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t held = *a;
    *a = *b;
    *b = held;
}

/* Hoare's selection: those below the middle one, by this coordinate, before it. */
static void halve(left_over *l, bool by_end, size_t from, size_t to, size_t middle) {
    while (to - from > 1) {
        uint64_t pivot = coordinate(l, by_end, l->order[from + (to - from) / 2]);
        size_t low = from, high = to - 1;
        for (;;) {
            while (coordinate(l, by_end, l->order[low]) < pivot) low++;
            while (coordinate(l, by_end, l->order[high]) > pivot) high--;
            if (low >= high) break;
            swap(&l->order[low++], &l->order[high--]);
        }
        size_t cut = high + 1; /* [from, cut) is at or below the pivot, the rest at or above */
        if (cut == to) cut--;
        if (middle < cut)
            to = cut;
        else
            from = cut;
    }
}

static void join(left_over *l, size_t node) {
    const box *a = &l->boxes[2 * node], *b = &l->boxes[2 * node + 1];
    l->boxes[node] = (box){
        .least_begin = a->least_begin < b->least_begin ? a->least_begin : b->least_begin,
        .most_begin = a->most_begin > b->most_begin ? a->most_begin : b->most_begin,
        .least_end = a->least_end < b->least_end ? a->least_end : b->least_end,
        .most_end = a->most_end > b->most_end ? a->most_end : b->most_end,
        .rank = a->rank > b->rank ? a->rank : b->rank,
    };
}

static void build(left_over *l, size_t node, size_t from, size_t to, bool by_end) {
    if (to - from == 1) {
        const rectangle *own = &l->p->all[l->order[from]];
        l->leaf[l->order[from]] = (uint32_t)node;
        l->boxes[node] = (box){own->begin, own->begin, own->end, own->end, l->rank[l->order[from]]};
        return;
    }
    size_t middle = from + (to - from) / 2;
    halve(l, by_end, from, to, middle);
    build(l, 2 * node, from, middle, !by_end);
    build(l, 2 * node + 1, middle, to, !by_end);
    join(l, node);
}

/* The greatest rank above `best` of the pieces that live within [begin, end); `best` where there is none. */
static uint32_t query(const left_over *l, size_t node, uint32_t begin, uint32_t end, uint32_t best) {
    const box *here = &l->boxes[node];
    if (here->rank <= best || here->most_begin < begin || here->least_end > end) return best;
    if (here->least_begin >= begin && here->most_end <= end) return here->rank;
    size_t first = 2 * node + (l->boxes[2 * node].rank < l->boxes[2 * node + 1].rank);
    best = query(l, first, begin, end, best);
    return query(l, first ^ 1, begin, end, best);
}

static void take(left_over *l, uint32_t index) {
    size_t node = l->leaf[index];
    l->boxes[node] = (box){.least_begin = UINT32_MAX, .least_end = UINT32_MAX};
    while (node /= 2) join(l, node);
}

/* ---- Ranks ---- */

typedef struct measure {
    uint64_t first, second;
    uint32_t index;
} measure;

static int by_measure(const void *a, const void *b) {
    const measure *left = a, *right = b;
    if (left->first != right->first) return left->first < right->first ? -1 : 1;
    if (left->second != right->second) return left->second < right->second ? -1 : 1;
    return left->index > right->index ? -1 : 1; /* among equals the earliest is the greatest */
}

static measure measure_of(const rectangle *own, greatest by, uint32_t index) {
    uint64_t lifetime = own->end - own->begin;
    bool wraps = own->size > UINT64_MAX / lifetime;
    switch (by) {
    case BY_AREA:
        return (measure){wraps ? UINT64_MAX : own->size * lifetime, lifetime, index};
    case BY_SIZE:
        return (measure){own->size, lifetime, index};
    default:
        return (measure){lifetime, own->size, index};
    }
}

static bool rank_all(left_over *l, greatest by) {
    size_t count = l->p->count;
    measure *measures = malloc(count * sizeof *measures);
    if (!measures) return false;
    for (size_t i = 0; i < count; i++) measures[i] = measure_of(&l->p->all[i], by, (uint32_t)i);
    qsort(measures, count, sizeof *measures, by_measure);
    for (size_t i = 0; i < count; i++) {
        l->rank[measures[i].index] = (uint32_t)i + 1;
        l->ranked[i + 1] = measures[i].index;
    }
    free(measures);
    return true;
}

static bool open_left_over(left_over *l, const pieces *p, greatest by) {
    size_t leaves = 1;
    while (leaves < p->count) leaves *= 2;
    *l = (left_over){
        .p = p,
        .order = malloc(p->count * sizeof *l->order),
        .leaf = malloc(p->count * sizeof *l->leaf),
        .rank = malloc(p->count * sizeof *l->rank),
        .ranked = malloc((p->count + 1) * sizeof *l->ranked),
        .boxes = calloc(2 * leaves, sizeof *l->boxes),
    };
    if (!l->order || !l->leaf || !l->rank || !l->ranked || !l->boxes || !rank_all(l, by)) return false;
    for (size_t i = 0; i < p->count; i++) l->order[i] = (uint32_t)i;
    build(l, 1, 0, p->count, false);
    return true;
}

static void close_left_over(left_over *l) {
    free(l->order);
    free(l->leaf);
    free(l->rank);
    free(l->ranked);
    free(l->boxes);
}

/* ---- The skyline ---- */

/* A stretch is known by its first section. */
typedef struct stretch {
    uint64_t height;
    uint32_t before, after; /* the stretches beside it; NOWHERE, and the number of sections, at the ends */
    uint32_t place;         /* in the heap */
} stretch;

typedef struct skyline {
    stretch *all;
    uint32_t *heap;
    uint32_t count, sections;
} skyline;

#define NOWHERE UINT32_MAX

static bool lower(const skyline *s, uint32_t a, uint32_t b) {
    return s->all[a].height != s->all[b].height ? s->all[a].height < s->all[b].height : a < b;
}

static void put(skyline *s, uint32_t place, uint32_t at) {
    s->heap[place] = at;
    s->all[at].place = place;
}

/* Moves the stretch to where it belongs in the heap. */
static void settle(skyline *s, uint32_t at) {
    uint32_t place = s->all[at].place;
    for (; place && lower(s, at, s->heap[(place - 1) / 2]); place = (place - 1) / 2)
        put(s, place, s->heap[(place - 1) / 2]);
    for (uint32_t child; (child = 2 * place + 1) < s->count; place = child) {
        if (child + 1 < s->count && lower(s, s->heap[child + 1], s->heap[child])) child++;
        if (!lower(s, s->heap[child], at)) break;
        put(s, place, s->heap[child]);
    }
    put(s, place, at);
}

static void begin_stretch(skyline *s, uint32_t at, uint64_t height, uint32_t before, uint32_t after) {
    s->all[at] = (stretch){.height = height, .before = before, .after = after, .place = s->count};
    s->heap[s->count++] = at;
    if (before != NOWHERE) s->all[before].after = at;
    if (after < s->sections) s->all[after].before = at;
    settle(s, at);
}

/* The one after `at` becomes a part of it. */
static void absorb_next(skyline *s, uint32_t at) {
    uint32_t gone = s->all[at].after, place = s->all[gone].place, moved = s->heap[--s->count];
    s->all[at].after = s->all[gone].after;
    if (s->all[at].after < s->sections) s->all[s->all[at].after].before = at;
    if (moved == gone) return;
    put(s, place, moved);
    settle(s, moved);
}

static void raise(skyline *s, uint32_t at, uint64_t height) {
    s->all[at].height = height;
    settle(s, at);
    uint32_t after = s->all[at].after, before = s->all[at].before;
    if (after < s->sections && s->all[after].height == height) absorb_next(s, at);
    if (before != NOWHERE && s->all[before].height == height) absorb_next(s, before);
}

/* Cuts [begin, end) out of the stretch that holds it, and raises it. */
static void build_on(skyline *s, uint32_t at, uint32_t begin, uint32_t end, uint64_t height) {
    uint64_t ground = s->all[at].height;
    if (begin > at) begin_stretch(s, begin, ground, at, s->all[at].after);
    if (end < s->all[begin].after) begin_stretch(s, end, ground, begin, s->all[begin].after);
    raise(s, begin, height);
}

static void raise_to_neighbour(skyline *s, uint32_t at) {
    uint32_t before = s->all[at].before, after = s->all[at].after;
    uint64_t height = before != NOWHERE ? s->all[before].height : NO_HEIGHT;
    if (after < s->sections && s->all[after].height < height) height = s->all[after].height;
    raise(s, at, height);
}

static hpw_error fill(left_over *l, skyline *s, const atomic_bool *stop, layout *out) {
    out->height = 0;
    begin_stretch(s, 0, 0, NOWHERE, s->sections);
    for (size_t placed = 0, steps = 0; placed < l->p->count; steps++) {
        if (steps % 1024 == 0 && stop && *stop) return HPW_LIMIT;
        uint32_t at = s->heap[0], rank = query(l, 1, at, s->all[at].after, 0);
        if (!rank) {
            raise_to_neighbour(s, at);
            continue;
        }
        uint32_t index = l->ranked[rank];
        const rectangle *own = &l->p->all[index];
        out->at[index] = align_up(s->all[at].height, own->align);
        uint64_t top = out->at[index] + own->size;
        if (top > MOST_HEIGHT) {
            out->height = NO_HEIGHT;
            return HPW_OK;
        }
        if (top > out->height) out->height = top;
        take(l, index);
        build_on(s, at, own->begin, own->end, top);
        placed++;
    }
    return HPW_OK;
}

hpw_error hpw_pack_skyline(const pieces *p, greatest by, const atomic_bool *stop, layout *out) {
    left_over l;
    out->height = 0;
    if (!p->count) return HPW_OK;
    skyline s = {
        .sections = p->sections,
        .all = malloc(p->sections * sizeof *s.all),
        .heap = malloc(p->sections * sizeof *s.heap),
    };
    bool there = open_left_over(&l, p, by) && s.all && s.heap;
    hpw_error error = there ? fill(&l, &s, stop, out) : HPW_NO_MEMORY;
    close_left_over(&l);
    free(s.all);
    free(s.heap);
    return error;
}
