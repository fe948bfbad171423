/* SPDX-License-Identifier: MIT */
/*
 * Compaction, as a C host has it that reaches its blocks by handles: under every
 * policy, order, guard and granule, at random, against a list of what lies where.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

enum { MOST = 600, CAPACITY = 1 << 16 };

typedef struct handle {
    uint64_t address, size, granted, alignment;
    unsigned char byte;
    bool movable;
} handle;

typedef struct world {
    hpw_pool *pool;
    handle held[MOST];
    size_t count;
    uint64_t moved, told; /* bytes, events */
    uint64_t last;        /* the highest place that a move came from */
    bool slots;           /* which move before the others */
    uint32_t random;
} world;

static uint32_t draw(world *w, uint32_t below) {
    w->random = w->random * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)w->random * below >> 32);
}

static handle *at(world *w, uint64_t address) {
    for (size_t i = 0; i < w->count; i++)
        if (w->held[i].address == address) return &w->held[i];
    return NULL;
}

static bool may_move(void *ud, uint64_t address, uint64_t size) {
    const handle *h = at(ud, address);
    return h && h->size == size && h->movable;
}

static void moved(void *ud, uint64_t from, uint64_t to, uint64_t size) {
    world *w = ud;
    handle *h = at(w, from);
    if (!CHECK(h && h->movable && h->size == size && to < from)) return;
    CHECK(from >= w->last || w->slots);
    w->last = from;
    w->moved += size;
    h->address = to;
}

static void count_event(void *ud, const hpw_event *event) {
    world *w = ud;
    if (event->kind == HPW_EVENT_RESIZE && event->address < event->previous) w->told++;
}

static void allocate(world *w) {
    handle h = {.size = draw(w, 8) ? draw(w, 300) : draw(w, 5000), .movable = draw(w, 3) != 0};
    h.byte = (unsigned char)draw(w, 256);
    if (!draw(w, 6)) h.alignment = (uint64_t)1 << draw(w, 11);
    if (w->count == MOST || hpw_allocate(w->pool, h.size, h.alignment, &h.address, NULL)) return;
    hpw_fill(w->pool, h.address, h.byte, h.size, NULL);
    hpw_size(w->pool, h.address, NULL, &h.granted, NULL);
    w->held[w->count++] = h;
}

static void check_handles(world *w) {
    for (size_t i = 0; i < w->count; i++) {
        const handle *h = &w->held[i];
        uint64_t size = 0, granted = 0;
        const unsigned char *bytes = hpw_pointer(w->pool, h->address);
        bool well = hpw_size(w->pool, h->address, &size, &granted, NULL) == HPW_OK && size == h->size &&
                    granted == h->granted;
        for (uint64_t n = 0; n < h->size && well; n++) well = bytes[n] == h->byte;
        if (h->alignment) well = well && (uintptr_t)bytes % h->alignment == 0;
        if (!CHECK(well)) return;
    }
}

static void free_some(world *w, uint32_t of) {
    for (size_t i = 0; i < w->count;) {
        if (draw(w, of)) {
            i++;
            continue;
        }
        CHECK_EQ(hpw_release(w->pool, w->held[i].address, NULL), HPW_OK);
        w->held[i] = w->held[--w->count];
    }
}

static void compact(world *w) {
    static handle before[MOST];
    hpw_stats was, is;
    hpw_compaction done;
    hpw_report report = {.what = ""};
    memcpy(before, w->held, sizeof before);
    hpw_get_stats(w->pool, &was);
    w->last = w->moved = w->told = 0;
    CHECK_EQ(hpw_compact(w->pool, &(hpw_mover){w, may_move, moved}, &done), HPW_OK);
    hpw_get_stats(w->pool, &is);
    if (!CHECK_EQ(hpw_check(w->pool, &report), HPW_OK))
        printf("%s at %llx\n", report.what, (unsigned long long)report.address);
    CHECK(done.largest_free >= was.largest_free && done.won == done.largest_free - was.largest_free);
    CHECK(is.largest_free == done.largest_free || is.capacity < was.capacity);
    CHECK_EQ(done.moved_bytes, w->moved);
    CHECK_EQ(done.moved_blocks, w->told);
    CHECK(is.in_use == was.in_use && is.granted == was.granted && is.live_blocks == was.live_blocks);
    CHECK(is.reallocations == was.reallocations && is.high_water == was.high_water);
    for (size_t i = 0; i < w->count; i++)
        CHECK(w->held[i].movable || w->held[i].address == before[i].address);
    check_handles(w);
    w->last = 0;
    hpw_compact(w->pool, &(hpw_mover){w, may_move, moved}, &done);
    CHECK_EQ(hpw_check(w->pool, NULL), HPW_OK);
    CHECK_EQ(done.won, 0); /* all was won at once */
}

static void live(world *w) {
    hpw_set_sink(w->pool, count_event, w);
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 300; i++) allocate(w);
        free_some(w, 2 + draw(w, 4));
        compact(w);
    }
    check_handles(w);
    CHECK_EQ(hpw_reset(w->pool), HPW_OK);
}

static void run(const hpw_config *config, unsigned char *buffer, uint32_t seed) {
    static world w;
    hpw_error error;
    memset(&w, 0, sizeof w);
    w.random = seed;
    w.slots = strcmp(config->policy, "slab") == 0;
    w.pool = buffer ? hpw_open_in(buffer, (size_t)2 * CAPACITY, config, &error) : hpw_open(config, &error);
    if (!w.pool) return;
    unsigned long failed = check_failures;
    live(&w);
    if (check_failures != failed)
        printf("  %s, order %d, guard %d, granule %u, %s, seed %u\n", config->policy, (int)config->order,
               (int)config->guard, config->granule, buffer ? "in a buffer" : "mapped", seed);
    hpw_close(w.pool);
}

static void test_all(void) {
    static unsigned char buffer[2 * CAPACITY + 64];
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)) != NULL; i++)
        for (unsigned order = 0; order < (info->takes_order ? HPW_ORDER_COUNT : 1); order++)
            for (uint32_t seed = 1; seed <= 12; seed++) {
                static const uint32_t granules[] = {16, 8, 64, 16};
                hpw_config config = {.policy = info->name,
                                     .order = (hpw_order)order,
                                     .capacity = CAPACITY,
                                     .guard = (hpw_guard)(seed % HPW_GUARD_COUNT),
                                     .granule = granules[seed % 4]};
                run(&config, NULL, seed);
                run(&config, buffer + seed, seed);
                config.capacity /= 4;
                config.max_capacity = CAPACITY;
                run(&config, NULL, seed);
                if (info->takes_caches)
                    run(&(hpw_config){.policy = info->name, .capacity = CAPACITY, .thread_caches = 2}, NULL,
                        seed);
            }
}

/* [ raw ][ hole ][ a ][ hole ][ b ][ hole ]: both slide down to the raw block. */
static void test_sliding(void) {
    world w = {.pool = hpw_open(&(hpw_config){.capacity = 1024}, NULL)};
    uint64_t addresses[6];
    hpw_compaction done;
    for (int i = 0; i < 6; i++) CHECK_EQ(hpw_allocate(w.pool, 100, 0, &addresses[i], NULL), HPW_OK);
    for (int i = 1; i < 6; i += 2) hpw_release(w.pool, addresses[i], NULL);
    w.held[w.count++] = (handle){.address = addresses[2], .size = 100, .movable = true};
    w.held[w.count++] = (handle){.address = addresses[4], .size = 100, .movable = true};
    CHECK_EQ(hpw_compact(w.pool, &(hpw_mover){&w, may_move, moved}, &done), HPW_OK);
    CHECK_EQ(w.held[0].address, 112);
    CHECK_EQ(w.held[1].address, 224);
    CHECK_EQ(done.won, 224);
    CHECK_EQ(done.largest_free, 1008 - 3 * 112 + 16);
    CHECK_EQ(done.moved_bytes, 200);
    CHECK_EQ(hpw_release(w.pool, addresses[4], NULL), HPW_DOUBLE_FREE); /* where b was */
    hpw_close(w.pool);
}

/* A block that keeps an alignment would split the hole below it: it stays, its neighbour slides all the same.
 */
static void test_aligned(void) {
    world w = {.pool = hpw_open(&(hpw_config){.capacity = 2048, .guard = HPW_GUARD_CHECK}, NULL)};
    uint64_t raw, hole, aligned, top, tail;
    hpw_compaction done;
    hpw_allocate(w.pool, 16, 0, &raw, NULL);
    hpw_allocate(w.pool, 1008, 0, &hole, NULL);
    CHECK_EQ(hpw_allocate(w.pool, 16, 512, &aligned, NULL), HPW_OK);
    CHECK_EQ(aligned, 1024);
    hpw_allocate(w.pool, 1008 - 32, 0, &tail, NULL);
    hpw_allocate(w.pool, 16, 0, &top, NULL);
    hpw_release(w.pool, hole, NULL);
    w.held[w.count++] = (handle){.address = aligned, .size = 16, .movable = true};
    CHECK_EQ(hpw_compact(w.pool, &(hpw_mover){&w, may_move, moved}, &done), HPW_OK);
    CHECK_EQ(done.moved_blocks, 0);
    CHECK_EQ(done.won, 0);
    hpw_release(w.pool, tail, NULL); /* now more is joined behind it than is left before it */
    CHECK_EQ(hpw_compact(w.pool, &(hpw_mover){&w, may_move, moved}, &done), HPW_OK);
    CHECK_EQ(w.held[0].address, 512);
    CHECK_EQ(done.won, 1520 - 32 - 1008);
    CHECK_EQ(hpw_check(w.pool, NULL), HPW_OK);
    hpw_close(w.pool);
}

/* Buddies: the block's own buddy is free, so moving it into a hole of its size joins two. */
static void test_buddies(void) {
    world w = {.pool = hpw_open(&(hpw_config){.capacity = 1024, .policy = "buddy"}, NULL)};
    uint64_t addresses[16];
    hpw_compaction done;
    for (int i = 0; i < 16; i++) CHECK_EQ(hpw_allocate(w.pool, 64, 0, &addresses[i], NULL), HPW_OK);
    static const int freed[] = {1, 9, 10, 11, 12, 13, 14, 15};
    for (int i = 0; i < 8; i++) hpw_release(w.pool, addresses[freed[i]], NULL);
    w.held[w.count++] = (handle){.address = 512, .size = 64, .movable = true};
    CHECK_EQ(hpw_compact(w.pool, &(hpw_mover){&w, may_move, moved}, &done), HPW_OK);
    CHECK_EQ(w.held[0].address, 64);
    CHECK_EQ(done.largest_free, 512);
    CHECK_EQ(done.won, 256);
    hpw_close(w.pool);
}

/* Slab: two pages half full of movable slots become one, the other goes back to the pool. */
static void test_slots(void) {
    world w = {.pool = hpw_open(&(hpw_config){.capacity = 1 << 16, .policy = "slab"}, NULL)};
    hpw_compaction done;
    uint64_t large;
    for (int i = 0; i < 64; i++) {
        handle h = {.size = 128, .movable = true};
        CHECK_EQ(hpw_allocate(w.pool, h.size, 0, &h.address, NULL), HPW_OK);
        w.held[w.count++] = h;
    }
    CHECK_EQ(hpw_allocate(w.pool, 4096, 0, &large, NULL), HPW_OK);
    for (size_t i = 0; i < w.count; i++) {
        hpw_release(w.pool, w.held[i].address, NULL);
        w.held[i] = w.held[--w.count];
    }
    CHECK_EQ(w.count, 32);
    w.held[w.count++] = (handle){.address = large, .size = 4096, .movable = true};
    CHECK_EQ(hpw_compact(w.pool, &(hpw_mover){&w, may_move, moved}, &done), HPW_OK);
    CHECK_EQ(w.held[32].address, 4096);
    CHECK_EQ(done.largest_free, 65536 - 8192);
    CHECK_EQ(done.won, 4096);
    CHECK_EQ(hpw_check(w.pool, NULL), HPW_OK);
    hpw_close(w.pool);
}

/* A block that was written past its end stays where it is, so that its free still tells. */
static void test_overrun(void) {
    world w = {.pool = hpw_open(&(hpw_config){.capacity = 1024, .guard = HPW_GUARD_CHECK}, NULL)};
    uint64_t hole, address;
    hpw_allocate(w.pool, 100, 0, &hole, NULL);
    hpw_allocate(w.pool, 100, 0, &address, NULL);
    hpw_release(w.pool, hole, NULL);
    w.held[w.count++] = (handle){.address = address, .size = 100, .movable = true};
    unsigned char *past = (unsigned char *)hpw_pointer(w.pool, address) + 100;
    *past ^= 1;
    CHECK_EQ(hpw_compact(w.pool, &(hpw_mover){&w, may_move, moved}, NULL), HPW_OK);
    CHECK_EQ(w.held[0].address, address);
    CHECK_EQ(hpw_release(w.pool, address, NULL), HPW_CORRUPTED);
    *past ^= 1;
    CHECK_EQ(hpw_compact(w.pool, &(hpw_mover){&w, may_move, moved}, NULL), HPW_OK);
    CHECK_EQ(w.held[0].address, 0);
    hpw_close(w.pool);
}

/* Bump's free bytes stay unused until reset, so nothing is won by moving into them. */
static void test_bump(void) {
    world w = {.pool = hpw_open(&(hpw_config){.capacity = 1024, .policy = "bump"}, NULL)};
    uint64_t hole, address;
    hpw_compaction done;
    hpw_allocate(w.pool, 100, 0, &hole, NULL);
    hpw_allocate(w.pool, 100, 0, &address, NULL);
    hpw_release(w.pool, hole, NULL);
    w.held[w.count++] = (handle){.address = address, .size = 100, .movable = true};
    CHECK_EQ(hpw_compact(w.pool, &(hpw_mover){&w, may_move, moved}, &done), HPW_OK);
    CHECK_EQ(done.moved_blocks, 0);
    CHECK_EQ(w.held[0].address, address);
    hpw_close(w.pool);
}

/* What has to stay: an account's blocks, whatever the mover says; and a mover has both functions. */
static bool everything(void *ud, uint64_t address, uint64_t size) {
    (void)ud, (void)address, (void)size;
    return true;
}

static void note_last(void *ud, uint64_t from, uint64_t to, uint64_t size) {
    (void)from, (void)size;
    *(uint64_t *)ud = to;
}

static void test_accounts(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 1 << 18}, NULL);
    uint64_t hole, block, to = 0;
    hpw_compaction done;
    hpw_allocate(pool, 1000, 0, &hole, NULL);
    hpw_account *account = hpw_open_account(pool, NULL, NULL);
    void *small = hpw_lua_alloc(account, NULL, 0, 40), *large = hpw_lua_alloc(account, NULL, 0, 9000);
    memset(small, 's', 40);
    memset(large, 'l', 9000);
    hpw_allocate(pool, 100, 0, &block, NULL);
    hpw_release(pool, hole, NULL);
    uint64_t gap;
    hpw_allocate(pool, 500, 0, &gap, NULL);
    hpw_allocate(pool, 1000, 0, &block, NULL);
    hpw_release(pool, gap, NULL);
    CHECK_EQ(hpw_compact(pool, &(hpw_mover){&to, everything, note_last}, &done), HPW_OK);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    CHECK(done.moved_blocks <= 2);
    for (int i = 0; i < 40; i++) CHECK_EQ(((char *)small)[i], 's');
    for (int i = 0; i < 9000; i++) CHECK_EQ(((char *)large)[i], 'l');
    hpw_lua_alloc(account, small, 40, 0);
    hpw_lua_alloc(account, large, 9000, 0);
    CHECK_EQ(hpw_close_account(account), HPW_OK);
    CHECK_EQ(hpw_compact(pool, NULL, NULL), HPW_INVALID_ARGUMENT);
    CHECK_EQ(hpw_compact(pool, &(hpw_mover){NULL, everything, NULL}, NULL), HPW_INVALID_ARGUMENT);
    CHECK_EQ(hpw_compact(pool, &(hpw_mover){NULL, NULL, note_last}, NULL), HPW_INVALID_ARGUMENT);
    hpw_close(pool);
}

int main(void) {
    test_sliding();
    test_aligned();
    test_buddies();
    test_slots();
    test_overrun();
    test_bump();
    test_accounts();
    test_all();
    return CHECK_DONE();
}
