/* SPDX-License-Identifier: MIT */
/*
 * A pool's configuration and layout, and opening one in the caller's buffer:
 *
 *      | hpw_pool | lock | block map | policy's state | ... | pool's bytes ... |
 *
 * Everything but the bytes is «metadata». backing.c lays the same out in two
 * mappings of the system's.
 */
#include "guard.h"
#include "policy/slot_classes.h"
#ifndef HPW_FREESTANDING
#include "caches.h"
#endif

enum { DEFAULT_GRANULE = 16, LEAST_GRANULE = 8, LARGEST_GRANULE = 4096, BYTES_ALIGN = 16 };
enum { DEFAULT_CAPACITY = 1024 * 1024, GROWTH_STEP = 64 * 1024, LEAST_STEP = 256 };

uint64_t hpw_max_capacity(uint32_t granule) {
    return (((uint64_t)1 << 32) - WORD_BITS) * (granule ? granule : DEFAULT_GRANULE);
}

static size_t round16(size_t size) { return (size + 15) / 16 * 16; }

static bool takes_caches(const hpw_config *config, const policy *chosen) {
    return chosen->caches && config->thread_caches <= HPW_MOST_THREAD_CACHES && !config->single_threaded &&
           !config->host.lock && config->granule == 1 << PLAIN_SHIFT && config->guard != HPW_GUARD_FULL &&
           config->max_capacity == config->capacity;
}

/* Are the classes those of a pool with this policy and granule? */
static bool classes_fit(const hpw_config *config, const policy *chosen) {
    uint32_t any = 0;
    for (size_t i = 0; i < HPW_MOST_CLASSES; i++) any |= config->classes[i];
    return !any ||
           (chosen->info.takes_classes && slot_classes_valid(config->classes, bits_lowest(config->granule)));
}

/* How long the text is, `most` at most. */
static size_t strlen_to(const char *text, size_t most) {
    size_t length = 0;
    while (length < most && text[length]) length++;
    return length;
}

/* The policy that the config names, or brings; NULL: neither. */
static const policy *policy_asked(const hpw_config *config) {
    const policy *named = policy_named(config->policy);
    if (!config->chooser.choose) return named;
    return named || !config->policy[0] || strlen_to(config->policy, HPW_POLICY_NAME + 1) > HPW_POLICY_NAME
               ? NULL
               : &policy_chosen;
}

hpw_error pool_config(hpw_config *config) {
    if (!config->policy) config->policy = config->chooser.choose ? POLICY_CHOSEN : policy_at(0)->info.name;
    if (!config->capacity) config->capacity = DEFAULT_CAPACITY;
    if (!config->max_capacity) config->max_capacity = config->capacity;
    if (config->max_capacity < config->capacity) return HPW_INVALID_ARGUMENT;
    if (!config->granule) config->granule = DEFAULT_GRANULE;
    uint32_t granule = config->granule;
    const policy *chosen = policy_asked(config);
    if (!chosen || granule < LEAST_GRANULE || granule > LARGEST_GRANULE || (granule & (granule - 1)))
        return HPW_INVALID_ARGUMENT;
    config->capacity -= config->capacity % granule;
    config->max_capacity -= config->max_capacity % granule;
    if (!config->capacity) return HPW_INVALID_ARGUMENT;
    if (config->max_capacity > hpw_max_capacity(granule)) return HPW_INVALID_ARGUMENT;
    if ((unsigned)config->order >= HPW_ORDER_COUNT || (unsigned)config->guard >= HPW_GUARD_COUNT)
        return HPW_INVALID_ARGUMENT;
    if (config->guard != HPW_GUARD_FULL && (config->red_zone || config->quarantine))
        return HPW_INVALID_ARGUMENT;
    const policy *placing = policy_in_order(chosen, config->order);
    if (!placing || (config->order != HPW_ORDER_ADDRESS && granule < placing->least_ordered_granule))
        return HPW_INVALID_ARGUMENT;
    if (config->seed && config->order != HPW_ORDER_RANDOM) return HPW_INVALID_ARGUMENT;
    if (!config->host.lock != !config->host.unlock) return HPW_INVALID_ARGUMENT;
    if (config->thread_caches && !takes_caches(config, chosen)) return HPW_INVALID_ARGUMENT;
    if (!classes_fit(config, chosen)) return HPW_INVALID_ARGUMENT;
    return HPW_OK;
}

static granule_t granules_of(const hpw_config *config, uint64_t bytes) {
    return (granule_t)(bytes / config->granule);
}

static size_t host_size(const hpw_config *config) {
#ifdef HPW_FREESTANDING
    (void)config;
    return 0;
#else
    return round16(system_host_size(config->thread_caches));
#endif
}

/* In granules. A slab's page, of 256, is never cut by shrinking. */
static granule_t growth_step(uint32_t granule) {
    granule_t step = GROWTH_STEP / granule;
    return step < LEAST_STEP ? LEAST_STEP : step;
}

/* What the pool's bytes begin at a multiple of in a buffer: a place aligned in granules is so in bytes. */
static size_t bytes_align(const hpw_config *config) {
    return config->granule > BYTES_ALIGN ? config->granule : BYTES_ALIGN;
}

static size_t map_size(const hpw_config *config) {
    return blocks_bytes(granules_of(config, config->max_capacity), config->guard != HPW_GUARD_OFF);
}

/* Of a valid config. */
static const policy *policy_of(const hpw_config *config) {
    return policy_in_order(policy_asked(config), config->order);
}

static size_t state_size(const hpw_config *config) {
    return policy_of(config)->state_size(granules_of(config, config->max_capacity), config->order);
}

static size_t caches_size(const hpw_config *config) {
    const policy_caches *caches = policy_of(config)->caches;
    return config->thread_caches
               ? caches->bytes(granules_of(config, config->max_capacity), config->thread_caches)
               : 0;
}

/* A bit for each POOL_CELL granules. */
static size_t claims_size(const hpw_config *config) {
    size_t cells = granules_of(config, config->max_capacity) / POOL_CELL + 1;
    return round16((cells + WORD_BITS - 1) / WORD_BITS * sizeof(uint64_t));
}

static size_t classes_size(const hpw_config *config) {
    return config->classes[0] ? round16(sizeof(slot_classes)) : 0;
}

size_t pool_metadata_size(const hpw_config *config) {
    return round16(sizeof(hpw_pool)) + host_size(config) + round16(map_size(config)) +
           round16(state_size(config)) + round16(caches_size(config)) + claims_size(config) +
           classes_size(config) + guard_size(config);
}

size_t hpw_metadata_size(const hpw_config *config) {
    hpw_config full = *config;
    if (!config->capacity || (config->max_capacity && config->max_capacity != config->capacity)) return 0;
    if (pool_config(&full)) return 0;
    return pool_metadata_size(&full) + bytes_align(&full) - 1;
}

void pool_open_policy(hpw_pool *pool) {
    pool->policy->open(&pool->index);
    if (!pool->cache_count) return;
    unsigned char *memory = (unsigned char *)pool->index.state + pool->state_bytes - pool->caches_bytes;
    pool->policy->caches->open(&pool->index, memory, pool->cache_count);
#ifndef HPW_FREESTANDING
    if (pool->caches) caches_set_heaps(pool); /* else there was no key for them: the lock does */
#endif
}

hpw_pool *pool_lay_out(void *memory, unsigned char *bytes, const hpw_config *config) {
    hpw_pool *pool = memory;
    *pool = (hpw_pool){
        .policy = policy_of(config),
        .host = config->host,
        .locking = config->single_threaded || !config->host.lock ? LOCKING_NONE : LOCKING_HOST,
        .capacity = granules_of(config, config->capacity),
        .max_capacity = granules_of(config, config->max_capacity),
        .growth_step = growth_step(config->granule),
        .guard = config->guard,
        .small_pages = config->small_pages,
        .state_bytes = round16(state_size(config)) + round16(caches_size(config)),
        .caches_bytes = round16(caches_size(config)),
        .cache_count = config->thread_caches,
        .metadata_size = pool_metadata_size(config),
    };
    unsigned char *next = (unsigned char *)pool_state(pool) + pool->state_bytes;
#ifndef HPW_FREESTANDING
    system_host_open(pool, next, config);
#endif
    next += host_size(config);
    pool->index = (free_index){
        .bytes = bytes,
        .shift = bits_lowest(config->granule),
        .order = config->order,
        .capacity = pool->max_capacity,
        .grows = pool->max_capacity > pool->capacity,
        .state = pool_state(pool),
        .seed = config->seed,
    };
    blocks_init(&pool->index.map, next, pool->max_capacity, config->guard != HPW_GUARD_OFF);
    next += round16(map_size(config));
    pool->claims = (uint64_t *)(void *)next;
    next += claims_size(config);
    if (classes_size(config)) {
        slot_classes_make((slot_classes *)next, config->classes, pool->index.shift);
        pool->index.classes = (slot_classes *)next;
    }
    if (guard_size(config)) guard_open(pool, next + classes_size(config), config);
    pool->skew = (uint32_t)((uintptr_t)bytes >> pool->index.shift);
    if (config->chooser.choose) {
        host_policy *host = pool_state(pool);
        host->chooser = config->chooser;
        memcpy(host->name, config->policy, strlen_to(config->policy, HPW_POLICY_NAME));
    }
    pool_choose_way(pool);
    pool_open_policy(pool);
    pool_fill(pool);
    return pool;
}

static unsigned char *align_up(unsigned char *at, size_t alignment) {
    return at + (0U - (uintptr_t)at) % alignment;
}

/* Where in [memory, memory + size) the pool's bytes begin; `size` where there is no room for them. */
static size_t bytes_offset(const hpw_config *config, const unsigned char *memory, size_t size) {
    size_t metadata = pool_metadata_size(config);
    size_t before = (0U - ((uintptr_t)memory + metadata)) & (bytes_align(config) - 1);
    return metadata < size && before < size - metadata ? metadata + before : size;
}

/* The largest capacity that leaves room for its metadata in `size` bytes; 0 where none does. */
static uint64_t capacity_for(const hpw_config *config, const unsigned char *memory, size_t size) {
    uint64_t least = 0, most = size / config->granule; /* granules: the first fits, the last does not */
    while (most - least > 1) {
        hpw_config tried = *config;
        uint64_t middle = least + (most - least) / 2;
        tried.capacity = tried.max_capacity = middle * config->granule;
        bool fits = !pool_config(&tried) && tried.capacity <= size - bytes_offset(&tried, memory, size);
        if (fits)
            least = middle;
        else
            most = middle;
    }
    return least * config->granule;
}

static hpw_pool *fail(hpw_error *error, hpw_error what) {
    if (error) *error = what;
    return NULL;
}

hpw_pool *hpw_open_in(void *buffer, size_t size, const hpw_config *config, hpw_error *error) {
    static const hpw_config defaults;
    hpw_config full = config ? *config : defaults;
    if (error) *error = HPW_OK;
    if (!buffer || (full.max_capacity && full.max_capacity != full.capacity))
        return fail(error, HPW_INVALID_ARGUMENT);
    bool all = !full.capacity;
    hpw_error wrong = pool_config(&full);
    if (wrong) return fail(error, wrong);
    unsigned char *begin = buffer, *end = begin + size;
    unsigned char *memory = align_up(begin, BYTES_ALIGN);
    if ((size_t)(memory - begin) >= size) return fail(error, HPW_NO_MEMORY);
    size_t room = (size_t)(end - memory);
    if (all) {
        full.capacity = full.max_capacity = capacity_for(&full, memory, room);
        if (!full.capacity) return fail(error, HPW_NO_MEMORY);
    }
    size_t offset = bytes_offset(&full, memory, room);
    if (full.capacity > room - offset) return fail(error, HPW_NO_MEMORY);
    memset(memory, 0, pool_metadata_size(&full));
    return pool_lay_out(memory, memory + offset, &full);
}

void hpw_close(hpw_pool *pool) {
    if (!pool) return;
#ifndef HPW_FREESTANDING
    system_host_close(pool);
#endif
    if (pool->close) pool->close(pool);
}
