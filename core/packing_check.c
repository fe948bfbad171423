/* SPDX-License-Identifier: MIT */
/*
 * Is it a packing? Computed anew from the program's events; it shares nothing with
 * what packed. The ends of all pieces, sorted, cut the addresses into cells; over
 * the cells lies a tree that adds to ranges and knows the greatest sum of a range
 * (a segment tree; Bentley 1977). Event by event: what begins must find its range
 * at 0 and adds 1 to it, what ends takes it away. O(n log n), whatever the sizes.
 */
#include <stdlib.h>
#include <string.h>

#include "packing.h"
#include "replay_run.h"

typedef struct cells {
    uint64_t *ends;
    size_t count; /* of ends; cell i is [ends[i], ends[i + 1]) */
    size_t leaves;
    int32_t *most, *added; /* of node i, whose children are 2i and 2i + 1 */
} cells;

static int by_value(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static size_t cell_of(const cells *c, uint64_t address) {
    size_t low = 0, high = c->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (c->ends[middle] <= address)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool open_cells(cells *c, const hpw_packing *packing) {
    c->ends = malloc((2 * packing->count + 2) * sizeof *c->ends);
    if (!c->ends) return false;
    for (size_t i = 0; i < packing->count; i++) {
        c->ends[c->count++] = packing->pieces[i].address;
        c->ends[c->count++] = packing->pieces[i].address + packing->pieces[i].size;
    }
    c->ends[c->count++] = packing->pool;
    qsort(c->ends, c->count, sizeof *c->ends, by_value);
    for (c->leaves = 1; c->leaves < c->count; c->leaves *= 2) continue;
    c->most = calloc(2 * c->leaves, sizeof *c->most);
    c->added = calloc(2 * c->leaves, sizeof *c->added);
    return c->most && c->added;
}

static void close_cells(cells *c) {
    free(c->ends);
    free(c->most);
    free(c->added);
}

/* Of the node's cells [first, first + width), those within [from, to). */
static void add(cells *c, size_t node, size_t first, size_t width, size_t from, size_t to, int32_t change) {
    if (from >= first + width || to <= first) return;
    if (from <= first && first + width <= to) {
        c->added[node] += change;
        c->most[node] += change;
        return;
    }
    width /= 2;
    add(c, 2 * node, first, width, from, to, change);
    add(c, 2 * node + 1, first + width, width, from, to, change);
    int32_t left = c->most[2 * node], right = c->most[2 * node + 1];
    c->most[node] = c->added[node] + (left > right ? left : right);
}

static int32_t most(const cells *c, size_t node, size_t first, size_t width, size_t from, size_t to) {
    if (from >= first + width || to <= first) return 0;
    if (from <= first && first + width <= to) return c->most[node];
    width /= 2;
    int32_t left = most(c, 2 * node, first, width, from, to);
    int32_t right = most(c, 2 * node + 1, first + width, width, from, to);
    return c->added[node] + (left > right ? left : right);
}

typedef struct checking {
    const hpw_program *program;
    const hpw_packing *packing;
    uint64_t granule;
    cells cells;
    size_t *now; /* of a slot: the piece that it has, counted from 1; 0: none */
    size_t next; /* the next piece to begin */
} checking;

static bool mark(checking *c, size_t index, int32_t change) {
    const hpw_piece *piece = &c->packing->pieces[index];
    size_t from = cell_of(&c->cells, piece->address), to = cell_of(&c->cells, piece->address + piece->size);
    if (change > 0 && most(&c->cells, 1, 0, c->cells.leaves, from, to) > 0) return false;
    add(&c->cells, 1, 0, c->cells.leaves, from, to, change);
    return true;
}

/* The next piece begins with this event, has its size and alignment, lies in the pool, and overlaps nothing.
 */
static bool begins(checking *c, size_t event, uint64_t size, uint64_t alignment) {
    if (c->next == c->packing->count) return false;
    const hpw_piece *piece = &c->packing->pieces[c->next];
    uint64_t align = alignment > c->granule ? alignment : c->granule;
    bool sound = piece->begin == event && piece->size == size && piece->alignment == alignment &&
                 piece->address % align == 0 && piece->size <= c->packing->pool &&
                 piece->address <= c->packing->pool - piece->size;
    return sound && mark(c, c->next, 1);
}

static bool ends(checking *c, size_t slot, size_t event) {
    size_t index = c->now[slot] - 1;
    c->now[slot] = 0;
    if (c->packing->pieces[index].end != event) {
        c->next = index;
        return false;
    }
    return mark(c, index, -1);
}

static bool follow(checking *c, size_t event) {
    const operation *op = &c->program->operations[event];
    uint64_t rest = op->size % c->granule, alignment = (uint64_t)1 << op->align_bits;
    uint64_t size = op->size - rest + (rest || !op->size ? c->granule : 0);
    if (op->kind == HPW_TRACE_RESIZE && c->now[op->slot]) {
        const hpw_piece *piece = &c->packing->pieces[c->now[op->slot] - 1];
        if (piece->size == size) return true;
        alignment = piece->alignment;
    }
    if (c->now[op->slot] && !ends(c, op->slot, event)) return false;
    if (op->kind == HPW_TRACE_FREE) return true;
    if (!begins(c, event, size, alignment)) return false;
    c->now[op->slot] = ++c->next;
    return true;
}

static bool follow_all(checking *c) {
    for (size_t i = 0; i < c->program->count; i++)
        if (!follow(c, i)) return false;
    for (size_t slot = 0; slot < c->program->slots; slot++)
        if (c->now[slot] && !ends(c, slot, c->program->count)) return false;
    return c->next == c->packing->count;
}

hpw_error hpw_packing_check(const hpw_program *program, uint32_t granule, const hpw_packing *packing,
                            size_t *at) {
    checking c = {.program = program, .packing = packing, .granule = granule ? granule : 16};
    c.now = calloc(program->slots + 1, sizeof *c.now);
    hpw_error error = HPW_NO_MEMORY;
    if (c.now && open_cells(&c.cells, packing)) error = follow_all(&c) ? HPW_OK : HPW_CORRUPTED;
    *at = c.next;
    close_cells(&c.cells);
    free(c.now);
    return error;
}
