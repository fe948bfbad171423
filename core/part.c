/* SPDX-License-Identifier: MIT */
/*
 * Parts of programs: see part.h.
 *
 *   1. A block begins with an allocation in a slot, and has what comes in that
 *      slot until the next allocation there: `blocks` says for each operation
 *      whose it is.
 *   2. A try copies the part's operations but those that are left out behind
 *      each other, and replays the copy as a program of its own until something
 *      is refused. Slots stay as they were, so that nothing has to be matched.
 *   3. Where it fails, copy and part change places, what comes behind the
 *      refused request is cut off, and blocks are numbered anew.
 *
 * To leave a block out is always a proper recording. So is a dropped free: its
 * slot is simply taken by the next block that had it.
 */
#include "part.h"

#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "replay_run.h"

typedef struct list {
    operation *operations;
    uint32_t *blocks; /* whose each operation is */
    size_t count;
} list;

struct hpw_part {
    hpw_question question;
    size_t slots;
    uint64_t largest_align;
    list kept, tried;  /* of the same room */
    uint64_t *scratch; /* a word a slot */
    uint32_t *numbers; /* a new number a block */
    bool *marked;      /* a block */
    hpw_part_counts counts;
    bool fragmented;       /* as the part is now */
    bool wants_fragmented; /* so was the whole program: see part.h */
    replay_arena arena;
};

void hpw_part_close(hpw_part *part) {
    if (!part) return;
    free(part->kept.operations);
    free(part->kept.blocks);
    free(part->tried.operations);
    free(part->tried.blocks);
    free(part->scratch);
    free(part->numbers);
    free(part->marked);
    replay_arena_free(&part->arena);
    free(part);
}

hpw_part_counts hpw_part_count(const hpw_part *part) { return part->counts; }

bool hpw_part_is_fragmented(const hpw_part *part) { return part->fragmented; }

/* ---- Trying ------------------------------------------------------------------- */

/* Replays a list up to the first refused request: its index, or the list's count. */
static hpw_error find_refused(hpw_part *part, const list *tried, size_t *refused) {
    hpw_program program = {
        .operations = tried->operations,
        .count = tried->count,
        .slots = part->slots,
        .largest_align = part->largest_align,
    };
    replay run;
    hpw_error error = replay_open(&program, &part->question, part->question.capacity, &part->arena, &run);
    if (error) return error;
    error = replay_until_refused(&run, NULL, refused);
    replay_close(&run);
    return error;
}

/* Would all that is live after the list's first `count` operations go into the pool but for where it lies? */
static bool find_fragmented(hpw_part *part, const list *tried, size_t count) {
    uint64_t granule = part->question.granule, live = 0;
    memset(part->scratch, 0, part->slots * sizeof *part->scratch);
    for (size_t i = 0; i < count; i++) {
        const operation *op = &tried->operations[i];
        uint64_t *slot = &part->scratch[op->slot];
        uint64_t size = op->kind == HPW_TRACE_FREE ? 0 : (op->size + granule - 1) / granule;
        if (!size && op->kind != HPW_TRACE_FREE) size = 1;
        if (op->kind == HPW_TRACE_ALLOC) *slot = 0; /* what a dropped free left there is live all the same */
        live += size - *slot;
        *slot = size;
    }
    return live <= part->question.capacity / granule;
}

/* Cuts the list off behind its first `count` operations and numbers its blocks anew, without gaps. */
static void adopt(hpw_part *part, list adopted, size_t count) {
    hpw_part_counts counts = {.events = count};
    adopted.count = count;
    for (size_t i = 0; i < count; i++) {
        uint32_t *block = &adopted.blocks[i];
        uint8_t kind = adopted.operations[i].kind;
        if (kind == HPW_TRACE_ALLOC) part->numbers[*block] = (uint32_t)counts.blocks++;
        *block = part->numbers[*block];
        counts.changes += kind != HPW_TRACE_ALLOC;
        counts.sizes += kind != HPW_TRACE_FREE;
    }
    list other = adopted.operations == part->kept.operations ? part->tried : part->kept;
    part->kept = adopted;
    part->tried = other;
    part->counts = counts;
}

/* Replays what lies in `tried`; where it fails as it has to, it becomes the part. */
static hpw_error try(hpw_part *part, bool *fails) {
    size_t refused;
    *fails = false;
    hpw_error error = find_refused(part, &part->tried, &refused);
    if (error || refused == part->tried.count) return error;
    bool fragmented = find_fragmented(part, &part->tried, refused + 1);
    if (part->wants_fragmented && !fragmented) return HPW_OK;
    part->fragmented = fragmented;
    adopt(part, part->tried, refused + 1);
    *fails = true;
    return HPW_OK;
}

static void keep(list *to, const list *from, size_t i) {
    to->operations[to->count] = from->operations[i];
    to->blocks[to->count++] = from->blocks[i];
}

hpw_error hpw_part_drop_blocks(hpw_part *part, uint64_t first, uint64_t last, bool *fails) {
    const list *kept = &part->kept;
    part->tried.count = 0;
    for (size_t i = 0; i < kept->count; i++)
        if (kept->blocks[i] < first || kept->blocks[i] > last) keep(&part->tried, kept, i);
    return try(part, fails);
}

/* Leaves out the blocks that are marked. */
static hpw_error drop_marked(hpw_part *part, bool *fails) {
    const list *kept = &part->kept;
    part->tried.count = 0;
    for (size_t i = 0; i < kept->count; i++)
        if (!part->marked[kept->blocks[i]]) keep(&part->tried, kept, i);
    return try(part, fails);
}

hpw_error hpw_part_drop_freed(hpw_part *part, uint64_t events, bool *fails) {
    memset(part->marked, false, part->counts.blocks * sizeof *part->marked);
    for (size_t i = 0; i < part->kept.count && i < events; i++)
        if (part->kept.operations[i].kind == HPW_TRACE_FREE) part->marked[part->kept.blocks[i]] = true;
    return drop_marked(part, fails);
}

hpw_error hpw_part_drop_smaller(hpw_part *part, uint64_t size, bool *fails) {
    memset(part->marked, true, part->counts.blocks * sizeof *part->marked);
    for (size_t i = 0; i < part->kept.count; i++) {
        const operation *op = &part->kept.operations[i];
        if (op->kind != HPW_TRACE_FREE && op->size >= size) part->marked[part->kept.blocks[i]] = false;
    }
    return drop_marked(part, fails);
}

hpw_error hpw_part_drop_changes(hpw_part *part, uint64_t first, uint64_t last, bool *fails) {
    const list *kept = &part->kept;
    uint64_t number = 0;
    part->tried.count = 0;
    for (size_t i = 0; i < kept->count; i++) {
        bool change = kept->operations[i].kind != HPW_TRACE_ALLOC;
        if (!change || number < first || number > last) keep(&part->tried, kept, i);
        number += change;
    }
    return try(part, fails);
}

/* The operation that is the allocation or resize with this number. */
static size_t find_sized(const hpw_part *part, uint64_t number) {
    for (size_t i = 0; i < part->kept.count; i++)
        if (part->kept.operations[i].kind != HPW_TRACE_FREE && number-- == 0) return i;
    return part->kept.count;
}

hpw_error hpw_part_set_size(hpw_part *part, uint64_t number, uint64_t size, bool *fails) {
    size_t at = find_sized(part, number);
    *fails = false;
    if (at == part->kept.count) return HPW_OK;
    part->tried.count = 0;
    for (size_t i = 0; i < part->kept.count; i++) keep(&part->tried, &part->kept, i);
    part->tried.operations[at].size = size;
    return try(part, fails);
}

uint64_t hpw_part_size(const hpw_part *part, uint64_t number) {
    size_t at = find_sized(part, number);
    return at == part->kept.count ? 0 : part->kept.operations[at].size;
}

hpw_trace_event hpw_part_event(const hpw_part *part, uint64_t i) {
    const operation *op = &part->kept.operations[i];
    return (hpw_trace_event){
        .kind = (hpw_trace_kind)op->kind,
        .id = (uint64_t)part->kept.blocks[i] + 1,
        .size = op->size,
        .alignment = op->align_bits ? (uint64_t)1 << op->align_bits : 0,
    };
}

/* ---- Opening ------------------------------------------------------------------ */

static bool list_open(list *opened, size_t room) {
    opened->operations = malloc(room * sizeof *opened->operations);
    opened->blocks = malloc(room * sizeof *opened->blocks);
    return opened->operations && opened->blocks;
}

/* Numbers the blocks of the whole program, in `kept`; how many there are. */
static size_t number_blocks(hpw_part *part) {
    size_t count = 0;
    for (size_t i = 0; i < part->kept.count; i++) {
        const operation *op = &part->kept.operations[i];
        if (op->kind == HPW_TRACE_ALLOC) part->scratch[op->slot] = count++;
        part->kept.blocks[i] = (uint32_t)part->scratch[op->slot];
    }
    return count;
}

/* The part's memory, with the program's first `count` operations in it. */
static bool fill(hpw_part *part, const hpw_program *program, size_t count) {
    if (!list_open(&part->kept, count) || !list_open(&part->tried, count)) return false;
    memcpy(part->kept.operations, program->operations, count * sizeof *program->operations);
    part->kept.count = count;
    part->scratch = calloc(part->slots + 1, sizeof *part->scratch);
    if (!part->scratch) return false;
    size_t blocks_of_all = number_blocks(part);
    part->numbers = malloc((blocks_of_all + 1) * sizeof *part->numbers);
    part->marked = malloc((blocks_of_all + 1) * sizeof *part->marked);
    return part->numbers && part->marked;
}

hpw_part *hpw_part_open(const hpw_program *program, const hpw_question *question, hpw_error *error) {
    hpw_part *part = calloc(1, sizeof *part);
    *error = HPW_NO_MEMORY;
    if (!part) return NULL;
    part->question = *question;
    if (!part->question.granule) part->question.granule = 16;
    part->slots = program->slots;
    part->largest_align = program->largest_align;
    size_t refused = 0;
    *error = question->capacity ? HPW_OK : HPW_INVALID_ARGUMENT;
    if (!*error)
        *error =
            find_refused(part, &(list){.operations = program->operations, .count = program->count}, &refused);
    if (!*error && refused == program->count) *error = HPW_LIMIT;
    if (!*error && !fill(part, program, refused + 1)) *error = HPW_NO_MEMORY;
    if (*error) {
        hpw_part_close(part);
        return NULL;
    }
    adopt(part, part->kept, refused + 1);
    part->fragmented = find_fragmented(part, &part->kept, refused + 1);
    part->wants_fragmented = part->fragmented;
    return part;
}
