/* SPDX-License-Identifier: MIT */
/* Measuring replays: see replays.h. */
#include "replays.h"

#include <stdio.h>
#include <stdlib.h>

#include "replay_run.h"

/* ns an event; negative where the pool is too small, or is none. */
static double replay_once(const hpw_program *program, const hpw_config *config, uint64_t capacity,
                          replay_arena *arena) {
    hpw_question question = {.policy = config->policy, .order = config->order, .granule = 16};
    replay run;
    bool fits = false;
    if (replay_open(program, &question, capacity, arena, &run)) return -1;
    uint64_t begin = cpu_nanoseconds();
    replay_fits(&run, NULL, &fits);
    uint64_t took = cpu_nanoseconds() - begin;
    replay_close(&run);
    return fits ? (double)took / (double)program->count : -1;
}

/* The least power of two in which it fits; 0: none. */
static uint64_t find_capacity(const hpw_program *program, const hpw_config *config, replay_arena *arena) {
    uint64_t capacity = 16, most = hpw_max_capacity(16);
    while (capacity < program->summary.lower_bound) capacity *= 2;
    for (; capacity <= most; capacity *= 2)
        if (replay_once(program, config, capacity, arena) >= 0) return capacity;
    return 0;
}

bool measure_replays(backend *list, size_t count, const char *path, int rounds, row *rows, workload *w) {
    hpw_trace_error error;
    hpw_program *program = hpw_program_load(path, &error);
    uint64_t capacities[MAX_BACKENDS] = {0};
    replay_arena arena = {NULL, 0};
    if (!program) {
        fprintf(stderr, "%s\n", error.message);
        return false;
    }
    *w = (workload){.name = "replay", .count = program->count, .peak = program->summary.peak_in_use};
    for (size_t i = 0; i < count; i++) {
        if (program->count && list[i].is_pool && list[i].config.single_threaded)
            capacities[i] = find_capacity(program, &list[i].config, &arena);
        rows[i].timed = capacities[i] > 0;
    }
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++)
            if (rows[i].timed)
                rows[i].ns[round] = replay_once(program, &list[i].config, capacities[i], &arena);
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].timed) continue;
        row_summarise(&rows[i], rounds);
        rows[i].events_per_second = 1e9 / rows[i].ns_per_op;
    }
    replay_arena_free(&arena);
    hpw_program_free(program);
    return true;
}
