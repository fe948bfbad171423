/* SPDX-License-Identifier: MIT */
/*
 * A trace that fits in a pool and fails in a larger one: for each policy and order
 * but first fit by address and bump, the shortest that a random search found. They
 * are why a bisection alone would be unsound, and what the search has to report.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "replay.h"
#include "replay_run.h"

typedef struct reversal {
    const char *policy;
    hpw_order order;
    const char *events; /* granules: +3 allocates 3, -0 frees the first one allocated */
    uint64_t fits, fails;
} reversal;

/* hpw_order: 0 address, 1 fifo, 2 lifo, 3 random (seed 0). */
static const reversal reversals[] = {
    {"best-fit", 0, "+3 +3 +2 -1 +2 -0 +5", 10, 11},
    {"best-fit", 1, "+1 +5 +3 +7 +5 -2 +3 -1 +8", 24, 25},
    {"best-fit", 2, "+3 +3 +2 -1 +2 -0 +5", 10, 11},
    {"best-fit", 3, "+8 +5 +4 -1 +7", 19, 21},
    {"first-fit", 1, "+3 +6 -0 +8 +4 -2 +5 -4 +4 +6 +3 -6", 25, 26},
    {"first-fit", 2, "+7 +1 +8 -1 +1 +6 +3 -0 +3 -5 +4 -4 +3 +5 +1", 25, 26},
    {"first-fit", 3, "+8 +8 +4 +8", 29, 30},
    {"next-fit", 0, "+4 +4 -0 +6 +4 -3 +3 -1 +7", 17, 18},
    {"worst-fit", 0, "+4 +3 -0 +2 +8 +2 -3 +6 +5", 20, 22},
    {"worst-fit", 1, "+6 +4 -0 +1 +3 -1 +5 -3 +6", 15, 16},
    {"worst-fit", 2, "+3 +4 +4 +3 -3 -0 +3 -2 +7", 14, 15},
    {"worst-fit", 3, "+1 +4 +3 -1 +7 +1", 12, 13},
    {"good-fit", 0, "+3 +3 +2 -1 +2 -0 +5", 10, 11},
    {"buddy", 0, "+14 +6 -0 +18", 40, 48},
    {"slab", 0, "+258 +6 +27 +280", 572, 768},
};

enum { GRANULE = 16, MOST_EVENTS = 64, COUNT = sizeof reversals / sizeof *reversals };

static hpw_program read_events(const char *text, operation *operations) {
    hpw_program program = {.operations = operations};
    for (char *next; *text; text = *next ? next + 1 : next) {
        unsigned long number = strtoul(text + 1, &next, 10);
        if (*text == '+')
            operations[program.count++] = (operation){
                .size = number * GRANULE, .slot = (uint32_t)program.slots++, .kind = HPW_TRACE_ALLOC};
        else
            operations[program.count++] = (operation){.slot = (uint32_t)number, .kind = HPW_TRACE_FREE};
    }
    return program;
}

static bool fits(const hpw_program *program, const hpw_question *question, uint64_t granules) {
    replay run;
    bool found = false;
    if (!CHECK_EQ(replay_open(program, question, granules * GRANULE, NULL, &run), HPW_OK)) return false;
    replay_fits(&run, NULL, &found);
    replay_close(&run);
    return found;
}

static void the_larger_pool_fails(void) {
    for (size_t i = 0; i < COUNT; i++) {
        const reversal *r = &reversals[i];
        operation operations[MOST_EVENTS];
        hpw_program program = read_events(r->events, operations);
        hpw_question question = {.policy = r->policy, .order = r->order, .granule = GRANULE};
        if (!CHECK(fits(&program, &question, r->fits)) || !CHECK(!fits(&program, &question, r->fails)))
            printf("%s, order %d\n", r->policy, (int)r->order);
    }
}

/* The smallest is below a capacity that fails: found, exact, and the reversal told. */
static void the_search_tells_it(void) {
    for (size_t i = 0; i < COUNT; i++) {
        const reversal *r = &reversals[i];
        operation operations[MOST_EVENTS];
        hpw_program program = read_events(r->events, operations);
        hpw_question question = {
            .policy = r->policy, .order = r->order, .granule = GRANULE, .smallest = true, .reversals = true};
        hpw_answer answer;
        CHECK_EQ(hpw_ask(&program, &question, NULL, &answer), HPW_OK);
        uint64_t least = hpw_program_lower_bound(&program, GRANULE) / GRANULE;
        while (!fits(&program, &question, least)) least++;
        CHECK_EQ(answer.smallest_pool, least * GRANULE);
        CHECK(answer.smallest_exact);
        bool told = answer.reversals > 0;
        if (told) {
            const hpw_reversal *first = &answer.reversal[0];
            told = fits(&program, &question, first->fits / GRANULE) && first->fits < first->fails_from &&
                   first->fails_from <= first->fails_to;
            for (uint64_t c = first->fails_from; told && c <= first->fails_to; c += GRANULE)
                told = !fits(&program, &question, c / GRANULE);
        }
        if (!CHECK(told)) printf("%s, order %d\n", r->policy, (int)r->order);
    }
}

/* Each policy is declared monotone, or has its counterexample here. */
static void every_policy_is_known(void) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++)
        for (hpw_order order = 0; order < HPW_ORDER_COUNT; order++) {
            if (order && !info->takes_order) continue;
            bool known = info->monotone && order == HPW_ORDER_ADDRESS;
            for (size_t k = 0; k < COUNT; k++)
                known = known || (!strcmp(reversals[k].policy, info->name) && reversals[k].order == order);
            if (!CHECK(known)) printf("%s, order %d\n", info->name, (int)order);
        }
}

/* ---- The control: those that are declared monotone never turn ---- */

static uint64_t state = 88172645463325252U;

static uint64_t below(uint64_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % n;
}

static hpw_program random_program(operation *operations) {
    hpw_program program = {.operations = operations};
    uint32_t live[MOST_EVENTS];
    size_t held = 0;
    for (unsigned i = 0; i < 24; i++) {
        if (held && below(5) < 2) {
            size_t pick = below(held);
            operations[program.count++] = (operation){.slot = live[pick], .kind = HPW_TRACE_FREE};
            live[pick] = live[--held];
        } else {
            live[held++] = (uint32_t)program.slots;
            operations[program.count++] = (operation){
                .size = (1 + below(8)) * GRANULE, .slot = (uint32_t)program.slots++, .kind = HPW_TRACE_ALLOC};
        }
    }
    return program;
}

static void monotone_policies_never_turn(void) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)); i++) {
        if (!info->monotone) continue;
        for (unsigned round = 0; round < 300; round++) {
            operation operations[MOST_EVENTS];
            hpw_program program = random_program(operations);
            hpw_question question = {.policy = info->name, .granule = GRANULE};
            bool fitted = false;
            uint64_t least = hpw_program_lower_bound(&program, GRANULE) / GRANULE;
            for (uint64_t capacity = least; capacity < least + 40; capacity++) {
                bool now = fits(&program, &question, capacity);
                CHECK(now || !fitted);
                fitted = fitted || now;
            }
        }
    }
}

/* Where not every capacity is run, what is found is an edge: a granule less fails. */
static void a_sample_ends_at_an_edge(void) {
    enum { EVENTS = 40000, LIVE = 64 };
    static operation operations[EVENTS];
    hpw_program program = {.operations = operations, .slots = LIVE};
    bool live[LIVE] = {false};
    for (; program.count < EVENTS; program.count++) {
        uint32_t slot = (uint32_t)below(LIVE);
        operations[program.count] =
            live[slot]
                ? (operation){.slot = slot, .kind = HPW_TRACE_FREE}
                : (operation){.size = (1 + below(1000)) * GRANULE, .slot = slot, .kind = HPW_TRACE_ALLOC};
        live[slot] = !live[slot];
    }
    hpw_question question = {.policy = "next-fit", .granule = GRANULE, .smallest = true};
    hpw_answer answer;
    CHECK_EQ(hpw_ask(&program, &question, NULL, &answer), HPW_OK);
    CHECK(!answer.smallest_exact);
    CHECK(fits(&program, &question, answer.smallest_pool / GRANULE));
    CHECK(!fits(&program, &question, answer.smallest_pool / GRANULE - 1));
}

/* The same answer, field by field, from no crew and from crews of any number. */
static void crews_change_nothing(void) {
    for (size_t i = 0; i < COUNT; i++) {
        operation operations[MOST_EVENTS];
        hpw_program program = read_events(reversals[i].events, operations);
        hpw_question question = {
            .policy = reversals[i].policy, .order = reversals[i].order, .smallest = true, .reversals = true};
        hpw_answer alone, together;
        memset(&alone, 0, sizeof alone);
        memset(&together, 0, sizeof together);
        CHECK_EQ(hpw_ask(&program, &question, NULL, &alone), HPW_OK);
        question.crew = hpw_crew_open(1 + i % 5);
        if (!CHECK(question.crew != NULL)) return;
        CHECK_EQ(hpw_ask(&program, &question, NULL, &together), HPW_OK);
        hpw_crew_close(question.crew);
        CHECK_EQ(alone.smallest_pool, together.smallest_pool);
        CHECK_EQ(alone.runs, together.runs);
        CHECK_EQ(alone.reversals, together.reversals);
        CHECK(!memcmp(alone.reversal, together.reversal, sizeof alone.reversal));
    }
}

int main(void) {
    the_larger_pool_fails();
    the_search_tells_it();
    every_policy_is_known();
    monotone_policies_never_turn();
    a_sample_ends_at_an_edge();
    crews_change_nothing();
    return CHECK_DONE();
}
