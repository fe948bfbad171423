/* SPDX-License-Identifier: MIT */
/*
 * What a guarded pool finds of writes that it did not see: a C program has the
 * pointers. Every policy, order and granule; each byte that may not be written.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

/* ---- Scenes ---- */

typedef struct variant {
    const char *policy;
    hpw_order order;
    uint32_t granule;
} variant;

static hpw_pool *open_pool(const variant *v, hpw_guard guard) {
    hpw_config config = {.policy = v->policy,
                         .order = v->order,
                         .granule = v->granule,
                         .guard = guard,
                         .capacity = (uint64_t)256 * 1024};
    return hpw_open(&config, NULL);
}

static bool is(const char *policy, const char *name) { return strcmp(policy, name) == 0; }

/* Every policy with every order and granule that it takes. */
static void each_variant(void (*test)(const variant *)) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)) != NULL; i++) {
        for (hpw_order order = 0; order < HPW_ORDER_COUNT; order++) {
            for (uint32_t granule = 8; granule <= 256; granule *= 2) {
                variant v = {info->name, order, granule};
                hpw_pool *pool = open_pool(&v, HPW_GUARD_FULL);
                if (!pool) continue; /* it does not take this order */
                hpw_close(pool);
                test(&v);
            }
        }
    }
}

/* ---- The canary ---- */

static const size_t sizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 100, 250, 260, 1000, 5000};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* Each byte from the block's end to the end of what was granted, changed alone, is found by each way of
 * looking. */
static void overruns_of(hpw_pool *pool, size_t size) {
    unsigned char *block = hpw_malloc(pool, size);
    hpw_report report;
    uint64_t address = hpw_address(pool, block), moved;
    size_t granted = hpw_usable_size(pool, block), step = granted > 2000 ? 97 : 1;
    for (size_t at = size; at < granted; at += step) {
        /* A record that says 1 leaves no canary to hold against it: not from 0x41, which 65 bytes of slack
         * have. */
        unsigned char change = block[at] == 0x41 ? 0x20 : 0x40;
        block[at] ^= change;
        if (CHECK_EQ(hpw_release(pool, address, &report), HPW_CORRUPTED)) {
            CHECK_EQ(report.block, address);
            CHECK(report.what && report.address >= address && report.address < address + granted);
        }
        CHECK_EQ(hpw_free(pool, block), HPW_CORRUPTED);
        CHECK_EQ(hpw_free_sized(pool, block, size), HPW_CORRUPTED);
        CHECK_EQ(hpw_resize(pool, address, size + 1, &moved, NULL), HPW_CORRUPTED);
        CHECK(!hpw_realloc(pool, block, 0));
        CHECK_EQ(hpw_check(pool, &report), HPW_CORRUPTED);
        block[at] ^= change;
        CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    }
    CHECK_EQ(hpw_free_sized(pool, block, size), HPW_OK);
}

/* The first byte that was overwritten is the one that is reported. */
static void first_byte(hpw_pool *pool) {
    unsigned char *block = hpw_malloc(pool, 3);
    hpw_report report;
    uint64_t address = hpw_address(pool, block);
    block[3] ^= 1;
    block[4] ^= 1;
    CHECK_EQ(hpw_release(pool, address, &report), HPW_CORRUPTED);
    CHECK_EQ(report.address, address + 3);
    CHECK_EQ(report.block_size, 3);
    CHECK_EQ(hpw_check(pool, &report), HPW_CORRUPTED);
    CHECK_EQ(report.address, address + 3);
    CHECK_EQ(report.block, address);
    block[3] ^= 1;
    block[4] ^= 1;
    hpw_free(pool, block);
}

static void overruns(const variant *v) {
    for (hpw_guard guard = HPW_GUARD_CHECK; guard <= HPW_GUARD_FULL; guard++) {
        hpw_pool *pool = open_pool(v, guard);
        for (unsigned i = 0; i < SIZES; i++) overruns_of(pool, sizes[i]);
        if (v->granule >= 8) first_byte(pool);
        hpw_close(pool);
    }
}

/* A red zone of any width is all canary, before the neighbour begins. */
static void red_zones(void) {
    for (uint64_t zone = 1; zone < 700; zone = zone * 3 / 2 + 1) {
        hpw_config config = {.guard = HPW_GUARD_FULL, .red_zone = zone};
        hpw_pool *pool = hpw_open(&config, NULL);
        unsigned char *block = hpw_malloc(pool, 64), *next = hpw_malloc(pool, 64);
        CHECK(next >= block + 64 + zone);
        for (unsigned char *at = block + 64; at < next; at++) {
            *at ^= 1;
            CHECK_EQ(hpw_free(pool, block), HPW_CORRUPTED);
            *at ^= 1;
        }
        CHECK_EQ(hpw_free(pool, block), HPW_OK);
        hpw_close(pool);
    }
}

/* ---- The quarantine ---- */

/* A byte of a freed block is written: whoever would let the block out says so, once, and changes nothing
 * else. */
static void written_after_free(const variant *v) {
    hpw_config config = {.policy = v->policy,
                         .order = v->order,
                         .granule = v->granule,
                         .guard = HPW_GUARD_FULL,
                         .capacity = (uint64_t)512 * 1024,
                         .quarantine = (uint64_t)4 * 1024};
    hpw_pool *pool = hpw_open(&config, NULL);
    hpw_report report = {0};
    hpw_stats before, after;
    unsigned char *victim = hpw_malloc(pool, 500), *other = hpw_malloc(pool, 6000),
                  *kept = hpw_malloc(pool, 50);
    uint64_t address = hpw_address(pool, victim), moved;
    memset(kept, 9, 50);
    CHECK_EQ(hpw_free(pool, victim), HPW_OK);
    for (size_t at = 0; at<500 + 16; at += at> 490 ? 1 : 7) {
        victim[at] ^= 2;
        CHECK_EQ(hpw_check(pool, &report), HPW_CORRUPTED);
        CHECK(report.quarantined && report.block == address && !report.in_live_block);
        if (at < 500) CHECK_EQ(report.address, address + at);
        victim[at] ^= 2;
        CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    }
    victim[123] = 'x';
    hpw_get_stats(pool, &before);
    CHECK_EQ(hpw_release(pool, hpw_address(pool, other), &report), HPW_CORRUPTED);
    CHECK_EQ(report.address, address + 123);
    CHECK_EQ(report.block, address);
    CHECK(report.origin.allocated_site && report.origin.freed_site);
    hpw_get_stats(pool, &after);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    CHECK_EQ(hpw_release(pool, hpw_address(pool, other), &report), HPW_OK);
    CHECK_EQ(hpw_resize(pool, hpw_address(pool, kept), 3000, &moved, &report), HPW_OK);
    CHECK_EQ(hpw_check(pool, &report), HPW_CORRUPTED); /* it stays out of use, and is not forgotten */
    for (void *got; (got = hpw_malloc(pool, 900)) != NULL;)
        CHECK((unsigned char *)got + 900 <= victim || (unsigned char *)got >= victim + 500);
    CHECK_EQ(hpw_reset(pool), HPW_OK);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_get_stats(pool, &after);
    CHECK_EQ(after.quarantined, 0);
    hpw_close(pool);
}

/* Nothing changed but the steps that a search took. */
static bool unchanged(hpw_pool *pool, hpw_stats before) {
    hpw_stats after;
    hpw_get_stats(pool, &after);
    before.steps = after.steps;
    before.steps_max = after.steps_max;
    return memcmp(&before, &after, sizeof before) == 0;
}

/* A request that would empty the quarantine, and a resize that moves, find it too. */
static void found_by_requests(void) {
    hpw_config config = {.guard = HPW_GUARD_FULL, .capacity = 4096, .quarantine = 4096};
    for (int way = 0; way < 4; way++) {
        hpw_pool *pool = hpw_open(&config, NULL);
        hpw_report report = {0};
        uint64_t address, moved;
        unsigned char *victim = hpw_malloc(pool, 1000), *other = hpw_malloc(pool, 1000);
        hpw_stats before;
        hpw_free(pool, victim);
        victim[0] = 0;
        hpw_get_stats(pool, &before);
        if (way == 0) CHECK_EQ(hpw_allocate(pool, 2800, 0, &address, &report), HPW_CORRUPTED);
        if (way == 1) CHECK_EQ(hpw_allocate(pool, 2800, 64, &address, &report), HPW_CORRUPTED);
        if (way == 2)
            CHECK_EQ(hpw_resize(pool, hpw_address(pool, other), 3500, &moved, &report), HPW_CORRUPTED);
        if (way == 3) CHECK(!hpw_malloc(pool, 2800));
        if (way < 3) CHECK(report.quarantined && report.address == 0);
        CHECK(unchanged(pool, before));
        CHECK_EQ(hpw_allocate(pool, 2800, 0, &address, &report), HPW_NO_MEMORY); /* told once */
        CHECK_EQ(hpw_check(pool, NULL), HPW_CORRUPTED);
        hpw_close(pool);
    }
}

/* Frees into a quarantine of every size: as many bytes as fit are held, never more. */
static void bounded(const variant *v) {
    for (uint64_t most = 1; most < 9000; most = most * 5 + 3) {
        hpw_config config = {.policy = v->policy,
                             .order = v->order,
                             .granule = v->granule,
                             .guard = HPW_GUARD_FULL,
                             .capacity = (uint64_t)64 * 1024,
                             .quarantine = most};
        hpw_pool *pool = hpw_open(&config, NULL);
        hpw_stats stats;
        uint64_t largest = 0;
        for (unsigned i = 0; i < 300; i++) {
            void *block = hpw_malloc(pool, i * 37 % 700);
            hpw_free(pool, block);
            hpw_get_stats(pool, &stats);
            CHECK(stats.quarantined <= most);
            if (stats.quarantined > largest) largest = stats.quarantined;
            CHECK_EQ(stats.live_blocks, 0);
            CHECK_EQ(stats.granted, stats.quarantined);
        }
        CHECK(largest > 0 || most < 1024);
        CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
        hpw_close(pool);
    }
}

/* ---- Who ---- */

static uintptr_t text_of(void (*function)(hpw_pool *, hpw_origin *)) { return (uintptr_t)function; }

/* The return address of each call of a pool's, which has to lie a little behind where the function begins. */
static hpw_origin origin_of(hpw_pool *pool, const void *block) {
    hpw_report report = {0};
    hpw_release(pool, hpw_address(pool, block) + 1, &report);
    return report.origin;
}

#if defined(__GNUC__)
#define APART __attribute__((noinline))
#else
#define APART
#endif

APART static void by_malloc(hpw_pool *pool, hpw_origin *origin) {
    void *block = hpw_malloc(pool, 100);
    hpw_free(pool, block);
    *origin = origin_of(pool, block);
}
APART static void by_calloc(hpw_pool *pool, hpw_origin *origin) {
    void *block = hpw_calloc(pool, 10, 10);
    hpw_free_sized(pool, block, 100);
    *origin = origin_of(pool, block);
}
APART static void by_aligned(hpw_pool *pool, hpw_origin *origin) {
    void *block = hpw_aligned_alloc(pool, 256, 100);
    hpw_release(pool, hpw_address(pool, block), NULL);
    *origin = origin_of(pool, block);
}
APART static void by_realloc(hpw_pool *pool, hpw_origin *origin) {
    void *block = hpw_realloc(pool, NULL, 100), *wall = hpw_malloc(pool, 1);
    void *moved = hpw_realloc(pool, block, 1000);
    CHECK(moved != block);
    *origin = origin_of(pool, moved);
    origin->freed_site = origin_of(pool, block).freed_site;
    origin->freed_thread = origin_of(pool, block).freed_thread;
    hpw_free(pool, moved);
    hpw_free(pool, wall);
}
APART static void by_address(hpw_pool *pool, hpw_origin *origin) {
    uint64_t address = 0, moved = 0;
    hpw_allocate(pool, 100, 0, &address, NULL);
    hpw_resize(pool, address, 120, &moved, NULL);
    hpw_release(pool, moved, NULL);
    *origin = origin_of(pool, hpw_pointer(pool, moved));
}

static void sites_in_c(void) {
    static void (*const ways[])(hpw_pool *, hpw_origin *) = {by_malloc, by_calloc, by_aligned, by_realloc,
                                                             by_address};
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        for (int single = 0; single < 2; single++) {
            hpw_pool *pool =
                hpw_open(&(hpw_config){.guard = HPW_GUARD_FULL, .single_threaded = single}, NULL);
            hpw_origin origin = {0};
            ways[i](pool, &origin);
            uintptr_t begins = text_of(ways[i]);
            CHECK(origin.allocated_site - begins < 1500);
            CHECK(origin.freed_site - begins < 1500);
            CHECK(origin.allocated_site != origin.freed_site || ways[i] == by_realloc);
            CHECK(origin.allocated_thread && origin.allocated_thread == origin.freed_thread);
            hpw_close(pool);
        }
    }
}

static uint64_t site_of_host(void *ud) { return *(uint64_t *)ud; }

/* The host's own, on blocks and on events. */
static void sites_of_host(void) {
    uint64_t site = 7;
    hpw_event slots[4];
    hpw_ring ring = {.slots = slots, .count = 4};
    hpw_config config = {.guard = HPW_GUARD_FULL, .host = {.ud = &site, .site = site_of_host}};
    hpw_pool *pool = hpw_open(&config, NULL);
    hpw_set_sink(pool, hpw_ring_sink, &ring);
    void *block = hpw_malloc(pool, 10);
    site = 8;
    hpw_free(pool, block);
    hpw_origin origin = origin_of(pool, block);
    CHECK_EQ(origin.allocated_site, 7);
    CHECK_EQ(origin.freed_site, 8);
    CHECK_EQ(slots[0].site, 7);
    CHECK_EQ(slots[1].site, 8);
    uint64_t cursor = 0;
    hpw_block found;
    CHECK(hpw_next_block(pool, &cursor, &found));
    CHECK(found.quarantined && !found.live && found.origin.allocated_site == 7);
    hpw_close(pool);
    config.guard = HPW_GUARD_OFF;
    pool = hpw_open(&config, NULL);
    hpw_set_sink(pool, hpw_ring_sink, &ring);
    hpw_malloc(pool, 10);
    CHECK_EQ(slots[2].site, 8);
    hpw_close(pool);
    pool = hpw_open(&(hpw_config){.guard = HPW_GUARD_FULL}, NULL);
    hpw_set_site(pool, 11);
    CHECK_EQ(origin_of(pool, hpw_malloc(pool, 10)).allocated_site, 11);
    hpw_close(pool);
}

/* ---- Written bytes ---- */

/* Who has the pointer writes unseen: its bytes count as written; by address they are counted, and may be
 * told. */
static void written_by_pointer(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.guard = HPW_GUARD_FULL}, NULL);
    hpw_report report;
    char bytes[200];
    uint64_t address = 0;
    void *block = hpw_malloc(pool, 100);
    CHECK_EQ(hpw_read(pool, hpw_address(pool, block), bytes, 100, &report), HPW_OK);
    block = hpw_realloc(pool, block, 200);
    CHECK_EQ(hpw_read(pool, hpw_address(pool, block), bytes, 200, &report), HPW_OK);
    block = hpw_aligned_alloc(pool, 128, 10);
    CHECK_EQ(hpw_read(pool, hpw_address(pool, block), bytes, 10, &report), HPW_OK);
    hpw_allocate(pool, 100, 0, &address, NULL);
    for (unsigned from = 0; from < 20; from++) {
        CHECK_EQ(hpw_read(pool, address + from, bytes, 100 - from, &report), HPW_UNINITIALISED);
        CHECK_EQ(report.address, address + from);
        CHECK_EQ(hpw_note_written(pool, address + from, 1, &report), HPW_OK);
    }
    CHECK_EQ(hpw_note_written(pool, address, 101, &report), HPW_OUT_OF_BOUNDS);
    CHECK_EQ(hpw_read(pool, address + 20, bytes, 1, &report), HPW_UNINITIALISED);
    CHECK_EQ(hpw_note_written(pool, address + 100, 0, &report), HPW_OK);
    CHECK_EQ(hpw_note_written(pool, address, 100, &report), HPW_OK);
    CHECK_EQ(hpw_read(pool, address, bytes, 100, &report), HPW_OK);
    hpw_close(pool);
    pool = hpw_open(NULL, NULL);
    hpw_allocate(pool, 100, 0, &address, NULL);
    CHECK_EQ(hpw_read(pool, address, bytes, 100, &report), HPW_OK);
    CHECK_EQ(hpw_note_written(pool, address, 100, &report), HPW_OK);
    CHECK_EQ(hpw_note_written(pool, 5000, 1, &report), HPW_UNALLOCATED);
    hpw_close(pool);
}

/* ---- In the caller's buffer, growing, and under Lua's states ---- */

/* What is known of bytes moves with them, also where they are copied onto themselves, in either direction. */
static void copied_onto_itself(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 65536, .guard = HPW_GUARD_FULL}, NULL);
    for (unsigned by = 1; by <= 8; by += 7) {
        for (unsigned up = 0; up <= 1; up++) {
            uint64_t address;
            unsigned char byte, two[2];
            CHECK_EQ(hpw_allocate(pool, 64, 0, &address, NULL), HPW_OK);
            CHECK_EQ(hpw_fill(pool, address + 16, 1, 3, NULL), HPW_OK); /* 16, 17, 18 */
            unsigned from = up ? 8 : 8 + by, to = up ? 8 + by : 8;
            CHECK_EQ(hpw_copy(pool, address + to, address + from, 32, NULL), HPW_OK);
            for (unsigned i = to; i < to + 32; i++) {
                bool known = i + from >= 16 + to && i + from < 19 + to;
                CHECK_EQ(hpw_read(pool, address + i, &byte, 1, NULL), known ? HPW_OK : HPW_UNINITIALISED);
            }
            CHECK_EQ(hpw_read(pool, address + 17 + to - from, two, 2, NULL), HPW_OK);
            CHECK_EQ(hpw_read(pool, address + 18 + to - from, two, 2, NULL), HPW_UNINITIALISED);
            CHECK_EQ(hpw_release(pool, address, NULL), HPW_OK);
        }
    }
    hpw_close(pool);
}

static void in_a_buffer(void) {
    for (uint32_t granule = 8; granule <= 64; granule *= 2) {
        hpw_config config = {.guard = HPW_GUARD_FULL, .granule = granule, .capacity = 8192};
        size_t size = hpw_metadata_size(&config) + 8192;
        unsigned char *buffer = malloc(size + 1);
        hpw_pool *pool = hpw_open_in(buffer + 1, size, &config, NULL);
        CHECK(pool);
        for (unsigned i = 0; i < 2000 && pool; i++) {
            void *a = hpw_malloc(pool, i % 301), *b = hpw_malloc(pool, i % 71);
            CHECK(a && b);
            hpw_free(pool, a);
            hpw_free(pool, b);
        }
        CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
        hpw_close(pool);
        config.capacity = 0;
        pool = hpw_open_in(buffer, size, &config, NULL);
        CHECK(pool && hpw_malloc(pool, 100));
        hpw_close(pool);
        free(buffer);
    }
}

static void growing(const variant *v) {
    hpw_config config = {.policy = v->policy,
                         .order = v->order,
                         .granule = v->granule,
                         .guard = HPW_GUARD_FULL,
                         .capacity = (uint64_t)64 * 1024,
                         .max_capacity = 2 << 20,
                         .quarantine = 100000};
    hpw_pool *pool = hpw_open(&config, NULL);
    void *held[64] = {0};
    for (unsigned i = 0; i < 3000; i++) {
        unsigned slot = i * 7 % 64;
        hpw_free(pool, held[slot]);
        held[slot] = hpw_malloc(pool, i * 131 % 20000);
        if (i % 100 == 0) CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
        if (is(v->policy, "bump") && !held[slot]) {
            hpw_reset(pool);
            memset(held, 0, sizeof held);
        }
    }
    hpw_reset(pool);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

/* An account's blocks have all that was granted to themselves, and are none that a script may reach. */
static void accounts(const variant *v) {
    hpw_config config = {.policy = v->policy,
                         .order = v->order,
                         .granule = v->granule,
                         .guard = HPW_GUARD_FULL,
                         .capacity = 4 << 20};
    hpw_pool *pool = hpw_open(&config, NULL);
    hpw_account *account = hpw_open_account(pool, NULL, NULL);
    enum { HELD = 200 };
    unsigned char *held[HELD] = {0};
    size_t size[HELD] = {0};
    for (unsigned i = 0; account && i < 4000; i++) {
        unsigned slot = i * 31 % HELD;
        size_t want = i % 5 == 0 ? 0 : i * 7919 % (i % 7 == 0 ? 30000 : 600);
        for (size_t k = 0; k < size[slot]; k += 13)
            if (!CHECK_EQ(held[slot][k], (unsigned char)slot)) break;
        unsigned char *block = hpw_lua_alloc(account, held[slot], held[slot] ? size[slot] : 0, want);
        if (!block && want && !CHECK(want > size[slot])) break; /* what shrinks never fails */
        if (!block && want) continue;
        if (block) memset(block, (int)slot, want);
        held[slot] = block;
        size[slot] = want;
        if (i % 500 == 0) CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    }
    for (unsigned i = 0; account && i < HELD; i++)
        if (held[i]) hpw_lua_alloc(account, held[i], size[i], 0);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

static void configurations(void) {
    hpw_error error;
    CHECK(!hpw_open(&(hpw_config){.red_zone = 16}, &error));
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
    CHECK(!hpw_open(&(hpw_config){.guard = HPW_GUARD_CHECK, .quarantine = HPW_NONE}, &error));
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
    CHECK(!hpw_open(&(hpw_config){.policy = "slab", .guard = HPW_GUARD_FULL, .thread_caches = 1}, &error));
    CHECK_EQ(error, HPW_INVALID_ARGUMENT);
}

int main(void) {
    configurations();
    each_variant(overruns);
    red_zones();
    each_variant(written_after_free);
    found_by_requests();
    each_variant(bounded);
    sites_in_c();
    sites_of_host();
    written_by_pointer();
    copied_onto_itself();
    in_a_buffer();
    each_variant(growing);
    each_variant(accounts);
    return CHECK_DONE();
}
