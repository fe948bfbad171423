/* SPDX-License-Identifier: MIT */
/*
 * The optimum, by branch and bound: does a packing of at most this height exist?
 *
 * Every packing can be pushed down until each piece lies on the ground or on a
 * piece that lives with it, with no loss of height. Sorted by address, then, each
 * piece lies on the skyline of those before it. So it is enough to place pieces
 * one after the other, at addresses that never fall, each on the skyline of its
 * lifetime (Moffitt, MiniMalloc, ASPLOS 2023, calls such solutions canonical).
 *
 *   1. The least address of a piece is the skyline's height over its lifetime, and
 *      not below the last one placed. Pieces at one address follow their number.
 *   2. In each section, of the pieces that are left, those whose least address is a
 *      or above all lie above a: for no a may that and the sum of their sizes exceed
 *      the height. (As one machine's jobs with release dates do.)
 *   3. Nothing is placed at or above the least end that some piece left could
 *      have: below it that piece would have a place, and could be pushed there.
 *   4. What is left falls apart where no piece lives across a moment; the parts
 *      are solved one by one, and one that has no solution refutes them all.
 *   5. Of pieces that are alike in all, the first goes first.
 *
 * A height is decided when a packing is found, or when the search has ended: then
 * none exists, and the bound rises above it. To find one soon, the search begins
 * anew after some hundred nodes, each time after a few more, and remembers what
 * refuted it: a piece that found no place below the height, or the pieces left in a
 * section that was too full, weigh one more, and of the candidates at one address
 * the heaviest goes first (Boussemart, Hemery, Lecoutre and Sais, ECAI 2004, weigh
 * constraints so; restarts: Gomes, Selman and Kautz, AAAI 1998). Nodes are counted,
 * and the sections that they look at: nothing is timed.
 */
#include <stdlib.h>
#include <string.h>

#include "packing_pieces.h"

enum {
    MOST_PIECES = 2000,     /* above, a search would find nothing that the heuristics don't */
    SECTIONS_A_NODE = 4096, /* that a node may look at, in the mean */
    FIRST_NODES = 500,      /* of the first turn; after each TURNS half as many again */
    TURNS = 16,
    ORDERS = 2
};

typedef enum verdict { FOUND, NONE, UNDECIDED } verdict;

typedef struct candidate {
    uint64_t at;
    uint64_t weight;
    uint32_t index, rank;
} candidate;

typedef struct search {
    const pieces *p;
    const atomic_bool *stop;
    uint64_t height;            /* is there a packing so low? */
    uint64_t nodes, most_nodes; /* of this turn */
    uint64_t looks, most_looks; /* sections looked at */
    uint64_t *at;
    uint64_t *skyline, *rest; /* of a section */
    const uint32_t *rank;     /* of a piece: the least goes first where weights are equal */
    uint64_t *weight;         /* of a piece: what it has refuted */
    uint32_t *index_room;     /* stacks, of what each level of the search has to keep */
    candidate *candidate_room;
    uint64_t *height_room;
    size_t indices, candidates, heights;
} search;

/* What is left: pieces in the order of their begin, and the last one placed below them. */
typedef struct open_part {
    const uint32_t *left;
    size_t count;
    uint64_t last_at;
    uint32_t last_index;
    bool any; /* one has been placed */
} open_part;

static uint64_t least_address(search *s, const open_part *part, uint32_t index) {
    const rectangle *own = &s->p->all[index];
    uint64_t at = 0;
    for (uint32_t k = own->begin; k < own->end; k++)
        if (s->skyline[k] > at) at = s->skyline[k];
    s->looks += own->end - own->begin;
    uint64_t floor = part->last_at + (part->any && index < part->last_index);
    return align_up(at > floor ? at : floor, own->align);
}

static void blame_section(search *s, const open_part *part, uint32_t section) {
    for (size_t i = 0; i < part->count; i++) {
        const rectangle *own = &s->p->all[part->left[i]];
        if (own->begin <= section && section < own->end) s->weight[part->left[i]]++;
    }
}

static int by_address(const void *a, const void *b) {
    const candidate *left = a, *right = b;
    if (left->at != right->at) return left->at < right->at ? -1 : 1;
    if (left->weight != right->weight) return left->weight > right->weight ? -1 : 1;
    return (left->rank > right->rank) - (left->rank < right->rank);
}

/* The highest first. Shellsort with Ciura's gaps: parts are small, and this is where the time goes. */
static void sort_from_above(candidate *all, size_t count) {
    static const size_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++)
        for (size_t gap = gaps[g], i = gap; i < count; i++) {
            candidate held = all[i];
            size_t k = i;
            for (; k >= gap && all[k - gap].at < held.at; k -= gap) all[k] = all[k - gap];
            all[k] = held;
        }
}

/* Rule 2. `sorted` is room for as many. */
static bool sections_hold(search *s, const open_part *part, const candidate *all, candidate *sorted) {
    memcpy(sorted, all, part->count * sizeof *sorted);
    sort_from_above(sorted, part->count);
    for (size_t i = 0; i < part->count; i++) {
        const rectangle *own = &s->p->all[part->left[i]];
        memset(s->rest + own->begin, 0, (own->end - own->begin) * sizeof *s->rest);
    }
    for (size_t i = 0; i < part->count; i++) {
        const rectangle *own = &s->p->all[sorted[i].index];
        for (uint32_t k = own->begin; k < own->end; k++) {
            s->rest[k] += own->size;
            if (s->rest[k] <= s->height && sorted[i].at <= s->height - s->rest[k]) continue;
            blame_section(s, part, k);
            return false;
        }
    }
    return true;
}

/* Rule 5: an equal one before it is left. The pieces are sorted by begin. */
static bool has_twin_before(const search *s, const open_part *part, size_t i) {
    const rectangle *own = &s->p->all[part->left[i]];
    for (size_t k = i; k-- > 0;) {
        const rectangle *other = &s->p->all[part->left[k]];
        if (other->begin != own->begin) return false;
        if (other->end == own->end && other->size == own->size && other->align == own->align) return true;
    }
    return false;
}

/* The candidates of the part into `all`, the most promising first; false: refuted. */
static bool find_candidates(search *s, const open_part *part, candidate *all, size_t *count) {
    uint64_t least_end = UINT64_MAX;
    for (size_t i = 0; i < part->count; i++) {
        uint32_t index = part->left[i];
        uint64_t size = s->p->all[index].size, at = least_address(s, part, index);
        if (size > s->height || at > s->height - size) {
            s->weight[index]++;
            return false;
        }
        all[i] = (candidate){.at = at, .index = index, .weight = s->weight[index], .rank = s->rank[index]};
        if (at + size < least_end) least_end = at + size;
    }
    if (!sections_hold(s, part, all, all + part->count)) return false;
    *count = 0;
    for (size_t i = 0; i < part->count; i++)
        if (all[i].at < least_end && !has_twin_before(s, part, i)) all[(*count)++] = all[i];
    qsort(all, *count, sizeof *all, by_address);
    return true;
}

static verdict solve(search *s, const open_part *part);

/* Rule 4: what is left after `placed`, part by part. */
static verdict solve_parts(search *s, const open_part *whole, const candidate *placed) {
    size_t mark = s->indices, count = 0;
    uint32_t *left = s->index_room + mark;
    for (size_t i = 0; i < whole->count; i++)
        if (whole->left[i] != placed->index) left[count++] = whole->left[i];
    s->indices += count;
    verdict found = FOUND;
    for (size_t from = 0, to; from < count && found == FOUND; from = to) {
        uint32_t end = s->p->all[left[from]].end;
        for (to = from + 1; to < count && s->p->all[left[to]].begin < end; to++)
            if (s->p->all[left[to]].end > end) end = s->p->all[left[to]].end;
        open_part one = {left + from, to - from, placed->at, placed->index, true};
        found = solve(s, &one);
    }
    s->indices = mark;
    return found;
}

/* Places it, solves what is left, and takes the skyline back. */
static verdict try_candidate(search *s, const open_part *part, const candidate *tried) {
    const rectangle *own = &s->p->all[tried->index];
    size_t width = own->end - own->begin;
    uint64_t *saved = s->height_room + s->heights;
    memcpy(saved, s->skyline + own->begin, width * sizeof *saved);
    s->heights += width;
    for (uint32_t k = own->begin; k < own->end; k++) s->skyline[k] = tried->at + own->size;
    s->at[tried->index] = tried->at;
    verdict found = solve_parts(s, part, tried);
    s->heights -= width;
    memcpy(s->skyline + own->begin, saved, width * sizeof *saved);
    return found;
}

static verdict solve(search *s, const open_part *part) {
    if (s->nodes >= s->most_nodes || s->looks >= s->most_looks || (s->stop && *s->stop)) return UNDECIDED;
    s->nodes++;
    size_t mark = s->candidates, count;
    candidate *all = s->candidate_room + mark;
    s->candidates += 2 * part->count;
    verdict found = NONE;
    if (find_candidates(s, part, all, &count))
        for (size_t i = 0; i < count && found == NONE; i++) found = try_candidate(s, part, &all[i]);
    s->candidates = mark;
    return found;
}

/* ---- Orders ---- */

/* What a piece is ranked by: the most that is ever live beside it, its lifetime, its bytes x time. */
typedef struct measure {
    double keys[3];
    uint32_t index;
} measure;

enum { CROWD, LIFETIME, AREA };

static const uint8_t order_keys[ORDERS][3] = {{CROWD, LIFETIME, AREA}, {CROWD, AREA, LIFETIME}};

/* Greater keys first. */
static int by_measure(const void *a, const void *b) {
    const measure *left = a, *right = b;
    for (unsigned k = 0; k < 3; k++)
        if (left->keys[k] != right->keys[k]) return left->keys[k] > right->keys[k] ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

static bool rank_all(const pieces *p, uint32_t order, const uint64_t *live, uint32_t *rank) {
    measure *all = malloc((p->count + 1) * sizeof *all);
    if (!all) return false;
    for (uint32_t i = 0; i < p->count; i++) {
        const rectangle *own = &p->all[i];
        uint64_t crowd = 0;
        for (uint32_t k = own->begin; k < own->end; k++)
            if (live[k] > crowd) crowd = live[k];
        const double values[] = {(double)crowd, (double)(own->end - own->begin),
                                 (double)own->size * (double)(own->end - own->begin)};
        all[i].index = i;
        for (unsigned k = 0; k < 3; k++) all[i].keys[k] = values[order_keys[order][k]];
    }
    qsort(all, p->count, sizeof *all, by_measure);
    for (uint32_t i = 0; i < p->count; i++) rank[all[i].index] = i;
    free(all);
    return true;
}

/* ---- Heights ---- */

typedef struct room {
    uint32_t *ranks[ORDERS];
    uint32_t *everything; /* the pieces by begin, which is their own order */
    size_t widths;        /* of all lifetimes together */
} room;

static verdict turn(search *s, const room *r, uint32_t order, uint64_t nodes) {
    s->rank = r->ranks[order];
    s->nodes = s->looks = 0;
    s->most_nodes = nodes;
    s->most_looks = nodes * SECTIONS_A_NODE;
    memset(s->skyline, 0, s->p->sections * sizeof *s->skyline);
    open_part whole = {.left = r->everything, .count = s->p->count};
    return solve(s, &whole);
}

/* Decides a height, within so many nodes; *spent are taken off. */
static verdict decide(search *s, const room *r, uint64_t height, uint64_t nodes, uint64_t *left) {
    verdict found = UNDECIDED;
    s->height = height;
    uint64_t share = FIRST_NODES;
    for (uint32_t turns = 1; found == UNDECIDED && nodes && !(s->stop && *s->stop); turns++) {
        found = turn(s, r, turns % ORDERS, share < nodes ? share : nodes);
        nodes -= s->nodes;
        *left -= s->nodes;
        if (turns % TURNS == 0) share += share / 2;
    }
    return found;
}

static uint64_t height_of(const pieces *p, const uint64_t *at) {
    uint64_t height = 0;
    for (size_t i = 0; i < p->count; i++)
        if (at[i] + p->all[i].size > height) height = at[i] + p->all[i].size;
    return height;
}

/* First the bound itself, then by bisection what lies between it and the best; and again. */
static void narrow(search *s, const room *r, layout *best, uint64_t *bound, uint64_t *left) {
    uint64_t height = *bound, undecided = 0;
    while (*left && *bound < best->height && !(s->stop && *s->stop)) {
        uint64_t share = *left / 2 > FIRST_NODES ? *left / 2 : *left;
        verdict found = decide(s, r, height, share, left);
        if (found == FOUND) {
            memcpy(best->at, s->at, s->p->count * sizeof *best->at);
            best->height = height_of(s->p, s->at);
        } else if (found == NONE) {
            *bound = height + 1;
        } else {
            undecided = height;
        }
        uint64_t least = *bound > undecided + 1 ? *bound : undecided + 1;
        if (least >= best->height)
            undecided = 0, height = *bound;
        else
            height = least + (best->height - 1 - least) / 2;
    }
}

static bool open_search(search *s, room *r, const pieces *p) {
    size_t n = p->count, sections = p->sections;
    for (size_t i = 0; i < n; i++) r->widths += p->all[i].end - p->all[i].begin;
    r->everything = malloc((n + 1) * sizeof *r->everything);
    s->at = malloc((n + 1) * sizeof *s->at);
    s->weight = calloc(n + 1, sizeof *s->weight);
    s->skyline = malloc((sections + 1) * sizeof *s->skyline);
    s->rest = malloc((sections + 1) * sizeof *s->rest);
    s->index_room = malloc(n * (n + 1) / 2 * sizeof *s->index_room + sizeof *s->index_room);
    s->candidate_room = malloc((n + 1) * (n + 2) * sizeof *s->candidate_room);
    s->height_room = malloc((r->widths + 1) * sizeof *s->height_room);
    bool there = r->everything && s->at && s->weight && s->skyline && s->rest && s->index_room &&
                 s->candidate_room && s->height_room;
    if (!there) return false;
    memset(s->rest, 0, sections * sizeof *s->rest);
    for (uint32_t i = 0; i < n; i++) {
        r->everything[i] = i;
        for (uint32_t k = p->all[i].begin; k < p->all[i].end; k++) s->rest[k] += p->all[i].size;
    }
    for (uint32_t order = 0; order < ORDERS && there; order++) {
        r->ranks[order] = malloc((n + 1) * sizeof **r->ranks);
        there = r->ranks[order] && rank_all(p, order, s->rest, r->ranks[order]);
    }
    return there;
}

static void close_search(search *s, room *r) {
    for (uint32_t order = 0; order < ORDERS; order++) free(r->ranks[order]);
    free(r->everything);
    free(s->at);
    free(s->weight);
    free(s->skyline);
    free(s->rest);
    free(s->index_room);
    free(s->candidate_room);
    free(s->height_room);
}

hpw_error hpw_pack_search(const pieces *p, const atomic_bool *stop, layout *best, uint64_t *bound,
                          uint64_t *nodes) {
    search s = {.p = p, .stop = stop};
    room r = {0};
    uint64_t left = p->count > MOST_PIECES ? 0 : *nodes, most = left;
    bool there = !left || open_search(&s, &r, p);
    if (there && left) narrow(&s, &r, best, bound, &left);
    *nodes = most - left;
    close_search(&s, &r);
    if (stop && *stop) return HPW_LIMIT;
    return there ? HPW_OK : HPW_NO_MEMORY;
}
