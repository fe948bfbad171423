/* SPDX-License-Identifier: MIT */
/*
 * Policies of a host's own: written in C, they agree with the built-in ones address by address, in pools of
 * every kind, locked and on threads, in a buffer whose start has no alignment; what they answer is believed
 * no further than the block map; what is wrong with a config is refused.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"

static uint32_t state = 1;

static uint32_t draw(uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(state >> 8) * below >> 24);
}

/* ---- Policies ---- */

typedef struct own {
    bool worst;      /* the largest, else the smallest */
    unsigned opened; /* how often */
    unsigned asked;
    hpw_error error; /* answered instead, from the `from`-th call on; 0: never */
    uint64_t answer; /* given instead, where `lies` */
    bool lies;
    unsigned from;
} own;

static hpw_error choose(void *ud, const hpw_free_blocks *free, uint64_t size, uint64_t alignment,
                        uint64_t *address) {
    own *self = ud;
    uint64_t cursor = 0, at, bytes, best = 0, place;
    if (++self->asked >= self->from && self->from) {
        *address = self->answer;
        return self->lies ? HPW_OK : self->error;
    }
    while (hpw_free_next(free, &cursor, &at, &bytes)) {
        if (best && (self->worst ? bytes <= best : bytes >= best)) continue;
        if (hpw_free_place(free, at, size, alignment, &place, NULL)) continue;
        *address = at;
        best = bytes;
    }
    return best ? HPW_OK : HPW_NO_MEMORY;
}

static hpw_error first(void *ud, const hpw_free_blocks *free, uint64_t size, uint64_t alignment,
                       uint64_t *address) {
    uint64_t bytes;
    (void)ud;
    return hpw_free_first(free, 0, size, alignment, address, &bytes) ? HPW_OK : HPW_NO_MEMORY;
}

static void opened(void *ud) { ((own *)ud)->opened++; }

/* ---- Agreement ---- */

enum { HELD = 64 };

/* One call on both pools, which must answer alike. */
static void step(hpw_pool *mine, hpw_pool *ours, uint64_t held[HELD]) {
    uint64_t *slot = &held[draw(HELD)], a = UINT64_MAX, b = UINT64_MAX, size = draw(300);
    hpw_error x, y;
    if (*slot == UINT64_MAX) {
        uint64_t align = draw(4) ? 0 : (uint64_t)1 << draw(9);
        x = hpw_allocate(mine, size, align, &a, NULL);
        y = hpw_allocate(ours, size, align, &b, NULL);
        *slot = a;
    } else if (draw(3) == 0) {
        a = b = *slot;
        x = hpw_resize(mine, *slot, size, &a, NULL);
        y = hpw_resize(ours, *slot, size, &b, NULL);
        *slot = a;
    } else {
        x = hpw_release(mine, *slot, NULL);
        y = hpw_release(ours, *slot, NULL);
        *slot = UINT64_MAX;
    }
    CHECK_EQ(x, y);
    CHECK_EQ(a, b);
}

static void agree(hpw_pool *mine, hpw_pool *ours, unsigned steps) {
    uint64_t held[HELD];
    hpw_stats a, b;
    memset(held, 0xff, sizeof held);
    for (unsigned i = 0; i < steps; i++) {
        if (i == steps / 2) {
            CHECK_EQ(hpw_reset(mine), HPW_OK);
            CHECK_EQ(hpw_reset(ours), HPW_OK);
            memset(held, 0xff, sizeof held);
        }
        step(mine, ours, held);
        if (i % 64 == 0) CHECK_EQ(hpw_check(mine, NULL), HPW_OK);
    }
    hpw_get_stats(mine, &a);
    hpw_get_stats(ours, &b);
    CHECK_EQ(a.failures, b.failures);
    CHECK_EQ(a.in_use, b.in_use);
    CHECK_EQ(a.granted, b.granted);
    CHECK_EQ(a.free_blocks, b.free_blocks);
    CHECK_EQ(a.largest_free, b.largest_free);
    CHECK_EQ(a.high_water, b.high_water);
}

static void test_agreement(void) {
    static const uint32_t granules[] = {16, 8, 64};
    for (unsigned i = 0; i < 3 * 3 * 2 * 3; i++) {
        own self = {.worst = i % 3 == 2};
        hpw_config config = {.capacity = 8192,
                             .max_capacity = i / 27 ? 1 << 20 : 0,
                             .granule = granules[i / 9 % 3],
                             .guard = (hpw_guard)(i / 3 % HPW_GUARD_COUNT),
                             .single_threaded = i % 2};
        static const char *const names[] = {"first-fit", "best-fit", "worst-fit"};
        config.policy = names[i % 3];
        hpw_pool *ours = hpw_open(&config, NULL);
        config.policy = NULL;
        config.chooser = (hpw_chooser){&self, i % 3 ? choose : first, NULL, opened};
        hpw_pool *mine = hpw_open(&config, NULL);
        agree(mine, ours, 2000);
        CHECK_EQ(self.opened, 2); /* new, and reset */
        hpw_close(mine);
        hpw_close(ours);
    }
}

/* In buffers that begin anywhere: alignment is that of pointers. */
static void test_buffers(void) {
    static unsigned char memory[2][20000];
    for (size_t offset = 1; offset < 65; offset += 16) {
        own self = {.opened = 0};
        hpw_config config = {.policy = "best-fit", .capacity = 8192};
        hpw_pool *ours = hpw_open_in(memory[0] + offset, 18000, &config, NULL);
        config.policy = "mine";
        config.chooser = (hpw_chooser){&self, choose, NULL, NULL};
        CHECK(hpw_metadata_size(&config) > 0);
        hpw_pool *mine = hpw_open_in(memory[1] + offset, 18000, &config, NULL);
        void *block = hpw_aligned_alloc(mine, 256, 10);
        CHECK_EQ((uintptr_t)block % 256, 0);
        CHECK_EQ(hpw_free(mine, block), HPW_OK);
        CHECK(ours && hpw_check(mine, NULL) == HPW_OK);
    }
}

/* ---- Failures ---- */

static const char *what_of(hpw_pool *pool, hpw_error error, uint64_t size, uint64_t alignment,
                           uint64_t chosen) {
    hpw_report report;
    hpw_stats before, after;
    uint64_t address = 7;
    hpw_get_stats(pool, &before);
    CHECK_EQ(hpw_allocate(pool, size, alignment, &address, &report), error);
    hpw_get_stats(pool, &after);
    CHECK_EQ(report.error, error);
    CHECK_EQ(report.size, size);
    CHECK_EQ(report.address, chosen);
    CHECK_EQ(address, 7);
    CHECK_EQ(before.failures + 1, after.failures);
    CHECK_EQ(before.granted, after.granted);
    CHECK_EQ(before.capacity, after.capacity);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    return report.what;
}

static void test_lies(hpw_guard guard) {
    static const struct {
        uint64_t address, alignment;
        const char *what;
    } lies[] = {
        {0, 0, "the block there is live"},
        {16, 0, "the block there is live"},
        {64, 0, "the free block there is too small"},
        {80, 0, "the free block there is too small"},
        {4096 - 96, 0, "the free block there is too small"},
        {4096, 0, "the address lies outside of the pool"},
        {UINT64_MAX, 0, "the address lies outside of the pool"},
        {1 << 20, 0, "the address lies outside of the pool"},
        {(uint64_t)1 << 36, 0, "the address lies outside of the pool"},
        {1001, 0, "the address is not at a multiple of the granule"},
        {1008, 64, "the address is not so aligned"},
        {256, 4096, "the free block there holds no place so aligned"},
    };
    own self = {.lies = true};
    hpw_chooser chooser = {&self, choose, NULL, opened};
    hpw_config config = {.capacity = 4096,
                         .max_capacity = 1 << 20,
                         .chooser = chooser,
                         .guard = guard,
                         .red_zone = guard == HPW_GUARD_FULL ? HPW_NONE : 0,
                         .quarantine = guard == HPW_GUARD_FULL ? HPW_NONE : 0};
    hpw_pool *pool = hpw_open(&config, NULL);
    void *blocks[4];
    for (int i = 0; i < 4; i++) blocks[i] = hpw_malloc(pool, 64);
    CHECK_EQ(hpw_free(pool, blocks[1]), HPW_OK);
    self.from = 1;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        self.answer = lies[i].address;
        unsigned asked = self.asked;
        const char *what = what_of(pool, HPW_INVALID_ARGUMENT, 100, lies[i].alignment, lies[i].address);
        if (strcmp(what, lies[i].what)) printf("  %llu: %s\n", (unsigned long long)lies[i].address, what);
        CHECK(!strcmp(what, lies[i].what));
        CHECK_EQ(self.asked, asked + 1); /* no second time, in a larger pool */
        if (lies[i].alignment) continue;
        uint64_t moved = 7;
        hpw_report report;
        CHECK(!hpw_malloc(pool, 100));
        CHECK_EQ(hpw_resize(pool, 128, 100, &moved, &report),
                 HPW_INVALID_ARGUMENT); /* not backwards either */
        CHECK_EQ(report.address, lies[i].address);
        CHECK_EQ(moved, 7);
    }
    self.lies = false;
    self.error = HPW_IO;
    self.answer = 0;
    CHECK(!strcmp(what_of(pool, HPW_IO, 100, 0, 0), "the host's policy failed"));
    self.from = 0;
    CHECK(hpw_malloc(pool, 100) != NULL);
    hpw_close(pool);
}

/* A request that no pool holds asks nobody, and has nothing of an earlier failure. */
static void test_stale_failure(void) {
    own self = {.from = 1, .lies = true, .answer = 5};
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 4096, .chooser = {&self, choose, NULL, NULL}}, NULL);
    CHECK(!hpw_malloc(pool, 100));
    CHECK_EQ(self.asked, 1);
    CHECK(!strcmp(what_of(pool, HPW_NO_MEMORY, 5000, 0, 0), "no free block holds the request"));
    CHECK_EQ(self.asked, 1);
    hpw_inject(pool, &(hpw_injection){.after = 1});
    CHECK(!strcmp(what_of(pool, HPW_NO_MEMORY, 100, 0, 0), "injected: refused by plan"));
    hpw_close(pool);
}

/* ---- Sizes ---- */

static hpw_error round_wrong(void *ud, uint64_t size, uint64_t *granted) {
    own *self = ud;
    (void)size;
    *granted = self->answer;
    return self->error;
}

static void test_round(void) {
    own self = {.answer = 100};
    hpw_config config = {
        .capacity = 4096, .max_capacity = 1 << 20, .chooser = {&self, first, round_wrong, NULL}};
    hpw_pool *pool = hpw_open(&config, NULL);
    uint64_t granted;
    CHECK_EQ(hpw_address(pool, hpw_malloc(pool, 90)), 0);
    CHECK_EQ(hpw_size(pool, 0, NULL, &granted, NULL), HPW_OK);
    CHECK_EQ(granted, 112);
    CHECK(!strcmp(what_of(pool, HPW_INVALID_ARGUMENT, 120, 0, 100), "the host's policy rounds a size down"));
    uint64_t moved;
    CHECK_EQ(hpw_resize(pool, 0, 120, &moved, NULL), HPW_INVALID_ARGUMENT);
    self.error = HPW_LIMIT;
    CHECK(!strcmp(what_of(pool, HPW_LIMIT, 90, 0, 0), "the host's policy failed"));
    self.error = HPW_OK;
    static const uint64_t huge[] = {(1 << 20) + 1, (uint64_t)1 << 36, UINT64_MAX, UINT64_MAX - 15};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        self.answer = huge[i];
        what_of(pool, HPW_NO_MEMORY, 90, 0, 0);
    }
    self.answer = 1 << 19; /* it grows for it */
    CHECK(hpw_malloc(pool, 90) != NULL);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

/* ---- Configurations ---- */

static void test_refused(void) {
    own self = {.opened = 0};
    const hpw_chooser chooser = {&self, choose, NULL, opened};
    const hpw_config wrong[] = {
        {.policy = "best-fit", .chooser = chooser},         {.policy = "", .chooser = chooser},
        {.policy = "sixteen-bytes-xx", .chooser = chooser}, {.policy = "chosen"},
        {.order = HPW_ORDER_FIFO, .chooser = chooser},      {.order = HPW_ORDER_RANDOM, .chooser = chooser},
        {.thread_caches = 2, .chooser = chooser},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hpw_error error = HPW_OK;
        CHECK(!hpw_open(&wrong[i], &error));
        CHECK_EQ(error, HPW_INVALID_ARGUMENT);
        hpw_config sized = wrong[i];
        sized.capacity = 4096;
        CHECK_EQ(hpw_metadata_size(&sized), 0);
    }
    CHECK_EQ(self.opened, 0);
    hpw_pool *pool = hpw_open(&(hpw_config){.policy = "fifteen-bytes-x", .chooser = chooser}, NULL);
    CHECK(pool != NULL);
    hpw_close(pool);
}

/* ---- Images ---- */

typedef struct memory {
    unsigned char bytes[1 << 16];
    size_t used, at;
} memory;

static bool put(void *ud, const void *bytes, size_t n) {
    memory *m = ud;
    if (n > sizeof m->bytes - m->used) return false;
    memcpy(m->bytes + m->used, bytes, n);
    m->used += n;
    return true;
}

static size_t get(void *ud, void *bytes, size_t n) {
    memory *m = ud;
    if (n > m->used - m->at) n = m->used - m->at;
    memcpy(bytes, m->bytes + m->at, n);
    m->at += n;
    return n;
}

static void test_images(void) {
    static memory m;
    own self = {.opened = 0};
    hpw_image image;
    hpw_image_error error;
    hpw_config config = {.policy = "mine", .capacity = 8192, .chooser = {&self, choose, NULL, NULL}};
    hpw_pool *pool = hpw_open(&config, NULL);
    void *blocks[20];
    for (int i = 0; i < 20; i++) blocks[i] = hpw_malloc(pool, 10U + 13U * (unsigned)i);
    for (int i = 0; i < 20; i += 3) hpw_free(pool, blocks[i]);
    CHECK_EQ(hpw_save_to(pool, put, &m, &error), HPW_OK);
    CHECK_EQ(hpw_read_image(get, &m, &image, &error), HPW_OK);
    CHECK(!image.config.policy && !image.config.chooser.choose);
    CHECK(!strcmp(image.chosen, "mine"));
    const char *const others[] = {"mine", "yours", "first-fit"};
    for (int i = 0; i < 3; i++) {
        hpw_config other = {.policy = others[i], .capacity = 8192};
        if (i < 2) other.chooser = config.chooser;
        hpw_pool *twin = hpw_open(&other, NULL);
        m.at = 0;
        CHECK_EQ(hpw_restore(twin, get, &m, &error), HPW_OK);
        uint64_t here = 0, there = 0;
        hpw_block a = {0}, b = {0};
        while (hpw_next_block(pool, &here, &a))
            CHECK(hpw_next_block(twin, &there, &b) && a.address == b.address && a.live == b.live);
        CHECK_EQ(hpw_check(twin, NULL), HPW_OK);
        hpw_close(twin);
    }
    hpw_close(pool);
    for (size_t i = 0; i < 136; i++) { /* each byte of the header that is another is seen */
        m.bytes[i] ^= 0x04;
        m.at = 0;
        CHECK(hpw_read_image(get, &m, &image, &error) != HPW_OK);
        m.bytes[i] ^= 0x04;
    }
    char path[] = "/tmp/heapwright-chosen-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    pool = hpw_open(&config, NULL);
    CHECK_EQ(hpw_save(pool, path, &error), HPW_OK);
    hpw_close(pool);
    CHECK(!hpw_open_image(path, NULL, &error));
    CHECK_EQ(error.code, HPW_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "its policy 'mine' is a host's") != NULL);
    pool = hpw_open_image(path, &config, &error);
    CHECK(pool != NULL);
    hpw_close(pool);
    remove(path);
}

/* ---- Threads ---- */

/* The lock is held while it chooses: a plain count is enough. */
static void *hammer(void *ud) {
    hpw_pool *pool = ud;
    void *held[16] = {NULL};
    for (unsigned i = 0; i < 2000; i++) {
        void **slot = &held[i * 7 % 16];
        hpw_free(pool, *slot);
        *slot = hpw_malloc(pool, i % 200);
    }
    for (unsigned i = 0; i < 16; i++) hpw_free(pool, held[i]);
    return NULL;
}

static void test_threads(void) {
    own self = {.opened = 0};
    hpw_pool *pool =
        hpw_open(&(hpw_config){.capacity = 16384, .chooser = {&self, choose, NULL, opened}}, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, hammer, pool), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    CHECK_EQ(stats.live_blocks, 0);
    CHECK_EQ(self.asked, 8000);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
}

int main(void) {
    test_agreement();
    test_buffers();
    for (unsigned guard = 0; guard < HPW_GUARD_COUNT; guard++) test_lies((hpw_guard)guard);
    test_stale_failure();
    test_round();
    test_refused();
    test_images();
    test_threads();
    return CHECK_DONE();
}
