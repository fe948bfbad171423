/* SPDX-License-Identifier: MIT */
/*
 * Failures by plan, what Lua can't reach: pointers, calloc and aligned requests,
 * hpw_lua_alloc, events, plans that are none, and that a pool goes its short way
 * again afterwards. Under every policy, with and without lock and caches.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

enum { CAPACITY = 1 << 20 };

static hpw_pool *open_pool(const char *policy, bool locked, uint32_t caches) {
    hpw_error error;
    hpw_pool *pool = hpw_open(
        &(hpw_config){
            .policy = policy, .capacity = CAPACITY, .single_threaded = !locked, .thread_caches = caches},
        &error);
    CHECK(pool);
    return pool;
}

static hpw_stats stats_of(const hpw_pool *pool) {
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    return stats;
}

/* ---- Which requests ---- */

/* Requests of `size` bytes, each freed at once: those that fail, as a string of x and dots. */
static const char *pattern(hpw_pool *pool, size_t size, unsigned count) {
    static char seen[65];
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < count; i++) {
        void *block = hpw_malloc(pool, size);
        seen[i] = block ? '.' : 'x';
        CHECK(block || hpw_refused_by_plan(pool) == i + 1);
        CHECK_EQ(hpw_free(pool, block), HPW_OK);
    }
    return seen;
}

static void fails(hpw_pool *pool, hpw_injection plan, const char *expected) {
    uint64_t requests, injected, ever = stats_of(pool).injected;
    unsigned failing = 0;
    for (const char *c = expected; *c; c++) failing += *c == 'x';
    CHECK_EQ(hpw_inject(pool, &plan), HPW_OK);
    const char *seen = pattern(pool, 100, (unsigned)strlen(expected));
    if (!CHECK(strcmp(seen, expected) == 0)) printf("  %s and not %s\n", seen, expected);
    CHECK(hpw_get_injected(pool, &requests, &injected));
    CHECK_EQ(requests, strlen(expected));
    CHECK_EQ(injected, failing);
    CHECK_EQ(stats_of(pool).injected, ever + failing);
    CHECK_EQ(hpw_inject(pool, NULL), HPW_OK);
    CHECK(!hpw_get_injected(pool, &requests, NULL));
    CHECK_EQ(requests, strlen(expected));
    CHECK(strchr(pattern(pool, 100, 20), 'x') == NULL);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
}

static void which(hpw_pool *pool) {
    fails(pool, (hpw_injection){.after = 1}, "x.....");
    fails(pool, (hpw_injection){.after = 4}, "...x....");
    fails(pool, (hpw_injection){.after = 3, .persistent = true}, "..xxxxx");
    fails(pool, (hpw_injection){.every = 3}, "..x..x..x");
    fails(pool, (hpw_injection){.every = 1}, "xxxx");
    fails(pool, (hpw_injection){.probability = 1}, "xxxx");
    fails(pool, (hpw_injection){.probability = 1e-300}, "......"); /* as good as none, but not all */
    fails(pool, (hpw_injection){.size_at_least = 100}, "xxxx");
    fails(pool, (hpw_injection){.after = UINT64_MAX}, "......");
    char first[65];
    hpw_injection chance = {.probability = 0.5, .seed = 7};
    CHECK_EQ(hpw_inject(pool, &chance), HPW_OK);
    strcpy(first, pattern(pool, 100, 64));
    CHECK(strchr(first, 'x') && strchr(first, '.'));
    fails(pool, chance, first);
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.probability = 0.5, .seed = 8}), HPW_OK);
    CHECK(strcmp(pattern(pool, 100, 64), first) != 0);
    hpw_inject(pool, NULL);
}

/* What is too small is not counted either; the number is that of the plan's own requests. */
static void by_size(hpw_pool *pool) {
    uint64_t requests;
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.after = 2, .size_at_least = 64}), HPW_OK);
    for (unsigned i = 0; i < 5; i++) CHECK_EQ(hpw_free(pool, hpw_malloc(pool, 63)), HPW_OK);
    CHECK_EQ(hpw_free(pool, hpw_malloc(pool, 64)), HPW_OK);
    CHECK(!hpw_malloc(pool, 64));
    CHECK_EQ(hpw_refused_by_plan(pool), 2);
    hpw_get_injected(pool, &requests, NULL);
    CHECK_EQ(requests, 2);
    hpw_inject(pool, NULL);
}

/* ---- What is a request ---- */

static void not_granted(hpw_pool *pool, const void *block) {
    CHECK(!block);
    CHECK(hpw_refused_by_plan(pool) != 0);
}

static void what(hpw_pool *pool) {
    unsigned char *held = hpw_malloc(pool, 100);
    memset(held, 'h', 100);
    hpw_stats before = stats_of(pool);
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.every = 1}), HPW_OK);
    not_granted(pool, hpw_malloc(pool, 10));
    not_granted(pool, hpw_malloc(pool, 0));
    not_granted(pool, hpw_malloc(pool, 5000));
    not_granted(pool, hpw_calloc(pool, 5, 5));
    not_granted(pool, hpw_aligned_alloc(pool, 8, 10));
    not_granted(pool, hpw_aligned_alloc(pool, 4096, 10));
    not_granted(pool, hpw_realloc(pool, NULL, 10));
    not_granted(pool, hpw_realloc(pool, held, 101)); /* which would have fitted where it lies */
    not_granted(pool, hpw_realloc(pool, held, 50000));
    hpw_report report;
    uint64_t address, requests, injected;
    CHECK_EQ(hpw_allocate(pool, 70, 0, &address, &report), HPW_NO_MEMORY);
    CHECK_EQ(report.injected, 10);
    CHECK_EQ(hpw_resize(pool, hpw_address(pool, held), 200, &address, &report), HPW_NO_MEMORY);
    CHECK_EQ(report.injected, 11);
    CHECK_EQ(report.block_size, 100);
    for (unsigned i = 0; i < 100; i++)
        if (held[i] != 'h') CHECK(held[i] == 'h');
    hpw_stats after = stats_of(pool);
    CHECK_EQ(after.failures, before.failures + 11);
    CHECK_EQ(after.injected, before.injected + 11);
    after.failures = before.failures, after.injected = before.injected, after.steps = before.steps;
    CHECK_EQ(memcmp(&before, &after, sizeof before), 0); /* nothing else changed */
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);

    /* These are none. */
    CHECK(!hpw_calloc(pool, SIZE_MAX / 2, 3));
    CHECK_EQ(hpw_refused_by_plan(pool), 0);
    CHECK(!hpw_aligned_alloc(pool, 48, 10));
    CHECK_EQ(hpw_resize(pool, CAPACITY, 10, &address, &report), HPW_INVALID_FREE);
    CHECK(hpw_realloc(pool, held, 100) == held);
    held = hpw_realloc(pool, held, 40);
    CHECK(held);
    CHECK_EQ(hpw_free(pool, held), HPW_OK);
    hpw_get_injected(pool, &requests, &injected);
    CHECK_EQ(requests, 11);
    CHECK_EQ(injected, 11);
    hpw_inject(pool, NULL);
}

/* ---- A refusal for want of room, with a plan that lets it pass ---- */

static void room(hpw_pool *pool) {
    hpw_report report;
    uint64_t address;
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.after = 2}), HPW_OK);
    CHECK_EQ(hpw_allocate(pool, (uint64_t)2 * CAPACITY, 0, &address, &report), HPW_NO_MEMORY);
    CHECK_EQ(report.injected, 0);
    CHECK_EQ(hpw_refused_by_plan(pool), 0);
    CHECK_EQ(hpw_allocate(pool, (uint64_t)2 * CAPACITY, 4096, &address, &report), HPW_NO_MEMORY);
    CHECK_EQ(report.injected, 2);
    hpw_inject(pool, NULL);
}

/* ---- Plans that are none ---- */

static void refuses(hpw_pool *pool, hpw_injection plan) {
    CHECK_EQ(hpw_inject(pool, &plan), HPW_INVALID_ARGUMENT);
    CHECK(hpw_get_injected(pool, NULL, NULL)); /* the one before goes on */
}

static void no_plans(hpw_pool *pool) {
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.after = 1000}), HPW_OK);
    refuses(pool, (hpw_injection){.after = 0});
    refuses(pool, (hpw_injection){.after = 1, .every = 2});
    refuses(pool, (hpw_injection){.every = 1, .probability = 0.5});
    refuses(pool, (hpw_injection){.probability = 1.5});
    refuses(pool, (hpw_injection){.probability = -0.5});
    refuses(pool, (hpw_injection){.probability = (double)NAN});
    refuses(pool, (hpw_injection){.probability = (double)NAN, .size_at_least = 1});
    refuses(pool, (hpw_injection){.every = 2, .persistent = true});
    refuses(pool, (hpw_injection){.persistent = true, .size_at_least = 1});
    hpw_inject(pool, NULL);
    CHECK_EQ(hpw_inject(pool, NULL), HPW_OK);
}

/* ---- Events ---- */

static void events(hpw_pool *pool) {
    hpw_event slots[8], event;
    hpw_ring ring = {.slots = slots, .count = 8};
    uint64_t cursor = 0;
    unsigned char *block = hpw_malloc(pool, 100);
    hpw_set_sink(pool, hpw_ring_sink, &ring);
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.every = 1}), HPW_OK);
    CHECK(!hpw_malloc(pool, 32));
    CHECK(!hpw_aligned_alloc(pool, 256, 33));
    CHECK(!hpw_realloc(pool, block, 300));
    hpw_set_sink(pool, NULL, NULL);
    CHECK(!hpw_malloc(pool, 34)); /* the plan goes on without the sink */
    hpw_inject(pool, NULL);
    CHECK_EQ(ring.written, 3);
    CHECK(hpw_ring_next(&ring, &cursor, &event, NULL));
    CHECK(event.kind == HPW_EVENT_FAILURE && event.size == 32 && event.alignment == 0);
    CHECK(hpw_ring_next(&ring, &cursor, &event, NULL));
    CHECK(event.kind == HPW_EVENT_FAILURE && event.size == 33 && event.alignment == 256);
    CHECK(hpw_ring_next(&ring, &cursor, &event, NULL));
    CHECK(event.kind == HPW_EVENT_FAILURE && event.size == 300);
    CHECK_EQ(event.address, hpw_address(pool, block));
    CHECK_EQ(hpw_free(pool, block), HPW_OK);
}

/* ---- The same placement, with a plan that never fires as without one ---- */

static void placed_alike(const char *policy) {
    hpw_pool *plain = open_pool(policy, false, 0), *planned = open_pool(policy, false, 0);
    void *of_plain[64] = {0}, *of_planned[64] = {0};
    uint32_t random = 1;
    for (unsigned n = 0; n < 4000; n++) {
        if (n % 1000 == 0) CHECK_EQ(hpw_inject(planned, &(hpw_injection){.after = UINT64_MAX}), HPW_OK);
        if (n % 1000 == 700) CHECK_EQ(hpw_inject(planned, NULL), HPW_OK);
        random = random * 1664525 + 1013904223;
        unsigned at = random >> 26;
        size_t size = random >> 8 & 1023;
        if (of_plain[at]) {
            CHECK_EQ(hpw_free(plain, of_plain[at]), HPW_OK);
            CHECK_EQ(hpw_free(planned, of_planned[at]), HPW_OK);
            of_plain[at] = NULL;
        } else {
            of_plain[at] = hpw_malloc(plain, size);
            of_planned[at] = hpw_malloc(planned, size);
            if (hpw_address(plain, of_plain[at]) != hpw_address(planned, of_planned[at]))
                CHECK_EQ(hpw_address(plain, of_plain[at]), hpw_address(planned, of_planned[at]));
        }
    }
    CHECK_EQ(hpw_check(planned, NULL), HPW_OK);
    hpw_close(plain);
    hpw_close(planned);
}

/* ---- A pool that would grow ---- */

static void does_not_grow(const char *policy) {
    hpw_pool *pool =
        hpw_open(&(hpw_config){.policy = policy, .capacity = 64 << 10, .max_capacity = 1 << 20}, NULL);
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.after = 1}), HPW_OK);
    CHECK(!hpw_malloc(pool, 100 << 10));
    CHECK_EQ(stats_of(pool).capacity, 64 << 10);
    CHECK(hpw_malloc(pool, 100 << 10));
    CHECK(stats_of(pool).capacity > 64 << 10);
    hpw_close(pool);
}

/* ---- Lua's requests ---- */

static uint64_t requests_of(const hpw_pool *pool) {
    uint64_t requests;
    hpw_get_injected(pool, &requests, NULL);
    return requests;
}

static uint64_t injected_of(const hpw_account *account) {
    hpw_account_stats stats;
    hpw_get_account_stats(account, &stats);
    CHECK_EQ(stats.injected, stats.over_pool);
    return stats.injected;
}

/* Each is one request, slot or block; what the account takes from the pool for it is none. */
static void lua_requests(hpw_pool *pool) {
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.after = 1}), HPW_OK);
    hpw_error error = HPW_OK;
    CHECK(!hpw_open_account(pool, NULL, &error));
    CHECK_EQ(error, HPW_NO_MEMORY);
    CHECK(hpw_refused_by_plan(pool) == 1);
    hpw_account *account = hpw_open_account(pool, NULL, &error), *other = hpw_open_account(pool, NULL, NULL);
    CHECK(account && other);
    CHECK_EQ(requests_of(pool), 3);
    void *blocks[300];
    for (unsigned i = 0; i < 300; i++) blocks[i] = hpw_lua_alloc(account, NULL, 5, 40);
    CHECK_EQ(requests_of(pool), 303);
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.every = 2}), HPW_OK);
    for (unsigned i = 0; i < 20; i++) {
        void *small = hpw_lua_alloc(account, NULL, 5, 40);
        void *large = hpw_lua_alloc(account, NULL, 4, 5000);
        CHECK(small);
        CHECK(!large);
        CHECK(hpw_lua_alloc(account, small, 40, 48)); /* grows: in its slab's class or to another's */
        CHECK(!hpw_lua_alloc(account, blocks[i], 40, 4000));
        small = hpw_lua_alloc(account, blocks[100 + i], 40, 16); /* shrinks: no request */
        CHECK(small);
        blocks[100 + i] = hpw_lua_alloc(account, small, 16, 16);
        CHECK_EQ(requests_of(pool), 4 * (i + 1));
    }
    CHECK_EQ(injected_of(account), 40);
    CHECK_EQ(injected_of(other), 0);
    CHECK(hpw_account_pressure(other)); /* as after any refusal by the pool */
    hpw_inject(pool, NULL);
    CHECK(hpw_lua_alloc(account, NULL, 5, 40));
    CHECK(hpw_lua_alloc(account, NULL, 5, 5000));
    CHECK_EQ(injected_of(account), 40);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    CHECK_EQ(hpw_close_account(other), HPW_OK);
}

/* An account on its short way hears of a plan at once, and goes that way again when it has ended. */
static void lua_hears(hpw_pool *pool) {
    hpw_account *account = hpw_open_account(pool, NULL, NULL);
    void *block = hpw_lua_alloc(account, NULL, 5, 40);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(hpw_inject(pool, &(hpw_injection){.after = 1}), HPW_OK);
        CHECK(!hpw_lua_alloc(account, NULL, 5, 40));
        hpw_inject(pool, NULL);
        void *other = hpw_lua_alloc(account, NULL, 5, 40);
        CHECK(other);
        hpw_lua_alloc(account, other, 40, 0);
    }
    hpw_lua_alloc(account, block, 40, 0);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
}

/* Resizes of a state's large blocks up and down, every growth refused: what it has stays, byte for byte. */
static void lua_resizes(hpw_pool *pool) {
    hpw_account *account = hpw_open_account(pool, NULL, NULL);
    unsigned char *block = hpw_lua_alloc(account, NULL, 4, 3000);
    memset(block, 'b', 3000);
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.every = 1}), HPW_OK);
    size_t size = 3000;
    for (; size > 1; size -= size / 3) {
        CHECK(!hpw_lua_alloc(account, block, size, size + 1));
        CHECK(!hpw_lua_alloc(account, block, size, size + 9000));
        block = hpw_lua_alloc(account, block, size, size - size / 3);
        CHECK(block && block[0] == 'b' && block[size - size / 3 - 1] == 'b');
        if (size / 3 == 0) break;
    }
    hpw_inject(pool, NULL);
    hpw_lua_alloc(account, block, size, 0);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
}

/* In a guarded pool what is damaged is told as ever, and no refusal by plan is taken for it, nor it for one.
 */
static void guarded(const char *policy) {
    hpw_pool *pool =
        hpw_open(&(hpw_config){.policy = policy, .capacity = 64 << 10, .guard = HPW_GUARD_FULL}, NULL);
    hpw_report report;
    uint64_t address;
    which(pool);
    by_size(pool);
    unsigned char *overrun = hpw_malloc(pool, 20), *freed = hpw_malloc(pool, 10000);
    CHECK_EQ(hpw_free(pool, freed), HPW_OK);
    overrun[20] ^= 1;
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.after = 1}), HPW_OK);
    CHECK_EQ(hpw_resize(pool, hpw_address(pool, overrun), 50, &address, &report), HPW_CORRUPTED);
    CHECK_EQ(hpw_resize(pool, hpw_address(pool, freed), 90000, &address, &report), HPW_DOUBLE_FREE);
    CHECK_EQ(requests_of(pool), 0);
    CHECK_EQ(hpw_allocate(pool, 40, 0, &address, &report), HPW_NO_MEMORY);
    CHECK_EQ(report.injected, 1);
    overrun[20] ^= 1;
    freed[5] ^= 1; /* found when a request wants the quarantine's bytes, by the plan let pass */
    CHECK_EQ(hpw_allocate(pool, 60 << 10, 0, &address, &report), HPW_CORRUPTED);
    CHECK_EQ(hpw_refused_by_plan(pool), 0);
    CHECK_EQ(hpw_inject(pool, &(hpw_injection){.every = 1}), HPW_OK);
    CHECK_EQ(hpw_allocate(pool, 40, 0, &address, &report), HPW_NO_MEMORY);
    CHECK_EQ(report.injected, 1);
    CHECK_EQ(hpw_resize(pool, hpw_address(pool, overrun), 50, &address, &report), HPW_NO_MEMORY);
    CHECK_EQ(report.injected, 2);
    hpw_close(pool);
}

static void whole(const char *policy, bool locked, uint32_t caches) {
    hpw_pool *pool = open_pool(policy, locked, caches);
    which(pool);
    by_size(pool);
    what(pool);
    room(pool);
    no_plans(pool);
    events(pool);
    CHECK_EQ(stats_of(pool).live_blocks, 0);
    lua_hears(pool);
    lua_resizes(pool);
    lua_requests(pool);
    hpw_close(pool);
}

/* ---- In a caller's buffer ---- */

static unsigned char buffer[256 * 1024];

int main(void) {
    const hpw_policy_info *policy;
    for (size_t i = 0; (policy = hpw_policy_at(i)); i++) {
        whole(policy->name, false, 0);
        whole(policy->name, true, 0);
        if (policy->takes_caches) whole(policy->name, true, 4);
        placed_alike(policy->name);
        does_not_grow(policy->name);
        guarded(policy->name);
        hpw_pool *pool = hpw_open_in(buffer, sizeof buffer, &(hpw_config){.policy = policy->name}, NULL);
        which(pool);
        by_size(pool);
    }
    return CHECK_DONE();
}
