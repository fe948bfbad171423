/* SPDX-License-Identifier: MIT */
/*
 * Offline packing: thousands of tiny traces beside an exhaustive search of another
 * kind, instances whose optimum is known since they were cut out of a rectangle,
 * sizes up to 2^63, and memory that fails at each of its requests.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "failing_memory.h"
#include "packing.h"
#include "replay_run.h"

/* ---- Programs ---- */

enum { MOST = 8192 };

typedef struct trace {
    hpw_program program;
    operation operations[MOST];
} trace;

static uint64_t state = 88172645463325252U;

static uint64_t below(uint64_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % n;
}

static void begin(trace *t) {
    memset(&t->program, 0, sizeof t->program);
    t->program.operations = t->operations;
}

static uint32_t allocate(trace *t, uint64_t size, unsigned align_bits) {
    t->operations[t->program.count++] = (operation){.size = size,
                                                    .slot = (uint32_t)t->program.slots,
                                                    .kind = HPW_TRACE_ALLOC,
                                                    .align_bits = (uint8_t)align_bits};
    return (uint32_t)t->program.slots++;
}

static void release(trace *t, uint32_t slot) {
    t->operations[t->program.count++] = (operation){.slot = slot, .kind = HPW_TRACE_FREE};
}

static void resize(trace *t, uint32_t slot, uint64_t size) {
    t->operations[t->program.count++] = (operation){.size = size, .slot = slot, .kind = HPW_TRACE_RESIZE};
}

/* At most so many pieces, so that all of their arrangements can be tried. */
static void random_trace(trace *t, unsigned pieces, unsigned largest, bool aligned) {
    uint32_t live[MOST];
    size_t held = 0;
    begin(t);
    for (unsigned made = 0; made < pieces;) {
        size_t pick = held ? below(held) : 0;
        uint64_t size = 1 + below(largest);
        if (held && below(5) < 2) {
            release(t, live[pick]);
            live[pick] = live[--held];
        } else if (held && below(6) == 0) {
            resize(t, live[pick], size);
            made++;
        } else {
            live[held++] = allocate(t, size, aligned && below(3) == 0 ? (unsigned)below(4) : 0);
            made++;
        }
    }
}

/* ---- The optimum, by trying all addresses of all pieces ---- */

typedef struct block {
    uint64_t begin, end, size, align, at;
} block;

static size_t cut(const trace *t, block *blocks) {
    size_t count = 0;
    for (size_t i = 0; i < t->program.count; i++) {
        const operation *op = &t->operations[i];
        if (op->kind == HPW_TRACE_FREE) continue;
        block *b = &blocks[count++];
        *b = (block){i, t->program.count, op->size, (uint64_t)1 << op->align_bits, 0};
        for (size_t k = i + 1; k < t->program.count && b->end == t->program.count; k++)
            if (t->operations[k].slot == op->slot) b->end = k;
        for (size_t k = i; k-- > 0;) /* a resize keeps the alignment */
            if (t->operations[k].slot == op->slot && t->operations[k].kind == HPW_TRACE_ALLOC)
                b->align = (uint64_t)1 << t->operations[k].align_bits;
    }
    return count;
}

static bool try_all(block *blocks, size_t placed, size_t count, uint64_t height) {
    if (placed == count) return true;
    block *own = &blocks[placed];
    for (own->at = 0; own->at + own->size <= height; own->at += own->align) {
        bool meets = false;
        for (size_t i = 0; i < placed && !meets; i++) {
            const block *other = &blocks[i];
            meets = other->begin < own->end && own->begin < other->end && other->at < own->at + own->size &&
                    own->at < other->at + other->size;
        }
        if (!meets && try_all(blocks, placed + 1, count, height)) return true;
    }
    return false;
}

/* With granule 1. A resize to the same size is one block in two: they may lie apart, which is no gain. */
static uint64_t optimum(const trace *t) {
    block blocks[MOST];
    size_t count = cut(t, blocks);
    uint64_t height = hpw_program_lower_bound(&t->program, 1);
    while (!try_all(blocks, 0, count, height)) height++;
    return height;
}

/* ---- Tests ---- */

static hpw_packing pack(const trace *t, uint32_t granule, bool heuristic) {
    hpw_packing packing;
    hpw_packing_question question = {.granule = granule, .heuristic = heuristic};
    size_t at;
    CHECK_EQ(hpw_pack(&t->program, &question, NULL, &packing), HPW_OK);
    CHECK_EQ(hpw_packing_check(&t->program, granule, &packing, &at), HPW_OK);
    CHECK(packing.lower_bound >= hpw_program_lower_bound(&t->program, granule));
    CHECK_EQ(packing.proved, packing.pool == packing.lower_bound);
    return packing;
}

static void the_optimum_is_found(void) {
    static trace t;
    unsigned above_peak = 0, proved = 0;
    for (unsigned round = 0; round < 4000; round++) {
        random_trace(&t, 3 + (unsigned)below(6), 6, round & 1);
        uint64_t least = optimum(&t);
        hpw_packing packing = pack(&t, 1, false), quick = pack(&t, 1, true);
        if (!CHECK_EQ(packing.pool, least)) printf("round %u, %s\n", round, packing.method);
        CHECK(packing.proved);
        CHECK(quick.pool >= least && quick.lower_bound <= least && !quick.nodes);
        above_peak += least > hpw_program_lower_bound(&t.program, 1);
        proved += quick.pool == least;
        hpw_packing_free(&packing);
        hpw_packing_free(&quick);
    }
    CHECK(above_peak > 20); /* or nothing would have been proved */
    CHECK(proved < 4000);
    printf("of 4000 optima %u above the peak; heuristics found %u\n", above_peak, proved);
}

/* No run of any policy needs less than the optimum, resizes and all. */
static void no_policy_is_below(void) {
    static trace t;
    const hpw_policy_info *info;
    for (unsigned round = 0; round < 300; round++) {
        random_trace(&t, 8, 100, false);
        hpw_packing packing = pack(&t, 16, false);
        for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
            hpw_question question = {.policy = info->name, .granule = 16, .smallest = true};
            hpw_answer answer;
            CHECK_EQ(hpw_ask(&t.program, &question, NULL, &answer), HPW_OK);
            if (!CHECK(answer.smallest_pool >= packing.lower_bound)) printf("%s\n", info->name);
        }
        hpw_packing_free(&packing);
    }
}

/* Cuts a rectangle of time and space into blocks: the optimum is its height, packed without a gap. */
static size_t cut_rectangle(block *out, uint64_t from, uint64_t to, uint64_t height, unsigned depth) {
    bool in_time = below(2);
    if (!depth || (to - from < 2 && height < 2)) {
        *out = (block){.begin = from, .end = to, .size = height};
        return 1;
    }
    if (to - from < 2) in_time = false;
    if (height < 2) in_time = true;
    if (in_time) {
        uint64_t middle = from + 1 + below(to - from - 1);
        size_t count = cut_rectangle(out, from, middle, height, depth - 1);
        return count + cut_rectangle(out + count, middle, to, height, depth - 1);
    }
    uint64_t low = 1 + below(height - 1);
    size_t count = cut_rectangle(out, from, to, low, depth - 1);
    return count + cut_rectangle(out + count, from, to, height - low, depth - 1);
}

static void play(trace *t, const block *blocks, size_t count, uint64_t moments) {
    uint32_t slots[MOST];
    begin(t);
    for (uint64_t now = 0; now < moments; now++) {
        for (size_t i = 0; i < count; i++)
            if (blocks[i].end == now) release(t, slots[i]);
        for (size_t i = 0; i < count; i++)
            if (blocks[i].begin == now) slots[i] = allocate(t, blocks[i].size * 16, 0);
    }
}

static void known_optima_are_approached(void) {
    const uint64_t height = 4096, bytes = height * 16;
    static trace t;
    static block blocks[MOST];
    unsigned reached = 0, rounds = 12;
    double worst = 0;
    for (unsigned round = 0; round < rounds; round++) {
        size_t count = cut_rectangle(blocks, 0, 200, height, 5 + round / 4);
        play(&t, blocks, count, 200);
        hpw_packing packing = pack(&t, 16, false);
        CHECK(packing.pool >= bytes);
        double over = (double)packing.pool / (double)bytes - 1;
        if (over > worst) worst = over;
        reached += packing.proved;
        CHECK(!packing.proved || packing.pool == bytes);
        hpw_packing_free(&packing);
    }
    printf("known optima: %u of %u reached, the worst %.1f %% above\n", reached, rounds, 100 * worst);
    CHECK(worst < 0.10);
    CHECK(reached >= rounds / 2);
}

static void damage_is_found(void) {
    static trace t;
    size_t at;
    for (unsigned round = 0; round < 200; round++) {
        random_trace(&t, 30, 50, true);
        hpw_packing packing = pack(&t, 16, true);
        size_t victim = below(packing.count);
        hpw_piece *piece = &packing.pieces[victim], whole = *piece;
        piece->address += 8;
        CHECK_EQ(hpw_packing_check(&t.program, 16, &packing, &at), HPW_CORRUPTED);
        CHECK_EQ(at, victim);
        *piece = whole, piece->address = packing.pool;
        CHECK_EQ(hpw_packing_check(&t.program, 16, &packing, &at), HPW_CORRUPTED);
        *piece = whole, piece->size += 16;
        CHECK_EQ(hpw_packing_check(&t.program, 16, &packing, &at), HPW_CORRUPTED);
        *piece = whole, piece->end++;
        CHECK_EQ(hpw_packing_check(&t.program, 16, &packing, &at), HPW_CORRUPTED);
        *piece = whole, packing.count--;
        CHECK_EQ(hpw_packing_check(&t.program, 16, &packing, &at), HPW_CORRUPTED);
        packing.count++;
        hpw_packing_free(&packing);
    }
}

/* Two that live together, at one address. */
static void overlaps_are_found(void) {
    static trace t;
    size_t at;
    begin(&t);
    allocate(&t, 64, 0);
    allocate(&t, 64, 0);
    hpw_packing packing = pack(&t, 16, true);
    CHECK_EQ(packing.pool, 128);
    for (uint64_t address = 16; address < 64; address += 16) {
        packing.pieces[0].address = 0;
        packing.pieces[1].address = address;
        CHECK_EQ(hpw_packing_check(&t.program, 16, &packing, &at), HPW_CORRUPTED);
        CHECK_EQ(at, 1);
    }
    hpw_packing_free(&packing);
}

static void edges(void) {
    static trace t;
    begin(&t);
    hpw_packing none = pack(&t, 16, false);
    CHECK_EQ(none.pool, 0);
    CHECK(none.proved);
    hpw_packing_free(&none);

    allocate(&t, 0, 0);
    hpw_packing one = pack(&t, 16, false);
    CHECK_EQ(one.pool, 16);
    CHECK_EQ(one.pieces[0].end, 1);
    hpw_packing_free(&one);

    begin(&t);
    for (unsigned i = 0; i < 1000; i++) allocate(&t, i, 0);
    hpw_packing unfreed = pack(&t, 16, false);
    CHECK(unfreed.proved && unfreed.pool == hpw_program_lower_bound(&t.program, 16));
    hpw_packing_free(&unfreed);
    hpw_packing_question question = {.granule = 24};
    CHECK_EQ(hpw_pack(&t.program, &question, NULL, &unfreed), HPW_INVALID_ARGUMENT);
    const atomic_bool stop = true;
    question.granule = 16;
    CHECK_EQ(hpw_pack(&t.program, &question, &stop, &unfreed), HPW_LIMIT);
    CHECK(!unfreed.pieces);
}

/* A resize within its granules stays; to another number of them it begins a piece; all keep the alignment. */
static void resizes(void) {
    static trace t;
    begin(&t);
    uint32_t slot = allocate(&t, 20, 8);
    resize(&t, slot, 32);
    resize(&t, slot, 33);
    release(&t, slot);
    hpw_packing packing = pack(&t, 16, false);
    CHECK_EQ(packing.count, 2);
    CHECK_EQ(packing.pieces[0].begin, 0);
    CHECK_EQ(packing.pieces[0].end, 2);
    CHECK_EQ(packing.pieces[1].size, 48);
    CHECK_EQ(packing.pieces[1].alignment, 256);
    CHECK_EQ(packing.pool, 48); /* the second over the first: a resize moves */
    hpw_packing_free(&packing);
}

/* No memory of the blocks' size is needed; what would end past 2^63 - 1 is told. */
static void large_sizes(void) {
    static trace t;
    begin(&t);
    uint32_t first = allocate(&t, (uint64_t)INT64_MAX / 4, 0), second = allocate(&t, (uint64_t)1 << 61, 0);
    release(&t, first);
    allocate(&t, (uint64_t)1 << 60, 0);
    release(&t, second);
    allocate(&t, (uint64_t)3 << 60, 0);
    for (uint32_t granule = 1; granule <= 4096; granule *= 16) {
        hpw_packing packing = pack(&t, granule, false);
        CHECK(packing.pool >= (uint64_t)1 << 62);
        hpw_packing_free(&packing);
    }
    begin(&t);
    allocate(&t, (uint64_t)INT64_MAX - 15, 0);
    hpw_packing whole = pack(&t, 16, false);
    CHECK_EQ(whole.pool, (uint64_t)INT64_MAX - 15);
    hpw_packing_free(&whole);
    allocate(&t, 1, 40); /* the next multiple of 2^40 is past the end */
    hpw_packing_question question = {.granule = 16};
    hpw_error error = hpw_pack(&t.program, &question, NULL, &whole);
    CHECK(error == HPW_OK || error == HPW_LIMIT);
    hpw_packing_free(&whole);
    begin(&t);
    allocate(&t, (uint64_t)INT64_MAX, 0);
    CHECK_EQ(hpw_pack(&t.program, &question, NULL, &whole), HPW_LIMIT); /* 2^63, in granules of 16 */
}

static void the_same_every_time(void) {
    static trace t;
    random_trace(&t, 120, 1000, true);
    hpw_packing first = pack(&t, 16, false), second = pack(&t, 16, false);
    CHECK_EQ(first.pool, second.pool);
    CHECK_EQ(first.nodes, second.nodes);
    CHECK_EQ(first.count, second.count);
    CHECK(!memcmp(first.pieces, second.pieces, first.count * sizeof *first.pieces));
    hpw_packing_free(&first);
    hpw_packing_free(&second);
}

static void memory_fails_anywhere(void) {
    static trace t;
    static block blocks[MOST];
    play(&t, blocks, cut_rectangle(blocks, 0, 60, 512, 5), 60);
    hpw_packing_question question = {.granule = 16, .nodes = 3000};
    hpw_error error = HPW_NO_MEMORY;
    unsigned long number = 0;
    while (error) {
        hpw_packing packing;
        requests = 0;
        fail_at = ++number;
        error = hpw_pack(&t.program, &question, NULL, &packing);
        fail_at = 0;
        CHECK(error == HPW_OK || error == HPW_NO_MEMORY);
        CHECK(error == HPW_OK || !packing.pieces);
        hpw_packing_free(&packing);
    }
    CHECK(number > 20);
}

int main(void) {
    the_optimum_is_found();
    no_policy_is_below();
    known_optima_are_approached();
    damage_is_found();
    overlaps_are_found();
    edges();
    resizes();
    large_sizes();
    the_same_every_time();
    memory_fails_anywhere();
    return CHECK_DONE();
}
