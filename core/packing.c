/* SPDX-License-Identifier: MIT */
/*
 * Offline packing: see packing.h. What is tried, the lowest of all is kept:
 *
 *   1. The skyline, filled by lifetime, area and size: packing_skyline.c.
 *   2. First and best fit in the order of time and backwards: packing_sweep.c.
 *   3. Where there are few pieces, a search for the optimum: packing_search.c.
 *
 * It ends as soon as a packing is as low as the peak of the live bytes, which is
 * a proof that no lower one exists.
 */
#include "packing.h"

#include <stdlib.h>
#include <string.h>

#include "packing_pieces.h"
#include "replay_run.h"

/* ---- Pieces ---- */

/* Where events are turned into pieces: which piece a slot has now, NO_PIECE where none. */
#define NO_PIECE UINT32_MAX

typedef struct cutting {
    const hpw_program *program;
    uint64_t granule;
    pieces *p;
    hpw_packing *out;
    uint32_t *now; /* of a slot */
    uint64_t live;
    bool freed; /* since the last allocation: the next one begins a section */
} cutting;

static uint64_t granules_of(uint64_t size, uint64_t granule) {
    return size ? size / granule + (size % granule != 0) : 1;
}

static void end_piece(cutting *c, uint32_t index, size_t event) {
    rectangle *own = &c->p->all[index];
    c->live -= own->size;
    c->freed = true;
    c->out->pieces[index].end = event;
    own->end = c->p->sections;
}

static void begin_piece(cutting *c, const operation *op, uint64_t alignment, size_t event) {
    uint32_t index = (uint32_t)c->p->count++;
    uint64_t size = granules_of(op->size, c->granule);
    if (c->freed || !c->p->sections) c->p->sections++;
    c->freed = false;
    c->live += size;
    if (c->live > c->p->peak) c->p->peak = c->live;
    c->p->all[index] = (rectangle){
        .size = size,
        .align = alignment > c->granule ? alignment / c->granule : 1,
        .begin = c->p->sections - 1,
    };
    c->out->pieces[index] = (hpw_piece){.begin = event, .size = size * c->granule, .alignment = alignment};
    c->now[op->slot] = index;
}

static void cut_event(cutting *c, size_t event) {
    const operation *op = &c->program->operations[event];
    uint32_t index = c->now[op->slot];
    uint64_t alignment = (uint64_t)1 << op->align_bits;
    if (op->kind == HPW_TRACE_RESIZE && index != NO_PIECE) {
        if (c->p->all[index].size == granules_of(op->size, c->granule)) return; /* it stays where it is */
        alignment = c->out->pieces[index].alignment;
    }
    if (index != NO_PIECE) end_piece(c, index, event);
    c->now[op->slot] = NO_PIECE;
    if (op->kind != HPW_TRACE_FREE) begin_piece(c, op, alignment, event);
}

/* The reader has refused what holds more than 2^63 - 1 bytes at once: no sum here wraps. */
static void cut(cutting *c) {
    memset(c->now, 0xFF, c->program->slots * sizeof *c->now);
    for (size_t i = 0; i < c->program->count; i++) cut_event(c, i);
    for (size_t slot = 0; slot < c->program->slots; slot++)
        if (c->now[slot] != NO_PIECE) end_piece(c, c->now[slot], c->program->count);
    c->out->count = c->p->count;
}

static hpw_error cut_program(const hpw_program *program, uint32_t granule, pieces *p, hpw_packing *out) {
    cutting c = {.program = program, .granule = granule, .p = p, .out = out};
    c.now = malloc((program->slots + 1) * sizeof *c.now);
    p->all = malloc((program->count + 1) * sizeof *p->all);
    out->pieces = malloc((program->count + 1) * sizeof *out->pieces);
    bool there = c.now && p->all && out->pieces && program->count < NO_PIECE;
    if (there) cut(&c);
    free(c.now);
    return there ? HPW_OK : HPW_NO_MEMORY;
}

/* ---- The best of several ---- */

typedef struct contest {
    const pieces *p;
    const atomic_bool *stop;
    layout best, tried;
    const char *method;
} contest;

/* Keeps the layout just tried where it is the lowest so far. */
static void judge(contest *c, const char *method) {
    if (c->tried.height >= c->best.height) return;
    layout lower = c->tried;
    c->tried = c->best;
    c->best = lower;
    c->method = method;
}

static hpw_error try_skylines(contest *c) {
    static const char *const names[GREATEST_COUNT] = {
        [BY_LIFETIME] = "skyline by lifetime",
        [BY_AREA] = "skyline by area",
        [BY_SIZE] = "skyline by size",
    };
    for (greatest by = 0; by < GREATEST_COUNT && c->best.height > c->p->peak; by++) {
        hpw_error error = hpw_pack_skyline(c->p, by, c->stop, &c->tried);
        if (error) return error;
        judge(c, names[by]);
    }
    return HPW_OK;
}

static hpw_error try_sweeps(contest *c) {
    static const struct {
        const char *name;
        sweep_way way;
    } sweeps[] = {
        {"best fit", {.best = true}},
        {"first fit", {.best = false}},
        {"best fit backwards", {.best = true, .backwards = true}},
        {"first fit backwards", {.backwards = true}},
    };
    for (size_t i = 0; i < sizeof sweeps / sizeof *sweeps && c->best.height > c->p->peak; i++) {
        hpw_error error = hpw_pack_sweep(c->p, sweeps[i].way, c->stop, &c->tried);
        if (error) return error;
        judge(c, sweeps[i].name);
    }
    return HPW_OK;
}

static hpw_error search(contest *c, const hpw_packing_question *question, hpw_packing *out) {
    uint64_t bound = c->p->peak, before = c->best.height;
    if (!question->heuristic && c->best.height > bound) {
        out->nodes = question->nodes ? question->nodes : HPW_PACKING_NODES;
        hpw_error error = hpw_pack_search(c->p, c->stop, &c->best, &bound, &out->nodes);
        if (error) return error;
        if (c->best.height < before) c->method = "branch and bound";
    }
    out->lower_bound = bound;
    return HPW_OK;
}

static hpw_error compete(const pieces *p, const hpw_packing_question *question, uint64_t granule,
                         const atomic_bool *stop, hpw_packing *out) {
    contest c = {.p = p, .stop = stop, .best.height = NO_HEIGHT, .tried.height = NO_HEIGHT, .method = "none"};
    c.best.at = malloc((p->count + 1) * sizeof *c.best.at);
    c.tried.at = malloc((p->count + 1) * sizeof *c.tried.at);
    hpw_error error = c.best.at && c.tried.at ? HPW_OK : HPW_NO_MEMORY;
    if (!p->count) c.best.height = 0;
    if (!error) error = try_skylines(&c);
    if (!error) error = try_sweeps(&c);
    if (!error && c.best.height > MOST_HEIGHT / granule) error = HPW_LIMIT;
    if (!error) error = search(&c, question, out);
    for (size_t i = 0; !error && i < p->count; i++) out->pieces[i].address = c.best.at[i] * granule;
    out->pool = c.best.height * granule;
    out->lower_bound *= granule;
    out->proved = out->pool == out->lower_bound;
    out->method = c.method;
    free(c.best.at);
    free(c.tried.at);
    return error;
}

hpw_error hpw_pack(const hpw_program *program, const hpw_packing_question *question, const atomic_bool *stop,
                   hpw_packing *out) {
    uint32_t granule = question->granule ? question->granule : program->granule ? program->granule : 16;
    *out = (hpw_packing){0};
    if (granule & (granule - 1)) return HPW_INVALID_ARGUMENT;
    pieces p = {0};
    size_t wrong;
    hpw_error error = cut_program(program, granule, &p, out);
    if (!error) error = compete(&p, question, granule, stop, out);
    free(p.all);
    if (!error) error = hpw_packing_check(program, granule, out, &wrong);
    if (error) hpw_packing_free(out);
    return error;
}

void hpw_packing_free(hpw_packing *packing) {
    free(packing->pieces);
    *packing = (hpw_packing){0};
}
