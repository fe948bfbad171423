/* SPDX-License-Identifier: MIT */
/*
 * A C program that writes to memory after freeing it overwrites what the policies
 * keep there. In a guarded pool that may end in HPW_CORRUPTED, from then on and with
 * the address, and in nothing else: no live block overlaps another or is written to,
 * every call comes back, a call that fails has changed nothing, and a reset mends it.
 *
 * Worlds of each policy, order and granule are filled, half freed and scribbled on
 * in ten ways, among calls at random; beside them stands a list of what is live
 * and what its bytes are. Under AddressSanitizer a step outside of the pool is
 * seen too. Then single links, where the answer must be a certain one.
 *
 * links_test [SEEDS [FIRST]]: how many seeds a world, and the first one.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "heapwright.h"

enum { MOST_LIVE = 1024, CALLS = 240, GRANULES = 4096, ALARM_SECONDS = 280 };

/* ---- Chance: a small generator of its own, the same everywhere ---- */

static uint64_t chance;

static uint32_t below(uint32_t n) {
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (uint32_t)(chance >> 32) % n;
}

/* ---- A world ---- */

typedef struct live_block {
    uint64_t address, size;
    unsigned char byte; /* which it is full of */
} live_block;

typedef struct world {
    hpw_config config;
    hpw_pool *pool;
    void *buffer; /* NULL: the pool is the system's */
    live_block live[MOST_LIVE];
    size_t count;
    uint64_t seed;
    bool corrupted; /* the pool said so */
} world;

static bool holds(const world *w, bool ok, const char *what) {
    if (!ok)
        printf("%s, order %d, granule %u, guard %d, seed %llu: %s\n", w->config.policy, w->config.order,
               w->config.granule, w->config.guard, (unsigned long long)w->seed, what);
    return CHECK(ok);
}

static void open_world(world *w, const hpw_config *config, uint64_t seed) {
    *w = (world){.config = *config, .seed = seed};
    chance = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    w->config.capacity = (uint64_t)GRANULES * config->granule;
    w->config.single_threaded = seed % 2;
    if (config->order == HPW_ORDER_RANDOM) w->config.seed = seed;
    if (seed % 3) { /* in a buffer that ends where the pool does */
        size_t size = hpw_metadata_size(&w->config) + (size_t)w->config.capacity;
        w->buffer = malloc(size);
        w->pool = hpw_open_in(w->buffer, size, &w->config, NULL);
    } else {
        w->config.max_capacity = 2 * w->config.capacity;
        w->pool = hpw_open(&w->config, NULL);
    }
    if (!w->pool) exit(2);
}

static void close_world(world *w) {
    hpw_close(w->pool);
    free(w->buffer);
}

/* ---- What must hold, whatever was overwritten ---- */

static bool is_full_of(const unsigned char *bytes, uint64_t size, unsigned char byte) {
    return !size || (bytes[0] == byte && !memcmp(bytes, bytes + 1, (size_t)size - 1));
}

static int by_address(const void *a, const void *b) {
    const live_block *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

/* The pool's live blocks are those of the list, one after the other, and its bytes are theirs. */
static bool is_intact(world *w) {
    hpw_block block;
    hpw_stats stats;
    uint64_t cursor = 0, end = 0, in_use = 0, free_blocks = 0;
    size_t next = 0;
    qsort(w->live, w->count, sizeof *w->live, by_address);
    hpw_get_stats(w->pool, &stats);
    for (; hpw_next_block(w->pool, &cursor, &block); end = block.address + block.size) {
        const live_block *own = &w->live[next];
        if (!holds(w, block.address == end, "a block begins where the one before it ends")) return false;
        free_blocks += !block.live && !block.quarantined;
        if (!block.live) continue;
        bool known = next < w->count && own->address == block.address && own->size == block.requested &&
                     own->size <= block.size;
        if (!holds(w, known, "the live blocks are those that were granted and not freed")) return false;
        if (!holds(w, is_full_of(hpw_pointer(w->pool, block.address), own->size, own->byte),
                   "live bytes stay as they were written"))
            return false;
        in_use += own->size;
        next++;
    }
    return holds(w, next == w->count && end == stats.capacity, "the blocks are all of the pool") &&
           holds(w,
                 in_use == stats.in_use && stats.live_blocks == w->count && stats.free_blocks == free_blocks,
                 "the counts are those of the blocks");
}

/* ---- Calls ---- */

static void fill_block(world *w, live_block *block) {
    block->byte = (unsigned char)(1 + below(255));
    if (block->size) memset(hpw_pointer(w->pool, block->address), block->byte, (size_t)block->size);
    hpw_note_written(w->pool, block->address, block->size, NULL);
}

static uint64_t some_size(const world *w) {
    uint32_t granule = w->config.granule;
    switch (below(8)) {
    case 0:
        return below(8 * granule);
    case 1:
        return granule * (uint64_t)(60 + below(below(3) ? 400 : 1400)); /* in no bin */
    case 2:
        return granule * (uint64_t)(64 + below(8));
    default:
        return granule * (uint64_t)(1 + below(40)) - below(granule);
    }
}

/* Notes an answer; true where the call was done. */
static bool answered(world *w, hpw_error error, const hpw_report *report) {
    if (error == HPW_CORRUPTED) {
        w->corrupted = true;
        holds(w, report->error == HPW_CORRUPTED && report->what && hpw_pointer(w->pool, report->address),
              "the report names an address and says what is wrong");
    }
    holds(w, !w->corrupted || error == HPW_CORRUPTED, "once corrupted, it goes on saying so");
    return error == HPW_OK;
}

static void allocate(world *w, uint64_t size, uint64_t alignment) {
    live_block new = {.size = size};
    hpw_report report = {0};
    if (w->count == MOST_LIVE) return;
    if (!answered(w, hpw_allocate(w->pool, size, alignment, &new.address, &report), &report)) return;
    fill_block(w, &new);
    w->live[w->count++] = new;
}

static void release(world *w) {
    if (!w->count) return;
    live_block *block = &w->live[below((uint32_t)w->count)];
    hpw_report report = {0};
    if (answered(w, hpw_release(w->pool, block->address, &report), &report)) *block = w->live[--w->count];
}

static void resize(world *w, uint64_t size) {
    if (!w->count) return;
    live_block *block = &w->live[below((uint32_t)w->count)];
    hpw_report report = {0};
    uint64_t moved;
    if (!answered(w, hpw_resize(w->pool, block->address, size, &moved, &report), &report)) return;
    uint64_t kept = size < block->size ? size : block->size;
    holds(w, is_full_of(hpw_pointer(w->pool, moved), kept, block->byte), "a resize keeps the bytes");
    *block = (live_block){.address = moved, .size = size};
    fill_block(w, block);
}

static live_block *block_at(world *w, uint64_t address) {
    for (size_t i = 0; i < w->count; i++)
        if (w->live[i].address == address) return &w->live[i];
    return NULL;
}

/* Two of three, always the same ones, as a mover has to say. */
static bool may_move(void *ud, uint64_t address, uint64_t size) {
    live_block *block = block_at(ud, address);
    (void)size;
    return holds(ud, block, "the mover is asked of live blocks") && block->byte % 3;
}

static void moved(void *ud, uint64_t from, uint64_t to, uint64_t size) {
    live_block *block = block_at(ud, from);
    if (holds(ud, block && block->size == size, "the mover is told of live blocks")) block->address = to;
}

static void compact(world *w) {
    hpw_mover mover = {w, may_move, moved};
    answered(w, hpw_compact(w->pool, &mover, NULL), &(hpw_report){HPW_CORRUPTED, .what = ""});
}

static void call(world *w) {
    switch (below(10)) {
    case 0:
    case 1:
        resize(w, some_size(w));
        break;
    case 2:
        allocate(w, some_size(w), w->config.granule * (uint64_t)(1U << below(6)));
        break;
    case 3:
        if (below(2))
            compact(w);
        else
            answered(w, hpw_trim(w->pool), &(hpw_report){HPW_CORRUPTED, .what = ""});
        break;
    case 4:
    case 5:
    case 6:
        release(w);
        break;
    default:
        allocate(w, some_size(w), 0);
    }
}

/* ---- Scribbling ---- */

enum { MOST_FREE = 4 * MOST_LIVE, LINKS = 8 };

typedef struct free_list {
    unsigned char *bytes[MOST_FREE];
    uint32_t granules[MOST_FREE]; /* where they begin */
    size_t links[MOST_FREE];      /* of 4 bytes that fit, LINKS at most */
    uint32_t count;
} free_list;

static void find_free(const world *w, free_list *list) {
    hpw_block block;
    list->count = 0;
    for (uint64_t cursor = 0; list->count < MOST_FREE && hpw_next_block(w->pool, &cursor, &block);) {
        if (block.live || block.quarantined) continue;
        size_t links = (size_t)block.size / 4;
        list->bytes[list->count] = hpw_pointer(w->pool, block.address);
        list->granules[list->count] = (uint32_t)(block.address / w->config.granule);
        list->links[list->count++] = links < LINKS ? links : LINKS;
    }
}

static uint32_t some_link(const world *w, const free_list *list, unsigned kind) {
    switch (kind) {
    case 0:
        return below(UINT32_MAX);
    case 1:
        return below(GRANULES * 2);
    case 2:
        return w->count ? (uint32_t)(w->live[below((uint32_t)w->count)].address / w->config.granule) : 0;
    case 3:
        return UINT32_MAX;
    case 4:
        return 0;
    default:
        return list->granules[below(list->count)];
    }
}

/* Two blocks that say of each other that one comes after the other, as a list has it. */
static void tie(const free_list *list, uint32_t a, uint32_t b) {
    memcpy(list->bytes[a], &list->granules[b], 4);
    memcpy(list->bytes[b] + 4, &list->granules[a], 4);
}

static void scribble_on(const world *w, const free_list *list, uint32_t i, unsigned kind) {
    uint32_t other = below(list->count), link;
    size_t links = list->links[i] < list->links[other] ? list->links[i] : list->links[other];
    unsigned char copy[LINKS * 4];
    switch (kind) {
    case 6:
        memmove(list->bytes[i], list->bytes[other], links * 4);
        break;
    case 7: /* changes places */
        memcpy(copy, list->bytes[i], links * 4);
        memmove(list->bytes[i], list->bytes[other], links * 4);
        memcpy(list->bytes[other], copy, links * 4);
        break;
    case 8:
        tie(list, i, other);
        break;
    case 9: /* leads to itself */
        for (size_t k = 0; k < list->links[i]; k++) memcpy(list->bytes[i] + k * 4, &list->granules[i], 4);
        break;
    default:
        for (size_t k = 0; k < list->links[i]; k++) {
            if (below(3) == 0) continue; /* some stay */
            link = some_link(w, list, kind);
            memcpy(list->bytes[i] + k * 4, &link, 4);
        }
    }
}

static void scribble(const world *w) {
    static free_list list;
    find_free(w, &list);
    if (!list.count) return;
    unsigned kind = below(10), share = 1U << below(7); /* all of them, or a few */
    for (uint32_t i = 0; i < list.count; i++)
        if (below(share) == 0) scribble_on(w, &list, i, kind);
}

/* ---- A run ---- */

/* What a pool that said corrupted still does, and what it no longer does. */
static void check_refusal(world *w) {
    hpw_stats before, after;
    hpw_report report, again;
    uint64_t address, start;
    hpw_get_stats(w->pool, &before);
    holds(w, hpw_check(w->pool, &report) == HPW_CORRUPTED, "check says corrupted");
    holds(w, !hpw_malloc(w->pool, 1) && !hpw_calloc(w->pool, 1, 1) && !hpw_aligned_alloc(w->pool, 64, 1),
          "nothing is granted");
    holds(w, hpw_allocate(w->pool, 1, 0, &address, &again) == HPW_CORRUPTED, "allocate says corrupted");
    holds(w, again.address == report.address && !strcmp(again.what, report.what), "all say the same");
    holds(w, hpw_compact(w->pool, &(hpw_mover){w, may_move, moved}, NULL) == HPW_CORRUPTED, "nothing moves");
    holds(w, hpw_trim(w->pool) == HPW_CORRUPTED && hpw_refuses(w->pool, NULL) == HPW_CORRUPTED, "trim too");
    if (w->count) {
        live_block *block = &w->live[below((uint32_t)w->count)];
        void *pointer = hpw_pointer(w->pool, block->address);
        unsigned char byte;
        holds(w, hpw_free(w->pool, pointer) == HPW_CORRUPTED, "free says corrupted");
        holds(w, hpw_free_sized(w->pool, pointer, (size_t)block->size) == HPW_CORRUPTED, "and with a size");
        holds(w, !hpw_realloc(w->pool, pointer, (size_t)block->size + 1), "realloc grants nothing");
        holds(w, hpw_owner(w->pool, block->address, &start, NULL, NULL) == HPW_OK, "owner answers");
        holds(w, !block->size || hpw_read(w->pool, block->address, &byte, 1, NULL) == HPW_OK, "read reads");
        holds(w, !block->size || hpw_write(w->pool, block->address, &byte, 1, NULL) == HPW_OK,
              "write writes");
    }
    hpw_get_stats(w->pool, &after);
    holds(w, !memcmp(&before, &after, sizeof before), "nothing is counted");
    is_intact(w);
}

static void check_mended(world *w) {
    uint64_t frees = w->count;
    hpw_stats before, after;
    hpw_get_stats(w->pool, &before);
    holds(w, hpw_reset(w->pool) == HPW_OK, "reset mends it");
    hpw_get_stats(w->pool, &after);
    holds(w, after.frees == before.frees + frees, "each live block counts as freed");
    w->count = 0;
    w->corrupted = false;
    for (int i = 0; i < CALLS / 2; i++) call(w);
    holds(w, !w->corrupted && hpw_check(w->pool, NULL) == HPW_OK, "after a reset it is sound");
    is_intact(w);
}

/* True where the pool said corrupted. */
static bool run(const hpw_config *config, uint64_t seed) {
    world w;
    open_world(&w, config, seed);
    for (int i = 0; i < 3 * CALLS; i++) allocate(&w, some_size(&w), 0);
    for (size_t i = w.count / (2 + below(10)); i > 0; i--) release(&w);
    bool sound = is_intact(&w) && holds(&w, hpw_check(w.pool, NULL) == HPW_OK, "before, it is sound");
    for (int i = 0; i < CALLS && sound && !w.corrupted; i++) {
        if (i % 16 == 0) scribble(&w);
        call(&w);
        sound = is_intact(&w);
    }
    bool corrupted = w.corrupted;
    if (corrupted) check_refusal(&w);
    if (sound) check_mended(&w);
    close_world(&w);
    return corrupted;
}

/* ---- Every world ---- */

/* Does the policy keep anything in free blocks, in this order? */
static bool keeps_links(const char *policy, hpw_order order) {
    if (!strcmp(policy, "next-fit") || !strcmp(policy, "bump")) return false;
    return order != HPW_ORDER_ADDRESS || (strcmp(policy, "first-fit") && strcmp(policy, "worst-fit"));
}

/* A world of each guard that validates links. */
static void run_worlds(hpw_config config, uint64_t first, uint64_t seeds) {
    hpw_config known = config;
    known.capacity = 1 << 20;
    if (!hpw_metadata_size(&known)) return; /* it doesn't take the order */
    for (config.guard = HPW_GUARD_CHECK; config.guard <= HPW_GUARD_FULL; config.guard++) {
        uint64_t told = 0;
        for (uint64_t seed = first; seed < first + seeds; seed++) told += run(&config, seed);
        printf("%-9s order %d granule %2u guard %d: %llu of %llu said corrupted\n", config.policy,
               config.order, config.granule, config.guard, (unsigned long long)told,
               (unsigned long long)seeds);
        CHECK_EQ(told > 0, keeps_links(config.policy, config.order));
    }
}

static void run_all(uint64_t first, uint64_t seeds) {
    static const uint32_t granules[] = {8, 16, 64};
    const hpw_policy_info *policy;
    for (size_t i = 0; (policy = hpw_policy_at(i)); i++)
        for (hpw_order order = 0; order < HPW_ORDER_COUNT; order++)
            for (size_t g = 0; g < sizeof granules / sizeof *granules; g++)
                run_worlds((hpw_config){.policy = policy->name, .order = order, .granule = granules[g]},
                           first, seeds);
}

/* ---- Single links ---- */

/*
 * Blocks of one granule at 0 ... 19, of which 2, 4, 6, 8 are free; free blocks of 100
 * granules at 20 and 121, of 4 at 222, and all from 227 on. Links are of 4 bytes.
 */
typedef struct scene {
    hpw_pool *pool;
    void *held[26];
} scene;

static scene scattered(const char *policy, hpw_order order, hpw_guard guard) {
    static const unsigned large[] = {100, 1, 100, 1, 4, 1}, freed[] = {2, 4, 6, 8, 20, 22, 24};
    hpw_config config = {.policy = policy, .order = order, .capacity = 65536, .guard = guard};
    scene s = {.pool = hpw_open(&config, NULL)};
    if (!s.pool) exit(2);
    for (unsigned i = 0; i < 26; i++)
        s.held[i] = hpw_malloc(s.pool, 16 * (size_t)(i < 20 ? 1 : large[i - 20]));
    for (unsigned i = 0; i < sizeof freed / sizeof *freed; i++) hpw_free(s.pool, s.held[freed[i]]);
    return s;
}

static void set_link(const scene *s, unsigned granule, unsigned link, uint32_t value) {
    unsigned char *bytes = hpw_pointer(s->pool, granule * UINT64_C(16));
    memcpy(bytes + link * sizeof value, &value, sizeof value);
}

/* The pool refuses since the free block at this granule says what can't be; with what was done until then. */
static void refuses_for(scene *s, unsigned granule, const char *what) {
    hpw_report report = {0};
    hpw_stats stats;
    hpw_get_stats(s->pool, &stats);
    CHECK_EQ(hpw_refuses(s->pool, &report), HPW_CORRUPTED);
    CHECK_EQ(report.address, granule * 16);
    CHECK(report.in_free_block);
    if (!CHECK(report.what && strstr(report.what, what))) printf("it says: %s\n", report.what);
    CHECK_EQ(stats.failures, 0);
    hpw_close(s->pool);
}

static void lists(void) {
    for (hpw_order order = HPW_ORDER_FIFO; order <= HPW_ORDER_LIFO; order++) {
        unsigned first = order == HPW_ORDER_FIFO ? 2 : 8;
        scene s = scattered("best-fit", order, HPW_GUARD_CHECK);
        set_link(&s, first, 0, 3); /* a live block */
        CHECK(hpw_malloc(s.pool, 16) == NULL);
        refuses_for(&s, first, "in a list");

        s = scattered("best-fit", order, HPW_GUARD_CHECK);
        set_link(&s, 4, 1, 12);                               /* the one before it: another live block */
        CHECK_EQ(hpw_free(s.pool, s.held[5]), HPW_CORRUPTED); /* with which 4 and 6 would join */
        refuses_for(&s, order == HPW_ORDER_FIFO ? 4 : 6, "in a list");

        s = scattered("best-fit", order, HPW_GUARD_CHECK);
        set_link(&s, first, 0, 20); /* a free block, but of another size */
        CHECK(hpw_malloc(s.pool, 16) == NULL);
        refuses_for(&s, first, "in a list");

        s = scattered("best-fit", order, HPW_GUARD_CHECK);
        set_link(&s, first, 0, 20), set_link(&s, 20, 1, first); /* one that even links back */
        CHECK(hpw_malloc(s.pool, 16) == NULL);
        refuses_for(&s, first, "in a list");
    }
    scene s = scattered("best-fit", HPW_ORDER_FIFO, HPW_GUARD_CHECK);
    set_link(&s, 4, 1, 12), set_link(&s, 12, 0, 4); /* a live block whose user wrote what a link would be */
    CHECK_EQ(hpw_free(s.pool, s.held[3]), HPW_CORRUPTED);
    refuses_for(&s, 4, "in a list");

    s = scattered("best-fit", HPW_ORDER_FIFO, HPW_GUARD_CHECK);
    set_link(&s, 4, 0, UINT32_MAX); /* the last, which is another one: 6 and 8 would be in no list */
    CHECK_EQ(hpw_free(s.pool, s.held[3]), HPW_CORRUPTED);
    refuses_for(&s, 4, "in a list");

    s = scattered("good-fit", HPW_ORDER_ADDRESS, HPW_GUARD_CHECK);
    set_link(&s, 8, 0, 8); /* itself */
    CHECK(hpw_malloc(s.pool, 16) == NULL);
    refuses_for(&s, 8, "in a list");
}

static void heaps(void) {
    static const uint32_t wrong[] = {3, 0x10000000, 1, 2,
                                     128}; /* live, outside, inside of a block, itself, large */
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        scene s = scattered("buddy", HPW_ORDER_ADDRESS, HPW_GUARD_CHECK);
        for (unsigned link = 0; link < 4; link++) set_link(&s, 2, link, wrong[i]);
        CHECK(hpw_malloc(s.pool, 16) == NULL);
        refuses_for(&s, 2, "in its heap");
    }
    for (unsigned link = 0; link < 4;
         link++) { /* one of them where its hash would have it, were it as small */
        scene s = scattered("buddy", HPW_ORDER_ADDRESS, HPW_GUARD_CHECK);
        for (unsigned other = 0; other < 4; other++) set_link(&s, 2, other, other == link ? 128 : UINT32_MAX);
        CHECK(hpw_malloc(s.pool, 16) == NULL);
        refuses_for(&s, 2, "in its heap");
    }
}

static void tries(void) {
    scene s = scattered("best-fit", HPW_ORDER_ADDRESS, HPW_GUARD_CHECK);
    set_link(&s, 20, 0, 25), set_link(&s, 20, 1, 25);
    CHECK(hpw_malloc(s.pool, 16 * (size_t)100) == NULL);
    refuses_for(&s, 20, "in the index");

    s = scattered("first-fit", HPW_ORDER_FIFO, HPW_GUARD_CHECK);
    set_link(&s, 227, 3, 1); /* the largest below the root */
    CHECK(hpw_malloc(s.pool, 16) == NULL);
    refuses_for(&s, 227, "its note of the largest");
}

/* Of all the times that the one free block may say that it came at, just the one at which the next comes is
 * refused: the two would have the same key. */
static void times(void) {
    for (hpw_order order = HPW_ORDER_FIFO; order <= HPW_ORDER_LIFO; order++) {
        unsigned refused = 0;
        for (uint32_t time = 0; time < 64; time++) {
            hpw_config config = {
                .policy = "first-fit", .order = order, .capacity = 4096, .guard = HPW_GUARD_CHECK};
            scene s = {.pool = hpw_open(&config, NULL)};
            for (unsigned i = 0; i < 2; i++) s.held[i] = hpw_malloc(s.pool, 16);
            set_link(&s, 2, 2, time);
            refused += hpw_free(s.pool, s.held[0]) == HPW_CORRUPTED;
            hpw_close(s.pool);
        }
        CHECK_EQ(refused, 1);
    }
}

/* A block that moved down into the free one before it moves back, where what is left behind it can't be
 * filed. */
static void moved_back(void) {
    static const unsigned sizes[] = {100, 60, 1, 50, 1}; /* the pool's granules, and all the rest */
    hpw_config config = {.capacity = 65536, .guard = HPW_GUARD_CHECK};
    scene s = {.pool = hpw_open(&config, NULL)};
    hpw_stats stats;
    for (unsigned i = 0; i < 5; i++) s.held[i] = hpw_malloc(s.pool, 16 * (size_t)sizes[i]);
    CHECK(hpw_malloc(s.pool, 65536 - 16 * 212) != NULL);
    CHECK_EQ(hpw_free(s.pool, s.held[0]), HPW_OK);
    CHECK_EQ(hpw_free(s.pool, s.held[3]), HPW_OK);
    for (unsigned link = 0; link < 8; link++) set_link(&s, 161, link, 160);
    memset(s.held[1], 7, 950);
    CHECK(hpw_realloc(s.pool, s.held[1], 16 * (size_t)110) == NULL);
    CHECK(is_full_of(s.held[1], 950, 7));
    CHECK_EQ(hpw_usable_size(s.pool, s.held[1]), 960);
    hpw_get_stats(s.pool, &stats);
    CHECK_EQ(stats.in_use, 65536 - 16 * 150);
    CHECK_EQ(stats.free_blocks, 2);
    refuses_for(&s, 161, "in its heap");
}

/* With guard off nothing is asked, and what costs nothing is still answered: hpw_check. */
static void off(void) {
    scene s = scattered("best-fit", HPW_ORDER_FIFO, HPW_GUARD_OFF);
    set_link(&s, 6, 1, 12);
    CHECK(hpw_malloc(s.pool, 16) == s.held[2]);
    CHECK_EQ(hpw_refuses(s.pool, NULL), HPW_OK);
    CHECK_EQ(hpw_check(s.pool, NULL), HPW_CORRUPTED);
    hpw_close(s.pool);
}

/* ---- Caches of threads ---- */

/* What the thread's cache holds is refused like all else. */
static void caches(void) {
    hpw_config config = {.policy = "slab", .capacity = 1 << 20, .guard = HPW_GUARD_CHECK, .thread_caches = 2};
    scene s = {.pool = hpw_open(&config, NULL)};
    void *small = hpw_malloc(s.pool, 16);
    for (int i = 0; i < 6; i++) s.held[i] = hpw_malloc(s.pool, 5000);
    CHECK(small && hpw_malloc(s.pool, 16));
    for (int i = 0; i < 6; i += 2) CHECK_EQ(hpw_free(s.pool, s.held[i]), HPW_OK);
    for (int i = 0; i < 6; i += 2) memset(s.held[i], 0x11, 32);
    CHECK_EQ(hpw_free(s.pool, s.held[1]), HPW_CORRUPTED);
    CHECK(hpw_malloc(s.pool, 16) == NULL);
    CHECK_EQ(hpw_free(s.pool, small), HPW_CORRUPTED);
    CHECK_EQ(hpw_refuses(s.pool, NULL), HPW_CORRUPTED);
    CHECK_EQ(hpw_reset(s.pool), HPW_OK);
    CHECK(hpw_malloc(s.pool, 16) != NULL);
    CHECK_EQ(hpw_check(s.pool, NULL), HPW_OK);
    hpw_close(s.pool);
}

/* ---- Accounts ---- */

/* A Lua state there runs out of memory, and what it has can be closed: its account, not its blocks. */
static void accounts(void) {
    scene s = scattered("best-fit", HPW_ORDER_LIFO, HPW_GUARD_CHECK);
    hpw_account *account = hpw_open_account(s.pool, NULL, NULL);
    void *large = hpw_lua_alloc(account, NULL, 0, 5000);
    CHECK(large != NULL);
    memset(large, 1, 5000);
    set_link(&s, 8, 0, 3);
    CHECK(hpw_malloc(s.pool, 16) == NULL);
    CHECK(hpw_lua_alloc(account, NULL, 0, 6000) == NULL);
    CHECK(hpw_lua_alloc(account, large, 5000, 9000) == NULL);
    CHECK(is_full_of(large, 5000, 1));
    CHECK_EQ(hpw_reset(s.pool), HPW_INVALID_ARGUMENT);
    CHECK(hpw_lua_alloc(account, large, 5000, 0) == NULL);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    CHECK_EQ(hpw_reset(s.pool), HPW_OK);
    CHECK_EQ(hpw_check(s.pool, NULL), HPW_OK);
    hpw_close(s.pool);
}

int main(int argc, char **argv) {
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 12;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (argc < 2) alarm(ALARM_SECONDS); /* a call that does not come back ends the test */
    lists();
    heaps();
    tries();
    times();
    moved_back();
    off();
    caches();
    accounts();
    run_all(first, seeds);
    return CHECK_DONE();
}
