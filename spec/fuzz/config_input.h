/* SPDX-License-Identifier: MIT */
/* A pool's configuration from a fuzzer's input: any, and one that is not refused. */
#ifndef HPW_CONFIG_INPUT_H
#define HPW_CONFIG_INPUT_H

#include <string.h>

#include "heapwright.h"
#include "input.h"

/* A lock of the host's that is never taken twice, never given back twice; `ud` is its int. */
static inline void lock_host(void *ud) { DEMAND((*(int *)ud)++ == 0); }
static inline void unlock_host(void *ud) { DEMAND(--*(int *)ud == 0); }

#ifdef HPW_NONE
static inline uint64_t draw_reserve(input *in) {
    uint8_t kind = take_byte(in);
    return kind < 64 ? 0 : kind < 128 ? HPW_NONE : (uint64_t)(kind - 127) * (kind & 7);
}
#endif

/* Slab's size classes, mostly the usual ones. */
static inline void draw_classes(input *in, hpw_config *config) {
    uint8_t count = take_byte(in);
    if (count & 1) return;
    uint32_t granules = 0;
    for (unsigned i = 0; i <= count / 2 % HPW_MOST_CLASSES; i++) {
        granules += 1 + take_byte(in) % 8;
        config->classes[i] = granules * config->granule;
    }
}

/* Everything but the capacity. `locked`: of the host's lock. */
static inline void draw_config(input *in, hpw_config *config, int *locked) {
    size_t policies = 0;
    while (hpw_policy_at(policies)) policies++;
    config->policy = hpw_policy_at(take_byte(in) % policies)->name;
    config->order = (hpw_order)(take_byte(in) % HPW_ORDER_COUNT);
    if (config->order == HPW_ORDER_RANDOM) config->seed = take_byte(in);
    config->guard = (hpw_guard)(take_byte(in) % HPW_GUARD_COUNT);
    uint8_t granule = take_byte(in);
    config->granule = granule & 1 ? 16 : 8U << granule / 2 % 10;
    switch (take_byte(in) % 4) {
    case 0:
        config->single_threaded = true;
        break;
    case 1:
        config->host = (hpw_host){.ud = locked, .lock = lock_host, .unlock = unlock_host};
        break;
    case 2:
        config->thread_caches = 2;
        break;
    default:
        break;
    }
    if (strcmp(config->policy, "slab") == 0) draw_classes(in, config);
#ifdef HPW_NONE
    if (config->guard != HPW_GUARD_FULL) return;
    config->red_zone = draw_reserve(in);
    config->quarantine = draw_reserve(in);
#endif
}

/* Takes out what contradicts the rest, so that there is a pool. */
static inline void mend_config(hpw_config *config, bool mapped) {
    const hpw_policy_info *info = hpw_policy_at(0);
    for (size_t i = 0; info && strcmp(info->name, config->policy) != 0; i++) info = hpw_policy_at(i + 1);
    DEMAND(info);
    if (!info->takes_order || config->granule < 16) config->order = HPW_ORDER_ADDRESS, config->seed = 0;
    if (!mapped) config->max_capacity = 0;
    for (unsigned i = 0; i < HPW_MOST_CLASSES; i++) {
        if (!info->takes_classes || config->classes[i] > HPW_LARGEST_CLASS * config->granule)
            config->classes[i] = 0;
    }
    if (!info->takes_caches || config->granule != 16 || config->max_capacity > config->capacity)
        config->thread_caches = 0;
#ifdef HPW_NONE
    if (config->guard == HPW_GUARD_FULL) config->thread_caches = 0;
#endif
}

/* For whoever reads a crash. */
static inline void tell_config(const hpw_config *config, const char *where) {
    TELL("%s, order %d, seed %llu, guard %d, granule %u, capacity %llu to %llu, %s, %s%s, caches %u, classes "
         "from %u, %u\n",
         config->policy, (int)config->order, (unsigned long long)config->seed, (int)config->guard,
         config->granule, (unsigned long long)config->capacity, (unsigned long long)config->max_capacity,
         where, config->single_threaded ? "unlocked" : "locked", config->host.lock ? " by the host" : "",
         config->thread_caches, config->classes[0], config->classes[1]);
}

#endif
